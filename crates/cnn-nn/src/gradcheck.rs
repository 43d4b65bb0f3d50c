//! Tests of a layer's backward pass by finite differences of its forward pass.
//!
//! A layer computes in `f32`, so differences are accurate to about three digits. That is enough to find a wrong formula, a
//! missing term or a wrong factor, but not an error in the last digit. Where the definition can be written in `f64`,
//! [`cnn_tensor::testing`](../../cnn_tensor/testing/index.html) tests a hundred times more sharply.
//!
//! ```
//! use cnn_nn::{Graph, gradcheck, spec::conv2d};
//! let mut net = Graph::build([conv2d(4, 3).padding(1).named("conv")], [3, 5, 5], 1)?;
//! gradcheck::check(&mut net, [2, 3, 5, 5], 1)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{At, Gradients, Grads, Kept, Layer, NnError, Role, Shapes, Tensors};
use cnn_tensor::{Random, Shape, Tensor};

/// The step of the differences: a power of two, so that `x + step` is nearly exact.
const STEP: f32 = 1.0 / 128.0;

/// The allowed error, relative to the largest gradient of the same tensor.
const TOLERANCE: f64 = 5e-3;

/// A fault that a check found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// The layer returned an error.
    #[error(transparent)]
    Layer(#[from] NnError),
    /// A gradient does not agree with the finite differences.
    #[error("{gradient}[{element}] is {got}, finite differences give {want} (seed {seed})")]
    Wrong {
        /// The name of the gradient: `dx`, `dx1` for the second input and so on, or a parameter's name.
        gradient: String,
        /// The index of the element, in row-major order.
        element: usize,
        /// The gradient from `backward`.
        got: f64,
        /// The gradient from finite differences.
        want: f64,
        /// The seed that reproduces the fault.
        seed: u64,
    },
    /// The layer breaks another rule of [`Layer`].
    #[error("{layer}: broken promise: {promise} (seed {seed})")]
    Promise {
        /// The kind of layer.
        layer: &'static str,
        /// The broken rule.
        promise: String,
        /// The seed that reproduces the fault.
        seed: u64,
    },
}

/// Checks the gradients of `sum(dy * layer(x))` with respect to the inputs and every parameter, for random inputs of the shapes
/// `x` and random `dy`. Also checks the other rules of [`Layer`]: `output_shapes`, `infer` and `visit_mut` agree with `forward`
/// and `visit`, gradients are accumulated, and two forward passes are possible before going back.
///
/// Where training and evaluation differ (dropout, batch normalisation), training is checked, with the random
/// numbers of one fixed step.
///
/// The elements of an input are distinct by several steps, and none is near 0. So no maximum moves to another element, and no
/// kink at 0 is crossed. Their magnitudes reach to about a fortieth of their number, so keep inputs small: a hundred elements say
/// more about `tanh` than ten thousand. The layer is unchanged afterwards.
///
/// # Errors
/// A gradient is wrong (the error names the first such element), another rule is broken, or the layer fails.
pub fn check(layer: &mut dyn Layer, x: impl Into<Shapes>, seed: u64) -> Result<(), GradientError> {
    let shapes = x.into();
    let x = shapes.iter().enumerate().map(|(i, shape)| apart(*shape, seed ^ i as u64)).collect();
    check_at(layer, x, &vec![true; shapes.len()], seed)
}

