//! Where batches come from: the trait between training and data.

use crate::NnError;
use cnn_tensor::Tensor;

/// Some images and what each of them shows.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs, `[n, ...]`.
    pub x: Tensor,
    /// The class of each input: `n` of them.
    pub labels: Vec<u32>,
}

/// A source of batches: epoch after epoch of the same examples, in an order that depends on the epoch alone.
pub trait Batches: Sync {
    /// Examples in an epoch.
    fn examples(&self) -> usize;

    /// Batches in an epoch.
    fn batches(&self) -> usize;

    /// The batches of epoch `epoch` (from 0), without the first `skip`: a resumed run skips what it has seen.
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_>;
}
