//! Estimates of joints that any network must surpass.

use super::views;
use crate::Error;
use cnn_data::pose::{Person, PersonBox, PoseSet};
use cnn_nn::Model;
use cnn_search::{Index, Item, Metric, Origin};
use cnn_tensor::parallel;

/// The mean pose: of each joint the mean of its places in the boxes of all people, as shares of width and height.
///
/// ```
/// use cnn::data::InMemoryDataset;
/// use cnn::data::pose::{Joint, LSP, Person, PersonBox, PoseSet};
/// use cnn::pose::MeanPose;
/// let images = InMemoryDataset::new([2, 1, 10, 10], vec![0; 200], vec![0; 2], vec!["".into()])?;
/// let person = |x, visible| Person {
///     joints: vec![Joint { x, y: 5.0, visible }; 14],
///     bounds: PersonBox::whole([10, 10]),
/// };
/// let set = PoseSet::new(images, vec![person(2.0, true), person(6.0, true)], &LSP)?;
/// let mean = MeanPose::of(&set);
/// assert_eq!(mean.in_box(PersonBox { x: 100.0, y: 0.0, width: 50.0, height: 20.0 })[0], [120.0, 10.0]);
/// # Ok::<(), cnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MeanPose {
    /// Shares of width and height.
    places: Vec<[f64; 2]>,
}

impl MeanPose {
    /// The mean over the visible joints of a set; the middle of the box for a joint that is never visible.
    pub fn of(set: &PoseSet) -> Self {
        let place = |joint: usize| {
            let (mut sum, mut count) = ([0.0; 2], 0.0);
            for person in (0..set.len()).map(|i| set.person(i)).filter(|p| p.joints[joint].visible) {
                let share = shares(person, joint);
                sum = [sum[0] + share[0], sum[1] + share[1]];
                count += 1.0;
            }
            if count == 0.0 { [0.5; 2] } else { sum.map(|sum| sum / count) }
        };
        Self { places: (0..set.skeleton().joints.len()).map(place).collect() }
    }

    /// Its joints in a person's box, in pixels of the picture.
    pub fn in_box(&self, bounds: PersonBox) -> Vec<[f32; 2]> {
        self.places.iter().map(|&place| pixels(place, bounds)).collect()
    }
}

/// The nearest neighbour: the joints of the person of a set whose picture looks most alike to a network, in shares of the box.
///
/// Pictures are compared by the cosine of a layer's maps, taken whole, since the same features in another place are another pose.
#[derive(Debug)]
pub struct NearestPose<'a> {
    set: &'a PoseSet,
    model: &'a Model,
    layer: String,
    zoom: f64,
    index: Index,
}

/// People whose features one thread computes together.
const PIECE: usize = 16;

impl<'a> NearestPose<'a> {
    /// The people of `set` by the outputs of the layer at the dotted path `layer`, for squares about their boxes as the first stage
    /// of a cascade sees them.
    ///
    /// # Errors
    /// A picture cannot be read, there is no such layer, or the set is empty.
    pub fn of(set: &'a PoseSet, model: &'a Model, layer: &str, zoom: f64) -> Result<Self, Error> {
        let features = features(set, model, layer, zoom)?;
        let length = features.first().map_or(0, Vec::len);
        let origin = Origin { model: model.spec.name.clone(), layer: layer.into(), ..Origin::default() };
        let mut index = Index::new(origin, Metric::Cosine, Vec::new(), length)?;
        for (i, features) in features.iter().enumerate() {
            index.push(Item { name: set.name(i), label: None, position: i as u64 }, features)?;
        }
        Ok(Self { set, model, layer: layer.into(), zoom, index })
    }

    /// The joints of the nearest neighbour of each person of another set, in pixels of that person's picture.
    ///
    /// # Errors
    /// A picture cannot be read.
    pub fn of_set(&self, set: &PoseSet) -> Result<Vec<Vec<[f32; 2]>>, Error> {
        let features = features(set, self.model, &self.layer, self.zoom)?;
        let nearest = |(i, features): (usize, &Vec<f32>)| {
            let hits = self.index.nearest(features, 1, Metric::Cosine)?;
            let neighbour = self.set.person(hits.first().map_or(0, |hit| hit.number));
            let bounds = set.person(i).bounds;
            let joints = 0..neighbour.joints.len();
            Ok(joints.map(|joint| pixels(shares(neighbour, joint), bounds)).collect())
        };
        features.iter().enumerate().map(nearest).collect()
    }
}

/// The outputs of a layer for every person of a set.
fn features(set: &PoseSet, model: &Model, layer: &str, zoom: f64) -> Result<Vec<Vec<f32>>, Error> {
    let pieces = parallel::map(set.len().div_ceil(PIECE), |piece| -> Result<Vec<Vec<f32>>, Error> {
        let people = piece * PIECE..set.len().min((piece + 1) * PIECE);
        let y = model.net.infer_until(&views(set, people.clone(), model, zoom)?, layer)?;
        let length = y.shape().numel() / people.len();
        Ok(y.data().chunks_exact(length.max(1)).map(<[f32]>::to_vec).collect())
    });
    let mut all = Vec::with_capacity(set.len());
    for piece in pieces {
        all.extend(piece?);
    }
    Ok(all)
}

/// The place of a joint in its person's box, as shares of width and height.
fn shares(person: &Person, joint: usize) -> [f64; 2] {
    let (at, bounds) = (person.joints[joint], person.bounds);
    [(f64::from(at.x) - bounds.x) / bounds.width, (f64::from(at.y) - bounds.y) / bounds.height]
}

fn pixels([x, y]: [f64; 2], bounds: PersonBox) -> [f32; 2] {
    [(bounds.x + x * bounds.width) as f32, (bounds.y + y * bounds.height) as f32]
}
