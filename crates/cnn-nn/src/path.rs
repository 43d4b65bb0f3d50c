//! The dotted names of layers and parameters.

use std::fmt;

/// The dotted path of a layer or parameter, composed on the way down without allocating memory.
///
/// ```
/// use cnn_nn::Path;
/// let features = Path::ROOT.join("features");
/// assert_eq!(features.join("3").join("weight").to_string(), "features.3.weight");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl Path<'_> {
    /// The path of the model itself, which is empty.
    pub const ROOT: Path<'static> = Path { parent: None, name: "" };

    /// The path of the part `name` of this one.
    #[must_use]
    pub fn join<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), name }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| !parent.name.is_empty()) {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)
    }
}
