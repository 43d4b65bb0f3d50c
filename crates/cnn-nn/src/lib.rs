//! Layers, networks, optimizers and the training loop.
//!
//! - [`spec`]: networks as plain data, with inferred shapes. [`Graph`] and [`Model`] are built from it.
//! - [`Graph::infer_until`]: the outputs of a hidden layer, as features of an image. [`metrics`]: argmax, ranks, confusion matrices,
//!   average precision, BLEU of sentences, and the scores of estimated joints.
//! - [`Layer`]: the interface of a layer, which keeps no state between passes. [`Unary`] is its short form for one input and one
//!   output. [`Own`] makes a custom layer part of descriptions, and [`gradcheck`] tests it.
//! - [`explain`]: what a trained network looks at: gradients by several rules, Grad-CAM, occlusion, the strongest patches.
//! - [`profile`]: time and memory of a step, layer by layer.
//! - [`Learner`]: training steps from any gradients. [`Task`]: targets, losses and metrics. [`Trainer`]: a short training loop
//!   over both, on any source of [`Batches`].
//! - [`Beam`]: likely sentences of a network that tells one word after the other.
//! - [`Sgd`], [`AdamW`] and other optimizers ([`OptimizerSpec`]), [`Schedule`]. [`checkpoint`]: safetensors files, written
//!   atomically.
//!
//! The same seed gives the same bits for any number of threads, and a resumed run equals an unbroken one.
//!
//! The smallest useful program builds a network, makes a prediction and saves a file:
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
mod beam;
pub mod checkpoint;
mod collective;
mod error;
mod evaluate;
pub mod explain;
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
pub mod run_folder;
mod schedule;
mod settings;
mod source;
pub mod spec;
mod summary;
mod task;
mod train;

pub use batches::{Batch, Batches};
pub use beam::{Beam, Sentence};
pub use collective::Collective;
pub use error::NnError;
pub use evaluate::{evaluate, evaluate_with};
pub use graph::{Graph, Name, Part, Plan, Trace};
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
pub use run_folder::{Best, ClassCount, Fingerprint, Keeper, RunFolder, RunState, RunTimes};
pub use schedule::{Moment, Plateau, Schedule, Span, ThresholdMode};
pub use settings::TrainSettings;
pub use source::{Fresh, Loaded, ParameterSource, Parameters, Request, Zeros};
pub use spec::{GraphSpec, LayerSpec};
pub use summary::{Summary, SummaryRow};
pub use task::{
    Classes, Classify, MaskedRegress, MultiLabel, On, Regress, Score, Sequence, Steps, Target, Task,
    Weighted, on,
};
pub use train::{Observer, Outcome, StepReport, Trainer};
