//! The tests of the recurrent operations, run for each of them by [`suite`].

use super::{WeightGradients, Weights};
use crate::OpError;
use crate::shared::testing::*;
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
use cnn_tensor::{Random, Shape, Tensor};
use proptest::prelude::*;
use std::fmt::Debug;

/// An operation as its tests see it.
pub(crate) trait Cell:
    Copy + Debug + Default + PartialEq + Sync + for<'a> serde::Deserialize<'a>
{
    const NAME: &'static str;
    const GATES: usize;
    /// The names of the state's parts: `h` first.
    const STATE: &'static [&'static str];
    type Saved: Sync;

    fn with_reverse(reverse: bool) -> Self;

    fn is_reverse(self) -> bool;

    /// The definition of one step of one unit, in f64: its new state, of its old one and of what each gate gets of the
    /// input and of the state, biases included.
    fn step(of_input: &[f64], of_state: &[f64], state: &[f64]) -> Vec<f64>;

    fn output_shape(self, x: Shape, weight_ih: Shape, weight_hh: Shape) -> Result<Shape, OpError>;

    /// `y` and the last state.
    fn forward(
        self,
        x: &Tensor,
        weights: Weights<'_>,
        initial: &[Option<&Tensor>],
        mask: Option<&Tensor>,
    ) -> Result<(Vec<Tensor>, Self::Saved), OpError>;

    /// `y` and the last state, from an initial state of zeros, by `infer`.
    fn infer(self, x: &Tensor, weights: Weights<'_>) -> Result<Vec<Tensor>, OpError>;

    /// `dx` and the gradients of the initial state, from those of `y` and of the last state.
    fn backward(
        self,
        saved: &Self::Saved,
        weights: Weights<'_>,
        dys: &[Option<&Tensor>],
        dweights: WeightGradients<'_>,
    ) -> Result<Vec<Tensor>, OpError>;

    fn backward_parameters(
        self,
        saved: &Self::Saved,
        weights: Weights<'_>,
        dys: &[Option<&Tensor>],
        dweights: WeightGradients<'_>,
    ) -> Result<(), OpError>;
}

/// Tests of an operation that is a [`Cell`].
macro_rules! suite {
    ($cell:ty) => {
        suite! {
            $cell:
            matches_the_definition
            wide_states_match_the_definition
            absurd_shapes_are_errors
            arguments_left_out_are_zeros
            gradients_of_weights_are_added
            padding_is_as_if_it_were_not_there
            reverse_is_forward_over_turned_steps
            nan_stays_with_its_sequence_and_begins_at_its_step
            no_sequences_are_a_batch_like_any_other
            threads_change_nothing
            other_sequences_change_nothing
            errors_say_what_is_expected
            a_backward_pass_that_fails_adds_nothing
            options_are_plain_data
        }
    };
    ($cell:ty: $($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                crate::shared::recurrent::testing::$test::<$cell>();
            }
        )*
    };
}
pub(crate) use suite;

/// `n t d h`.
type Extents = [usize; 4];

/// The first part of the initial state among the operands, after `x` and the four weights.
const INITIAL: usize = 5;

/// The definition, in f64: `y` and the last state, one after the other, from `x`, the four weights and the initial state.
fn oracle<C: Cell>(op: C, [n, t, d, h]: Extents, of: &[Vec<f64>], mask: Option<&Tensor>) -> Vec<f64> {
    let (weights, initial) = of.split_at(INITIAL);
    let [x, w_ih, w_hh, b_ih, b_hh] = weights else { panic!("x and four weights") };
    let (mut y, mut states) = (vec![0.0; n * t * h], initial.to_vec());
    for (image, at) in (0..n).flat_map(|image| (0..t).map(move |at| (image, at))) {
        let step = image * t + if op.is_reverse() { t - 1 - at } else { at };
        if mask.is_some_and(|mask| mask.data()[step] == 0.0) {
            continue;
        }
        let before = states[0][image * h..][..h].to_vec();
        for j in 0..h {
            let gates = |bias: &[f64], weight: &[f64], from: &[f64]| -> Vec<f64> {
                let row =
                    |row: usize| (0..from.len()).map(|k| weight[row * from.len() + k] * from[k]).sum::<f64>();
                (0..C::GATES).map(|gate| bias[gate * h + j] + row(gate * h + j)).collect()
            };
            let (of_input, of_state) = (gates(b_ih, w_ih, &x[step * d..][..d]), gates(b_hh, w_hh, &before));
            let state: Vec<f64> = states.iter().map(|state| state[image * h + j]).collect();
            let after = C::step(&of_input, &of_state, &state);
            states.iter_mut().zip(&after).for_each(|(state, after)| state[image * h + j] = *after);
            y[step * h + j] = after[0];
        }
    }
    [vec![y], states].concat().concat()
}

