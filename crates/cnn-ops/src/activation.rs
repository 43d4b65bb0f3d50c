//! Elementwise activations.
//!
//! | name          | y                        | dx from y and dy         |
//! |---------------|--------------------------|--------------------------|
//! | `relu`        | `max(x, 0)`              | `dy` where `y > 0`, else 0 |
//! | `tanh`        | `tanh(x)`                | `dy (1 - y^2)`           |
//! | `scaled_tanh` | `A tanh(B x)`            | `dy B (A - y^2 / A)`     |
//! | `sigmoid`     | `1 / (1 + e^-x)`         | `dy y (1 - y)`           |
//!
//! with `A = 1.7159` and `B = 2/3`. Every derivative is written in terms of the output, so the backward pass needs no
//! input, and both passes work in place.
//!
//! **Conventions.** A NaN stays NaN on the way forward; the gradient of `relu` is 0 where `x` is 0 (the subgradient
//! PyTorch takes too) or NaN.
//!
//! Source: the constants of `scaled_tanh`, chosen so that `f(1) = 1` and `f(-1) = -1`: Y. LeCun, L. Bottou, G. Orr and
//! K.-R. Müller, "Efficient BackProp" (1998), section 4.4; used in LeNet-5: Y. LeCun, L. Bottou, Y. Bengio and
//! P. Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998), appendix A. `relu`: V. Nair and
//! G. Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::simd::{Level, math};
use cnn_tensor::{Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};

/// A function applied to every element.
///
/// ```
/// use cnn_ops::Activation;
/// use cnn_tensor::Tensor;
/// let y = Activation::Relu.forward(Tensor::from_vec([3], vec![-1.0, 0.0, 2.0])?);
/// assert_eq!(y.data(), [0.0, 0.0, 2.0]);
/// let dx = Activation::Relu.backward(&y, Tensor::full([3], 5.0))?;
/// assert_eq!(dx.data(), [0.0, 0.0, 5.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The rectifier, `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// LeCun's `1.7159 tanh(2x/3)`, which keeps a unit variance near 1.
    ScaledTanh,
    /// The logistic function, `1 / (1 + e^-x)`.
    Sigmoid,
}

/// The amplitude of `scaled_tanh`.
const A: f32 = 1.7159;
/// The inner scale of `scaled_tanh`.
const B: f32 = 2.0 / 3.0;

/// Elements that make a piece of work worth a thread.
const CHUNK: usize = worth_a_thread(1 << 16);

impl Activation {
    /// The name in descriptions and messages: `scaled_tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Tanh => "tanh",
            Self::ScaledTanh => "scaled_tanh",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// `y` of the shape of `x`, in the memory of `x` unless a clone shares it.
    #[must_use]
    pub fn forward(self, mut x: Tensor) -> Tensor {
        let level = Level::current();
        parallel::for_each_chunk(x.data_mut(), CHUNK, |_, x| match self {
            Self::Relu => relu(level, x),
            Self::Tanh => tanh(level, x),
            Self::ScaledTanh => scaled_tanh(level, x),
            Self::Sigmoid => sigmoid(level, x),
        });
        x
    }

    /// `dx` from the output `y` of [`Activation::forward`] and `dy`, in the memory of `dy` unless a clone shares it.
    ///
    /// # Errors
    /// `dy` does not have the shape of `y`.
    pub fn backward(self, y: &Tensor, mut dy: Tensor) -> Result<Tensor, OpError> {
        check::shape(self.name(), "dy", y.shape(), &dy)?;
        let level = Level::current();
        parallel::for_each_chunk(dy.data_mut(), CHUNK, |i, dy| {
            let y = &y.data()[i * CHUNK..][..dy.len()];
            match self {
                Self::Relu => relu_backward(level, y, dy),
                Self::Tanh => tanh_backward(level, y, dy),
                Self::ScaledTanh => scaled_tanh_backward(level, y, dy),
                Self::Sigmoid => sigmoid_backward(level, y, dy),
            }
        });
        Ok(dy)
    }
}

/// Declares a kernel that replaces every element by an expression of it, a vector at a time.
macro_rules! elementwise {
    ($name:ident, $s:ident, $x:ident => $y:expr) => {
        kernel! {
            fn $name<S>($s, x: &mut [f32]) {
                let mut vectors = x.chunks_exact_mut(S::LANES);
                for x in vectors.by_ref() {
                    let $x = $s.load(x);
                    $s.store($y, x);
                }
                let x = vectors.into_remainder();
                let $x = $s.load_partial(x);
                $s.store_partial($y, x);
            }
        }
    };
}

/// The same with a second operand that is only read: `dy` becomes an expression of `y` and `dy`.
macro_rules! elementwise_backward {
    ($name:ident, $s:ident, $y:ident, $dy:ident => $dx:expr) => {
        kernel! {
            fn $name<S>($s, y: &[f32], dy: &mut [f32]) {
                let (mut ys, mut dys) = (y.chunks_exact(S::LANES), dy.chunks_exact_mut(S::LANES));
                for (y, dy) in ys.by_ref().zip(dys.by_ref()) {
                    let ($y, $dy) = ($s.load(y), $s.load(dy));
                    $s.store($dx, dy);
                }
                let (y, dy) = (ys.remainder(), dys.into_remainder());
                let ($y, $dy) = ($s.load_partial(y), $s.load_partial(dy));
                $s.store_partial($dx, dy);
            }
        }
    };
}

