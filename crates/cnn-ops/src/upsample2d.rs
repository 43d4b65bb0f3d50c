//! 2-D resampling to another height and width: nearest, bilinear or bicubic.
//!
//! `y[n, c, oh, ow] = sum over (i, j) of a[oh, i] b[ow, j] x[n, c, i, j]`, with weights of the rows (`a`, of `H` inputs and
//! `OH` outputs) and of the columns (`b`) that depend on the mode:
//!
//! - `nearest`: 1 for `i = min(floor(oh * r), H - 1)`, else 0.
//! - `bilinear`: `max(0, 1 - |s - i|)`, where the source coordinate `s`, moved into `[0, H - 1]`, is `r (oh + 1/2) - 1/2`,
//!   or, with `align_corners`, `oh (H - 1) / (OH - 1)` (0 if `OH` is 1). Where `OH = H` it is `oh`.
//! - `bicubic`: `k(|s - i|)` by Keys's kernel with `a = -3/4`, where `s` is as for `bilinear` but stays where it is, and
//!   elements beyond the edge are those at the edge: `k(d) = (a + 2) d^3 - (a + 3) d^2 + 1` up to 1,
//!   `a d^3 - 5 a d^2 + 8 a d - 4 a` up to 2, then 0.
//!
//! The step `r` is `H / OH` if a size was asked for, and one over the scale if a scale was.
//!
//! `coordinates` and `rounding` set the source coordinate `s`, and for `nearest` how it is rounded, as ONNX's `Resize` does:
//! `half_pixel` is `r (oh + 1/2) - 1/2`; `pytorch_half_pixel` the same, but 0 if `OH` is 1; `align_corners`
//! `oh (H - 1) / (OH - 1)`, 0 if `OH` is 1; `asymmetric` `r oh`. Rounded down (`floor`), up (`ceil`), or to the nearest with halves
//! down (`round_prefer_floor`) or up (`round_prefer_ceil`). PyTorch's `nearest-exact` is `half_pixel` with `round_prefer_ceil`.
//! For `nearest` these too are computed in f32, by ONNX Runtime's formulas.
//!
//! **Conventions.** PyTorch's `nn.Upsample`, `recompute_scale_factor` left alone: the given scale, not the ratio of the
//! rounded sizes, enters the coordinates. Like there, `nearest` computes in f32, which at some ratios falls short of a
//! whole number by a rounding (`29 * (30 / 58) < 15`); `bilinear` computes coordinates in f64, so that for f32 images
//! the results differ from PyTorch's by its rounding. Two more differences: an element of weight 0 is not read, so that
//! a NaN or infinity reaches exactly the outputs it has a weight in (PyTorch multiplies it by 0, which is NaN); and
//! `nearest` by a scale follows the formula where the output is exactly as large as the input or twice as large, as
//! most of PyTorch's kernels do, but not the one for small images on the CPU. Downsampling is allowed and, as in
//! PyTorch, has no filter against aliasing.
//!
//! **Algorithm.** Separable: for each row of the output, two rows of the input are blended, then two columns for each
//! element. A row of the same weights as the one before is copied from it, which is half of them and more when
//! `nearest` enlarges. The backward pass is the transpose in the opposite order; every `dx` adds up in the row-major
//! order of `dy`.
//!
//! Source: R. Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE Transactions on Acoustics, Speech,
//! and Signal Processing 29 (1981), section II, for interpolation as a sum over separable kernels, of which these are the
//! three shortest; ONNX, "Resize".

mod cubic;

