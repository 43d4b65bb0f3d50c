//! Concatenation of tensors along the channels, and the cut back into them.
//!
//! `y[n, c, ...] = x_i[n, c - o_i, ...]` for `o_i <= c < o_i + c_i`, where `o_i = c_0 + ... + c_(i-1)`: the channels of
//! `x_0`, then those of `x_1`, and so on. The backward pass is [`split`]: `dx_i[n, c, ...] = dy[n, o_i + c, ...]`.
//!
//! **Conventions.** Channels are axis 1, as in images `[n, c, h, w]` and features `[n, features]`; the ranks, and all
//! extents but the channels, are equal. As PyTorch's `torch.cat(dim=1)`, except that a tensor of shape `[0]` is not
//! skipped but an error. A tensor may have no channels. Numbers are copied, NaN and infinity among them.
//!
//! **Algorithm.** An image of `y` is one run of numbers from each `x_i`, and runs are copied whole.
//!
//! Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4, whose inception modules
//! concatenate filter banks.

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::{Recycled, Shape, Tensor, parallel};
use std::borrow::Borrow;

const OP: &str = "concat";

/// `[n, c_i, ...]` for each of the inputs to `[n, sum of c_i, ...]`.
///
/// # Errors
/// There are no inputs, one has no axis of channels, one disagrees with the first in more than the channels, or the
/// result has more elements than an operation may make.
pub fn output_shape(xs: &[Shape]) -> Result<Shape, OpError> {
    let first = *xs.first().ok_or_else(none)?;
    let mut channels = 0_usize;
    for &x in xs {
        let expected = with_channels(first, self::channels("x", x)?)?;
        if x != expected {
            return Err(OpError::Shape { op: OP, what: "x", expected, got: x });
        }
        channels = channels.saturating_add(x.dims()[1]);
    }
    check::output(OP, with_channels(first, channels)?)
}

/// The inputs side by side, `[n, sum of c_i, ...]`.
///
/// ```
/// use cnn_ops::concat::{concat, split};
/// use cnn_tensor::Tensor;
/// let a = Tensor::from_vec([2, 1], vec![1.0, 2.0])?;
/// let b = Tensor::from_vec([2, 2], vec![10.0, 20.0, 30.0, 40.0])?;
/// let y = concat(&[&a, &b])?;
/// assert_eq!(y.data(), [1.0, 10.0, 20.0, 2.0, 30.0, 40.0]);
/// assert_eq!(split(&y, &[1, 2])?, [a, b]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`output_shape`].
pub fn concat(xs: &[impl Borrow<Tensor> + Sync]) -> Result<Tensor, OpError> {
    let shapes: Recycled<Shape> = xs.iter().map(|x| x.borrow().shape()).collect();
    let shape = output_shape(&shapes)?;
    let mut y = Tensor::scratch(shape);
    let images = images_per_chunk(per_image(shape));
    parallel::for_each_chunk(y.data_mut(), images * per_image(shape), |i, y| {
        for (image, mut y) in y.chunks_exact_mut(per_image(shape)).enumerate() {
            for x in xs.iter().map(Borrow::borrow) {
                let (own, rest) = y.split_at_mut(per_image(x.shape()));
                own.copy_from_slice(&x.data()[(i * images + image) * own.len()..][..own.len()]);
                y = rest;
            }
        }
    });
    Ok(y)
}

/// The backward pass: the gradient of each input, `[n, c_i, ...]`, from `dy` and the inputs' numbers of channels.
///
/// # Errors
/// There are no inputs, `dy` has no axis of channels, or its channels are not as many as the inputs' together.
pub fn split(dy: &Tensor, channels: &[usize]) -> Result<Recycled<Tensor>, OpError> {
    let got = self::channels("dy", dy.shape())?;
    if channels.is_empty() {
        return Err(none());
    }
    let expected = channels.iter().fold(0, |sum: usize, &c| sum.saturating_add(c));
    if got != expected {
        return Err(OpError::Extent { op: OP, what: "dy", unit: "channels", expected, got });
    }
    let (each, mut start) = (per_image(dy.shape()), 0);
    let mut dxs = Recycled::with_capacity(channels.len());
    for &channels in channels {
        let shape = with_channels(dy.shape(), channels)?;
        let (own, mut dx) = (per_image(shape), Tensor::scratch(shape));
        let images = images_per_chunk(own);
        parallel::for_each_chunk(dx.data_mut(), images * own, |i, dx| {
            for (image, dx) in dx.chunks_exact_mut(own).enumerate() {
                dx.copy_from_slice(&dy.data()[(i * images + image) * each + start..][..own]);
            }
        });
        start += own;
        dxs.push(dx);
    }
    Ok(dxs)
}

fn none() -> OpError {
    OpError::Option { op: OP, option: "the number of inputs", rule: "at least 1", got: "0".into() }
}

/// The number of channels of the argument `what`.
fn channels(what: &'static str, x: Shape) -> Result<usize, OpError> {
    x.dims().get(1).copied().ok_or(OpError::Rank { op: OP, what, expected: "[n, c, ...]", got: x })
}

/// The shape with another number of channels.
fn with_channels(x: Shape, channels: usize) -> Result<Shape, OpError> {
    let mut dims = [0; Shape::MAX_RANK];
    let dims = &mut dims[..x.rank()];
    dims.copy_from_slice(x.dims());
    dims[1] = channels;
    Shape::new(dims).map_err(|fault| OpError::Tensor { op: OP, fault })
}

/// Elements of one image; 0 for an empty batch too.
fn per_image(x: Shape) -> usize {
    x.numel().checked_div(x.batch()).unwrap_or(0)
}

