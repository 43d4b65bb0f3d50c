//! The one rule by which a name is taken for that of a part of a data set: for training, validation or the test.
//!
//! A name is cut into words at `-`, `_`, spaces, dots, digits and where a small letter meets a capital one. It means a part
//! if one of its words does, in any case, and all others say only that it is a part of a set: `Train`, `training_set`,
//! `seg_train`, `TestImages`, `val2017`.

use std::fmt::{self, Display};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Train,
    Validation,
    Test,
}

/// Words for each part.
const WORDS: &[(Part, &[&str])] = &[
    (Part::Train, &["train", "training", "trn", "tr"]),
    (
        Part::Validation,
        &["val", "valid", "validation", "validate", "validating", "vali", "dev", "development"],
    ),
    (Part::Test, &["test", "testing", "tst", "te", "eval", "evaluation", "evaluate", "holdout"]),
];

/// Words beside those that say nothing of their own.
const FILLERS: &[&str] = &[
    "set", "sets", "data", "dataset", "datasets", "split", "part", "seg", "folder", "dir", "image", "images",
    "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "pics", "sample", "samples", "full",
    "final", "all", "labeled", "labelled",
];

impl Part {
    /// The part that a folder of that name is.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut words = words(name).into_iter().filter(|word| !FILLERS.contains(&word.as_str()));
        let part = words.next().and_then(|word| Self::of_word(&word))?;
        words.next().is_none().then_some(part)
    }

    /// The part of which the name speaks among other words, as those of archives do: `ILSVRC2012_img_train`. The first word
    /// counts.
    pub(super) fn within(name: &str) -> Option<Self> {
        words(name).iter().find_map(|word| Self::of_word(word))
    }

    fn of_word(word: &str) -> Option<Self> {
        let of = |word: &str| WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(part, _)| *part);
        // Words may be glued: trainset, testdata.
        of(word).or_else(|| FILLERS.iter().find_map(|filler| of(word.strip_suffix(filler)?)))
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "training set",
            Self::Validation => "validation set",
            Self::Test => "test set",
        })
    }
}

/// Whether a name says only that something is part of a set: `images`, `data`.
pub(super) fn is_neutral(name: &str) -> bool {
    let words = words(name);
    !words.is_empty() && words.iter().all(|word| FILLERS.contains(&word.as_str()))
}

/// The words of a name in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        let new = !c.is_alphabetic() || (small && c.is_uppercase());
        if new && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().expect("there is a word").extend(c.to_lowercase());
        }
        small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_known_in_every_spelling() {
        let all = |part, names: &[&str]| {
            for name in names {
                assert_eq!(Part::of(name), Some(part), "{name}");
            }
        };
        all(
            Part::Train,
            &[
                "train",
                "Train",
                "TRAIN",
                "training",
                "training_set",
                "Training-Set",
                "train set",
                "train_set",
                "seg_train",
                "trainset",
                "trainingset",
                "TrainData",
                "tr",
                "train2017",
                "train_images",
                "images_train",
                "01_train",
            ],
        );
        all(
            Part::Validation,
            &["val", "Valid", "validation", "dev", "val2017", "validation-set", "VAL", "dev_set", "validset"],
        );
        all(
            Part::Test,
            &[
                "test",
                "Testing",
                "test_set",
                "seg_test",
                "eval",
                "Evaluation",
                "test1",
                "testSet",
                "te",
                "TestImages",
            ],
        );
    }

    #[test]
    fn other_names_are_not_parts() {
        for name in [
            "ant",
            "trains",
            "latest",
            "value",
            "contest",
            "steam_train",
            "train_test",
            "images",
            "",
            "2017",
            "seg_pred",
        ] {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }

    #[test]
    fn archives_speak_of_parts_among_other_words() {
        assert_eq!(Part::within("ILSVRC2012_img_train"), Some(Part::Train));
        assert_eq!(Part::within("imagenet-val-5k"), Some(Part::Validation));
        assert_eq!(Part::within("photos"), None);
    }
}
