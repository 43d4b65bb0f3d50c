//! The rectifier with a learnt slope.
//!
//! ```text
//! y[n, c, ...]  = x where x[n, c, ...] > 0, else weight[c] x
//! dx[n, c, ...] = dy where x[n, c, ...] > 0, else weight[c] dy
//! dweight[c]    = sum of x dy over all of channel c where x is not above 0
//! ```
//!
//! Channels are axis 1. A weight of a single number serves all channels.
//!
//! **Conventions.** As PyTorch: at 0 and at NaN, `dx` is `weight dy`; a NaN stays NaN, in `dweight` too; minus infinity
//! times a weight of 0 is NaN.
//!
//! **Algorithm.** Channel after channel of each image. The sums of `dweight` are taken in f64, first over each channel of
//! each image, then over these in the order of the images, and rounded once.
//!
//! Source: K. He, X. Zhang, S. Ren and J. Sun, "Delving Deep into Rectifiers", ICCV 2015, eq. 1 and 5.
//!
//! ```
//! use cnn_ops::prelu;
//! use cnn_tensor::Tensor;
//! let x = Tensor::from_vec([1, 2, 2], vec![-2.0, 2.0, -4.0, 4.0])?;
//! let weight = Tensor::from_vec([2], vec![0.5, 0.25])?;
//! assert_eq!(prelu::forward(&x, &weight)?.data(), [-1.0, 2.0, -1.0, 4.0]);
//! let mut dweight = Tensor::zeros([2]);
//! let dx = prelu::backward(&x, &weight, &Tensor::full([1, 2, 2], 1.0), &mut dweight)?;
//! assert_eq!(dx.data(), [0.5, 1.0, 0.25, 1.0]);
//! assert_eq!(dweight.data(), [-2.0, -4.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Recycled, Shape, Tensor, parallel};

const OP: &str = "prelu";

/// Elements that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 15);

/// The shape of `x`, `[n, c, ...]`, if `weight` is of shape `[c]` or `[1]`.
///
/// # Errors
/// `x` is of rank below 2, or `weight` not of such a shape.
pub fn output_shape(x: Shape, weight: Shape) -> Result<Shape, OpError> {
    Channels::new(x, "weight", weight).map(|_| x)
}

/// `y` of the shape of `x`, `[n, c, ...]`, for a `weight` of shape `[c]` or `[1]`.
///
/// # Errors
/// Those of [`output_shape`].
pub fn forward(x: &Tensor, weight: &Tensor) -> Result<Tensor, OpError> {
    let channels = Channels::new(x.shape(), "weight", weight.shape())?;
    let mut y = Tensor::scratch(x.shape());
    let chunk = channels.planes_per_chunk() * channels.plane;
    parallel::for_each_chunk(y.data_mut(), chunk, |i, y| {
        let planes =
            y.chunks_exact_mut(channels.plane).zip(x.data()[i * chunk..].chunks_exact(channels.plane));
        for ((y, x), at) in planes.zip(i * channels.planes_per_chunk()..) {
            let slope = weight.data()[channels.weight_of(at)];
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x > 0.0 { x } else { slope * x });
        }
    });
    Ok(y)
}

/// Returns `dx` of the shape of `x`, and adds the gradient of the weight into `dweight`, of the shape of `weight`.
///
/// # Errors
/// Those of [`output_shape`], or a gradient does not have the shape of its parameter; then nothing has been
/// added.
pub fn backward(x: &Tensor, weight: &Tensor, dy: &Tensor, dweight: &mut Tensor) -> Result<Tensor, OpError> {
    let channels = Channels::new(x.shape(), "weight", weight.shape())?;
    check::shape(OP, "dweight", weight.shape(), dweight)?;
    backward_parameters(x, dy, dweight)?;
    let mut dx = Tensor::scratch(x.shape());
    let chunk = channels.planes_per_chunk() * channels.plane;
    parallel::for_each_chunk(dx.data_mut(), chunk, |i, dx| {
        let planes = dx.chunks_exact_mut(channels.plane).zip(i * channels.planes_per_chunk()..);
        for (dx, at) in planes {
            let slope = weight.data()[channels.weight_of(at)];
            let (x, dy) = (channels.plane_of(x, at), channels.plane_of(dy, at));
            for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                *dx = if x > 0.0 { dy } else { slope * dy };
            }
        }
    });
    Ok(dx)
}

