//! The quality of the rankings that an index gives.

use crate::exact::multiply;
use crate::{Index, Metric, SearchError};
use cnn_tensor::parallel;

/// The queries of an evaluation.
#[derive(Clone, Copy, Debug)]
pub enum Queries<'a> {
    /// Each vector of the index, which is then left out of its own ranking.
    Own,
    /// Other vectors, one after the other, and the class of each.
    Others(&'a [f32], &'a [u32]),
}

/// The quality of an index's rankings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The mean share of a query's `k` nearest that have its class, 0 to 1.
    pub precision: f64,
    /// The mean over the queries of average precision: the mean, over all images of the query's class, of the share of the
    /// ranking up to that image that has the class. 1 if each query has all images of its class first.
    pub mean_average_precision: f64,
    /// The queries that were counted. A query whose class no image has is not.
    pub queries: usize,
}

/// Queries whose distances are computed together.
const BATCH: usize = 64;

/// Precision at `k` and mean average precision, of rankings of the whole index for each query. Images of equal distance are
/// ranked by number; distances are compared in f32. `done` is called now and then with the number of queries that are done.
///
/// ```
/// use cnn_search::{Index, Item, Metric, Origin, Queries, evaluate};
/// let mut index = Index::new(Origin::default(), Metric::Euclidean, vec!["low".into(), "high".into()], 1)?;
/// for (x, label) in [(1.0, 0), (2.0, 0), (8.0, 1), (9.0, 1)] {
///     index.push(Item { label: Some(label), ..Item::default() }, &[x])?;
/// }
/// let quality = evaluate(&index, Queries::Own, 1, Metric::Euclidean, &mut |_| ())?;
/// assert_eq!((quality.precision, quality.mean_average_precision, quality.queries), (1.0, 1.0, 4));
/// # Ok::<(), cnn_search::SearchError>(())
/// ```
///
/// # Errors
/// An image has no class, `k` is 0 or above the number of images that a query is compared to, the queries are not vectors of
/// the index's length with a class each, or no image has the class of any query.
pub fn evaluate(
    index: &Index,
    queries: Queries<'_>,
    k: usize,
    metric: Metric,
    done: &mut dyn FnMut(usize),
) -> Result<Quality, SearchError> {
    let labels: Option<Vec<u32>> = index.items.iter().map(|item| item.label).collect();
    let Some(labels) = labels else {
        return Err(SearchError::setting(
            "the images of an index to evaluate",
            "labelled",
            "some without a class",
        ));
    };
    let (vectors, wanted, own) = match queries {
        Queries::Own => (index.vectors(), &labels[..], true),
        Queries::Others(vectors, wanted) => (vectors, wanted, false),
    };
    index.check_queries(vectors)?;
    if vectors.len() / index.length != wanted.len() {
        let rule = format!("{}, one for each query", vectors.len() / index.length);
        return Err(SearchError::setting("the classes of the queries", rule, wanted.len()));
    }
    let compared = index.len() - usize::from(own && !index.is_empty());
    if k == 0 || k > compared {
        let rule = format!("1 to {compared}, the number of images that a query is compared to");
        return Err(SearchError::setting("k", rule, k));
    }
    let order = Order::new(index, metric);
    let (mut precision, mut average_precision, mut count) = (0.0, 0.0, 0);
    let mut products = Vec::new();
    for (batch, vectors) in vectors.chunks(BATCH * index.length).enumerate() {
        let (first, size) = (batch * BATCH, vectors.len() / index.length);
        products.resize(size * index.len(), 0.0);
        multiply(vectors, index.vectors(), index.length, &mut products);
        let scores = parallel::map(size, |i| {
            let left_out = own.then_some(first + i);
            let ranking = order.ranking(&products[i * index.len()..][..index.len()], left_out);
            score(ranking.iter().map(|&number| labels[number as usize] == wanted[first + i]), k)
        });
        // In the order of the queries, so that the sums have the same bits on any number of threads.
        for &(at_k, average) in scores.iter().flatten() {
            precision += at_k;
            average_precision += average;
            count += 1;
        }
        done(first + size);
    }
    if count == 0 {
        let rule = "of classes that images of the index have";
        return Err(SearchError::setting("queries", rule, "none of them"));
    }
    let mean = |sum: f64| sum / f64::from(count);
    let mean_average_precision = mean(average_precision);
    Ok(Quality { precision: mean(precision), mean_average_precision, queries: count as usize })
}

/// Precision at `k` and average precision of one ranking, given which of its images are right; `None` if none is.
fn score(right: impl Iterator<Item = bool>, k: usize) -> Option<(f64, f64)> {
    let (mut found, mut at_k, mut sum) = (0u32, 0u32, 0.0);
    for (rank, right) in right.enumerate() {
        if right {
            found += 1;
            at_k += u32::from(rank < k);
            sum += f64::from(found) / (rank + 1) as f64;
        }
    }
    (found > 0).then(|| (f64::from(at_k) / k as f64, sum / f64::from(found)))
}

/// The numbers that turn products with a query into an order.
struct Order {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Order {
    fn new(index: &Index, metric: Metric) -> Self {
        let of = |f: &dyn Fn(f64) -> f64| index.squares.iter().map(|&square| f(square) as f32).collect();
        match metric {
            Metric::Euclidean => Self { scale: of(&|_| 1.0), shift: of(&|square| square / 2.0) },
            // A vector of zeros is at a right angle to all others.
            Metric::Cosine => Self {
                scale: of(&|square| if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }),
                shift: of(&|_| 0.0),
            },
        }
    }

