//! LeCun's trainable subsampling.
//!
//! `y[n, c, oh, ow] = coefficient[c] * sum over (kh, kw) of x[n, c, oh*sh + kh, ow*sw + kw] + bias[c]`: the sum over a
//! window, scaled and shifted by two trained numbers for each channel. The squashing function that follows in LeNet-5 is
//! an operation of its own.
//!
//! **Conventions.** There is no padding, and rows and columns that fill no window are left out. With the coefficient
//! `1 / (kh * kw)` and the bias 0 this is [`AvgPool2d`](crate::AvgPool2d). A NaN or infinity reaches exactly the windows
//! that contain it, a coefficient or bias its whole channel. PyTorch has no such module.
//!
//! **Algorithm.** The sums are those of average pooling (`window_sums.rs`); the forward pass keeps them for the gradient
//! of the coefficients.
//!
//! Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
//! Proceedings of the IEEE 86 (1998), section II.B.

use crate::pooling::{Options, Windows};
use crate::window_sums::Row;
use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "subsample";

/// The options of a trainable subsampling; pairs are `[height, width]`, in elements.
///
/// Read by serde, a `stride` that is left out is `kernel`.
///
/// ```
/// use cnn_ops::Subsample;
/// use cnn_tensor::Tensor;
/// let op = Subsample::new([2, 2]);
/// let x = Tensor::from_vec([1, 1, 2, 4], vec![1.0, 5.0, 2.0, 0.0, 2.0, 4.0, 8.0, 6.0])?;
/// let (coefficient, bias) = (Tensor::full([1], 0.5), Tensor::full([1], 1.0));
/// let (y, saved) = op.forward(&x, &coefficient, &bias)?;
/// assert_eq!(y.data(), [7.0, 9.0]);
/// let (mut dcoefficient, mut dbias) = (Tensor::zeros([1]), Tensor::zeros([1]));
/// let dy = Tensor::full([1, 1, 1, 2], 1.0);
/// let dx = op.backward(&saved, &coefficient, &dy, &mut dcoefficient, &mut dbias)?;
/// assert_eq!(dx.data(), [0.5; 8]);
/// assert_eq!((dcoefficient.data(), dbias.data()), (&[28.0][..], &[2.0][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Described")]
pub struct Subsample {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
}

/// What serde reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
}

impl From<Described> for Subsample {
    fn from(Described { kernel, stride }: Described) -> Self {
        Self { kernel, stride: stride.unwrap_or(kernel) }
    }
}

/// What the backward pass reads: the shape of the input and the sum of each window.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    sums: Tensor,
}