/// [`backward`] without `dx`, for the first layer of a network.
///
/// # Errors
/// Those of [`backward`].
pub fn backward_parameters(x: &Tensor, dy: &Tensor, dweight: &mut Tensor) -> Result<(), OpError> {
    let channels = Channels::new(x.shape(), "dweight", dweight.shape())?;
    check::shape(OP, "dy", x.shape(), dy)?;
    let mut sums = Recycled::filled(0.0, channels.planes);
    parallel::for_each_chunk(&mut sums, channels.planes_per_chunk(), |i, sums| {
        for (sum, at) in sums.iter_mut().zip(i * channels.planes_per_chunk()..) {
            let pairs = channels.plane_of(x, at).iter().zip(channels.plane_of(dy, at));
            *sum = pairs.map(|(&x, &dy)| if x > 0.0 { 0.0 } else { f64::from(x) * f64::from(dy) }).sum();
        }
    });
    let mut total = Recycled::filled(0.0, channels.weights);
    sums.iter().enumerate().for_each(|(at, sum)| total[channels.weight_of(at)] += sum);
    dweight.data_mut().iter_mut().zip(&*total).for_each(|(dweight, &sum)| *dweight += sum as f32);
    Ok(())
}

/// The places of the channels of a tensor: planes of `plane` elements, image after image.
struct Channels {
    planes: usize,
    plane: usize,
    /// 1, or as many as there are channels.
    weights: usize,
}

impl Channels {
    /// Those of `x`, if the weight (or its gradient, as `what` says) fits.
    fn new(x: Shape, what: &'static str, weight: Shape) -> Result<Self, OpError> {
        let [_, c, plane] = check::channels(OP, "x", "[n, c, ...]", x)?;
        let weights = weight.numel();
        if weight.rank() != 1 || (weights != 1 && weights != c) {
            return Err(OpError::Shape { op: OP, what, expected: [c].into(), got: weight });
        }
        Ok(Self { planes: x.numel().checked_div(plane).unwrap_or(0), plane, weights })
    }

    fn planes_per_chunk(&self) -> usize {
        (WORTH_A_THREAD / self.plane.max(1)).max(1)
    }

    /// The weight of the plane `at`.
    fn weight_of(&self, at: usize) -> usize {
        at % self.weights
    }

