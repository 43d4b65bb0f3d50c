//! Made-up photos: as large as photos, as hard to decode, and with something in them to tell classes apart.
//!
//! The cost of a photo depends on its content: a flat one has fewer bytes and decodes sooner. So these have the parts of
//! real ones: large soft variations with ever finer ones on them, objects with sharp borders, and the noise of a sensor. At
//! 500x375 and quality 90, colours not subsampled, a file has 43 to 66 KB, half of them more than 59 KB. ImageNet's are
//! larger, some 110 KB on average, and take longer to decode.

use crate::fault::Fault;
use cnn_tensor::Random;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::f32::consts::{PI, TAU};

/// The size of most photos of ImageNet.
pub const SIZE: [usize; 2] = [375, 500];
/// The quality of the files.
const QUALITY: u8 = 90;
/// Standard deviation of the noise, in grey levels.
const NOISE: f32 = 5.0;

/// The content of a photo; the same subject gives the same photo.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Of all photos of one set.
    pub seed: u64,
    /// Decides the colours and the direction of the stripes on the objects; everything else is the photo's own.
    pub class: usize,
    /// Which of the class's photos.
    pub index: usize,
}

/// A photo of height and width `size` as a JPEG file.
pub fn jpeg(subject: Subject, size: [usize; 2]) -> Result<Vec<u8>, Fault> {
    let pixels = pixels(subject, size);
    let [height, width] = size.map(|side| side as u32);
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, QUALITY).write_image(
        &pixels,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(file)
}

/// Red, green and blue of each pixel, side by side.
fn pixels(subject: Subject, size: [usize; 2]) -> Vec<u8> {
    let Subject { seed, class, index } = subject;
    let [h, w] = size;
    let mut random = Random::new(seed, &["photo", &class.to_string(), &index.to_string()]);
    // Light, and how far the colour is from grey in two directions. Colour varies less than light, and more slowly.
    let mut light = fractal(&mut random, size, 3.0, 70.0);
    let mut blue = fractal(&mut random, size, 24.0, 12.0);
    let mut red = fractal(&mut random, size, 24.0, 12.0);
    // The golden angle: classes side by side have colours far apart.
    let hue = class as f32 * 2.399_963;
    for object in 0..random.below(6) + 4 {
        // The first is the subject, in the colour of its class; the others are there as well.
        let subject = object == 0;
        let shade = random.uniform(-50.0, 50.0);
        let hue = if subject { hue + random.uniform(-0.2, 0.2) } else { random.uniform(0.0, TAU) };
        let color = if subject { 45.0 } else { random.uniform(0.0, 30.0) };
        let (cb, cr) = (color * hue.cos(), color * hue.sin());
        let extent = if subject { [0.25, 0.4] } else { [0.04, 0.2] };
        let (a, b) = (
            w as f32 * random.uniform(extent[0], extent[1]),
            h as f32 * random.uniform(extent[0], extent[1]),
        );
        let (x0, y0) = (w as f32 * random.uniform(0.1, 0.9), h as f32 * random.uniform(0.1, 0.9));
        let boxy = random.chance(0.4);
        let direction = if subject { class as f32 * 0.7 } else { random.uniform(0.0, PI) };
        let period = random.uniform(6.0, 30.0);
        let (kx, ky) = (direction.cos() * TAU / period, direction.sin() * TAU / period);
        let stripes = random.uniform(5.0, 25.0);
        let rows = (y0 - b).max(0.0) as usize..((y0 + b).max(0.0) as usize + 1).min(h);
        let columns = (x0 - a).max(0.0) as usize..((x0 + a).max(0.0) as usize + 1).min(w);
        for y in rows {
            for x in columns.clone() {
                let (u, v) = ((x as f32 - x0) / a, (y as f32 - y0) / b);
                if !boxy && u * u + v * v > 1.0 {
                    continue;
                }
                let at = y * w + x;
                // An object hides most of what is behind it, and has a texture of its own.
                let texture = stripes * (kx * x as f32 + ky * y as f32).sin();
                light[at] = 0.4 * light[at] + shade + texture;
                (blue[at], red[at]) = (0.4 * blue[at] + cb, 0.4 * red[at] + cr);
            }
        }
    }
    let mut noise = vec![0.0; h * w];
    random.fill_normal(NOISE, &mut noise);
    let mut pixels = Vec::with_capacity(3 * h * w);
    for i in 0..h * w {
        let (y, cb, cr) = (120.0 + light[i] + noise[i], blue[i], red[i]);
        // From light and two differences of colour to red, green and blue, by ITU-R BT.601.
        let rgb = [y + 1.402 * cr, y - 0.344 * cb - 0.714 * cr, y + 1.772 * cb];
        pixels.extend(rgb.map(|v| v.clamp(0.0, 255.0) as u8));
    }
    pixels
}

