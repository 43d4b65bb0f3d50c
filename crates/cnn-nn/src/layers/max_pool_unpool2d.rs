use super::take;
use crate::sequential::total_macs;
use crate::spec::MaxPoolUnpool2dSpec;
use crate::{Layer, LayerSpec, NnError, ParameterSource, Path, Sequential, SummaryRow};
use cnn_ops::max_pool2d::Saved;
use cnn_ops::{MaxPool2d, MaxUnpool2d, OpError};
use cnn_tensor::{Shape, Tensor};

/// Layers between a max pooling and its inverse: `y = unpool(layers(pool(x)))`, where the unpooling puts each number
/// where the maximum of its window was, zeros elsewhere, and so gives `y` the extents of `x`.
///
/// The layers must keep the shape. Nested, these are the encoder and decoder of a segmentation network. The parameters of
/// the layers are directly under the block's path.
///
/// ```
/// use cnn_nn::spec::{conv2d, max_pool2d, max_pool_unpool2d};
/// use cnn_nn::{Layer, Sequential};
/// let inner = conv2d(3, 3).padding(1).named("conv");
/// let net = Sequential::build([max_pool_unpool2d(max_pool2d(2), [inner]).named("level")], [3, 7, 7], 0)?;
/// assert_eq!(net.output_shape([1, 3, 7, 7].into())?.dims(), [1, 3, 7, 7]);
/// assert_eq!(net.tensors()[0].0, "level.conv.weight");
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: V. Badrinarayanan, A. Kendall and R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
/// Image Segmentation", IEEE Transactions on Pattern Analysis and Machine Intelligence 39 (2017), section 3; M. D. Zeiler
/// and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1.
#[derive(Debug)]
pub struct MaxPoolUnpool2d {
    pool: MaxPool2d,
    layers: Sequential,
    saved: Option<Kept>,
}

/// What the forward pass keeps.
#[derive(Debug)]
struct Kept {
    maxima: Saved,
    pooled: Shape,
    unpool: MaxUnpool2d,
}

const KIND: &str = "max_pool_unpool2d";

impl MaxPoolUnpool2d {
    /// The block for inputs of shape `x`.
    ///
    /// # Errors
    /// The pooling cannot take `x`, a layer its input, the layers change the shape, or the source lacks a parameter.
    pub fn build(
        spec: &MaxPoolUnpool2dSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let pooled = spec.pool.output_shape(x)?;
        let layers = Sequential::build_from(&spec.layers, pooled, path, source)?;
        let block = Self { pool: spec.pool, layers, saved: None };
        block.output_shape(x)?;
        Ok(block)
    }

    /// The pooling's inverse, which takes numbers of shape `got` back to the extents of `x`.
    fn unpool(x: Shape, pooled: Shape, got: Shape) -> Result<MaxUnpool2d, OpError> {
        if got != pooled {
            let what = "the unpooling, whose layers must keep the shape,";
            return Err(OpError::Shape { op: KIND, what, expected: pooled, got });
        }
        let [_, _, h, w] =
            x.nchw().ok_or(OpError::Rank { op: KIND, what: "x", expected: "[n, c, h, w]", got: x })?;
        Ok(MaxUnpool2d { output: [h, w] })
    }

    /// The gradient with respect to what the unpooling took, and what is left to go back through.
    fn through_unpool(&mut self, dy: &Tensor) -> Result<(Tensor, Saved), NnError> {
        let Kept { maxima, pooled, unpool } = take(&mut self.saved, KIND)?;
        Ok((unpool.backward(pooled, maxima.indices(), dy)?, maxima))
    }
}

impl Layer for MaxPoolUnpool2d {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        let pooled = self.pool.output_shape(x)?;
        let got = self.layers.output_shape(pooled)?;
        Ok(Self::unpool(x, pooled, got)?.output_shape(got)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let (pooled, maxima) = self.pool.forward(x)?;
        let shape = pooled.shape();
        let z = self.layers.infer_owned(pooled)?;
        Ok(Self::unpool(x.shape(), shape, z.shape())?.forward(&z, maxima.indices())?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, maxima) = self.pool.forward(&x)?;
        let pooled = y.shape();
        let z = self.layers.forward(y)?;
        let unpool = Self::unpool(x.shape(), pooled, z.shape())?;
        let y = unpool.forward(&z, maxima.indices())?;
        self.saved = Some(Kept { maxima, pooled, unpool });
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let (dz, maxima) = self.through_unpool(&dy)?;
        let dpooled = self.layers.backward(dz)?;
        Ok(self.pool.backward(&maxima, &dpooled)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let (dz, _) = self.through_unpool(&dy)?;
        self.layers.backward_first(dz)
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer)> {
        self.layers.parts()
    }

    fn parts_mut(&mut self) -> Vec<(&str, &mut dyn Layer)> {
        self.layers.parts_mut()
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { pool: self.pool, layers: self.layers.copy(), saved: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(MaxPoolUnpool2dSpec { pool: self.pool, layers: self.layers.specs()? }.into())
    }

    fn macs(&self, x: Shape) -> u64 {
        total_macs(self, x)
    }

    fn summarize(&self, path: Path<'_>, x: Shape, rows: &mut Vec<SummaryRow>) -> Result<(), NnError> {
        self.layers.summarize(path, self.pool.output_shape(x)?, rows)?;
        let output = self.output_shape(x)?;
        rows.push(SummaryRow { path: path.to_string(), kind: KIND, output, parameters: 0, macs: 0 });
        Ok(())
    }
}
