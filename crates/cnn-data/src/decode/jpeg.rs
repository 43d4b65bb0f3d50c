//! JPEG: the head of the file is read here, the pixels by `zune-jpeg`, or by [`plain`] where that gets them
//! wrong.
//!
//! A decoder is given the segments that pixels depend on, and no others: notes of cameras and programs, sound or not,
//! never reach it. So it can be strict, and refuse damage that it would otherwise paint over in gray, without refusing
//! photos for their notes.
//!
//! Source: ITU-T T.81, 1992, annex B; JFIF 1.02, Hamilton, 1992; Adobe's segment: "Supporting the DCT filters in PostScript
//! Level 2", Adobe technical note 5116, 1992, section 18. Where they disagree, libjpeg decides.

mod plain;
mod scans;
mod standard;

use super::DecodeLimits;
use image::metadata::Orientation;
use scans::Scans;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

// The second byte of the markers that are looked for; the first is FF.
const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const QUANTIZATION_TABLES: u8 = 0xdb;
const HUFFMAN_TABLES: u8 = 0xc4;
const ARITHMETIC_CONDITIONING: u8 = 0xcc;
const RESTART_INTERVAL: u8 = 0xdd;
const JFIF: u8 = 0xe0;
const EXIF: u8 = 0xe1;
const ADOBE: u8 = 0xee;

/// The pixels of a JPEG, beside the buffer that holds them.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// 1: gray. 3: red, green and blue, side by side.
    pub(super) channels: usize,
    /// The turn that sets them upright.
    pub(super) orientation: Orientation,
}

/// The meaning of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Color {
    Gray,
    Rgb,
    YCbCr,
    /// Inks, inverted.
    Cmyk,
    /// Inks, inverted, of which the first three are coded as YCbCr.
    Ycck,
}

