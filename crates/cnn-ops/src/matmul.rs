//! Products of matrices, one for each position of the leading axes.
//!
//! ```text
//! y[n, ..., i, j]  = sum over l of a[n, ..., i, l] b[n, ..., l, j]
//! da = dy b^T      db = a^T dy
//! ```
//!
//! The last two axes of a factor are swapped where an option says that it is stored transposed: scores of attention are
//! `q k^T`, with `transpose_b`. All axes before the last two are the same in both factors; there is at least
//! one, the batch.
//!
//! **Conventions.** As PyTorch's `matmul` of equal leading axes; nothing is broadcast. NaN and infinity follow IEEE
//! arithmetic. A sum of no terms is 0.
//!
//! **Algorithm.** A GEMM for each product, and runs of products for each thread. Transposing copies nothing. Every number is
//! one sum in one order, which does not depend on the other products.

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{MatMut, MatRef, Shape, Tensor, gemm, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "matmul";

/// Multiply-adds that make a run of products worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 20);

/// The options of a product.
///
/// ```
/// use cnn_ops::MatMul;
/// use cnn_tensor::Tensor;
/// let a = Tensor::from_vec([1, 1, 2], vec![1.0, 2.0])?;
/// let b = Tensor::from_vec([1, 3, 2], vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0])?;
/// let op = MatMul::default().transpose_b(true);
/// assert_eq!(op.forward(&a, &b)?.data(), [1.0, 2.0, 3.0]);
/// let (da, db) = op.backward(&a, &b, &Tensor::from_vec([1, 1, 3], vec![1.0, 10.0, 100.0])?)?;
/// assert_eq!(da.data(), [101.0, 110.0]);
/// assert_eq!(db.data(), [1.0, 2.0, 10.0, 20.0, 100.0, 200.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatMul {
    /// Whether `a` is stored as `[n, ..., k, m]`.
    pub transpose_a: bool,
    /// Whether `b` is stored as `[n, ..., p, k]`.
    pub transpose_b: bool,
}

impl MatMul {
    /// Sets whether `a` is stored as `[n, ..., k, m]`.
    #[must_use]
    pub fn transpose_a(self, transpose_a: bool) -> Self {
        Self { transpose_a, ..self }
    }

    /// Sets whether `b` is stored as `[n, ..., p, k]`.
    #[must_use]
    pub fn transpose_b(self, transpose_b: bool) -> Self {
        Self { transpose_b, ..self }
    }

    /// `a [n, ..., m, k]` and `b [n, ..., k, p]` to `[n, ..., m, p]`.
    ///
    /// # Errors
    /// A factor is of rank below 3, the leading axes differ, or they disagree on `k`; or the output would be too large.
    pub fn output_shape(&self, a: Shape, b: Shape) -> Result<Shape, OpError> {
        let (leading, [m, _, p]) = self.extents(a, b)?;
        check::output(OP, with_matrix(leading, [m, p])?)
    }

    /// `y` of shape `[n, ..., m, p]` from `a [n, ..., m, k]` and `b [n, ..., k, p]`.
    ///
    /// # Errors
    /// Those of [`MatMul::output_shape`].
    pub fn forward(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
        let y = self.output_shape(a.shape(), b.shape())?;
        let (_, [m, k, p]) = self.extents(a.shape(), b.shape())?;
        let (a, b) = (Stack::new(a, [m, k], self.transpose_a), Stack::new(b, [k, p], self.transpose_b));
        Ok(products(a, b, y, [m, k, p]))
    }

