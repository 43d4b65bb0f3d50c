//! A plain decoder for the JPEGs that the fast one gets wrong or does not know: several baseline scans, every whole ratio of
//! subsampling, and images so small that chroma has a pixel or two.
//!
//! It knows Huffman coding of 8 bits, sequential and progressive, and gives libjpeg's pixels bit for bit (its defaults: the
//! accurate integer transform, smooth upsampling). It keeps all coefficients until the last scan is read, so that it needs no
//! special case for any order of scans. Every number that is missing or out of range is an error.
//!
//! Source: ITU-T T.81, 1992, annexes A, B, F and G; where T.81 leaves a choice, libjpeg-turbo's files jdhuff.c, jdphuff.c,
//! jidctint.c, jdsample.c and jdcolor.c.

mod bits;
mod pixels;
mod transform;

use super::{Color, END_OF_IMAGE, HUFFMAN_TABLES, QUANTIZATION_TABLES, RESTART_INTERVAL, START_OF_SCAN};
use super::{marker, segment, standard};
use bits::{Bits, Huffman};

/// Row-major place of the coefficient at each place of the zigzag order.
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Decodes a stream from its start to its end marker into `pixels`: gray, or red, green and blue side by side.
pub(super) fn decode(stream: &[u8], color: Color, pixels: &mut Vec<u8>) -> Result<(), String> {
    let mut decoder = Decoder { keeps: true, ..Decoder::default() };
    decoder.tables(&standard::SEGMENT[4..])?;
    decoder.read(stream, usize::MAX)?;
    let frame = decoder.frame.ok_or("the end of the image before its size")?;
    pixels::write(&frame, color, pixels)
}

/// Checks that the first scan of a progressive image is whole. It brings no more than a number for each block, and takes
/// little time.
pub(super) fn check_first_scan(stream: &[u8]) -> Result<(), String> {
    Decoder::default().read(stream, 1)
}

fn two(body: &[u8]) -> Option<usize> {
    body.first_chunk().map(|&bytes| usize::from(u16::from_be_bytes(bytes)))
}

#[derive(Default)]
struct Decoder {
    /// Whether coefficients are kept, not only looked at.
    keeps: bool,
    /// In row-major order.
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// Units between restart markers; 0: there are none.
    restart: usize,
    frame: Option<Frame>,
}

struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
    /// The largest sampling factors, across and down.
    most: [usize; 2],
}

struct Component {
    id: u8,
    /// Sampling factors, across and down.
    sampling: [usize; 2],
    quantization: usize,
    /// The quantization table that was in force at its first scan.
    steps: Option<[u16; 64]>,
    /// Samples, across and down.
    size: [usize; 2],
    /// Blocks per row, those included that complete a unit.
    stride: usize,
    /// Row-major blocks of row-major coefficients.
    blocks: Vec<[i16; 64]>,
    /// The last DC coefficient.
    last: i32,
}

/// The bits of the coefficients that a scan brings.
#[derive(Clone, Copy)]
struct Part {
    /// The first and the last coefficient, in zigzag order.
    band: [usize; 2],
    /// Whether all higher bits were there before.
    refines: bool,
    low: u32,
}

