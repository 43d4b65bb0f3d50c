//! Labelled images by number, from which loaders draw.

use crate::{DataError, Picture};
use cnn_tensor::Random;
use std::sync::Arc;
use std::time::SystemTime;

/// The properties of an example that are known without decoding it, and change when its file is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// A name that stays the same if the whole set is moved.
    pub name: String,
    /// The size of its file, if it has one.
    pub bytes: Option<u64>,
    /// When its file, or the archive that it is in, was last written to, where that is known.
    pub modified: Option<SystemTime>,
}

/// Labelled images by number: in memory, in files, in an archive, or made on the spot.
///
/// Several threads ask at once, in any order, and the same number gives the same image each time.
///
/// ```
/// use cnn_data::{DataError, Dataset, Picture};
///
/// /// Squares that are darker or lighter than the middle.
/// struct Shades(Vec<String>);
/// impl Dataset for Shades {
///     fn len(&self) -> usize { 256 }
///     fn classes(&self) -> &[String] { &self.0 }
///     fn label(&self, i: usize) -> u32 { (i >= 128).into() }
///     fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> { Ok(Picture::filled([1, 8, 8], i as u8)) }
/// }
///
/// let shades = Shades(vec!["dark".into(), "light".into()]);
/// assert_eq!((shades.class_counts(), shades.name(200)), (vec![128, 128], "image 200".into()));
/// ```
pub trait Dataset: Send + Sync {
    /// The number of examples.
    fn len(&self) -> usize;

    /// Whether the set is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the classes; labels are indices into them.
    fn classes(&self) -> &[String];

    /// The class of example `i`; below the number of classes.
    ///
    /// # Panics
    /// There is no such example.
    fn label(&self, i: usize) -> u32;

    /// The image of example `i`.
    ///
    /// # Errors
    /// It cannot be read or decoded; the error names it.
    ///
    /// # Panics
    /// There is no such example.
    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError>;

    /// Announces that the image of example `i` will be asked for soon. A set in memory may bring it nearer to the processor;
    /// others do nothing.
    fn prefetch(&self, i: usize) {
        let _ = i;
    }

    /// The name of example `i` in messages: its file, or its number.
    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    /// The pixels of example `i`, `[c, h, w]`, if they are in memory. By them a run recognises its data.
    ///
    /// # Panics
    /// There is no such example.
    fn pixels(&self, i: usize) -> Option<&[u8]> {
        let _ = i;
        None
    }

    /// The file of example `i` as it is, encoded; `None` if it has none. [`pack`](crate::pack) asks for it.
    ///
    /// # Errors
    /// It cannot be read.
    ///
    /// # Panics
    /// There is no such example.
    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        let _ = i;
        Ok(None)
    }

    /// The name, size and time of example `i`'s file, by which a later run can tell whether it was replaced. Without a file,
    /// [`Dataset::name`] alone.
    ///
    /// # Panics
    /// There is no such example.
    fn stamp(&self, i: usize) -> Stamp {
        Stamp { name: self.name(i), bytes: None, modified: None }
    }

    /// The extents of an image, `[c, h, w]`, if all are known to be alike.
    fn shape(&self) -> Option<[usize; 3]> {
        None
    }

    /// How many examples each class has.
    fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        (0..self.len()).for_each(|i| counts[self.label(i) as usize] += 1);
        counts
    }
}

/// A set behind a pointer is that set.
macro_rules! behind {
    ($pointer:ty) => {
        impl<E: Dataset + ?Sized> Dataset for $pointer {
            fn len(&self) -> usize {
                (**self).len()
            }

            fn classes(&self) -> &[String] {
                (**self).classes()
            }

            fn label(&self, i: usize) -> u32 {
                (**self).label(i)
            }

            fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
                (**self).picture(i)
            }

            fn prefetch(&self, i: usize) {
                (**self).prefetch(i);
            }

            fn name(&self, i: usize) -> String {
                (**self).name(i)
            }

            fn pixels(&self, i: usize) -> Option<&[u8]> {
                (**self).pixels(i)
            }

            fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
                (**self).encoded(i)
            }

            fn stamp(&self, i: usize) -> Stamp {
                (**self).stamp(i)
            }

            fn shape(&self) -> Option<[usize; 3]> {
                (**self).shape()
            }

            fn class_counts(&self) -> Vec<usize> {
                (**self).class_counts()
            }
        }
    };
}

behind!(&E);
behind!(Arc<E>);

/// Some of the examples of another set, in an order of their own: the first thousand, one half of a split, one class.
///
/// ```
/// use cnn_data::{InMemoryDataset, Dataset, Subset};
/// let set = InMemoryDataset::new([4, 1, 1, 1], vec![10, 20, 30, 40], vec![0; 4], vec!["gray".into()])?;
/// let backwards = Subset::new(set, vec![3, 2])?;
/// assert_eq!((backwards.len(), backwards.picture(0)?.data()), (2, &[40][..]));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subset<E> {
    examples: E,
    indices: Vec<usize>,
}

impl<E: Dataset> Subset<E> {
    /// The examples of those numbers.
    ///
    /// # Errors
    /// There is no example of one of the numbers.
    pub fn new(examples: E, indices: Vec<usize>) -> Result<Self, DataError> {
        let rule = || format!("below {}, the number of examples", examples.len());
        match indices.iter().find(|&&i| i >= examples.len()) {
            Some(i) => {
                Err(DataError::Setting { what: "an index of a subset", rule: rule(), got: i.to_string() })
            }
            None => Ok(Self { examples, indices }),
        }
    }
}

