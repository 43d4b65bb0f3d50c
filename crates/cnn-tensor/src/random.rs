//! Seeded random numbers: one seed, any number of independent streams.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

/// A stream of random numbers that is the same on every machine and for every number of threads.
///
/// A stream is named by a seed and a path; different paths give independent streams, so a dropout layer, say,
/// draws the same mask in step 500 whether or not the run was interrupted at step 499.
/// The generator is ChaCha with 8 rounds.
///
/// ```
/// use cnn_tensor::Random;
/// let mut order = [0, 1, 2, 3, 4];
/// Random::new(1, &["shuffle", "epoch 3"]).shuffle(&mut order);
/// let mut again = [0, 1, 2, 3, 4];
/// Random::new(1, &["shuffle", "epoch 3"]).shuffle(&mut again);
/// assert_eq!(order, again);
/// ```
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `seed` named by `path`.
    pub fn new(seed: u64, path: &[&str]) -> Self {
        let mut state = splitmix(seed);
        for name in path {
            for &byte in name.as_bytes() {
                state = splitmix(state ^ u64::from(byte));
            }
            // A separator that is no byte, so that ["ab"] and ["a", "b"] differ.
            state = splitmix(state ^ 0x100);
        }
        Self(ChaCha8Rng::seed_from_u64(state))
    }

    /// Fills `out` with numbers uniform in `[-bound, bound)`; with zeros if `bound` is 0.
    ///
    /// # Panics
    /// `bound` is negative or not finite.
    pub fn fill_uniform(&mut self, bound: f32, out: &mut [f32]) {
        assert!(bound >= 0.0 && bound.is_finite(), "a bound of {bound}");
        if bound == 0.0 {
            return out.fill(0.0);
        }
        let uniform = Uniform::new(-bound, bound).expect("checked above");
        out.iter_mut().for_each(|v| *v = uniform.sample(&mut self.0));
    }

    /// Fills `out` with numbers from the normal distribution of mean 0 and the given standard deviation.
    pub fn fill_normal(&mut self, deviation: f32, out: &mut [f32]) {
        out.iter_mut().for_each(|v| {
            let z: f32 = StandardNormal.sample(&mut self.0);
            *v = deviation * z;
        });
    }

    /// Puts `items` into a random order, each order equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// A number uniform in `0..end`.
    ///
    /// # Panics
    /// `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        Uniform::new(0, end).expect("an end above 0").sample(&mut self.0)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that mixes all bits.
fn splitmix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        (mean, values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n)
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut v = vec![0.0; 200_000];
        Random::new(0, &["test"]).fill_normal(2.0, &mut v);
        let (mean, variance) = moments(&v);
        assert!(mean.abs() < 0.02 && (variance - 4.0).abs() < 0.05, "{mean} {variance}");
        Random::new(0, &["test"]).fill_uniform(3.0, &mut v);
        let (mean, variance) = moments(&v);
        assert!(mean.abs() < 0.02 && (variance - 3.0).abs() < 0.05, "{mean} {variance}");
        assert!(v.iter().all(|v| v.abs() <= 3.0));
    }

    #[test]
    fn paths_and_seeds_name_different_streams() {
        let first = |seed, path: &[&str]| Random::new(seed, path).below(usize::MAX);
        let all =
            [first(0, &["ab"]), first(0, &["a", "b"]), first(0, &["a"]), first(1, &["ab"]), first(0, &[])];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    /// A released stream must not change: saved runs are resumed with it.
    #[test]
    fn streams_are_stable() {
        let mut v = [0.0; 4];
        Random::new(42, &["stable"]).fill_uniform(1.0, &mut v);
        assert_eq!(v.map(f32::to_bits), STABLE_UNIFORM, "{:#x?}", v.map(f32::to_bits));
        Random::new(42, &["stable"]).fill_normal(1.0, &mut v);
        assert_eq!(v.map(f32::to_bits), STABLE_NORMAL, "{:#x?}", v.map(f32::to_bits));
    }
    const STABLE_UNIFORM: [u32; 4] = [0xbee3_d098, 0xbe2e_e380, 0x3f09_c35c, 0xbead_0178];
    const STABLE_NORMAL: [u32; 4] = [0xbe97_6f74, 0xbec1_78c9, 0x3eb0_6fa5, 0x3d7b_f2e8];
}
