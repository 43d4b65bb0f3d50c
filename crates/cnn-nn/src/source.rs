//! The source of a model's parameters when it is built: random numbers or a file.

use crate::{Init, NnError, Path};
use cnn_tensor::{Random, Shape, Tensor};
use std::collections::BTreeMap;

/// Access to the parameters of a layer while it is built.
///
/// ```
/// use cnn_nn::{Fresh, Init, Parameters, Path};
/// let mut source = Fresh { seed: 0 };
/// let mut parameters = Parameters::new(Path::ROOT.join("bn1"), &mut source);
/// assert_eq!(parameters.get("weight", [3], Init::Constant(1.0))?.data(), [1.0; 3]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub struct Parameters<'a> {
    path: Path<'a>,
    source: &'a mut dyn ParameterSource,
}

impl<'a> Parameters<'a> {
    /// The parameters of the layer at `path`.
    pub fn new(path: Path<'a>, source: &'a mut dyn ParameterSource) -> Self {
        Self { path, source }
    }

    /// The path of the layer, from which the names of its random streams are made.
    pub fn path(&self) -> Path<'_> {
        self.path
    }

    /// The parameter or buffer `name`. A fresh one is filled by `init`, with fans of 1.
    ///
    /// # Errors
    /// The source has no such parameter, or one of another shape.
    pub fn get(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Tensor, NnError> {
        self.request(name, Request { shape: shape.into(), init, fan_in: 1, fan_out: 1 })
    }

    /// The parameter or buffer `name`.
    ///
    /// # Errors
    /// An error of [`Parameters::get`].
    pub fn request(&mut self, name: &str, request: Request) -> Result<Tensor, NnError> {
        self.source.parameter(self.path.join(name), request)
    }

    /// As [`Parameters::request`]; `finish` completes a fresh value after it has been filled.
    ///
    /// # Errors
    /// An error of [`Parameters::get`].
    pub fn request_with(
        &mut self,
        name: &str,
        request: Request,
        finish: &dyn Fn(&mut Tensor),
    ) -> Result<Tensor, NnError> {
        self.source.parameter_with(self.path.join(name), request, finish)
    }

    /// The parameter or buffer `name`. A fresh one is `value`.
    ///
    /// # Errors
    /// An error of [`Parameters::get`].
    pub fn beginning_as(&mut self, name: &str, value: Tensor) -> Result<Tensor, NnError> {
        self.source.parameter_from(self.path.join(name), value)
    }
}

/// A source of initial parameters.
pub trait ParameterSource {
    /// The value of the parameter or buffer at `path`.
    ///
    /// # Errors
    /// The source has no such parameter, or one of another shape.
    fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError>;

    /// The value of the parameter or buffer at `path`. A source that creates a fresh value calls `finish` with it.
    ///
    /// # Errors
    /// An error of [`ParameterSource::parameter`].
    fn parameter_with(
        &mut self,
        path: Path<'_>,
        request: Request,
        finish: &dyn Fn(&mut Tensor),
    ) -> Result<Tensor, NnError> {
        let _ = finish;
        self.parameter(path, request)
    }

    /// The value of the parameter or buffer at `path`. A source that creates a fresh value uses `value`.
    ///
    /// # Errors
    /// An error of [`ParameterSource::parameter`].
    fn parameter_from(&mut self, path: Path<'_>, value: Tensor) -> Result<Tensor, NnError> {
        self.parameter(path, Request { shape: value.shape(), init: Init::Zeros, fan_in: 1, fan_out: 1 })
    }
}

/// A layer's request for a parameter or buffer.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The shape.
    pub shape: Shape,
    /// The distribution of a fresh parameter.
    pub init: Init,
    /// The number of inputs that each output sums over.
    pub fan_in: usize,
    /// The number of outputs that each input reaches.
    pub fan_out: usize,
}

/// Random parameters. Each has its own random stream, named by its path, so that a change to one layer leaves the
/// others unchanged.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// The seed.
    pub seed: u64,
}

