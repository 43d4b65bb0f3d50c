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
