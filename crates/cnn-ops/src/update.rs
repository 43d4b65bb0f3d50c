//! The update rules of optimizers: one step on the elements of a parameter.
//!
//! | rule                | memory                                              | of                                    |
//! |---------------------|-----------------------------------------------------|---------------------------------------|
//! | [`Sgd`]             | none, or the momentum                               | Sutskever et al. 2013                 |
//! | [`Adam`]            | `m` and `v`; the largest `v` too (AMSGrad)          | Kingma and Ba 2015; Reddi et al. 2018 |
//! | [`AdamW`]           | as Adam                                             | Loshchilov and Hutter 2019            |
//! | [`RmsProp`]         | the mean square, and the momentum if there is one   | Tieleman and Hinton 2012              |
//! | [`CenteredRmsProp`] | variance and mean, and the momentum if there is one | Graves 2013                           |
//! | [`Adagrad`]         | the sum of squares                                  | Duchi, Hazan and Singer 2011          |
//! | [`Lion`]            | `m`                                                 | Chen et al. 2023                      |
//!
//! A rule is plain data: the coefficients of one step, which an optimizer computes from its options, the number of the step and
//! the learning rate. [`UpdateRule::update`] applies it to some elements of a parameter, in one pass over value, gradient and
//! memory. An [`Adjustment`] adds a penalty to the gradient and clips it in the same pass. [`Sums`] measures the norm of the
//! gradients before the step, and [`average`] moves an average of the weights after it.
//!
//! # Conventions
//!
//! - Elements are independent of each other, so a parameter can be cut into pieces, for threads, without changing a bit.
//! - NaN and infinity are values. They reach the element that they belong to, and no other.
//! - These functions take slices, not tensors, and panic where the lengths differ.
//!
//! ```
//! use cnn_ops::update::{Sgd, UpdateRule};
//! let rule = Sgd { rate: 0.5, momentum: 0.9, add: 1.0, nesterov: false, weight_decay: 0.0 };
//! let (mut value, mut momentum) = ([1.0, 2.0], [0.0; 2]);
//! rule.update(None, &mut value, &[2.0, -4.0], [&mut momentum]);
//! assert_eq!((value, momentum), ([0.0, 4.0], [2.0, -4.0]));
//! ```
//!
//! [`Sgd`]: crate::update::Sgd
//! [`Adam`]: crate::update::Adam
//! [`AdamW`]: crate::update::AdamW
//! [`RmsProp`]: crate::update::RmsProp
//! [`CenteredRmsProp`]: crate::update::CenteredRmsProp
//! [`Adagrad`]: crate::update::Adagrad
//! [`Lion`]: crate::update::Lion
//! [`UpdateRule::update`]: crate::update::UpdateRule::update
//! [`Adjustment`]: crate::update::Adjustment
//! [`Sums`]: crate::update::Sums
//! [`average`]: crate::update::average

mod adagrad;
mod adam;
mod adjusted;
mod average;
mod lion;
mod pass;
mod rmsprop;
mod sgd;
mod step;
mod sums;

pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW};
pub use adjusted::Adjustment;
pub use average::average;
pub use lion::Lion;
pub use rmsprop::{CenteredRmsProp, RmsProp};
pub use sgd::Sgd;
pub use sums::Sums;

/// One step of an optimizer, with its coefficients computed, that keeps `N` numbers for every element.
pub trait UpdateRule<const N: usize>: Copy + Send + Sync + 'static {
    /// Changes `value` and `memory` by `gradient`, which is adjusted first if there is an `adjustment`.
    ///
    /// # Panics
    /// The lengths of value, gradient and memory differ.
    fn update(
        &self,
        adjustment: Option<Adjustment>,
        value: &mut [f32],
        gradient: &[f32],
        memory: [&mut [f32]; N],
    );
}

/// Implements [`UpdateRule`] for each step, so that its passes are compiled in this crate.
macro_rules! rules {
    ($($rule:ident: $($n:literal)*;)*) => {
        $($(impl UpdateRule<$n> for $rule {
            fn update(
                &self,
                adjustment: Option<Adjustment>,
                value: &mut [f32],
                gradient: &[f32],
                memory: [&mut [f32]; $n],
            ) {
                pass::run(*self, adjustment, value, gradient, memory);
            }
        })*)*
    };
}

rules! {
    Sgd: 0 1;
    Adam: 2 3;
    AdamW: 2 3;
    RmsProp: 1 2;
    CenteredRmsProp: 2 3;
    Adagrad: 1;
    Lion: 1;
}

#[cfg(test)]
mod testing;
