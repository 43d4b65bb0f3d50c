//! Brightness, contrast and their like as functions, of which the transforms of colour are made.
//!
//! All of them are Pillow's, whose results they match within one grey level; hue is torchvision's of floating-point images,
//! since Pillow's rounds hue to 1.4 degrees.

use crate::Picture;

/// A new shade for each of 256.
pub(super) type Table = [u8; 256];

pub(super) fn table(shade: impl Fn(u8) -> u8) -> Table {
    std::array::from_fn(|i| shade(i as u8))
}

/// Every byte of the picture, or of one channel of it, replaced by the table's entry for it.
pub(super) fn look_up(bytes: &mut [u8], table: &Table) {
    bytes.iter_mut().for_each(|byte| *byte = table[usize::from(*byte)]);
}

/// `share` of `shade` and the rest of `other`, cut off at black and white, rounded down, as Pillow's `blend`.
fn blend(shade: u8, other: u8, share: f32) -> u8 {
    let other = f32::from(other);
    // `as` cuts the fraction off, and values below 0 or above 255.
    (other + share * (f32::from(shade) - other)) as u8
}

/// Black at 0, as it is at 1, brighter above.
pub(super) fn brightness(picture: &mut Picture<'_>, factor: f32) {
    look_up(picture.data_mut(), &table(|shade| blend(shade, 0, factor)));
}

/// The mean shade alone at 0, as it is at 1, more contrast above. The mean is that of the gray image.
pub(super) fn contrast(picture: &mut Picture<'_>, factor: f32) {
    let gray = picture.clone().to_gray();
    let sum: u64 = gray.data().iter().map(|&byte| u64::from(byte)).sum();
    let count = gray.data().len() as u64;
    let mean = ((2 * sum + count) / (2 * count)) as u8;
    look_up(picture.data_mut(), &table(|shade| blend(shade, mean, factor)));
}

/// Gray at 0, as it is at 1, more colour above. Nothing happens to an image of other than three channels.
pub(super) fn saturation(picture: &mut Picture<'_>, factor: f32) {
    if picture.channels() == 3 {
        let gray = picture.clone().to_gray();
        let size = gray.data().len();
        for plane in picture.data_mut().chunks_exact_mut(size) {
            plane.iter_mut().zip(gray.data()).for_each(|(v, &gray)| *v = blend(*v, gray, factor));
        }
    }
}

/// Turns the hue by `turns` of the colour circle, from -1/2 to 1/2. Nothing happens to an image of other than three channels.
pub(super) fn hue(picture: &mut Picture<'_>, turns: f32) {
    if picture.channels() != 3 {
        return;
    }
    let size = picture.height() * picture.width();
    let (red, rest) = picture.data_mut().split_at_mut(size);
    let (green, blue) = rest.split_at_mut(size);
    // In sixths of the circle.
    let shift = turns.rem_euclid(1.0) * 6.0;
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        [*r, *g, *b] = turn([*r, *g, *b], shift);
    }
}

/// A colour whose hue is `shift` sixths of the circle further, `0 <= shift <= 6`.
#[inline(always)]
fn turn(rgb: [u8; 3], shift: f32) -> [u8; 3] {
    let [r, g, b] = rgb.map(f32::from);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let spread = most - least;
    if spread == 0.0 {
        return rgb;
    }
    let sixths = if most == r {
        (g - b) / spread
    } else if most == g {
        2.0 + (b - r) / spread
    } else {
        4.0 + (r - g) / spread
    };
    // From -1 to 11.
    let sixths = sixths + shift;
    // How much of the spread a channel has at a hue: a trapezium that is 1 from -1 to 1 and 0 from 2 to 4 sixths.
    let channel = |centre: f32| {
        // From -5 to 11, brought to -3 to 3.
        let distance = sixths - centre;
        let distance = if distance > 9.0 { distance - 12.0 } else { distance };
        let distance = if distance > 3.0 { distance - 6.0 } else { distance };
        let distance = if distance < -3.0 { distance + 6.0 } else { distance };
        least + spread * (2.0 - distance.abs()).clamp(0.0, 1.0)
    };
    [channel(0.0), channel(2.0), channel(4.0)].map(|v| (v + 0.5) as u8)
}

/// The darkest shade of each channel becomes black, the lightest one white.
pub(super) fn auto_contrast(picture: &mut Picture<'_>) {
    let size = picture.height() * picture.width();
    for plane in picture.data_mut().chunks_exact_mut(size) {
        let low = plane.iter().copied().min().unwrap_or(0);
        let high = plane.iter().copied().max().unwrap_or(0);
        if low < high {
            let scale = 255.0 / f64::from(high - low);
            let offset = -f64::from(low) * scale;
            look_up(plane, &table(|shade| (f64::from(shade) * scale + offset) as u8));
        }
    }
}

/// All shades of each channel about equally frequent.
pub(super) fn equalize(picture: &mut Picture<'_>) {
    let size = picture.height() * picture.width();
    for plane in picture.data_mut().chunks_exact_mut(size) {
        let mut counts = [0usize; 256];
        plane.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (plane.len() - last) / 255;
        if step > 0 {
            let mut below = step / 2;
            let lut = counts.map(|count| {
                let shade = (below / step).min(255) as u8;
                below += count;
                shade
            });
            look_up(plane, &lut);
        }
    }
}

