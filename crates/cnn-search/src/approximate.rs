//! Approximate search by a graph of neighbours.

use crate::{Hit, Index, Metric, SearchError};
use cnn_tensor::parallel;
use hnsw_rs::prelude::{Distance, Hnsw};
use std::fmt;

/// A graph over an index that finds most of the nearest vectors without comparing all (HNSW: Malkov and Yashunin 2018, by the
/// package `hnsw_rs`), for more vectors than the exact search has time for.
///
/// Vectors are inserted one after the other and their levels are drawn by a fixed seed, so that the same index gives the same
/// graph. Building takes long: each vector is a search of its own.
///
/// ```
/// use cnn_search::{Approximate, Index, Item, Metric, Origin};
/// let mut index = Index::new(Origin::default(), Metric::Euclidean, vec![], 2)?;
/// for i in 0..100 {
///     index.push(Item::default(), &[i as f32, (i * i % 17) as f32])?;
/// }
/// let graph = Approximate::new(&index, Metric::Euclidean);
/// let query = [41.2, 15.0];
/// assert_eq!(graph.search(&query, 3, 50)?[0], index.nearest(&query, 3, Metric::Euclidean)?);
/// # Ok::<(), cnn_search::SearchError>(())
/// ```
pub struct Approximate<'a> {
    index: &'a Index,
    metric: Metric,
    graph: Hnsw<'a, f32, Between>,
}

/// Neighbours of a vector in each layer of the graph.
const NEIGHBOURS: usize = 24;

/// Vectors that are candidates for the neighbours of a new one.
const CANDIDATES: usize = 200;

/// The most layers of the graph.
const LAYERS: usize = 16;

struct Between(Metric);

impl Distance<f32> for Between {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        self.0.distance(a, b) as f32
    }
}

impl<'a> Approximate<'a> {
    /// Builds the graph.
    pub fn new(index: &'a Index, metric: Metric) -> Self {
        let mut graph = Hnsw::new(NEIGHBOURS, index.len().max(1), LAYERS, CANDIDATES, Between(metric));
        // Extended candidates would come in the random order of a hash map.
        graph.set_extend_candidates(false);
        for number in 0..index.len() {
            graph.insert_slice((index.vector(number), number));
        }
        Self { index, metric, graph }
    }

    /// About the `k` nearest vectors of each query, the nearest first; as [`Index::search`], with exact distances. The search
    /// keeps `width` vectors in view, at least `k`: the more, the less it misses, and the longer it takes.
    ///
    /// # Errors
    /// Those of [`Index::search`].
    pub fn search(&self, queries: &[f32], k: usize, width: usize) -> Result<Vec<Vec<Hit>>, SearchError> {
        self.index.check_k(k)?;
        self.index.check_queries(queries)?;
        let length = self.index.length();
        let answers = parallel::map(queries.len() / length, |i| {
            let query = &queries[i * length..(i + 1) * length];
            let found = self.graph.search(query, k, width.max(k));
            let hit = |number| {
                let distance = self.metric.distance(query, self.index.vector(number));
                Hit { number, distance }
            };
            let mut hits: Vec<Hit> = found.iter().map(|neighbour| hit(neighbour.d_id)).collect();
            hits.sort();
            hits
        });
        Ok(answers.to_vec())
    }
}

/// The index and the metric.
impl fmt::Debug for Approximate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Approximate({:?}, {})", self.index, self.metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Origin};
    use cnn_tensor::Random;

    /// Vectors around a hundred centres, as features of a hundred classes are; some are equal.
    fn clustered(count: usize, seed: &str) -> (Index, Vec<f32>) {
        const LENGTH: usize = 24;
        let mut index = Index::new(Origin::default(), Metric::Cosine, vec![], LENGTH).unwrap();
        let mut centres = vec![0.0; 100 * LENGTH];
        Random::new(0, &["centres"]).fill_normal(1.0, &mut centres);
        let mut random = Random::new(0, &["vectors", seed]);
        for i in 0..count {
            let mut vector = vec![0.0; LENGTH];
            random.fill_normal(0.5, &mut vector);
            let centre = &centres[i % 100 * LENGTH..][..LENGTH];
            // Rounded, so that many distances are equal.
            vector.iter_mut().zip(centre).for_each(|(v, c)| *v = ((*v + c) * 4.0).round());
            index.push(Item::default(), &vector).unwrap();
        }
        let queries = index.vectors()[..200 * LENGTH].iter().map(|v| v * 1.1 + 0.2).collect();
        (index, queries)
    }

    #[test]
    fn the_same_index_gives_the_same_graph() {
        let (index, queries) = clustered(1000, "a");
        for metric in Metric::ALL {
            // With the least width, an answer depends on every edge on its way.
            let of = || Approximate::new(&index, metric).search(&queries, 10, 10).unwrap();
            let first = of();
            for _ in 0..2 {
                assert_eq!(of(), first);
            }
        }
    }

    #[test]
    fn nineteen_of_twenty_of_the_nearest_are_found() {
        let (index, queries) = clustered(2500, "b");
        for metric in Metric::ALL {
            let found = Approximate::new(&index, metric).search(&queries, 10, 100).unwrap();
            let exact = index.search(&queries, 10, metric).unwrap();
            let (mut right, mut all) = (0, 0);
            for (found, exact) in found.iter().zip(&exact) {
                // Equal distances are as good as each other.
                let worst = exact[9].distance;
                right += found.iter().filter(|hit| hit.distance <= worst).count();
                all += exact.len();
            }
            let recall = right as f64 / all as f64;
            assert!(recall >= 0.95, "{metric}: recall at 10 of {recall}");
        }
    }

    #[test]
    fn questions_are_checked_as_by_the_exact_search() {
        let (index, queries) = clustered(300, "c");
        let graph = Approximate::new(&index, Metric::Cosine);
        for (queries, k) in [(&queries[..], 301), (&queries[..], 0), (&queries[..5], 1)] {
            let message = |answer: Result<Vec<Vec<Hit>>, SearchError>| answer.unwrap_err().to_string();
            assert_eq!(
                message(graph.search(queries, k, 9)),
                message(index.search(queries, k, Metric::Cosine))
            );
        }
    }
}
