//! Made-up people: stick figures, for examples and tests.

use super::{Joint, LSP, Person, PersonBox, PoseSet};
use crate::{DataError, InMemoryDataset};
use cnn_tensor::Random;

/// The shade of the lines: the right side of the body is dark, the left side light, and the rest between them.
const SHADES: [u8; 3] = [70, 220, 150];
const GROUND: u8 = 20;
const NOISE: f32 = 8.0;

/// `count` stick figures in gray pictures of `side` x `side` pixels, each in a pose of its own, with the joints of [`LSP`]. The right
/// limbs are darker than the left ones, so that the sides can be told apart. Of each figure about one joint in twenty is not visible.
///
/// ```
/// use cnn_data::pose::stick_figures;
/// let set = stick_figures(3, 48, 7)?;
/// assert_eq!((set.len(), set.picture(2)?.shape()), (3, [1, 48, 48]));
/// assert!(set.person(0).joints.iter().all(|joint| (0.0..48.0).contains(&joint.x)));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// `side` is 0.
pub fn stick_figures(count: usize, side: usize, seed: u64) -> Result<PoseSet, DataError> {
    let (mut pixels, mut people) = (Vec::with_capacity(count * side * side), Vec::with_capacity(count));
    for i in 0..count {
        let mut random = Random::new(seed, &["stick figure", &i.to_string()]);
        let joints = joints(side as f32, &mut random);
        pixels.extend(drawing(&joints, side, &mut random));
        people.push(Person { joints, bounds: PersonBox::whole([side, side]) });
    }
    let images = InMemoryDataset::new([count, 1, side, side], pixels, vec![0; count], vec![String::new()])?;
    PoseSet::new(images, people, &LSP)
}

/// The joints of a random pose: limbs hang from hips and shoulders at random angles.
fn joints(side: f32, random: &mut Random) -> Vec<Joint> {
    let size = side * random.uniform(0.2, 0.24);
    let lean = random.uniform(-0.5, 0.5);
    // From `at` by `length`, at an angle from straight down; the whole body leans.
    let from = |at: [f32; 2], length: f32, angle: f32| {
        let (sin, cos) = (angle + lean).sin_cos();
        [at[0] - length * size * sin, at[1] + length * size * cos]
    };
    let middle = [side * random.uniform(0.46, 0.54), side * random.uniform(0.46, 0.54)];
    let (across, up) = (std::f32::consts::FRAC_PI_2, std::f32::consts::PI);
    let neck = from(middle, 1.1, up);
    let mut places = [[0.0; 2]; 14];
    (places[12], places[13]) = (neck, from(neck, 0.6, up + random.uniform(-0.3, 0.3)));
    // Right joints lie at the left of a figure that is seen from the front.
    for (sign, [ankle, knee, hip], [wrist, elbow, shoulder]) in
        [(1.0, [0, 1, 2], [6, 7, 8]), (-1.0, [5, 4, 3], [11, 10, 9])]
    {
        places[hip] = from(middle, 0.25, sign * across);
        let thigh = sign * random.uniform(-0.1, 0.9);
        places[knee] = from(places[hip], 0.7, thigh);
        places[ankle] = from(places[knee], 0.7, thigh - sign * random.uniform(0.0, 0.6));
        places[shoulder] = from(neck, 0.4, sign * across);
        let arm = sign * random.uniform(0.2, 2.6);
        places[elbow] = from(places[shoulder], 0.5, arm);
        places[wrist] = from(places[elbow], 0.5, arm + sign * random.uniform(0.0, 0.8));
    }
    let inside = |v: f32| v.clamp(0.5, side - 0.5);
    places.map(|[x, y]| Joint { x: inside(x), y: inside(y), visible: !random.chance(0.05) }).to_vec()
}

/// The lines between the joints, on noise.
fn drawing(joints: &[Joint], side: usize, random: &mut Random) -> Vec<u8> {
    let mut noise = vec![0.0; side * side];
    random.fill_normal(NOISE, &mut noise);
    let mut values: Vec<f32> = noise.iter().map(|noise| f32::from(GROUND) + noise).collect();
    let radius = (side as f32 / 60.0).max(0.6);
    for limb in LSP.trunk.iter().chain(LSP.limbs) {
        let [a, b] = limb.ends.map(|joint| [joints[joint].x, joints[joint].y]);
        let along = [b[0] - a[0], b[1] - a[1]];
        let length = (along[0] * along[0] + along[1] * along[1]).max(1e-6);
        let shade = f32::from(SHADES[limb.side as usize]);
        for (i, value) in values.iter_mut().enumerate() {
            let at = [(i % side) as f32 + 0.5 - a[0], (i / side) as f32 + 0.5 - a[1]];
            let part = ((at[0] * along[0] + at[1] * along[1]) / length).clamp(0.0, 1.0);
            let distance = (at[0] - part * along[0]).hypot(at[1] - part * along[1]);
            let coverage = (radius + 0.5 - distance).clamp(0.0, 1.0);
            *value += coverage * (shade - *value);
        }
    }
    values.into_iter().map(|value| value.clamp(0.0, 255.0) as u8).collect()
}
