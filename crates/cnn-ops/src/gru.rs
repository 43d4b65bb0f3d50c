//! The gated recurrent unit: a recurrent layer whose state is kept and forgotten by gates.
//!
//! ```text
//! r = sigmoid(W_ir x_t + b_ir + W_hr h + b_hr)        the part of the state that n sees
//! z = sigmoid(W_iz x_t + b_iz + W_hz h + b_hz)        the part of the state that is kept
//! n =    tanh(W_in x_t + b_in + r (W_hn h + b_hn))    what could be written
//! h' = (1 - z) n + z h      y_t = h'
//! ```
//!
//! `x` is `[n, t, d]`: `n` sequences of `t` steps. `weight_ih` holds `W_ir, W_iz, W_in` one below the other, and so do the
//! other [`Weights`], in PyTorch's order. The first `h` is `h0`, or zeros.
//!
//! **Conventions.** As PyTorch's `nn.GRU` of one layer with `batch_first`: the bias `b_hn` stands inside the product with `r`,
//! which applies after the product of `W_hn` (in the paper it applies before). Where a mask `[n, t]` is 0, the step is padding:
//! the state does not change, `y` is 0, and the step has no gradient, for any `x` and `dy` there, NaN included. With the
//! padding at the right this is what `pack_padded_sequence` and `pad_packed_sequence` give, with `h_n` at each sequence's
//! own last step; padding may also lie elsewhere. With `reverse` the steps are taken from the last to the first, and `h_n` is
//! the state after the first: one half of a bidirectional layer. A NaN makes its sequence NaN from that step on, and no
//! other. There must be at least one step; steps without features (`d = 0`) see only the state.
//!
//! **Algorithm.** As [`lstm`](crate::lstm): the input of all steps by two GEMMs, then one for each step, so that a sequence's
//! numbers do not depend on the others of the batch.
//!
//! Source: K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation"
//! (2014), section 2.3, with the order of `r` and `W_hn` of cuDNN and PyTorch.

use crate::OpError;
use crate::shared::check;
use crate::shared::recurrent::{
    Cell, Sequences, WeightGradients, Weights, add_product, check_each, columns, parts, parts_mut,
    without_padding,
};
use cnn_tensor::simd::{Level, math};
use cnn_tensor::{Buffer, MatRef, Shape, Tensor, kernel, vector};
use serde::{Deserialize, Serialize};

/// A record is `[n r z q | h]`, with `q = W_hn h + b_hn` and the state before the step. So `r z q`, the sums of the state, are
/// neighbours in the order of `weight_hh`; the input's are `r z` and `n`.
const CELL: Cell = Cell { op: "gru", gates: 3, axes: ["[3h, d]", "[3h, h]"], record: 5, state: 1 };
const OP: &str = CELL.op;

/// The options of a gated recurrent unit.
///
/// ```
/// use cnn_ops::{Gru, Weights};
/// use cnn_tensor::Tensor;
/// // Without weights, all gates are half open and nothing is written: the state is halved by each step.
/// let (weight_ih, weight_hh) = (Tensor::zeros([3, 2]), Tensor::zeros([3, 1]));
/// let weights = Weights { weight_ih: &weight_ih, weight_hh: &weight_hh, bias_ih: None, bias_hh: None };
/// let h0 = Tensor::full([1, 1], 8.0);
/// let output = Gru::default().infer(&Tensor::zeros([1, 3, 2]), weights, Some(&h0), None)?;
/// assert_eq!(output.y.data(), [4.0, 2.0, 1.0]);
/// assert_eq!(output.h_n.data(), [1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gru {
    /// Whether the steps are taken from the last to the first.
    pub reverse: bool,
}

/// The output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `h` after each step, `[n, t, h]`.
    pub y: Tensor,
    /// `h` after the last step that was taken, `[n, h]`.
    pub h_n: Tensor,
}

