//! The long short-term memory: a recurrent layer whose cell is kept, written and read by gates.
//!
//! ```text
//! i = sigmoid(W_ii x_t + b_ii + W_hi h + b_hi)      the part of g that is written
//! f = sigmoid(W_if x_t + b_if + W_hf h + b_hf)      the part of c that is kept
//! g =    tanh(W_ig x_t + b_ig + W_hg h + b_hg)      the candidate
//! o = sigmoid(W_io x_t + b_io + W_ho h + b_ho)      the part of c that is read
//! c' = f c + i g
//! h' = o tanh(c')      y_t = h'
//! ```
//!
//! `x` is `[n, t, d]`: `n` sequences of `t` steps. `weight_ih` holds `W_ii, W_if, W_ig, W_io` one below the other, and so do
//! the other [`Weights`], in PyTorch's order. The first `h` and `c` are `h0` and `c0`, or zeros.
//!
//! **Conventions.** As PyTorch's `nn.LSTM` of one layer with `batch_first`. Where a mask `[n, t]` is 0, the step is padding:
//! the state does not change, `y` is 0, and the step has no gradient, for any `x` and `dy` there, NaN included. With the
//! padding at the right this is what `pack_padded_sequence` and `pad_packed_sequence` give, with `h_n` and `c_n` at each
//! sequence's own last step; padding may also lie elsewhere. With `reverse` the steps are taken from the last to the first,
//! and `h_n` is the state after the first: one half of a bidirectional layer. A NaN makes its sequence NaN from that step on,
//! and no other. There must be at least one step; steps without features (`d = 0`) see only the state.
//!
//! **Algorithm.** One GEMM for the input of all steps, then one for each step. Sequences go through each step together,
//! which lets the weights be read once for all. A sequence's numbers do not depend on the others of the batch. The forward
//! pass keeps gates and states; the backward pass computes the cell and its `tanh` again.
//!
//! Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997), with the gate `f` of
//! F. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget" (2000).

use crate::OpError;
use crate::shared::check;
use crate::shared::recurrent::{
    Cell, Sequences, WeightGradients, Weights, add_product, check_each, columns, parts, parts_mut,
    without_padding,
};
use cnn_tensor::simd::{Level, Simd, math};
use cnn_tensor::{Buffer, MatMut, MatRef, Shape, Tensor, gemm, kernel, vector};
use serde::{Deserialize, Serialize};

/// A record is `[i f g o | c h]`, with the state before the step; a state is `[c h]`.
const CELL: Cell = Cell { op: "lstm", gates: 4, axes: ["[4h, d]", "[4h, h]"], record: 6, state: 2 };
const OP: &str = CELL.op;

/// The options of a long short-term memory.
///
/// ```
/// use cnn_ops::{Lstm, Weights, lstm::Initial};
/// use cnn_tensor::Tensor;
/// // Without weights, all gates are half open and nothing is written: the cell is halved by each step.
/// let (weight_ih, weight_hh) = (Tensor::zeros([4, 3]), Tensor::zeros([4, 1]));
/// let weights = Weights { weight_ih: &weight_ih, weight_hh: &weight_hh, bias_ih: None, bias_hh: None };
/// let c0 = Tensor::full([1, 1], 8.0);
/// let initial = Initial { c0: Some(&c0), ..Initial::default() };
/// let output = Lstm::default().infer(&Tensor::zeros([1, 3, 3]), weights, initial, None)?;
/// assert_eq!(output.c_n.data(), [1.0]);
/// assert!((output.h_n.data()[0] - 0.5 * 1f32.tanh()).abs() < 1e-6);
/// assert_eq!(output.y.shape().dims(), [1, 3, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lstm {
    /// Whether the steps are taken from the last to the first.
    pub reverse: bool,
}

/// The state before the first step that is taken; parts left out are zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct Initial<'a> {
    /// `[n, h]`.
    pub h0: Option<&'a Tensor>,
    /// The cell, `[n, h]`.
    pub c0: Option<&'a Tensor>,
}

