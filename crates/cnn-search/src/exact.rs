//! Exact search.
//!
//! Products in f32 estimate the distances of a block of vectors to all queries. The estimate decides only which distances are
//! computed in f64: all that could be among the best, given the largest rounding error that the product can have.

use crate::best::Best;
use crate::metric::square;
use crate::{Hit, Index, Metric};
use cnn_tensor::simd::{Level, Simd};
use cnn_tensor::{MatMut, MatRef, gemm, parallel};

/// Queries that are answered together.
const QUERIES: usize = unless_tested(256, 3);

/// Products that are kept at a time: 4 MiB.
const PRODUCTS: usize = unless_tested(1 << 20, 50);

/// Up to so many queries, products are dot products, which read each vector where it lies. Matrix products copy it first.
const FEW: usize = unless_tested(4, 2);

/// Numbers of vectors that are worth a thread, of dot products.
const WORTH_A_THREAD: usize = unless_tested(1 << 18, 16);

/// Estimates that are looked at together.
const GROUP: usize = 64;

/// Squared lengths of vectors for which neither products nor reciprocals of lengths leave the range of f32. Others are always
/// computed in f64.
const SQUARES: std::ops::Range<f64> = 1e-24..1e30;

/// In the tests of this crate, small indices are cut as large ones are elsewhere.
const fn unless_tested(value: usize, in_tests: usize) -> usize {
    if cfg!(test) { in_tests } else { value }
}

/// The `k` nearest of each query; `k` is at most the number of vectors, and all numbers are finite.
pub(crate) fn search(index: &Index, queries: &[f32], k: usize, metric: Metric) -> Vec<Vec<Hit>> {
    queries
        .chunks(QUERIES * index.length)
        .flat_map(|queries| search_batch(index, queries, k, metric))
        .collect()
}

fn search_batch(index: &Index, queries: &[f32], k: usize, metric: Metric) -> Vec<Vec<Hit>> {
    let length = index.length;
    let mut states: Vec<Query<'_>> =
        queries.chunks_exact(length).map(|vector| Query::new(vector, k, metric)).collect();
    let block = (PRODUCTS / states.len()).max(1);
    let mut products = vec![0.0; states.len() * block.min(index.len())];
    for (i, vectors) in index.vectors.chunks(block * length).enumerate() {
        let (first, count) = (i * block, vectors.len() / length);
        let products = &mut products[..states.len() * count];
        multiply(queries, vectors, length, products);
        let block = Block::new(index, metric, first, count);
        parallel::for_each(&mut states, |i, query| {
            query.visit(&block, &products[i * count..(i + 1) * count]);
        });
    }
    states.into_iter().map(|query| query.best.into_sorted()).collect()
}

/// The products of each query with each vector: `products[query * vectors + vector]`.
pub(crate) fn multiply(queries: &[f32], vectors: &[f32], length: usize, products: &mut [f32]) {
    let (m, n) = (queries.len() / length, vectors.len() / length);
    if m > FEW {
        let (queries, vectors) = (MatRef::new(queries, m, length), MatRef::new(vectors, n, length));
        return gemm(1.0, queries, vectors.t(), 0.0, MatMut::new(products, m, n));
    }
    let (level, piece) = (Level::current(), (WORTH_A_THREAD / length).max(1));
    for (query, products) in queries.chunks_exact(length).zip(products.chunks_exact_mut(n.max(1))) {
        parallel::for_each_chunk(products, piece, |i, products| {
            dots(level, query, &vectors[i * piece * length..][..products.len() * length], products);
        });
    }
}

cnn_tensor::kernel! {
    /// The product of `query` with each vector.
    fn dots<S>(s, query: &[f32], vectors: &[f32], products: &mut [f32]) {
        let length = query.len();
        // As many sums at a time as hide the time that a multiply-add takes.
        let (groups, rest) = products.as_chunks_mut::<4>();
        let (vectors, last) = vectors.split_at(groups.len() * 4 * length);
        for (vectors, products) in vectors.chunks_exact(4 * length).zip(groups) {
            *products = dot::<S, 4>(s, query, vectors);
        }
        for (vector, product) in last.chunks_exact(length).zip(rest) {
            [*product] = dot::<S, 1>(s, query, vector);
        }
    }
}

