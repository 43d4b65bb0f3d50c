//! Seeded random numbers, with any number of independent streams for one seed.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, StandardNormal, StandardUniform, Uniform};

/// A stream of random numbers that is the same on every machine and for every number of threads.
///
/// A stream is named by a seed and a path, and different paths give independent streams. So a dropout layer, for example, draws
/// the same mask in step 500 whether or not the run was interrupted at step 499. The generator is ChaCha with 8 rounds.
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
            // A separator that is not a byte, so that ["ab"] and ["a", "b"] differ.
            state = splitmix(state ^ 0x100);
        }
        Self(ChaCha8Rng::seed_from_u64(state))
    }

    /// Fills `out` with numbers uniform in `[-bound, bound)`, or with zeros if `bound` is 0.
    ///
    /// ```
    /// # use cnn_tensor::Random;
    /// let mut weights = [0.0; 100];
    /// Random::new(0, &["weights"]).fill_uniform(0.1, &mut weights);
    /// assert!(weights.iter().all(|w| w.abs() <= 0.1));
    /// ```
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

    /// Fills `out` with numbers from the normal distribution of mean 0 and standard deviation `deviation`.
    pub fn fill_normal(&mut self, deviation: f32, out: &mut [f32]) {
        out.iter_mut().for_each(|v| {
            let z: f32 = StandardNormal.sample(&mut self.0);
            *v = deviation * z;
        });
    }

    /// Puts `items` into a random order. All orders are equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// A number uniform in `0..end`.
    ///
    /// ```
    /// # use cnn_tensor::Random;
    /// assert!(Random::new(0, &["die"]).below(6) < 6);
    /// ```
    ///
    /// # Panics
    /// `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        Uniform::new(0, end).expect("an end above 0").sample(&mut self.0)
    }

    /// A number uniform in `[low, high)`, or `low` if that range is empty.
    ///
    /// # Panics
    /// A bound is not finite, or `high` is below `low`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        assert!(low.is_finite() && high.is_finite() && low <= high, "from {low} to {high}");
        let unit: f32 = StandardUniform.sample(&mut self.0);
        let value = low + unit * (high - low);
        // Rounding may reach the upper bound.
        if value < high { value } else { low }
    }

    /// A number from the normal distribution of mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// `true` with probability `p`: never if `p` is 0 or NaN, always if it is 1.
    pub fn chance(&mut self, p: f32) -> bool {
        let unit: f32 = StandardUniform.sample(&mut self.0);
        unit < p
    }

    /// A number in `[0, 1]` from the beta distribution with both parameters `alpha`. A small `alpha` gives numbers near 0 or 1, a
    /// large one numbers near 1/2.
    ///
    /// # Panics
    /// `alpha` is not above 0.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        Beta::new(alpha, alpha).expect("an alpha above 0").sample(&mut self.0)
    }

    /// Fills `out` with bits that are 1 with probability `p`, each independently of the others.
    ///
    /// The probability is exact: a bit is 1 if a number uniform in `[0, 1)` is below `p`. This number is drawn one binary digit at
    /// a time, until the comparison is decided. A word of 64 bits takes about 7 random words, and exactly one if `p` is 1/2.
    ///
    /// ```
    /// # use cnn_tensor::Random;
    /// let mut bits = [0; 1000];
    /// Random::new(0, &["coins"]).fill_bits(0.25, &mut bits);
    /// let ones: u32 = bits.iter().map(|word| word.count_ones()).sum();
    /// assert!((15_500..16_500).contains(&ones));
    /// ```
    ///
    /// # Panics
    /// `p` is not in `[0, 1]`.
    pub fn fill_bits(&mut self, p: f64, out: &mut [u64]) {
        assert!((0.0..=1.0).contains(&p), "a probability of {p}");
        if p == 1.0 {
            return out.fill(u64::MAX);
        }
        for word in out {
            *word = 0;
            // The bits whose numbers have had the digits of `p` so far, and the remaining digits of `p` as a fraction.
            let (mut undecided, mut rest) = (u64::MAX, p);
            while undecided != 0 && rest > 0.0 {
                let digits = self.0.next_u64();
                rest *= 2.0;
                if rest >= 1.0 {
                    rest -= 1.0;
                    *word |= undecided & !digits;
                    undecided &= digits;
                } else {
                    undecided &= !digits;
                }
            }
        }
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
    fn single_draws_have_their_ranges_and_moments() {
        let mut random = Random::new(0, &["single"]);
        let mut draw =
            |f: fn(&mut Random) -> f32| -> Vec<f32> { (0..50_000).map(|_| f(&mut random)).collect() };
        let uniform = draw(|r| r.uniform(-1.0, 3.0));
        assert!(uniform.iter().all(|v| (-1.0..3.0).contains(v)));
        let (mean, variance) = moments(&uniform);
        assert!((mean - 1.0).abs() < 0.03 && (variance - 16.0 / 12.0).abs() < 0.03, "{mean} {variance}");
        let (mean, variance) = moments(&draw(Random::normal));
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
        let (mean, _) = moments(&draw(|r| f32::from(u8::from(r.chance(0.3)))));
        assert!((mean - 0.3).abs() < 0.02, "{mean}");
        let (mean, variance) = moments(&draw(|r| r.beta(0.2) as f32));
        // Of the beta distribution: 1/2, and 1 / (4 (2 alpha + 1)).
        assert!((mean - 0.5).abs() < 0.02 && (variance - 1.0 / 5.6).abs() < 0.01, "{mean} {variance}");
        assert_eq!(random.uniform(2.0, 2.0), 2.0);
        assert!(!(0..100).any(|_| random.chance(0.0)) && (0..100).all(|_| random.chance(1.0)));
    }

    #[test]
    fn paths_and_seeds_name_different_streams() {
        let first = |seed, path: &[&str]| Random::new(seed, path).below(usize::MAX);
        let all =
            [first(0, &["ab"]), first(0, &["a", "b"]), first(0, &["a"]), first(1, &["ab"]), first(0, &[])];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    /// Streams must never change, because saved runs are resumed with them.
    #[test]
    fn streams_are_stable() {
        let mut v = [0.0; 4];
        Random::new(42, &["stable"]).fill_uniform(1.0, &mut v);
        assert_eq!(v.map(f32::to_bits), STABLE_UNIFORM, "{:#x?}", v.map(f32::to_bits));
        Random::new(42, &["stable"]).fill_normal(1.0, &mut v);
        assert_eq!(v.map(f32::to_bits), STABLE_NORMAL, "{:#x?}", v.map(f32::to_bits));
        let mut bits = [[0; 2]; 2];
        Random::new(42, &["stable"]).fill_bits(0.5, &mut bits[0]);
        Random::new(42, &["stable"]).fill_bits(0.3, &mut bits[1]);
        assert_eq!(bits, STABLE_BITS, "{bits:#x?}");
    }
    const STABLE_UNIFORM: [u32; 4] = [0xbee3_d098, 0xbe2e_e380, 0x3f09_c35c, 0xbead_0178];
    const STABLE_NORMAL: [u32; 4] = [0xbe97_6f74, 0xbec1_78c9, 0x3eb0_6fa5, 0x3d7b_f2e8];
    const STABLE_BITS: [[u64; 2]; 2] =
        [[0x95dc_6f57_b8f4_259b, 0xab40_5ddc_3b1e_5042], [0x9148_4d56_3814_0002, 0x0c52_029d_4090_5084]];

    /// Within five standard deviations of the number expected, at every position of a word and for neighbours.
    #[test]
    fn bits_have_their_probability_and_are_independent() {
        const WORDS: usize = 20_000;
        let near = |ones: u32, p: f64| {
            let deviation = (WORDS as f64 * p * (1.0 - p)).sqrt();
            (f64::from(ones) - WORDS as f64 * p).abs() <= 5.0 * deviation
        };
        for (seed, p) in [0.0, 1e-3, 0.1, 0.25, 1.0 / 3.0, 0.5, 0.75, 0.9, 1.0].into_iter().enumerate() {
            let mut words = vec![0; WORDS];
            Random::new(seed as u64, &["bits"]).fill_bits(p, &mut words);
            let ones =
                |of: &dyn Fn(usize) -> u64, bit: u32| (0..WORDS).map(|i| (of(i) >> bit & 1) as u32).sum();
            for bit in 0..64 {
                let next = (bit + 1) % 64;
                assert!(near(ones(&|i| words[i], bit), p), "bit {bit} at {p}");
                let both = |i: usize| words[i] & words[i].rotate_right(1);
                assert!(near(ones(&both, bit), p * p), "bits {bit} and {next} at {p}");
                let successive = |i: usize| words[i] & words[(i + 1) % WORDS];
                assert!(near(ones(&successive, bit), p * p), "bit {bit} in successive words at {p}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "a probability of 1.5")]
    fn a_probability_above_1_is_refused() {
        Random::new(0, &[]).fill_bits(1.5, &mut []);
    }
}