/// The largest number of elements of a fresh parameter: 1 GiB. A description that asks for more is a mistake or an attack.
const LARGEST: usize = 1 << 28;

/// Zeros for all parameters, of at most 2^28 numbers each: for a network that is only to be counted or shown, since random numbers
/// take their time.
///
/// ```
/// use cnn_nn::{Graph, Zeros, spec::linear};
/// let net = Graph::chain([linear(10).named("fc")], [1, 784].into(), &mut Zeros)?;
/// assert_eq!(net.parameter_count(), 7850);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Zeros;

impl ParameterSource for Zeros {
    fn parameter(&mut self, _: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        if request.shape.numel() > LARGEST {
            let rule = "at most 2^28 numbers";
            return Err(NnError::Setting {
                what: "a parameter",
                rule,
                got: format!("shape {}", request.shape),
            });
        }
        Ok(Tensor::zeros(request.shape))
    }
}

impl ParameterSource for Fresh {
    fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        let mut tensor = Zeros.parameter(path, request)?;
        let mut random = Random::new(self.seed, &["parameter", &path.to_string()]);
        request.init.fill(&mut random, request.fan_in, request.fan_out, tensor.data_mut());
        Ok(tensor)
    }

    fn parameter_with(
        &mut self,
        path: Path<'_>,
        request: Request,
        finish: &dyn Fn(&mut Tensor),
    ) -> Result<Tensor, NnError> {
        let mut tensor = self.parameter(path, request)?;
        finish(&mut tensor);
        Ok(tensor)
    }

    fn parameter_from(&mut self, _: Path<'_>, value: Tensor) -> Result<Tensor, NnError> {
        Ok(value)
    }
}

/// The parameters of a file, by name.
///
/// A model built from a file takes its tensors instead of allocating its own. So no description can make it allocate more
/// than the file holds.
///
/// As PyTorch does for files of its early versions, it accepts a tensor of shape `[1]` for a single number, and takes 0 for a
/// missing `num_batches_tracked` of a batch normalisation. Numbers that are not finite are an error.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The tensors that have not been requested yet.
    pub tensors: BTreeMap<String, Tensor>,
}

/// A buffer of PyTorch's batch normalisation, which exists since version 0.4.1.
const COUNT: &str = "num_batches_tracked";

impl ParameterSource for Loaded {
    fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        let name = path.to_string();
        if let Some(tensor) = self.tensors.get(&name) {
            check_finite(&name, tensor)?;
        }
        let number = request.shape == Shape::from([]);
        match self.tensors.remove(&name) {
            Some(tensor) if tensor.shape() == request.shape => Ok(tensor),
            Some(tensor) if number && tensor.shape() == Shape::from([1]) => Ok(tensor.reshape([])?),
            None if number && name.ends_with(COUNT) => Ok(Tensor::zeros([])),
            other => Err(NnError::parameter(name, Some(request.shape), other.map(|tensor| tensor.shape()))),
        }
    }
}

/// Checks that all numbers are finite. A single one that is not would spread to all outputs.
fn check_finite(name: &str, tensor: &Tensor) -> Result<(), NnError> {
    let others = tensor.data().iter().filter(|v| !v.is_finite());
    let Some(first) = others.clone().next() else { return Ok(()) };
    let (count, all) = (others.count(), tensor.shape().numel());
    let got = format!("{name}, in which {count} of {all} are not, the first of them {first}");
    Err(NnError::Setting { what: "parameters", rule: "finite numbers", got })
}

impl Loaded {
    /// Checks that every tensor was requested.
    ///
    /// # Errors
    /// A tensor was not requested. The error names it.
    pub fn finish(self) -> Result<(), NnError> {
        match self.tensors.into_iter().next() {
            None => Ok(()),
            Some((name, tensor)) => Err(NnError::parameter(name, None, Some(tensor.shape()))),
        }
    }
}
