//! Elementwise activations.
//!
//! | name           | y                                          | dx                                          | kept |
//! |----------------|--------------------------------------------|---------------------------------------------|------|
//! | `relu`         | `max(x, 0)`                                | `dy` where `x > 0`, else 0                  | `y`  |
//! | `relu6`        | `min(max(x, 0), 6)`                        | `dy` where `0 < x < 6`, else 0              | `y`  |
//! | `leaky_relu`   | `x` where `x > 0`, else `slope x`          | `dy` where `x > 0`, else `slope dy`         | `y`, or `x` for `slope < 0` |
//! | `elu`          | `x` where `x > 0`, else `alpha (e^x - 1)`  | `dy` where `x > 0`, else `dy alpha e^x`     | `y`, or `x` for `alpha < 0` |
//! | `sigmoid`      | `1 / (1 + e^-x)`                           | `dy y (1 - y)`                              | `y`  |
//! | `tanh`         | `tanh(x)`                                  | `dy (1 - y^2)`                              | `y`  |
//! | `scaled_tanh`  | `A tanh(B x)`                              | `dy B (A - y^2 / A)`                        | `y`  |
//! | `softplus`     | `ln(1 + e^(beta x)) / beta`; `x` where `beta x > threshold` | `dy / (1 + e^(-beta x))`; `dy` there | `x` |
//! | `gelu`         | `x Phi(x)`                                 | `dy (Phi(x) + x phi(x))`                    | `x`  |
//! | `gelu`, `tanh` | `x (1 + tanh(u)) / 2`                      | its derivative                              | `x`  |
//! | `silu`         | `x sigmoid(x)`                             | `dy s (1 + x (1 - s))` with `s = sigmoid(x)` | `x` |
//! | `hard_sigmoid` | `min(max(x + 3, 0), 6) / 6`                | `dy / 6` where `-3 < x < 3`, else 0         | `x`  |
//! | `hard_swish`   | `x hard_sigmoid(x)`                        | 0 up to -3, `dy (x / 3 + 1/2)` up to 3, then `dy` | `x` |
//!
//! with `A = 1.7159`, `B = 2/3`, `Phi(x) = (1 + erf(x / sqrt(2))) / 2` the normal distribution and `phi` its density, and
//! `u = sqrt(2 / pi) (x + 0.044715 x^3)`. Where the backward pass can be written in terms of the output, nothing else is
//! kept, and both passes work in place; the others keep their input and need memory for the output.
//!
//! **Conventions.** As PyTorch, unless said otherwise.
//! - At kinks the gradient is 0 for `relu` (at 0), `relu6` (at 0 and 6) and `hard_sigmoid` (at -3 and 3); `slope dy` for
//!   `leaky_relu` and `alpha dy` for `elu` at 0; 0 at -3 and `dy` at 3 for `hard_swish`.
//! - A NaN stays NaN on the way forward. Its gradient is 0 for `relu`, `relu6` and `hard_sigmoid`, `slope dy` for
//!   `leaky_relu`, and NaN for the others. (PyTorch's depends, for some of these, on the number of elements.)
//! - At the infinities `y` is the limit, except that `silu`, `gelu` and `hard_swish` are NaN at minus infinity, where
//!   their formula is `-inf * 0`, as is `leaky_relu` with a slope of 0. The gradient is the limit too, but NaN for `silu`
//!   and `gelu`. For every finite `x` both are finite; `gelu` with `tanh` is NaN beyond 1e19 in PyTorch.
//! - Options may be any number. For `beta = 0` the formula of `softplus` divides by 0 and so does this.
//!
//! Sources: `relu`: V. Nair and G. Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.
//! `relu6`: A. Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10" (2010). `leaky_relu`: A. Maas, A. Hannun and
//! A. Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013. `elu`: D. Clevert,
//! T. Unterthiner and S. Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", ICLR 2016,
//! eq. 15. `softplus`: C. Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing",
//! NIPS 2000. `gelu`: D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units" (2016), section 2. `silu`: S. Elfwing,
//! E. Uchibe and K. Doya, "Sigmoid-Weighted Linear Units" (2017), eq. 6. `hard_sigmoid`, `hard_swish`: A. Howard et al.,
//! "Searching for MobileNetV3", ICCV 2019, section 5.2. `scaled_tanh`, with constants chosen so that `f(1) = 1` and
//! `f(-1) = -1`: Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, "Efficient BackProp" (1998), section 4.4; used in LeNet-5:
//! Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998),
//! appendix A.

