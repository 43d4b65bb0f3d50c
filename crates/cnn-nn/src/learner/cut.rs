//! How a batch is cut into pieces.
//!
//! A step of a small network takes about a millisecond. Handing every operation to the threads one by one would cost as much
//! again. So the batch is cut, and each piece runs forward and backward as a whole. The pieces follow from the batch alone, so
//! the sum of their gradients is the same for any number of threads.

use crate::{Graph, Layer, Plan, Tensors};
use cnn_tensor::Shape;
use cnn_tensor::simd::IMAGES;

/// How a batch is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Examples in each piece but the last.
    pub images: usize,
    /// Whether pieces run at the same time, each on a thread with its own gradients. Otherwise they run one after the other, and
    /// the operations share the threads.
    pub at_once: bool,
}

/// The largest number of pieces that run at the same time.
const MOST_PIECES: usize = 8;

/// Networks with more trained numbers run one piece after the other. Their operations are large enough to share among threads,
/// and adding up the gradients of pieces would be costly.
const LARGEST_AT_ONCE: usize = 1 << 20;

/// The same limit for networks that use most weights once for an image. There, adding up the gradients of a piece takes as much
/// work as computing them.
const LARGEST_DENSE_AT_ONCE: usize = 1 << 16;

/// The largest number of examples whose activations are kept at a time by networks that run one piece after the other. Longer
/// batches, such as accumulated ones, need no more memory than that.
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
