//! Batches of images, as a training run asks for them: what there is between a data set and the first layer.

use super::{Prepared, Tally, Work};
use cnn_cli::fault::Fault;
use cnn_cli::photos::{self, SIZE, Subject};
use cnn_data::transform::{
    HorizontalFlip, PaddingMode, Pipeline, RandomCrop, RandomResizedCrop, TransformSpec,
};
use cnn_data::{CifarFamily, Dataset, InMemoryDataset, Loader, MnistFamily, Normalize, Subset};
use cnn_nn::{Batches, Input};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Photos in files, as many as are different.
const PHOTOS: usize = 64;
/// How many batches each worker makes in an epoch of photos, so that none is without work for long.
const BATCHES_OF_A_WORKER: usize = 2;

/// The rows.
pub fn works() -> Vec<Work> {
    vec![
        Work::new("mnist batches", &[64], mnist),
        Work::new("cifar10 batches", &[512], cifar10),
        Work::new("jpeg batches", &[32], jpeg),
        // The same on this side; the peer does it without Pillow.
        Work::new("jpeg batches, tensors", &[32], jpeg),
    ]
}

/// Shuffled, normalised batches of as many images as MNIST has, in memory.
fn mnist(n: usize, threads: usize) -> Result<Prepared, Fault> {
    let mnist = MnistFamily::Mnist;
    let loader = Loader::new(noise([60_000, 1, 28, 28])?, n)?;
    let normalize = Normalize::new(&[mnist.mean()], &[mnist.std()])?;
    epochs(loader.normalize(normalize), threads)
}

/// The same of CIFAR-10's, each image shifted by up to 4 pixels and flipped (He et al. 2016).
fn cifar10(n: usize, threads: usize) -> Result<Prepared, Fault> {
    let cifar10 = CifarFamily::Cifar10;
    let crop =
        RandomCrop { padding: [4; 4], padding_mode: PaddingMode::Reflect, ..RandomCrop::new([32, 32]) };
    let loader = Loader::new(noise([50_000, 3, 32, 32])?, n)?;
    let normalize = Normalize::new(&cifar10.mean(), &cifar10.std())?;
    epochs(augmented(loader.normalize(normalize), crop)?, threads)
}

/// Photos from JPEG files, decoded; of each a part of any size, flipped, at 224x224 (Szegedy et al. 2015, as torchvision).
fn jpeg(n: usize, threads: usize) -> Result<Prepared, Fault> {
    let folder = photos(PHOTOS)?;
    let batches = BATCHES_OF_A_WORKER * threads;
    let loader = Loader::new(repeated(folder.path(), n * batches)?, n)?;
    let Input { mean, std, .. } = cnn_zoo::imagenet_input();
    let loader = loader.normalize(Normalize::new(&mean, &std)?);
    let work = epochs(augmented(loader, RandomResizedCrop::new([224, 224]))?, threads)?;
    Ok(Prepared { files: Some(folder), ..work })
}

/// Random bytes: the content of the pixels makes no difference to these rows.
fn noise(shape: [usize; 4]) -> Result<InMemoryDataset, Fault> {
    let mut words = vec![0; shape.iter().product::<usize>().div_ceil(8)];
    cnn_tensor::Random::new(0, &["bench"]).fill_bits(0.5, &mut words);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let labels = (0..shape[0]).map(|i| (i % 10) as u32).collect();
    let classes = (0..10).map(|class: usize| class.to_string()).collect();
    Ok(InMemoryDataset::new(shape, bytes[..shape.iter().product()].to_vec(), labels, classes)?)
}

/// A folder with JPEG files of 500x375 in one class, which ends when the value does.
fn photos(count: usize) -> Result<TempDir, Fault> {
    let folder = TempDir::with_prefix("cnn-bench-")?;
    let class = folder.path().join("photos");
    std::fs::create_dir(&class)?;
    let made = cnn_tensor::parallel::map(count, |index| -> Result<(), Fault> {
        let photo = photos::jpeg(Subject { seed: 0, class: index % 10, index }, SIZE)?;
        Ok(std::fs::write(class.join(format!("{index:03}.jpg")), photo)?)
    });
    made.into_iter().collect::<Result<(), Fault>>()?;
    Ok(folder)
}

/// The photos of a folder over and over, `count` of them.
fn repeated(folder: &Path, count: usize) -> Result<Subset<Arc<dyn Dataset>>, Fault> {
    let photos = cnn_data::open(folder)?.train;
    let indices = (0..count).map(|i| i % photos.len()).collect();
    Ok(Subset::new(photos, indices)?)
}

fn augmented(loader: Loader, crop: impl Into<TransformSpec>) -> Result<Loader, Fault> {
    Ok(loader.transform(Pipeline::new([crop.into(), HorizontalFlip::default().into()])?, 0)?)
}

/// Epoch after epoch of a loader's batches, all of one size, in a random order: on one thread made when they are asked for,
/// on several by as many workers.
fn epochs(loader: Loader, threads: usize) -> Result<Prepared, Fault> {
    let loader = loader.shuffle(0).drop_last().workers(if threads == 1 { 0 } else { threads });
    let batches = loader.batches();
    let mut epoch = 0;
    let run = move || {
        for batch in loader.epoch(epoch, 0) {
            std::hint::black_box(batch?);
        }
        epoch += 1;
        Ok(())
    };
    Ok(Prepared::new(Tally::Images { repeats: batches }, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_as_many_whole_batches_as_are_counted() {
        let batches = |work: Prepared| work.tally.repeats();
        assert_eq!(batches(mnist(64, 1).unwrap()), 937);
        assert_eq!(batches(cifar10(512, 1).unwrap()), 97);
        assert_eq!(batches(jpeg(3, 2).unwrap()), 4);
    }

    #[test]
    fn photos_are_there_while_they_are_needed_and_no_longer() {
        let folder = photos(3).unwrap();
        let path = folder.path().to_path_buf();
        let set = repeated(&path, 7).unwrap();
        assert_eq!((set.len(), set.name(6)), (7, set.name(0)));
        assert_eq!(set.picture(5).unwrap().shape(), [3, 375, 500]);
        drop(folder);
        assert!(!path.exists());
    }
}
