//! The functions and their derivatives on vectors.

use cnn_tensor::kernel;
use cnn_tensor::simd::{Simd, math};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// The amplitude of `scaled_tanh`.
pub(super) const A: f32 = 1.7159;
/// The inner scale of `scaled_tanh`.
const B: f32 = 2.0 / 3.0;

/// Declares a kernel that replaces every element by an expression of it, a vector at a time.
macro_rules! elementwise {
    ($name:ident($($option:ident),*), $s:ident, $x:ident => $y:expr) => {
        kernel! {
            pub(super) fn $name<S>($s, $($option: f32,)* x: &mut [f32]) {
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
    };
}

/// The same with a second operand that is only read: `dy` becomes an expression of what was kept and `dy`.
macro_rules! elementwise_backward {
    ($name:ident($($option:ident),*), $s:ident, $kept:ident, $dy:ident => $dx:expr) => {
        kernel! {
            pub(super) fn $name<S>($s, $($option: f32,)* kept: &[f32], dy: &mut [f32]) {
                let (mut kepts, mut dys) = (kept.chunks_exact(S::LANES), dy.chunks_exact_mut(S::LANES));
                for (kept, dy) in kepts.by_ref().zip(dys.by_ref()) {
                    let ($kept, $dy) = ($s.load(kept), $s.load(dy));
                    $s.store($dx, dy);
                }
                let (kept, dy) = (kepts.remainder(), dys.into_remainder());
                let ($kept, $dy) = ($s.load_partial(kept), $s.load_partial(dy));
                $s.store_partial($dx, dy);
            }
        }
    };
}

// `max` and `min` keep a NaN in their second operand.
elementwise!(relu(), s, x => s.max(s.splat(0.0), x));
elementwise!(relu6(), s, x => s.min(s.splat(6.0), s.max(s.splat(0.0), x)));
elementwise!(leaky_relu(slope), s, x => s.select_gt(x, s.splat(0.0), x, s.mul(s.splat(slope), x)));
elementwise!(elu(alpha), s, x => {
    s.select_gt(x, s.splat(0.0), x, s.mul(s.splat(alpha), math::expm1(s, x)))
});
elementwise!(sigmoid(), s, x => math::sigmoid(s, x));
elementwise!(tanh(), s, x => math::tanh(s, x));
elementwise!(scaled_tanh(), s, x => s.mul(s.splat(A), math::tanh(s, s.mul(s.splat(B), x))));
elementwise!(softplus(beta, threshold), s, x => {
    let z = s.mul(s.splat(beta), x);
    s.select_gt(z, s.splat(threshold), x, s.div(math::softplus(s, z), s.splat(beta)))
});
elementwise!(gelu(), s, x => s.mul(x, normal(s, x)));
elementwise!(gelu_tanh(), s, x => s.mul(x, half_more(s, math::tanh(s, gelu_argument(s, x)))));
elementwise!(silu(), s, x => s.mul(x, math::sigmoid(s, x)));
elementwise!(hard_sigmoid(), s, x => hard_sigmoid_of(s, x));
elementwise!(hard_swish(), s, x => s.mul(x, hard_sigmoid_of(s, x)));

elementwise_backward!(relu_backward(), s, y, dy => s.select_gt(y, s.splat(0.0), dy, s.splat(0.0)));
elementwise_backward!(relu6_backward(), s, y, dy => {
    let zero = s.splat(0.0);
    s.select_gt(y, zero, s.select_gt(s.splat(6.0), y, dy, zero), zero)
});
elementwise_backward!(leaky_relu_backward(slope), s, kept, dy => {
    s.select_gt(kept, s.splat(0.0), dy, s.mul(s.splat(slope), dy))
});
// alpha e^x = y + alpha.
elementwise_backward!(elu_backward(alpha), s, y, dy => {
    s.select_gt(y, s.splat(0.0), dy, s.mul(dy, s.add(y, s.splat(alpha))))
});
elementwise_backward!(elu_backward_from_input(alpha), s, x, dy => {
    s.select_gt(x, s.splat(0.0), dy, s.mul(dy, s.mul(s.splat(alpha), math::exp(s, x))))
});
elementwise_backward!(sigmoid_backward(), s, y, dy => s.mul(dy, s.mul(y, s.sub(s.splat(1.0), y))));
elementwise_backward!(tanh_backward(), s, y, dy => s.mul(dy, s.sub(s.splat(1.0), s.mul(y, y))));
elementwise_backward!(scaled_tanh_backward(), s, y, dy => {
    s.mul(dy, s.sub(s.splat(A * B), s.mul(s.splat(B / A), s.mul(y, y))))
});
elementwise_backward!(softplus_backward(beta, threshold), s, x, dy => {
    let z = s.mul(s.splat(beta), x);
    s.select_gt(z, s.splat(threshold), dy, s.mul(dy, math::sigmoid(s, z)))
});
elementwise_backward!(gelu_backward(), s, x, dy => {
    let exponent = s.mul(s.mul(s.splat(-0.5), x), x);
    let density = s.mul(s.splat(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2), math::exp(s, exponent));
    s.mul(dy, s.mul_add(x, density, normal(s, x)))
});
elementwise_backward!(gelu_tanh_backward(), s, x, dy => {
    // Beyond 10 the tanh is 1 to the last bit; the squares of large numbers shall not overflow.
    let z = s.min(s.splat(10.0), s.max(s.splat(-10.0), x));
    let t = math::tanh(s, gelu_argument(s, z));
    let du = s.mul_add(s.mul(s.splat(3.0 * CUBIC), z), z, s.splat(1.0));
    let dt = s.mul(s.sub(s.splat(1.0), s.mul(t, t)), s.mul(s.splat(SQRT_2_OVER_PI), du));
    s.mul(dy, s.mul_add(s.mul(s.splat(0.5), dt), x, half_more(s, t)))
});
elementwise_backward!(silu_backward(), s, x, dy => {
    let one = s.splat(1.0);
    let y = math::sigmoid(s, x);
    s.mul(dy, s.mul(y, s.mul_add(x, s.sub(one, y), one)))
});
elementwise_backward!(hard_sigmoid_backward(), s, x, dy => {
    let (zero, sixth) = (s.splat(0.0), s.mul(dy, s.splat(1.0 / 6.0)));
    s.select_gt(x, s.splat(-3.0), s.select_gt(s.splat(3.0), x, sixth, zero), zero)
});
elementwise_backward!(hard_swish_backward(), s, x, dy => {
    let slope = s.mul_add(x, s.splat(1.0 / 3.0), s.splat(0.5));
    // From the inside out, so that a NaN, which compares false, is left with the middle.
    let below_3 = s.select_gt(x, s.splat(BELOW_3), dy, s.mul(dy, slope));
    s.select_gt(s.splat(ABOVE_MINUS_3), x, s.splat(0.0), below_3)
});

/// The largest number below 3: `x > BELOW_3` says `x >= 3`.
const BELOW_3: f32 = 3.0f32.next_down();
const ABOVE_MINUS_3: f32 = -BELOW_3;

const SQRT_2_OVER_PI: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f32 = 0.044_715;

/// `(1 + erf(x / sqrt(2))) / 2`.
#[inline(always)]
fn normal<S: Simd>(s: S, x: S::V) -> S::V {
    half_more(s, math::erf(s, s.mul(x, s.splat(FRAC_1_SQRT_2))))
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

/// `min(max(x + 3, 0), 6) / 6`.
#[inline(always)]
fn hard_sigmoid_of<S: Simd>(s: S, x: S::V) -> S::V {
    let sum = s.add(x, s.splat(3.0));
    s.mul(s.min(s.splat(6.0), s.max(s.splat(0.0), sum)), s.splat(1.0 / 6.0))
}
