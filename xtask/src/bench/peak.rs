//! The most that the running CPU's multiply-add units can do: what every rate is a share of.

use super::works::{Prepared, Tally};
use cnn_tensor::parallel;
use cnn_tensor::simd::{Level, Simd};
use std::hint::black_box;

/// Fused multiply-adds on registers alone, on `threads` threads.
pub fn fma_peak(threads: usize) -> Prepared {
    /// Pieces for each thread, so that one that is held up does not hold up the others.
    const PIECES: usize = 16;
    /// Steps of each chain in a piece.
    const STEPS: usize = 1 << 15;
    let pieces = PIECES * threads;
    let macs = multiply_adds(Level::current(), STEPS).1 * pieces as u64;
    let run = move || {
        let level = Level::current();
        parallel::map(pieces, |_| black_box(multiply_adds(level, black_box(STEPS)).0));
        Ok(())
    };
    Prepared::new(Tally::Macs(macs), run)
}

cnn_tensor::kernel! {
    /// Chains of multiply-adds, and how many multiply-adds they were.
    fn multiply_adds<S>(s, steps: usize) -> (f32, u64) {
        if S::REGISTERS >= 32 { chains::<S, 24>(s, steps) } else { chains::<S, 12>(s, steps) }
    }
}

/// `CHAINS` chains that do not wait for each other: enough to hide the latency of two to four units, few enough to stay in
/// registers.
#[inline(always)]
fn chains<S: Simd, const CHAINS: usize>(s: S, steps: usize) -> (f32, u64) {
    // Each converges to 1 from a start of its own; equal ones would be computed once.
    let (factor, summand) = (s.splat(black_box(0.5)), s.splat(black_box(0.5)));
    let mut chains = [s.splat(0.0); CHAINS];
    for (i, chain) in chains.iter_mut().enumerate() {
        *chain = s.splat(black_box(1.0 + i as f32));
    }
    for _ in 0..steps {
        for chain in &mut chains {
            *chain = s.mul_add(*chain, factor, summand);
        }
    }
    let mut total = s.splat(0.0);
    for chain in chains {
        total = s.add(total, chain);
    }
    (s.sum(total), (steps * CHAINS * S::LANES) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_do_what_is_counted() {
        for &level in Level::all() {
            let (sum, macs) = multiply_adds(level, 100);
            // Every lane of every chain has converged to 1.
            assert_eq!(macs, 100 * sum as u64, "{level:?}");
        }
    }
}
