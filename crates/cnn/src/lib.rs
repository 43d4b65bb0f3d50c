//! Convolutional networks in pure Rust, from one crate.
//!
//! From a photo to an answer, with a model file that training wrote:
//!
//! ```
//! # let folder = tempfile::tempdir().expect("a folder");
//! # std::env::set_current_dir(&folder).expect("a folder");
//! # let classes = ["ant", "bee"].map(String::from).to_vec();
//! # let net = cnn::zoo::lenet5(cnn::nn::Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]), classes);
//! # cnn::nn::Model::build(net, 0)?.save("model.safetensors")?;
//! # image::RgbImage::from_pixel(60, 40, image::Rgb([9, 99, 199])).save("photo.png").expect("a file");
//! use cnn::prelude::*;
//! let model = Model::load("model.safetensors")?;
//! let answer = model.predict("photo.png")?;
//! println!("{} ({:.0} %)", answer.class(), 100.0 * answer.probability());
//! # assert!(["ant", "bee"].contains(&answer.class()) && answer.probability() >= 0.5);
//! # Ok::<(), cnn::Error>(())
//! ```
//!
//! Training, here LeNet-5 on a few digits of MNIST for an epoch:
//!
//! ```
//! use cnn::prelude::*;
//! let mnist = DatasetName::from("mnist").open("../../datasets/mnist")?;
//! let (few, _) = Subset::split(mnist.test.clone(), 0.5, 0)?;
//! let (train, validation) = Subset::split(few, 0.1, 0)?;
//!
//! let lenet = zoo::lenet5(Input::gray(28, 28, mnist.mean[0], mnist.std[0]), mnist.classes().to_vec());
//! let mut model = Model::build(lenet, 0)?;
//! let optimizer = Sgd { momentum: 0.9, ..Sgd::default() }.into();
//! let settings = TrainSettings { epochs: 1, learning_rate: 0.05, optimizer, ..TrainSettings::default() };
//! let history = model.fit(train, validation, settings)?;
//! assert!(history[0].test("accuracy") > Some(0.5));
//! # Ok::<(), cnn::Error>(())
//! ```
//!
//! [`Features`] and [`search`] find images that look alike to a network. [`pose`] estimates the joints of people. A [`Captioner`]
//! describes a photo in words.
//!
//! Each of the crates below can also be used alone: [`tensor`], [`ops`], [`nn`], [`data`], [`play`], [`search`], [`zoo`]; with the
//! feature `report` pictures, and with `fetch` the downloads of published data sets.
//!
//! The example `19_predict_photo` is the first program as a command line, with helpful errors.
#![forbid(unsafe_code)]

mod captioner;
mod error;
mod features;
mod model;
pub mod pose;

pub use cnn_data as data;
#[cfg(feature = "fetch")]
pub use cnn_fetch as fetch;
pub use cnn_nn as nn;
pub use cnn_onnx as onnx;
pub use cnn_ops as ops;
pub use cnn_play as play;
#[cfg(feature = "report")]
pub use cnn_report as report;
pub use cnn_search as search;
pub use cnn_tensor as tensor;
pub use cnn_zoo as zoo;

pub use captioner::{Caption, Captioner};
pub use error::Error;
pub use features::{Features, Indexed};
pub use model::{FitOptions, ModelExt, Prediction};

/// The names that most programs need.
pub mod prelude {
    pub use crate::data::{Dataset, DatasetName, InMemoryDataset, Loader, Picture, Subset};
    pub use crate::features::Features;
    pub use crate::model::{FitOptions, ModelExt, Prediction};
    pub use crate::nn::spec;
    pub use crate::nn::{
        Adam, AdamW, Batch, Batches, Classify, Graph, Input, Model, ModelSpec, OptimizerSpec, Schedule, Sgd,
        TrainSettings, Trainer, layers,
    };
    pub use crate::tensor::{Random, Shape, Tensor};
    pub use crate::{Error, zoo};
}

/// Compiles the program in README.md as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Runs the programs in docs/lecture.md as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/lecture.md")]
struct Lecture;
