use super::*;
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::testing::{assert_close, assert_gradient, distinct, to_f64};
use proptest::prelude::*;

/// The definition, term by term.
fn oracle(op: Conv2d, x_shape: Shape, w_shape: Shape, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let [n, c_in, h, w] = x_shape.nchw().unwrap();
    let [c_out, c, kh, kw] = w_shape.nchw().unwrap();
    let [_, _, oh, ow] = op.output_shape(x_shape, w_shape).unwrap().nchw().unwrap();
    let mut y = Vec::with_capacity(n * c_out * oh * ow);
    for (n, co) in (0..n).flat_map(|n| (0..c_out).map(move |co| (n, co))) {
        for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
            let mut sum = bias[co];
            for (ci, a, b) in (0..c * kh * kw).map(|tap| (tap / (kh * kw), tap / kw % kh, tap % kw)) {
                let row = (i * op.stride[0] + a * op.dilation[0]).wrapping_sub(op.padding[0]);
                let column = (j * op.stride[1] + b * op.dilation[1]).wrapping_sub(op.padding[1]);
                if row < h && column < w {
                    let channel = co / (c_out / op.groups) * c + ci;
                    let at = ((n * c_in + channel) * h + row) * w + column;
                    sum += weight[((co * c + ci) * kh + a) * kw + b] * x[at];
                }
            }
            y.push(sum);
        }
    }
    y
}

#[derive(Clone, Debug)]
struct Case {
    op: Conv2d,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    dy: Tensor,
}

impl Case {
    fn new(op: Conv2d, x: [usize; 4], c_out: usize, seed: u64) -> Result<Self, OpError> {
        let weight_shape = op.weight_shape(x.into(), c_out)?;
        let y_shape = op.output_shape(x.into(), weight_shape)?;
        Ok(Self {
            op,
            x: distinct(x, seed),
            weight: distinct(weight_shape, seed ^ 1),
            bias: distinct([c_out], seed ^ 2),
            dy: distinct(y_shape, seed ^ 3),
        })
    }

    fn oracle(&self, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        oracle(self.op, self.x.shape(), self.weight.shape(), x, weight, bias)
    }

    /// The algorithms that can compute this case.
    fn algorithms(&self) -> Vec<Algorithm> {
        let extents = self.op.extents(self.x.shape(), self.weight.shape()).unwrap();
        let lanes = lanes::reversible(&extents).then_some(Algorithm::Lanes);
        [Some(Algorithm::Im2col), lanes].into_iter().flatten().collect()
    }

    /// `y`, `dx`, `dweight` and `dbias`.
    fn run(&self, algorithm: Algorithm) -> [Tensor; 4] {
        let (op, weight) = (self.op, &self.weight);
        let (y, saved) = op.forward_by(|_| algorithm, &self.x, weight, Some(&self.bias)).unwrap();
        let mut dweight = Tensor::zeros(weight.shape());
        let mut dbias = Tensor::zeros(self.bias.shape());
        let dx = op.backward(&saved, weight, &self.dy, &mut dweight, Some(&mut dbias)).unwrap();
        let mut again = Tensor::full(weight.shape(), 1.0);
        op.backward_parameters(&saved, weight, &self.dy, &mut again, None).unwrap();
        let added: Vec<f64> = to_f64(&dweight).iter().map(|v| v + 1.0).collect();
        assert_close(&again, &added);
        [y, dx, dweight, dbias]
    }

    /// Every algorithm and level against the oracle and its differences, and threads against each other.
    fn check(&self) {
        let [x, weight, bias] = [&self.x, &self.weight, &self.bias].map(to_f64);
        let want = self.oracle(&x, &weight, &bias);
        let [y, dx, dweight, dbias] = self.run(Algorithm::Im2col);
        assert_close(&y, &want);
        assert_gradient("dx", &self.x, &dx, &self.dy, |x| self.oracle(x, &weight, &bias));
        assert_gradient("dweight", &self.weight, &dweight, &self.dy, |weight| self.oracle(&x, weight, &bias));
        assert_gradient("dbias", &self.bias, &dbias, &self.dy, |bias| self.oracle(&x, &weight, bias));
        let gradients = [to_f64(&dx), to_f64(&dweight), to_f64(&dbias)];
        for (algorithm, &level) in
            self.algorithms().into_iter().flat_map(|a| Level::all().iter().map(move |l| (a, l)))
        {
            with_level(level, || {
                let got = self.run(algorithm);
                assert_close(&got[0], &want);
                got[1..].iter().zip(&gradients).for_each(|(got, want)| assert_close(got, want));
                let threads = Threads::new(3).unwrap().run(|| self.run(algorithm));
                assert_eq!(got, threads, "the same bits for 1 and 3 threads");
            });
        }
    }
}

