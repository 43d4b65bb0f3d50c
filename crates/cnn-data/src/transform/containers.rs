//! Transforms that choose among others.

use super::options::{check_probability, setting};
use super::{Pipeline, Transform, TransformSpec};
use crate::{DataError, Normalize, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Applies all of its steps with probability `p`, or none of them, as torchvision's `RandomApply`.
///
/// Its steps are all before normalisation or all after it, since that is when the one decision is made.
///
/// ```
/// use cnn_data::transform::{Pipeline, Transform};
/// let pipeline: Pipeline = serde_json::from_str(
///     r#"[{"type": "random_apply", "p": 0.8, "steps": [{"type": "color_jitter", "hue": 0.1}, {"type": "random_grayscale"}]}]"#,
/// ).unwrap();
/// pipeline.validate()?;
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomApply {
    /// How often, 0 to 1; every other image by default.
    #[serde(default = "half")]
    pub p: f32,
    /// The steps, in their order.
    pub steps: Pipeline,
}

fn half() -> f32 {
    0.5
}

impl Transform for RandomApply {
    fn validate(&self) -> Result<(), DataError> {
        check_probability("the probability of a random apply", self.p)?;
        check_stages("the steps of a random apply", self.steps.steps())?;
        self.steps.validate()
    }

    fn finishes(&self) -> bool {
        self.steps.finishes()
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        if self.finishes() || !random.chance(self.p) {
            return Ok(picture);
        }
        self.steps.apply(picture, random)
    }

    fn finish(
        &self,
        x: &mut [f32],
        shape: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        if !self.finishes() || !random.chance(self.p) {
            return Ok(());
        }
        self.steps.finish(x, shape, normalize, random)
    }
}

/// Applies one of its steps, each as likely as the others, as torchvision's `RandomChoice`.
///
/// Its steps are all before normalisation or all after it, since that is when the one decision is made.
///
/// ```
/// use cnn_data::transform::{HorizontalFlip, Invert, RandomChoice, Transform};
/// use cnn_data::Picture;
/// let choice = RandomChoice { steps: vec![HorizontalFlip { p: 1.0 }.into(), Invert { p: 1.0 }.into()] };
/// let picture = Picture::new([1, 1, 2], vec![0, 1])?;
/// let after = choice.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert!([[1, 0], [255, 254]].contains(&[after.data()[0], after.data()[1]]));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomChoice {
    /// The steps, at least one.
    pub steps: Vec<TransformSpec>,
}

impl Transform for RandomChoice {
    fn validate(&self) -> Result<(), DataError> {
        if self.steps.is_empty() {
            return Err(setting("the steps of a random choice", "at least one", "none"));
        }
        check_stages("the steps of a random choice", &self.steps)?;
        self.steps.iter().try_for_each(Transform::validate)
    }

    fn finishes(&self) -> bool {
        self.steps.iter().all(Transform::finishes)
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        if self.steps.is_empty() || self.finishes() {
            return Ok(picture);
        }
        self.steps[random.below(self.steps.len())].apply(picture, random)
    }

    fn finish(
        &self,
        x: &mut [f32],
        shape: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        if self.steps.is_empty() || !self.finishes() {
            return Ok(());
        }
        self.steps[random.below(self.steps.len())].finish(x, shape, normalize, random)
    }
}

/// Checks that one decision is enough for all steps.
fn check_stages(what: &'static str, steps: &[TransformSpec]) -> Result<(), DataError> {
    let after = steps.iter().filter(|step| step.finishes()).count();
    if after == 0 || after == steps.len() {
        return Ok(());
    }
    Err(setting(
        what,
        "all before normalisation or all after it",
        format!("{after} of {} after it", steps.len()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Cutout, Invert, Posterize, RandomErasing};

    fn black() -> Picture<'static> {
        Picture::filled([1, 1, 1], 0)
    }

    #[test]
    fn all_steps_are_taken_or_none() {
        let invert = || Invert { p: 1.0 }.into();
        let steps = Pipeline::new([invert(), Posterize { bits: 1, p: 1.0 }.into()]).unwrap();
        let apply = RandomApply { p: 0.25, steps };
        let taken = (0..2000).filter(|&seed| {
            match apply.apply(black(), &mut Random::new(seed, &[])).unwrap().data() {
                [0] => false,
                [128] => true,
                other => panic!("{other:?}"),
            }
        });
        let taken = taken.count();
        assert!((430..570).contains(&taken), "{taken} of 2000");
    }

    #[test]
    fn steps_after_normalisation_are_decided_there() {
        let erase = |value: f32| {
            let value = crate::transform::Erased::Value(value);
            RandomErasing { p: 1.0, scale: [0.3, 0.3], value, ..RandomErasing::default() }.into()
        };
        let mut counts = [0; 3];
        let choice =
            RandomChoice { steps: vec![erase(1.0), erase(2.0), Cutout { size: 99, holes: 1 }.into()] };
        choice.validate().unwrap();
        let apply = RandomApply { p: 0.5, steps: Pipeline::new([choice.clone().into()]).unwrap() };
        apply.validate().unwrap();
        let (mut untouched, normalize) = (0, Normalize::unit(1));
        for seed in 0..3000 {
            let mut random = Random::new(seed, &[]);
            assert_eq!(apply.apply(black(), &mut random).unwrap(), black());
            let mut x = [9.0; 36];
            apply.finish(&mut x, [1, 6, 6], &normalize, &mut random).unwrap();
            match [1.0, 2.0, 0.0].iter().position(|value| x.contains(value)) {
                Some(which) => counts[which] += 1,
                None => untouched += 1,
            }
        }
        assert!((1380..1620).contains(&untouched), "{untouched} of 3000");
        assert!(counts.iter().all(|count| (430..570).contains(count)), "{counts:?}");
    }

    /// Nothing but an empty list has no step to choose; such a one is refused, and does nothing if it is used all the same.
    #[test]
    fn an_empty_choice_changes_nothing() {
        let none = RandomChoice { steps: vec![] };
        assert_eq!(none.apply(black(), &mut Random::new(0, &[])).unwrap(), black());
        assert!(RandomApply { p: 1.0, steps: Pipeline::default() }.validate().is_ok());
    }
}
