use crate::{Dataset, Stamp};
use cnn_nn::{ClassCount, Fingerprint};
use sha2::{Digest, Sha256};

/// What a run recognises its data by: classes, counts, and a digest over label, name and size of each example in order, or over
/// its pixels where they are in memory.
///
/// ```
/// use cnn_data::{InMemoryDataset, fingerprint};
/// let classes = vec!["dark".to_string(), "light".to_string()];
/// let set = |pixels: [u8; 2]| InMemoryDataset::new([2, 1, 1, 1], pixels.to_vec(), vec![0, 1], classes.clone());
/// let (one, other) = (fingerprint(&set([7, 200])?), fingerprint(&set([8, 200])?));
/// assert_eq!(one.classes[1].examples, 1);
/// assert_eq!(one.difference(&fingerprint(&set([7, 200])?)), None);
/// assert!(one.difference(&other).unwrap().contains("contents"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fingerprint(set: &dyn Dataset) -> Fingerprint {
    let mut digest = Sha256::new();
    for i in 0..set.len() {
        digest.update(set.label(i).to_le_bytes());
        if let Some(pixels) = set.pixels(i) {
            digest.update(pixels);
        } else {
            // The time of a copied file is another one.
            let Stamp { name, bytes, .. } = set.stamp(i);
            digest.update(name + "\0");
            digest.update(bytes.unwrap_or_default().to_le_bytes());
        }
    }
    let count = |(name, examples): (&String, usize)| ClassCount { name: name.clone(), examples };
    Fingerprint {
        classes: set.classes().iter().zip(set.class_counts()).map(count).collect(),
        digest: digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
