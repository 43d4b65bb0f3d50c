//! The number of steps in a saved state.

use crate::NnError;
use cnn_tensor::Tensor;

/// The name under which the number of steps is saved.
pub(crate) const STEP: &str = "step";
/// The number of steps is stored in two floats, which are exact to 24 bits: the bits in each of them.
const STEP_BITS: u32 = 24;

/// A number of steps below 2^48 as two floats, the higher part first.
pub(crate) fn pack(steps: u64) -> Tensor {
    let mut tensor = Tensor::zeros([2]);
    tensor.data_mut().copy_from_slice(&[(steps >> STEP_BITS) as f32, (steps % (1 << STEP_BITS)) as f32]);
    tensor
}

pub(crate) fn unpack(tensor: &Tensor) -> Result<u64, NnError> {
    let digit =
        |v: &f32| (v.fract() == 0.0 && (0.0..(1 << STEP_BITS) as f32).contains(v)).then_some(*v as u64);
    match tensor.data().iter().map(digit).collect::<Option<Vec<_>>>().as_deref() {
        Some(&[high, low]) => Ok((high << STEP_BITS) + low),
        _ => {
            let rule = "two whole numbers from 0 to 16777215";
            Err(NnError::Setting { what: "saved number of steps", rule, got: format!("{:?}", tensor.data()) })
        }
    }
}
