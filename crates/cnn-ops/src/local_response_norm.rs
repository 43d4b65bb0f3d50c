//! Local response normalisation across channels, of AlexNet.
//!
//! `y[n, c, p] = x[n, c, p] s^-beta` with `s[n, c, p] = k + alpha / size * sum over j of x[n, j, p]^2`, at each pixel `p`,
//! where the window of `j` runs from `c - size/2` to `c + (size - 1)/2` (both rounded down) and channels outside the
//! image add 0.
//!
//! Gradient: `dx[j] = dy[j] s[j]^-beta - 2 alpha beta / size * x[j] * sum over c of dy[c] y[c] / s[c]`, over the channels
//! `c` whose windows contain `j`.
//!
//! **Conventions.** Those of PyTorch's `nn.LocalResponseNorm`:
//!
//! - `alpha` is divided by `size`. The paper does not divide: its `alpha = 1e-4` with `n = 5` is `alpha = 5e-4` here.
//! - With an even `size`, the window reaches further below `c` than above. At the first and last channels the divisor
//!   stays `size`, though the window has fewer channels.
//! - With `k = 0`, a window of zeros is `0 / 0`: NaN, in `y` and `dx`. The paper's `k` is 2, PyTorch's default 1.
//! - A NaN makes its pixel NaN in all channels whose windows contain it. An infinity is NaN itself and makes the others
//!   0, if `beta` is above 0; with `alpha = 0`, it makes them NaN.
//! - Unlike in PyTorch, negative `alpha`, `beta` and `k` are errors.
//!
//! **Algorithm.** Plane by plane, a vector of pixels at a time: the squares of the window's channels are added up anew for
//! each channel. A running sum would take two additions instead of `size`, but this loses no digits, and no NaN stays in a
//! sum that has left its window. The powers -3/4, -1/2 and -1 are roots and quotients; others are `powf`. The backward
//! pass computes the sums again, which is quicker than to read them from memory; it takes some pixels of all channels at a
//! time, so that the terms of the second sum stay in the cache. Threads take runs of planes, and backwards whole images.
//!
//! Source: A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
//! NIPS 2012, section 3.3.

use crate::OpError;
use crate::shared::check;
use crate::shared::vectors::{load, store};
use crate::shared::work::{at_a_time, worth_a_thread};
use cnn_tensor::simd::{IMAGES, Level, Simd};
use cnn_tensor::{Buffer, Shape, Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};
use std::ops::{Range, RangeInclusive};

const OP: &str = "local_response_norm";

/// The options of a local response normalisation.
///
/// ```
/// use cnn_ops::LocalResponseNorm;
/// use cnn_tensor::Tensor;
/// let op = LocalResponseNorm::new(3).alpha(3.0).beta(1.0);
/// let x = Tensor::from_vec([1, 4, 1, 1], vec![1.0, 0.0, 2.0, 3.0])?;
/// let y = op.infer(&x)?; // divided by 1 + 1, 1 + 1 + 4, 1 + 4 + 9 and 1 + 4 + 9
/// let want = [1.0 / 2.0, 0.0, 2.0 / 14.0, 3.0 / 14.0];
/// assert!(y.data().iter().zip(want).all(|(y, want)| (y - want).abs() < 1e-6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// The number of channels in a window; at least 1.
    pub size: usize,
    /// The weight of the mean square; at least 0. The paper's, times `size`.
    #[serde(default = "usual_alpha")]
    pub alpha: f64,
    /// The exponent; at least 0.
    #[serde(default = "usual_beta")]
    pub beta: f64,
    /// Added to the squares; at least 0.
    #[serde(default = "usual_k")]
    pub k: f64,
}

fn usual_alpha() -> f64 {
    1e-4
}
fn usual_beta() -> f64 {
    0.75
}
fn usual_k() -> f64 {
    1.0
}

/// Read by the backward pass: the input.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Tensor,
}

/// The channels, and the pixels of each.
#[derive(Clone, Copy, Debug)]
struct Extents {
    c: usize,
    plane: usize,
}

impl LocalResponseNorm {
    /// PyTorch's defaults: `alpha` 1e-4, `beta` 0.75, `k` 1.
    pub fn new(size: usize) -> Self {
        Self { size, alpha: usual_alpha(), beta: usual_beta(), k: usual_k() }
    }

