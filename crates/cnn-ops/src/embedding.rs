//! Embedding: rows of a table, looked up by number.
//!
//! ```text
//! y[n, ..., e]  = weight[indices[n, ...], e]
//! dweight[r, e] = sum of dy[n, ..., e] over all positions whose index is r
//! ```
//!
//! Indices are whole numbers in an f32 tensor, like all tensors; f32 represents every whole number up to 2^24.
//!
//! **Conventions.** As PyTorch's `nn.Embedding`: the row `padding_idx` is looked up like any other but gets no gradient; its
//! numbers are the caller's choice (PyTorch begins with zeros). Indices have no gradient. An index that is not a whole
//! number, or not the number of a row, is an error. -0 is 0. NaN and infinity in the weight are numbers like others.
//!
//! **Algorithm.** A gather at the speed of memory. The gradient is a scatter in which threads take runs of the table's rows
//! and each looks through all indices for its own, so that each row is summed in the order of the positions.

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Shape, Tensor, parallel, vector};
use serde::{Deserialize, Serialize};

const OP: &str = "embedding";

/// Elements that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 15);

/// The most runs into which the rows of the table are cut for the gradient: each looks through all indices.
const MOST_RUNS: usize = 8;

/// The options of an embedding.
///
/// ```
/// use cnn_ops::Embedding;
/// use cnn_tensor::Tensor;
/// let weight = Tensor::from_vec([3, 2], vec![0.0, 0.0, 1.0, 2.0, 3.0, 4.0])?;
/// let indices = Tensor::from_vec([1, 4], vec![2.0, 1.0, 2.0, 0.0])?;
/// let op = Embedding::default().padding_idx(0);
/// let y = op.forward(&indices, &weight)?;
/// assert_eq!(y.data(), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
/// let mut dweight = Tensor::zeros([3, 2]);
/// op.backward(&indices, &Tensor::full([1, 4, 2], 1.0), &mut dweight)?;
/// assert_eq!(dweight.data(), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Embedding {
    /// The row that gets no gradient, if there is one.
    pub padding_idx: Option<usize>,
}

impl Embedding {
    /// Sets the row that gets no gradient.
    #[must_use]
    pub fn padding_idx(mut self, padding_idx: usize) -> Self {
        self.padding_idx = Some(padding_idx);
        self
    }

    /// `indices` of shape `[n, ...]` and `weight` of shape `[num_embeddings, embedding_dim]` to
    /// `[n, ..., embedding_dim]`.
    ///
    /// # Errors
    /// `indices` is of rank 0 or of the largest rank there is, `weight` is not of rank 2, `padding_idx` is not a row of it, or
    /// the output would be too large.
    pub fn output_shape(&self, indices: Shape, weight: Shape) -> Result<Shape, OpError> {
        self.extents(indices, "weight", weight).map(|(y, _)| y)
    }

    /// `y` of shape `[n, ..., embedding_dim]` from `indices [n, ...]` and `weight [num_embeddings, embedding_dim]`.
    ///
    /// # Errors
    /// Those of [`Embedding::output_shape`], or an index is not a whole number from 0 to below `num_embeddings`.
    pub fn forward(&self, indices: &Tensor, weight: &Tensor) -> Result<Tensor, OpError> {
        let (shape, [rows, dim]) = self.extents(indices.shape(), "weight", weight.shape())?;
        check_indices(indices, rows)?;
        let mut y = Tensor::scratch(shape);
        let per_chunk = (WORTH_A_THREAD / dim.max(1)).max(1);
        parallel::for_each_chunk(y.data_mut(), per_chunk.saturating_mul(dim), |i, y| {
            for (y, &index) in y.chunks_exact_mut(dim).zip(&indices.data()[i * per_chunk..]) {
                y.copy_from_slice(&weight.data()[index as usize * dim..][..dim]);
            }
        });
        Ok(y)
    }

    /// Adds the gradient of the weight into `dweight [num_embeddings, embedding_dim]`, for `dy [n, ..., embedding_dim]`.
    ///
    /// # Errors
    /// Those of [`Embedding::forward`], or `dy` does not have the shape of `y`; then nothing has been added.
    pub fn backward(&self, indices: &Tensor, dy: &Tensor, dweight: &mut Tensor) -> Result<(), OpError> {
        let (shape, [rows, dim]) = self.extents(indices.shape(), "dweight", dweight.shape())?;
        check_indices(indices, rows)?;
        check::shape(OP, "dy", shape, dy)?;
        let runs = (dy.data().len() / WORTH_A_THREAD).clamp(1, MOST_RUNS);
        let per_run = rows.div_ceil(runs);
        parallel::for_each_chunk(dweight.data_mut(), per_run.saturating_mul(dim), |i, dweight| {
            let mine = i * per_run..i * per_run + dweight.len() / dim;
            for (&index, dy) in indices.data().iter().zip(dy.data().chunks_exact(dim)) {
                let row = index as usize;
                if mine.contains(&row) && Some(row) != self.padding_idx {
                    vector::axpy(1.0, dy, &mut dweight[(row - mine.start) * dim..][..dim]);
                }
            }
        });
        Ok(())
    }