impl Subsample {
    /// Windows side by side: stride equal to `kernel`.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel }
    }

    /// The same with another stride.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h - kh) / sh + 1`, rounded down, and `ow` likewise.
    ///
    /// # Errors
    /// An option is out of its range, `x` is not of rank 4, or a window does not fit the input.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.windows(x)?.y)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`, `coefficient [c]` and `bias [c]`.
    ///
    /// # Errors
    /// Those of [`Subsample::output_shape`], or `coefficient` or `bias` has another shape.
    pub fn infer(&self, x: &Tensor, coefficient: &Tensor, bias: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(x.shape())?;
        let affine = Affine::new(windows.y, coefficient, bias)?;
        Ok(windows.sums(x, |Row { plane, .. }, y| affine.apply(plane, y)))
    }

    /// `y` as from [`Subsample::infer`], and what [`Subsample::backward`] needs.
    ///
    /// # Errors
    /// Those of [`Subsample::infer`].
    pub fn forward(
        &self,
        x: &Tensor,
        coefficient: &Tensor,
        bias: &Tensor,
    ) -> Result<(Tensor, Saved), OpError> {
        let windows = self.windows(x.shape())?;
        let affine = Affine::new(windows.y, coefficient, bias)?;
        let sums = windows.sums(x, |_, _| {});
        let (plane, pieces) = (windows.y_plane(), windows.pieces());
        let mut y = Tensor::scratch(windows.y);
        parallel::for_each_chunk(y.data_mut(), pieces.y, |i, y| {
            y.copy_from_slice(&sums.data()[i * pieces.y..][..y.len()]);
            let first = i * (pieces.y / plane);
            y.chunks_exact_mut(plane).enumerate().for_each(|(at, y)| affine.apply(first + at, y));
        });
        Ok((y, Saved { x: x.shape(), sums }))
    }

    /// `dx` of shape `[n, c, h, w]` from `dy` of shape `[n, c, oh, ow]`; adds into `dcoefficient [c]` and `dbias [c]`.
    /// `saved` comes from this operation's [`Subsample::forward`], `coefficient` went into it.
    ///
    /// # Errors
    /// A tensor does not have its shape, or `saved` is of other windows; then nothing is added.
    pub fn backward(
        &self,
        saved: &Saved,
        coefficient: &Tensor,
        dy: &Tensor,
        dcoefficient: &mut Tensor,
        dbias: &mut Tensor,
    ) -> Result<Tensor, OpError> {
        let windows = self.windows(saved.x)?;
        check::shape(OP, "coefficient", [channels(windows.y)], coefficient)?;
        self.backward_parameters(saved, dy, dcoefficient, dbias)?;
        let coefficient = coefficient.data();
        Ok(windows.spread(saved.x, dy, |Row { plane, .. }, dy, shares| {
            let scale = coefficient[plane % coefficient.len()];
            shares.iter_mut().zip(dy).for_each(|(share, dy)| *share = scale * dy);
        }))
    }

    /// [`Subsample::backward`] without `dx`, for the first layer of a network.
    ///
    /// # Errors
    /// Those of [`Subsample::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        dy: &Tensor,
        dcoefficient: &mut Tensor,
        dbias: &mut Tensor,
    ) -> Result<(), OpError> {
        let windows = self.windows(saved.x)?;
        check::shape(OP, "saved", windows.y, &saved.sums)?;
        check::shape(OP, "dy", windows.y, dy)?;
        let c = channels(windows.y);
        check::shape(OP, "dcoefficient", [c], dcoefficient)?;
        check::shape(OP, "dbias", [c], dbias)?;
        if dy.data().is_empty() {
            return Ok(());
        }
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
        let (plane, level) = (windows.y_plane(), Level::current());
        let piece = (WORTH_A_THREAD / (dy.data().len() / c)).max(1);
        parallel::for_each_chunk_pair(
            (dcoefficient.data_mut(), piece),
            (dbias.data_mut(), piece),
            |i, dcoefficient, dbias| {
                for (at, gradients) in dcoefficient.iter_mut().zip(dbias).enumerate() {
                    let channel = i * piece + at;
                    let planes = dy.data().chunks_exact(plane).zip(saved.sums.data().chunks_exact(plane));
                    for (dy, sums) in planes.skip(channel).step_by(c) {
                        let (products, sum) = products_and_sum(level, dy, sums);
                        *gradients.0 += products;
                        *gradients.1 += sum;
                    }
                }
            },
        );
        Ok(())
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        let Self { kernel, stride } = *self;
        let (padding, dilation) = ([0, 0], [1, 1]);
        Windows::new(OP, x, Options { kernel, stride, padding, dilation, ceil_mode: false })
    }
}

/// The channels of `[n, c, h, w]`.
fn channels(x: Shape) -> usize {
    x.nchw().map_or(0, |[_, c, ..]| c)
}

/// `coefficient[c] * x + bias[c]`.
struct Affine<'a> {
    coefficient: &'a [f32],
    bias: &'a [f32],
}

impl<'a> Affine<'a> {
    fn new(y: Shape, coefficient: &'a Tensor, bias: &'a Tensor) -> Result<Self, OpError> {
        check::shape(OP, "coefficient", [channels(y)], coefficient)?;
        check::shape(OP, "bias", [channels(y)], bias)?;
        Ok(Self { coefficient: coefficient.data(), bias: bias.data() })
    }

    /// On numbers of plane `n * channels + c`.
    fn apply(&self, plane: usize, y: &mut [f32]) {
        let channel = plane % self.bias.len();
        let (scale, shift) = (self.coefficient[channel], self.bias[channel]);
        y.iter_mut().for_each(|y| *y = scale * *y + shift);
    }
}