use crate::shared::check;
use crate::shared::work::worth_a_thread;
use crate::{OpError, Pair};
use cnn_tensor::{Recycled, Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "upsample2d";

/// The options of a resampling; pairs are `[height, width]`.
///
/// In JSON, `target` is one of the fields `size` and `scale`: `{"scale": [2.0, 2.0], "mode": "bilinear"}`; the others may be
/// left out.
///
/// ```
/// use cnn_ops::Upsample2d;
/// use cnn_ops::upsample2d::Interpolation;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 1, 2], vec![0.0, 4.0])?;
/// let op = Upsample2d::by_scale([1.0, 2.0]);
/// assert_eq!(op.forward(&x)?.data(), [0.0, 0.0, 4.0, 4.0]);
/// let op = op.mode(Interpolation::Bilinear);
/// assert_eq!(op.forward(&x)?.data(), [0.0, 1.0, 3.0, 4.0]);
/// let dx = op.backward(x.shape(), &Tensor::full([1, 1, 1, 4], 1.0))?;
/// assert_eq!(dx.data(), [2.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Upsample2d {
    /// The output's extents, or their ratio to the input's.
    pub target: Target,
    /// How elements between those of the input are interpolated.
    pub mode: Interpolation,
    /// Whether the outermost elements of input and output lie on each other, rather than the planes' edges; not for
    /// `nearest`.
    pub align_corners: bool,
    /// Where an element of the output lies on the input; `None`: as PyTorch has it for the other options.
    pub coordinates: Option<Coordinates>,
    /// How `nearest` rounds; `None`: down.
    pub rounding: Option<Rounding>,
}

/// Where an element of the output lies on the input: ONNX's `coordinate_transformation_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// The edges of both planes lie on each other.
    HalfPixel,
    /// The same, but an output of one element lies on the first of the input.
    PytorchHalfPixel,
    /// The outermost elements lie on each other.
    AlignCorners,
    /// The first elements lie on each other, and the others at multiples of the step.
    Asymmetric,
}

/// How a coordinate becomes the number of an element: ONNX's `nearest_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Down.
    Floor,
    /// Up.
    Ceil,
    /// To the nearest, halves down.
    RoundPreferFloor,
    /// To the nearest, halves up.
    RoundPreferCeil,
}

impl Rounding {
    fn round(self, v: f32) -> f32 {
        match self {
            Self::Floor => v.floor(),
            Self::Ceil => v.ceil(),
            Self::RoundPreferFloor => (v - 0.5).ceil(),
            Self::RoundPreferCeil => (v + 0.5).floor(),
        }
    }
}

/// The extents of an output: given, or as a multiple of the input's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// `[oh, ow]`; at least 1.
    Size([usize; 2]),
    /// `[oh, ow] = [h, w] * scale`, rounded down; above 0 and finite.
    Scale([f64; 2]),
}

/// How elements between those of the input are interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The element at or before the place.
    #[default]
    Nearest,
    /// A blend of the four around it.
    Bilinear,
    /// A blend of the sixteen around it.
    Bicubic,
}

impl Upsample2d {
    /// To `[oh, ow]`, or one number for both, nearest.
    pub fn to_size(size: impl Pair) -> Self {
        Self::to(Target::Size(size.pair()))
    }

    /// To `[h, w] * scale`, with one factor or a pair, nearest.
    pub fn by_scale(scale: impl Pair<f64>) -> Self {
        Self::to(Target::Scale(scale.pair()))
    }

    fn to(target: Target) -> Self {
        Self { target, mode: Interpolation::Nearest, align_corners: false, coordinates: None, rounding: None }
    }

    /// Sets the interpolation.
    #[must_use]
    pub fn mode(self, mode: Interpolation) -> Self {
        Self { mode, ..self }
    }

