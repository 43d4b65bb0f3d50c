//! Batches of captions, to learn the next word from those before it.

use super::Vocabulary;
use crate::DataError;
use cnn_nn::{Batch, Batches, NnError, Steps};
use cnn_tensor::{Random, Tensor};

/// Batches of captions with the features of their images: teacher forcing, by which a network gets the right words so far and learns
/// the next one. Each caption is an example of its own.
///
/// The inputs are `features [n, f]` and `words [n, t]`: [`Vocabulary::BEGIN`], then the caption. The target is the caption, then
/// [`Vocabulary::END`]. Captions of about the same length share a batch; shorter ones are padded, and steps after their end do not
/// count ([`Steps::NONE`]).
///
/// ```
/// use cnn_data::{CaptionBatches, Vocabulary};
/// use cnn_nn::{Batches, Steps};
/// use cnn_tensor::Tensor;
/// // Two images of three features in one view; the first has two captions, of one word and of two.
/// let features = Tensor::zeros([2, 1, 3]);
/// let batches = CaptionBatches::new(features, vec![vec![vec![7], vec![8, 9]], vec![vec![8, 5]]], 2)?;
/// let first = batches.epoch(0, 0).next().expect("two batches")?;
/// assert_eq!((batches.examples(), first.inputs[0].shape().dims()), (3, &[2, 3][..]));
/// assert_eq!(first.inputs[1].data(), [1.0, 7.0, 0.0, 1.0, 8.0, 9.0]);
/// assert_eq!(first.target.labels(), [7, Vocabulary::END, Steps::NONE, 8, 9, Vocabulary::END]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CaptionBatches {
    /// `[images, views, features]`.
    features: Tensor,
    /// The image of each caption, and its words.
    captions: Vec<(usize, Vec<u32>)>,
    batch_size: usize,
    /// The seed, if the order is random.
    shuffle: Option<u64>,
}

/// Shuffled captions are sorted by length this many batches at a time.
const SORTED_TOGETHER: usize = 16;

impl CaptionBatches {
    /// Batches of at most `batch_size` captions, the short ones first, with the first view of each image. `features` is
    /// `[images, views, features]`, and `captions` has the captions of each image, in numbers of words.
    ///
    /// # Errors
    /// `batch_size` is 0, `features` has another shape, or there are not captions for as many images.
    pub fn new(features: Tensor, captions: Vec<Vec<Vec<u32>>>, batch_size: usize) -> Result<Self, DataError> {
        let setting =
            |what, rule: &str, got: String| Err(DataError::Setting { what, rule: rule.into(), got });
        if batch_size == 0 {
            return setting("batch size", "at least 1", "0".into());
        }
        match *features.shape().dims() {
            [images, views, _] if views > 0 && images == captions.len() => {}
            _ => {
                let got = format!("{} for {} images", features.shape(), captions.len());
                return setting("the features of images with captions", "[images, views, features]", got);
            }
        }
        let each = captions.into_iter().enumerate();
        let captions =
            each.flat_map(|(image, all)| all.into_iter().map(move |words| (image, words))).collect();
        Ok(Self { features, captions, batch_size, shuffle: None })
    }

    /// The same in a random order that differs from epoch to epoch, with a view of each image drawn at random.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        Self { shuffle: Some(seed), ..self }
    }

    /// The captions of each batch of an epoch.
    fn order(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.captions.len()).collect();
        let by_length = |i: &usize| self.captions[*i].1.len();
        let Some(seed) = self.shuffle else {
            order.sort_by_key(by_length);
            return order.chunks(self.batch_size).map(<[usize]>::to_vec).collect();
        };
        let mut random = Random::new(seed, &["captions", &epoch.to_string()]);
        random.shuffle(&mut order);
        let together = self.batch_size.saturating_mul(SORTED_TOGETHER);
        order.chunks_mut(together).for_each(|part| part.sort_by_key(by_length));
        let mut batches: Vec<Vec<usize>> = order.chunks(self.batch_size).map(<[usize]>::to_vec).collect();
        random.shuffle(&mut batches);
        batches
    }

    fn batch(&self, epoch: usize, captions: &[usize]) -> Result<Batch<Steps>, NnError> {
        let [_, views, length] = *self.features.shape().dims() else { unreachable!("checked in new") };
        let steps = 1 + captions.iter().map(|&i| self.captions[i].1.len()).max().unwrap_or(0);
        let mut features = Vec::with_capacity(captions.len() * length);
        let mut inputs = Vec::with_capacity(captions.len() * steps);
        let mut labels = Vec::with_capacity(captions.len() * steps);
        for &i in captions {
            let (image, words) = &self.captions[i];
            let view = match self.shuffle {
                Some(seed) if views > 1 => {
                    Random::new(seed, &["view", &epoch.to_string(), &i.to_string()]).below(views)
                }
                _ => 0,
            };
            features.extend_from_slice(&self.features.data()[(image * views + view) * length..][..length]);
            let padding = steps - 1 - words.len();
            let padded = |word: u32| std::iter::repeat_n(word, padding);
            inputs.push(Vocabulary::BEGIN as f32);
            inputs.extend(words.iter().copied().chain(padded(Vocabulary::END)).map(|word| word as f32));
            labels.extend(words.iter().copied().chain([Vocabulary::END]).chain(padded(Steps::NONE)));
        }
        let n = captions.len();
        let inputs = [Tensor::from_vec([n, length], features)?, Tensor::from_vec([n, steps], inputs)?];
        Ok(Batch::new(inputs, Steps::new(labels, steps)?))
    }
}