kernel! {
    /// The sum of all `dy * sums`, and that of all `dy`.
    fn products_and_sum<S>(s, dy: &[f32], sums: &[f32]) -> (f32, f32) {
        let (mut products, mut sum) = (s.splat(0.0), s.splat(0.0));
        for (dy, sums) in dy.chunks(S::LANES).zip(sums.chunks(S::LANES)) {
            let dy = s.load_partial(dy);
            products = s.mul_add(dy, s.load_partial(sums), products);
            sum = s.add(sum, dy);
        }
        (s.sum(products), s.sum(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AvgPool2d;
    use crate::testing::{
        any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64; `scale` are the coefficients and `shift` the biases.
    fn oracle(op: Subsample, [n, c, h, w]: [usize; 4], x: &[f64], scale: &[f64], shift: &[f64]) -> Vec<f64> {
        let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let mut sum = 0.0;
                for a in 0..op.kernel[0] {
                    for b in 0..op.kernel[1] {
                        let (row, col) = (i / ow * op.stride[0] + a, i % ow * op.stride[1] + b);
                        sum += x[(plane * h + row) * w + col];
                    }
                }
                y.push(scale[plane % c] * sum + shift[plane % c]);
            }
        }
        y
    }

    /// The tensors of one case, and what the definition makes of them.
    struct Case {
        op: Subsample,
        x: Tensor,
        coefficient: Tensor,
        bias: Tensor,
        dy: Tensor,
        want: Vec<f64>,
    }

    impl Case {
        fn new(op: Subsample, shape: [usize; 4], numbers: impl Fn(Shape, u64) -> Tensor) -> Option<Self> {
            let y = op.output_shape(shape.into()).ok()?;
            let channels = Shape::from([shape[1]]);
            let (x, dy) = (numbers(shape.into(), 0), numbers(y, 1));
            let (coefficient, bias) = (numbers(channels, 2), numbers(channels, 3));
            let want = oracle(op, shape, &to_f64(&x), &to_f64(&coefficient), &to_f64(&bias));
            Some(Self { op, x, coefficient, bias, dy, want })
        }

        /// `y`, `dx`, `dcoefficient` and `dbias`.
        fn run(&self) -> [Tensor; 4] {
            let Self { op, x, coefficient, bias, dy, .. } = self;
            let (y, saved) = op.forward(x, coefficient, bias).unwrap();
            assert_eq!(op.infer(x, coefficient, bias).unwrap(), y);
            let zeros = || (Tensor::zeros(bias.shape()), Tensor::zeros(bias.shape()));
            let ((mut dcoefficient, mut dbias), mut alone) = (zeros(), zeros());
            let dx = op.backward(&saved, coefficient, dy, &mut dcoefficient, &mut dbias).unwrap();
            op.backward_parameters(&saved, dy, &mut alone.0, &mut alone.1).unwrap();
            assert_eq!(alone, (dcoefficient.clone(), dbias.clone()));
            [y, dx, dcoefficient, dbias]
        }

        /// The gradients with respect to `x`, `coefficient` and `bias`, by differences.
        fn gradients(&self) -> [Vec<f64>; 3] {
            let Self { op, x, coefficient, bias, dy, .. } = self;
            let shape = x.shape().nchw().unwrap();
            let [x64, c64, b64] = [x, coefficient, bias].map(to_f64);
            [
                gradient_of(x, dy, |x| oracle(*op, shape, x, &c64, &b64)),
                gradient_of(coefficient, dy, |c| oracle(*op, shape, &x64, c, &b64)),
                gradient_of(bias, dy, |b| oracle(*op, shape, &x64, &c64, b)),
            ]
        }
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(kernel in prop::array::uniform2(1..4usize), stride in prop::array::uniform2(1..4usize),
                                  n in 1..3usize, c in 1..4usize, h in 1..7usize, w in 1..7usize, seed: u64) {
            let numbers = |shape, which| distinct(shape, seed ^ which);
            let case = Case::new(Subsample { kernel, stride }, [n, c, h, w], numbers);
            let Some(case) = case else { return Ok(()) };
            let [dx, dcoefficient, dbias] = case.gradients();
            everywhere(|| {
                let got = case.run();
                assert_close(&got[0], &case.want);
                assert_gradient_close("dx", &got[1], &dx);
                assert_gradient_close("dcoefficient", &got[2], &dcoefficient);
                assert_gradient_close("dbias", &got[3], &dbias);
            });
        }

        #[test]
        fn whole_numbers_are_exact(kernel in prop::array::uniform2(1..4usize), stride in prop::array::uniform2(1..4usize),
                                   n in 1..4usize, c in 1..5usize, h in 1..16usize, w in 1..16usize, seed: u64) {
            let numbers = |shape, which| whole_numbers(shape, 9, seed ^ which);
            let case = Case::new(Subsample { kernel, stride }, [n, c, h, w], numbers);
            let Some(case) = case else { return Ok(()) };
            let [_, _, oh, ow] = case.dy.shape().nchw().unwrap();
            let ones = vec![1.0; c];
            let sums = oracle(case.op, [n, c, h, w], &to_f64(&case.x), &ones, &vec![0.0; c]);
            let mut want_dx = vec![0.0; n * c * h * w];
            let (mut dcoefficient, mut dbias) = (vec![0.0; c], vec![0.0; c]);
            for (i, dy) in to_f64(&case.dy).into_iter().enumerate() {
                let (plane, row, col) = (i / (oh * ow), i / ow % oh * stride[0], i % ow * stride[1]);
                dcoefficient[plane % c] += dy * sums[i];
                dbias[plane % c] += dy;
                for (a, b) in (0..kernel[0]).flat_map(|a| (0..kernel[1]).map(move |b| (a, b))) {
                    let at = (plane * h + row + a) * w + col + b;
                    want_dx[at] += dy * f64::from(case.coefficient.data()[plane % c]);
                }
            }
            everywhere(|| {
                let [y, dx, of_coefficient, of_bias] = case.run();
                assert_exact("y", &y, &case.want);
                assert_exact("dx", &dx, &want_dx);
                assert_exact("dcoefficient", &of_coefficient, &dcoefficient);
                assert_exact("dbias", &of_bias, &dbias);
            });
        }

        #[test]
        fn with_a_constant_coefficient_it_averages(kernel in prop::array::uniform2(0..3u32), h in 4..9usize, w in 4..9usize,
                                                   seed: u64) {
            let kernel = kernel.map(|k| 1 << k);
            let x = whole_numbers([2, 3, h, w], 99, seed);
            let coefficient = Tensor::full([3], 1.0 / (kernel[0] * kernel[1]) as f32);
            let y = Subsample::new(kernel).infer(&x, &coefficient, &Tensor::zeros([3])).unwrap();
            prop_assert_eq!(y, AvgPool2d::new(kernel).forward(&x).unwrap());
        }

        /// No options, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_options_are_errors(kernel in [any_extent(), any_extent()], stride in [any_extent(), any_extent()],
                                     x in any_shape()) {
            let op = Subsample { kernel, stride };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()).max(channels(x)) < 100_000 {
                let mut c = Tensor::zeros([channels(x)]);
                let (got, saved) = op.forward(&Tensor::zeros(x), &c, &c).unwrap();
                prop_assert_eq!(got.shape(), y);
                let dx = op.backward(&saved, &c.clone(), &got, &mut c.clone(), &mut c).unwrap();
                prop_assert_eq!(dx.shape(), x);
            }
        }
    }

    #[test]
    fn gradients_of_parameters_are_added() {
        let case = Case::new(Subsample::new([2, 2]), [3, 2, 4, 4], distinct).unwrap();
        let Case { op, x, coefficient, bias, dy, .. } = &case;
        let [_, _, once, dbias_once] = case.run();
        let (_, saved) = op.forward(x, coefficient, bias).unwrap();
        let (mut dcoefficient, mut dbias) = (once.clone(), dbias_once.clone());
        op.backward(&saved, coefficient, dy, &mut dcoefficient, &mut dbias).unwrap();
        let twice = |once: &Tensor| to_f64(once).iter().map(|v| 2.0 * v).collect::<Vec<_>>();
        assert_close(&dcoefficient, &twice(&once));
        assert_close(&dbias, &twice(&dbias_once));
    }

    #[test]
    fn nan_and_infinity_stay_in_their_windows_and_channels() {
        let mut x = Tensor::zeros([1, 2, 1, 6]);
        (x.data_mut()[0], x.data_mut()[4]) = (f32::NAN, f32::INFINITY);
        let ones = Tensor::full([2], 1.0);
        let op = Subsample::new([1, 2]);
        let y = op.infer(&x, &ones, &ones).unwrap();
        assert!(y.data()[0].is_nan());
        assert_eq!(y.data()[1..], [1.0, f32::INFINITY, 1.0, 1.0, 1.0]);
        let coefficient = Tensor::from_vec([2], vec![1.0, f32::NAN]).unwrap();
        let y = op.infer(&Tensor::zeros([1, 2, 1, 2]), &coefficient, &ones).unwrap();
        assert!(y.data()[0] == 1.0 && y.data()[1].is_nan());
    }

    #[test]
    fn an_empty_batch_gives_an_empty_batch_and_no_gradients() {
        let op = Subsample::new([2, 2]);
        let ones = Tensor::full([3], 1.0);
        let (y, saved) = op.forward(&Tensor::zeros([0, 3, 4, 4]), &ones, &ones).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2, 2]));
        let (mut dcoefficient, mut dbias) = (ones.clone(), ones.clone());
        let dx = op.backward(&saved, &ones, &y, &mut dcoefficient, &mut dbias).unwrap();
        assert_eq!((dx.shape(), dcoefficient, dbias), ([0, 3, 4, 4].into(), ones.clone(), ones));
    }

    #[test]
    fn threads_change_nothing() {
        let case = Case::new(Subsample::new([2, 3]), [5, 3, 75, 76], distinct).unwrap();
        assert_same_bits_on_any_threads(|| case.run().into());
    }

    #[test]
    fn errors_say_what_is_expected_and_nothing_is_added() {
        let message = |op: Subsample, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (Subsample::new([2, 2]), Shape::from([1, 3, 2, 4]));
        assert_eq!(message(op, [4].into()), "subsample: x expects [n, c, h, w], got shape [4]");
        let kernel = message(Subsample::new([2, 0]), x);
        assert_eq!(kernel, "subsample: kernel must be at least 1, got [2, 0]");
        assert_eq!(message(op.with_stride([0, 1]), x), "subsample: stride must be at least 1, got [0, 1]");
        let large = message(Subsample::new([3, 1]), x);
        assert_eq!(large, "subsample: a window of 3 with padding 0 does not fit an input extent of 2");

        let text = |error: OpError| error.to_string();
        let (x, three, four) = (Tensor::zeros(x), Tensor::zeros([3]), Tensor::zeros([4]));
        let error = text(op.infer(&x, &four, &three).unwrap_err());
        assert_eq!(error, "subsample: coefficient expects shape [3], got [4]");
        let error = text(op.forward(&x, &three, &four).unwrap_err());
        assert_eq!(error, "subsample: bias expects shape [3], got [4]");

        let (y, saved) = op.forward(&x, &three, &three).unwrap();
        let dy = Tensor::full(y.shape(), 1.0);
        let (mut a, mut b, mut other) = (three.clone(), three.clone(), four.clone());
        let error = text(op.backward(&saved, &four, &dy, &mut a, &mut b).unwrap_err());
        assert_eq!(error, "subsample: coefficient expects shape [3], got [4]");
        let error = text(op.backward(&saved, &three, &x, &mut a, &mut b).unwrap_err());
        assert_eq!(error, "subsample: dy expects shape [1, 3, 1, 2], got [1, 3, 2, 4]");
        let error = text(op.backward(&saved, &three, &dy, &mut other, &mut b).unwrap_err());
        assert_eq!(error, "subsample: dcoefficient expects shape [3], got [4]");
        let error = text(op.backward(&saved, &three, &dy, &mut a, &mut other).unwrap_err());
        assert_eq!(error, "subsample: dbias expects shape [3], got [4]");
        let wider = Subsample::new([1, 1]);
        let error = text(wider.backward(&saved, &three, &x, &mut a, &mut b).unwrap_err());
        assert_eq!(error, "subsample: saved expects shape [1, 3, 2, 4], got [1, 3, 1, 2]");
        assert_eq!((a, b), (three.clone(), three));
    }
}
