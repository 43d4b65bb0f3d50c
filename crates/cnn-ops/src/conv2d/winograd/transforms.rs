//! The transforms of F(4 x 4, 3 x 3) and F(2 x 2, 5 x 5), on vectors that hold one number of several channels each.
//!
//! Both interpolate at 0, 1, -1, 2, -2 and infinity, and see 6 x 6 pixels by the same `B`. The rows of `G` are powers of the
//! points over the products of their differences, the columns of `A^T` are powers of the points.
//!
//! ```text
//!       4  0 -5  0  1  0            1/4     0    0             1  1  1  1  1  0
//!       0 -4 -4  1  1  0           -1/6  -1/6 -1/6             0  1 -1  2 -2  0
//! B^T = 0  4 -4 -1  1  0      G =  -1/6   1/6 -1/6      A^T =  0  1  1  4  4  0        of 3 x 3
//!       0 -2 -1  2  1  0           1/24  1/12  1/6             0  1 -1  8 -8  1
//!       0  2 -1 -2  1  0           1/24 -1/12  1/6
//!       0  4  0 -5  0  1              0     0    1
//!
//!       1/4     0    0    0    0             1  1  1  1  1  0
//!      -1/6  -1/6 -1/6 -1/6 -1/6      A^T =  0  1 -1  2 -2  1                          of 5 x 5
//! G =  -1/6   1/6 -1/6  1/6 -1/6
//!      1/24  1/12  1/6  1/3  2/3
//!      1/24 -1/12  1/6 -1/3  2/3
//!         0     0    0    0    1
//! ```

use cnn_tensor::simd::Simd;

/// Rows and columns that a tile sees.
pub(super) const INPUT: usize = 6;

/// The windows of a convolution.
pub(super) trait Window {
    /// Rows and columns of a window.
    const SIZE: usize;
    /// Rows and columns of a tile of the output.
    const OUTPUT: usize = INPUT + 1 - Self::SIZE;
    /// Of the weight.
    type G: Transform;
    /// Of the sums of products that make the weight's gradient.
    type Gt: Transform;
    /// Of the sums of products that make the output.
    type At: Transform;
    /// Of the output's gradient.
    type A: Transform;
}

/// Windows of 3 x 3.
pub(super) struct Three;

impl Window for Three {
    const SIZE: usize = 3;
    type G = G3;
    type Gt = Gt3;
    type At = At3;
    type A = A3;
}

/// Windows of 5 x 5.
pub(super) struct Five;

impl Window for Five {
    const SIZE: usize = 5;
    type G = G5;
    type Gt = Gt5;
    type At = At5;
    type A = A5;
}

/// A matrix of `TO` rows and `FROM` columns, both at most [`INPUT`].
pub(super) trait Transform {
    /// Columns.
    const FROM: usize;
    /// Rows.
    const TO: usize;

    /// The matrix times the first `FROM` of `d`, in the first `TO` of the result.
    fn apply<S: Simd>(s: S, d: [S::V; INPUT]) -> [S::V; INPUT];
}

/// `T d T^T` for the matrix `T`: reads `d`, and writes the result, by row and column.
#[inline(always)]
pub(super) fn both_sides<S: Simd, T: Transform>(
    s: S,
    read: impl Fn(usize, usize) -> S::V,
    mut write: impl FnMut(usize, usize, S::V),
) {
    // Without loops: an array of zeros to begin with would be cleared for every tile.
    let column = |j: usize| transformed::<S, T>(s, |i| read(i, j.min(T::FROM - 1)));
    let columns = [column(0), column(1), column(2), column(3), column(4), column(5)];
    for (i, _) in columns[0].iter().enumerate().take(T::TO) {
        let row = transformed::<S, T>(s, |j| columns[j][i]);
        for (j, &v) in row[..T::TO].iter().enumerate() {
            write(i, j, v);
        }
    }
}

/// The matrix `T` times a vector.
#[inline(always)]
fn transformed<S: Simd, T: Transform>(s: S, d: impl Fn(usize) -> S::V) -> [S::V; INPUT] {
    let d = |i: usize| d(i.min(T::FROM - 1)); // The last ones are not used.
    T::apply(s, [d(0), d(1), d(2), d(3), d(4), d(5)])
}

/// Defines transforms: a name, columns, rows, and the first rows of the result; the others are not read.
macro_rules! transforms {
    ($($(#[$doc:meta])* $name:ident: $from:literal -> $to:literal, |$s:ident, $d:ident| $body:block)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl Transform for $name {
            const FROM: usize = $from;
            const TO: usize = $to;

            #[inline(always)]
            fn apply<S: Simd>($s: S, $d: [S::V; INPUT]) -> [S::V; INPUT] $body
        }
    )*};
}