impl Decoder {
    /// Reads a stream up to its end, or to the end of so many scans.
    fn read(&mut self, stream: &[u8], scans: usize) -> Result<(), String> {
        let (mut at, mut seen) = (2, 0);
        while seen < scans {
            let (kind, start) = marker(stream, at)?;
            if kind == END_OF_IMAGE {
                break;
            }
            let body = segment(stream, start + 2)?;
            at = start + 4 + body.len();
            match kind {
                0xc0..=0xc2 => self.frame(body, kind == 0xc2)?,
                HUFFMAN_TABLES => self.tables(body)?,
                0xc3..=0xcf => return Err(format!("a kind of JPEG that is not known, SOF{}", kind - 0xc0)),
                QUANTIZATION_TABLES => self.quantization(body)?,
                RESTART_INTERVAL => self.restart = two(body).ok_or("a restart interval without a number")?,
                START_OF_SCAN => {
                    at += self.scan(body, &stream[at..])?;
                    seen += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn quantization(&mut self, mut body: &[u8]) -> Result<(), String> {
        while let Some((&head, rest)) = body.split_first() {
            let wide = head >> 4 != 0;
            let fault = "a quantization table that is cut off";
            let (values, rest) = rest.split_at_checked(if wide { 128 } else { 64 }).ok_or(fault)?;
            let slot =
                self.quantization.get_mut(usize::from(head & 15)).ok_or("more than 4 quantization tables")?;
            let table = slot.insert([0; 64]);
            for (i, &place) in ZIGZAG.iter().enumerate() {
                let value = if wide { two(&values[2 * i..]).unwrap_or(0) as u16 } else { values[i].into() };
                table[usize::from(place)] = value;
            }
            body = rest;
        }
        Ok(())
    }

    fn tables(&mut self, mut body: &[u8]) -> Result<(), String> {
        while let Some((&head, rest)) = body.split_first() {
            let fault = "a Huffman table that is cut off";
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(fault)?;
            let number = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(number).ok_or(fault)?;
            let class = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = class.get_mut(usize::from(head & 15)).ok_or("more than 4 Huffman tables")?;
            *slot = Some(Huffman::new(counts, symbols)?);
            body = rest;
        }
        Ok(())
    }

    fn frame(&mut self, body: &[u8], progressive: bool) -> Result<(), String> {
        let &[precision, h1, h0, w1, w0, _, ref components @ ..] = body else {
            return Err(format!("a frame of {} bytes", body.len()));
        };
        if self.frame.is_some() {
            return Err("a second frame".into());
        }
        if precision != 8 {
            return Err(format!("{precision} bits of precision, the only ones known are 8"));
        }
        let [width, height] = [[w1, w0], [h1, h0]].map(|bytes| usize::from(u16::from_be_bytes(bytes)));
        let (components, _) = components.as_chunks::<3>();
        let factors = |&[_, factors, _]: &[u8; 3]| [factors >> 4, factors & 15].map(usize::from);
        if components.iter().flat_map(factors).any(|factor| !(1..=4).contains(&factor)) {
            return Err("a sampling factor that is not from 1 to 4".into());
        }
        let most = [0, 1].map(|axis| components.iter().map(|c| factors(c)[axis]).max().unwrap_or(1));
        let units = [width.div_ceil(8 * most[0]), height.div_ceil(8 * most[1])];
        let keeps = self.keeps;
        let component = |c: &[u8; 3]| {
            let sampling = factors(c);
            let size = [(width * sampling[0]).div_ceil(most[0]), (height * sampling[1]).div_ceil(most[1])];
            let stride = units[0] * sampling[0];
            let blocks = if keeps { vec![[0; 64]; stride * units[1] * sampling[1]] } else { Vec::new() };
            let [id, _, quantization] = *c;
            Component {
                id,
                sampling,
                quantization: quantization.into(),
                steps: None,
                size,
                stride,
                blocks,
                last: 0,
            }
        };
        let components = components.iter().map(component).collect();
        self.frame = Some(Frame { width, height, progressive, components, most });
        Ok(())
    }

    /// Reads a scan whose header is `body` and whose compressed bytes start `data`. Returns their number.
    fn scan(&mut self, body: &[u8], data: &[u8]) -> Result<usize, String> {
        let Self { quantization, dc, ac, restart, frame, .. } = self;
        let frame = frame.as_mut().ok_or("pixels before the size of the image")?;
        let fault = || format!("the header of a scan of {} bytes", body.len());
        let (&count, rest) = body.split_first().ok_or_else(fault)?;
        let (chosen, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(fault)?;
        let &[start, end, bits, ..] = rest else { return Err(fault()) };
        let part = match frame.progressive {
            true => Part {
                band: [start, end].map(usize::from),
                refines: bits >> 4 != 0,
                low: u32::from(bits & 15),
            },
            false => Part { band: [0, 63], refines: false, low: 0 },
        };
        let [from, to] = part.band;
        let alone = !frame.progressive || if from == 0 { to == 0 } else { count == 1 };
        if from > to || to > 63 || part.low > 13 || !alone {
            return Err(format!("a scan of the coefficients {from} to {to} of {count} components"));
        }
        // Number and tables of each component. A table that is not there is missed when it is used.
        let mut members: Vec<(usize, Option<&Huffman>, Option<&Huffman>)> = Vec::new();
        for &[id, tables] in chosen.as_chunks::<2>().0 {
            let number = frame.components.iter().position(|component| component.id == id);
            let number =
                number.ok_or_else(|| format!("a scan of component {id}, which the image has not"))?;
            if members.iter().any(|&(other, ..)| other == number) {
                return Err(format!("a scan with component {id} twice"));
            }
            let [dc, ac] = [(&*dc, tables >> 4), (&*ac, tables & 15)]
                .map(|(slots, slot)| slots.get(usize::from(slot)).and_then(Option::as_ref));
            members.push((number, dc, ac));
            let component = &mut frame.components[number];
            component.last = 0;
            if component.steps.is_none() {
                component.steps = quantization.get(component.quantization).copied().flatten();
            }
        }
        if members.is_empty() {
            return Err("a scan of no component".into());
        }

        // A unit is a block of a component alone, or a rectangle of blocks of each.
        let across_down = match members[..] {
            [(number, ..)] => frame.components[number].size.map(|extent| extent.div_ceil(8)),
            _ => [0, 1].map(|axis| [frame.width, frame.height][axis].div_ceil(8 * frame.most[axis])),
        };
        let mut bits = Bits::new(data);
        let mut run = 0;
        let mut unkept = [0; 64];
        for unit in 0..across_down[0] * across_down[1] {
            if *restart > 0 && unit > 0 && unit % *restart == 0 {
                bits.restart()?;
                run = 0;
                members.iter().for_each(|&(number, ..)| frame.components[number].last = 0);
            }
            let (row, column) = (unit / across_down[0], unit % across_down[0]);
            for &(number, dc, ac) in &members {
                let component = &mut frame.components[number];
                let [h, v] = if members.len() == 1 { [1, 1] } else { component.sampling };
                for (y, x) in (0..v).flat_map(|y| (0..h).map(move |x| (y, x))) {
                    let place = (row * v + y) * component.stride + column * h + x;
                    let block = component.blocks.get_mut(place).unwrap_or(&mut unkept);
                    let last = &mut component.last;
                    match frame.progressive {
                        false => sequential(&mut bits, dc, ac, block, last)?,
                        true if from == 0 => first_coefficient(&mut bits, dc, part, block, last)?,
                        true if !part.refines => band(&mut bits, ac, part, block, &mut run)?,
                        true => refine_band(&mut bits, ac, part, block, &mut run)?,
                    }
                }
            }
        }
        Ok(bits.end())
    }
}

const NO_TABLE: &str = "no Huffman table for a scan";

fn sequential(
    bits: &mut Bits<'_>,
    dc: Option<&Huffman>,
    ac: Option<&Huffman>,
    block: &mut [i16; 64],
    last: &mut i32,
) -> Result<(), String> {
    let size = dc.ok_or(NO_TABLE)?.symbol(bits)?;
    *last = last.wrapping_add(bits.signed(size)?);
    block[0] = *last as i16;
    let ac = ac.ok_or(NO_TABLE)?;
    let mut at = 1;
    while at < 64 {
        let symbol = ac.symbol(bits)?;
        let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
        match (size, zeros) {
            (0, 15) => at += 16,
            (0, _) => break,
            _ => {
                at += zeros;
                let place = ZIGZAG.get(at).ok_or(TOO_MANY)?;
                block[usize::from(*place)] = bits.signed(size)? as i16;
                at += 1;
            }
        }
    }
    Ok(())
}

const TOO_MANY: &str = "a block of more than 64 coefficients";

/// The DC coefficient of a progressive image.
fn first_coefficient(
    bits: &mut Bits<'_>,
    dc: Option<&Huffman>,
    part: Part,
    block: &mut [i16; 64],
    last: &mut i32,
) -> Result<(), String> {
    if part.refines {
        block[0] |= (bits.take(1)? << part.low) as i16;
        return Ok(());
    }
    let size = dc.ok_or(NO_TABLE)?.symbol(bits)?;
    *last = last.wrapping_add(bits.signed(size)?);
    block[0] = last.wrapping_shl(part.low) as i16;
    Ok(())
}

/// The first bits of a band of coefficients. `run`: so many blocks have none.
fn band(
    bits: &mut Bits<'_>,
    ac: Option<&Huffman>,
    part: Part,
    block: &mut [i16; 64],
    run: &mut u32,
) -> Result<(), String> {
    if *run > 0 {
        *run -= 1;
        return Ok(());
    }
    let ac = ac.ok_or(NO_TABLE)?;
    let [mut at, to] = part.band;
    while at <= to {
        let symbol = ac.symbol(bits)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        match (size, zeros) {
            (0, 15) => at += 16,
            (0, _) => {
                // This block is the first of the run.
                *run = (1 << zeros) + bits.take(zeros)? - 1;
                break;
            }
            _ => {
                at += usize::from(zeros);
                let place = ZIGZAG.get(at).filter(|_| at <= to).ok_or(TOO_MANY)?;
                block[usize::from(*place)] = bits.signed(size)?.wrapping_shl(part.low) as i16;
                at += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of a band of coefficients: those that are not 0 get a bit each, others may become 1 or -1 of that bit.
fn refine_band(
    bits: &mut Bits<'_>,
    ac: Option<&Huffman>,
    part: Part,
    block: &mut [i16; 64],
    run: &mut u32,
) -> Result<(), String> {
    let ac = ac.ok_or(NO_TABLE)?;
    let one = 1i16 << part.low;
    let refine = |bits: &mut Bits<'_>, value: &mut i16| -> Result<(), String> {
        if bits.take(1)? == 1 && *value & one == 0 {
            *value = value.wrapping_add(if *value > 0 { one } else { -one });
        }
        Ok(())
    };
    let [mut at, to] = part.band;
    while *run == 0 && at <= to {
        let symbol = ac.symbol(bits)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        let new = match size {
            0 if zeros < 15 => {
                *run = (1 << zeros) + bits.take(zeros)?;
                break;
            }
            0 => 0,
            _ if bits.take(1)? == 1 => one,
            _ => -one,
        };
        // To the place behind so many that stay 0.
        while at <= to {
            let value = &mut block[usize::from(ZIGZAG[at])];
            at += 1;
            if *value != 0 {
                refine(bits, value)?;
            } else if zeros > 0 {
                zeros -= 1;
            } else {
                *value = new;
                break;
            }
        }
    }
    if *run > 0 {
        for &place in &ZIGZAG[at..=to] {
            let value = &mut block[usize::from(place)];
            if *value != 0 {
                refine(bits, value)?;
            }
        }
        *run -= 1;
    }
    Ok(())
}
