//! The text file of captions, and lists of names.

use crate::DataError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The captions of a text file, by the name of the image.
///
/// Each line is `NAME#NUMBER`, a tab and the caption. Lines without any text are passed over.
#[derive(Clone, Debug)]
pub struct CaptionFile {
    path: PathBuf,
    captions: BTreeMap<String, Vec<String>>,
}

impl CaptionFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8, has no captions, or a line is of another form; the error names the line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::parse(path, &text(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        let mut captions: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
        for (line, content) in (1..).zip(text.lines()).filter(|(_, content)| !content.trim().is_empty()) {
            let refuse = |expected: &str, got: String| {
                Err(DataError::layout(path, format!("{expected} in line {line}"), got))
            };
            let parts = content.split_once('\t').and_then(|(image, caption)| {
                let (name, number) = image.rsplit_once('#')?;
                Some((name, number.parse::<u32>().ok()?, caption.trim()))
            });
            let (name, number, caption) = match parts {
                Some(parts @ (name, _, _)) if !name.is_empty() => parts,
                _ => return refuse("NAME#NUMBER, a tab and a caption", short(content)),
            };
            if caption.is_empty() {
                return refuse("a caption", format!("none of {name}"));
            }
            let of_image = captions.entry(name.into()).or_default();
            if of_image.iter().any(|(other, _)| *other == number) {
                return refuse(
                    "another number for each caption of an image",
                    format!("{name}#{number} twice"),
                );
            }
            of_image.push((number, caption.into()));
        }
        if captions.is_empty() {
            return Err(DataError::layout(path, "lines of NAME#NUMBER, a tab and a caption", "none"));
        }
        let in_order = |(name, mut all): (String, Vec<(u32, String)>)| {
            all.sort_by_key(|(number, _)| *number);
            (name, all.into_iter().map(|(_, caption)| caption).collect())
        };
        Ok(Self { path: path.into(), captions: captions.into_iter().map(in_order).collect() })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the images, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.captions.keys().map(String::as_str)
    }

    /// The captions of the image of that name, in the order of their numbers; none if it has none.
    pub fn of(&self, name: &str) -> &[String] {
        self.captions.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The names in a list, a line each, in the list's order.
///
/// # Errors
/// The file cannot be read, is not UTF-8, has no names, or has one twice.
pub(super) fn list(path: &Path) -> Result<Vec<String>, DataError> {
    let text = text(path)?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect();
    if names.is_empty() {
        return Err(DataError::layout(path, "names of images, a line each", "none"));
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(DataError::layout(path, "each name once", format!("{twice} twice"))),
        None => Ok(names),
    }
}

fn text(path: &Path) -> Result<String, DataError> {
    let bytes =
        fs::read(path).map_err(|source| DataError::Io { path: path.into(), action: "read", source })?;
    String::from_utf8(bytes).map_err(|fault| {
        let offset = fault.utf8_error().valid_up_to();
        DataError::format(path, offset as u64, "text in UTF-8", "other bytes")
    })
}

/// The beginning of a line, for a message.
fn short(line: &str) -> String {
    let start: String = line.chars().take(40).collect();
    if start.len() < line.len() { format!("{start}...") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CaptionFile, String> {
        CaptionFile::parse(Path::new("tokens.txt"), text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn captions_are_sorted_by_their_numbers_and_names_may_have_any_form() {
        let file = parse("b.jpg#1\tA second one .\r\nb.jpg#0\tA dog .\n\na#b.jpg.1#0\t\tA cat .\n").unwrap();
        assert_eq!(file.of("b.jpg"), ["A dog .", "A second one ."]);
        assert_eq!((file.of("a#b.jpg.1"), file.of("c.jpg").len()), (&["A cat .".to_string()][..], 0));
        assert_eq!(file.names().collect::<Vec<_>>(), ["a#b.jpg.1", "b.jpg"]);
    }

    #[test]
    fn faults_name_the_line() {
        let form = "tokens.txt: expected NAME#NUMBER, a tab and a caption in line 2, got";
        for wrong in ["b.jpg A dog", "b.jpg\tA dog", "b.jpg#x\tA dog", "#0\tA dog"] {
            assert_eq!(
                parse(&format!("a.jpg#0\tx\n{wrong}")).unwrap_err(),
                format!("{form} {wrong}").replace('\t', r"\t")
            );
        }
        assert_eq!(parse("a#0\t ").unwrap_err(), "tokens.txt: expected a caption in line 1, got none of a");
        let twice =
            "tokens.txt: expected another number for each caption of an image in line 2, got a#0 twice";
        assert_eq!(parse("a#0\tx\na#0\ty").unwrap_err(), twice);
        assert!(parse("\n").unwrap_err().ends_with("got none"));
    }

    #[test]
    fn lists_have_each_name_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            list(&path).map_err(|fault| fault.to_string())
        };
        assert_eq!(read(b"b.jpg\n a.jpg \r\n\n").unwrap(), ["b.jpg", "a.jpg"]);
        assert!(read(b"a\nb\na\n").unwrap_err().ends_with("expected each name once, got a twice"));
        assert!(read(b"\n").unwrap_err().ends_with("expected names of images, a line each, got none"));
        assert!(read(b"ab\xff").unwrap_err().contains("at byte 2 of the content: expected text in UTF-8"));
    }
}