    /// The shape of `y`, and `[num_embeddings, embedding_dim]`, if the shapes of the indices and the weight (or its gradient, as
    /// `what` says) are valid.
    fn extents(
        &self,
        indices: Shape,
        what: &'static str,
        weight: Shape,
    ) -> Result<(Shape, [usize; 2]), OpError> {
        let rank = indices.rank();
        if rank == 0 || rank == Shape::MAX_RANK {
            let expected = "[n, ...] with an axis less than a tensor may have";
            return Err(OpError::Rank { op: OP, what: "indices", expected, got: indices });
        }
        let [rows, dim] = check::matrix(OP, what, "[num_embeddings, embedding_dim]", weight)?;
        if let Some(row) = self.padding_idx {
            check::rule(OP, "padding_idx", "below the number of embeddings", row < rows, row)?;
        }
        let mut y = [0; Shape::MAX_RANK];
        y[..rank].copy_from_slice(indices.dims());
        y[rank] = dim;
        let y = Shape::new(&y[..=rank]).map_err(|fault| OpError::Tensor { op: OP, fault })?;
        Ok((check::output(OP, y)?, [rows, dim]))
    }
}

/// Checks that each index names one of the rows.
fn check_indices(indices: &Tensor, rows: usize) -> Result<(), OpError> {
    let fits = |v: f32| v >= 0.0 && v.fract() == 0.0 && (v as usize) < rows;
    check::elements(OP, "indices", indices, fits, || format!("whole numbers from 0 to below {rows}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use cnn_tensor::{Random, TensorError};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(indices: &Tensor, dim: usize, weight: &[f64]) -> Vec<f64> {
        let row = |&index: &f32| (0..dim).map(move |e| weight[index as usize * dim + e]);
        indices.data().iter().flat_map(row).collect()
    }

    /// Rows of the table, drawn at random.
    fn drawn(shape: Shape, rows: usize, seed: u64) -> Tensor {
        let mut random = Random::new(seed, &["indices"]);
        let mut indices = Tensor::zeros(shape);
        indices.data_mut().iter_mut().for_each(|v| *v = random.below(rows) as f32);
        indices
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        prop::collection::vec(0..6usize, 1..Shape::MAX_RANK).prop_map(|dims| Shape::new(&dims).unwrap())
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(
            shape in shapes(), rows in 1..9usize, dim in 0..20usize, padding: Option<prop::sample::Index>, seed: u64,
        ) {
            prop_assume!(shape.numel() < 100);
            let op = Embedding { padding_idx: padding.map(|row| row.index(rows)) };
            let (indices, weight) = (drawn(shape, rows, seed), distinct([rows, dim], seed ^ 1));
            let y = oracle(&indices, dim, &to_f64(&weight));
            let dy = distinct(op.output_shape(shape, weight.shape()).unwrap(), seed ^ 2);
            let mut want = gradient_of(&weight, &dy, |w| oracle(&indices, dim, w));
            op.padding_idx.iter().for_each(|row| want[row * dim..][..dim].fill(0.0));
            everywhere(|| {
                assert_close(&op.forward(&indices, &weight).unwrap(), &y);
                let mut dweight = Tensor::zeros([rows, dim]);
                op.backward(&indices, &dy, &mut dweight).unwrap();
                assert_gradient_close("dweight", &dweight, &want);
            });
        }

        /// Whole numbers are exact, and gradients are added.
        #[test]
        fn whole_numbers_are_exact(n in 1..40usize, rows in 1..40usize, dim in 1..40usize, seed: u64) {
            let (indices, weight) = (drawn([n].into(), rows, seed), whole_numbers([rows, dim], 9, seed ^ 1));
            let dy = whole_numbers([n, dim], 9, seed ^ 2);
            let mut want = vec![2.0; rows * dim];
            for (i, dy) in to_f64(&dy).iter().enumerate() {
                want[indices.data()[i / dim] as usize * dim + i % dim] += dy;
            }
            everywhere(|| {
                let y = Embedding::default().forward(&indices, &weight).unwrap();
                assert_exact("y", &y, &oracle(&indices, dim, &to_f64(&weight)));
                let mut dweight = Tensor::full([rows, dim], 2.0);
                Embedding::default().backward(&indices, &dy, &mut dweight).unwrap();
                assert_exact("dweight", &dweight, &want);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(indices in any_shape(), weight in any_shape(), padding in any_extent()) {
            for op in [Embedding::default(), Embedding { padding_idx: Some(padding) }] {
                let Ok(shape) = op.output_shape(indices, weight) else { continue };
                if indices.numel().max(weight.numel()).max(shape.numel()) < 10_000 {
                    let (indices, mut weight) = (Tensor::zeros(indices), Tensor::zeros(weight));
                    // An index is an error where there are no rows.
                    if let Ok(y) = op.forward(&indices, &weight) {
                        prop_assert_eq!(y.shape(), shape);
                        op.backward(&indices, &y, &mut weight).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn nan_stays_with_its_row() {
        let weight = Tensor::from_vec([2, 1], vec![f32::NAN, f32::INFINITY]).unwrap();
        let indices = Tensor::from_vec([3], vec![1.0, 0.0, -0.0]).unwrap();
        everywhere(|| {
            let y = Embedding::default().forward(&indices, &weight).unwrap();
            assert!(y.data()[0] == f32::INFINITY && y.data()[1..].iter().all(|y| y.is_nan()));
            let mut dweight = Tensor::zeros([2, 1]);
            let dy = Tensor::from_vec([3, 1], vec![f32::NAN, 1.0, 2.0]).unwrap();
            Embedding::default().backward(&indices, &dy, &mut dweight).unwrap();
            assert!(dweight.data()[0] == 3.0 && dweight.data()[1].is_nan());
        });
    }

    #[test]
    fn no_positions_and_no_columns_are_shapes_like_any_other() {
        for (indices, dim) in [(Shape::from([0, 3]), 2), ([3, 0].into(), 2), ([3].into(), 0)] {
            let (indices, weight) = (Tensor::zeros(indices), Tensor::zeros([4, dim]));
            let y = Embedding::default().forward(&indices, &weight).unwrap();
            assert_eq!((y.data().len(), y.shape().rank()), (0, indices.shape().rank() + 1));
            let mut dweight = Tensor::full([4, dim], 1.0);
            Embedding::default().backward(&indices, &y, &mut dweight).unwrap();
            assert_eq!(dweight, Tensor::full([4, dim], 1.0));
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (indices, weight) = (drawn([300, 20].into(), 50, 0), distinct([50, 60], 1));
        let dy = distinct([300, 20, 60], 2);
        assert_same_bits_on_any_threads(|| {
            let mut dweight = distinct([50, 60], 3);
            Embedding::default().backward(&indices, &dy, &mut dweight).unwrap();
            vec![Embedding::default().forward(&indices, &weight).unwrap(), dweight]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (op, weight) = (Embedding::default(), Tensor::zeros([10, 2]));
        let message = |op: Embedding, indices: Shape, weight: Shape| {
            op.output_shape(indices, weight).unwrap_err().to_string()
        };
        assert_eq!(
            message(op, [].into(), weight.shape()),
            "embedding: indices expects [n, ...] with an axis less than a tensor may have, got shape []"
        );
        assert_eq!(
            message(op, [3].into(), [3].into()),
            "embedding: weight expects [num_embeddings, embedding_dim], got shape [3]"
        );
        assert_eq!(
            message(Embedding { padding_idx: Some(10) }, [3].into(), weight.shape()),
            "embedding: padding_idx must be below the number of embeddings, got 10"
        );
        let full = Shape::new(&[1; Shape::MAX_RANK]).unwrap();
        assert!(matches!(op.output_shape(full, weight.shape()), Err(OpError::Rank { .. })));
        let huge = op.output_shape([1 << 60].into(), [1, 1 << 60].into());
        assert!(matches!(huge, Err(OpError::Tensor { fault: TensorError::TooLarge { .. }, .. })));
        for (index, got) in [
            (0.5, "0.5"),
            (f32::NAN, "NaN"),
            (-1.0, "-1"),
            (10.0, "10"),
            (f32::INFINITY, "inf"),
            (1e30, "1000000000000000000000000000000"),
        ] {
            let indices = Tensor::from_vec([2, 3], vec![0.0, 9.0, 0.0, 0.0, 0.0, index]).unwrap();
            let want =
                format!("embedding: indices expects whole numbers from 0 to below 10, got {got} at [1, 2]");
            assert_eq!(op.forward(&indices, &weight).unwrap_err().to_string(), want);
            let mut dweight = Tensor::zeros([10, 2]);
            let dy = Tensor::full([2, 3, 2], 1.0);
            assert_eq!(op.backward(&indices, &dy, &mut dweight).unwrap_err().to_string(), want);
            assert_eq!(dweight, Tensor::zeros([10, 2]));
        }
        let indices = Tensor::zeros([2]);
        let mut dweight = Tensor::zeros([10, 2]);
        assert_eq!(
            op.backward(&indices, &Tensor::zeros([2]), &mut dweight).unwrap_err().to_string(),
            "embedding: dy expects shape [2, 2], got [2]"
        );
        assert_eq!(
            op.backward(&indices, &indices, &mut Tensor::zeros([2])).unwrap_err().to_string(),
            "embedding: dweight expects [num_embeddings, embedding_dim], got shape [2]"
        );
    }

    #[test]
    fn options_are_plain_data() {
        let op: Embedding = serde_json::from_str(r#"{"padding_idx": 3}"#).unwrap();
        assert_eq!(op, Embedding { padding_idx: Some(3) });
        assert_eq!(serde_json::from_str::<Embedding>("{}").unwrap(), Embedding::default());
        assert!(serde_json::from_str::<Embedding>(r#"{"padding": 3}"#).is_err());
    }
}
