//! Photos and drawings of digits come out as MNIST would have them.

use cnn_data::{Dataset, Digit, MnistFamily, Split};
use cnn_tensor::Random;
use image::imageops::{self, FilterType};
use image::{GrayImage, ImageFormat, Luma, LumaA, Rgb};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
/// Where the Debian package dataset-fashion-mnist puts it.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

/// The first test images of MNIST: 7 2 1 0 4 1 4 9 5 9 ...
fn digits(count: usize) -> Vec<GrayImage> {
    let set = MnistFamily::Mnist.load(MNIST, Split::Test).unwrap();
    (0..count).map(|i| GrayImage::from_raw(28, 28, set.image(i).to_vec()).unwrap()).collect()
}

fn from(picture: &GrayImage) -> Digit {
    Digit::from_luma(picture.width() as usize, picture.height() as usize, picture.as_raw()).unwrap()
}

/// The difference from the original, relative to its ink, where the two lie best on each other. A centre of mass may be
/// rounded to the next pixel, so one pixel of shift is no difference.
fn distance(digit: &Digit, original: &GrayImage) -> f64 {
    let at = |x: i64, y: i64| {
        let inside = (0..28).contains(&x) && (0..28).contains(&y);
        if inside { digit.pixels()[(y * 28 + x) as usize] } else { 0 }
    };
    let shifted = |right: i64, down: i64| {
        let differences = original
            .enumerate_pixels()
            .map(|(x, y, v)| u64::from(v.0[0].abs_diff(at(i64::from(x) + right, i64::from(y) + down))));
        differences.sum::<u64>()
    };
    let least =
        (-1..2).flat_map(|right| (-1..2).map(move |down| (right, down))).map(|(r, d)| shifted(r, d)).min();
    least.unwrap() as f64 / original.iter().map(|&v| f64::from(v)).sum::<f64>()
}

/// Dark ink on white paper that has margins of `left` and `top` more than the original.
fn drawing(light_on_dark: &GrayImage, left: u32, top: u32) -> GrayImage {
    let (width, height) = light_on_dark.dimensions();
    GrayImage::from_fn(width + left, height + top, |x, y| {
        let ink = x >= left && y >= top;
        Luma([if ink { 255 - light_on_dark.get_pixel(x - left, y - top).0[0] } else { 255 }])
    })
}

/// That every image of a test set stays as it is.
fn assert_unchanged(set: MnistFamily, folder: &str) {
    let set = set.load(folder, Split::Test).unwrap();
    for i in 0..set.len() {
        let picture = set.picture(i).unwrap();
        assert!(Digit::from_picture(&picture).unwrap().pixels() == picture.data(), "image {i}");
        assert!(Digit::from_picture(&picture.to_rgb()).unwrap().pixels() == set.image(i), "image {i}");
    }
}