// `max` keeps a NaN in its second operand.
elementwise!(relu, s, x => s.max(s.splat(0.0), x));
elementwise!(tanh, s, x => math::tanh(s, x));
elementwise!(scaled_tanh, s, x => s.mul(s.splat(A), math::tanh(s, s.mul(s.splat(B), x))));
elementwise!(sigmoid, s, x => math::sigmoid(s, x));

elementwise_backward!(relu_backward, s, y, dy => s.select_gt(y, s.splat(0.0), dy, s.splat(0.0)));
elementwise_backward!(tanh_backward, s, y, dy => s.mul(dy, s.sub(s.splat(1.0), s.mul(y, y))));
elementwise_backward!(scaled_tanh_backward, s, y, dy => {
    s.mul(dy, s.sub(s.splat(A * B), s.mul(s.splat(B / A), s.mul(y, y))))
});
elementwise_backward!(sigmoid_backward, s, y, dy => s.mul(dy, s.mul(y, s.sub(s.splat(1.0), y))));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_same_bits_on_any_threads, at_every_level};
    use cnn_tensor::testing::{assert_close, assert_gradient, distinct, to_f64};
    use proptest::prelude::*;

    const ALL: [Activation; 4] =
        [Activation::Relu, Activation::Tanh, Activation::ScaledTanh, Activation::Sigmoid];

    /// The definition, in f64.
    fn oracle(f: Activation, x: &[f64]) -> Vec<f64> {
        let f = |&x: &f64| match f {
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
            Activation::ScaledTanh => 1.7159 * (2.0 * x / 3.0).tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        };
        x.iter().map(f).collect()
    }

    proptest! {
        #[test]
        fn matches_the_definition(n in 1..70usize, scale in prop::sample::select(vec![0.1, 1.0, 10.0f32]), seed: u64) {
            let mut x = distinct([n], seed);
            x.data_mut().iter_mut().for_each(|x| *x *= scale);
            let dy = distinct([n], seed ^ 1);
            for f in ALL {
                at_every_level(|| {
                    let y = f.forward(x.clone());
                    assert_close(&y, &oracle(f, &to_f64(&x)));
                    let dx = f.backward(&y, dy.clone()).unwrap();
                    assert_gradient(f.name(), &x, &dx, &dy, |x| oracle(f, x));
                });
            }
        }
    }

    #[test]
    fn nan_and_infinities() {
        let x = [f32::NAN, f32::NEG_INFINITY, f32::INFINITY];
        at_every_level(|| {
            for (f, limits) in ALL.into_iter().zip([[0.0, f32::INFINITY], [-1.0, 1.0], [-A, A], [0.0, 1.0]]) {
                let y = f.forward(Tensor::from_slice([3], &x).unwrap());
                assert!(y.data()[0].is_nan(), "{f:?}");
                assert_eq!(y.data()[1..], limits, "{f:?}");
            }
        });
    }

    #[test]
    fn the_gradient_of_relu_is_zero_at_zero_and_at_nan() {
        let y = Activation::Relu.forward(Tensor::from_vec([4], vec![0.0, -0.0, f32::NAN, 1e-40]).unwrap());
        let dx = at_each_level_alike(|| Activation::Relu.backward(&y, Tensor::full([4], 3.0)).unwrap());
        assert_eq!(dx.data(), [0.0, 0.0, 0.0, 3.0]);
    }

    fn at_each_level_alike(f: impl Fn() -> Tensor) -> Tensor {
        let first = f();
        at_every_level(|| assert_eq!(f(), first));
        first
    }

    #[test]
    fn scaled_tanh_maps_one_to_one() {
        let y = Activation::ScaledTanh.forward(Tensor::from_vec([2], vec![1.0, -1.0]).unwrap());
        assert!((y.data()[0] - 1.0).abs() < 1e-4 && y.data()[1] == -y.data()[0]);
    }

    #[test]
    fn memory_is_used_again_unless_it_is_shared() {
        let x = Tensor::full([5], 1.0);
        let memory = x.data().as_ptr();
        let y = Activation::Tanh.forward(x);
        assert_eq!(y.data().as_ptr(), memory);
        let kept = y.clone();
        let z = Activation::Tanh.forward(y);
        assert!(z.data()[0] < kept.data()[0]);
    }

    #[test]
    fn an_empty_tensor_stays_empty() {
        let y = Activation::Sigmoid.forward(Tensor::zeros([0, 3]));
        assert_eq!(Activation::Sigmoid.backward(&y, y.clone()).unwrap(), Tensor::zeros([0, 3]));
    }

    #[test]
    fn threads_change_nothing() {
        let (x, dy) = (distinct([3 * CHUNK + 5], 0), distinct([3 * CHUNK + 5], 1));
        for f in ALL {
            assert_same_bits_on_any_threads(|| {
                let y = f.forward(x.clone());
                let dx = f.backward(&y, dy.clone()).unwrap();
                vec![y, dx]
            });
        }
    }

    #[test]
    fn dy_has_the_shape_of_y() {
        let error =
            Activation::ScaledTanh.backward(&Tensor::zeros([2, 3]), Tensor::zeros([3, 2])).unwrap_err();
        assert_eq!(error.to_string(), "scaled_tanh: dy expects shape [2, 3], got [3, 2]");
    }
}
