//! The best of many distances.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A vector of the index that is near a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The number of the vector in the index, from 0.
    pub number: usize,
    /// Its distance to the query.
    pub distance: f64,
}

/// The nearest first; of equal distances, the lower number.
impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Hit {}

/// The `k` best hits so far: a heap with the worst of them on top.
#[derive(Debug)]
pub(crate) struct Best {
    k: usize,
    heap: BinaryHeap<Hit>,
}

impl Best {
    /// Room for `k` hits, at least one.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k) }
    }

    /// The distance of the worst of the `k` best; `None` while there are fewer.
    pub fn worst(&self) -> Option<f64> {
        if self.heap.len() < self.k { None } else { self.heap.peek().map(|hit| hit.distance) }
    }

    /// Keeps `hit` if it is one of the best. Returns whether it is.
    pub fn offer(&mut self, hit: Hit) -> bool {
        if self.heap.len() < self.k {
            self.heap.push(hit);
            return true;
        }
        match self.heap.peek_mut() {
            Some(mut worst) if hit < *worst => {
                *worst = hit;
                true
            }
            _ => false,
        }
    }

    /// The hits, the nearest first.
    pub fn into_sorted(self) -> Vec<Hit> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_are_those_of_a_sort(distances in prop::collection::vec(0u8..20, 0..60), k in 1usize..12) {
            let hits = distances.iter().enumerate();
            let mut hits: Vec<Hit> = hits.map(|(number, &d)| Hit { number, distance: d.into() }).collect();
            let mut best = Best::new(k);
            for &hit in &hits {
                best.offer(hit);
            }
            hits.sort();
            hits.truncate(k);
            prop_assert_eq!(best.into_sorted(), hits);
        }
    }
}
