//! The register tiles of [`gemm`](fn@crate::gemm) for kernels that pack both factors themselves.
//!
//! Inside a [`kernel!`](crate::kernel), a factor that is computed can be written where the tiles read it, and many small
//! products share what was packed.

use crate::gemm::{self, MatMut};
use crate::simd::Simd;

/// Neighbouring terms of a row of a packed left factor.
pub const TERMS: usize = gemm::TERMS;

/// The strips of a left factor of `rows` rows: first row and height of each. A strip of height `h` with first row `f` begins
/// at `f * terms` of the packed factor, and holds term `t` of its row `r` at `(t / TERMS * h + r) * TERMS + t % TERMS`. The
/// number of terms must be a multiple of [`TERMS`], or every row padded to one.
#[inline(always)]
pub fn strips<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    gemm::strips(rows, gemm::tallest::<S>())
}

/// Columns of a panel of the right factor, whole vectors. Panel `p` of a factor begins at `p * panel * terms` of the packed
/// factor, and holds its columns term after term. The last panel is as narrow as whole vectors allow.
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

/// `c += left^T * right` for a left factor as it lies, `[term][row of c]`, and a right one that is packed.
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
        /// `c[row, col] = sum over terms of (row + term) * (col - term)`, packed by what the documentation says.
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
