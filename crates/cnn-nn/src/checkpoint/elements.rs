//! The elements of a tensor in a file, as `f32`.

use cnn_tensor::{Tensor, half};
use safetensors::tensor::Dtype;

/// PyTorch's name of the type, if it has the type.
pub(super) fn name(dtype: Dtype) -> String {
    let name = match dtype {
        Dtype::F64 => "float64",
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
        Dtype::I64 => "int64",
        Dtype::I32 => "int32",
        Dtype::I16 => "int16",
        Dtype::I8 => "int8",
        Dtype::U64 => "uint64",
        Dtype::U32 => "uint32",
        Dtype::U16 => "uint16",
        Dtype::U8 => "uint8",
        Dtype::BOOL => "bool",
        other => return other.to_string(),
    };
    name.into()
}

/// Fills `tensor` from `data`, which has as many little-endian elements of type `dtype`.
pub(super) fn fill(tensor: &mut Tensor, dtype: Dtype, data: &[u8]) -> Result<(), String> {
    let y = tensor.data_mut();
    match dtype {
        Dtype::F32 => widen(y, data, f32::from_le_bytes),
        Dtype::F16 => widen(y, data, |bytes| half::from_f16(u16::from_le_bytes(bytes))),
        Dtype::BF16 => widen(y, data, |bytes| half::from_bf16(u16::from_le_bytes(bytes))),
        Dtype::BOOL | Dtype::U8 => widen(y, data, |[byte]| f32::from(byte)),
        Dtype::I8 => widen(y, data, |byte| f32::from(i8::from_le_bytes(byte))),
        Dtype::I16 => widen(y, data, |bytes| f32::from(i16::from_le_bytes(bytes))),
        Dtype::U16 => widen(y, data, |bytes| f32::from(u16::from_le_bytes(bytes))),
        Dtype::I32 => whole(y, data, |bytes| i32::from_le_bytes(bytes).into())?,
        Dtype::U32 => whole(y, data, |bytes| u32::from_le_bytes(bytes).into())?,
        // Counts, such as the `num_batches_tracked` of PyTorch's batch normalisation.
        Dtype::I64 => whole(y, data, |bytes| i64::from_le_bytes(bytes).into())?,
        Dtype::U64 => whole(y, data, |bytes| u64::from_le_bytes(bytes).into())?,
        Dtype::F64 => narrow(y, data)?,
        other => return Err(format!("expected floats or whole numbers, got elements of type {other}")),
    }
    Ok(())
}

/// For types whose numbers are all exact as floats.
fn widen<const N: usize>(y: &mut [f32], data: &[u8], number: impl Fn([u8; N]) -> f32) {
    y.iter_mut().zip(data.as_chunks().0).for_each(|(y, bytes)| *y = number(*bytes));
}

/// For whole numbers, which must be exact as floats.
fn whole<const N: usize>(y: &mut [f32], data: &[u8], number: impl Fn([u8; N]) -> i128) -> Result<(), String> {
    for (y, bytes) in y.iter_mut().zip(data.as_chunks().0) {
        let number = number(*bytes);
        *y = number as f32;
        if *y as i128 != number {
            return Err(format!("expected whole numbers that a float can hold, got {number}"));
        }
    }
    Ok(())
}

/// For doubles, which are rounded to the nearest float, as PyTorch does.
fn narrow(y: &mut [f32], data: &[u8]) -> Result<(), String> {
    for (y, bytes) in y.iter_mut().zip(data.as_chunks().0) {
        let number = f64::from_le_bytes(*bytes);
        *y = number as f32;
        if y.is_infinite() && number.is_finite() {
            return Err(format!("expected numbers in the range of a float, got {number}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dtype: Dtype, data: &[u8], count: usize) -> Result<Vec<f32>, String> {
        let mut tensor = Tensor::zeros([count]);
        fill(&mut tensor, dtype, data).map(|()| tensor.data().to_vec())
    }

    #[test]
    fn half_precision_is_widened() {
        assert_eq!(read(Dtype::F16, &[0x00, 0x3c, 0x00, 0xc0], 2).unwrap(), [1.0, -2.0]);
        assert_eq!(read(Dtype::BF16, &[0x80, 0x3f, 0x49, 0xc0], 2).unwrap(), [1.0, -3.140_625]);
    }

    #[test]
    fn other_numbers_become_floats_if_a_float_can_hold_them() {
        assert_eq!(read(Dtype::F64, &0.1f64.to_le_bytes(), 1).unwrap(), [0.1]);
        assert_eq!(read(Dtype::U8, &[255, 3], 2).unwrap(), [255.0, 3.0]);
        assert_eq!(read(Dtype::I8, &[255], 1).unwrap(), [-1.0]);
        assert_eq!(read(Dtype::I16, &(-300i16).to_le_bytes(), 1).unwrap(), [-300.0]);
        assert_eq!(read(Dtype::I32, &(1i32 << 24).to_le_bytes(), 1).unwrap(), [16_777_216.0]);
        assert_eq!(read(Dtype::U64, &(1u64 << 63).to_le_bytes(), 1).unwrap(), [2f32.powi(63)]);
        assert!(read(Dtype::F64, &f64::NAN.to_le_bytes(), 1).unwrap()[0].is_nan());
        let rule = "expected whole numbers that a float can hold";
        let odd = (1u32 << 24) + 1;
        assert_eq!(read(Dtype::U32, &odd.to_le_bytes(), 1), Err(format!("{rule}, got {odd}")));
        assert_eq!(read(Dtype::U64, &u64::MAX.to_le_bytes(), 1), Err(format!("{rule}, got {}", u64::MAX)));
        let rule = "expected numbers in the range of a float, got";
        assert!(read(Dtype::F64, &1e39f64.to_le_bytes(), 1).unwrap_err().starts_with(rule));
        let rule = "expected floats or whole numbers, got elements of type F8_E4M3";
        assert_eq!(read(Dtype::F8_E4M3, &[0], 1).unwrap_err(), rule);
    }
}
