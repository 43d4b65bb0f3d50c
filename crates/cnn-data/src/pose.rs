//! People in pictures: their joints, views that move pictures and joints alike, and batches for pose networks.
//!
//! - [`Skeleton`]: the joints of a data set, their pairs, and the limbs between them; [`LSP`] is the one of Leeds Sports Pose.
//! - [`PoseSet`]: pictures with the joints of the person in each, read from a table beside a folder or archive of images.
//! - [`View`]: a square part of a picture, turned, scaled and mirrored, and where points are in it.
//! - [`PoseLoader`]: batches of views with the joints in them, and a mask of those that can be seen.
//! - [`stick_figures`]: made-up people.
//!
//! Places in a picture are in pixels from its upper left corner: the centre of the first pixel is at (0.5, 0.5).

mod augment;
mod figures;
#[cfg(feature = "loader")]
mod loader;
mod set;
mod skeleton;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use augment::PoseAugment;
pub use figures::stick_figures;
#[cfg(feature = "loader")]
pub use loader::{Aim, PoseLoader};
pub use set::{Joint, Person, PersonBox, PoseSet};
pub use skeleton::{LSP, Limb, Side, Skeleton};
pub use view::View;
