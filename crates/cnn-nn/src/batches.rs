//! Where batches come from: the trait between training and data.

use crate::NnError;
use cnn_tensor::Tensor;

/// Some images and what each of them shows.
///
/// ```
/// use cnn_nn::Batch;
/// use cnn_tensor::Tensor;
/// let batch = Batch::new(Tensor::zeros([2, 1, 28, 28]), vec![7, 1]);
/// assert_eq!(batch.checked_size()?, 2);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs, `[n * views, ...]`.
    pub x: Tensor,
    /// The class of each example: `n` of them.
    pub labels: Vec<u32>,
    /// How many inputs show the same example, one after the other: 10 for ten crops. The mean of their probabilities is
    /// the example's. Training takes 1.
    pub views: usize,
    /// What else each input shows, if pairs of images were mixed for training.
    pub mixed: Option<Mixed>,
}

/// The second class of each input, as mixup and cutmix make it.
///
/// Source: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; S. Yun et al., "CutMix", ICCV 2019.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    /// The second class of each input.
    pub labels: Vec<u32>,
    /// The share of the first one, 0 to 1: the loss is `share * loss(first) + (1 - share) * loss(second)`.
    pub share: f32,
}

impl Batch {
    /// Inputs `[n, ...]` and their `n` classes.
    pub fn new(x: Tensor, labels: Vec<u32>) -> Self {
        Self { x, labels, views: 1, mixed: None }
    }

    /// The number of examples.
    ///
    /// # Errors
    /// There are none, or not as many labels, or second labels, as inputs in as many views.
    pub fn checked_size(&self) -> Result<usize, NnError> {
        let (inputs, labels) = (self.x.shape().batch(), self.labels.len());
        let rule = "at least one image, each with a label";
        let fault = |got| Err(NnError::Setting { what: "a batch", rule, got });
        if inputs == 0 || labels.checked_mul(self.views) != Some(inputs) {
            let views = if self.views == 1 { String::new() } else { format!(" in {} views", self.views) };
            return fault(format!("{inputs} images{views} and {labels} labels"));
        }
        match &self.mixed {
            Some(mixed) if mixed.labels.len() != labels => {
                fault(format!("{labels} labels and {} second ones", mixed.labels.len()))
            }
            Some(mixed) if !(0.0..=1.0).contains(&mixed.share) => {
                fault(format!("a share of {}", mixed.share))
            }
            _ => Ok(labels),
        }
    }
}

/// A source of batches: epoch after epoch of the same examples, in an order that depends on the epoch alone.
pub trait Batches: Sync {
    /// Examples in an epoch.
    fn examples(&self) -> usize;

    /// Batches in an epoch.
    fn batches(&self) -> usize;

    /// The batches of epoch `epoch` (from 0), without the first `skip`: a resumed run skips what it has seen. A batch
    /// without examples, where all of them were faulty, counts as one and is passed over.
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_>;
}
