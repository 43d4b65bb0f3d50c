//! Batches: the interface between training and data.

use crate::{Classes, NnError, Target, Tensors};

/// A batch of examples: the network's inputs, and the targets.
///
/// ```
/// use cnn_nn::Batch;
/// use cnn_tensor::Tensor;
/// let batch: Batch = Batch::new(Tensor::zeros([2, 1, 28, 28]), vec![7, 1]);
/// assert_eq!(batch.checked_size()?, 2);
/// let pairs: Batch = Batch::new([Tensor::zeros([2, 8]), Tensor::zeros([2, 8])], vec![0, 1]);
/// assert_eq!(pairs.inputs.len(), 2);
/// let regression: Batch<Tensor> = Batch::new(Tensor::zeros([3, 4]), Tensor::zeros([3, 1]));
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch<T = Classes> {
    /// The network's inputs, each `[n * views, ...]`.
    pub inputs: Tensors,
    /// The target of the `n` examples.
    pub target: T,
    /// How many inputs in a row show the same example: 10 for ten crops, whose outputs an evaluation combines.
    /// Training requires 1.
    pub views: usize,
    /// The position of the first example in the batch of all processes.
    pub first: usize,
}

impl<T: Target> Batch<T> {
    /// A batch with inputs `[n, ...]` and their target.
    pub fn new(inputs: impl Into<Tensors>, target: impl Into<T>) -> Self {
        Self { inputs: inputs.into(), target: target.into(), views: 1, first: 0 }
    }

    /// The number of examples.
    ///
    /// # Errors
    /// The batch is empty, or inputs and target disagree on the number of examples.
    pub fn checked_size(&self) -> Result<usize, NnError> {
        self.target.validate()?;
        let examples = self.target.examples();
        let inputs = self.inputs.iter().map(|x| x.shape().batch());
        let expected = examples.checked_mul(self.views);
        let rule = "at least one image, each with a label";
        match inputs.clone().find(|&n| Some(n) != expected).or((examples == 0).then_some(0)) {
            None => Ok(examples),
            Some(wrong) => {
                let views = if self.views == 1 { String::new() } else { format!(" in {} views", self.views) };
                let got = format!("{wrong} images{views} and {examples} labels");
                Err(NnError::Setting { what: "a batch", rule, got })
            }
        }
    }
}

impl Batch {
    /// The class of each example. The first class where two images are mixed; empty for probabilities.
    pub fn labels(&self) -> &[u32] {
        self.target.labels()
    }
}

/// A source of batches: the same examples in every epoch, in an order that depends only on the epoch.
pub trait Batches<T = Classes>: Sync {
    /// The number of examples in an epoch.
    fn examples(&self) -> usize;

    /// The number of batches in an epoch.
    fn batches(&self) -> usize;

    /// The batches of epoch `epoch` (from 0), without the first `skip`, which a resumed run has already seen. A batch
    /// whose examples were all faulty is empty. It still counts, and is skipped.
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch<T>, NnError>> + '_>;
}
