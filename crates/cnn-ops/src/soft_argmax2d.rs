//! Soft argmax: the expected position of each map, `[n, c, h, w]` to `[n, 2 c]`.
//!
//! Each map is a distribution over its cells, `p = softmax of x[n, k] over h and w`. The outputs are the means of the cells'
//! centres under it: `y[n, 2 k] = sum of p[i, j] ((j + 1/2) / w - 1/2)`, to the right, and
//! `y[n, 2 k + 1] = sum of p[i, j] ((i + 1/2) / h - 1/2)`, down. So 0 is the middle of the map, and its borders are -1/2 and 1/2.
//!
//! A network that ends so answers with coordinates, trained by any regression loss, and still works with maps inside. Unlike
//! the place of the largest number, the mean has a derivative, and may lie between two cells.
//!
//! Gradients, with `u` and `v` the centre of a cell: `dx = p ((u - y[2 k]) dy[2 k] + (v - y[2 k + 1]) dy[2 k + 1])`.
//!
//! **Algorithm.** The [softmax](mod@crate::softmax) of rows of `h w` cells, then sums in f64, map after map.
//!
//! **Conventions.** Those of the softmax: a map with a NaN or plus infinity has NaN for both coordinates.
//!
//! Source: X. Sun, B. Xiao, F. Wei, S. Liang, Y. Wei, "Integral Human Pose Regression", ECCV 2018, section 3.

use crate::shared::check;
use crate::{OpError, softmax};
use cnn_tensor::{Shape, Tensor};

const OP: &str = "soft_argmax2d";

/// The values that the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    /// `[n c, h w]`.
    probabilities: Tensor,
    y: Tensor,
}

/// `[n, 2 c]` for `x` of shape `[n, c, h, w]`.
///
/// # Errors
/// `x` is of another rank, or a map has no cells.
pub fn output_shape(x: Shape) -> Result<Shape, OpError> {
    let [n, c, h, w] = check::nchw(OP, "x", x)?;
    if h == 0 || w == 0 {
        let expected = "[n, c, h, w] with at least one row and column";
        return Err(OpError::Rank { op: OP, what: "x", expected, got: x });
    }
    check::output(OP, [n, c.saturating_mul(2)])
}

/// The expected position of each map.
///
/// ```
/// use cnn_ops::soft_argmax2d;
/// use cnn_tensor::Tensor;
/// // One map of 2 x 4 cells, certain of the last one, whose centre lies 3/8 to the right and 1/4 down.
/// let mut x = Tensor::zeros([1, 1, 2, 4]);
/// x.data_mut()[7] = 100.0;
/// let (y, _) = soft_argmax2d::forward(x)?;
/// assert_eq!(y.data(), [0.375, 0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`output_shape`].
pub fn forward(x: Tensor) -> Result<(Tensor, Saved), OpError> {
    let (shape, output) = (x.shape(), output_shape(x.shape())?);
    let [n, c, h, w] = check::nchw(OP, "x", shape)?;
    let maps = x.reshape([n * c, h * w]).map_err(|fault| OpError::Tensor { op: OP, fault })?;
    let probabilities = softmax::softmax(&maps)?;
    let mut y = Tensor::scratch(output);
    for (y, p) in y.data_mut().chunks_exact_mut(2).zip(probabilities.data().chunks_exact(h * w)) {
        let mut mean = [0.0, 0.0];
        for (v, row) in (0..).zip(p.chunks_exact(w)) {
            let v = centre(v, h);
            for (u, &p) in (0..).zip(row) {
                mean[0] += f64::from(p) * centre(u, w);
                mean[1] += f64::from(p) * v;
            }
        }
        y.copy_from_slice(&mean.map(|mean| mean as f32));
    }
    Ok((y.clone(), Saved { x: shape, probabilities, y }))
}

