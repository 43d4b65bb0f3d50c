//! What kind of file it is, by its first bytes: for messages about a file that is not of the kind expected.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How many bytes of a file are looked at. A tar archive shows itself last, by a word at byte 257.
pub const START: usize = 512;

/// A kind of file, as [`FileKind::of`] recognises it. Its text is a noun with an article, and for archives the remedy:
/// `a ZIP archive: unpack it first`.
///
/// ```
/// use cnn_tensor::sniff::FileKind;
/// let of = |name: &str, start: &[u8]| FileKind::of(name.as_ref(), start);
/// assert_eq!(of("photos.zip", b"PK\x03\x04").map(|kind| kind.to_string()), Some("a ZIP archive: unpack it first".into()));
/// assert_eq!(of("weights.pth", b"PK\x03\x04"), Some(FileKind::PyTorch));
/// assert_eq!(of("a.jpg", b"\n<!DOCTYPE html><title>404").map(FileKind::name), Some("an HTML page"));
/// assert_eq!(of("a.txt", b"any other text"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A file without content.
    Empty,
    /// A JPEG image.
    Jpeg,
    /// A PNG image.
    Png,
    /// A WebP image.
    WebP,
    /// A BMP image.
    Bmp,
    /// A binary PGM or PPM image.
    Pnm,
    /// A GIF image.
    Gif,
    /// A TIFF image, or the raw image of a camera in that form.
    Tiff,
    /// A HEIC image.
    Heic,
    /// An AVIF image.
    Avif,
    /// A JPEG 2000 image.
    Jpeg2000,
    /// A JPEG XL image.
    JpegXl,
    /// A Photoshop file.
    Photoshop,
    /// A video.
    Video,
    /// A PDF file.
    Pdf,
    /// An HTML page, often the error page of a server.
    Html,
    /// An XML file, SVG among them.
    Xml,
    /// The place holder of a file in Git LFS.
    GitLfs,
    /// A tar archive.
    Tar,
    /// A ZIP archive.
    Zip,
    /// A RAR archive.
    Rar,
    /// A 7z archive.
    SevenZip,
    /// A file compressed with gzip.
    Gzip,
    /// A file compressed with bzip2.
    Bzip2,
    /// A file compressed with xz.
    Xz,
    /// A file compressed with zstd.
    Zstd,
    /// What PyTorch's `torch.save` writes: a ZIP archive of a pickle and its tensors, or a pickle alone.
    PyTorch,
    /// A Keras model: a ZIP archive.
    Keras,
    /// A pickle of Python.
    Pickle,
    /// An HDF5 file, as older versions of Keras write it.
    Hdf5,
    /// A NumPy array, or a ZIP archive of such arrays.
    NumPy,
    /// An ONNX model.
    Onnx,
    /// A TensorFlow Lite model.
    TfLite,
    /// A GGUF model.
    Gguf,
    /// A safetensors file.
    Safetensors,
    /// A Parquet file.
    Parquet,
    /// An SQLite data base.
    Sqlite,
}

