use super::affine::Affine;
use super::take;
use crate::spec::BatchNormSpec;
use crate::{Init, Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::OpError;
use cnn_ops::batch_norm::{Running, Saved};
use cnn_tensor::{Shape, Tensor};

/// Batch normalisation with running statistics; see [`cnn_ops::batch_norm`].
///
/// `forward` normalises by the batch's own statistics and averages them into the running ones, by which `infer`
/// normalises. Those are buffers: `running_mean`, `running_var`, and `num_batches_tracked`, of shape `[]`, which is
/// counted as a float and stays at 2^24 from there on. Once NaN, a running statistic stays NaN, as in PyTorch: the batch
/// that made it so was not finite.
///
/// ```
/// use cnn_nn::spec::batch_norm1d;
/// use cnn_nn::{Layer, Sequential};
/// use cnn_tensor::Tensor;
/// let mut net = Sequential::build([batch_norm1d().named("bn")], [1], 0)?;
/// let x = Tensor::from_vec([2, 1], vec![1.0, 3.0])?;
/// let y = net.forward(x.clone())?; // by mean 2 and deviation 1
/// assert!((y.data()[0] + 1.0).abs() < 1e-4 && (y.data()[1] - 1.0).abs() < 1e-4);
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
    saved: Option<Saved>,
}

/// What comes beside the batch and its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// Nothing, or one axis: `[n, c]` and `[n, c, l]`.
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
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` has another rank than `axes` says, an option is out of its range, or the source lacks a parameter or buffer.
    pub fn build(
        axes: Axes,
        spec: BatchNormSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let shape = Shape::from([axes.channels(x)?]);
        spec.options().output_shape(x)?;
        let affine = Affine::build(spec.affine, shape, path, source)?;
        let mut buffer = |name: &str, shape: Shape, init: Init| {
            source.parameter(path.join(name), Request { shape, init, fan_in: 1, fan_out: 1 })
        };
        Ok(Self {
            axes,
            spec,
            affine,
            running_mean: buffer("running_mean", shape, Init::Zeros)?,
            running_var: buffer("running_var", shape, Init::Constant(1.0))?,
            num_batches_tracked: buffer("num_batches_tracked", [].into(), Init::Zeros)?,
            saved: None,
        })
    }
}

impl Layer for BatchNorm {
    fn kind(&self) -> &'static str {
        self.axes.kind()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        let (expected, got) = (self.running_mean.shape().batch(), self.axes.channels(x)?);
        if got != expected {
            return Err(
                OpError::Extent { op: self.kind(), what: "x", unit: "channels", expected, got }.into()
            );
        }
        Ok(self.spec.options().output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        self.output_shape(x.shape())?;
        let (weight, bias) = self.affine.values();
        let running = Running { mean: &self.running_mean, var: &self.running_var };
        Ok(self.spec.options().infer(x, running, weight, bias)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.output_shape(x.shape())?;
        let (weight, bias) = self.affine.values();
        let options = self.spec.options();
        let (y, saved) = options.forward(&x, weight, bias)?;
        let tracked = &mut self.num_batches_tracked.data_mut()[0];
        *tracked += 1.0;
        options.track(&saved, *tracked as u64, &mut self.running_mean, &mut self.running_var)?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let saved = take(&mut self.saved, self.axes.kind())?;
        let (weight, dweight, dbias) = self.affine.gradients();
        Ok(self.spec.options().backward(&saved, weight, &dy, dweight, dbias)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let saved = take(&mut self.saved, self.axes.kind())?;
        let (_, dweight, dbias) = self.affine.gradients();
        Ok(self.spec.options().backward_parameters(&saved, &dy, dweight, dbias)?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        self.affine.visit(path, f);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        self.affine.visit_mut(path, f);
    }

    fn visit_buffers<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Tensor)) {
        f(path.join("running_mean"), &self.running_mean);
        f(path.join("running_var"), &self.running_var);
        f(path.join("num_batches_tracked"), &self.num_batches_tracked);
    }

    fn visit_buffers_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Tensor)) {
        f(path.join("running_mean"), &mut self.running_mean);
        f(path.join("running_var"), &mut self.running_var);
        f(path.join("num_batches_tracked"), &mut self.num_batches_tracked);
    }

    fn mixes_images(&self) -> bool {
        true
    }

    fn training_differs(&self) -> bool {
        true
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self {
            axes: self.axes,
            spec: self.spec,
            affine: self.affine.replicate(),
            running_mean: self.running_mean.clone(),
            running_var: self.running_var.clone(),
            num_batches_tracked: self.num_batches_tracked.clone(),
            saved: None,
        })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(match self.axes {
            Axes::One => LayerSpec::BatchNorm1d(self.spec),
            Axes::Two => LayerSpec::BatchNorm2d(self.spec),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{batch_norm1d, batch_norm2d};
    use crate::{Fresh, Sequential};

    /// Two steps of a network as PyTorch takes them: outputs in training and evaluation, and the buffers.
    #[test]
    fn batch_normalisation_tracks_as_pytorch_does() {
        let mut net = Sequential::build([batch_norm2d().named("bn1")], [2, 1, 2], 0).unwrap();
        let batch = |x: [f32; 8]| Tensor::from_slice([2, 2, 1, 2], &x).unwrap();
        let first = batch([1.0, 2.0, -1.0, 0.5, 3.0, 6.0, 4.0, 0.0]);
        let second = batch([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]);
        net.forward(first.clone()).unwrap();
        let y = net.forward(second).unwrap();
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
        let spec = LayerSpec::BatchNorm1d(BatchNormSpec { momentum: None, ..Default::default() });
        let mut layer = spec.build([2, 1].into(), Path::ROOT, &mut Fresh { seed: 0 }).unwrap();
        for mean in [1.0, 2.0, 6.0] {
            layer.forward(Tensor::from_vec([2, 1], vec![mean - 1.0, mean + 1.0]).unwrap()).unwrap();
        }
        let mut buffers = Vec::new();
        layer.visit_buffers(Path::ROOT, &mut |path, buffer| {
            buffers.push((path.to_string(), buffer.data()[0]))
        });
        let want = [("running_mean", 3.0), ("running_var", 2.0), ("num_batches_tracked", 3.0)];
        assert!(buffers.iter().zip(want).all(|(got, want)| (got.0.as_str(), got.1) == want), "{buffers:?}");
    }

    #[test]
    fn a_batch_of_which_training_fails_is_not_tracked() {
        let mut layer = batch_norm1d().build([1, 2].into(), Path::ROOT, &mut Fresh { seed: 0 }).unwrap();
        let fault = layer.forward(Tensor::zeros([1, 2])).unwrap_err().to_string();
        assert!(fault.contains("the number of values per channel must be above 1 in training"), "{fault}");
        layer.visit_buffers(Path::ROOT, &mut |path, buffer| {
            let fresh = if path.to_string() == "running_var" { 1.0 } else { 0.0 };
            assert!(buffer.data().iter().all(|v| *v == fresh), "{path}");
        });
        assert!(layer.mixes_images() && layer.training_differs());
    }
}
