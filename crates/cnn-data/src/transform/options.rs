//! Options as configurations write them, and the rules that several transforms share.

use crate::DataError;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::{Debug, Display};

/// The largest height, width or margin that an option may name.
pub(super) const MAX_SIDE: usize = 1 << 14;

/// How values between pixels come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Between the two nearest pixels of each direction in proportion to their distances. Where an image is made smaller,
    /// the triangle that weighs the pixels is widened by the same factor, as in Pillow and in torchvision with `antialias`.
    Bilinear,
    /// Catmull and Rom's cubic over four pixels of each direction, widened like the bilinear one; for resizing alone.
    Bicubic,
    /// The mean of all pixels that a new one covers, Pillow's `BOX`; for resizing alone.
    Area,
}

impl Interpolation {
    /// Checks that it is one of those that read an image anywhere.
    pub(super) fn check_sampling(self, what: &'static str) -> Result<(), DataError> {
        match self {
            Self::Nearest | Self::Bilinear => Ok(()),
            Self::Bicubic | Self::Area => {
                Err(setting(what, "nearest or bilinear", format!("{self:?}").to_lowercase()))
            }
        }
    }
}

pub(super) fn setting(what: &'static str, rule: impl Into<String>, got: impl Display) -> DataError {
    DataError::Setting { what, rule: rule.into(), got: got.to_string() }
}

/// Checks that `p` is a probability.
pub(super) fn check_probability(what: &'static str, p: f32) -> Result<(), DataError> {
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    Err(setting(what, "a probability from 0 to 1", p))
}

/// Checks that height and width, or other numbers of pixels, are from 1 to [`MAX_SIDE`].
pub(super) fn check_sides(what: &'static str, sides: &[usize]) -> Result<(), DataError> {
    match sides.iter().find(|side| !(1..=MAX_SIDE).contains(side)) {
        None => Ok(()),
        Some(side) => Err(setting(what, format!("from 1 to {MAX_SIDE} pixels"), side)),
    }
}

/// The most pixels of an image whose size follows from that of another: those of a square of the largest side.
const MAX_PIXELS: usize = MAX_SIDE * MAX_SIDE;

/// Checks that an image of that height and width may be made, whose sides no option names.
pub(super) fn check_pixels(what: &'static str, [h, w]: [usize; 2]) -> Result<(), DataError> {
    if h.saturating_mul(w) <= MAX_PIXELS {
        return Ok(());
    }
    Err(setting(what, format!("of at most {MAX_PIXELS} pixels"), format!("{h}x{w}")))
}

/// Checks that margins are at most [`MAX_SIDE`].
pub(super) fn check_padding(padding: [usize; 4]) -> Result<(), DataError> {
    match padding.iter().find(|&&pixels| pixels > MAX_SIDE) {
        None => Ok(()),
        Some(pixels) => Err(setting("a padding", format!("at most {MAX_SIDE} pixels"), pixels)),
    }
}

/// Checks that `[low, high]` are in order and within `[least, most]`.
pub(super) fn check_range(
    what: &'static str,
    [low, high]: [f32; 2],
    [least, most]: [f32; 2],
) -> Result<(), DataError> {
    if least <= low && low <= high && high <= most {
        return Ok(());
    }
    let rule = if most == f32::MAX {
        format!("a lower and an upper bound of at least {least}")
    } else {
        format!("a lower and an upper bound within [{least}, {most}]")
    };
    Err(setting(what, rule, format!("[{low}, {high}]")))
}

/// A side is a square.
pub(super) fn sides<'de, D: Deserializer<'de>>(from: D) -> Result<[usize; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number of pixels, or [height, width]")]
    enum Sides {
        Square(usize),
        Both([usize; 2]),
    }
    Ok(match Sides::deserialize(from)? {
        Sides::Square(side) => [side; 2],
        Sides::Both(sides) => sides,
    })
}

/// One number is for all edges, two are for left and right and for top and bottom.
pub(super) fn padding<'de, D: Deserializer<'de>>(from: D) -> Result<[usize; 4], D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a number of pixels, [left and right, top and bottom], or [left, top, right, bottom]"
    )]
    enum Padding {
        All(usize),
        Pairs([usize; 2]),
        Each([usize; 4]),
    }
    Ok(match Padding::deserialize(from)? {
        Padding::All(pixels) => [pixels; 4],
        Padding::Pairs([x, y]) => [x, y, x, y],
        Padding::Each(each) => each,
    })
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, or [lower bound, upper bound]")]
enum Range {
    About(f32),
    Bounds([f32; 2]),
}

/// A number `d` is from `-d` to `d`.
pub(super) fn about_0<'de, D: Deserializer<'de>>(from: D) -> Result<[f32; 2], D::Error> {
    Ok(match Range::deserialize(from)? {
        Range::About(distance) => [-distance, distance],
        Range::Bounds(bounds) => bounds,
    })
}

/// A number `d` is from `1 - d`, at least 0, to `1 + d`.
pub(super) fn about_1<'de, D: Deserializer<'de>>(from: D) -> Result<[f32; 2], D::Error> {
    Ok(match Range::deserialize(from)? {
        Range::About(distance) => [(1.0 - distance).max(0.0), 1.0 + distance],
        Range::Bounds(bounds) => bounds,
    })
}

/// A number `d` is a shear along x from `-d` to `d`, two numbers are its bounds, four those along x and y.
pub(super) fn shear<'de, D: Deserializer<'de>>(from: D) -> Result<[f32; 4], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected one, two or four numbers of degrees")]
    enum Shear {
        About(f32),
        X([f32; 2]),
        Both([f32; 4]),
    }
    Ok(match Shear::deserialize(from)? {
        Shear::About(degrees) => [-degrees, degrees, 0.0, 0.0],
        Shear::X([low, high]) => [low, high, 0.0, 0.0],
        Shear::Both(bounds) => bounds,
    })
}
