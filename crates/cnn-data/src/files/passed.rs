//! Counts of the entries of a data set that were passed over.

use super::{entry, name};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// The most names or endings that a reason lists.
const LISTED: usize = 6;

/// The reason why an entry of a folder or archive is not an image of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A file whose content is not an image that can be read: other endings than those of images are looked into.
    OtherKind,
    /// An image that lies in the folder of no class.
    NoClass,
    /// A file that belongs to another program: `Thumbs.db`, `__MACOSX`, `@eaDir`.
    Leftover,
    /// A name that starts with a dot.
    Hidden,
    /// A link whose target does not exist; in an archive, one whose target is not in the archive.
    DeadLink,
    /// A link to a folder that it lies in.
    Circle,
    /// A device, a socket, or another thing without content.
    NoFile,
    /// A file without the ending of an image that cannot be opened, so that its kind is not known.
    Unreadable,
    /// A name that is not Unicode, on systems whose paths need that.
    Name,
    /// An older entry of an archive that has a newer one of the same name.
    Replaced,
    /// A class's folder without images, which is as if it were not there.
    NoImages,
    /// A folder that is itself a packed data set.
    Packed,
    /// An image in a folder beside those that were used.
    Unused,
}

impl Reason {
    /// Its noun in singular and in plural.
    fn nouns(self) -> [&'static str; 2] {
        match self {
            Self::OtherKind => ["file of another kind", "files of other kinds"],
            Self::NoClass => ["image beside the classes' folders", "images beside the classes' folders"],
            Self::Leftover => ["leftover of another program", "leftovers of other programs"],
            Self::Hidden => ["hidden entry", "hidden entries"],
            Self::DeadLink => ["link that leads nowhere", "links that lead nowhere"],
            Self::Circle => ["link to a folder around it", "links to a folder around them"],
            Self::NoFile => ["device or the like", "devices or the like"],
            Self::Unreadable => ["file that cannot be opened", "files that cannot be opened"],
            Self::Name => ["name that is not Unicode", "names that are not Unicode"],
            Self::Replaced => {
                ["entry with a newer one of its name", "entries with newer ones of their names"]
            }
            Self::NoImages => ["folder without images", "folders without images"],
            Self::Packed => ["folder of packed images", "folders of packed images"],
            Self::Unused => ["image in a folder that is not used", "images in folders that are not used"],
        }
    }

    /// The ending or name under which the entry at `path` is counted.
    fn key(self, path: &[u8]) -> String {
        let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        match self {
            Self::Hidden if last.starts_with(b"._") => "._*".into(),
            Self::Leftover if !entry::is_named_leftover(last) => name::ending(path),
            Self::Hidden | Self::Leftover | Self::NoImages | Self::Packed => name::text(last),
            Self::Unused => name::text(path.split(|byte| *byte == b'/').next().unwrap_or_default()),
            _ => name::ending(path),
        }
    }
}

/// How many files of a data set were passed over, by reason and ending. Its text is one line.
///
/// ```
/// use cnn_data::{ImageFiles, Reason};
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # std::fs::create_dir_all(folder.join("ants")).expect("a folder");
/// # image::GrayImage::new(3, 2).save(folder.join("ants/a.png")).expect("a file");
/// # for name in ["ants/b.gif", "ants/c.gif", "ants/Thumbs.db"] {
/// #     std::fs::write(folder.join(name), "GIF89a").expect("a file");
/// # }
/// // ants/a.png, ants/b.gif, ants/c.gif, ants/Thumbs.db
/// let set = ImageFiles::by_folder(folder)?;
/// assert_eq!(set.passed_over().count(Reason::OtherKind), 2);
/// assert_eq!(
///     set.passed_over().to_string(),
///     "2 files of other kinds (2 .gif), 1 leftover of another program (1 Thumbs.db)"
/// );
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    counts: BTreeMap<Reason, BTreeMap<String, usize>>,
}

impl PassedOver {
    /// Whether nothing was passed over.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The number for one reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.counts.get(&reason).map_or(0, |counts| counts.values().sum())
    }

    /// The numbers by reason and ending, or by name for hidden entries, leftovers and folders.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, &str, usize)> {
        let of = |(reason, counts): (&Reason, _)| (*reason, counts);
        self.counts.iter().map(of).flat_map(|(reason, counts): (Reason, &BTreeMap<String, usize>)| {
            counts.iter().map(move |(key, count)| (reason, key.as_str(), *count))
        })
    }

    /// Counts the entry at `path`.
    pub(crate) fn add(&mut self, reason: Reason, path: &[u8]) {
        *self.counts.entry(reason).or_default().entry(reason.key(path)).or_default() += 1;
    }

    /// Adds the counts of another part of the same set.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (reason, key, count) in other.iter() {
            *self.counts.entry(reason).or_default().entry(key.into()).or_default() += count;
        }
    }
}

impl Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (reason, counts)) in self.counts.iter().enumerate() {
            let total: usize = counts.values().sum();
            let noun = reason.nouns()[usize::from(total != 1)];
            write!(f, "{}{total} {noun} (", if i == 0 { "" } else { ", " })?;
            let mut listed: Vec<_> = counts.iter().collect();
            // The most frequent first; of equal ones the first in order.
            listed.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (i, (key, count)) in listed.iter().take(LISTED).enumerate() {
                let key = if key.is_empty() { "without ending" } else { key };
                let key: String = cnn_tensor::text::one_line(key).chars().take(40).collect();
                f.write_str(if i == 0 { "" } else { ", " })?;
                match (reason, count) {
                    (Reason::NoImages | Reason::Packed, 1) => f.write_str(&key)?,
                    _ => write!(f, "{count} {key}")?,
                }
            }
            let others: usize = listed.iter().skip(LISTED).map(|(_, count)| **count).sum();
            if others > 0 {
                write!(f, ", {others} {}", if others == 1 { "other" } else { "others" })?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_by_reason_and_ending() {
        let mut passed = PassedOver::default();
        for path in ["a/1.GIF", "a/2.gif", "a/3.tif", "a/notes"] {
            passed.add(Reason::OtherKind, path.as_bytes());
        }
        passed.add(Reason::NoImages, b"a/bees");
        passed.add(Reason::Hidden, b"a/._1.gif");
        passed.add(Reason::Hidden, b"a/.DS_Store");
        let line = "4 files of other kinds (2 .gif, 1 without ending, 1 .tif), 2 hidden entries (1 .DS_Store, 1 ._*), \
                    1 folder without images (bees)";
        assert_eq!(passed.to_string(), line);
        let mut twice = passed.clone();
        twice.extend(&passed);
        assert_eq!((twice.count(Reason::OtherKind), twice.count(Reason::Circle)), (8, 0));
    }

    #[test]
    fn many_endings_stay_a_line() {
        let mut passed = PassedOver::default();
        (0..100).for_each(|i| passed.add(Reason::OtherKind, format!("a.{i:03}").as_bytes()));
        passed.add(Reason::OtherKind, b"a.000");
        passed.add(Reason::OtherKind, b"a.\n\x1b[2J");
        let line = passed.to_string();
        let start = "102 files of other kinds (2 .000, 1 .\\n\\u{1b}[2j, ";
        assert!(line.starts_with(start) && line.ends_with(", 95 others)"), "{line}");
    }
}
