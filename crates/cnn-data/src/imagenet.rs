//! ImageNet as the Large Scale Visual Recognition Challenge of 2012 (ILSVRC2012) published it, and its 1000 classes.
//!
//! | part | form | function |
//! |---|---|---|
//! | training | a tar archive of one tar archive for each synset, read where it lies; or a folder for each synset | [`train`] |
//! | validation | a tar archive or a folder of images, and a file of ground truth; or a folder for each synset | [`validation`] |
//! | either | a tar archive or a folder of images `SYNSET_name.jpg` | [`by_name`] |
//!
//! # Two numberings
//!
//! Published networks number the classes by their sorted synsets: class 0 is `n01440764`, the tench. The challenge has
//! another numbering, `ILSVRC2012_ID`, in the order of its development kit, and its file of ground truth
//! (`ILSVRC2012_validation_ground_truth.txt`, a number from 1 to 1000 for each image in the order of the images' names)
//! uses that one. [`Synsets`] tells what the numbers of a ground truth mean: it is a list of synsets, and a number is a line of
//! it, counted from 1. For ILSVRC2012 itself, write the development kit's synsets in the order of their `ILSVRC2012_ID`
//! into a text file and read that. Labels are indices into the *sorted* synsets whatever the order of the list, so that
//! published networks find their classes.
//!
//! Source: O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", International Journal of Computer
//! Vision, 2015. The file of synsets and their words (WordNet 3.0) is distributed under Apache-2.0.

use crate::files::{Listing, name};
use crate::{DataError, ImageFiles};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

/// The synsets and their words, in the order of the synsets.
const LIST: &str = include_str!("imagenet/synsets.txt");
/// Images in the validation set of the challenge, whose ground truth has a numbering of its own.
const CHALLENGE_IMAGES: usize = 50_000;
/// The most bytes of a list of synsets or of a ground truth: far above those of any real one.
const MAX_TEXT: u64 = 64 << 20;

/// The means of the training pixels' red, green and blue, where black is 0 and white is 1: torchvision's numbers.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// The standard deviations of the training pixels' red, green and blue, likewise.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The 1000 synsets of ILSVRC2012, sorted: the identities of its classes.
///
/// ```
/// use cnn_data::imagenet;
/// assert_eq!((imagenet::synsets().len(), imagenet::synsets()[0]), (1000, "n01440764"));
/// assert_eq!(imagenet::classes()[281], "tabby, tabby cat");
/// ```
pub fn synsets() -> &'static [&'static str] {
    &list().0
}

/// The words for the 1000 classes, in the order of [`synsets`]. Two are called `crane`: a bird and a machine.
pub fn classes() -> &'static [&'static str] {
    &list().1
}

fn list() -> &'static (Vec<&'static str>, Vec<&'static str>) {
    static LISTS: OnceLock<(Vec<&str>, Vec<&str>)> = OnceLock::new();
    LISTS.get_or_init(|| LIST.lines().filter_map(|line| line.split_once(' ')).unzip())
}

/// The words for a synset of ILSVRC2012.
pub(crate) fn words(synset: &str) -> Option<&'static str> {
    synsets().binary_search(&synset).ok().map(|i| classes()[i])
}

/// Synsets in an order of their own, which the numbers of a ground truth mean, with words for each.
///
/// ```
/// use cnn_data::imagenet::Synsets;
/// let list = Synsets::parse("list.txt".as_ref(), "n02123045 tabby\nn01443537 goldfish\n")?;
/// // Classes are sorted; the list's first line, number 1, is class 1.
/// assert_eq!(list.classes(), ["goldfish", "tabby"]);
/// assert_eq!(list.class(1), Some(1));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synsets {
    /// Sorted.
    ids: Vec<String>,
    classes: Vec<String>,
    /// The class of each line.
    lines: Vec<u32>,
    /// Whether the order was read, rather than supposed.
    given: bool,
}