impl Color {
    /// The channels of the pixels that become of it.
    fn channels(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// Decodes a JPEG into `pixels`, whose memory is used again.
pub(super) fn decode(bytes: &[u8], limits: DecodeLimits, pixels: &mut Vec<u8>) -> Result<Frame, String> {
    let mut head = Head::read(bytes)?;
    head.check_content(bytes.len())?;
    let (width, height) = (u32::from(head.width), u32::from(head.height));
    // Memory for guards is taken where there are any: nearly always one.
    let mut stream = Vec::with_capacity(head.segments.len() + bytes.len() - head.scan + 64);
    stream.append(&mut head.segments);
    let start = stream.len();
    // The fast decoder must have read the marker behind the first progressive scan, so that scan is checked instead of guarded.
    let mut scans = scans::copy(&bytes[head.scan..], usize::from(head.progressive), &mut stream);
    let fast = head.is_for_the_fast_decoder(&scans);
    if !fast {
        // The plain decoder counts bits, and needs no guards.
        stream.truncate(start);
        scans = scans::copy(&bytes[head.scan..], usize::MAX, &mut stream);
    }
    if !scans.ended {
        return Err(format!("the end of the file after {} bytes, before the end of the image", bytes.len()));
    }

    let channels = head.color.channels();
    let samples = 64 * head.blocks();
    let kept = match (fast, head.progressive) {
        (true, false) => 0,
        // Coefficients of 16 bits, and of the plain decoder the samples as well.
        (true, true) => 2 * samples,
        (false, _) => 3 * samples,
    };
    limits.check(width, height, u64::from(width) * u64::from(height) * channels as u64 + kept)?;
    match fast {
        true => {
            if head.progressive {
                plain::check_first_scan(&stream)?;
            }
            fast_decode(&stream, &head, pixels)?;
        }
        false => plain::decode(&stream, head.color, pixels)?,
    }
    Ok(Frame { width, height, channels, orientation: head.orientation })
}

fn fast_decode(stream: &[u8], head: &Head, pixels: &mut Vec<u8>) -> Result<(), String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(u16::MAX.into())
        .set_max_height(u16::MAX.into());
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(stream), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let target = match decoder.input_colorspace().ok_or("no colour space")? {
        ColorSpace::Luma => ColorSpace::Luma,
        // The components as they are.
        ColorSpace::YCbCr if head.color == Color::Rgb => ColorSpace::YCbCr,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(target));
    // Zeros, not the remains of another image: the same bytes in give the same pixels out, whatever the decoder leaves out.
    pixels.clear();
    pixels.resize(usize::from(head.width) * usize::from(head.height) * target.num_components(), 0);
    decoder.decode_into(pixels).map_err(|error| error.to_string())
}

/// All that stands before the first scan.
struct Head {
    width: u16,
    height: u16,
    /// Of each component its name, its sampling factors (4 bits across, 4 down), and its quantization table.
    components: Vec<[u8; 3]>,
    progressive: bool,
    color: Color,
    orientation: Orientation,
    /// Start of image, and the segments that pixels depend on.
    segments: Vec<u8>,
    /// Where the segment that starts the first scan starts.
    scan: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut segments = vec![0xff, START_OF_IMAGE];
        let mut frame = None;
        let mut orientation = None;
        let mut jfif = false;
        let mut adobe = None;
        let mut tables = Tables::default();
        let mut at = 2;
        loop {
            let (marker, start) = marker(bytes, at)?;
            if marker == START_OF_SCAN {
                at = start;
                break;
            }
            if marker == END_OF_IMAGE {
                return Err(format!("the end of the image at byte {start}, before its pixels"));
            }
            let body = segment(bytes, start + 2)?;
            at = start + 4 + body.len();
            match marker {
                // The frames of lossless, hierarchical and arithmetic coding are for the decoder to refuse.
                0xc0..=0xcf if !matches!(marker, HUFFMAN_TABLES | ARITHMETIC_CONDITIONING | 0xc8) => {
                    let &[_, h1, h0, w1, w0, count, ref components @ ..] = body else {
                        return Err(format!("a frame of {} bytes at byte {start}", body.len()));
                    };
                    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                    let components = components.as_chunks().0.iter().take(count.into()).copied().collect();
                    frame = Some((width, height, count, components, marker));
                    segments.extend(&bytes[start..at]);
                }
                HUFFMAN_TABLES => {
                    tables.note(body);
                    segments.extend(&bytes[start..at]);
                }
                ARITHMETIC_CONDITIONING | QUANTIZATION_TABLES | RESTART_INTERVAL => {
                    segments.extend(&bytes[start..at]);
                }
                EXIF if body.starts_with(b"Exif\0\0") => {
                    orientation = orientation.or(super::orientation(body))
                }
                JFIF if body.starts_with(b"JFIF\0") && body.len() >= 14 => jfif = true,
                ADOBE if body.starts_with(b"Adobe") => adobe = body.get(11).copied().or(adobe),
                _ => {}
            }
        }
        let (width, height, count, components, kind) = frame.ok_or("pixels before the size of the image")?;
        let components: Vec<[u8; 3]> = components;
        if components.len() != usize::from(count) {
            return Err(format!("a frame without its {count} components"));
        }
        let color = color(&components, jfif, adobe)?;
        let progressive = kind == 0xc2;
        if !progressive && tables.are_missed_by(bytes, at) {
            // Behind the start of the image, so that tables of the file's own replace them.
            segments.splice(2..2, *standard::SEGMENT);
        }
        if color == Color::Ycck {
            // The one thing that the fast decoder must know of Adobe.
            segments.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02");
        }
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        Ok(Self { width, height, components, progressive, color, orientation, segments, scan: at })
    }

    /// Blocks of 8x8 samples, of all components.
    fn blocks(&self) -> u64 {
        let factors =
            |axis: usize| self.components.iter().map(move |c| u64::from([c[1] >> 4, c[1] & 15][axis]));
        let along = |axis: usize, size: u16| {
            let most = factors(axis).max().unwrap_or(1).max(1);
            factors(axis).map(move |own| (u64::from(size) * own).div_ceil(most).div_ceil(8))
        };
        along(0, self.width).zip(along(1, self.height)).map(|(across, down)| across * down).sum()
    }

    /// Checks that the blocks may be in a file of `bytes` bytes: each takes at least a bit, of its DC coefficient.
    fn check_content(&self, bytes: usize) -> Result<(), String> {
        let (width, height, least) = (self.width, self.height, self.blocks().div_ceil(8));
        if least > bytes as u64 {
            return Err(format!(
                "{width}x{height} pixels take at least {least} bytes, and {bytes} are there"
            ));
        }
        Ok(())
    }

