//! Images with captions: sentences that describe them.
//!
//! The layout is that of Flickr8k (Hodosh, Young and Hockenmaier 2013, "Framing Image Description as a Ranking Task"): images in
//! folders or tar archives; a text file with a line for each caption, `NAME#NUMBER`, a tab and the sentence; and for each part of
//! the set a list of the names of its images, a line each.

#[cfg(feature = "loader")]
mod batches;
mod file;
mod images;
mod vocabulary;

#[cfg(feature = "loader")]
pub use batches::CaptionBatches;
pub use file::CaptionFile;
pub use images::CaptionedImages;
pub use vocabulary::{Vocabulary, words};

/// The first three of some names, and how many more there are.
fn first_three(names: &[&str]) -> String {
    let few = names[..names.len().min(3)].join(", ");
    match names.len() {
        ..=3 => few,
        count => format!("{few} and {} more", count - 3),
    }
}
