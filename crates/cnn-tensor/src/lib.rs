//! Storage and arithmetic for convolutional networks: the lowest layer of the `cnn-*` crates.
//!
//! - [`Tensor`] and [`Shape`]: dense `f32`, row-major, rank at most 6, images as `[n, c, h, w]`.
//! - [`Buffer`]: aligned memory that is recycled, so that a training step reuses the memory of the step before. [`Recycled`]:
//!   the same for lists.
//! - [`gemm`]: matrix products, also of transposed matrices.
//! - [`symmetric_eigen`]: eigenvalues of small matrices, for whitening for example.
//! - [`simd`]: kernels written once, compiled for every instruction set, chosen at run time.
//! - [`text`]: quotes and hints in messages. [`half`]: floats of 16 bits. [`sniff`]: what kind of file it is, by its first bytes.
//!   `files` and `registry` (with the features of those names): files written whole or not at all, and types of a program's own
//!   among described ones.
//! - [`parallel`]: threads that never change a result. [`Random`]: seeded streams of random numbers, the same on every machine.
//! - [`environment`]: choices made by environment variables.
//!
//! This crate is the only one of its workspace that contains `unsafe` code.
//!
//! A matrix product on all cores:
//!
//! ```
//! use cnn_tensor::{MatMut, MatRef, Random, Tensor, gemm};
//!
//! let mut a = Tensor::zeros([256, 512]);
//! Random::new(0, &["a"]).fill_normal(1.0, a.data_mut());
//! let mut gram = Tensor::zeros([256, 256]);
//! let rows = MatRef::new(a.data(), 256, 512);
//! gemm(1.0, rows, rows.t(), 0.0, MatMut::new(gram.data_mut(), 256, 256));
//! assert!(gram.data()[0] > 0.0);
//! ```

mod buffer;
mod eigen;
pub mod environment;
mod error;
#[cfg(any(test, feature = "files"))]
pub mod files;
mod free_list;
mod gemm;
pub mod half;
pub mod packed;
pub mod parallel;
mod prefetch;
mod random;
mod recycled;
#[cfg(any(test, feature = "registry"))]
pub mod registry;
mod shape;
pub mod simd;
pub mod sniff;
mod tensor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod vector;

pub use buffer::{ALIGNMENT, Buffer, MemoryUse, release_unused_memory};
pub use eigen::symmetric_eigen;
pub use error::TensorError;
pub use gemm::{Factor, MatMut, MatRef, Onto, Rows, gemm, product};
pub use prefetch::prefetch;
pub use random::Random;
pub use recycled::Recycled;
pub use shape::Shape;
pub use tensor::Tensor;
