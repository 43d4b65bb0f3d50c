//! LeNet-5's trainable subsampling: the sum of each window, times a coefficient and plus a bias, one of each a channel.
//!
//! ```text
//! y[n, c, oh, ow] = weight[c] * (sum over (kh, kw) of x[n, c, oh*sh + kh, ow*sw + kw]) + bias[c]
//! ```
//!
//! The sigmoid or scaled tanh that the paper applies to it is an [`Activation`](crate::Activation) of its own.
//!
//! **Conventions.** Windows lie on the input whole; rows and columns beyond the last are left out. A NaN or infinity reaches
//! exactly the windows that contain it, and all of the coefficient's gradient.
//!
//! **Algorithm.** The sums are those of [`AvgPool2d`] with a divisor of 1, and are kept for the backward pass.
//!
//! Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
//! Proceedings of the IEEE 86 (1998), section II.B.

use crate::shared::check;
use crate::{AvgPool2d, OpError, Pair};
use cnn_tensor::{Shape, Tensor, parallel, vector};
use serde::{Deserialize, Serialize};

const OP: &str = "subsample";

/// The options of a subsampling; weight and bias, both `[c]`, are arguments.
///
/// ```
/// use cnn_ops::Subsample;
/// use cnn_tensor::Tensor;
/// let op = Subsample::new([1, 2]);
/// let x = Tensor::from_vec([1, 1, 1, 4], vec![1.0, 2.0, 3.0, 4.0])?;
/// let (weight, bias) = (Tensor::full([1], 0.5), Tensor::full([1], 10.0));
/// assert_eq!(op.infer(&x, &weight, &bias)?.data(), [11.5, 13.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Description")]
pub struct Subsample {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
}

/// [`Subsample`] as files have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
}

impl From<Description> for Subsample {
    fn from(Description { kernel, stride }: Description) -> Self {
        Self { kernel, stride: stride.unwrap_or(kernel) }
    }
}

/// The data that the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    sums: Tensor,
}

