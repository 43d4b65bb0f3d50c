//! A slice along an axis: every `step`-th position from `start` to before `end`.
//!
//! Along axis `dim`, `y[n, ..., j, ...] = x[n, ..., start + j step, ...]` for as many `j` as stay below `end`. The backward
//! pass puts `dy` back where it came from, among zeros.
//!
//! **Conventions.** Axis 0 is the batch, of which nothing is left out. Python's meaning of a negative `start` or `end`:
//! counted from the end of the axis; no `end` is the axis's own. Unlike Python's, neither may lie outside of the axis, the
//! result may not be empty along `dim`, and `step` is 1 or more. Numbers are copied, NaN and infinity among them.
//!
//! **Algorithm.** At each position before the axis, runs of numbers are copied whole: a single one if `step` is 1, otherwise
//! one for each position taken; along the last axis these are single numbers, which a strided loop copies.

use crate::OpError;
use crate::shared::check;
use crate::shared::side_by_side::{check_dim, with_extent};
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "slice";

/// The options of a slice.
///
/// ```
/// use cnn_ops::Slice;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 5], vec![1.0, 2.0, 3.0, 4.0, 5.0])?;
/// let op = Slice::new(1, -4, None).step(2);
/// let y = op.forward(&x)?;
/// assert_eq!(y.data(), [2.0, 4.0]);
/// assert_eq!(op.backward(x.shape(), &y)?.data(), [0.0, 2.0, 0.0, 4.0, 0.0]);
/// assert_eq!(Slice::new(1, 0, Some(-3)).forward(&x)?.data(), [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The axis; not 0, the batch.
    pub dim: usize,
    /// The first position taken; from the end of the axis if negative. 0 unless given.
    #[serde(default)]
    pub start: isize,
    /// The position before which to stop; from the end of the axis if negative. The axis's end unless given.
    #[serde(default)]
    pub end: Option<isize>,
    /// From one position taken to the next, 1 or more. 1 unless given.
    #[serde(default = "one")]
    pub step: usize,
}

fn one() -> usize {
    1
}

/// The part taken of each row: the positions at one place before the axis, each with all that comes after it.
#[derive(Clone, Copy)]
struct Taken {
    start: usize,
    step: usize,
    count: usize,
    /// Positions of the whole row.
    extent: usize,
    /// Elements of one position.
    inner: usize,
}

impl Slice {
    /// Every position of axis `dim` from `start` to before `end`; `None` is the end of the axis.
    pub fn new(dim: usize, start: isize, end: impl Into<Option<isize>>) -> Self {
        Self { dim, start, end: end.into(), step: 1 }
    }

    /// Takes only every `step`-th of the positions.
    #[must_use]
    pub fn step(self, step: usize) -> Self {
        Self { step, ..self }
    }

    /// The shape of `x` with as many positions along `dim` as are taken.
    ///
    /// # Errors
    /// `dim` is 0 or an axis that `x` does not have, `start` or `end` lies outside of it, nothing is taken, `step` is 0, or
    /// the result has more elements than an operation may make.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let taken = self.taken(x)?;
        check::output(OP, with_extent(OP, x, self.dim, taken.count)?)
    }

    fn taken(&self, x: Shape) -> Result<Taken, OpError> {
        check_dim(OP, "x", self.dim, x)?;
        check::rule(OP, "step", "at least 1", self.step >= 1, self.step)?;
        let extent = x.dims()[self.dim];
        let place = |at: isize| match usize::try_from(at) {
            Ok(at) => (at <= extent).then_some(at),
            Err(_) => extent.checked_sub(at.unsigned_abs()),
        };
        let outside = |option, rule, got| {
            let got = format!("{got} for an extent of {extent}");
            OpError::Option { op: OP, option, rule, got }
        };
        let start = place(self.start).filter(|&start| start < extent);
        let start = start.ok_or_else(|| outside("start", "a position of the axis", self.start))?;
        let end = match self.end {
            Some(end) => place(end).ok_or_else(|| outside("end", "within the axis", end))?,
            None => extent,
        };
        let got = format_args!("{start} to {end}");
        check::rule(OP, "the slice", "of at least one position", start < end, got)?;
        let inner = x.dims()[self.dim + 1..].iter().fold(1, |product: usize, &e| product.saturating_mul(e));
        Ok(Taken { start, step: self.step, count: (end - start).div_ceil(self.step), extent, inner })
    }

    /// The positions taken of `x`.
    ///
    /// # Errors
    /// Those of [`Slice::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let (shape, taken) = (self.output_shape(x.shape())?, self.taken(x.shape())?);
        let mut y = Tensor::scratch(shape);
        if shape.numel() == 0 {
            return Ok(y);
        }
        let [whole, part] = [taken.extent * taken.inner, taken.count * taken.inner];
        let rows = rows_per_chunk(part);
        parallel::for_each_chunk(y.data_mut(), rows * part, |i, y| {
            let xs = x.data()[i * rows * whole..].chunks_exact(whole);
            xs.zip(y.chunks_exact_mut(part)).for_each(|(x, y)| taken.gather(x, y));
        });
        Ok(y)
    }

    /// `dx` of shape `x` from `dy`; 0 where nothing was taken.
    ///
    /// # Errors
    /// Those of [`Slice::output_shape`], `dy` does not have the shape of `y`, or `x` has more elements than an operation may
    /// make.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        check::shape(OP, "dy", self.output_shape(x)?, dy)?;
        let (taken, mut dx) = (self.taken(x)?, Tensor::scratch(check::gradient(OP, x)?));
        if dx.data().is_empty() {
            return Ok(dx);
        }
        let [whole, part] = [taken.extent * taken.inner, taken.count * taken.inner];
        let rows = rows_per_chunk(whole);
        parallel::for_each_chunk(dx.data_mut(), rows * whole, |i, dx| {
            let dys = dy.data()[i * rows * part..].chunks_exact(part);
            dys.zip(dx.chunks_exact_mut(whole)).for_each(|(dy, dx)| taken.scatter(dy, dx));
        });
        Ok(dx)
    }
}

