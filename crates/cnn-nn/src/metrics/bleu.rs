//! BLEU: how much a sentence has in common with those that people wrote.

use crate::NnError;
use std::collections::BTreeMap;

/// The longest runs of words that are compared.
const LONGEST: usize = 4;

/// BLEU-1 to BLEU-4 of a corpus (Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation"): the
/// numbers of NLTK's `corpus_bleu` with equal weights and without smoothing.
///
/// ```text
/// p_n    = runs of n words of all candidates that are in a reference, counted at most as often as there / all runs of n words
/// BLEU-N = min(1, exp(1 - r / c)) * (p_1 ... p_N) ^ (1 / N)
/// ```
///
/// `c` is the number of words of all candidates, `r` that of the references, for each candidate the one of the closest length, the
/// shorter of two. The counts of all candidates are added before they are divided, so BLEU of a corpus is not the mean over its
/// sentences. As in NLTK, a candidate of fewer than `n` words counts as one run of `n` that is not found, and where no run of `n`
/// words is found at all, `p_n` is the smallest normal number.
///
/// ```
/// use cnn_nn::metrics::Bleu;
/// let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
/// let mut bleu = Bleu::default();
/// bleu.add(&words("a dog runs on grass"), &[words("a dog runs on the grass"), words("a brown dog is running")])?;
/// let [one, two, three, four] = bleu.scores();
/// // All words are there; 3 of 4 pairs, 2 of 3 triples, 1 of 2 runs of four.
/// assert!((one - 1.0).abs() < 1e-12 && (two - 0.75f64.sqrt()).abs() < 1e-12);
/// assert!((four - (0.75f64 * 2.0 / 3.0 * 0.5).powf(0.25)).abs() < 1e-12 && three > four);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bleu {
    /// Runs of 1 to 4 words that were found.
    found: [u64; LONGEST],
    /// All runs of 1 to 4 words.
    runs: [u64; LONGEST],
    /// The words of the candidates, and of the references of the closest lengths.
    lengths: [u64; 2],
}

/// The references of a sentence, counted once for many candidates.
#[derive(Clone, Debug)]
pub struct References<'a, T> {
    /// For each length, how often a run occurs in the reference in which it occurs most.
    most: [BTreeMap<&'a [T], u64>; LONGEST],
    lengths: Vec<usize>,
}

impl<'a, T: Ord> References<'a, T> {
    /// These references.
    ///
    /// # Errors
    /// There are none.
    pub fn new<R: AsRef<[T]>>(references: &'a [R]) -> Result<Self, NnError> {
        if references.is_empty() {
            let (what, rule) = ("the references of a sentence", "at least one");
            return Err(NnError::Setting { what, rule, got: "none".into() });
        }
        let most = std::array::from_fn(|n| {
            let mut most: BTreeMap<&[T], u64> = BTreeMap::new();
            for (run, count) in references.iter().flat_map(|reference| counts(reference.as_ref(), n + 1)) {
                let most = most.entry(run).or_default();
                *most = count.max(*most);
            }
            most
        });
        Ok(Self { most, lengths: references.iter().map(|reference| reference.as_ref().len()).collect() })
    }

    /// The length closest to `length`, of two the shorter.
    fn closest(&self, length: usize) -> usize {
        let lengths = self.lengths.iter().copied();
        lengths.min_by_key(|own| (own.abs_diff(length), *own)).expect("at least one reference")
    }
}

impl Bleu {
    /// Adds a candidate with its references.
    ///
    /// # Errors
    /// There are no references.
    pub fn add<T: Ord, R: AsRef<[T]>>(&mut self, candidate: &[T], references: &[R]) -> Result<(), NnError> {
        self.add_counted(candidate, &References::new(references)?);
        Ok(())
    }

    /// Adds a candidate whose references are counted already.
    pub fn add_counted<T: Ord>(&mut self, candidate: &[T], references: &References<'_, T>) {
        let length = candidate.len();
        self.lengths[0] += length as u64;
        self.lengths[1] += references.closest(length) as u64;
        for (n, most) in references.most.iter().enumerate() {
            let own = counts(candidate, n + 1);
            let found = |(run, count): (&&[T], &u64)| most.get(*run).map_or(0, |most| *count.min(most));
            self.found[n] += own.iter().map(found).sum::<u64>();
            self.runs[n] += own.values().sum::<u64>().max(1);
        }
    }

    /// BLEU-1 to BLEU-4, each 0 to 1; all 0 if no word was found.
    pub fn scores(&self) -> [f64; LONGEST] {
        let [candidate, reference] = self.lengths.map(|length| length as f64);
        if self.found[0] == 0 {
            return [0.0; LONGEST];
        }
        let brevity = if candidate > reference { 1.0 } else { (1.0 - reference / candidate).exp() };
        let logarithm = |n: usize| match self.found[n] {
            0 => f64::MIN_POSITIVE.ln(),
            found => (found as f64 / self.runs[n] as f64).ln(),
        };
        let mut sum = 0.0;
        std::array::from_fn(|n| {
            sum += logarithm(n);
            brevity * (sum / (n + 1) as f64).exp()
        })
    }

    /// BLEU-1 to BLEU-4 of one sentence.
    ///
    /// # Errors
    /// There are no references.
    pub fn of<T: Ord, R: AsRef<[T]>>(candidate: &[T], references: &[R]) -> Result<[f64; LONGEST], NnError> {
        let mut bleu = Self::default();
        bleu.add(candidate, references)?;
        Ok(bleu.scores())
    }
}

/// How often each run of `n` words occurs.
fn counts<T: Ord>(words: &[T], n: usize) -> BTreeMap<&[T], u64> {
    let mut counts = BTreeMap::new();
    words.windows(n).for_each(|run| *counts.entry(run).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_two_lengths_equally_close_counts() {
        let mut bleu = Bleu::default();
        bleu.add(&[1, 2, 3], &[vec![1, 2, 3, 4], vec![1, 2]]).unwrap();
        assert_eq!((bleu.lengths, bleu.found, bleu.runs), ([3, 2], [3, 2, 1, 0], [3, 2, 1, 1]));
        let [.., three, four] = bleu.scores();
        assert!(three == 1.0 && four < 1e-70, "{three} {four}");
    }

    #[test]
    fn nothing_in_common_is_0_and_no_references_are_an_error() {
        assert_eq!(Bleu::of(&["a"], &[["b"]]).unwrap(), [0.0; 4]);
        assert_eq!(Bleu::of::<u8, [u8; 0]>(&[], &[[]]).unwrap(), [0.0; 4]);
        let fault = Bleu::of::<u8, [u8; 0]>(&[1], &[]).unwrap_err().to_string();
        assert_eq!(fault, "the references of a sentence must be at least one, got none");
        assert_eq!(Bleu::default().scores(), [0.0; 4]);
    }
}
