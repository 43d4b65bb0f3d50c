//! The first layer's filters, and their feature maps of one image.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{FADED, gray};
use crate::raster::{Range, Signed, photo, plane};
use cnn_tensor::Tensor;

/// The largest number of filters drawn.
pub const FILTERS: usize = 24;
/// The largest number of a filter's input channels drawn.
pub const CHANNELS: usize = 3;

/// The filters of a convolution, each above its feature map. `image`, from which the maps were computed, is at the left.
///
/// `weight` has the shape `[c_out, c_in, kh, kw]`. A filter of several input channels is drawn as a column of squares,
/// one for each channel. All filters share one scale: blue is negative, white zero, red positive. `features`
/// has the shape `[1, c_out, h, w]`; all maps share one scale from their smallest number, black, to their largest,
/// white. `image` is `[1, 1, h, w]` or `[1, 3, h, w]`, under any normalisation. At most 24 filters and
/// 3 channels are drawn, and the picture says so.
///
/// A PNG 1600 pixels wide, of six filters a row: 680 pixels high for LeNet-5's six filters of one channel.
///
/// # Errors
/// A tensor has another shape or no elements, or the encoder fails.
pub fn filters(
    title: &str,
    weight: &Tensor,
    features: &Tensor,
    image: &Tensor,
) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 6;
    const SIDE: u32 = 168;
    const STEP: u32 = SIDE + 20;
    const LEFT: u32 = 420;
    const TOP: u32 = 180;

    let wrong = |expected: &str, got: &Tensor| PictureError::Data {
        picture: "filters",
        expected: expected.into(),
        got: got.shape().to_string(),
    };
    let Some([c_out, c_in, kh, kw]) = weight.shape().nchw().filter(|_| !weight.data().is_empty()) else {
        return Err(wrong("weights of shape [c_out, c_in, kh, kw], not empty", weight));
    };
    let Some([_, _, h, w]) =
        features.shape().nchw().filter(|dims| dims[..2] == [1, c_out] && !features.data().is_empty())
    else {
        return Err(wrong(&format!("feature maps of shape [1, {c_out}, h, w], not empty"), features));
    };
    let (drawn, channels) = (c_out.min(FILTERS), c_in.min(CHANNELS));

    let group = (channels as u32 + 1) * STEP + 40; // the height of a row of filters and maps
    let groups = (drawn as u32).div_ceil(COLUMNS);
    let mut canvas = Canvas::new(1600, TOP + (groups * group).max(500));
    canvas.text(60.0, 60.0, TITLE, title);
    canvas.text(60.0, TOP as f32 - 30.0, HEADING, "input");
    canvas.image(Rect { x: 60, y: TOP, w: 280, h: 280 }, &photo("filters", image)?);

    let (signed, range) = (Signed::of(weight.data()), Range::of(features.data()));
    for (i, (filter, map)) in
        (0..).zip(weight.data().chunks(c_in * kh * kw).zip(features.data().chunks(h * w))).take(drawn)
    {
        let (x, mut y) = (LEFT + i % COLUMNS * STEP, TOP + i / COLUMNS * group);
        for channel in filter.chunks(kh * kw).take(channels) {
            let square = plane(channel, [kh, kw], |weight| signed.color(weight));
            canvas.image(Rect { x, y, w: SIDE, h: SIDE }, &square);
            y += STEP;
        }
        canvas.image(Rect { x, y, w: SIDE, h: SIDE }, &plane(map, [h, w], |number| gray(range.unit(number))));
    }

    let part = |drawn: usize, all: usize, what: &str| {
        if drawn < all { format!(", {what} 1 to {drawn} of {all}") } else { String::new() }
    };
    let heading = format!(
        "filters, {kh} x {kw}{}{}; below each, its feature map",
        part(drawn, c_out, "filters"),
        part(channels, c_in, "channels")
    );
    canvas.text(LEFT as f32, TOP as f32 - 30.0, HEADING, &heading);
    canvas.text(60.0, TOP as f32 + 330.0, LABEL, "filters");
    signed.legend(&mut canvas, Rect { x: 60, y: TOP + 352, w: 280, h: 20 });
    canvas.text(60.0, TOP as f32 + 436.0, LABEL, "feature maps");
    let maps = format!("black {:.2}, white {:.2}", range.min, range.max).replace('-', "\u{2212}");
    canvas.text(60.0, TOP as f32 + 468.0, LABEL.colored(FADED), &maps);
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{NOT_A_NUMBER, diverging};
    use crate::testing::{count, decode};
    use image::Rgb;

    /// Two filters, 2 x 2: the first positive at the top right, the second negative at the bottom left.
    fn weight() -> Tensor {
        Tensor::from_vec([2, 1, 2, 2], vec![0.0, 0.5, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0]).unwrap()
    }

    #[test]
    fn filters_stand_above_their_maps_and_nothing_is_mirrored() {
        let features = Tensor::from_vec([1, 2, 1, 2], vec![0.0, 1.0, 0.0, 0.0]).unwrap();
        let image = Tensor::from_vec([1, 1, 2, 2], vec![0.0, 0.0, 1.0, 0.0]).unwrap();
        let picture = decode(&filters("Filters", &weight(), &features, &image).unwrap());
        assert_eq!(picture.dimensions(), (1600, 680));
        let at = |x: u32, y: u32| picture[(x, y)];
        assert_eq!(at(420 + 126, 180 + 42), diverging(1.0));
        assert_eq!(at(420 + 42, 180 + 42), diverging(0.0));
        assert_eq!(at(420 + 188 + 42, 180 + 126), diverging(-1.0));
        let [black, white] = [0, 255].map(|v| Rgb([v; 3]));
        let map = 180 + 188 + 84;
        assert_eq!([at(420 + 42, map), at(420 + 126, map)], [black, white]);
        assert_eq!([at(60 + 70, 180 + 210), at(60 + 210, 180 + 210)], [white, black]);
    }

    #[test]
    fn many_filters_of_many_channels_are_cut_to_what_fits() {
        let (weight, features) = (Tensor::full([64, 16, 3, 3], 1.0), Tensor::zeros([1, 64, 5, 5]));
        let png = filters("Filters", &weight, &features, &Tensor::zeros([1, 3, 9, 9])).unwrap();
        let picture = decode(&png);
        assert_eq!(picture.dimensions(), (1600, 180 + 4 * (4 * 188 + 40)));
        let filters = count(&picture, diverging(1.0)) / (168 * 168);
        assert_eq!(filters, FILTERS * CHANNELS);
    }

    #[test]
    fn odd_numbers_give_a_picture() {
        let (weight, features) =
            (Tensor::full([1, 1, 5, 5], f32::NAN), Tensor::full([1, 1, 4, 4], f32::INFINITY));
        let image = Tensor::zeros([1, 1, 28, 28]);
        let picture = decode(&filters("Filters", &weight, &features, &image).unwrap());
        assert!(count(&picture, NOT_A_NUMBER) >= 168 * 168);
        let zeros =
            filters("Filters", &Tensor::zeros([1, 1, 1, 1]), &Tensor::zeros([1, 1, 1, 1]), &image).unwrap();
        assert_eq!(decode(&zeros).dimensions(), (1600, 680));
    }

    #[test]
    fn shapes_must_agree() {
        let image = Tensor::zeros([1, 1, 28, 28]);
        let error = filters("Filters", &weight(), &Tensor::zeros([1, 3, 4, 4]), &image).unwrap_err();
        let expected = "filters: expected feature maps of shape [1, 2, h, w], not empty, got [1, 3, 4, 4]";
        assert_eq!(error.to_string(), expected);
        let error = filters("Filters", &Tensor::zeros([0, 1, 5, 5]), &image, &image).unwrap_err();
        let expected =
            "filters: expected weights of shape [c_out, c_in, kh, kw], not empty, got [0, 1, 5, 5]";
        assert_eq!(error.to_string(), expected);
    }
}
