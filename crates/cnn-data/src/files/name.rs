//! Names of files, which are bytes: most systems ask for no more, and archives come from other systems.

use std::path::Path;

/// The name as text. Bytes that are not UTF-8 become `\xNN`, so that different names stay different.
pub(crate) fn text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The bytes of the last part of a path.
#[cfg(unix)]
pub(crate) fn bytes(name: &std::ffi::OsStr) -> Option<Vec<u8>> {
    Some(std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec())
}

/// The bytes of the last part of a path; `None` if it is not Unicode, which here has no bytes that lead back to it.
#[cfg(not(unix))]
pub(crate) fn bytes(name: &std::ffi::OsStr) -> Option<Vec<u8>> {
    name.to_str().map(|name| name.as_bytes().to_vec())
}

/// The name, as [`bytes`] gave it, as a path.
#[cfg(unix)]
pub(crate) fn path(name: &[u8]) -> &Path {
    Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name))
}

/// The name, as [`bytes`] gave it, as a path.
#[cfg(not(unix))]
pub(crate) fn path(name: &[u8]) -> &Path {
    Path::new(std::str::from_utf8(name).expect("only Unicode names are listed"))
}

/// The text behind the last dot, in small letters and with the dot; empty if there is no dot, or only the first character
/// is one.
pub(crate) fn ending(name: &[u8]) -> String {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match last.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => text(&last[dot..]).to_ascii_lowercase(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_bytes_are_different_texts() {
        assert_eq!(text("caf\u{e9}/1.png".as_bytes()), "caf\u{e9}/1.png");
        assert_eq!(text(b"caf\xe9/1.png"), r"caf\xe9/1.png");
        assert_ne!(text(b"\xe9"), text(b"\xe8"));
    }

    #[test]
    fn endings_are_what_is_behind_the_last_dot() {
        let endings = [&b"a/b.JPG"[..], b"a.b/c", b".hidden", b"a.tar.gz", b"a.", b"x.\xff"].map(ending);
        assert_eq!(endings, [".jpg", "", "", ".gz", ".", r".\xff"]);
    }
}
