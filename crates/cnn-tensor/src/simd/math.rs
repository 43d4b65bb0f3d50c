//! Elementary functions on vectors, accurate to a few units in the last place.

use super::Simd;

/// The largest `x` for which `e^x` is a finite f32.
const LARGEST: f32 = 88.722_84;

/// `e^x`; 0 below about -87.3 (denormal results become 0), infinity above about 88.7, NaN for NaN.
///
/// Cody and Waite's reduction with Cephes' polynomial (Moshier 1989).
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    const SMALLEST: f32 = -87.336_54;
    let (n, q) = reduced(s, s.min(s.splat(LARGEST), s.max(s.splat(SMALLEST), x)));
    let y = s.add(q, s.splat(1.0));
    // 2^128 is not a finite f32, so the scaling takes two steps.
    let n = s.sub(n, s.splat(1.0));
    let y = s.mul(s.mul(y, s.pow2(s.max(n, s.splat(-126.0)))), s.splat(2.0));
    let y = s.select_gt(s.splat(SMALLEST), x, s.splat(0.0), y);
    s.select_gt(x, s.splat(LARGEST), s.splat(f32::INFINITY), y)
}

/// `e^x - 1` for `x` up to 88, without the cancellation of `exp(x) - 1` near 0; -1 at minus infinity, NaN for NaN.
///
/// By the reduction of [`exp`]: `e^x - 1 = 2^n (e^r - 1) + (2^n - 1)`.
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::V) -> S::V {
    // Below -25, `e^x - 1` rounds to -1; above 88, 2^n would leave the range of `pow2`.
    let (n, q) = reduced(s, s.min(s.splat(88.0), s.max(s.splat(-25.0), x)));
    let scale = s.pow2(n);
    let y = s.mul_add(scale, q, s.sub(scale, s.splat(1.0)));
    // A zero keeps its sign.
    let tiny = s.splat(1e-30);
    s.select_gt(tiny, s.mul(x, x), x, y)
}

/// `n` and `e^r - 1` for `x = n ln 2 + r` with whole `n` and |r| at most `ln(2) / 2`.
#[inline(always)]
fn reduced<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    // ln 2 in two parts, the first exact in 9 bits.
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-0.693_359_4), x);
    let r = s.mul_add(n, s.splat(2.121_944_4e-4), r);
    let coefficients = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    let p = polynomial(s, r, 1.987_569_1e-4, coefficients);
    (n, s.mul_add(p, s.mul(r, r), r))
}

/// The polynomial `(((first x + c_0) x + c_1) x + ...)`, by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::V, first: f32, coefficients: [f32; N]) -> S::V {
    let mut p = s.splat(first);
    for c in coefficients {
        p = s.mul_add(p, x, s.splat(c));
    }
    p
}

/// `tanh(x)`; exact at 0, -1 and 1 at the infinities, NaN for NaN.
///
/// Cephes' polynomial (Moshier 1989) near 0, where `1 - 2 / (e^(2x) + 1)` would cancel.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    let magnitude = magnitude(s, x);
    let e = exp(s, s.add(magnitude, magnitude));
    let far = s.sub(s.splat(1.0), s.div(s.splat(2.0), s.add(e, s.splat(1.0))));
    let far = s.select_gt(zero, x, s.sub(zero, far), far);
    let square = s.mul(x, x);
    let coefficients = [2.063_909e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1];
    let p = polynomial(s, square, -5.704_988_6e-3, coefficients);
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

/// `ln(1 + e^x)`, the smooth rectifier: 0 at minus infinity, infinity at infinity, NaN for NaN.
///
/// `max(x, 0) + ln(1 + u)` with `u = e^-|x|`, which is at most 1, so that nothing overflows; and `ln(1 + u) = 2 artanh(q)`
/// with `q = u / (2 + u)`, which is at most 1/3. The polynomial for `artanh(q) / q` was fitted for this file by iteratively
/// reweighted least squares, which minimise the largest error: 1.1e-10.
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    let u = exp(s, s.sub(zero, magnitude(s, x)));
    let q = s.div(u, s.add(u, s.splat(2.0)));
    let square = s.mul(q, q);
    let coefficients = [0.107_138_28, 0.143_084_42, 0.199_994_39, 0.333_333_37];
    let p = polynomial(s, square, 0.121_504_694, coefficients);
    let twice = s.add(q, q);
    let log = s.mul_add(s.mul(p, square), twice, twice);
    s.add(s.max(zero, x), log)
}

/// The error function, `2 / sqrt(pi)` times the integral of `e^-t^2` from 0 to `x`; -1 and 1 at the infinities, NaN for
/// NaN.
///
/// `x P(x^2) / Q(x^2)` up to 3.92, above which the result rounds to 1. `P` and `Q` were fitted for this file by iteratively
/// reweighted least squares, which minimise the largest relative error: 5.6e-8.
// The last coefficient is near `2 / sqrt(pi)` but not equal to it, as it was fitted with the others.
#[allow(clippy::approx_constant)]
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let square = s.mul(x, x);
    let coefficients =
        [-1.950_878e-6, 1.438_063_3e-4, 3.807_742_4e-3, 5.092_296_4e-2, 2.025_807_6e-1, 1.128_379_1];
    let p = polynomial(s, square, 1.960_366_4e-8, coefficients);
    let q = polynomial(s, square, 9.798_205e-4, [1.457_555_6e-2, 1.160_936_1e-1, 5.128_640_5e-1, 1.0]);
    let near = s.div(s.mul(x, p), q);
    let y = s.select_gt(x, s.splat(3.92), s.splat(1.0), near);
    s.select_gt(s.splat(-3.92), x, s.splat(-1.0), y)
}

/// `|x|`, NaN for NaN.
#[inline(always)]
fn magnitude<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    s.select_gt(zero, x, s.sub(zero, x), x)
}
