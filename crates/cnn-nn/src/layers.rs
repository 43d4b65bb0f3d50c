//! The layers: operations of `cnn-ops` with the parameters and the state that training needs.

mod activate;
mod affine;
mod arithmetic_by;
mod batch_norm;
mod convolution;
mod dropout;
mod embedding;
mod flatten;
mod join;
mod linear;
mod normalize;
mod operation;
mod pool2d;
mod prelu;
mod rbf;
mod recurrent;
mod reduce;
mod shape;
mod softmax;
mod subsample;
mod weights;

use crate::spec::LayerSpec;
use crate::{Layer, NnError, Parameters, own};
use batch_norm::{Axes, BatchNorm};
use cnn_ops::reduce::Statistic;
use cnn_tensor::Shape;
pub(crate) use operation::Operation;
use softmax::SoftArgmax2d;

/// Builds the described layer for inputs of the shapes `x`.
///
/// # Errors
/// The layer cannot take those shapes, a parameter is missing, or it is a container, which only [`Graph`](crate::Graph) takes
/// apart.
pub(crate) fn build(
    spec: &LayerSpec,
    x: &[Shape],
    parameters: &mut Parameters<'_>,
) -> Result<Box<dyn Layer>, NnError> {
    let one = || join::exactly::<_, 1>(x).map(|[x]| *x);
    Ok(match spec {
        LayerSpec::Conv2d(spec) => Box::new(convolution::Conv2d::build(spec, one()?, parameters)?),
        LayerSpec::Conv2dTable(spec) => Box::new(convolution::Conv2dTable::build(spec, one()?, parameters)?),
        LayerSpec::ConvTranspose2d(spec) => {
            Box::new(convolution::ConvTranspose2d::build(spec, one()?, parameters)?)
        }
        LayerSpec::Linear(spec) => Box::new(linear::Linear::build(spec, one()?, parameters)?),
        LayerSpec::MaxPool2d(options) => Box::new(*options),
        LayerSpec::MaxPool2dWithIndices(options) => Box::new(join::MaxPool2dWithIndices(*options)),
        LayerSpec::MaxUnpool2d => Box::new(join::MaxUnpool2dLayer),
        LayerSpec::AvgPool2d(options) => Box::new(*options),
        LayerSpec::AdaptiveAvgPool2d(options) => Box::new(*options),
        LayerSpec::AdaptiveMaxPool2d(options) => Box::new(*options),
        LayerSpec::GlobalAvgPool2d => Box::new(pool2d::GlobalAvgPool2d),
        LayerSpec::GlobalMaxPool2d => Box::new(pool2d::GlobalMaxPool2d),
        LayerSpec::Subsample(spec) => Box::new(subsample::Subsample::build(spec, one()?, parameters)?),
        LayerSpec::BatchNorm1d(spec) => Box::new(BatchNorm::build(Axes::One, *spec, one()?, parameters)?),
        LayerSpec::BatchNorm2d(spec) => Box::new(BatchNorm::build(Axes::Two, *spec, one()?, parameters)?),
        LayerSpec::LocalResponseNorm(options) => Box::new(*options),
        LayerSpec::LayerNorm(spec) => Box::new(normalize::LayerNorm::build(*spec, one()?, parameters)?),
        LayerSpec::GroupNorm(spec) => Box::new(normalize::GroupNorm::build(*spec, one()?, parameters)?),
        LayerSpec::Dropout { p } => dropout(cnn_ops::Dropout::new(*p), one()?, parameters)?,
        LayerSpec::Dropout2d { p } => dropout(cnn_ops::Dropout::channels(*p), one()?, parameters)?,
        LayerSpec::Activation(activation) => Box::new(*activation),
        LayerSpec::Prelu(spec) => Box::new(prelu::Prelu::build(*spec, one()?, parameters)?),
        LayerSpec::Softmax(options) => Box::new(*options),
        LayerSpec::LogSoftmax(options) => Box::new(*options),
        LayerSpec::SoftArgmax2d => Box::new(SoftArgmax2d),
        LayerSpec::Rbf(spec) => Box::new(rbf::Rbf::build(*spec, one()?, parameters)?),
        LayerSpec::Flatten => Box::new(flatten::Flatten),
        LayerSpec::Reshape(options) => Box::new(options.clone()),
        LayerSpec::Pad2d(options) => Box::new(shape::pad2d(*options)?),
        LayerSpec::Crop2d(options) => Box::new(*options),
        LayerSpec::PixelShuffle(options) => Box::new(*options),
        LayerSpec::PixelUnshuffle(options) => Box::new(*options),
        LayerSpec::Upsample2d(options) => Box::new(*options),
        LayerSpec::Add => Box::new(cnn_ops::Arithmetic::Add),
        LayerSpec::Sub => Box::new(cnn_ops::Arithmetic::Sub),
        LayerSpec::Mul => Box::new(cnn_ops::Arithmetic::Mul),
        LayerSpec::Div => Box::new(cnn_ops::Arithmetic::Div),
        LayerSpec::Maximum => Box::new(cnn_ops::Arithmetic::Maximum),
        LayerSpec::Minimum => Box::new(cnn_ops::Arithmetic::Minimum),
        LayerSpec::ArithmeticBy(spec) => {
            Box::new(arithmetic_by::ArithmeticBy::build(spec, one()?, parameters)?)
        }
        LayerSpec::Cat(options) => Box::new(*options),
        LayerSpec::Split(options) => Box::new(options.clone()),
        LayerSpec::Stack(options) => Box::new(*options),
        LayerSpec::Embedding(spec) => Box::new(embedding::Embedding::build(*spec, one()?, parameters)?),
        LayerSpec::Lstm(spec) => Box::new(recurrent::Recurrent::lstm(*spec, x, parameters)?),
        LayerSpec::Gru(spec) => Box::new(recurrent::Recurrent::gru(*spec, x, parameters)?),
        LayerSpec::Matmul(options) => Box::new(*options),
        LayerSpec::MaskedSoftmax => Box::new(join::MaskedSoftmax),
        LayerSpec::Slice(options) => Box::new(*options),
        LayerSpec::Mean(over) => Box::new(reduce::reduce(Statistic::Mean, over)),
        LayerSpec::Sum(over) => Box::new(reduce::reduce(Statistic::Sum, over)),
        LayerSpec::Amax(over) => Box::new(reduce::reduce(Statistic::Max, over)),
        LayerSpec::Amin(over) => Box::new(reduce::reduce(Statistic::Min, over)),
        LayerSpec::Norm(spec) => Box::new(reduce::norm(spec)?),
        LayerSpec::Permute(options) => Box::new(options.clone()),
        LayerSpec::Transpose { dims } => Box::new(shape::transpose(*dims, one()?)?),
        LayerSpec::Own(spec) => {
            let options = spec.fault.as_ref().map_or(Ok(&spec.options), Err);
            own::build(&spec.kind, options, x, parameters)?
        }
        LayerSpec::Sequential { .. }
        | LayerSpec::Residual(_)
        | LayerSpec::Concat { .. }
        | LayerSpec::MaxPoolUnpool2d(_)
        | LayerSpec::Graph(_) => {
            let (what, rule) = ("a layer", "one layer, not a container");
            return Err(NnError::Setting { what, rule, got: spec.kind() });
        }
    })
}

fn dropout(
    options: cnn_ops::Dropout,
    x: Shape,
    parameters: &mut Parameters<'_>,
) -> Result<Box<dyn Layer>, NnError> {
    Ok(Box::new(dropout::Dropout::build(options, x, parameters.path())?))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::{Fresh, Path};

    /// Builds the described layer with fresh parameters, for an input of shape `x`.
    pub fn layer(spec: impl Into<LayerSpec>, x: impl Into<Shape>) -> Box<dyn Layer> {
        let mut source = Fresh { seed: 0 };
        build(&spec.into(), &[x.into()], &mut Parameters::new(Path::ROOT, &mut source)).unwrap()
    }
}

#[cfg(test)]
mod tests;