impl Batches<Steps> for CaptionBatches {
    fn examples(&self) -> usize {
        self.captions.len()
    }

    fn batches(&self) -> usize {
        self.captions.len().div_ceil(self.batch_size)
    }

    fn epoch(
        &self,
        epoch: usize,
        skip: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch<Steps>, NnError>> + '_> {
        let order = self.order(epoch).into_iter().skip(skip);
        Box::new(order.map(move |captions| self.batch(epoch, &captions)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 images in two views, whose features are 10 image + view; image i has captions of i % 7 and of 3 words.
    fn batches() -> CaptionBatches {
        let features = (0..60).map(|i| (10 * (i / 2) + i % 2) as f32).collect();
        let features = Tensor::from_vec([30, 2, 1], features).unwrap();
        let captions = (0..30).map(|i| vec![vec![100 + i as u32; i % 7], vec![100 + i as u32; 3]]).collect();
        CaptionBatches::new(features, captions, 4).unwrap()
    }

    fn all(batches: &CaptionBatches, epoch: usize) -> Vec<Batch<Steps>> {
        batches.epoch(epoch, 0).map(Result::unwrap).collect()
    }

    /// The examples of some batches, in order of the images: feature, words.
    fn examples(batches: &[Batch<Steps>]) -> Vec<(u32, Vec<u32>)> {
        let mut found = Vec::new();
        for batch in batches {
            let steps = batch.target.steps();
            for (i, features) in batch.inputs[0].data().iter().enumerate() {
                let inputs = &batch.inputs[1].data()[i * steps..][..steps];
                let labels = batch.target.of(i..i + 1);
                let end = labels.iter().position(|label| *label == Vocabulary::END).unwrap();
                assert!(labels[end + 1..].iter().all(|label| *label == Steps::NONE), "{labels:?}");
                assert!(
                    inputs[0] == 1.0
                        && inputs[1..].iter().zip(labels).take(end).all(|(x, y)| *x == *y as f32)
                );
                found.push((*features as u32, labels[..end].to_vec()));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_caption_is_there_once_in_each_epoch_with_its_own_image() {
        let own = batches();
        let plain = examples(&all(&own, 0));
        assert_eq!((plain.len(), own.examples(), own.batches()), (60, 60, 15));
        for (feature, words) in &plain {
            assert!(feature % 10 == 0 && words.iter().all(|word| word - 100 == feature / 10));
        }
        let shuffled = own.shuffle(3);
        let [first, second] = [0, 1].map(|epoch| all(&shuffled, epoch));
        let views: Vec<u32> = examples(&first).iter().map(|(feature, _)| feature % 10).collect();
        assert!(views.contains(&0) && views.contains(&1));
        let words = |batches: &[Batch<Steps>]| {
            examples(batches).into_iter().map(|(feature, words)| (feature / 10, words)).collect::<Vec<_>>()
        };
        let mut want: Vec<_> = plain.into_iter().map(|(feature, words)| (feature / 10, words)).collect();
        want.sort();
        for epoch in [&first, &second] {
            let mut got = words(epoch);
            got.sort();
            assert_eq!(got, want);
        }
        assert_ne!(first[0].target, second[0].target);
        // A resumed run sees the rest of the same epoch.
        let rest: Vec<_> = shuffled.epoch(1, 5).map(|batch| batch.unwrap().inputs).collect();
        assert_eq!(rest, second[5..].iter().map(|batch| batch.inputs.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fault = |features: Tensor, captions: usize, batch_size| {
            CaptionBatches::new(features, vec![vec![]; captions], batch_size).unwrap_err().to_string()
        };
        assert_eq!(fault(Tensor::zeros([1, 1, 1]), 1, 0), "batch size must be at least 1, got 0");
        let rule = "the features of images with captions must be [images, views, features], got";
        assert_eq!(fault(Tensor::zeros([2, 1, 3]), 3, 1), format!("{rule} [2, 1, 3] for 3 images"));
        assert_eq!(fault(Tensor::zeros([3, 3]), 3, 1), format!("{rule} [3, 3] for 3 images"));
        assert_eq!(fault(Tensor::zeros([3, 0, 3]), 3, 1), format!("{rule} [3, 0, 3] for 3 images"));
    }
}