    /// Whether the fast decoder gives the pixels that libjpeg gives, within a few levels. See `docs/upstream.md`.
    fn is_for_the_fast_decoder(&self, scans: &Scans) -> bool {
        let factors: Vec<u8> = self.components.iter().map(|component| component[1]).collect();
        let known = match factors[..] {
            [_] | [0x11, 0x11, 0x11] | [0x11, 0x11, 0x11, 0x11] => true,
            // Near the edges of images of few samples, libjpeg does not interpolate.
            [0x12 | 0x21 | 0x22, 0x11, 0x11] => self.width.min(self.height) >= 16,
            _ => false,
        };
        // It takes components of these names for colours, whatever else is said.
        let named = self.components.iter().map(|component| component[0]).eq(*b"RGB");
        known && (self.progressive || scans.count == 1) && (self.color == Color::Rgb || !named)
    }
}

/// The meaning of the components, as libjpeg decides it: JFIF's segment before Adobe's, and that before the components' names.
fn color(components: &[[u8; 3]], jfif: bool, adobe: Option<u8>) -> Result<Color, String> {
    let named = |name: &[u8]| components.iter().map(|component| component[0]).eq(name.iter().copied());
    match (components.len(), adobe) {
        (1, _) => Ok(Color::Gray),
        (3, _) if jfif => Ok(Color::YCbCr),
        (3, Some(0)) => Ok(Color::Rgb),
        (3, None) if named(b"RGB") => Ok(Color::Rgb),
        (3, _) => Ok(Color::YCbCr),
        (4, None | Some(0)) => Ok(Color::Cmyk),
        (4, _) => Ok(Color::Ycck),
        (count, _) => Err(format!("{count} components, which are no known kind of colour")),
    }
}

/// The Huffman tables that a file defines before its first scan: of DC and of AC coefficients, a bit for each.
#[derive(Default)]
struct Tables([u8; 2]);

impl Tables {
    /// Those of a segment. One that is cut off is for the decoder to refuse.
    fn note(&mut self, mut body: &[u8]) {
        while let [head, rest @ ..] = body {
            if let (Some(class), slot @ 0..4) = (self.0.get_mut(usize::from(head >> 4)), head & 15) {
                *class |= 1 << slot;
            }
            let symbols: usize = rest.iter().take(16).map(|&count| usize::from(count)).sum();
            body = rest.get(16 + symbols..).unwrap_or_default();
        }
    }

    /// Whether the scan whose marker is at `start` uses one of the standard's four that the file does not define.
    fn are_missed_by(&self, bytes: &[u8], start: usize) -> bool {
        let body = segment(bytes, start + 2).unwrap_or_default();
        let chosen = body.get(1..).unwrap_or_default().as_chunks::<2>().0.iter();
        let missed = |class: usize, slot: u8| slot < 2 && self.0[class] >> slot & 1 == 0;
        let count = body.first().copied().unwrap_or(0);
        chosen.take(count.into()).any(|&[_, tables]| missed(0, tables >> 4) || missed(1, tables & 15))
    }
}

/// The next marker of a segment, and where it stands. Bytes between segments, which belong nowhere, are passed over.
fn marker(bytes: &[u8], from: usize) -> Result<(u8, usize), String> {
    let pairs = bytes.get(from..).unwrap_or_default().windows(2);
    let found =
        pairs.enumerate().find(|(_, pair)| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd8 | 0xff));
    match found {
        Some((i, pair)) => Ok((pair[1], from + i)),
        None => Err(format!("the end of the file after {} bytes, before the pixels", bytes.len())),
    }
}

/// The content of the segment whose length stands at `at`.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], String> {
    let ended = || format!("the end of the file after {} bytes, before the pixels", bytes.len());
    let rest = bytes.get(at..).ok_or_else(ended)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(ended)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let content = length.checked_sub(2).ok_or_else(|| format!("a segment of {length} bytes at byte {at}"))?;
    rest.get(..content).ok_or_else(ended)
}
