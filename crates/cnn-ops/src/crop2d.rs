//! 2-D cropping: rows and columns removed around each plane.
//!
//! `y[n, c, i, j] = x[n, c, top + i, left + j]` with `oh = h - top - bottom` and `ow = w - left - right`: the inverse of
//! zero padding, and its backward pass is zero padding.
//!
//! **Conventions.** As PyTorch's `F.pad` with negative numbers. Everything may be cropped away, which leaves planes
//! without elements. NaN and infinity are copied.
//!
//! **Algorithm.** Row by row of the output, each copied whole.
//!
//! Source: O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
//! MICCAI 2015, section 2, which crops feature maps before it concatenates them.

use crate::shared::check;
use crate::shared::work::worth_a_thread;
use crate::{Margins, OpError, Pad2d, Pair};
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "crop2d";

/// The options of a cropping.
///
/// ```
/// use cnn_ops::Crop2d;
/// use cnn_tensor::Tensor;
/// let op = Crop2d::new([[0, 0], [1, 2]]);
/// let x = Tensor::from_vec([1, 1, 1, 5], vec![1.0, 2.0, 3.0, 4.0, 5.0])?;
/// let y = op.forward(&x)?;
/// assert_eq!(y.data(), [2.0, 3.0]);
/// assert_eq!(op.backward(x.shape(), &y)?.data(), [0.0, 2.0, 3.0, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop2d {
    /// Rows and columns removed, `[[top, bottom], [left, right]]`.
    pub margins: [[usize; 2]; 2],
}

impl Crop2d {
    /// Without these rows and columns: one number for all sides, `[rows, columns]`, or `[[top, bottom], [left, right]]`.
    pub fn new(margins: impl Margins) -> Self {
        Self { margins: margins.margins() }
    }

    /// Leaves the middle `size`, `[oh, ow]`, of a `plane` of `[h, w]`. Where an odd number of rows or columns has to go, one
    /// more goes at the bottom or on the right. (torchvision's `CenterCrop` rounds to even, so that it alternates.)
    ///
    /// ```
    /// use cnn_ops::Crop2d;
    /// assert_eq!(Crop2d::center([5, 6], [2, 4])?.margins, [[1, 2], [1, 1]]);
    /// # Ok::<(), cnn_ops::OpError>(())
    /// ```
    ///
    /// # Errors
    /// The middle is larger than the plane.
    pub fn center(plane: impl Pair, size: impl Pair) -> Result<Self, OpError> {
        let ([h, w], [oh, ow]) = (plane.pair(), size.pair());
        if oh > h || ow > w {
            let (rule, got) = ("at most the plane's", format!("{:?} of {:?}", [oh, ow], [h, w]));
            return Err(OpError::Option { op: OP, option: "size", rule, got });
        }
        let margins = [h - oh, w - ow].map(|surplus| [surplus / 2, surplus - surplus / 2]);
        Ok(Self { margins })
    }

