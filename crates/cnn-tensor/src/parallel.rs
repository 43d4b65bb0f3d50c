//! Threads that never change a result. No other module uses rayon.
//!
//! Work is cut into pieces by the shape of the problem, never by the number of threads, and partial results are added in the
//! order of the pieces. So the same input gives the same bits for any number of threads.

// rayon is given a `dyn Fn`. This costs one more call for each piece of work, but rayon's code is compiled once instead of for
// every caller, which made a tenth of a small program.

use crate::simd::{forced, with_forced};
use crate::{Recycled, TensorError};
use rayon::prelude::*;
use std::num::NonZeroUsize;

/// The most threads of a [`Threads`] pool.
pub const MAX_THREADS: usize = 1024;

/// A pool of a chosen number of threads.
///
/// Outside of such a pool, work runs on as many threads as there are cores, or as `RAYON_NUM_THREADS` says.
///
/// ```
/// use cnn_tensor::parallel::{self, Threads};
/// let squares = Threads::new(3)?.run(|| parallel::map(4, |i| i * i));
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// A pool of `count` threads.
    ///
    /// # Errors
    /// `count` is 0 or above [`MAX_THREADS`], or the system does not start that many threads.
    pub fn new(count: usize) -> Result<Self, TensorError> {
        let error = || TensorError::Threads { max: MAX_THREADS, got: count };
        if count == 0 || count > MAX_THREADS {
            return Err(error());
        }
        rayon::ThreadPoolBuilder::new().num_threads(count).build().map(Self).map_err(|_| error())
    }

    /// Runs `f`, and all parallel work inside it, on this pool.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let (mut f, mut result) = (Some(f), None);
        self.install(&mut || result = f.take().map(|f| f()));
        result.expect("the pool has run it")
    }

    fn install(&self, f: &mut (dyn FnMut() + Send)) {
        let level = forced();
        self.0.install(|| with_forced(level, f));
    }
}

/// The number of threads that parallel work started by the caller would use.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// The number of threads that the machine can run at once; 1 if that is unknown.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// `[f(0), f(1), ..., f(count - 1)]`, computed in any order.
///
/// ```
/// use cnn_tensor::parallel;
/// assert_eq!(parallel::map(4, |i| 10 * i), [0, 10, 20, 30]);
/// ```
pub fn map<R: Send + 'static>(count: usize, f: impl Fn(usize) -> R + Sync + Send) -> Recycled<R> {
    if count <= 1 || threads() == 1 {
        return (0..count).map(f).collect();
    }
    let level = forced();
    let f: &(dyn Fn(usize) -> R + Sync) = &f;
    let mut results = Recycled::with_capacity(count);
    let in_any_order = (0..count).into_par_iter().with_max_len(1).map(|i| with_forced(level, || f(i)));
    in_any_order.collect_into_vec(&mut results);
    results
}

/// Calls `f(0), f(1), ..., f(count - 1)`, each once, in any order.
///
/// ```
/// use cnn_tensor::parallel;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// let sum = AtomicUsize::new(0);
/// parallel::for_each_index(5, |i| drop(sum.fetch_add(i, Ordering::Relaxed)));
/// assert_eq!(sum.into_inner(), 10);
/// ```
pub fn for_each_index(count: usize, f: impl Fn(usize) + Sync + Send) {
    if count <= 1 || threads() == 1 {
        return (0..count).for_each(f);
    }
    indices_on_threads(count, &f);
}

fn indices_on_threads(count: usize, f: &(dyn Fn(usize) + Sync)) {
    let level = forced();
    (0..count).into_par_iter().with_max_len(1).for_each(|i| with_forced(level, || f(i)));
}

/// Calls `f(i, &mut items[i])` for every item, in any order.
///
/// ```
/// use cnn_tensor::parallel;
/// let mut items = [5, 6, 7];
/// parallel::for_each(&mut items, |i, item| *item += i);
/// assert_eq!(items, [5, 7, 9]);
/// ```
pub fn for_each<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Sync + Send) {
    if items.len() <= 1 || threads() == 1 {
        return items.iter_mut().enumerate().for_each(|(i, item)| f(i, item));
    }
    chunks_on_threads(items, 1, &|i, item| f(i, &mut item[0]));
}

