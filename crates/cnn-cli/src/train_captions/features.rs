//! Features of photos, computed once and kept on disk.

use crate::fault::{Fault, note};
use crate::index;
use crate::save::make_folder_of;
use cnn::Features;
use cnn_data::{DataError, Dataset, Picture, Stamp, fingerprint};
use cnn_search::{Index, Metric, Origin};
use std::path::Path;

/// How the photos of a set are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Plain,
    Mirrored,
}

/// The features of the photos of a set: those in `folder`, if they are of the same network, layer and photos; otherwise they are
/// computed, and kept there.
///
/// The photos are recognised by their names and sizes, as a run recognises its data.
pub fn of(features: &Features<'_>, set: &dyn Dataset, view: View, folder: &Path) -> Result<Index, Fault> {
    let part = match view {
        View::Plain => "plain",
        View::Mirrored => "mirrored",
    };
    let digest = fingerprint(set).digest;
    let origin = Origin { source: format!("photos {digest}"), part: part.into(), ..features.origin()? };
    let short = digest.get(..8).unwrap_or(&digest);
    let file = folder.join(format!("{}-{:08x}-{short}-{part}.index", origin.model, origin.fingerprint));
    match Index::load(&file) {
        Ok(index) if *index.origin() == origin && index.len() == set.len() => return Ok(index),
        Ok(_) => note(format!("{}: of other photos or of another layer, made again", file.display())),
        Err(_) if !file.exists() => {}
        Err(fault) => note(format!("{fault}; made again")),
    }
    let mirrored = Mirrored(set);
    let seen: &dyn Dataset = match view {
        View::Plain => set,
        View::Mirrored => &mirrored,
    };
    let (index, unreadable) = index::make(features, seen, origin, Metric::Cosine)?;
    if unreadable > 0 {
        let message = format!("{unreadable} of {} photos could not be read, named above", set.len());
        return Err(Fault { status: 1, message });
    }
    make_folder_of(&file)?;
    index.save(&file)?;
    Ok(index)
}

/// The images of a set with left and right exchanged.
struct Mirrored<'a>(&'a dyn Dataset);

impl Dataset for Mirrored<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, i: usize) -> u32 {
        self.0.label(i)
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let mut picture = self.0.picture(i)?;
        let width = picture.width().max(1);
        picture.data_mut().chunks_exact_mut(width).for_each(<[u8]>::reverse);
        Ok(picture)
    }

    fn name(&self, i: usize) -> String {
        self.0.name(i)
    }

    fn stamp(&self, i: usize) -> Stamp {
        self.0.stamp(i)
    }
}