impl Taken {
    /// One row of `y` from that of `x`.
    fn gather(&self, x: &[f32], y: &mut [f32]) {
        let x = &x[self.start * self.inner..];
        match (self.step, self.inner) {
            (1, _) => y.copy_from_slice(&x[..y.len()]),
            (step, 1) => y.iter_mut().zip(x.iter().step_by(step)).for_each(|(y, x)| *y = *x),
            (step, inner) => {
                let xs = x.chunks_exact(inner).step_by(step);
                y.chunks_exact_mut(inner).zip(xs).for_each(|(y, x)| y.copy_from_slice(x));
            }
        }
    }

    /// One row of `dx` from that of `dy`.
    fn scatter(&self, dy: &[f32], dx: &mut [f32]) {
        if self.step == 1 {
            let (before, dx) = dx.split_at_mut(self.start * self.inner);
            let (own, after) = dx.split_at_mut(dy.len());
            before.fill(0.0);
            own.copy_from_slice(dy);
            return after.fill(0.0);
        }
        dx.fill(0.0);
        let dxs = dx[self.start * self.inner..].chunks_exact_mut(self.inner).step_by(self.step);
        dxs.zip(dy.chunks_exact(self.inner)).for_each(|(dx, dy)| dx.copy_from_slice(dy));
    }
}

