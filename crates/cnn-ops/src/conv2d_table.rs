//! 2-D convolution by a table of connections: each output channel sees some of the input channels, as in LeNet-5's C3.
//!
//! ```text
//! y[n, co, oh, ow] = bias[co] + sum over (i, kh, kw) of
//!                    weight[first(co) + i, kh, kw] * x[n, table[co][i], oh*sh + kh - top, ow*sw + kw - left]
//! ```
//!
//! where `first(co)` is the number of connections of the output channels before `co`: the weight has a kernel for each
//! connection, in the order of the table.
//!
//! **Conventions.** Padding counts as 0, as in [`Conv2d`]. A NaN or infinity makes every window that contains it NaN, even
//! for output channels that do not see its channel: the algorithm multiplies by a weight of 0, and `0 * inf` is NaN. In the
//! same way, an infinite `dy` makes the gradients of channels NaN that its output channel does not see. Finite numbers in
//! channels that are not seen change nothing.
//!
//! **Algorithm.** The kernels are spread to a weight `[c_out, c_in, kh, kw]` with zeros where there is no connection, and
//! [`Conv2d`] does the rest; the weight's gradient is read from the same places. C3 has 60 of 96 connections, so this takes
//! 1.6 times the necessary multiply-adds, at the full speed of the dense kernels. For a nearly empty table this is slow.
//!
//! Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
//! IEEE 86 (1998), section II.B and table I.

use crate::conv2d::{self, Extents};
use crate::shared::check;
use crate::{Conv2d, OpError, Padding, Pair};
use cnn_tensor::{Shape, Tensor, vector};
use serde::{Deserialize, Serialize};

const OP: &str = "conv2d_table";

/// The table of connections and the options; weight and bias are arguments of the methods. Pairs are `[height, width]`.
///
/// Shapes: `x [n, c_in, h, w]`, `weight [connections, kh, kw]`, `bias [c_out]`, `y [n, c_out, oh, ow]` with
/// `oh = (h + top + bottom - kh) / sh + 1` rounded down, and `ow` alike.
///
/// ```
/// use cnn_ops::Conv2dTable;
/// use cnn_tensor::Tensor;
/// // The first output channel sees both input channels, the second the last one alone.
/// let op = Conv2dTable::new([vec![0, 1], vec![1]], [1, 1]);
/// let x = Tensor::from_vec([1, 2, 1, 2], vec![1.0, 2.0, 10.0, 20.0])?;
/// let weight = Tensor::from_vec([3, 1, 1], vec![1.0, 2.0, 3.0])?;
/// assert_eq!(op.infer(&x, &weight, None)?.data(), [21.0, 42.0, 30.0, 60.0]);
///
/// let c3 = Conv2dTable::lenet5_c3([5, 5]);
/// let weight = c3.weight_shape([1, 6, 14, 14].into())?;
/// assert_eq!(weight.numel() + c3.table.len(), 1516); // trainable parameters, as the paper counts
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dTable {
    /// For each output channel the input channels that it sees: at least one, ascending.
    pub table: Vec<Vec<usize>>,
    /// Height and width of the kernel, each at least 1.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next, each at least 1.
    pub stride: [usize; 2],
    /// Zero rows added above and below, zero columns added left and right; any number.
    pub padding: Padding,
}

/// The data that the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    x_shape: Shape,
    conv: conv2d::Saved,
}

/// Table I of the paper: the maps of S2 that each map of C3 sees. Six see three neighbours, nine see four, in two
/// patterns, and the last one sees all.
pub const LENET5_C3: [&[usize]; 16] = [
    &[0, 1, 2],
    &[1, 2, 3],
    &[2, 3, 4],
    &[3, 4, 5],
    &[0, 4, 5],
    &[0, 1, 5],
    &[0, 1, 2, 3],
    &[1, 2, 3, 4],
    &[2, 3, 4, 5],
    &[0, 3, 4, 5],
    &[0, 1, 4, 5],
    &[0, 1, 2, 5],
    &[0, 1, 3, 4],
    &[1, 2, 4, 5],
    &[0, 2, 3, 5],
    &[0, 1, 2, 3, 4, 5],
];