/// Kinds by their first bytes.
const BY_START: &[(&[u8], FileKind)] = &[
    (b"\xff\xd8\xff", FileKind::Jpeg),
    (b"\x89PNG\r\n\x1a\n", FileKind::Png),
    (b"BM", FileKind::Bmp),
    (b"GIF87a", FileKind::Gif),
    (b"GIF89a", FileKind::Gif),
    (b"II*\0", FileKind::Tiff),
    (b"MM\0*", FileKind::Tiff),
    (b"\0\0\0\x0cjP  \r\n\x87\n", FileKind::Jpeg2000),
    (b"\xff\x4f\xff\x51", FileKind::Jpeg2000),
    (b"\xff\x0a", FileKind::JpegXl),
    (b"\0\0\0\x0cJXL \r\n\x87\n", FileKind::JpegXl),
    (b"8BPS", FileKind::Photoshop),
    (b"\x1a\x45\xdf\xa3", FileKind::Video),
    (b"%PDF-", FileKind::Pdf),
    (b"version https://git-lfs", FileKind::GitLfs),
    (b"PK\x05\x06", FileKind::Zip),
    (b"Rar!\x1a\x07", FileKind::Rar),
    (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
    (b"\x1f\x8b", FileKind::Gzip),
    (b"BZh", FileKind::Bzip2),
    (b"\xfd7zXZ\0", FileKind::Xz),
    (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
    // PyTorch's own number, before what it pickled.
    (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", FileKind::PyTorch),
    (b"\x89HDF\r\n\x1a\n", FileKind::Hdf5),
    (b"\x93NUMPY", FileKind::NumPy),
    (b"GGUF", FileKind::Gguf),
    (b"PAR1", FileKind::Parquet),
    (b"SQLite format 3\0", FileKind::Sqlite),
];

impl FileKind {
    /// The kind of the file called `path`, whose content begins with `start`: at least [`START`] bytes, or all there are. The
    /// name decides only where the content leaves a choice: a ZIP archive called `.pth` is PyTorch's. `None`: another kind.
    pub fn of(path: &Path, start: &[u8]) -> Option<Self> {
        let at = |offset: usize, word: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(word));
        if start.is_empty() {
            return Some(Self::Empty);
        }
        // Before all others, since a tar archive begins with the name of a file, which may be any.
        if at(257, b"ustar") {
            return Some(Self::Tar);
        }
        if at(0, b"PK\x03\x04") {
            return Some(zip(path, start));
        }
        if at(0, b"RIFF") {
            return match start.get(8..12) {
                Some(b"WEBP") => Some(Self::WebP),
                Some(b"AVI ") => Some(Self::Video),
                _ => None,
            };
        }
        if at(4, b"ftyp") {
            return Some(match start.get(8..12) {
                Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1") => Self::Heic,
                Some(b"avif" | b"avis") => Self::Avif,
                _ => Self::Video,
            });
        }
        if let Some((_, kind)) = BY_START.iter().find(|(word, _)| at(0, word)) {
            return Some(*kind);
        }
        match start {
            [b'P', b'5' | b'6', b' ' | b'\t' | b'\r' | b'\n', ..] => Some(Self::Pnm),
            // The end of the first opcodes: a protocol, and a frame in the later ones.
            [0x80, 2 | 3, b'}' | b']' | b'c' | b'(' | b'X' | b'K', ..] | [0x80, 4 | 5, 0x95, ..] => {
                Some(Self::Pickle)
            }
            // The version, and the tag of any of the next fields of its first message.
            [8, 1..=32, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => Some(Self::Onnx),
            // The length of a header in JSON.
            [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(Self::Safetensors),
            _ if at(4, b"TFL3") => Some(Self::TfLite),
            _ => text(start),
        }
    }

    /// The kind of a file, of which the first [`START`] bytes are read.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub fn of_file(path: &Path) -> io::Result<Option<Self>> {
        let mut start = Vec::with_capacity(START);
        File::open(path)?.take(START as u64).read_to_end(&mut start)?;
        Ok(Self::of(path, &start))
    }

    /// A noun with an article: `a ZIP archive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Jpeg => "a JPEG image",
            Self::Png => "a PNG image",
            Self::WebP => "a WebP image",
            Self::Bmp => "a BMP image",
            Self::Pnm => "a PGM or PPM image",
            Self::Gif => "a GIF image",
            Self::Tiff => "a TIFF image",
            Self::Heic => "a HEIC image",
            Self::Avif => "an AVIF image",
            Self::Jpeg2000 => "a JPEG 2000 image",
            Self::JpegXl => "a JPEG XL image",
            Self::Photoshop => "a Photoshop file",
            Self::Video => "a video",
            Self::Pdf => "a PDF file",
            Self::Html => "an HTML page",
            Self::Xml => "an XML file",
            Self::GitLfs => "a pointer of Git LFS",
            Self::Tar => "a tar archive",
            Self::Zip => "a ZIP archive",
            Self::Rar => "a RAR archive",
            Self::SevenZip => "a 7z archive",
            Self::Gzip => "a file compressed with gzip",
            Self::Bzip2 => "a file compressed with bzip2",
            Self::Xz => "a file compressed with xz",
            Self::Zstd => "a file compressed with zstd",
            Self::PyTorch => "a PyTorch file",
            Self::Keras => "a Keras model",
            Self::Pickle => "a Python pickle",
            Self::Hdf5 => "an HDF5 file",
            Self::NumPy => "a NumPy file",
            Self::Onnx => "an ONNX model",
            Self::TfLite => "a TensorFlow Lite model",
            Self::Gguf => "a GGUF model",
            Self::Safetensors => "a safetensors file",
            Self::Parquet => "a Parquet file",
            Self::Sqlite => "an SQLite data base",
        }
    }

    /// What to do with it first, for a reader of any other kind.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Zip | Self::Rar | Self::SevenZip | Self::Gzip | Self::Bzip2 | Self::Xz | Self::Zstd => {
                Some("unpack it first")
            }
            Self::Html => Some("a server's answer in place of the file?"),
            Self::GitLfs => Some("fetch the file itself with git lfs pull"),
            _ => None,
        }
    }
}

impl Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, ": {remedy}"))
    }
}

