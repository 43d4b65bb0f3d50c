//! Shared by the recurrent operations: their weights, the checks, the mask, and the way through the steps.
//!
//! For the backward pass, an operation keeps a record for each step of each sequence, with the state *before* the step, so
//! that the first step is like any other. A record is the gates' numbers and then that state, and a state ends with `h`. Records
//! lie sequence after sequence, `[n, t, record]`: all steps are the rows of one matrix for the products with the input, and
//! one step of all sequences is a range of columns of another for the products with the state.

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Buffer, MatMut, MatRef, Shape, Tensor, gemm, parallel, vector};
use std::ops::Range;

/// Gates that make a piece of a step worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 14);

/// Numbers of the gates in a record, and in the gradients, in multiples of `h`: a GRU's `n` has two sums.
pub(crate) const GATES: usize = 4;

/// The parameters of a recurrent layer: PyTorch's `weight_ih_l0` and its kin. There are `g = 4` gates in an LSTM, and
/// `g = 3` in a GRU.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Those of the input, `[g h, d]`.
    pub weight_ih: &'a Tensor,
    /// Those of the state, `[g h, h]`.
    pub weight_hh: &'a Tensor,
    /// Added to the product with the input, `[g h]`.
    pub bias_ih: Option<&'a Tensor>,
    /// Added to the product with the state, `[g h]`.
    pub bias_hh: Option<&'a Tensor>,
}

/// The tensors that the gradients of the [`Weights`] are added into, each of the shape of its weight.
#[derive(Debug)]
pub struct WeightGradients<'a> {
    /// For `weight_ih`.
    pub weight_ih: &'a mut Tensor,
    /// For `weight_hh`.
    pub weight_hh: &'a mut Tensor,
    /// For `bias_ih`.
    pub bias_ih: Option<&'a mut Tensor>,
    /// For `bias_hh`.
    pub bias_hh: Option<&'a mut Tensor>,
}

/// How a recurrent operation differs from the others.
#[derive(Debug)]
pub(crate) struct Cell {
    pub op: &'static str,
    pub gates: usize,
    /// The axes of its weights.
    pub axes: [&'static str; 2],
    /// Numbers that are kept of each step, in multiples of `h`.
    pub record: usize,
    /// Numbers that go from step to step, in multiples of `h`.
    pub state: usize,
}

/// The extents of a batch of sequences, and the order of their steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequences {
    pub cell: &'static Cell,
    pub n: usize,
    pub t: usize,
    pub d: usize,
    pub h: usize,
    pub reverse: bool,
}

impl Sequences {
    /// Those of `x [n, t, d]`, if the weights fit.
    pub fn new(
        cell: &'static Cell,
        reverse: bool,
        x: Shape,
        weight_ih: Shape,
        weight_hh: Shape,
    ) -> Result<Self, OpError> {
        let op = cell.op;
        let [n, t, d] = *x.dims() else {
            return Err(OpError::Rank { op, what: "x", expected: "[n, t, d]", got: x });
        };
        check::matrix(op, "weight_ih", cell.axes[0], weight_ih)?;
        let [_, h] = check::matrix(op, "weight_hh", cell.axes[1], weight_hh)?;
        check::rule(op, "the number of steps", "at least 1", t > 0, t)?;
        check::rule(op, "the size of the state", "at least 1", h > 0, h)?;
        let rows = h.saturating_mul(cell.gates);
        for (what, expected, got) in
            [("weight_ih", [rows, d], weight_ih), ("weight_hh", [rows, h], weight_hh)]
        {
            if got != expected.into() {
                return Err(OpError::Shape { op, what, expected: expected.into(), got });
            }
        }
        // The record kept for the backward pass is the largest tensor of the operation.
        check::output(op, [n, t, h.saturating_mul(cell.record)])?;
        Ok(Self { cell, n, t, d, h, reverse })
    }

