use super::take;
use crate::profile::probe::{Pass, pass};
use crate::sequential::{check_names, total_macs};
use crate::spec::NamedSpec;
use crate::{Layer, LayerSpec, NnError, ParameterSource, Path, SummaryRow};
use cnn_ops::arithmetic::add;
use cnn_tensor::{Recycled, Shape, Tensor};
use std::fmt;

/// Several layers of one input, their outputs side by side as channels: the inception module of GoogLeNet, the fire
/// module of SqueezeNet.
///
/// ```
/// use cnn_nn::spec::{concat, conv2d};
/// use cnn_nn::{Layer, Sequential};
/// let expand = concat([conv2d(8, 1).named("expand1x1"), conv2d(4, 3).padding([1, 1]).named("expand3x3")]);
/// let net = Sequential::build([expand.named("expand")], [3, 6, 6], 0)?;
/// assert_eq!(net.output_shape([1, 3, 6, 6].into())?.dims(), [1, 12, 6, 6]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, figure 2.
pub struct Concat {
    branches: Vec<(String, Box<dyn Layer>)>,
    /// The channels that each branch made in the last forward pass.
    channels: Option<Recycled<usize>>,
}

const KIND: &str = "concat";

/// Side by side along axis 1.
const CHANNELS: cnn_ops::Concat = cnn_ops::Concat { dim: 1 };

impl Concat {
    /// The branches described, for inputs of shape `x`.
    ///
    /// # Errors
    /// There is no branch, one cannot take the input, they differ in more than channels, a name is empty or occurs
    /// twice, or the source lacks a parameter.
    pub fn build(
        branches: &[NamedSpec],
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        check_names(branches.iter().map(|spec| spec.name.as_str()))?;
        let build = |NamedSpec { name, layer }: &NamedSpec| {
            let layer = layer.build(x, path.join(name), source).map_err(|fault| fault.within(name))?;
            Ok((name.clone(), layer))
        };
        let branches = branches.iter().map(build).collect::<Result<_, NnError>>()?;
        let concat = Self { branches, channels: None };
        concat.output_shape(x)?;
        Ok(concat)
    }

    /// Each branch's result of `f`; a fault names the branch.
    fn each<T>(&self, mut f: impl FnMut(&dyn Layer) -> Result<T, NnError>) -> Result<Vec<T>, NnError> {
        self.branches.iter().map(|(name, branch)| f(&**branch).map_err(|fault| fault.within(name))).collect()
    }

    /// Calls `f` for each branch with the part of `dy` that belongs to it.
    fn each_backward(
        &mut self,
        dy: &Tensor,
        kind: Pass,
        mut f: impl FnMut(&mut dyn Layer, Tensor) -> Result<(), NnError>,
    ) -> Result<(), NnError> {
        let parts = CHANNELS.backward(dy, &take(&mut self.channels, KIND)?)?;
        let mut branches = self.branches.iter_mut().zip(parts);
        branches.try_for_each(|((name, branch), dy)| {
            pass(name, kind, || f(&mut **branch, dy)).map_err(|fault| fault.within(name))
        })
    }
}

/// The names and kinds of the branches.
impl fmt::Debug for Concat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.branches.iter().map(|(name, branch)| (name, branch.kind()))).finish()
    }
}

impl Layer for Concat {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(CHANNELS.output_shape(&self.each(|branch| branch.output_shape(x))?)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let mut parts = Recycled::with_capacity(self.branches.len());
        for (name, branch) in &self.branches {
            parts.push(pass(name, Pass::Forward, || branch.infer(x)).map_err(|fault| fault.within(name))?);
        }
        Ok(CHANNELS.forward(&parts)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let mut parts = Recycled::with_capacity(self.branches.len());
        for (name, branch) in &mut self.branches {
            let part = pass(name, Pass::Forward, || branch.forward(x.clone()));
            parts.push(part.map_err(|fault| fault.within(name))?);
        }
        let y = CHANNELS.forward(&parts)?;
        // Only what could be concatenated is known to have channels.
        self.channels = Some(parts.iter().map(|part: &Tensor| part.shape().dims()[1]).collect());
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let mut sum = None;
        self.each_backward(&dy, Pass::Backward, |branch, dy| {
            let dx = branch.backward(dy)?;
            sum = Some(match sum.take() {
                Some(sum) => add(sum, &dx)?,
                None => dx,
            });
            Ok(())
        })?;
        sum.ok_or(NnError::Order { layer: KIND })
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        self.each_backward(&dy, Pass::BackwardFirst, |branch, dy| branch.backward_first(dy))
    }

    fn parts<'a>(&'a self, f: &mut dyn FnMut(&'a str, &'a dyn Layer)) {
        self.branches.iter().for_each(|(name, branch)| f(name, &**branch));
    }

    fn parts_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a str, &'a mut dyn Layer)) {
        self.branches.iter_mut().for_each(|(name, branch)| f(name, &mut **branch));
    }

    fn replicate(&self) -> Box<dyn Layer> {
        let branches = self.branches.iter().map(|(name, branch)| (name.clone(), branch.replicate()));
        Box::new(Self { branches: branches.collect(), channels: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        let branches = self.branches.iter().map(|(name, branch)| Some(branch.spec()?.named(name)));
        Some(LayerSpec::Concat { branches: branches.collect::<Option<_>>()? })
    }

    fn macs(&self, x: Shape) -> u64 {
        total_macs(self, x)
    }

    fn summarize(&self, path: Path<'_>, x: Shape, rows: &mut Vec<SummaryRow>) -> Result<(), NnError> {
        for (name, branch) in &self.branches {
            branch.summarize(path.join(name), x, rows).map_err(|fault| fault.within(name))?;
        }
        let output = self.output_shape(x)?;
        rows.push(SummaryRow { path: path.to_string(), kind: KIND, output, parameters: 0, macs: 0 });
        Ok(())
    }
}
