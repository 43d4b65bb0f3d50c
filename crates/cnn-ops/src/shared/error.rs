use cnn_tensor::{Shape, TensorError};

/// A fault of an operation's options or inputs.
///
/// Messages have the form "operation: the expected value, got the given value".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// An option that no input could satisfy.
    #[error("{op}: {option} must be {rule}, got {got}")]
    Option {
        /// The operation.
        op: &'static str,
        /// The option's name.
        option: &'static str,
        /// The rule it must follow.
        rule: &'static str,
        /// Its value.
        got: String,
    },
    /// A tensor of the wrong rank.
    #[error("{op}: {what} expects {expected}, got shape {got}")]
    Rank {
        /// The operation.
        op: &'static str,
        /// The argument.
        what: &'static str,
        /// The axes it must have, such as `[n, c, h, w]`.
        expected: &'static str,
        /// The shape it has.
        got: Shape,
    },
    /// A tensor of the wrong shape.
    #[error("{op}: {what} expects shape {expected}, got {got}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// The argument.
        what: &'static str,
        /// The shape it must have.
        expected: Shape,
        /// The shape it has.
        got: Shape,
    },
    /// Two extents that must agree do not.
    #[error("{op}: {what} expects {expected} {unit}, got {got}")]
    Extent {
        /// The operation.
        op: &'static str,
        /// The argument.
        what: &'static str,
        /// The unit, such as `input channels`.
        unit: &'static str,
        /// The extent it must have.
        expected: usize,
        /// The extent it has.
        got: usize,
    },
    /// A window that does not fit the padded input.
    #[error("{op}: a window of {window} with padding {padding} does not fit an input extent of {extent}")]
    Window {
        /// The operation.
        op: &'static str,
        /// The window's extent, dilation included.
        window: usize,
        /// Rows or columns added on both sides together.
        padding: usize,
        /// The input's height or width.
        extent: usize,
    },
    /// A label that is not the number of a class.
    #[error("{op}: label {label} of image {image} must be below the number of classes, {classes}")]
    Label {
        /// The operation.
        op: &'static str,
        /// The label.
        label: u32,
        /// The position in the batch.
        image: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A number that an argument may not hold.
    #[error("{op}: {what} expects {expected}, got {got} at {at}")]
    Element {
        /// The operation.
        op: &'static str,
        /// The argument.
        what: &'static str,
        /// The numbers it may hold.
        expected: String,
        /// The number it holds.
        got: String,
        /// Where: the position along each axis.
        at: String,
    },
    /// A result too large for memory, or a fault of a tensor.
    #[error("{op}: {fault}")]
    Tensor {
        /// The operation.
        op: &'static str,
        /// The fault.
        fault: TensorError,
    },
}

impl OpError {
    /// The same error, with the name of an operation that is built on the one that found it.
    pub(crate) fn of(mut self, by: &'static str) -> Self {
        let (Self::Option { op, .. }
        | Self::Rank { op, .. }
        | Self::Shape { op, .. }
        | Self::Extent { op, .. }
        | Self::Window { op, .. }
        | Self::Label { op, .. }
        | Self::Element { op, .. }
        | Self::Tensor { op, .. }) = &mut self;
        *op = by;
        self
    }
}