impl Conv2dTable {
    /// A convolution by `table` of stride 1, without padding.
    pub fn new(table: impl IntoIterator<Item = impl Into<Vec<usize>>>, kernel: impl Pair) -> Self {
        let table = table.into_iter().map(Into::into).collect();
        Self { table, kernel: kernel.pair(), stride: [1, 1], padding: Padding::default() }
    }

    /// LeNet-5's C3, from 6 channels to 16 by [`LENET5_C3`]; the paper's kernel is `[5, 5]`.
    pub fn lenet5_c3(kernel: impl Pair) -> Self {
        Self::new(LENET5_C3, kernel)
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding, as [`Conv2d::padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The number of connections of all output channels.
    pub fn connections(&self) -> usize {
        self.table.iter().map(Vec::len).sum()
    }

    /// The shape of the weight for an input of shape `x`: `[connections, kh, kw]`.
    ///
    /// # Errors
    /// `x` is not `[n, c, h, w]`, or the table names a channel that it lacks, or is not in order.
    pub fn weight_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let [_, c_in, _, _] = check::nchw(OP, "x", x)?;
        self.check_table(c_in)?;
        check::output(OP, [self.connections(), self.kernel[0], self.kernel[1]])
    }

    /// The shape of the output for an input of shape `x` and a weight of shape `weight`.
    ///
    /// # Errors
    /// Those of [`Conv2dTable::weight_shape`]; an extent of the kernel or stride is 0; the weight has another shape; the
    /// window does not fit the padded input; the output has more than 2^28 elements an image, or a weight for all
    /// pairs of channels would.
    pub fn output_shape(&self, x: Shape, weight: Shape) -> Result<Shape, OpError> {
        Ok(self.extents(x, weight)?.y_shape())
    }

    /// Those of the dense convolution.
    fn extents(&self, x: Shape, weight: Shape) -> Result<Extents, OpError> {
        let expected = self.weight_shape(x)?;
        if weight != expected {
            return Err(OpError::Shape { op: OP, what: "weight", expected, got: weight });
        }
        let dense = self.dense_shape(x)?;
        Extents::new(OP, self.dense(), x, dense)
    }

    fn check_table(&self, c_in: usize) -> Result<(), OpError> {
        let fault = |rule, got| Err(OpError::Option { op: OP, option: "table", rule, got });
        for (co, row) in self.table.iter().enumerate() {
            if row.is_empty() || !row.is_sorted_by(|a, b| a < b) {
                let rule = "rows of at least one channel, ascending";
                return fault(rule, format!("{row:?} for output channel {co}"));
            }
            if let Some(channel) = row.last().filter(|&&channel| channel >= c_in) {
                let rule = "of channels that the input has";
                return fault(rule, format!("channel {channel} of {c_in} for output channel {co}"));
            }
        }
        Ok(())
    }

    /// The convolution of all channels.
    fn dense(&self) -> Conv2d {
        let Self { kernel, stride, padding, .. } = *self;
        Conv2d { kernel, stride, padding, dilation: [1, 1], groups: 1 }
    }

    /// The shape of its weight, which is checked since its memory does not come from the caller.
    fn dense_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let shape = Shape::from([self.table.len(), x.dims()[1], self.kernel[0], self.kernel[1]]);
        if shape.numel() > 1 << 28 {
            let (option, rule) = ("the table's dense weight", "at most 2^28 elements");
            return Err(OpError::Option { op: OP, option, rule, got: shape.to_string() });
        }
        Ok(shape)
    }

    /// Where each connection's kernel stands among those of a weight for all pairs of channels.
    fn places(&self, c_in: usize) -> impl Iterator<Item = usize> {
        self.table.iter().enumerate().flat_map(move |(co, row)| row.iter().map(move |ci| co * c_in + ci))
    }

    /// The weight for all pairs of channels.
    fn spread(&self, e: &Extents, weight: &Tensor) -> Tensor {
        let window = window(weight);
        let mut spread = Tensor::zeros([e.c_out, e.c_in, self.kernel[0], self.kernel[1]]);
        let dense = spread.data_mut();
        for (kernel, place) in weight.data().chunks_exact(window).zip(self.places(e.c_in)) {
            dense[place * window..][..window].copy_from_slice(kernel);
        }
        spread
    }

    /// Multiply-accumulates of a forward pass, counting connections alone; the same for each of the two backward
    /// products.
    ///
    /// # Errors
    /// Those of [`Conv2dTable::output_shape`].
    pub fn macs(&self, x: Shape, weight: Shape) -> Result<u64, OpError> {
        let e = self.extents(x, weight)?;
        let windows = Shape::from([e.n, e.oh, e.ow]).numel();
        Ok((weight.numel() as u64).saturating_mul(windows as u64))
    }

    /// The output, when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`Conv2dTable::output_shape`], or `bias` is not of shape `[c_out]`.
    pub fn infer(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, OpError> {
        Ok(self.forward(x, weight, bias)?.0)
    }

    /// The output, and what [`Conv2dTable::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Conv2dTable::infer`].
    pub fn forward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        let e = self.extents(x.shape(), weight.shape())?;
        if let Some(bias) = bias {
            check::shape(OP, "bias", [e.c_out], bias)?;
        }
        let (y, conv) = self.dense().forward(x, &self.spread(&e, weight), bias)?;
        Ok((y, Saved { x_shape: x.shape(), conv }))
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
        self.by_dense_gradient(saved, weight, dy, dweight, dbias, |dense, ddense, dbias| {
            self.dense().backward(&saved.conv, dense, dy, ddense, dbias)
        })
    }

    /// [`Conv2dTable::backward`] without `dx`, which the first layer of a network does not need.
    ///
    /// # Errors
    /// Those of [`Conv2dTable::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        weight: &Tensor,
        dy: &Tensor,
        dweight: &mut Tensor,
        dbias: Option<&mut Tensor>,
    ) -> Result<(), OpError> {
        self.by_dense_gradient(saved, weight, dy, dweight, dbias, |dense, ddense, dbias| {
            self.dense().backward_parameters(&saved.conv, dense, dy, ddense, dbias)
        })
    }

    /// Checks the operands, calls `backward(dense, ddense, dbias)` with the weight for all pairs of channels and its
    /// gradient to add into, and adds what that holds for each connection into `dweight`.
    fn by_dense_gradient<R>(
        &self,
        saved: &Saved,
        weight: &Tensor,
        dy: &Tensor,
        dweight: &mut Tensor,
        dbias: Option<&mut Tensor>,
        backward: impl FnOnce(&Tensor, &mut Tensor, Option<&mut Tensor>) -> Result<R, OpError>,
    ) -> Result<R, OpError> {
        let e = self.extents(saved.x_shape, weight.shape())?;
        check::shape(OP, "dy", e.y_shape(), dy)?;
        check::shape(OP, "dweight", weight.shape(), dweight)?;
        if let Some(dbias) = &dbias {
            check::shape(OP, "dbias", [e.c_out], dbias)?;
        }
        let dense = self.spread(&e, weight);
        let mut ddense = Tensor::zeros(dense.shape());
        let result = backward(&dense, &mut ddense, dbias)?;
        let window = window(weight);
        for (dkernel, place) in dweight.data_mut().chunks_exact_mut(window).zip(self.places(e.c_in)) {
            vector::axpy(1.0, &ddense.data()[place * window..][..window], dkernel);
        }
        Ok(result)
    }
}

/// Elements of the kernel of one connection.
fn window(weight: &Tensor) -> usize {
    weight.shape().with_batch(1).numel()
}

#[cfg(test)]
mod tests;