/// Images that make a piece of work worth a thread.
fn images_per_chunk(per_image: usize) -> usize {
    const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
    (WORTH_A_THREAD / per_image.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_shape, assert_same_bits_on_any_threads, everywhere};
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: `xs` are the channels of each input and its numbers.
    fn oracle(n: usize, inner: usize, xs: &[(usize, Vec<f64>)]) -> Vec<f64> {
        let mut y = vec![];
        for image in 0..n {
            for (channels, x) in xs {
                for c in 0..*channels {
                    for i in 0..inner {
                        y.push(x[(image * channels + c) * inner + i]);
                    }
                }
            }
        }
        y
    }

    proptest! {
        #[test]
        fn matches_the_definition(n in 0..4usize, rest in prop::collection::vec(0..5usize, 0..3),
                                  channels in prop::collection::vec(0..5usize, 1..5), seed: u64) {
            let shape = |c| Shape::new(&[&[n, c], &rest[..]].concat()).unwrap();
            let xs: Vec<Tensor> = (seed..).zip(&channels).map(|(seed, &c)| distinct(shape(c), seed)).collect();
            let inner = rest.iter().product();
            let want = oracle(n, inner, &xs.iter().map(|x| (x.shape().dims()[1], to_f64(x))).collect::<Vec<_>>());
            everywhere(|| {
                let y = concat(&xs.iter().collect::<Vec<_>>()).unwrap();
                assert_eq!(y.shape(), shape(channels.iter().sum()));
                assert!(y.data().iter().map(|&y| f64::from(y)).eq(want.iter().copied()));
                // A copy's adjoint is the copy back: what comes back is what went in.
                assert_eq!(split(&y, &channels).unwrap()[..], xs[..]);
            });
        }

        #[test]
        fn the_backward_pass_is_the_adjoint(n in 1..4usize, channels in prop::collection::vec(0..5usize, 1..4),
                                            inner in 1..5usize, seed: u64) {
            let xs: Vec<Tensor> = channels.iter().map(|&c| distinct([n, c, inner], seed ^ c as u64)).collect();
            let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
            everywhere(|| {
                let y = concat(&xs.iter().collect::<Vec<_>>()).unwrap();
                let dy = distinct(y.shape(), seed ^ 99);
                let dxs = split(&dy, &channels).unwrap();
                let sum: f64 = xs.iter().zip(&dxs).map(|(x, dx)| dot(x, dx)).sum();
                assert_close(&Tensor::full([1], sum as f32), &[dot(&y, &dy)]);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(xs in prop::collection::vec(any_shape(), 0..4), share in any::<bool>(),
                                    channels in prop::collection::vec(crate::testing::any_extent(), 0..4)) {
            // Shapes that agree in most extents are accepted now and then.
            let xs: Vec<Shape> = if share { xs.iter().map(|_| xs[0]).collect() } else { xs };
            let accepted = output_shape(&xs);
            if xs.iter().chain(&accepted).all(|x| x.numel() <= 100_000) {
                let xs: Vec<Tensor> = xs.iter().map(|&x| Tensor::zeros(x)).collect();
                let y = concat(&xs.iter().collect::<Vec<_>>());
                prop_assert_eq!(y.is_ok(), accepted.is_ok());
                for dy in xs.iter().chain(&y) {
                    let _ = split(dy, &channels);
                }
            }
        }
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let (a, b) = (Tensor::full([1, 1], f32::NAN), Tensor::full([1, 1], f32::INFINITY));
        let y = concat(&[&a, &b]).unwrap();
        assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY);
    }

    #[test]
    fn an_empty_batch_and_no_channels_are_values() {
        let (a, b) = (Tensor::zeros([0, 2, 3, 3]), Tensor::zeros([0, 0, 3, 3]));
        let y = concat(&[&a, &b, &a]).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 4, 3, 3]));
        assert_eq!(split(&y, &[2, 0, 2]).unwrap(), [a.clone(), b, a]);
    }

    #[test]
    fn threads_change_nothing() {
        let (a, b) = (distinct([5, 3, 70], 0), distinct([5, 2, 70], 1));
        assert_same_bits_on_any_threads(|| {
            let y = concat(&[&a, &b]).unwrap();
            [vec![y.clone()], split(&y, &[1, 4]).unwrap().to_vec()].concat()
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |xs: &[Shape]| output_shape(xs).unwrap_err().to_string();
        let x = Shape::from([2, 3, 4, 4]);
        assert_eq!(message(&[]), "concat: the number of inputs must be at least 1, got 0");
        assert_eq!(message(&[x, [0].into()]), "concat: x expects [n, c, ...], got shape [0]");
        assert_eq!(
            message(&[x, [2, 7, 4, 5].into()]),
            "concat: x expects shape [2, 7, 4, 4], got [2, 7, 4, 5]"
        );
        assert_eq!(message(&[x, [2, 7].into()]), "concat: x expects shape [2, 7, 4, 4], got [2, 7]");
        let many = [Shape::from([1, 1 << 27]); 3];
        assert_eq!(
            message(&many),
            "concat: the output must be at most 2^28 elements for one image, got [1, 402653184]"
        );
        let dy = Tensor::zeros([1, 5]);
        let message = |dy: &Tensor, channels: &[usize]| split(dy, channels).unwrap_err().to_string();
        assert_eq!(message(&dy, &[2, 2]), "concat: dy expects 4 channels, got 5");
        assert_eq!(message(&dy, &[]), "concat: the number of inputs must be at least 1, got 0");
        assert_eq!(message(&Tensor::zeros([5]), &[5]), "concat: dy expects [n, c, ...], got shape [5]");
    }
}
