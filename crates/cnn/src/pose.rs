//! The joints of a person in a picture: a cascade of networks, and the baselines beside it.
//!
//! Source: A. Toshev, C. Szegedy, "DeepPose: Human Pose Estimation via Deep Neural Networks", CVPR 2014, section 3.

mod baseline;
mod file;
#[cfg(test)]
mod tests;

pub use baseline::{MeanPose, NearestPose};

use crate::Error;
use cnn_data::pose::{PersonBox, PoseSet, Skeleton, View};
use cnn_data::{Normalize, Picture};
use cnn_nn::metrics::JointScores;
use cnn_nn::{Model, NnError};
use cnn_tensor::{Tensor, parallel};
use serde::{Deserialize, Serialize};

/// The square that a stage of a cascade looks at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Look {
    /// That about the middle of the person's box, `zoom` times as long as its longer side: for the first stage.
    Person {
        /// The side of the square.
        zoom: f64,
    },
    /// One about the estimate of each joint, for the stages after it.
    Joint {
        /// The side of the square, in sides of the first stage's.
        size: f64,
    },
}

/// A stage of a cascade: a network, and the square that it looks at. Its outputs are x and y of each joint in that square.
#[derive(Debug)]
pub struct PoseStage {
    /// The network.
    pub model: Model,
    /// The square.
    pub look: Look,
}

/// A cascade of networks that estimate joints. The first sees the whole person and estimates all joints; each of the others looks
/// again at the surroundings of every joint, and corrects its place.
///
/// Each stage answers for its square and for the mirror image of it, and the two answers are averaged.
///
/// ```
/// use cnn::data::pose::{LSP, PersonBox};
/// use cnn::pose::{Look, PoseModel, PoseStage};
/// use cnn::prelude::*;
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let file = folder.path().join("pose.safetensors");
/// let net = |side| zoo::pose_mobilenet_v2(zoo::imagenet_input().with_size([side; 2]), LSP.outputs());
/// let first = PoseStage { model: Model::build(net(64), 0)?, look: Look::Person { zoom: 1.0 } };
/// let second = PoseStage { model: Model::build(net(32), 1)?, look: Look::Joint { size: 0.4 } };
/// PoseModel::new(vec![first, second], &LSP)?.save(&file)?;
///
/// let model = PoseModel::load(&file, &LSP)?;
/// let photo = Picture::filled([3, 120, 80], 200);
/// let pose = model.predict(&photo, PersonBox::whole([80, 120]))?;
/// assert_eq!((pose.stages.len(), pose.joints().len()), (2, 14));
/// # Ok::<(), cnn::Error>(())
/// ```
#[derive(Debug)]
pub struct PoseModel {
    skeleton: &'static Skeleton,
    stages: Vec<PoseStage>,
}

/// An estimated pose.
#[derive(Clone, Debug, PartialEq)]
pub struct Pose {
    /// The places of the joints after each stage, `[x, y]` in pixels of the picture.
    pub stages: Vec<Vec<[f32; 2]>>,
}

impl Pose {
    /// The places of the joints after the last stage.
    pub fn joints(&self) -> &[[f32; 2]] {
        self.stages.last().map_or(&[], Vec::as_slice)
    }
}

impl PoseModel {
    /// A cascade for the joints of a skeleton.
    ///
    /// # Errors
    /// There is no stage, or the first does not look at the whole person, or a later one does; or a network does not have a
    /// square input of three channels and the skeleton's outputs.
    pub fn new(stages: Vec<PoseStage>, skeleton: &'static Skeleton) -> Result<Self, Error> {
        let fault = |fault: String| Err(Error::Description(format!("a cascade for joints: {fault}")));
        if stages.is_empty() {
            return fault("expected at least one stage, got none".into());
        }
        for (i, PoseStage { model, look }) in stages.iter().enumerate() {
            let stage = i + 1;
            if matches!(look, Look::Person { .. }) != (i == 0) {
                return fault("expected the first stage, and no other, to look at the whole person".into());
            }
            let (Look::Person { zoom: side } | Look::Joint { size: side }) = *look;
            if !(side > 0.0 && side.is_finite()) {
                return fault(format!("expected a square with a side above 0 for stage {stage}, got {side}"));
            }
            let [c, h, w] = model.spec.input.shape;
            if c != 3 || h != w {
                let got = model.spec.input.shape;
                return fault(format!("expected an input of [3, side, side] for stage {stage}, got {got:?}"));
            }
            if model.spec.classes != skeleton.outputs() {
                let (joints, name) = (skeleton.joints.len(), skeleton.name);
                return fault(format!(
                    "expected x and y of the {joints} joints of {name} as the outputs of stage {stage}, got {} others",
                    model.spec.classes.len()
                ));
            }
        }
        Ok(Self { skeleton, stages })
    }

