//! 2-D convolution, which is cross-correlation as everywhere in deep learning: the kernel is not flipped.
//!
//! ```text
//! y[n, co, oh, ow] = bias[co] + sum over (ci, kh, kw) of
//!                    weight[co, ci, kh, kw] * x[n, g*C + ci, oh*sh + kh*dh - top, ow*sw + kw*dw - left]
//! ```
//!
//! with stride `s`, dilation `d`, `top` and `left` rows and columns of padding, `C = c_in / groups` channels per group and
//! `g` the group of `co`: output channels fall into `groups` equal runs, and each sees its own run of input channels only.
//!
//! **Conventions.** Options and layouts are those of PyTorch's `conv2d`, except that [`Padding`] may differ from side to side.
//! Positions outside the input count as 0. Padding may be larger than the kernel, and even surround a plane without
//! elements: a window that covers only padding gives the bias. Empty batches, and inputs or outputs without channels, are
//! valid. A NaN or infinity reaches the windows that contain it; the product of an infinite weight and padding is not defined.
//!
//! **Algorithm.** One of six, chosen by shape:
//!
//! - `depthwise`: where each channel is a group of its own, a plane is one line with its pixels in the lanes, and each tap the same
//!   line further on.
//! - `lanes`: sixteen images side by side in the vector lanes, every tap one multiply-add for all of them. It fills the lanes
//!   for any width of a row and any number of channels, so it is the fastest where those are small (LeNet-5).
//! - `winograd`: 3 x 3 and 5 x 5 windows at stride 1 with a quarter or 36 % of the multiplications, where channels are many.
//!   Its rounding errors are larger, by one decimal digit or one and a half; `CNN_WINOGRAD=off` in the environment turns it
//!   off.
//! - `polyphase`: the same for strided convolutions that are such convolutions of every `s`th pixel (AlexNet's first), and
//!   for numbers of channels that do not fill vectors.
//! - `rows`: the pixels of a plane in the lanes, for single images and few output channels; forward only.
//! - `im2col`: matrix products of the weight and windows unrolled to the columns of a matrix. It takes every option.
//!
//! Source: LeCun, Bottou, Bengio, Haffner 1998, section II; im2col: Chellapilla, Puri, Simard 2006.

mod algorithm;
mod depthwise;
mod every;
mod extents;
pub(crate) mod im2col;
mod lanes;
mod polyphase;
mod rows;
mod winograd;

pub(crate) use extents::{Extents, check_groups};
pub use winograd::check_environment;

use crate::shared::{bias, check};
use crate::{OpError, Padding, Pair};
use algorithm::Algorithm;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

const OP: &str = "conv2d";

/// The options of a convolution; weight and bias are arguments of its methods.
///
/// Shapes: `x [n, c_in, h, w]`, `weight [c_out, c_in / groups, kh, kw]`, `bias [c_out]`, `y [n, c_out, oh, ow]` with
/// `oh = (h + top + bottom - dh*(kh - 1) - 1) / sh + 1` rounded down, and `ow` alike.
///
/// ```
/// use cnn_ops::Conv2d;
/// use cnn_tensor::Tensor;
/// // A vertical edge between dark (0) and light (1), and the kernel that finds it.
/// let x = Tensor::from_vec([1, 1, 1, 4], vec![0.0, 0.0, 1.0, 1.0])?;
/// let weight = Tensor::from_vec([1, 1, 1, 2], vec![-1.0, 1.0])?;
/// let edges = Conv2d::new([1, 2]).infer(&x, &weight, None)?;
/// assert_eq!(edges.data(), [0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Height and width of the kernel, each at least 1.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next, each at least 1.
    pub stride: [usize; 2],
    /// Zero rows added above and below, zero columns added left and right; any number.
    pub padding: Padding,
    /// Rows and columns from one tap of the kernel to the next, each at least 1.
    pub dilation: [usize; 2],
    /// Groups of channels that are convolved separately, at least 1; `c_in` for a depthwise convolution.
    pub groups: usize,
}

/// The data that the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    extents: Extents,
    algorithm: &'static dyn Algorithm,
    /// The input, in the form that the algorithm reads.
    x: Tensor,
}

