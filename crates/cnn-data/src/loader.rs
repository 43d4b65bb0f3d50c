//! Batches of a data set, epoch after epoch.

mod faults;
mod mix;
pub(crate) mod prefetch;
#[cfg(test)]
mod tests;

pub use mix::Mix;

use crate::transform::{Pipeline, Transform};
use crate::{Crops, DataError, Dataset, Normalize, OnFault, Picture};
use cnn_nn::{Batch, Batches, NnError};
use cnn_tensor::{Random, Shape, Tensor};
use faults::Faults;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Cuts a data set into batches: in its own order, or shuffled anew each epoch; as it is, or transformed at random.
///
/// Everything is a function of seed, epoch and position: the order, and the random numbers of each example. So neither the
/// number of workers nor an interruption changes a bit, and a run that is resumed sees the batches that an unbroken one would have
/// seen.
///
/// ```
/// use cnn_data::{InMemoryDataset, Loader};
/// use cnn_nn::Batches;
/// let set = InMemoryDataset::new([5, 1, 1, 1], vec![0, 51, 102, 153, 255], vec![0; 5], vec!["gray".into()])?;
/// let loader = Loader::new(set, 2)?;
/// let batches: Vec<_> = loader.epoch(0, 0).collect::<Result<_, _>>()?;
/// assert_eq!(batches.iter().map(|batch| batch.labels().len()).collect::<Vec<_>>(), [2, 2, 1]);
/// assert_eq!((batches[0].inputs[0].data()[0], batches[2].inputs[0].data()), (0.0, &[1.0][..]));
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    examples: Arc<dyn Dataset>,
    batch_size: usize,
    /// The seed, if the order is random.
    shuffle: Option<u64>,
    /// The seed of the transforms' random numbers.
    seed: u64,
    transform: Arc<dyn Transform>,
    crops: Option<Crops>,
    mix: Option<Mix>,
    /// `None`: pixels from 0 to 1, whatever the number of channels.
    normalize: Option<Normalize>,
    /// Examples of the set that are used.
    limit: usize,
    drop_last: bool,
    /// Which of so many shares of the epoch.
    shard: (usize, usize),
    workers: usize,
    faults: Arc<Faults>,
}

impl Loader {
    /// Batches of `batch_size` examples in the order of the data set, as they are, with pixels from 0 to 1. The last
    /// batch holds the rest and may be smaller.
    ///
    /// # Errors
    /// `batch_size` is 0.
    pub fn new(examples: impl Dataset + 'static, batch_size: usize) -> Result<Self, DataError> {
        if batch_size == 0 {
            let rule = "at least 1".into();
            return Err(DataError::Setting { what: "batch size", rule, got: batch_size.to_string() });
        }
        Ok(Self {
            limit: examples.len(),
            examples: Arc::new(examples),
            batch_size,
            shuffle: None,
            seed: 0,
            transform: Arc::new(Pipeline::default()),
            crops: None,
            mix: None,
            normalize: None,
            drop_last: false,
            shard: (0, 1),
            workers: 0,
            faults: Arc::default(),
        })
    }

