//! The joints of a data set, and what connects them.

/// The side of the body, the person's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Side {
    Right,
    Left,
    Middle,
}

/// A line between two joints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limb {
    /// Its name without the side: `upper arm`.
    pub name: &'static str,
    /// Its side of the body.
    pub side: Side,
    /// The joints at its ends.
    pub ends: [usize; 2],
}

/// The joints that a data set knows.
///
/// It is plain data: for another data set, write another constant.
///
/// ```
/// use cnn_data::pose::{LSP, Side};
/// assert_eq!((LSP.joints.len(), LSP.limbs.len()), (14, 8));
/// assert_eq!(LSP.joints[LSP.mirrored(0)], "left_ankle");
/// assert_eq!(LSP.side(0), Side::Right);
/// assert_eq!(LSP.outputs()[..2], ["right_ankle_x", "right_ankle_y"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// Its name.
    pub name: &'static str,
    /// The names of the joints in their order, as columns of tables and outputs of networks begin with them.
    pub joints: &'static [&'static str],
    /// Right joints, each with its left counterpart. Joints that are in no pair lie in the middle of the body.
    pub pairs: &'static [[usize; 2]],
    /// The limbs whose accuracy is measured.
    pub limbs: &'static [Limb],
    /// Further lines of a drawing.
    pub trunk: &'static [Limb],
    /// The two joints whose distance is the length of the torso.
    pub torso: [usize; 2],
}

/// The 14 joints of Leeds Sports Pose, in its order. The limbs are the eight of the arms and legs, of which papers report the PCP.
///
/// Source: S. Johnson, M. Everingham, "Clustered Pose and Nonlinear Appearance Models for Human Pose Estimation", BMVC 2010; the
/// torso is that of Toshev and Szegedy 2014, from the left shoulder to the right hip.
pub const LSP: Skeleton = Skeleton {
    name: "lsp",
    joints: &[
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "neck",
        "head_top",
    ],
    pairs: &[[0, 5], [1, 4], [2, 3], [6, 11], [7, 10], [8, 9]],
    limbs: &[
        limb("upper arm", Side::Right, [8, 7]),
        limb("upper arm", Side::Left, [9, 10]),
        limb("lower arm", Side::Right, [7, 6]),
        limb("lower arm", Side::Left, [10, 11]),
        limb("upper leg", Side::Right, [2, 1]),
        limb("upper leg", Side::Left, [3, 4]),
        limb("lower leg", Side::Right, [1, 0]),
        limb("lower leg", Side::Left, [4, 5]),
    ],
    trunk: &[
        limb("trunk", Side::Right, [8, 2]),
        limb("trunk", Side::Left, [9, 3]),
        limb("shoulder", Side::Right, [12, 8]),
        limb("shoulder", Side::Left, [12, 9]),
        limb("hips", Side::Middle, [2, 3]),
        limb("head", Side::Middle, [12, 13]),
    ],
    torso: [9, 2],
};

const fn limb(name: &'static str, side: Side, ends: [usize; 2]) -> Limb {
    Limb { name, side, ends }
}

impl Skeleton {
    /// The joint that takes the place of joint `joint` in a mirror: its counterpart, or itself.
    pub fn mirrored(&self, joint: usize) -> usize {
        let counterpart = |[a, b]: [usize; 2]| match joint {
            _ if joint == a => Some(b),
            _ if joint == b => Some(a),
            _ => None,
        };
        self.pairs.iter().find_map(|&pair| counterpart(pair)).unwrap_or(joint)
    }

    /// The side of the body of a joint.
    pub fn side(&self, joint: usize) -> Side {
        self.pairs.iter().fold(Side::Middle, |side, &[right, left]| match joint {
            _ if joint == right => Side::Right,
            _ if joint == left => Side::Left,
            _ => side,
        })
    }

    /// The names of a network's outputs: x and y of each joint.
    pub fn outputs(&self) -> Vec<String> {
        self.joints.iter().flat_map(|joint| [format!("{joint}_x"), format!("{joint}_y")]).collect()
    }

    /// The ends of the limbs, in their order.
    pub fn limb_ends(&self) -> Vec<[usize; 2]> {
        self.limbs.iter().map(|limb| limb.ends).collect()
    }
}