impl Conv2d {
    /// A convolution of stride 1, without padding or dilation, in one group.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        Self { kernel, stride: [1, 1], padding: Padding::default(), dilation: [1, 1], groups: 1 }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding: a [`Padding`], a number for all sides, `[height, width]`, or
    /// `[[top, bottom], [left, right]]`.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
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
        check::output(OP, [c_out, c_in / self.groups, self.kernel[0], self.kernel[1]])
    }

    /// The shape of the output for an input of shape `x` and a weight of shape `weight`.
    ///
    /// # Errors
    /// An extent of the kernel, stride or dilation is 0; the groups do not divide the channels; a shape has the wrong
    /// rank; the weight is not that of [`Conv2d::weight_shape`]; the window does not fit the padded input; the output
    /// has more than 2^28 elements an image. Forward and backward passes validate here and then index freely.
    pub fn output_shape(&self, x: Shape, weight: Shape) -> Result<Shape, OpError> {
        Ok(self.extents(x, weight)?.y_shape())
    }

    fn extents(&self, x: Shape, weight: Shape) -> Result<Extents, OpError> {
        Extents::new(OP, *self, x, weight)
    }

    /// Multiply-accumulates of a forward pass; the same for each of the two backward products.
    ///
    /// # Errors
    /// Those of [`Conv2d::output_shape`].
    pub fn macs(&self, x: Shape, weight: Shape) -> Result<u64, OpError> {
        Ok(self.extents(x, weight)?.macs())
    }

    /// The output, when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`Conv2d::output_shape`] and of [`check_environment`], or `bias` is not of shape `[c_out]`.
    pub fn infer(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, OpError> {
        Ok(self.forward(x, weight, bias)?.0)
    }

    /// The output, and what [`Conv2d::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Conv2d::infer`].
    pub fn forward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        check_environment()?;
        self.forward_by(algorithm::fastest, x, weight, bias)
    }

    fn forward_by(
        &self,
        choose: impl FnOnce(&Extents) -> &'static dyn Algorithm,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        let extents = self.extents(x.shape(), weight.shape())?;
        if let Some(bias) = bias {
            check::shape(OP, "bias", [weight.shape().batch()], bias)?;
        }
        let mut y = Tensor::scratch(extents.y_shape());
        let bias = bias.map(Tensor::data);
        let algorithm = choose(&extents);
        let x = algorithm.forward(&extents, x, weight.data(), bias, y.data_mut());
        Ok((y, Saved { extents, algorithm, x }))
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
        let mut dx = Tensor::scratch(saved.extents.x_shape());
        saved.backward(weight, dy, Some(dweight), dbias, Some(dx.data_mut()))?;
        Ok(dx)
    }

    /// [`Conv2d::backward`] with `dx` alone, for weights that are not trained.
    ///
    /// ```
    /// use cnn_ops::Conv2d;
    /// use cnn_tensor::Tensor;
    /// let x = Tensor::zeros([1, 1, 1, 3]);
    /// let weight = Tensor::from_vec([1, 1, 1, 2], vec![-1.0, 1.0])?;
    /// let conv = Conv2d::new([1, 2]);
    /// let (_, saved) = conv.forward(&x, &weight, None)?;
    /// let dy = Tensor::from_vec([1, 1, 1, 2], vec![1.0, 10.0])?;
    /// assert_eq!(conv.backward_input(&saved, &weight, &dy)?.data(), [-1.0, -9.0, 10.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Conv2d::backward`].
    pub fn backward_input(&self, saved: &Saved, weight: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
        let mut dx = Tensor::scratch(saved.extents.x_shape());
        saved.backward(weight, dy, None, None, Some(dx.data_mut()))?;
        Ok(dx)
    }

    /// [`Conv2d::backward`] without `dx`, which the first layer of a network does not need.
    ///
    /// # Errors
    /// Those of [`Conv2d::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        weight: &Tensor,
        dy: &Tensor,
        dweight: &mut Tensor,
        dbias: Option<&mut Tensor>,
    ) -> Result<(), OpError> {
        saved.backward(weight, dy, Some(dweight), dbias, None)
    }
}

impl Saved {
    /// Adds the gradients of the parameters and writes `dx`, as far as wanted: those of the forward pass that made this.
    fn backward(
        &self,
        weight: &Tensor,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
        dx: Option<&mut [f32]>,
    ) -> Result<(), OpError> {
        let extents = self.extents;
        check::shape(OP, "weight", extents.weight_shape(), weight)?;
        check::shape(OP, "dy", extents.y_shape(), dy)?;
        if let Some(dweight) = dweight.as_deref() {
            check::shape(OP, "dweight", weight.shape(), dweight)?;
        }
        if let Some(dbias) = dbias {
            check::shape(OP, "dbias", [weight.shape().batch()], dbias)?;
            bias::add_gradient(dy, dbias);
        }
        if extents.is_constant() {
            // No output depends on an input or a weight.
            dx.into_iter().for_each(|dx| dx.fill(0.0));
            return Ok(());
        }
        let dweight = dweight.map(Tensor::data_mut);
        self.algorithm.backward(&extents, &self.x, weight.data(), dy.data(), dweight, dx);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod terms;
#[cfg(test)]
mod tests;
