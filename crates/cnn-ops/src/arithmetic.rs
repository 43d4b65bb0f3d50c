//! Sum, difference, product, quotient, maximum and minimum of two tensors, element by element.
//!
//! `y = a + b`, `a - b`, `a b`, `a / b`, `max(a, b)` or `min(a, b)`. `Add` joins the two branches of a residual block; `Mul` scales the channels of an
//! image in squeeze-and-excitation, `[n, c, h, w]` by `[n, c, 1, 1]`.
//!
//! ```text
//! Add:  da = dy      db = dy
//! Sub:  da = dy      db = -dy
//! Mul:  da = dy b    db = dy a
//! Div:  da = dy / b  db = -dy a / b^2
//! Maximum, Minimum:  dy for the one that is y, half of it for each where they are equal
//! ```
//!
//! each summed over the elements of `y` that depend on the element of `a` or `b`.
//!
//! **Conventions.** The shapes are of one rank, and each extent but the batch's is equal or, in one of them, 1: then its one
//! position is used for all of the other's, of which there may be none. Or one of them is a scalar, of rank 0, which is used
//! for every element of the other. These are PyTorch's rules, except that axes are never added and the batch is never
//! broadcast. NaN and infinity follow IEEE arithmetic: NaN stays NaN, infinity minus infinity is NaN, and a number divided by
//! 0 is infinite. Where a maximum or minimum is NaN, both gradients are `dy`. `backward` of `Add` and `Sub` reads only shapes.
//!
//! **Algorithm.** Neighbouring axes that are broadcast alike count as one, so that equal shapes are a single run, and images
//! scaled by their channels a run for each channel. Along a run, each operand is contiguous or a single number: a vector at
//! a time, rounded once at each SIMD level, so that levels agree to the bit. In the memory of `a` where it has the shape of
//! `y`. Gradients that are summed are so in f64, in an order that depends on the shapes alone, and rounded once. Where the
//! last axis is short and broadcast, so are the runs, and each costs some divisions to place.
//!
//! Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, equation 1; J. Hu,
//! L. Shen and G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018, equation 4.

mod by;

pub use by::ArithmeticBy;

use crate::OpError;
use crate::shared::axes::{Axes, Axis, strides};
use crate::shared::check;
use crate::shared::work::{at_a_time, worth_a_thread};
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor, kernel, parallel, vector};
use serde::{Deserialize, Serialize};

/// Elements that make a piece of work worth a thread.
const CHUNK: usize = worth_a_thread(1 << 16);

/// The operation on two elements. In JSON `"add"`, `"sub"`, `"mul"`, `"div"`, `"maximum"` or `"minimum"`.
///
/// ```
/// use cnn_ops::Arithmetic;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let scale = Tensor::from_vec([1, 2, 1], vec![10.0, 100.0])?;
/// let (y, saved) = Arithmetic::Mul.forward(x, &scale)?;
/// assert_eq!(y.data(), [10.0, 20.0, 300.0, 400.0]);
/// let (dx, dscale) = Arithmetic::Mul.backward(&saved, Tensor::full([1, 2, 2], 1.0))?;
/// assert_eq!(dx.data(), [10.0, 10.0, 100.0, 100.0]);
/// assert_eq!(dscale.data(), [3.0, 7.0]);
/// let halves = Arithmetic::Div.infer(y, &Tensor::full([], 2.0))?;
/// assert_eq!(halves.data(), [5.0, 10.0, 150.0, 200.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a b`.
    Mul,
    /// `a / b`.
    Div,
    /// The larger of `a` and `b`.
    Maximum,
    /// The smaller of `a` and `b`.
    Minimum,
}

/// Read by [`Arithmetic::backward`]: the shapes, and the operands too unless it is a sum or difference.
#[derive(Clone, Debug)]
pub struct Saved {
    op: Arithmetic,
    shapes: [Shape; 2],
    operands: Option<[Tensor; 2]>,
}

