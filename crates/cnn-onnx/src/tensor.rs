//! Files of one tensor: a TensorProto, as the test data beside models.

use crate::constant::Constant;
use crate::external::Folder;
use crate::{OnnxError, proto};
use cnn_tensor::Tensor;
use prost::Message;
use prost::bytes::Bytes;

/// The tensor in a file `input_0.pb` or `output_0.pb` with these contents, and its name, which may be empty. Whole numbers become
/// floats.
///
/// # Errors
/// The contents are no tensor, or one of other elements than numbers.
pub fn read_tensor(contents: Vec<u8>) -> Result<(String, Tensor), OnnxError> {
    let length = contents.len();
    let tensor = proto::Tensor::decode(Bytes::from(contents))
        .map_err(|fault| OnnxError::file(format!("expected an ONNX tensor, got {length} bytes: {fault}")))?;
    let constant = Constant::read(&tensor, &Folder::none()).map_err(OnnxError::file)?;
    let value = constant.tensor(constant.dims()).map_err(OnnxError::file)?;
    Ok((tensor.name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tensor: proto::Tensor) -> Result<Tensor, String> {
        read_tensor(tensor.encode_to_vec()).map(|(_, tensor)| tensor).map_err(|fault| fault.to_string())
    }

    fn raw(data_type: i32, bytes: &[u8]) -> proto::Tensor {
        let raw_data = Some(bytes.to_vec().into());
        proto::Tensor { dims: vec![1], data_type, raw_data, ..proto::Tensor::default() }
    }

    /// A number that a float cannot hold is an error, wherever it stands.
    #[test]
    fn numbers_beyond_a_float_are_refused() {
        const DOUBLE: i32 = 11;
        const UINT64: i32 = 13;
        assert_eq!(read(raw(DOUBLE, &0.5f64.to_le_bytes())).unwrap().data(), [0.5]);
        assert_eq!(read(raw(DOUBLE, &f64::INFINITY.to_le_bytes())).unwrap().data(), [f32::INFINITY]);
        let range = "expected numbers in the range of a float, got ";
        assert!(read(raw(DOUBLE, &1e300f64.to_le_bytes())).unwrap_err().contains(range));
        let typed = proto::Tensor { double_data: vec![-1e39], raw_data: None, ..raw(DOUBLE, &[]) };
        assert!(read(typed).unwrap_err().contains(range));
        assert_eq!(
            read(raw(proto::INT64, &(1i64 << 40).to_le_bytes())).unwrap().data(),
            [(1i64 << 40) as f32]
        );
        let odd = read(raw(proto::INT64, &((1i64 << 24) + 1).to_le_bytes())).unwrap_err();
        assert!(odd.contains("expected whole numbers that a float can hold, got 16777217"), "{odd}");
        let large = read(raw(UINT64, &u64::MAX.to_le_bytes())).unwrap_err();
        assert!(large.contains("expected numbers below 2^63, got 18446744073709551615"), "{large}");
    }
}
