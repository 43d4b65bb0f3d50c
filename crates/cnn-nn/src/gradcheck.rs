//! Checks a layer's backward pass against finite differences of its forward pass.
//!
//! A layer computes in `f32`, so differences are good to about three digits: enough to find a wrong formula, a
//! missing term or a factor, not the last digit. Where the definition can be written in `f64`,
//! [`cnn_tensor::testing`](../../cnn_tensor/testing/index.html) checks a hundred times more sharply.
//!
//! ```
//! use cnn_nn::{Fresh, LayerSpec, Path, gradcheck, spec::conv2d};
//! let mut layer = LayerSpec::from(conv2d(4, 3).padding(1)).build([2, 3, 5, 5].into(), Path::ROOT, &mut Fresh { seed: 1 })?;
//! gradcheck::check(&mut *layer, [2, 3, 5, 5], 1)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{Layer, NnError, Parameter, Path, TrainingStep};
use cnn_tensor::{Random, Shape, Tensor};

/// The step of the differences: a power of two, so that `x + step` is nearly exact.
const STEP: f32 = 1.0 / 128.0;

/// Error allowed, relative to the largest gradient of the same tensor.
const TOLERANCE: f64 = 5e-3;

/// What a check found wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// The layer failed.
    #[error(transparent)]
    Layer(#[from] NnError),
    /// A gradient differs from the differences.
    #[error("{gradient}[{element}] is {got}, finite differences give {want} (seed {seed})")]
    Wrong {
        /// The gradient: `dx`, or a parameter's name.
        gradient: String,
        /// The element, counted in row-major order.
        element: usize,
        /// What `backward` gave.
        got: f64,
        /// What the differences give.
        want: f64,
        /// The seed that reproduces it.
        seed: u64,
    },
    /// The layer breaks another promise of [`Layer`].
    #[error("{layer}: broken promise: {promise} (seed {seed})")]
    Promise {
        /// The kind of layer.
        layer: &'static str,
        /// What should hold and does not.
        promise: String,
        /// The seed that reproduces it.
        seed: u64,
    },
}

/// Checks the gradients of `sum(dy * layer(x))` with respect to `x` and every parameter, for random `x` and `dy`, and
/// the rest of what [`Layer`] promises: `output_shape`, `infer`, `visit_mut`, `backward_first` and `replicate` agree with
/// `forward`, `visit` and `backward`, and gradients are added up.
///
/// Where training and evaluation differ (dropout, batch normalisation), it is training that is checked, with the random
/// numbers of one and the same step.
///
/// The elements of `x` are distinct by several steps and none is near 0, so that no maximum changes hands and no
/// kink at 0 is crossed. They reach to about a fortieth of their number, so keep `x` small: a hundred elements say more
/// of `tanh` than ten thousand.
///
/// The gradients in the layer are those of the last pass afterwards; everything else is as it was.
///
/// # Errors
/// A gradient is wrong, the first such element is named; a promise is broken; or the layer fails.
pub fn check(layer: &mut dyn Layer, x: impl Into<Shape>, seed: u64) -> Result<(), GradientError> {
    let x = apart(x.into(), seed);
    let before = buffers(layer);
    let y = if layer.training_differs() { trained(layer, &x)? } else { layer.infer(&x)? };
    let mut dy = Tensor::zeros(y.shape());
    Random::new(seed, &["gradcheck", "dy"]).fill_uniform(1.0, dy.data_mut());

    let dx = check_promises(layer, &x, &y, &dy, seed)?;
    let gradients = gradients(layer);

    // What rounding in f32 alone can make of a difference.
    let largest = y.data().iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    let noise = f64::from(4.0 * f32::EPSILON * largest / STEP) * (y.data().len() as f64).sqrt();
    let compare = |name: &str, got: &Tensor, want: &[f64]| compare(name, got, want, noise, seed);

    let mut at = x;
    let elements = at.data().len();
    let want = differences(elements, &mut |i, by| {
        let before = at.data()[i];
        at.data_mut()[i] = before + by;
        let loss = loss(layer, &at, &dy);
        at.data_mut()[i] = before;
        loss
    })?;
    compare("dx", &dx, &want)?;
    for (which, (name, gradient)) in gradients.iter().enumerate() {
        let want = differences(gradient.data().len(), &mut |i, by| {
            let mut before = 0.0;
            change(layer, which, &mut |p| {
                before = p.value.data()[i];
                p.value.data_mut()[i] = before + by;
            });
            let loss = loss(layer, &at, &dy);
            change(layer, which, &mut |p| p.value.data_mut()[i] = before);
            loss
        })?;
        compare(name, gradient, &want)?;
    }
    let mut before = before.into_iter();
    layer.visit_buffers_mut(Path::ROOT, &mut |_, buffer| *buffer = before.next().expect("as many as before"));
    Ok(())
}

