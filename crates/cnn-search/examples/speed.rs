//! The time of exact searches: `cargo run --release -p cnn-search --example speed [-- VECTORS QUERIES]`.
//!
//! Random vectors of 512 numbers, 50,000 of them for one query and a million for 100 queries together. It needs 2.1 GB.

#![allow(clippy::print_stdout)]

use cnn_search::{Index, Item, Metric, Origin};
use cnn_tensor::{Random, parallel};
use std::time::Instant;

const LENGTH: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<usize> =
        std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let cases = match given[..] {
        [vectors, queries] => vec![(vectors, queries)],
        _ => vec![(50_000, 1), (1_000_000, 100)],
    };
    for (vectors, queries) in cases {
        let index = index(vectors)?;
        let mut query = vec![0.0; queries * LENGTH];
        Random::new(1, &["queries"]).fill_normal(1.0, &mut query);
        for metric in Metric::ALL {
            let times: Vec<f64> = (0..7)
                .map(|_| {
                    let start = Instant::now();
                    index.search(&query, 10, metric).map(|_| start.elapsed().as_secs_f64())
                })
                .collect::<Result<_, _>>()?;
            let best = times.iter().copied().fold(f64::INFINITY, f64::min);
            let mut sorted = times;
            sorted.sort_by(f64::total_cmp);
            let (middle, threads) = (sorted[sorted.len() / 2], parallel::threads());
            println!(
                "{queries} of {vectors} x {LENGTH}, {metric}, {threads} threads: best {:.1} ms, median {:.1} ms",
                1e3 * best,
                1e3 * middle
            );
        }
    }
    Ok(())
}

fn index(vectors: usize) -> Result<Index, cnn_search::SearchError> {
    let mut index = Index::new(Origin::default(), Metric::Cosine, vec![], LENGTH)?;
    let mut random = Random::new(0, &["vectors"]);
    let mut vector = [0.0; LENGTH];
    for position in 0..vectors as u64 {
        random.fill_normal(1.0, &mut vector);
        index.push(Item { position, ..Item::default() }, &vector)?;
    }
    Ok(index)
}
