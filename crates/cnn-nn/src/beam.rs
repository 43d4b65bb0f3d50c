//! Beam search: likely sentences of a network that tells one word after the other.

use crate::{NnError, Tensors};
use cnn_ops::softmax::log_softmax;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A search for the likeliest sentences, word by word. After each word, the `width` likeliest beginnings are kept; a sentence that
/// has ended keeps its place among them, as in the programs of Xu et al. 2015. With `width` 1 this is the greedy choice of the
/// likeliest word at each step.
///
/// A sentence of `n` words and its end has the probability of its `n + 1` steps, and the score
/// `log_probability / (n + 1) ^ length_power`: with a power of 0 short sentences win, with 1 the mean of the logarithms counts.
/// Probabilities are added in f64. Of equal ones, the beginning that was likelier before comes first, then the word of the lower
/// number. So the answer does not depend on chance or on threads.
///
/// ```
/// use cnn_nn::Beam;
/// use cnn_tensor::Tensor;
/// // Words: 0 is the end, 1 begins a sentence. After 1 comes 2, after 2 comes 3, and so on.
/// let step = |words: &[u32], state| {
///     let mut logits = Tensor::zeros([words.len(), 5]);
///     for (row, &word) in logits.data_mut().chunks_exact_mut(5).zip(words) {
///         row[(word as usize + 1) % 5] = 3.0;
///     }
///     Ok((logits, state))
/// };
/// let beam = Beam { width: 3, ..Beam::new(0) };
/// let sentences = beam.search(1, Default::default(), step)?;
/// assert_eq!(sentences[0].words, [2, 3, 4]);
/// assert!(sentences.len() == 3 && sentences[0].score >= sentences[1].score);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beam {
    /// How many beginnings are kept; 1 to 100.
    pub width: usize,
    /// The most words of a sentence, the end not counted; 1 to 1,000. One that is as long can only end.
    pub longest: usize,
    /// The power of the length by which the logarithm of the probability is divided; 0 to 4.
    pub length_power: f64,
    /// The word that ends a sentence.
    pub end: u32,
    /// Words that never occur.
    pub never: Vec<u32>,
}

/// A sentence that a [`Beam`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// The words, without the end.
    pub words: Vec<u32>,
    /// The natural logarithm of the sentence's probability, its end included.
    pub log_probability: f64,
    /// The number that ranks it, at most 0.
    pub score: f64,
}

impl Sentence {
    /// The probability of the sentence, 0 to 1.
    pub fn probability(&self) -> f64 {
        self.log_probability.exp()
    }
}

/// The beginning of a sentence.
struct Begun {
    words: Vec<u32>,
    log_probability: f64,
}

impl Beam {
    /// A width of 5, at most 20 words, and scores that are means.
    pub fn new(end: u32) -> Self {
        Self { width: 5, longest: 20, length_power: 1.0, end, never: Vec::new() }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// One is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let refuse = |what, rule, got: String| Err(NnError::Setting { what, rule, got });
        if !(1..=100).contains(&self.width) {
            return refuse("the width of a beam", "1 to 100", self.width.to_string());
        }
        if !(1..=1000).contains(&self.longest) {
            return refuse("the length of the longest sentence", "1 to 1000", self.longest.to_string());
        }
        if !(0.0..=4.0).contains(&self.length_power) {
            return refuse("the power of the length", "0 to 4", self.length_power.to_string());
        }
        Ok(())
    }

    /// The sentences that the search finds, at most `width` of them, those of the highest scores first.
    ///
    /// `step` gets the last word of each beginning, first the word `first` alone, and the network's state, tensors
    /// `[beginnings, ...]`, first `state` with one row. It returns the logits of the next word, `[beginnings, words]`, and the
    /// next state.
    ///
    /// # Errors
    /// A setting is outside its range, `step` fails or its tensors do not fit, a logit is not a number, or `end` is not a word.
    pub fn search(
        &self,
        first: u32,
        state: Tensors,
        mut step: impl FnMut(&[u32], Tensors) -> Result<(Tensor, Tensors), NnError>,
    ) -> Result<Vec<Sentence>, NnError> {
        self.validate()?;
        let mut begun = vec![Begun { words: Vec::new(), log_probability: 0.0 }];
        let mut state = state;
        let mut ended: Vec<Sentence> = Vec::new();
        for length in 0..=self.longest {
            let last: Vec<u32> =
                begun.iter().map(|begun| begun.words.last().copied().unwrap_or(first)).collect();
            let (logits, next) = step(&last, std::mem::take(&mut state))?;
            let words = self.words(&logits, begun.len())?;
            let log_probabilities = log_softmax(&logits)?;
            let mut continuations = Vec::with_capacity(begun.len() * words);
            for (parent, row) in log_probabilities.data().chunks_exact(words).enumerate() {
                if row.iter().any(|v| v.is_nan()) {
                    let (what, rule) = ("the logits of a word", "numbers");
                    return Err(NnError::Setting { what, rule, got: "NaN".into() });
                }
                let before = begun[parent].log_probability;
                let may_follow =
                    |word: u32| word == self.end || (length < self.longest && !self.never.contains(&word));
                let new = (0..).zip(row).filter(|(word, v)| may_follow(*word) && **v > f32::NEG_INFINITY);
                continuations.extend(new.map(|(word, v)| (before + f64::from(*v), parent, word)));
            }
            let order = |a: &(f64, usize, u32), b: &(f64, usize, u32)| {
                b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))
            };
            let places = self.width - ended.len();
            if continuations.len() > places {
                continuations.select_nth_unstable_by(places - 1, order);
                continuations.truncate(places);
            }
            continuations.sort_unstable_by(order);
            let mut parents = Vec::new();
            let mut longer = Vec::new();
            for (log_probability, parent, word) in continuations {
                let mut words = begun[parent].words.clone();
                if word == self.end {
                    let score = log_probability / ((words.len() + 1) as f64).powf(self.length_power);
                    ended.push(Sentence { words, log_probability, score });
                } else {
                    words.push(word);
                    parents.push(parent);
                    longer.push(Begun { words, log_probability });
                }
            }
            if longer.is_empty() {
                break;
            }
            state =
                next.iter().map(|tensor| rows(tensor, begun.len(), &parents)).collect::<Result<_, _>>()?;
            begun = longer;
        }
        // The sort is stable: of equal scores, the sentence that ended first comes first.
        ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(ended)
    }

    /// The number of words that the logits are of.
    fn words(&self, logits: &Tensor, begun: usize) -> Result<usize, NnError> {
        match *logits.shape().dims() {
            [n, words] if n == begun && words > self.end as usize => Ok(words),
            _ => {
                let (what, rule) = ("the logits of the next word", "[beginnings, words], the end among them");
                let got = format!("{} for {begun} and end {}", logits.shape(), self.end);
                Err(NnError::Setting { what, rule, got })
            }
        }
    }
}

/// The rows of these numbers of a tensor of `n` rows.
fn rows(tensor: &Tensor, n: usize, numbers: &[usize]) -> Result<Tensor, NnError> {
    let shape = tensor.shape();
    if shape.rank() == 0 || shape.batch() != n {
        let (what, rule) = ("the state of sentences", "a row for each");
        return Err(NnError::Setting { what, rule, got: format!("{shape} for {n}") });
    }
    let length = shape.numel() / n;
    let data = numbers.iter().flat_map(|&row| &tensor.data()[row * length..(row + 1) * length]);
    let taken: Shape = shape.with_batch(numbers.len());
    Ok(Tensor::from_vec(taken, data.copied().collect())?)
}

#[cfg(test)]
mod tests;
