//! The exponential in f64, for probabilities: the sums of softmax and cross-entropy.
//!
//! Written without branches and without calls, so that compilers turn loops over it into vector code.

use cnn_tensor::kernel;
use cnn_tensor::simd::Simd;

/// `a b + c`, rounded once where the level has an instruction for it.
#[inline(always)]
fn mul_add<S: Simd>(_: S, a: f64, b: f64, c: f64) -> f64 {
    if S::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` for `x` up to 0, to 2e-14 of itself (5e-14 where `x` is hundreds); that of -708, 3e-308, below, where it would be denormal; NaN for NaN.
///
/// `e^x = 2^n e^r` with `x = n ln 2 + r`, whole `n` and |r| at most `ln(2) / 2`. The polynomial `Q` of
/// `e^r = 1 + r + r^2 Q(r)` was fitted for this file, by iteratively reweighted least squares towards the smallest largest
/// error, 1.7e-14.
#[inline(always)]
fn exp<S: Simd>(s: S, x: f64) -> f64 {
    const SMALLEST: f64 = -708.0;
    /// Added to a number below 2^51, it leaves the nearest whole number in the last bits.
    const WHOLE: f64 = 1.5 * (1u64 << 52) as f64;
    /// `ln 2` in two parts, the first exact in 33 bits.
    const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const Q: [f64; 8] = [
        2.749_303_851_660_178e-6,
        2.488_087_556_625_898_3e-5,
        1.984_153_947_274_149_1e-4,
        1.388_881_101_498_027e-3,
        8.333_333_094_539_602e-3,
        4.166_666_696_298_798e-2,
        0.166_666_666_672_671_38,
        0.499_999_999_996_631_7,
    ];
    // Unlike `max`, this keeps a NaN.
    let clamped = if x < SMALLEST { SMALLEST } else { x };
    let shifted = mul_add(s, clamped, std::f64::consts::LOG2_E, WHOLE);
    let n = shifted - WHOLE;
    // Rounded once, `n ln 2` is right to 2.4e-17 n; rounded twice, it takes two parts.
    let r = if S::FUSED {
        n.mul_add(-std::f64::consts::LN_2, clamped)
    } else {
        clamped - n * LN_2[0] - n * LN_2[1]
    };
    // Estrin's scheme: products that do not wait for each other.
    let r_2 = r * r;
    let pair = |i: usize| mul_add(s, Q[i], r, Q[i + 1]);
    let [high, low] = [(pair(0), pair(2)), (pair(4), pair(6))].map(|(high, low)| mul_add(s, high, r_2, low));
    let q = mul_add(s, high, r_2 * r_2, low);
    let scale = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()));
    mul_add(s, mul_add(s, q, r_2, r), scale, scale)
}

/// Numbers taken together: two vectors of the widest level.
pub(crate) const BLOCK: usize = 16;

/// The largest number of `x`, but for NaN; minus infinity if there is none.
#[inline(always)]
pub(crate) fn largest_of(x: &[f32]) -> f32 {
    const MANY: usize = 4 * BLOCK;
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut max = [f32::NEG_INFINITY; MANY];
    let (many, rest) = x.as_chunks::<MANY>();
    for x in many {
        for i in 0..MANY {
            max[i] = larger(x[i], max[i]);
        }
    }
    let (blocks, rest) = rest.as_chunks::<BLOCK>();
    for x in blocks {
        for i in 0..BLOCK {
            max[i] = larger(x[i], max[i]);
        }
    }
    if x.len() >= BLOCK {
        let mut half = MANY / 2;
        while half > 0 {
            for i in 0..half {
                max[i] = larger(max[i + half], max[i]);
            }
            half /= 2;
        }
    }
    rest.iter().fold(max[0], |max, x| larger(*x, max))
}

kernel! {
    /// [`largest_of`].
    pub(crate) fn largest<S>(_s, x: &[f32]) -> f32 {
        largest_of(x)
    }
}

/// `e^(x - max)`. The end of an incomplete block counts as minus infinity, which changes no sum of at least 1.
#[inline(always)]
fn block<S: Simd>(s: S, max: f64, x: &[f32]) -> [f64; BLOCK] {
    let mut whole = [f32::NEG_INFINITY; BLOCK];
    let x = x.first_chunk().unwrap_or_else(|| {
        whole[..x.len()].copy_from_slice(x);
        &whole
    });
    let mut e = [0.0; BLOCK];
    for i in 0..BLOCK {
        e[i] = exp(s, f64::from(x[i]) - max);
    }
    e
}

kernel! {
    /// Writes `e^(x - max)` for at most [`BLOCK`] numbers.
    pub(crate) fn exponentials<S>(s, max: f64, x: &[f32], e: &mut [f64; BLOCK]) {
        *e = block(s, max, x);
    }
}

kernel! {
    /// The sum of `e^(x - max)`, by [`BLOCK`] running sums, and each of them rounded to `e`.
    pub(crate) fn sum_of_exponentials<S>(s, max: f64, x: &[f32], e: &mut [f32]) -> f64 {
        let mut sums = [0.0; BLOCK];
        let (blocks, rest) = x.as_chunks::<BLOCK>();
        let (e_blocks, e_rest) = e.as_chunks_mut::<BLOCK>();
        for (x, e) in blocks.iter().zip(e_blocks) {
            let of_block = block(s, max, x);
            for i in 0..BLOCK {
                sums[i] += of_block[i];
                e[i] = of_block[i] as f32;
            }
        }
        if !rest.is_empty() {
            let of_rest = block(s, max, rest);
            for i in 0..BLOCK {
                sums[i] += of_rest[i];
            }
            e_rest.iter_mut().zip(of_rest).for_each(|(e, of)| *e = of as f32);
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::simd::{Level, Scalar};

    #[test]
    fn the_exponential_is_that_of_the_standard_library() {
        for i in 0..=200_000 {
            let x = f64::from(i) * -708.0 / 200_000.0;
            let y = exp(Scalar, x);
            assert!((y - x.exp()).abs() <= 2e-14 * x.exp(), "e^{x} = {y} instead of {}", x.exp());
            let x = f64::from(i) * -1e-5;
            let y = exp(Scalar, x);
            assert!((y - x.exp()).abs() <= 2e-14 * x.exp(), "e^{x} = {y} instead of {}", x.exp());
        }
        assert_eq!(
            [0.0, -0.0, -708.1, -1e300, f64::NEG_INFINITY].map(|x| exp(Scalar, x)),
            [1.0, 1.0, exp(Scalar, -708.0), exp(Scalar, -708.0), exp(Scalar, -708.0)]
        );
        assert!(exp(Scalar, f64::NAN).is_nan());
        for &level in Level::all() {
            for i in 0..=7080 {
                let x = -0.1 * i as f32;
                let mut e = [0.0; BLOCK];
                exponentials(level, 0.0, &[x], &mut e);
                let want = f64::from(x).exp();
                assert!(
                    (e[0] - want).abs() <= 5e-14 * want,
                    "e^{x} = {} instead of {want} at {level:?}",
                    e[0]
                );
            }
        }
    }

    #[test]
    fn sums_and_largest_numbers_are_those_of_all_numbers() {
        for n in 0..70 {
            let x: Vec<f32> = (0..n).map(|i| ((i * 37) % 64) as f32 / 8.0 - 9.0).collect();
            let want: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
            let largest_of_all = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for &level in Level::all() {
                assert_eq!(largest(level, &x), largest_of_all);
                let mut e = vec![9.0; n];
                let sum = sum_of_exponentials(level, 0.0, &x, &mut e);
                assert!((sum - want).abs() <= 2e-14 * want, "{sum} instead of {want}");
                let mut again = [0.0; BLOCK];
                for (x, e) in x.chunks(BLOCK).zip(e.chunks(BLOCK)) {
                    exponentials(level, 0.0, x, &mut again);
                    for ((x, e), again) in x.iter().zip(e).zip(again) {
                        let want = f64::from(*x).exp();
                        assert!((again - want).abs() <= 2e-14 * want, "e^{x} at {level:?}");
                        assert_eq!(*e, again as f32);
                    }
                }
            }
        }
        for &level in Level::all() {
            assert_eq!(largest(level, &[f32::NAN, -3.0, f32::NAN, -5.0]), -3.0);
            assert!(sum_of_exponentials(level, 0.0, &[0.0, f32::NAN], &mut [0.0; 2]).is_nan());
        }
    }
}
