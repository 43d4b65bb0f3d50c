//! Random views for training.

use super::View;
use crate::DataError;
use crate::transform::{ColorJitter, Transform};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// What training varies of a view: where it lies, its size, its direction, whether it is mirrored, and its colours.
///
/// ```
/// use cnn_data::pose::{PersonBox, PoseAugment, View};
/// let view = View::of_box(PersonBox { x: 0.0, y: 0.0, width: 60.0, height: 80.0 }, 1.0);
/// let augment = PoseAugment { scale: [0.5, 2.0], ..PoseAugment::default() };
/// augment.validate()?;
/// let drawn = augment.view(view, &mut cnn_tensor::Random::new(0, &[]));
/// assert!((40.0..=160.0).contains(&drawn.extent));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseAugment {
    /// The largest turn to either side, in degrees; at most 180.
    pub rotation: f32,
    /// Bounds of the factor of the view's side: below 1 the person becomes larger. The logarithm is uniform.
    pub scale: [f32; 2],
    /// The largest shift of the view along each axis, as a share of its side.
    pub shift: f32,
    /// The probability that the view is mirrored.
    pub flip: f32,
    /// Brightness, contrast and saturation.
    pub colors: ColorJitter,
}

impl Default for PoseAugment {
    /// Nothing is varied.
    fn default() -> Self {
        Self { rotation: 0.0, scale: [1.0; 2], shift: 0.0, flip: 0.0, colors: ColorJitter::default() }
    }
}

impl PoseAugment {
    /// Checks the options.
    ///
    /// # Errors
    /// One of them is outside its range.
    pub fn validate(&self) -> Result<(), DataError> {
        let check = |holds: bool, what: &'static str, rule: &str, got: String| match holds {
            true => Ok(()),
            false => Err(DataError::Setting { what, rule: rule.into(), got }),
        };
        let Self { rotation, scale: [low, high], shift, flip, .. } = *self;
        check((0.0..=180.0).contains(&rotation), "the rotation", "0 to 180 degrees", rotation.to_string())?;
        let rule = "two numbers from 0.01 to 100 in ascending order";
        let sound = (0.01..=100.0).contains(&low) && (0.01..=100.0).contains(&high) && low <= high;
        check(sound, "the scale", rule, format!("{low} and {high}"))?;
        check((0.0..=1.0).contains(&shift), "the shift", "a share from 0 to 1", shift.to_string())?;
        check((0.0..=1.0).contains(&flip), "the probability of a flip", "0 to 1", flip.to_string())?;
        self.colors.validate()
    }

    /// A view near `view`.
    pub fn view(&self, view: View, random: &mut Random) -> View {
        let mut within = |low: f32, high: f32| f64::from(random.uniform(low, high));
        let angle = within(-self.rotation, self.rotation).to_radians();
        let factor = within(self.scale[0].ln(), self.scale[1].ln()).exp();
        let [dx, dy] = [within(-self.shift, self.shift), within(-self.shift, self.shift)];
        let mirrored = random.chance(self.flip);
        let [x, y] = view.center;
        View {
            center: [x + dx * view.extent, y + dy * view.extent],
            extent: view.extent * factor,
            angle: view.angle + angle,
            mirrored: view.mirrored != mirrored,
        }
    }
}
