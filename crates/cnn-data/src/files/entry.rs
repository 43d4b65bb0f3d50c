//! The kind of an entry by its name: an image, something else, or a leftover of another program.

use super::name::ending;

/// Names of files and folders that file managers, network storage and other programs leave between the images. They are
/// compared without regard to case.
const LEFTOVERS: &[&str] = &[
    // macOS
    "__MACOSX",
    "Icon\r",
    "Network Trash Folder",
    "Temporary Items",
    "TheVolumeSettingsFolder",
    // Windows
    "Thumbs.db",
    "Thumbs.db:encryptable",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    "FOUND.000",
    "MSOCache",
    // Network storage: Synology, QNAP, NetApp
    "@eaDir",
    "@tmp",
    "@SynoResource",
    "@Recycle",
    "@Recently-Snapshot",
    "#recycle",
    "#snapshot",
    "~snapshot",
    // Linux, and programs
    "lost+found",
    "__pycache__",
    "Picasa.ini",
    "ZbThumbnail.info",
];

/// Endings of files that are not finished, or are copies that an editor keeps.
const UNFINISHED: &[&str] = &[
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".opdownload",
    ".filepart",
    ".tmp",
    ".temp",
    ".swp",
    ".bak",
];

/// Endings of images that can be read. Only the name of such a file is looked at until its picture is wanted.
const IMAGES: &[&str] = &[
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".jfi",
    ".jif",
    ".pjpeg",
    ".pjpg",
    ".pjp",
    ".jpeg_large",
    ".jpg_large",
    ".png",
    ".webp",
    ".bmp",
    ".dib",
    ".pgm",
    ".ppm",
    ".pnm",
];

/// Endings of files that lie beside images in published sets. They are not opened, since there may be as many as images.
const OTHERS: &[&str] = &[
    ".txt",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".yml",
    ".toml",
    ".ini",
    ".md",
    ".rst",
    ".html",
    ".htm",
    ".pdf",
    ".doc",
    ".docx",
    ".xls",
    ".xlsx",
    ".mat",
    ".npy",
    ".npz",
    ".pkl",
    ".pickle",
    ".h5",
    ".hdf5",
    ".pt",
    ".pth",
    ".onnx",
    ".safetensors",
    ".parquet",
    ".db",
    ".sqlite",
    ".py",
    ".ipynb",
    ".m",
    ".sh",
    ".log",
    ".cls",
    ".lst",
    ".list",
    ".names",
    ".data",
    ".tar",
    ".gz",
    ".tgz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".rar",
    ".7z",
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".wav",
    ".mp3",
];

/// The kind of a file by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// An image that can be read.
    Image,
    /// Another kind of file.
    Other,
    /// Unknown: the content tells.
    Unknown,
}

/// The kind of the file of that name.
pub(super) fn named(name: &[u8]) -> Named {
    let ending = ending(name);
    if IMAGES.contains(&ending.as_str()) {
        Named::Image
    } else if OTHERS.contains(&ending.as_str()) {
        Named::Other
    } else {
        Named::Unknown
    }
}

/// Whether a file or folder of that name, the last part of its path, was left by another program.
pub(super) fn is_leftover(name: &[u8]) -> bool {
    let unfinished = || UNFINISHED.contains(&ending(name).as_str());
    is_named_leftover(name) || name.ends_with(b"~") || name.starts_with(b"~$") || unfinished()
}

/// Whether the whole name is one by which a leftover is known.
pub(super) fn is_named_leftover(name: &[u8]) -> bool {
    LEFTOVERS.iter().any(|leftover| name.eq_ignore_ascii_case(leftover.as_bytes()))
}

/// Whether a name, the last part of a path, starts with a dot: `.DS_Store`, `._a.jpg`, `.ipynb_checkpoints`, `.git`.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_known_in_any_case() {
        for name in
            ["a.jpg", "a.JPG", "a.JPEG", "a.jpe", "a.jfif", "a.jpeg_large", "a.b.png", "a.WebP", "a.dib"]
        {
            assert_eq!(named(name.as_bytes()), Named::Image, "{name}");
        }
        for name in ["a.txt", "a.CSV", "a.xml", "a.tar"] {
            assert_eq!(named(name.as_bytes()), Named::Other, "{name}");
        }
        for name in ["a", "a.gif", "a.tif", "a.jpg.1", "a."] {
            assert_eq!(named(name.as_bytes()), Named::Unknown, "{name}");
        }
    }

    #[test]
    fn leftovers_are_known_in_any_case() {
        for name in [
            "__MACOSX",
            "thumbs.DB",
            "@eadir",
            "$Recycle.bin",
            "a.jpg.part",
            "a.jpg~",
            "~$a.docx",
            "Lost+Found",
            "Icon\r",
        ] {
            assert!(is_leftover(name.as_bytes()), "{name}");
        }
        for name in ["ant", "recycled", "recycle", "tmp", "a.jpg", "thumbs", "found"] {
            assert!(!is_leftover(name.as_bytes()), "{name}");
        }
        assert!(is_hidden(b".DS_Store") && is_hidden(b"._a.jpg") && !is_hidden(b"a"));
    }
}
