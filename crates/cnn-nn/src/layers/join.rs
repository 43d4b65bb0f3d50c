//! Layers without parameters that have several inputs or several outputs.

use crate::{At, Gradients, Grads, Kept, Layer, NnError, Shapes, Tensors};
use cnn_ops::max_pool2d::NO_ELEMENT;
use cnn_ops::{
    Arithmetic, Concat, MatMul, MaxPool2d, MaxUnpool2d, OpError, Split, Stack, masked_softmax, max_pool2d,
};
use cnn_tensor::{Recycled, Shape, Tensor};

/// The `N` inputs or outputs of a layer, after checking their number.
pub(super) fn exactly<T, const N: usize>(given: &[T]) -> Result<&[T; N], NnError> {
    let fault = || NnError::Count { what: "the number of inputs", expected: N, got: given.len() };
    given.try_into().map_err(|_| fault())
}

/// The gradient of a layer's single output.
pub(super) fn one(dy: Gradients) -> Result<Tensor, NnError> {
    let fault = NnError::Count { what: "the number of gradients", expected: 1, got: 0 };
    dy.only("the number of gradients")?.ok_or(fault)
}

/// Two tensors, element by element.
impl Layer for Arithmetic {
    fn kind(&self) -> &'static str {
        self.name()
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let [a, b] = *exactly(x)?;
        Ok(self.output_shape(a, b)?.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        let (a, b) = pair(x)?;
        Ok(Arithmetic::infer(*self, a, &b)?.into())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let (a, b) = pair(x)?;
        let (y, saved) = Arithmetic::forward(*self, a, &b)?;
        kept.put(saved);
        Ok(y.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let (da, db) = Arithmetic::backward(*self, &kept.take()?, one(dy)?)?;
        Ok([Some(da), Some(db)].into())
    }
}

fn pair(x: Tensors) -> Result<(Tensor, Tensor), NnError> {
    exactly::<_, 2>(&x)?;
    let mut x = x.into_iter();
    Ok((x.next().expect("two"), x.next().expect("two")))
}

/// The matrix product of two tensors.
impl Layer for MatMul {
    fn kind(&self) -> &'static str {
        "matmul"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let [a, b] = *exactly(x)?;
        Ok(self.output_shape(a, b)?.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        let (a, b) = pair(x)?;
        Ok(MatMul::forward(self, &a, &b)?.into())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let (a, b) = pair(x)?;
        let y = MatMul::forward(self, &a, &b)?;
        kept.put((a, b));
        Ok(y.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let (a, b) = kept.take::<(Tensor, Tensor)>()?;
        let (da, db) = MatMul::backward(self, &a, &b, &one(dy)?)?;
        Ok([Some(da), Some(db)].into())
    }

    fn macs(&self, x: &[Shape]) -> u64 {
        let inner = |a: Shape| a.dims()[a.rank() - if self.transpose_a { 2 } else { 1 }];
        let numel = |y: Shapes| y[0].numel();
        self.output_shapes(x).map_or(0, |y| numel(y).saturating_mul(inner(x[0])) as u64)
    }
}

/// Softmax over the last axis of the entries that a mask selects; see [`cnn_ops::masked_softmax`](mod@cnn_ops::masked_softmax).
pub(crate) struct MaskedSoftmax;

impl Layer for MaskedSoftmax {
    fn kind(&self) -> &'static str {
        "masked_softmax"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let [x, mask] = *exactly(x)?;
        Ok(masked_softmax::output_shape(x, mask)?.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        let (x, mask) = pair(x)?;
        Ok(masked_softmax::forward(&x, &mask)?.into())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let y = self.infer(x)?;
        kept.put(y[0].clone());
        Ok(y)
    }