    /// The gradients `da` and `db` of the shapes of `a` and `b`, for `dy [n, ..., m, p]`.
    ///
    /// # Errors
    /// Those of [`MatMul::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, a: &Tensor, b: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor), OpError> {
        check::shape(OP, "dy", self.output_shape(a.shape(), b.shape())?, dy)?;
        let (_, [m, k, p]) = self.extents(a.shape(), b.shape())?;
        let dy = Stack::new(dy, [m, p], false);
        let (a_stack, b_stack) =
            (Stack::new(a, [m, k], self.transpose_a), Stack::new(b, [k, p], self.transpose_b));
        let da = match self.transpose_a {
            false => products(dy, b_stack.t(), a.shape(), [m, p, k]),
            true => products(b_stack, dy.t(), a.shape(), [k, p, m]),
        };
        let db = match self.transpose_b {
            false => products(a_stack.t(), dy, b.shape(), [k, m, p]),
            true => products(dy.t(), a_stack, b.shape(), [p, m, k]),
        };
        Ok((da, db))
    }

    /// The leading axes, and `[m, k, p]`, of factors that fit together.
    fn extents(&self, a: Shape, b: Shape) -> Result<(Shape, [usize; 3]), OpError> {
        let (a_leading, [m, k]) = split("a", a, self.transpose_a)?;
        let (b_leading, [got, p]) = split("b", b, self.transpose_b)?;
        if a_leading != b_leading {
            let what = "leading axes of b";
            return Err(OpError::Shape { op: OP, what, expected: a_leading, got: b_leading });
        }
        if got != k {
            return Err(OpError::Extent { op: OP, what: "b", unit: "terms, as a has", expected: k, got });
        }
        Ok((a_leading, [m, k, p]))
    }
}

/// The axes before the last two, and these, swapped where the matrices are stored transposed.
fn split(what: &'static str, shape: Shape, transposed: bool) -> Result<(Shape, [usize; 2]), OpError> {
    match *shape.dims() {
        [ref leading @ .., rows, cols] if !leading.is_empty() => {
            let leading = Shape::new(leading).map_err(|fault| OpError::Tensor { op: OP, fault })?;
            Ok((leading, if transposed { [cols, rows] } else { [rows, cols] }))
        }
        _ => Err(OpError::Rank { op: OP, what, expected: "[n, ..., rows, columns]", got: shape }),
    }
}

/// The shape of matrices at each position of the leading axes.
fn with_matrix(leading: Shape, matrix: [usize; 2]) -> Result<Shape, OpError> {
    let (mut dims, rank) = ([0; Shape::MAX_RANK], leading.rank());
    dims[..rank].copy_from_slice(leading.dims());
    dims[rank..rank + 2].copy_from_slice(&matrix);
    Shape::new(&dims[..rank + 2]).map_err(|fault| OpError::Tensor { op: OP, fault })
}

/// Matrices one after the other.
#[derive(Clone, Copy)]
struct Stack<'a> {
    data: &'a [f32],
    /// Rows and columns as they are meant.
    extents: [usize; 2],
    /// Whether their transpose is stored.
    transposed: bool,
}

impl<'a> Stack<'a> {
    fn new(tensor: &'a Tensor, extents: [usize; 2], transposed: bool) -> Self {
        Self { data: tensor.data(), extents, transposed }
    }

    fn t(self) -> Self {
        let [rows, cols] = self.extents;
        Self { extents: [cols, rows], transposed: !self.transposed, ..self }
    }

    fn matrix(&self, at: usize) -> MatRef<'a> {
        let [rows, cols] = self.extents;
        let data = &self.data[at * rows * cols..][..rows * cols];
        if self.transposed { MatRef::new(data, cols, rows).t() } else { MatRef::new(data, rows, cols) }
    }
}

