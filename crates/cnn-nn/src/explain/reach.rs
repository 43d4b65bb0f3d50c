//! The part of a layer's input that an element of its output depends on.

use crate::spec::LayerSpec;
use cnn_ops::Padding;
use std::ops::Range;

/// A rectangle of an image or of a map, in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// From the top, 0, downwards.
    pub rows: Range<usize>,
    /// From the left, 0, to the right.
    pub columns: Range<usize>,
}

impl Region {
    /// The smallest rectangle that contains both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let join = |a: &Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        Self { rows: join(&self.rows, &other.rows), columns: join(&self.columns, &other.columns) }
    }
}

/// How far the elements of a layer's output see, in rows and columns of its input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// A window that moves over the input.
    Window { kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], padding: Padding },
    /// The pixel at the same place, in any channel. Where the output has another height or width, the whole input.
    Pixel,
    /// The whole input.
    Whole,
}

impl Reach {
    /// The reach of a described layer. A layer of which nothing better is known sees its whole input.
    pub fn of(spec: &LayerSpec) -> Self {
        let window =
            |kernel, stride, padding: Padding| Self::Window { kernel, stride, dilation: [1, 1], padding };
        match spec {
            LayerSpec::Conv2d(spec) => {
                let cnn_ops::Conv2d { kernel, stride, padding, dilation, .. } = spec.options();
                Self::Window { kernel, stride, dilation, padding }
            }
            LayerSpec::Conv2dTable(spec) => {
                let options = spec.options();
                window(options.kernel, options.stride, options.padding)
            }
            LayerSpec::MaxPool2d(pool) | LayerSpec::MaxPool2dWithIndices(pool) => Self::Window {
                kernel: pool.kernel,
                stride: pool.stride,
                dilation: pool.dilation,
                padding: pool.padding,
            },
            LayerSpec::AvgPool2d(pool) => Self::Window {
                kernel: pool.kernel,
                stride: pool.stride,
                dilation: pool.dilation,
                padding: pool.padding,
            },
            LayerSpec::Subsample(spec) => {
                let options = spec.options();
                window(options.kernel, options.stride, Padding::default())
            }
            LayerSpec::BatchNorm2d(_)
            | LayerSpec::LocalResponseNorm(_)
            | LayerSpec::Dropout { .. }
            | LayerSpec::Dropout2d { .. }
            | LayerSpec::Activation(_)
            | LayerSpec::Prelu(_)
            | LayerSpec::Add
            | LayerSpec::Sub
            | LayerSpec::Mul
            | LayerSpec::Div
            | LayerSpec::Maximum
            | LayerSpec::Minimum
            | LayerSpec::ArithmeticBy(_)
            | LayerSpec::Cat(_) => Self::Pixel,
            _ => Self::Whole,
        }
    }

    /// The part of an input of `x` rows and columns that the part `seen` of an output of `y` rows and columns depends on.
    pub fn back(self, x: [usize; 2], y: [usize; 2], seen: &Region) -> Region {
        let [rows, columns] = [0..x[0], 0..x[1]];
        match self {
            Self::Pixel if x == y => seen.clone(),
            Self::Pixel | Self::Whole => Region { rows, columns },
            Self::Window { kernel, stride, dilation, padding } => {
                let before = padding.resolve(x, kernel, stride, dilation).map(|[before, _]| before);
                // Window by window: of dilated ones over padding, the first tap on the input is not simply the first pixel.
                let axis = |axis: usize, seen: &Range<usize>| {
                    let taps = seen.clone().flat_map(|i| {
                        (0..kernel[axis]).map(move |tap| i * stride[axis] + tap * dilation[axis])
                    });
                    let on_input =
                        taps.filter_map(|at| at.checked_sub(before[axis])).filter(|at| *at < x[axis]);
                    let (first, last) = (on_input.clone().min(), on_input.max());
                    first.unwrap_or(0)..last.map_or(0, |last| last + 1)
                };
                Region { rows: axis(0, &seen.rows), columns: axis(1, &seen.columns) }
            }
        }
    }
}
