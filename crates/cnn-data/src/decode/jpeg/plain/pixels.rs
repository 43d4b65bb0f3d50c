//! From coefficients to pixels: samples, upsampling, colour.

use super::transform::samples;
use super::{Component, Frame};
use crate::decode::jpeg::Color;

/// The samples of a component.
struct Plane {
    /// Across and down.
    size: [usize; 2],
    /// Bytes per row.
    stride: usize,
    bytes: Vec<u8>,
    /// Pixels of the image for each sample, across and down.
    ratio: [usize; 2],
}

/// Writes all pixels, as many channels as `color` gives.
pub(super) fn write(frame: &Frame, color: Color, pixels: &mut Vec<u8>) -> Result<(), String> {
    let planes = frame.components.iter().map(|component| plane(frame, component));
    let planes = planes.collect::<Result<Vec<_>, _>>()?;
    let channels = color.channels();
    let width = frame.width;
    pixels.clear();
    pixels.resize(width * frame.height * channels, 0);
    let mut rows = vec![vec![0; width]; planes.len()];
    for (y, out) in pixels.chunks_exact_mut((width * channels).max(1)).enumerate() {
        for (plane, row) in planes.iter().zip(&mut rows) {
            plane.row(y, row);
        }
        match (color, &rows[..]) {
            (Color::Gray, [luma, ..]) => out.copy_from_slice(luma),
            (Color::Rgb, [r, g, b, ..]) => rgb(out, [r, g, b], |pixel| pixel),
            (Color::YCbCr, [y, cb, cr, ..]) => rgb(out, [y, cb, cr], from_ycbcr),
            (Color::Cmyk, [c, m, y, k]) => {
                rgb(out, [c, m, y], |ink| ink);
                black(out, k);
            }
            (Color::Ycck, [y, cb, cr, k]) => {
                rgb(out, [y, cb, cr], |pixel| from_ycbcr(pixel).map(|ink| 255 - ink));
                black(out, k);
            }
            _ => return Err(format!("{} components, which are no known kind of colour", planes.len())),
        }
    }
    Ok(())
}

fn plane(frame: &Frame, component: &Component) -> Result<Plane, String> {
    let steps =
        component.steps.as_ref().ok_or("a component without pixels, or without a quantization table")?;
    let mut ratio = [1; 2];
    for (axis, ratio) in ratio.iter_mut().enumerate() {
        let [most, own] = [frame.most, component.sampling].map(|factors| factors[axis]);
        if most % own != 0 {
            return Err(format!("a subsampling of {own} in {most}, which is not a whole ratio"));
        }
        *ratio = most / own;
    }
    let stride = 8 * component.stride;
    let mut bytes = vec![0; 64 * component.blocks.len()];
    for (i, block) in component.blocks.iter().enumerate() {
        let (row, column) = (i / component.stride, i % component.stride);
        for (y, samples) in samples(block, steps).as_chunks::<8>().0.iter().enumerate() {
            bytes[(8 * row + y) * stride + 8 * column..][..8].copy_from_slice(samples);
        }
    }
    Ok(Plane { size: component.size, stride, bytes, ratio })
}

impl Plane {
    /// A row of samples; beyond the edges, the outermost.
    fn samples(&self, y: isize) -> &[u8] {
        let y = y.clamp(0, self.size[1] as isize - 1) as usize;
        &self.bytes[y * self.stride..][..self.size[0]]
    }

    /// Row `y` of the image: each pixel between the samples around it where a sample covers two, as libjpeg has it, and
    /// the sample itself for other ratios.
    fn row(&self, y: usize, out: &mut [u8]) {
        let [across, down] = self.ratio;
        let own = self.samples((y / down) as isize);
        let other = || self.samples((y / 2) as isize + if y.is_multiple_of(2) { -1 } else { 1 });
        match [across, down] {
            [2, 1] if own.len() > 2 => doubled(out, 4, [1, 2], |x| u32::from(own[x])),
            [2, 2] if own.len() > 2 => {
                let other = other();
                doubled(out, 16, [8, 7], |x| 3 * u32::from(own[x]) + u32::from(other[x]));
            }
            [1, 2] => {
                let round = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((to, &near), &far) in out.iter_mut().zip(own).zip(other()) {
                    *to = ((3 * u32::from(near) + u32::from(far) + round) >> 2) as u8;
                }
            }
            _ => out.iter_mut().enumerate().for_each(|(x, to)| *to = own[x / across]),
        }
    }
}

/// Two pixels for each sample, three parts of it and one of its neighbour, divided by `of`. `round` is added before, on
/// the left and on the right.
fn doubled(out: &mut [u8], of: u32, round: [u32; 2], sample: impl Fn(usize) -> u32) {
    let last = (out.len() - 1) / 2;
    for (x, to) in out.iter_mut().enumerate() {
        let (near, right) = (x / 2, x % 2);
        let far = if right == 1 { (near + 1).min(last) } else { near.saturating_sub(1) };
        *to = ((3 * sample(near) + sample(far) + round[right]) / of) as u8;
    }
}

fn rgb(out: &mut [u8], rows: [&[u8]; 3], convert: impl Fn([u8; 3]) -> [u8; 3]) {
    let [a, b, c] = rows;
    let (pixels, _) = out.as_chunks_mut::<3>();
    for (((pixel, &a), &b), &c) in pixels.iter_mut().zip(a).zip(b).zip(c) {
        *pixel = convert([a, b, c]);
    }
}

/// By ITU-R BT.601 over the full range, in libjpeg's fixed point of 16 bits.
fn from_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let [y, cb, cr] = [i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128];
    let r = y + ((91_881 * cr + HALF) >> 16);
    let g = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let b = y + ((116_130 * cb + HALF) >> 16);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

/// Colours from inverted inks: each is darkened by the inverted black.
fn black(out: &mut [u8], k: &[u8]) {
    let (pixels, _) = out.as_chunks_mut::<3>();
    for (pixel, &k) in pixels.iter_mut().zip(k) {
        *pixel = pixel.map(|ink| {
            // As Pillow rounds it.
            let product = u32::from(255 - ink) * u32::from(k) + 128;
            k.saturating_sub((((product >> 8) + product) >> 8) as u8)
        });
    }
}
