//! Bits of a scan, and the Huffman codes among them.

/// The bits of a scan, the most significant of a byte first, up to the next marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to be read.
    at: usize,
    /// Bits that were read and not taken; the last `count` of them.
    buffer: u64,
    count: u32,
}

const ENDS_EARLY: &str = "the end of a scan before the last of its pixels";

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0 }
    }

    /// Reads whole bytes, as many as there is room for.
    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match self.data[self.at.min(self.data.len())..] {
                [0xff, 0, ..] => {
                    self.at += 2;
                    0xff
                }
                // A marker, or the end.
                [0xff, ..] | [] => return,
                [byte, ..] => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next 16 bits, zeros behind the last; they stay there.
    fn peek(&mut self) -> u32 {
        if self.count < 16 {
            self.fill();
        }
        let bits = match self.count.checked_sub(16) {
            Some(more) => self.buffer >> more,
            None => self.buffer << (16 - self.count),
        };
        bits as u32 & 0xffff
    }

    fn skip(&mut self, count: u32) -> Result<(), String> {
        self.count = self.count.checked_sub(count).ok_or(ENDS_EARLY)?;
        Ok(())
    }

    /// The next bits, at most 16, as a number.
    pub(super) fn take(&mut self, count: u8) -> Result<u32, String> {
        let bits = self.peek() >> (16 - u32::from(count));
        self.skip(count.into())?;
        Ok(bits)
    }

    /// A number of so many bits as T.81 codes it (F.2.2.1): those that start with 0 are negative.
    pub(super) fn signed(&mut self, size: u8) -> Result<i32, String> {
        if size > 15 {
            return Err(format!("a coefficient of {size} bits"));
        }
        let bits = self.take(size)? as i32;
        let negative = size > 0 && bits < 1 << (size - 1);
        Ok(if negative { bits - (1 << size) + 1 } else { bits })
    }

    /// Goes behind the next restart marker.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        let marker = self.end();
        match self.data[marker..] {
            [0xff, 0xd0..=0xd7, ..] => {
                *self = Self { at: marker + 2, ..Self::new(self.data) };
                Ok(())
            }
            _ => Err("no restart marker where one is due".into()),
        }
    }

    /// The place of the next marker; bytes before it that are not needed are passed over.
    pub(super) fn end(&self) -> usize {
        let rest = &self.data[self.at.min(self.data.len())..];
        let found = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        self.at + found.unwrap_or(rest.len())
    }
}

/// A canonical Huffman code.
pub(super) struct Huffman {
    /// For the next 8 bits: length and symbol of the code that starts them; length 0: it is longer.
    short: [(u8, u8); 256],
    /// For each length, the first number of 16 bits that is beyond all codes of that length.
    limits: [u32; 17],
    /// For each length, the difference between the place of a symbol and its code.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the numbers of codes of 1 to 16 bits, and their symbols (T.81, annex C).
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, String> {
        let mut table =
            Self { short: [(0, 0); 256], limits: [0; 17], offsets: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0u32, 0usize);
        for (length, &count) in (1..).zip(counts) {
            table.offsets[length] = place as i32 - code as i32;
            for &symbol in symbols.iter().skip(place).take(count.into()) {
                if length <= 8 {
                    let first = (code as usize) << (8 - length);
                    let all = table.short.iter_mut().skip(first).take(1 << (8 - length));
                    all.for_each(|entry| *entry = (length as u8, symbol));
                }
                code += 1;
            }
            place += usize::from(count);
            // No code is of ones alone.
            if count > 0 && code >= 1 << length {
                return Err("a Huffman table with more codes than fit".into());
            }
            table.limits[length] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// The next symbol.
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, String> {
        let next = bits.peek();
        let (length, symbol) = self.short[(next >> 8) as usize];
        if length > 0 {
            bits.skip(length.into())?;
            return Ok(symbol);
        }
        for length in 9..17 {
            if next < self.limits[length] {
                bits.skip(length as u32)?;
                let place = (next >> (16 - length)) as i32 + self.offsets[length];
                let symbol = usize::try_from(place).ok().and_then(|place| self.symbols.get(place));
                return symbol.copied().ok_or_else(|| "a Huffman code without a symbol".into());
            }
        }
        // Behind the last bit stand zeros, which may be no code either.
        Err(if bits.count < 16 { ENDS_EARLY } else { "bits that are not a Huffman code" }.into())
    }
}
