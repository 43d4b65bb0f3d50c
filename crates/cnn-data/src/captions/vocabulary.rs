//! Words of sentences, and their numbers.

use crate::DataError;
use std::collections::{BTreeMap, BTreeSet};

/// The words of a sentence: in lower case, without punctuation. Words are what spaces part; of each, letters and digits remain.
///
/// ```
/// use cnn_data::words;
/// assert_eq!(words("A tri-colored dog 's ball , there !"), ["a", "tricolored", "dog", "s", "ball", "there"]);
/// ```
pub fn words(sentence: &str) -> Vec<String> {
    let plain = |word: &str| -> String {
        word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    sentence.split_whitespace().map(plain).filter(|word| !word.is_empty()).collect()
}

/// The words that a network knows, by number. Numbers 0 to 2 are no words of sentences: the end of a sentence, its beginning, and
/// any word that is not known.
///
/// ```
/// use cnn_data::{Vocabulary, words};
/// let captions = ["A dog runs .", "A dog and a cat ."].map(words);
/// let vocabulary = Vocabulary::of(&captions, 2);
/// assert_eq!(vocabulary.words(), ["<end>", "<begin>", "<unknown>", "a", "dog"]);
/// let numbers = vocabulary.numbers(&words("A cat"));
/// assert_eq!(numbers, [3, Vocabulary::UNKNOWN]);
/// assert_eq!(vocabulary.sentence(&numbers), "a <unknown>");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

/// The names of the first numbers; no word of a sentence has brackets.
const MARKS: [&str; 3] = ["<end>", "<begin>", "<unknown>"];

impl Vocabulary {
    /// The end of a sentence.
    pub const END: u32 = 0;
    /// The beginning of a sentence.
    pub const BEGIN: u32 = 1;
    /// Any word that is not known.
    pub const UNKNOWN: u32 = 2;

    /// The words that occur at least `least` times in these sentences, the most frequent first; of equally frequent ones, in the
    /// order of the alphabet.
    pub fn of<S: AsRef<[String]>>(sentences: impl IntoIterator<Item = S>, least: usize) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for sentence in sentences {
            for word in sentence.as_ref() {
                *counts.entry(word.clone()).or_default() += 1;
            }
        }
        let mut known: Vec<(String, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= least).collect();
        known.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let known = known.into_iter().map(|(word, _)| word);
        Self::numbered(MARKS.iter().map(ToString::to_string).chain(known).collect())
    }

    /// The vocabulary with these [`Vocabulary::words`].
    ///
    /// # Errors
    /// The first three are not the marks of the end, the beginning and unknown words, or a word occurs twice.
    pub fn from_words(words: Vec<String>) -> Result<Self, DataError> {
        let refuse = |got: String| {
            let rule = format!("{}, then other words, each once", MARKS.join(", "));
            Err(DataError::Setting { what: "the words of a vocabulary", rule, got })
        };
        if words.len() < MARKS.len() || words[..MARKS.len()] != MARKS {
            let few: Vec<&str> = words.iter().take(3).map(String::as_str).collect();
            return refuse(format!("{} words, the first of them {}", words.len(), few.join(", ")));
        }
        let mut seen = BTreeSet::new();
        if let Some(word) = words.iter().find(|word| !seen.insert(word.as_str())) {
            return refuse(format!("{word} twice"));
        }
        Ok(Self::numbered(words))
    }

    fn numbered(words: Vec<String>) -> Self {
        let numbers = words.iter().cloned().zip(0..).collect();
        Self { words, numbers }
    }

    /// The words by number, the marks among them.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The numbers of the words of a sentence.
    pub fn numbers(&self, words: &[String]) -> Vec<u32> {
        words.iter().map(|word| self.numbers.get(word).copied().unwrap_or(Self::UNKNOWN)).collect()
    }

    /// The sentence of these numbers; a number of no word is unknown.
    pub fn sentence(&self, numbers: &[u32]) -> String {
        let word = |number: &u32| self.words.get(*number as usize).map_or(MARKS[2], String::as_str);
        numbers.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_come_first_and_equal_ones_by_the_alphabet() {
        let captions = ["b b a", "a c d", "c"].map(words);
        let vocabulary = Vocabulary::of(&captions, 1);
        assert_eq!(vocabulary.words()[3..], ["a", "b", "c", "d"]);
        assert_eq!(Vocabulary::from_words(vocabulary.words().to_vec()).unwrap(), vocabulary);
        assert_eq!(vocabulary.sentence(&[3, 99]), "a <unknown>");
        assert_eq!(words("  \u{2014} Ein ÄPFEL!"), ["ein", "äpfel"]);
    }

    #[test]
    fn other_lists_are_refused() {
        let message = |words: &[&str]| {
            Vocabulary::from_words(words.iter().map(ToString::to_string).collect()).unwrap_err().to_string()
        };
        let rule = "the words of a vocabulary must be <end>, <begin>, <unknown>, then other words, each once";
        assert_eq!(message(&["a"]), format!("{rule}, got 1 words, the first of them a"));
        assert_eq!(message(&["<end>", "<begin>", "<unknown>", "a", "a"]), format!("{rule}, got a twice"));
    }
}
