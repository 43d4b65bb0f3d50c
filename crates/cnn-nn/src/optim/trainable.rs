//! What an optimizer changes.

use crate::Graph;
use cnn_tensor::Tensor;
use std::fmt::Display;

/// Tensors that are trained, each with a name, always in the same order: those of a [`Graph`], or a list of one's own, an image
/// for instance that shall please a network.
pub trait Trainable {
    /// Calls `f` for each.
    fn each(&self, f: &mut dyn FnMut(&dyn Display, &Tensor));

    /// Calls `f` for each, to change.
    fn each_mut(&mut self, f: &mut dyn FnMut(&dyn Display, &mut Tensor));
}

impl Trainable for Graph {
    fn each(&self, f: &mut dyn FnMut(&dyn Display, &Tensor)) {
        self.parameters(&mut |name, tensor| f(&name, tensor));
    }

    fn each_mut(&mut self, f: &mut dyn FnMut(&dyn Display, &mut Tensor)) {
        self.parameters_mut(&mut |name, tensor| f(&name, tensor));
    }
}

impl Trainable for Vec<(String, Tensor)> {
    fn each(&self, f: &mut dyn FnMut(&dyn Display, &Tensor)) {
        self.iter().for_each(|(name, tensor)| f(name, tensor));
    }

    fn each_mut(&mut self, f: &mut dyn FnMut(&dyn Display, &mut Tensor)) {
        self.iter_mut().for_each(|(name, tensor)| f(name, tensor));
    }
}