/// `dx` from `dy` of the shape of the output.
///
/// # Errors
/// `dy` is of another shape.
pub fn backward(saved: Saved, dy: &Tensor) -> Result<Tensor, OpError> {
    let Saved { x, probabilities, y } = saved;
    check::shape(OP, "dy", y.shape(), dy)?;
    let [_, _, h, w] = check::nchw(OP, "x", x)?;
    let mut dx = probabilities;
    let pairs = y.data().chunks_exact(2).zip(dy.data().chunks_exact(2));
    for (dx, (y, dy)) in dx.data_mut().chunks_exact_mut(h * w).zip(pairs) {
        let ([mean_u, mean_v], [du, dv]) = ([y[0], y[1]].map(f64::from), [dy[0], dy[1]].map(f64::from));
        for (v, row) in (0..).zip(dx.chunks_exact_mut(w)) {
            let down = (centre(v, h) - mean_v) * dv;
            for (u, dx) in (0..).zip(row) {
                *dx = (f64::from(*dx) * ((centre(u, w) - mean_u) * du + down)) as f32;
            }
        }
    }
    dx.reshape(x).map_err(|fault| OpError::Tensor { op: OP, fault })
}

/// The centre of cell `i` of `extent`, from the middle, in units of the extent.
fn centre(i: usize, extent: usize) -> f64 {
    (i as f64 + 0.5) / extent as f64 - 0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle([n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let mut y = Vec::new();
        for map in 0..n * c {
            let x = &x[map * h * w..][..h * w];
            let total: f64 = x.iter().map(|x| x.exp()).sum();
            let mean = |position: &dyn Fn(usize) -> f64| -> f64 {
                (0..h * w).map(|i| x[i].exp() / total * position(i)).sum()
            };
            y.push(mean(&|i| ((i % w) as f64 + 0.5) / w as f64 - 0.5));
            y.push(mean(&|i| ((i / w) as f64 + 0.5) / h as f64 - 0.5));
        }
        y
    }

    proptest! {
        #[test]
        fn it_is_its_definition_and_so_is_its_gradient(
            n in 0..3usize, c in 0..4usize, h in 1..6usize, w in 1..6usize, scale in 1..20u8, seed: u64,
        ) {
            let mut x = distinct([n, c, h, w], seed);
            x.data_mut().iter_mut().for_each(|x| *x *= f32::from(scale) / 2.0);
            let dy = distinct([n, 2 * c], seed ^ 1);
            everywhere(|| {
                let (y, saved) = forward(x.clone()).unwrap();
                assert_eq!(y.shape(), output_shape(x.shape()).unwrap());
                assert_close(&y, &oracle([n, c, h, w], &to_f64(&x)));
                let dx = backward(saved, &dy).unwrap();
                assert_gradient("dx", &x, &dx, &dy, |x| oracle([n, c, h, w], x));
            });
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape()) {
            if let Ok(y) = output_shape(x) && x.numel() <= 100_000 {
                let (got, saved) = forward(Tensor::zeros(x)).unwrap();
                prop_assert_eq!(got.shape(), y);
                prop_assert_eq!(backward(saved, &got).unwrap().shape(), x);
            }
        }
    }

    #[test]
    fn flat_maps_have_their_middle_and_maps_with_nan_are_alone() {
        let mut x = Tensor::zeros([1, 2, 3, 4]);
        x.data_mut()[0] = f32::NAN;
        let (y, _) = forward(x).unwrap();
        assert!(y.data()[..2].iter().all(|y| y.is_nan()));
        assert!(y.data()[2..].iter().all(|y| y.abs() < 1e-7), "{y:?}");
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error = |dims: &[usize]| output_shape(Shape::new(dims).unwrap()).unwrap_err().to_string();
        assert_eq!(error(&[2, 3]), "soft_argmax2d: x expects [n, c, h, w], got shape [2, 3]");
        assert!(error(&[2, 3, 0, 4]).contains("at least one row and column"));
        let (y, saved) = forward(Tensor::zeros([1, 1, 2, 2])).unwrap();
        assert!(backward(saved, &y.reshape([2, 1]).unwrap()).is_err());
    }
}