/// The names and shapes of `x`, the four weights and the initial state.
fn operands<C: Cell>([n, t, d, h]: Extents) -> Vec<(String, Shape)> {
    let rows = C::GATES * h;
    let mut all: Vec<(String, Shape)> = vec![
        ("x".into(), [n, t, d].into()),
        ("weight_ih".into(), [rows, d].into()),
        ("weight_hh".into(), [rows, h].into()),
        ("bias_ih".into(), [rows].into()),
        ("bias_hh".into(), [rows].into()),
    ];
    all.extend(C::STATE.iter().map(|part| (format!("{part}0"), [n, h].into())));
    all
}

/// Those, with numbers.
fn drawn<C: Cell>(extents: Extents, seed: u64) -> Vec<Tensor> {
    operands::<C>(extents).into_iter().zip(seed..).map(|((_, shape), seed)| distinct(shape, seed)).collect()
}

/// The gradients of `y` and of the last state.
fn drawn_gradients<C: Cell>([n, t, _, h]: Extents, seed: u64) -> Vec<Tensor> {
    let mut gradients = vec![distinct([n, t, h], seed)];
    gradients.extend((1..).zip(C::STATE).map(|(i, _)| distinct([n, h], seed ^ i)));
    gradients
}

fn weights(of: &[Tensor]) -> Weights<'_> {
    Weights { weight_ih: &of[1], weight_hh: &of[2], bias_ih: Some(&of[3]), bias_hh: Some(&of[4]) }
}

fn given(tensors: &[Tensor]) -> Vec<Option<&Tensor>> {
    tensors.iter().map(Some).collect()
}

fn forward<C: Cell>(op: C, of: &[Tensor], mask: Option<&Tensor>) -> (Vec<Tensor>, C::Saved) {
    op.forward(&of[0], weights(of), &given(&of[INITIAL..]), mask).unwrap()
}

/// Zeros, or another number, of the shape of each of the four weights.
fn filled(of: &[Tensor], number: f32) -> [Tensor; 4] {
    [1, 2, 3, 4].map(|i: usize| Tensor::full(of[i].shape(), number))
}

fn gradients_of([weight_ih, weight_hh, bias_ih, bias_hh]: &mut [Tensor; 4]) -> WeightGradients<'_> {
    WeightGradients { weight_ih, weight_hh, bias_ih: Some(bias_ih), bias_hh: Some(bias_hh) }
}

/// The gradients of `x`, the four weights and the initial state; those of the weights added to `onto`.
fn backward<C: Cell>(
    op: C,
    of: &[Tensor],
    saved: &C::Saved,
    dys: &[Option<&Tensor>],
    onto: f32,
) -> Vec<Tensor> {
    let mut dweights = filled(of, onto);
    let mut of_inputs = op.backward(saved, weights(of), dys, gradients_of(&mut dweights)).unwrap();
    let of_state = of_inputs.split_off(1);
    of_inputs.into_iter().chain(dweights).chain(of_state).collect()
}

fn joined(tensors: &[Tensor]) -> Tensor {
    let all: Vec<f32> = tensors.iter().flat_map(|tensor| tensor.data()).copied().collect();
    Tensor::from_vec([all.len()], all).unwrap()
}

/// A step in three is padding, anywhere.
fn drawn_mask(n: usize, t: usize, seed: u64) -> Tensor {
    let mut random = Random::new(seed, &["mask"]);
    let mut mask = Tensor::zeros([n, t]);
    mask.data_mut().iter_mut().for_each(|m| *m = random.below(3).min(1) as f32);
    mask
}

/// Ones for the first steps of each sequence.
fn lengths(t: usize, lengths: &[usize]) -> Tensor {
    let ones = lengths.iter().flat_map(|&length| (0..t).map(move |at| f32::from(u8::from(at < length))));
    Tensor::from_vec([lengths.len(), t], ones.collect()).unwrap()
}

