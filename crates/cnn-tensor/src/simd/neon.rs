//! NEON: 4 lanes, 32 registers.

use super::{Kernel, Level, Simd};
use std::arch::aarch64::*;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

impl super::sealed::Token for Neon {}

const LANES: usize = 4;

impl Neon {
    /// The token if the CPU has the instructions, else `None`.
    pub fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn shim<K: Kernel>(s: Neon, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: a `Neon` exists only if the CPU has neon.
        #[allow(unused_unsafe)]
        unsafe {
            shim(self, kernel)
        }
    }
}

// SAFETY of every block without a note: it does arithmetic in registers, with instructions that the CPU has because a `Neon`
// exists. Blocks that access memory say why they may.
#[allow(clippy::undocumented_unsafe_blocks, unused_unsafe)]
impl Simd for Neon {
    const LANES: usize = LANES;
    const REGISTERS: usize = 32;
    type V = float32x4_t;
    type W = [float64x2_t; 2];
    const FUSED: bool = true;

    #[inline(always)]
    fn level(self) -> Level {
        Level::Neon(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> float32x4_t {
        let src = &src[..LANES];
        // SAFETY: the load needs no alignment but an f32's and reads the `LANES` numbers that `src` was cut to.
        unsafe { vld1q_f32(src.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: float32x4_t, dst: &mut [f32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the store needs no alignment but an f32's and writes the `LANES` numbers that `dst` was cut to.
        unsafe { vst1q_f32(dst.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32]) -> float32x4_t {
        let mut all = [0.0; LANES];
        all[..src.len()].copy_from_slice(src);
        self.load(&all)
    }
    #[inline(always)]
    fn store_partial(self, v: float32x4_t, dst: &mut [f32]) {
        let mut all = [0.0; LANES];
        self.store(v, &mut all);
        dst.copy_from_slice(&all[..dst.len()]);
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select_gt(a, b, a, b)
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select_gt(b, a, a, b)
    }
    #[inline(always)]
    fn select_gt(self, a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(a, b), yes, no) }
    }
    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        unsafe { vrndnq_f32(a) }
    }
    #[inline(always)]
    fn pow2(self, a: float32x4_t) -> float32x4_t {
        unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(a), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(a) }
    }

    #[inline(always)]
    fn select_number(self, a: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vceqq_f32(a, a), yes, no) }
    }
    #[inline(always)]
    fn widen(self, a: float32x4_t) -> Self::W {
        unsafe { [vcvt_f64_f32(vget_low_f32(a)), vcvt_high_f64_f32(a)] }
    }
    #[inline(always)]
    fn splat_wide(self, x: f64) -> Self::W {
        unsafe { [vdupq_n_f64(x); 2] }
    }
    #[inline(always)]
    fn add_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [vaddq_f64(a[0], b[0]), vaddq_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [vsubq_f64(a[0], b[0]), vsubq_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [vmulq_f64(a[0], b[0]), vmulq_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn store_wide(self, a: Self::W, dst: &mut [f64]) {
        let dst = &mut dst[..LANES];
        // SAFETY: each store writes one half of the `LANES` numbers that `dst` was cut to.
        unsafe {
            vst1q_f64(dst.as_mut_ptr(), a[0]);
            vst1q_f64(dst[LANES / 2..].as_mut_ptr(), a[1]);
        }
    }
    #[inline(always)]
    fn unzip(self, a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vuzp1q_f32(a, b), vuzp2q_f32(a, b)) }
    }
    #[inline(always)]
    fn zip(self, even: float32x4_t, odd: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vzip1q_f32(even, odd), vzip2q_f32(even, odd)) }
    }
    #[inline(always)]
    fn clear(self, bits: u32, a: float32x4_t) -> float32x4_t {
        let lanes: [u32; LANES] = [1, 2, 4, 8];
        // SAFETY: the load reads all of `lanes`; the rest is arithmetic in registers.
        unsafe {
            let set = vtstq_u32(vdupq_n_u32(bits), vld1q_u32(lanes.as_ptr()));
            vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), set))
        }
    }
    #[inline(always)]
    fn load_bytes(self, src: &[u8]) -> float32x4_t {
        self.load(&src.first_chunk::<LANES>().expect("a whole vector").map(f32::from))
    }
    #[inline(always)]
    fn store_bytes(self, v: float32x4_t, dst: &mut [u8]) {
        let mut all = [0.0; LANES];
        self.store(v, &mut all);
        *dst.first_chunk_mut().expect("a whole vector") = all.map(|v| v as u8);
    }
}
