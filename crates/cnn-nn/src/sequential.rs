//! Layers one after the other.

use crate::profile::probe::{Pass, pass};
use crate::spec::NamedSpec;
use crate::{Fresh, Layer, LayerSpec, NnError, ParameterSource, Path, Summary, SummaryRow};
use cnn_tensor::{Shape, Tensor};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Layers one after the other, each with a name; itself a layer.
///
/// ```
/// use cnn_nn::{Layer, Sequential, spec::{linear, relu}};
/// use cnn_tensor::Tensor;
/// // Only the input's shape is given; the layers' own are inferred.
/// let net = Sequential::build([linear(200).named("fc1"), relu().named("relu"), linear(10).named("fc2")], [784], 0)?;
/// assert_eq!(net.infer(&Tensor::zeros([32, 784]))?.shape().dims(), [32, 10]);
///
/// let error = Sequential::build([linear(10).named("fc")], [1, 28, 28], 0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "fc: linear: x expects [n, features] (a flatten layer makes it so), got shape [1, 1, 28, 28]",
/// );
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub struct Sequential {
    layers: Vec<Entry>,
}

/// A layer and its name.
type Entry = (String, Box<dyn Layer>);

impl Sequential {
    /// The layers described, for inputs of shape `x` (without the batch axis), with random parameters.
    ///
    /// # Errors
    /// A layer cannot take its input; the error names the layer, what it expects and what it got. Or a name is
    /// empty, has a dot or occurs twice.
    pub fn build<const N: usize>(
        layers: impl IntoIterator<Item = NamedSpec>,
        x: [usize; N],
        seed: u64,
    ) -> Result<Self, NnError> {
        let layers: Vec<_> = layers.into_iter().collect();
        Self::build_from(&layers, batch_of_one(&x)?, Path::ROOT, &mut Fresh { seed })
    }

    /// The layers described, for inputs of shape `x` (with the batch axis), with parameters from `source`.
    ///
    /// # Errors
    /// Those of [`Sequential::build`], or the source lacks a parameter.
    pub fn build_from(
        specs: &[NamedSpec],
        mut x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        check_names(specs.iter().map(|spec| spec.name.as_str()))?;
        let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::with_capacity(specs.len());
        for NamedSpec { name, layer } in specs {
            let layer = layer.build(x, path.join(name), source).map_err(|fault| fault.within(name))?;
            x = layer.output_shape(x).map_err(|fault| fault.within(name))?;
            layers.push((name.clone(), layer));
        }
        Ok(Self { layers })
    }

    /// Layers already built, in order, each with a name; your own among them.
    ///
    /// # Errors
    /// A name is empty, has a dot or occurs twice.
    pub fn new(layers: Vec<(String, Box<dyn Layer>)>) -> Result<Self, NnError> {
        check_names(layers.iter().map(|(name, _)| name.as_str()))?;
        Ok(Self { layers })
    }

    /// The names and layers, in order.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &dyn Layer)> {
        self.layers.iter().map(|(name, layer)| (name.as_str(), &**layer))
    }

    /// The number of trained numbers.
    pub fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.visit(Path::ROOT, &mut |_, parameter| count += parameter.shape().numel());
        count
    }

    /// Every parameter's and buffer's dotted name and value; the values are shared, not copied.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors = Vec::new();
        self.visit(Path::ROOT, &mut |path, p| tensors.push((path.to_string(), p.value.clone())));
        self.visit_buffers(Path::ROOT, &mut |path, buffer| tensors.push((path.to_string(), buffer.clone())));
        tensors
    }

    /// Sets every parameter and buffer to the tensor of its dotted name, as [`Sequential::tensors`] gave them.
    ///
    /// # Errors
    /// A tensor is missing, surplus or of another shape; the network is then unchanged.
    pub fn restore(&mut self, mut tensors: BTreeMap<String, Tensor>) -> Result<(), NnError> {
        let expected = self.tensors();
        for (name, value) in &expected {
            let got = tensors.get(name).map(Tensor::shape);
            if got != Some(value.shape()) {
                return Err(NnError::parameter(name.as_str(), Some(value.shape()), got));
            }
        }
        if tensors.len() > expected.len() {
            let known = |name: &String| expected.iter().any(|(known, _)| known == name);
            let surplus = tensors.into_iter().find(|(name, _)| !known(name)).unwrap_or_default();
            return Err(NnError::parameter(surplus.0, None, Some(surplus.1.shape())));
        }
        let mut take = |path: Path<'_>| tensors.remove(&path.to_string()).expect("checked above");
        self.visit_mut(Path::ROOT, &mut |path, parameter| parameter.value = take(path));
        self.visit_buffers_mut(Path::ROOT, &mut |path, buffer| *buffer = take(path));
        Ok(())
    }

    /// A table of layers, output shapes, parameters and multiply-accumulates, for one input of shape `x`.
    ///
    /// # Errors
    /// A layer cannot take its input.
    pub fn summary<const N: usize>(&self, x: [usize; N]) -> Result<Summary, NnError> {
        let mut rows = Vec::new();
        self.summarize(Path::ROOT, batch_of_one(&x)?, &mut rows)?;
        Ok(Summary { rows })
    }
}

