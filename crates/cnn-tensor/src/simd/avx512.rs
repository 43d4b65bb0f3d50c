//! AVX-512F: 16 lanes, 32 registers.

use super::{IMAGES, Kernel, Level, Simd};
use std::arch::x86_64::*;

/// Proof that the CPU has AVX-512F, AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl super::sealed::Token for Avx512 {}

const LANES: usize = 16;

impl Avx512 {
    /// The token if the CPU has the instructions, else `None`.
    pub fn detect() -> Option<Self> {
        let has = super::Avx2::detect().is_some() && is_x86_feature_detected!("avx512f");
        has.then_some(Self(()))
    }

    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn shim<K: Kernel>(s: Avx512, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: an `Avx512` exists only if the CPU has avx512f, avx2 and fma.
        unsafe { shim(self, kernel) }
    }
}

/// The mask of the first `n` lanes.
///
/// # Panics
/// `n` exceeds `LANES`.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    assert!(n <= LANES);
    ((1u32 << n) - 1) as __mmask16
}

/// The transpose of a 16 x 16 block.
#[inline(always)]
fn transpose(_: Avx512, mut r: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: arithmetic in registers; the token proves that the CPU has AVX-512F.
    unsafe {
        // First, 4 x 4 blocks are transposed within each 128-bit quarter.
        for i in (0..16).step_by(4) {
            let a = _mm512_unpacklo_ps(r[i], r[i + 1]);
            let b = _mm512_unpackhi_ps(r[i], r[i + 1]);
            let c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]);
            let d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
            r[i] = _mm512_shuffle_ps::<0x44>(a, c);
            r[i + 1] = _mm512_shuffle_ps::<0xEE>(a, c);
            r[i + 2] = _mm512_shuffle_ps::<0x44>(b, d);
            r[i + 3] = _mm512_shuffle_ps::<0xEE>(b, d);
        }
        // Then the 4 x 4 quarters are transposed as wholes.
        let mut t = r;
        for i in 0..4 {
            let a = _mm512_shuffle_f32x4::<0x88>(r[i], r[i + 4]);
            let b = _mm512_shuffle_f32x4::<0xDD>(r[i], r[i + 4]);
            let c = _mm512_shuffle_f32x4::<0x88>(r[i + 8], r[i + 12]);
            let d = _mm512_shuffle_f32x4::<0xDD>(r[i + 8], r[i + 12]);
            t[i] = _mm512_shuffle_f32x4::<0x88>(a, c);
            t[i + 4] = _mm512_shuffle_f32x4::<0x88>(b, d);
            t[i + 8] = _mm512_shuffle_f32x4::<0xDD>(a, c);
            t[i + 12] = _mm512_shuffle_f32x4::<0xDD>(b, d);
        }
        t
    }
}

