//! The images of a part of a set, each with its captions.

use super::{CaptionFile, file, first_three};
use crate::{DataError, Dataset, ImageFiles, Picture, Stamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Images with captions. As a [`Dataset`] it has no classes: all images have label 0, of one class without a name.
///
/// ```
/// use cnn_data::{CaptionFile, CaptionedImages, Dataset};
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # image::GrayImage::new(3, 2).save(folder.join("a.png")).expect("a file");
/// # std::fs::write(folder.join("tokens.txt"), "a.png#0\tA gray picture .\na.png#1\tNothing .\nb.png#0\tGone .").expect("a file");
/// # std::fs::write(folder.join("train.txt"), "a.png\n").expect("a file");
/// // a.png, tokens.txt with captions of many images, train.txt with the names of some of them
/// let captions = CaptionFile::read(folder.join("tokens.txt"))?;
/// let train = CaptionedImages::open(&[folder], &captions, Some(folder.join("train.txt")))?;
/// assert_eq!((train.len(), train.captions(0)), (1, &["A gray picture .".into(), "Nothing .".into()][..]));
///
/// let all = CaptionedImages::open(&[folder], &captions, None::<&str>).unwrap_err().to_string();
/// assert!(all.ends_with("expected images for all 2 names, got none for 1: b.png"), "{all}");
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CaptionedImages {
    sets: Arc<[ImageFiles]>,
    items: Arc<[Item]>,
    classes: Arc<[String]>,
}

#[derive(Debug)]
struct Item {
    name: String,
    set: usize,
    example: usize,
    captions: Vec<String>,
}

impl CaptionedImages {
    /// The images that `list` names, or else all that have captions, in these folders and tar archives of images. An image is found
    /// by its name without folders.
    ///
    /// # Errors
    /// A folder, an archive or the list cannot be read; two images have the same name; or an image or its captions are missing:
    /// the error counts them and names the first three.
    pub fn open<P: AsRef<Path>>(
        images: &[P],
        captions: &CaptionFile,
        list: Option<impl AsRef<Path>>,
    ) -> Result<Self, DataError> {
        let sets = images.iter().map(ImageFiles::unlabelled).collect::<Result<Vec<_>, _>>()?;
        let mut places = BTreeMap::new();
        for (set, images) in sets.iter().enumerate() {
            for example in 0..images.len() {
                let name = images.file_name(example);
                if places.insert(name.clone(), (set, example)).is_some() {
                    let expected = "another name for each image";
                    return Err(DataError::layout(images.path(), expected, format!("{name} twice")));
                }
            }
        }
        let (names, source) = match &list {
            Some(list) => (file::list(list.as_ref())?, list.as_ref().to_path_buf()),
            None => (captions.names().map(String::from).collect(), captions.path().to_path_buf()),
        };
        let lacking = |has: &dyn Fn(&str) -> bool| -> Vec<&str> {
            names.iter().map(String::as_str).filter(|name| !has(name)).collect()
        };
        missing(&source, "images", names.len(), &lacking(&|name| places.contains_key(name)))?;
        missing(&source, "captions", names.len(), &lacking(&|name| !captions.of(name).is_empty()))?;
        let items = names.into_iter().map(|name| {
            let (set, example) = places[&name];
            let captions = captions.of(&name).to_vec();
            Item { name, set, example, captions }
        });
        let items = items.collect();
        Ok(Self { sets: sets.into(), items, classes: [String::new()].into() })
    }

    /// The name of image `i`, without folders.
    ///
    /// # Panics
    /// There is no such image.
    pub fn file_name(&self, i: usize) -> &str {
        &self.items[i].name
    }

    /// The captions of image `i`, at least one.
    ///
    /// # Panics
    /// There is no such image.
    pub fn captions(&self, i: usize) -> &[String] {
        &self.items[i].captions
    }

    /// A fingerprint like [`fingerprint`](fn@crate::fingerprint)'s, in which the captions count, too.
    #[cfg(feature = "loader")]
    pub fn fingerprint(&self) -> cnn_nn::Fingerprint {
        let mut captions = crc32fast::Hasher::new();
        self.items.iter().flat_map(|item| &item.captions).for_each(|caption| {
            captions.update(caption.as_bytes());
            captions.update(b"\n");
        });
        let images = crate::fingerprint(self);
        let digest = format!("{}, captions {:08x}", images.digest, captions.finalize());
        cnn_nn::Fingerprint { digest, ..images }
    }
}

fn missing(source: &Path, what: &str, all: usize, names: &[&str]) -> Result<(), DataError> {
    if names.is_empty() {
        return Ok(());
    }
    let expected = format!("{what} for all {all} names");
    let got = format!("none for {}: {}", names.len(), first_three(names));
    Err(DataError::layout(source, expected, got))
}

impl Dataset for CaptionedImages {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, _: usize) -> u32 {
        0
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let Item { set, example, .. } = self.items[i];
        self.sets[set].picture(example)
    }

    fn name(&self, i: usize) -> String {
        let Item { set, example, .. } = self.items[i];
        self.sets[set].name(example)
    }

    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        let Item { set, example, .. } = self.items[i];
        self.sets[set].encoded(example)
    }

    /// The name without folders: so a set that was moved is the same set.
    fn stamp(&self, i: usize) -> Stamp {
        let Item { set, example, ref name, .. } = self.items[i];
        Stamp { name: name.clone(), ..self.sets[set].stamp(example) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(images: &[&str], captions: &[&str], list: Option<&[&str]>) -> Result<CaptionedImages, String> {
        let folder = tempfile::tempdir().unwrap();
        for (i, name) in images.iter().enumerate() {
            let path = folder.path().join("images").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::new(2 + i as u32, 2).save(path).unwrap();
        }
        let lines: Vec<String> = captions.iter().map(|name| format!("{name}#0\tOn {name} .")).collect();
        std::fs::write(folder.path().join("tokens.txt"), lines.join("\n")).unwrap();
        let captions = CaptionFile::read(folder.path().join("tokens.txt")).unwrap();
        let list = list.map(|names| {
            std::fs::write(folder.path().join("list.txt"), names.join("\n")).unwrap();
            folder.path().join("list.txt")
        });
        let opened = CaptionedImages::open(&[folder.path().join("images")], &captions, list);
        opened.map_err(|fault| fault.to_string().rsplit('/').next().unwrap().to_string())
    }

    #[test]
    fn images_are_in_the_order_of_the_list_and_those_not_named_are_left_out() {
        let found =
            set(&["x/a.png", "y/b.png", "c.png"], &["a.png", "b.png", "d.png"], Some(&["b.png", "a.png"]))
                .unwrap();
        assert_eq!(
            (found.len(), found.file_name(0), found.captions(1)),
            (2, "b.png", &["On a.png .".to_string()][..])
        );
        assert_eq!(found.stamp(0).name, "b.png");
    }

    #[test]
    fn missing_images_and_captions_are_counted_and_the_first_three_named() {
        let names = ["a.png", "e.png", "b.png", "d.png", "c.png"];
        assert_eq!(
            set(&["a.png"], &["a.png"], Some(&names)).unwrap_err(),
            "list.txt: expected images for all 5 names, got none for 4: e.png, b.png, d.png and 1 more"
        );
        assert_eq!(
            set(&["a.png", "b.png"], &["a.png"], Some(&["a.png", "b.png"])).unwrap_err(),
            "list.txt: expected captions for all 2 names, got none for 1: b.png"
        );
        assert_eq!(
            set(&["a.png"], &["b.png", "a.png"], None).unwrap_err(),
            "tokens.txt: expected images for all 2 names, got none for 1: b.png"
        );
        assert_eq!(
            set(&["x/a.png", "y/a.png"], &["a.png"], None).unwrap_err(),
            "images: expected another name for each image, got a.png twice"
        );
    }
}
