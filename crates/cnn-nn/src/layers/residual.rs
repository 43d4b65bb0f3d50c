use crate::sequential::{check_names, total_macs};
use crate::spec::{NamedSpec, ResidualSpec};
use crate::{Layer, LayerSpec, NnError, ParameterSource, Path, Sequential, SummaryRow};
use cnn_ops::arithmetic::{add, sum_shape};
use cnn_tensor::{Shape, Tensor};

/// What layers make of their input, plus the input itself: `y = after(body(x) + shortcut(x))`.
///
/// Where the body changes the shape, a shortcut (a 1 x 1 convolution, mostly) changes it alike; without one the input
/// is added as it is. What follows the sum, a rectifier in most networks, belongs to the block so that the names of
/// parameters are those of published files: the body's are directly under the block's path, as `layer1.0.conv1`.
///
/// ```
/// use cnn_nn::spec::{conv2d, relu, residual};
/// use cnn_nn::{Layer, Sequential};
/// let block = residual([conv2d(8, 3).padding([1, 1]).named("conv1"), relu().named("relu"), conv2d(8, 3).padding([1, 1]).named("conv2")])
///     .shortcut(conv2d(8, 1).named("downsample"))
///     .after([relu().named("act")]);
/// let net = Sequential::build([block.named("block")], [3, 6, 6], 0)?;
/// assert_eq!(net.output_shape([1, 3, 6, 6].into())?.dims(), [1, 8, 6, 6]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, eq. 1 and 2.
#[derive(Debug)]
pub struct Residual {
    body: Sequential,
    /// At most one layer; none passes the input on.
    shortcut: Sequential,
    after: Sequential,
}

const KIND: &str = "residual";

impl Residual {
    /// The block for inputs of shape `x`.
    ///
    /// # Errors
    /// A part cannot take its input, body and shortcut give different shapes, a name occurs twice, or the source lacks
    /// a parameter.
    pub fn build(
        spec: &ResidualSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let ResidualSpec { layers, shortcut, after } = spec;
        let all = layers.iter().chain(shortcut.as_deref()).chain(after);
        check_names(all.map(|spec| spec.name.as_str()))?;
        let shortcut = shortcut.as_deref().map_or(&[][..], std::slice::from_ref);
        let body = Sequential::build_from(layers, x, path, source)?;
        let shortcut = Sequential::build_from(shortcut, x, path, source)?;
        let sum = sum_shape(body.output_shape(x)?, shortcut.output_shape(x)?)?;
        let after = Sequential::build_from(after, sum, path, source)?;
        Ok(Self { body, shortcut, after })
    }

    fn sum_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(sum_shape(self.body.output_shape(x)?, self.shortcut.output_shape(x)?)?)
    }

    fn sections(&self) -> [&Sequential; 3] {
        [&self.body, &self.shortcut, &self.after]
    }
}

impl Layer for Residual {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        self.after.output_shape(self.sum_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let sum = add(self.body.infer(x)?, &self.shortcut.infer(x)?)?;
        self.after.infer_owned(sum)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (body, shortcut) = (self.body.forward(x.clone())?, self.shortcut.forward(x)?);
        self.after.forward(add(body, &shortcut)?)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let dsum = self.after.backward(dy)?;
        let (dbody, dshortcut) = (self.body.backward(dsum.clone())?, self.shortcut.backward(dsum)?);
        Ok(add(dbody, &dshortcut)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let dsum = self.after.backward(dy)?;
        self.body.backward_first(dsum.clone())?;
        self.shortcut.backward_first(dsum)
    }

    fn parts<'a>(&'a self, f: &mut dyn FnMut(&'a str, &'a dyn Layer)) {
        self.sections().into_iter().for_each(|section| section.parts(f));
    }

    fn parts_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a str, &'a mut dyn Layer)) {
        let Self { body, shortcut, after } = self;
        [body, shortcut, after].into_iter().for_each(|section| section.parts_mut(f));
    }

    fn replicate(&self) -> Box<dyn Layer> {
        let [body, shortcut, after] = self.sections().map(Sequential::copy);
        Box::new(Self { body, shortcut, after })
    }

    fn spec(&self) -> Option<LayerSpec> {
        let [layers, mut shortcut, after] = self.sections().map(Sequential::specs);
        let shortcut = shortcut.as_mut()?.pop().map(Box::<NamedSpec>::new);
        Some(ResidualSpec { layers: layers?, shortcut, after: after? }.into())
    }

    fn macs(&self, x: Shape) -> u64 {
        total_macs(self, x)
    }

    fn summarize(&self, path: Path<'_>, x: Shape, rows: &mut Vec<SummaryRow>) -> Result<(), NnError> {
        self.body.summarize(path, x, rows)?;
        self.shortcut.summarize(path, x, rows)?;
        let output = self.sum_shape(x)?;
        rows.push(SummaryRow { path: path.to_string(), kind: KIND, output, parameters: 0, macs: 0 });
        self.after.summarize(path, output, rows)
    }
}
