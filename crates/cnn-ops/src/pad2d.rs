//! 2-D padding: rows and columns added around each plane.
//!
//! `y[n, c, i, j] = x[n, c, row(i - top), col(j - left)]`, where `row` and `col` take positions outside the plane back
//! into it, `E` being the extent of `x` on that axis:
//!
//! | mode          | position `p < 0` | position `p >= E`   | PyTorch's layer     |
//! |---------------|------------------|---------------------|---------------------|
//! | `reflect`     | `-p`             | `2 (E - 1) - p`     | `ReflectionPad2d`   |
//! | `replicate`   | `0`              | `E - 1`             | `ReplicationPad2d`  |
//! | `circular`    | `p` modulo `E`   | `p` modulo `E`      | `CircularPad2d`     |
//! | `constant`    | the value        | the value           | `ConstantPad2d`     |
//! | `zeros`       | 0                | 0                   | `ZeroPad2d`         |
//!
//! The backward pass adds every `dy` to the `dx` of the element that was copied; those of constants are dropped.
//!
//! **Conventions.** PyTorch's: reflection leaves out the edge itself and needs padding below the extent; replication and
//! circular padding need an element to repeat, and the latter may be larger than the plane, unlike PyTorch's; constants can surround any plane, even one without elements. NaN and infinity are copied.
//!
//! **Algorithm.** Row by row of the output: the middle is copied whole, the edges element by element. Where elements
//! meet in the backward pass, they are added in the row-major order of `dy`, but the middle of a row before its edges.
//!
//! Source: I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning" (2016), section 9.5 (zeros); J. Johnson, A. Alahi
//! and L. Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016, supplementary
//! material (reflection against border artefacts).

use crate::shared::check;
use crate::shared::work::worth_a_thread;
use crate::{Crop2d, Margins, OpError};
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "pad2d";

/// The options of a padding.
///
/// ```
/// use cnn_ops::Pad2d;
/// use cnn_ops::pad2d::PadMode;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 2.0, 3.0])?;
/// let op = Pad2d::new([[0, 0], [2, 1]]);
/// assert_eq!(op.forward(&x)?.data(), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
/// let op = op.mode(PadMode::Reflect);
/// assert_eq!(op.forward(&x)?.data(), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
/// let dx = op.backward(x.shape(), &Tensor::full([1, 1, 1, 6], 1.0))?;
/// assert_eq!(dx.data(), [1.0, 3.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad2d {
    /// Rows and columns added, `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; 2],
    /// The numbers they hold.
    #[serde(default)]
    pub mode: PadMode,
}

/// The numbers that padding holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// Zeros.
    #[default]
    Zeros,
    /// One number everywhere; `{"constant": 0.5}` in JSON.
    Constant(f32),
    /// The plane mirrored at its outermost rows and columns, which are not repeated.
    Reflect,
    /// The nearest element of the plane.
    Replicate,
    /// The plane repeated in all directions: ONNX's and NumPy's `wrap`.
    Circular,
}

impl Pad2d {
    /// Zeros around: one number for all sides, `[rows, columns]`, or `[[top, bottom], [left, right]]`.
    pub fn new(padding: impl Margins) -> Self {
        Self { padding: padding.margins(), mode: PadMode::Zeros }
    }

    /// Sets the numbers that the padding holds.
    #[must_use]
    pub fn mode(self, mode: PadMode) -> Self {
        Self { mode, ..self }
    }

