use super::*;
use crate::shared::testing::*;
use cnn_tensor::Random;
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
use proptest::prelude::*;

/// `n t d h`.
type Extents = [usize; 4];

/// The definition, in f64: `y`, `h_n` and `c_n`, one after the other, from `x`, the four weights, `h0` and `c0`.
fn oracle(op: Lstm, [n, t, d, h]: Extents, of: &[Vec<f64>; 7], mask: Option<&Tensor>) -> Vec<f64> {
    let [x, w_ih, w_hh, b_ih, b_hh, h0, c0] = of;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut y, mut hidden, mut cell) = (vec![0.0; n * t * h], h0.clone(), c0.clone());
    for (image, at) in (0..n).flat_map(|image| (0..t).map(move |at| (image, at))) {
        let step = image * t + if op.reverse { t - 1 - at } else { at };
        if mask.is_some_and(|mask| mask.data()[step] == 0.0) {
            continue;
        }
        let before = hidden[image * h..][..h].to_vec();
        for j in 0..h {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                let row = gate * h + j;
                let of_input: f64 = (0..d).map(|k| w_ih[row * d + k] * x[step * d + k]).sum();
                let of_state: f64 = (0..h).map(|k| w_hh[row * h + k] * before[k]).sum();
                b_ih[row] + b_hh[row] + of_input + of_state
            });
            let c = sigmoid(f) * cell[image * h + j] + sigmoid(i) * g.tanh();
            cell[image * h + j] = c;
            hidden[image * h + j] = sigmoid(o) * c.tanh();
            y[step * h + j] = hidden[image * h + j];
        }
    }
    [y, hidden, cell].concat()
}

const NAMES: [&str; 7] = ["x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0"];

fn shapes([n, t, d, h]: Extents) -> [Shape; 7] {
    [
        [n, t, d].into(),
        [4 * h, d].into(),
        [4 * h, h].into(),
        [4 * h].into(),
        [4 * h].into(),
        [n, h].into(),
        [n, h].into(),
    ]
}

/// `x`, the four weights, `h0` and `c0`.
fn drawn(extents: Extents, seed: u64) -> [Tensor; 7] {
    let mut seeds = seed..;
    shapes(extents).map(|shape| distinct(shape, seeds.next().unwrap()))
}

fn weights(of: &[Tensor; 7]) -> Weights<'_> {
    Weights { weight_ih: &of[1], weight_hh: &of[2], bias_ih: Some(&of[3]), bias_hh: Some(&of[4]) }
}

fn forward(op: Lstm, of: &[Tensor; 7], mask: Option<&Tensor>) -> (Output, Saved) {
    op.forward(&of[0], weights(of), Initial { h0: Some(&of[5]), c0: Some(&of[6]) }, mask).unwrap()
}

/// The gradients of `x`, the four weights, `h0` and `c0`; those of the weights added to `onto`.
fn backward(
    op: Lstm,
    of: &[Tensor; 7],
    saved: &Saved,
    gradients: OutputGradients<'_>,
    onto: f32,
) -> [Tensor; 7] {
    let [mut w_ih, mut w_hh, mut b_ih, mut b_hh] =
        [1, 2, 3, 4].map(|i: usize| Tensor::full(of[i].shape(), onto));
    let dweights = WeightGradients {
        weight_ih: &mut w_ih,
        weight_hh: &mut w_hh,
        bias_ih: Some(&mut b_ih),
        bias_hh: Some(&mut b_hh),
    };
    let InputGradients { dx, dh0, dc0 } = op.backward(saved, weights(of), gradients, dweights).unwrap();
    [dx, w_ih, w_hh, b_ih, b_hh, dh0, dc0]
}

/// `dy`, `dh_n` and `dc_n`.
fn drawn_gradients([n, t, _, h]: Extents, seed: u64) -> [Tensor; 3] {
    [distinct([n, t, h], seed), distinct([n, h], seed ^ 1), distinct([n, h], seed ^ 2)]
}