/// Checks what can be checked exactly; leaves the gradients of one backward pass and returns `dx`.
fn check_promises(
    layer: &mut dyn Layer,
    x: &Tensor,
    y: &Tensor,
    dy: &Tensor,
    seed: u64,
) -> Result<Tensor, GradientError> {
    let kind = layer.kind();
    let promise = |holds: bool, promise: &str| {
        let broken = || GradientError::Promise { layer: kind, promise: promise.into(), seed };
        if holds { Ok(()) } else { Err(broken()) }
    };
    let inferred = layer.infer(x)?;
    promise(
        layer.output_shape(x.shape())? == inferred.shape(),
        "infer gives the shape that output_shape says",
    )?;
    if layer.training_differs() {
        promise(inferred.shape() == y.shape(), "forward gives the shape that infer gives")?;
        promise(forward(layer, x)? == *y, "forward in the same step gives the same in a replica")?;
    } else {
        promise(forward(layer, x)? == *y, "forward gives what infer gives")?;
    }
    // Not what it gave before: training may have changed buffers, and a replica shares them as they are now.
    promise(layer.replicate().infer(x)? == layer.infer(x)?, "a replica gives what the layer gives")?;

    let mut shared = Vec::new();
    let mut mutable = Vec::new();
    layer.visit(Path::ROOT, &mut |path, p| shared.push((path.to_string(), p.shape())));
    layer.visit_mut(Path::ROOT, &mut |path, p| {
        p.clear_gradient();
        mutable.push((path.to_string(), p.shape()));
    });
    promise(shared == mutable, "visit and visit_mut show the same parameters")?;

    forward(layer, x)?;
    let dx = layer.backward(dy.clone())?;
    promise(dx.shape() == x.shape(), "backward gives a dx of the shape of x")?;
    let once = gradients(layer);
    for (name, gradient) in &once {
        let expected = shared.iter().find(|(other, _)| other == name).map(|(_, shape)| *shape);
        promise(
            expected == Some(gradient.shape()),
            &format!("the gradient of {name} has the shape of its value"),
        )?;
    }
    forward(layer, x)?;
    layer.backward_first(dy.clone())?;
    let twice = gradients(layer);
    let doubled = once.iter().zip(&twice).all(|((_, once), (_, twice))| {
        let pairs = once.data().iter().zip(twice.data());
        pairs.into_iter().all(|(once, twice)| (2.0 * once - twice).abs() <= 1e-5 * once.abs().max(1.0))
    });
    promise(doubled, "backward_first adds the gradients that backward gives")?;
    layer.visit_mut(Path::ROOT, &mut |_, p| p.clear_gradient());
    forward(layer, x)?;
    layer.backward(dy.clone())?;
    Ok(dx)
}

/// The output in training, in the same step for every call.
fn forward(layer: &mut dyn Layer, x: &Tensor) -> Result<Tensor, NnError> {
    layer.at_step(TrainingStep::default());
    layer.forward(x.clone())
}

/// [`forward`] that leaves the layer as it is.
fn trained(layer: &dyn Layer, x: &Tensor) -> Result<Tensor, NnError> {
    forward(&mut *layer.replicate(), x)
}

/// The values of the buffers.
fn buffers(layer: &dyn Layer) -> Vec<Tensor> {
    let mut buffers = Vec::new();
    layer.visit_buffers(Path::ROOT, &mut |_, buffer| buffers.push(buffer.clone()));
    buffers
}

/// Every parameter's name and gradient.
fn gradients(layer: &dyn Layer) -> Vec<(String, Tensor)> {
    let mut gradients = Vec::new();
    layer.visit(Path::ROOT, &mut |path, p| gradients.push((path.to_string(), p.gradient.clone())));
    gradients
}

/// Distinct numbers at least six steps apart and away from 0, in random order.
fn apart(shape: Shape, seed: u64) -> Tensor {
    let n = shape.numel();
    let mut values: Vec<f32> = (0..n).map(|i| (i as f32 - (n / 2) as f32 + 0.5) * 6.0 * STEP).collect();
    Random::new(seed, &["gradcheck", "x"]).shuffle(&mut values);
    let mut x = Tensor::zeros(shape);
    x.data_mut().copy_from_slice(&values);
    x
}

/// `sum(dy * layer(x))`.
fn loss(layer: &dyn Layer, x: &Tensor, dy: &Tensor) -> Result<f64, NnError> {
    let y = if layer.training_differs() { trained(layer, x)? } else { layer.infer(x)? };
    Ok(y.data().iter().zip(dy.data()).map(|(&y, &dy)| f64::from(y) * f64::from(dy)).sum())
}

/// Calls `f` with the `which`-th parameter.
fn change(layer: &mut dyn Layer, which: usize, f: &mut dyn FnMut(&mut Parameter)) {
    let mut i = 0;
    layer.visit_mut(Path::ROOT, &mut |_, parameter| {
        if i == which {
            f(parameter);
        }
        i += 1;
    });
}

