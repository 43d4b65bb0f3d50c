//! 2-D transposed convolution: the map from a convolution's `dy` to its `dx`, as an operation of its own. It enlarges images
//! where a convolution with the same options reduces them.
//!
//! ```text
//! y[n, co, oh, ow] = bias[co] + sum over (ci, ih, iw, kh, kw) with ih*sh + kh*dh - ph = oh and iw*sw + kw*dw - pw = ow of
//!                    weight[ci, co - g*C, kh, kw] * x[n, ci, ih, iw]
//! ```
//!
//! with stride `s`, padding `p`, dilation `d`, `C = c_out / groups` channels per group and `g` the group of both `co` and
//! `ci`. So each input element adds its multiple of the kernel to the output, `s` positions after its neighbour's; positions
//! outside the output are dropped.
//!
//! **Conventions.** Those of PyTorch's `nn.ConvTranspose2d`, whose options and layouts these are. `padding` takes rows and
//! columns away from the output, as many at each side as it says (`ph` and `pw` are those above and to the left), and may be
//! larger than the kernel. [`Padding::Same`] is that of the convolution from an output of `h*sh` rows and `w*sw` columns. `output_padding` adds rows below and columns to the right:
//! a convolution of stride `s` maps `s` different extents to the same one, and this option chooses among them. It must be
//! less than the stride or the dilation. An output element that no input reaches is the bias. Empty batches and inputs
//! without channels are valid, as for [`Conv2d`]; an input without rows or columns is an error.
//!
//! **Algorithm.** That of the convolution whose input gradient this is: products of matrices for each image and group,
//! by the columns of [`Conv2d`]. The input's gradient is that convolution itself, and the weight's is the
//! weight's with input and output exchanged. The sum for an element of `y` begins with the bias; then come, kernel
//! row by kernel row and in it column by column, sums over the group's input channels.
//!
//! Source: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional Networks" (2010); Dumoulin and Visin, "A guide to
//! convolution arithmetic for deep learning" (2016), section 4.

use crate::conv2d::{Extents, check_groups, im2col};
use crate::shared::{bias, check};
use crate::{Conv2d, OpError, Padding, Pair};
use cnn_tensor::{Shape, Tensor, TensorError};
use serde::{Deserialize, Serialize};

const OP: &str = "conv_transpose2d";

/// The options of a transposed convolution; weight and bias are arguments of its methods. Pairs are `[height, width]`.
///
/// Shapes: `x [n, c_in, h, w]`, `weight [c_in, c_out / groups, kh, kw]`, `bias [c_out]`, `y [n, c_out, oh, ow]` with
/// `oh = (h - 1)*sh - padding + dh*(kh - 1) + output_padding + 1`, and `ow` alike.
///
/// ```
/// use cnn_ops::ConvTranspose2d;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 1, 2], vec![1.0, 2.0])?;
/// let weight = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 10.0, 100.0])?;
/// let twice = ConvTranspose2d::new([1, 3]).stride([1, 2]);
/// assert_eq!(twice.infer(&x, &weight, None)?.data(), [1.0, 10.0, 102.0, 20.0, 200.0]);
/// let even = twice.padding([0, 1]).output_padding([0, 1]);
/// assert_eq!(even.infer(&x, &weight, None)?.data(), [10.0, 102.0, 20.0, 200.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2d {
    /// Height and width of the kernel, each at least 1.
    pub kernel: [usize; 2],
    /// Output rows and columns from one input element to the next, each at least 1.
    pub stride: [usize; 2],
    /// Rows and columns that the output lacks on each side; any number that leaves some.
    pub padding: Padding,
    /// Rows added below and columns added to the right; less than stride or dilation, and none where the padding says how
    /// large the output is.
    pub output_padding: [usize; 2],
    /// Rows and columns from one tap of the kernel to the next, each at least 1.
    pub dilation: [usize; 2],
    /// Groups of channels that are convolved separately, at least 1.
    pub groups: usize,
}

/// Read by the backward pass: the input.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Tensor,
}