    /// Sets the weight of the mean square.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// Sets the exponent.
    #[must_use]
    pub fn beta(self, beta: f64) -> Self {
        Self { beta, ..self }
    }

    /// Sets the number added to the squares.
    #[must_use]
    pub fn k(self, k: f64) -> Self {
        Self { k, ..self }
    }

    /// The shape of `x`, which is `[n, c, l]` or `[n, c, h, w]`.
    ///
    /// # Errors
    /// An option is out of its range, or `x` has another rank.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.extents(x).map(|_| x)
    }

    /// `y` of the shape of `x`.
    ///
    /// # Errors
    /// Those of [`LocalResponseNorm::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Saved), OpError> {
        self.infer(x).map(|y| (y, Saved { x: x.clone() }))
    }

    /// The `y` of [`LocalResponseNorm::forward`], when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`LocalResponseNorm::output_shape`].
    pub fn infer(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let extents = self.extents(x.shape())?;
        let mut y = Tensor::scratch(x.shape());
        let (level, by) = (Level::current(), self.coefficients());
        parallel::for_each_chunk(y.data_mut(), extents.chunk(), |i, y| {
            for (at, y) in extents.planes(i, y) {
                let others = extents.window(at, self.size / 2, (self.size - 1) / 2);
                let window = Window::new(x.data(), others, extents.plane, 0..extents.plane);
                normalize(level, by, window, &x.data()[extents.elements(at)], y);
            }
        });
        Ok(y)
    }

    /// `dx` of the shape of `x`.
    ///
    /// # Errors
    /// Those of [`LocalResponseNorm::output_shape`], or `dy` does not have the shape of `x`.
    pub fn backward(&self, saved: &Saved, dy: &Tensor) -> Result<Tensor, OpError> {
        let extents = self.extents(saved.x.shape())?;
        check::shape(OP, "dy", saved.x.shape(), dy)?;
        let mut dx = Tensor::scratch(saved.x.shape());
        let (level, image, some) =
            (Level::current(), extents.c.saturating_mul(extents.plane), extents.some_pixels());
        parallel::for_each_chunk(dx.data_mut(), image, |i, dx| {
            let here = i * image..i * image + dx.len();
            let (x, dy, mut t) = (
                &saved.x.data()[here.clone()],
                &dy.data()[here],
                Buffer::scratch(some.min(extents.plane) * extents.c),
            );
            for start in (0..extents.plane).step_by(some) {
                let pixels = start..extents.plane.min(start + some);
                self.backward_pixels(level, extents, pixels, [x, dy], t.as_mut_slice(), dx);
            }
        });
        Ok(dx)
    }

    /// The gradient of some pixels of an image, with room for one number for each of them and each channel in `t`.
    fn backward_pixels(
        &self,
        level: Level,
        extents: Extents,
        pixels: Range<usize>,
        [x, dy]: [&[f32]; 2],
        t: &mut [f32],
        dx: &mut [f32],
    ) {
        let (by, each) = (self.coefficients(), pixels.len());
        let of_channel = |c: usize| c * extents.plane + pixels.start..c * extents.plane + pixels.end;
        // First dx = dy s^-beta, and t = dy y / s ...
        for (c, t) in (0..extents.c).zip(t.chunks_exact_mut(each)) {
            let others = extents.window(c, self.size / 2, (self.size - 1) / 2);
            let (window, here) = (Window::new(x, others, extents.plane, pixels.clone()), of_channel(c));
            gradient_parts(level, by, window, [&x[here.clone()], &dy[here.clone()]], &mut dx[here], t);
        }
        // ... then the contribution of x through the sums.
        let scale = (-2.0 * self.beta * self.scale()) as f32;
        for c in 0..extents.c {
            let window = Window::new(t, extents.window(c, (self.size - 1) / 2, self.size / 2), each, 0..each);
            add_products(level, scale, window, &x[of_channel(c)], &mut dx[of_channel(c)]);
        }
    }

    fn coefficients(&self) -> Coefficients {
        Coefficients { scale: self.scale() as f32, k: self.k as f32, power: Power::of(self.beta) }
    }

    fn scale(&self) -> f64 {
        self.alpha / self.size as f64
    }

    fn extents(&self, x: Shape) -> Result<Extents, OpError> {
        check::rule(OP, "size", "at least 1", self.size >= 1, self.size)?;
        for (option, value) in [("alpha", self.alpha), ("beta", self.beta), ("k", self.k)] {
            let range = 0.0..=f64::from(f32::MAX);
            check::rule(OP, option, "at least 0 and finite", range.contains(&value), value)?;
        }
        check::output(OP, x)?;
        match *x.dims() {
            [_, c, plane] => Ok(Extents { c, plane }),
            [_, c, h, w] => Ok(Extents { c, plane: h.saturating_mul(w) }),
            _ => Err(OpError::Rank { op: OP, what: "x", expected: "[n, c, l] or [n, c, h, w]", got: x }),
        }
    }
}

