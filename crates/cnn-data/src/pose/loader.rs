//! Batches of people for pose networks.

use super::{PoseAugment, PoseSet, View};
use crate::loader::prefetch;
use crate::transform::Transform;
use crate::{DataError, Normalize};
use cnn_nn::{Batch, Batches, Input, NnError};
use cnn_tensor::{Random, Tensor};

/// What the network looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Aim {
    /// The whole person: a square about the middle of the box, `zoom` times as long as its longer side. All joints in it are asked
    /// for.
    Person {
        /// The side of the square.
        zoom: f64,
    },
    /// The surroundings of one joint, as a later stage of a cascade sees it: a square about an estimate of its place, which is
    /// simulated by the true place and an error drawn from those observed. This joint alone is asked for.
    Joint {
        /// The zoom of the person's square, by which the lengths below are measured.
        zoom: f64,
        /// The side of the joint's square, in sides of the person's.
        size: f64,
        /// For each joint the errors to draw from, along x and y, in sides of the person's square. Of a joint that has none, the
        /// square lies about the true place.
        errors: Vec<Vec<[f32; 2]>>,
        /// How many joints of each person an epoch asks for, each epoch others.
        each: usize,
    },
}

/// Views of people, with the places of joints and a mask of those asked for: batches for [`MaskedRegress`](cnn_nn::MaskedRegress).
///
/// The target is `[n, 2 joints]`: x and y of each joint in the view, as [`View::place`] has them. The mask is 1 for both coordinates
/// of a joint that is visible, inside of the view, and asked for.
///
/// As with [`Loader`](crate::Loader), everything is a function of seed, epoch and position, so neither the number of workers nor an
/// interruption changes a bit.
///
/// ```
/// use cnn_data::InMemoryDataset;
/// use cnn_data::pose::{Aim, Joint, LSP, Person, PersonBox, PoseLoader, PoseSet};
/// use cnn_nn::{Batches, Input};
/// let images = InMemoryDataset::new([2, 1, 20, 20], vec![0; 800], vec![0; 2], vec!["".into()])?;
/// let joint = Joint { x: 15.0, y: 10.0, visible: true };
/// let person = Person { joints: vec![joint; 14], bounds: PersonBox::whole([20, 20]) };
/// let set = PoseSet::new(images, vec![person; 2], &LSP)?;
/// let loader = PoseLoader::new(set, &Input::new([3, 16, 16], &[0.5; 3], &[0.25; 3]), Aim::Person { zoom: 1.0 }, 2)?;
/// let batch = loader.epoch(0, 0).next().expect("a batch")?;
/// assert_eq!((batch.inputs[0].shape().dims(), batch.target.0.shape().dims()), (&[2, 3, 16, 16][..], &[2, 28][..]));
/// assert_eq!((&batch.target.0.data()[..2], batch.target.1.data()[0]), (&[0.25, 0.0][..], 1.0));
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone)]
pub struct PoseLoader {
    set: PoseSet,
    side: usize,
    normalize: Normalize,
    aim: Aim,
    batch_size: usize,
    /// The seed, if the order is random.
    shuffle: Option<u64>,
    augment: Option<PoseAugment>,
    /// The seed of all else that is drawn.
    seed: u64,
    workers: usize,
}

impl PoseLoader {
    /// Batches in the order of the set, without augmentation, for a network of that input.
    ///
    /// # Errors
    /// The input is not square or does not have three channels, or an option is outside its range.
    pub fn new(set: PoseSet, input: &Input, aim: Aim, batch_size: usize) -> Result<Self, DataError> {
        let fault = |what, rule: &str, got: String| Err(DataError::Setting { what, rule: rule.into(), got });
        let [c, h, w] = input.shape;
        if c != 3 || h != w {
            return fault("the input of a pose network", "[3, side, side]", format!("{:?}", input.shape));
        }
        if batch_size == 0 {
            return fault("batch size", "at least 1", "0".into());
        }
        let positive = |v: f64| v > 0.0 && v.is_finite();
        let joints = set.skeleton().joints.len();
        match &aim {
            Aim::Person { zoom } if !positive(*zoom) => {
                return fault("the zoom", "above 0", zoom.to_string());
            }
            Aim::Joint { zoom, size, .. } if !positive(*zoom) || !positive(*size) => {
                return fault(
                    "the zoom and the size of a joint's square",
                    "above 0",
                    format!("{zoom} and {size}"),
                );
            }
            Aim::Joint { errors, .. } if errors.len() != joints => {
                return fault("the errors", "a list for each joint", format!("{} lists", errors.len()));
            }
            Aim::Joint { errors, .. } if !errors.iter().flatten().flatten().all(|v| v.is_finite()) => {
                return fault("the errors", "finite", "others".into());
            }
            Aim::Joint { each, .. } if *each == 0 || *each > joints => {
                return fault(
                    "the joints of each person",
                    "at least 1, and no more than there are",
                    each.to_string(),
                );
            }
            _ => {}
        }
        let normalize = Normalize::new(&input.mean, &input.std)?;
        Ok(Self {
            set,
            side: h,
            normalize,
            aim,
            batch_size,
            shuffle: None,
            augment: None,
            seed: 0,
            workers: 0,
        })
    }