impl Arithmetic {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
        }
    }

    /// The shape of `y`: of each axis the extent that is not 1; that of the other, if one is a scalar.
    ///
    /// # Errors
    /// Neither is a scalar and their ranks or batches differ, or other extents that are not 1; or the result has more elements
    /// than an operation may make.
    pub fn output_shape(self, a: Shape, b: Shape) -> Result<Shape, OpError> {
        let op = self.name();
        if a == b || b.rank() == 0 {
            return check::output(op, a);
        }
        if a.rank() == 0 {
            return check::output(op, b);
        }
        let got = Both(a, b);
        check::rule(op, "the shapes", "of one rank, or one of them a scalar", a.rank() == b.rank(), got)?;
        check::rule(op, "the batches, axis 0,", "equal", a.batch() == b.batch(), got)?;
        Self::broadcast(op, a, b)
    }

    /// The shape of `y` for operands of one rank, whose batches may be broadcast too.
    fn broadcast(op: &'static str, a: Shape, b: Shape) -> Result<Shape, OpError> {
        let got = Both(a, b);
        let mut dims = [0; Shape::MAX_RANK];
        for (y, (&a, &b)) in dims.iter_mut().zip(a.dims().iter().zip(b.dims())) {
            check::rule(op, "the extents", "equal or 1", a == b || a == 1 || b == 1, got)?;
            *y = if a == 1 { b } else { a };
        }
        let y = Shape::new(&dims[..a.rank()]).map_err(|fault| OpError::Tensor { op, fault })?;
        check::output(op, y)
    }

    /// `y`, and what [`Arithmetic::backward`] reads. The memory of `a` is that of `y` if `a` is not saved, has the shape of
    /// `y`, and no clone shares it.
    ///
    /// # Errors
    /// Those of [`Arithmetic::output_shape`].
    pub fn forward(self, a: Tensor, b: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let shapes = [a.shape(), b.shape()];
        if matches!(self, Self::Add | Self::Sub) {
            return Ok((self.infer(a, b)?, Saved { op: self, shapes, operands: None }));
        }
        let y = self.fresh(&a, b, self.output_shape(a.shape(), b.shape())?);
        Ok((y, Saved { op: self, shapes, operands: Some([a, b.clone()]) }))
    }

    /// The `y` of [`Arithmetic::forward`], when no backward pass will follow: in the memory of `a`, if it has the shape of
    /// `y` and no clone shares it.
    ///
    /// # Errors
    /// Those of [`Arithmetic::output_shape`].
    pub fn infer(self, a: Tensor, b: &Tensor) -> Result<Tensor, OpError> {
        let y = self.output_shape(a.shape(), b.shape())?;
        Ok(self.compute(a, b, y))
    }

    /// `y` of this shape, in the memory of `a` where it has that shape.
    fn compute(self, a: Tensor, b: &Tensor, y: Shape) -> Tensor {
        if a.shape() == y { self.in_place(a, b) } else { self.fresh(&a, b, y) }
    }

    /// `(da, db)`, of the shapes of `a` and `b`, from `dy` of the shape of `y`.
    ///
    /// # Errors
    /// `saved` is another operation's, or `dy` does not have the shape of `y`.
    pub fn backward(self, saved: &Saved, dy: Tensor) -> Result<(Tensor, Tensor), OpError> {
        let (op, name) = (self.name(), saved.op.name());
        check::rule(op, "saved", "of the same operation", saved.op == self, name)?;
        let [a, b] = saved.shapes;
        check::shape(op, "dy", self.output_shape(a, b)?, &dy)?;
        // The last may be in the memory of dy: a sum is not.
        if b == dy.shape() {
            let da = self.gradient(saved, 0, dy.clone());
            return Ok((da, self.gradient(saved, 1, dy)));
        }
        let db = self.gradient(saved, 1, dy.clone());
        Ok((self.gradient(saved, 0, dy), db))
    }

    /// `a` becomes `y`, whose shape it has.
    fn in_place(self, mut a: Tensor, b: &Tensor) -> Tensor {
        let level = Level::current();
        if a.shape() == b.shape() {
            parallel::for_each_chunk(a.data_mut(), CHUNK, |i, y| {
                self.run(level, &b.data()[i * CHUNK..], 1, y)
            });
            return a;
        }
        if a.data().is_empty() {
            return a;
        }
        let axes = axes(a.shape(), [a.shape(), b.shape()]);
        parallel::for_each_chunk(a.data_mut(), CHUNK, |i, y| {
            let all = i * CHUNK..i * CHUNK + y.len();
            axes.runs(all, |run, inner, [_, _, b_at]| {
                self.run(level, &b.data()[b_at..], inner[2], &mut y[run])
            });
        });
        a
    }

    /// `y` in memory of its own.
    fn fresh(self, a: &Tensor, b: &Tensor, y: Shape) -> Tensor {
        if y.numel() == 0 {
            return Tensor::zeros(y);
        }
        let (axes, level) = (axes(y, [a.shape(), b.shape()]), Level::current());
        let mut y = Tensor::scratch(y);
        parallel::for_each_chunk(y.data_mut(), CHUNK, |i, y| {
            let all = i * CHUNK..i * CHUNK + y.len();
            axes.runs(all, |run, inner, [_, a_at, b_at]| {
                let y = &mut y[run];
                match inner[1] {
                    0 => y.fill(a.data()[a_at]),
                    _ => y.copy_from_slice(&a.data()[a_at..][..y.len()]),
                }
                self.run(level, &b.data()[b_at..], inner[2], y);
            });
        });
        y
    }

    /// `y` and the numbers of `b` that begin with `b[0]`, or `b[0]` alone if these are 0 apart.
    fn run(self, level: Level, b: &[f32], apart: usize, y: &mut [f32]) {
        match (self, apart) {
            (Self::Add, 0) => shift(level, b[0], y),
            (Self::Sub, 0) => shift(level, -b[0], y),
            (Self::Mul, 0) => vector::scale(b[0], y),
            (Self::Div, 0) => divide_by(level, b[0], y),
            (Self::Maximum, 0) => at_least(level, b[0], y),
            (Self::Minimum, 0) => at_most(level, b[0], y),
            (Self::Add, _) => vector::axpy(1.0, &b[..y.len()], y),
            (Self::Sub, _) => vector::axpy(-1.0, &b[..y.len()], y),
            (Self::Mul, _) => multiply(level, &b[..y.len()], y),
            (Self::Div, _) => divide(level, &b[..y.len()], y),
            (Self::Maximum, _) => larger(level, &b[..y.len()], y),
            (Self::Minimum, _) => smaller(level, &b[..y.len()], y),
        }
    }

    /// The gradient of operand 0, `a`, or 1, `b`.
    fn gradient(self, saved: &Saved, operand: usize, dy: Tensor) -> Tensor {
        let shape = saved.shapes[operand];
        if dy.data().is_empty() {
            return Tensor::zeros(shape);
        }
        let sums = Sums { saved, operand, dy: &dy };
        match (self, operand, &saved.operands) {
            (Self::Add, _, _) | (Self::Sub, 0, _) if shape == dy.shape() => dy,
            (Self::Sub, _, _) if shape == dy.shape() => Self::Mul.in_place(dy, &Tensor::full([], -1.0)),
            (Self::Mul, _, Some(operands)) if shape == dy.shape() => {
                Self::Mul.in_place(dy, &operands[1 - operand])
            }
            (Self::Div, 0, Some([_, b])) if shape == dy.shape() => Self::Div.in_place(dy, b),
            (Self::Add, _, _) | (Self::Sub, 0, _) => sums.of(|dy, _, _| dy),
            (Self::Sub, _, _) => sums.of(|dy, _, _| -dy),
            (Self::Mul, _, _) => sums.of(|dy, _, other| dy * other),
            (Self::Div, 0, _) => sums.of(|dy, _, b| dy / b),
            (Self::Div, _, _) => sums.of(|dy, b, a| -(dy * a) / (b * b)),
            (Self::Maximum, _, _) => sums.of(|dy, own, other| share(dy, own < other, own == other)),
            (Self::Minimum, _, _) => sums.of(|dy, own, other| share(dy, own > other, own == other)),
        }
    }
}

