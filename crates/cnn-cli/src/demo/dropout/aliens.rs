//! Images that show none of the classes.

use crate::datasets;
use crate::demo::kernels::PHOTO;
use crate::demo::study::Study;
use crate::fault::Fault;
use cnn_data::{Data, Dataset, DatasetName, InMemoryDataset, Loader, Picture, Subset};
use cnn_tensor::Random;
use std::path::Path;
use std::sync::Arc;

/// Images of each kind.
const COUNT: usize = 300;

/// Every kind, by name: those that are made here, and those of another data set.
pub fn all(
    study: &Study,
    other: Option<&DatasetName>,
    folder: Option<&Path>,
) -> Result<Vec<(String, Loader)>, Fault> {
    let mut random = Random::new(study.seed, &["aliens"]);
    let mut aliens = vec![
        ("turned by a quarter".to_string(), turned(study)?),
        ("pieces of a photo".to_string(), pieces(study, &mut random)?),
        ("noise".to_string(), noise(study, &mut random)?),
    ];
    if let Some(name) = other {
        let Data { test, shape, .. } = datasets::open(name, folder, Default::default())?;
        if shape != Some(study.shape) {
            let [c, h, w] = study.shape;
            let got = shape.map_or("images of any size".into(), |[c, h, w]| format!("{c} x {h} x {w}"));
            return Err(Fault::usage(format!("--alien: expected images of {c} x {h} x {w}, got {got}")));
        }
        let count = COUNT.min(test.len());
        aliens.push((name.title(), Arc::new(Subset::evenly(test, count, study.seed))));
    }
    aliens.into_iter().map(|(name, images)| Ok((name, study.loader(images, 100)?))).collect()
}

/// Test images turned by a quarter, or upside down if they are not square.
fn turned(study: &Study) -> Result<Arc<dyn Dataset>, Fault> {
    let [_, h, w] = study.shape;
    let test = &study.data.test;
    // Not those that judge the network.
    let images = Subset::evenly(test.clone(), COUNT.min(test.len()), study.seed ^ 1);
    let mut bytes = Vec::new();
    for i in 0..images.len() {
        let picture = images.picture(i)?;
        for channel in 0..picture.channels() {
            let plane = picture.plane(channel);
            bytes.extend((0..h * w).map(|at| match h == w {
                true => plane[(h - 1 - at % w) * w + at / w],
                false => plane[h * w - 1 - at],
            }));
        }
    }
    set(study, bytes)
}

/// Pieces of the photo that comes with the program.
fn pieces(study: &Study, random: &mut Random) -> Result<Arc<dyn Dataset>, Fault> {
    let [c, h, w] = study.shape;
    let photo = Picture::decode("photo.png", PHOTO)?;
    let photo = if c == 1 { photo.to_gray() } else { photo.to_rgb() };
    let mut bytes = Vec::new();
    for _ in 0..COUNT {
        let top = random.below(photo.height().saturating_sub(h) + 1);
        let left = random.below(photo.width().saturating_sub(w) + 1);
        for channel in 0..c {
            let plane = photo.plane(channel.min(photo.channels() - 1));
            for row in top..top + h {
                bytes.extend((left..left + w).map(|column| {
                    // A piece larger than the photo repeats its last row and column.
                    plane[row.min(photo.height() - 1) * photo.width() + column.min(photo.width() - 1)]
                }));
            }
        }
    }
    set(study, bytes)
}

/// Pixels of any brightness.
fn noise(study: &Study, random: &mut Random) -> Result<Arc<dyn Dataset>, Fault> {
    let count = COUNT * study.shape.iter().product::<usize>();
    set(study, (0..count).map(|_| random.below(256) as u8).collect())
}

/// Images of one made-up class.
fn set(study: &Study, bytes: Vec<u8>) -> Result<Arc<dyn Dataset>, Fault> {
    let [c, h, w] = study.shape;
    let count = bytes.len() / (c * h * w);
    Ok(Arc::new(InMemoryDataset::new([count, c, h, w], bytes, vec![0; count], vec!["alien".into()])?))
}
