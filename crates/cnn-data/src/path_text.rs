use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// A path in a form for JSON and other texts: a string, or the system's own units where the path is not UTF-8.
///
/// Fields take it by `#[serde(from = "PathText", into = "PathText")]`, or it is the field.
///
/// ```
/// use cnn_data::PathText;
/// use std::path::PathBuf;
/// let text = serde_json::to_string(&PathText::from(PathBuf::from("photos/birds")))?;
/// assert_eq!(text, r#""photos/birds""#);
/// assert_eq!(PathBuf::from(serde_json::from_str::<PathText>(&text)?), PathBuf::from("photos/birds"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathText {
    /// A path in UTF-8.
    Text(String),
    /// Any other.
    Units(Units),
}

/// The bytes of a path on Unix, or its 16-bit units on Windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    units: Vec<u16>,
}

impl From<PathBuf> for PathText {
    fn from(path: PathBuf) -> Self {
        let units = |path: OsString| Self::Units(Units { units: to_units(&path) });
        path.into_os_string().into_string().map_or_else(units, Self::Text)
    }
}

impl From<PathText> for PathBuf {
    fn from(path: PathText) -> Self {
        match path {
            PathText::Text(text) => text.into(),
            PathText::Units(Units { units }) => from_units(&units).into(),
        }
    }
}

#[cfg(windows)]
fn to_units(path: &std::ffi::OsStr) -> Vec<u16> {
    std::os::windows::ffi::OsStrExt::encode_wide(path).collect()
}

#[cfg(windows)]
fn from_units(units: &[u16]) -> OsString {
    std::os::windows::ffi::OsStringExt::from_wide(units)
}

#[cfg(unix)]
fn to_units(path: &std::ffi::OsStr) -> Vec<u16> {
    std::os::unix::ffi::OsStrExt::as_bytes(path).iter().map(|&byte| byte.into()).collect()
}

/// Units above a byte's are a file's from Windows; the path then leads nowhere.
#[cfg(unix)]
fn from_units(units: &[u16]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(units.iter().map(|&unit| unit as u8).collect())
}

/// Other systems' paths are text.
#[cfg(not(any(unix, windows)))]
fn to_units(path: &std::ffi::OsStr) -> Vec<u16> {
    path.to_string_lossy().encode_utf16().collect()
}

#[cfg(not(any(unix, windows)))]
fn from_units(units: &[u16]) -> OsString {
    String::from_utf16_lossy(units).into()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_path_that_is_not_utf_8_comes_back() {
        let path = PathBuf::from(OsString::from_vec(b"photos/\xff\x80x".to_vec()));
        let text = serde_json::to_string(&PathText::from(path.clone())).unwrap();
        assert_eq!(text, r#"{"units":[112,104,111,116,111,115,47,255,128,120]}"#);
        assert_eq!(PathBuf::from(serde_json::from_str::<PathText>(&text).unwrap()), path);
        let name = crate::DatasetName::from(path.clone().into_os_string());
        let text = serde_json::to_string(&name).unwrap();
        assert_eq!(serde_json::from_str::<crate::DatasetName>(&text).unwrap(), name);
    }
}