/// As [`check`], for the given inputs. Only the inputs that `varied` selects are varied: use it for layers one of whose inputs is
/// an index or a mask.
///
/// # Errors
/// The errors of [`check`]; or the length of `varied` is not the number of inputs.
pub fn check_at(
    layer: &mut dyn Layer,
    mut x: Tensors,
    varied: &[bool],
    seed: u64,
) -> Result<(), GradientError> {
    if varied.len() != x.len() {
        let what = "what is said of inputs, whether they are varied,";
        return Err(NnError::Count { what, expected: x.len(), got: varied.len() }.into());
    }
    let y = if layer.nature().training_differs { forward(layer, &x)?.0 } else { layer.infer(x.clone())? };
    let dy: Vec<Tensor> = y.iter().enumerate().map(|(i, y)| random_like(y, seed ^ i as u64)).collect();
    let Found { dx, gradients } = check_promises(layer, &x, varied, &y, &dy, seed)?;

    // The error of a difference that f32 rounding alone can cause.
    let elements: usize = y.iter().map(|y| y.data().len()).sum();
    let largest = y.iter().flat_map(|y| y.data()).fold(0.0f32, |largest, v| largest.max(v.abs()));
    let noise = f64::from(4.0 * f32::EPSILON * largest / STEP) * (elements as f64).sqrt();
    let compare = |name: &str, got: &Tensor, want: &[f64]| compare(name, got, want, noise, seed);

    for (slot, dx) in dx.iter().enumerate().filter_map(|(slot, dx)| Some((slot, dx.as_ref()?))) {
        let want = differences(dx.data().len(), &mut |i, by| {
            let before = x[slot].data()[i];
            x[slot].data_mut()[i] = before + by;
            let loss = loss(layer, &x, &dy);
            x[slot].data_mut()[i] = before;
            loss
        })?;
        compare(&input(slot), dx, &want)?;
    }
    for (which, (name, gradient)) in gradients.iter().enumerate() {
        let want = differences(gradient.data().len(), &mut |i, by| {
            let mut before = 0.0;
            change(layer, which, &mut |value| {
                before = value.data()[i];
                value.data_mut()[i] = before + by;
            });
            let loss = loss(layer, &x, &dy);
            change(layer, which, &mut |value| value.data_mut()[i] = before);
            loss
        })?;
        compare(name, gradient, &want)?;
    }
    Ok(())
}

/// The result of a backward pass.
struct Found {
    dx: Gradients,
    /// The name and the gradient of each parameter.
    gradients: Vec<(String, Tensor)>,
}

/// `dx` for the first input, `dx1` for the second.
fn input(slot: usize) -> String {
    if slot == 0 { "dx".into() } else { format!("dx{slot}") }
}

/// Checks the rules that can be checked exactly.
fn check_promises(
    layer: &mut dyn Layer,
    x: &Tensors,
    varied: &[bool],
    y: &Tensors,
    dy: &[Tensor],
    seed: u64,
) -> Result<Found, GradientError> {
    let kind = layer.kind();
    let promise = |holds: bool, promise: &str| {
        let broken = || GradientError::Promise { layer: kind, promise: promise.into(), seed };
        if holds { Ok(()) } else { Err(broken()) }
    };
    let shapes = |tensors: &Tensors| tensors.iter().map(Tensor::shape).collect::<Shapes>();
    let inferred = layer.infer(x.clone())?;
    let stated = layer.output_shapes(&shapes(x))?;
    promise(stated == shapes(&inferred), "infer gives the shape that output_shape says")?;
    if layer.nature().training_differs {
        promise(stated == shapes(y), "forward gives the shape that infer gives")?;
        promise(forward(layer, x)?.0 == *y, "forward in the same step gives the same again")?;
    } else {
        promise(forward(layer, x)?.0 == *y, "forward gives what infer gives")?;
    }

    let (mut shared, mut mutable) = (Vec::new(), Vec::new());
    layer.visit(&mut |name, role, tensor| shared.push((name.to_string(), role, tensor.shape())));
    layer.visit_mut(&mut |name, role, tensor| mutable.push((name.to_string(), role, tensor.shape())));
    promise(shared == mutable, "visit and visit_mut show the same tensors")?;

    let parameters = shared.iter().filter(|(_, role, _)| *role == Role::Parameter);
    let zeros: Vec<Tensor> = parameters.clone().map(|(.., shape)| Tensor::zeros(*shape)).collect();
    let given = || dy.iter().cloned().map(Some).collect::<Gradients>();
    let mut once = zeros.clone();
    let (_, mut kept) = forward(layer, x)?;
    let dx = layer.backward(&mut kept, given(), &mut Grads::new(&mut once, varied))?;
    promise(dx.len() == x.len(), "backward gives a gradient for each input")?;
    for (slot, (dx, x)) in dx.iter().zip(x).enumerate().filter(|(slot, _)| varied[*slot]) {
        let right = dx.as_ref().is_some_and(|dx| dx.shape() == x.shape());
        promise(right, &format!("backward gives a {} of the shape of x", input(slot)))?;
    }
    for (gradient, (name, _, shape)) in once.iter().zip(parameters.clone()) {
        promise(gradient.shape() == *shape, &format!("the gradient of {name} has the shape of its value"))?;
    }
    let mut twice = once.clone();
    let (_, mut kept) = forward(layer, x)?;
    layer.backward(&mut kept, given(), &mut Grads::new(&mut twice, &vec![false; varied.len()]))?;
    let doubled = once.iter().zip(&twice).all(|(once, twice)| {
        let pairs = once.data().iter().zip(twice.data());
        pairs.into_iter().all(|(once, twice)| (2.0 * once - twice).abs() <= 1e-5 * once.abs().max(1.0))
    });
    promise(doubled, "backward adds the same gradients of the parameters where no input's is wanted")?;

    let (mut first, mut second) = (zeros.clone(), zeros);
    let ((_, mut early), (_, mut late)) = (forward(layer, x)?, forward(layer, x)?);
    layer.backward(&mut early, given(), &mut Grads::new(&mut first, varied))?;
    let again = layer.backward(&mut late, given(), &mut Grads::new(&mut second, varied))?;
    let same = first == once && second == once && again == dx;
    promise(same, "two forward passes can be made before going back")?;

    let names = parameters.map(|(name, ..)| name.clone());
    let dx = dx.into_iter().zip(varied).map(|(dx, varied)| dx.filter(|_| *varied)).collect();
    Ok(Found { dx, gradients: names.zip(once).collect() })
}

