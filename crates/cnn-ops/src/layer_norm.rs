//! Layer normalisation.
//!
//! The last `axes` axes of `x`, all but the batch unless told otherwise, are normalised together, each row `r` of `m`
//! elements `i` for itself, in training as in evaluation:
//! `y[r, i] = (x[r, i] - mean[r]) / sqrt(var[r] + eps) * weight[i] + bias[i]`, with the row's mean and its biased
//! variance (divided by `m`). `weight` and `bias` have the shape of the axes that are normalised.
//!
//! Gradients, with `xhat = (x - mean) / sqrt(var + eps)` and `g = dy weight`: `dbias[i] = sum over r of dy[r, i]`,
//! `dweight[i] = sum over r of dy[r, i] xhat[r, i]`, and
//! `dx = (g - mean of g - xhat * mean of (g xhat)) / sqrt(var + eps)`, with means over the row.
//!
//! **Conventions.** Those of PyTorch's `nn.LayerNorm`, whose `normalized_shape` is the last `axes` extents of `x`; the
//! first axis, the batch, is never among them. A row of one element becomes its bias. A NaN or infinity makes its row
//! NaN, and no other.
//!
//! **Algorithm.** Row by row, statistics in f64; see `normalize.rs`. Threads take runs of rows, and for the gradients of
//! the parameters runs of columns.
//!
//! Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization" (2016), equations 3 and 4.

use crate::OpError;
use crate::shared::check;
use crate::shared::normalize::rows::{self, Row, WORTH_A_THREAD};
use crate::shared::normalize::{self, add, check_eps, check_shape};
use cnn_tensor::simd::Level;
use cnn_tensor::{Recycled, Shape, Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};

pub use crate::shared::normalize::rows::Saved;

const OP: &str = "layer_norm";

/// The options of a layer normalisation.
///
/// ```
/// use cnn_ops::LayerNorm;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([2, 2], vec![1.0, 3.0, 10.0, 10.0])?;
/// let bias = Tensor::full([2], 5.0);
/// let y = LayerNorm::default().eps(3.0).infer(&x, None, Some(&bias))?;
/// assert_eq!(y.data(), [4.5, 5.5, 5.0, 5.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNorm {
    /// How many of the last axes are normalised together, from 1 to all but the batch; `None`: all but the batch.
    pub axes: Option<usize>,
    /// Added to the variance; above 0.
    pub eps: f64,
}

impl Default for LayerNorm {
    /// All axes but the batch, and PyTorch's `eps` of 1e-5.
    fn default() -> Self {
        Self { axes: None, eps: normalize::usual_eps() }
    }
}

impl LayerNorm {
    /// Sets how many of the last axes are normalised together.
    #[must_use]
    pub fn axes(self, axes: usize) -> Self {
        Self { axes: Some(axes), ..self }
    }