impl Sequential {
    /// [`Layer::replicate`], as what it is.
    pub(crate) fn copy(&self) -> Self {
        let layers = self.layers.iter().map(|(name, layer)| (name.clone(), layer.replicate()));
        Self { layers: layers.collect() }
    }

    /// The layers before the first that has a parameter to train, whose gradients nobody needs, and those from it on.
    fn frozen_and_trained(&mut self) -> (&mut [Entry], &mut [Entry]) {
        let frozen = self.layers.iter().take_while(|(_, layer)| !trains(&**layer)).count();
        self.layers.split_at_mut(frozen)
    }

    /// The descriptions of all layers, unless one has none.
    pub(crate) fn specs(&self) -> Option<Vec<NamedSpec>> {
        self.layers.iter().map(|(name, layer)| Some(layer.spec()?.named(name))).collect()
    }
}

fn forward(x: Tensor, (name, layer): &mut Entry) -> Result<Tensor, NnError> {
    pass(name, Pass::Forward, || layer.forward(x)).map_err(|fault| fault.within(name))
}

fn backward(dy: Tensor, (name, layer): &mut Entry) -> Result<Tensor, NnError> {
    pass(name, Pass::Backward, || layer.backward(dy)).map_err(|fault| fault.within(name))
}

/// Whether the layer has a parameter that is not frozen.
fn trains(layer: &dyn Layer) -> bool {
    let mut trains = false;
    layer.visit(Path::ROOT, &mut |_, parameter| trains |= !parameter.frozen);
    trains
}

/// The multiply-accumulates of all parts of a container; 0 for an input that it cannot take.
pub(crate) fn total_macs(container: &dyn Layer, x: Shape) -> u64 {
    let mut rows = Vec::new();
    match container.summarize(Path::ROOT, x, &mut rows) {
        Ok(()) => rows.iter().fold(0, |sum, row| sum.saturating_add(row.macs)),
        Err(_) => 0,
    }
}

/// That parameters can be told apart by their dotted names.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), NnError> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() || name.contains('.') || !seen.insert(name) {
            let rule = "neither empty nor used twice, and without a dot";
            return Err(NnError::Setting { what: "the name of a layer", rule, got: format!("{name:?}") });
        }
    }
    Ok(())
}

/// `[1, x...]`.
pub(crate) fn batch_of_one(x: &[usize]) -> Result<Shape, NnError> {
    Ok(Shape::new(&[&[1], x].concat())?)
}

/// The names and kinds of the layers.
impl fmt::Debug for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.layers().map(|(name, layer)| (name, layer.kind()))).finish()
    }
}

