//! Axes reduced to one number: their mean, sum, maximum, minimum or norm.
//!
//! ```text
//! mean:  y = sum of x / m                       dx = dy / m
//! sum:   y = sum of x                           dx = dy
//! amax:  y = the largest x                      dx = dy / k where x = y, else 0
//! amin:  y = the smallest x                     dx = dy / k where x = y, else 0
//! norm:  y = sum of |x|, or sqrt(sum of x^2)    dx = dy sign(x), or dy x / y
//! ```
//!
//! over the `m` elements of `x` that have the same place along the axes that stay; `k` of them equal `y`.
//!
//! **Conventions.** Those of PyTorch's `torch.mean`, `sum`, `amax`, `amin` and `linalg.vector_norm` (`norm`). The axes are
//! counted with the batch, which is never among them. An axis stays with extent 1 if `keepdim` is set. A NaN makes its `y`
//! NaN; in `amax` and `amin` the gradient of all its elements is then NaN. Equal extrema share the gradient. The gradient of a
//! norm of 0 is 0. Of no elements the sum and norm are 0, the mean NaN, and the others an error.
//!
//! **Algorithm.** Neighbouring axes that are reduced alike count as one. Sums are taken in f64, in an order that depends on the
//! shape alone, and rounded once. Along a reduced inner axis eight running sums, else a block of `y` side by side.

use crate::OpError;
use crate::shared::axes::{Axes, Axis, strides};
use crate::shared::check;
use crate::shared::work::{at_a_time, worth_a_thread};
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

/// Elements that make a piece of work worth a thread.
const CHUNK: usize = worth_a_thread(1 << 16);

/// Elements of `y` that are reduced side by side.
const BLOCK: usize = at_a_time(256);

/// The number that stands for the reduced axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The sum.
    Sum,
    /// The largest element.
    Max,
    /// The smallest element.
    Min,
    /// The sum of the magnitudes.
    L1,
    /// The root of the sum of the squares.
    L2,
}

impl Statistic {
    /// `y`, written to the memory of that name; each element stands for `m` of `x`.
    fn of(self, axes: &Axes<2>, x: &Tensor, y: Tensor, m: f64) -> Tensor {
        let sum = |a: f64, b: f64| a + b;
        match self {
            Statistic::Mean => reduced(axes, x, y, 0.0, sum, sum, |sum| sum / m),
            Statistic::Sum => reduced(axes, x, y, 0.0, sum, sum, |sum| sum),
            Statistic::L1 => reduced(axes, x, y, 0.0, |sum, x| sum + x.abs(), sum, |sum| sum),
            Statistic::L2 => reduced(axes, x, y, 0.0, |sum, x| sum + x * x, sum, f64::sqrt),
            Statistic::Max => {
                // A NaN stays.
                let larger = |a: f64, b: f64| if a.is_nan() || a >= b { a } else { b };
                reduced(axes, x, y, f64::NEG_INFINITY, larger, larger, |max| max)
            }
            Statistic::Min => {
                let smaller = |a: f64, b: f64| if a.is_nan() || a <= b { a } else { b };
                reduced(axes, x, y, f64::INFINITY, smaller, smaller, |min| min)
            }
        }
    }
}

/// The axes that are reduced.
///
/// In JSON `{"dims": [2, 3], "keepdim": true}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Over {
    /// At least one axis, each once, counted with the batch, which is not among them.
    pub dims: Vec<usize>,
    /// Whether they stay, with an extent of 1.
    #[serde(default)]
    pub keepdim: bool,
}

/// A reduction.
///
/// ```
/// use cnn_ops::Reduce;
/// use cnn_ops::reduce::Statistic;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 2, 2], vec![1.0, 3.0, 5.0, 9.0])?;
/// let rows = Reduce::new(Statistic::Mean, [2]);
/// let (y, saved) = rows.forward(&x)?;
/// assert_eq!((y.shape().dims(), y.data()), (&[1, 2][..], &[2.0, 7.0][..]));
/// assert_eq!(rows.backward(&saved, &y)?.data(), [1.0, 1.0, 3.5, 3.5]);
/// let all = Reduce::new(Statistic::Max, [1, 2]).keepdim(true);
/// assert_eq!(all.infer(&x)?, Tensor::full([1, 1, 1], 9.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// The statistic.
    pub to: Statistic,
    /// The axes.
    pub over: Over,
}