pub(crate) fn matches_the_definition<C: Cell>() {
    let extents = [0..4usize, 1..5, 0..4, 1..4];
    proptest!(|(extents in extents, reverse: bool, masked: bool, seed: u64)| {
        let (op, [n, t, ..]) = (C::with_reverse(reverse), extents);
        let (of, dys) = (drawn::<C>(extents, seed), drawn_gradients::<C>(extents, seed ^ 99));
        let mask = masked.then(|| drawn_mask(n, t, seed));
        let of64: Vec<Vec<f64>> = of.iter().map(to_f64).collect();
        let want = oracle(op, extents, &of64, mask.as_ref());
        let dy = joined(&dys);
        let gradients: Vec<Vec<f64>> = (0..of.len()).map(|i| {
            let with = |v: &[f64]| {
                let mut of64 = of64.clone();
                of64[i] = v.to_vec();
                oracle(op, extents, &of64, mask.as_ref())
            };
            gradient_of(&of[i], &dy, with)
        }).collect();
        everywhere(|| {
            let (outputs, saved) = forward(op, &of, mask.as_ref());
            assert_close(&joined(&outputs), &want);
            let got = backward(op, &of, &saved, &given(&dys), 0.0);
            for (((name, _), got), want) in operands::<C>(extents).iter().zip(&got).zip(&gradients) {
                assert_gradient_close(name, got, want);
            }
        });
    });
}

/// Every vector and rest of one.
pub(crate) fn wide_states_match_the_definition<C: Cell>() {
    proptest!(|(h in 1..40usize, seed: u64)| {
        let extents = [2, 3, 5, h];
        let mut of = drawn::<C>(extents, seed);
        // Gates far from the middle too, but as exact as f32 can be.
        of[1].data_mut().iter_mut().for_each(|w| *w *= 3.0);
        let want = oracle(C::default(), extents, &of.iter().map(to_f64).collect::<Vec<_>>(), None);
        everywhere(|| assert_close(&joined(&forward(C::default(), &of, None).0), &want));
    });
}

pub(crate) fn absurd_shapes_are_errors<C: Cell>() {
    let zeros = vec![None; C::STATE.len()];
    proptest!(|(
        x in any_shape(), w_ih in any_shape(), w_hh in any_shape(), extents in prop::array::uniform4(any_extent()),
    )| {
        let [n, t, d, h] = extents;
        let rows = h.saturating_mul(C::GATES);
        for [x, w_ih, w_hh] in [[x, w_ih, w_hh], [[n, t, d].into(), [rows, d].into(), [rows, h].into()]] {
            let Ok(y) = C::default().output_shape(x, w_ih, w_hh) else { continue };
            if x.numel().max(w_ih.numel()).max(w_hh.numel()).max(6 * y.numel()) < 10_000 {
                let (weight_ih, weight_hh) = (&Tensor::zeros(w_ih), &Tensor::zeros(w_hh));
                let weights = Weights { weight_ih, weight_hh, bias_ih: None, bias_hh: None };
                let (outputs, saved) = C::default().forward(&Tensor::zeros(x), weights, &zeros, None).unwrap();
                prop_assert_eq!(&outputs[0], &Tensor::zeros(y));
                let (weight_ih, weight_hh) = (&mut Tensor::zeros(w_ih), &mut Tensor::zeros(w_hh));
                let dweights = WeightGradients { weight_ih, weight_hh, bias_ih: None, bias_hh: None };
                let none = vec![None; 1 + C::STATE.len()];
                let got = C::default().backward(&saved, weights, &none, dweights).unwrap();
                prop_assert_eq!(&got[0], &Tensor::zeros(x));
            }
        }
    });
}

/// On the way in and on the way back.
pub(crate) fn arguments_left_out_are_zeros<C: Cell>() {
    let extents = [3, 4, 5, 6];
    let mut of = drawn::<C>(extents, 0);
    of[3..].iter_mut().for_each(|tensor| *tensor = Tensor::zeros(tensor.shape()));
    let (want, saved) = forward(C::default(), &of, None);
    let weights = Weights { bias_ih: None, bias_hh: None, ..weights(&of) };
    assert_eq!(C::default().infer(&of[0], weights).unwrap(), want);
    let dys = drawn_gradients::<C>(extents, 1);
    for which in 0..1 << dys.len() {
        let is_given = |i: usize| which >> i & 1 == 1;
        let some: Vec<Option<&Tensor>> =
            dys.iter().enumerate().map(|(i, dy)| is_given(i).then_some(dy)).collect();
        let zeroed: Vec<Tensor> = some
            .iter()
            .zip(&dys)
            .map(|(some, dy)| some.cloned().unwrap_or(Tensor::zeros(dy.shape())))
            .collect();
        let got = backward(C::default(), &of, &saved, &some, 0.0);
        assert_eq!(got, backward(C::default(), &of, &saved, &given(&zeroed), 0.0));
    }
}

