//! Elementwise activations. [`Activation`] has the formula, the conventions and the source of each.
//!
//! An activation whose gradient can be computed from the output keeps only that, and both passes work in place; the others
//! keep their input and need memory for the output.
//!
//! **Conventions.** As PyTorch, unless an activation says otherwise.
//! - A NaN stays NaN on the way forward. Its gradient is 0 for `relu`, `relu6`, `hard_sigmoid`, `hardtanh`, `threshold` and
//!   `abs`, `slope dy` for `leaky_relu`, `-dy` for `neg`, and NaN for the others. (PyTorch's depends, for some of these, on the
//!   number of elements.)
//! - At the infinities `y` and the gradient are the limits, except where a formula is `inf * 0` or `inf / inf`, which is NaN.
//! - Options may be any number.
//!
//! A new activation is an entry in `activation/table.rs`; no other place lists activations.

mod kernels;
mod scalar;
mod table;

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::Level;
use cnn_tensor::{Tensor, parallel};
use serde::{Deserialize, Serialize};

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

/// Read by the backward pass: the output where that suffices, else the input.
#[derive(Clone, Debug)]
pub struct Saved {
    kept: Tensor,
}

/// Elements that make a piece of work worth a thread.
const CHUNK: usize = worth_a_thread(1 << 16);

impl Activation {
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
}

/// The enum, its descriptions, and the choice of kernels, all from the table of activations.
macro_rules! activations {
    ($(
        $(#[$doc:meta])*
        $variant:ident: $name:ident $arguments:tt {
            $(options { $($(#[$about:meta])* $option:ident: $ty:ty = $default:expr, tested at $tested:expr;)* })?
            output_suffices: $output_suffices:expr;
            y($s:ident, $x:ident) = $y:expr;
            dx($t:ident, $kept:ident, $dy:ident) = $dx:expr;
            definition($n:ident) = $definition:expr;
            bends_at: $bends:expr;
            $(tested_at($at:ident) = $tested_at:expr;)?
        }
    )*) => {
        /// A function applied to every element. In JSON `{"type": "leaky_relu", "slope": 0.1}`; options that are left out
        /// have PyTorch's defaults.
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
        #[serde(from = "Description", into = "Description")]
        pub enum Activation {
            $($(#[$doc])* $variant $({ $($(#[$about])* $option: $ty,)* })?,)*
        }

        impl Activation {
            /// The names of all activations, in the order of [`Activation::all`].
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Every activation, with the default options.
            ///
            /// ```
            /// use cnn_ops::Activation;
            /// assert!(Activation::all().contains(&Activation::LeakyRelu { slope: 0.01 }));
            /// ```
            #[must_use]
            pub fn all() -> [Self; Self::NAMES.len()] {
                [$(options::$name::default().into(),)*]
            }

            /// The name in descriptions and messages: `scaled_tanh`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($name),)*
                }
            }

            /// Whether the derivative can be computed from the output.
            #[allow(unused_variables, reason = "most do not depend on the options")]
            fn output_suffices(self) -> bool {
                match self {
                    $(Self::$variant { $($($option,)*)? } => $output_suffices,)*
                }
            }

            /// `x = f(x)`.
            fn apply(self, level: Level, x: &mut [f32]) {
                match self {
                    $(Self::$variant { $($($option,)*)? } => kernels::$name::apply(level, $($($option,)*)? x),)*
                }
            }

            /// `dy = dy f'(x)`, where `kept` is `f(x)` if [`Activation::output_suffices`], else `x`.
            fn differentiate(self, level: Level, kept: &[f32], dy: &mut [f32]) {
                match self {
                    $(Self::$variant { $($($option,)*)? } => {
                        kernels::$name::differentiate(level, $($($option,)*)? kept, dy);
                    })*
                }
            }
        }

        /// The form in which descriptions hold an activation.
        #[derive(Serialize, Deserialize)]
        #[serde(tag = "type")]
        #[allow(non_camel_case_types, reason = "variants are named as descriptions name them")]
        enum Description {
            $($name(options::$name),)*
        }

        impl From<Description> for Activation {
            fn from(description: Description) -> Self {
                match description {
                    $(Description::$name(options) => options.into(),)*
                }
            }
        }

        impl From<Activation> for Description {
            fn from(activation: Activation) -> Self {
                match activation {
                    $(Activation::$variant { $($($option,)*)? } => {
                        Self::$name(options::$name { $($($option,)*)? })
                    })*
                }
            }
        }

        /// The options of each activation.
        #[allow(non_camel_case_types, reason = "named as descriptions name the activations")]
        mod options {
            use super::*;

            $(
                #[derive(Serialize, Deserialize)]
                #[serde(default, deny_unknown_fields)]
                pub(super) struct $name {
                    $($(pub(super) $option: $ty,)*)?
                }

                impl Default for $name {
                    fn default() -> Self {
                        Self { $($($option: $default,)*)? }
                    }
                }

                impl From<$name> for Activation {
                    fn from(options: $name) -> Self {
                        let $name { $($($option,)*)? } = options;
                        Self::$variant { $($($option,)*)? }
                    }
                }
            )*
        }
    };
}
crate::for_each_activation!(activations!);

#[cfg(test)]
mod tests;
