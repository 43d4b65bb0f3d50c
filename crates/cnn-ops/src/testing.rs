//! What the tests of all operations share.

use cnn_tensor::Tensor;
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use proptest::prelude::ProptestConfig;

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

/// Asserts that `f` gives the same bits on 1, 2 and 3 threads.
#[track_caller]
pub(crate) fn assert_same_bits_on_any_threads(f: impl Fn() -> Vec<Tensor> + Sync) {
    let bits = |threads| {
        let results = Threads::new(threads).unwrap().run(&f);
        results.iter().map(|y| y.data().iter().map(|v| v.to_bits()).collect()).collect::<Vec<Vec<_>>>()
    };
    let one = bits(1);
    assert!(!one.is_empty());
    assert!(one == bits(2) && one == bits(3), "results depend on the number of threads");
}