/// The output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `h` after each step, `[n, t, h]`.
    pub y: Tensor,
    /// `h` after the last step that was taken, `[n, h]`.
    pub h_n: Tensor,
    /// The cell after that step, `[n, h]`.
    pub c_n: Tensor,
}

/// The gradients of the outputs; those left out are zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputGradients<'a> {
    /// Of `y`, `[n, t, h]`.
    pub dy: Option<&'a Tensor>,
    /// Of `h_n`, `[n, h]`.
    pub dh_n: Option<&'a Tensor>,
    /// Of `c_n`, `[n, h]`.
    pub dc_n: Option<&'a Tensor>,
}

/// The gradients of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct InputGradients {
    /// Of `x`, `[n, t, d]`.
    pub dx: Tensor,
    /// Of `h0`, `[n, h]`, whether it was given or zeros.
    pub dh0: Tensor,
    /// Of `c0`, `[n, h]`, likewise.
    pub dc0: Tensor,
}

/// The data that the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    all: Sequences,
    /// With zeros for padding.
    x: Tensor,
    mask: Option<Tensor>,
    /// The records, `[n, t, 6h]`.
    kept: Tensor,
}

impl Lstm {
    /// Sets whether the steps are taken from the last to the first.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// `x [n, t, d]`, `weight_ih [4h, d]` and `weight_hh [4h, h]` to the shape of `y`, `[n, t, h]`.
    ///
    /// # Errors
    /// A tensor has another rank, the weights do not fit, `t` or `h` is 0, or the data kept for the backward pass would be
    /// too large.
    pub fn output_shape(&self, x: Shape, weight_ih: Shape, weight_hh: Shape) -> Result<Shape, OpError> {
        let Sequences { n, t, h, .. } = Sequences::new(&CELL, self.reverse, x, weight_ih, weight_hh)?;
        Ok([n, t, h].into())
    }

    /// The outputs for `x [n, t, d]`, and what [`Lstm::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Lstm::output_shape`]; a bias, the initial state or the mask does not have its shape, or the mask holds
    /// another number than 0 and 1.
    pub fn forward(
        &self,
        x: &Tensor,
        weights: Weights<'_>,
        initial: Initial<'_>,
        mask: Option<&Tensor>,
    ) -> Result<(Output, Saved), OpError> {
        let Weights { weight_ih, weight_hh, .. } = weights;
        let all = Sequences::new(&CELL, self.reverse, x.shape(), weight_ih.shape(), weight_hh.shape())?;
        let Sequences { n, t, d, h, .. } = all;
        weights.check_biases(&all)?;
        check_each(OP, [("h0", initial.h0), ("c0", initial.c0)], [n, h])?;
        mask.map_or(Ok(()), |mask| check::mask(OP, [n, t], mask))?;

        let x = without_padding(x, mask);
        let mut kept = Tensor::scratch([n, t, 6 * h]);
        let mut bias = Buffer::zeroed(4 * h);
        for part in [weights.bias_ih, weights.bias_hh].into_iter().flatten() {
            vector::axpy(1.0, part.data(), bias.as_mut_slice());
        }
        for record in kept.data_mut().chunks_exact_mut(6 * h) {
            record[..4 * h].copy_from_slice(bias.as_slice());
        }
        // (n t, d) x (d, 4h)
        let (steps, w_ih) = (MatRef::new(x.data(), n * t, d), MatRef::new(weight_ih.data(), 4 * h, d));
        add_product(steps, w_ih.t(), kept.data_mut(), [n * t, 6 * h], 0..4 * h);

        let level = Level::current();
        let mut state = all.state([initial.c0, initial.h0]);
        let w_hh = MatRef::new(weight_hh.data(), 4 * h, h);
        for now in all.steps() {
            let record = now * 6 * h;
            // (n, h) x (h, 4h)
            let before = columns(state.as_slice(), [n, 2 * h], h..2 * h);
            add_product(before, w_hh.t(), kept.data_mut(), [n, t * 6 * h], record..record + 4 * h);
            all.forward_step(now, &mut kept, &mut state, mask, |record, state| step(level, h, record, state));
        }
        let y = all.outputs(&kept, state.as_slice(), mask);
        let (h_n, c_n) = (all.part::<2>(&state, 1), all.part::<2>(&state, 0));
        Ok((Output { y, h_n, c_n }, Saved { all, x, mask: mask.cloned(), kept }))
    }