/// The gradients of the outputs; those left out are zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputGradients<'a> {
    /// Of `y`, `[n, t, h]`.
    pub dy: Option<&'a Tensor>,
    /// Of `h_n`, `[n, h]`.
    pub dh_n: Option<&'a Tensor>,
}

/// The gradients of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct InputGradients {
    /// Of `x`, `[n, t, d]`.
    pub dx: Tensor,
    /// Of `h0`, `[n, h]`, whether it was given or zeros.
    pub dh0: Tensor,
}

/// The data that the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    all: Sequences,
    /// With zeros for padding.
    x: Tensor,
    mask: Option<Tensor>,
    /// The records, `[n, t, 5h]`.
    kept: Tensor,
}

impl Gru {
    /// Sets whether the steps are taken from the last to the first.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// `x [n, t, d]`, `weight_ih [3h, d]` and `weight_hh [3h, h]` to the shape of `y`, `[n, t, h]`.
    ///
    /// # Errors
    /// A tensor has another rank, the weights do not fit, `t` or `h` is 0, or the data kept for the backward pass would be
    /// too large.
    pub fn output_shape(&self, x: Shape, weight_ih: Shape, weight_hh: Shape) -> Result<Shape, OpError> {
        let Sequences { n, t, h, .. } = Sequences::new(&CELL, self.reverse, x, weight_ih, weight_hh)?;
        Ok([n, t, h].into())
    }

    /// The outputs for `x [n, t, d]`, and what [`Gru::backward`] reads. `h0`, `[n, h]`, is the state before the first step
    /// that is taken, zeros if left out.
    ///
    /// # Errors
    /// Those of [`Gru::output_shape`]; a bias, `h0` or the mask does not have its shape, or the mask holds another number
    /// than 0 and 1.
    pub fn forward(
        &self,
        x: &Tensor,
        weights: Weights<'_>,
        h0: Option<&Tensor>,
        mask: Option<&Tensor>,
    ) -> Result<(Output, Saved), OpError> {
        let Weights { weight_ih, weight_hh, bias_ih, bias_hh } = weights;
        let all = Sequences::new(&CELL, self.reverse, x.shape(), weight_ih.shape(), weight_hh.shape())?;
        let Sequences { n, t, d, h, .. } = all;
        weights.check_biases(&all)?;
        check_each(OP, [("h0", h0)], [n, h])?;
        mask.map_or(Ok(()), |mask| check::mask(OP, [n, t], mask))?;

        let x = without_padding(x, mask);
        let mut kept = Tensor::scratch([n, t, 5 * h]);
        let mut bias = Buffer::zeroed(4 * h);
        if let Some(of_input) = bias_ih {
            let (rz, n) = of_input.data().split_at(2 * h);
            vector::axpy(1.0, rz, &mut bias.as_mut_slice()[h..3 * h]);
            vector::axpy(1.0, n, &mut bias.as_mut_slice()[..h]);
        }
        if let Some(of_state) = bias_hh {
            vector::axpy(1.0, of_state.data(), &mut bias.as_mut_slice()[h..]);
        }
        for record in kept.data_mut().chunks_exact_mut(5 * h) {
            record[..4 * h].copy_from_slice(bias.as_slice());
        }
        // (n t, d) x (d, 2h) and (n t, d) x (d, h)
        let (steps, [rz, new]) = (MatRef::new(x.data(), n * t, d), halves(weight_ih, h, d));
        add_product(steps, rz.t(), kept.data_mut(), [n * t, 5 * h], h..3 * h);
        add_product(steps, new.t(), kept.data_mut(), [n * t, 5 * h], 0..h);

        let level = Level::current();
        let mut state = all.state([h0]);
        let w_hh = MatRef::new(weight_hh.data(), 3 * h, h);
        for now in all.steps() {
            let record = now * 5 * h;
            // (n, h) x (h, 3h)
            let before = MatRef::new(state.as_slice(), n, h);
            add_product(before, w_hh.t(), kept.data_mut(), [n, t * 5 * h], record + h..record + 4 * h);
            all.forward_step(now, &mut kept, &mut state, mask, |record, state| step(level, h, record, state));
        }
        let y = all.outputs(&kept, state.as_slice(), mask);
        let h_n = all.part::<1>(&state, 0);
        Ok((Output { y, h_n }, Saved { all, x, mask: mask.cloned(), kept }))
    }