    /// The joints that it knows.
    pub fn skeleton(&self) -> &'static Skeleton {
        self.skeleton
    }

    /// The stages.
    pub fn stages(&self) -> &[PoseStage] {
        &self.stages
    }

    /// The stages by value.
    pub fn into_stages(self) -> Vec<PoseStage> {
        self.stages
    }

    /// The joints of the person in a box of a picture.
    ///
    /// # Errors
    /// The box has no side above 0, or a network cannot take its input.
    pub fn predict(&self, picture: &Picture<'_>, bounds: PersonBox) -> Result<Pose, Error> {
        let mut pose = Pose { stages: Vec::with_capacity(self.stages.len()) };
        // The side of the first square, by which the later ones are measured.
        let mut person = 0.0;
        for stage in &self.stages {
            let places = match stage.look {
                Look::Person { zoom } => {
                    let view = View::of_box(bounds, zoom);
                    person = view.extent;
                    stage.answers(picture, &[view], self.skeleton)?.remove(0)
                }
                Look::Joint { size } => {
                    let views: Vec<View> = pose
                        .joints()
                        .iter()
                        .map(|place| View {
                            center: place.map(f64::from),
                            extent: size * person,
                            angle: 0.0,
                            mirrored: false,
                        })
                        .collect();
                    let answers = stage.answers(picture, &views, self.skeleton)?;
                    answers.iter().enumerate().map(|(joint, places)| places[joint]).collect()
                }
            };
            pose.stages.push(places);
        }
        Ok(pose)
    }

    /// The poses of all people of a set, in its order. `watch` is told how many have been done.
    ///
    /// # Errors
    /// A picture cannot be read, or those of [`PoseModel::predict`].
    pub fn predict_set(&self, set: &PoseSet, watch: &mut dyn FnMut(usize)) -> Result<Vec<Pose>, Error> {
        const PIECE: usize = 32;
        let mut poses = Vec::with_capacity(set.len());
        for start in (0..set.len()).step_by(PIECE) {
            let count = PIECE.min(set.len() - start);
            let piece = parallel::map(count, |i| -> Result<Pose, Error> {
                let i = start + i;
                self.predict(&set.picture(i)?, set.person(i).bounds)
            });
            for pose in piece {
                poses.push(pose?);
            }
            watch(poses.len());
        }
        Ok(poses)
    }
}

impl PoseStage {
    /// The places in the picture of all joints, as they are seen in each view: the mean of a view and its mirror image.
    fn answers(
        &self,
        picture: &Picture<'_>,
        views: &[View],
        skeleton: &Skeleton,
    ) -> Result<Vec<Vec<[f32; 2]>>, Error> {
        let [c, side, _] = self.model.spec.input.shape;
        let normalize = Normalize::new(&self.model.spec.input.mean, &self.model.spec.input.std)?;
        let both: Vec<View> =
            views.iter().flat_map(|&view| [view, View { mirrored: !view.mirrored, ..view }]).collect();
        let mut bytes = Vec::with_capacity(both.len() * c * side * side);
        for view in &both {
            bytes.extend_from_slice(view.picture(picture, side)?.to_rgb().data());
        }
        let y = self.model.net.infer(&normalize.tensor([both.len(), c, side, side], &bytes)?)?;
        let joints = skeleton.joints.len();
        let place = |row: usize, joint: usize| {
            let view = &both[row];
            let output = if view.mirrored { skeleton.mirrored(joint) } else { joint };
            view.source([0, 1].map(|axis| f64::from(y.row(row)[2 * output + axis])))
        };
        let mean = |view: usize, joint: usize| {
            let (a, b) = (place(2 * view, joint), place(2 * view + 1, joint));
            [0, 1].map(|axis| ((a[axis] + b[axis]) / 2.0) as f32)
        };
        Ok((0..views.len()).map(|view| (0..joints).map(|joint| mean(view, joint)).collect()).collect())
    }
}

/// The scores of estimated joints of all people of a set: PCP at 0.5, PCK at 0.2, and the mean error.
///
/// # Errors
/// There are more or fewer poses than people, or a pose has another number of joints.
pub fn scores<'a>(
    set: &PoseSet,
    poses: impl ExactSizeIterator<Item = &'a [[f32; 2]]>,
) -> Result<JointScores, Error> {
    let skeleton = set.skeleton();
    let joints = skeleton.joints.len();
    let setting = |what, rule, got: usize| NnError::Setting { what, rule, got: got.to_string() };
    if poses.len() != set.len() {
        return Err(setting("the poses", "one for each person", poses.len()).into());
    }
    let mut scores = JointScores::new(joints, &skeleton.limb_ends(), skeleton.torso);
    for (i, found) in poses.enumerate() {
        if found.len() != joints {
            return Err(setting("the joints of a pose", "those of the skeleton", found.len()).into());
        }
        let person = set.person(i);
        scores.add(&person.places(), &person.visible(), found);
    }
    Ok(scores)
}

/// The errors of each joint along x and y, in sides of the first stage's square: how far from the truth the stage after these `poses`
/// must expect its squares. Joints that are not visible do not count.
///
/// The paper describes them by their mean and variance. They are kept as they are here: most are small and a few large, where a left
/// arm was taken for the right one, so of a normal distribution with their variance few would be small.
///
/// # Panics
/// There are fewer poses than people, or a pose has too few joints.
pub fn errors(set: &PoseSet, poses: &[Pose], zoom: f64) -> Vec<Vec<[f32; 2]>> {
    let of_joint = |joint: usize| {
        let of_pose = |(i, pose): (usize, &Pose)| {
            let person = set.person(i);
            let (truth, found) = (person.joints[joint], pose.joints()[joint]);
            let side = View::of_box(person.bounds, zoom).extent;
            truth
                .visible
                .then(|| [found[0] - truth.x, found[1] - truth.y].map(|d| (f64::from(d) / side) as f32))
        };
        poses.iter().enumerate().filter_map(of_pose).collect()
    };
    (0..set.skeleton().joints.len()).map(of_joint).collect()
}

/// A view of every person of a set as the network's input, `[n, 3, side, side]`, of the people of these numbers.
fn views(set: &PoseSet, people: std::ops::Range<usize>, model: &Model, zoom: f64) -> Result<Tensor, Error> {
    let [c, side, _] = model.spec.input.shape;
    let normalize = Normalize::new(&model.spec.input.mean, &model.spec.input.std)?;
    let mut bytes = Vec::new();
    let n = people.len();
    for i in people {
        let view = View::of_box(set.person(i).bounds, zoom);
        bytes.extend_from_slice(set.view(i, &view, side)?.data());
    }
    Ok(normalize.tensor([n, c, side, side], &bytes)?)
}