prop_compose! {
    fn cases()(
        n in 1..4usize, groups in 1..4usize, c_in in 1..3usize, c_out in 1..4usize,
        hw in prop::array::uniform2(1..8usize), kernel in prop::array::uniform2(1..4usize),
        stride in prop::array::uniform2(1..4usize), padding in prop::array::uniform2(0..4usize),
        dilation in prop::array::uniform2(1..3usize), unit: bool, seed: u64,
    ) -> Option<Case> {
        let stride = if unit { [1, 1] } else { stride };
        let op = Conv2d { kernel, stride, padding, dilation, groups };
        Case::new(op, [n, groups * c_in, hw[0], hw[1]], groups * c_out, seed).ok()
    }
}

proptest! {
    #![proptest_config(crate::testing::any_number_of_rejects())]

    #[test]
    fn matches_its_oracle_and_gradient(case in cases().prop_filter_map("the window fits", |case| case)) {
        case.check();
    }
}

/// Batches that fill blocks of sixteen in every way, channel counts that need every tile, LeNet-5's layers.
#[test]
fn algorithms_agree_on_larger_shapes() {
    let lenet = Conv2d::new([5, 5]);
    let cases = [
        (lenet.with_padding([2, 2]), [17, 1, 28, 28], 6),
        (lenet, [32, 6, 14, 14], 16),
        (Conv2d::new([3, 2]).with_dilation([2, 1]).with_padding([1, 1]), [15, 3, 9, 13], 13),
        (Conv2d::new([3, 3]).with_groups(4).with_padding([1, 1]), [33, 4, 8, 7], 20),
    ];
    for (op, x, c_out) in cases {
        let case = Case::new(op, x, c_out, 5).unwrap();
        let want = case.run(Algorithm::Im2col).map(|t| to_f64(&t));
        for &level in Level::all() {
            with_level(level, || {
                let got = case.run(Algorithm::Lanes);
                for (got, want) in got.iter().zip(&want) {
                    let largest = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                    for (got, want) in got.data().iter().zip(want) {
                        assert!((f64::from(*got) - want).abs() < 1e-5 * largest, "{got} instead of {want}");
                    }
                }
                for threads in [2, 8] {
                    let pool = Threads::new(threads).unwrap();
                    assert_eq!(got, pool.run(|| case.run(Algorithm::Lanes)), "the same bits for any threads");
                }
            });
        }
    }
}

