//! Several pictures, one after the other, as an animated PNG.

use crate::PictureError;
use image::RgbImage;
use png::{BitDepth, ColorType, Encoder};

/// An animated PNG, which browsers play again and again; other viewers show the first picture. Each of `frames`, all of one
/// size, is shown for so many milliseconds.
///
/// # Errors
/// There are no frames or too many, or the encoder fails.
pub fn animation(frames: &[(RgbImage, u16)]) -> Result<Vec<u8>, PictureError> {
    let (width, height) = frames.first().map_or((0, 0), |(frame, _)| frame.dimensions());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_animated(frames.len() as u32, 0)?;
    let mut writer = encoder.write_header()?;
    let mut before: Option<&RgbImage> = None;
    for (frame, milliseconds) in frames {
        writer.set_frame_delay(*milliseconds, 1000)?;
        // Only what changes; a viewer keeps the rest.
        let [x, y, w, h] = before.map_or([0, 0, width, height], |before| changed(before, frame));
        writer.reset_frame_position()?;
        writer.set_frame_dimension(w, h)?;
        writer.set_frame_position(x, y)?;
        writer.write_image_data(image::imageops::crop_imm(frame, x, y, w, h).to_image().as_raw())?;
        before = Some(frame);
    }
    writer.finish()?;
    Ok(bytes)
}

/// The smallest rectangle with all pixels that differ, of at least one pixel: left, top, width, height.
fn changed(before: &RgbImage, after: &RgbImage) -> [u32; 4] {
    let differing = after.enumerate_pixels().filter(|(x, y, pixel)| before.get_pixel(*x, *y) != *pixel);
    let bounds = differing.fold(None, |bounds: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
    });
    let [left, top, right, bottom] = bounds.unwrap_or_default();
    [left, top, right - left + 1, bottom - top + 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::png::PngDecoder;
    use image::{AnimationDecoder, Rgb};
    use std::io::Cursor;

    #[test]
    fn a_viewer_sees_each_frame_whole() {
        let plain = RgbImage::from_pixel(9, 5, Rgb([10, 200, 30]));
        let mut dot = plain.clone();
        dot.put_pixel(7, 3, Rgb([255, 0, 0]));
        let mut two = dot.clone();
        two.put_pixel(1, 1, Rgb([0, 0, 255]));
        let frames = [(plain.clone(), 100), (dot, 50), (two.clone(), 70), (two, 70), (plain, 100)];
        let bytes = animation(&frames).unwrap();
        let decoder = PngDecoder::new(Cursor::new(&bytes)).unwrap();
        assert!(decoder.is_apng().unwrap());
        let shown = decoder.apng().unwrap().into_frames().collect_frames().unwrap();
        assert_eq!(shown.len(), frames.len());
        for (shown, (frame, delay)) in shown.iter().zip(&frames) {
            assert_eq!(shown.delay().numer_denom_ms(), (u32::from(*delay), 1));
            let shown = image::DynamicImage::from(shown.buffer().clone()).to_rgb8();
            assert!(shown == *frame);
        }
    }

    #[test]
    fn nothing_cannot_be_animated() {
        assert!(animation(&[]).is_err());
    }
}
