use super::take;
use crate::sequential::total_macs;
use crate::spec::MaxPoolUnpool2dSpec;
use crate::{Layer, LayerSpec, NnError, ParameterSource, Path, Sequential, SummaryRow};
use cnn_ops::{MaxPool2d, MaxUnpool2d, OpError, max_pool2d};
use cnn_tensor::{Shape, Tensor};

/// A max pooling, layers that keep its output's shape, and the way back: `y = unpool(layers(pool(x)))`, of the shape of
/// `x`, with the positions that the pooling found.
///
/// Encoders and decoders nest: the layers between may hold another such pair. See [`cnn_ops::max_unpool2d`].
///
/// ```
/// use cnn_nn::spec::{conv2d, max_pool2d, max_pool_unpool2d};
/// use cnn_nn::{Layer, Sequential};
/// let inner = conv2d(3, 3).padding([1, 1]).named("conv");
/// let net = Sequential::build([max_pool_unpool2d(max_pool2d(2), [inner]).named("hourglass")], [3, 8, 8], 0)?;
/// assert_eq!(net.output_shape([1, 3, 8, 8].into())?.dims(), [1, 3, 8, 8]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: V. Badrinarayanan, A. Kendall and R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
/// Image Segmentation", IEEE Transactions on Pattern Analysis and Machine Intelligence 39 (2017), section 3.
#[derive(Debug)]
pub struct MaxPoolUnpool2d {
    pool: MaxPool2d,
    body: Sequential,
    saved: Option<Saved>,
}

#[derive(Debug)]
struct Saved {
    x: Shape,
    pool: max_pool2d::Saved,
    /// The shape of the pooling's output, and of the layers'.
    pooled: Shape,
}

const KIND: &str = "max_pool_unpool2d";

impl MaxPoolUnpool2d {
    /// The container for inputs of shape `x`.
    ///
    /// # Errors
    /// The pooling or a layer cannot take its input, the layers change the shape, a name is empty or occurs twice, or the
    /// source lacks a parameter.
    pub fn build(
        spec: &MaxPoolUnpool2dSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let pooled = spec.pool.output_shape(x)?;
        let body = Sequential::build_from(&spec.layers, pooled, path, source)?;
        let layer = Self { pool: spec.pool, body, saved: None };
        layer.output_shape(x)?;
        Ok(layer)
    }

    /// The pooling's output shape, if the layers keep it.
    fn pooled(&self, x: Shape) -> Result<Shape, NnError> {
        let expected = self.pool.output_shape(x)?;
        let got = self.body.output_shape(expected)?;
        if got != expected {
            let what = "what lies between pooling and unpooling";
            return Err(OpError::Shape { op: KIND, what, expected, got }.into());
        }
        Ok(expected)
    }
}

/// The way back to planes of the extents of `x`, which the pooling has taken.
fn unpool(x: Shape) -> MaxUnpool2d {
    let extents = x.dims();
    MaxUnpool2d { output: [extents[2], extents[3]] }
}

impl Layer for MaxPoolUnpool2d {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        let pooled = self.pooled(x)?;
        Ok(unpool(x).output_shape(pooled)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        self.pooled(x.shape())?;
        let (pooled, saved) = self.pool.forward(x)?;
        Ok(unpool(x.shape()).forward(&self.body.infer_owned(pooled)?, saved.indices())?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (shape, pooled_shape) = (x.shape(), self.pooled(x.shape())?);
        let (pooled, pool) = self.pool.forward(&x)?;
        let y = unpool(shape).forward(&self.body.forward(pooled)?, pool.indices())?;
        self.saved = Some(Saved { x: shape, pool, pooled: pooled_shape });
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let Saved { x, pool, pooled } = take(&mut self.saved, KIND)?;
        let dbody = unpool(x).backward(pooled, pool.indices(), &dy)?;
        Ok(self.pool.backward(&pool, &self.body.backward(dbody)?)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let Saved { x, pool, pooled } = take(&mut self.saved, KIND)?;
        self.body.backward_first(unpool(x).backward(pooled, pool.indices(), &dy)?)
    }

    fn parts<'a>(&'a self, f: &mut dyn FnMut(&'a str, &'a dyn Layer)) {
        self.body.parts(f);
    }

    fn parts_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a str, &'a mut dyn Layer)) {
        self.body.parts_mut(f);
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { pool: self.pool, body: self.body.copy(), saved: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(MaxPoolUnpool2dSpec { pool: self.pool, layers: self.body.specs()? }.into())
    }

    fn macs(&self, x: Shape) -> u64 {
        total_macs(self, x)
    }

    fn summarize(&self, path: Path<'_>, x: Shape, rows: &mut Vec<SummaryRow>) -> Result<(), NnError> {
        self.body.summarize(path, self.pooled(x)?, rows)?;
        let output = self.output_shape(x)?;
        rows.push(SummaryRow { path: path.to_string(), kind: KIND, output, parameters: 0, macs: 0 });
        Ok(())
    }
}