    /// `[n, c, h, w]` to `[n, c, top + h + bottom, left + w + right]`.
    ///
    /// # Errors
    /// `x` is not of rank 4, reflected padding is not less than the extent, there is nothing to replicate, or the
    /// padding or the output is larger than an operation may make.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let [n, c, h, w] = check::nchw(OP, "x", x)?;
        let [rows, cols] = self.padding;
        let nothing = h == 0 || w == 0;
        let too_far = rows.iter().any(|&p| p >= h) || cols.iter().any(|&p| p >= w);
        match self.mode {
            PadMode::Reflect if too_far => {
                let rule = "less than the extent that it reflects";
                let got = format!("{:?} for {:?}", self.padding, [h, w]);
                return Err(OpError::Option { op: OP, option: "padding", rule, got });
            }
            PadMode::Replicate | PadMode::Circular if nothing => {
                let (rule, got) = ("at least [1, 1] to be replicated", format!("{:?}", [h, w]));
                return Err(OpError::Option { op: OP, option: "the plane", rule, got });
            }
            _ => {}
        }
        let sum = |extent: usize, [before, after]: [usize; 2]| extent.checked_add(before)?.checked_add(after);
        let (Some(oh), Some(ow)) = (sum(h, rows), sum(w, cols)) else {
            let (rule, got) = ("small enough to be counted", format!("{:?}", self.padding));
            return Err(OpError::Option { op: OP, option: "padding", rule, got });
        };
        check::output(OP, [n, c, oh, ow])
    }

    /// `y` of shape `[n, c, top + h + bottom, left + w + right]` from `x` of shape `[n, c, h, w]`.
    ///
    /// # Errors
    /// Those of [`Pad2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let mut y = Tensor::scratch(self.output_shape(x.shape())?);
        if y.data().is_empty() {
            return Ok(y);
        }
        let [rows, cols] = self.axes(x.shape());
        let planes = planes_per_chunk(&rows, &cols);
        parallel::for_each_chunk(y.data_mut(), planes * rows.padded * cols.padded, |i, y| {
            for (plane, y) in y.chunks_exact_mut(rows.padded * cols.padded).enumerate() {
                let start = (i * planes + plane) * rows.extent * cols.extent;
                let x = &x.data()[start..][..rows.extent * cols.extent];
                for (at, y) in y.chunks_exact_mut(cols.padded).enumerate() {
                    match rows.source(at) {
                        Some(row) => cols.pad(self.value(), &x[row * cols.extent..][..cols.extent], y),
                        None => y.fill(self.value()),
                    }
                }
            }
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of the shape of `y`.
    ///
    /// # Errors
    /// Those of [`Pad2d::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        check::shape(OP, "dy", self.output_shape(x)?, dy)?;
        if matches!(self.mode, PadMode::Zeros | PadMode::Constant(_)) {
            return Crop2d::new(self.padding).forward(dy);
        }
        let mut dx = Tensor::zeros(x);
        if dx.data().is_empty() {
            return Ok(dx);
        }
        let [rows, cols] = self.axes(x);
        let planes = planes_per_chunk(&rows, &cols);
        parallel::for_each_chunk(dx.data_mut(), planes * rows.extent * cols.extent, |i, dx| {
            for (plane, dx) in dx.chunks_exact_mut(rows.extent * cols.extent).enumerate() {
                let start = (i * planes + plane) * rows.padded * cols.padded;
                let dy = &dy.data()[start..][..rows.padded * cols.padded];
                for (at, dy) in dy.chunks_exact(cols.padded).enumerate() {
                    if let Some(row) = rows.source(at) {
                        cols.add_back(dy, &mut dx[row * cols.extent..][..cols.extent]);
                    }
                }
            }
        });
        Ok(dx)
    }

    /// The numbers outside the plane.
    fn value(&self) -> f32 {
        if let PadMode::Constant(value) = self.mode { value } else { 0.0 }
    }

    /// Both axes of a valid padding of planes that there are.
    fn axes(&self, x: Shape) -> [Axis; 2] {
        [0, 1].map(|axis| {
            let (extent, [before, after]) = (x.dims()[2 + axis], self.padding[axis]);
            Axis { mode: self.mode, before, extent, padded: before + extent + after }
        })
    }
}

/// Planes that make a piece of work worth a thread.
fn planes_per_chunk(rows: &Axis, cols: &Axis) -> usize {
    const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
    (WORTH_A_THREAD / (rows.padded * cols.padded)).max(1)
}

/// The rows of a plane, or the columns.
struct Axis {
    mode: PadMode,
    /// Padding before the first element.
    before: usize,
    /// Elements of `x`.
    extent: usize,
    /// Elements of `y`.
    padded: usize,
}

impl Axis {
    /// The element of `x` that stands at `at` in `y`; none where a constant does.
    fn source(&self, at: usize) -> Option<usize> {
        let position = at.checked_sub(self.before);
        let last = self.extent.saturating_sub(1);
        match (position, self.mode) {
            (Some(inside), _) if inside < self.extent => Some(inside),
            (_, PadMode::Zeros | PadMode::Constant(_)) => None,
            (None, PadMode::Reflect) => Some(self.before - at),
            (Some(after), PadMode::Reflect) => Some(2 * last - after),
            (None, PadMode::Replicate) => Some(0),
            (Some(_), PadMode::Replicate) => Some(last),
            (None, PadMode::Circular) => Some(last - (self.before - at - 1) % self.extent),
            (Some(after), PadMode::Circular) => Some(after % self.extent),
        }
    }

