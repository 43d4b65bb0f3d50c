//! Transfer learning: starting from another model's weights.

use super::{Model, ModelSpec};
use crate::spec::{Compute, NamedSpec, adaptive_avg_pool2d, flatten, linear};
use crate::{Fresh, LayerSpec, Loaded, NnError, ParameterSource, Path, Request};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

/// Which parameters and buffers of a model were loaded, and which were initialised: dotted names, in the order in which
/// the layers were built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The names of the loaded ones.
    pub taken: Vec<String>,
    /// The names of those initialised as the description says.
    pub fresh: Vec<String>,
}

impl ModelSpec {
    /// The same network for other classes. Its classifier, which is the last of its layers with weights and all layers after
    /// it, is replaced by a linear layer named `head`.
    ///
    /// A trunk that ends in maps, as SqueezeNet's does, gets the mean of each map before the head (`avgpool`, `flatten`). The
    /// names of the trunk's parameters, the input and the model's name stay the same.
    ///
    /// ```
    /// use cnn_nn::{Input, ModelSpec, spec::{conv2d, flatten, linear, relu, sequential}};
    /// let spec = ModelSpec {
    ///     name: "small".into(),
    ///     input: Input::gray(28, 28, 0.5, 0.5),
    ///     classes: (0..10).map(|digit| digit.to_string()).collect(),
    ///     layers: vec![
    ///         sequential([conv2d(8, 5).named("0"), relu().named("1")]).named("features"),
    ///         flatten().named("flatten"),
    ///         sequential([linear(50).named("0"), relu().named("1"), linear(10).named("2")]).named("classifier"),
    ///     ],
    /// };
    /// let spec = spec.with_head(vec!["even".into(), "odd".into()])?;
    /// let names: Vec<&str> = spec.layers.iter().map(|layer| layer.name.as_str()).collect();
    /// assert_eq!(names, ["features", "flatten", "head"]);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// No layer before the classifier has weights.
    pub fn with_head(&self, classes: Vec<String>) -> Result<Self, NnError> {
        let mut layers = self.trunk()?.to_vec();
        if is_flat(&layers) != Some(true) {
            layers.push(adaptive_avg_pool2d(1).named("avgpool"));
            layers.push(flatten().named("flatten"));
        }
        layers.push(linear(classes.len()).named("head"));
        Ok(Self { name: self.name.clone(), input: self.input.clone(), classes, layers })
    }

    /// The layers before the classifier.
    fn trunk(&self) -> Result<&[NamedSpec], NnError> {
        let classifier = self.layers.iter().rposition(|layer| has_weights(&layer.layer)).unwrap_or(0);
        let trunk = &self.layers[..classifier];
        if !trunk.iter().any(|layer| has_weights(&layer.layer)) {
            let (what, rule) =
                ("a network whose head is to be replaced", "layers with weights, then a classifier");
            let names: Vec<_> = self.layers.iter().map(|layer| layer.name.as_str()).collect();
            return Err(NnError::Setting { what, rule, got: format!("{names:?}") });
        }
        Ok(trunk)
    }

    /// Whether `name` is a parameter or buffer of the layers before the classifier.
    fn is_of_trunk(&self, name: &str) -> Result<bool, NnError> {
        let layer = name.split_once('.').map_or(name, |(layer, _)| layer);
        Ok(self.trunk()?.iter().any(|kept| kept.name == layer))
    }
}

