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

impl Batch {
    /// The number of images.
    ///
    /// # Errors
    /// There are none, or not as many labels.
    pub fn checked_size(&self) -> Result<usize, NnError> {
        let (images, labels) = (self.x.shape().batch(), self.labels.len());
        if images == 0 || images != labels {
            let (what, rule) = ("a batch", "at least one image, each with a label");
            return Err(NnError::Setting { what, rule, got: format!("{images} images and {labels} labels") });
        }
        Ok(images)
    }
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