#[inline(always)]
fn dot<S: Simd, const N: usize>(s: S, query: &[f32], vectors: &[f32]) -> [f32; N] {
    let length = query.len();
    let whole = length / S::LANES * S::LANES;
    let mut sums = [s.splat(0.0); N];
    for at in (0..whole).step_by(S::LANES) {
        let q = s.load(&query[at..]);
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = s.mul_add(q, s.load(&vectors[i * length..][..length][at..]), *sum);
        }
    }
    if whole < length {
        let q = s.load_partial(&query[whole..]);
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = s.mul_add(q, s.load_partial(&vectors[i * length..][whole..length]), *sum);
        }
    }
    sums.map(|sum| s.sum(sum))
}

/// Some vectors of the index, with the numbers that turn products into scores.
///
/// A score is a product times `scale` minus `shift`; the nearer the vector, the higher. By cosine it is the cosine times the
/// query's length; by Euclidean distance it is half of what the squared distance leaves of the query's square.
struct Block<'a> {
    index: &'a Index,
    first: usize,
    /// NaN where only f64 will do.
    scale: Vec<f32>,
    shift: Vec<f32>,
    /// The length of the longest vector.
    longest: f64,
}

impl<'a> Block<'a> {
    fn new(index: &'a Index, metric: Metric, first: usize, count: usize) -> Self {
        let squares = &index.squares[first..first + count];
        let only_f64 = |square: f64| square != 0.0 && !SQUARES.contains(&square);
        let scale = squares.iter().map(|&square| match metric {
            _ if only_f64(square) => f32::NAN,
            Metric::Euclidean => 1.0,
            Metric::Cosine if square == 0.0 => f32::NAN,
            Metric::Cosine => 1.0 / (square as f32).sqrt(),
        });
        let shift = squares.iter().map(|&square| match metric {
            Metric::Euclidean => (0.5 * square) as f32,
            Metric::Cosine => 0.0,
        });
        let usable = squares.iter().copied().filter(|&square| !only_f64(square));
        let longest = usable.fold(0.0, f64::max).sqrt();
        Self { index, first, scale: scale.collect(), shift: shift.collect(), longest }
    }
}

/// A query and the best so far.
struct Query<'a> {
    vector: &'a [f32],
    square: f64,
    metric: Metric,
    best: Best,
}

impl<'a> Query<'a> {
    fn new(vector: &'a [f32], k: usize, metric: Metric) -> Self {
        Self { vector, square: square(vector), metric, best: Best::new(k) }
    }

    fn visit(&mut self, block: &Block<'_>, products: &[f32]) {
        let mut least = self.least_score(block);
        for (group, products) in products.chunks(GROUP).enumerate() {
            let at = group * GROUP;
            let (scale, shift) = (&block.scale[at..][..products.len()], &block.shift[at..][..products.len()]);
            let scores =
                || products.iter().zip(scale).zip(shift).map(|((p, scale), shift)| p * scale - shift);
            // Without a branch, so that the compiler takes several at a time. NaN is never below the least score.
            #[allow(clippy::neg_cmp_op_on_partial_ord)]
            let any = scores().fold(false, |any, score| any | !(score < least));
            if !any {
                continue;
            }
            for (i, score) in scores().enumerate() {
                if score < least {
                    continue;
                }
                let number = block.first + at + i;
                let vector = (block.index.vector(number), block.index.squares[number]);
                let distance = self.metric.distance_with((self.vector, self.square), vector);
                if self.best.offer(Hit { number, distance }) {
                    least = self.least_score(block);
                }
            }
        }
    }

    /// A score that every vector of the block exceeds, or has, whose distance in f64 is below that of the worst of the best.
    fn least_score(&self, block: &Block<'_>) -> f32 {
        let Some(worst) = self.best.worst() else { return f32::NEG_INFINITY };
        let (own, longest) = (self.square.sqrt(), block.longest);
        // Rounding a sum of n products in f32 costs at most about n units of 2^-24 of the product of the lengths (Higham 2002,
        // section 3.1). The factor 2 leaves room for scale, shift and this function's own rounding.
        let terms = (self.vector.len() + 16) as f64;
        let unit = 2.0 * terms * f64::from(f32::EPSILON) / 2.0;
        if !SQUARES.contains(&self.square) || unit > 0.1 {
            return f32::NEG_INFINITY;
        }
        let least = match self.metric {
            Metric::Cosine => own * (1.0 - worst) - unit * own,
            Metric::Euclidean => {
                let slack = unit * (own * longest + longest * longest) + 1e-15 * terms * self.square;
                (self.square - worst * worst) / 2.0 - slack
            }
        };
        (least as f32).next_down()
    }
}

#[cfg(test)]
mod tests;