/// Cuts `data` into chunks of `chunk` elements (the last may be shorter) and calls `f(i, chunk_i)` for each, in any
/// order. Nothing happens if `data` is empty.
///
/// ```
/// use cnn_tensor::parallel;
/// let mut data = [0; 5];
/// parallel::for_each_chunk(&mut data, 2, |i, chunk| chunk.fill(i));
/// assert_eq!(data, [0, 0, 1, 1, 2]);
/// ```
///
/// # Panics
/// `chunk` is 0 and `data` is not empty.
pub fn for_each_chunk<T: Send>(data: &mut [T], chunk: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    if data.len() <= chunk || threads() == 1 {
        if !data.is_empty() {
            data.chunks_mut(chunk).enumerate().for_each(|(i, piece)| f(i, piece));
        }
        return;
    }
    chunks_on_threads(data, chunk, &f);
}

fn chunks_on_threads<T: Send>(data: &mut [T], chunk: usize, f: &(dyn Fn(usize, &mut [T]) + Sync)) {
    let level = forced();
    let pieces = data.par_chunks_mut(chunk).enumerate().with_max_len(1);
    pieces.for_each(|(i, piece)| with_forced(level, || f(i, piece)));
}

/// A function of an index and the chunks of two lists.
type OfPair<'a, A, B> = &'a (dyn Fn(usize, &mut [A], &mut [B]) + Sync);

/// Cuts `a` and `b` into the same number of chunks and calls `f(i, a_i, b_i)` for each pair, in any order.
///
/// ```
/// use cnn_tensor::parallel;
/// let (mut sums, mut numbers) = ([0; 2], [1, 2, 3, 4]);
/// parallel::for_each_chunk_pair((&mut sums, 1), (&mut numbers, 2), |_, sum, pair| sum[0] = pair[0] + pair[1]);
/// assert_eq!(sums, [3, 7]);
/// ```
///
/// # Panics
/// The numbers of chunks differ, or a chunk size is 0 and its data is not empty.
pub fn for_each_chunk_pair<A: Send, B: Send>(
    (a, chunk_a): (&mut [A], usize),
    (b, chunk_b): (&mut [B], usize),
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
) {
    if a.is_empty() && b.is_empty() {
        return;
    }
    let count = a.len().div_ceil(chunk_a);
    assert_eq!(count, b.len().div_ceil(chunk_b), "both slices are cut into the same number of chunks");
    if count == 1 || threads() == 1 {
        let pairs = a.chunks_mut(chunk_a).zip(b.chunks_mut(chunk_b));
        return pairs.enumerate().for_each(|(i, (a, b))| f(i, a, b));
    }
    pairs_on_threads((a, chunk_a), (b, chunk_b), &f);
}

fn pairs_on_threads<A: Send, B: Send>(
    (a, chunk_a): (&mut [A], usize),
    (b, chunk_b): (&mut [B], usize),
    f: OfPair<'_, A, B>,
) {
    let level = forced();
    let pairs = a.par_chunks_mut(chunk_a).zip(b.par_chunks_mut(chunk_b));
    pairs.enumerate().with_max_len(1).for_each(|(i, (a, b))| with_forced(level, || f(i, a, b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_depend_on_threads() {
        const COUNT: usize = if cfg!(miri) { 30 } else { 1000 };
        let want: Vec<usize> = (0..COUNT).collect();
        for threads in [1, 2, 3, 8] {
            let pool = Threads::new(threads).unwrap();
            assert_eq!(pool.run(|| map(COUNT, |i| i)), want[..]);
            let mut chunks = vec![0; COUNT];
            pool.run(|| for_each_chunk(&mut chunks, 7, |i, c| c.fill(i)));
            assert!(chunks.iter().enumerate().all(|(at, &i)| i == at / 7));
            let sum = std::sync::atomic::AtomicUsize::new(0);
            pool.run(|| {
                for_each_index(COUNT, |i| {
                    sum.fetch_add(i, std::sync::atomic::Ordering::Relaxed);
                });
            });
            assert_eq!(sum.into_inner(), want.iter().sum::<usize>());
            assert_eq!(pool.run(super::threads), threads);
        }
    }

    #[test]
    fn pairs_are_cut_alike() {
        let (mut a, mut b) = (vec![0; 10], vec![0; 5]);
        for_each_chunk_pair((&mut a, 4), (&mut b, 2), |i, a, b| {
            a.fill(i);
            b.fill(a.len());
        });
        assert_eq!((a, b), (vec![0, 0, 0, 0, 1, 1, 1, 1, 2, 2], vec![4, 4, 4, 4, 2]));
        for_each_chunk_pair::<u8, u8>((&mut [], 0), (&mut [], 0), |_, _, _| unreachable!());
    }

    #[test]
    fn zero_and_absurd_numbers_of_threads_are_errors() {
        assert_eq!(Threads::new(0).unwrap_err().to_string(), "threads: expected 1 to 1024 threads, got 0");
        assert!(Threads::new(1_000_000).is_err());
    }
}
