//! The contact sheet of a search.

use super::Query;
use crate::datasets::short_names;
use crate::fault::{Fault, note};
use crate::look::rgb;
use crate::save::save;
use crate::source::Source;
use cnn_data::{DataError, Dataset};
use cnn_report::{Retrieval, Retrieved, Sample};
use cnn_search::{Hit, Index, Metric};
use cnn_tensor::text::cell;
use image::RgbImage;
use std::path::Path;
use std::sync::Arc;

/// Queries on a sheet.
const MOST: usize = 40;

/// Draws the queries and the images of the index that were found, from where they are; those that are not there any more as
/// empty frames.
pub fn write(
    file: &Path,
    title: &str,
    metric: Metric,
    (index, source): (&Index, Result<Source, Fault>),
    queries: &[Query],
    found: &[Vec<Hit>],
) -> Result<(), Fault> {
    if queries.len() > MOST {
        note(format!("{}: the first {MOST} of {} queries are drawn", file.display(), queries.len()));
    }
    let set = match source {
        Ok(source) => source.reopen(&index.origin().part),
        Err(fault) => {
            note(format!("the images of the index are not drawn: {}", fault.message));
            None
        }
    };
    let classes = short_names(index.classes());
    let mut missing = 0;
    let rows = queries.iter().zip(found).take(MOST).map(|(query, hits)| {
        let class =
            query.class.as_ref().and_then(|class| index.classes().iter().position(|known| known == class));
        let label = class.map_or_else(|| short(&query.name), |class| classes[class].clone());
        let nearest = hits.iter().map(|hit| {
            let label = index.item(hit.number).label;
            let image = set.as_ref().and_then(|set| image_of(set, index, hit.number).ok());
            missing += usize::from(set.is_some() && image.is_none());
            Retrieved {
                image: image.unwrap_or_default(),
                label: label.map_or_else(
                    || short(&index.item(hit.number).name),
                    |label| classes[label as usize].clone(),
                ),
                distance: hit.distance,
                agrees: class.zip(label).map(|(class, label)| class == label as usize),
            }
        });
        Retrieval { query: Sample { image: rgb(&query.picture), label }, nearest: nearest.collect() }
    });
    let rows: Vec<Retrieval> = rows.collect();
    if missing > 0 {
        note(format!(
            "{missing} images of the index are not where they were, or are others, and are not drawn"
        ));
    }
    let facts = format!("of {} images, by {metric} distance", index.len());
    save(file, &cnn_report::retrieval(title, &facts, &rows)?)
}

/// The image of a vector, if it still has the same name.
fn image_of(set: &Arc<dyn Dataset>, index: &Index, number: usize) -> Result<RgbImage, DataError> {
    let item = index.item(number);
    let position = usize::try_from(item.position).unwrap_or(usize::MAX);
    let gone = || DataError::Image { image: item.name.clone(), fault: "expected it in its place".into() };
    // A folder may have moved: names are compared by their last part.
    if position >= set.len() || file_name(&set.name(position)) != file_name(&item.name) {
        return Err(gone());
    }
    Ok(rgb(&set.picture(position)?))
}

/// A file's name, as long as there is room for below an image.
fn short(name: &str) -> String {
    cell(file_name(name), 22)
}

/// The last part of a path.
fn file_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or(name).into()
}
