//! Which nodes of a file can be computed.

use cnn_tensor::text::one_line;
use std::fmt;

/// Which nodes of a file can be computed here, and why the others cannot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The version of the operators of `ai.onnx`.
    pub opset: i64,
    /// Nodes that became layers, or were computed on import.
    pub fine: usize,
    /// Nodes that could not be looked at, since they read the outputs of unsupported ones.
    pub behind: usize,
    /// The others.
    pub unsupported: Vec<Unsupported>,
}

/// A node that cannot be computed here.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    /// Its name, or the place in the list of nodes if it has none.
    pub node: String,
    /// The operator.
    pub operator: String,
    /// The reason.
    pub reason: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opset, fine, behind, unsupported } = self;
        write!(f, "{} of {} nodes are not supported", unsupported.len(), fine + behind + unsupported.len())?;
        write!(f, " (opset {opset}); {fine} are fine, {behind} depend on those:")?;
        for Unsupported { node, operator, reason } in unsupported {
            write!(f, "\n  {} {}: {}", one_line(operator), one_line(node), one_line(reason))?;
        }
        Ok(())
    }
}