/// The products of matrices `m x k` and `k x p`, as a tensor of the given shape.
fn products(a: Stack<'_>, b: Stack<'_>, shape: Shape, [m, k, p]: [usize; 3]) -> Tensor {
    let mut c = Tensor::scratch(shape);
    // Of an empty tensor the extents may be absurd.
    if !c.data().is_empty() {
        let run = (WORTH_A_THREAD / (m * p).saturating_mul(k).max(1)).max(1);
        parallel::for_each_chunk(c.data_mut(), run.saturating_mul(m * p), |i, c| {
            for (at, c) in c.chunks_exact_mut(m * p).enumerate() {
                let at = i * run + at;
                // (m, k) x (k, p)
                gemm(1.0, a.matrix(at), b.matrix(at), 0.0, MatMut::new(c, m, p));
            }
        });
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64, of `count` products.
    fn oracle(op: MatMul, count: usize, [m, k, p]: [usize; 3], a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut y = vec![];
        for at in 0..count {
            let a = |i: usize, l: usize| a[at * m * k + if op.transpose_a { l * m + i } else { i * k + l }];
            let b = |l: usize, j: usize| b[at * k * p + if op.transpose_b { j * k + l } else { l * p + j }];
            for (i, j) in (0..m).flat_map(|i| (0..p).map(move |j| (i, j))) {
                y.push((0..k).map(|l| a(i, l) * b(l, j)).sum());
            }
        }
        y
    }

    /// The shapes of `a`, `b` and `y`.
    fn shapes(op: MatMul, leading: &[usize], [m, k, p]: [usize; 3]) -> [Shape; 3] {
        let a = if op.transpose_a { [k, m] } else { [m, k] };
        let b = if op.transpose_b { [p, k] } else { [k, p] };
        [a, b, [m, p]].map(|last| Shape::new(&[leading, &last].concat()).unwrap())
    }

    fn ops() -> impl Strategy<Value = MatMul> {
        any::<[bool; 2]>().prop_map(|[transpose_a, transpose_b]| MatMul { transpose_a, transpose_b })
    }

    /// From one leading axis to as many as there may be.
    fn leading() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0..4usize, 1..=Shape::MAX_RANK - 2)
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(
            op in ops(), leading in leading(), extents in prop::array::uniform3(0..5usize), seed: u64,
        ) {
            let [a, b, y] = shapes(op, &leading, extents);
            prop_assume!(a.numel().max(b.numel()) < 200);
            let count = leading.iter().product();
            let (a, b, dy) = (distinct(a, seed), distinct(b, seed ^ 1), distinct(y, seed ^ 2));
            let (a64, b64) = (to_f64(&a), to_f64(&b));
            let want = oracle(op, count, extents, &a64, &b64);
            let want_da = gradient_of(&a, &dy, |a| oracle(op, count, extents, a, &b64));
            let want_db = gradient_of(&b, &dy, |b| oracle(op, count, extents, &a64, b));
            everywhere(|| {
                let got = op.forward(&a, &b).unwrap();
                assert_eq!(got.shape(), y);
                assert_close(&got, &want);
                let (da, db) = op.backward(&a, &b, &dy).unwrap();
                assert_eq!((da.shape(), db.shape()), (a.shape(), b.shape()));
                assert_gradient_close("da", &da, &want_da);
                assert_gradient_close("db", &db, &want_db);
            });
        }

        #[test]
        fn whole_numbers_are_exact(
            op in ops(), n in 1..4usize, extents in prop::array::uniform3(1..30usize), seed: u64,
        ) {
            let [a, b, _] = shapes(op, &[n, 2], extents);
            let (a, b) = (whole_numbers(a, 9, seed), whole_numbers(b, 9, seed ^ 1));
            let want = oracle(op, 2 * n, extents, &to_f64(&a), &to_f64(&b));
            everywhere(|| assert_exact("y", &op.forward(&a, &b).unwrap(), &want));
        }

        #[test]
        fn absurd_shapes_are_errors(
            op in ops(), a in any_shape(), b in any_shape(), n in any_extent(), dims in prop::array::uniform3(any_extent()),
        ) {
            let [m, k, p] = dims;
            for (op, a, b) in [(op, a, b), (MatMul::default(), [n, m, k].into(), [n, k, p].into())] {
                let Ok(y) = op.output_shape(a, b) else { continue };
                if a.numel().max(b.numel()).max(y.numel()) < 10_000 {
                    let (a, b) = (Tensor::zeros(a), Tensor::zeros(b));
                    prop_assert_eq!(op.forward(&a, &b).unwrap(), Tensor::zeros(y));
                    prop_assert_eq!(op.backward(&a, &b, &Tensor::zeros(y)).unwrap(), (a, b));
                }
            }
        }
    }

    /// Each factor's gradient is the adjoint of the product with the other, on sizes too large for differences.
    #[test]
    fn forward_and_backward_are_adjoint() {
        let inner = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
        for [transpose_a, transpose_b] in [[false, false], [false, true], [true, false], [true, true]] {
            let op = MatMul { transpose_a, transpose_b };
            let [a, b, y] = shapes(op, &[3, 2], [60, 400, 50]);
            let (a, b, dy) = (whole_numbers(a, 9, 0), whole_numbers(b, 9, 1), whole_numbers(y, 9, 2));
            let want = inner(&op.forward(&a, &b).unwrap(), &dy);
            let (da, db) = op.backward(&a, &b, &dy).unwrap();
            assert_eq!([inner(&a, &da), inner(&b, &db)], [want; 2]);
        }
    }

    #[test]
    fn nan_and_infinity_stay_with_their_product_and_no_terms_are_zero() {
        let a = Tensor::from_vec([2, 2, 1], vec![f32::NAN, 1.0, f32::INFINITY, 2.0]).unwrap();
        let b = Tensor::from_vec([2, 1, 1], vec![2.0, 0.0]).unwrap();
        everywhere(|| {
            let y = MatMul::default().forward(&a, &b).unwrap();
            assert!(y.data()[0].is_nan() && y.data()[1] == 2.0 && y.data()[2].is_nan() && y.data()[3] == 0.0);
            let none = MatMul::default().forward(&Tensor::zeros([1, 2, 0]), &Tensor::zeros([1, 0, 3]));
            assert_eq!(none.unwrap(), Tensor::zeros([1, 2, 3]));
        });
    }

    /// Many small products, and one that is cut itself.
    #[test]
    fn threads_and_other_images_change_nothing() {
        let op = MatMul { transpose_b: true, ..MatMul::default() };
        for (leading, extents) in [(&[9, 5][..], [17, 30, 19]), (&[2], [200, 300, 100])] {
            let [a, b, y] = shapes(op, leading, extents);
            let (a, b, dy) = (distinct(a, 0), distinct(b, 1), distinct(y, 2));
            assert_same_bits_on_any_threads(|| {
                let (da, db) = op.backward(&a, &b, &dy).unwrap();
                vec![op.forward(&a, &b).unwrap(), da, db]
            });
            let alone = op.forward(&a.slice_batch(1, 2), &b.slice_batch(1, 2)).unwrap();
            assert_eq!(alone, op.forward(&a, &b).unwrap().slice_batch(1, 2));
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |a: Shape, b: Shape| MatMul::default().output_shape(a, b).unwrap_err().to_string();
        let a = Shape::from([2, 3, 4]);
        assert_eq!(message([3, 4].into(), a), "matmul: a expects [n, ..., rows, columns], got shape [3, 4]");
        assert_eq!(message(a, [4].into()), "matmul: b expects [n, ..., rows, columns], got shape [4]");
        assert_eq!(message(a, [3, 4, 5].into()), "matmul: leading axes of b expects shape [2], got [3]");
        assert_eq!(
            message(a, [2, 1, 4, 5].into()),
            "matmul: leading axes of b expects shape [2], got [2, 1]"
        );
        assert_eq!(message(a, [2, 3, 5].into()), "matmul: b expects 4 terms, as a has, got 3");
        assert_eq!(
            message([1, 1 << 20, 1].into(), [1, 1, 1 << 20].into()),
            "matmul: the output must be at most 2^28 elements for one image, got [1, 1048576, 1048576]"
        );
        let (a, b) = (Tensor::zeros([2, 3, 4]), Tensor::zeros([2, 4, 5]));
        assert_eq!(
            MatMul::default().backward(&a, &b, &a).unwrap_err().to_string(),
            "matmul: dy expects shape [2, 3, 5], got [2, 3, 4]"
        );
    }

    #[test]
    fn options_are_plain_data() {
        let op: MatMul = serde_json::from_str(r#"{"transpose_b": true}"#).unwrap();
        assert_eq!(op, MatMul { transpose_a: false, transpose_b: true });
        assert!(serde_json::from_str::<MatMul>(r#"{"transpose": true}"#).is_err());
    }
}