// SAFETY of every block without a note: it does arithmetic in registers, with instructions that the CPU has because an
// `Avx512` exists. Blocks that access memory say why they may.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx512 {
    const LANES: usize = LANES;
    const REGISTERS: usize = 32;
    type V = __m512;
    type W = [__m512d; 2];
    const FUSED: bool = true;

    #[inline(always)]
    fn level(self) -> Level {
        Level::Avx512(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> __m512 {
        let src = &src[..LANES];
        // SAFETY: the load needs no alignment and reads the `LANES` numbers that `src` was cut to.
        unsafe { _mm512_loadu_ps(src.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: __m512, dst: &mut [f32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the store needs no alignment and writes the `LANES` numbers that `dst` was cut to.
        unsafe { _mm512_storeu_ps(dst.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32]) -> __m512 {
        let mask = first(src.len());
        // SAFETY: the load needs no alignment, and reads only the lanes that `mask` sets: the first `src.len()`, as `first`
        // panics above `LANES`.
        unsafe { _mm512_maskz_loadu_ps(mask, src.as_ptr()) }
    }
    #[inline(always)]
    fn store_partial(self, v: __m512, dst: &mut [f32]) {
        let mask = first(dst.len());
        // SAFETY: as in `load_partial`, for `dst` and writing.
        unsafe { _mm512_mask_storeu_ps(dst.as_mut_ptr(), mask, v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn select_gt(self, a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), no, yes) }
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn pow2(self, a: __m512) -> __m512 {
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(a) }
    }

    #[inline(always)]
    fn select_eq(self, a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), no, yes) }
    }
    #[inline(always)]
    fn select_number(self, a: __m512, yes: __m512, no: __m512) -> __m512 {
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(a, a), no, yes) }
    }
    #[inline(always)]
    fn widen(self, a: __m512) -> Self::W {
        unsafe {
            [
                _mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(a)))),
            ]
        }
    }
    #[inline(always)]
    fn splat_wide(self, x: f64) -> Self::W {
        unsafe { [_mm512_set1_pd(x); 2] }
    }
    #[inline(always)]
    fn add_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [_mm512_add_pd(a[0], b[0]), _mm512_add_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [_mm512_sub_pd(a[0], b[0]), _mm512_sub_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [_mm512_mul_pd(a[0], b[0]), _mm512_mul_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn store_wide(self, a: Self::W, dst: &mut [f64]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the stores need no alignment, and each writes one half of the `LANES` numbers that `dst` was cut to.
        unsafe {
            _mm512_storeu_pd(dst.as_mut_ptr(), a[0]);
            _mm512_storeu_pd(dst[LANES / 2..].as_mut_ptr(), a[1]);
        }
    }
    #[inline(always)]
    fn unzip(self, a: __m512, b: __m512) -> (__m512, __m512) {
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            (_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b))
        }
    }
    #[inline(always)]
    fn zip(self, even: __m512, odd: __m512) -> (__m512, __m512) {
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            (_mm512_permutex2var_ps(even, low, odd), _mm512_permutex2var_ps(even, high, odd))
        }
    }
    #[inline(always)]
    fn clear(self, bits: u32, a: __m512) -> __m512 {
        unsafe { _mm512_maskz_mov_ps(!(bits as __mmask16), a) }
    }
    #[inline(always)]
    fn load_bytes(self, src: &[u8]) -> __m512 {
        let src = &src[..LANES];
        // SAFETY: the load needs no alignment and reads the 16 bytes that `src` was cut to.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(src.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn store_bytes(self, v: __m512, dst: &mut [u8]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the store needs no alignment and writes the 16 bytes that `dst` was cut to.
        unsafe { _mm_storeu_si128(dst.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(v))) }
    }

    #[inline(always)]
    fn transpose(self, rows: &[&[f32]], dst: &mut [f32], stride: usize) {
        assert!(rows.len() <= LANES, "at most a vector of rows");
        let cols = rows.first().map_or(0, |row| row.len());
        let mut col = 0;
        while col < cols {
            let width = (cols - col).min(LANES);
            let mut block = [self.splat(0.0); LANES];
            for (v, row) in block.iter_mut().zip(rows) {
                *v = if width == LANES {
                    self.load(&row[col..])
                } else {
                    self.load_partial(&row[col..col + width])
                };
            }
            for (i, v) in transpose(self, block).into_iter().enumerate() {
                if i < width {
                    self.store(v, &mut dst[(col + i) * stride..]);
                }
            }
            col += width;
        }
    }
    #[inline(always)]
    fn images_to_lanes(self, src: &[f32], stride: usize, cols: usize, dst: &mut [f32]) {
        assert!(dst.len() >= cols * IMAGES);
        let mut col = 0;
        while col < cols {
            let width = (cols - col).min(LANES);
            let mut block = [self.splat(0.0); LANES];
            for (image, v) in block.iter_mut().enumerate() {
                *v = self.load_partial(&src[image * stride + col..][..width]);
            }
            for (i, v) in transpose(self, block).into_iter().enumerate() {
                if i < width {
                    self.store(v, &mut dst[(col + i) * IMAGES..]);
                }
            }
            col += width;
        }
    }
    #[inline(always)]
    fn lanes_to_images(self, src: &[f32], cols: usize, dst: &mut [f32], stride: usize) {
        let mut col = 0;
        while col < cols {
            let width = (cols - col).min(LANES);
            let mut block = [self.splat(0.0); LANES];
            for (i, v) in block.iter_mut().enumerate() {
                if i < width {
                    *v = self.load(&src[(col + i) * IMAGES..]);
                }
            }
            for (image, v) in transpose(self, block).into_iter().enumerate() {
                self.store_partial(v, &mut dst[image * stride + col..][..width]);
            }
            col += width;
        }
    }
}