pub(crate) fn gradients_of_weights_are_added<C: Cell>() {
    let extents = [3, 4, 5, 6];
    let (of, dys) = (drawn::<C>(extents, 0), drawn_gradients::<C>(extents, 1));
    let (_, saved) = forward(C::default(), &of, None);
    let once = backward(C::default(), &of, &saved, &given(&dys), 0.0);
    let onto = backward(C::default(), &of, &saved, &given(&dys), 2.0);
    for i in 1..INITIAL {
        assert_close(&onto[i], &to_f64(&once[i]).iter().map(|v| v + 2.0).collect::<Vec<_>>());
    }
    let mut alone = filled(&of, 0.0);
    C::default().backward_parameters(&saved, weights(&of), &given(&dys), gradients_of(&mut alone)).unwrap();
    assert_eq!(alone[..], once[1..INITIAL]);
}

/// A padded sequence gives the bits of the shorter one, for any values in the padding, in both directions.
pub(crate) fn padding_is_as_if_it_were_not_there<C: Cell>() {
    let (extents, t) = ([4, 7, 5, 19], 7);
    let (mut of, mut dys) = (drawn::<C>(extents, 0), drawn_gradients::<C>(extents, 1));
    let ends = [7, 3, 1, 0];
    let mask = lengths(t, &ends);
    for (image, &end) in ends.iter().enumerate() {
        of[0].data_mut()[(image * t + end) * 5..(image + 1) * t * 5].fill(f32::NAN);
        dys[0].data_mut()[(image * t + end) * 19..(image + 1) * t * 19].fill(f32::NAN);
    }
    for op in [false, true].map(C::with_reverse) {
        everywhere(|| {
            let (outputs, saved) = forward(op, &of, Some(&mask));
            let gradients = backward(op, &of, &saved, &given(&dys), 0.0);
            assert!(gradients.iter().all(|tensor| tensor.data().iter().all(|v| v.is_finite())));
            for (image, &end) in ends.iter().enumerate() {
                let own = |tensor: &Tensor| tensor.slice_batch(image, image + 1);
                let all_own = |tensors: &[Tensor]| tensors.iter().map(own).collect::<Vec<_>>();
                let first = |tensor: &Tensor, width: usize| {
                    Tensor::from_slice([1, end, width], &own(tensor).data()[..end * width]).unwrap()
                };
                let (y, dx) = (own(&outputs[0]), own(&gradients[0]));
                assert!(y.data()[end * 19..].iter().chain(&dx.data()[end * 5..]).all(|&v| v == 0.0));
                if end == 0 {
                    assert_eq!(all_own(&outputs[1..]), all_own(&of[INITIAL..]));
                    assert_eq!(all_own(&gradients[INITIAL..]), all_own(&dys[1..]));
                    continue;
                }
                let short =
                    [vec![first(&of[0], 5)], of[1..INITIAL].to_vec(), all_own(&of[INITIAL..])].concat();
                let (want, saved) = forward(op, &short, None);
                assert_eq!([vec![first(&outputs[0], 19)], all_own(&outputs[1..])].concat(), want);
                let short_dys = [vec![first(&dys[0], 19)], all_own(&dys[1..])].concat();
                let want = backward(op, &short, &saved, &given(&short_dys), 0.0);
                assert_eq!(first(&gradients[0], 5), want[0]);
                assert_eq!(all_own(&gradients[INITIAL..]), want[INITIAL..]);
            }
        });
    }
}

/// Running backwards is running forwards over the steps in reverse order.
pub(crate) fn reverse_is_forward_over_turned_steps<C: Cell>() {
    let [n, t, d, h] = [3, 5, 4, 6];
    let of = drawn::<C>([n, t, d, h], 0);
    let mask = drawn_mask(n, t, 1);
    let turned = |tensor: &Tensor| {
        let width = tensor.data().len() / (n * t);
        let steps = (0..n * t).flat_map(|at| {
            let from = at / t * t + t - 1 - at % t;
            &tensor.data()[from * width..][..width]
        });
        Tensor::from_vec(tensor.shape(), steps.copied().collect()).unwrap()
    };
    let mut round = of.clone();
    round[0] = turned(&of[0]);
    let (mut want, _) = forward(C::with_reverse(false), &round, Some(&turned(&mask)));
    want[0] = turned(&want[0]);
    assert_eq!(forward(C::with_reverse(true), &of, Some(&mask)).0, want);
}