/// Whether the layer, or a layer inside it, computes weighted sums of its inputs.
fn has_weights(layer: &LayerSpec) -> bool {
    let any = |layers: &[NamedSpec]| layers.iter().any(|layer| has_weights(&layer.layer));
    match layer {
        LayerSpec::Conv2d(_)
        | LayerSpec::Conv2dTable(_)
        | LayerSpec::ConvTranspose2d(_)
        | LayerSpec::Linear(_)
        | LayerSpec::Embedding(_)
        | LayerSpec::Lstm(_)
        | LayerSpec::Gru(_)
        | LayerSpec::Rbf(_) => true,
        LayerSpec::Sequential { layers } | LayerSpec::Concat { branches: layers } => any(layers),
        LayerSpec::Residual(spec) => any(&spec.layers),
        LayerSpec::MaxPoolUnpool2d(spec) => any(&spec.layers),
        LayerSpec::Graph(spec) => spec.nodes.iter().any(|node| match &node.compute {
            Compute::Layer(layer) => has_weights(layer),
            Compute::Shares(_) => false,
        }),
        _ => false,
    }
}

/// Whether the layers end in features rather than maps; `None` where none of them decides it.
fn is_flat(layers: &[NamedSpec]) -> Option<bool> {
    layers.iter().rev().find_map(|NamedSpec { layer, .. }| match layer {
        LayerSpec::Flatten | LayerSpec::Linear(_) | LayerSpec::Rbf(_) => Some(true),
        LayerSpec::Sequential { layers } => is_flat(layers),
        layer => has_weights(layer).then_some(false),
    })
}

impl Model {
    /// Builds the described model. Parameters and buffers found in `tensors` by name are loaded, and the others are initialised:
    /// for starting from a part of another model's weights.
    ///
    /// ```
    /// use cnn_nn::{Input, Model, ModelSpec, spec::{conv2d, flatten, linear, relu}};
    /// use cnn_tensor::Tensor;
    /// use std::collections::BTreeMap;
    /// let spec = ModelSpec {
    ///     name: "small".into(),
    ///     input: Input::gray(6, 6, 0.5, 0.5),
    ///     classes: vec!["even".into(), "odd".into()],
    ///     layers: vec![conv2d(4, 3).bias(false).named("conv"), flatten().named("flatten"), linear(2).named("head")],
    /// };
    /// let weights = BTreeMap::from([("conv.weight".to_string(), Tensor::full([4, 1, 3, 3], 0.1))]);
    /// let (model, origin) = Model::build_with(spec, 0, weights)?;
    /// assert_eq!(origin.taken, ["conv.weight"]);
    /// assert_eq!(origin.fresh, ["head.weight", "head.bias"]);
    /// assert_eq!(model.net.tensors()[0].1.data()[0], 0.1);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// An error of [`Model::build`]; or a tensor has a name that the model lacks, or another shape. The error names it.
    pub fn build_with(
        spec: ModelSpec,
        seed: u64,
        tensors: BTreeMap<String, Tensor>,
    ) -> Result<(Self, Origin), NnError> {
        let mut given = Loaded { tensors };
        let built = Self::build_taking(spec, seed, &mut given.tensors)?;
        given.finish()?;
        Ok(built)
    }

    /// [`Model::build_with`] that leaves in `tensors` those for which the model has no place.
    ///
    /// # Errors
    /// Those of [`Model::build`]; or a tensor has another shape. It is named.
    pub fn build_taking(
        spec: ModelSpec,
        seed: u64,
        tensors: &mut BTreeMap<String, Tensor>,
    ) -> Result<(Self, Origin), NnError> {
        let given = Loaded { tensors: std::mem::take(tensors) };
        let mut source = Mixed { given, fresh: Fresh { seed }, origin: Origin::default() };
        let built = Self::build_from(spec, &mut source);
        *tensors = source.given.tensors;
        Ok((built?, source.origin))
    }

    /// The same network for other classes: [`ModelSpec::with_head`] with this model's weights in the trunk, and a new head.
    ///
    /// # Errors
    /// An error of [`ModelSpec::with_head`].
    pub fn with_head(&self, classes: Vec<String>, seed: u64) -> Result<Self, NnError> {
        let mut tensors = BTreeMap::new();
        for (name, tensor) in self.net.tensors() {
            if self.spec.is_of_trunk(&name)? {
                tensors.insert(name, tensor);
            }
        }
        Ok(Self::build_with(self.spec.with_head(classes)?, seed, tensors)?.0)
    }
}

