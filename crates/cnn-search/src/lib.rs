//! The nearest of many vectors: an index in memory and on disk, exact search, and the quality of a ranking.
//!
//! - [`Index`]: vectors of one length with a name, and perhaps a class, for each; and [`Origin`], their source.
//!   [`Index::save`] and [`Index::load`]: a versioned file with a checksum.
//! - [`Index::search`]: the `k` nearest of each query by a [`Metric`], exactly.
//! - `Approximate` (with the feature `hnsw`): most of the nearest by a graph of neighbours, for more vectors than the exact search
//!   has time for.
//! - [`evaluate`]: precision at `k` and mean average precision of an index whose images have classes.
//!
//! Retrieval by the features of a network is due to Krizhevsky et al. (2012): images whose activations in the last hidden layer
//! are near each other look alike to the network.
//!
//! # Exact means exact
//!
//! The distances of all vectors are first estimated by matrix products in f32, with a bound of the rounding error. A vector
//! whose estimate is within the bound of the k-th best is computed again in f64, in one order of summation. So the answer is
//! the one of a loop in f64. It depends neither on the number of threads nor on the instruction set.
//!
//! On two cores of an AMD EPYC (Zen 4, AVX-512), one query in 50,000 vectors of 512 numbers takes 5 ms, and 100 queries together in a
//! million take 0.8 s (medians of 7, `examples/speed.rs`).
//!
//! ```
//! use cnn_search::{Index, Item, Metric, Origin};
//! let mut index = Index::new(Origin::default(), Metric::Euclidean, vec!["warm".into(), "cold".into()], 2)?;
//! for (name, label, color) in [("red", 0, [0.9, 0.1]), ("orange", 0, [0.8, 0.3]), ("blue", 1, [0.1, 0.9])] {
//!     index.push(Item { name: name.into(), label: Some(label), position: 0 }, &color)?;
//! }
//! let hits = index.nearest(&[1.0, 0.2], 2, Metric::Euclidean)?;
//! let names: Vec<&str> = hits.iter().map(|hit| index.item(hit.number).name.as_str()).collect();
//! assert_eq!(names, ["red", "orange"]);
//! # Ok::<(), cnn_search::SearchError>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "hnsw")]
mod approximate;
mod best;
mod error;
mod evaluate;
mod exact;
mod file;
mod index;
mod metric;

#[cfg(feature = "hnsw")]
pub use approximate::Approximate;
pub use best::Hit;
pub use error::SearchError;
pub use evaluate::{Quality, Queries, evaluate};
pub use index::{Index, Item, Origin};
pub use metric::Metric;