/// Smooth random values around 0: fields whose random numbers lie half the longer side apart, a quarter, and so on down
/// to `finest` pixels, each as strong as its distance is long, as the spectra of photos are. `strength` is that of the first.
fn fractal(random: &mut Random, [h, w]: [usize; 2], finest: f32, strength: f32) -> Vec<f32> {
    let mut sum = vec![0.0; h * w];
    let longest = h.max(w) as f32 / 2.0;
    let mut distance = longest;
    while distance >= finest {
        let (rows, columns) = ((h as f32 / distance) as usize + 2, (w as f32 / distance) as usize + 2);
        let mut lattice = vec![0.0; rows * columns];
        random.fill_normal(strength * (distance / longest).powf(0.8), &mut lattice);
        // Where a pixel lies between the random numbers of its row or column, eased so that no grid shows.
        let place = |at: usize| {
            let place = at as f32 / distance;
            let between = place.fract();
            (place as usize, between * between * (3.0 - 2.0 * between))
        };
        let across: Vec<(usize, f32)> = (0..w).map(place).collect();
        for (y, row) in sum.chunks_exact_mut(w).enumerate() {
            let (above, down) = place(y);
            let (upper, lower) = lattice[above * columns..].split_at(columns);
            let line: Vec<f32> =
                upper.iter().zip(lower).map(|(&upper, &lower)| upper + down * (lower - upper)).collect();
            for (value, &(left, right)) in row.iter_mut().zip(&across) {
                *value += line[left] + right * (line[left + 1] - line[left]);
            }
        }
        distance /= 2.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_data::Picture;

    const SUBJECT: Subject = Subject { seed: 0, class: 3, index: 1 };

    #[test]
    fn files_are_as_large_as_imagenets_and_decode_to_their_size() {
        for index in 0..4 {
            let file = jpeg(Subject { index, ..SUBJECT }, SIZE).unwrap();
            assert!((50_000..130_000).contains(&file.len()), "{} bytes", file.len());
            assert_eq!(Picture::decode("photo", &file).unwrap().shape(), [3, 375, 500]);
        }
    }

    #[test]
    fn a_subject_is_the_same_photo_again_and_another_one_is_another() {
        let photo = |subject| pixels(subject, [30, 41]);
        assert_eq!(photo(SUBJECT), photo(SUBJECT));
        for other in
            [Subject { seed: 1, ..SUBJECT }, Subject { class: 4, ..SUBJECT }, Subject { index: 2, ..SUBJECT }]
        {
            assert_ne!(photo(SUBJECT), photo(other));
        }
    }

    #[test]
    fn classes_differ_in_colour_by_more_than_their_photos_do() {
        // The mean colour over the photos of a class, as blue and red against green.
        let colour = |class, indices: std::ops::Range<usize>| {
            let photos = indices.map(|index| pixels(Subject { seed: 0, class, index }, [48, 64]));
            let mut sum = [0.0f32; 2];
            for pixel in photos.collect::<Vec<_>>().concat().as_chunks::<3>().0 {
                let [r, g, b] = pixel.map(f32::from);
                sum = [sum[0] + b - g, sum[1] + r - g];
            }
            sum
        };
        let apart = |[a, b]: [f32; 2], [c, d]: [f32; 2]| (a - c).hypot(b - d);
        let [first, again, second] = [colour(0, 0..30), colour(0, 30..60), colour(1, 0..30)];
        assert!(apart(first, second) > 2.0 * apart(first, again), "{first:?} {again:?} {second:?}");
    }

    #[test]
    fn the_smallest_size_is_a_photo_too() {
        assert_eq!(pixels(SUBJECT, [1, 1]).len(), 3);
        assert_eq!(pixels(SUBJECT, [1, 64]).len(), 192);
    }
}
