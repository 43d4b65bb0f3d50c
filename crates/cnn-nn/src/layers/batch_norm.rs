use super::affine::{Affine, gradients};
use crate::spec::BatchNormSpec;
use crate::{
    At, Gradients, Grads, Init, Kept, Layer, List, Nature, NnError, Parameters, Role, Shapes, Tensors,
};
use cnn_ops::OpError;
use cnn_ops::batch_norm::{Running, Saved, Statistics};
use cnn_tensor::{Shape, Tensor};

/// Batch normalisation with running statistics; see [`cnn_ops::batch_norm`].
///
/// `forward` normalises by the batch's own statistics. After the step, `settle` averages them into the running statistics.
/// `infer` normalises by the running statistics, and so does training where the layer is held fixed. The running statistics
/// are buffers: `running_mean`, `running_var`, and `num_batches_tracked`, of shape `[]`, which is counted as a float and stays
/// at 2^24 from there on. A running statistic that has become NaN stays NaN, as in PyTorch, because a batch was not finite.
///
/// ```
/// use cnn_nn::spec::batch_norm1d;
/// use cnn_nn::{At, Graph, Kept, Layer};
/// use cnn_tensor::Tensor;
/// let mut net = Graph::build([batch_norm1d().named("bn")], [1], 0)?;
/// let x = Tensor::from_vec([2, 1], vec![1.0, 3.0])?;
/// let mut kept = Kept::default();
/// let y = net.forward_one(x.clone(), At::default(), &mut kept)?; // by mean 2 and std 1
/// assert!((y.data()[0] + 1.0).abs() < 1e-4 && (y.data()[1] - 1.0).abs() < 1e-4);
/// net.settle(&mut kept)?;
/// let y = net.infer(&x)?; // by mean 0.2 and variance 0.9 + 0.1 * 2
/// assert!((y.data()[0] - 0.8 / 1.1f32.sqrt()).abs() < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchNorm {
    axes: Axes,
    spec: BatchNormSpec,
    affine: Affine,
    running_mean: Tensor,
    running_var: Tensor,
    num_batches_tracked: Tensor,
}

/// The values that a forward pass keeps.
struct Pass {
    saved: For,
    /// The statistics of the batch, until they are averaged into the running statistics.
    statistics: Option<Statistics>,
}

/// The values that the backward pass reads.
enum For {
    /// After normalisation by the batch.
    Batch(Saved),
    /// After normalisation by the running statistics: the input.
    Running(Tensor),
    /// Nothing is kept: another forward pass is needed.
    Nothing,
}

/// The axes besides the batch and the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// None or one: `[n, c]` and `[n, c, l]`.
    One,
    /// Height and width: `[n, c, h, w]`.
    Two,
}

impl Axes {
    /// The number of channels of a batch of shape `x`.
    fn channels(self, x: Shape) -> Result<usize, OpError> {
        match (self, x.dims()) {
            (Self::One, [_, c] | [_, c, _]) | (Self::Two, [_, c, _, _]) => Ok(*c),
            _ => Err(OpError::Rank { op: self.kind(), what: "x", expected: self.expected(), got: x }),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::One => "batch_norm1d",
            Self::Two => "batch_norm2d",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::One => "[n, c] or [n, c, l]",
            Self::Two => "[n, c, h, w]",
        }
    }
}

impl BatchNorm {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The rank of `x` does not fit `axes`, an option is out of its range, or the source lacks a parameter or buffer.
    pub fn build(
        axes: Axes,
        spec: BatchNormSpec,
        x: Shape,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, NnError> {
        let shape = Shape::from([axes.channels(x)?]);
        spec.options().output_shape(x)?;
        Ok(Self {
            axes,
            spec,
            affine: Affine::build(spec.affine, shape, parameters)?,
            running_mean: parameters.get(MEAN, shape, Init::Zeros)?,
            running_var: parameters.get(VAR, shape, Init::Constant(1.0))?,
            num_batches_tracked: parameters.get(COUNT, [], Init::Zeros)?,
        })
    }

    /// The shape of `x`, after checking that it has as many channels as the layer was built for.
    fn checked(&self, x: Shape) -> Result<Shape, NnError> {
        let (op, expected, got) = (self.kind(), self.running_mean.shape().batch(), self.axes.channels(x)?);
        if got != expected {
            return Err(OpError::Extent { op, what: "x", unit: "channels", expected, got }.into());
        }
        Ok(self.spec.options().output_shape(x)?)
    }

    fn running(&self) -> Running<'_> {
        Running { mean: &self.running_mean, var: &self.running_var }
    }
}