    /// [`Lstm::forward`] without what the backward pass reads.
    ///
    /// # Errors
    /// Those of [`Lstm::forward`].
    pub fn infer(
        &self,
        x: &Tensor,
        weights: Weights<'_>,
        initial: Initial<'_>,
        mask: Option<&Tensor>,
    ) -> Result<Output, OpError> {
        self.forward(x, weights, initial, mask).map(|(output, _)| output)
    }

    /// Returns the gradients of `x` and of the initial state, and adds those of the weights into `dweights`. Of `weights`,
    /// the biases are not read.
    ///
    /// # Errors
    /// A weight or a gradient does not have the shape of the forward pass; then nothing has been added.
    pub fn backward(
        &self,
        saved: &Saved,
        weights: Weights<'_>,
        gradients: OutputGradients<'_>,
        dweights: WeightGradients<'_>,
    ) -> Result<InputGradients, OpError> {
        let (dgates, dstate) = self.backward_steps(saved, weights, gradients, dweights)?;
        let (all, mut dx) = (&saved.all, Tensor::scratch(saved.x.shape()));
        let Sequences { n, t, d, h, .. } = *all;
        // (n t, 4h) x (4h, d)
        gemm(
            1.0,
            MatRef::new(dgates.as_slice(), n * t, 4 * h),
            MatRef::new(weights.weight_ih.data(), 4 * h, d),
            0.0,
            MatMut::new(dx.data_mut(), n * t, d),
        );
        Ok(InputGradients { dx, dh0: all.part::<2>(&dstate, 1), dc0: all.part::<2>(&dstate, 0) })
    }

    /// [`Lstm::backward`] without the gradients of the input and the initial state, for the first layer of a network.
    ///
    /// # Errors
    /// Those of [`Lstm::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        weights: Weights<'_>,
        gradients: OutputGradients<'_>,
        dweights: WeightGradients<'_>,
    ) -> Result<(), OpError> {
        self.backward_steps(saved, weights, gradients, dweights).map(|_| ())
    }

    /// Adds the gradients of the weights, and returns those of the gates' sums `[n, t, 4h]` and of the initial state.
    fn backward_steps(
        &self,
        saved: &Saved,
        weights: Weights<'_>,
        gradients: OutputGradients<'_>,
        dweights: WeightGradients<'_>,
    ) -> Result<(Buffer<f32>, Buffer<f32>), OpError> {
        let Saved { all, x, mask, kept } = saved;
        let (Sequences { n, t, d, h, .. }, mask) = (*all, mask.as_ref());
        let OutputGradients { dy, dh_n, dc_n } = gradients;
        check::shape(OP, "weight_ih", [4 * h, d], weights.weight_ih)?;
        check::shape(OP, "weight_hh", [4 * h, h], weights.weight_hh)?;
        check_each(OP, [("dy", dy)], [n, t, h])?;
        check_each(OP, [("dh_n", dh_n), ("dc_n", dc_n)], [n, h])?;
        dweights.check(all)?;

        let level = Level::current();
        let mut dgates = Buffer::scratch(n * t * 4 * h);
        let mut dstate = all.state([dc_n, dh_n]);
        let w_hh = MatRef::new(weights.weight_hh.data(), 4 * h, h);
        for now in all.steps().rev() {
            all.backward_step(now, kept, dy, [&mut dgates, &mut dstate], mask, |record, dgates, dstate| {
                step_backward(level, h, record, dgates, dstate);
            });
            // (n, 4h) x (4h, h)
            let of_step = columns(dgates.as_slice(), [n, t * 4 * h], now * 4 * h..(now + 1) * 4 * h);
            add_product(of_step, w_hh, dstate.as_mut_slice(), [n, 2 * h], h..2 * h);
        }

        // (4h, n t) x (n t, d) and (4h, n t) x (n t, h)
        let of_all = MatRef::new(dgates.as_slice(), n * t, 4 * h).t();
        let before = columns(kept.data(), [n * t, 6 * h], 5 * h..6 * h);
        add_product(of_all, MatRef::new(x.data(), n * t, d), dweights.weight_ih.data_mut(), [4 * h, d], 0..d);
        add_product(of_all, before, dweights.weight_hh.data_mut(), [4 * h, h], 0..h);
        let sums = all.bias_gradient(dgates.as_slice());
        for dbias in [dweights.bias_ih, dweights.bias_hh].into_iter().flatten() {
            vector::axpy(1.0, sums.as_slice(), dbias.data_mut());
        }
        Ok((dgates, dstate))
    }
}