impl Subsample {
    /// Windows side by side.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        Self { kernel, stride: kernel }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h - kh) / sh + 1`, rounded down, and `ow` likewise.
    ///
    /// # Errors
    /// An option is 0, `x` is not of rank 4, or a window does not fit the input.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.sum().output_shape(x).map_err(|fault| fault.of(OP))
    }

    /// The sums of the windows, as a pooling.
    fn sum(&self) -> AvgPool2d {
        AvgPool2d::new(self.kernel).stride(self.stride).divisor_override(1)
    }

    /// The output, when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`Subsample::output_shape`], or `weight` or `bias` is not of shape `[c]`.
    pub fn infer(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, OpError> {
        self.forward(x, weight, bias).map(|(y, _)| y)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x [n, c, h, w]`, `weight [c]` and `bias [c]`, and what
    /// [`Subsample::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Subsample::infer`].
    pub fn forward(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let [_, c, oh, ow] = check::nchw(OP, "y", self.output_shape(x.shape())?)?;
        check::shape(OP, "weight", [c], weight)?;
        check::shape(OP, "bias", [c], bias)?;
        let sums = self.sum().forward(x)?;
        let mut y = sums.clone();
        parallel::for_each_chunk(y.data_mut(), c * oh * ow, |_, y| {
            let parameters = weight.data().iter().zip(bias.data());
            for (y, (weight, bias)) in y.chunks_exact_mut(oh * ow).zip(parameters) {
                y.iter_mut().for_each(|y| *y = weight * *y + bias);
            }
        });
        Ok((y, Saved { x: x.shape(), sums }))
    }

    /// `dx` of shape `[n, c, h, w]` from `dy [n, c, oh, ow]`; adds into `dweight` and `dbias`, both `[c]`.
    ///
    /// # Errors
    /// `weight`, `dy`, `dweight` or `dbias` has another shape than in the forward pass; then nothing has been added.
    pub fn backward(
        &self,
        saved: &Saved,
        weight: &Tensor,
        dy: &Tensor,
        dweight: &mut Tensor,
        dbias: &mut Tensor,
    ) -> Result<Tensor, OpError> {
        let [_, c, oh, ow] = check::nchw(OP, "y", self.output_shape(saved.x)?)?;
        check::shape(OP, "saved", [saved.x.batch(), c, oh, ow], &saved.sums)?;
        check::shape(OP, "dy", [saved.x.batch(), c, oh, ow], dy)?;
        check::shape(OP, "weight", [c], weight)?;
        check::shape(OP, "dweight", [c], dweight)?;
        check::shape(OP, "dbias", [c], dbias)?;
        let image = c * oh * ow;
        let mut dsums = dy.clone();
        if image > 0 {
            let (dweight, dbias) = (dweight.data_mut(), dbias.data_mut());
            for (dy, sums) in dy.data().chunks_exact(image).zip(saved.sums.data().chunks_exact(image)) {
                let planes = dy.chunks_exact(oh * ow).zip(sums.chunks_exact(oh * ow));
                for ((dy, sums), (dweight, dbias)) in planes.zip(dweight.iter_mut().zip(&mut *dbias)) {
                    *dweight += dy.iter().zip(sums).map(|(dy, sum)| dy * sum).sum::<f32>();
                    *dbias += vector::sum(dy);
                }
            }
            parallel::for_each_chunk(dsums.data_mut(), image, |_, dsums| {
                for (dsums, &weight) in dsums.chunks_exact_mut(oh * ow).zip(weight.data()) {
                    vector::scale(weight, dsums);
                }
            });
        }
        self.sum().backward(saved.x, &dsums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{any_extent, any_shape, assert_exact, everywhere, whole_numbers};
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use prop::array::uniform2;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: Subsample, x_shape: [usize; 4], x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let [n, c, h, w] = x_shape;
        let [_, _, oh, ow] = op.output_shape(x_shape.into()).unwrap().nchw().unwrap();
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let mut sum = 0.0;
                for (a, b) in (0..op.kernel[0]).flat_map(|a| (0..op.kernel[1]).map(move |b| (a, b))) {
                    let (row, col) = (i / ow * op.stride[0] + a, i % ow * op.stride[1] + b);
                    sum += x[(plane * h + row) * w + col];
                }
                y.push(weight[plane % c] * sum + bias[plane % c]);
            }
        }
        y
    }

    /// `y`, `dx`, `dweight` and `dbias`.
    fn run(op: Subsample, x: &Tensor, weight: &Tensor, bias: &Tensor, dy: &Tensor) -> [Tensor; 4] {
        let (y, saved) = op.forward(x, weight, bias).unwrap();
        assert_eq!(op.infer(x, weight, bias).unwrap(), y);
        let (mut dweight, mut dbias) = (Tensor::zeros(weight.shape()), Tensor::zeros(bias.shape()));
        let dx = op.backward(&saved, weight, dy, &mut dweight, &mut dbias).unwrap();
        [y, dx, dweight, dbias]
    }

    proptest! {
        #![proptest_config(crate::shared::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(kernel in uniform2(1..4usize), stride in uniform2(1..4usize), n in 1..3usize,
                                  c in 1..4usize, h in 1..6usize, w in 1..6usize, seed: u64) {
            let (op, shape) = (Subsample { kernel, stride }, [n, c, h, w]);
            prop_assume!(op.output_shape(shape.into()).is_ok());
            let x = distinct(shape, seed);
            let (weight, bias) = (distinct([c], seed ^ 1), distinct([c], seed ^ 2));
            let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 3);
            let [x64, w64, b64] = [&x, &weight, &bias].map(to_f64);
            let want = oracle(op, shape, &x64, &w64, &b64);
            let gradients = [
                gradient_of(&x, &dy, |x| oracle(op, shape, x, &w64, &b64)),
                gradient_of(&weight, &dy, |w| oracle(op, shape, &x64, w, &b64)),
                gradient_of(&bias, &dy, |b| oracle(op, shape, &x64, &w64, b)),
            ];
            everywhere(|| {
                let [y, dx, dweight, dbias] = run(op, &x, &weight, &bias, &dy);
                assert_close(&y, &want);
                assert_gradient_close("dx", &dx, &gradients[0]);
                assert_gradient_close("dweight", &dweight, &gradients[1]);
                assert_gradient_close("dbias", &dbias, &gradients[2]);
            });
        }

        #[test]
        fn whole_numbers_are_exact(kernel in uniform2(1..4usize), stride in uniform2(1..4usize), n in 1..4usize,
                                   c in 1..4usize, h in 3..12usize, w in 3..20usize, seed: u64) {
            let (op, shape) = (Subsample { kernel, stride }, [n, c, h, w]);
            let x = whole_numbers(shape, 5, seed);
            let (weight, bias) = (whole_numbers([c], 5, seed ^ 1), whole_numbers([c], 5, seed ^ 2));
            let dy = whole_numbers(op.output_shape(shape.into()).unwrap(), 5, seed ^ 3);
            let [x64, w64, b64] = [&x, &weight, &bias].map(to_f64);
            let (want, zeros) = (oracle(op, shape, &x64, &w64, &b64), vec![0.0; c]);
            // The coefficient's gradient is dy on the sums, which are the outputs for coefficients of 1.
            let sums = oracle(op, shape, &x64, &vec![1.0; c], &zeros);
            let (mut want_dweight, mut want_dbias) = (zeros.clone(), zeros);
            let plane = dy.data().len() / (n * c);
            for (i, (dy, sum)) in to_f64(&dy).into_iter().zip(sums).enumerate() {
                want_dweight[i / plane % c] += dy * sum;
                want_dbias[i / plane % c] += dy;
            }
            everywhere(|| {
                let [y, _, dweight, dbias] = run(op, &x, &weight, &bias, &dy);
                assert_exact("y", &y, &want);
                assert_exact("dweight", &dweight, &want_dweight);
                assert_exact("dbias", &dbias, &want_dbias);
            });
        }

        /// No options and shapes, however absurd, panic or take memory.
        #[test]
        fn absurd_options_are_errors(kernel in uniform2(any_extent()), stride in uniform2(any_extent()), x in any_shape()) {
            let op = Subsample { kernel, stride };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()).max(y.dims()[1]) < 10_000 {
                let c = Tensor::zeros([y.dims()[1]]);
                run(op, &Tensor::zeros(x), &c, &c, &Tensor::zeros(y));
            }
        }
    }

    #[test]
    fn gradients_of_parameters_are_added() {
        let (op, x, one) = (Subsample::new([1, 2]), Tensor::full([1, 1, 1, 2], 3.0), Tensor::full([1], 1.0));
        let (_, saved) = op.forward(&x, &one, &one).unwrap();
        let (mut dweight, mut dbias) = (one.clone(), one.clone());
        let dx =
            op.backward(&saved, &one, &Tensor::full([1, 1, 1, 1], 2.0), &mut dweight, &mut dbias).unwrap();
        assert_eq!((dx.data(), dweight.data(), dbias.data()), (&[2.0, 2.0][..], &[13.0][..], &[3.0][..]));
    }

    #[test]
    fn what_remains_is_left_out_and_nan_stays_in_its_window() {
        let op = Subsample::new([1, 2]);
        let x = Tensor::from_vec([1, 1, 1, 5], vec![f32::NAN, 1.0, f32::INFINITY, 1.0, 9.0]).unwrap();
        let y = op.infer(&x, &Tensor::full([1], 2.0), &Tensor::full([1], 1.0)).unwrap();
        assert!(y.data()[0].is_nan());
        assert_eq!(y.data()[1..], [f32::INFINITY]);
    }

    #[test]
    fn an_empty_batch_gives_an_empty_batch() {
        let c = Tensor::zeros([3]);
        let x = Tensor::zeros([0, 3, 4, 4]);
        let [y, dx, ..] = run(Subsample::new([2, 2]), &x, &c, &c, &Tensor::zeros([0, 3, 2, 2]));
        assert_eq!((y.shape(), dx.shape()), ([0, 3, 2, 2].into(), [0, 3, 4, 4].into()));
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (op, x, c) = (Subsample::new([3, 3]), Shape::from([1, 2, 2, 5]), Tensor::zeros([2]));
        let message = |op: Subsample| op.output_shape(x).unwrap_err().to_string();
        assert_eq!(message(op), "subsample: a window of 3 with padding 0 does not fit an input extent of 2");
        assert_eq!(message(op.stride([0, 1])), "subsample: stride must be at least 1, got [0, 1]");
        let error = Subsample::new([2, 2]).infer(&Tensor::zeros(x), &Tensor::zeros([3]), &c).unwrap_err();
        assert_eq!(error.to_string(), "subsample: weight expects shape [2], got [3]");
    }
}
