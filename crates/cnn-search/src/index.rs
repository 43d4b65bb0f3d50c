//! Vectors with names and classes.

use crate::metric::square;
use crate::{Hit, Metric, SearchError, exact};
use cnn_tensor::text::one_line;
use std::fmt;

/// Where the vectors of an index are from: without the same network, layer and form, queries make no sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The network's name.
    pub model: String,
    /// A checksum over the network's description and weights.
    pub fingerprint: u32,
    /// The path of the layer whose outputs the vectors are.
    pub layer: String,
    /// Whether maps were taken whole, and not averaged over space.
    pub whole_maps: bool,
    /// The data set: a name or a path.
    pub source: String,
    /// The part of the data set: `train`, `test` or `all`.
    pub part: String,
}

/// One image of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The name of the image.
    pub name: String,
    /// Its class, a place in [`Index::classes`], if that is known.
    pub label: Option<u32>,
    /// Its place in the data set's part, from 0. Images that could not be read have a place there, but none in the index.
    pub position: u64,
}

/// Vectors of one length, each with the name, and perhaps the class, of its image.
///
/// ```
/// use cnn_search::{Index, Item, Metric, Origin};
/// let mut index = Index::new(Origin::default(), Metric::Cosine, vec![], 3)?;
/// index.push(Item { name: "a.png".into(), label: None, position: 0 }, &[1.0, 2.0, 3.0])?;
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let path = folder.path().join("a.index");
/// index.save(&path)?;
/// assert_eq!(Index::load(&path)?.vector(0), [1.0, 2.0, 3.0]);
/// let error = index.nearest(&[1.0, 2.0, 3.0], 2, Metric::Cosine).unwrap_err();
/// assert_eq!(error.to_string(), "k must be 1 to 1, the number of images in the index, got 2");
/// # Ok::<(), cnn_search::SearchError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Index {
    pub(crate) origin: Origin,
    pub(crate) metric: Metric,
    pub(crate) classes: Vec<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) length: usize,
    /// `[items, length]`.
    pub(crate) vectors: Vec<f32>,
    /// The sum of the squares of each vector.
    pub(crate) squares: Vec<f64>,
}

impl Index {
    /// An index without vectors, for vectors of `length` numbers that are best compared by `metric`. Without `classes`, no item
    /// has a label.
    ///
    /// # Errors
    /// `length` is 0.
    pub fn new(
        origin: Origin,
        metric: Metric,
        classes: Vec<String>,
        length: usize,
    ) -> Result<Self, SearchError> {
        if length == 0 {
            return Err(SearchError::setting("the length of a vector", "at least 1", 0));
        }
        let (items, vectors, squares) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { origin, metric, classes, items, length, vectors, squares })
    }

    /// Appends a vector.
    ///
    /// # Errors
    /// It has another length, a number is infinite or not a number, or its label is not a class.
    pub fn push(&mut self, item: Item, vector: &[f32]) -> Result<(), SearchError> {
        self.check_vector(&item.name, vector)?;
        if let Some(label) = item.label.filter(|&label| label as usize >= self.classes.len()) {
            let rule = format!("below {}, the number of classes", self.classes.len());
            return Err(SearchError::setting("a label", rule, label));
        }
        self.vectors.extend_from_slice(vector);
        self.squares.push(square(vector));
        self.items.push(item);
        Ok(())
    }

    fn check_vector(&self, name: &str, vector: &[f32]) -> Result<(), SearchError> {
        if vector.len() != self.length {
            let rule = format!("of {} numbers, as those of the index", self.length);
            return Err(SearchError::setting("a vector", rule, vector.len()));
        }
        match vector.iter().position(|number| !number.is_finite()) {
            Some(place) => Err(SearchError::NotFinite { name: name.into(), place, number: vector[place] }),
            None => Ok(()),
        }
    }

    /// The number of vectors.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The number of numbers in a vector.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The source of the vectors.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The metric that the index was made for. Searches may use another.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The names of the classes; none if no image has a class.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The image of vector `number`.
    ///
    /// # Panics
    /// There is no such vector.
    pub fn item(&self, number: usize) -> &Item {
        &self.items[number]
    }

    /// The name of the class of vector `number`, if it is known.
    ///
    /// # Panics
    /// There is no such vector.
    pub fn class(&self, number: usize) -> Option<&str> {
        let label = self.items[number].label?;
        self.classes.get(label as usize).map(String::as_str)
    }

    /// Vector `number`.
    ///
    /// # Panics
    /// There is no such vector.
    pub fn vector(&self, number: usize) -> &[f32] {
        &self.vectors[number * self.length..(number + 1) * self.length]
    }

    /// All vectors, `[len, length]`, row-major.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// The `k` nearest vectors of each query, the nearest first; of equal distances, the lower number first. `queries` holds
    /// vectors of the index's length, one after the other. The answer is exact in f64, whatever the number of threads.
    ///
    /// Many queries at a time are faster than one by one: the vectors are then read once for all of them.
    ///
    /// # Errors
    /// `k` is 0 or above the number of vectors, `queries` is not a whole number of vectors, or a number is not finite.
    pub fn search(&self, queries: &[f32], k: usize, metric: Metric) -> Result<Vec<Vec<Hit>>, SearchError> {
        self.check_k(k)?;
        self.check_queries(queries)?;
        Ok(exact::search(self, queries, k, metric))
    }

    /// [`Index::search`] for one query.
    ///
    /// # Errors
    /// Those of [`Index::search`], or `query` has another length than the vectors.
    pub fn nearest(&self, query: &[f32], k: usize, metric: Metric) -> Result<Vec<Hit>, SearchError> {
        self.check_vector("the query", query)?;
        Ok(self.search(query, k, metric)?.pop().unwrap_or_default())
    }

    pub(crate) fn check_k(&self, k: usize) -> Result<(), SearchError> {
        if (1..=self.len()).contains(&k) {
            return Ok(());
        }
        let rule = format!("1 to {}, the number of images in the index", self.len());
        Err(SearchError::setting("k", rule, k))
    }

    pub(crate) fn check_queries(&self, queries: &[f32]) -> Result<(), SearchError> {
        if !queries.len().is_multiple_of(self.length) {
            let rule = format!("whole vectors of {} numbers", self.length);
            return Err(SearchError::setting("the queries", rule, format!("{} numbers", queries.len())));
        }
        let mut rows = queries.chunks_exact(self.length).enumerate();
        rows.try_for_each(|(i, query)| self.check_vector(&format!("query {i}"), query))
    }
}

