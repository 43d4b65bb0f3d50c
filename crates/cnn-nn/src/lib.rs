//! Layers, optimizers and the training loop: what has state.
//!
//! - [`spec`]: networks as plain data, with shapes inferred; [`Graph`] and [`Model`] are built from it.
//! - [`Layer`]: tensors in, tensors out, nothing kept inside; [`Unary`] is the short form, [`Own`] puts one of yours into a
//!   description, [`gradcheck`] proves it.
//! - [`profile`]: where the time and the memory of a step go, layer by layer.
//! - [`Learner`]: a step from any gradients. [`Task`]: what a target is and how it is scored. [`Trainer`]: a loop over both, to
//!   read in one sitting, on anything that yields [`Batches`].
//! - [`Sgd`], [`AdamW`] and others ([`OptimizerSpec`]), [`Schedule`]; [`checkpoint`]: safetensors files, written whole or not at all.
//!
//! The same seed gives the same bits whatever the number of threads, and a resumed run equals an unbroken one.
//!
//! The smallest useful program: a network, a prediction, a file.
//!
//! ```
//! use cnn_nn::spec::{conv2d, flatten, linear, max_pool2d, relu};
//! use cnn_nn::{Input, Model, ModelSpec, layers};
//! use cnn_tensor::Tensor;
//!
//! let model = Model::build(
//!     ModelSpec {
//!         name: "tiny".into(),
//!         input: Input::gray(28, 28, 0.1307, 0.3081),
//!         classes: (0..10).map(|digit| digit.to_string()).collect(),
//!         layers: layers![conv2d(8, 5), relu(), max_pool2d(2), flatten(), linear(10).named("fc")],
//!     },
//!     0, // seed
//! )?;
//! println!("{}", model.summary());
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
mod collective;
mod error;
mod evaluate;
pub mod gradcheck;
mod graph;
mod init;
mod kinds;
mod layer;
mod layers;
mod learner;
mod list;
pub mod metrics;
mod model;
mod optim;
mod own;
mod path;
mod probe;
pub mod profile;
mod report;
mod schedule;
mod settings;
mod source;
pub mod spec;
mod summary;
mod task;
mod train;

pub use batches::{Batch, Batches};
pub use collective::Collective;
pub use error::NnError;
pub use evaluate::{evaluate, evaluate_with};
pub use graph::{Graph, Name, Plan, Trace};
pub use init::Init;
pub use layer::{At, Grads, Kept, Layer, Nature, Role, Unary};
pub use learner::{Average, LearnSettings, Learner, Step};
pub use list::{Gradients, List, Shapes, Tensors};
pub use metrics::ConfusionMatrix;
pub use model::{Input, Model, ModelSpec, Origin, Preprocess};
pub use optim::{
    Adagrad, Adam, AdamW, Clip, Lion, Optimizer, OptimizerSpec, ParameterGroup, Penalty, RmsProp, Sgd,
    StepOptions, Stepped, Trainable,
};
pub use own::{Own, register};
pub use path::Path;
pub use profile::{Profile, Profiler};
pub use report::{EpochReport, Metrics, Progress};
pub use schedule::{Moment, Plateau, Schedule, Span, ThresholdMode};
pub use settings::TrainSettings;
pub use source::{Fresh, Loaded, ParameterSource, Parameters, Request};
pub use spec::{GraphSpec, LayerSpec};
pub use summary::{Summary, SummaryRow};
pub use task::{
    Classes, Classify, MultiLabel, On, Regress, Score, Sequence, Steps, Target, Task, Weighted, on,
};
pub use train::{Observer, Outcome, StepReport, Trainer};
