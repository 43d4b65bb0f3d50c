//! The register tiles of [`gemm`](fn@crate::gemm), for kernels that pack the factors themselves.
//!
//! A [`kernel!`](crate::kernel) can write a computed factor directly in packed form, and use one packed factor in many small
//! products.

use crate::gemm::{self, MatMut};
use crate::simd::Simd;

/// The number of neighbouring terms of a row in a packed left factor.
pub const TERMS: usize = gemm::TERMS;

/// The first row and the height of each strip of a left factor of `rows` rows.
///
/// In the packed factor, the strip with first row `f` and height `h` begins at `f * terms`. In it, term `t` of row `r` of the
/// strip is at `(t / TERMS * h + r) * TERMS + t % TERMS`. The number of terms must be a multiple of [`TERMS`], or each row must
/// be padded to one.
#[inline(always)]
pub fn strips<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    gemm::strips(rows, gemm::tallest::<S>())
}

/// The number of columns of a panel of the right factor, a multiple of the lanes.
///
/// In the packed factor, panel `p` begins at `p * panel * terms` and holds its columns term after term. The last panel is as
/// narrow as whole vectors allow.
#[inline(always)]
pub const fn panel<S: Simd>() -> usize {
    gemm::VECTORS * S::LANES
}

/// `c = left * right` for packed factors of `terms` terms.
///
/// # Panics
/// A factor is too short for the rows or columns of `c`.
#[inline(always)]
pub fn multiply<S: Simd>(s: S, left: &[f32], right: &[f32], terms: usize, c: MatMut<'_>) {
    gemm::multiply_packed(s.level(), left, right, terms, c);
}

/// `c += left^T * right` for a left factor that is not packed, of layout `[term][row of c]`, and a packed right factor.
///
/// # Panics
/// A factor is too short for the rows or columns of `c`.
#[inline(always)]
pub fn multiply_add_transposed<S: Simd>(s: S, left: &[f32], right: &[f32], terms: usize, c: MatMut<'_>) {
    gemm::multiply_add_transposed(s, left, right, terms, c);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};

    crate::kernel! {
        /// `c[row, col] = sum over terms of (row + term) * (col - term)`, packed as the documentation says.
        fn packed_product<S>(s, extents: [usize; 3]) -> Vec<f32> {
            let [m, k, n] = extents;
            let mut left = vec![f32::NAN; m * k];
            for (first, height) in strips::<S>(m) {
                for row in 0..height {
                    for term in 0..k {
                        let at = (term / TERMS * height + row) * TERMS + term % TERMS;
                        left[first * k + at] = (first + row + term) as f32;
                    }
                }
            }
            let mut right = vec![0.0; k * n.next_multiple_of(S::LANES)];
            for col in 0..n {
                let (first, inside) = (col / panel::<S>() * panel::<S>(), col % panel::<S>());
                let width = (n - first).min(panel::<S>()).next_multiple_of(S::LANES);
                for term in 0..k {
                    right[first * k + term * width + inside] = col as f32 - term as f32;
                }
            }
            let mut c = vec![0.0; m * n];
            multiply(s, &left, &right, k, MatMut::new(&mut c, m, n));
            let left: Vec<f32> = (0..k * m).map(|i| (i % m + i / m) as f32).collect();
            let mut twice = c.clone();
            multiply_add_transposed(s, &left, &right, k, MatMut::new(&mut twice, m, n));
            assert!(twice.iter().zip(&c).all(|(&twice, &once)| twice == 2.0 * once));
            c
        }
    }

    #[test]
    fn factors_packed_by_the_documentation_are_multiplied() {
        for &level in Level::all() {
            for [m, k, n] in [[1, 16, 1], [8, 32, 48], [23, 16, 80], [5, 48, 17]] {
                let c = with_level(level, || packed_product(level, [m, k, n]));
                for (i, &got) in c.iter().enumerate() {
                    let (row, col) = ((i / n) as f32, (i % n) as f32);
                    let want: f32 = (0..k).map(|t| (row + t as f32) * (col - t as f32)).sum();
                    assert_eq!(got, want, "{level:?} [{row}, {col}]");
                }
            }
        }
    }
}
