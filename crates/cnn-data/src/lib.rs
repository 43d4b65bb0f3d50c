//! Data for convolutional networks: files in, batches out.
//!
//! - [`Dataset`]: labelled images by number. [`Picture`]: one of them. [`DatasetName`]: the data sets that are known by name.
//! - [`MnistFamily`]: MNIST, Fashion-MNIST, KMNIST and EMNIST from their IDX files, which [`IdxFile`] reads without trust.
//! - [`CifarFamily`]: CIFAR-10 and CIFAR-100 from their binary files, or from the published archive as it is.
//! - [`open`]: the images at a path: image folders, tar archives, ILSVRC2012 ([`imagenet`]), packed images ([`pack`]).
//! - [`transform`]: what is done to an image on its way, at random or not.
//! - [`Loader`]: batches, shuffled by seed and epoch, made ahead by threads. It needs the feature `loader`, which is on by
//!   default; without it, this crate does not depend on `cnn-nn`.
//! - [`channel_statistics`]: the means and standard deviations of a set. [`Normalize`]: from bytes to numbers of mean 0 and
//!   standard deviation 1.
//! - [`ToInput`]: a picture as a model takes it, by the preprocessing in the model's file.
//! - [`pose`]: people in pictures with their joints, and batches for networks that estimate them.
//! - [`CaptionedImages`], [`CaptionFile`], [`Vocabulary`] and [`CaptionBatches`]: images with sentences that describe them.
//! - [`Digit`]: the photo or drawing of a digit in MNIST's form.
//!
//! # Data of your own
//!
//! | data | way |
//! |---|---|
//! | images in files, a folder for each class | none: [`open`] reads them |
//! | images of one size that fit into memory | an [`InMemoryDataset`] of their bytes |
//! | a published data set that commands shall know by name | a file with an implementation of [`NamedDataset`], as `mnist.rs` and `cifar.rs` have it, and a line in `registry.rs` |
//! | labelled images of any origin: a database, a generator, a format that is not here | an implementation of [`Dataset`] |
//! | other than labelled images: several inputs, sequences, other targets | an implementation of [`Batches`](cnn_nn::Batches) |
//!
//! The smallest useful program: the first training batch of MNIST.
//!
//! ```
//! # #[cfg(feature = "loader")]
//! # fn main() -> Result<(), cnn_nn::NnError> {
//! use cnn_data::{Loader, MnistFamily, Split};
//! use cnn_nn::Batches;
//!
//! let train = MnistFamily::Mnist.load("../../datasets/mnist", Split::Train)?;
//! let loader = Loader::new(train, 64)?.shuffle(0).normalize(MnistFamily::Mnist.normalize());
//! assert_eq!((loader.examples(), loader.batches()), (60_000, 938));
//! let batch = loader.epoch(0, 0).next().expect("938 batches")?;
//! assert_eq!(batch.inputs[0].shape().dims(), [64, 1, 28, 28]);
//! assert_eq!(batch.labels().len(), 64);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "loader"))]
//! # fn main() {}
//! ```
#![forbid(unsafe_code)]

mod captions;
mod cifar;
mod crops;
mod dataset;
mod decode;
mod digit;
mod error;
mod files;
#[cfg(feature = "loader")]
mod fingerprint;
pub mod gzip;
mod idx;
pub mod imagenet;
mod in_memory;
#[cfg(feature = "loader")]
mod loader;
mod match_classes;
mod mnist;
mod named;
mod normalize;
mod on_fault;
mod open;
mod packed;
mod path_text;
mod picture;
pub mod pose;
#[cfg(feature = "loader")]
mod preprocess;
mod registry;
mod statistics;
#[cfg(test)]
mod testing;
pub mod transform;

#[cfg(feature = "loader")]
pub use captions::CaptionBatches;
pub use captions::{CaptionFile, CaptionedImages, Vocabulary, words};
pub use cifar::CifarFamily;
pub use crops::Crops;
pub use dataset::{Dataset, Stamp, Subset};
pub use decode::DecodeLimits;
pub use digit::Digit;
pub use error::DataError;
pub use files::{ImageFiles, PassedOver, Reason};
#[cfg(feature = "loader")]
pub use fingerprint::fingerprint;
pub use idx::IdxFile;
pub use in_memory::InMemoryDataset;
#[cfg(feature = "loader")]
pub use loader::{Loader, Mix};
pub use match_classes::{Matched, match_classes};
pub use mnist::{Emnist, MnistFamily, Split};
pub use named::{DatasetKind, NamedDataset};
pub use normalize::Normalize;
pub use on_fault::OnFault;
pub use open::{ClassesFrom, Opened, open, open_with};
pub use packed::{Encoding, PackEvent, PackOptions, PackProgress, PackedImages, pack};
pub use path_text::PathText;
pub use picture::Picture;
#[cfg(feature = "loader")]
pub use preprocess::ToInput;
pub use registry::{Data, DatasetName};
pub use statistics::{ChannelStatistics, channel_statistics};
