//! SIMD chosen at run time: a plain `cargo build --release` is the fast build.
//!
//! A kernel is written once, generic over [`Simd`], inside the [`kernel!`](crate::kernel) macro. A call takes a [`Level`],
//! which holds the token of an instruction set. Tokens have private fields and come only from detection, so a token proves that
//! the CPU has the instructions. This is why kernels are safe code.
//!
//! `CNN_SIMD=scalar|avx2|avx512|neon` sets the level of a process, for tests and bug reports. Any other word, or a level that
//! the CPU lacks, is an error: see [`Level::from_env`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use scalar::Scalar;

use crate::{TensorError, environment};
use std::cell::Cell;
use std::sync::OnceLock;

/// An instruction set that this crate supports and the running CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Plain Rust, 4 lanes.
    Scalar(Scalar),
    /// AVX2 and FMA: 8 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512F: 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// NEON: 4 lanes.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl Level {
    /// The level to use here: that of [`with_level`] if inside it, else that of [`Level::from_env`].
    ///
    /// # Panics
    /// `CNN_SIMD` is none of the choices. A command that has called [`Level::from_env`] without an error never gets here.
    pub fn current() -> Self {
        static OF_PROCESS: OnceLock<Level> = OnceLock::new();
        forced().unwrap_or_else(|| {
            *OF_PROCESS.get_or_init(|| Self::from_env().unwrap_or_else(|error| panic!("{error}")))
        })
    }

    /// The level that environment variable `CNN_SIMD` names; the CPU's best if it is unset or empty.
    ///
    /// Commands call this at start, so that a wrong word is an error of one line: `CNN_SIMD: expected scalar, avx2 or avx512,
    /// got "axv2"`.
    ///
    /// ```
    /// use cnn_tensor::simd::Level;
    /// assert!(Level::all().contains(&Level::from_env()?));
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The variable holds a word that names no level of this CPU. The choices are the names of [`Level::all`].
    pub fn from_env() -> Result<Self, TensorError> {
        let choices: Vec<_> = Self::all().iter().map(|&level| (level.name(), level)).collect();
        let best = *Self::all().last().unwrap_or(&Self::Scalar(Scalar));
        Ok(environment::choice("CNN_SIMD", &choices)?.unwrap_or(best))
    }

    /// Every level of the running CPU, slowest first, for tests of all levels.
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Level>> = OnceLock::new();
        ALL.get_or_init(|| {
            let levels = [
                Some(Self::Scalar(Scalar)),
                #[cfg(target_arch = "x86_64")]
                Avx2::detect().map(Self::Avx2),
                #[cfg(target_arch = "x86_64")]
                Avx512::detect().map(Self::Avx512),
                #[cfg(target_arch = "aarch64")]
                Neon::detect().map(Self::Neon),
            ];
            levels.into_iter().flatten().collect()
        })
    }

    /// The name in `CNN_SIMD`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }

    /// Runs a kernel at this level. Functions declared by [`kernel!`](crate::kernel) call it.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Scalar(s) => kernel.run(s),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(s) => s.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(s) => s.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(s) => s.run(kernel),
        }
    }
}

thread_local!(static FORCED: Cell<Option<Level>> = const { Cell::new(None) });

/// The level forced on this thread, if any. `parallel` forces it on the threads that it uses.
pub(crate) fn forced() -> Option<Level> {
    FORCED.get()
}

/// Runs `f` with `level` as [`Level::current`], also in all parallel work that `f` starts. It is for tests that compare levels.
///
/// ```
/// use cnn_tensor::simd::{Level, with_level};
/// for &level in Level::all() {
///     with_level(level, || assert_eq!(Level::current(), level));
/// }
/// ```
pub fn with_level<R>(level: Level, f: impl FnOnce() -> R) -> R {
    with_forced(Some(level), f)
}

/// [`with_level`], or without a forced level if `level` is `None`.
pub(crate) fn with_forced<R>(level: Option<Level>, f: impl FnOnce() -> R) -> R {
    /// Restores the former level when `f` returns or panics.
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(level));
    f()
}