impl Default for Synsets {
    /// The 1000 synsets of ILSVRC2012, sorted.
    fn default() -> Self {
        let owned = |strings: &[&str]| strings.iter().map(|string| string.to_string()).collect();
        Self { ids: owned(synsets()), classes: owned(classes()), lines: (0..1000).collect(), given: false }
    }
}

impl Synsets {
    /// Reads a list: a line for each synset, `n01443537` and, after a space, its words; without them, ILSVRC2012's.
    ///
    /// # Errors
    /// The file cannot be read, is not such a list, or has a synset twice.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::parse(path.as_ref(), &text(path.as_ref())?)
    }

    /// The list in `text`, of which errors speak as `path`.
    ///
    /// # Errors
    /// As [`Synsets::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        let mut sorted = BTreeMap::new();
        let mut order = Vec::new();
        for (offset, line) in lines(text) {
            let (id, given) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let fault = |expected: &str, got: &str| DataError::Format {
                path: path.into(),
                offset,
                expected: expected.into(),
                got: format!("{got:?}"),
            };
            if !is_synset(id) {
                return Err(fault("a synset, n and 8 digits", id));
            }
            let words = if given.is_empty() { words(id).unwrap_or(id) } else { given.trim() };
            if sorted.insert(id, words).is_some() {
                return Err(fault("each synset once", id));
            }
            order.push(id);
        }
        if order.is_empty() {
            return Err(DataError::layout(path, "a line for each synset", "none"));
        }
        let ranks: HashMap<&str, u32> = sorted.keys().copied().zip(0..).collect();
        Ok(Self {
            lines: order.iter().map(|id| ranks[id]).collect(),
            ids: sorted.keys().map(|id| id.to_string()).collect(),
            classes: sorted.values().map(|words| words.to_string()).collect(),
            given: true,
        })
    }

    /// The synsets, sorted.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The words for each synset, in the order of [`Synsets::ids`].
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The class that `number`, a line counted from 1, means.
    pub fn class(&self, number: usize) -> Option<u32> {
        self.lines.get(number.checked_sub(1)?).copied()
    }
}

/// The training set: a tar archive of tar archives, or a folder or archive with a folder for each synset.
///
/// # Errors
/// It cannot be read, is not a sound archive, or has a folder of images that is not one of `synsets`.
pub fn train(path: impl AsRef<Path>, synsets: &Synsets) -> Result<ImageFiles, DataError> {
    by_synset(&Listing::open(path.as_ref())?, synsets)
}

/// The validation set: a folder or tar archive with a folder for each synset; or with the images alone, whose classes,
/// in the order of their names, are in the file `ground_truth`.
///
/// # Errors
/// Something cannot be read or is not a sound archive; or there is no ground truth where one is needed, it has another number
/// of lines than there are images, or a number that is not a line of `synsets`. For 50,000 images, as many as ILSVRC2012 has,
/// `synsets` must be a list that was read, since the challenge's own numbering is not the sorted one.
pub fn validation(
    path: impl AsRef<Path>,
    ground_truth: Option<&Path>,
    synsets: &Synsets,
) -> Result<ImageFiles, DataError> {
    validation_of(&Listing::open(path.as_ref())?, ground_truth, synsets)
}

pub(crate) fn validation_of(
    listing: &Listing,
    ground_truth: Option<&Path>,
    synsets: &Synsets,
) -> Result<ImageFiles, DataError> {
    if !listing.folders_with_images().is_empty() {
        return by_synset(listing, synsets);
    }
    let place = listing.place();
    if listing.items.is_empty() {
        return Err(DataError::layout(
            &place,
            "images (.jpg .jpeg .png .webp .bmp)",
            listing.without("none"),
        ));
    }
    let images = listing.items.len();
    let Some(ground_truth) = ground_truth else {
        let got = format!("{images} images and no file of ground truth");
        return Err(DataError::layout(&place, "a folder for each synset, or a ground truth", got));
    };
    let labels = labels(ground_truth, synsets)?;
    if labels.len() != images {
        return Err(DataError::Count {
            images_path: place,
            images,
            labels_path: ground_truth.into(),
            labels: labels.len(),
        });
    }
    check_numbering(images, ground_truth, synsets)?;
    Ok(ImageFiles::new(listing, listing.items.clone(), labels, synsets.classes.clone()))
}

