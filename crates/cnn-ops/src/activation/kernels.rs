//! The functions and their derivatives on vectors: kernels from the table of activations, and helpers of its formulas.

use super::{Approximate, scalar};
use cnn_tensor::kernel;
use cnn_tensor::simd::{IMAGES, Simd, math};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// For each activation a module with two kernels: `apply` replaces every `x` by `y`, `differentiate` every `dy` by `dx`.
macro_rules! kernels {
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
        $(pub(super) mod $name {
            use super::*;

            kernel! {
                pub fn apply<S>($s, $($($option: $ty,)*)? x: &mut [f32]) {
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

            kernel! {
                pub fn differentiate<S>($t, $($($option: $ty,)*)? kept: &[f32], dy: &mut [f32]) {
                    let (mut kepts, mut dys) = (kept.chunks_exact(S::LANES), dy.chunks_exact_mut(S::LANES));
                    for (kept, dy) in kepts.by_ref().zip(dys.by_ref()) {
                        let ($kept, $dy) = ($t.load(kept), $t.load(dy));
                        $t.store($dx, dy);
                    }
                    let (kept, dy) = (kepts.remainder(), dys.into_remainder());
                    let ($kept, $dy) = ($t.load_partial(kept), $t.load_partial(dy));
                    $t.store_partial($dx, dy);
                }
            }
        })*
    };
}
crate::for_each_activation!(kernels!);

/// The amplitude of `scaled_tanh`.
pub(super) const AMPLITUDE: f32 = 1.7159;
/// The inner scale of `scaled_tanh`.
const INNER: f32 = 2.0 / 3.0;

/// The largest number below 3: `x > BELOW_3` says `x >= 3`.
const BELOW_3: f32 = 3.0f32.next_down();
const ABOVE_MINUS_3: f32 = -BELOW_3;

const SQRT_2_OVER_PI: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f32 = 0.044_715;

/// The slope of `selu` above 0.
const SELU_SCALE: f32 = 1.050_700_987_355_480_5_f64 as f32;
/// Minus the limit of `selu` at minus infinity: its scale times its alpha.
const SELU_LIMIT: f32 = (1.050_700_987_355_480_5 * 1.673_263_242_354_377_2_f64) as f32;

/// `(1 + erf(x / sqrt(2))) / 2`.
#[inline(always)]
fn normal<S: Simd>(s: S, x: S::V) -> S::V {
    half_more(s, math::erf(s, s.mul(x, s.splat(FRAC_1_SQRT_2))))
}

/// The derivative of `gelu`.
#[inline(always)]
fn gelu_slope<S: Simd>(s: S, x: S::V) -> S::V {
    let exponent = s.mul(s.mul(s.splat(-0.5), x), x);
    let density = s.mul(s.splat(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2), math::exp(s, exponent));
    s.mul_add(x, density, normal(s, x))
}

/// The derivative of `gelu`'s approximation.
#[inline(always)]
fn gelu_tanh_slope<S: Simd>(s: S, x: S::V) -> S::V {
    // Beyond 10 the tanh is 1 to the last bit; the squares of large numbers must not overflow.
    let z = s.min(s.splat(10.0), s.max(s.splat(-10.0), x));
    let t = math::tanh(s, gelu_argument(s, z));
    let du = s.mul_add(s.mul(s.splat(3.0 * CUBIC), z), z, s.splat(1.0));
    let dt = s.mul(s.sub(s.splat(1.0), s.mul(t, t)), s.mul(s.splat(SQRT_2_OVER_PI), du));
    s.mul_add(s.mul(s.splat(0.5), dt), x, half_more(s, t))
}

/// `(1 + x) / 2`.
#[inline(always)]
fn half_more<S: Simd>(s: S, x: S::V) -> S::V {
    let half = s.splat(0.5);
    s.mul_add(half, x, half)
}

/// `sqrt(2 / pi) (x + 0.044715 x^3)`.
#[inline(always)]
fn gelu_argument<S: Simd>(s: S, x: S::V) -> S::V {
    let square = s.mul(x, x);
    let bracket = s.mul_add(s.splat(CUBIC), square, s.splat(1.0));
    s.mul(s.mul(s.splat(SQRT_2_OVER_PI), x), bracket)
}

/// Whether the options of a hard sigmoid are the defaults, for which it is [`hard_sigmoid_of`].
#[inline(always)]
fn is_sixth(alpha: f32, beta: f32) -> bool {
    alpha == 1.0 / 6.0 && beta == 0.5
}

/// An option of `hardtanh` as a bound: infinite where it stands for none.
#[inline(always)]
pub(super) fn bound(option: f32) -> f32 {
    match option {
        f32::MAX => f32::INFINITY,
        f32::MIN => f32::NEG_INFINITY,
        bound => bound,
    }
}

/// `|x|`, NaN for NaN.
#[inline(always)]
fn absolute<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    s.select_gt(x, zero, x, s.sub(zero, x))
}

/// `f` of each number of a vector, where there is no vector function.
#[inline(always)]
fn lane_by_lane<S: Simd>(s: S, x: S::V, f: impl Fn(f32) -> f32) -> S::V {
    let mut lanes = [0.0; IMAGES];
    let lanes = &mut lanes[..S::LANES];
    s.store(x, lanes);
    lanes.iter_mut().for_each(|x| *x = f(*x));
    s.load(lanes)
}

/// `x^exponent`.
#[inline(always)]
fn power_of<S: Simd>(s: S, x: S::V, exponent: f32) -> S::V {
    match exponent {
        1.0 => x,
        2.0 => s.mul(x, x),
        3.0 => s.mul(s.mul(x, x), x),
        _ => lane_by_lane(s, x, |x| scalar::power(x, exponent)),
    }
}

/// `min(max(x + 3, 0), 6) / 6`.
#[inline(always)]
fn hard_sigmoid_of<S: Simd>(s: S, x: S::V) -> S::V {
    let sum = s.add(x, s.splat(3.0));
    s.mul(s.min(s.splat(6.0), s.max(s.splat(0.0), sum)), s.splat(1.0 / 6.0))
}