kernel! {
    /// The gates' sums in a record become gates, and the state the next.
    fn step<S>(s, h: usize, record: &mut [f32], state: &mut [f32]) {
        let [i_gate, f_gate, g_gate, o_gate] = parts_mut(record, h);
        let [cell, hidden] = parts_mut(state, h);
        for at in (0..h).step_by(S::LANES) {
            let now = at..h.min(at + S::LANES);
            let sigmoid = |sums: &[f32]| math::sigmoid(s, s.load_partial(&sums[now.clone()]));
            let (i, f, o) = (sigmoid(i_gate), sigmoid(f_gate), sigmoid(o_gate));
            let g = math::tanh(s, s.load_partial(&g_gate[now.clone()]));
            let c = next_cell(s, [i, f, g], s.load_partial(&cell[now.clone()]));
            s.store_partial(i, &mut i_gate[now.clone()]);
            s.store_partial(f, &mut f_gate[now.clone()]);
            s.store_partial(g, &mut g_gate[now.clone()]);
            s.store_partial(o, &mut o_gate[now.clone()]);
            s.store_partial(c, &mut cell[now.clone()]);
            s.store_partial(s.mul(o, math::tanh(s, c)), &mut hidden[now]);
        }
    }
}

/// `f c + i g`.
#[inline(always)]
fn next_cell<S: Simd>(s: S, [i, f, g]: [S::V; 3], c: S::V) -> S::V {
    s.mul_add(f, c, s.mul(i, g))
}

kernel! {
    /// From a record, and the gradient of the state after its step: that of the gates' sums, and that of the state before
    /// the step, as far as it does not come from the gates.
    fn step_backward<S>(s, h: usize, record: &[f32], dgates: &mut [f32], dstate: &mut [f32]) {
        let one = s.splat(1.0);
        let (record, dgates, dstate) = (parts::<5>(record, h), parts_mut::<4>(dgates, h), parts_mut::<2>(dstate, h));
        let [di, df, dg, d_o] = dgates;
        let [dc, dh] = dstate;
        for at in (0..h).step_by(S::LANES) {
            let now = at..h.min(at + S::LANES);
            let [i, f, g, o, c] = record.map(|part| s.load_partial(&part[now.clone()]));
            let tanh_c = math::tanh(s, next_cell(s, [i, f, g], c));
            let dh_now = s.load_partial(&dh[now.clone()]);
            let through_c = s.mul(s.mul(dh_now, o), s.sub(one, s.mul(tanh_c, tanh_c)));
            let dc_now = s.add(s.load_partial(&dc[now.clone()]), through_c);
            // The derivative of the sigmoid is y (1 - y), that of tanh 1 - y^2.
            let through_sigmoid = |dy: S::V, y: S::V| s.mul(dy, s.mul(y, s.sub(one, y)));
            s.store_partial(through_sigmoid(s.mul(dc_now, g), i), &mut di[now.clone()]);
            s.store_partial(through_sigmoid(s.mul(dc_now, c), f), &mut df[now.clone()]);
            s.store_partial(s.mul(s.mul(dc_now, i), s.sub(one, s.mul(g, g))), &mut dg[now.clone()]);
            s.store_partial(through_sigmoid(s.mul(dh_now, tanh_c), o), &mut d_o[now.clone()]);
            s.store_partial(s.mul(dc_now, f), &mut dc[now.clone()]);
            s.store_partial(s.splat(0.0), &mut dh[now]);
        }
    }
}

#[cfg(test)]
mod tests;