/// A computation written for any instruction set, as declared by [`kernel!`](crate::kernel).
pub trait Kernel {
    /// The type of the result.
    type Output;
    /// The body. Implementations must be `#[inline(always)]`, or they compile to baseline code, which is correct but eighty times
    /// slower.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Images per block in layouts with the images of a batch in the lanes: a whole number of vectors at every level.
pub const IMAGES: usize = 16;

mod sealed {
    /// The tokens of this crate's levels.
    pub trait Token {}
}

/// The vector operations that kernels are written in.
///
/// Loads and stores take slices and check their length, so every method is safe. The trait is sealed: only the tokens of this
/// crate's levels implement it, so kernels may rely on its constants.
pub trait Simd: Copy + sealed::Token {
    /// Numbers per vector: at most 16, a divisor of [`IMAGES`].
    const LANES: usize;
    /// Vector registers of the instruction set, 16 or 32, which limit the size of a register tile.
    const REGISTERS: usize;
    /// A vector.
    type V: Copy;
    /// A vector of as many numbers in f64, for sums that need its precision.
    type W: Copy;
    /// Whether [`Simd::mul_add`] rounds once.
    const FUSED: bool;

    /// The level of this token. A kernel can call another kernel with it, instead of inlining a copy.
    fn level(self) -> Level;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// The first `LANES` numbers of `src`.
    fn load(self, src: &[f32]) -> Self::V;
    /// Writes all lanes to the start of `dst`.
    fn store(self, v: Self::V, dst: &mut [f32]);
    /// All of `src`, at most `LANES` numbers, with zeros in the other lanes.
    fn load_partial(self, src: &[f32]) -> Self::V;
    /// Writes the first lanes to all of `dst`, at most `LANES` numbers.
    fn store_partial(self, v: Self::V, dst: &mut [f32]);

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// The square root.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a * b + c`; fused, with one rounding, where the level has FMA.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`: a NaN in `b` is kept, a NaN in `a` is not.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`: a NaN in `b` is kept, a NaN in `a` is not.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { yes } else { no }`; a NaN compares false.
    fn select_gt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// `if a == b { yes } else { no }`; a NaN equals nothing.
    #[inline(always)]
    fn select_eq(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        self.select_gt(
            a,
            b,
            no,
            self.select_gt(b, a, no, self.select_number(a, self.select_number(b, yes, no), no)),
        )
    }
    /// `if a is a number { yes } else { no }`: `no` where `a` is NaN.
    fn select_number(self, a: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// The nearest whole number, halves to even; for |a| below 2^22.
    fn round(self, a: Self::V) -> Self::V;
    /// `2^a` for whole `a` from -126 to 127.
    fn pow2(self, a: Self::V) -> Self::V;
    /// The sum of all lanes, always in the same order.
    fn sum(self, a: Self::V) -> f32;

    /// The same numbers in f64.
    fn widen(self, a: Self::V) -> Self::W;
    /// `x` in every lane, in f64.
    fn splat_wide(self, x: f64) -> Self::W;
    /// `a + b` in f64.
    fn add_wide(self, a: Self::W, b: Self::W) -> Self::W;
    /// `a - b` in f64.
    fn sub_wide(self, a: Self::W, b: Self::W) -> Self::W;
    /// `a * b` in f64.
    fn mul_wide(self, a: Self::W, b: Self::W) -> Self::W;
    /// Writes all lanes to the start of `dst`.
    fn store_wide(self, a: Self::W, dst: &mut [f64]);

    /// The lanes at even places, and those at odd places, of the lanes of `a` followed by those of `b`.
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// The inverse of [`Simd::unzip`]: the lanes of `even` and `odd` alternately.
    fn zip(self, even: Self::V, odd: Self::V) -> (Self::V, Self::V);
    /// `a` in lanes whose bit in `bits` is 0, and 0 in the others. The lowest bit belongs to the first lane.
    fn clear(self, bits: u32, a: Self::V) -> Self::V;
    /// The first `LANES` bytes of `src` as numbers.
    fn load_bytes(self, src: &[u8]) -> Self::V;
    /// Writes whole numbers from 0 to 255 to the start of `dst`, as bytes.
    fn store_bytes(self, v: Self::V, dst: &mut [u8]);

    /// Transposes at most [`Simd::LANES`] rows of one length: `dst[col * stride + i] = rows[i][col]`, with zeros for `i` from the
    /// number of rows to [`Simd::LANES`].
    ///
    /// # Panics
    /// There are too many rows, a row is shorter than the first, or `dst` is too short.
    #[inline(always)]
    fn transpose(self, rows: &[&[f32]], dst: &mut [f32], stride: usize) {
        assert!(rows.len() <= Self::LANES, "at most a vector of rows");
        for col in 0..rows.first().map_or(0, |row| row.len()) {
            let dst = &mut dst[col * stride..][..Self::LANES];
            dst[rows.len()..].fill(0.0);
            for (dst, row) in dst.iter_mut().zip(rows) {
                *dst = row[col];
            }
        }
    }

    /// Puts images into lanes: `dst[col * IMAGES + image] = src[image * stride + col]` for [`IMAGES`] images of `cols` numbers.
    ///
    /// # Panics
    /// `src` or `dst` is too short.
    #[inline(always)]
    fn images_to_lanes(self, src: &[f32], stride: usize, cols: usize, dst: &mut [f32]) {
        for (col, dst) in dst.as_chunks_mut::<IMAGES>().0[..cols].iter_mut().enumerate() {
            for (image, v) in dst.iter_mut().enumerate() {
                *v = src[image * stride + col];
            }
        }
    }

    /// The inverse of [`Simd::images_to_lanes`]: `dst[image * stride + col] = src[col * IMAGES + image]`.
    ///
    /// # Panics
    /// `src` or `dst` is too short.
    #[inline(always)]
    fn lanes_to_images(self, src: &[f32], cols: usize, dst: &mut [f32], stride: usize) {
        for (col, src) in src.as_chunks::<IMAGES>().0[..cols].iter().enumerate() {
            for (image, v) in src.iter().enumerate() {
                dst[image * stride + col] = *v;
            }
        }
    }
}

/// Declares a kernel: a function of a [`Level`](crate::simd::Level) and the arguments named, whose body is compiled for every
/// instruction set.
///
/// Inside the body, `s` is the token of the level and `S` its type. Code that is not inlined into the body is compiled for the
/// baseline, so helper functions must be `#[inline(always)]`, and closures given to library functions must not use vectors.
///
/// ```
/// use cnn_tensor::simd::Level;
/// cnn_tensor::kernel! {
///     /// `y += a * x`.
///     fn axpy<S>(s, a: f32, x: &[f32], y: &mut [f32]) {
///         let a = s.splat(a);
///         for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
///             let sum = s.mul_add(a, s.load_partial(x), s.load_partial(y));
///             s.store_partial(sum, y);
///         }
///     }
/// }
/// let mut y = [1.0; 5];
/// axpy(Level::current(), 2.0, &[0.0, 1.0, 2.0, 3.0, 4.0], &mut y);
/// assert_eq!(y, [1.0, 3.0, 5.0, 7.0, 9.0]);
/// ```
#[macro_export]
macro_rules! kernel {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$S:ident>($s:ident $(, $arg:ident: $ty:ty)* $(,)?) $body:block) => {
        $crate::kernel! { $(#[$doc])* $vis fn $name<$S>($s $(, $arg: $ty)*) -> () $body }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$S:ident>($s:ident $(, $arg:ident: $ty:ty)* $(,)?) -> $ret:ty $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(level: $crate::simd::Level $(, $arg: $ty)*) -> $ret {
            struct Body<Arguments>(Arguments);
            impl $crate::simd::Kernel for Body<($($ty,)*)> {
                type Output = $ret;
                #[inline(always)]
                fn run<$S: $crate::simd::Simd>(self, $s: $S) -> $ret {
                    let ($($arg,)*) = self.0;
                    $body
                }
            }
            level.run(Body(($($arg,)*)))
        }
    };
}

#[cfg(test)]
mod tests;
