//! The scores of estimated joints: PCP, PCK, and the mean error.

/// A share of correct answers, as a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The correct ones.
    pub correct: u64,
    /// All that were counted.
    pub counted: u64,
}

impl Share {
    /// The share, 0 to 1; `None` if nothing was counted.
    pub fn value(self) -> Option<f64> {
        super::fraction(self.correct, self.counted)
    }

    fn add(&mut self, is_correct: bool) {
        self.correct += u64::from(is_correct);
        self.counted += 1;
    }
}

/// How well estimated joints fit the true ones, over any number of people.
///
/// - **PCP at 0.5**, the percentage of correct parts: a limb is correct if *both* of its ends lie within half of the limb's true
///   length of their true places (Ferrari et al. 2008, in its strict form). Limbs of length 0 do not count.
/// - **PCK at 0.2**, the percentage of correct keypoints: a joint is correct if it lies within a fifth of the torso's length of its
///   true place (Sapp and Taskar 2013). The torso is the line between two joints.
/// - **The mean error**: the distance of a joint from its true place, in torso lengths.
///
/// A distance that equals its bound is within. Joints that are not visible count nowhere, nor do limbs that end in one. People
/// whose torso has no length, or an end that is not visible, count in PCP alone. Any unit of length will do.
///
/// ```
/// use cnn_nn::metrics::JointScores;
/// // A limb from joint 0 to joint 1; the torso from joint 1 to joint 2.
/// let mut scores = JointScores::new(3, &[[0, 1]], [1, 2]);
/// let truth = [[0.0, 0.0], [0.0, 4.0], [0.0, 20.0]];
/// scores.add(&truth, &[true; 3], &[[2.0, 0.0], [2.0, 4.0], [0.0, 12.0]]);
/// assert_eq!(scores.pcp(), Some(1.0));       // both off by 2, half of the length is 2
/// assert_eq!(scores.pck(), Some(2.0 / 3.0)); // off by 2, 2 and 8, a fifth of the torso is 3.2
/// assert_eq!(scores.error(), Some(0.25));    // 12 of three joints, the torso is 16
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct JointScores {
    limbs: Vec<[usize; 2]>,
    torso: [usize; 2],
    parts: Vec<Share>,
    joints: Vec<Share>,
    errors: f64,
}

impl JointScores {
    /// The part of a limb's length within which its ends must lie.
    pub const PCP: f64 = 0.5;
    /// The part of the torso within which a joint must lie.
    pub const PCK: f64 = 0.2;

    /// Nothing counted so far. `limbs` and `torso` are pairs of the `joints`.
    ///
    /// # Panics
    /// A limb or the torso names a joint that there is not.
    pub fn new(joints: usize, limbs: &[[usize; 2]], torso: [usize; 2]) -> Self {
        let known = |pair: &[usize; 2]| pair.iter().all(|&joint| joint < joints);
        assert!(limbs.iter().all(known) && known(&torso), "limbs and torso are pairs of {joints} joints");
        let parts = vec![Share::default(); limbs.len()];
        Self { limbs: limbs.to_vec(), torso, parts, joints: vec![Share::default(); joints], errors: 0.0 }
    }

    /// Counts a person: the true places `[x, y]`, whether each counts, and the estimates.
    ///
    /// # Panics
    /// There are more or fewer places than joints.
    pub fn add(&mut self, truth: &[[f32; 2]], visible: &[bool], found: &[[f32; 2]]) {
        let joints = self.joints.len();
        assert_eq!([truth.len(), visible.len(), found.len()], [joints; 3], "places of {joints} joints");
        let off = |joint: usize| distance(truth[joint], found[joint]);
        let length = |[a, b]: [usize; 2]| {
            let length = distance(truth[a], truth[b]);
            (visible[a] && visible[b] && length > 0.0).then_some(length)
        };
        for (part, &limb) in self.parts.iter_mut().zip(&self.limbs) {
            if let Some(length) = length(limb) {
                part.add(limb.iter().all(|&end| off(end) <= Self::PCP * length));
            }
        }
        let Some(torso) = length(self.torso) else { return };
        for joint in (0..joints).filter(|&joint| visible[joint]) {
            self.joints[joint].add(off(joint) <= Self::PCK * torso);
            self.errors += off(joint) / torso;
        }
    }

    /// The PCP of each limb.
    pub fn parts(&self) -> &[Share] {
        &self.parts
    }

    /// The mean PCP of the limbs, each of which has the same weight; `None` if none was counted.
    pub fn pcp(&self) -> Option<f64> {
        mean(&self.parts)
    }

    /// The PCK of each joint.
    pub fn joints(&self) -> &[Share] {
        &self.joints
    }

    /// The mean PCK of the joints, each of which has the same weight; `None` if none was counted.
    pub fn pck(&self) -> Option<f64> {
        mean(&self.joints)
    }

