//! The tensors of a graph, by dotted name.

use super::Graph;
use crate::{Loaded, NnError, Role};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

impl Graph {
    /// Calls `f` for each parameter and buffer with its dotted name, always in the same order. This order numbers the parameters,
    /// from 0.
    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(Name<'_>, Role, &'a Tensor)) {
        for entry in &self.layers {
            entry.layer.visit(&mut |name, role, tensor| f(Name { path: &entry.path, name }, role, tensor));
        }
    }

    /// As [`Graph::visit`], in the same order, with tensors that can be changed.
    pub fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(Name<'_>, Role, &'a mut Tensor)) {
        for entry in &mut self.layers {
            let path = &entry.path;
            entry.layer.visit_mut(&mut |name, role, tensor| f(Name { path, name }, role, tensor));
        }
    }

    /// Calls `f` for each parameter with its dotted name, in the order of their numbers.
    pub fn parameters<'a>(&'a self, f: &mut dyn FnMut(Name<'_>, &'a Tensor)) {
        self.visit(&mut |name, role, tensor| {
            if role == Role::Parameter {
                f(name, tensor);
            }
        });
    }

    /// As [`Graph::parameters`], with tensors that can be changed.
    pub fn parameters_mut<'a>(&'a mut self, f: &mut dyn FnMut(Name<'_>, &'a mut Tensor)) {
        self.visit_mut(&mut |name, role, tensor| {
            if role == Role::Parameter {
                f(name, tensor);
            }
        });
    }

    /// The number of trained numbers, the elements of all parameters.
    pub fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.parameters(&mut |_, tensor| count += tensor.shape().numel());
        count
    }

    /// The dotted names and values of all parameters, then of all buffers. The values are shared, not copied.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors = Vec::new();
        for wanted in [Role::Parameter, Role::Buffer] {
            self.visit(&mut |name, role, tensor| {
                if role == wanted {
                    tensors.push((name.to_string(), tensor.clone()));
                }
            });
        }
        tensors
    }

    /// Sets all parameters and buffers to the tensors of their dotted names, as [`Graph::tensors`] returned them.
    ///
    /// # Errors
    /// A tensor is missing, surplus or of another shape. The network is then unchanged.
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
        self.visit_mut(&mut |name, _, tensor| {
            *tensor = tensors.remove(&name.to_string()).expect("checked above");
        });
        Ok(())
    }

    /// Another network of the same description. The two share the values until one of them is changed.
    ///
    /// # Errors
    /// None for a network that was built.
    pub fn copy(&self) -> Result<Self, NnError> {
        let tensors = self.tensors().into_iter().collect();
        Self::build_from(&self.spec, self.inputs.clone(), &mut Loaded { tensors })
    }
}

/// The dotted name of a parameter or buffer.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    path: &'a str,
    name: &'a str,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}.", self.path)?;
        }
        f.write_str(self.name)
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    Name { path, name }.to_string()
}