    /// The steps, in the order in which they are taken.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        // Without sequences there is nothing to do at any step.
        let (steps, reverse) = (if self.n == 0 { 0 } else { self.t }, self.reverse);
        (0..steps).map(move |i| if reverse { steps - 1 - i } else { i })
    }

    /// Sequences of which a step is worth a thread.
    pub fn per_chunk(&self, gates: usize) -> usize {
        (WORTH_A_THREAD / (gates * self.h)).max(1)
    }

    /// Takes step `now` of all sequences: puts the states before it into its records, and lets `step` make the next ones, from
    /// record and state, where it is more than padding.
    pub fn forward_step(
        &self,
        now: usize,
        kept: &mut Tensor,
        state: &mut Buffer<f32>,
        mask: Option<&Tensor>,
        step: impl Fn(&mut [f32], &mut [f32]) + Sync,
    ) {
        let (t, record, width) = (self.t, self.cell.record * self.h, self.cell.state * self.h);
        let per_chunk = self.per_chunk(GATES);
        let pair = ((kept.data_mut(), per_chunk * t * record), (state.as_mut_slice(), per_chunk * width));
        parallel::for_each_chunk_pair(pair.0, pair.1, |i, kept, state| {
            let sequences = kept.chunks_exact_mut(t * record).zip(state.chunks_exact_mut(width));
            for (image, (kept, state)) in (i * per_chunk..).zip(sequences) {
                let kept = &mut kept[now * record..][..record];
                kept[record - width..].copy_from_slice(state);
                if counts(mask, image * t + now) {
                    step(kept, state);
                }
            }
        });
    }

    /// Goes back through step `now`: adds `dy` to the gradient of `h`, and lets `step` make the gradients of the gates' sums and
    /// of the state before the step, from the record, where the step is more than padding.
    pub fn backward_step(
        &self,
        now: usize,
        kept: &Tensor,
        dy: Option<&Tensor>,
        [dgates, dstate]: [&mut Buffer<f32>; 2],
        mask: Option<&Tensor>,
        step: impl Fn(&[f32], &mut [f32], &mut [f32]) + Sync,
    ) {
        let Self { cell, t, h, .. } = *self;
        let (record, width, gates) = (cell.record * h, cell.state * h, GATES * h);
        let per_chunk = self.per_chunk(GATES);
        let pair =
            ((dgates.as_mut_slice(), per_chunk * t * gates), (dstate.as_mut_slice(), per_chunk * width));
        parallel::for_each_chunk_pair(pair.0, pair.1, |i, dgates, dstate| {
            let sequences = dgates.chunks_exact_mut(t * gates).zip(dstate.chunks_exact_mut(width));
            for (image, (dgates, dstate)) in (i * per_chunk..).zip(sequences) {
                let (at, dgates) = (image * t + now, &mut dgates[now * gates..][..gates]);
                if !counts(mask, at) {
                    dgates.fill(0.0);
                    continue;
                }
                if let Some(dy) = dy {
                    vector::axpy(1.0, &dy.data()[at * h..][..h], &mut dstate[width - h..]);
                }
                step(&kept.data()[at * record..][..record], dgates, dstate);
            }
        });
    }

    /// `y [n, t, h]`, from the records and the last states: the state before the next step is that after this one.
    pub fn outputs(&self, kept: &Tensor, state: &[f32], mask: Option<&Tensor>) -> Tensor {
        let Self { cell, n, t, h, reverse, .. } = *self;
        let (record, mut y) = (cell.record * h, Tensor::scratch([n, t, h]));
        let per_chunk = self.per_chunk(t);
        parallel::for_each_chunk(y.data_mut(), per_chunk * t * h, |chunk, y| {
            for (at, y) in y.chunks_exact_mut(h).enumerate() {
                let (image, step) = (chunk * per_chunk + at / t, at % t);
                let next =
                    if reverse { step.checked_sub(1) } else { Some(step + 1).filter(|&next| next < t) };
                let after = match next {
                    Some(next) => &kept.data()[(image * t + next) * record..][..record],
                    None => &state[image * cell.state * h..][..cell.state * h],
                };
                if counts(mask, image * t + step) {
                    y.copy_from_slice(&after[after.len() - h..]);
                } else {
                    y.fill(0.0);
                }
            }
        });
        y
    }

    /// The states `[n, parts h]` that begin with the given parts, each `[n, h]`, or with zeros.
    pub fn state<const N: usize>(&self, parts: [Option<&Tensor>; N]) -> Buffer<f32> {
        let (mut state, h) = (Buffer::zeroed(self.n * N * self.h), self.h);
        for (at, part) in parts.into_iter().enumerate() {
            let Some(part) = part else { continue };
            for (state, part) in state.as_mut_slice().chunks_exact_mut(N * h).zip(part.data().chunks_exact(h))
            {
                state[at * h..][..h].copy_from_slice(part);
            }
        }
        state
    }

    /// A part of such states, `[n, h]`.
    pub fn part<const N: usize>(&self, state: &Buffer<f32>, at: usize) -> Tensor {
        let (mut part, h) = (Tensor::scratch([self.n, self.h]), self.h);
        for (part, state) in part.data_mut().chunks_exact_mut(h).zip(state.as_slice().chunks_exact(N * h)) {
            part.copy_from_slice(&state[at * h..][..h]);
        }
        part
    }

    /// The sums of the gates' gradients over all steps, `[4h]`.
    pub fn bias_gradient(&self, dgates: &[f32]) -> Buffer<f32> {
        let mut sums = Buffer::zeroed(GATES * self.h);
        let rows = dgates.chunks_exact(GATES * self.h);
        rows.for_each(|row| vector::axpy(1.0, row, sums.as_mut_slice()));
        sums
    }
}

