//! Arithmetic with a tensor of the layer's own.

use super::{described, yes};
use crate::Init;
use cnn_ops::Arithmetic;
use serde::{Deserialize, Serialize};

/// `x op weight` or, reversed, `weight op x`, with a weight that serves every image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArithmeticBySpec {
    /// The operation: in JSON `"add"`, `"sub"`, `"mul"`, `"div"`, `"maximum"` or `"minimum"`.
    pub op: Arithmetic,
    /// The weight's extents: those of the last axes of the input, without the batch. An extent of 1 serves all positions.
    pub shape: Vec<usize>,
    /// Whether the weight is the first operand.
    #[serde(default)]
    pub reversed: bool,
    /// Whether the weight is trained. A trained weight is a parameter, another a buffer.
    #[serde(default = "yes")]
    pub trained: bool,
    /// The initial weight; `null`: the number that changes nothing, such as 1 for a product.
    #[serde(default)]
    pub init: Option<Init>,
}

described!(ArithmeticBySpec => ArithmeticBy);

/// Arithmetic with a trained weight of this shape, which has no batch: `arithmetic_by(Arithmetic::Mul, [c, 1, 1])` scales each
/// channel, `[]` is one number for all. Shapes are those of [`cnn_ops::ArithmeticBy`].
///
/// ```
/// use cnn_nn::spec::arithmetic_by;
/// use cnn_nn::{Graph, Init};
/// use cnn_ops::Arithmetic;
/// use cnn_tensor::Tensor;
/// let half = arithmetic_by(Arithmetic::Div, []).trained(false).init(Init::Constant(2.0));
/// let net = Graph::build([half.named("half")], [3], 0)?;
/// assert_eq!(net.infer(&Tensor::full([1, 3], 5.0))?.data(), [2.5; 3]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn arithmetic_by(op: Arithmetic, shape: impl Into<Vec<usize>>) -> ArithmeticBySpec {
    ArithmeticBySpec { op, shape: shape.into(), reversed: false, trained: true, init: None }
}

impl ArithmeticBySpec {
    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::ArithmeticBy {
        cnn_ops::ArithmeticBy { op: self.op, reversed: self.reversed }
    }

    /// Sets whether the weight is the first operand.
    #[must_use]
    pub fn reversed(self, reversed: bool) -> Self {
        Self { reversed, ..self }
    }

    /// Sets whether the weight is trained.
    #[must_use]
    pub fn trained(self, trained: bool) -> Self {
        Self { trained, ..self }
    }

    /// Sets the initial weight.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init: Some(init), ..self }
    }
}