/// The part of `dy` that goes to an operand of a maximum or minimum.
fn share(dy: f64, lost: bool, equal: bool) -> f64 {
    if lost {
        0.0
    } else if equal {
        dy / 2.0
    } else {
        dy
    }
}

/// The one of two numbers that an operation selects: the first if it is `better`, or NaN.
#[inline(always)]
fn select(a: f32, b: f32, better: bool) -> f32 {
    if better | a.is_nan() { a } else { b }
}

/// Two shapes in an error.
#[derive(Clone, Copy)]
struct Both(Shape, Shape);

impl std::fmt::Display for Both {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} and {}", self.0, self.1)
    }
}

/// `a + b` of equal shapes, in the memory of `a` unless a clone shares it. The gradient of both is `dy`, so a
/// backward pass is not needed.
///
/// ```
/// use cnn_ops::arithmetic::add;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let y = add(x, &Tensor::full([2, 2], 10.0))?;
/// assert_eq!(y.data(), [11.0, 12.0, 13.0, 14.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The shapes differ.
pub fn add(a: Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    sum_shape(a.shape(), b.shape())?;
    Ok(Arithmetic::Add.in_place(a, b))
}

/// The shape of the sum that [`add`] gives, which both summands have.
///
/// # Errors
/// The shapes differ.
pub fn sum_shape(a: Shape, b: Shape) -> Result<Shape, OpError> {
    let (op, what) = (Arithmetic::Add.name(), "b");
    if a == b { Ok(a) } else { Err(OpError::Shape { op, what, expected: a, got: b }) }
}

