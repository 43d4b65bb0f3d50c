use crate::Shape;

/// The errors of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A shape has the wrong number of axes.
    #[error("tensor: expected {expected} axes, got {got}")]
    Rank {
        /// The rule, as a phrase.
        expected: &'static str,
        /// The number of axes given.
        got: usize,
    },
    /// A shape holds another number of elements than were given.
    #[error("tensor: shape {shape} holds {} elements, got {got}", .shape.numel())]
    Elements {
        /// The shape asked for.
        shape: Shape,
        /// The number of elements given.
        got: usize,
    },
    /// Two tensors that must have the same shape do not.
    #[error("tensor: expected two tensors of one shape, got {left} and {right}")]
    Shapes {
        /// The shape of the first.
        left: Shape,
        /// The shape of the second.
        right: Shape,
    },
    /// The shape has more elements than memory has addresses.
    #[error("tensor: shape {shape} has more elements than memory can address")]
    TooLarge {
        /// The shape asked for.
        shape: Shape,
    },
    /// An environment variable holds a word that is not one of its choices.
    #[error("{variable}: expected {expected}, got {got:?}")]
    Choice {
        /// The name of the variable.
        variable: &'static str,
        /// The choices, as a phrase.
        expected: String,
        /// The word.
        got: String,
    },
    /// A thread pool of this size cannot be made.
    #[error("threads: expected 1 to {max} threads, got {got}")]
    Threads {
        /// The largest number accepted.
        max: usize,
        /// The number asked for.
        got: usize,
    },
}