pub(crate) fn nan_stays_with_its_sequence_and_begins_at_its_step<C: Cell>() {
    let mut of = drawn::<C>([3, 4, 2, 5], 0);
    of[0].data_mut()[(4 + 2) * 2] = f32::NAN;
    everywhere(|| {
        let (outputs, _) = forward(C::default(), &of, None);
        for (at, y) in outputs[0].data().chunks(5).enumerate() {
            assert!(y.iter().all(|y| y.is_nan() == (at == 6 || at == 7)), "step {at}: {y:?}");
        }
        assert!(outputs[1].data().iter().enumerate().all(|(at, h)| h.is_nan() == (at / 5 == 1)));
    });
}

pub(crate) fn no_sequences_are_a_batch_like_any_other<C: Cell>() {
    let of = drawn::<C>([0, 3, 2, 4], 0);
    let (outputs, saved) = forward(C::default(), &of, Some(&Tensor::zeros([0, 3])));
    assert_eq!((outputs[0].shape(), outputs[1].shape()), ([0, 3, 4].into(), [0, 4].into()));
    let got = backward(C::default(), &of, &saved, &vec![None; outputs.len()], 1.0);
    assert_eq!(got[1], Tensor::full([4 * C::GATES, 2], 1.0));
    assert_eq!(got[0].shape(), Shape::from([0, 3, 2]));
}

pub(crate) fn threads_change_nothing<C: Cell>() {
    for extents in [[64, 3, 70, 70], [3, 40, 5, 33]] {
        let (of, dys) = (drawn::<C>(extents, 0), drawn_gradients::<C>(extents, 1));
        let mask = drawn_mask(extents[0], extents[1], 2);
        at_every_level(|| {
            assert_same_bits_on_any_threads(|| {
                let op = C::with_reverse(true);
                let (mut all, saved) = forward(op, &of, Some(&mask));
                all.extend(backward(op, &of, &saved, &given(&dys), 0.0));
                all
            });
        });
    }
}

/// A sequence has the same bits alone and within any batch, but for the gradients of the weights, which sum over it.
pub(crate) fn other_sequences_change_nothing<C: Cell>() {
    let all = |of: &[Tensor], dys: &[Tensor]| {
        let (mut all, saved) = forward(C::default(), of, None);
        let mut gradients = backward(C::default(), of, &saved, &given(dys), 0.0);
        gradients.drain(1..INITIAL);
        all.extend(gradients);
        all
    };
    // Gates that fill vectors, and so few that their product is transposed.
    for (n, extents) in [(40, [40, 3, 20, 37]), (40, [40, 3, 2, 1])] {
        let (of, dys) = (drawn::<C>(extents, 0), drawn_gradients::<C>(extents, 1));
        at_every_level(|| {
            let whole = all(&of, &dys);
            for (start, end) in [(0, 1), (3, 5), (7, n), (0, 33)] {
                let cut = |tensors: &[Tensor]| -> Vec<Tensor> {
                    tensors.iter().map(|tensor| tensor.slice_batch(start, end)).collect()
                };
                let part = [cut(&of[..1]), of[1..INITIAL].to_vec(), cut(&of[INITIAL..])].concat();
                assert_eq!(all(&part, &cut(&dys)), cut(&whole), "sequences {start}..{end}");
            }
        });
    }
}

