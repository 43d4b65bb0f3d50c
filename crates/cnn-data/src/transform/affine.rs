//! Images turned, moved, scaled and sheared.

use super::options::{about_0, check_range, setting, shear};
use super::warp::{Matrix, map_row, warp};
use super::{Interpolation, Transform};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Turns the image about its middle by an angle drawn from `degrees`, as torchvision's `RandomRotation`: positive angles turn
/// counter-clockwise. The size stays; pixels from outside are `fill`.
///
/// ```
/// use cnn_data::transform::{RandomRotation, Transform};
/// use cnn_data::Picture;
/// let quarter: RandomRotation = serde_json::from_str(r#"{"degrees": [90, 90]}"#).unwrap();
/// let picture = Picture::new([1, 2, 2], vec![1, 2, 3, 4])?;
/// assert_eq!(quarter.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?.data(), [2, 4, 1, 3]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomRotation {
    /// Bounds of the angle; a single number `d` is `[-d, d]`.
    #[serde(deserialize_with = "about_0")]
    pub degrees: [f32; 2],
    /// How pixels are read, nearest by default; bilinear is smoother.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// The shade outside of the image, black by default.
    #[serde(default)]
    pub fill: u8,
}

pub(super) fn nearest() -> Interpolation {
    Interpolation::Nearest
}

pub(super) fn unit_scale() -> [f32; 2] {
    [1.0, 1.0]
}

impl Transform for RandomRotation {
    fn validate(&self) -> Result<(), DataError> {
        check_range("the degrees of a rotation", self.degrees, [-360.0, 360.0])?;
        self.interpolation.check_sampling("the interpolation of a rotation")
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let angle = random.uniform(self.degrees[0], self.degrees[1]);
        // The angle of a rotation counts the other way round than that of an affine map: torchvision's convention.
        let map = Affine { angle: -f64::from(angle), ..Affine::default() };
        Ok(map.apply(&picture, self.interpolation, self.fill))
    }
}

/// Turns, moves, scales and shears the image, as torchvision's `RandomAffine`: each number is uniform within its bounds, and
/// the middle of the image is the origin. The size stays; pixels from outside are `fill`.
///
/// ```
/// use cnn_data::transform::{RandomAffine, Transform};
/// use cnn_data::Picture;
/// let affine: RandomAffine = serde_json::from_str(r#"{"degrees": 15, "translate": [0.1, 0.1], "shear": 10}"#).unwrap();
/// assert_eq!((affine.degrees, affine.scale, affine.shear), ([-15.0, 15.0], [1.0; 2], [-10.0, 10.0, 0.0, 0.0]));
/// let picture = affine.apply(Picture::filled([1, 28, 28], 7), &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(picture.plane(0)[14 * 28 + 14], 7);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomAffine {
    /// Bounds of the angle, clockwise; a single number `d` is `[-d, d]`.
    #[serde(deserialize_with = "about_0")]
    pub degrees: [f32; 2],
    /// The largest shift to either side, as a share of width and of height; whole pixels are drawn. None by default.
    #[serde(default)]
    pub translate: [f32; 2],
    /// Bounds of the factor, above 1 for larger; `[1, 1]` by default.
    #[serde(default = "unit_scale")]
    pub scale: [f32; 2],
    /// Bounds of the angles of shear along x and along y, in degrees: `[x low, x high, y low, y high]`; two numbers are for x
    /// alone, and a single `d` is `[-d, d, 0, 0]`. None by default.
    #[serde(default, deserialize_with = "shear")]
    pub shear: [f32; 4],
    /// How pixels are read, nearest by default; bilinear is smoother.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// The shade outside of the image, black by default.
    #[serde(default)]
    pub fill: u8,
}

impl RandomAffine {
    /// Rotations within `[-degrees, degrees]`, and nothing else.
    pub fn new(degrees: f32) -> Self {
        Self {
            degrees: [-degrees, degrees],
            translate: [0.0; 2],
            scale: unit_scale(),
            shear: [0.0; 4],
            interpolation: nearest(),
            fill: 0,
        }
    }

    /// A map for an image of height `h` and width `w`.
    pub(super) fn draw(&self, [h, w]: [usize; 2], random: &mut Random) -> Affine {
        let mut within = |low, high| f64::from(random.uniform(low, high));
        let angle = within(self.degrees[0], self.degrees[1]);
        let [most_x, most_y] = [self.translate[0] * w as f32, self.translate[1] * h as f32];
        let translate = [within(-most_x, most_x), within(-most_y, most_y)].map(f64::round_ties_even);
        let scale = within(self.scale[0], self.scale[1]);
        let shear = [within(self.shear[0], self.shear[1]), within(self.shear[2], self.shear[3])];
        Affine { center: [0.0; 2], angle, translate, scale, shear }
    }
}