    /// The mean error of all joints of all people, in torso lengths; `None` if none was counted.
    pub fn error(&self) -> Option<f64> {
        let counted: u64 = self.joints.iter().map(|joint| joint.counted).sum();
        (counted > 0).then(|| self.errors / counted as f64)
    }
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f64 {
    let [dx, dy] = [0, 1].map(|axis| f64::from(a[axis]) - f64::from(b[axis]));
    dx.hypot(dy)
}

fn mean(shares: &[Share]) -> Option<f64> {
    let known: Vec<f64> = shares.iter().filter_map(|share| share.value()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JOINTS: usize = 5;
    const LIMBS: [[usize; 2]; 3] = [[0, 1], [1, 2], [3, 4]];
    const TORSO: [usize; 2] = [2, 3];

    /// Whole numbers, so that distances often equal their bounds, and limbs often have no length.
    fn places() -> impl Strategy<Value = [[f32; 2]; JOINTS]> {
        let number = (0..7i8).prop_map(f32::from);
        prop::array::uniform5(prop::array::uniform2(number))
    }

    fn person() -> impl Strategy<Value = ([[f32; 2]; JOINTS], [bool; JOINTS], [[f32; 2]; JOINTS])> {
        (places(), prop::array::uniform5(prop::bool::weighted(0.8)), places())
    }

    /// Whether `|a - b| <= part |c - d|`, squared.
    fn within([a, b]: [[f32; 2]; 2], part: f64, [c, d]: [[f32; 2]; 2]) -> bool {
        let square = |a: [f32; 2], b: [f32; 2]| f64::from((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2));
        square(a, b) <= part * part * square(c, d) + 1e-9
    }

    proptest! {
        #[test]
        fn the_scores_are_their_definitions(people in prop::collection::vec(person(), 0..6)) {
            let mut scores = JointScores::new(JOINTS, &LIMBS, TORSO);
            people.iter().for_each(|(truth, visible, found)| scores.add(truth, visible, found));

            let mut parts = Vec::new();
            for (limb, [a, b]) in LIMBS.into_iter().enumerate() {
                let counted = people.iter().filter(|(t, v, _)| v[a] && v[b] && t[a] != t[b]);
                let right: Vec<bool> = counted
                    .map(|(t, _, f)| [a, b].iter().all(|&end| within([t[end], f[end]], 0.5, [t[a], t[b]])))
                    .collect();
                let correct = right.iter().filter(|right| **right).count();
                prop_assert_eq!(scores.parts()[limb], Share { correct: correct as u64, counted: right.len() as u64 });
                if !right.is_empty() {
                    parts.push(correct as f64 / right.len() as f64);
                }
            }
            let average = |v: &[f64]| (!v.is_empty()).then(|| v.iter().sum::<f64>() / v.len() as f64);
            prop_assert_eq!(scores.pcp(), average(&parts));

            let [s, h] = TORSO;
            let whole: Vec<_> = people.iter().filter(|(t, v, _)| v[s] && v[h] && t[s] != t[h]).collect();
            let (mut joints, mut errors) = (Vec::new(), Vec::new());
            for joint in 0..JOINTS {
                let seen: Vec<_> = whole.iter().filter(|(_, v, _)| v[joint]).collect();
                let right = seen.iter().filter(|(t, _, f)| within([t[joint], f[joint]], 0.2, [t[s], t[h]])).count();
                let share = Share { correct: right as u64, counted: seen.len() as u64 };
                prop_assert_eq!(scores.joints()[joint], share);
                if !seen.is_empty() {
                    joints.push(right as f64 / seen.len() as f64);
                }
                errors.extend(seen.iter().map(|(t, _, f)| {
                    let length = |a: [f32; 2], b: [f32; 2]| f64::from(a[0] - b[0]).hypot(f64::from(a[1] - b[1]));
                    length(t[joint], f[joint]) / length(t[s], t[h])
                }));
            }
            prop_assert_eq!(scores.pck(), average(&joints));
            match (scores.error(), average(&errors)) {
                (Some(got), Some(want)) => prop_assert!((got - want).abs() < 1e-9, "{got} {want}"),
                other => prop_assert_eq!(other, (None, None)),
            }
        }
    }

    #[test]
    fn the_truth_is_perfect_and_what_is_far_off_scores_nothing() {
        let truth = [[0.0, 0.0], [0.0, 10.0], [0.0, 20.0], [10.0, 20.0], [10.0, 30.0]];
        let mut scores = JointScores::new(JOINTS, &LIMBS, TORSO);
        scores.add(&truth, &[true; JOINTS], &truth);
        assert_eq!((scores.pcp(), scores.pck(), scores.error()), (Some(1.0), Some(1.0), Some(0.0)));
        scores.add(&truth, &[true; JOINTS], &truth.map(|[x, y]| [x + 10.0, y]));
        assert_eq!((scores.pcp(), scores.pck(), scores.error()), (Some(0.5), Some(0.5), Some(0.5)));
        let nothing = JointScores::new(JOINTS, &LIMBS, TORSO);
        assert_eq!((nothing.pcp(), nothing.pck(), nothing.error()), (None, None, None));
    }
}