    /// The numbers of all images but `left_out`, the nearest first.
    fn ranking(&self, products: &[f32], left_out: Option<usize>) -> Vec<u32> {
        let scores = products.iter().zip(&self.scale).zip(&self.shift);
        let keys = scores.enumerate().filter(|&(number, _)| Some(number) != left_out);
        // The distance above the number: one sort of whole numbers orders by both.
        let mut keys: Vec<u64> = keys
            .map(|(number, ((product, scale), shift))| {
                (u64::from(ascending(shift - product * scale)) << 32) | number as u64
            })
            .collect();
        keys.sort_unstable();
        keys.into_iter().map(|key| key as u32).collect()
    }
}

/// A number whose order is that of the f32.
fn ascending(x: f32) -> u32 {
    // Both zeros are one number.
    let bits = (x + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | (1 << 31) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Origin};
    use cnn_tensor::parallel::Threads;
    use proptest::prelude::*;

    fn index(points: &[(Vec<i8>, u32)], classes: usize) -> Index {
        let classes = (0..classes).map(|class| class.to_string()).collect();
        let mut index = Index::new(Origin::default(), Metric::Euclidean, classes, points[0].0.len()).unwrap();
        for (vector, label) in points {
            let vector: Vec<f32> = vector.iter().map(|&x| x.into()).collect();
            index.push(Item { label: Some(*label), ..Item::default() }, &vector).unwrap();
        }
        index
    }

    /// By the definition: for each image of the class, the share of the ranking up to it.
    fn naive(right: &[bool], k: usize) -> Option<(f64, f64)> {
        let places: Vec<usize> = (0..right.len()).filter(|&i| right[i]).collect();
        if places.is_empty() {
            return None;
        }
        let share = |end: usize| right[..end].iter().filter(|right| **right).count() as f64 / end as f64;
        let average = places.iter().map(|&place| share(place + 1)).sum::<f64>() / places.len() as f64;
        Some((share(k), average))
    }

    proptest! {
        #[test]
        fn rankings_are_scored_as_defined(
            points in prop::collection::vec((prop::collection::vec(-3i8..4, 3), 0u32..4), 2..40),
            k in 1usize..5,
        ) {
            let k = k.min(points.len() - 1);
            let index = index(&points, 4);
            let mut sums = (0.0, 0.0, 0);
            for i in 0..points.len() {
                let query: Vec<f32> = index.vector(i).to_vec();
                let mut others: Vec<usize> = (0..points.len()).filter(|&j| j != i).collect();
                others.sort_by(|&a, &b| {
                    let of = |j| Metric::Euclidean.distance(&query, index.vector(j));
                    of(a).total_cmp(&of(b)).then(a.cmp(&b))
                });
                let right: Vec<bool> = others.iter().map(|&j| points[j].1 == points[i].1).collect();
                if let Some((at_k, average)) = naive(&right, k) {
                    sums = (sums.0 + at_k, sums.1 + average, sums.2 + 1);
                }
            }
            let got = evaluate(&index, Queries::Own, k, Metric::Euclidean, &mut |_| ());
            if sums.2 == 0 {
                prop_assert!(got.is_err());
            } else {
                let (got, n) = (got.unwrap(), f64::from(sums.2));
                prop_assert_eq!(got.queries, sums.2 as usize);
                prop_assert!((got.precision - sums.0 / n).abs() < 1e-12, "{got:?} {sums:?}");
                prop_assert!((got.mean_average_precision - sums.1 / n).abs() < 1e-12, "{got:?} {sums:?}");
            }
        }
    }

    #[test]
    fn other_queries_see_the_whole_index_and_threads_change_nothing() {
        let points: Vec<_> =
            (0..200).map(|i| (vec![(i * 37 % 101) as i8, (i * 11 % 23) as i8], i % 3)).collect();
        let index = index(&points, 4);
        let queries = [50.0, 3.0, 0.0, 0.0, 7.0, 7.0];
        let of = |threads| {
            let pool = Threads::new(threads).unwrap();
            pool.run(|| {
                evaluate(&index, Queries::Others(&queries, &[0, 3, 2]), 200, Metric::Cosine, &mut |_| ())
            })
        };
        let quality = of(1).unwrap();
        // No image has class 3. Of all 200, 67 and 66 have the others.
        assert_eq!((quality.queries, quality.precision), (2, (67.0 + 66.0) / 400.0));
        assert_eq!(of(3).unwrap(), quality);
        let mut done = Vec::new();
        evaluate(&index, Queries::Own, 10, Metric::Cosine, &mut |n| done.push(n)).unwrap();
        assert_eq!(done, [64, 128, 192, 200]);
    }

    #[test]
    fn questions_without_an_answer_are_refused() {
        let set = index(&[(vec![1], 0), (vec![2], 1)], 2);
        let refusal =
            |queries, k| evaluate(&set, queries, k, Metric::Cosine, &mut |_| ()).unwrap_err().to_string();
        assert_eq!(
            refusal(Queries::Own, 2),
            "k must be 1 to 1, the number of images that a query is compared to, got 2"
        );
        assert!(refusal(Queries::Own, 1).contains("none of them"));
        assert!(
            refusal(Queries::Others(&[1.0], &[0, 1]), 1).contains("must be 1, one for each query, got 2")
        );
        let mut unlabelled = index(&[(vec![1], 0)], 2);
        unlabelled.push(Item::default(), &[1.0]).unwrap();
        let message =
            evaluate(&unlabelled, Queries::Own, 1, Metric::Cosine, &mut |_| ()).unwrap_err().to_string();
        assert!(message.contains("must be labelled"), "{message}");
    }
}
