//! Floats of 16 bits, as files hold them.

/// IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. Every value is exact as a float.
///
/// ```
/// assert_eq!(cnn_tensor::half::from_f16(0x3555), 0.333_251_95);
/// ```
pub fn from_f16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    match exponent {
        // Zero and numbers below the smallest normal one, in units of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The upper half of a float's bits.
///
/// ```
/// assert_eq!(cnn_tensor::half::from_bf16(0xc049), -3.140_625);
/// ```
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_widened_exactly() {
        // Values of the tables in IEEE 754's binary16.
        let known = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(from_f16(bits).to_bits(), value.to_bits(), "{bits:#06x}");
        }
        assert!(from_f16(0x7e00).is_nan());
        // By the definition, in f64.
        for bits in 0..0x7c00u16 {
            let (exponent, fraction) = (i32::from(bits >> 10), f64::from(bits & 1023));
            let value = match exponent {
                0 => fraction * 2f64.powi(-24),
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            assert_eq!(f64::from(from_f16(bits)), value, "{bits:#06x}");
            assert_eq!(f64::from(from_f16(bits | 0x8000)), -value);
        }
    }
}