    /// Sets the number added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The shape of `x`, of rank 2 to 6.
    ///
    /// # Errors
    /// An option is out of its range, or `x` has another rank.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.parameter_shape(x).map(|_| x)
    }

    /// The shape of `weight` and `bias`: the last `axes` extents of `x`.
    ///
    /// ```
    /// # use cnn_ops::LayerNorm;
    /// let op = LayerNorm { axes: Some(2), ..LayerNorm::default() };
    /// assert_eq!(op.parameter_shape([8, 3, 5, 4].into())?.dims(), [5, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`LayerNorm::output_shape`].
    pub fn parameter_shape(&self, x: Shape) -> Result<Shape, OpError> {
        check_eps(OP, self.eps)?;
        if x.rank() < 2 {
            let expected = "a batch of rank 2 to 6, such as [n, features] or [n, c, h, w]";
            return Err(OpError::Rank { op: OP, what: "x", expected, got: x });
        }
        let axes = self.axes.unwrap_or(x.rank() - 1);
        let rule = "from 1 to all axes but the batch";
        let got = format_args!("{axes} of shape {x}");
        check::rule(OP, "axes", rule, axes >= 1 && axes < x.rank(), got)?;
        check::output(OP, x)?;
        Shape::new(&x.dims()[x.rank() - axes..]).map_err(|fault| OpError::Tensor { op: OP, fault })
    }

    /// `y` of the shape of `x`, with `weight` and `bias` of [`LayerNorm::parameter_shape`], or ones and zeros for those
    /// that are not given.
    ///
    /// # Errors
    /// Those of [`LayerNorm::output_shape`], or a parameter has another shape.
    pub fn forward(
        &self,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        let shape = self.parameter_shape(x.shape())?;
        check_shape(OP, "weight", shape, weight)?;
        check_shape(OP, "bias", shape, bias)?;
        let (weight, bias) = (weight.map(Tensor::data), bias.map(Tensor::data));
        Ok(rows::forward(x, shape.numel(), self.eps, |level, row, x, y| {
            normalize::affine(level, row.center.apply(1.0, 0.0), x, y);
            if let Some(weight) = weight {
                multiply(level, weight, y);
            }
            if let Some(bias) = bias {
                cnn_tensor::vector::axpy(1.0, bias, y);
            }
        }))
    }

    /// The `y` of [`LayerNorm::forward`], when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`LayerNorm::forward`].
    pub fn infer(
        &self,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor, OpError> {
        self.forward(x, weight, bias).map(|(y, _)| y)
    }

    /// `dx` of the shape of `x`; adds the gradients of weight and bias into those of `dweight` and `dbias` that are
    /// given. `weight` is the forward pass's.
    ///
    /// # Errors
    /// `dy` does not have the shape of `x`, or a parameter or gradient that of [`LayerNorm::parameter_shape`]; then
    /// nothing has been added.
    pub fn backward(
        &self,
        saved: &Saved,
        weight: Option<&Tensor>,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<Tensor, OpError> {
        let shape = self.parameter_shape(saved.x.shape())?;
        check_shape(OP, "weight", shape, weight)?;
        self.backward_parameters(saved, dy, dweight, dbias)?;
        let (x, dy) = (saved.x.data(), dy.data());
        let weight = weight.map(Tensor::data);
        Ok(rows::backward(saved, shape.numel(), |level, Row { center, elements, .. }, dx| {
            let (x, dy) = (&x[elements.clone()], &dy[elements.clone()]);
            match weight {
                None => dx.copy_from_slice(dy),
                Some(weight) => dx.iter_mut().zip(weight).zip(dy).for_each(|((g, w), dy)| *g = w * dy),
            }
            let sums = normalize::products(level, center.mean, x, dx);
            normalize::gradient_in_place(level, center.gradient(1.0, sums, x.len()), x, dx);
        }))
    }

    /// [`LayerNorm::backward`] without `dx`, for the first layer of a network.
    ///
    /// # Errors
    /// Those of [`LayerNorm::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<(), OpError> {
        let shape = self.parameter_shape(saved.x.shape())?;
        check::shape(OP, "dy", saved.x.shape(), dy)?;
        check_shape(OP, "dweight", shape, dweight.as_deref())?;
        check_shape(OP, "dbias", shape, dbias.as_deref())?;
        if dweight.is_some() || dbias.is_some() {
            let sums = columns(saved, dy, shape.numel());
            add(dweight, sums.iter().map(|sums| sums[1]));
            add(dbias, sums.iter().map(|sums| sums[0]));
        }
        Ok(())
    }
}

/// For each column of the rows: the sums over rows of `dy` and of `dy xhat`, in the order of the rows.
fn columns(saved: &Saved, dy: &Tensor, row: usize) -> Recycled<[f64; 2]> {
    if saved.centers.is_empty() {
        return Recycled::default();
    }
    // Whole cache lines of a row.
    let each = WORTH_A_THREAD.div_ceil(saved.centers.len()).max(16);
    let level = Level::current();
    let pieces = parallel::map(row.div_ceil(each), |i| {
        let piece = i * each..row.min((i + 1) * each);
        let mut sums = Recycled::filled([0.0; 2], piece.len());
        let rows = saved.x.data().chunks_exact(row).zip(dy.data().chunks_exact(row));
        for ((x, dy), center) in rows.zip(&saved.centers) {
            add_products(
                level,
                center.mean,
                center.inverse,
                &x[piece.clone()],
                &dy[piece.clone()],
                &mut sums,
            );
        }
        sums
    });
    let mut all = Recycled::with_capacity(row);
    pieces.iter().for_each(|sums| all.extend_from_slice(sums));
    all
}

kernel! {
    fn add_products<S>(_s, mean: f64, inverse: f64, x: &[f32], dy: &[f32], sums: &mut [[f64; 2]]) {
        for ((x, dy), [sum, product]) in x.iter().zip(dy).zip(sums) {
            let dy = f64::from(*dy);
            *sum += dy;
            *product += dy * ((f64::from(*x) - mean) * inverse);
        }
    }
}