    /// The same, in a random order that differs from epoch to epoch.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        Self { shuffle: Some(seed), ..self }
    }

    /// The same, each image transformed; a transform's random numbers depend on `seed`, the epoch and the example alone.
    ///
    /// # Errors
    /// An option of the transform is outside its range.
    pub fn transform(self, transform: impl Transform + 'static, seed: u64) -> Result<Self, DataError> {
        transform.validate()?;
        Ok(Self { transform: Arc::new(transform), seed, ..self })
    }

    /// The same, with several crops of each image side by side ([`Batch::views`]): for testing.
    #[must_use]
    pub fn crops(self, crops: Crops) -> Self {
        Self { crops: Some(crops), ..self }
    }

    /// The same, with pairs of images mixed, and their labels with them ([`Classes::Mixed`](cnn_nn::Classes)): for training.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn mix(self, mix: Mix) -> Result<Self, DataError> {
        mix.validate()?;
        Ok(Self { mix: Some(mix), ..self })
    }

    /// The same, with pixels of mean 0 and deviation 1. An image of another number of channels is made gray or RGB, where
    /// that is what `normalize` takes.
    #[must_use]
    pub fn normalize(self, normalize: Normalize) -> Self {
        Self { normalize: Some(normalize), ..self }
    }

    /// The same, of the first `examples` of the data set alone (all, if it has fewer).
    #[must_use]
    pub fn limit(self, examples: usize) -> Self {
        Self { limit: examples.min(self.examples.len()), ..self }
    }

    /// The same, without a last batch that is smaller than the others.
    #[must_use]
    pub fn drop_last(self) -> Self {
        Self { drop_last: true, ..self }
    }

    /// The share of process `rank` of `world`: a contiguous part of each batch, whose size stays that of all processes together.
    /// The parts of all ranks, one after the other, are the batches of one process, mixed ones too; where a batch does not
    /// divide, the parts differ by one example. [`Batch::first`] says where in the whole batch a part begins.
    ///
    /// ```
    /// use cnn_data::{InMemoryDataset, Loader};
    /// use cnn_nn::Batches;
    /// let set = || InMemoryDataset::new([5, 1, 1, 1], vec![0; 5], vec![0, 1, 2, 3, 4], ["a", "b", "c", "d", "e"].map(String::from).into());
    /// let share = |rank| Loader::new(set()?, 5)?.shard(rank, 2)?.epoch(0, 0).next().expect("a batch");
    /// assert_eq!((share(0)?.labels(), share(0)?.first), (&[0, 1][..], 0));
    /// assert_eq!((share(1)?.labels(), share(1)?.first), (&[2, 3, 4][..], 2));
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// `rank` is not below `world`, or a batch has not one example for each process. If that is so for the last batch alone, it is
    /// an epoch that begins with the error; [`Loader::drop_last`] leaves such a batch out.
    pub fn shard(self, rank: usize, world: usize) -> Result<Self, DataError> {
        if rank >= world {
            let rule = format!("below {world}, the number of processes");
            return Err(DataError::Setting { what: "the rank", rule, got: rank.to_string() });
        }
        if self.batch_size < world {
            let rule = format!("at least {world}, one example for each process");
            return Err(DataError::Setting {
                what: "the batch size",
                rule,
                got: self.batch_size.to_string(),
            });
        }
        Ok(Self { shard: (rank, world), ..self })
    }

    /// The same batches, made ahead by `workers` threads, each at most two batches ahead; 0 makes them when they are asked
    /// for, which is the best for small images in memory.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// The treatment of images that cannot be read; by default the run fails.
    #[must_use]
    pub fn on_fault(self, on_fault: OnFault) -> Self {
        Self { faults: Arc::new(Faults::new(on_fault)), ..self }
    }

    /// The faults of the examples that were passed over so far: a line for each, in the order of their numbers.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lines()
    }

    /// The indices of the examples of epoch `epoch`, in their order.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.limit).collect();
        if let Some(seed) = self.shuffle {
            Random::new(seed, &["shuffle", &epoch.to_string()]).shuffle(&mut order);
        }
        order
    }

    /// Batch `batch` of an epoch in that order, or this process's share of it.
    fn batch(&self, epoch: usize, order: &[usize], batch: usize) -> Result<Batch, NnError> {
        let start = batch * self.batch_size;
        let whole = &order[start..(start + self.batch_size).min(order.len())];
        let share = self.share(whole.len());
        let first = share.start;
        let batch = Batch { first, ..self.unmixed(epoch, &whole[share.clone()])? };
        match self.mix {
            Some(mix) if !batch.labels().is_empty() => {
                let before = self.before(epoch, whole, share, batch.inputs[0].shape())?;
                let mut random = Random::new(self.seed, &["mix", &epoch.to_string(), &start.to_string()]);
                Ok(mix.apply(batch, before.as_ref(), &mut random))
            }
            _ => Ok(batch),
        }
    }

    /// The example before a share in the whole batch, in which the last one comes before the first; `None` if no other process
    /// has any. It must have the shape of those of the share, `x`.
    fn before(
        &self,
        epoch: usize,
        whole: &[usize],
        share: Range<usize>,
        x: Shape,
    ) -> Result<Option<Batch>, DataError> {
        let others = whole[..share.start].iter().rev().chain(whole[share.end..].iter().rev());
        for &example in others {
            let one = self.unmixed(epoch, &[example])?;
            if let Some(image) = one.inputs.first().filter(|_| !one.labels().is_empty()) {
                let ([_, shape @ ..], [_, common @ ..]) = (extents(image.shape()), extents(x));
                self.check_shape(example, shape, whole[share.start], common)?;
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    /// This process's part of a batch of `n` examples.
    fn share(&self, n: usize) -> Range<usize> {
        let (rank, world) = self.shard;
        // `rank * n / world`, of batches of any size.
        let start = |rank: usize| rank * (n / world) + rank * (n % world) / world;
        start(rank)..start(rank + 1)
    }

    /// Checks that the last batch of an epoch has an example for each process, or none at all.
    fn check_last(&self) -> Result<(), DataError> {
        let (last, world) = (self.all_examples() % self.batch_size, self.shard.1);
        if last == 0 || last >= world {
            return Ok(());
        }
        let rule = format!("at least {world}, one example for each process, or left out (`drop_last`)");
        Err(DataError::Setting { what: "the size of the last batch", rule, got: last.to_string() })
    }

    /// The examples in the batches of an epoch, of all processes together.
    fn all_examples(&self) -> usize {
        if self.drop_last { self.limit - self.limit % self.batch_size } else { self.limit }
    }

    fn unmixed(&self, epoch: usize, examples: &[usize]) -> Result<Batch, DataError> {
        // One stream for all, of which nothing is drawn, or one for each example.
        let mut random = Random::new(self.seed, &["transform"]);
        let own_streams = self.transform.is_random().then(|| epoch.to_string());
        let views = self.crops.map_or(1, Crops::count);
        let mut labels = Vec::with_capacity(examples.len());
        let mut x = Tensor::default();
        // The first image, whose shape the others must share, and the normalisation of its bytes.
        let mut first: Option<(usize, [usize; 3], Cow<'_, Normalize>)> = None;
        for (at, &example) in examples.iter().enumerate() {
            if let Some(&next) = examples.get(at + AHEAD) {
                self.examples.prefetch(next);
            }
            if let Some(epoch) = &own_streams {
                random = Random::new(self.seed, &["transform", epoch, &example.to_string()]);
            }
            let Some((picture, crops)) = self.faults.pass(example, || self.picture(example, &mut random))?
            else {
                continue;
            };
            let pictures = crops.as_deref().unwrap_or(std::slice::from_ref(&picture));
            let shape = pictures[0].shape();
            let [c, h, w] = shape;
            let (like, common, normalize) = first.get_or_insert_with(|| {
                x = Tensor::scratch([examples.len() * views, c, h, w]);
                let unit = || Cow::Owned(Normalize::unit(c));
                (example, shape, self.normalize.as_ref().map_or_else(unit, Cow::Borrowed))
            });
            self.check_shape(example, shape, *like, *common)?;
            let (each, start) = (c * h * w, labels.len() * views * c * h * w);
            let slots = x.data_mut()[start..start + views * each].chunks_exact_mut(each);
            for (picture, x) in pictures.iter().zip(slots) {
                normalize.image(picture.data(), x);
                // Each view has the stream that goes on from its image.
                let finished = match pictures.len() {
                    1 => self.transform.finish(x, shape, normalize, &mut random),
                    _ => self.transform.finish(x, shape, normalize, &mut random.clone()),
                };
                finished.map_err(|fault| self.named(example, fault))?;
            }
            labels.push(self.examples.label(example));
        }
        if labels.len() < examples.len() {
            x = x.slice_batch(0, labels.len() * views);
        }
        Ok(Batch { views, ..Batch::new(x, labels) })
    }

    /// Checks that an image has the shape of another one of its batch.
    fn check_shape(
        &self,
        example: usize,
        shape: [usize; 3],
        like: usize,
        common: [usize; 3],
    ) -> Result<(), DataError> {
        if shape == common {
            return Ok(());
        }
        let (image, like) = (self.examples.name(example), self.examples.name(like));
        let fault = format!(
            "expected shape {common:?} like {like} of the same batch, got {shape:?}: \
             resize or crop the images to one size"
        );
        Err(DataError::Image { image, fault })
    }

    /// An example's image after the transforms of its bytes, and crops of it if there are to be any.
    fn picture(&self, example: usize, random: &mut Random) -> Result<Views<'_>, DataError> {
        let picture = self.examples.picture(example)?;
        self.prepare(picture, random).map_err(|fault| self.named(example, fault))
    }

    fn prepare<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Views<'a>, DataError> {
        let mut picture = self.transform.apply(picture, random)?;
        if let Some(normalize) = &self.normalize {
            let channels = normalize.channels();
            if picture.channels() != channels {
                picture = match channels {
                    3 => picture.to_rgb(),
                    1 => picture.to_gray(),
                    _ => picture,
                };
                normalize.check_channels(picture.channels())?;
            }
        }
        let crops = self.crops.map(|crops| crops.of(&picture)).transpose()?;
        Ok((picture, crops))
    }

    /// The fault with the example in which it came up, where it is about a setting.
    fn named(&self, example: usize, fault: DataError) -> DataError {
        match fault {
            DataError::Setting { what, rule, got } => DataError::Image {
                image: self.examples.name(example),
                fault: format!("{what} must be {rule}, got {got}"),
            },
            fault => fault,
        }
    }
}

/// An image, and the crops that take its place.
type Views<'a> = (Picture<'a>, Option<Vec<Picture<'static>>>);

/// `[n, c, h, w]`.
fn extents(x: Shape) -> [usize; 4] {
    x.nchw().expect("loaders make images of three axes")
}

/// How many examples ahead of the one in hand memory is asked for.
const AHEAD: usize = 2;

impl Batches for Loader {
    fn examples(&self) -> usize {
        let (all, size) = (self.all_examples(), self.batch_size);
        all / size * self.share(size).len() + self.share(all % size).len()
    }

    fn batches(&self) -> usize {
        self.all_examples().div_ceil(self.batch_size)
    }

    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let order = self.order(epoch);
        let batches = skip.min(self.batches())..self.batches();
        // Not at the end of a long epoch.
        if let (Err(fault), false) = (self.check_last(), batches.is_empty()) {
            return Box::new(std::iter::once(Err(fault.into())));
        }
        if self.workers > 0 {
            let this = self.clone();
            let make = move |batch| this.batch(epoch, &order, batch);
            return Box::new(prefetch::ahead(self.workers, batches, make));
        }
        Box::new(batches.map(move |batch| self.batch(epoch, &order, batch)))
    }
}
