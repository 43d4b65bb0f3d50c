//! Batches of a data set, epoch after epoch.

use crate::{DataError, Dataset, Normalize};
use cnn_nn::{Batch, Batches, NnError};
use cnn_tensor::{Random, Tensor};

/// Cuts a data set into batches: in its own order, or shuffled anew each epoch.
///
/// The order is a function of the seed and the epoch alone, so a run that is resumed sees what an unbroken one would
/// have seen. The last batch holds what is left and may be smaller.
///
/// ```
/// use cnn_data::{Dataset, Loader};
/// use cnn_nn::Batches;
/// let set = Dataset::new([5, 1, 1, 1], vec![0, 51, 102, 153, 255], vec![0; 5], vec!["gray".into()])?;
/// let loader = Loader::new(&set, 2)?;
/// let batches: Vec<_> = loader.epoch(0, 0).collect::<Result<_, _>>()?;
/// assert_eq!(batches.iter().map(|batch| batch.labels.len()).collect::<Vec<_>>(), [2, 2, 1]);
/// assert_eq!(batches[0].x.data(), [0.0, 0.2]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loader<'a> {
    dataset: &'a Dataset,
    batch_size: usize,
    /// The seed, if the order is random.
    shuffle: Option<u64>,
    normalize: Normalize,
    examples: usize,
}

impl<'a> Loader<'a> {
    /// Batches of `batch_size` examples in the order of the data set, with pixels from 0 to 1.
    ///
    /// # Errors
    /// `batch_size` is 0.
    pub fn new(dataset: &'a Dataset, batch_size: usize) -> Result<Self, DataError> {
        if batch_size == 0 {
            let rule = "at least 1".into();
            return Err(DataError::Setting { what: "batch size", rule, got: batch_size.to_string() });
        }
        let normalize = Normalize::unit(dataset.shape()[1]);
        Ok(Self { dataset, batch_size, shuffle: None, normalize, examples: dataset.len() })
    }

    /// The same, in a random order that differs from epoch to epoch.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        Self { shuffle: Some(seed), ..self }
    }

    /// The same, with pixels of mean 0 and deviation 1.
    ///
    /// # Errors
    /// `normalize` is for another number of channels than the data set has.
    pub fn normalize(self, normalize: Normalize) -> Result<Self, DataError> {
        normalize.check_channels(self.dataset.shape()[1])?;
        Ok(Self { normalize, ..self })
    }

    /// The same, of the first `examples` of the data set alone (all, if it has fewer).
    #[must_use]
    pub fn limit(self, examples: usize) -> Self {
        Self { examples: examples.min(self.dataset.len()), ..self }
    }

    /// The indices of the examples of epoch `epoch`, in their order.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.examples).collect();
        if let Some(seed) = self.shuffle {
            Random::new(seed, &["shuffle", &epoch.to_string()]).shuffle(&mut order);
        }
        order
    }

    fn batch(&self, examples: &[usize]) -> Batch {
        let [_, c, h, w] = self.dataset.shape();
        let mut x = Tensor::scratch([examples.len(), c, h, w]);
        let images = x.data_mut().chunks_exact_mut((c * h * w).max(1));
        for (&example, x) in examples.iter().zip(images) {
            self.normalize.image(self.dataset.image(example), x);
        }
        Batch { x, labels: examples.iter().map(|&example| self.dataset.label(example)).collect() }
    }
}

impl Batches for Loader<'_> {
    fn examples(&self) -> usize {
        self.examples
    }

    fn batches(&self) -> usize {
        self.examples.div_ceil(self.batch_size)
    }

    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let order = self.order(epoch);
        let range = move |batch: usize| {
            let start = batch * self.batch_size;
            start..(start + self.batch_size).min(self.examples)
        };
        Box::new((skip..self.batches()).map(move |batch| Ok(self.batch(&order[range(batch)]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` one-pixel images: the pixel of image `i` is `i`, and so is its label.
    fn numbered(n: u8) -> Dataset {
        let classes = (0..n).map(|i| i.to_string()).collect();
        Dataset::new([n.into(), 1, 1, 1], (0..n).collect(), (0..n.into()).collect(), classes).unwrap()
    }

    fn labels(loader: &Loader, epoch: usize, skip: usize) -> Vec<Vec<u32>> {
        loader.epoch(epoch, skip).map(|batch| batch.unwrap().labels).collect()
    }

    #[test]
    fn an_epoch_is_every_example_once_with_its_own_label() {
        let set = numbered(10);
        let loader = Loader::new(&set, 4).unwrap().shuffle(7);
        assert_eq!((loader.examples(), loader.batches()), (10, 3));
        let mut seen = Vec::new();
        for batch in loader.epoch(0, 0) {
            let batch = batch.unwrap();
            let pixels: Vec<u32> = batch.x.data().iter().map(|x| (x * 255.0).round() as u32).collect();
            assert_eq!(pixels, batch.labels);
            seen.extend(batch.labels);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let set = numbered(50);
        let shuffled = |seed| Loader::new(&set, 8).unwrap().shuffle(seed);
        assert_eq!(labels(&shuffled(1), 3, 0), labels(&shuffled(1), 3, 0));
        assert_ne!(labels(&shuffled(1), 3, 0), labels(&shuffled(1), 4, 0));
        assert_ne!(labels(&shuffled(1), 3, 0), labels(&shuffled(2), 3, 0));
    }

    /// Resuming a run of an earlier version must not change what it sees.
    #[test]
    fn the_order_is_stable() {
        let set = numbered(8);
        let loader = Loader::new(&set, 8).unwrap().shuffle(42);
        assert_eq!(labels(&loader, 1, 0), [[2, 0, 5, 4, 1, 6, 3, 7]]);
    }

    #[test]
    fn skipping_leaves_out_the_first_batches() {
        let set = numbered(10);
        let loader = Loader::new(&set, 4).unwrap().shuffle(7);
        let all = labels(&loader, 2, 0);
        for skip in 0..=3 {
            assert_eq!(labels(&loader, 2, skip), all[skip..]);
        }
        assert!(labels(&loader, 2, usize::MAX).is_empty());
    }

    #[test]
    fn without_shuffle_the_order_is_that_of_the_data() {
        let set = numbered(5);
        let loader = Loader::new(&set, 2).unwrap();
        assert_eq!(labels(&loader, 9, 0), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(labels(&loader.clone().limit(3), 0, 0), [vec![0, 1], vec![2]]);
        assert_eq!(loader.clone().limit(100).examples(), 5);
        assert_eq!(loader.limit(0).batches(), 0);
        assert_eq!(labels(&Loader::new(&set, usize::MAX).unwrap(), 0, 0), [[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused() {
        let set = numbered(5);
        let error = Loader::new(&set, 0).unwrap_err();
        assert_eq!(error.to_string(), "batch size must be at least 1, got 0");
        let colour = Normalize::new(&[0.5; 3], &[0.5; 3]).unwrap();
        let error = Loader::new(&set, 1).unwrap().normalize(colour).unwrap_err();
        assert_eq!(error.to_string(), "channels must be 3, got 1");
    }
}
