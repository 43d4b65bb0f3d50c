//! From a tensor of the file to numbers.

use crate::external::Folder;
use crate::proto;
use cnn_tensor::half;

/// The elements: floats of any width, or whole numbers and booleans.
pub enum Numbers {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

/// Type of elements, by the number that onnx.proto gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    F32,
    U8,
    I8,
    U16,
    I16,
    I32,
    I64,
    Bool,
    F16,
    F64,
    U32,
    U64,
    BF16,
}

impl Element {
    fn of(number: i32) -> Result<Self, String> {
        Ok(match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::BF16,
            other => {
                return Err(format!("expected elements of a numeric type, got {}", name(other)));
            }
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

/// The name of a type that is not read.
fn name(number: i32) -> String {
    let names = [(0, "none"), (8, "text"), (14, "complex64"), (15, "complex128"), (17, "float8e4m3fn")];
    let known = names.into_iter().find(|(of, _)| *of == number);
    known.map_or(format!("type {number}"), |(_, name)| name.into())
}

/// Extents and elements.
pub fn read(tensor: &proto::Tensor, folder: &Folder) -> Result<(Vec<usize>, Numbers), String> {
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim));
    let dims = dims.collect::<Result<Vec<_>, _>>().map_err(|_| format!("bad extents {:?}", tensor.dims))?;
    let numel = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    let numel = numel.ok_or_else(|| format!("the product of the extents {dims:?} overflows"))?;
    let element = Element::of(tensor.data_type)?;
    let numbers = match (&tensor.raw_data, tensor.data_location) {
        (_, 1) => {
            let bytes = folder.read(&tensor.external_data, numel, element.bytes())?;
            from_bytes(element, &bytes)?
        }
        (Some(bytes), 0) => {
            let expected = numel.checked_mul(element.bytes());
            if expected != Some(bytes.len()) {
                return Err(format!("expected {numel} elements of {element:?}, got {} bytes", bytes.len()));
            }
            from_bytes(element, bytes)?
        }
        (None, 0) => typed(element, tensor)?,
        (_, other) => return Err(format!("expected a data location of 0 or 1, got {other}")),
    };
    let got = match &numbers {
        Numbers::Floats(values) => values.len(),
        Numbers::Ints(values) => values.len(),
    };
    if got != numel {
        return Err(format!("expected {numel} elements for the extents {dims:?}, got {got}"));
    }
    Ok((dims, numbers))
}

/// A double as the nearest float, if there is one.
fn narrow(value: f64) -> Result<f32, String> {
    let float = value as f32;
    match float.is_infinite() && value.is_finite() {
        true => Err(format!("expected numbers in the range of a float, got {value}")),
        false => Ok(float),
    }
}

fn from_bytes(element: Element, bytes: &[u8]) -> Result<Numbers, String> {
    fn each<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| f(chunk)).collect()
    }
    Ok(match element {
        Element::F32 => Numbers::Floats(each(bytes, f32::from_le_bytes)),
        Element::F64 => {
            let doubles = each(bytes, f64::from_le_bytes);
            Numbers::Floats(doubles.into_iter().map(narrow).collect::<Result<_, _>>()?)
        }
        Element::F16 => Numbers::Floats(each(bytes, |b| half::from_f16(u16::from_le_bytes(b)))),
        Element::BF16 => Numbers::Floats(each(bytes, |b| half::from_bf16(u16::from_le_bytes(b)))),
        Element::U8 | Element::Bool => Numbers::Ints(each(bytes, |b: [u8; 1]| b[0].into())),
        Element::I8 => Numbers::Ints(each(bytes, |b| i8::from_le_bytes(b).into())),
        Element::U16 => Numbers::Ints(each(bytes, |b| u16::from_le_bytes(b).into())),
        Element::I16 => Numbers::Ints(each(bytes, |b| i16::from_le_bytes(b).into())),
        Element::I32 => Numbers::Ints(each(bytes, |b| i32::from_le_bytes(b).into())),
        Element::U32 => Numbers::Ints(each(bytes, |b| u32::from_le_bytes(b).into())),
        Element::I64 => Numbers::Ints(each(bytes, i64::from_le_bytes)),
        Element::U64 => {
            let whole = each(bytes, u64::from_le_bytes);
            let signed = |v| i64::try_from(v).map_err(|_| format!("expected numbers below 2^63, got {v}"));
            Numbers::Ints(whole.into_iter().map(signed).collect::<Result<_, String>>()?)
        }
    })
}

/// Elements in the field for their type.
fn typed(element: Element, tensor: &proto::Tensor) -> Result<Numbers, String> {
    let bits = || tensor.int32_data.iter().map(|&v| v as u16);
    Ok(match element {
        Element::F32 => Numbers::Floats(tensor.float_data.clone()),
        Element::F64 => {
            Numbers::Floats(tensor.double_data.iter().map(|&v| narrow(v)).collect::<Result<_, _>>()?)
        }
        Element::F16 => Numbers::Floats(bits().map(half::from_f16).collect()),
        Element::BF16 => Numbers::Floats(bits().map(half::from_bf16).collect()),
        Element::I64 => Numbers::Ints(tensor.int64_data.clone()),
        // Unsigned numbers have a field that nothing in a network uses.
        Element::U32 | Element::U64 => Numbers::Ints(Vec::new()),
        _ => Numbers::Ints(tensor.int32_data.iter().map(|&v| v.into()).collect()),
    })
}