/// The axes of `y`, which has elements, with how far `y`, `a` and `b` move along them: 0 for one that is broadcast.
fn axes(y: Shape, [a, b]: [Shape; 2]) -> Axes<3> {
    let apart = [y, a, b].map(strides);
    Axes::merged(y.dims().iter().enumerate().map(|(axis, &extent)| {
        let of = |operand: usize, x: Shape| match x.dims().get(axis) {
            Some(1) | None => 0,
            Some(_) => apart[operand][axis],
        };
        Axis { extent, strides: [of(0, y), of(1, a), of(2, b)] }
    }))
}

kernel! {
    fn shift<S>(_s, by: f32, y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y += by);
    }
}

kernel! {
    fn divide_by<S>(_s, b: f32, y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y /= b);
    }
}

kernel! {
    fn at_least<S>(_s, b: f32, y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y = select(*y, b, *y > b));
    }
}

kernel! {
    fn at_most<S>(_s, b: f32, y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y = select(*y, b, *y < b));
    }
}

kernel! {
    fn larger<S>(_s, b: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(b).for_each(|(y, &b)| *y = select(*y, b, *y > b));
    }
}

kernel! {
    fn smaller<S>(_s, b: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(b).for_each(|(y, &b)| *y = select(*y, b, *y < b));
    }
}

kernel! {
    fn multiply<S>(_s, b: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(b).for_each(|(y, b)| *y *= b);
    }
}

kernel! {
    fn divide<S>(_s, b: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(b).for_each(|(y, b)| *y /= b);
    }
}

/// The gradient of an operand, summed in f64 over the elements it was broadcast to.
struct Sums<'a> {
    saved: &'a Saved,
    operand: usize,
    dy: &'a Tensor,
}

/// Elements whose sums are taken side by side.
const BLOCK: usize = at_a_time(256);