/// Read by the backward pass: the shape of `x`, and of extrema and norms `x` and `y` too.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    values: Option<[Tensor; 2]>,
}

impl Reduce {
    /// The statistic of these axes, which do not stay.
    #[must_use]
    pub fn new(to: Statistic, dims: impl Into<Vec<usize>>) -> Self {
        Self { to, over: Over { dims: dims.into(), keepdim: false } }
    }

    /// Sets whether the axes stay, with an extent of 1.
    #[must_use]
    pub fn keepdim(mut self, keepdim: bool) -> Self {
        self.over.keepdim = keepdim;
        self
    }

    /// PyTorch's name, that of the layer: `amax`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.to {
            Statistic::Mean => "mean",
            Statistic::Sum => "sum",
            Statistic::Max => "amax",
            Statistic::Min => "amin",
            Statistic::L1 | Statistic::L2 => "norm",
        }
    }

    /// The shape of `y`: that of `x` without the reduced axes, or with 1 for their extents.
    ///
    /// # Errors
    /// The axes are none, or not axes of `x` after the batch, each once; or an extremum of no elements.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let (op, dims) = (self.name(), &self.over.dims);
        let fits = |(i, dim): (usize, &usize)| (1..x.rank()).contains(dim) && !dims[..i].contains(dim);
        let all_fit = !dims.is_empty() && dims.iter().enumerate().all(fits);
        let got = format_args!("{dims:?} for x of shape {x}");
        check::rule(op, "dims", "axes of x after the batch, at least one and each once", all_fit, got)?;
        let no_elements = dims.iter().any(|&dim| x.dims()[dim] == 0);
        let needs_some = matches!(self.to, Statistic::Max | Statistic::Min);
        check::rule(op, "a reduced axis", "not empty", !(needs_some && no_elements), x)?;
        let (mut kept, mut rank) = ([1; Shape::MAX_RANK], 0);
        for (axis, &extent) in x.dims().iter().enumerate() {
            if !dims.contains(&axis) {
                kept[rank] = extent;
            }
            rank += usize::from(self.over.keepdim || !dims.contains(&axis));
        }
        check::output(op, Shape::new(&kept[..rank]).map_err(|fault| OpError::Tensor { op, fault })?)
    }

    /// `y`, and the values that [`Reduce::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Reduce::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let y = self.infer(x)?;
        let values = match self.to {
            Statistic::Mean | Statistic::Sum => None,
            _ => Some([x.clone(), y.clone()]),
        };
        Ok((y, Saved { x: x.shape(), values }))
    }

    /// The `y` of [`Reduce::forward`], when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`Reduce::output_shape`].
    pub fn infer(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let y = self.output_shape(x.shape())?;
        if x.data().is_empty() {
            return Ok(Tensor::full(y, if self.to == Statistic::Mean { f32::NAN } else { 0.0 }));
        }
        let axes = self.axes(x.shape(), y);
        Ok(self.to.of(&axes, x, Tensor::scratch(y), self.count(x.shape())))
    }
    /// `dx` from `dy` of the shape of `y`.
    ///
    /// # Errors
    /// `saved` is not of this operation, or `dy` has another shape than `y`.
    pub fn backward(&self, saved: &Saved, dy: &Tensor) -> Result<Tensor, OpError> {
        let (op, shape) = (self.name(), saved.x);
        check::shape(op, "dy", self.output_shape(shape)?, dy)?;
        if shape.numel() == 0 {
            return Ok(Tensor::zeros(shape));
        }
        let axes = self.axes(check::output(op, shape)?, dy.shape());
        let scaled = |by: f64| {
            let mut g = dy.clone();
            if by != 1.0 {
                g.data_mut().iter_mut().for_each(|g| *g = (f64::from(*g) * by) as f32);
            }
            g
        };
        match (self.to, &saved.values) {
            (Statistic::Mean, _) => Ok(spread(&axes, shape, &scaled(1.0 / self.count(shape)))),
            (Statistic::Sum, _) => Ok(spread(&axes, shape, dy)),
            (Statistic::Max | Statistic::Min, Some([x, y])) => {
                let equal = each(&axes, x, y, |x, y| if x == y { 1.0 } else { 0.0 });
                let counts = Statistic::Sum.of(&axes, &equal, Tensor::scratch(dy.shape()), 1.0);
                let mut g = dy.clone();
                let of = counts.data().iter().zip(y.data());
                for (g, (count, y)) in g.data_mut().iter_mut().zip(of) {
                    *g = if y.is_nan() { f32::NAN } else { *g / count };
                }
                Ok(each(&axes, &equal, &g, |equal, g| if equal == 1.0 || g.is_nan() { g } else { 0.0 }))
            }
            (Statistic::L1, Some([x, _])) => Ok(each(&axes, x, dy, |x, dy| {
                if x > 0.0 {
                    dy
                } else if x < 0.0 {
                    -dy
                } else {
                    x * dy
                }
            })),
            (Statistic::L2, Some([x, y])) => {
                let mut g = dy.clone();
                for (g, &y) in g.data_mut().iter_mut().zip(y.data()) {
                    *g = if y == 0.0 { 0.0 } else { *g / y };
                }
                Ok(each(&axes, x, &g, |x, g| x * g))
            }
            (_, None) => {
                check::rule(op, "saved", "of the same operation", false, "those of a sum")?;
                Ok(Tensor::zeros(shape))
            }
        }
    }

    /// How many elements one of `y` stands for.
    fn count(&self, x: Shape) -> f64 {
        self.over.dims.iter().map(|&dim| x.dims()[dim] as f64).product()
    }

    /// The axes of `x`, with how far `x` and `y` move along them.
    fn axes(&self, x: Shape, y: Shape) -> Axes<2> {
        let (of_x, of_y) = (strides(x), strides(y));
        let mut rank = 0;
        Axes::merged(x.dims().iter().enumerate().map(|(axis, &extent)| {
            let is_reduced = self.over.dims.contains(&axis);
            let own = if is_reduced { 0 } else { of_y[rank] };
            rank += usize::from(self.over.keepdim || !is_reduced);
            Axis { extent, strides: [of_x[axis], own] }
        }))
    }
}