    /// The positions in `y` before the elements of `x` and after them.
    fn edges(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.before).chain(self.before + self.extent..self.padded)
    }

    /// One row of `y` from one of `x`.
    fn pad(&self, value: f32, x: &[f32], y: &mut [f32]) {
        y[self.before..][..self.extent].copy_from_slice(x);
        for at in self.edges() {
            y[at] = self.source(at).map_or(value, |source| x[source]);
        }
    }

    /// Adds one row of `dy` to the row of `dx` that it was copied from.
    fn add_back(&self, dy: &[f32], dx: &mut [f32]) {
        dx.iter_mut().zip(&dy[self.before..]).for_each(|(dx, dy)| *dx += dy);
        for at in self.edges() {
            if let Some(source) = self.source(at) {
                dx[source] += dy[at];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: Pad2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let [[top, bottom], [left, right]] = op.padding.map(|side| side.map(|p| p as isize));
        let inside = |position: isize, extent: usize| {
            let last = extent as isize - 1;
            match op.mode {
                PadMode::Reflect if position > last => 2 * last - position,
                PadMode::Reflect => position.abs(),
                PadMode::Replicate => position.clamp(0, last),
                PadMode::Circular => position.rem_euclid(last + 1),
                _ => position,
            }
        };
        let mut y = vec![];
        for plane in 0..n * c {
            for i in -top..h as isize + bottom {
                for j in -left..w as isize + right {
                    let (i, j) = (inside(i, h) as usize, inside(j, w) as usize);
                    let value = if let PadMode::Constant(value) = op.mode { value } else { 0.0 };
                    y.push(if i < h && j < w { x[(plane * h + i) * w + j] } else { value.into() });
                }
            }
        }
        y
    }

    /// The transpose of the definition, read off it: `dx[i]` sums `dy` wherever the definition copies element `i`.
    fn adjoint(op: Pad2d, shape: [usize; 4], dy: &[f64]) -> Vec<f64> {
        let count: usize = shape.iter().product();
        let places =
            oracle(op.without_value(), shape, &(0..count).map(|i| i as f64 + 1.0).collect::<Vec<_>>());
        let mut dx = vec![0.0; count];
        places.iter().zip(dy).filter(|(i, _)| **i > 0.0).for_each(|(i, dy)| dx[*i as usize - 1] += dy);
        dx
    }

    impl Pad2d {
        fn without_value(self) -> Self {
            let constant = matches!(self.mode, PadMode::Constant(_));
            self.mode(if constant { PadMode::Zeros } else { self.mode })
        }
    }

    fn any_mode() -> impl Strategy<Value = PadMode> {
        let constant = (-9..9i8).prop_map(|value| PadMode::Constant(value.into()));
        prop_oneof![
            Just(PadMode::Zeros),
            constant,
            Just(PadMode::Reflect),
            Just(PadMode::Replicate),
            Just(PadMode::Circular)
        ]
    }

    /// Checks both passes on whole numbers: a selection, and sums of selections, are exact.
    fn check_exactly(op: Pad2d, shape: [usize; 4], seed: u64) {
        let x = whole_numbers(shape, 1000, seed);
        let y = op.output_shape(shape.into()).unwrap();
        let dy = whole_numbers(y, 1000, seed ^ 1);
        let (want, dx) = (oracle(op, shape, &to_f64(&x)), adjoint(op, shape, &to_f64(&dy)));
        everywhere(|| {
            assert_exact("y", &op.forward(&x).unwrap(), &want);
            assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &dx);
        });
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(padding in prop::array::uniform2(prop::array::uniform2(0..4usize)),
                                  mode in any_mode(), n in 0..3usize, c in 0..4usize, h in 0..5usize,
                                  w in 0..5usize, seed: u64) {
            let op = Pad2d { padding, mode };
            prop_assume!(op.output_shape([n, c, h, w].into()).is_ok());
            check_exactly(op, [n, c, h, w], seed);
        }

        #[test]
        fn the_backward_pass_is_the_adjoint(padding in prop::array::uniform2(prop::array::uniform2(0..3usize)),
                                            mode in any_mode(), n in 1..3usize, h in 3..5usize, w in 3..5usize,
                                            seed: u64) {
            // A constant is not part of the linear map.
            let op = Pad2d { padding, mode }.without_value();
            let x = distinct([n, 2, h, w], seed);
            let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
            everywhere(|| {
                let y = op.forward(&x).unwrap();
                let dy = distinct(y.shape(), seed ^ 1);
                let dx = op.backward(x.shape(), &dy).unwrap();
                assert_close(&Tensor::full([1], dot(&x, &dx) as f32), &[dot(&y, &dy)]);
            });
        }

        #[test]
        fn absurd_options_are_errors(padding in prop::array::uniform2(prop::array::uniform2(any_extent())),
                                     mode in any_mode(), x in any_shape()) {
            let op = Pad2d { padding, mode };
            if let Ok(y) = op.output_shape(x) && y.numel() <= 100_000 && x.numel() <= 100_000 {
                prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
                prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
            }
        }
    }

    #[test]
    fn larger_planes_match_the_definition_too() {
        let constant = PadMode::Constant(3.0);
        for mode in [PadMode::Zeros, constant, PadMode::Reflect, PadMode::Replicate, PadMode::Circular] {
            check_exactly(Pad2d { padding: [[16, 3], [0, 20]], mode }, [2, 3, 17, 21], 0);
        }
    }

    #[test]
    fn reflection_leaves_out_the_edge_replication_repeats_it_and_circles_close() {
        let x = Tensor::from_vec([1, 1, 1, 4], vec![0.0, 1.0, 2.0, 3.0]).unwrap();
        let pad = |mode| Pad2d { padding: [[0, 0], [3, 2]], mode }.forward(&x).unwrap();
        assert_eq!(pad(PadMode::Reflect).data(), [3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(pad(PadMode::Replicate).data(), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(pad(PadMode::Circular).data(), [1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0, 0.0, 1.0]);
        assert_eq!(pad(PadMode::Constant(7.0)).data(), [7.0, 7.0, 7.0, 0.0, 1.0, 2.0, 3.0, 7.0, 7.0]);
    }

    #[test]
    fn constants_go_around_nothing() {
        let y =
            Pad2d::new([[1, 1], [0, 1]]).mode(PadMode::Constant(2.0)).forward(&Tensor::zeros([1, 1, 0, 1]));
        assert_eq!(y.unwrap(), Tensor::full([1, 1, 2, 2], 2.0));
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let x = Tensor::from_vec([1, 1, 1, 2], vec![f32::NAN, f32::INFINITY]).unwrap();
        let op = Pad2d { padding: [[0, 0], [1, 1]], mode: PadMode::Replicate };
        let y = op.forward(&x).unwrap();
        assert!(y.data()[..2].iter().all(|y| y.is_nan()));
        assert_eq!(y.data()[2..], [f32::INFINITY; 2]);
        let y = op.mode(PadMode::Constant(f32::NEG_INFINITY)).forward(&x).unwrap();
        assert_eq!(y.data()[0], f32::NEG_INFINITY);
        let dy = Tensor::from_vec([1, 1, 1, 4], vec![f32::NAN, 1.0, 2.0, f32::NAN]).unwrap();
        assert_eq!(Pad2d::new(op.padding).backward(x.shape(), &dy).unwrap().data(), [1.0, 2.0]);
    }

    #[test]
    fn an_empty_batch_is_padded_to_an_empty_batch() {
        for mode in [PadMode::Zeros, PadMode::Reflect, PadMode::Replicate, PadMode::Circular] {
            let op = Pad2d { padding: [[1, 1], [2, 0]], mode };
            let y = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
            assert_eq!(y.shape(), Shape::from([0, 3, 6, 6]));
            assert_eq!(op.backward([0, 3, 4, 4].into(), &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
        }
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([3, 5, 11, 12], 0);
        for mode in [PadMode::Zeros, PadMode::Reflect, PadMode::Replicate, PadMode::Circular] {
            let op = Pad2d { padding: [[3, 4], [5, 2]], mode };
            assert_same_bits_on_any_threads(|| {
                let y = op.forward(&x).unwrap();
                let dx = op.backward(x.shape(), &distinct(y.shape(), 1)).unwrap();
                vec![y, dx]
            });
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: Pad2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (Pad2d::new([[3, 0], [0, 0]]), Shape::from([1, 1, 3, 4]));
        assert_eq!(message(op, [4].into()), "pad2d: x expects [n, c, h, w], got shape [4]");
        assert_eq!(
            message(op.mode(PadMode::Reflect), x),
            "pad2d: padding must be less than the extent that it reflects, got [[3, 0], [0, 0]] for [3, 4]"
        );
        assert_eq!(
            message(op.mode(PadMode::Replicate), [1, 1, 3, 0].into()),
            "pad2d: the plane must be at least [1, 1] to be replicated, got [3, 0]"
        );
        assert_eq!(
            message(op.mode(PadMode::Circular), [1, 1, 0, 3].into()),
            "pad2d: the plane must be at least [1, 1] to be replicated, got [0, 3]"
        );
        assert_eq!(
            message(Pad2d::new([[0, 1 << 27], [0, 0]]), x),
            "pad2d: the output must be at most 2^28 elements for one image, got [1, 1, 134217731, 4]"
        );
        assert_eq!(
            message(Pad2d::new([[0, 0], [usize::MAX, 0]]), x),
            format!("pad2d: padding must be small enough to be counted, got [[0, 0], [{}, 0]]", usize::MAX)
        );
        let error = op.backward(x, &Tensor::zeros([1, 1, 3, 4])).unwrap_err();
        assert_eq!(error.to_string(), "pad2d: dy expects shape [1, 1, 6, 4], got [1, 1, 3, 4]");
    }
}