pub(crate) fn errors_say_what_is_expected<C: Cell>() {
    let (name, gates, rows) = (C::NAME, C::GATES, 4 * C::GATES);
    let check = |x: Shape, w_ih: Shape, w_hh: Shape, want: &str| {
        let error = C::default().output_shape(x, w_ih, w_hh).unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: {want}"));
    };
    let [x, w_ih, w_hh]: [Shape; 3] = [[3, 5, 2].into(), [rows, 2].into(), [rows, 4].into()];
    let shape =
        |what: &str, want: &[usize], got: &[usize]| format!("{what} expects shape {want:?}, got {got:?}");
    let rank = |what: &str, axes: &str| format!("{what} expects [{axes}], got shape [{rows}]");
    check([3, 5].into(), w_ih, w_hh, "x expects [n, t, d], got shape [3, 5]");
    check(x, [rows].into(), w_hh, &rank("weight_ih", &format!("{gates}h, d")));
    check(x, w_ih, [rows].into(), &rank("weight_hh", &format!("{gates}h, h")));
    check(x, [rows, 3].into(), w_hh, &shape("weight_ih", &[rows, 2], &[rows, 3]));
    check(x, [20, 2].into(), w_hh, &shape("weight_ih", &[rows, 2], &[20, 2]));
    check(x, w_ih, [20, 4].into(), &shape("weight_hh", &[rows, 4], &[20, 4]));
    check([3, 0, 2].into(), w_ih, w_hh, "the number of steps must be at least 1, got 0");
    check(x, [0, 2].into(), [0, 0].into(), "the size of the state must be at least 1, got 0");
    let error = C::default().output_shape([0, 1 << 40, 2].into(), w_ih, w_hh).unwrap_err().to_string();
    let start =
        format!("{name}: the output must be at most 2^28 elements for one image, got [0, 1099511627776, ");
    assert!(error.starts_with(&start), "{error}");

    let of = drawn::<C>([3, 5, 2, 4], 0);
    let (other, zeros) = (Tensor::zeros([3, 7]), vec![None; C::STATE.len()]);
    let check = |weights: Weights<'_>, initial: &[Option<&Tensor>], mask: Option<&Tensor>, want: &str| {
        let error = C::default().forward(&of[0], weights, initial, mask).err().unwrap();
        assert_eq!(error.to_string(), format!("{name}: {want}"));
    };
    let w = weights(&of);
    check(w, &zeros, Some(&other), "mask expects shape [3, 5], got [3, 7]");
    let mut mask = Tensor::full([3, 5], 1.0);
    mask.data_mut()[7] = 0.5;
    check(w, &zeros, Some(&mask), "mask expects 0 or 1, got 0.5 at [1, 2]");
    for (i, part) in C::STATE.iter().enumerate() {
        let mut initial = zeros.clone();
        initial[i] = Some(&other);
        check(w, &initial, None, &format!("{part}0 expects shape [3, 4], got [3, 7]"));
    }
    check(Weights { bias_ih: Some(&other), ..w }, &zeros, None, &shape("bias_ih", &[rows], &[3, 7]));
    check(Weights { bias_hh: Some(&other), ..w }, &zeros, None, &shape("bias_hh", &[rows], &[3, 7]));
}

pub(crate) fn a_backward_pass_that_fails_adds_nothing<C: Cell>() {
    let of = drawn::<C>([3, 5, 2, 4], 0);
    let (_, saved) = forward(C::default(), &of, None);
    let wrong = Tensor::zeros([3, 7]);
    let dys = drawn_gradients::<C>([3, 5, 2, 4], 1);
    let check =
        |weights: Weights<'_>, dys: &[Option<&Tensor>], bad: Option<usize>, what: &str, want: &[usize]| {
            let mut dweights = filled(&of, 0.0);
            bad.iter().for_each(|&bad| dweights[bad] = wrong.clone());
            let before = dweights.clone();
            let error =
                C::default().backward(&saved, weights, dys, gradients_of(&mut dweights)).err().unwrap();
            assert_eq!(dweights, before);
            assert_eq!(error.to_string(), format!("{}: {what} expects shape {want:?}, got [3, 7]", C::NAME));
        };
    let (w, good, rows) = (weights(&of), given(&dys), 4 * C::GATES);
    check(Weights { weight_ih: &wrong, ..w }, &good, None, "weight_ih", &[rows, 2]);
    check(Weights { weight_hh: &wrong, ..w }, &good, None, "weight_hh", &[rows, 4]);
    let with_wrong = |i: usize| {
        let mut dys = good.clone();
        dys[i] = Some(&wrong);
        dys
    };
    check(w, &with_wrong(0), None, "dy", &[3, 5, 4]);
    for (i, part) in C::STATE.iter().enumerate() {
        check(w, &with_wrong(1 + i), None, &format!("d{part}_n"), &[3, 4]);
    }
    let gradients: [(&str, &[usize]); 4] = [
        ("dweight_ih", &[rows, 2]),
        ("dweight_hh", &[rows, 4]),
        ("dbias_ih", &[rows]),
        ("dbias_hh", &[rows]),
    ];
    for (bad, (what, want)) in gradients.into_iter().enumerate() {
        check(w, &good, Some(bad), what, want);
    }
}

pub(crate) fn options_are_plain_data<C: Cell>() {
    let read = |json| serde_json::from_str::<C>(json);
    assert_eq!(read(r#"{"reverse": true}"#).unwrap(), C::with_reverse(true));
    assert_eq!(read("{}").unwrap(), C::default());
    assert!(read(r#"{"bidirectional": true}"#).is_err());
}