/// Fills `y`: each element is `finish` of all elements of `x` that it stands for, folded from `first` on. Partial results are
/// joined by `join`.
fn reduced(
    axes: &Axes<2>,
    x: &Tensor,
    mut y: Tensor,
    first: f64,
    fold: impl Fn(f64, f64) -> f64 + Sync,
    join: impl Fn(f64, f64) -> f64 + Sync,
    finish: impl Fn(f64) -> f64 + Sync,
) -> Tensor {
    let (outer, inner) = axes.split_inner();
    let is_reduced = |axis: &&Axis<2>| axis.strides[1] == 0;
    let reduced = Axes::of(outer.as_slice().iter().filter(is_reduced).copied());
    let kept = Axes::of(outer.as_slice().iter().filter(|axis| !is_reduced(axis)).copied());
    let chunk = (CHUNK / (x.data().len() / y.data().len()).max(1)).max(1);
    parallel::for_each_chunk(y.data_mut(), chunk, |i, y| {
        let mut done = 0;
        while done < y.len() {
            if is_reduced(&&inner) {
                let mut eight = [first; 8];
                reduced.for_each(kept.offsets(i * chunk + done), |[at, _]| {
                    for x in x.data()[at..][..inner.extent].chunks(8) {
                        eight.iter_mut().zip(x).for_each(|(acc, &x)| *acc = fold(*acc, x.into()));
                    }
                });
                y[done] = finish(eight.into_iter().reduce(&join).unwrap_or(first)) as f32;
                done += 1;
                continue;
            }
            let (row, col) = ((i * chunk + done) / inner.extent, (i * chunk + done) % inner.extent);
            let len = BLOCK.min(inner.extent - col).min(y.len() - done);
            let mut block = [first; BLOCK];
            reduced.for_each(inner.after(kept.offsets(row), col), |[at, _]| {
                let x = &x.data()[at..][..len];
                block.iter_mut().zip(x).for_each(|(acc, &x)| *acc = fold(*acc, x.into()));
            });
            y[done..][..len].iter_mut().zip(block).for_each(|(y, acc)| *y = finish(acc) as f32);
            done += len;
        }
    });
    y
}

