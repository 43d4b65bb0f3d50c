//! Elementary functions on vectors, accurate to a few units in the last place.

use super::Simd;

/// `e^x`; 0 below about -87.3 (denormal results are flushed), infinity above about 88.7, NaN for NaN.
///
/// Cody and Waite's reduction with Cephes' polynomial (Moshier 1989).
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    const SMALLEST: f32 = -87.336_54;
    const LARGEST: f32 = 88.722_84;
    let within = s.min(s.splat(LARGEST), s.max(s.splat(SMALLEST), x));
    // x = n ln 2 + r with |r| at most ln(2)/2; ln 2 in two parts, the first exact in 9 bits.
    let n = s.round(s.mul(within, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-0.693_359_4), within);
    let r = s.mul_add(n, s.splat(2.121_944_4e-4), r);
    let coefficients = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    let mut p = s.splat(1.987_569_1e-4);
    for c in coefficients {
        p = s.mul_add(p, r, s.splat(c));
    }
    let y = s.add(s.mul_add(p, s.mul(r, r), r), s.splat(1.0));
    // 2^128 is not a float: scale in two steps.
    let n = s.sub(n, s.splat(1.0));
    let y = s.mul(s.mul(y, s.pow2(s.max(n, s.splat(-126.0)))), s.splat(2.0));
    let y = s.select_gt(s.splat(SMALLEST), x, s.splat(0.0), y);
    s.select_gt(x, s.splat(LARGEST), s.splat(f32::INFINITY), y)
}

/// `tanh(x)`; exact at 0, -1 and 1 at the infinities, NaN for NaN.
///
/// Cephes' polynomial (Moshier 1989) near 0, where `1 - 2 / (e^(2x) + 1)` would cancel.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    let magnitude = s.select_gt(zero, x, s.sub(zero, x), x);
    let e = exp(s, s.add(magnitude, magnitude));
    let far = s.sub(s.splat(1.0), s.div(s.splat(2.0), s.add(e, s.splat(1.0))));
    let far = s.select_gt(zero, x, s.sub(zero, far), far);
    let square = s.mul(x, x);
    let coefficients = [2.063_909e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1];
    let mut p = s.splat(-5.704_988_6e-3);
    for c in coefficients {
        p = s.mul_add(p, square, s.splat(c));
    }
    let near = s.mul_add(s.mul(p, square), x, x);
    // `far` where |x| > 0.625, else `near`; a NaN compares false and `near` keeps it.
    s.select_gt(magnitude, s.splat(0.625), far, near)
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}