mod kernels;

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::simd::Level;
use cnn_tensor::{Tensor, parallel};
use serde::{Deserialize, Serialize};

/// A function applied to every element. In JSON `{"type": "leaky_relu", "slope": 0.1}`; options that are left out have
/// PyTorch's defaults.
///
/// ```
/// use cnn_ops::Activation;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([3], vec![-1.0, 0.0, 2.0])?;
/// let (y, saved) = Activation::Relu.forward(x.clone());
/// assert_eq!(y.data(), [0.0, 0.0, 2.0]);
/// let dx = Activation::Relu.backward(&saved, Tensor::full([3], 5.0))?;
/// assert_eq!(dx.data(), [0.0, 0.0, 5.0]);
/// let leaky = Activation::LeakyRelu { slope: 0.5 };
/// assert_eq!(leaky.infer(x).data(), [-0.5, 0.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// The rectifier, `max(x, 0)`.
    Relu,
    /// The rectifier that saturates, `min(max(x, 0), 6)`.
    Relu6,
    /// The rectifier that leaks: `x` where `x > 0`, else `slope x`.
    LeakyRelu {
        /// PyTorch's `negative_slope`; 0.01 unless given.
        #[serde(default = "default_slope")]
        slope: f32,
    },
    /// The exponential linear unit: `x` where `x > 0`, else `alpha (e^x - 1)`.
    Elu {
        /// Minus the limit at minus infinity; 1 unless given.
        #[serde(default = "default_alpha")]
        alpha: f32,
    },
    /// The logistic function, `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// LeCun's `1.7159 tanh(2x/3)`, which keeps a unit variance near 1.
    ScaledTanh,
    /// The smooth rectifier, `ln(1 + e^(beta x)) / beta`.
    Softplus {
        /// How sharp the bend is; 1 unless given.
        #[serde(default = "default_beta")]
        beta: f32,
        /// Where `beta x` is larger, `y` is `x`; 20 unless given.
        #[serde(default = "default_threshold")]
        threshold: f32,
    },
    /// The Gaussian error linear unit, `x` times the probability that a standard normal number is below `x`.
    Gelu {
        /// How that probability is computed; exactly unless given.
        #[serde(default)]
        approximate: Approximate,
    },
    /// The sigmoid-weighted linear unit, also called swish: `x / (1 + e^-x)`.
    Silu,
    /// The straight line through `sigmoid`'s place: `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
    /// `x hard_sigmoid(x)`.
    HardSwish,
}

/// How [`Activation::Gelu`] computes the normal distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approximate {
    /// Exactly, by the error function.
    #[default]
    None,
    /// By `(1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
    Tanh,
}

fn default_slope() -> f32 {
    0.01
}
fn default_alpha() -> f32 {
    1.0
}
fn default_beta() -> f32 {
    1.0
}
fn default_threshold() -> f32 {
    20.0
}

/// What the backward pass reads: the output where that suffices, else the input.
#[derive(Clone, Debug)]
pub struct Saved {
    kept: Tensor,
}

/// Elements that make a piece of work worth a thread.
const CHUNK: usize = worth_a_thread(1 << 16);