/// `g` at every element of `x` that it stands for.
fn spread(axes: &Axes<2>, x: Shape, g: &Tensor) -> Tensor {
    over(axes, Tensor::scratch(x), |dx, [_, at], step| match step {
        0 => dx.fill(g.data()[at]),
        _ => dx.copy_from_slice(&g.data()[at..][..dx.len()]),
    })
}

/// `f` of every element of `x` and of the `g` that stands for it.
fn each(axes: &Axes<2>, x: &Tensor, g: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Tensor {
    over(axes, Tensor::scratch(x.shape()), |dx, [x_at, g_at], step| {
        let pairs = dx.iter_mut().zip(&x.data()[x_at..]);
        match step {
            0 => pairs.for_each(|(dx, &x)| *dx = f(x, g.data()[g_at])),
            _ => pairs.zip(&g.data()[g_at..]).for_each(|((dx, &x), &g)| *dx = f(x, g)),
        }
    })
}

/// Calls `f` for every run of `dx`, with where `x` and `y` are and how far `y` moves along it.
fn over(axes: &Axes<2>, mut dx: Tensor, f: impl Fn(&mut [f32], [usize; 2], usize) + Sync) -> Tensor {
    parallel::for_each_chunk(dx.data_mut(), CHUNK, |i, dx| {
        let all = i * CHUNK..i * CHUNK + dx.len();
        axes.runs(all, |run, inner, at| f(&mut dx[run], at, inner[1]));
    });
    dx
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    const ALL: [Statistic; 6] =
        [Statistic::Mean, Statistic::Sum, Statistic::Max, Statistic::Min, Statistic::L1, Statistic::L2];

    /// The elements of `x` that each element of `y` stands for.
    fn groups(over: &Over, x: Shape) -> Vec<Vec<usize>> {
        let kept: Vec<usize> = (0..x.rank()).filter(|axis| !over.dims.contains(axis)).collect();
        let mut groups = vec![vec![]; kept.iter().map(|&axis| x.dims()[axis]).product()];
        for at in 0..x.numel() {
            let place = |axis: usize| at / x.dims()[axis + 1..].iter().product::<usize>() % x.dims()[axis];
            let y = kept.iter().fold(0, |y, &axis| y * x.dims()[axis] + place(axis));
            groups[y].push(at);
        }
        groups
    }

    /// The definition, in f64.
    fn oracle(to: Statistic, groups: &[Vec<usize>], x: &[f64]) -> Vec<f64> {
        let of = |group: &Vec<usize>| {
            let x = group.iter().map(|&at| x[at]);
            match to {
                Statistic::Mean => x.sum::<f64>() / group.len() as f64,
                Statistic::Sum => x.sum(),
                Statistic::Max => x.fold(f64::NEG_INFINITY, f64::max),
                Statistic::Min => x.fold(f64::INFINITY, f64::min),
                Statistic::L1 => x.map(f64::abs).sum(),
                Statistic::L2 => x.map(|x| x * x).sum::<f64>().sqrt(),
            }
        };
        groups.iter().map(of).collect()
    }

    /// A reduction and a shape that it takes, without empty axes but the batch.
    fn any_case(bound: usize) -> impl Strategy<Value = (Reduce, Shape)> {
        let axes = prop::collection::vec((1..bound, any::<bool>()), 1..5);
        (prop::sample::select(ALL.to_vec()), 0..4usize, axes, any::<bool>(), any::<bool>()).prop_filter_map(
            "an axis to reduce",
            |(to, n, axes, keepdim, backwards)| {
                let mut dims: Vec<usize> = (1..=axes.len()).filter(|axis| axes[axis - 1].1).collect();
                if backwards {
                    dims.reverse();
                }
                let x: Vec<usize> = std::iter::once(n).chain(axes.iter().map(|axis| axis.0)).collect();
                (!dims.is_empty()).then(|| (Reduce::new(to, dims).keepdim(keepdim), Shape::new(&x).unwrap()))
            },
        )
    }

    proptest! {
        #[test]
        fn matches_the_definition((op, shape) in prop_oneof![any_case(5), any_case(12)], seed: u64) {
            prop_assume!(shape.numel() <= 2000);
            let x = distinct(shape, seed);
            let y = op.output_shape(shape).unwrap();
            let groups = groups(&op.over, shape);
            let (want, dy) = (oracle(op.to, &groups, &to_f64(&x)), distinct(y, seed ^ 1));
            let want_dx = gradient_of(&x, &dy, |x| oracle(op.to, &groups, x));
            everywhere(|| {
                let (got, saved) = op.forward(&x).unwrap();
                assert_eq!(got.shape(), y);
                assert_close(&got, &want);
                assert_eq!(op.infer(&x).unwrap(), got);
                let dx = op.backward(&saved, &dy).unwrap();
                assert_eq!(dx.shape(), shape);
                assert_gradient_close(op.name(), &dx, &want_dx);
            });
        }

        #[test]
        fn whole_numbers_are_exact((op, shape) in any_case(9), seed: u64) {
            prop_assume!(!matches!(op.to, Statistic::Mean | Statistic::L2) && shape.numel() <= 5000);
            let x = whole_numbers(shape, 40, seed);
            let want = oracle(op.to, &groups(&op.over, shape), &to_f64(&x));
            everywhere(|| assert_exact("y", &op.infer(&x).unwrap(), &want));
        }

        #[test]
        fn absurd_axes_and_shapes_are_errors(to in prop::sample::select(ALL.to_vec()), x in any_shape(), keepdim: bool,
                                             dims in prop::collection::vec(prop_oneof![9 => 0..6usize, 1 => any_extent()], 0..4)) {
            let op = Reduce::new(to, dims).keepdim(keepdim);
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            prop_assert_eq!(y.rank(), if keepdim { x.rank() } else { x.rank() - op.over.dims.len() });
            if x.numel() <= 100_000 && y.numel() <= 100_000 {
                let (got, saved) = op.forward(&Tensor::zeros(x)).unwrap();
                prop_assert_eq!(got.shape(), y);
                prop_assert_eq!(op.backward(&saved, &got).unwrap().shape(), x);
            }
        }
    }

    /// `y` and `dx` of three numbers, for a `dy` of 6.
    fn of_three(to: Statistic, x: [f32; 3]) -> (f32, Vec<f32>) {
        let op = Reduce::new(to, [1]);
        let (y, saved) = op.forward(&Tensor::from_slice([1, 3], &x).unwrap()).unwrap();
        (y.data()[0], op.backward(&saved, &Tensor::full([1], 6.0)).unwrap().data().to_vec())
    }

    #[test]
    fn equal_extrema_share_the_gradient() {
        assert_eq!(of_three(Statistic::Max, [2.0, 1.0, 2.0]), (2.0, vec![3.0, 0.0, 3.0]));
        assert_eq!(of_three(Statistic::Min, [1.0, 1.0, 1.0]), (1.0, vec![2.0, 2.0, 2.0]));
    }

    #[test]
    fn a_nan_is_a_nan() {
        for to in ALL {
            for x in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [1.0, 2.0, f32::NAN]] {
                let (y, dx) = of_three(to, x);
                assert!(y.is_nan(), "{to:?} of {x:?} is {y}");
                let all = matches!(to, Statistic::Max | Statistic::Min | Statistic::L2);
                assert!(!all || dx.iter().all(|dx| dx.is_nan()), "{to:?} of {x:?}: {dx:?}");
            }
        }
        let infinite = [f32::INFINITY, f32::NEG_INFINITY, 1.0];
        assert_eq!(
            [Statistic::Max, Statistic::Min].map(|to| of_three(to, infinite).0),
            [f32::INFINITY, f32::NEG_INFINITY]
        );
        assert_eq!(of_three(Statistic::Max, [f32::NEG_INFINITY; 3]), (f32::NEG_INFINITY, vec![2.0; 3]));
    }

    #[test]
    fn a_norm_of_0_has_no_slope() {
        assert_eq!(of_three(Statistic::L2, [0.0; 3]), (0.0, vec![0.0; 3]));
        assert_eq!(of_three(Statistic::L1, [0.0, -1.0, 2.0]), (3.0, vec![0.0, -6.0, 6.0]));
        // Squares that f32 could not hold.
        assert_eq!(of_three(Statistic::L2, [3e30, 4e30, 0.0]).0, 5e30);
    }

    #[test]
    fn sums_lose_nothing_to_rounding() {
        let mut x = Tensor::full([1, 1000], 1.0);
        x.data_mut()[0] = 1e8;
        everywhere(|| {
            assert_eq!(
                Reduce::new(Statistic::Sum, [1]).infer(&x).unwrap().data(),
                [100_000_999.0_f64 as f32]
            );
        });
    }

    #[test]
    fn nothing_has_a_sum() {
        let x = Tensor::zeros([2, 0, 3]);
        let values = |to| Reduce::new(to, [1]).forward(&x).unwrap().0.data().to_vec();
        assert_eq!([Statistic::Sum, Statistic::L1, Statistic::L2].map(values), [const { [0.0; 6] }; 3]);
        assert!(values(Statistic::Mean).iter().all(|y| y.is_nan()));
        let empty = Tensor::zeros([0, 2, 3]);
        for to in ALL {
            let op = Reduce::new(to, [1]);
            let (y, saved) = op.forward(&empty).unwrap();
            assert_eq!(y, Tensor::zeros([0, 3]));
            assert_eq!(op.backward(&saved, &y).unwrap(), empty);
        }
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([7, 31, 33], 0);
        for to in ALL {
            for dims in [vec![1], vec![2], vec![1, 2]] {
                let op = Reduce::new(to, dims);
                assert_same_bits_on_any_threads(|| {
                    let (y, saved) = op.forward(&x).unwrap();
                    let dx = op.backward(&saved, &y).unwrap();
                    vec![y, dx]
                });
            }
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let fault =
            |op: Reduce, x: &[usize]| op.output_shape(Shape::new(x).unwrap()).unwrap_err().to_string();
        let rule = "dims must be axes of x after the batch, at least one and each once";
        for dims in [&[][..], &[0], &[3], &[1, 1]] {
            let want = format!("mean: {rule}, got {dims:?} for x of shape [2, 3, 4]");
            assert_eq!(fault(Reduce::new(Statistic::Mean, dims), &[2, 3, 4]), want);
        }
        let want = "amin: a reduced axis must be not empty, got [2, 0]";
        assert_eq!(fault(Reduce::new(Statistic::Min, [1]), &[2, 0]), want);
        let (op, x) = (Reduce::new(Statistic::L1, [1]), Tensor::zeros([2, 3]));
        let (_, saved) = op.forward(&x).unwrap();
        let error = op.backward(&saved, &Tensor::zeros([3])).unwrap_err().to_string();
        assert_eq!(error, "norm: dy expects shape [2], got [3]");
        let (y, saved) = Reduce::new(Statistic::Sum, [1]).forward(&x).unwrap();
        let error = op.backward(&saved, &y).unwrap_err().to_string();
        assert_eq!(error, "norm: saved must be of the same operation, got those of a sum");
    }
}
