//! Shared by the normalisations: statistics that lose nothing, and the passes that apply them.
//!
//! Statistics are sums in f64, taken in one pass of the deviations from a pivot, which is the first of the numbers.
//! Since the pivot is one of them, at most a factor of their count is lost to cancellation: of the sixteen digits of
//! f64, a billion numbers lose nine. A mean is applied in two parts, the f32 nearest to it and the rest, so
//! that numbers around 10000 are centred as exactly as numbers around 0.
//!
//! The number of running sums is fixed, and products are rounded before they are added, so every level gives the same
//! bits.

pub(crate) mod rows;

use crate::OpError;
use crate::shared::check;
use cnn_tensor::simd::{Level, Simd};
use cnn_tensor::{Shape, Tensor, kernel};

/// Mean and biased variance of some numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub mean: f64,
    pub variance: f64,
}

impl Moments {
    /// Those of the numbers `x`; zeros if there are none.
    #[inline(always)]
    pub fn of(level: Level, x: &[f32]) -> Self {
        let Some(&first) = x.first() else { return Self::default() };
        let pivot = pivot(first);
        Self::from_sums(pivot, deviations(level, pivot, x), x.len())
    }

    /// Those of `count` numbers, at least 1, from the sums of their deviations from `pivot` and of the squares.
    #[inline(always)]
    pub fn from_sums(pivot: f64, [sum, squares]: [f64; 2], count: usize) -> Self {
        let mean = sum / count as f64;
        let variance = squares / count as f64 - mean * mean;
        // Rounding may leave less than nothing of a variance near 0; a NaN stays.
        Self { mean: pivot + mean, variance: if variance < 0.0 { 0.0 } else { variance } }
    }

    /// `1 / sqrt(variance + eps)`.
    pub fn center(self, eps: f64) -> Center {
        Center { mean: self.mean, inverse: 1.0 / (self.variance + eps).sqrt() }
    }
}

/// The pivot for numbers of which `first` is one. An infinite one would make the mean NaN instead of infinite.
#[inline(always)]
pub(crate) fn pivot(first: f32) -> f64 {
    if first.is_finite() { f64::from(first) } else { 0.0 }
}

/// The statistics that normalise: the mean, and one over the deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Center {
    pub mean: f64,
    pub inverse: f64,
}

impl Center {
    /// `y = (x - mean) * inverse * weight + bias`.
    pub fn apply(self, weight: f32, bias: f32) -> Affine {
        let [high, low] = split(self.mean);
        Affine { high, low, scale: (self.inverse * f64::from(weight)) as f32, shift: bias }
    }

    /// The gradient through the statistics of `count` numbers, for those of them that share a weight. With
    /// `g = weight * dy`, the sums run over all of the numbers: of `g`, and of `g (x - mean)`.
    pub fn gradient(self, weight: f32, [sum, product]: [f64; 2], count: usize) -> Gradient {
        let Self { mean, inverse } = self;
        let count = count as f64;
        let [high, low] = split(mean);
        Gradient {
            high,
            low,
            weight,
            mean: (sum / count) as f32,
            slope: (inverse * inverse * product / count) as f32,
            inverse: inverse as f32,
        }
    }
}

/// A number as the f32 nearest to it, and the rest, which is 0 for an infinite one.
fn split(mean: f64) -> [f32; 2] {
    let high = mean as f32;
    [high, if high.is_infinite() { 0.0 } else { (mean - f64::from(high)) as f32 }]
}

/// `y = ((x - high) - low) * scale + shift`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine {
    pub high: f32,
    pub low: f32,
    pub scale: f32,
    pub shift: f32,
}

/// `dx = ((weight * dy - mean) - ((x - high) - low) * slope) * inverse`: terms cancel before they are scaled, so a
/// `dy` that is the same everywhere gives exactly 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gradient {
    pub high: f32,
    pub low: f32,
    pub weight: f32,
    pub mean: f32,
    pub slope: f32,
    pub inverse: f32,
}

impl Gradient {
    #[inline(always)]
    fn at(self, x: f32, dy: f32) -> f32 {
        ((self.weight * dy - self.mean) - ((x - self.high) - self.low) * self.slope) * self.inverse
    }
}

/// Running sums, of which each takes every 16th number: so that an addition need not wait for the one before it.
const SUMS: usize = 16;

/// Running sums of two kinds, as vectors.
type Running<W> = [[W; SUMS / 4]; 2];

/// The totals of running sums to which `more(i)` is added, for each `i` below `count`: the rest that fills no block.
#[inline(always)]
fn totals<S: Simd>(s: S, running: Running<S::W>, count: usize, more: impl Fn(usize) -> [f64; 2]) -> [f64; 2] {
    let mut sums = [[0.0; SUMS]; 2];
    for (sums, running) in sums.iter_mut().zip(running) {
        for (sums, running) in sums.chunks_exact_mut(S::LANES).zip(running) {
            s.store_wide(running, sums);
        }
    }
    let [firsts, seconds] = &mut sums;
    for (i, sums) in firsts.iter_mut().zip(seconds).enumerate().take(count) {
        let [first, second] = more(i);
        *sums.0 += first;
        *sums.1 += second;
    }
    sums.map(total)
}