fn given([dy, dh_n, dc_n]: &[Tensor; 3]) -> OutputGradients<'_> {
    OutputGradients { dy: Some(dy), dh_n: Some(dh_n), dc_n: Some(dc_n) }
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

proptest! {
    #[test]
    fn matches_the_definition(
        n in 0..4usize, t in 1..5usize, d in 0..4usize, h in 1..4usize, reverse: bool, masked: bool, seed: u64,
    ) {
        let (op, extents) = (Lstm { reverse }, [n, t, d, h]);
        let (of, dys) = (drawn(extents, seed), drawn_gradients(extents, seed ^ 99));
        let mask = masked.then(|| drawn_mask(n, t, seed));
        let of64 = of.each_ref().map(to_f64);
        let want = oracle(op, extents, &of64, mask.as_ref());
        let dy = joined(&dys);
        let gradients: [Vec<f64>; 7] = std::array::from_fn(|i| {
            let with = |v: &[f64]| {
                let mut of64 = of64.clone();
                of64[i] = v.to_vec();
                oracle(op, extents, &of64, mask.as_ref())
            };
            gradient_of(&of[i], &dy, with)
        });
        everywhere(|| {
            let (output, saved) = forward(op, &of, mask.as_ref());
            assert_close(&joined(&[output.y, output.h_n, output.c_n]), &want);
            let got = backward(op, &of, &saved, given(&dys), 0.0);
            for ((name, got), want) in NAMES.iter().zip(&got).zip(&gradients) {
                assert_gradient_close(name, got, want);
            }
        });
    }

    /// Every vector and rest of one.
    #[test]
    fn wide_states_match_the_definition(h in 1..40usize, seed: u64) {
        let extents = [2, 3, 5, h];
        let mut of = drawn(extents, seed);
        // Gates far from the middle too, but as exact as f32 can be.
        of[1].data_mut().iter_mut().for_each(|w| *w *= 3.0);
        let want = oracle(Lstm::default(), extents, &of.each_ref().map(to_f64), None);
        everywhere(|| {
            let (output, _) = forward(Lstm::default(), &of, None);
            assert_close(&joined(&[output.y, output.h_n, output.c_n]), &want);
        });
    }

    #[test]
    fn absurd_shapes_are_errors(
        x in any_shape(), w_ih in any_shape(), w_hh in any_shape(), extents in prop::array::uniform4(any_extent()),
    ) {
        let [n, t, d, h] = extents;
        let rows = h.saturating_mul(4);
        for [x, w_ih, w_hh] in [[x, w_ih, w_hh], [[n, t, d].into(), [rows, d].into(), [rows, h].into()]] {
            let Ok(y) = Lstm::default().output_shape(x, w_ih, w_hh) else { continue };
            if x.numel().max(w_ih.numel()).max(w_hh.numel()).max(6 * y.numel()) < 10_000 {
                let (weight_ih, weight_hh) = (&Tensor::zeros(w_ih), &Tensor::zeros(w_hh));
                let weights = Weights { weight_ih, weight_hh, bias_ih: None, bias_hh: None };
                let (output, saved) =
                    Lstm::default().forward(&Tensor::zeros(x), weights, Initial::default(), None).unwrap();
                prop_assert_eq!(output.y, Tensor::zeros(y));
                let (weight_ih, weight_hh) = (&mut Tensor::zeros(w_ih), &mut Tensor::zeros(w_hh));
                let dweights = WeightGradients { weight_ih, weight_hh, bias_ih: None, bias_hh: None };
                let none = OutputGradients::default();
                let got = Lstm::default().backward(&saved, weights, none, dweights).unwrap();
                prop_assert_eq!(got.dx, Tensor::zeros(x));
            }
        }
    }
}