    /// A mask has no gradient.
    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let y = kept.take::<Tensor>()?;
        Ok([Some(masked_softmax::backward(&y, &one(dy)?)?), None].into())
    }
}

/// Several tensors, side by side along an axis.
impl Layer for Concat {
    fn kind(&self) -> &'static str {
        "cat"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        Ok(self.output_shape(x)?.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        Ok(Concat::forward(self, &x)?.into())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let y = Concat::forward(self, &x)?;
        kept.put::<Recycled<usize>>(x.iter().map(|x| x.shape().dims()[self.dim]).collect());
        Ok(y.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let sizes = kept.take::<Recycled<usize>>()?;
        Ok(Concat::backward(self, &one(dy)?, &sizes)?.into_iter().map(Some).collect())
    }
}

/// Several tensors of one shape, along a new axis.
impl Layer for Stack {
    fn kind(&self) -> &'static str {
        "stack"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        Ok(self.output_shape(x)?.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        Ok(Stack::forward(self, &x)?.into())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        kept.put(x.len());
        self.infer(x)
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let count = kept.take::<usize>()?;
        Ok(Stack::backward(self, &one(dy)?, count)?.into_iter().map(Some).collect())
    }
}

/// One tensor, cut into several along an axis.
impl Layer for Split {
    fn kind(&self) -> &'static str {
        "split"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let [x] = *exactly(x)?;
        Ok(Split::output_shapes(self, x)?.into_iter().collect())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        Ok(Split::forward(self, &x.only("the number of inputs")?)?.into_iter().collect())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let x = x.only("the number of inputs")?;
        kept.put(x.shape());
        self.infer(x.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let x = kept.take::<Shape>()?;
        let shapes = Split::output_shapes(self, x)?;
        // An output that is not read has a gradient of zeros.
        let parts = dy.into_iter().zip(&shapes);
        let parts = parts.map(|(dy, shape)| dy.unwrap_or_else(|| Tensor::zeros(*shape)));
        let parts: Recycled<Tensor> = parts.collect();
        Ok(Split::backward(self, x, &parts)?.into())
    }
}

/// Max pooling with a second output, the positions of the maxima: the index in the input plane, `row * w + column`, or -1 for a
/// window on padding alone. See [`cnn_ops::max_pool2d`].
pub(crate) struct MaxPool2dWithIndices(pub MaxPool2d);

/// The largest plane whose positions are exact as floats.
const LARGEST_PLANE: usize = 1 << 24;

impl Layer for MaxPool2dWithIndices {
    fn kind(&self) -> &'static str {
        "max_pool2d_with_indices"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let [x] = *exactly(x)?;
        let y = self.0.output_shape(x)?;
        let plane = x.dims()[2..].iter().product::<usize>();
        if plane > LARGEST_PLANE {
            let (what, rule) = ("a plane whose positions are asked for", "at most 2^24 elements");
            return Err(NnError::Setting { what, rule, got: plane.to_string() });
        }
        Ok([y, y].into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        self.forward(x, At::default(), &mut Kept::default())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let x = x.only("the number of inputs")?;
        self.output_shapes(&[x.shape()])?;
        let (y, saved) = self.0.forward(&x)?;
        let mut positions = Tensor::scratch(y.shape());
        for (position, &index) in positions.data_mut().iter_mut().zip(saved.indices()) {
            *position = if index == NO_ELEMENT { -1.0 } else { index as f32 };
        }
        kept.put(saved);
        Ok([y, positions].into())
    }

    /// The positions have no gradient.
    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let saved = kept.take::<max_pool2d::Saved>()?;
        match dy.into_iter().next().flatten() {
            Some(dy) => Ok(self.0.backward(&saved, &dy)?.into()),
            None => Ok(None.into()),
        }
    }
}

/// Places values at the positions where a pooling found its maxima. Reads the values, the positions, and a tensor that has the
/// height and width of the output, usually the pooling's input. See [`cnn_ops::max_unpool2d`].
pub(crate) struct MaxUnpool2dLayer;

const UNPOOL: &str = "max_unpool2d";

/// The operation for values, positions and a reference tensor of these shapes.
fn unpool(x: &[Shape]) -> Result<(MaxUnpool2d, Shape), NnError> {
    let [x, positions, like] = *exactly(x)?;
    if positions != x {
        return Err(OpError::Shape { op: UNPOOL, what: "indices", expected: x, got: positions }.into());
    }
    let rank = OpError::Rank { op: UNPOOL, what: "like", expected: "[n, c, h, w]", got: like };
    let [_, _, h, w] = like.nchw().ok_or(rank)?;
    let op = MaxUnpool2d::new([h, w]);
    let y = op.output_shape(x)?;
    if y != like {
        return Err(OpError::Shape { op: UNPOOL, what: "like", expected: y, got: like }.into());
    }
    Ok((op, y))
}

fn indices(positions: &Tensor) -> Result<Recycled<u32>, NnError> {
    let mut indices = Recycled::with_capacity(positions.data().len());
    for (at, &position) in positions.data().iter().enumerate() {
        let whole = position.fract() == 0.0 && (-1.0..LARGEST_PLANE as f32).contains(&position);
        if !whole {
            let (option, rule) = ("an index", "a whole number from -1");
            let got = format!("{position} at element {at}");
            return Err(OpError::Option { op: UNPOOL, option, rule, got }.into());
        }
        indices.push(if position < 0.0 { NO_ELEMENT } else { position as u32 });
    }
    Ok(indices)
}

impl Layer for MaxUnpool2dLayer {
    fn kind(&self) -> &'static str {
        UNPOOL
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        Ok(unpool(x)?.1.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        self.forward(x, At::default(), &mut Kept::default())
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let shapes: Shapes = x.iter().map(Tensor::shape).collect();
        let ((op, _), indices) = (unpool(&shapes)?, indices(&x[1])?);
        let y = op.forward(&x[0], &indices)?;
        kept.put((op, shapes[0], indices));
        Ok(y.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let (op, x, indices) = kept.take::<(MaxUnpool2d, Shape, Recycled<u32>)>()?;
        Ok([Some(op.backward(x, &indices, &one(dy)?)?), None, None].into())
    }
}