#[test]
fn images_of_mnist_and_fashion_mnist_stay_as_they_are() {
    assert_unchanged(MnistFamily::Mnist, MNIST);
    match Path::new(FASHION_MNIST).exists() {
        true => assert_unchanged(MnistFamily::FashionMnist, FASHION_MNIST),
        false => eprintln!("left out: no {FASHION_MNIST}"),
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("seven.png");
    let seven = &digits(1)[0];
    seven.save(&path).unwrap();
    assert!(Digit::read(&path).unwrap().pixels()[..] == seven.as_raw()[..]);
}

/// What the steps make of images that are nearly in MNIST's form: dark on light, or not quite on black.
#[test]
fn an_mnist_image_comes_back_from_other_paper() {
    let originals = digits(100);
    let on_gray = |original: &GrayImage| {
        GrayImage::from_fn(28, 28, |x, y| Luma([original.get_pixel(x, y).0[0].max(1)]))
    };
    for original in &originals {
        assert!(distance(&from(&on_gray(original)), original) < 0.06);
        assert!(distance(&from(&drawing(original, 0, 0)), original) < 0.06);
    }
    let in_place = |original: &&GrayImage| {
        from(&on_gray(original)).pixels().iter().zip(original.iter()).all(|(a, b)| a.abs_diff(*b) < 64)
    };
    assert!(originals.iter().filter(in_place).count() > 95);
}

#[test]
fn a_large_drawing_comes_back_to_the_original() {
    for original in digits(50) {
        let large = imageops::resize(&original, 280, 280, FilterType::Nearest);
        let difference = distance(&from(&drawing(&large, 150, 60)), &original);
        assert!(difference < 0.2, "{difference}");
    }
}

#[test]
fn files_of_every_kind_give_the_same_digit() {
    let folder = TempDir::new().unwrap();
    let original = &digits(1)[0];
    let drawing = drawing(&imageops::resize(original, 280, 280, FilterType::Nearest), 40, 90);
    let want = from(&drawing);
    // Names that lie: content decides.
    let path = |name: &str| folder.path().join(name);

    drawing.save_with_format(path("gray.jpg"), ImageFormat::Png).unwrap();
    assert_eq!(Digit::read(path("gray.jpg")).unwrap(), want);

    let color = image::RgbImage::from_fn(drawing.width(), drawing.height(), |x, y| {
        Rgb([drawing.get_pixel(x, y).0[0]; 3])
    });
    color.save_with_format(path("color"), ImageFormat::Png).unwrap();
    assert_eq!(Digit::read(path("color")).unwrap(), want);

    // Black everywhere, opaque where there is ink: what a drawing program saves without a background.
    let transparent = image::GrayAlphaImage::from_fn(drawing.width(), drawing.height(), |x, y| {
        LumaA([0, 255 - drawing.get_pixel(x, y).0[0]])
    });
    transparent.save_with_format(path("transparent.png"), ImageFormat::Png).unwrap();
    assert_eq!(Digit::read(path("transparent.png")).unwrap(), want);

    drawing.save_with_format(path("photo.png"), ImageFormat::Jpeg).unwrap();
    let photo = Digit::read(path("photo.png")).unwrap();
    assert!(distance(&photo, original) < 0.2);
}

/// Light falls from the right, the sensor is noisy, and there is dirt on the page.
#[test]
fn a_photo_with_shadow_noise_and_specks_shows_the_same_digit() {
    for (i, original) in digits(10).iter().enumerate() {
        let clean = drawing(&imageops::resize(original, 420, 420, FilterType::Triangle), 200, 100);
        let mut noise = vec![0.0; clean.len()];
        let mut random = Random::new(i as u64, &["noise"]);
        random.fill_normal(6.0, &mut noise);
        let mut photo = GrayImage::from_fn(clean.width(), clean.height(), |x, y| {
            let light = 110.0 + 120.0 * x as f32 / clean.width() as f32;
            let reflected = 0.3 + 0.7 * f32::from(clean.get_pixel(x, y).0[0]) / 255.0;
            Luma([(light * reflected + noise[(y * clean.width() + x) as usize]) as u8])
        });
        for speck in [(30, 40), (500, 20), (100, 450)] {
            (0..9).for_each(|k| photo.put_pixel(speck.0 + k % 3, speck.1 + k / 3, Luma([20])));
        }
        let (got, want) = (from(&photo), from(&clean));
        let want = GrayImage::from_raw(28, 28, want.pixels().to_vec()).unwrap();
        let difference = distance(&got, &want);
        assert!(difference < 0.3, "image {i}: {difference}");
    }
}

#[test]
fn a_phone_held_sideways_is_turned_upright() {
    let folder = TempDir::new().unwrap();
    let drawing = drawing(&imageops::resize(&digits(1)[0], 280, 280, FilterType::Nearest), 40, 90);
    let path = folder.path().join("sideways.jpg");
    imageops::rotate270(&drawing).save(&path).unwrap();
    // The camera's note, EXIF orientation 6: turn by a quarter, clockwise, to see it upright.
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    let jpeg = fs::read(&path).unwrap();
    fs::write(&path, [&jpeg[..2], &exif, &jpeg[2..]].concat()).unwrap();
    let upright = from(&drawing);
    let upright = GrayImage::from_raw(28, 28, upright.pixels().to_vec()).unwrap();
    assert!(distance(&Digit::read(&path).unwrap(), &upright) < 0.1);
}

#[test]
fn a_picture_without_a_digit_is_an_error() {
    let message = |w, h, luma: &[u8]| Digit::from_luma(w, h, luma).unwrap_err().to_string();
    assert_eq!(message(50, 50, &[255; 2500]), "digit: expected a digit, got a blank image");
    assert_eq!(message(1, 1, &[7]), "digit: expected a digit, got a blank image");
    assert_eq!(message(0, 5, &[]), "digit: expected a digit, got an image of 0x5 pixels");
    assert_eq!(message(2, 2, &[0; 5]), "digit: expected 2x2 pixels, got 5");
    assert_eq!(message(usize::MAX, 2, &[0; 5]), format!("digit: expected {}x2 pixels, got 5", usize::MAX));
    let mut paper = vec![0.0; 10_000];
    Random::new(0, &["paper"]).fill_normal(8.0, &mut paper);
    let paper: Vec<u8> = paper.iter().map(|grain| (grain + 180.0) as u8).collect();
    assert_eq!(message(100, 100, &paper), "digit: expected a digit, got a blank image");
}

fn message(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).unwrap();
    Digit::read(path).unwrap_err().to_string()
}

#[test]
fn files_that_are_no_image_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("photo.png");
    for bytes in [&b""[..], b"hello", b"GIF89a\x01\0\x01\0\0\0\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
    {
        let message = message(&path, bytes);
        let fault = message.strip_prefix(&format!("{}: expected a ", path.display())).unwrap_or_default();
        assert!(fault.starts_with("JPEG, PNG") || fault.starts_with("sound "), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

/// A PNG of a few bytes whose header promises 60000x60000 pixels, or 16384x16384 of 8 bytes each.
#[test]
fn an_image_that_promises_too_much_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("huge.png");
    for (side, depth, color) in [(60_000u32, 8, 0), (16_384, 16, 6)] {
        let mut header = b"IHDR".to_vec();
        header.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
        header.extend([depth, color, 0, 0, 0]);
        let mut checksum = flate2::Crc::new();
        checksum.update(&header);
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        png.extend(header);
        png.extend(checksum.sum().to_be_bytes());
        png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        let message = message(&path, &png);
        assert!(message.to_lowercase().contains("limit"), "{message}");
    }
}

proptest! {
    #[test]
    fn any_pixels_give_a_digit_or_an_error(
        width in 1..40usize, height in 1..40usize, levels in 1..5u8, seed: u64,
    ) {
        let mut random = Random::new(seed, &["pixels"]);
        let luma: Vec<u8> =
            (0..width * height).map(|_| random.below(levels.into()) as u8 * (255 / levels)).collect();
        if let Ok(digit) = Digit::from_luma(width, height, &luma) {
            prop_assert!(digit.pixels().iter().any(|&v| v > 127));
        }
    }

    #[test]
    fn a_damaged_image_never_panics(jpeg: bool, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("image");
        let format = if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png };
        let stroke = GrayImage::from_fn(30, 30, |x, _| Luma([if x / 3 == 5 { 0 } else { 255 }]));
        stroke.save_with_format(&path, format).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        fs::write(&path, bytes).unwrap();
        if let Err(error) = Digit::read(&path) {
            prop_assert!(error.to_string().starts_with(&path.display().to_string()));
        }
    }
}