/// What is left out is zeros, on the way in and on the way back.
#[test]
fn what_is_left_out_is_zeros() {
    let extents = [3, 4, 5, 6];
    let mut of = drawn(extents, 0);
    of[3..].iter_mut().for_each(|tensor| *tensor = Tensor::zeros(tensor.shape()));
    let (want, saved) = forward(Lstm::default(), &of, None);
    let weights = Weights { bias_ih: None, bias_hh: None, ..weights(&of) };
    let got = Lstm::default().infer(&of[0], weights, Initial::default(), None).unwrap();
    assert_eq!(got, want);
    let dys = drawn_gradients(extents, 1);
    for given in 0..8 {
        let zeroed: [Tensor; 3] = std::array::from_fn(|i| {
            if given >> i & 1 == 1 { dys[i].clone() } else { Tensor::zeros(dys[i].shape()) }
        });
        let [dy, dh_n, dc_n] = std::array::from_fn(|i| (given >> i & 1 == 1).then_some(&dys[i]));
        let got = backward(Lstm::default(), &of, &saved, OutputGradients { dy, dh_n, dc_n }, 0.0);
        assert_eq!(got, backward(Lstm::default(), &of, &saved, super::tests::given(&zeroed), 0.0));
    }
}

#[test]
fn gradients_of_weights_are_added() {
    let extents = [3, 4, 5, 6];
    let (of, dys) = (drawn(extents, 0), drawn_gradients(extents, 1));
    let (_, saved) = forward(Lstm::default(), &of, None);
    let once = backward(Lstm::default(), &of, &saved, given(&dys), 0.0);
    let onto = backward(Lstm::default(), &of, &saved, given(&dys), 2.0);
    for i in 1..5 {
        assert_close(&onto[i], &to_f64(&once[i]).iter().map(|v| v + 2.0).collect::<Vec<_>>());
    }
    let mut parameters = [1, 2, 3, 4].map(|i: usize| Tensor::zeros(of[i].shape()));
    let [weight_ih, weight_hh, b_ih, b_hh] = &mut parameters;
    let dweights = WeightGradients { weight_ih, weight_hh, bias_ih: Some(b_ih), bias_hh: Some(b_hh) };
    Lstm::default().backward_parameters(&saved, weights(&of), given(&dys), dweights).unwrap();
    assert_eq!(parameters[..], once[1..5]);
}

/// A sequence that is padded gives the bits of the shorter one, whatever its padding holds, in both directions.
#[test]
fn padding_is_as_if_it_were_not_there() {
    let (extents, t) = ([4, 7, 5, 19], 7);
    let (mut of, mut dys) = (drawn(extents, 0), drawn_gradients(extents, 1));
    let ends = [7, 3, 1, 0];
    let mask = lengths(t, &ends);
    for (image, &end) in ends.iter().enumerate() {
        of[0].data_mut()[(image * t + end) * 5..(image + 1) * t * 5].fill(f32::NAN);
        dys[0].data_mut()[(image * t + end) * 19..(image + 1) * t * 19].fill(f32::NAN);
    }
    for op in [Lstm { reverse: false }, Lstm { reverse: true }] {
        everywhere(|| {
            let (output, saved) = forward(op, &of, Some(&mask));
            let gradients = backward(op, &of, &saved, given(&dys), 0.0);
            assert!(gradients.iter().all(|tensor| tensor.data().iter().all(|v| v.is_finite())));
            for (image, &end) in ends.iter().enumerate() {
                let own = |tensor: &Tensor| tensor.slice_batch(image, image + 1);
                let first = |tensor: &Tensor, width: usize| {
                    Tensor::from_slice([1, end, width], &own(tensor).data()[..end * width]).unwrap()
                };
                let (y, dx) = (own(&output.y), own(&gradients[0]));
                assert!(y.data()[end * 19..].iter().chain(&dx.data()[end * 5..]).all(|&v| v == 0.0));
                if end == 0 {
                    assert_eq!((own(&output.h_n), own(&output.c_n)), (own(&of[5]), own(&of[6])));
                    assert_eq!((own(&gradients[5]), own(&gradients[6])), (own(&dys[1]), own(&dys[2])));
                    continue;
                }
                let mut short = of.clone();
                (short[0], short[5], short[6]) = (first(&of[0], 5), own(&of[5]), own(&of[6]));
                let (want, saved) = forward(op, &short, None);
                assert_eq!(
                    (&first(&output.y, 19), own(&output.h_n), own(&output.c_n)),
                    (&want.y, want.h_n, want.c_n)
                );
                let short_dys = [first(&dys[0], 19), own(&dys[1]), own(&dys[2])];
                let want = backward(op, &short, &saved, given(&short_dys), 0.0);
                assert_eq!((&first(&gradients[0], 5), own(&gradients[5])), (&want[0], want[5].clone()));
                assert_eq!(own(&gradients[6]), want[6]);
            }
        });
    }
}

