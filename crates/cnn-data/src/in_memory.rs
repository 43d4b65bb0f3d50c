//! Labelled images in memory.

use crate::{DataError, Dataset, Picture};
use std::sync::Arc;

/// Labelled images, one byte for each channel of a pixel. Clones share the images.
///
/// ```
/// use cnn_data::{InMemoryDataset, Dataset};
/// let classes = ["dark", "light"].map(String::from).to_vec();
/// let set = InMemoryDataset::new([3, 1, 1, 2], vec![0, 9, 255, 250, 7, 7], vec![0, 1, 0], classes)?;
/// assert_eq!((set.image(1), set.label(1)), (&[255, 250][..], 1));
/// assert_eq!(set.class_counts(), [2, 1]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemoryDataset {
    shape: [usize; 4],
    images: Arc<Vec<u8>>,
    labels: Arc<Vec<u32>>,
    classes: Arc<Vec<String>>,
}

impl InMemoryDataset {
    /// Images of `shape` `[n, c, h, w]`, row-major, with the class of each and the names of the classes.
    ///
    /// # Errors
    /// `images` does not have the shape's number of bytes, `labels` are not `n`, or one of them is not the index of
    /// a class.
    pub fn new(
        shape: [usize; 4],
        images: Vec<u8>,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<Self, DataError> {
        let setting = |what, rule: String, got: String| Err(DataError::Setting { what, rule, got });
        let bytes = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        if bytes != Some(images.len()) {
            return setting(
                "images",
                format!("the bytes of shape {shape:?}"),
                format!("{} bytes", images.len()),
            );
        }
        if labels.len() != shape[0] {
            return setting("labels", format!("{}, one for each image", shape[0]), labels.len().to_string());
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes.len()) {
            return setting(
                "labels",
                format!("below {}, the number of classes", classes.len()),
                label.to_string(),
            );
        }
        Ok(Self { shape, images: images.into(), labels: labels.into(), classes: classes.into() })
    }

    /// The extents of all images together, `[n, c, h, w]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The bytes of image `i`, `[c, h, w]`, row-major.
    ///
    /// # Panics
    /// There is no such image.
    pub fn image(&self, i: usize) -> &[u8] {
        let bytes: usize = self.shape[1..].iter().product();
        &self.images[i * bytes..(i + 1) * bytes]
    }

    /// The bytes of all images, `[n, c, h, w]`, row-major.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The class of every image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
}

impl Dataset for InMemoryDataset {
    fn shape(&self) -> Option<[usize; 3]> {
        let [_, c, h, w] = self.shape;
        Some([c, h, w])
    }

    fn len(&self) -> usize {
        self.shape[0]
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let [_, c, h, w] = self.shape;
        Picture::new([c, h, w], self.image(i))
    }

    fn pixels(&self, i: usize) -> Option<&[u8]> {
        Some(self.image(i))
    }

    fn prefetch(&self, i: usize) {
        cnn_tensor::prefetch(self.image(i));
        cnn_tensor::prefetch(&self.labels[i..=i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(shape: [usize; 4], images: usize, labels: &[u32]) -> String {
        let classes = vec!["only".to_string()];
        InMemoryDataset::new(shape, vec![0; images], labels.to_vec(), classes).unwrap_err().to_string()
    }

    #[test]
    fn parts_that_disagree_are_refused() {
        assert_eq!(
            message([2, 1, 2, 2], 7, &[0, 0]),
            "images must be the bytes of shape [2, 1, 2, 2], got 7 bytes"
        );
        assert_eq!(
            message([usize::MAX, 2, 1, 1], 0, &[]),
            format!("images must be the bytes of shape [{}, 2, 1, 1], got 0 bytes", usize::MAX)
        );
        assert_eq!(message([2, 1, 1, 1], 2, &[0]), "labels must be 2, one for each image, got 1");
        assert_eq!(message([1, 1, 1, 1], 1, &[1]), "labels must be below 1, the number of classes, got 1");
    }

    #[test]
    fn an_empty_set_is_a_set() {
        let set = InMemoryDataset::new([0, 1, 28, 28], vec![], vec![], vec!["only".into()]).unwrap();
        assert!(set.is_empty());
        assert_eq!(set.class_counts(), [0]);
    }
}
