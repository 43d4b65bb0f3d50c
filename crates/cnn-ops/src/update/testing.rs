//! How the tests compare a rule with its definition.

use super::{Adjustment, UpdateRule};
use crate::shared::testing::at_every_level;
use cnn_tensor::testing::{distinct, to_f64};

/// Asserts that a step agrees with `oracle(value, gradient, memory)`, the definition for one number, for all lengths below 40
/// at every SIMD level, with an adjustment of the gradient and without. Where the oracle gives NaN, the value is not compared.
#[track_caller]
pub(super) fn assert_follows<const N: usize>(
    rule: impl UpdateRule<N>,
    oracle: impl Fn(f64, f64, [f64; N]) -> (f64, [f64; N]),
) {
    let adjustment = Adjustment { l1: 0.25, l2: 0.125, factor: 0.5, bound: 0.375 };
    at_every_level(|| {
        for (n, adjustment) in (0..40).flat_map(|n| [(n, None), (n, Some(adjustment))]) {
            let (mut value, gradient) = (distinct([n], 1), distinct([n], 2));
            // A mean of squares is at least 0, and other memory may be.
            let mut memory: [Vec<f32>; N] =
                std::array::from_fn(|k| distinct([n], 3 + k as u64).data().iter().map(|m| m.abs()).collect());
            let want: Vec<(f64, [f64; N])> = (0..n)
                .map(|i| {
                    let (w, g) = (to_f64(&value)[i], to_f64(&gradient)[i]);
                    oracle(
                        w,
                        adjustment.map_or(g, |by| adjusted(by, w, g)),
                        memory.each_ref().map(|m| m[i].into()),
                    )
                })
                .collect();
            rule.update(adjustment, value.data_mut(), gradient.data(), memory.each_mut().map(|m| &mut m[..]));
            for (i, (want, kept)) in want.into_iter().enumerate() {
                assert_near(value.data()[i], want);
                (0..N).for_each(|k| assert_near(memory[k][i], kept[k]));
            }
        }
    });
}

fn adjusted(Adjustment { l1, l2, factor, bound }: Adjustment, w: f64, g: f64) -> f64 {
    let [l1, l2, factor, bound] = [l1, l2, factor, bound].map(f64::from);
    let sign = f64::from(w > 0.0) - f64::from(w < 0.0);
    (factor * (g + l2 * w + l1 * sign)).clamp(-bound, bound)
}

#[track_caller]
fn assert_near(got: f32, want: f64) {
    let error = (f64::from(got) - want).abs();
    assert!(want.is_nan() || error <= 1e-5 * want.abs().max(1.0), "{got}, not {want}");
}
