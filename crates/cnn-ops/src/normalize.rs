//! What the normalisations share: statistics that lose nothing, and the passes that apply them.
//!
//! Statistics are sums in f64, taken in one pass of the deviations from a pivot, which is the first of the numbers.
//! Since the pivot is one of them, at most a factor of their count is lost to cancellation: of the sixteen digits of
//! f64, a billion numbers lose nine. A mean is applied in two parts, the f32 nearest to it and what that leaves, so
//! that numbers around 10000 are centred as exactly as numbers around 0.
//!
//! The loops are plain Rust with a fixed number of running sums, which compilers turn into vector code at every level;
//! so every level gives the same bits.

pub(crate) mod rows;

use crate::{OpError, check};
use cnn_tensor::simd::Level;
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

/// What normalises: the mean, and one over the deviation.
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

/// A number as the f32 nearest to it, and what that leaves: nothing of an infinite one.
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

/// `dx = ((weight * dy - mean) - ((x - high) - low) * slope) * inverse`: what cancels does so before it is scaled, so a
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

#[inline(always)]
fn total(sums: [f64; SUMS]) -> f64 {
    sums.iter().sum()
}

kernel! {
    /// The sum of `x - pivot`, and of its square.
    pub(crate) fn deviations<S>(_s, pivot: f64, x: &[f32]) -> [f64; 2] {
        let (mut sums, mut squares) = ([0.0; SUMS], [0.0; SUMS]);
        let (blocks, rest) = x.as_chunks::<SUMS>();
        for x in blocks {
            for i in 0..SUMS {
                let d = f64::from(x[i]) - pivot;
                sums[i] += d;
                squares[i] += d * d;
            }
        }
        for (i, x) in rest.iter().enumerate() {
            let d = f64::from(*x) - pivot;
            sums[i] += d;
            squares[i] += d * d;
        }
        [total(sums), total(squares)]
    }
}

kernel! {
    /// The sum of `dy`, and of `dy (x - mean)`.
    pub(crate) fn products<S>(_s, mean: f64, x: &[f32], dy: &[f32]) -> [f64; 2] {
        let (mut sums, mut products) = ([0.0; SUMS], [0.0; SUMS]);
        let ((xs, x_rest), (dys, dy_rest)) = (x.as_chunks::<SUMS>(), dy.as_chunks::<SUMS>());
        for (x, dy) in xs.iter().zip(dys) {
            for i in 0..SUMS {
                let dy = f64::from(dy[i]);
                sums[i] += dy;
                products[i] += dy * (f64::from(x[i]) - mean);
            }
        }
        for (i, (x, dy)) in x_rest.iter().zip(dy_rest).enumerate() {
            let dy = f64::from(*dy);
            sums[i] += dy;
            products[i] += dy * (f64::from(*x) - mean);
        }
        [total(sums), total(products)]
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

/// That `eps` keeps the deviation above 0.
pub(crate) fn check_eps(op: &'static str, eps: f64) -> Result<(), OpError> {
    check::rule(op, "eps", "above 0 and finite", eps > 0.0 && eps.is_finite(), eps)
}

/// That a parameter (or its gradient, or a statistic), if there is one, has the shape `expected`.
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
