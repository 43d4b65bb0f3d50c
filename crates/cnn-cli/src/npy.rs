//! NumPy's files of one array, .npy: numbers of any type are read as f32, and f32 is written.
//!
//! A file is the magic `\x93NUMPY`, a version of two bytes, the length of a header, the header, and the elements. The header is a
//! dictionary as Python writes it: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.

use cnn_tensor::text::one_line;
use cnn_tensor::{Shape, Tensor, half};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The tensor in a file with these contents. Elements other than f32 are rounded to it; booleans become 0 and 1.
///
/// # Errors
/// The contents are not a .npy file of version 1 to 3, or the array is one of columns first, of more than six axes, or of other
/// elements than numbers. The message says at which byte.
pub fn read(contents: &[u8]) -> Result<Tensor, String> {
    let rest = contents.strip_prefix(MAGIC).ok_or("expected a .npy file, which begins with \\x93NUMPY")?;
    let (length, start) = match rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
        [version, _, ..] => return Err(format!("at byte 6: expected version 1 to 3, got {version}")),
        _ => return Err(format!("expected a header, got the end after {} bytes", contents.len())),
    };
    let end = start + length;
    let header = contents.get(start..end).ok_or_else(|| {
        format!("expected a header of {length} bytes from byte {start} on, got a file of {}", contents.len())
    })?;
    let Header { element, dims } =
        Header::read(header).map_err(|fault| format!("at byte {start}: {fault}"))?;
    let shape = Shape::new(&dims).map_err(|e| format!("at byte {start}: {e}"))?;
    let data = &contents[end..];
    let expected = dims.iter().try_fold(element.size, |product, &dim| product.checked_mul(dim));
    if expected != Some(data.len()) {
        let expected =
            expected.map_or("more bytes than any file has".into(), |bytes| format!("{bytes} bytes"));
        return Err(format!("at byte {end}: expected {expected} for shape {shape}, got {}", data.len()));
    }
    Tensor::from_vec(shape, element.floats(data)).map_err(|e| e.to_string())
}