/// Whether a step, counted over all sequences, is more than padding.
pub(crate) fn counts(mask: Option<&Tensor>, at: usize) -> bool {
    mask.is_none_or(|mask| mask.data()[at] != 0.0)
}

/// `x` with zeros in its padding, so that a NaN there cannot reach a sum as `0 * NaN`.
pub(crate) fn without_padding(x: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let mut x = x.clone();
    if let Some(mask) = mask.filter(|mask| mask.data().contains(&0.0)) {
        let d = x.shape().dims()[2].max(1);
        let steps = x.data_mut().chunks_exact_mut(d).zip(mask.data());
        steps.filter(|(_, m)| **m == 0.0).for_each(|(x, _)| x.fill(0.0));
    }
    x
}

/// Checks that a tensor, where there is one, has a shape.
pub(crate) fn check_each<const N: usize>(
    op: &'static str,
    tensors: [(&'static str, Option<&Tensor>); N],
    shape: impl Into<Shape>,
) -> Result<(), OpError> {
    let shape = shape.into();
    tensors.into_iter().try_for_each(|(what, tensor)| match tensor {
        Some(tensor) => check::shape(op, what, shape, tensor),
        None => Ok(()),
    })
}

impl Weights<'_> {
    /// Checks that the biases fit the weights.
    pub(crate) fn check_biases(&self, of: &Sequences) -> Result<(), OpError> {
        let biases = [("bias_ih", self.bias_ih), ("bias_hh", self.bias_hh)];
        check_each(of.cell.op, biases, [of.cell.gates * of.h])
    }
}

impl WeightGradients<'_> {
    /// Checks that each has the shape of its weight.
    pub(crate) fn check(&self, of: &Sequences) -> Result<(), OpError> {
        let cell = of.cell;
        let rows = cell.gates * of.h;
        check::shape(cell.op, "dweight_ih", [rows, of.d], self.weight_ih)?;
        check::shape(cell.op, "dweight_hh", [rows, of.h], self.weight_hh)?;
        let biases = [("dbias_ih", self.bias_ih.as_deref()), ("dbias_hh", self.bias_hh.as_deref())];
        check_each(cell.op, biases, [rows])
    }
}

/// The parts of `x`, `h` numbers each.
#[inline(always)]
pub(crate) fn parts<const N: usize>(x: &[f32], h: usize) -> [&[f32]; N] {
    std::array::from_fn(|i| &x[i * h..][..h])
}

/// [`parts`] to write.
#[inline(always)]
pub(crate) fn parts_mut<const N: usize>(x: &mut [f32], h: usize) -> [&mut [f32]; N] {
    let mut parts = x.chunks_exact_mut(h);
    std::array::from_fn(|_| parts.next().expect("as many parts as are asked for"))
}

/// Some columns of a matrix as a factor.
pub(crate) fn columns(data: &[f32], [rows, cols]: [usize; 2], chosen: Range<usize>) -> MatRef<'_> {
    MatRef::new(data, rows, cols).columns(chosen)
}

/// `c += a b` for some columns `c` of a matrix.
pub(crate) fn add_product(
    a: MatRef<'_>,
    b: MatRef<'_>,
    data: &mut [f32],
    [rows, cols]: [usize; 2],
    chosen: Range<usize>,
) {
    gemm(1.0, a, b, 1.0, MatMut::new(data, rows, cols).columns(chosen));
}

#[cfg(test)]
pub(crate) mod testing;