impl Transform for RandomAffine {
    fn validate(&self) -> Result<(), DataError> {
        check_range("the degrees of an affine map", self.degrees, [-360.0, 360.0])?;
        if !self.translate.iter().all(|share| (0.0..=1.0).contains(share)) {
            let got = format!("{:?}", self.translate);
            return Err(setting("the translation of an affine map", "two shares from 0 to 1", got));
        }
        check_range("the scale of an affine map", self.scale, [1e-3, 1e3])?;
        let [x_low, x_high, y_low, y_high] = self.shear;
        check_range("the shear of an affine map", [x_low, x_high], [-89.0, 89.0])?;
        check_range("the shear of an affine map", [y_low, y_high], [-89.0, 89.0])?;
        self.interpolation.check_sampling("the interpolation of an affine map")
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let [_, h, w] = picture.shape();
        Ok(self.draw([h, w], random).apply(&picture, self.interpolation, self.fill))
    }
}

/// A map of the plane: shear, scale and rotation about `center`, then a shift.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    /// In pixels right of and below the middle of the image.
    pub center: [f64; 2],
    /// Clockwise, in degrees.
    pub angle: f64,
    /// In pixels to the right and down.
    pub translate: [f64; 2],
    pub scale: f64,
    /// Along x and along y, in degrees.
    pub shear: [f64; 2],
}

impl Default for Affine {
    /// Nothing.
    fn default() -> Self {
        Self { center: [0.0; 2], angle: 0.0, translate: [0.0; 2], scale: 1.0, shear: [0.0; 2] }
    }
}

impl Affine {
    /// From places in the result to places in the source, both from the middle of the image: the inverse of
    /// `T(translate) C(center) R(angle) S(scale) SHy(shear y) SHx(shear x) C(-center)`, with
    /// `SHx = [1, -tan; 0, 1]` and `SHy = [1, 0; -tan, 1]`.
    pub fn inverse(self) -> Matrix {
        let [angle, shear_x, shear_y] = [self.angle, self.shear[0], self.shear[1]].map(f64::to_radians);
        // R SHy SHx = [a, b; c, d], whose determinant is 1.
        let a = (angle - shear_y).cos() / shear_y.cos();
        let b = -a * shear_x.tan() - angle.sin();
        let c = (angle - shear_y).sin() / shear_y.cos();
        let d = -c * shear_x.tan() + angle.cos();
        let [a, b, c, d] = [d, -b, -c, a].map(|v| v / self.scale);
        let [center_x, center_y] = self.center;
        let (x, y) = (center_x + self.translate[0], center_y + self.translate[1]);
        [a, b, center_x - a * x - b * y, c, d, center_y - c * x - d * y]
    }

