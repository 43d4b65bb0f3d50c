use super::weights::{Weights, gradients};
use crate::spec::{Conv2dSpec, Conv2dTableSpec, ConvTranspose2dSpec};
use crate::{At, Grads, NnError, Parameters, Request, Role, Unary};
use cnn_ops::{conv_transpose2d, conv2d, conv2d_table};
use cnn_tensor::{Shape, Tensor};

/// Defines the layer of an operation with a weight and an optional bias, whose methods are those of [`cnn_ops::Conv2d`].
macro_rules! convolution {
    ($(#[$documentation:meta])* $layer:ident, $operation:ty, $saved:ty, $kind:literal) => {
        $(#[$documentation])*
        #[derive(Debug)]
        pub struct $layer {
            operation: $operation,
            weights: Weights,
        }

        impl Unary for $layer {
            type Saved = $saved;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
                Ok(self.operation.output_shape(x, self.weights.weight.shape())?)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
                let (weight, bias) = self.weights.values();
                Ok(self.operation.infer(&x, weight, bias)?)
            }

            fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Self::Saved), NnError> {
                let (weight, bias) = self.weights.values();
                Ok(self.operation.forward(&x, weight, bias)?)
            }

            fn backward(
                &self,
                saved: Self::Saved,
                dy: Tensor,
                grads: &mut Grads<'_>,
            ) -> Result<Option<Tensor>, NnError> {
                let wanted = grads.wants(0);
                let (weight, (dweight, dbias)) = (&self.weights.weight, gradients(grads));
                if wanted {
                    return Ok(Some(self.operation.backward(&saved, weight, &dy, dweight, dbias)?));
                }
                self.operation.backward_parameters(&saved, weight, &dy, dweight, dbias)?;
                Ok(None)
            }

            fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
                self.weights.visit(f);
            }

            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
                self.weights.visit_mut(f);
            }

            fn macs(&self, x: Shape) -> u64 {
                self.operation.macs(x, self.weights.weight.shape()).unwrap_or(0)
            }
        }
    };
}

convolution! {
    /// Convolution with weight `[c_out, c_in / groups, kh, kw]` and bias `[c_out]`; see [`cnn_ops::conv2d`].
    Conv2d, cnn_ops::Conv2d, conv2d::Saved, "conv2d"
}

convolution! {
    /// Transposed convolution with weight `[c_in, c_out / groups, kh, kw]` and bias `[c_out]`; see
    /// [`cnn_ops::conv_transpose2d`].
    ConvTranspose2d, cnn_ops::ConvTranspose2d, conv_transpose2d::Saved, "conv_transpose2d"
}

convolution! {
    /// Convolution by a table with weight `[connections, kh, kw]` and bias `[c_out]`; see [`cnn_ops::conv2d_table`].
    Conv2dTable, cnn_ops::Conv2dTable, conv2d_table::Saved, "conv2d_table"
}

impl Conv2d {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape, or the source lacks a parameter.
    pub fn build(spec: &Conv2dSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let (operation, c_out) = (spec.options(), spec.out_channels);
        let shape = operation.weight_shape(x, c_out)?;
        operation.output_shape(x, shape)?;
        let window: usize = shape.dims()[2..].iter().product();
        let (fan_in, fan_out) = (shape.dims()[1] * window, c_out / spec.groups * window);
        let request = Request { shape, init: spec.init, fan_in, fan_out };
        let bias = spec.bias.then_some((c_out, spec.bias_init));
        let weights = Weights::build(request, bias, parameters)?;
        Ok(Self { operation, weights })
    }
}

impl ConvTranspose2d {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape, or the source lacks a parameter.
    pub fn build(
        spec: &ConvTranspose2dSpec,
        x: Shape,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, NnError> {
        let (operation, c_out) = (spec.options(), spec.out_channels);
        let shape = operation.weight_shape(x, c_out)?;
        operation.output_shape(x, shape)?;
        let window: usize = shape.dims()[2..].iter().product();
        // PyTorch's rule, which takes the second axis of any weight for the inputs of a sum.
        let (fan_in, fan_out) = (shape.dims()[1] * window, shape.batch() / spec.groups * window);
        let request = Request { shape, init: spec.init, fan_in, fan_out };
        let bias = spec.bias.then_some((c_out, spec.bias_init));
        let weights = Weights::build(request, bias, parameters)?;
        Ok(Self { operation, weights })
    }
}

impl Conv2dTable {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape, or the source lacks a parameter.
    pub fn build(spec: &Conv2dTableSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let operation = spec.options();
        let shape = operation.weight_shape(x)?;
        operation.output_shape(x, shape)?;
        let window: usize = shape.dims()[1..].iter().product();
        let (fan_in, fan_out) = smallest_fans(&operation.table);
        let request = Request { shape, init: spec.init, fan_in: fan_in * window, fan_out: fan_out * window };
        let bias = spec.bias.then_some((operation.table.len(), spec.bias_init));
        let weights = Weights::build(request, bias, parameters)?;
        Ok(Self { operation, weights })
    }
}

/// The smallest number of input channels that an output channel sees, and the smallest number of output channels that see an
/// input channel, leaving out unseen ones.
fn smallest_fans(table: &[Vec<usize>]) -> (usize, usize) {
    let mut seen_by = std::collections::BTreeMap::new();
    table.iter().flatten().for_each(|channel| *seen_by.entry(channel).or_insert(0) += 1);
    let fan_in = table.iter().map(Vec::len).min().unwrap_or(0);
    (fan_in, seen_by.into_values().min().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LayerSpec, conv_transpose2d, conv2d, conv2d_table};
    use crate::{Fresh, Init, ParameterSource, Path, layers};

    /// Records the requests.
    #[derive(Default)]
    struct Asked(Vec<Request>);

    impl ParameterSource for Asked {
        fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
            self.0.push(request);
            Fresh { seed: 0 }.parameter(path, request)
        }
    }

    fn asked(spec: impl Into<LayerSpec>) -> Vec<(Shape, usize, usize)> {
        let mut asked = Asked::default();
        let mut parameters = Parameters::new(Path::ROOT, &mut asked);
        layers::build(&spec.into(), &[[2, 6, 14, 14].into()], &mut parameters).unwrap();
        asked.0.iter().map(|request| (request.shape, request.fan_in, request.fan_out)).collect()
    }

    #[test]
    fn parameters_have_the_shapes_and_fans_that_are_documented() {
        let conv = conv2d(4, [3, 5]).groups(2);
        assert_eq!(asked(conv), [([4, 3, 3, 5].into(), 45, 30), ([4].into(), 45, 30)]);
        let transposed = conv_transpose2d(4, [3, 5]).groups(2);
        assert_eq!(asked(transposed), [([6, 2, 3, 5].into(), 30, 45), ([4].into(), 30, 45)]);
        let c3 = conv2d_table(cnn_ops::conv2d_table::LENET5_C3, 5);
        assert_eq!(asked(c3), [([60, 5, 5].into(), 75, 250), ([16].into(), 75, 250)]);
        let uneven = conv2d_table([vec![0, 1, 2], vec![1, 2, 3], vec![1, 3]], 1)
            .init(Init::Zeros)
            .bias_init(Init::Zeros);
        assert_eq!(asked(uneven.bias(false)), [([8, 1, 1].into(), 2, 1)]);
    }
}