impl<E: Dataset> Subset<E> {
    /// `count` of the examples, drawn by `seed`, of each class as many as of any other as long as it has them. They keep the
    /// order of the set; all of them if there are no more.
    ///
    /// ```
    /// use cnn_data::{Dataset, InMemoryDataset, Subset};
    /// let classes = ["a", "b", "c"].map(String::from).to_vec();
    /// let labels = [0; 50].into_iter().chain([1; 48]).chain([2; 2]).collect();
    /// let set = InMemoryDataset::new([100, 1, 1, 1], vec![0; 100], labels, classes)?;
    /// assert_eq!(Subset::evenly(&set, 12, 7).class_counts(), [5, 5, 2]);
    /// assert_eq!(Subset::evenly(&set, 1000, 7).len(), 100);
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    pub fn evenly(examples: E, count: usize, seed: u64) -> Self {
        let mut members = vec![Vec::new(); examples.classes().len()];
        (0..examples.len()).for_each(|i| members[examples.label(i) as usize].push(i));
        for (class, members) in members.iter_mut().enumerate() {
            Random::new(seed, &["evenly", &class.to_string()]).shuffle(members);
        }
        // Class after class gives its next example; where not all can give the last one, those that do are drawn as well.
        let mut classes: Vec<usize> = (0..members.len()).collect();
        Random::new(seed, &["evenly"]).shuffle(&mut classes);
        let most = members.iter().map(Vec::len).max().unwrap_or(0);
        let rounds = (0..most).flat_map(|round| {
            classes.iter().filter_map({
                let members = &members;
                move |&class| members[class].get(round).copied()
            })
        });
        let mut indices: Vec<usize> = rounds.take(count).collect();
        indices.sort_unstable();
        Self { examples, indices }
    }
}

impl<E: Dataset> Dataset for Subset<E> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn classes(&self) -> &[String] {
        self.examples.classes()
    }

    fn label(&self, i: usize) -> u32 {
        self.examples.label(self.indices[i])
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        self.examples.picture(self.indices[i])
    }

    fn prefetch(&self, i: usize) {
        self.examples.prefetch(self.indices[i]);
    }

    fn name(&self, i: usize) -> String {
        self.examples.name(self.indices[i])
    }

    fn pixels(&self, i: usize) -> Option<&[u8]> {
        self.examples.pixels(self.indices[i])
    }

    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        self.examples.encoded(self.indices[i])
    }

    fn stamp(&self, i: usize) -> Stamp {
        self.examples.stamp(self.indices[i])
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.examples.shape()
    }
}

impl<E: Dataset + Clone> Subset<E> {
    /// Two parts of a set without validation data: of each class, the same `part` of its examples, drawn by `seed`, is in the
    /// second. Both keep the order of the set. A class of at least two examples has at least one in each part.
    ///
    /// ```
    /// use cnn_data::{InMemoryDataset, Dataset, Subset};
    /// let classes = ["a", "b"].map(String::from).to_vec();
    /// let labels = (0..100).map(|i| u32::from(i % 10 == 0)).collect();
    /// let set = InMemoryDataset::new([100, 1, 1, 1], vec![0; 100], labels, classes)?;
    /// let (train, validation) = Subset::split(set, 0.2, 7)?;
    /// assert_eq!((train.class_counts(), validation.class_counts()), (vec![72, 8], vec![18, 2]));
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// `part` is not between 0 and 1.
    pub fn split(examples: E, part: f64, seed: u64) -> Result<(Self, Self), DataError> {
        if !(part > 0.0 && part < 1.0) {
            let (what, rule) = ("the part of a split", "between 0 and 1".into());
            return Err(DataError::Setting { what, rule, got: part.to_string() });
        }
        let mut members = vec![Vec::new(); examples.classes().len()];
        (0..examples.len()).for_each(|i| members[examples.label(i) as usize].push(i));
        let mut second = vec![false; examples.len()];
        for (class, members) in members.iter_mut().enumerate() {
            Random::new(seed, &["split", &class.to_string()]).shuffle(members);
            let count = (part * members.len() as f64).round() as usize;
            let count = if members.len() < 2 { 0 } else { count.clamp(1, members.len() - 1) };
            members[..count].iter().for_each(|&i| second[i] = true);
        }
        let (validation, train) = (0..examples.len()).partition(|&i| second[i]);
        Ok((Self { examples: examples.clone(), indices: train }, Self { examples, indices: validation }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InMemoryDataset;

    #[test]
    fn a_subset_has_its_examples_labels_and_no_others() {
        let classes = ["a", "b"].map(String::from).to_vec();
        let set = InMemoryDataset::new([3, 1, 1, 1], vec![1, 2, 3], vec![0, 1, 1], classes).unwrap();
        let subset = Subset::new(&set, vec![2, 0, 2]).unwrap();
        let seen: Vec<_> =
            (0..3).map(|i| (subset.picture(i).unwrap().data()[0], subset.label(i), subset.name(i))).collect();
        let named = |i: usize| format!("image {i}");
        assert_eq!(seen, [(3, 1, named(2)), (1, 0, named(0)), (3, 1, named(2))]);
        assert_eq!(subset.class_counts(), [1, 2]);
        let error = Subset::new(&set, vec![0, 3]).unwrap_err().to_string();
        assert_eq!(error, "an index of a subset must be below 3, the number of examples, got 3");
    }
}
