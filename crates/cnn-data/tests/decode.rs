//! Images of every kind become pictures, and damaged ones errors.

use cnn_data::{DecodeLimits, Picture};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use proptest::prelude::*;
use std::io::Cursor;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decode(bytes: &[u8]) -> Picture<'static> {
    Picture::decode("image", bytes).unwrap()
}

#[track_caller]
fn assert_fault(bytes: &[u8], message: &str) {
    assert_eq!(Picture::decode("a.jpg", bytes).unwrap_err().to_string(), format!("a.jpg: {message}"));
}

/// Red grows to the right, green downwards.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 200 / width) as u8, (y * 200 / height) as u8, 90]))
}

/// Whole numbers of bits, most significant first, as JPEG packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                // After FF comes a byte of zeros, so that it is no marker.
                if self.bytes.last() == Some(&0xff) {
                    self.bytes.push(0);
                }
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
    }
}

/// A baseline JPEG of 8x8 pixels, each component of one value: `(id, value)`; with Adobe's segment, if any, and others.
fn flat_jpeg(components: &[(u8, u8)], adobe: Option<u8>, others: &[u8]) -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8];
    jpeg.extend(others);
    if let Some(transform) = adobe {
        jpeg.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
        jpeg.push(transform);
    }
    // Quantisation by 1.
    jpeg.extend(b"\xff\xdb\0\x43\0");
    jpeg.extend([1; 64]);
    let n = components.len() as u8;
    jpeg.extend([0xff, 0xc0, 0, 8 + 3 * n, 8, 0, 8, 0, 8, n]);
    components.iter().for_each(|&(id, _)| jpeg.extend([id, 0x11, 0]));
    // Huffman codes: 4 bits for each of the 12 sizes of a DC difference; 1 bit, 0, for the end of a block.
    jpeg.extend([0xff, 0xc4, 0, 19 + 12, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    jpeg.extend(0..12);
    jpeg.extend([0xff, 0xc4, 0, 19 + 1, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    jpeg.extend([0xff, 0xda, 0, 6 + 2 * n, n]);
    components.iter().for_each(|&(id, _)| jpeg.extend([id, 0]));
    jpeg.extend([0, 63, 0]);
    let mut bits = Bits::default();
    for &(_, value) in components {
        let dc = 8 * (i32::from(value) - 128);
        let size = 32 - dc.unsigned_abs().leading_zeros();
        bits.push(size, 4);
        bits.push(if dc < 0 { dc + (1 << size) - 1 } else { dc } as u32, size);
        bits.push(0, 1);
    }
    while !bits.used.is_multiple_of(8) {
        bits.push(1, 1);
    }
    jpeg.extend(bits.bytes);
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

/// The channels of the first pixel, which all pixels share.
fn color(jpeg: &[u8]) -> Vec<u8> {
    let picture = decode(jpeg);
    assert_eq!((picture.height(), picture.width()), (8, 8));
    let color: Vec<u8> = (0..picture.channels()).map(|c| picture.plane(c)[0]).collect();
    (0..color.len()).for_each(|c| assert!(picture.plane(c).iter().all(|&v| v == color[c])));
    color
}

#[track_caller]
fn assert_color(jpeg: &[u8], want: &[u8]) {
    let got = color(jpeg);
    assert!(
        got.len() == want.len() && got.iter().zip(want).all(|(a, b)| a.abs_diff(*b) <= 2),
        "{got:?} {want:?}"
    );
}

#[test]
fn jpeg_of_every_kind_of_colour_is_gray_or_rgb() {
    assert_color(&flat_jpeg(&[(1, 37)], None, &[]), &[37]);
    // Red in YCbCr.
    let red = [(1, 76), (2, 85), (3, 255)];
    assert_color(&flat_jpeg(&red, None, &[]), &[254, 0, 0]);
    assert_color(&flat_jpeg(&red, Some(1), &[]), &[254, 0, 0]);
    // Adobe says that the three are red, green and blue; or their names do.
    assert_color(&flat_jpeg(&[(1, 10), (2, 100), (3, 200)], Some(0), &[]), &[10, 100, 200]);
    assert_color(&flat_jpeg(&[(b'R', 10), (b'G', 100), (b'B', 200)], Some(0), &[]), &[10, 100, 200]);
    assert_color(&flat_jpeg(&[(b'R', 10), (b'G', 100), (b'B', 200)], None, &[]), &[10, 100, 200]);
    // JFIF says YCbCr, whatever they say.
    let jfif = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    assert_color(&flat_jpeg(&red, Some(0), jfif), &[254, 0, 0]);
    assert_color(&flat_jpeg(&[(b'R', 76), (b'G', 85), (b'B', 255)], None, jfif), &[254, 0, 0]);
    // Of Adobe's segments the last one counts; one without the number is none.
    let adobe = |transform| [b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0", &[transform][..]].concat();
    assert_color(&flat_jpeg(&red, Some(1), &adobe(0)), &[254, 0, 0]);
    assert_color(&flat_jpeg(&[(1, 10), (2, 100), (3, 200)], Some(0), &adobe(1)), &[10, 100, 200]);
    assert_color(&flat_jpeg(&red, None, b"\xff\xee\0\x09Adobe\0\0"), &[254, 0, 0]);
    // Inverted inks: 255 is no ink. Red at half the light, with and without Adobe's segment.
    let cmyk = [(1, 255), (2, 0), (3, 0), (4, 128)];
    assert_color(&flat_jpeg(&cmyk, Some(0), &[]), &[128, 0, 0]);
    assert_color(&flat_jpeg(&cmyk, None, &[]), &[128, 0, 0]);
    // The first three as YCbCr: those of red are the inks of cyan paper, since inks are inverted.
    assert_color(&flat_jpeg(&[(1, 76), (2, 85), (3, 255), (4, 255)], Some(2), &[]), &[0, 255, 255]);
}

/// Notes of cameras and programs, sound or not, change nothing but what orientation says.
#[test]
fn notes_in_a_jpeg_do_no_harm() {
    let plain = flat_jpeg(&[(1, 76), (2, 85), (3, 255)], None, &[]);
    let want = decode(&plain);
    for notes in [
        &b"\xff\xfe\0\x05abc"[..],
        b"\xff\xe1\0\x0aExif\0\0MM",
        b"\xff\xe1\0\x12Exif\0\0MM\0\x2a\xff\xff\xff\xff\0\x01",
        b"\xff\xe1\0\x02",
        b"\xff\xe2\0\x10ICC_PROFILE\0\x09\x01",
        b"\xff\xe2\0\x06MPF\0",
        b"\xff\xed\0\x14Photoshop 3.0\0abcd",
        b"\xff\xee\0\x09Adobe\0\0",
        b"\xff\xef\0\x03x",
        // Bytes that belong nowhere, and markers padded with FF.
        b"\xff\xfe\0\x02\0\x12\x34\x56\x78\x9a\xbc",
        b"\xff\xff\xff\xff",
    ] {
        assert_eq!(decode(&flat_jpeg(&[(1, 76), (2, 85), (3, 255)], None, notes)), want, "{notes:x?}");
    }
    // Behind the end of the image, too.
    assert_eq!(decode(&[&plain[..], b"trailing"].concat()), want);
}

#[test]
fn a_camera_held_in_any_way_gives_an_upright_picture() {
    let upright = photo(24, 16);
    let want = decode(&encode(&upright.clone().into(), ImageFormat::Png));
    // How the upright image lies in the file for each of the eight orientations.
    let stored = |orientation: u8, image: DynamicImage| match orientation {
        2 => image.fliph(),
        3 => image.rotate180(),
        4 => image.flipv(),
        5 => image.rotate270().flipv(),
        6 => image.rotate270(),
        7 => image.rotate90().flipv(),
        8 => image.rotate90(),
        _ => image,
    };
    for orientation in 1..=8 {
        let jpeg = encode(&stored(orientation, upright.clone().into()), ImageFormat::Jpeg);
        let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let picture = decode(&[&jpeg[..2], &exif, &jpeg[2..]].concat());
        assert_eq!(picture.shape(), [3, 16, 24]);
        let distance = picture.data().iter().zip(want.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(distance < Some(16), "orientation {orientation}: {distance:?}");
    }
}

#[test]
fn png_of_every_depth_and_transparency_is_8_bits_on_white() {
    let png = |image: DynamicImage| decode(&encode(&image, ImageFormat::Png));
    let gray16 = image::ImageBuffer::from_fn(3, 1, |x, _| Luma([[0u16, 32_896, 65_535][x as usize]]));
    assert_eq!(png(gray16.into()).data(), [0, 128, 255]);
    let rgb16 = image::ImageBuffer::from_pixel(1, 1, Rgb([257u16, 514, 65_535]));
    assert_eq!(png(rgb16.into()).data(), [1, 2, 255]);
    let veiled = image::ImageBuffer::from_fn(2, 1, |x, _| LumaA([0u8, [0, 255][x as usize]]));
    assert_eq!((png(veiled.clone().into()).shape(), png(veiled.into()).data()), ([1, 1, 2], &[255, 0][..]));
    let veiled = image::ImageBuffer::from_fn(2, 1, |x, _| Rgba([10u8, 20, 30, [0, 255][x as usize]]));
    assert_eq!(png(veiled.into()).data(), [255, 10, 255, 20, 255, 30]);
}

#[test]
fn formats_are_told_by_content() {
    let image = DynamicImage::from(photo(9, 7));
    let want = decode(&encode(&image, ImageFormat::Png));
    for format in [ImageFormat::Bmp, ImageFormat::WebP] {
        assert_eq!(Picture::decode("photo.jpg", &encode(&image, format)).unwrap(), want);
    }
    let ppm = [b"P6\n# a comment\n9 7 255\n", image.as_bytes()].concat();
    assert_eq!(decode(&ppm), want);
    assert_eq!(decode(b"P5 2 1 255\n\x05\x06").data(), [5, 6]);
}

#[test]
fn what_is_no_image_is_named_with_its_first_bytes() {
    let kinds = "expected a JPEG, PNG, WebP or BMP image, got";
    assert_fault(b"", &format!("{kinds} an empty file"));
    assert_fault(b"<html>", &format!("{kinds} an HTML page: a server's answer in place of the file?"));
    assert_fault(b"GIF89a\x01\0\x01\0\0\0\0", &format!("{kinds} a GIF image"));
    assert_fault(b"\x01\x02 any", &format!("{kinds} the bytes 01 02 20 61 6e 79"));
}

/// With the image's own chunk, a WebP of 24x16 pixels whose chunk of the camera's note is `exif`.
fn webp_with(exif: &[u8]) -> Vec<u8> {
    let plain = encode(&photo(24, 16).into(), ImageFormat::WebP);
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let padding = &[0][..body.len() % 2];
        [&name[..], &(body.len() as u32).to_le_bytes(), body, padding].concat()
    };
    let extended = [8, 0, 0, 0, 23, 0, 0, 15, 0, 0];
    let body = [b"WEBP", &chunk(b"VP8X", &extended)[..], &plain[12..], &chunk(b"EXIF", exif)].concat();
    chunk(b"RIFF", &body)
}

#[test]
fn the_cameras_note_in_a_webp_may_have_the_prefix_of_jpegs() {
    let quarter = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let want = decode(&encode(&DynamicImage::from(photo(24, 16)).rotate90(), ImageFormat::Png));
    assert_eq!(want.shape(), [3, 24, 16]);
    for prefix in [&b""[..], b"Exif\0\0", b"Exif\0\0Exif\0\0"] {
        assert_eq!(decode(&webp_with(&[prefix, quarter].concat())), want, "{prefix:?}");
    }
    assert_eq!(decode(&webp_with(b"Exif\0\0")).shape(), [3, 16, 24], "an empty note");
}

/// A lossless WebP needs no bits for pixels that are all the same.
#[test]
fn a_blank_webp_is_an_image() {
    let blank = decode(include_bytes!("fixtures/blank-3840x2160.webp"));
    assert_eq!(blank.shape(), [3, 2160, 3840]);
    assert!(blank.data().iter().all(|&value| value == blank.data()[0]));
}

#[test]
fn memory_has_a_limit_and_sides_have_none() {
    let long = encode(&GrayImage::from_pixel(40_000, 3, Luma([9])).into(), ImageFormat::Png);
    assert_eq!(decode(&long).shape(), [1, 3, 40_000]);
    let long = encode(&photo(20_000, 8).into(), ImageFormat::Jpeg);
    assert_eq!(decode(&long).shape(), [3, 8, 20_000]);
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Pnm]
    {
        let bytes = match format {
            ImageFormat::Pnm => [b"P6 32 20 255\n", photo(32, 20).as_raw().as_slice()].concat(),
            _ => encode(&photo(32, 20).into(), format),
        };
        let within = |memory| Picture::decode_within("a", &bytes, DecodeLimits { memory });
        assert_eq!(within(32 * 20 * 3).unwrap().shape(), [3, 20, 32], "{format:?}");
        let error = within(32 * 20 * 3 - 1).unwrap_err().to_string();
        let limit = "32x20 pixels take 1920 bytes, the limit is 1919 (CNN_MAX_IMAGE_BYTES)";
        assert!(error.ends_with(limit), "{format:?}: {error}");
    }
}

#[test]
fn a_jpeg_that_ends_early_is_no_image() {
    let jpeg = encode(&photo(64, 64).into(), ImageFormat::Jpeg);
    let scan = jpeg.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let sound = "expected a sound JPEG image, got a fault: the end of the file after";
    for cut in 2..jpeg.len() {
        let error = Picture::decode("a.jpg", &jpeg[..cut]).unwrap_err().to_string();
        let before = if cut < scan + 2 { "before the pixels" } else { "before the end of the image" };
        if cut > 2 {
            assert_eq!(error, format!("a.jpg: {sound} {cut} bytes, {before}"));
        }
    }
}

#[test]
fn faults_before_the_pixels_of_a_jpeg_are_named() {
    let sound = |fault: &str| format!("expected a sound JPEG image, got a fault: {fault}");
    assert_fault(b"\xff\xd8\xff\xd9", &sound("the end of the image at byte 2, before its pixels"));
    assert_fault(b"\xff\xd8\xff\xe0\0\x01ab", &sound("a segment of 1 bytes at byte 4"));
    assert_fault(
        b"\xff\xd8\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9",
        &sound("pixels before the size of the image"),
    );
    assert_fault(b"\xff\xd8\xff\xc0\0\x04\x08\0", &sound("a frame of 2 bytes at byte 2"));
    let two = flat_jpeg(&[(1, 7), (2, 7)], None, &[]);
    assert_fault(&two, &sound("2 components, which are no known kind of colour"));
    let mut deep = flat_jpeg(&[(1, 7)], None, &[]);
    let frame = deep.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    deep[frame + 4] = 12;
    let error = Picture::decode("a.jpg", &deep).unwrap_err().to_string();
    assert!(error.contains("12 bits of precision"), "{error}");
}

/// Files of some dozens of bytes whose headers promise as much as their formats can.
#[test]
fn a_promise_takes_no_memory() {
    let mut jpeg = flat_jpeg(&[(1, 7)], None, &[]);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let fault = "expected a sound JPEG image, got a fault:";
    for (sides, text, least) in
        [([0x40, 0, 0x40, 0], "16384x16384", 1 << 19), ([0xff; 4], "65535x65535", 8192 * 8192 / 8)]
    {
        jpeg[frame + 5..frame + 9].copy_from_slice(&sides);
        let there = jpeg.len();
        assert_fault(
            &jpeg,
            &format!("{fault} {text} pixels take at least {least} bytes, and {there} are there"),
        );
    }

    let png = encode(&GrayImage::new(1, 1).into(), ImageFormat::Png);
    let promise = |side: u32| {
        let mut png = png.clone();
        png[16..24].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
        let checksum = crc32fast::hash(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        Picture::decode("a.png", &png).unwrap_err().to_string()
    };
    assert!(promise(40_000).contains("limit"), "{}", promise(40_000));
    let limit = (1 << 20) + 8256 * png.len();
    let size = format!("16000x16000 pixels in {} bytes, the limit is {limit} pixels", png.len());
    assert_eq!(promise(16_000), format!("a.png: expected a sound PNG image, got a fault: {size}"));

    let ppm = "expected a sound PGM or PPM image, got a fault:";
    assert_fault(
        b"P6\n9999 9999\n255\n\0",
        &format!("{ppm} 9999x9999 pixels take 299940003 bytes, and 1 are there"),
    );
    assert_fault(b"P5\n9 9\n255\n\0", &format!("{ppm} 9x9 pixels take 81 bytes, and 1 are there"));
    assert_fault(b"P5\n9 9\n65535\n\0", &format!("{ppm} white is 65535, the only one known is 255"));
    assert_fault(b"P5\nx", &format!("{ppm} no width in its first line"));
    assert_fault(b"P5\n0 5 255\n", &format!("{ppm} no pixels, the size is 0x5"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.jpg");
    let message = Picture::read(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: cannot open: ", path.display())), "{message}");
    std::fs::write(&path, encode(&photo(2, 2).into(), ImageFormat::Png)).unwrap();
    assert_eq!(Picture::read(&path).unwrap().shape(), [3, 2, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_damaged_image_is_a_picture_or_an_error_of_one_line(
        kind in 0..5usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: Option<prop::sample::Index>,
    ) {
        let image = DynamicImage::from(photo(37, 21));
        let mut bytes = match kind {
            0 => encode(&image, ImageFormat::Jpeg),
            1 => encode(&image, ImageFormat::Png),
            2 => encode(&image, ImageFormat::WebP),
            3 => encode(&image, ImageFormat::Bmp),
            _ => flat_jpeg(&[(1, 76), (2, 85), (3, 255), (4, 9)], Some(2), &[]),
        };
        for (at, byte) in damage {
            // Half of the changes go to the header, where they matter most.
            let within = if byte % 2 == 0 { bytes.len().min(700) } else { bytes.len() };
            bytes[at.index(within)] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        if let Err(error) = Picture::decode("damaged", &bytes) {
            let error = error.to_string();
            prop_assert!(error.starts_with("damaged: expected a") && !error.contains('\n'), "{}", error);
        }
    }
}

/// A BMP of 4x2 pixels in run-length code: a row of one run, a row of four pixels, and the end.
fn run_length_bmp() -> Vec<u8> {
    let code = [4, 1, 0, 0, 0, 4, 0, 1, 1, 0, 0, 1];
    let mut bmp = b"BM".to_vec();
    let offset = 14 + 40 + 8;
    let words =
        [offset + code.len() as u32, 0, offset, 40, 4, 2, 1 | 8 << 16, 1, code.len() as u32, 0, 0, 2, 0];
    bmp.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bmp.extend([10, 20, 30, 0, 40, 50, 60, 0]);
    bmp.extend(code);
    bmp
}

#[test]
fn a_run_length_coded_bmp_that_ends_early_is_no_image() {
    let bmp = run_length_bmp();
    let picture = decode(&bmp);
    assert_eq!((picture.shape(), &picture.data()[..8]), ([3, 2, 4], &[30, 60, 60, 30, 60, 60, 60, 60][..]));
    // The end's own code may be missing: no pixel is.
    for length in 0..bmp.len() - 4 {
        assert!(Picture::decode("a", &bmp[..length]).is_err(), "{length} of {} bytes", bmp.len());
    }
}
