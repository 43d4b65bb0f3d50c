//! JPEG: what stands before the compressed pixels is read here, the pixels by `zune-jpeg`.
//!
//! The decoder is given the segments that pixels depend on, and no others: notes of cameras and programs, sound or not,
//! never reach it. So it can be strict, and refuse damage that it would otherwise paint over in gray, without refusing
//! photos for their notes.
//!
//! Source: ITU-T T.81, 1992, annex B; Adobe's segment: "Supporting the DCT filters in PostScript Level 2", Adobe technical
//! note 5116, 1992, section 18.

use super::{MAX_SIDE, check_size};
use image::metadata::Orientation;
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
const EXIF: u8 = 0xe1;
const ADOBE: u8 = 0xee;

/// What the pixels of a JPEG are.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// 1: gray. 3: red, green and blue, side by side.
    pub(super) channels: usize,
    /// What must be done for them to stand upright.
    pub(super) orientation: Orientation,
}

/// Decodes a JPEG into `pixels`, whose memory is used again.
pub(super) fn decode(bytes: &[u8], pixels: &mut Vec<u8>) -> Result<Frame, String> {
    let head = Head::read(bytes)?;
    let (width, height) = (u32::from(head.width), u32::from(head.height));
    let samples = u64::from(width) * u64::from(height) * u64::from(head.components);
    // A progressive image is collected as 16-bit coefficients first.
    check_size(bytes.len(), width, height, samples * if head.progressive { 3 } else { 1 })?;
    let rest = &bytes[head.scan..];
    if !rest.windows(2).rev().any(|pair| pair == [0xff, END_OF_IMAGE]) {
        return Err(format!("the end of the file after {} bytes, before the end of the image", bytes.len()));
    }

    let segments = [&head.segments, rest].concat();
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(segments.as_slice()), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let target = match decoder.input_colorspace().ok_or("no colour space")? {
        ColorSpace::Luma => ColorSpace::Luma,
        // The components as they are.
        ColorSpace::YCbCr if head.rgb => ColorSpace::YCbCr,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(target));
    let channels = target.num_components();
    // Zeros, not what another image left: the same bytes in give the same pixels out, whatever the decoder leaves out.
    pixels.clear();
    pixels.resize(width as usize * height as usize * channels, 0);
    decoder.decode_into(pixels).map_err(|error| error.to_string())?;
    Ok(Frame { width, height, channels, orientation: head.orientation })
}

/// What stands before the first scan.
struct Head {
    width: u16,
    height: u16,
    components: u8,
    progressive: bool,
    /// Three components that are red, green and blue, by Adobe's segment.
    rgb: bool,
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
        let mut adobe = None;
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
                    let &[_, h1, h0, w1, w0, components, ..] = body else {
                        return Err(format!("a frame of {} bytes at byte {start}", body.len()));
                    };
                    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                    frame = Some((width, height, components, marker == 0xc2));
                    segments.extend(&bytes[start..at]);
                }
                HUFFMAN_TABLES | ARITHMETIC_CONDITIONING | QUANTIZATION_TABLES | RESTART_INTERVAL => {
                    segments.extend(&bytes[start..at]);
                }
                EXIF => {
                    if let Some(exif) = body.strip_prefix(b"Exif\0\0") {
                        orientation = orientation.or_else(|| Orientation::from_exif_chunk(exif));
                    }
                }
                ADOBE if body.starts_with(b"Adobe") => adobe = adobe.or(body.get(11).copied()),
                _ => {}
            }
        }
        let (width, height, components, progressive) = frame.ok_or("pixels before the size of the image")?;
        if !matches!(components, 1 | 3 | 4) {
            return Err(format!("{components} components, which are no known kind of colour"));
        }
        if components == 4 && adobe.is_some_and(|transform| transform != 0) {
            // The one thing that the decoder must know of Adobe: that the four are YCCK.
            segments.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02");
        }
        let rgb = components == 3 && adobe == Some(0);
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        Ok(Self { width, height, components, progressive, rgb, orientation, segments, scan: at })
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