impl Extents {
    /// Elements in a piece of work: whole planes, worth a thread.
    fn chunk(self) -> usize {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 14);
        WORTH_A_THREAD.div_ceil(self.plane.max(1)).saturating_mul(self.plane)
    }

    /// Pixels whose numbers of all channels fit the second-level cache beside others: whole vectors, at least one.
    fn some_pixels(self) -> usize {
        const NUMBERS: usize = at_a_time(1 << 15);
        (NUMBERS / self.c.max(1)).next_multiple_of(IMAGES).max(IMAGES)
    }

    /// The planes of piece `i` with their positions among all planes.
    fn planes(self, i: usize, piece: &mut [f32]) -> impl Iterator<Item = (usize, &mut [f32])> {
        let first = i * (self.chunk() / self.plane);
        piece.chunks_exact_mut(self.plane).enumerate().map(move |(at, plane)| (first + at, plane))
    }

    /// The elements of the plane `at`.
    fn elements(self, at: usize) -> Range<usize> {
        at * self.plane..(at + 1) * self.plane
    }

    /// The planes of the same image from `below` channels below the plane `at` to `above` channels above.
    fn window(self, at: usize, below: usize, above: usize) -> RangeInclusive<usize> {
        let c = at % self.c;
        at - below.min(c)..=at + above.min(self.c - 1 - c)
    }
}

/// Some pixels of neighbouring channels.
#[derive(Clone, Copy)]
struct Window<'a> {
    /// From the first pixel of the first channel to the last of the last one.
    numbers: &'a [f32],
    /// Numbers from one channel to the next.
    stride: usize,
    pixels: usize,
}

impl<'a> Window<'a> {
    /// Those `pixels` of the planes `channels`, which begin `stride` numbers apart.
    fn new(numbers: &'a [f32], channels: RangeInclusive<usize>, stride: usize, pixels: Range<usize>) -> Self {
        let numbers =
            &numbers[channels.start() * stride + pixels.start..channels.end() * stride + pixels.end];
        Self { numbers, stride, pixels: pixels.len() }
    }

    /// Channel after channel.
    #[inline(always)]
    fn channels(self) -> impl Iterator<Item = &'a [f32]> {
        self.numbers.chunks(self.stride).map(move |channel| &channel[..self.pixels])
    }
}

/// The ways to compute `s^-beta`.
#[derive(Clone, Copy, Debug)]
enum Power {
    ThreeQuarters,
    Half,
    One,
    Other(f32),
}

impl Power {
    fn of(beta: f64) -> Self {
        match beta {
            0.75 => Self::ThreeQuarters,
            0.5 => Self::Half,
            1.0 => Self::One,
            _ => Self::Other(-beta as f32),
        }
    }
}

/// The numbers that make `s^-beta` of squares, with `s = scale * squares + k`.
#[derive(Clone, Copy, Debug)]
struct Coefficients {
    scale: f32,
    k: f32,
    power: Power,
}

impl Coefficients {
    /// `s`, from the window's channels.
    #[inline(always)]
    fn sum<S: Simd, const WHOLE: bool>(self, s: S, window: Window<'_>, at: usize) -> S::V {
        let mut sum = s.splat(0.0);
        for x in window.channels() {
            let x = load::<S, WHOLE>(s, x, at);
            sum = s.mul_add(x, x, sum);
        }
        s.mul_add(s.splat(self.scale), sum, s.splat(self.k))
    }