/// Checks that the meaning of the numbers in the challenge's own ground truth was given.
fn check_numbering(images: usize, ground_truth: &Path, synsets: &Synsets) -> Result<(), DataError> {
    if images != CHALLENGE_IMAGES || synsets.given {
        return Ok(());
    }
    let expected = "a list of synsets in the order of ILSVRC2012_ID beside it, as its numbers follow the development kit";
    Err(DataError::layout(ground_truth, expected, "no list, and sorted synsets would be other classes"))
}

/// Images whose names start with their synset and `_`, `n01440764_tench.jpg`, in a folder or tar archive: labelled as
/// ILSVRC2012's 1000 classes, of which some may be missing.
///
/// # Errors
/// The folder or archive cannot be read or is not a sound archive, or has an image of another name, or none.
pub fn by_name(path: impl AsRef<Path>) -> Result<ImageFiles, DataError> {
    by_name_of(&Listing::open(path.as_ref())?)
}

pub(crate) fn by_name_of(listing: &Listing) -> Result<ImageFiles, DataError> {
    let synsets = Synsets::default();
    let mut labels = Vec::new();
    for item in &listing.items {
        let name = name::text(listing.below(item));
        let synset = name.split_once('_').map_or("", |(synset, _)| synset);
        match synsets.ids.binary_search_by(|id| id.as_str().cmp(synset)) {
            Ok(label) => labels.push(label as u32),
            Err(_) => {
                let expected = "a folder of images for each class, or images named SYNSET_name, of ILSVRC2012's 1000 synsets";
                return Err(DataError::layout(&listing.place(), expected, format!("{name:?}")));
            }
        }
    }
    if labels.is_empty() {
        let expected = "a folder of images for each class, or images named SYNSET_name";
        return Err(DataError::layout(&listing.place(), expected, listing.without("none")));
    }
    Ok(ImageFiles::new(listing, listing.items.clone(), labels, synsets.classes))
}

fn by_synset(listing: &Listing, synsets: &Synsets) -> Result<ImageFiles, DataError> {
    Ok(ImageFiles::of_folders(listing, Some(&synsets.ids))?.named(synsets.classes.clone()))
}

/// The labels in a file of ground truth.
fn labels(path: &Path, synsets: &Synsets) -> Result<Vec<u32>, DataError> {
    let text = text(path)?;
    let label = |(offset, line): (u64, &str)| {
        line.parse().ok().and_then(|number| synsets.class(number)).ok_or_else(|| DataError::Format {
            path: path.into(),
            offset,
            expected: format!("a number from 1 to {}, a line of the list of synsets", synsets.lines.len()),
            got: format!("{:?}", line.chars().take(40).collect::<String>()),
        })
    };
    lines(&text).map(label).collect()
}

/// The lines that are not empty, without the spaces around them, and where they start.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let starts = |line: &str| line.as_ptr() as u64 - text.as_ptr() as u64;
    text.lines().map(move |line| (starts(line), line.trim())).filter(|(_, line)| !line.is_empty())
}

/// The content of a text file.
fn text(path: &Path) -> Result<String, DataError> {
    let io = |action| move |source| DataError::Io { path: path.into(), action, source };
    let mut text = Vec::new();
    File::open(path).map_err(io("open"))?.take(MAX_TEXT + 1).read_to_end(&mut text).map_err(io("read"))?;
    if text.len() as u64 > MAX_TEXT {
        return Err(DataError::layout(path, format!("a text file of at most {MAX_TEXT} bytes"), "more"));
    }
    String::from_utf8(text).map_err(|fault| DataError::Format {
        path: path.into(),
        offset: fault.utf8_error().valid_up_to() as u64,
        expected: "text in UTF-8".into(),
        got: "other bytes".into(),
    })
}

/// Whether it is `n` and 8 digits.
fn is_synset(id: &str) -> bool {
    id.len() == 9 && id.starts_with('n') && id[1..].bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
