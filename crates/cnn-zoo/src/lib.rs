//! Published networks as plain descriptions: one paper, one file, with its citation and table of parameters.
//!
//! A network here is a [`ModelSpec`](cnn_nn::ModelSpec): print it, change it, save it, build it.
//!
//! The smallest useful program: LeNet-5's table.
//!
//! ```
//! use cnn_nn::{Input, Model};
//! let digits = (0..10).map(|digit| digit.to_string()).collect();
//! let lenet = Model::build(cnn_zoo::lenet5(Input::gray(28, 28, 0.1307, 0.3081), digits), 0)?;
//! println!("{}", lenet.summary()?);
//! assert_eq!(lenet.summary()?.parameters(), 61_706);
//! # Ok::<(), cnn_nn::NnError>(())
//! ```
#![forbid(unsafe_code)]

pub mod dense;
pub mod lenet;

pub use dense::{linear, mlp};
pub use lenet::{lenet5, lenet5_tanh};