impl ConvTranspose2d {
    /// A transposed convolution of stride 1, without padding or dilation, in one group.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        let padding = Padding::default();
        Self { kernel, stride: [1, 1], padding, output_padding: [0, 0], dilation: [1, 1], groups: 1 }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding: a number for all sides, `[height, width]`, `[[top, bottom], [left, right]]`, or a [`Padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets the output padding.
    #[must_use]
    pub fn output_padding(self, output_padding: impl Pair) -> Self {
        Self { output_padding: output_padding.pair(), ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: dilation.pair(), ..self }
    }

    /// Sets the number of groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The shape of the weight that makes `c_out` channels of an input of shape `x`.
    ///
    /// # Errors
    /// `x` is not `[n, c, h, w]`, or the groups do not divide its channels or `c_out`.
    pub fn weight_shape(&self, x: Shape, c_out: usize) -> Result<Shape, OpError> {
        let [_, c_in, _, _] = check::nchw(OP, "x", x)?;
        check_groups(OP, self.groups, [c_in, c_out])?;
        check::output(OP, [c_in, c_out / self.groups, self.kernel[0], self.kernel[1]])
    }

    /// The shape of the output for an input of shape `x` and a weight of shape `weight`.
    ///
    /// # Errors
    /// An option is out of its range; the groups do not divide the input channels; a shape has the wrong rank; the
    /// weight is not that of [`ConvTranspose2d::weight_shape`]; `x` has no rows or columns; the padding leaves none of
    /// the output, or that has more than 2^28 elements an image.
    pub fn output_shape(&self, x: Shape, weight: Shape) -> Result<Shape, OpError> {
        Ok(self.extents(x, weight)?.x_shape())
    }

    /// The convolution from `y` to `x`.
    fn extents(&self, x: Shape, weight: Shape) -> Result<Extents, OpError> {
        let Self { kernel, stride, padding, output_padding, dilation, groups } = *self;
        let [n, c_in, h, w] = check::nchw(OP, "x", x)?;
        let [weight_c_in, c_out, kh, kw] = check::nchw(OP, "weight", weight)?;
        check::at_least_1(OP, "kernel", kernel)?;
        check::at_least_1(OP, "stride", stride)?;
        check::at_least_1(OP, "dilation", dilation)?;
        check_groups(OP, groups, [c_in, c_out.saturating_mul(groups)])?;
        weight.checked().map_err(|fault| OpError::Tensor { op: OP, fault })?;
        if weight_c_in != c_in {
            let unit = "input channels";
            return Err(OpError::Extent { op: OP, what: "weight", unit, expected: weight_c_in, got: c_in });
        }
        if [kh, kw] != kernel {
            let expected = [c_in, c_out, kernel[0], kernel[1]].into();
            return Err(OpError::Shape { op: OP, what: "weight", expected, got: weight });
        }
        if [0, 1].into_iter().any(|i| output_padding[i] >= stride[i].max(dilation[i])) {
            let rule = "less than stride or dilation";
            let got = format!("{output_padding:?}");
            return Err(OpError::Option { op: OP, option: "output_padding", rule, got });
        }
        let same = matches!(padding, Padding::Same | Padding::SameLower);
        let rule = "0 where the padding is \"same\"";
        let got = format_args!("{output_padding:?}");
        check::rule(OP, "output_padding", rule, !same || output_padding == [0, 0], got)?;
        let padding = self.sides([h, w]);
        let [oh, ow] = match same && h > 0 && w > 0 {
            true => self.as_large_as_same([h, w]),
            false => [self.reach(h, 0, padding)?, self.reach(w, 1, padding)?],
        };
        let c_out_of_all = c_out.saturating_mul(groups);
        check::output(OP, [n, c_out_of_all, oh, ow])?;
        let options = Conv2d { kernel, stride, padding: padding.into(), dilation, groups };
        Ok(Extents { n, c_in: c_out, c_out: c_in / groups, h: oh, w: ow, oh: h, ow: w, padding, options })
    }

    /// Height and width of the output where the padding is that of [`Padding::Same`].
    fn as_large_as_same(&self, x: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| x[i].saturating_mul(self.stride[i]))
    }

    /// The rows and columns that the output lacks, `[[top, bottom], [left, right]]`, for an input of `x` rows and columns.
    pub fn sides(&self, x: [usize; 2]) -> [[usize; 2]; 2] {
        self.padding.resolve(self.as_large_as_same(x), self.kernel, self.stride, self.dilation)
    }

    /// The output extent along axis `i` for an input extent of `extent`.
    fn reach(&self, extent: usize, i: usize, sides: [[usize; 2]; 2]) -> Result<usize, OpError> {
        let Some(last) = extent.checked_sub(1) else {
            let (option, rule) = ("the input", "of at least 1 row and 1 column");
            return Err(OpError::Option { op: OP, option, rule, got: format!("an extent of {extent}") });
        };
        let window = (self.kernel[i] - 1).saturating_mul(self.dilation[i]);
        let reach = last.saturating_mul(self.stride[i]).saturating_add(window);
        let reach = reach.saturating_add(self.output_padding[i]).saturating_add(1);
        if reach == usize::MAX {
            let fault = TensorError::TooLarge { shape: [reach].into() };
            return Err(OpError::Tensor { op: OP, fault });
        }
        let padding = sides[i][0].saturating_add(sides[i][1]);
        match reach.checked_sub(padding) {
            Some(1..) => Ok(reach - padding),
            _ => {
                let (option, rule) = ("padding", "less than the output's extent without it");
                let got = format!("{padding} of {reach}");
                Err(OpError::Option { op: OP, option, rule, got })
            }
        }
    }

    /// Multiply-accumulates of a forward pass; the same for each of the two backward products.
    ///
    /// # Errors
    /// Those of [`ConvTranspose2d::output_shape`].
    pub fn macs(&self, x: Shape, weight: Shape) -> Result<u64, OpError> {
        Ok(self.extents(x, weight)?.macs())
    }

    /// The output, when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`ConvTranspose2d::output_shape`], or `bias` is not of shape `[c_out]`.
    pub fn infer(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, OpError> {
        let e = self.extents(x.shape(), weight.shape())?;
        if let Some(bias) = bias {
            check::shape(OP, "bias", [e.options.groups * e.c_in], bias)?;
        }
        let mut y = Tensor::scratch(e.x_shape());
        im2col::input_gradient(&e, weight.data(), x.data(), bias.map(Tensor::data), y.data_mut());
        Ok(y)
    }

    /// The output, and what [`ConvTranspose2d::backward`] reads.
    ///
    /// # Errors
    /// Those of [`ConvTranspose2d::infer`].
    pub fn forward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        Ok((self.infer(x, weight, bias)?, Saved { x: x.clone() }))
    }

    /// The gradient `dx [n, c_in, h, w]` for `dy [n, c_out, oh, ow]`; adds the others into `dweight` and `dbias`.
    ///
    /// # Errors
    /// `weight` is not the forward pass's, or `dy`, `dweight` or `dbias` does not have the shape of
    /// its parameter.
    pub fn backward(
        &self,
        saved: &Saved,
        weight: &Tensor,
        dy: &Tensor,
        dweight: &mut Tensor,
        dbias: Option<&mut Tensor>,
    ) -> Result<Tensor, OpError> {
        self.backward_parameters(saved, weight, dy, dweight, dbias)?;
        let e = self.extents(saved.x.shape(), weight.shape())?;
        let mut dx = Tensor::scratch(saved.x.shape());
        im2col::forward(&e, dy.data(), weight.data(), None, dx.data_mut());
        Ok(dx)
    }

    /// [`ConvTranspose2d::backward`] without `dx`, which the first layer of a network does not need.
    ///
    /// # Errors
    /// Those of [`ConvTranspose2d::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        weight: &Tensor,
        dy: &Tensor,
        dweight: &mut Tensor,
        dbias: Option<&mut Tensor>,
    ) -> Result<(), OpError> {
        let e = self.extents(saved.x.shape(), weight.shape())?;
        check::shape(OP, "dy", e.x_shape(), dy)?;
        check::shape(OP, "dweight", weight.shape(), dweight)?;
        if let Some(dbias) = dbias {
            check::shape(OP, "dbias", [e.options.groups * e.c_in], dbias)?;
            bias::add_gradient(dy, dbias);
        }
        im2col::weight_gradient(&e, dy.data(), saved.x.data(), dweight.data_mut());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
