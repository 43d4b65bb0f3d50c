//! Layers, optimizers and the training loop: what has state.
//!
//! - [`spec`]: networks as plain data, with shapes inferred; [`Sequential`] and [`Model`] are built from it.
//! - [`Layer`]: evaluation by `&self`, training by `&mut self`; [`gradcheck`] proves a layer of your own.
//! - [`profile`]: where the time and the memory of a step go, layer by layer.
//! - [`Trainer`]: a loop to read in one sitting, over anything that yields [`Batches`].
//! - [`Sgd`], [`AdamW`] and others ([`OptimizerSpec`]), [`Schedule`]; [`checkpoint`]: safetensors files, written whole or not at all.
//!
//! The same seed gives the same bits whatever the number of threads, and a resumed run equals an unbroken one.
//!
//! The smallest useful program: a network, a prediction, a file.
//!
//! ```
//! use cnn_nn::spec::{conv2d, flatten, linear, max_pool2d, relu};
//! use cnn_nn::{Input, Layer, Model, ModelSpec};
//! use cnn_tensor::Tensor;
//!
//! let model = Model::build(
//!     ModelSpec {
//!         name: "tiny".into(),
//!         input: Input::gray(28, 28, 0.1307, 0.3081),
//!         classes: (0..10).map(|digit| digit.to_string()).collect(),
//!         layers: vec![
//!             conv2d(8, 5).named("conv"),
//!             relu().named("relu"),
//!             max_pool2d(2).named("pool"),
//!             flatten().named("flatten"),
//!             linear(10).named("fc"),
//!         ],
//!     },
//!     0, // seed
//! )?;
//! println!("{}", model.summary()?);
//! let logits = model.net.infer(&Tensor::zeros([1, 1, 28, 28]))?;
//! assert_eq!(logits.shape().dims(), [1, 10]);
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("tiny.safetensors");
//! model.save(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod batches;
pub mod checkpoint;
mod error;
pub mod gradcheck;
mod init;
mod layer;
pub mod layers;
pub mod metrics;
mod model;
mod optim;
mod parameter;
pub mod profile;
mod replicas;
mod schedule;
mod sequential;
mod source;
pub mod spec;
mod summary;
mod train;

pub use batches::{Batch, Batches, Mixed};
pub use error::{NnError, one_line};
pub use init::Init;
pub use layer::{Layer, TrainingStep};
pub use metrics::Confusion;
pub use model::{Input, Model, ModelSpec, Origin};
pub use optim::{
    Adagrad, Adam, AdamW, Clip, Lion, Optimizer, OptimizerSpec, ParameterGroup, Penalty, RmsProp, Sgd,
    StepOptions, Stepped,
};
pub use parameter::{Parameter, Path};
pub use profile::{Profile, Profiler};
pub use schedule::{Moment, Plateau, Schedule, Span, ThresholdMode};
pub use sequential::Sequential;
pub use source::{Fresh, Loaded, ParameterSource, Request};
pub use spec::LayerSpec;
pub use summary::{Summary, SummaryRow};
pub use train::{
    Average, EpochReport, Evaluation, Observer, Outcome, Progress, StepReport, TrainSettings, Trainer,
    evaluate,
};
