//! What an optimizer changes: a value and its gradient, found by dotted name.

use cnn_tensor::{Shape, Tensor};
use std::fmt;

/// A trained tensor and the gradient that backward passes add into.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The value.
    pub value: Tensor,
    /// The sum of the gradients since [`Parameter::clear_gradient`]; the shape of `value`.
    pub gradient: Tensor,
    /// Whether the value is held fixed, so that nobody reads the gradient: [`Layer::backward_first`](crate::Layer) need not
    /// compute it. PyTorch's `requires_grad`, negated. The [`Trainer`](crate::Trainer) sets it from its groups.
    pub frozen: bool,
}

impl Parameter {
    /// A parameter of the given value, to be trained, its gradient zero.
    pub fn new(value: Tensor) -> Self {
        let gradient = Tensor::zeros(value.shape());
        Self { value, gradient, frozen: false }
    }

    /// A parameter that shares this one's value and has a gradient of its own, zero.
    #[must_use]
    pub fn replicate(&self) -> Self {
        Self { frozen: self.frozen, ..Self::new(self.value.clone()) }
    }

    /// The extents of value and gradient.
    pub fn shape(&self) -> Shape {
        self.value.shape()
    }

    /// Sets the gradient to zero.
    pub fn clear_gradient(&mut self) {
        self.gradient.data_mut().fill(0.0);
    }
}

/// The dotted path of a layer or parameter, built while descending, without memory of its own.
///
/// ```
/// use cnn_nn::Path;
/// let features = Path::ROOT.join("features");
/// assert_eq!(features.join("3").join("weight").to_string(), "features.3.weight");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl Path<'_> {
    /// The model itself, which has no name.
    pub const ROOT: Path<'static> = Path { parent: None, name: "" };

    /// The path of the part `name`.
    #[must_use]
    pub fn join<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), name }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| !parent.name.is_empty()) {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)
    }
}