    /// `s^-beta`.
    #[inline(always)]
    fn raise<S: Simd>(self, s: S, sum: S::V) -> S::V {
        let one = s.splat(1.0);
        match self.power {
            Power::ThreeQuarters => {
                let root = s.sqrt(sum);
                s.div(one, s.mul(root, s.sqrt(root)))
            }
            Power::Half => s.div(one, s.sqrt(sum)),
            Power::One => s.div(one, sum),
            Power::Other(exponent) => {
                let mut lanes = [0.0; IMAGES];
                s.store(sum, &mut lanes);
                lanes[..S::LANES].iter_mut().for_each(|v| *v = v.powf(exponent));
                s.load(&lanes)
            }
        }
    }
}

/// Calls a function for every vector of `n` numbers, and for the rest if there is one, with the place.
macro_rules! for_vectors {
    ($s:ident: $S:ident, $n:expr, $f:ident($($argument:expr),*)) => {
        let n = $n;
        let whole = n - n % $S::LANES;
        for at in (0..whole).step_by($S::LANES) {
            $f::<$S, true>($s, at, $($argument),*);
        }
        if whole < n {
            $f::<$S, false>($s, whole, $($argument),*);
        }
    };
}

kernel! {
    /// `y = x s^-beta`.
    fn normalize<S>(s, by: Coefficients, window: Window<'_>, x: &[f32], y: &mut [f32]) {
        for_vectors!(s: S, y.len(), normalize_vector(by, window, x, y));
    }
}

#[inline(always)]
fn normalize_vector<S: Simd, const WHOLE: bool>(
    s: S,
    at: usize,
    by: Coefficients,
    window: Window<'_>,
    x: &[f32],
    y: &mut [f32],
) {
    let sum = by.sum::<S, WHOLE>(s, window, at);
    store::<S, WHOLE>(s, s.mul(load::<S, WHOLE>(s, x, at), by.raise(s, sum)), y, at);
}

kernel! {
    /// `dx = dy s^-beta` and `t = dx x / s`.
    fn gradient_parts<S>(s, by: Coefficients, window: Window<'_>, inputs: [&[f32]; 2], dx: &mut [f32], t: &mut [f32]) {
        for_vectors!(s: S, dx.len(), gradient_parts_vector(by, window, inputs, dx, t));
    }
}

#[inline(always)]
fn gradient_parts_vector<S: Simd, const WHOLE: bool>(
    s: S,
    at: usize,
    by: Coefficients,
    window: Window<'_>,
    [x, dy]: [&[f32]; 2],
    dx: &mut [f32],
    t: &mut [f32],
) {
    let sum = by.sum::<S, WHOLE>(s, window, at);
    let part = s.mul(load::<S, WHOLE>(s, dy, at), by.raise(s, sum));
    store::<S, WHOLE>(s, part, dx, at);
    store::<S, WHOLE>(s, s.div(s.mul(part, load::<S, WHOLE>(s, x, at)), sum), t, at);
}

kernel! {
    /// `dx += scale x` times the sum of the window.
    fn add_products<S>(s, scale: f32, window: Window<'_>, x: &[f32], dx: &mut [f32]) {
        for_vectors!(s: S, dx.len(), add_products_vector(scale, window, x, dx));
    }
}