impl Layer for Sequential {
    fn kind(&self) -> &'static str {
        "sequential"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        self.layers
            .iter()
            .try_fold(x, |x, (name, layer)| layer.output_shape(x).map_err(|fault| fault.within(name)))
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        // The clone is a reference count; the first layer that writes finds it shared and makes its own.
        self.infer_owned(x.clone())
    }

    fn infer_owned(&self, x: Tensor) -> Result<Tensor, NnError> {
        self.layers.iter().try_fold(x, |x, (name, layer)| {
            pass(name, Pass::Forward, || layer.infer_owned(x)).map_err(|fault| fault.within(name))
        })
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.layers.iter_mut().try_fold(x, forward)
    }

    fn forward_first(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (frozen, trained) = self.frozen_and_trained();
        let x = frozen.iter_mut().try_fold(x, |x, (name, layer)| {
            // Batch normalisation goes by the batch and follows it, frozen or not.
            let y = pass(name, Pass::Forward, || match layer.training_differs() {
                true => layer.forward_first(x),
                false => layer.infer_owned(x),
            });
            y.map_err(|fault| fault.within(name))
        })?;
        let Some(((name, first), rest)) = trained.split_first_mut() else { return Ok(x) };
        let x = pass(name, Pass::Forward, || first.forward_first(x)).map_err(|fault| fault.within(name))?;
        rest.iter_mut().try_fold(x, forward)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        self.layers.iter_mut().rev().try_fold(dy, backward)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let (_, trained) = self.frozen_and_trained();
        let Some(((name, first), rest)) = trained.split_first_mut() else { return Ok(()) };
        let dy = rest.iter_mut().rev().try_fold(dy, backward)?;
        pass(name, Pass::BackwardFirst, || first.backward_first(dy)).map_err(|fault| fault.within(name))
    }

    fn parts<'a>(&'a self, f: &mut dyn FnMut(&'a str, &'a dyn Layer)) {
        self.layers().for_each(|(name, layer)| f(name, layer));
    }

    fn parts_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a str, &'a mut dyn Layer)) {
        self.layers.iter_mut().for_each(|(name, layer)| f(name, &mut **layer));
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(self.copy())
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(LayerSpec::Sequential { layers: self.specs()? })
    }

    fn macs(&self, x: Shape) -> u64 {
        total_macs(self, x)
    }

    fn summarize(&self, path: Path<'_>, mut x: Shape, rows: &mut Vec<SummaryRow>) -> Result<(), NnError> {
        for (name, layer) in &self.layers {
            layer.summarize(path.join(name), x, rows).map_err(|fault| fault.within(name))?;
            x = layer.output_shape(x).map_err(|fault| fault.within(name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{conv2d, flatten, linear, max_pool2d, relu, sequential};

    fn fault<const N: usize>(layers: impl IntoIterator<Item = NamedSpec>, x: [usize; N]) -> String {
        Sequential::build(layers, x, 0).unwrap_err().to_string()
    }

    #[test]
    fn faults_name_the_layer_what_it_expects_and_what_it_got() {
        let nested = sequential([conv2d(4, 3).named("0"), conv2d(8, 5).groups(3).named("3")]);
        assert_eq!(
            fault([nested.named("features")], [1, 9, 9]),
            "features.3: conv2d: groups must be a divisor of both channel counts, \
             got 3 for 4 input and 8 output channels"
        );
        assert_eq!(
            fault([max_pool2d(2).named("pool"), conv2d(4, 5).named("conv")], [1, 6, 6]),
            "conv: conv2d: a window of 5 with padding 0 does not fit an input extent of 3"
        );
        let message = fault([relu().named("a"), relu().named("a")], [3]);
        assert!(message.starts_with("the name of a layer must be neither empty nor used twice"), "{message}");
        let message = fault([conv2d(1, 1).padding(1 << 20).named("c")], [1, 1, 1]);
        assert_eq!(
            message,
            "c: conv2d: the output must be at most 2^28 elements for one image, got [1, 1, 2097153, 2097153]"
        );
    }

    #[test]
    fn a_built_net_describes_itself() {
        let specs = [
            conv2d(2, 3).named("conv"),
            relu().named("relu"),
            flatten().named("flat"),
            linear(3).named("fc"),
        ];
        let net = Sequential::build(specs.clone(), [1, 5, 5], 1).unwrap();
        assert_eq!(net.spec(), Some(sequential(specs)));
        assert!(format!("{}", net.summary([1, 5, 5]).unwrap()).contains("conv"));
    }

    #[test]
    fn a_change_to_one_layer_leaves_the_others_initial_values() {
        let first = |out: usize| {
            let net = Sequential::build([linear(3).named("a"), linear(out).named("b")], [4], 9).unwrap();
            let mut values = Vec::new();
            net.visit(Path::ROOT, &mut |path, p| {
                if path.to_string() == "a.weight" {
                    values = p.value.data().to_vec();
                }
            });
            values
        };
        assert_eq!(first(2), first(7));
    }

    #[test]
    fn backward_needs_forward() {
        let mut net = Sequential::build([linear(3).named("fc")], [4], 0).unwrap();
        let error = net.backward(Tensor::zeros([1, 3])).unwrap_err();
        assert_eq!(error.to_string(), "fc: linear: backward needs a forward pass before it");
    }
}
