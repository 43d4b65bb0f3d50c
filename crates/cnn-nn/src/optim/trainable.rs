//! The interface of anything that an optimizer can train.

use crate::Graph;
use cnn_tensor::Tensor;
use std::fmt::Display;

/// Named tensors that are trained, always in the same order: those of a [`Graph`], or a list of your own, such as an
/// image that is optimized for a network's output.
pub trait Trainable {
    /// Calls `f` for each tensor.
    fn each(&self, f: &mut dyn FnMut(&dyn Display, &Tensor));

    /// Calls `f` for each tensor, which it can change.
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