/// The sum of running sums, by halves: an addition need not wait for the one before it.
#[inline(always)]
fn total(mut sums: [f64; SUMS]) -> f64 {
    let mut half = SUMS / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

kernel! {
    /// The sum of `x - pivot`, and of its square.
    pub(crate) fn deviations<S>(s, pivot: f64, x: &[f32]) -> [f64; 2] {
        let mut sums: Running<S::W> = [[s.splat_wide(0.0); SUMS / 4]; 2];
        let wide_pivot = s.splat_wide(pivot);
        let (blocks, rest) = x.as_chunks::<SUMS>();
        for x in blocks {
            for k in 0..SUMS / S::LANES {
                let d = s.sub_wide(s.widen(s.load(&x[k * S::LANES..])), wide_pivot);
                sums[0][k] = s.add_wide(sums[0][k], d);
                sums[1][k] = s.add_wide(sums[1][k], s.mul_wide(d, d));
            }
        }
        totals(s, sums, rest.len(), |i| {
            let d = f64::from(rest[i]) - pivot;
            [d, d * d]
        })
    }
}

kernel! {
    /// The sum of `dy`, and of `dy (x - mean)`.
    pub(crate) fn products<S>(s, mean: f64, x: &[f32], dy: &[f32]) -> [f64; 2] {
        let mut sums: Running<S::W> = [[s.splat_wide(0.0); SUMS / 4]; 2];
        let wide_mean = s.splat_wide(mean);
        let ((xs, x_rest), (dys, dy_rest)) = (x.as_chunks::<SUMS>(), dy.as_chunks::<SUMS>());
        for (x, dy) in xs.iter().zip(dys) {
            for k in 0..SUMS / S::LANES {
                let dy = s.widen(s.load(&dy[k * S::LANES..]));
                let d = s.sub_wide(s.widen(s.load(&x[k * S::LANES..])), wide_mean);
                sums[0][k] = s.add_wide(sums[0][k], dy);
                sums[1][k] = s.add_wide(sums[1][k], s.mul_wide(dy, d));
            }
        }
        totals(s, sums, x_rest.len(), |i| {
            let dy = f64::from(dy_rest[i]);
            [dy, dy * (f64::from(x_rest[i]) - mean)]
        })
    }
}

kernel! {
    /// [`Affine`] for numbers that share it.
    pub(crate) fn affine<S>(_s, by: Affine, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = ((x - by.high) - by.low) * by.scale + by.shift;
        }
    }
}

kernel! {
    /// [`Gradient`] for numbers that share it.
    pub(crate) fn gradient<S>(_s, by: Gradient, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = by.at(*x, *dy);
        }
    }
}

kernel! {
    /// The same, with `dy` where `dx` will be.
    pub(crate) fn gradient_in_place<S>(_s, by: Gradient, x: &[f32], dx: &mut [f32]) {
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = by.at(*x, *dx);
        }
    }
}

/// `[n, c, values of a channel]` of `x`, whose channels are its second axis.
pub(crate) fn channels(op: &'static str, x: Shape) -> Result<[usize; 3], OpError> {
    let expected = "[n, c], [n, c, l] or [n, c, h, w]";
    let extents = match *x.dims() {
        [n, c] => [n, c, 1],
        [n, c, l] => [n, c, l],
        [n, c, h, w] => [n, c, h.saturating_mul(w)],
        _ => return Err(OpError::Rank { op, what: "x", expected, got: x }),
    };
    check::output(op, x)?;
    Ok(extents)
}

/// PyTorch's.
pub(crate) fn usual_eps() -> f64 {
    1e-5
}

/// Checks that `eps` keeps the deviation above 0.
pub(crate) fn check_eps(op: &'static str, eps: f64) -> Result<(), OpError> {
    check::rule(op, "eps", "above 0 and finite", eps > 0.0 && eps.is_finite(), eps)
}

/// Checks that a parameter (or its gradient, or a statistic), if there is one, has the shape `expected`.
pub(crate) fn check_shape(
    op: &'static str,
    what: &'static str,
    expected: impl Into<Shape>,
    tensor: Option<&Tensor>,
) -> Result<(), OpError> {
    tensor.map_or(Ok(()), |tensor| check::shape(op, what, expected, tensor))
}

/// The weight of a channel, 1 if there are none; likewise a bias with 0.
pub(crate) fn at(tensor: Option<&Tensor>, i: usize, default: f32) -> f32 {
    tensor.map_or(default, |tensor| tensor.data()[i])
}

/// Adds `values` to a gradient that is wanted.
pub(crate) fn add(gradient: Option<&mut Tensor>, values: impl Iterator<Item = f64>) {
    if let Some(gradient) = gradient {
        gradient.data_mut().iter_mut().zip(values).for_each(|(sum, value)| *sum += value as f32);
    }
}