/// Running backwards is running forwards over what was turned round.
#[test]
fn reverse_is_forward_over_turned_steps() {
    let [n, t, d, h] = [3, 5, 4, 6];
    let of = drawn([n, t, d, h], 0);
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
    let (want, _) = forward(Lstm { reverse: false }, &round, Some(&turned(&mask)));
    let (got, _) = forward(Lstm { reverse: true }, &of, Some(&mask));
    assert_eq!((turned(&got.y), got.h_n, got.c_n), (want.y, want.h_n, want.c_n));
}

#[test]
fn nan_stays_with_its_sequence_and_begins_at_its_step() {
    let mut of = drawn([3, 4, 2, 5], 0);
    of[0].data_mut()[(4 + 2) * 2] = f32::NAN;
    everywhere(|| {
        let (output, _) = forward(Lstm::default(), &of, None);
        for (at, y) in output.y.data().chunks(5).enumerate() {
            assert!(y.iter().all(|y| y.is_nan() == (at == 6 || at == 7)), "step {at}: {y:?}");
        }
        assert!(output.h_n.data().iter().enumerate().all(|(at, h)| h.is_nan() == (at / 5 == 1)));
    });
}

/// A state beyond what the gates can see is a limit.
#[test]
fn infinite_inputs_open_and_close_gates() {
    let weight_ih = Tensor::from_vec([4, 1], vec![1.0, 0.5, 1.0, 1.0]).unwrap();
    let weight_hh = Tensor::zeros([4, 1]);
    let weights = Weights { weight_ih: &weight_ih, weight_hh: &weight_hh, bias_ih: None, bias_hh: None };
    let x = Tensor::from_vec([1, 2, 1], vec![f32::INFINITY, f32::NEG_INFINITY]).unwrap();
    everywhere(|| {
        let output = Lstm::default().infer(&x, weights, Initial::default(), None).unwrap();
        assert!((output.y.data()[0] - 1f32.tanh()).abs() < 1e-6 && output.y.data()[1] == 0.0);
        assert_eq!(output.c_n.data(), [0.0]);
    });
}

#[test]
fn no_sequences_are_a_batch_like_any_other() {
    let of = drawn([0, 3, 2, 4], 0);
    let (output, saved) = forward(Lstm::default(), &of, Some(&Tensor::zeros([0, 3])));
    assert_eq!((output.y.shape(), output.h_n.shape()), ([0, 3, 4].into(), [0, 4].into()));
    let got = backward(Lstm::default(), &of, &saved, OutputGradients::default(), 1.0);
    assert_eq!(got[1], Tensor::full([16, 2], 1.0));
    assert_eq!(got[0].shape(), Shape::from([0, 3, 2]));
}

