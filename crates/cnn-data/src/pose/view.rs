//! Square parts of a picture, turned, scaled and mirrored.

use super::PersonBox;
use crate::transform::{Interpolation, resize, warp};
use crate::{DataError, Picture};

/// A square part of a picture. One map takes both its pixels and its points to the source and back, so a joint stays where it is
/// seen.
///
/// Places in a view run from -1/2 to 1/2, to the right and down, with 0 in its middle.
///
/// ```
/// use cnn_data::pose::{PersonBox, View};
/// let view = View::of_box(PersonBox { x: 10.0, y: 0.0, width: 40.0, height: 80.0 }, 1.0);
/// assert_eq!(view.place([30.0, 40.0]), [0.0, 0.0]);
/// assert_eq!(view.place([70.0, 40.0]), [0.5, 0.0]);
/// let turned = View { angle: std::f64::consts::FRAC_PI_2, ..view };
/// let [x, y] = turned.source(turned.place([12.0, 7.0]));
/// assert!((x - 12.0).abs() < 1e-9 && (y - 7.0).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Its middle in the picture.
    pub center: [f64; 2],
    /// Its side in pixels of the picture; above 0.
    pub extent: f64,
    /// The direction in the picture of its own x axis, in radians, clockwise as seen.
    pub angle: f64,
    /// Whether it is mirrored: its x axis runs the other way.
    pub mirrored: bool,
}

/// The shade outside of the picture: about the mean of photos.
const OUTSIDE: u8 = 116;

/// A picture is shrunk first if a pixel of the view is as wide as so many of its own, which would otherwise be skipped.
const SHRINK: f64 = 1.5;

impl View {
    /// The square about the middle of a box whose side is `zoom` times the longer side of the box.
    pub fn of_box(person: PersonBox, zoom: f64) -> Self {
        let center = [person.x + person.width / 2.0, person.y + person.height / 2.0];
        let extent = zoom * person.width.max(person.height);
        Self { center, extent, angle: 0.0, mirrored: false }
    }

    /// The place in the picture of a place in the view.
    pub fn source(&self, [u, v]: [f64; 2]) -> [f64; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let u = if self.mirrored { -u } else { u };
        let [x, y] = self.center;
        [x + self.extent * (cos * u - sin * v), y + self.extent * (sin * u + cos * v)]
    }

    /// The place in the view of a place in the picture.
    pub fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let [x, y] = [(x - self.center[0]) / self.extent, (y - self.center[1]) / self.extent];
        let u = cos * x + sin * y;
        [if self.mirrored { -u } else { u }, cos * y - sin * x]
    }

    /// The part of the picture, `side` pixels high and wide, bilinearly.
    ///
    /// # Errors
    /// The view is empty, its numbers are not finite, or the picture cannot be resized.
    pub fn picture(&self, picture: &Picture<'_>, side: usize) -> Result<Picture<'static>, DataError> {
        let finite = [self.center[0], self.center[1], self.extent, self.angle].iter().all(|v| v.is_finite());
        if !finite || self.extent <= 0.0 || side == 0 {
            let (what, rule) = ("a view", "finite, and with a side above 0".into());
            return Err(DataError::Setting { what, rule, got: format!("{self:?} of {side} pixels") });
        }
        let [_, h, w] = picture.shape();
        let step = self.extent / side as f64;
        let shrunk = match step > SHRINK {
            true => {
                let smaller = |extent: usize| ((extent as f64 / step).round() as usize).max(1);
                Some(resize(picture, ([0, 0], [h, w]), [smaller(h), smaller(w)], Interpolation::Area)?)
            }
            false => None,
        };
        let picture = shrunk.as_ref().unwrap_or(picture);
        let scale = [picture.width() as f64 / w as f64, picture.height() as f64 / h as f64];
        // Both maps are linear, so two places of a row give all.
        let pixel = |i: f64, j: f64| {
            let unit = |at: f64| (at + 0.5) / side as f64 - 0.5;
            let [x, y] = self.source([unit(j), unit(i)]);
            [x * scale[0] - 0.5, y * scale[1] - 0.5]
        };
        Ok(warp(picture, Interpolation::Bilinear, OUTSIDE, [side, side], |i, row| {
            let [first, second] = [0.0, 1.0].map(|j| pixel(i as f64, j));
            let step = [second[0] - first[0], second[1] - first[1]];
            for (j, (x, y)) in row.x.iter_mut().zip(&mut row.y).enumerate() {
                *x = (first[0] + j as f64 * step[0]) as f32;
                *y = (first[1] + j as f64 * step[1]) as f32;
            }
        }))
    }
}