/// The upper `bits` bits of each byte, 0 to 8.
pub(super) fn posterize(picture: &mut Picture<'_>, bits: u8) {
    let mask = !u8::MAX.checked_shr(bits.into()).unwrap_or(0);
    picture.data_mut().iter_mut().for_each(|byte| *byte &= mask);
}

/// Shades of at least `threshold` inverted.
pub(super) fn solarize(picture: &mut Picture<'_>, threshold: f32) {
    look_up(picture.data_mut(), &table(|shade| if f32::from(shade) >= threshold { !shade } else { shade }));
}

/// All shades inverted.
pub(super) fn invert(picture: &mut Picture<'_>) {
    picture.data_mut().iter_mut().for_each(|byte| *byte = !*byte);
}

/// Smoothed at 0, as it is at 1, sharper above. Smoothed is the mean of 3x3 pixels in which the middle one counts five times;
/// the outermost pixels stay as they are.
pub(super) fn sharpness(picture: &mut Picture<'_>, factor: f32) {
    let [_, h, w] = picture.shape();
    if h < 3 || w < 3 {
        return;
    }
    let before = picture.clone().into_owned();
    let planes = picture.data_mut().chunks_exact_mut(h * w).zip(before.data().chunks_exact(h * w));
    for (plane, before) in planes {
        for y in 1..h - 1 {
            let [above, row, below] = [y - 1, y, y + 1].map(|y| &before[y * w..(y + 1) * w]);
            for x in 1..w - 1 {
                let sum = |row: &[u8]| row[x - 1..x + 2].iter().map(|&v| u16::from(v)).sum::<u16>();
                let total = sum(above) + sum(row) + sum(below) + 4 * u16::from(row[x]);
                // The weights add up to 13; half of it rounds.
                let smooth = ((2 * total + 13) / 26) as u8;
                plane[y * w + x] = blend(row[x], smooth, factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(shape: [usize; 3]) -> Picture<'static> {
        let bytes = (0..shape.iter().product::<usize>()).map(|i| (i * 89 + i / 7 * 31) as u8);
        Picture::new(shape, bytes.collect::<Vec<_>>()).unwrap()
    }

    fn after(mut picture: Picture<'static>, f: impl Fn(&mut Picture<'_>)) -> Picture<'static> {
        f(&mut picture);
        picture
    }

    #[test]
    fn a_factor_of_1_and_a_whole_turn_change_nothing() {
        for shape in [[1, 9, 8], [3, 9, 8], [4, 5, 5], [3, 1, 1]] {
            let before = picture(shape);
            for adjust in [brightness, contrast, saturation, sharpness] {
                assert_eq!(after(before.clone(), |p| adjust(p, 1.0)), before);
            }
            assert_eq!(after(before.clone(), |p| hue(p, 0.0)), before);
            assert_eq!(after(after(before.clone(), |p| hue(p, 0.5)), |p| hue(p, -0.5)), before);
        }
    }

    #[test]
    fn a_factor_of_0_is_black_one_gray_gray_or_smooth() {
        let before = picture([3, 9, 8]);
        assert!(after(before.clone(), |p| brightness(p, 0.0)).data().iter().all(|&v| v == 0));
        let flat = after(before.clone(), |p| contrast(p, 0.0));
        assert!(flat.data().iter().all(|&v| v == flat.data()[0] && (100..160).contains(&v)));
        assert_eq!(after(before.clone(), |p| saturation(p, 0.0)), before.to_gray().to_rgb());
    }

    #[test]
    fn colour_is_for_three_channels() {
        for shape in [[1, 4, 4], [2, 4, 4], [4, 4, 4]] {
            assert_eq!(after(picture(shape), |p| hue(p, 0.3)), picture(shape));
            assert_eq!(after(picture(shape), |p| saturation(p, 0.3)), picture(shape));
        }
    }

    /// Red, yellow, green and so on: a sixth of a turn leads from each to the next.
    #[test]
    fn hues_follow_the_circle() {
        let circle = [[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255]];
        for (i, colour) in circle.into_iter().enumerate() {
            for steps in -3..=3i32 {
                let turned =
                    after(Picture::new([3, 1, 1], colour.to_vec()).unwrap(), |p| hue(p, steps as f32 / 6.0));
                let want = circle[(i as i32 + steps).rem_euclid(6) as usize];
                assert_eq!(turned.data(), want, "{colour:?} by {steps} sixths");
            }
        }
        // Dull ones keep their lightest and their darkest shade.
        let turned = after(Picture::new([3, 1, 1], vec![90, 60, 30]).unwrap(), |p| hue(p, 1.0 / 3.0));
        assert_eq!(turned.data(), [30, 90, 60]);
    }

    #[test]
    fn bits_and_thresholds_at_their_ends() {
        let before = picture([1, 4, 4]);
        assert_eq!(after(before.clone(), |p| posterize(p, 8)), before);
        assert!(after(before.clone(), |p| posterize(p, 0)).data().iter().all(|&v| v == 0));
        assert_eq!(after(before.clone(), |p| solarize(p, 256.0)), before);
        assert_eq!(after(before.clone(), |p| solarize(p, 0.0)), after(before, invert));
    }

    #[test]
    fn one_shade_has_no_contrast_to_stretch() {
        let flat = Picture::filled([1, 20, 20], 77);
        assert_eq!(after(flat.clone(), auto_contrast), flat);
        assert_eq!(after(flat.clone(), equalize), flat);
        assert_eq!(
            after(picture([1, 2, 9]), |p| sharpness(p, 0.0)),
            picture([1, 2, 9]),
            "nothing has eight neighbours"
        );
    }
}