#[test]
fn threads_change_nothing() {
    for extents in [[64, 3, 70, 70], [3, 40, 5, 33]] {
        let (of, dys) = (drawn(extents, 0), drawn_gradients(extents, 1));
        let mask = drawn_mask(extents[0], extents[1], 2);
        at_every_level(|| {
            assert_same_bits_on_any_threads(|| {
                let (output, saved) = forward(Lstm { reverse: true }, &of, Some(&mask));
                let mut all = vec![output.y, output.h_n, output.c_n];
                all.extend(backward(Lstm { reverse: true }, &of, &saved, given(&dys), 0.0));
                all
            });
        });
    }
}

/// A sequence has the same bits alone and within any batch, but for the gradients of the weights, which sum over it.
#[test]
fn other_sequences_change_nothing() {
    // Gates that fill vectors, and so few that their product is transposed.
    for (n, extents) in [(40, [40, 3, 20, 37]), (40, [40, 3, 2, 1])] {
        let (of, dys) = (drawn(extents, 0), drawn_gradients(extents, 1));
        at_every_level(|| {
            let (output, saved) = forward(Lstm::default(), &of, None);
            let gradients = backward(Lstm::default(), &of, &saved, given(&dys), 0.0);
            let whole = [&output.y, &output.h_n, &output.c_n, &gradients[0], &gradients[5], &gradients[6]];
            for (start, end) in [(0, 1), (3, 5), (7, n), (0, 33)] {
                let cut = |tensor: &Tensor| tensor.slice_batch(start, end);
                let mut part = of.clone();
                (part[0], part[5], part[6]) = (cut(&of[0]), cut(&of[5]), cut(&of[6]));
                let (output, saved) = forward(Lstm::default(), &part, None);
                let gradients =
                    backward(Lstm::default(), &part, &saved, given(&dys.each_ref().map(cut)), 0.0);
                let got = [&output.y, &output.h_n, &output.c_n, &gradients[0], &gradients[5], &gradients[6]];
                assert_eq!(got.map(Tensor::clone), whole.map(cut), "sequences {start}..{end}");
            }
        });
    }
}

#[test]
fn errors_say_what_is_expected() {
    let message = |x: Shape, w_ih: Shape, w_hh: Shape| {
        Lstm::default().output_shape(x, w_ih, w_hh).unwrap_err().to_string()
    };
    let [x, w_ih, w_hh]: [Shape; 3] = [[3, 5, 2].into(), [16, 2].into(), [16, 4].into()];
    assert_eq!(message([3, 5].into(), w_ih, w_hh), "lstm: x expects [n, t, d], got shape [3, 5]");
    assert_eq!(message(x, [16].into(), w_hh), "lstm: weight_ih expects [4h, d], got shape [16]");
    assert_eq!(message(x, w_ih, [16].into()), "lstm: weight_hh expects [4h, h], got shape [16]");
    assert_eq!(message(x, [16, 3].into(), w_hh), "lstm: weight_ih expects shape [16, 2], got [16, 3]");
    assert_eq!(message(x, [12, 2].into(), w_hh), "lstm: weight_ih expects shape [16, 2], got [12, 2]");
    assert_eq!(message(x, w_ih, [12, 4].into()), "lstm: weight_hh expects shape [16, 4], got [12, 4]");
    assert_eq!(message([3, 0, 2].into(), w_ih, w_hh), "lstm: the number of steps must be at least 1, got 0");
    assert_eq!(
        message(x, [0, 2].into(), [0, 0].into()),
        "lstm: the size of the state must be at least 1, got 0"
    );
    assert_eq!(
        message([0, 1 << 40, 2].into(), w_ih, w_hh),
        "lstm: the output must be at most 2^28 elements for one image, got [0, 1099511627776, 24]"
    );

    let of = drawn([3, 5, 2, 4], 0);
    let other = Tensor::zeros([3, 7]);
    let message = |weights: Weights<'_>, initial: Initial<'_>, mask: Option<&Tensor>| {
        Lstm::default().forward(&of[0], weights, initial, mask).unwrap_err().to_string()
    };
    let (w, zeros) = (weights(&of), Initial::default());
    assert_eq!(message(w, zeros, Some(&other)), "lstm: mask expects shape [3, 5], got [3, 7]");
    let mut mask = Tensor::full([3, 5], 1.0);
    mask.data_mut()[7] = 0.5;
    assert_eq!(message(w, zeros, Some(&mask)), "lstm: mask expects 0 or 1, got 0.5 at [1, 2]");
    let h0 = Initial { h0: Some(&other), ..zeros };
    assert_eq!(message(w, h0, None), "lstm: h0 expects shape [3, 4], got [3, 7]");
    let c0 = Initial { c0: Some(&other), ..zeros };
    assert_eq!(message(w, c0, None), "lstm: c0 expects shape [3, 4], got [3, 7]");
    let bias = Weights { bias_ih: Some(&other), ..w };
    assert_eq!(message(bias, zeros, None), "lstm: bias_ih expects shape [16], got [3, 7]");
    let bias = Weights { bias_hh: Some(&other), ..w };
    assert_eq!(message(bias, zeros, None), "lstm: bias_hh expects shape [16], got [3, 7]");
}

