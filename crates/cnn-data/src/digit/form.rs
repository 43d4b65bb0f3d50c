//! Whether a picture is in MNIST's form already.

use super::Digit;
use crate::Picture;

const SIDE: usize = Digit::SIDE;

/// The least brightness of the brightest pixel. It is 254 or 255 in every image of MNIST and Fashion-MNIST.
const BRIGHT: u8 = 240;
/// Of the pixels at the border, at least one in so many is 0. Fashion-MNIST's largest bag leaves 10 of 108.
const BLACK: usize = 12;
/// How far the centre of mass of an image of MNIST may be from (14, 14), in pixels; it is at most 0.52.
const OFF_CENTRE: f64 = 1.0;
/// How far opposite margins of an image of Fashion-MNIST may differ, in pixels, as they do.
const UNEVEN: usize = 2;

/// The pixels of a picture in MNIST's form; `None` for any other picture. [`Digit::from_picture`] states the rule.
pub(super) fn of_mnist(picture: &Picture<'_>) -> Option<[u8; SIDE * SIDE]> {
    let [1 | 3, SIDE, SIDE] = picture.shape() else { return None };
    let mut planes = picture.data().chunks_exact(SIDE * SIDE);
    let pixels: &[u8; SIDE * SIDE] = planes.next()?.try_into().ok()?;
    let gray = planes.all(|plane| plane == pixels);
    let bright = pixels.iter().any(|&v| v >= BRIGHT);
    (gray && bright && has_black_border(pixels) && is_centred(pixels)).then_some(*pixels)
}

fn has_black_border(pixels: &[u8; SIDE * SIDE]) -> bool {
    let at_edge = |i: usize| [0, SIDE - 1].contains(&i);
    let border = (0..SIDE * SIDE).filter(|i| at_edge(i / SIDE) || at_edge(i % SIDE));
    let (black, all) = border.fold((0, 0), |(black, all), i| (black + usize::from(pixels[i] == 0), all + 1));
    black * BLACK >= all
}

/// Whether the ink, of which there is some, is centred by mass, as digits are, or by its margins, as garments are.
fn is_centred(pixels: &[u8; SIDE * SIDE]) -> bool {
    let (mut mass, mut moments) = (0.0, [0.0; 2]);
    let (mut first, mut last) = ([SIDE; 2], [0; 2]);
    for (i, &v) in pixels.iter().enumerate().filter(|&(_, &v)| v > 0) {
        mass += f64::from(v);
        for (axis, at) in [i / SIDE, i % SIDE].into_iter().enumerate() {
            moments[axis] += at as f64 * f64::from(v);
            (first[axis], last[axis]) = (first[axis].min(at), last[axis].max(at));
        }
    }
    let by_mass = moments.iter().all(|moment| (moment / mass - f64::from(super::CENTRE)).abs() <= OFF_CENTRE);
    let by_margins = (0..2).all(|axis| first[axis].abs_diff(SIDE - 1 - last[axis]) <= UNEVEN);
    by_mass || by_margins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
        [paper, ink]: [u8; 2],
    ) -> Picture<'static> {
        let mut picture = Picture::filled([1, SIDE, SIDE], paper);
        rows.for_each(|y| picture.data_mut()[y * SIDE..][columns.clone()].fill(ink));
        picture
    }

    #[test]
    fn each_part_of_the_rule_counts() {
        let fits = |picture: &Picture<'_>| of_mnist(picture).is_some();
        let good = rectangle(4..24, 12..17, [0, 255]);
        assert!(fits(&good) && fits(&good.clone().to_rgb()));
        assert!(fits(&rectangle(0..28, 10..20, [0, 254])), "as high as the image");
        assert!(!fits(&rectangle(4..24, 12..17, [0, 239])), "too dark");
        assert!(!fits(&rectangle(4..24, 12..17, [1, 255])), "not on black");
        assert!(!fits(&rectangle(4..24, 12..17, [255, 0])), "dark on light");
        assert!(!fits(&rectangle(0..28, 0..28, [0, 255])), "no paper");
        assert!(!fits(&rectangle(4..24, 2..7, [0, 255])), "at the left");
        assert!(!fits(&rectangle(0..8, 12..17, [0, 255])), "at the top");
        let mut colour = good.clone().to_rgb();
        colour.data_mut()[14 * SIDE + 14] = 200;
        assert!(!fits(&colour));
        assert!(!fits(&Picture::new([1, 14, 56], good.data()).unwrap()), "of another shape");
        assert!(!fits(&Picture::filled([1, SIDE, SIDE], 0)), "blank");
    }
}