const MEAN: &str = "running_mean";
const VAR: &str = "running_var";
const COUNT: &str = "num_batches_tracked";
const INPUTS: &str = "the number of inputs";

impl Layer for BatchNorm {
    fn kind(&self) -> &'static str {
        self.axes.kind()
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let [x] = *x else { return Err(NnError::Count { what: INPUTS, expected: 1, got: x.len() }) };
        Ok(self.checked(x)?.into())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        let x = x.only(INPUTS)?;
        self.checked(x.shape())?;
        let (weight, bias) = self.affine.values();
        Ok(self.spec.options().infer(&x, self.running(), weight, bias)?.into())
    }

    fn forward(&self, x: Tensors, at: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        if at.held {
            let y = self.infer(x.clone())?;
            kept.put(Pass { saved: For::Running(x.only(INPUTS)?), statistics: None });
            return Ok(y);
        }
        let x = x.only(INPUTS)?;
        self.checked(x.shape())?;
        let (weight, bias) = self.affine.values();
        let (y, saved) = self.spec.options().forward(&x, weight, bias)?;
        let statistics = Some(saved.statistics());
        kept.put(Pass { saved: For::Batch(saved), statistics });
        Ok(y.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let dy = dy.only("the number of outputs")?.unwrap_or_default();
        let saved = std::mem::replace(&mut kept.get_mut::<Pass>()?.saved, For::Nothing);
        let (wanted, options, (weight, _)) = (grads.wants(0), self.spec.options(), self.affine.values());
        let (dweight, dbias) = gradients(grads);
        Ok(List::from(match saved {
            For::Batch(saved) if wanted => Some(options.backward(&saved, weight, &dy, dweight, dbias)?),
            For::Batch(saved) => {
                options.backward_parameters(&saved, &dy, dweight, dbias)?;
                None
            }
            For::Running(x) => {
                Some(options.backward_frozen(&x, self.running(), weight, &dy, dweight, dbias)?)
            }
            For::Nothing => return Kept::default().take::<Pass>().map(|_| Gradients::empty()),
        }))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        self.affine.visit(f);
        f(MEAN, Role::Buffer, &self.running_mean);
        f(VAR, Role::Buffer, &self.running_var);
        f(COUNT, Role::Buffer, &self.num_batches_tracked);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        self.affine.visit_mut(f);
        f(MEAN, Role::Buffer, &mut self.running_mean);
        f(VAR, Role::Buffer, &mut self.running_var);
        f(COUNT, Role::Buffer, &mut self.num_batches_tracked);
    }

    fn settle(&mut self, kept: &mut Kept) -> Result<(), NnError> {
        let statistics = kept.get_mut::<Pass>()?.statistics.take();
        // A batch without values has no statistics.
        let Some(statistics) = statistics.filter(|statistics| statistics.iter().len() > 0) else {
            return Ok(());
        };
        let tracked = &mut self.num_batches_tracked.data_mut()[0];
        *tracked += 1.0;
        let (batches, options) = (*tracked as u64, self.spec.options());
        Ok(options.track(&statistics, batches, &mut self.running_mean, &mut self.running_var)?)
    }

    fn nature(&self) -> Nature {
        Nature { couples_images: true, training_differs: true, settles: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;
    use crate::layers::testing::layer;
    use crate::spec::{batch_norm1d, batch_norm2d};

    /// A training step as far as the layer sees it.
    fn step(layer: &mut dyn Layer, x: Tensor) -> Result<Tensor, NnError> {
        let mut kept = Kept::default();
        let y = layer.forward(x.into(), At::default(), &mut kept)?;
        layer.settle(&mut kept)?;
        y.only("the number of outputs")
    }

    /// Two steps of a network as PyTorch takes them: outputs in training and evaluation, and the buffers.
    #[test]
    fn batch_normalisation_tracks_as_pytorch_does() {
        let mut net = Graph::build([batch_norm2d().named("bn1")], [2, 1, 2], 0).unwrap();
        let batch = |x: [f32; 8]| Tensor::from_slice([2, 2, 1, 2], &x).unwrap();
        let first = batch([1.0, 2.0, -1.0, 0.5, 3.0, 6.0, 4.0, 0.0]);
        let second = batch([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]);
        step(&mut net, first.clone()).unwrap();
        let y = step(&mut net, second).unwrap();
        assert_near(
            &y,
            &[
                -1.212_676_6,
                -0.727_605_94,
                -1.153_112_4,
                -0.733_798_74,
                0.727_606_06,
                1.212_676_8,
                0.524_141_97,
                1.362_769_1,
            ],
        );
        let tensors = net.tensors();
        let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"]
        );
        assert_near(&tensors[2].1, &[0.52, 0.553_75]);
        assert_near(&tensors[3].1, &[1.796_666_6, 1.993_958_2]);
        assert_eq!((tensors[4].1.shape(), tensors[4].1.data()), (Shape::from([]), &[2.0][..]));
        let y = net.infer(&first).unwrap();
        assert_near(
            &y,
            &[
                0.358_101_64,
                1.104_146_7,
                -1.100_327_5,
                -0.038_064_42,
                1.850_191_7,
                4.088_327,
                2.440_549_6,
                -0.392_152_13,
            ],
        );
    }

    fn assert_near(got: &Tensor, want: &[f32]) {
        assert!(got.data().iter().zip(want).all(|(got, want)| (got - want).abs() < 2e-6), "{got:?}");
    }

    #[test]
    fn a_plain_average_counts_its_batches() {
        let spec = batch_norm1d().momentum(None);
        let mut layer = layer(spec, [2, 1]);
        for mean in [1.0, 2.0, 6.0] {
            step(&mut *layer, Tensor::from_vec([2, 1], vec![mean - 1.0, mean + 1.0]).unwrap()).unwrap();
        }
        let mut buffers = Vec::new();
        layer.visit(&mut |name, role, buffer| {
            if role == Role::Buffer {
                buffers.push((name.to_string(), buffer.data()[0]));
            }
        });
        let want = [("running_mean", 3.0), ("running_var", 2.0), ("num_batches_tracked", 3.0)];
        assert!(buffers.iter().zip(want).all(|(got, want)| (got.0.as_str(), got.1) == want), "{buffers:?}");
    }

    #[test]
    fn a_batch_of_which_training_fails_is_not_tracked() {
        let mut layer = layer(batch_norm1d(), [1, 2]);
        let fault = step(&mut *layer, Tensor::zeros([1, 2])).unwrap_err().to_string();
        assert!(fault.contains("the number of values per channel must be above 1 in training"), "{fault}");
        layer.visit(&mut |name, role, buffer| {
            let fresh = if name == VAR { 1.0 } else { 0.0 };
            assert!(role == Role::Parameter || buffer.data().iter().all(|v| *v == fresh), "{name}");
        });
    }

    #[test]
    fn a_batch_without_values_is_not_tracked() {
        for empty in [[0, 3, 2, 2], [2, 3, 0, 2]] {
            let mut layer = layer(batch_norm2d(), [1, 3, 2, 2]);
            assert_eq!(step(&mut *layer, Tensor::zeros(empty)).unwrap().shape(), empty.into());
            layer.visit(&mut |name, _, tensor| assert!(name != COUNT || tensor.data() == [0.0]));
        }
    }

    /// As in evaluation, with the gradients of that, and nothing is tracked.
    #[test]
    fn held_in_training_it_goes_by_its_running_statistics() {
        let mut layer = layer(batch_norm2d(), [2, 3, 2, 2]);
        let x = |seed| cnn_tensor::testing::distinct([2, 3, 2, 2], seed);
        step(&mut *layer, x(1)).unwrap();
        let held = At { held: true, ..At::default() };
        let mut kept = Kept::default();
        let y = layer.forward(x(2).into(), held, &mut kept).unwrap();
        assert_eq!(y, layer.infer(x(2).into()).unwrap());
        let mut tensors = [Tensor::zeros([3]), Tensor::zeros([3])];
        let dy = Tensor::full([2, 3, 2, 2], 1.0);
        let dx = layer.backward(&mut kept, dy.into(), &mut Grads::new(&mut tensors, &[true])).unwrap();
        assert_eq!(tensors[1].data(), [8.0; 3]);
        let mut var = None;
        layer.visit(&mut |name, _, tensor| var = if name == VAR { Some(tensor.clone()) } else { var.take() });
        let var = var.expect("a running variance");
        let dx = dx.only("gradients").unwrap().unwrap();
        for (c, var) in var.data().iter().enumerate() {
            let want = 1.0 / (var + 1e-5).sqrt();
            assert!((dx.data()[4 * c] - want).abs() < 1e-5 * want, "{} instead of {want}", dx.data()[4 * c]);
        }
        layer.settle(&mut kept).unwrap();
        layer.visit(&mut |name, _, tensor| assert!(name != COUNT || tensor.data() == [1.0]));
    }
}
