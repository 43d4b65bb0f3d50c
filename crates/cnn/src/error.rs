//! One error for all crates, by what a program can do about it.

use cnn_data::DataError;
use cnn_nn::NnError;
use cnn_onnx::OnnxError;
use cnn_ops::OpError;
use cnn_tensor::TensorError;

/// An error, by kind. The message inside names the place, and says what was expected there.
///
/// ```
/// use cnn::prelude::*;
/// let missing = Model::load("nothing.safetensors").map_err(Error::from);
/// assert!(matches!(missing, Err(Error::Io(_))));
/// let shape = Tensor::from_vec([2, 2], vec![0.0; 3]).map_err(Error::from);
/// assert!(matches!(shape, Err(Error::Shape(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The shape or the number of tensors, images or labels does not fit the operation.
    #[error("{0}")]
    Shape(String),
    /// A file of weights lacks a parameter, has a surplus one, or one of another shape.
    #[error("{0}")]
    Parameter(String),
    /// A description, a setting or an option is invalid.
    #[error("{0}")]
    Description(String),
    /// A number became infinite or not a number.
    #[error("{0}")]
    NotFinite(String),
    /// A file cannot be read or written, or its content is damaged.
    #[error("{0}")]
    Io(String),
}

impl From<TensorError> for Error {
    fn from(error: TensorError) -> Self {
        let message = error.to_string();
        match error {
            TensorError::Threads { .. } | TensorError::Choice { .. } => Self::Description(message),
            _ => Self::Shape(message),
        }
    }
}

impl From<OpError> for Error {
    fn from(error: OpError) -> Self {
        let message = error.to_string();
        match error {
            OpError::Option { .. } => Self::Description(message),
            OpError::Tensor { fault: TensorError::Choice { .. }, .. } => Self::Description(message),
            _ => Self::Shape(message),
        }
    }
}

impl From<NnError> for Error {
    fn from(error: NnError) -> Self {
        let message = error.to_string();
        of_network(&error)(message)
    }
}

/// The kind of an error, from the innermost one that caused it.
fn of_network(error: &NnError) -> fn(String) -> Error {
    match error {
        NnError::At { fault, .. } | NnError::InFile { fault, .. } => of_network(fault),
        NnError::Op(fault) => match **fault {
            OpError::Option { .. } => Error::Description,
            _ => Error::Shape,
        },
        NnError::Tensor(_) => Error::Shape,
        NnError::Parameter { .. } => Error::Parameter,
        NnError::File { .. } | NnError::Io { .. } => Error::Io,
        NnError::NotFinite { .. } => Error::NotFinite,
        NnError::Data(fault) => fault.downcast_ref().map_or(Error::Io, of_data),
        _ => Error::Description,
    }
}

impl From<OnnxError> for Error {
    fn from(error: OnnxError) -> Self {
        let message = error.to_string();
        match error {
            OnnxError::Nn(fault) => of_network(&fault)(message),
            OnnxError::Unsupported(_) => Self::Description(message),
            _ => Self::Io(message),
        }
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        of_data(&error)(error.to_string())
    }
}

fn of_data(error: &DataError) -> fn(String) -> Error {
    match error {
        DataError::Setting { .. } => Error::Description,
        _ => Error::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_nn::spec::linear;
    use cnn_nn::{Graph, Input, Model, ModelSpec};

    #[test]
    fn errors_are_of_the_kind_of_their_ground() {
        let spec = ModelSpec {
            name: "linear".into(),
            input: Input::gray(1, 2, 0.0, 1.0),
            classes: vec!["a".into()],
            layers: vec![cnn_nn::spec::flatten().named("flatten"), linear(1).named("fc")],
        };
        let kind = |error: NnError| Error::from(error);
        let missing = Model::from_tensors(spec, Default::default()).unwrap_err();
        assert!(matches!(kind(missing), Error::Parameter(message) if message.contains("fc.weight")));
        let net = Graph::build([linear(1).named("fc")], [2], 0).unwrap();
        let shape = net.infer(&cnn_tensor::Tensor::zeros([1, 3])).unwrap_err();
        assert!(matches!(kind(shape), Error::Shape(message) if message.contains("fc")));
        let diverged = NnError::NotFinite { loss: f64::NAN, epoch: 1, step: 2 };
        assert!(matches!(kind(diverged), Error::NotFinite(_)));
        let setting = DataError::Setting { what: "x", rule: "y".into(), got: "z".into() };
        assert!(matches!(kind(setting.into()), Error::Description(_)));
        let missing = cnn_onnx::Onnx::open("nothing.onnx".as_ref()).err().unwrap();
        assert!(matches!(Error::from(missing), Error::Io(message) if message.contains("nothing.onnx")));
        let nothing = cnn_data::open("nothing/here").unwrap_err();
        assert!(matches!(Error::from(nothing), Error::Io(message) if message.contains("nothing/here")));
    }
}
