//! What loaders draw from: labelled images by number.

use crate::{DataError, Picture};
use std::sync::Arc;

/// Labelled images by number: in memory, in files, in an archive, or made on the spot.
///
/// Several threads ask at once, in any order, and the same number gives the same image each time.
///
/// ```
/// use cnn_data::{DataError, Examples, Picture};
///
/// /// Squares that are darker or lighter than the middle.
/// struct Shades(Vec<String>);
/// impl Examples for Shades {
///     fn len(&self) -> usize { 256 }
///     fn classes(&self) -> &[String] { &self.0 }
///     fn label(&self, i: usize) -> u32 { (i >= 128).into() }
///     fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> { Ok(Picture::filled([1, 8, 8], i as u8)) }
/// }
///
/// let shades = Shades(vec!["dark".into(), "light".into()]);
/// assert_eq!((shades.class_counts(), shades.name(200)), (vec![128, 128], "image 200".into()));
/// ```
pub trait Examples: Send + Sync {
    /// The number of examples.
    fn len(&self) -> usize;

    /// Whether there is no example.
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

    /// What people call example `i`: its file, or its number.
    fn name(&self, i: usize) -> String {
        format!("image {i}")
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
        impl<E: Examples + ?Sized> Examples for $pointer {
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

            fn name(&self, i: usize) -> String {
                (**self).name(i)
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
/// use cnn_data::{Dataset, Examples, Subset};
/// let set = Dataset::new([4, 1, 1, 1], vec![10, 20, 30, 40], vec![0; 4], vec!["gray".into()])?;
/// let backwards = Subset::new(set, vec![3, 2])?;
/// assert_eq!((backwards.len(), backwards.picture(0)?.data()), (2, &[40][..]));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subset<E> {
    examples: E,
    indices: Vec<usize>,
}

impl<E: Examples> Subset<E> {
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

impl<E: Examples> Examples for Subset<E> {
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

    fn name(&self, i: usize) -> String {
        self.examples.name(self.indices[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    #[test]
    fn a_subset_has_its_examples_labels_and_no_others() {
        let classes = ["a", "b"].map(String::from).to_vec();
        let set = Dataset::new([3, 1, 1, 1], vec![1, 2, 3], vec![0, 1, 1], classes).unwrap();
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