/// The derivative of `at(i, 0)` by each of the elements, to fourth order in the step.
fn differences(
    elements: usize,
    at: &mut dyn FnMut(usize, f32) -> Result<f64, NnError>,
) -> Result<Vec<f64>, NnError> {
    let mut derivative = |i| {
        let near = at(i, STEP)? - at(i, -STEP)?;
        let far = at(i, 2.0 * STEP)? - at(i, -2.0 * STEP)?;
        Ok((8.0 * near - far) / (12.0 * f64::from(STEP)))
    };
    (0..elements).map(&mut derivative).collect()
}

fn compare(gradient: &str, got: &Tensor, want: &[f64], noise: f64, seed: u64) -> Result<(), GradientError> {
    let largest = want.iter().fold(0.0f64, |largest, want| largest.max(want.abs()));
    for (element, (&got, &want)) in got.data().iter().zip(want).enumerate() {
        let got = f64::from(got);
        let error = (got - want).abs();
        if error.is_nan() || error > TOLERANCE * largest + noise {
            return Err(GradientError::Wrong { gradient: gradient.into(), element, got, want, seed });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `y = scale * x^2`, broken in one way or none.
    #[derive(Clone)]
    struct Square {
        scale: Parameter,
        broken: Broken,
        x: Tensor,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Broken {
        Nowhere,
        Gradient,
        SmallGradient,
        InputGradient,
        InputShape,
        Accumulation,
        Visit,
        Replica,
        Training,
        Shape,
    }

    impl Square {
        fn new(scale: f32, broken: Broken) -> Self {
            Self { scale: Parameter::new(Tensor::full([1], scale)), broken, x: Tensor::default() }
        }
    }

    impl Layer for Square {
        fn kind(&self) -> &'static str {
            "square"
        }
        fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
            Ok(if self.broken == Broken::Shape { [x.numel()].into() } else { x })
        }
        fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
            let scale = self.scale.value.data()[0];
            Ok(Tensor::from_vec(x.shape(), x.data().iter().map(|v| scale * v * v).collect())?)
        }
        fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
            let mut y = self.infer(&x)?;
            if self.broken == Broken::Training {
                y.data_mut()[0] += 1.0;
            }
            self.x = x;
            Ok(y)
        }
        fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
            let pairs = || self.x.data().iter().zip(dy.data());
            let scale = self.scale.value.data()[0];
            let factor = if self.broken == Broken::InputGradient { 2.1 } else { 2.0 };
            let dx: Vec<f32> = pairs().map(|(x, dy)| factor * scale * x * dy).collect();
            let sum: f32 = pairs().map(|(x, dy)| x * x * dy).sum();
            let sum = if self.broken == Broken::Gradient { 1.25 * sum } else { sum };
            let gradient = &mut self.scale.gradient.data_mut()[0];
            *gradient = if self.broken == Broken::Accumulation { sum } else { *gradient + sum };
            match self.broken {
                Broken::InputShape => Ok(Tensor::zeros([1])),
                Broken::SmallGradient => Ok(Tensor::zeros(dy.shape())),
                _ => Ok(Tensor::from_vec(dy.shape(), dx)?),
            }
        }
        fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
            f(path.join("scale"), &self.scale);
        }
        fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
            if self.broken != Broken::Visit {
                f(path.join("scale"), &mut self.scale);
            }
        }
        fn replicate(&self) -> Box<dyn Layer> {
            let scale = if self.broken == Broken::Replica { 0.25 } else { self.scale.value.data()[0] };
            Box::new(Self::new(scale, self.broken))
        }
    }

    fn fault(scale: f32, broken: Broken) -> String {
        check(&mut Square::new(scale, broken), [2, 5], 3).unwrap_err().to_string()
    }

    #[test]
    fn a_right_layer_passes() {
        check(&mut Square::new(0.5, Broken::Nowhere), [2, 5], 3).unwrap();
    }

    #[test]
    fn a_wrong_gradient_is_named() {
        let message = fault(0.5, Broken::Gradient);
        assert!(message.starts_with("scale[0] is ") && message.ends_with("(seed 3)"), "{message}");
        assert!(fault(0.5, Broken::InputGradient).starts_with("dx["));
        assert!(fault(0.01, Broken::SmallGradient).starts_with("dx["), "small gradients count as well");
    }

    #[test]
    fn a_broken_promise_is_named() {
        assert_eq!(
            fault(0.5, Broken::Shape),
            "square: broken promise: infer gives the shape that output_shape says (seed 3)"
        );
        assert_eq!(
            fault(0.5, Broken::Training),
            "square: broken promise: forward gives what infer gives (seed 3)"
        );
        assert_eq!(
            fault(0.5, Broken::Replica),
            "square: broken promise: a replica gives what the layer gives (seed 3)"
        );
        assert_eq!(
            fault(0.5, Broken::Visit),
            "square: broken promise: visit and visit_mut show the same parameters (seed 3)"
        );
        assert_eq!(
            fault(0.5, Broken::InputShape),
            "square: broken promise: backward gives a dx of the shape of x (seed 3)"
        );
        let message = fault(0.5, Broken::Accumulation);
        assert_eq!(
            message,
            "square: broken promise: backward_first adds the gradients that backward gives (seed 3)"
        );
    }
}
