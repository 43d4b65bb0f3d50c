//! The transforms of Lavin and Gray's F(4 x 4, 3 x 3), on vectors that hold one number of several channels each.
//!
//! ```text
//!       4  0 -5  0  1  0            1/4     0    0             1  1  1  1  1  0
//!       0 -4 -4  1  1  0           -1/6  -1/6 -1/6             0  1 -1  2 -2  0
//! B^T = 0  4 -4 -1  1  0      G =  -1/6   1/6 -1/6      A^T =  0  1  1  4  4  0
//!       0 -2 -1  2  1  0           1/24  1/12  1/6             0  1 -1  8 -8  1
//!       0  2 -1 -2  1  0           1/24 -1/12  1/6
//!       0  4  0 -5  0  1              0     0    1
//! ```

use cnn_tensor::simd::Simd;

/// Rows and columns that a tile sees.
pub(super) const INPUT: usize = 6;
/// Rows and columns of a tile of the output.
pub(super) const OUTPUT: usize = 4;

/// A matrix of `TO` rows and `FROM` columns.
pub(super) trait Transform<const FROM: usize, const TO: usize> {
    /// The matrix times `d`.
    fn apply<S: Simd>(s: S, d: [S::V; FROM]) -> [S::V; TO];
}

/// `T d T^T` for the matrix `T`: reads `d`, and writes the result, by row and column.
#[inline(always)]
pub(super) fn both_sides<S: Simd, T: Transform<FROM, TO>, const FROM: usize, const TO: usize>(
    s: S,
    _: T,
    read: impl Fn(usize, usize) -> S::V,
    mut write: impl FnMut(usize, usize, S::V),
) {
    let mut columns = [[s.splat(0.0); TO]; FROM];
    for (j, column) in columns.iter_mut().enumerate() {
        let mut d = [s.splat(0.0); FROM];
        for (i, d) in d.iter_mut().enumerate() {
            *d = read(i, j);
        }
        *column = T::apply(s, d);
    }
    for i in 0..TO {
        let mut d = [s.splat(0.0); FROM];
        for (d, column) in d.iter_mut().zip(&columns) {
            *d = column[i];
        }
        for (j, v) in T::apply(s, d).into_iter().enumerate() {
            write(i, j, v);
        }
    }
}

/// `B^T`, of the input.
pub(super) struct Bt;

impl Transform<INPUT, INPUT> for Bt {
    #[inline(always)]
    fn apply<S: Simd>(s: S, d: [S::V; INPUT]) -> [S::V; INPUT] {
        let even = s.mul_add(s.splat(-4.0), d[2], d[4]);
        let odd = s.mul_add(s.splat(-4.0), d[1], d[3]);
        let even_2 = s.sub(d[4], d[2]);
        let odd_2 = s.mul(s.splat(2.0), s.sub(d[3], d[1]));
        [
            s.mul_add(s.splat(4.0), d[0], s.mul_add(s.splat(-5.0), d[2], d[4])),
            s.add(even, odd),
            s.sub(even, odd),
            s.add(even_2, odd_2),
            s.sub(even_2, odd_2),
            s.mul_add(s.splat(4.0), d[1], s.mul_add(s.splat(-5.0), d[3], d[5])),
        ]
    }
}

/// `G`, of the weight.
pub(super) struct G;

impl Transform<3, INPUT> for G {
    #[inline(always)]
    fn apply<S: Simd>(s: S, w: [S::V; 3]) -> [S::V; INPUT] {
        let outer = s.mul(s.splat(-1.0 / 6.0), s.add(w[0], w[2]));
        let middle = s.mul(s.splat(1.0 / 6.0), w[1]);
        let outer_2 = s.mul_add(s.splat(1.0 / 24.0), w[0], s.mul(s.splat(1.0 / 6.0), w[2]));
        let middle_2 = s.mul(s.splat(1.0 / 12.0), w[1]);
        [
            s.mul(s.splat(0.25), w[0]),
            s.sub(outer, middle),
            s.add(outer, middle),
            s.add(outer_2, middle_2),
            s.sub(outer_2, middle_2),
            w[2],
        ]
    }
}

/// `A^T`, of the sums of products.
pub(super) struct At;

impl Transform<INPUT, OUTPUT> for At {
    #[inline(always)]
    fn apply<S: Simd>(s: S, m: [S::V; INPUT]) -> [S::V; OUTPUT] {
        let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (sum_2, difference_2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        [
            s.add(m[0], s.add(sum, sum_2)),
            s.mul_add(s.splat(2.0), difference_2, difference),
            s.mul_add(s.splat(4.0), sum_2, sum),
            s.add(s.mul_add(s.splat(8.0), difference_2, difference), m[5]),
        ]
    }
}

/// `A`, of the output's gradient.
pub(super) struct A;

impl Transform<OUTPUT, INPUT> for A {
    #[inline(always)]
    fn apply<S: Simd>(s: S, d: [S::V; OUTPUT]) -> [S::V; INPUT] {
        let (even, odd) = (s.add(d[0], d[2]), s.add(d[1], d[3]));
        let even_2 = s.mul_add(s.splat(4.0), d[2], d[0]);
        let odd_2 = s.mul_add(s.splat(8.0), d[3], s.mul(s.splat(2.0), d[1]));
        [d[0], s.add(even, odd), s.sub(even, odd), s.add(even_2, odd_2), s.sub(even_2, odd_2), d[3]]
    }
}

/// `G^T`, of the sums of products that make the weight's gradient.
pub(super) struct Gt;

impl Transform<INPUT, 3> for Gt {
    #[inline(always)]
    fn apply<S: Simd>(s: S, m: [S::V; INPUT]) -> [S::V; 3] {
        let sixth = s.splat(1.0 / 6.0);
        let (sum, difference) = (s.mul(sixth, s.add(m[1], m[2])), s.mul(sixth, s.sub(m[2], m[1])));
        let (sum_2, difference_2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        [
            s.mul_add(s.splat(0.25), m[0], s.sub(s.mul(s.splat(1.0 / 24.0), sum_2), sum)),
            s.mul_add(s.splat(1.0 / 12.0), difference_2, difference),
            s.add(s.sub(s.mul(sixth, sum_2), sum), m[5]),
        ]
    }
}