/// A ZIP archive by the name of its first entry, or else by its own.
fn zip(path: &Path, start: &[u8]) -> FileKind {
    let length = start.get(26..28).map_or(0, |bytes| usize::from(bytes[0]) + 256 * usize::from(bytes[1]));
    let first = start.get(30..).map_or(&[][..], |rest| &rest[..length.min(rest.len())]);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        _ if first.ends_with(b"data.pkl") => FileKind::PyTorch,
        _ if first.ends_with(b".npy") => FileKind::NumPy,
        "pt" | "pth" | "ckpt" => FileKind::PyTorch,
        "keras" => FileKind::Keras,
        "npz" => FileKind::NumPy,
        _ => FileKind::Zip,
    }
}

/// Text in the forms of the web.
fn text(start: &[u8]) -> Option<FileKind> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins =
        |word: &str| start.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()));
    if ["<!doctype html", "<html", "<head", "<body"].into_iter().any(begins) {
        return Some(FileKind::Html);
    }
    ["<?xml", "<svg"].into_iter().any(begins).then_some(FileKind::Xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, start: &[u8]) -> Option<FileKind> {
        FileKind::of(name.as_ref(), start)
    }

    /// The first entry of a ZIP archive, called `name`.
    fn zip_of(name: &str) -> Vec<u8> {
        let mut header = b"PK\x03\x04".to_vec();
        header.resize(26, 0);
        header.extend([name.len() as u8, 0, 0, 0]);
        header.extend(name.as_bytes());
        header
    }

    #[test]
    fn archives_are_told_by_what_is_in_them_and_then_by_their_names() {
        assert_eq!(of("x", &zip_of("photos/a.png")), Some(FileKind::Zip));
        assert_eq!(of("x.bin", &zip_of("archive/data.pkl")), Some(FileKind::PyTorch));
        assert_eq!(of("x.zip", &zip_of("weight.npy")), Some(FileKind::NumPy));
        assert_eq!(of("x.keras", &zip_of("metadata.json")), Some(FileKind::Keras));
        assert_eq!(of("x.PTH", b"PK\x03\x04\0\0"), Some(FileKind::PyTorch));
        assert_eq!(of("x.pth", b"PK\x05\x06"), Some(FileKind::Zip));
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar  \0");
        assert_eq!(of("x", &tar), Some(FileKind::Tar));
        tar[..3].copy_from_slice(b"BMW");
        assert_eq!(of("x", &tar), Some(FileKind::Tar));
        assert_eq!(of("x.tar.gz", b"\x1f\x8b\x08"), Some(FileKind::Gzip));
    }

    #[test]
    fn models_of_other_programs_are_told_apart() {
        let legacy = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M";
        assert_eq!(of("x.pth", legacy), Some(FileKind::PyTorch));
        assert_eq!(of("x.pkl", b"\x80\x04\x95\x10\0\0\0"), Some(FileKind::Pickle));
        assert_eq!(of("x.onnx", b"\x08\x07\x12\x07pytorch"), Some(FileKind::Onnx));
        assert_eq!(of("x.h5", b"\x89HDF\r\n\x1a\n\0"), Some(FileKind::Hdf5));
        assert_eq!(of("x", b"\x40\0\0\0\0\0\0\0{\"a\":1}"), Some(FileKind::Safetensors));
        assert_eq!(of("x", b"\x1c\0\0\0TFL3"), Some(FileKind::TfLite));
    }

    #[test]
    fn images_and_pages_are_told_by_content_whatever_the_name() {
        assert_eq!(of("x.txt", b"\xff\xd8\xff\xe0"), Some(FileKind::Jpeg));
        assert_eq!(of("x.jpg", b"RIFF\x10\0\0\0WEBPVP8L"), Some(FileKind::WebP));
        assert_eq!(of("x.jpg", b"\0\0\0\x18ftypheic"), Some(FileKind::Heic));
        assert_eq!(of("x.jpg", b"P6\n3 2\n255\n"), Some(FileKind::Pnm));
        assert_eq!(of("x.jpg", b"P6x"), None);
        for page in ["<html lang=en>", "\u{feff} <!doctype HTML>", "\r\n<HTML>"] {
            assert_eq!(of("x.jpg", page.as_bytes()), Some(FileKind::Html), "{page}");
        }
        assert_eq!(of("x", b"<?xml version"), Some(FileKind::Xml));
        assert_eq!(of("x", b""), Some(FileKind::Empty));
        assert_eq!(of("x", b"n01440764\n"), None);
    }

    #[test]
    fn texts_say_what_to_do_first() {
        assert_eq!(FileKind::Gzip.to_string(), "a file compressed with gzip: unpack it first");
        assert_eq!(FileKind::Jpeg.to_string(), "a JPEG image");
    }

    #[test]
    fn a_files_start_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, [&b"GIF89a"[..], &[0; 1000]].concat()).unwrap();
        assert_eq!(FileKind::of_file(&path).unwrap(), Some(FileKind::Gif));
        assert!(FileKind::of_file(&folder.path().join("none")).is_err());
    }
}