impl Activation {
    /// The name in descriptions and messages: `scaled_tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::ScaledTanh => "scaled_tanh",
            Self::Softplus { .. } => "softplus",
            Self::Gelu { .. } => "gelu",
            Self::Silu => "silu",
            Self::HardSigmoid => "hard_sigmoid",
            Self::HardSwish => "hard_swish",
        }
    }

    /// `y` of the shape of `x`, in the memory of `x` unless a clone shares it.
    #[must_use]
    pub fn infer(self, mut x: Tensor) -> Tensor {
        let level = Level::current();
        parallel::for_each_chunk(x.data_mut(), CHUNK, |_, x| self.apply(level, x));
        x
    }

    /// [`Activation::infer`], and what [`Activation::backward`] reads. The memory of `x` is used for `y` unless a clone
    /// shares it or the backward pass needs `x`.
    #[must_use]
    pub fn forward(self, x: Tensor) -> (Tensor, Saved) {
        if self.output_suffices() {
            let y = self.infer(x);
            return (y.clone(), Saved { kept: y });
        }
        let level = Level::current();
        let mut y = Tensor::scratch(x.shape());
        parallel::for_each_chunk(y.data_mut(), CHUNK, |i, y| {
            y.copy_from_slice(&x.data()[i * CHUNK..][..y.len()]);
            self.apply(level, y);
        });
        (y, Saved { kept: x })
    }

    /// `dx` from what [`Activation::forward`] saved and `dy`, in the memory of `dy` unless a clone shares it.
    ///
    /// # Errors
    /// `dy` does not have the shape of `y`.
    pub fn backward(self, saved: &Saved, mut dy: Tensor) -> Result<Tensor, OpError> {
        let kept = &saved.kept;
        check::shape(self.name(), "dy", kept.shape(), &dy)?;
        let level = Level::current();
        parallel::for_each_chunk(dy.data_mut(), CHUNK, |i, dy| {
            self.differentiate(level, &kept.data()[i * CHUNK..][..dy.len()], dy);
        });
        Ok(dy)
    }

    /// Whether the derivative can be computed from the output.
    fn output_suffices(self) -> bool {
        match self {
            Self::Relu | Self::Relu6 | Self::Sigmoid | Self::Tanh | Self::ScaledTanh => true,
            // The output tells the sign of the input.
            Self::LeakyRelu { slope } => slope >= 0.0,
            Self::Elu { alpha } => alpha >= 0.0,
            // A sum with 3 may round to 6, so the output of `hard_sigmoid` does not tell whether `x < 3`.
            Self::Softplus { .. } | Self::Gelu { .. } | Self::Silu | Self::HardSigmoid | Self::HardSwish => {
                false
            }
        }
    }

    /// `x = f(x)`.
    fn apply(self, level: Level, x: &mut [f32]) {
        match self {
            Self::Relu => kernels::relu(level, x),
            Self::Relu6 => kernels::relu6(level, x),
            Self::LeakyRelu { slope } => kernels::leaky_relu(level, slope, x),
            Self::Elu { alpha } => kernels::elu(level, alpha, x),
            Self::Sigmoid => kernels::sigmoid(level, x),
            Self::Tanh => kernels::tanh(level, x),
            Self::ScaledTanh => kernels::scaled_tanh(level, x),
            Self::Softplus { beta, threshold } => kernels::softplus(level, beta, threshold, x),
            Self::Gelu { approximate: Approximate::None } => kernels::gelu(level, x),
            Self::Gelu { approximate: Approximate::Tanh } => kernels::gelu_tanh(level, x),
            Self::Silu => kernels::silu(level, x),
            Self::HardSigmoid => kernels::hard_sigmoid(level, x),
            Self::HardSwish => kernels::hard_swish(level, x),
        }
    }

    /// `dy = dy f'(x)`, where `kept` is `f(x)` if [`Activation::output_suffices`], else `x`.
    fn differentiate(self, level: Level, kept: &[f32], dy: &mut [f32]) {
        match self {
            Self::Relu => kernels::relu_backward(level, kept, dy),
            Self::Relu6 => kernels::relu6_backward(level, kept, dy),
            Self::LeakyRelu { slope } => kernels::leaky_relu_backward(level, slope, kept, dy),
            Self::Elu { alpha } if self.output_suffices() => kernels::elu_backward(level, alpha, kept, dy),
            Self::Elu { alpha } => kernels::elu_backward_from_input(level, alpha, kept, dy),
            Self::Sigmoid => kernels::sigmoid_backward(level, kept, dy),
            Self::Tanh => kernels::tanh_backward(level, kept, dy),
            Self::ScaledTanh => kernels::scaled_tanh_backward(level, kept, dy),
            Self::Softplus { beta, threshold } => {
                kernels::softplus_backward(level, beta, threshold, kept, dy);
            }
            Self::Gelu { approximate: Approximate::None } => kernels::gelu_backward(level, kept, dy),
            Self::Gelu { approximate: Approximate::Tanh } => kernels::gelu_tanh_backward(level, kept, dy),
            Self::Silu => kernels::silu_backward(level, kept, dy),
            Self::HardSigmoid => kernels::hard_sigmoid_backward(level, kept, dy),
            Self::HardSwish => kernels::hard_swish_backward(level, kept, dy),
        }
    }
}

#[cfg(test)]
mod tests;