    /// [`Gru::forward`] without what the backward pass reads.
    ///
    /// # Errors
    /// Those of [`Gru::forward`].
    pub fn infer(
        &self,
        x: &Tensor,
        weights: Weights<'_>,
        h0: Option<&Tensor>,
        mask: Option<&Tensor>,
    ) -> Result<Output, OpError> {
        self.forward(x, weights, h0, mask).map(|(output, _)| output)
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
        let (all, mut dx) = (&saved.all, Tensor::zeros(saved.x.shape()));
        let Sequences { n, t, d, h, .. } = *all;
        // (n t, 2h) x (2h, d) and (n t, h) x (h, d)
        let [rz, new] = halves(weights.weight_ih, h, d);
        let of_gates = |chosen| columns(dgates.as_slice(), [n * t, 4 * h], chosen);
        add_product(of_gates(h..3 * h), rz, dx.data_mut(), [n * t, d], 0..d);
        add_product(of_gates(0..h), new, dx.data_mut(), [n * t, d], 0..d);
        Ok(InputGradients { dx, dh0: all.part::<1>(&dstate, 0) })
    }

    /// [`Gru::backward`] without the gradients of the input and the initial state, for the first layer of a network.
    ///
    /// # Errors
    /// Those of [`Gru::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        weights: Weights<'_>,
        gradients: OutputGradients<'_>,
        dweights: WeightGradients<'_>,
    ) -> Result<(), OpError> {
        self.backward_steps(saved, weights, gradients, dweights).map(|_| ())
    }

    /// Adds the gradients of the weights, and returns those of the sums `n r z q`, `[n, t, 4h]`, and of the initial state.
    fn backward_steps(
        &self,
        saved: &Saved,
        weights: Weights<'_>,
        gradients: OutputGradients<'_>,
        dweights: WeightGradients<'_>,
    ) -> Result<(Buffer<f32>, Buffer<f32>), OpError> {
        let Saved { all, x, mask, kept } = saved;
        let (Sequences { n, t, d, h, .. }, mask) = (*all, mask.as_ref());
        let OutputGradients { dy, dh_n } = gradients;
        check::shape(OP, "weight_ih", [3 * h, d], weights.weight_ih)?;
        check::shape(OP, "weight_hh", [3 * h, h], weights.weight_hh)?;
        check_each(OP, [("dy", dy)], [n, t, h])?;
        check_each(OP, [("dh_n", dh_n)], [n, h])?;
        dweights.check(all)?;

        let level = Level::current();
        let mut dgates = Buffer::scratch(n * t * 4 * h);
        let mut dstate = all.state([dh_n]);
        let w_hh = MatRef::new(weights.weight_hh.data(), 3 * h, h);
        for now in all.steps().rev() {
            all.backward_step(now, kept, dy, [&mut dgates, &mut dstate], mask, |record, dgates, dstate| {
                step_backward(level, h, record, dgates, dstate);
            });
            // (n, 3h) x (3h, h)
            let record = now * 4 * h;
            let of_step = columns(dgates.as_slice(), [n, t * 4 * h], record + h..record + 4 * h);
            add_product(of_step, w_hh, dstate.as_mut_slice(), [n, h], 0..h);
        }

        // (2h, n t) x (n t, d), (h, n t) x (n t, d) and (3h, n t) x (n t, h)
        let of_gates = |chosen| columns(dgates.as_slice(), [n * t, 4 * h], chosen).t();
        let (steps, before) =
            (MatRef::new(x.data(), n * t, d), columns(kept.data(), [n * t, 5 * h], 4 * h..5 * h));
        let (rz, new) = dweights.weight_ih.data_mut().split_at_mut(2 * h * d);
        add_product(of_gates(h..3 * h), steps, rz, [2 * h, d], 0..d);
        add_product(of_gates(0..h), steps, new, [h, d], 0..d);
        add_product(of_gates(h..4 * h), before, dweights.weight_hh.data_mut(), [3 * h, h], 0..h);
        let sums = all.bias_gradient(dgates.as_slice());
        let sums = sums.as_slice();
        if let Some(dbias) = dweights.bias_ih {
            let (rz, new) = dbias.data_mut().split_at_mut(2 * h);
            vector::axpy(1.0, &sums[h..3 * h], rz);
            vector::axpy(1.0, &sums[..h], new);
        }
        if let Some(dbias) = dweights.bias_hh {
            vector::axpy(1.0, &sums[h..], dbias.data_mut());
        }
        Ok((dgates, dstate))
    }
}

