//! By which a run recognises its data.

use serde::{Deserialize, Serialize};

/// What a set of examples is known by: its classes in order, how many examples each has, and a digest over all examples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The classes, in the order of their labels.
    pub classes: Vec<ClassCount>,
    /// Over name, size and label of each example in order, and over the contents where they are in memory.
    pub digest: String,
}

/// A class and how many examples it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// Its examples.
    pub examples: usize,
}

impl Fingerprint {
    /// The first respect in which `other` differs, in words; `None` if it is the same set.
    ///
    /// ```
    /// use cnn_nn::{ClassCount, Fingerprint};
    /// let of = |name: &str, examples| Fingerprint {
    ///     classes: vec![ClassCount { name: name.into(), examples }],
    ///     digest: examples.to_string(),
    /// };
    /// assert_eq!(of("ant", 3).difference(&of("ant", 3)), None);
    /// assert_eq!(of("ant", 3).difference(&of("bee", 3)).unwrap(), "class 0 was ant, and is bee");
    /// assert_eq!(of("ant", 3).difference(&of("ant", 2)).unwrap(), "class ant had 3 examples, and has 2");
    /// ```
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        for (i, (class, others)) in self.classes.iter().zip(&other.classes).enumerate() {
            if class.name != others.name {
                return Some(format!("class {i} was {}, and is {}", class.name, others.name));
            }
        }
        let (mine, others) = (self.classes.len(), other.classes.len());
        if mine != others {
            return Some(format!("there were {mine} classes, and are {others}"));
        }
        for (class, others) in self.classes.iter().zip(&other.classes) {
            if class.examples != others.examples {
                let (name, had, has) = (&class.name, class.examples, others.examples);
                return Some(format!("class {name} had {had} examples, and has {has}"));
            }
        }
        Some("the examples have other names, sizes or contents, or another order".into())
    }
}