/// Convolution is linear: `<conv(x), dy> = <x, dx> = <weight, dweight>`, also where differences would be too slow.
#[test]
fn backward_is_the_adjoint_of_forward() {
    let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
    for (op, x, c_out) in [
        (Conv2d::new([11, 11]).with_stride([4, 4]).with_padding([2, 2]), [2, 3, 63, 63], 16),
        (Conv2d::new([5, 5]).with_padding([2, 2]).with_groups(2), [3, 16, 27, 27], 32),
        (Conv2d::new([3, 3]).with_padding([1, 1]), [40, 8, 14, 14], 12),
    ] {
        let mut case = Case::new(op, x, c_out, 3).unwrap();
        case.bias = Tensor::zeros([c_out]);
        for algorithm in case.algorithms() {
            let [y, dx, dweight, _] = case.run(algorithm);
            let want = dot(&y, &case.dy);
            assert!((dot(&case.x, &dx) - want).abs() <= 1e-4 * want.abs().max(1.0), "{algorithm:?}");
            assert!(
                (dot(&case.weight, &dweight) - want).abs() <= 1e-4 * want.abs().max(1.0),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn empty_batches_and_channels_are_empty_results() {
    for (x, c_out) in [([0, 2, 5, 5], 3), ([2, 2, 5, 5], 0), ([2, 0, 5, 5], 3)] {
        let case = Case::new(Conv2d::new([3, 3]), x, c_out, 1).unwrap();
        for algorithm in case.algorithms() {
            let [y, dx, ..] = case.run(algorithm);
            assert_eq!(y.shape(), [x[0], c_out, 3, 3].into());
            assert!(dx.data().iter().all(|&v| v == 0.0), "no output depends on the input");
            let bias_alone =
                y.data().iter().enumerate().all(|(i, &v)| v == case.bias.data()[i / 9 % c_out.max(1)]);
            assert!(bias_alone, "{algorithm:?} {x:?}");
        }
    }
}

/// A window that sees only padding yields the bias.
#[test]
fn padding_counts_as_zero() {
    let op = Conv2d::new([1, 1]).with_padding([2, 0]);
    let (x, weight) = (Tensor::full([1, 1, 1, 1], 7.0), Tensor::full([1, 1, 1, 1], 3.0));
    let y = op.infer(&x, &weight, Some(&Tensor::full([1], 0.5))).unwrap();
    assert_eq!(y.data(), [0.5, 0.5, 21.5, 0.5, 0.5]);
}

#[test]
fn nan_and_infinity_are_values() {
    for n in [1, 16] {
        let mut x = Tensor::full([n, 1, 1, 3], 1.0);
        x.data_mut()[..3].copy_from_slice(&[f32::NAN, f32::INFINITY, 1.0]);
        let y = Conv2d::new([1, 1]).infer(&x, &Tensor::full([1, 1, 1, 1], 2.0), None).unwrap();
        assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY && y.data()[2] == 2.0);
        assert!(y.data()[3..].iter().all(|&v| v == 2.0), "other images are not touched");
    }
}

#[test]
fn faults_are_named() {
    let message = |op: Conv2d, x: [usize; 4], weight: [usize; 4]| {
        op.output_shape(x.into(), weight.into()).unwrap_err().to_string()
    };
    let op = Conv2d::new([3, 3]);
    assert_eq!(message(op, [1, 3, 8, 8], [16, 64, 3, 3]), "conv2d: weight expects 64 input channels, got 3");
    assert_eq!(
        message(op, [1, 3, 2, 8], [16, 3, 3, 3]),
        "conv2d: a window of 3 with padding 0 does not fit an input extent of 2"
    );
    assert_eq!(
        message(op.with_stride([1, 0]), [1, 3, 8, 8], [16, 3, 3, 3]),
        "conv2d: stride must be at least 1, got [1, 0]"
    );
    assert_eq!(
        message(op.with_groups(2), [1, 3, 8, 8], [16, 3, 3, 3]),
        "conv2d: groups must be a divisor of both channel counts, got 2 for 3 input and 16 output channels"
    );
    assert_eq!(
        message(op.with_groups(0), [1, 3, 8, 8], [16, 3, 3, 3]),
        "conv2d: groups must be a divisor of both channel counts, got 0 for 3 input and 16 output channels"
    );
    assert_eq!(
        message(op, [1, 3, 8, 8], [16, 3, 5, 3]),
        "conv2d: weight expects shape [16, 3, 3, 3], got [16, 3, 5, 3]"
    );
    let error = op.output_shape([3, 8, 8].into(), [16, 3, 3, 3].into()).unwrap_err();
    assert_eq!(error.to_string(), "conv2d: x expects [n, c, h, w], got shape [3, 8, 8]");
}

proptest! {
    /// No options and shapes, however absurd, make the shape rule panic.
    #[test]
    fn absurd_options_are_errors(
        kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize,
        x: [usize; 4], weight: [usize; 4],
    ) {
        let op = Conv2d { kernel, stride, padding, dilation, groups };
        let _ = op.output_shape(x.into(), weight.into());
        let _ = op.weight_shape(x.into(), weight[0]);
        let _ = op.macs(x.into(), weight.into());
    }

    #[test]
    fn odd_options_are_errors(
        kernel in prop::array::uniform2(0..5usize), stride in prop::array::uniform2(0..3usize),
        padding in prop::array::uniform2(prop_oneof![0..3usize, Just(usize::MAX)]),
        dilation in prop::array::uniform2(prop_oneof![0..3usize, Just(usize::MAX)]), groups in 0..4usize,
        x in prop::array::uniform4(0..5usize), c_out in 0..5usize,
    ) {
        let op = Conv2d { kernel, stride, padding, dilation, groups };
        if let Ok(weight) = op.weight_shape(x.into(), c_out) {
            let _ = op.output_shape(x.into(), weight);
        }
    }
}