    /// The image under the map.
    pub fn apply(self, picture: &Picture<'_>, interpolation: Interpolation, fill: u8) -> Picture<'static> {
        let ([_, h, w], matrix) = (picture.shape(), self.inverse());
        warp(picture, interpolation, fill, [h, w], |y, row| map_row(&matrix, [h, w], y, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(shape: [usize; 3], seed: u64) -> Picture<'static> {
        let mut picture = Picture::filled(shape, 0);
        let mut random = Random::new(seed, &["noise"]);
        picture.data_mut().iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        picture
    }

    /// Where a point of the plane goes, `x` and `y` from the middle of the image: the definition, factor by factor.
    fn forwards(map: Affine, [x, y]: [f64; 2]) -> [f64; 2] {
        let (x, y) = (x - map.center[0], y - map.center[1]);
        let [angle, shear_x, shear_y] = [map.angle, map.shear[0], map.shear[1]].map(f64::to_radians);
        let (x, y) = (x - shear_x.tan() * y, y);
        let (x, y) = (x, y - shear_y.tan() * x);
        let (x, y) = (x * map.scale, y * map.scale);
        let (x, y) = (angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y);
        [x + map.center[0] + map.translate[0], y + map.center[1] + map.translate[1]]
    }

    prop_compose! {
        fn map()(
            (angle, scale) in (-360.0..360.0f64, 0.3..3.0f64),
            center in prop::array::uniform2(-5.0..5.0f64),
            translate in prop::array::uniform2(-5.0..5.0f64),
            shear in prop::array::uniform2(-60.0..60.0f64),
        ) -> Affine {
            Affine { center, angle, translate, scale, shear }
        }
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_map(map in map(), point in prop::array::uniform2(-9.0..9.0f64)) {
            let [x, y] = forwards(map, point);
            let [a, b, c, d, e, f] = map.inverse();
            let back = [a * x + b * y + c, d * x + e * y + f];
            prop_assert!(back.iter().zip(point).all(|(a, b)| (a - b).abs() < 1e-9), "{back:?} is not {point:?}");
        }

        /// Against bilinear interpolation in f64, pixel by pixel, with `fill` everywhere else.
        #[test]
        fn pixels_are_interpolated(
            (map, fill, seed) in (map(), any::<u8>(), any::<u64>()),
            shape in [1..4usize, 1..12usize, 1..12usize],
        ) {
            let picture = noise(shape, seed);
            let [c, h, w] = shape;
            let got = map.apply(&picture, Interpolation::Bilinear, fill);
            let [a, b, sx, d, e, sy] = map.inverse();
            let (middle_x, middle_y) = ((w as f64 - 1.0) / 2.0, (h as f64 - 1.0) / 2.0);
            for k in 0..c {
                let pixel = |x: f64, y: f64| {
                    let inside = x >= 0.0 && y >= 0.0 && x < w as f64 && y < h as f64;
                    f64::from(if inside { picture.plane(k)[y as usize * w + x as usize] } else { fill })
                };
                for row in 0..h {
                    for column in 0..w {
                        let (x, y) = (column as f64 - middle_x, row as f64 - middle_y);
                        let (x, y) = (a * x + b * y + sx + middle_x, d * x + e * y + sy + middle_y);
                        let (left, top) = (x.floor(), y.floor());
                        let (right, down) = (x - left, y - top);
                        let want = (1.0 - right) * (1.0 - down) * pixel(left, top)
                            + right * (1.0 - down) * pixel(left + 1.0, top)
                            + (1.0 - right) * down * pixel(left, top + 1.0)
                            + right * down * pixel(left + 1.0, top + 1.0);
                        let got = f64::from(got.plane(k)[row * w + column]);
                        prop_assert!((got - want).abs() < 0.51, "{got} is not {want}");
                    }
                }
            }
        }

        /// A shift by whole pixels moves bytes, and the nearest pixel and the bilinear one are the same.
        #[test]
        fn whole_shifts_are_exact(
            (dx, dy, seed) in (-9..9i32, -9..9i32, any::<u64>()), shape in [1..3usize, 1..8usize, 1..8usize],
        ) {
            let picture = noise(shape, seed);
            let [c, h, w] = shape;
            let map = Affine { translate: [dx.into(), dy.into()], ..Affine::default() };
            for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
                let moved = map.apply(&picture, interpolation, 7);
                for (k, y, x) in (0..c).flat_map(|k| (0..h).flat_map(move |y| (0..w).map(move |x| (k, y, x)))) {
                    let (from_x, from_y) = (x as i32 - dx, y as i32 - dy);
                    let inside = (0..w as i32).contains(&from_x) && (0..h as i32).contains(&from_y);
                    let want = if inside { picture.plane(k)[from_y as usize * w + from_x as usize] } else { 7 };
                    prop_assert_eq!(moved.plane(k)[y * w + x], want);
                }
            }
        }
    }

    #[test]
    fn quarter_turns_are_exact_and_counter_clockwise() {
        let picture = noise([3, 7, 7], 0);
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
            let quarter = RandomRotation { degrees: [90.0; 2], interpolation, fill: 1 };
            let turned = quarter.apply(picture.clone(), &mut Random::new(0, &[])).unwrap();
            for (k, y, x) in (0..3).flat_map(|k| (0..7).flat_map(move |y| (0..7).map(move |x| (k, y, x)))) {
                assert_eq!(turned.plane(k)[y * 7 + x], picture.plane(k)[x * 7 + 6 - y]);
            }
        }
    }

    #[test]
    fn what_is_drawn_is_uniform_within_its_bounds() {
        let affine = RandomAffine {
            degrees: [-10.0, 30.0],
            translate: [0.1, 0.5],
            scale: [0.5, 2.0],
            shear: [-5.0, 5.0, 10.0, 20.0],
            ..RandomAffine::new(0.0)
        };
        let mut random = Random::new(0, &[]);
        let drawn: Vec<Affine> = (0..4000).map(|_| affine.draw([20, 100], &mut random)).collect();
        let check = |what: &str, of: fn(&Affine) -> f64, low: f64, high: f64| {
            let values: Vec<f64> = drawn.iter().map(of).collect();
            assert!(values.iter().all(|v| (low..=high).contains(v)), "{what}");
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((mean - (low + high) / 2.0).abs() < 0.02 * (high - low), "{what}: {mean}");
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let want = (high - low).powi(2) / 12.0;
            assert!((variance / want - 1.0).abs() < 0.15, "{what}: {variance} is not {want}");
        };
        check("angle", |map| map.angle, -10.0, 30.0);
        check("shift along x", |map| map.translate[0], -10.0, 10.0);
        check("shift along y", |map| map.translate[1], -10.0, 10.0);
        check("scale", |map| map.scale, 0.5, 2.0);
        check("shear along x", |map| map.shear[0], -5.0, 5.0);
        check("shear along y", |map| map.shear[1], 10.0, 20.0);
        assert!(drawn.iter().all(|map| map.translate.iter().all(|v| v.fract() == 0.0)), "whole pixels");
    }
}
