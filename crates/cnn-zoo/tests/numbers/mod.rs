//! Random numbers that the scripts in `xtask/peers` draw as well.

use cnn_tensor::{Shape, Tensor};

/// SplitMix64 (Steele, Lea and Flood 2014), its upper 24 bits as numbers from -1 to 1.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn tensor(&mut self, shape: Shape, bound: f32) -> Tensor {
        let mut tensor = Tensor::zeros(shape);
        tensor.data_mut().fill_with(|| {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let whole = (z >> 40) as i32 - (1 << 23);
            whole as f32 / (1 << 23) as f32 * bound
        });
        tensor
    }
}