impl Sums<'_> {
    /// Sums of `term` of an element of `dy`, of the operand, and of the other; where operands were not saved, the latter two
    /// are any numbers.
    fn of(&self, term: impl Fn(f64, f64, f64) -> f64 + Sync) -> Tensor {
        let axes = axes(self.dy.shape(), self.saved.shapes);
        let (outer, inner) = axes.split_inner();
        let is_summed = |axis: &&Axis<3>| axis.strides[1 + self.operand] == 0;
        let summed = Axes::of(outer.as_slice().iter().filter(is_summed).copied());
        let kept = Axes::of(outer.as_slice().iter().filter(|axis| !is_summed(axis)).copied());
        let mut dx = Tensor::scratch(self.saved.shapes[self.operand]);
        let terms = self.dy.data().len() / dx.data().len();
        let chunk = (CHUNK / terms).max(1);
        parallel::for_each_chunk(dx.data_mut(), chunk, |i, dx| {
            if is_summed(&&inner) {
                for (dx, at) in dx.iter_mut().zip(i * chunk..) {
                    let mut sum = 0.0;
                    summed.for_each(kept.offsets(at), |at| sum += self.sum(at, inner.extent, &term));
                    *dx = sum as f32;
                }
                return;
            }
            let mut done = 0;
            while done < dx.len() {
                let (row, col) = ((i * chunk + done) / inner.extent, (i * chunk + done) % inner.extent);
                let len = BLOCK.min(inner.extent - col).min(dx.len() - done);
                let from = inner.after(kept.offsets(row), col);
                let mut block = [0.0; BLOCK];
                summed.for_each(from, |at| self.add(at, inner, &mut block[..len], &term));
                dx[done..][..len].iter_mut().zip(block).for_each(|(dx, sum)| *dx = sum as f32);
                done += len;
            }
        });
        dx
    }

    /// From an offset on: `dy`, the operand, and the other.
    fn from(&self, at: [usize; 3]) -> [&[f32]; 3] {
        let dy = &self.dy.data()[at[0]..];
        match &self.saved.operands {
            Some(operands) => {
                let from = |operand: usize| &operands[operand].data()[at[1 + operand]..];
                [dy, from(self.operand), from(1 - self.operand)]
            }
            None => [dy; 3],
        }
    }

    /// The sum of `len` terms along an axis of which the operand has one position; the other then has all.
    fn sum(&self, at: [usize; 3], len: usize, term: &(impl Fn(f64, f64, f64) -> f64 + Sync)) -> f64 {
        let [dy, own, other] = self.from(at);
        let (dy, own, other) = (&dy[..len], f64::from(own[0]), &other[..len]);
        if len <= CHUNK {
            return sum_of_pairs(dy, other, |dy, other| term(dy, own, other));
        }
        let pieces = parallel::map(len.div_ceil(CHUNK), |i| {
            let piece = i * CHUNK..len.min((i + 1) * CHUNK);
            sum_of_pairs(&dy[piece.clone()], &other[piece], |dy, other| term(dy, own, other))
        });
        pieces.iter().sum()
    }

    /// Adds the terms along an axis to the sums, one to each.
    fn add(&self, at: [usize; 3], inner: Axis<3>, sums: &mut [f64], term: &impl Fn(f64, f64, f64) -> f64) {
        let [dy, own, other] = self.from(at);
        let pairs = sums.iter_mut().zip(dy).zip(own);
        let all = self.saved.operands.is_none() || inner.strides[2 - self.operand] != 0;
        if all {
            for (((sum, &dy), &own), &other) in pairs.zip(other) {
                *sum += term(dy.into(), own.into(), other.into());
            }
        } else {
            let other = f64::from(other[0]);
            pairs.for_each(|((sum, &dy), &own)| *sum += term(dy.into(), own.into(), other));
        }
    }
}

/// The sum of all terms: eight sums, so that an addition need not wait for the one before it, then these.
fn sum_of_pairs(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let mut add = |a: &[f32], b: &[f32]| {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(a.into(), b.into());
        }
    };
    let (eights, of_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = [eights.remainder(), of_b.remainder()];
    eights.zip(of_b).for_each(|(a, b)| add(a, b));
    add(rest[0], rest[1]);
    sums.iter().sum()
}

#[cfg(test)]
mod tests;
