//! The logarithm and powers, one number at a time, by additions and products alone: the same bits on every platform, which
//! the functions of a system's library do not promise.
//!
//! Computed in f64 and rounded once, so that results are the f32 nearest to the exact ones, or in rare cases its neighbour.

use std::f64::consts::{LN_2, LOG2_E};

/// The natural logarithm of `x`; minus infinity at 0, NaN below.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    if x < 0.0 { f32::NAN } else { ln_of_magnitude(x) as f32 }
}

/// `x^exponent`, with the special cases of IEEE 754's `pow`.
#[inline(always)]
pub(super) fn power(x: f32, exponent: f32) -> f32 {
    if exponent == 0.0 || x == 1.0 {
        return 1.0;
    }
    if exponent.is_nan() {
        return exponent;
    }
    let whole = exponent.is_infinite() || exponent.fract() == 0.0;
    if x < 0.0 && x.is_finite() && !whole {
        return f32::NAN;
    }
    // 1 even to an infinite power.
    let magnitude = if x == -1.0 { 1.0 } else { exp(f64::from(exponent) * ln_of_magnitude(x)) as f32 };
    let odd = (exponent % 2.0).abs() == 1.0;
    if odd && x.is_sign_negative() { -magnitude } else { magnitude }
}

/// `ln |x|`, to 2e-15 of itself; NaN for NaN.
///
/// `|x| = 2^n m` with `m` from `sqrt(1/2)` to `sqrt(2)`, and `ln m = 2 artanh(q)` with `q = (m - 1) / (m + 1)`, at most 0.172,
/// by its power series.
#[inline(always)]
fn ln_of_magnitude(x: f32) -> f64 {
    let x = f64::from(x).abs();
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if !x.is_finite() {
        return x;
    }
    // Every f32 is a normal f64. The difference is taken so that the exponent changes at sqrt(1/2).
    const BELOW_1: u64 = 0x3fe6_a09e_667f_3bcd;
    let over = x.to_bits().wrapping_sub(BELOW_1);
    let n = (over as i64) >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub((n as u64) << 52));
    let q = (m - 1.0) / (m + 1.0);
    let square = q * q;
    let series = (0..10).rev().fold(0.0, |sum, i| sum * square + 1.0 / f64::from(2 * i + 1));
    n as f64 * LN_2 + 2.0 * q * series
}

/// `e^x`, to 2e-15 of itself; beyond the range of f32 0 or infinity, NaN for NaN.
///
/// `e^x = 2^n e^r` with `x = n ln 2 + r`, whole `n` and |r| at most `ln(2) / 2`; `e^r` by its power series.
#[inline(always)]
fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-200.0, 200.0);
    let n = (x * LOG2_E).round();
    // ln 2 in two parts, the first exact in 33 bits.
    let r = x - n * 0.693_147_180_369_123_8 - n * 1.908_214_929_270_587_7e-10;
    let series = (1..14).rev().fold(1.0, |sum, i| sum * r / f64::from(i) + 1.0);
    series * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every magnitude.
    fn numbers() -> impl Iterator<Item = f32> {
        (1..0x7f80_0000u32).step_by(104_729).map(f32::from_bits).chain((900..1100).map(|i| i as f32 / 1000.0))
    }

    /// How many f32 lie between two of the same sign.
    fn apart(a: f32, b: f32) -> u32 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn logarithms_are_those_of_the_standard_library() {
        for x in numbers() {
            let want = f64::from(x).ln() as f32;
            assert!(apart(ln(x), want) <= 1, "ln {x} = {} instead of {want}", ln(x));
        }
        assert_eq!([0.0, -0.0, 1.0].map(ln), [f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0]);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!([f32::NAN, -1.0, f32::NEG_INFINITY].into_iter().all(|x| ln(x).is_nan()));
    }

    #[test]
    fn powers_are_those_of_the_standard_library() {
        for exponent in [-40.0, -3.0, -1.5, -1.0, -0.01, 0.3, 0.5, 1.0, 1.7, 5.0, 300.0f32] {
            for x in numbers() {
                let want = f64::from(x).powf(f64::from(exponent)) as f32;
                let got = power(x, exponent);
                assert!(apart(got, want) <= 1, "{x}^{exponent} = {got} instead of {want}");
            }
        }
    }

    #[test]
    fn special_cases_are_those_of_the_standard_library() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let some = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e30, inf, -inf, nan];
        for x in some {
            for exponent in some {
                let (got, want) = (power(x, exponent), x.powf(exponent));
                assert!(
                    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                    "{x}^{exponent}: {got}, {want}"
                );
            }
        }
    }
}