#[test]
fn a_backward_pass_that_fails_adds_nothing() {
    let of = drawn([3, 5, 2, 4], 0);
    let (_, saved) = forward(Lstm::default(), &of, None);
    let wrong = Tensor::zeros([3, 7]);
    let dys = drawn_gradients([3, 5, 2, 4], 1);
    let message = |weights: Weights<'_>, gradients: OutputGradients<'_>, bad: Option<usize>| {
        let mut parameters = [1, 2, 3, 4].map(|i: usize| Tensor::zeros(of[i].shape()));
        bad.iter().for_each(|&bad| parameters[bad] = wrong.clone());
        let before = parameters.clone();
        let [weight_ih, weight_hh, b_ih, b_hh] = &mut parameters;
        let dweights = WeightGradients { weight_ih, weight_hh, bias_ih: Some(b_ih), bias_hh: Some(b_hh) };
        let error = Lstm::default().backward(&saved, weights, gradients, dweights).unwrap_err().to_string();
        assert_eq!(parameters, before);
        error
    };
    let (w, good) = (weights(&of), given(&dys));
    let w_ih = Weights { weight_ih: &wrong, ..w };
    assert_eq!(message(w_ih, good, None), "lstm: weight_ih expects shape [16, 2], got [3, 7]");
    let w_hh = Weights { weight_hh: &wrong, ..w };
    assert_eq!(message(w_hh, good, None), "lstm: weight_hh expects shape [16, 4], got [3, 7]");
    let dy = OutputGradients { dy: Some(&wrong), ..good };
    assert_eq!(message(w, dy, None), "lstm: dy expects shape [3, 5, 4], got [3, 7]");
    let dh_n = OutputGradients { dh_n: Some(&wrong), ..good };
    assert_eq!(message(w, dh_n, None), "lstm: dh_n expects shape [3, 4], got [3, 7]");
    let dc_n = OutputGradients { dc_n: Some(&wrong), ..good };
    assert_eq!(message(w, dc_n, None), "lstm: dc_n expects shape [3, 4], got [3, 7]");
    for (bad, want) in [
        "lstm: dweight_ih expects shape [16, 2], got [3, 7]",
        "lstm: dweight_hh expects shape [16, 4], got [3, 7]",
        "lstm: dbias_ih expects shape [16], got [3, 7]",
        "lstm: dbias_hh expects shape [16], got [3, 7]",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(message(w, good, Some(bad)), want);
    }
}

#[test]
fn options_are_plain_data() {
    assert_eq!(serde_json::from_str::<Lstm>(r#"{"reverse": true}"#).unwrap(), Lstm { reverse: true });
    assert_eq!(serde_json::from_str::<Lstm>("{}").unwrap(), Lstm::default());
    assert!(serde_json::from_str::<Lstm>(r#"{"bidirectional": true}"#).is_err());
}