/// The outputs in training, in the same step for every call, and the kept values.
fn forward(layer: &dyn Layer, x: &Tensors) -> Result<(Tensors, Kept), NnError> {
    let mut kept = Kept::default();
    Ok((layer.forward(x.clone(), At::default(), &mut kept)?, kept))
}

fn random_like(y: &Tensor, seed: u64) -> Tensor {
    let mut dy = Tensor::zeros(y.shape());
    Random::new(seed, &["gradcheck", "dy"]).fill_uniform(1.0, dy.data_mut());
    dy
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
fn loss(layer: &dyn Layer, x: &Tensors, dy: &[Tensor]) -> Result<f64, NnError> {
    let y = if layer.nature().training_differs { forward(layer, x)?.0 } else { layer.infer(x.clone())? };
    let mut sum = 0.0;
    for (y, dy) in y.iter().zip(dy) {
        for (&y, &dy) in y.data().iter().zip(dy.data()) {
            sum += f64::from(y) * f64::from(dy);
        }
    }
    Ok(sum)
}

/// Calls `f` with the `which`-th parameter.
fn change(layer: &mut dyn Layer, which: usize, f: &mut dyn FnMut(&mut Tensor)) {
    let mut i = 0;
    layer.visit_mut(&mut |_, role, tensor| {
        if role == Role::Parameter {
            if i == which {
                f(tensor);
            }
            i += 1;
        }
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
    use crate::Unary;

    /// `y = scale * x^2`, broken in one way or none.
    struct Square {
        scale: Tensor,
        broken: Broken,
        /// State, which a layer must not have.
        hidden: std::sync::Mutex<Tensor>,
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
        Hidden,
        Training,
        Shape,
    }

    impl Square {
        fn new(scale: f32, broken: Broken) -> Self {
            Self { scale: Tensor::full([1], scale), broken, hidden: Default::default() }
        }
    }

    impl Unary for Square {
        type Saved = Tensor;
        fn kind(&self) -> &'static str {
            "square"
        }
        fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
            Ok(if self.broken == Broken::Shape { [x.numel()].into() } else { x })
        }
        fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
            let scale = self.scale.data()[0];
            Ok(Tensor::from_vec(x.shape(), x.data().iter().map(|v| scale * v * v).collect())?)
        }
        fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
            let mut y = Unary::infer(self, x.clone())?;
            if self.broken == Broken::Training {
                y.data_mut()[0] += 1.0;
            }
            *self.hidden.lock().unwrap() = x.clone();
            Ok((y, x))
        }
        fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
            let x = match self.broken {
                // Gone after the first time.
                Broken::Hidden => {
                    std::mem::replace(&mut *self.hidden.lock().unwrap(), Tensor::zeros(x.shape()))
                }
                _ => x,
            };
            let pairs = || x.data().iter().zip(dy.data());
            let scale = self.scale.data()[0];
            let factor = if self.broken == Broken::InputGradient { 2.1 } else { 2.0 };
            let dx: Vec<f32> = pairs().map(|(x, dy)| factor * scale * x * dy).collect();
            let sum: f32 = pairs().map(|(x, dy)| x * x * dy).sum();
            let sum = if self.broken == Broken::Gradient { 1.25 * sum } else { sum };
            let gradient = &mut grads.of(0).data_mut()[0];
            *gradient = if self.broken == Broken::Accumulation { sum } else { *gradient + sum };
            Ok(Some(match self.broken {
                Broken::InputShape => Tensor::zeros([1]),
                Broken::SmallGradient => Tensor::zeros(dy.shape()),
                _ => Tensor::from_vec(dy.shape(), dx)?,
            }))
        }
        fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
            f("scale", Role::Parameter, &self.scale);
        }
        fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
            if self.broken != Broken::Visit {
                f("scale", Role::Parameter, &mut self.scale);
            }
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
            fault(0.5, Broken::Hidden),
            "square: broken promise: two forward passes can be made before going back (seed 3)"
        );
        assert_eq!(
            fault(0.5, Broken::Visit),
            "square: broken promise: visit and visit_mut show the same tensors (seed 3)"
        );
        assert_eq!(
            fault(0.5, Broken::InputShape),
            "square: broken promise: backward gives a dx of the shape of x (seed 3)"
        );
        let message = fault(0.5, Broken::Accumulation);
        assert_eq!(
            message,
            "square: broken promise: backward adds the same gradients of the parameters where no input's is wanted (seed 3)"
        );
    }
    /// `y = x[index]` for each example: the second input is an index, and `dx` is wrong if `mistaken`.
    struct Pick {
        mistaken: bool,
    }

    impl Layer for Pick {
        fn kind(&self) -> &'static str {
            "pick"
        }
        fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
            Ok([x[0].batch(), 1].into())
        }
        fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
            let width = x[0].shape().dims()[1];
            let rows = x[0].data().chunks(width).zip(x[1].data());
            let y = rows.map(|(row, &index)| row[index as usize]).collect();
            Ok(Tensor::from_vec([x[0].shape().batch(), 1], y)?.into())
        }
        fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
            kept.put(x.clone());
            self.infer(x)
        }
        fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
            let x = kept.take::<Tensors>()?;
            let dy = dy.into_iter().next().flatten().expect("one output");
            let mut dx = Tensor::zeros(x[0].shape());
            let width = x[0].shape().dims()[1];
            for ((row, &index), dy) in dx.data_mut().chunks_mut(width).zip(x[1].data()).zip(dy.data()) {
                row[if self.mistaken { 0 } else { index as usize }] = *dy;
            }
            Ok([Some(dx), None].into())
        }
    }

    #[test]
    fn an_input_that_is_an_index_is_left_alone() {
        let x = || Tensors::from([apart([2, 3].into(), 0), Tensor::from_slice([2, 1], &[2.0, 0.0]).unwrap()]);
        check_at(&mut Pick { mistaken: false }, x(), &[true, false], 0).unwrap();
        let message = check_at(&mut Pick { mistaken: true }, x(), &[true, false], 0).unwrap_err().to_string();
        assert!(message.starts_with("dx[0] is "), "{message}");
        let message = check_at(&mut Pick { mistaken: false }, x(), &[true, true], 0).unwrap_err().to_string();
        assert_eq!(message, "pick: broken promise: backward gives a dx1 of the shape of x (seed 0)");
        let message = check_at(&mut Pick { mistaken: false }, x(), &[true], 0).unwrap_err().to_string();
        assert_eq!(message, "what is said of inputs, whether they are varied, must be 2, got 1");
    }

    /// `a - b`, said to be `a + b` on the way back.
    struct Minus;

    impl Layer for Minus {
        fn kind(&self) -> &'static str {
            "minus"
        }
        fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
            Ok(x[0].into())
        }
        fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
            Ok(cnn_ops::Arithmetic::Sub.infer(x[0].clone(), &x[1])?.into())
        }
        fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
            kept.put(());
            self.infer(x)
        }
        fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
            kept.take::<()>()?;
            Ok([dy[0].clone(), dy[0].clone()].into())
        }
    }

    #[test]
    fn the_input_with_the_wrong_gradient_is_named() {
        let message = check(&mut Minus, [Shape::from([2, 2]), [2, 2].into()], 0).unwrap_err().to_string();
        assert!(message.starts_with("dx1["), "{message}");
    }
}
