use super::*;
use crate::{Item, Origin};
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use proptest::prelude::*;

fn index(vectors: &[Vec<f32>]) -> Index {
    let mut index = Index::new(Origin::default(), Metric::Cosine, vec![], vectors[0].len()).unwrap();
    for (position, vector) in (0..).zip(vectors) {
        index.push(Item { position, ..Item::default() }, vector).unwrap();
    }
    index
}

/// The definition, in f64.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(&a, &b)| f(a.into(), b.into())).sum::<f64>();
    match metric {
        Metric::Euclidean => sum(&|a, b| (a - b).powi(2)).sqrt(),
        Metric::Cosine => {
            let lengths = sum(&|a, _| a * a).sqrt() * sum(&|_, b| b * b).sqrt();
            if lengths == 0.0 { 1.0 } else { 1.0 - sum(&|a, b| a * b) / lengths }
        }
    }
}

/// Every distance, sorted.
fn naive(vectors: &[Vec<f32>], query: &[f32], k: usize, metric: Metric) -> Vec<Hit> {
    let hits = vectors.iter().enumerate();
    let mut hits: Vec<Hit> =
        hits.map(|(number, vector)| Hit { number, distance: distance(metric, query, vector) }).collect();
    hits.sort();
    hits.truncate(k);
    hits
}

fn metrics() -> impl Strategy<Value = Metric> {
    prop_oneof![Just(Metric::Cosine), Just(Metric::Euclidean)]
}

/// `n` vectors of `length` numbers from `number`.
fn vectors(
    n: std::ops::Range<usize>,
    number: impl Strategy<Value = f32> + Clone,
) -> impl Strategy<Value = (Vec<Vec<f32>>, Vec<Vec<f32>>)> {
    (1usize..40).prop_flat_map(move |length| {
        let vector = prop::collection::vec(number.clone(), length);
        (prop::collection::vec(vector.clone(), n.clone()), prop::collection::vec(vector, 1..8))
    })
}

proptest! {
    /// Small whole numbers: all sums are exact, and many distances are equal.
    #[test]
    fn ties_go_to_the_lower_number((set, queries) in vectors(1..90, (-2i8..3).prop_map(f32::from)), k in 1usize..12) {
        let k = k.min(set.len());
        let found = index(&set).search(&queries.concat(), k, Metric::Euclidean).unwrap();
        for (found, query) in found.iter().zip(&queries) {
            prop_assert_eq!(found, &naive(&set, query, k, Metric::Euclidean));
        }
    }

    /// Numbers of all sizes: the distances are those of the definition, up to the rounding of f64.
    #[test]
    fn distances_are_those_of_the_definition(
        (set, queries) in vectors(1..90, (-1.0f32..1.0, -6i32..7).prop_map(|(x, e)| x * 10f32.powi(e))),
        k in 1usize..12,
        metric in metrics(),
    ) {
        let k = k.min(set.len());
        let found = index(&set).search(&queries.concat(), k, metric).unwrap();
        for (found, query) in found.iter().zip(&queries) {
            for (found, wanted) in found.iter().zip(naive(&set, query, k, metric)) {
                let close = (found.distance - wanted.distance).abs() <= 1e-12 * wanted.distance.max(1.0);
                prop_assert!(close, "{found:?} {wanted:?}");
            }
        }
    }

    /// Vectors so near to each other that f32 cannot tell their distances apart.
    #[test]
    fn near_ties_are_told_apart(
        (set, queries) in vectors(20..90, (0u8..4).prop_map(|x| 1000.0 + f32::from(x) * 6.2e-5)),
        metric in metrics(),
    ) {
        let found = index(&set).search(&queries.concat(), 5, metric).unwrap();
        for (found, query) in found.iter().zip(&queries) {
            // Of the same function, so that equal means equal.
            let mut all: Vec<Hit> = set.iter().enumerate().map(|(number, vector)| Hit { number, distance: metric.distance(query, vector) }).collect();
            all.sort();
            prop_assert_eq!(&found[..], &all[..5]);
        }
    }

    /// Lengths at the ends of f32's range.
    #[test]
    fn huge_and_tiny_vectors_are_found(
        (set, queries) in vectors(1..60, (-1.0f32..1.0, prop_oneof![Just(1e-30f32), Just(1.0), Just(1e37), Just(0.0)]).prop_map(|(x, scale)| x * scale)),
        k in 1usize..6,
        metric in metrics(),
    ) {
        let k = k.min(set.len());
        let found = index(&set).search(&queries.concat(), k, metric).unwrap();
        for (found, query) in found.iter().zip(&queries) {
            let mut all: Vec<Hit> = set.iter().enumerate().map(|(number, vector)| Hit { number, distance: metric.distance(query, vector) }).collect();
            all.sort();
            prop_assert_eq!(&found[..], &all[..k]);
        }
    }
}

#[test]
fn neither_threads_nor_instruction_sets_nor_company_change_a_bit() {
    let number = |i: usize| ((i * 2654435761) % 1000) as f32 / 500.0 - 1.0;
    let set: Vec<Vec<f32>> = (0..300).map(|v| (0..37).map(|i| number(v * 37 + i)).collect()).collect();
    let queries: Vec<f32> = (0..9 * 37).map(|i| number(i * 31 + 5)).collect();
    let index = index(&set);
    for metric in Metric::ALL {
        let want = index.search(&queries, 10, metric).unwrap();
        for threads in [1, 2, 5] {
            let pool = Threads::new(threads).unwrap();
            assert_eq!(pool.run(|| index.search(&queries, 10, metric).unwrap()), want);
        }
        for &level in Level::all() {
            assert_eq!(with_level(level, || index.search(&queries, 10, metric).unwrap()), want, "{level:?}");
        }
        for (query, want) in queries.chunks(37).zip(&want) {
            assert_eq!(&index.nearest(query, 10, metric).unwrap(), want);
        }
    }
}
