//! Penalties on the size of a parameter.
//!
//! `value = l1 sum of |w| + l2 / 2 sum of w^2`, with the gradient `l1 sign(w) + l2 w`.
//!
//! The half makes `l2` the same as the weight decay of plain gradient descent.
//!
//! **Conventions.** The gradient of `|w|` at 0 is 0, a NaN stays NaN, and the penalty of nothing is 0. An infinite `w` makes
//! the value infinite, or NaN where a factor is 0, as `0 * inf` is.
//!
//! **Algorithm.** One pass. The sums are taken in f64, over runs of 16,384 elements and then over the runs in order; the
//! gradient in f32.
//!
//! Sources: `l2`: A. Hoerl and R. Kennard, "Ridge Regression" (1970). `l1`: R. Tibshirani, "Regression Shrinkage and
//! Selection via the Lasso" (1996).

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Recycled, Tensor, parallel};
use serde::{Deserialize, Serialize};

/// An L1 and an L2 penalty, either of which may be 0.
///
/// ```
/// use cnn_ops::Penalty;
/// use cnn_tensor::Tensor;
/// let weight = Tensor::from_vec([3], vec![2.0, 0.0, -4.0])?;
/// let mut dweight = Tensor::full([3], 1.0);
/// let value = Penalty { l1: 0.5, l2: 0.25 }.backward(&weight, &mut dweight)?;
/// assert_eq!(value, 0.5 * 6.0 + 0.25 / 2.0 * 20.0);
/// assert_eq!(dweight.data(), [1.0 + 0.5 + 0.5, 1.0, 1.0 - 0.5 - 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Penalty {
    /// The factor of the sum of the absolute values; at least 0.
    pub l1: f32,
    /// The factor of half the sum of the squares; at least 0.
    pub l2: f32,
}

const OP: &str = "penalty";

/// Elements that make a piece of work worth a thread, and that are added before others.
const CHUNK: usize = worth_a_thread(1 << 14);

impl Penalty {
    /// The penalty of `weight`.
    ///
    /// # Errors
    /// `l1` or `l2` is negative or not finite.
    pub fn value(&self, weight: &Tensor) -> Result<f64, OpError> {
        self.check()?;
        let w = weight.data();
        let sums = parallel::map(w.len().div_ceil(CHUNK), |i| {
            let end = w.len().min((i + 1) * CHUNK);
            w[i * CHUNK..end].iter().fold([0.0; 2], |sums, &w| add(sums, w))
        });
        Ok(self.weigh(&sums))
    }

    /// Adds the gradient of the penalty of `weight` into `dweight`; returns the penalty.
    ///
    /// # Errors
    /// Those of [`Penalty::value`], or `dweight` does not have the shape of `weight`.
    pub fn backward(&self, weight: &Tensor, dweight: &mut Tensor) -> Result<f64, OpError> {
        self.check()?;
        check::shape(OP, "dweight", weight.shape(), dweight)?;
        let mut sums = Recycled::filled([0.0; 2], weight.data().len().div_ceil(CHUNK));
        parallel::for_each_chunk_pair((&mut sums, 1), (dweight.data_mut(), CHUNK), |i, sums, dweight| {
            for (&w, dw) in weight.data()[i * CHUNK..].iter().zip(dweight) {
                sums[0] = add(sums[0], w);
                *dw += self.l2 * w + self.l1 * sign(w);
            }
        });
        Ok(self.weigh(&sums))
    }

    fn check(&self) -> Result<(), OpError> {
        for (option, value) in [("l1", self.l1), ("l2", self.l2)] {
            let rule = "at least 0 and finite";
            check::number(OP, option, rule, value.into(), value >= 0.0 && value.is_finite())?;
        }
        Ok(())
    }

    /// The penalty, from the sums of absolute values and of squares of each part.
    fn weigh(&self, sums: &[[f64; 2]]) -> f64 {
        let [absolute, squares] = sums.iter().fold([0.0; 2], |[a, b], part| [a + part[0], b + part[1]]);
        f64::from(self.l1) * absolute + f64::from(self.l2) / 2.0 * squares
    }
}

/// Absolute values and squares, with those of `w` added.
fn add([absolute, squares]: [f64; 2], w: f32) -> [f64; 2] {
    let w = f64::from(w);
    [absolute + w.abs(), squares + w * w]
}

