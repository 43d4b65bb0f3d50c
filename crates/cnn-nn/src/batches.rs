//! Where batches come from: the trait between training and data.

use crate::{Classes, NnError, Target, Tensors};

/// Some examples: what goes into the network, and what shall come out.
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
    /// What shall come out: of `n` examples.
    pub target: T,
    /// How many inputs show the same example, one after the other: 10 for ten crops, whose outputs an evaluation takes together.
    /// Training takes 1.
    pub views: usize,
    /// Where in the batch of all processes the first example stands.
    pub first: usize,
}

impl<T: Target> Batch<T> {
    /// Inputs `[n, ...]`, and what shall come out.
    pub fn new(inputs: impl Into<Tensors>, target: impl Into<T>) -> Self {
        Self { inputs: inputs.into(), target: target.into(), views: 1, first: 0 }
    }

    /// The number of examples.
    ///
    /// # Errors
    /// There are none, or the target is of another number, or one input of another than the others.
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
    /// The class of each example, the first one where two images are mixed; empty where there are probabilities.
    pub fn labels(&self) -> &[u32] {
        self.target.labels()
    }
}

/// A source of batches: epoch after epoch of the same examples, in an order that depends on the epoch alone.
pub trait Batches<T = Classes>: Sync {
    /// Examples in an epoch.
    fn examples(&self) -> usize;

    /// Batches in an epoch.
    fn batches(&self) -> usize;

    /// The batches of epoch `epoch` (from 0), without the first `skip`: a resumed run skips what it has seen. A batch
    /// without examples, where all of them were faulty, counts as one and is passed over.
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch<T>, NnError>> + '_>;
}