    fn plane_of<'a>(&self, tensor: &'a Tensor, at: usize) -> &'a [f32] {
        &tensor.data()[at * self.plane..][..self.plane]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(shape: Shape, x: &[f64], weight: &[f64]) -> Vec<f64> {
        let (c, plane) = (shape.dims()[1], shape.dims()[2..].iter().product::<usize>());
        let y = |(i, &x): (usize, &f64)| {
            let channel = i / plane % c;
            if x > 0.0 { x } else { weight[channel % weight.len()] * x }
        };
        x.iter().enumerate().map(y).collect()
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        prop::collection::vec(0..4usize, 2..=6).prop_map(|dims| Shape::new(&dims).unwrap())
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(shape in shapes(), each: bool, seed: u64) {
            let x = distinct(shape, seed);
            let weight = distinct([if each { shape.dims()[1] } else { 1 }], seed ^ 1);
            let dy = distinct(shape, seed ^ 2);
            let (x64, w64) = (to_f64(&x), to_f64(&weight));
            let y = oracle(shape, &x64, &w64);
            let dx = gradient_of(&x, &dy, |x| oracle(shape, x, &w64));
            let dw = gradient_of(&weight, &dy, |w| oracle(shape, &x64, w));
            everywhere(|| {
                assert_close(&forward(&x, &weight).unwrap(), &y);
                let mut dweight = Tensor::zeros(weight.shape());
                assert_gradient_close("dx", &backward(&x, &weight, &dy, &mut dweight).unwrap(), &dx);
                assert_gradient_close("dweight", &dweight, &dw);
            });
        }

        /// Whole numbers are exact, and gradients of the weight are added.
        #[test]
        fn whole_numbers_are_exact(shape in prop::collection::vec(1..5usize, 2..=6), each: bool, seed: u64) {
            let shape = Shape::new(&shape).unwrap();
            let (x, dy) = (whole_numbers(shape, 9, seed), whole_numbers(shape, 9, seed ^ 1));
            let weight = whole_numbers([if each { shape.dims()[1] } else { 1 }], 9, seed ^ 2);
            let (x64, dy64, w64) = (to_f64(&x), to_f64(&dy), to_f64(&weight));
            let plane = shape.dims()[2..].iter().product::<usize>();
            let (mut dx, mut dw) = (dy64.clone(), vec![1.0; w64.len()]);
            for i in (0..x64.len()).filter(|&i| x64[i] <= 0.0) {
                let channel = i / plane % shape.dims()[1] % w64.len();
                dx[i] *= w64[channel];
                dw[channel] += 2.0 * x64[i] * dy64[i];
            }
            everywhere(|| {
                assert_exact("y", &forward(&x, &weight).unwrap(), &oracle(shape, &x64, &w64));
                let mut dweight = Tensor::full(weight.shape(), 1.0);
                assert_exact("dx", &backward(&x, &weight, &dy, &mut dweight).unwrap(), &dx);
                backward_parameters(&x, &dy, &mut dweight).unwrap();
                assert_exact("dweight", &dweight, &dw);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape(), c in any_extent()) {
            let fits = x.rank() >= 2 && (c == 1 || c == x.dims()[1]);
            prop_assert_eq!(output_shape(x, [c].into()).is_ok(), fits);
            if fits && x.numel() < 100_000 && c < 100_000 {
                let (x, weight) = (Tensor::zeros(x), Tensor::zeros([c]));
                let mut dweight = Tensor::zeros([c]);
                let y = forward(&x, &weight).unwrap();
                backward(&x, &weight, &y, &mut dweight).unwrap();
            }
        }
    }

    #[test]
    fn zero_nan_and_infinities() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let x = Tensor::from_vec([1, 4], vec![0.0, nan, -inf, inf]).unwrap();
        let dy = Tensor::full([1, 4], 2.0);
        everywhere(|| {
            let half = Tensor::full([4], 0.5);
            let y = forward(&x, &half).unwrap();
            assert!(y.data()[0] == 0.0 && y.data()[1].is_nan() && y.data()[2..] == [-inf, inf]);
            let mut dweight = Tensor::zeros([4]);
            assert_eq!(backward(&x, &half, &dy, &mut dweight).unwrap().data(), [1.0, 1.0, 1.0, 2.0]);
            let dw = dweight.data();
            assert!(dw[0] == 0.0 && dw[1].is_nan() && dw[2..] == [-inf, 0.0]);
            assert!(forward(&x, &Tensor::zeros([1])).unwrap().data()[2].is_nan());
        });
    }

    #[test]
    fn threads_change_nothing() {
        let (x, dy) = (distinct([5, 3, 150, 151], 0), distinct([5, 3, 150, 151], 1));
        for c in [1, 3] {
            let weight = distinct([c], 2);
            assert_same_bits_on_any_threads(|| {
                let mut dweight = Tensor::zeros([c]);
                let dx = backward(&x, &weight, &dy, &mut dweight).unwrap();
                vec![forward(&x, &weight).unwrap(), dx, dweight]
            });
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |x: Shape, w: Shape| output_shape(x, w).unwrap_err().to_string();
        let x = Shape::from([2, 3, 4]);
        assert_eq!(message([3].into(), [1].into()), "prelu: x expects [n, c, ...], got shape [3]");
        assert_eq!(message(x, [4].into()), "prelu: weight expects shape [3], got [4]");
        assert_eq!(message(x, [3, 1].into()), "prelu: weight expects shape [3], got [3, 1]");
        let (x, weight) = (Tensor::zeros(x), Tensor::zeros([3]));
        let message =
            |dy: &Tensor, dweight: &mut Tensor| backward(&x, &weight, dy, dweight).unwrap_err().to_string();
        let dy = Tensor::zeros([2, 3]);
        assert_eq!(message(&dy, &mut Tensor::zeros([3])), "prelu: dy expects shape [2, 3, 4], got [2, 3]");
        assert_eq!(message(&x, &mut Tensor::zeros([1])), "prelu: dweight expects shape [3], got [1]");
    }
}