    /// Sets whether corners are aligned.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> Self {
        Self { align_corners, ..self }
    }

    /// Sets where an element of the output lies on the input.
    #[must_use]
    pub fn coordinates(self, coordinates: Coordinates) -> Self {
        Self { coordinates: Some(coordinates), ..self }
    }

    /// Sets how `nearest` rounds.
    #[must_use]
    pub fn rounding(self, rounding: Rounding) -> Self {
        Self { rounding: Some(rounding), ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]`.
    ///
    /// # Errors
    /// An option is out of its range, `x` is not of rank 4, a plane of `x` or of the output is empty, or the output has
    /// more elements than an operation may make.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let [n, c, h, w] = check::nchw(OP, "x", x)?;
        let option = |option, rule, got| Err(OpError::Option { op: OP, option, rule, got });
        if self.align_corners && self.mode == Interpolation::Nearest {
            return option("align_corners", "false with nearest", "true".into());
        }
        if self.align_corners && self.coordinates.is_some() {
            return option("align_corners", "false where coordinates are given", "true".into());
        }
        if let Some(rounding) = self.rounding.filter(|_| self.mode != Interpolation::Nearest) {
            return option("rounding", "null but for nearest", format!("{rounding:?}"));
        }
        if h == 0 || w == 0 {
            return option("the plane", "at least [1, 1]", format!("{:?}", [h, w]));
        }
        let [oh, ow] = match self.target {
            Target::Size(size) => size,
            Target::Scale(scale) if scale.iter().all(|&s| s > 0.0 && s.is_finite()) => {
                [h as f64 * scale[0], w as f64 * scale[1]].map(|extent| extent as usize)
            }
            Target::Scale(scale) => return option("scale", "above 0 and finite", format!("{scale:?}")),
        };
        check::at_least_1(OP, "the output's size", [oh, ow])?;
        check::output(OP, [n, c, oh, ow])
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`. The backward pass needs only the shape of `x`.
    ///
    /// # Errors
    /// Those of [`Upsample2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let mut y = Tensor::scratch(self.output_shape(x.shape())?);
        if y.data().is_empty() {
            return Ok(y);
        }
        if self.mode == Interpolation::Bicubic {
            let planes = cubic::Planes::new(self, x.shape(), y.shape());
            let (count, x_plane, y_plane) = planes.per_chunk();
            parallel::for_each_chunk(y.data_mut(), count * y_plane, |i, y| {
                planes.forward(&x.data()[i * count * x_plane..], y);
            });
            return Ok(y);
        }
        let planes = Planes::new(self, x.shape(), y.shape());
        let (count, x_plane, y_plane) = planes.per_chunk();
        parallel::for_each_chunk(y.data_mut(), count * y_plane, |i, y| {
            planes.forward(&x.data()[i * count * x_plane..], y);
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, oh, ow]`.
    ///
    /// # Errors
    /// Those of [`Upsample2d::output_shape`], `dy` does not have the shape of `y`, or `x` has more elements than an
    /// operation may make.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        check::shape(OP, "dy", self.output_shape(x)?, dy)?;
        let mut dx = Tensor::zeros(check::gradient(OP, x)?);
        if dx.data().is_empty() {
            return Ok(dx);
        }
        if self.mode == Interpolation::Bicubic {
            let planes = cubic::Planes::new(self, x, dy.shape());
            let (count, x_plane, y_plane) = planes.per_chunk();
            parallel::for_each_chunk(dx.data_mut(), count * x_plane, |i, dx| {
                planes.backward(&dy.data()[i * count * y_plane..], dx);
            });
            return Ok(dx);
        }
        let planes = Planes::new(self, x, dy.shape());
        let (count, x_plane, y_plane) = planes.per_chunk();
        parallel::for_each_chunk(dx.data_mut(), count * x_plane, |i, dx| {
            planes.backward(&dy.data()[i * count * y_plane..], dx);
        });
        Ok(dx)
    }

    fn axis(&self, i: usize, extent: usize, positions: usize) -> Axis {
        let step = match self.mode {
            Interpolation::Nearest if (self.coordinates, self.rounding) != (None, None) => {
                self.rounded(i, extent, positions)
            }
            // Rounded as PyTorch rounds: the quotient of two numbers in f32, or of 1 and the scale in f64.
            Interpolation::Nearest => Step::Nearest(match self.scale(i) {
                Some(scale) => (1.0 / scale) as f32,
                None => extent as f32 / positions as f32,
            }),
            Interpolation::Bilinear if extent == positions && self.coordinates.is_none() => {
                Step::Blend(Line { ratio: 1.0, offset: 0.0 })
            }
            Interpolation::Bilinear | Interpolation::Bicubic => Step::Blend(self.line(i, extent, positions)),
        };
        Axis { extent, positions, step }
    }

    fn scale(&self, i: usize) -> Option<f64> {
        if let Target::Scale(scale) = self.target { Some(scale[i]) } else { None }
    }

    /// The source coordinates along axis `i`, where elements are blended.
    fn line(&self, i: usize, extent: usize, positions: usize) -> Line {
        let ratio = self.scale(i).map_or(extent as f64 / positions as f64, |scale| 1.0 / scale);
        let usual = if self.align_corners { Coordinates::AlignCorners } else { Coordinates::HalfPixel };
        match self.coordinates.unwrap_or(usual) {
            Coordinates::AlignCorners => {
                Line { ratio: (extent - 1) as f64 / (positions - 1).max(1) as f64, offset: 0.0 }
            }
            Coordinates::PytorchHalfPixel if positions == 1 => Line { ratio: 0.0, offset: 0.0 },
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => Line { ratio, offset: 0.5 },
            Coordinates::Asymmetric => Line { ratio, offset: 0.0 },
        }
    }

    /// The numbers of elements along axis `i`, where coordinates are rounded as asked for.
    fn rounded(&self, i: usize, extent: usize, positions: usize) -> Step {
        let scale = self.scale(i).map_or(positions as f32 / extent as f32, |scale| scale as f32);
        let rounding = self.rounding.unwrap_or(Rounding::Floor);
        let (offset, times, over) = match self.coordinates.unwrap_or(Coordinates::Asymmetric) {
            Coordinates::AlignCorners => (0.0, (extent - 1) as f32, (positions - 1).max(1) as f32),
            Coordinates::PytorchHalfPixel if positions == 1 => (0.0, 0.0, 1.0),
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (0.5, 1.0, scale),
            Coordinates::Asymmetric => (0.0, 1.0, scale),
        };
        Step::Rounded { offset, times, over, rounding }
    }
}

/// The rows of a plane, or the columns.
struct Axis {
    /// Elements of `x`; at least 1.
    extent: usize,
    /// Elements of `y`.
    positions: usize,
    step: Step,
}

/// The source coordinate as a function of the position.
enum Step {
    /// `floor(position * step)`.
    Nearest(f32),
    /// `(position + offset) * times / over - offset`, rounded.
    Rounded { offset: f32, times: f32, over: f32, rounding: Rounding },
    /// A blend of those around.
    Blend(Line),
}

/// `(position + offset) * ratio - offset`.
#[derive(Clone, Copy)]
struct Line {
    ratio: f64,
    offset: f64,
}

impl Line {
    fn source(self, position: usize) -> f64 {
        (position as f64 + self.offset) * self.ratio - self.offset
    }
}

/// Elements that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);

/// Where an element of `y` comes from: `(1 - far)` of element `at`, and `far` of the next.
#[derive(Clone, Copy, PartialEq)]
struct Tap {
    at: usize,
    /// In `[0, 1)`. If it is 0, there need be no next element.
    far: f32,
}

impl Axis {
    fn tap(&self, position: usize) -> Tap {
        let last = self.extent - 1;
        match self.step {
            Step::Nearest(step) => Tap { at: ((position as f32 * step) as usize).min(last), far: 0.0 },
            Step::Rounded { offset, times, over, rounding } => {
                let source = (position as f32 + offset) * times / over - offset;
                Tap { at: (rounding.round(source).max(0.0) as usize).min(last), far: 0.0 }
            }
            Step::Blend(line) => {
                let source = line.source(position).clamp(0.0, last as f64);
                let far = source.fract() as f32;
                // A hair below a whole number is the whole number in f32.
                if far == 1.0 {
                    Tap { at: source as usize + 1, far: 0.0 }
                } else {
                    Tap { at: source as usize, far }
                }
            }
        }
    }
}

/// How one plane of `x` and one of `y` correspond. There are planes, and they are not empty.
struct Planes {
    rows: Axis,
    cols: Axis,
    /// The taps of `cols`, which every row needs.
    taps: Recycled<Tap>,
}

impl Planes {
    fn new(op: &Upsample2d, x: Shape, y: Shape) -> Self {
        let [rows, cols] = [0, 1].map(|i| op.axis(i, x.dims()[2 + i], y.dims()[2 + i]));
        let taps = (0..cols.positions).map(|position| cols.tap(position)).collect();
        Self { rows, cols, taps }
    }

    /// Planes that make a piece of work worth a thread, and the elements of one of `x` and one of `y`.
    fn per_chunk(&self) -> (usize, usize, usize) {
        let [x, y] = [self.rows.extent * self.cols.extent, self.rows.positions * self.cols.positions];
        ((WORTH_A_THREAD / x.max(y)).max(1), x, y)
    }

    /// Makes planes of `y`, the first of which belongs to the first of `x`.
    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (_, x_plane, y_plane) = self.per_chunk();
        let (w, ow) = (self.cols.extent, self.cols.positions);
        let mut blend = Recycled::filled(0.0, w);
        for (x, y) in x.chunks_exact(x_plane).zip(y.chunks_exact_mut(y_plane)) {
            let mut before = None;
            for position in 0..self.rows.positions {
                let tap = self.rows.tap(position);
                if before == Some(tap) {
                    y.copy_within((position - 1) * ow..position * ow, position * ow);
                    continue;
                }
                before = Some(tap);
                let near = &x[tap.at * w..][..w];
                let source = if tap.far == 0.0 {
                    near
                } else {
                    for ((blend, near), far) in blend.iter_mut().zip(near).zip(&x[(tap.at + 1) * w..]) {
                        *blend = (1.0 - tap.far) * near + tap.far * far;
                    }
                    &blend
                };
                for (y, tap) in y[position * ow..][..ow].iter_mut().zip(&self.taps) {
                    let near = source[tap.at];
                    *y = if tap.far == 0.0 {
                        near
                    } else {
                        (1.0 - tap.far) * near + tap.far * source[tap.at + 1]
                    };
                }
            }
        }
    }

    /// Adds what planes of `dy` give to those of `dx`.
    fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        let (_, x_plane, y_plane) = self.per_chunk();
        let (w, ow) = (self.cols.extent, self.cols.positions);
        let mut row = Recycled::filled(0.0, w);
        for (dx, dy) in dx.chunks_exact_mut(x_plane).zip(dy.chunks_exact(y_plane)) {
            for (position, dy) in dy.chunks_exact(ow).enumerate() {
                row.fill(0.0);
                for (dy, tap) in dy.iter().zip(&self.taps) {
                    row[tap.at] += (1.0 - tap.far) * dy;
                    if tap.far != 0.0 {
                        row[tap.at + 1] += tap.far * dy;
                    }
                }
                let tap = self.rows.tap(position);
                let near = dx[tap.at * w..][..w].iter_mut().zip(&row);
                near.for_each(|(dx, row)| *dx += (1.0 - tap.far) * row);
                if tap.far != 0.0 {
                    let far = dx[(tap.at + 1) * w..][..w].iter_mut().zip(&row);
                    far.for_each(|(dx, row)| *dx += tap.far * row);
                }
            }
        }
    }
}

/// The options as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<[usize; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<[f64; 2]>,
    #[serde(default)]
    mode: Interpolation,
    #[serde(default)]
    align_corners: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coordinates: Option<Coordinates>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rounding: Option<Rounding>,
}

impl From<Upsample2d> for Fields {
    fn from(Upsample2d { target, mode, align_corners, coordinates, rounding }: Upsample2d) -> Self {
        let (size, scale) = match target {
            Target::Size(size) => (Some(size), None),
            Target::Scale(scale) => (None, Some(scale)),
        };
        Self { size, scale, mode, align_corners, coordinates, rounding }
    }
}

impl TryFrom<Fields> for Upsample2d {
    type Error = &'static str;

    fn try_from(
        Fields { size, scale, mode, align_corners, coordinates, rounding }: Fields,
    ) -> Result<Self, Self::Error> {
        let target = match (size, scale) {
            (Some(size), None) => Target::Size(size),
            (None, Some(scale)) => Target::Scale(scale),
            _ => return Err("upsample2d: expected one of size and scale"),
        };
        Ok(Self { target, mode, align_corners, coordinates, rounding })
    }
}

#[cfg(test)]
mod tests;
