//! ONNX files as networks of [`cnn_nn`].
//!
//! [`Onnx::open`] reads a file, and [`Onnx::import`] brings its network into a graph of the library's layers, with their tensors.
//! The result is a network like any other: it can be run, trained, explained and saved.
//!
//! | file | |
//! |---|---|
//! | `proto.rs` | the messages of onnx.proto3 |
//! | `file.rs` | a file: graph, version of the operators, metadata |
//! | `elements.rs`, `external.rs` | tensors, in the file and beside it |
//! | `import.rs` | from nodes to layers, in order, with the report of those that are not supported |
//! | `constant.rs`, `fold.rs` | values that are known on import: weights, and arithmetic on shapes |
//! | `ops.rs` and its folder | the operators as layers, a file for each family |
//! | `builder.rs` | the graph under construction |
//! | `model.rs` | a classifier as a [`cnn_nn::Model`] |
//! | `export.rs` and its folder | from layers to nodes |
//! | `tensor.rs` | files of one tensor |
//!
//! The first axis of every value is the batch, and stays it: a file that was made for one image takes any number of them. Shapes
//! that the file computes from the number of images are followed with that number open.
#![forbid(unsafe_code)]

mod builder;
mod constant;
mod elements;
mod error;
mod export;
mod external;
mod file;
mod fold;
mod import;
mod model;
mod names;
mod node;
mod ops;
mod proto;
mod report;
mod tensor;
mod value;

pub use error::OnnxError;
pub use export::{Export, export};
pub use file::{Onnx, Port};
pub use import::Imported;
pub use model::{Channels, Classifier, Described};
pub use report::{Report, Unsupported};
pub use tensor::read_tensor;