/// The file of a tensor.
pub fn write(tensor: &Tensor) -> Vec<u8> {
    let dims: Vec<String> = tensor.shape().dims().iter().map(ToString::to_string).collect();
    let shape = match &dims[..] {
        [one] => format!("({one},)"),
        dims => format!("({})", dims.join(", ")),
    };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The elements begin at a multiple of 64.
    let padding = 63 - (MAGIC.len() + 4 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut file = MAGIC.to_vec();
    file.extend([1, 0]);
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(tensor.data().iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// The type of the elements.
#[derive(Debug, PartialEq)]
struct Element {
    big_endian: bool,
    /// `f`, `i`, `u` or `b`, as NumPy writes it.
    kind: u8,
    /// In bytes.
    size: usize,
}

impl Element {
    fn read(descr: &str) -> Result<Self, String> {
        let fault = || {
            format!("expected elements of type f2 to f8, i1 to i8, u1 to u8 or b1, got {}", one_line(descr))
        };
        let &[order, kind, size] = descr.as_bytes() else { return Err(fault()) };
        let size = usize::from(size.wrapping_sub(b'0'));
        match (order, kind, size) {
            (b'<' | b'>' | b'|' | b'=', b'f', 2 | 4 | 8)
            | (b'<' | b'>' | b'|' | b'=', b'i' | b'u', 1 | 2 | 4 | 8)
            | (b'|', b'b', 1) => Ok(Self { big_endian: order == b'>', kind, size }),
            _ => Err(fault()),
        }
    }

    fn floats(&self, data: &[u8]) -> Vec<f32> {
        let value = |bytes: &[u8]| {
            // Little-endian, in the first bytes.
            let mut word = [0; 8];
            word[..self.size].copy_from_slice(bytes);
            if self.big_endian {
                word[..self.size].reverse();
            }
            let bits = u64::from_le_bytes(word);
            match (self.kind, self.size) {
                (b'f', 2) => half::from_f16(bits as u16),
                (b'f', 4) => f32::from_bits(bits as u32),
                (b'f', _) => f64::from_bits(bits) as f32,
                (b'i', size) => {
                    let above = 64 - 8 * size as u32;
                    ((bits << above) as i64 >> above) as f32
                }
                (b'b', _) => f32::from(bits != 0),
                _ => bits as f32,
            }
        };
        data.chunks_exact(self.size).map(value).collect()
    }
}

#[derive(Debug, PartialEq)]
struct Header {
    element: Element,
    dims: Vec<usize>,
}

impl Header {
    fn read(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "expected a header of text")?;
        let mut rest = Literal(text.trim_ascii());
        let (mut element, mut is_fortran, mut dims) = (None, None, None);
        rest.expect("{")?;
        while !rest.next_is("}") {
            let key = rest.quoted()?;
            rest.expect(":")?;
            match key {
                "descr" if rest.0.starts_with('[') => {
                    return Err("arrays of several fields are not supported".into());
                }
                "descr" => element = Some(Element::read(rest.quoted()?)?),
                "fortran_order" => is_fortran = Some(rest.boolean()?),
                "shape" => dims = Some(rest.extents()?),
                other => {
                    return Err(format!("expected descr, fortran_order and shape, got {}", one_line(other)));
                }
            }
            if !rest.next_is(",") {
                rest.expect("}")?;
                break;
            }
        }
        if !rest.0.is_empty() {
            return Err(format!("expected the end of the header, got {}", rest.begin()));
        }
        if is_fortran.ok_or("the header lacks fortran_order")? {
            return Err("arrays in Fortran's order are not supported; save numpy.ascontiguousarray(x)".into());
        }
        let element = element.ok_or("the header lacks descr")?;
        Ok(Self { element, dims: dims.ok_or("the header lacks shape")? })
    }
}

/// The rest of a Python literal, without spaces before it.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    /// Goes past `word` if it comes next.
    fn next_is(&mut self, word: &str) -> bool {
        match self.0.strip_prefix(word) {
            Some(rest) => {
                self.0 = rest.trim_ascii_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.next_is(word) {
            true => Ok(()),
            false => Err(format!("expected {word} in the header, got {}", self.begin())),
        }
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        let found = ['\'', '"'].into_iter().find_map(|quote| self.0.strip_prefix(quote)?.split_once(quote));
        let (text, rest) = found.ok_or_else(|| format!("expected a quoted word, got {}", self.begin()))?;
        self.0 = rest.trim_ascii_start();
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        match (self.next_is("True"), self.next_is("False")) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(format!("expected True or False, got {}", self.begin())),
        }
    }

    fn extents(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        self.expect("(")?;
        while !self.next_is(")") {
            if dims.len() == Shape::MAX_RANK {
                return Err(format!("expected at most {} axes", Shape::MAX_RANK));
            }
            let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = self.0.split_at(digits);
            let dim = number.parse().map_err(|_| format!("expected an extent, got {}", self.begin()))?;
            self.0 = rest.trim_ascii_start();
            dims.push(dim);
            if !self.next_is(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(dims)
    }

    /// What comes next, for messages.
    fn begin(&self) -> String {
        match self.0.is_empty() {
            true => "its end".into(),
            false => one_line(self.0.chars().take(20).collect::<String>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
    }

    #[test]
    fn what_is_written_is_read_again_and_is_as_numpy_writes_it() {
        for shape in [&[][..], &[3], &[2, 3], &[2, 0, 4]] {
            let shape = Shape::new(shape).unwrap();
            let values = (0..shape.numel()).map(|i| i as f32 - 0.3).collect();
            let tensor = Tensor::from_vec(shape, values).unwrap();
            let file = write(&tensor);
            assert_eq!(read(&file).unwrap(), tensor);
            assert_eq!((file.len() - 4 * tensor.data().len()) % 64, 0);
        }
        // numpy.save of numpy.zeros(2, dtype="f4"), version 2.2.
        let file = write(&Tensor::zeros([2]));
        let start = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  ";
        assert!(file.starts_with(start));
        assert_eq!((file.len(), file[127]), (136, b'\n'));
    }

    #[test]
    fn every_type_of_number_is_read() {
        let values = |descr: &str, data: &[u8]| {
            let shape = format!("({},)", data.len() / usize::from(descr.as_bytes()[2] - b'0'));
            read(&file(&header(descr, &shape), data)).unwrap().data().to_vec()
        };
        assert_eq!(values("<f4", &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(values("<f2", &[0x00, 0x3c]), [1.0]);
        assert_eq!(values(">f4", &1.5f32.to_be_bytes()), [1.5]);
        assert_eq!(
            values("<f8", &[(-0.1f64).to_le_bytes(), 1e300f64.to_le_bytes()].concat()),
            [-0.1, f32::INFINITY]
        );
        assert_eq!(values("|i1", &[255, 128, 1]), [-1.0, -128.0, 1.0]);
        assert_eq!(values("|u1", &[255, 128]), [255.0, 128.0]);
        assert_eq!(values(">i2", &(-300i16).to_be_bytes()), [-300.0]);
        assert_eq!(values("<u4", &u32::MAX.to_le_bytes()), [u32::MAX as f32]);
        assert_eq!(values("<i8", &(-5i64).to_le_bytes()), [-5.0]);
        assert_eq!(values("<u8", &u64::MAX.to_le_bytes()), [u64::MAX as f32]);
        assert_eq!(values("|b1", &[0, 1]), [0.0, 1.0]);
    }

    #[test]
    fn hostile_files_are_one_error_each() {
        let message = |contents: &[u8]| read(contents).unwrap_err();
        let of = |text: &str| message(&file(text, &[0; 8]));
        assert!(message(b"PK\x03\x04").starts_with("expected a .npy file"));
        assert!(message(b"\x93NUMPY").contains("got the end after 6 bytes"));
        assert_eq!(message(b"\x93NUMPY\x09\x00\x00\x00"), "at byte 6: expected version 1 to 3, got 9");
        assert!(message(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("a header of 4294967295 bytes"));
        for (shape, fault) in [
            ("(3,)", "expected 12 bytes for shape [3], got 8"),
            ("(9223372036854775807, 9)", "more elements than memory can address"),
            ("(99999999999999999999,)", "expected an extent"),
            ("(1, 1, 1, 1, 1, 1, 1)", "expected at most 6 axes"),
            ("(-1,)", "expected an extent, got -1,)"),
            ("(2", "expected an extent, got }"),
            ("(2 3)", "expected ) in the header, got 3)"),
            ("2", "expected ( in the header"),
        ] {
            let got = of(&header("<f4", shape));
            assert!(got.contains(fault), "{shape}: {got}");
        }
        for (descr, fault) in [
            ("<c8", "expected elements of type f2"),
            ("<U5", "got <U5"),
            ("|O", "got |O"),
            ("", "expected elements"),
            ("<f1", "got <f1"),
        ] {
            let got = of(&header(descr, "(2,)"));
            assert!(got.contains(fault), "{descr}: {got}");
        }
        let fortran = header("<f4", "(2,)").replace("False", "True");
        assert!(of(&fortran).contains("Fortran's order"), "{}", of(&fortran));
        assert!(of("{'descr': [('a', '<f4')], }").contains("several fields"));
        assert!(of("{'descr': '<f4', 'shape': (2,)}").contains("lacks fortran_order"));
        assert!(of("{'fortran_order': False, 'shape': (2,)}").contains("lacks descr"));
        assert!(of("{'descr': '<f4', 'fortran_order': False}").contains("lacks shape"));
        assert!(of("{'other': 1}").contains("got other"));
        assert!(of("{'descr': '<f4").contains("expected a quoted word, got '<f4"));
        assert!(of("{}{").contains("expected the end of the header, got {"));
        assert!(of("").contains("expected { in the header, got its end"));
    }
}