kernel! {
    fn multiply<S>(_s, weight: &[f32], y: &mut [f32]) {
        for (y, weight) in y.iter_mut().zip(weight) {
            *y *= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{any_number_of_rejects, assert_same_bits_on_any_threads, everywhere};
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64, of rows as long as the parameters.
    fn oracle(eps: f64, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let m = weight.len();
        let normalised = |row: &[f64]| {
            let mean = row.iter().sum::<f64>() / m as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / m as f64;
            let y = |i: usize| (row[i] - mean) / (variance + eps).sqrt() * weight[i] + bias[i];
            (0..m).map(y).collect::<Vec<_>>()
        };
        x.chunks(m.max(1)).flat_map(normalised).collect()
    }

    /// Extents of every rank from 2; of more than four axes each is short.
    fn ranks() -> impl Strategy<Value = Vec<usize>> {
        prop_oneof![prop::collection::vec(0..5usize, 2..5), prop::collection::vec(0..3usize, 5..=6)]
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(dims in ranks(), wide in 1..20usize, axes in prop::option::of(1..6usize),
                                  eps in prop::sample::select(vec![1e-5, 1e-3, 0.5]),
                                  offset in prop::sample::select(vec![0.0, 1e4f32]),
                                  given: [bool; 2], seed: u64) {
            let op = LayerNorm { axes, eps };
            let dims = if dims.len() == 2 { vec![dims[0], wide] } else { dims };
            let shape = Shape::new(&dims).unwrap();
            prop_assume!(op.output_shape(shape).is_ok());
            let parameters = op.parameter_shape(shape).unwrap();
            let mut x = distinct(shape, seed);
            x.data_mut().iter_mut().for_each(|x| *x = *x * 4.0 + offset);
            let dy = distinct(shape, seed ^ 1);
            let (ones, zeros) = (Tensor::full(parameters, 1.0), Tensor::zeros(parameters));
            let weight = given[0].then(|| distinct(parameters, seed ^ 2));
            let bias = given[1].then(|| distinct(parameters, seed ^ 3));
            let (x64, w64, b64) =
                (to_f64(&x), to_f64(weight.as_ref().unwrap_or(&ones)), to_f64(bias.as_ref().unwrap_or(&zeros)));
            let want = oracle(eps, &x64, &w64, &b64);
            let want_dx = gradient_of(&x, &dy, |x| oracle(eps, x, &w64, &b64));
            let want_dweight = gradient_of(&ones, &dy, |w| oracle(eps, &x64, w, &b64));
            let want_dbias = gradient_of(&ones, &dy, |b| oracle(eps, &x64, &w64, b));
            everywhere(|| {
                let (y, saved) = op.forward(&x, weight.as_ref(), bias.as_ref()).unwrap();
                assert_close(&y, &want);
                assert_eq!(y, op.infer(&x, weight.as_ref(), bias.as_ref()).unwrap());
                let (mut dweight, mut dbias) = (Tensor::zeros(parameters), Tensor::zeros(parameters));
                let gradients = (Some(&mut dweight), Some(&mut dbias));
                let dx = op.backward(&saved, weight.as_ref(), &dy, gradients.0, gradients.1).unwrap();
                assert_gradient_close("dx", &dx, &want_dx);
                assert_gradient_close("dweight", &dweight, &want_dweight);
                assert_gradient_close("dbias", &dbias, &want_dbias);
            });
        }

        #[test]
        fn absurd_options_are_errors(dims in prop::collection::vec(absurd(), 0..7),
                                     axes in prop::option::of(absurd()), eps in absurd_number()) {
            let op = LayerNorm { axes, eps };
            let Ok(shape) = Shape::new(&dims) else { return Ok(()) };
            let accepted = op.output_shape(shape);
            prop_assert!((eps > 0.0 && eps.is_finite()) || accepted.is_err());
            if accepted.is_ok() && shape.numel() <= 100_000 {
                let (y, saved) = op.forward(&distinct(shape, 0), None, None).unwrap();
                op.backward(&saved, None, &y, None, None).unwrap();
            }
        }
    }

    fn absurd() -> impl Strategy<Value = usize> {
        prop_oneof![0..5usize, 0..5usize, any::<usize>(), Just(usize::MAX)]
    }

    fn absurd_number() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..1.0, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(5e-324)]
    }

    #[test]
    fn a_row_of_one_element_is_its_bias() {
        let (op, x, bias) = (LayerNorm::default(), distinct([3, 1], 0), Tensor::full([1], 7.0));
        let (y, saved) = op.forward(&x, None, Some(&bias)).unwrap();
        assert_eq!(y.data(), [7.0; 3]);
        assert_eq!(op.backward(&saved, None, &y, None, None).unwrap(), Tensor::zeros([3, 1]));
    }

    #[test]
    fn nan_and_infinity_stay_in_their_row() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [10, 13] {
                let mut x = distinct([3, 10], 0);
                x.data_mut()[place] = bad;
                everywhere(|| {
                    let y = LayerNorm::default().infer(&x, None, None).unwrap();
                    assert!((0..30).all(|at| y.data()[at].is_nan() == (at / 10 == 1)), "{y:?}");
                });
            }
        }
    }

    #[test]
    fn empty_rows_and_no_rows_are_shapes_like_any_other() {
        for shape in [Shape::from([0, 3]), [2, 0].into(), [0, 3, 2, 2].into(), [2, 3, 0].into()] {
            let (op, x) = (LayerNorm::default(), Tensor::zeros(shape));
            let (y, saved) = op.forward(&x, None, None).unwrap();
            assert_eq!(y, x);
            let mut dweight = Tensor::full(op.parameter_shape(shape).unwrap(), 3.0);
            let before = dweight.clone();
            assert_eq!(op.backward(&saved, None, &x, Some(&mut dweight), None).unwrap(), x);
            assert_eq!(dweight, before);
        }
    }

    #[test]
    fn gradients_of_parameters_are_added() {
        let (op, x, dy) = (LayerNorm::default(), distinct([3, 4], 0), distinct([3, 4], 1));
        let (_, saved) = op.forward(&x, None, None).unwrap();
        let (mut dweight, mut dbias) = (Tensor::full([4], 10.0), Tensor::full([4], 20.0));
        op.backward(&saved, None, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
        let twice =
            |now: &Tensor, start: f64| to_f64(now).iter().map(|v| 2.0 * v - start).collect::<Vec<_>>();
        let want = (twice(&dweight, 10.0), twice(&dbias, 20.0));
        op.backward_parameters(&saved, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
        assert_close(&dweight, &want.0);
        assert_close(&dbias, &want.1);
    }

    #[test]
    fn threads_change_nothing() {
        let (op, x, dy) = (LayerNorm::default(), distinct([70, 900], 0), distinct([70, 900], 1));
        let weight = distinct([900], 2);
        assert_same_bits_on_any_threads(|| {
            let (y, saved) = op.forward(&x, Some(&weight), None).unwrap();
            let (mut dweight, mut dbias) = (Tensor::zeros([900]), Tensor::zeros([900]));
            let dx = op.backward(&saved, Some(&weight), &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
            vec![y, dx, dweight, dbias]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let op = LayerNorm::default();
        let shape = |op: LayerNorm, x: Shape| op.output_shape(x).unwrap_err().to_string();
        assert_eq!(
            shape(op, [4].into()),
            "layer_norm: x expects a batch of rank 2 to 6, such as [n, features] or [n, c, h, w], got shape [4]"
        );
        let eps = LayerNorm { eps: f64::NAN, ..op };
        assert_eq!(shape(eps, [4, 1].into()), "layer_norm: eps must be above 0 and finite, got NaN");
        let all = LayerNorm { axes: Some(2), ..op };
        assert_eq!(
            shape(all, [4, 1].into()),
            "layer_norm: axes must be from 1 to all axes but the batch, got 2 of shape [4, 1]"
        );
        assert!(LayerNorm { axes: Some(0), ..op }.output_shape([4, 1].into()).is_err());

        let (x, mut wrong) = (distinct([2, 3], 0), Tensor::zeros([2]));
        let mut right = Tensor::zeros([3]);
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        assert_eq!(
            message(op.infer(&x, Some(&wrong), None)),
            "layer_norm: weight expects shape [3], got [2]"
        );
        assert_eq!(message(op.infer(&x, None, Some(&wrong))), "layer_norm: bias expects shape [3], got [2]");
        let (_, saved) = op.forward(&x, None, None).unwrap();
        assert_eq!(
            message(op.backward(&saved, None, &wrong, Some(&mut right), None)),
            "layer_norm: dy expects shape [2, 3], got [2]"
        );
        assert_eq!(
            message(op.backward(&saved, Some(&wrong.clone()), &x, Some(&mut right), None)),
            "layer_norm: weight expects shape [3], got [2]"
        );
        assert_eq!(
            message(op.backward(&saved, None, &x, Some(&mut right), Some(&mut wrong))),
            "layer_norm: dbias expects shape [3], got [2]"
        );
        assert_eq!(
            message(op.backward(&saved, None, &x, Some(&mut wrong), Some(&mut right))),
            "layer_norm: dweight expects shape [3], got [2]"
        );
        assert_eq!(right, Tensor::zeros([3]), "nothing has been added");
    }
}
