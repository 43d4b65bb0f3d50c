//! The inverse cosine transform, as libjpeg's accurate integer one computes it.
//!
//! Source: C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical Fast 1-D DCT Algorithms with 11 Multiplications", ICASSP
//! 1989; the scaling and rounding are those of libjpeg's jidctint.c.

/// Bits behind the point of the constants.
const BITS: u32 = 13;
/// Bits kept behind the point between the two passes.
const BETWEEN: u32 = 2;

const F0_298: i32 = 2446;
const F0_390: i32 = 3196;
const F0_541: i32 = 4433;
const F0_765: i32 = 6270;
const F0_899: i32 = 7373;
const F1_175: i32 = 9633;
const F1_501: i32 = 12299;
const F1_847: i32 = 15137;
const F1_961: i32 = 16069;
const F2_053: i32 = 16819;
const F2_562: i32 = 20995;
const F3_072: i32 = 25172;

/// The 8x8 samples of a block: coefficients and quantization steps in, row-major.
pub(super) fn samples(coefficients: &[i16; 64], steps: &[u16; 64]) -> [u8; 64] {
    let mut values = [0i32; 64];
    for ((value, &coefficient), &step) in values.iter_mut().zip(coefficients).zip(steps) {
        *value = i32::from(coefficient).wrapping_mul(i32::from(step));
    }
    for x in 0..8 {
        let column = std::array::from_fn(|y| values[8 * y + x]);
        for (y, value) in pass(column, BITS - BETWEEN).into_iter().enumerate() {
            values[8 * y + x] = value;
        }
    }
    let mut samples = [0; 64];
    for (row, samples) in values.as_chunks::<8>().0.iter().zip(samples.as_chunks_mut::<8>().0) {
        *samples = pass(*row, BITS + BETWEEN + 3).map(|value| value.wrapping_add(128).clamp(0, 255) as u8);
    }
    samples
}

/// Eight values along one axis, divided by 2^`shift` and rounded. Damaged files may overflow, and get some number.
fn pass(v: [i32; 8], shift: u32) -> [i32; 8] {
    let mul = i32::wrapping_mul;
    let add = i32::wrapping_add;
    let sub = i32::wrapping_sub;

    let z = mul(add(v[2], v[6]), F0_541);
    let (even2, even3) = (sub(z, mul(v[6], F1_847)), add(z, mul(v[2], F0_765)));
    let (even0, even1) = (add(v[0], v[4]).wrapping_shl(BITS), sub(v[0], v[4]).wrapping_shl(BITS));
    let even = [add(even0, even3), add(even1, even2), sub(even1, even2), sub(even0, even3)];

    let z5 = mul(add(add(v[7], v[3]), add(v[5], v[1])), F1_175);
    let z1 = mul(add(v[7], v[1]), -F0_899);
    let z2 = mul(add(v[5], v[3]), -F2_562);
    let z3 = add(mul(add(v[7], v[3]), -F1_961), z5);
    let z4 = add(mul(add(v[5], v[1]), -F0_390), z5);
    let odd = [
        add(mul(v[1], F1_501), add(z1, z4)),
        add(mul(v[3], F3_072), add(z2, z3)),
        add(mul(v[5], F2_053), add(z2, z4)),
        add(mul(v[7], F0_298), add(z1, z3)),
    ];

    let rounded = |value: i32| value.wrapping_add(1 << (shift - 1)) >> shift;
    std::array::from_fn(|i| match i {
        0..4 => rounded(add(even[i], odd[i])),
        _ => rounded(sub(even[7 - i], odd[7 - i])),
    })
}