/// Rows that make a piece of work worth a thread.
fn rows_per_chunk(row: usize) -> usize {
    const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
    (WORTH_A_THREAD / row).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{distinct, to_f64};
    use proptest::prelude::*;

    /// Where in `x`, a tensor `[outer, extent, inner]`, the elements of the slice are: Python's `range(extent)[start:end:step]`.
    fn oracle(op: Slice, [outer, extent, inner]: [usize; 3]) -> Vec<usize> {
        let from_the_end = |at: isize| if at < 0 { extent as isize + at } else { at };
        let (start, end) = (from_the_end(op.start), op.end.map_or(extent as isize, from_the_end));
        let mut places = vec![];
        for at in 0..outer {
            for j in (start..end).step_by(op.step) {
                for i in 0..inner {
                    places.push((at * extent + j as usize) * inner + i);
                }
            }
        }
        places
    }

    /// A slice that takes something of an axis of that extent.
    fn options(extent: usize) -> impl Strategy<Value = (isize, Option<isize>, usize)> {
        let all = extent as isize;
        (0..all, 1..4usize, any::<[bool; 2]>(), any::<bool>()).prop_flat_map(
            move |(start, step, negative, open)| {
                (start + 1..=all).prop_map(move |end| {
                    // The end of the axis has no negative name.
                    let end = if negative[1] && end < all { end - all } else { end };
                    (if negative[0] { start - all } else { start }, (!open).then_some(end), step)
                })
            },
        )
    }

    proptest! {
        #[test]
        fn matches_the_definition(before in prop::collection::vec(0..4usize, 1..4),
                                  after in prop::collection::vec(0..4usize, 0..3),
                                  (extent, (start, end, step)) in (1..8usize).prop_flat_map(|e| (Just(e), options(e))),
                                  seed: u64) {
            let op = Slice { dim: before.len(), start, end, step };
            let shape = Shape::new(&[&before[..], &[extent], &after[..]].concat()).unwrap();
            let x = whole_numbers(shape, 1 << 23, seed);
            let places = oracle(op, [before.iter().product(), extent, after.iter().product()]);
            let x64 = to_f64(&x);
            let want: Vec<f64> = places.iter().map(|&at| x64[at]).collect();
            let dy = whole_numbers(op.output_shape(shape).unwrap(), 1 << 23, seed ^ 1);
            let mut want_dx = vec![0.0; x64.len()];
            places.iter().zip(to_f64(&dy)).for_each(|(&at, dy)| want_dx[at] = dy);
            everywhere(|| {
                assert_exact("y", &op.forward(&x).unwrap(), &want);
                assert_exact("dx", &op.backward(shape, &dy).unwrap(), &want_dx);
            });
        }

        #[test]
        fn absurd_options_are_errors(dim in any_extent(), start in any_place(), end in prop::option::of(any_place()),
                                     step in any_extent(), x in any_shape()) {
            let op = Slice { dim, start, end, step };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            prop_assert!(dim > 0 && step > 0 && y.dims()[dim] > 0);
            if x.numel() <= 100_000 {
                prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
                prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
            }
        }
    }

    fn any_place() -> impl Strategy<Value = isize> {
        prop_oneof![6 => -6..7isize, 1 => prop::sample::select(vec![isize::MIN, isize::MAX]), 1 => any::<isize>()]
    }

    fn of_ten(start: isize, end: Option<isize>, step: usize) -> Vec<f32> {
        let x = Tensor::from_vec([1, 10], (0..10).map(|i| i as f32).collect()).unwrap();
        Slice::new(1, start, end).step(step).forward(&x).unwrap().data().to_vec()
    }

    #[test]
    fn negative_places_count_from_the_end() {
        assert_eq!(of_ten(-3, None, 1), [7.0, 8.0, 9.0]);
        assert_eq!(of_ten(0, Some(-8), 1), [0.0, 1.0]);
        assert_eq!(of_ten(-10, Some(10), 4), [0.0, 4.0, 8.0]);
    }

    #[test]
    fn a_step_beyond_the_end_takes_one_position() {
        assert_eq!(of_ten(3, None, usize::MAX), [3.0]);
        assert_eq!(of_ten(3, Some(6), 3), [3.0]);
        assert_eq!(of_ten(3, Some(7), 3), [3.0, 6.0]);
    }

    #[test]
    fn nan_and_infinity_are_copied_and_not_multiplied_by_zero() {
        let x = Tensor::from_vec([1, 3], vec![f32::NAN, f32::INFINITY, 1.0]).unwrap();
        let op = Slice::new(1, 0, Some(2));
        let y = op.forward(&x).unwrap();
        assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY);
        assert_eq!(op.backward(x.shape(), &y).unwrap().data()[1..], [f32::INFINITY, 0.0]);
    }

    #[test]
    fn an_empty_batch_is_sliced_to_an_empty_batch() {
        let (op, x) = (Slice::new(1, 1, None), Tensor::zeros([0, 4, 2]));
        let y = op.forward(&x).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2]));
        assert_eq!(op.backward(x.shape(), &y).unwrap(), x);
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([5, 9, 7, 3], 0);
        for (dim, step) in [(1, 1), (2, 2), (3, 2)] {
            let op = Slice::new(dim, 1, None).step(step);
            assert_same_bits_on_any_threads(|| {
                let y = op.forward(&x).unwrap();
                vec![op.backward(x.shape(), &y).unwrap(), y]
            });
        }
    }

    #[test]
    fn options_that_are_left_out_take_all() {
        assert_eq!(serde_json::from_str::<Slice>(r#"{"dim": 1}"#).unwrap(), Slice::new(1, 0, None));
        let op = Slice::new(2, -3, Some(-1)).step(2);
        let json = serde_json::to_string(&op).unwrap();
        assert_eq!(json, r#"{"dim":2,"start":-3,"end":-1,"step":2}"#);
        assert_eq!(serde_json::from_str::<Slice>(&json).unwrap(), op);
        assert!(serde_json::from_str::<Slice>(r#"{"dim": 1, "stop": 2}"#).is_err());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: Slice, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let x = Shape::from([2, 5]);
        let slice = |start, end| Slice::new(1, start, end);
        assert_eq!(
            message(Slice::new(0, 0, None), x),
            "slice: dim must be an axis other than the batch, axis 0, got 0"
        );
        assert_eq!(
            message(Slice::new(2, 0, None), x),
            "slice: x expects a shape of rank 3 or more, got shape [2, 5]"
        );
        assert_eq!(message(slice(0, None).step(0), x), "slice: step must be at least 1, got 0");
        let outside = "slice: start must be a position of the axis, got";
        assert_eq!(message(slice(5, None), x), format!("{outside} 5 for an extent of 5"));
        assert_eq!(message(slice(-6, None), x), format!("{outside} -6 for an extent of 5"));
        assert_eq!(message(slice(0, None), [2, 0].into()), format!("{outside} 0 for an extent of 0"));
        let outside = "slice: end must be within the axis, got";
        assert_eq!(message(slice(0, Some(6)), x), format!("{outside} 6 for an extent of 5"));
        assert_eq!(message(slice(0, Some(-6)), x), format!("{outside} -6 for an extent of 5"));
        let nothing = "slice: the slice must be of at least one position, got";
        assert_eq!(message(slice(2, Some(2)), x), format!("{nothing} 2 to 2"));
        assert_eq!(message(slice(-1, Some(-3)), x), format!("{nothing} 4 to 2"));
        let error = slice(1, None).backward(x, &Tensor::zeros([2, 5])).unwrap_err();
        assert_eq!(error.to_string(), "slice: dy expects shape [2, 4], got [2, 5]");
        let huge = slice(0, Some(1)).backward([1, 1 << 29].into(), &Tensor::zeros([1, 1])).unwrap_err();
        assert_eq!(
            huge.to_string(),
            "slice: the output must be at most 2^28 elements for one image, got [1, 536870912]"
        );
    }
}