/// 1, 0 or -1 as `w` is; NaN for NaN.
fn sign(w: f32) -> f32 {
    if w == 0.0 { 0.0 } else { w.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: Penalty, w: &[f64]) -> f64 {
        let absolute: f64 = w.iter().map(|w| w.abs()).sum();
        let squares: f64 = w.iter().map(|w| w * w).sum();
        f64::from(op.l1) * absolute + f64::from(op.l2) / 2.0 * squares
    }

    fn factor() -> impl Strategy<Value = f32> {
        prop_oneof![Just(0.0), 0.0..3.0f32]
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(n in 0..100usize, (l1, l2) in (factor(), factor()), seed: u64) {
            let (op, w) = (Penalty { l1, l2 }, distinct([n], seed));
            let want = oracle(op, &to_f64(&w));
            let gradient = gradient_of(&w, &Tensor::full([1], 1.0), |w| vec![oracle(op, w)]);
            everywhere(|| {
                let mut dw = Tensor::zeros([n]);
                let value = op.backward(&w, &mut dw).unwrap();
                assert!((value - want).abs() <= 1e-12 * want.max(1.0), "{value} instead of {want}");
                assert_eq!(op.value(&w).unwrap().to_bits(), value.to_bits());
                assert_gradient_close("dweight", &dw, &gradient);
            });
        }

        #[test]
        fn whole_numbers_are_exact_and_added(n in 0..200usize, (l1, l2) in (0..5u8, 0..5u8), seed: u64) {
            let (w, before) = (whole_numbers([n], 5, seed), whole_numbers([n], 9, seed ^ 1));
            let op = Penalty { l1: l1.into(), l2: l2.into() };
            let gradient = |w: f64| f64::from(l1) * (f64::from(w > 0.0) - f64::from(w < 0.0)) + f64::from(l2) * w;
            let want: Vec<f64> = to_f64(&w).into_iter().zip(to_f64(&before)).map(|(w, b)| b + gradient(w)).collect();
            everywhere(|| {
                let mut dw = before.clone();
                assert_eq!(op.backward(&w, &mut dw).unwrap(), oracle(op, &to_f64(&w)));
                assert_exact("dweight", &dw, &want);
            });
        }

        #[test]
        fn absurd_options_are_errors(l1 in prop::num::f32::ANY, l2 in prop::num::f32::ANY, shape in any_shape()) {
            prop_assume!(shape.numel() < 100_000);
            let (op, w) = (Penalty { l1, l2 }, Tensor::zeros(shape));
            let fine = [l1, l2].into_iter().all(|v| v >= 0.0 && v.is_finite());
            prop_assert_eq!(op.value(&w).is_ok(), fine);
            prop_assert_eq!(op.backward(&w, &mut Tensor::zeros(shape)).is_ok(), fine);
        }
    }

    #[test]
    fn zero_nan_infinities_and_nothing() {
        let both = Penalty { l1: 2.0, l2: 1.0 };
        let at = |op: Penalty, w: f32| {
            let mut dw = Tensor::zeros([1]);
            (op.backward(&Tensor::full([1], w), &mut dw).unwrap(), dw.data()[0])
        };
        assert_eq!((at(both, 0.0), at(both, -0.0)), ((0.0, 0.0), (0.0, 0.0)));
        assert_eq!(at(both, f32::NEG_INFINITY), (f64::INFINITY, f32::NEG_INFINITY));
        assert_eq!(at(Penalty { l1: 2.0, l2: 0.0 }, 3.0), (6.0, 2.0));
        assert!(at(Penalty { l1: 0.0, l2: 1.0 }, f32::INFINITY).0.is_nan());
        let (nan, dnan) = at(both, f32::NAN);
        assert!(nan.is_nan() && dnan.is_nan());
        assert_eq!(both.value(&Tensor::zeros([0])).unwrap(), 0.0);
    }

    #[test]
    fn threads_change_nothing() {
        let w = distinct([70_000], 0);
        assert_same_bits_on_any_threads(|| {
            let mut dw = Tensor::zeros([70_000]);
            let bits = Penalty { l1: 0.1, l2: 0.3 }.backward(&w, &mut dw).unwrap().to_bits();
            let halves = [bits as u32, (bits >> 32) as u32].map(f32::from_bits);
            vec![Tensor::from_slice([2], &halves).unwrap(), dw]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let w = Tensor::zeros([2, 3]);
        let message = |l1, l2| Penalty { l1, l2 }.value(&w).unwrap_err().to_string();
        assert_eq!(message(-1.0, 0.0), "penalty: l1 must be at least 0 and finite, got -1");
        assert_eq!(message(0.0, f32::NAN), "penalty: l2 must be at least 0 and finite, got NaN");
        let error = Penalty::default().backward(&w, &mut Tensor::zeros([3])).unwrap_err();
        assert_eq!(error.to_string(), "penalty: dweight expects shape [2, 3], got [3]");
    }
}
