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

use crate::{Layer, NnError, Parameter, Path};
use cnn_tensor::{Random, Shape, Tensor};

/// The step of the differences: a power of two, so that `x + step` is nearly exact.
const STEP: f32 = 1.0 / 128.0;

/// Error allowed, relative to the largest gradient of the same tensor, or to 1.
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
}

/// Checks the gradients of `sum(dy * layer(x))` with respect to `x` and every parameter, for random `x` and `dy`.
///
/// The elements of `x` are distinct by several steps and none is near 0, so that no maximum changes hands and no
/// kink at 0 is crossed.
///
/// # Errors
/// A gradient is wrong, the first such element is named; or the layer fails.
pub fn check(layer: &mut dyn Layer, x: impl Into<Shape>, seed: u64) -> Result<(), GradientError> {
    let x = apart(x.into(), seed);
    let y_shape = layer.output_shape(x.shape())?;
    let mut dy = Tensor::zeros(y_shape);
    Random::new(seed, &["gradcheck", "dy"]).fill_uniform(1.0, dy.data_mut());

    layer.visit_mut(Path::ROOT, &mut |_, parameter| parameter.clear_gradient());
    layer.forward(x.clone())?;
    let dx = layer.backward(dy.clone())?;

    let mut at = x;
    let want = differences(
        &mut |i, by| {
            let before = at.data()[i];
            at.data_mut()[i] = before + by;
            let loss = loss(layer, &at, &dy);
            at.data_mut()[i] = before;
            loss
        },
        dx.data().len(),
    )?;
    compare("dx", dx.data(), &want, seed)?;

    let mut gradients = Vec::new();
    layer.visit(Path::ROOT, &mut |path, p| gradients.push((path.to_string(), p.gradient.clone())));
    for (which, (name, gradient)) in gradients.iter().enumerate() {
        let want = differences(
            &mut |i, by| {
                let mut before = 0.0;
                change(layer, which, &mut |p| {
                    before = p.value.data()[i];
                    p.value.data_mut()[i] = before + by;
                });
                let loss = loss(layer, &at, &dy);
                change(layer, which, &mut |p| p.value.data_mut()[i] = before);
                loss
            },
            gradient.data().len(),
        )?;
        compare(name, gradient.data(), &want, seed)?;
    }
    Ok(())
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
    let y = layer.infer(x)?;
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

/// The derivative of `at(i, 0)` by each element, to fourth order in the step.
fn differences(
    at: &mut dyn FnMut(usize, f32) -> Result<f64, NnError>,
    elements: usize,
) -> Result<Vec<f64>, NnError> {
    let mut derivative = |i| {
        let near = at(i, STEP)? - at(i, -STEP)?;
        let far = at(i, 2.0 * STEP)? - at(i, -2.0 * STEP)?;
        Ok((8.0 * near - far) / (12.0 * f64::from(STEP)))
    };
    (0..elements).map(&mut derivative).collect()
}

fn compare(gradient: &str, got: &[f32], want: &[f64], seed: u64) -> Result<(), GradientError> {
    let largest = want.iter().fold(1.0f64, |largest, want| largest.max(want.abs()));
    for (element, (&got, &want)) in got.iter().zip(want).enumerate() {
        let got = f64::from(got);
        let error = (got - want).abs();
        if error.is_nan() || error > TOLERANCE * largest {
            return Err(GradientError::Wrong { gradient: gradient.into(), element, got, want, seed });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `y = scale * x^2`, with a backward pass that is wrong by a factor.
    struct Square {
        scale: Parameter,
        factor: f32,
        x: Tensor,
    }

    impl Layer for Square {
        fn kind(&self) -> &'static str {
            "square"
        }
        fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
            Ok(x)
        }
        fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
            let scale = self.scale.value.data()[0];
            Ok(Tensor::from_vec(x.shape(), x.data().iter().map(|v| scale * v * v).collect())?)
        }
        fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
            self.x = x;
            self.infer(&self.x)
        }
        fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
            let pairs = || self.x.data().iter().zip(dy.data());
            let scale = self.scale.value.data()[0];
            let dx = pairs().map(|(x, dy)| 2.0 * scale * x * dy).collect();
            self.scale.gradient.data_mut()[0] += self.factor * pairs().map(|(x, dy)| x * x * dy).sum::<f32>();
            Ok(Tensor::from_vec(dy.shape(), dx)?)
        }
        fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
            f(path.join("scale"), &self.scale);
        }
        fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
            f(path.join("scale"), &mut self.scale);
        }
        fn replicate(&self) -> Box<dyn Layer> {
            unreachable!("not trained")
        }
    }

    #[test]
    fn a_right_gradient_passes_and_a_wrong_one_is_named() {
        let square =
            |factor| Square { scale: Parameter::new(Tensor::full([1], 0.5)), factor, x: Tensor::default() };
        check(&mut square(1.0), [2, 5], 3).unwrap();
        let message = check(&mut square(1.25), [2, 5], 3).unwrap_err().to_string();
        assert!(message.starts_with("scale[0] is ") && message.ends_with("(seed 3)"), "{message}");
    }
}