/// The source and the extents.
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = &self.origin;
        write!(
            f,
            "Index({} x {} of {}: {})",
            self.len(),
            self.length,
            one_line(&of.model),
            one_line(&of.layer)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_that_do_not_fit_are_refused_and_change_nothing() {
        let mut index = Index::new(Origin::default(), Metric::Cosine, vec!["a".into()], 2).unwrap();
        let item = |label| Item { name: "x\n.png".into(), label, position: 0 };
        let mut refusal = |item, vector: &[f32]| index.push(item, vector).unwrap_err().to_string();
        let message = refusal(item(None), &[1.0]);
        assert_eq!(message, "a vector must be of 2 numbers, as those of the index, got 1");
        let message = refusal(item(None), &[1.0, f32::NAN]);
        assert_eq!(message, r"x\n.png: expected finite numbers, got NaN at place 1");
        let message = refusal(item(Some(1)), &[1.0, 2.0]);
        assert_eq!(message, "a label must be below 1, the number of classes, got 1");
        assert!(index.is_empty() && index.vectors().is_empty());
        assert!(Index::new(Origin::default(), Metric::Cosine, vec![], 0).is_err());
    }

    #[test]
    fn questions_that_have_no_answer_are_refused() {
        let mut index = Index::new(Origin::default(), Metric::Cosine, vec![], 2).unwrap();
        let refusal = |index: &Index, queries: &[f32], k| {
            index.search(queries, k, Metric::Euclidean).unwrap_err().to_string()
        };
        assert_eq!(refusal(&index, &[], 1), "k must be 1 to 0, the number of images in the index, got 1");
        index.push(Item::default(), &[1.0, 2.0]).unwrap();
        assert_eq!(refusal(&index, &[], 0), "k must be 1 to 1, the number of images in the index, got 0");
        assert_eq!(
            refusal(&index, &[0.0; 3], 1),
            "the queries must be whole vectors of 2 numbers, got 3 numbers"
        );
        let message = refusal(&index, &[0.0, 0.0, 1.0, f32::INFINITY], 1);
        assert_eq!(message, "query 1: expected finite numbers, got inf at place 1");
        assert!(index.search(&[], 1, Metric::Cosine).unwrap().is_empty());
        assert!(index.nearest(&[0.0; 4], 1, Metric::Cosine).is_err());
    }
}