#[inline(always)]
fn add_products_vector<S: Simd, const WHOLE: bool>(
    s: S,
    at: usize,
    scale: f32,
    window: Window<'_>,
    x: &[f32],
    dx: &mut [f32],
) {
    let mut sum = s.splat(0.0);
    for t in window.channels() {
        sum = s.add(sum, load::<S, WHOLE>(s, t, at));
    }
    let x = s.mul(s.splat(scale), load::<S, WHOLE>(s, x, at));
    store::<S, WHOLE>(s, s.mul_add(x, sum, load::<S, WHOLE>(s, dx, at)), dx, at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{any_number_of_rejects, assert_same_bits_on_any_threads, everywhere};
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64, of `[n, c, m]`.
    fn oracle(op: LocalResponseNorm, [n, c, m]: [usize; 3], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        let (size, channels) = (op.size as isize, c as isize);
        for image in 0..n {
            for channel in 0..channels {
                for pixel in 0..m {
                    let at = |channel: isize| (image * c + channel as usize) * m + pixel;
                    let window = channel - size / 2..=channel + (size - 1) / 2;
                    let inside = window.filter(|j| (0..channels).contains(j));
                    let squares = inside.map(|j| x[at(j)].powi(2)).sum::<f64>();
                    let s = op.k + op.alpha / op.size as f64 * squares;
                    y[at(channel)] = x[at(channel)] / s.powf(op.beta);
                }
            }
        }
        y
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(n in 0..3usize, c in 0..6usize, h in 0..4usize, w in prop::option::of(0..4usize),
                                  size in 1..9usize, alpha in prop::sample::select(vec![0.0, 1e-4, 0.5, 3.0]),
                                  beta in prop::sample::select(vec![0.0, 0.25, 0.5, 0.75, 1.0, 2.5]),
                                  k in prop::sample::select(vec![0.1, 1.0, 2.0]), seed: u64) {
            let op = LocalResponseNorm { size, alpha, beta, k };
            let (shape, extents) = match w {
                None => (Shape::from([n, c, h]), [n, c, h]),
                Some(w) => ([n, c, h, w].into(), [n, c, h * w]),
            };
            let (x, dy) = (distinct(shape, seed), distinct(shape, seed ^ 1));
            let want = oracle(op, extents, &to_f64(&x));
            let want_dx = gradient_of(&x, &dy, |x| oracle(op, extents, x));
            everywhere(|| {
                let (y, saved) = op.forward(&x).unwrap();
                assert_close(&y, &want);
                assert_eq!(op.infer(&x).unwrap(), y);
                assert_gradient_close("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
            });
        }

        #[test]
        fn absurd_options_are_errors(dims in prop::collection::vec(absurd(), 0..5), size in absurd(),
                                     alpha in absurd_number(), beta in absurd_number(), k in absurd_number()) {
            let op = LocalResponseNorm { size, alpha, beta, k };
            let Ok(shape) = Shape::new(&dims) else { return Ok(()) };
            let accepted = op.output_shape(shape);
            let valid = size > 0 && [alpha, beta, k].iter().all(|v| *v >= 0.0 && v.is_finite());
            prop_assert!(valid || accepted.is_err());
            if accepted.is_ok() && shape.numel() <= 100_000 {
                let (y, saved) = op.forward(&distinct(shape, 0)).unwrap();
                op.backward(&saved, &y).unwrap();
            }
        }
    }

    fn absurd() -> impl Strategy<Value = usize> {
        prop_oneof![0..5usize, 0..5usize, any::<usize>(), Just(usize::MAX)]
    }

    fn absurd_number() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..2.0, 0.0..2.0, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY)]
    }

    /// `x^2 / y` is the sum of squares where `k = 0` and `beta = 1`; PyTorch gives these.
    #[test]
    fn windows_are_those_of_pytorch() {
        let x = Tensor::from_vec([1, 6, 1], (1..7).map(|x| x as f32).collect()).unwrap();
        for (size, want) in [
            (1, [1.0, 4.0, 9.0, 16.0, 25.0, 36.0]),
            (2, [1.0, 5.0, 13.0, 25.0, 41.0, 61.0]),
            (3, [5.0, 14.0, 29.0, 50.0, 77.0, 61.0]),
            (4, [5.0, 14.0, 30.0, 54.0, 86.0, 77.0]),
            (5, [14.0, 30.0, 55.0, 90.0, 86.0, 77.0]),
            (9, [55.0, 91.0, 91.0, 91.0, 91.0, 90.0]),
            (usize::MAX, [91.0; 6]),
        ] {
            let op = LocalResponseNorm { size, alpha: size as f64, beta: 1.0, k: 0.0 };
            let y = op.infer(&x).unwrap();
            let sums: Vec<f64> = to_f64(&x).iter().zip(to_f64(&y)).map(|(x, y)| x / y).collect();
            assert!(sums.iter().zip(want).all(|(sum, want)| (sum - want).abs() < 1e-4), "{size}: {sums:?}");
        }
    }

    /// Section 3.3 with its constants, for one pixel of five channels with activity 1, in PyTorch's terms.
    #[test]
    fn alpha_of_the_paper_is_multiplied_by_the_size() {
        let op = LocalResponseNorm { size: 5, alpha: 5.0 * 1e-4, beta: 0.75, k: 2.0 };
        let y = op.infer(&Tensor::full([1, 5, 1, 1], 1.0)).unwrap();
        assert!((f64::from(y.data()[2]) - 1.0 / (2.0f64 + 1e-4 * 5.0).powf(0.75)).abs() < 1e-6);
    }

    #[test]
    fn without_k_zeros_are_nan() {
        let op = LocalResponseNorm { k: 0.0, ..LocalResponseNorm::new(3) };
        for beta in [0.25, 0.5, 0.75, 1.0] {
            let op = LocalResponseNorm { beta, ..op };
            let x = Tensor::from_vec([1, 4, 1], vec![0.0, 0.0, 0.0, 1.0]).unwrap();
            everywhere(|| {
                let (y, saved) = op.forward(&x).unwrap();
                assert!(y.data()[0].is_nan() && y.data()[1].is_nan());
                assert!(y.data()[2] == 0.0 && y.data()[3] > 0.0);
                let dx = op.backward(&saved, &x).unwrap();
                assert!(dx.data()[0].is_nan() && dx.data()[3].is_finite());
            });
        }
    }

    #[test]
    fn nan_and_infinity_reach_their_windows() {
        let op = LocalResponseNorm::new(3);
        let with = |bad: f32| Tensor::from_vec([1, 4, 1], vec![1.0, bad, 2.0, 3.0]).unwrap();
        everywhere(|| {
            let y = op.infer(&with(f32::NAN)).unwrap();
            assert!(y.data()[..3].iter().all(|y| y.is_nan()) && y.data()[3].is_finite());
            let y = op.infer(&with(f32::INFINITY)).unwrap();
            assert!(y.data()[1].is_nan() && y.data()[3].is_finite());
            assert_eq!([y.data()[0], y.data()[2]], [0.0; 2]);
        });
    }

    #[test]
    fn empty_things_are_shapes_like_any_other() {
        for shape in [Shape::from([0, 3, 2, 2]), [2, 0, 3].into(), [2, 3, 0, 4].into(), [2, 3, 0].into()] {
            let x = Tensor::zeros(shape);
            let (y, saved) = LocalResponseNorm::new(5).forward(&x).unwrap();
            assert_eq!(y, x);
            assert_eq!(LocalResponseNorm::new(5).infer(&x).unwrap(), x);
            assert_eq!(LocalResponseNorm::new(5).backward(&saved, &x).unwrap(), x);
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (x, dy) = (distinct([3, 17, 30, 31], 0), distinct([3, 17, 30, 31], 1));
        for beta in [0.3, 0.75] {
            let op = LocalResponseNorm { beta, ..LocalResponseNorm::new(5) };
            assert_same_bits_on_any_threads(|| {
                let (y, saved) = op.forward(&x).unwrap();
                let dx = op.backward(&saved, &dy).unwrap();
                vec![y, op.infer(&x).unwrap(), dx]
            });
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let op = LocalResponseNorm::new(5);
        let shape = |op: LocalResponseNorm, x: Shape| op.output_shape(x).unwrap_err().to_string();
        assert_eq!(
            shape(op, [4, 2].into()),
            "local_response_norm: x expects [n, c, l] or [n, c, h, w], got shape [4, 2]"
        );
        let x = Shape::from([1, 2, 3]);
        assert_eq!(
            shape(LocalResponseNorm::new(0), x),
            "local_response_norm: size must be at least 1, got 0"
        );
        for (op, option) in [
            (LocalResponseNorm { alpha: -1.0, ..op }, "alpha"),
            (LocalResponseNorm { beta: -1.0, ..op }, "beta"),
            (LocalResponseNorm { k: -1.0, ..op }, "k"),
        ] {
            let want = format!("local_response_norm: {option} must be at least 0 and finite, got -1");
            assert_eq!(shape(op, x), want);
        }
        let (_, saved) = op.forward(&Tensor::zeros([1, 2, 3])).unwrap();
        assert_eq!(
            op.backward(&saved, &Tensor::zeros([2, 3])).unwrap_err().to_string(),
            "local_response_norm: dy expects shape [1, 2, 3], got [2, 3]"
        );
    }
}