    /// The same, in a random order that differs from epoch to epoch.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        Self { shuffle: Some(seed), ..self }
    }

    /// The same with random views.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn augment(self, augment: PoseAugment, seed: u64) -> Result<Self, DataError> {
        augment.validate()?;
        Ok(Self { augment: Some(augment), seed, ..self })
    }

    /// The same, with batches made ahead by `workers` threads.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// The examples of a person.
    fn each(&self) -> usize {
        match &self.aim {
            Aim::Person { .. } => 1,
            Aim::Joint { each, .. } => *each,
        }
    }

    fn batch(&self, epoch: usize, examples: &[usize]) -> Result<Batch<(Tensor, Tensor)>, NnError> {
        let (n, joints, side) = (examples.len(), self.set.skeleton().joints.len(), self.side);
        let mut x = Tensor::scratch([n, 3, side, side]);
        let (mut places, mut mask) = (Tensor::zeros([n, 2 * joints]), Tensor::zeros([n, 2 * joints]));
        let slots = x.data_mut().chunks_exact_mut(3 * side * side);
        let targets =
            places.data_mut().chunks_exact_mut(2 * joints).zip(mask.data_mut().chunks_exact_mut(2 * joints));
        for ((&example, x), (places, mask)) in examples.iter().zip(slots).zip(targets) {
            let number = example.to_string();
            let mut random = Random::new(self.seed, &["pose", &epoch.to_string(), &number]);
            let person = example / self.each();
            let (view, asked) = self.view(epoch, example, &mut random);
            let mut picture = self.set.view(person, &view, side)?;
            if let Some(augment) = &self.augment {
                picture = augment.colors.apply(picture, &mut random)?;
            }
            self.normalize.image(picture.data(), x);
            for (joint, at) in self.set.person(person).joints.iter().enumerate() {
                let place = view.place([f64::from(at.x), f64::from(at.y)]);
                let inside = place.iter().all(|v| v.abs() <= 0.5);
                if at.visible && inside && asked.is_none_or(|asked| asked == joint) {
                    let output = if view.mirrored { self.set.skeleton().mirrored(joint) } else { joint };
                    places[2 * output..][..2].copy_from_slice(&place.map(|v| v as f32));
                    mask[2 * output..][..2].fill(1.0);
                }
            }
        }
        Ok(Batch::new(x, (places, mask)))
    }

    /// The view of an example, and the joint that is asked for if it is one alone.
    fn view(&self, epoch: usize, example: usize, random: &mut Random) -> (View, Option<usize>) {
        let person = self.set.person(example / self.each());
        let (view, asked) = match &self.aim {
            Aim::Person { zoom } => (View::of_box(person.bounds, *zoom), None),
            Aim::Joint { zoom, size, errors, each } => {
                let whole = View::of_box(person.bounds, *zoom);
                let joint = self.joint(epoch, example / each, example % each);
                let observed = &errors[joint];
                let error =
                    if observed.is_empty() { [0.0; 2] } else { observed[random.below(observed.len())] };
                let [dx, dy] = error.map(|d| whole.extent * f64::from(d));
                let at = person.joints[joint];
                let center = [f64::from(at.x) + dx, f64::from(at.y) + dy];
                (View { center, extent: size * whole.extent, ..whole }, Some(joint))
            }
        };
        (self.augment.map_or(view, |augment| augment.view(view, random)), asked)
    }

    /// The joint that an epoch asks for as number `i` of a person.
    fn joint(&self, epoch: usize, person: usize, i: usize) -> usize {
        let mut order: Vec<usize> = (0..self.set.skeleton().joints.len()).collect();
        Random::new(self.seed, &["joints", &epoch.to_string(), &person.to_string()]).shuffle(&mut order);
        order[i]
    }
}

impl Batches<(Tensor, Tensor)> for PoseLoader {
    fn examples(&self) -> usize {
        self.set.len() * self.each()
    }

    fn batches(&self) -> usize {
        self.examples().div_ceil(self.batch_size)
    }

    fn epoch(
        &self,
        epoch: usize,
        skip: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch<(Tensor, Tensor)>, NnError>> + '_> {
        let mut order: Vec<usize> = (0..self.examples()).collect();
        if let Some(seed) = self.shuffle {
            Random::new(seed, &["shuffle", &epoch.to_string()]).shuffle(&mut order);
        }
        let batches = skip.min(self.batches())..self.batches();
        let this = self.clone();
        let make = move |batch: usize| {
            let start = batch * this.batch_size;
            this.batch(epoch, &order[start..order.len().min(start + this.batch_size)])
        };
        match self.workers {
            0 => Box::new(batches.map(make)),
            workers => Box::new(prefetch::ahead(workers, batches, make)),
        }
    }
}
