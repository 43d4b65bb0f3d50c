//! Unusual JPEGs have the pixels that libjpeg gives them, and those that end early are errors.
//!
//! `xtask/peers/jpegs.py` wrote the fixture: small files, and the CRC-32 of the pixels that Pillow's libjpeg-turbo gives.

use cnn_data::Picture;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    jpeg: String,
    shape: [usize; 3],
    crc32: u32,
    /// Side by side, of small images.
    pixels: Option<String>,
}

impl Case {
    fn jpeg(&self) -> Vec<u8> {
        bytes(&self.jpeg)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().as_chunks::<2>().0.iter();
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Fixture>(include_str!("fixtures/jpegs.json")).unwrap().cases
}

/// Images that go to `zune-jpeg`, which rounds a little otherwise.
fn is_ordinary(name: &str) -> bool {
    let exact =
        name.contains("scans") || name.contains("factors") || name.contains("RGB") && name.contains("JFIF");
    let apart = name == "19x21 1x2"
        || name == "gray 2x2"
        || name == "restarts 35x34"
        || name == "progressive 35x34 4:2:0";
    let colour = name.starts_with("colour") || name.starts_with("ink Adobe");
    !exact && (apart || colour || name.ends_with("4:4:4"))
}

#[test]
fn pixels_are_libjpegs() {
    let cases = cases();
    assert!(cases.len() > 70);
    for case in cases {
        let picture = Picture::decode(&case.name, &case.jpeg()).unwrap();
        assert_eq!(picture.shape(), case.shape, "{}", case.name);
        let pixels = picture.to_interleaved();
        match (is_ordinary(&case.name), &case.pixels) {
            (false, _) => assert_eq!(crc32fast::hash(&pixels), case.crc32, "{}", case.name),
            (true, Some(theirs)) => {
                let theirs = bytes(theirs);
                let most = pixels.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(most <= Some(2), "{}: {most:?}", case.name);
            }
            (true, None) => {}
        }
    }
}

/// The places of the compressed bytes of each scan.
fn scans(jpeg: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut scans = Vec::new();
    let mut at = 2;
    while jpeg[at + 1] != 0xd9 {
        let scan = jpeg[at + 1] == 0xda;
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if scan {
            let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7);
            let length = jpeg[at..].windows(2).position(is_marker).unwrap();
            scans.push(at..at + length);
            at += length;
        }
    }
    scans
}

/// A scan is cut behind each of its bytes, and what follows it comes at once.
#[test]
fn a_scan_that_ends_early_is_a_fault() {
    let (mut cuts, mut missed) = (0, 0);
    for case in cases() {
        let jpeg = case.jpeg();
        let progressive = jpeg.windows(2).any(|pair| pair == [0xff, 0xc2]);
        for (i, scan) in scans(&jpeg).into_iter().enumerate() {
            for end in scan.start..scan.end.saturating_sub(1) {
                let cut = [&jpeg[..end], &jpeg[scan.end..]].concat();
                let result = Picture::decode("cut", &cut);
                cuts += 1;
                match result {
                    Err(fault) => {
                        assert!(fault.to_string().starts_with("cut: expected a sound JPEG image"), "{fault}")
                    }
                    // Within the code of a run, which may be for the rest of the scan.
                    Ok(_) if progressive && i > 0 => missed += 1,
                    Ok(_) => panic!("{} scan {i} at {end} of {scan:?}", case.name),
                }
            }
        }
    }
    assert!(cuts > 5000 && 50 * missed < cuts, "{missed} of {cuts}");
}

#[test]
fn a_restart_interval_that_ends_early_is_a_fault() {
    for name in ["restarts 35x34", "scans 2 0 1, restarts"] {
        let jpeg = cases().into_iter().find(|case| case.name == name).unwrap().jpeg();
        let start = scans(&jpeg)[0].start;
        let marker = |pair: &[u8]| pair[0] == 0xff && matches!(pair[1], 0xd0..=0xd7);
        let restart = start + jpeg[start..].windows(2).position(marker).unwrap();
        for end in start..restart - 1 {
            let cut = [&jpeg[..end], &jpeg[restart..]].concat();
            assert!(Picture::decode("cut", &cut).is_err(), "{name} at {end}");
        }
    }
}

/// As `image` encodes, with the standard's tables: they may be left out, all of them or some.
#[test]
fn standard_huffman_tables_need_not_be_there() {
    let photo = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([(6 * x) as u8, (8 * y) as u8, 90]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    photo.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let want = Picture::decode("whole", &jpeg).unwrap();
    // The segments of tables, each by itself, and all.
    let mut tables = Vec::new();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] == 0xc4 {
            tables.push(at..end);
        }
        at = end;
    }
    assert!(!tables.is_empty());
    let without = |left_out: &[std::ops::Range<usize>]| -> Vec<u8> {
        let kept = |&(i, _): &(usize, &u8)| !left_out.iter().any(|range| range.contains(&i));
        jpeg.iter().enumerate().filter(kept).map(|(_, &byte)| byte).collect()
    };
    for table in &tables {
        assert_eq!(Picture::decode("some", &without(std::slice::from_ref(table))).unwrap(), want);
    }
    assert_eq!(Picture::decode("none", &without(&tables)).unwrap(), want);
}