    /// `[n, c, h, w]` to `[n, c, h - top - bottom, w - left - right]`.
    ///
    /// # Errors
    /// `x` is not of rank 4, or the margins are more than it has rows or columns.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let [n, c, h, w] = check::nchw(OP, "x", x)?;
        let rest =
            |extent: usize, [before, after]: [usize; 2]| extent.checked_sub(before)?.checked_sub(after);
        let [rows, cols] = self.margins;
        let (Some(oh), Some(ow)) = (rest(h, rows), rest(w, cols)) else {
            let (rule, got) = ("at most the plane", format!("{:?} of {:?}", self.margins, [h, w]));
            return Err(OpError::Option { op: OP, option: "margins", rule, got });
        };
        Ok([n, c, oh, ow].into())
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`.
    ///
    /// # Errors
    /// Those of [`Crop2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let shape = self.output_shape(x.shape())?;
        let mut y = Tensor::scratch(shape);
        let (&[_, _, h, w], &[_, _, oh, ow]) = (x.shape().dims(), shape.dims()) else { return Ok(y) };
        if shape.numel() == 0 {
            return Ok(y);
        }
        let planes = (WORTH_A_THREAD / (oh * ow)).max(1);
        let [[top, _], [left, _]] = self.margins;
        parallel::for_each_chunk(y.data_mut(), planes * oh * ow, |i, y| {
            let x = &x.data()[i * planes * h * w..];
            for (x, y) in x.chunks_exact(h * w).zip(y.chunks_exact_mut(oh * ow)) {
                for (x, y) in x.chunks_exact(w).skip(top).zip(y.chunks_exact_mut(ow)) {
                    y.copy_from_slice(&x[left..][..ow]);
                }
            }
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, oh, ow]`; 0 where `x` was cropped.
    ///
    /// # Errors
    /// Those of [`Crop2d::output_shape`], `dy` does not have the shape of `y`, or `x` has more elements than an operation
    /// may make.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        check::shape(OP, "dy", self.output_shape(x)?, dy)?;
        if check::gradient(OP, x)?.numel() == 0 {
            return Ok(Tensor::zeros(x));
        }
        Pad2d::new(self.margins).forward(dy)
    }
}

/// Elements of `y` that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: Crop2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let [[top, bottom], [left, right]] = op.margins;
        let mut y = vec![];
        for plane in 0..n * c {
            for i in top..h - bottom {
                for j in left..w - right {
                    y.push(x[(plane * h + i) * w + j]);
                }
            }
        }
        y
    }

    /// Its transpose: `dy` where it was copied from, 0 elsewhere.
    fn adjoint(op: Crop2d, shape: [usize; 4], dy: &[f64]) -> Vec<f64> {
        let places: Vec<f64> = (0..shape.iter().product()).map(|i: usize| i as f64).collect();
        let mut dx = vec![0.0; places.len()];
        oracle(op, shape, &places).iter().zip(dy).for_each(|(i, dy)| dx[*i as usize] = *dy);
        dx
    }

    fn check_exactly(op: Crop2d, shape: [usize; 4], seed: u64) {
        let x = whole_numbers(shape, 1 << 23, seed);
        let dy = whole_numbers(op.output_shape(shape.into()).unwrap(), 1 << 23, seed ^ 1);
        let (y, dx) = (oracle(op, shape, &to_f64(&x)), adjoint(op, shape, &to_f64(&dy)));
        everywhere(|| {
            assert_exact("y", &op.forward(&x).unwrap(), &y);
            assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &dx);
        });
    }

    fn any_margins() -> impl Strategy<Value = [[usize; 2]; 2]> {
        prop::array::uniform2(prop::array::uniform2(0..4usize))
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(margins in any_margins(), n in 0..3usize, c in 0..4usize, oh in 0..4usize,
                                  ow in 0..4usize, seed: u64) {
            let [rows, cols] = margins.map(|[before, after]| before + after);
            check_exactly(Crop2d { margins }, [n, c, oh + rows, ow + cols], seed);
        }

        #[test]
        fn padding_by_what_was_cropped_is_the_adjoint_and_the_inverse(margins in any_margins(), n in 1..3usize,
                                                                      h in 1..4usize, w in 1..4usize, seed: u64) {
            let (op, small) = (Crop2d { margins }, distinct([n, 2, h, w], seed));
            let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
            everywhere(|| {
                let large = Pad2d::new(margins).forward(&small).unwrap();
                assert_eq!(op.forward(&large).unwrap(), small);
                let x = distinct(large.shape(), seed ^ 1);
                let (y, dx) = (op.forward(&x).unwrap(), op.backward(x.shape(), &small).unwrap());
                assert_close(&Tensor::full([1], dot(&x, &dx) as f32), &[dot(&y, &small)]);
            });
        }

        #[test]
        fn the_middle_is_in_the_middle(h in 0..20usize, w in 0..20usize, oh in 0..20usize, ow in 0..20usize) {
            let center = Crop2d::center([h, w], [oh, ow]);
            prop_assert_eq!(center.is_ok(), oh <= h && ow <= w);
            let Ok(op) = center else { return Ok(()) };
            prop_assert_eq!(op.output_shape([1, 1, h, w].into()).unwrap(), Shape::from([1, 1, oh, ow]));
            prop_assert!(op.margins.iter().all(|[before, after]| after - before <= 1));
        }

        #[test]
        fn absurd_options_are_errors(margins in prop::array::uniform2(prop::array::uniform2(any_extent())),
                                     x in any_shape(), size in prop::array::uniform2(any_extent())) {
            let of = [x.dims().first(), x.dims().last()].map(|extent| extent.copied().unwrap_or(0));
            for op in Crop2d::center(of, size).into_iter().chain([Crop2d { margins }]) {
                let Ok(y) = op.output_shape(x) else { continue };
                if x.numel() <= 100_000 {
                    prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
                    prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
                } else if y.numel() == 0 && x.numel() / x.batch() > 1 << 28 {
                    prop_assert!(op.backward(x, &Tensor::zeros(y)).is_err());
                }
            }
        }
    }

    #[test]
    fn larger_planes_match_the_definition_too() {
        check_exactly(Crop2d::new([[3, 0], [1, 9]]), [2, 5, 17, 21], 0);
    }

    #[test]
    fn everything_may_be_cropped_away() {
        let (op, x) = (Crop2d::new([[1, 1], [0, 0]]), Tensor::full([1, 1, 2, 3], 1.0));
        let y = op.forward(&x).unwrap();
        assert_eq!(y.shape(), Shape::from([1, 1, 0, 3]));
        assert_eq!(op.backward(x.shape(), &y).unwrap(), Tensor::zeros([1, 1, 2, 3]));
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let x = Tensor::from_vec([1, 1, 1, 3], vec![f32::NAN, f32::INFINITY, f32::NAN]).unwrap();
        let y = Crop2d::new([[0, 0], [1, 0]]).forward(&x).unwrap();
        assert!(y.data()[0] == f32::INFINITY && y.data()[1].is_nan());
    }

    #[test]
    fn an_empty_batch_is_cropped_to_an_empty_batch() {
        let op = Crop2d::new([[1, 0], [0, 2]]);
        let y = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 3, 2]));
        assert_eq!(op.backward([0, 3, 4, 4].into(), &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
    }

    #[test]
    fn an_empty_batch_of_huge_planes_is_nothing() {
        let (op, x) = (Crop2d::new([[0, 0], [1 << 40, 0]]), Shape::from([0, 1, 1, 1 << 40]));
        let y = op.forward(&Tensor::zeros(x)).unwrap();
        assert_eq!(op.backward(x, &y).unwrap().shape(), x);
    }

    #[test]
    fn threads_change_nothing() {
        let (op, x) = (Crop2d::new([[1, 2], [3, 0]]), distinct([3, 5, 11, 12], 0));
        assert_same_bits_on_any_threads(|| {
            let y = op.forward(&x).unwrap();
            let dx = op.backward(x.shape(), &y).unwrap();
            vec![y, dx]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: Crop2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (Crop2d::new([[2, 2], [0, 0]]), Shape::from([1, 1, 3, 4]));
        assert_eq!(message(op, [4].into()), "crop2d: x expects [n, c, h, w], got shape [4]");
        assert_eq!(
            message(op, x),
            "crop2d: margins must be at most the plane, got [[2, 2], [0, 0]] of [3, 4]"
        );
        let error = Crop2d::center([3, 4], [3, 5]).unwrap_err().to_string();
        assert_eq!(error, "crop2d: size must be at most the plane's, got [3, 5] of [3, 4]");
        let huge = Crop2d::new([[0, 0], [1 << 29, 0]])
            .backward([1, 1, 2, 1 << 29].into(), &Tensor::zeros([1, 1, 2, 0]));
        assert_eq!(
            huge.unwrap_err().to_string(),
            "crop2d: the output must be at most 2^28 elements for one image, got [1, 1, 2, 536870912]"
        );
        let error = Crop2d::new([[1, 0], [0, 0]]).backward(x, &Tensor::zeros([1, 1, 3, 4])).unwrap_err();
        assert_eq!(error.to_string(), "crop2d: dy expects shape [1, 1, 2, 4], got [1, 1, 3, 4]");
    }
}
