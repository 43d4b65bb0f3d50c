//! The rule by which rectifiers pass gradients back.

use cnn_ops::OpError;
use cnn_tensor::Tensor;

/// How rectifiers (`relu`, `relu6`) pass gradients back. All other layers pass them back by their derivative, whatever the rule:
/// max pooling sends each gradient to the element that won, which is what Zeiler and Fergus call a switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The derivative: the gradient passes where the input was positive. Training uses it.
    #[default]
    Plain,
    /// Guided backpropagation: a positive gradient passes where the input was positive.
    ///
    /// Source: J. T. Springenberg, A. Dosovitskiy, T. Brox and M. Riedmiller, "Striving for Simplicity: The All Convolutional
    /// Net", ICLR 2015 workshop, figure 1.
    Guided,
    /// The deconvnet: a positive gradient passes, whatever the input was.
    ///
    /// Source: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1.
    Deconv,
}

impl Rule {
    /// The gradient of a rectifier's input, given that of its output and its derivative.
    pub(crate) fn rectify(
        self,
        dy: Tensor,
        derivative: impl FnOnce(Tensor) -> Result<Tensor, OpError>,
    ) -> Result<Tensor, OpError> {
        match self {
            Self::Plain => derivative(dy),
            Self::Guided => derivative(super::positive(dy)),
            Self::Deconv => Ok(super::positive(dy)),
        }
    }
}
