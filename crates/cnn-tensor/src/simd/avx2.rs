//! AVX2 with FMA: 8 lanes, 16 registers.

use super::{IMAGES, Kernel, Level, Simd};
use std::arch::x86_64::*;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl super::sealed::Token for Avx2 {}

const LANES: usize = 8;

impl Avx2 {
    /// The token if the CPU has the instructions, else `None`.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn shim<K: Kernel>(s: Avx2, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: an `Avx2` exists only if the CPU has avx2 and fma.
        unsafe { shim(self, kernel) }
    }
}

/// The mask of the first `n` lanes, for masked loads and stores.
///
/// # Panics
/// `n` exceeds `LANES`.
#[inline(always)]
fn first(_: Avx2, n: usize) -> __m256i {
    const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let window = &ONES_THEN_ZEROS[LANES - n..][..LANES];
    // SAFETY: the load needs no alignment and reads the 8 integers of `window`; the token proves that the CPU has AVX2.
    unsafe { _mm256_loadu_si256(window.as_ptr().cast()) }
}

/// The transpose of an 8 x 8 block.
#[inline(always)]
fn transpose(_: Avx2, r: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: arithmetic in registers; the token proves that the CPU has AVX2.
    unsafe {
        let lo = |a, b| _mm256_unpacklo_ps(a, b);
        let hi = |a, b| _mm256_unpackhi_ps(a, b);
        let t = [
            lo(r[0], r[1]),
            hi(r[0], r[1]),
            lo(r[2], r[3]),
            hi(r[2], r[3]),
            lo(r[4], r[5]),
            hi(r[4], r[5]),
            lo(r[6], r[7]),
            hi(r[6], r[7]),
        ];
        let low = |a, b| _mm256_shuffle_ps::<0x44>(a, b);
        let high = |a, b| _mm256_shuffle_ps::<0xEE>(a, b);
        let u = [
            low(t[0], t[2]),
            high(t[0], t[2]),
            low(t[1], t[3]),
            high(t[1], t[3]),
            low(t[4], t[6]),
            high(t[4], t[6]),
            low(t[5], t[7]),
            high(t[5], t[7]),
        ];
        let near = |a, b| _mm256_permute2f128_ps::<0x20>(a, b);
        let far = |a, b| _mm256_permute2f128_ps::<0x31>(a, b);
        [
            near(u[0], u[4]),
            near(u[1], u[5]),
            near(u[2], u[6]),
            near(u[3], u[7]),
            far(u[0], u[4]),
            far(u[1], u[5]),
            far(u[2], u[6]),
            far(u[3], u[7]),
        ]
    }
}

// SAFETY of every block without a note: it does arithmetic in registers, with instructions that the CPU has because an
// `Avx2` exists. Blocks that access memory say why they may.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx2 {
    const LANES: usize = LANES;
    const REGISTERS: usize = 16;
    type V = __m256;
    type W = [__m256d; 2];
    const FUSED: bool = true;

    #[inline(always)]
    fn level(self) -> Level {
        Level::Avx2(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> __m256 {
        let src = &src[..LANES];
        // SAFETY: the load needs no alignment and reads the `LANES` numbers that `src` was cut to.
        unsafe { _mm256_loadu_ps(src.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: __m256, dst: &mut [f32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the store needs no alignment and writes the `LANES` numbers that `dst` was cut to.
        unsafe { _mm256_storeu_ps(dst.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32]) -> __m256 {
        let mask = first(self, src.len());
        // SAFETY: the load needs no alignment, and reads only the lanes that `mask` sets: the first `src.len()`, as `first`
        // panics above `LANES`.
        unsafe { _mm256_maskload_ps(src.as_ptr(), mask) }
    }
    #[inline(always)]
    fn store_partial(self, v: __m256, dst: &mut [f32]) {
        let mask = first(self, dst.len());
        // SAFETY: as in `load_partial`, for `dst` and writing.
        unsafe { _mm256_maskstore_ps(dst.as_mut_ptr(), mask, v) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn select_gt(self, a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn pow2(self, a: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn select_eq(self, a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)) }
    }
    #[inline(always)]
    fn select_number(self, a: __m256, yes: __m256, no: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_ORD_Q>(a, a)) }
    }
    #[inline(always)]
    fn widen(self, a: __m256) -> Self::W {
        unsafe {
            [_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a))]
        }
    }
    #[inline(always)]
    fn splat_wide(self, x: f64) -> Self::W {
        unsafe { [_mm256_set1_pd(x); 2] }
    }
    #[inline(always)]
    fn add_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [_mm256_add_pd(a[0], b[0]), _mm256_add_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [_mm256_sub_pd(a[0], b[0]), _mm256_sub_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_wide(self, a: Self::W, b: Self::W) -> Self::W {
        unsafe { [_mm256_mul_pd(a[0], b[0]), _mm256_mul_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn store_wide(self, a: Self::W, dst: &mut [f64]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the stores need no alignment, and each writes one half of the `LANES` numbers that `dst` was cut to.
        unsafe {
            _mm256_storeu_pd(dst.as_mut_ptr(), a[0]);
            _mm256_storeu_pd(dst[LANES / 2..].as_mut_ptr(), a[1]);
        }
    }
    #[inline(always)]
    fn unzip(self, a: __m256, b: __m256) -> (__m256, __m256) {
        unsafe {
            // First within each half, then the quarters are put in order.
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(a, b));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xDD>(a, b));
            let order = |v| _mm256_castpd_ps(_mm256_permute4x64_pd::<0xD8>(v));
            (order(even), order(odd))
        }
    }
    #[inline(always)]
    fn zip(self, even: __m256, odd: __m256) -> (__m256, __m256) {
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd));
            (_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
        }
    }
    #[inline(always)]
    fn clear(self, bits: u32, a: __m256) -> __m256 {
        unsafe {
            let lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits as i32), lanes), lanes);
            _mm256_andnot_ps(_mm256_castsi256_ps(set), a)
        }
    }
    #[inline(always)]
    fn load_bytes(self, src: &[u8]) -> __m256 {
        let src = &src[..LANES];
        // SAFETY: the load needs no alignment and reads the 8 bytes that `src` was cut to.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(src.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn store_bytes(self, v: __m256, dst: &mut [u8]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the store needs no alignment and writes the 8 bytes that `dst` was cut to.
        unsafe {
            let v = _mm256_cvttps_epi32(v);
            let words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm_storel_epi64(dst.as_mut_ptr().cast(), _mm_packus_epi16(words, words));
        }
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
            for half in [0, LANES] {
                let mut block = [self.splat(0.0); LANES];
                for (image, v) in block.iter_mut().enumerate() {
                    *v = self.load_partial(&src[(half + image) * stride + col..][..width]);
                }
                let block = transpose(self, block);
                for (i, v) in block.into_iter().enumerate() {
                    if i < width {
                        self.store(v, &mut dst[(col + i) * IMAGES + half..]);
                    }
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
            for half in [0, LANES] {
                let mut block = [self.splat(0.0); LANES];
                for (i, v) in block.iter_mut().enumerate() {
                    if i < width {
                        *v = self.load(&src[(col + i) * IMAGES + half..]);
                    }
                }
                for (image, v) in transpose(self, block).into_iter().enumerate() {
                    self.store_partial(v, &mut dst[(half + image) * stride + col..][..width]);
                }
            }
            col += width;
        }
    }
}
