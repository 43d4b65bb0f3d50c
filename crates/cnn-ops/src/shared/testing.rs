//! Helpers for the tests of all operations.

use crate::Padding;
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::{Random, Shape, Tensor};
use proptest::prelude::*;
use std::sync::LazyLock;

/// The usual configuration, which `PROPTEST_CASES` changes, but with as many options drawn and refused as it takes.
pub(crate) fn any_number_of_rejects() -> ProptestConfig {
    ProptestConfig { max_global_rejects: u32::MAX, max_local_rejects: u32::MAX, ..ProptestConfig::default() }
}

/// Runs `f` once at each SIMD level of this CPU.
pub(crate) fn at_every_level(f: impl Fn()) {
    for &level in Level::all() {
        with_level(level, &f);
    }
}

/// Runs `f` at each SIMD level of this CPU, on one thread and on three: how property tests look at an operation. That
/// work is really cut, small as their shapes are, is [`crate::shared::work`]'s doing.
pub(crate) fn everywhere(f: impl Fn() + Sync) {
    everywhere_on_threads(&f);
}

// As in `cnn_tensor::parallel`, compiled once instead of for each test.
fn everywhere_on_threads(f: &(dyn Fn() + Sync)) {
    static POOLS: LazyLock<[Threads; 2]> = LazyLock::new(|| [1, 3].map(|n| Threads::new(n).unwrap()));
    for &level in Level::all() {
        for pool in &*POOLS {
            with_level(level, || pool.run(f));
        }
    }
}

/// Whole numbers from `-bound` to `bound`: their sums and products are exact in f32 in any order, as long as they stay
/// below 2^24, so that a result either equals the definition or is wrong.
pub(crate) fn whole_numbers(shape: impl Into<Shape>, bound: usize, seed: u64) -> Tensor {
    let mut random = Random::new(seed, &["whole numbers"]);
    let mut x = Tensor::zeros(shape);
    x.data_mut().iter_mut().for_each(|x| *x = random.below(2 * bound + 1) as f32 - bound as f32);
    x
}

/// Asserts that every element equals the oracle's exactly.
#[track_caller]
pub(crate) fn assert_exact(what: &str, got: &Tensor, want: &[f64]) {
    assert_eq!(got.data().len(), want.len(), "number of elements of {what} {}", got.shape());
    let wrong = got.data().iter().zip(want).position(|(&got, &want)| f64::from(got) != want);
    if let Some(i) = wrong {
        panic!("{what}[{i}] of {}: got {}, want exactly {}", got.shape(), got.data()[i], want[i]);
    }
}

/// Asserts that `f` gives the same bits on 1, 2 and 3 threads.
#[track_caller]
pub(crate) fn assert_same_bits_on_any_threads(f: impl Fn() -> Vec<Tensor> + Sync) {
    same_bits_on_any_threads(&f);
}

#[track_caller]
fn same_bits_on_any_threads(f: &(dyn Fn() -> Vec<Tensor> + Sync)) {
    let bits = |threads| {
        let results = Threads::new(threads).unwrap().run(f);
        results.iter().map(|y| y.data().iter().map(|v| v.to_bits()).collect()).collect::<Vec<Vec<_>>>()
    };
    let one = bits(1);
    assert!(!one.is_empty());
    assert!(one == bits(2) && one == bits(3), "results depend on the number of threads");
}

/// Extents and options from the whole range of `usize`, most of them small: for absurd descriptions.
pub(crate) fn any_extent() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..6usize,
        1 => prop::sample::select(vec![usize::MAX, usize::MAX - 1, usize::MAX / 2, 1 << 32, (1 << 32) - 1, 1 << 28]),
        1 => any::<usize>(),
    ]
}

/// Padding in each of its forms, with numbers below `bound`; mostly little of it.
pub(crate) fn any_padding(bound: usize) -> impl Strategy<Value = Padding> {
    use prop::array::uniform2;
    let side = move || prop_oneof![3 => 0..2usize, 1 => 0..bound];
    prop_oneof![
        2 => uniform2(side()).prop_map(Padding::from),
        2 => uniform2(uniform2(side())).prop_map(Padding::from),
        1 => Just(Padding::Same),
        1 => Just(Padding::SameLower),
        1 => Just(Padding::Valid),
    ]
}

/// Shapes of every rank with such extents.
pub(crate) fn any_shape() -> impl Strategy<Value = Shape> {
    let dims = prop::collection::vec(any_extent(), 0..=Shape::MAX_RANK);
    dims.prop_map(|dims| match *dims {
        [] => Shape::from([]),
        [a] => [a].into(),
        [a, b] => [a, b].into(),
        [a, b, c] => [a, b, c].into(),
        [a, b, c, d] => [a, b, c, d].into(),
        [a, b, c, d, e] => [a, b, c, d, e].into(),
        [a, b, c, d, e, f, ..] => [a, b, c, d, e, f].into(),
    })
}
