//! The shape rule of a convolution, and the extents that follow from it.

use super::Conv2d;
use crate::OpError;
use crate::shared::check;
use cnn_tensor::Shape;

/// All extents of one convolution, once they are known to fit together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    pub n: usize,
    /// Channels per group.
    pub c_in: usize,
    /// Output channels per group.
    pub c_out: usize,
    pub h: usize,
    pub w: usize,
    /// Windows that count: as many as fit, or fewer where the convolution is the transpose of another operation.
    pub oh: usize,
    pub ow: usize,
    /// Zeros `[[above, below], [left, right]]`.
    pub padding: [[usize; 2]; 2],
    pub options: Conv2d,
}

impl Extents {
    /// The shape rule: the extents of an operation `op` on `x [n, c, h, w]`, with `options` and a weight of shape `weight`.
    pub fn new(op: &'static str, options: Conv2d, x: Shape, weight: Shape) -> Result<Self, OpError> {
        let [n, c_in, h, w] = check::nchw(op, "x", x)?;
        let [c_out, c_in_of_group, kh, kw] = check::nchw(op, "weight", weight)?;
        let Conv2d { kernel, stride, padding, dilation, groups } = options;
        check::at_least_1(op, "kernel", kernel)?;
        check::at_least_1(op, "stride", stride)?;
        check::at_least_1(op, "dilation", dilation)?;
        check_groups(op, groups, [c_in, c_out])?;
        weight.checked().map_err(|fault| OpError::Tensor { op, fault })?;
        if [kh, kw] != kernel {
            let expected = [c_out, c_in / groups, kernel[0], kernel[1]].into();
            return Err(OpError::Shape { op, what: "weight", expected, got: weight });
        }
        if c_in_of_group != c_in / groups {
            let (expected, unit) = (c_in_of_group.saturating_mul(groups), "input channels");
            return Err(OpError::Extent { op, what: "weight", unit, expected, got: c_in });
        }
        let padding = padding.resolve([h, w], kernel, stride, dilation);
        let positions =
            |extent, i| check::positions(op, extent, padding[i], [kernel[i], stride[i], dilation[i]]);
        let (oh, ow) = (positions(h, 0)?, positions(w, 1)?);
        check::output(op, [n, c_out, oh, ow])?;
        Ok(Self { n, c_in: c_in / groups, c_out: c_out / groups, h, w, oh, ow, padding, options })
    }

    /// Weights that one output channel has: `c_in / groups * kh * kw`.
    pub fn taps(&self) -> usize {
        let [kh, kw] = self.options.kernel;
        self.c_in.saturating_mul(kh).saturating_mul(kw)
    }

    pub fn x_shape(&self) -> Shape {
        [self.n, self.options.groups * self.c_in, self.h, self.w].into()
    }

    pub fn y_shape(&self) -> Shape {
        [self.n, self.options.groups * self.c_out, self.oh, self.ow].into()
    }

    pub fn weight_shape(&self) -> Shape {
        let [kh, kw] = self.options.kernel;
        [self.options.groups * self.c_out, self.c_in, kh, kw].into()
    }

    /// Elements of one input image.
    pub fn x_image(&self) -> usize {
        self.x_shape().with_batch(1).numel()
    }

    /// Elements of one output image.
    pub fn y_image(&self) -> usize {
        self.y_shape().with_batch(1).numel()
    }

    /// Elements of the input plane of one channel.
    pub fn x_plane(&self) -> usize {
        self.h.saturating_mul(self.w)
    }

    /// Elements of the output plane of one channel.
    pub fn y_plane(&self) -> usize {
        self.oh.saturating_mul(self.ow)
    }

    /// Rows and columns from a window's first tap to its last.
    pub fn reach(&self) -> [usize; 2] {
        let Conv2d { kernel, dilation, .. } = self.options;
        [0, 1].map(|i| dilation[i].saturating_mul(kernel[i] - 1))
    }

    /// Whether every output sees the one pixel at its own place.
    pub fn is_pointwise(&self) -> bool {
        let Conv2d { kernel, stride, .. } = self.options;
        kernel == [1, 1]
            && stride == [1, 1]
            && self.padding == [[0, 0]; 2]
            && [self.oh, self.ow] == [self.h, self.w]
    }

    /// The convolution from `dy` to `dx`, with every window of the weight turned round: there is one at stride 1, unless
    /// there is padding above or to the left that no window with an image in it needs.
    pub fn reversed(&self) -> Option<Self> {
        let full = self.reach();
        let padding = |i: usize| self.padding[i].map(|side| full[i].saturating_sub(side));
        let little = self.padding[0][0] <= full[0] && self.padding[1][0] <= full[1];
        let reversible = self.options.stride == [1, 1] && little;
        reversible.then(|| Self {
            c_in: self.c_out,
            c_out: self.c_in,
            h: self.oh,
            w: self.ow,
            oh: self.h,
            ow: self.w,
            padding: [padding(0), padding(1)],
            ..*self
        })
    }

    /// Whether the output has no elements.
    pub fn is_empty(&self) -> bool {
        self.n == 0 || self.y_image() == 0
    }

    /// Whether no output depends on an input or a weight.
    pub fn is_constant(&self) -> bool {
        self.is_empty() || self.x_image() == 0
    }

    /// Multiply-accumulates of `y` from `x`; the same for each of the gradients of `x` and the weight.
    pub fn macs(&self) -> u64 {
        (self.y_shape().numel() as u64).saturating_mul(self.taps() as u64)
    }
}

/// Checks that both numbers of channels are multiples of the number of groups.
pub(crate) fn check_groups(
    op: &'static str,
    groups: usize,
    [c_in, c_out]: [usize; 2],
) -> Result<(), OpError> {
    if groups == 0 || !c_in.is_multiple_of(groups) || !c_out.is_multiple_of(groups) {
        let got = format!("{groups} for {c_in} input and {c_out} output channels");
        return Err(OpError::Option { op, option: "groups", rule: "a divisor of both channel counts", got });
    }
    Ok(())
}