/// The given tensors, and fresh parameters for the rest.
struct Mixed {
    given: Loaded,
    fresh: Fresh,
    origin: Origin,
}

impl Mixed {
    /// The source of the parameter or buffer at `path`, which is recorded.
    fn of(&mut self, path: Path<'_>) -> &mut dyn ParameterSource {
        let name = path.to_string();
        if self.given.tensors.contains_key(&name) {
            self.origin.taken.push(name);
            &mut self.given
        } else {
            self.origin.fresh.push(name);
            &mut self.fresh
        }
    }
}

impl ParameterSource for Mixed {
    fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        self.of(path).parameter(path, request)
    }

    fn parameter_with(
        &mut self,
        path: Path<'_>,
        request: Request,
        finish: &dyn Fn(&mut Tensor),
    ) -> Result<Tensor, NnError> {
        self.of(path).parameter_with(path, request, finish)
    }

    fn parameter_from(&mut self, path: Path<'_>, value: Tensor) -> Result<Tensor, NnError> {
        self.of(path).parameter_from(path, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;
    use crate::spec::{batch_norm2d, conv2d, dropout, global_avg_pool2d, relu, sequential};

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|class| class.to_string()).collect()
    }

    fn spec(layers: Vec<NamedSpec>) -> ModelSpec {
        let input = Input::new([2, 6, 6], &[0.5; 2], &[0.25; 2]);
        ModelSpec { name: "net".into(), input, classes: classes(5), layers }
    }

    /// Normalised features, as they are named in published files, and a classifier of two layers.
    fn vgg() -> ModelSpec {
        let features = [conv2d(4, 3).named("0"), batch_norm2d().named("1"), relu().named("2")];
        let classifier =
            [linear(7).named("0"), relu().named("1"), dropout(0.5).named("2"), linear(5).named("3")];
        spec(vec![
            sequential(features).named("features"),
            flatten().named("flatten"),
            sequential(classifier).named("classifier"),
        ])
    }

    fn names(spec: &ModelSpec) -> Vec<&str> {
        spec.layers.iter().map(|layer| layer.name.as_str()).collect()
    }

    #[test]
    fn a_head_follows_whatever_comes_before_the_classifier() {
        assert_eq!(names(&vgg().with_head(classes(3)).unwrap()), ["features", "flatten", "head"]);
        // As in a ResNet, a LeNet-5 and a SqueezeNet.
        let resnet = spec(vec![
            conv2d(4, 3).named("conv"),
            global_avg_pool2d().named("avgpool"),
            flatten().named("flatten"),
            dropout(0.2).named("dropout"),
            linear(5).named("fc"),
        ]);
        let with = resnet.with_head(classes(3)).unwrap();
        assert_eq!(names(&with), ["conv", "avgpool", "flatten", "dropout", "head"]);
        assert_eq!(Model::build(with, 0).unwrap().net.parameter_count(), 4 * 19 + 3 * 5);
        let lenet = spec(vec![
            flatten().named("flatten"),
            linear(8).named("fc1"),
            relu().named("act1"),
            linear(5).named("fc2"),
            relu().named("act2"),
        ]);
        assert_eq!(names(&lenet.with_head(classes(3)).unwrap()), ["flatten", "fc1", "act1", "head"]);
        let classifier = [dropout(0.5).named("0"), conv2d(5, 1).named("1"), global_avg_pool2d().named("2")];
        let squeezenet = spec(vec![
            sequential([conv2d(4, 3).named("0"), relu().named("1")]).named("features"),
            sequential(classifier).named("classifier"),
            flatten().named("flatten"),
        ]);
        let with = squeezenet.with_head(classes(3)).unwrap();
        assert_eq!(names(&with), ["features", "avgpool", "flatten", "head"]);
        assert_eq!(Model::build(with.clone(), 0).unwrap().net.parameter_count(), 4 * 19 + 3 * 5);
        assert_eq!(with.with_head(classes(3)).unwrap(), with, "a head is a classifier");
    }

    #[test]
    fn a_net_without_a_trunk_is_an_error() {
        let message = spec(vec![flatten().named("flatten"), linear(5).named("fc")])
            .with_head(classes(3))
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "a network whose head is to be replaced must be layers with weights, then a classifier, \
             got [\"flatten\", \"fc\"]"
        );
    }

    #[test]
    fn a_model_with_another_head_keeps_its_trunk() {
        let model = Model::build(vgg(), 3).unwrap();
        let with = model.with_head(classes(3), 4).unwrap();
        let (before, after) = (model.net.tensors(), with.net.tensors());
        let trunk: Vec<_> = before.iter().filter(|(name, _)| name.starts_with("features.")).collect();
        assert_eq!(trunk.len(), 2 + 2 + 3);
        assert!(trunk.iter().all(|kept| after.contains(kept)));
        assert_eq!(after.len(), trunk.len() + 2);
        assert_eq!(with.spec, vgg().with_head(classes(3)).unwrap());
    }

    #[test]
    fn what_is_not_given_begins_as_without_it() {
        let fresh: BTreeMap<_, _> = Model::build(vgg(), 3).unwrap().net.tensors().into_iter().collect();
        let bias = Tensor::full([4], 0.5);
        let count = Tensor::full([1], 7.0);
        let given = [("features.0.bias", &bias), ("features.1.num_batches_tracked", &count)];
        let given = given.map(|(name, tensor)| (name.to_string(), tensor.clone()));
        let (model, origin) = Model::build_with(vgg(), 3, given.into()).unwrap();
        assert_eq!(origin.taken, ["features.0.bias", "features.1.num_batches_tracked"]);
        assert_eq!(origin.fresh.len(), fresh.len() - 2);
        for (name, tensor) in model.net.tensors() {
            match name.as_str() {
                "features.0.bias" => assert_eq!(tensor, bias),
                "features.1.num_batches_tracked" => assert_eq!(tensor, Tensor::full([], 7.0)),
                _ => assert_eq!(tensor, fresh[&name], "{name}"),
            }
        }
    }

    #[test]
    fn a_tensor_that_does_not_fit_is_named() {
        let fault = |name: &str, shape: [usize; 1]| {
            let given = BTreeMap::from([(name.to_string(), Tensor::zeros(shape))]);
            Model::build_with(vgg(), 3, given).unwrap_err().to_string()
        };
        assert_eq!(
            fault("features.0.bias", [5]),
            "features.0: parameter features.0.bias: the model expects shape [4], the file has shape [5]"
        );
        assert_eq!(
            fault("features.3.bias", [4]),
            "parameter features.3.bias: the model expects none of that name, the file has shape [4]"
        );
    }

    /// Files of PyTorch's early versions, and those made of them.
    #[test]
    fn counts_of_batches_may_be_missing_or_have_an_axis() {
        let tensors: BTreeMap<_, _> = Model::build(vgg(), 3).unwrap().net.tensors().into_iter().collect();
        let count = "features.1.num_batches_tracked";
        let with = |tensor: Option<Tensor>| {
            let mut tensors = tensors.clone();
            tensors.remove(count);
            tensors.extend(tensor.map(|tensor| (count.to_string(), tensor)));
            let model = Model::from_tensors(vgg(), tensors).map_err(|fault| fault.to_string())?;
            let all: BTreeMap<_, _> = model.net.tensors().into_iter().collect();
            Ok(all[count].clone())
        };
        assert_eq!(with(None), Ok(Tensor::zeros([])));
        assert_eq!(with(Some(Tensor::full([1], 9.0))), Ok(Tensor::full([], 9.0)));
        let message: Result<_, String> = with(Some(Tensor::zeros([2])));
        assert_eq!(
            message.unwrap_err(),
            format!("features.1: parameter {count}: the model expects shape [], the file has shape [2]")
        );
    }
}