transforms! {
    /// `B^T`, of the input.
    Bt: 6 -> 6, |s, d| {
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

    /// `G` of 3 x 3.
    G3: 3 -> 6, |s, w| {
        let at_1 = (s.add(w[0], w[2]), w[1]);
        let at_2 = (s.mul_add(s.splat(4.0), w[2], w[0]), s.mul(s.splat(2.0), w[1]));
        weight(s, w[0], at_1, at_2, w[2])
    }

    /// `G` of 5 x 5.
    G5: 5 -> 6, |s, w| {
        let at_1 = (s.add(s.add(w[0], w[2]), w[4]), s.add(w[1], w[3]));
        let even_2 = s.mul_add(s.splat(16.0), w[4], s.mul_add(s.splat(4.0), w[2], w[0]));
        let at_2 = (even_2, s.mul_add(s.splat(8.0), w[3], s.mul(s.splat(2.0), w[1])));
        weight(s, w[0], at_1, at_2, w[4])
    }

    /// `G^T` of 3 x 3.
    Gt3: 6 -> 3, |s, m| {
        let [first, even, odd, even_2, odd_2, last] = weight_sums(s, m);
        [
            s.add(s.add(first, even), even_2),
            s.mul_add(s.splat(2.0), odd_2, odd),
            s.add(s.mul_add(s.splat(4.0), even_2, even), last),
            first, first, first,
        ]
    }

    /// `G^T` of 5 x 5.
    Gt5: 6 -> 5, |s, m| {
        let [first, even, odd, even_2, odd_2, last] = weight_sums(s, m);
        [
            s.add(s.add(first, even), even_2),
            s.mul_add(s.splat(2.0), odd_2, odd),
            s.mul_add(s.splat(4.0), even_2, even),
            s.mul_add(s.splat(8.0), odd_2, odd),
            s.add(s.mul_add(s.splat(16.0), even_2, even), last),
            first,
        ]
    }

    /// `A^T` of 3 x 3.
    At3: 6 -> 4, |s, m| {
        let (even, odd) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (even_2, odd_2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        [
            s.add(m[0], s.add(even, even_2)),
            s.mul_add(s.splat(2.0), odd_2, odd),
            s.mul_add(s.splat(4.0), even_2, even),
            s.add(s.mul_add(s.splat(8.0), odd_2, odd), m[5]),
            m[0], m[0],
        ]
    }

    /// `A^T` of 5 x 5.
    At5: 6 -> 2, |s, m| {
        let even = s.add(s.add(m[1], m[2]), s.add(m[3], m[4]));
        let odd = s.mul_add(s.splat(2.0), s.sub(m[3], m[4]), s.sub(m[1], m[2]));
        [s.add(m[0], even), s.add(odd, m[5]), m[0], m[0], m[0], m[0]]
    }

    /// `A` of 3 x 3.
    A3: 4 -> 6, |s, d| {
        let (even, odd) = (s.add(d[0], d[2]), s.add(d[1], d[3]));
        let even_2 = s.mul_add(s.splat(4.0), d[2], d[0]);
        let odd_2 = s.mul_add(s.splat(8.0), d[3], s.mul(s.splat(2.0), d[1]));
        [d[0], s.add(even, odd), s.sub(even, odd), s.add(even_2, odd_2), s.sub(even_2, odd_2), d[3]]
    }

    /// `A` of 5 x 5.
    A5: 2 -> 6, |s, d| {
        let odd_2 = s.mul(s.splat(2.0), d[1]);
        [d[0], s.add(d[0], d[1]), s.sub(d[0], d[1]), s.add(d[0], odd_2), s.sub(d[0], odd_2), d[1]]
    }
}

/// `G w`, given the first and last weight, and the even and odd parts of the polynomial at 1 and at 2.
#[inline(always)]
fn weight<S: Simd>(
    s: S,
    first: S::V,
    (even, odd): (S::V, S::V),
    (even_2, odd_2): (S::V, S::V),
    last: S::V,
) -> [S::V; INPUT] {
    let (at_1, at_2) = (s.splat(-1.0 / 6.0), s.splat(1.0 / 24.0));
    [
        s.mul(s.splat(0.25), first),
        s.mul(at_1, s.add(even, odd)),
        s.mul(at_1, s.sub(even, odd)),
        s.mul(at_2, s.add(even_2, odd_2)),
        s.mul(at_2, s.sub(even_2, odd_2)),
        last,
    ]
}

/// The parts of `G^T m`: for 0, for 1 and -1, for 2 and -2, for infinity.
#[inline(always)]
fn weight_sums<S: Simd>(s: S, m: [S::V; INPUT]) -> [S::V; INPUT] {
    let (at_1, at_2) = (s.splat(-1.0 / 6.0), s.splat(1.0 / 24.0));
    [
        s.mul(s.splat(0.25), m[0]),
        s.mul(at_1, s.add(m[1], m[2])),
        s.mul(at_1, s.sub(m[1], m[2])),
        s.mul(at_2, s.add(m[3], m[4])),
        s.mul(at_2, s.sub(m[3], m[4])),
        m[5],
    ]
}
