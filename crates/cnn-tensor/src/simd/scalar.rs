//! The portable level: plain Rust, 4 lanes, which compilers may turn into vectors of the baseline.

use super::{Level, Simd};

/// The token of the portable level, which every CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar;

impl super::sealed::Token for Scalar {}

const LANES: usize = 4;
type V = [f32; LANES];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn each(a: V, f: impl Fn(f32) -> f32) -> V {
    zip(a, a, |a, _| f(a))
}

impl Simd for Scalar {
    const LANES: usize = LANES;
    const REGISTERS: usize = 16;
    type V = V;
    type W = [f64; LANES];
    const FUSED: bool = false;

    #[inline(always)]
    fn level(self) -> Level {
        Level::Scalar(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> V {
        *src.first_chunk().expect("a whole vector")
    }
    #[inline(always)]
    fn store(self, v: V, dst: &mut [f32]) {
        *dst.first_chunk_mut().expect("a whole vector") = v;
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32]) -> V {
        let mut v = [0.0; LANES];
        v[..src.len()].copy_from_slice(src);
        v
    }
    #[inline(always)]
    fn store_partial(self, v: V, dst: &mut [f32]) {
        dst.copy_from_slice(&v[..dst.len()]);
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        each(a, f32::sqrt)
    }
    #[inline(always)]
    fn mul_add(self, a: V, b: V, c: V) -> V {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn select_gt(self, a: V, b: V, yes: V, no: V) -> V {
        let pick = |i: usize| if a[i] > b[i] { yes[i] } else { no[i] };
        [pick(0), pick(1), pick(2), pick(3)]
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        each(a, f32::round_ties_even)
    }
    #[inline(always)]
    fn pow2(self, a: V) -> V {
        each(a, |a| f32::from_bits(((a as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sum(self, a: V) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }

    #[inline(always)]
    fn select_number(self, a: V, yes: V, no: V) -> V {
        let pick = |i: usize| if a[i].is_nan() { no[i] } else { yes[i] };
        [pick(0), pick(1), pick(2), pick(3)]
    }
    #[inline(always)]
    fn widen(self, a: V) -> Self::W {
        a.map(f64::from)
    }
    #[inline(always)]
    fn splat_wide(self, x: f64) -> Self::W {
        [x; LANES]
    }
    #[inline(always)]
    fn add_wide(self, a: Self::W, b: Self::W) -> Self::W {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }
    #[inline(always)]
    fn sub_wide(self, a: Self::W, b: Self::W) -> Self::W {
        [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
    }
    #[inline(always)]
    fn mul_wide(self, a: Self::W, b: Self::W) -> Self::W {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }
    #[inline(always)]
    fn store_wide(self, a: Self::W, dst: &mut [f64]) {
        *dst.first_chunk_mut().expect("a whole vector") = a;
    }
    #[inline(always)]
    fn unzip(self, a: V, b: V) -> (V, V) {
        ([a[0], a[2], b[0], b[2]], [a[1], a[3], b[1], b[3]])
    }
    #[inline(always)]
    fn zip(self, even: V, odd: V) -> (V, V) {
        ([even[0], odd[0], even[1], odd[1]], [even[2], odd[2], even[3], odd[3]])
    }
    #[inline(always)]
    fn clear(self, bits: u32, a: V) -> V {
        let pick = |i: usize| if bits >> i & 1 == 0 { a[i] } else { 0.0 };
        [pick(0), pick(1), pick(2), pick(3)]
    }
    #[inline(always)]
    fn load_bytes(self, src: &[u8]) -> V {
        src.first_chunk::<LANES>().expect("a whole vector").map(f32::from)
    }
    #[inline(always)]
    fn store_bytes(self, v: V, dst: &mut [u8]) {
        *dst.first_chunk_mut().expect("a whole vector") = v.map(|v| v as u8);
    }
}
