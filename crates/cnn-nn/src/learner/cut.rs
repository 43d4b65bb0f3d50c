//! Into which pieces a batch is cut.
//!
//! A step of a small network is a millisecond of work; handing every operation to the threads one by one would cost as much again.
//! So its batch is cut, and each piece runs forward and backward whole. Pieces follow from the batch alone, so that the sum of
//! their gradients is the same for any number of threads.

use crate::{Graph, Layer, Plan, Tensors};
use cnn_tensor::Shape;
use cnn_tensor::simd::IMAGES;

/// How a batch is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Examples in each piece but the last.
    pub images: usize,
    /// Whether pieces run at once, each on a thread, with gradients of its own; else one after the other, and the operations
    /// share the threads.
    pub at_once: bool,
}

/// A batch is cut into this many pieces at most, if they run at once.
const MOST_PIECES: usize = 8;

/// Networks of more trained numbers run one piece after the other: there the operations themselves are large enough to share
/// among threads, and to add up the gradients of pieces would be costly.
const LARGEST_AT_ONCE: usize = 1 << 20;

/// The same for networks that use most weights once for an image: there the gradients of a piece are as much work to add up as to
/// compute.
const LARGEST_DENSE_AT_ONCE: usize = 1 << 16;

/// The most examples whose activations are kept at a time by networks that run one piece after the other. Longer batches, such as
/// those that are gathered from several, need no more memory than this many.
const MOST_IMAGES: usize = 128;

impl Cut {
    pub fn of(net: &Graph, plan: &Plan, x: &Tensors) -> Self {
        let n = x[0].shape().batch();
        if plan.couples_images(net) {
            return Self { images: n, at_once: false };
        }
        let parameters = net.parameter_count();
        let shapes: Vec<Shape> = x.iter().map(|x| x.shape()).collect();
        let dense = || net.macs(&shapes) < 2 * (n * parameters) as u64;
        if parameters > LARGEST_AT_ONCE || parameters > LARGEST_DENSE_AT_ONCE && dense() {
            return Self { images: n.min(MOST_IMAGES), at_once: false };
        }
        Self { images: n.div_ceil(MOST_PIECES).next_multiple_of(IMAGES), at_once: true }
    }
}