/// The rows of `weight_ih` for `r` and `z`, and those for `n`.
fn halves(weight_ih: &Tensor, h: usize, d: usize) -> [MatRef<'_>; 2] {
    let (rz, new) = weight_ih.data().split_at(2 * h * d);
    [MatRef::new(rz, 2 * h, d), MatRef::new(new, h, d)]
}

kernel! {
    /// The sums in a record become gates, but for `q`, and the state the next.
    fn step<S>(s, h: usize, record: &mut [f32], state: &mut [f32]) {
        let [n_gate, r_gate, z_gate, q_sum] = parts_mut(record, h);
        for at in (0..h).step_by(S::LANES) {
            let now = at..h.min(at + S::LANES);
            let load = |part: &[f32]| s.load_partial(&part[now.clone()]);
            let (r, z) = (math::sigmoid(s, load(r_gate)), math::sigmoid(s, load(z_gate)));
            let n = math::tanh(s, s.mul_add(r, load(q_sum), load(n_gate)));
            // So that z = 1 keeps the state to the last bit.
            let next = s.mul_add(z, load(state), s.mul(s.sub(s.splat(1.0), z), n));
            s.store_partial(n, &mut n_gate[now.clone()]);
            s.store_partial(r, &mut r_gate[now.clone()]);
            s.store_partial(z, &mut z_gate[now.clone()]);
            s.store_partial(next, &mut state[now]);
        }
    }
}

kernel! {
    /// From a record, and the gradient of the state after its step: that of the sums, and that of the state before the step,
    /// as far as it does not come from the sums.
    fn step_backward<S>(s, h: usize, record: &[f32], dgates: &mut [f32], dstate: &mut [f32]) {
        let one = s.splat(1.0);
        let (record, [dn, dr, dz, dq]) = (parts::<5>(record, h), parts_mut::<4>(dgates, h));
        for at in (0..h).step_by(S::LANES) {
            let now = at..h.min(at + S::LANES);
            let [n, r, z, q, before] = record.map(|part| s.load_partial(&part[now.clone()]));
            let dh = s.load_partial(&dstate[now.clone()]);
            // The derivative of the sigmoid is y (1 - y), that of tanh 1 - y^2.
            let through_sigmoid = |dy: S::V, y: S::V| s.mul(dy, s.mul(y, s.sub(one, y)));
            let dn_now = s.mul(s.mul(dh, s.sub(one, z)), s.sub(one, s.mul(n, n)));
            s.store_partial(dn_now, &mut dn[now.clone()]);
            s.store_partial(through_sigmoid(s.mul(dn_now, q), r), &mut dr[now.clone()]);
            s.store_partial(through_sigmoid(s.mul(dh, s.sub(before, n)), z), &mut dz[now.clone()]);
            s.store_partial(s.mul(dn_now, r), &mut dq[now.clone()]);
            s.store_partial(s.mul(dh, z), &mut dstate[now]);
        }
    }
}

#[cfg(test)]
mod tests;
