use super::*;
use crate::shared::testing::{
    any_number_of_rejects, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
};
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
use proptest::prelude::*;

/// The definition in training, in f64.
fn oracle(eps: f64, [n, c, m]: [usize; 3], x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for channel in 0..c {
        let places: Vec<usize> =
            (0..n).flat_map(|i| (0..m).map(move |j| (i * c + channel) * m + j)).collect();
        let count = places.len() as f64;
        let mean = places.iter().map(|&at| x[at]).sum::<f64>() / count;
        let variance = places.iter().map(|&at| (x[at] - mean).powi(2)).sum::<f64>() / count;
        for at in places {
            y[at] = (x[at] - mean) / (variance + eps).sqrt() * weight[channel] + bias[channel];
        }
    }
    y
}

/// The definition in evaluation, in f64; `[mean, var, weight, bias]`.
fn frozen_oracle(eps: f64, [_, c, m]: [usize; 3], x: &[f64], by: [&[f64]; 4]) -> Vec<f64> {
    let y = |(at, x): (usize, &f64)| {
        let [mean, var, weight, bias] = by.map(|by| by[at / m % c]);
        (x - mean) / (var + eps).sqrt() * weight + bias
    };
    x.iter().enumerate().map(y).collect()
}

/// A shape of rank 2, 3 or 4 with `[n, c, h * w]`.
fn shape_of(rank: usize, [n, c, h, w]: [usize; 4]) -> (Shape, [usize; 3]) {
    match rank {
        2 => ([n, c].into(), [n, c, 1]),
        3 => ([n, c, h].into(), [n, c, h]),
        _ => ([n, c, h, w].into(), [n, c, h * w]),
    }
}

/// A parameter, and its numbers or those that stand for one that is not given.
fn parameter(given: bool, c: usize, default: f64, seed: u64) -> (Option<Tensor>, Vec<f64>) {
    let parameter = given.then(|| distinct([c], seed));
    let values = parameter.as_ref().map_or(vec![default; c], to_f64);
    (parameter, values)
}

fn scaled(mut x: Tensor, scale: f32, offset: f32) -> Tensor {
    x.data_mut().iter_mut().for_each(|x| *x = *x * scale + offset);
    x
}

proptest! {
    #![proptest_config(any_number_of_rejects())]

    #[test]
    fn matches_the_definition(rank in 2..5usize, n in 1..6usize, c in 0..5usize, h in 1..4usize, w in 1..4usize,
                              eps in prop::sample::select(vec![1e-5, 1e-3, 0.5]),
                              offset in prop::sample::select(vec![0.0, -3.0, 1e4f32]),
                              given: [bool; 2], seed: u64) {
        let (shape, extents) = shape_of(rank, [n, c, h, w]);
        prop_assume!(extents[0] * extents[2] > 1);
        let op = BatchNorm { eps, ..BatchNorm::default() };
        let x = scaled(distinct(shape, seed), 4.0, offset);
        let dy = distinct(shape, seed ^ 1);
        let (weight, w64) = parameter(given[0], c, 1.0, seed ^ 2);
        let (bias, b64) = parameter(given[1], c, 0.0, seed ^ 3);
        let x64 = to_f64(&x);
        let want = oracle(eps, extents, &x64, &w64, &b64);
        let want_dx = gradient_of(&x, &dy, |x| oracle(eps, extents, x, &w64, &b64));
        let ones = Tensor::full([c], 1.0);
        let at_weight = weight.as_ref().unwrap_or(&ones);
        let want_dweight = gradient_of(at_weight, &dy, |w| oracle(eps, extents, &x64, w, &b64));
        let want_dbias = gradient_of(&ones, &dy, |b| oracle(eps, extents, &x64, &w64, b));
        everywhere(|| {
            let (y, saved) = op.forward(&x, weight.as_ref(), bias.as_ref()).unwrap();
            assert_close(&y, &want);
            let (mut dweight, mut dbias) = (Tensor::zeros([c]), Tensor::zeros([c]));
            let dx = op.backward(&saved, weight.as_ref(), &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
            assert_gradient_close("dx", &dx, &want_dx);
            assert_gradient_close("dweight", &dweight, &want_dweight);
            assert_gradient_close("dbias", &dbias, &want_dbias);
        });
    }

    #[test]
    fn evaluation_matches_the_definition(rank in 2..5usize, n in 0..6usize, c in 0..5usize, h in 0..4usize,
                                         w in 0..4usize, eps in prop::sample::select(vec![1e-5, 0.5]),
                                         given: [bool; 2], seed: u64) {
        let (shape, extents) = shape_of(rank, [n, c, h, w]);
        let op = BatchNorm { eps, ..BatchNorm::default() };
        let (x, dy) = (distinct(shape, seed), distinct(shape, seed ^ 1));
        let (mean, var) = (distinct([c], seed ^ 4), scaled(distinct([c], seed ^ 5), 0.5, 1.0));
        let (weight, w64) = parameter(given[0], c, 1.0, seed ^ 2);
        let (bias, b64) = parameter(given[1], c, 0.0, seed ^ 3);
        let (x64, mean64, var64) = (to_f64(&x), to_f64(&mean), to_f64(&var));
        let y_of = |x: &[f64], w: &[f64], b: &[f64]| frozen_oracle(eps, extents, x, [&mean64, &var64, w, b]);
        let want_dx = gradient_of(&x, &dy, |x| y_of(x, &w64, &b64));
        let ones = Tensor::full([c], 1.0);
        let want_dweight = gradient_of(&ones, &dy, |w| y_of(&x64, w, &b64));
        let want_dbias = gradient_of(&ones, &dy, |b| y_of(&x64, &w64, b));
        let running = Running { mean: &mean, var: &var };
        everywhere(|| {
            let y = op.infer(&x, running, weight.as_ref(), bias.as_ref()).unwrap();
            assert_close(&y, &y_of(&x64, &w64, &b64));
            let (mut dweight, mut dbias) = (Tensor::zeros([c]), Tensor::zeros([c]));
            let gradients = (Some(&mut dweight), Some(&mut dbias));
            let dx =
                op.backward_frozen(&x, running, weight.as_ref(), &dy, gradients.0, gradients.1).unwrap();
            assert_gradient_close("dx", &dx, &want_dx);
            assert_gradient_close("dweight", &dweight, &want_dweight);
            assert_gradient_close("dbias", &dbias, &want_dbias);
        });
    }

    /// With `var + eps = 1`, evaluation is exact: larger shapes, narrow and wide, in many pieces.
    #[test]
    fn evaluation_is_exact_on_whole_numbers(n in 1..12usize, c in 1..40usize, m in 1..24usize, seed: u64) {
        let op = BatchNorm { eps: 0.25, momentum: None };
        let (x, dy) = (whole_numbers([n, c, m], 9, seed), whole_numbers([n, c, m], 9, seed ^ 1));
        let [mean, weight, bias] = [2, 3, 4].map(|i| whole_numbers([c], 9, seed ^ i));
        let var = Tensor::full([c], 0.75);
        let (x64, dy64) = (to_f64(&x), to_f64(&dy));
        let by = [to_f64(&mean), vec![0.75; c], to_f64(&weight), to_f64(&bias)];
        let want = frozen_oracle(0.25, [n, c, m], &x64, by.each_ref().map(|by| &by[..]));
        let (mut want_dx, mut want_dweight, mut want_dbias) = (dy64.clone(), vec![0.0; c], vec![0.0; c]);
        for at in 0..x64.len() {
            let channel = at / m % c;
            want_dx[at] *= by[2][channel];
            want_dweight[channel] += dy64[at] * (x64[at] - by[0][channel]);
            want_dbias[channel] += dy64[at];
        }
        let running = Running { mean: &mean, var: &var };
        everywhere(|| {
            assert_exact("y", &op.infer(&x, running, Some(&weight), Some(&bias)).unwrap(), &want);
            let (mut dweight, mut dbias) = (Tensor::zeros([c]), Tensor::zeros([c]));
            let gradients = (Some(&mut dweight), Some(&mut dbias));
            let dx = op.backward_frozen(&x, running, Some(&weight), &dy, gradients.0, gradients.1).unwrap();
            assert_exact("dx", &dx, &want_dx);
            assert_exact("dweight", &dweight, &want_dweight);
            assert_exact("dbias", &dbias, &want_dbias);
        });
    }

    #[test]
    fn absurd_options_are_errors(dims in prop::collection::vec(absurd(), 0..5),
                                 eps in absurd_number(), momentum in prop::option::of(absurd_number())) {
        let op = BatchNorm { eps, momentum };
        let Ok(shape) = Shape::new(&dims) else { return Ok(()) };
        let accepted = op.output_shape(shape);
        let valid = eps > 0.0 && eps.is_finite() && momentum.is_none_or(|m| (0.0..=1.0).contains(&m));
        prop_assert!(valid || accepted.is_err());
        if accepted.is_err() || shape.numel() > 100_000 || dims[1] > 100_000 {
            return Ok(());
        }
        let x = distinct(shape, 0);
        let statistics = Tensor::full([dims[1]], 1.0);
        let running = Running { mean: &statistics, var: &statistics };
        op.infer(&x, running, None, None).unwrap();
        op.backward_frozen(&x, running, None, &x, None, None).unwrap();
        if let Ok((y, saved)) = op.forward(&x, None, None) {
            op.backward(&saved, None, &y, None, None).unwrap();
            op.track(&saved.statistics(), 1, &mut statistics.clone(), &mut statistics.clone()).unwrap();
        }
    }
}

fn absurd() -> impl Strategy<Value = usize> {
    prop_oneof![0..5usize, 0..5usize, any::<usize>(), Just(usize::MAX)]
}

fn absurd_number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..1.0, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(5e-324)]
}

/// In f32, sums of such numbers would keep three digits of the deviation.
#[test]
fn a_mean_of_ten_thousand_costs_no_digits() {
    for shape in [Shape::from([3000, 2]), [20, 2, 300].into()] {
        let x = scaled(distinct(shape, 0), 3f32.sqrt(), 1e4);
        let extents = channels(OP, shape).unwrap();
        let want = oracle(1e-5, extents, &to_f64(&x), &[1.0; 2], &[0.0; 2]);
        everywhere(|| {
            let (y, saved) = BatchNorm::default().forward(&x, None, None).unwrap();
            for (y, want) in y.data().iter().zip(&want) {
                assert!((f64::from(*y) - want).abs() < 1e-6, "{y} {want}");
            }
            let x = to_f64(&x);
            for (c, (mean, variance)) in saved.statistics().iter().enumerate() {
                let channel: Vec<f64> =
                    (0..x.len()).filter(|at| at / extents[2] % 2 == c).map(|at| x[at]).collect();
                let n = channel.len() as f64;
                let want_mean = channel.iter().sum::<f64>() / n;
                let want = channel.iter().map(|x| (x - want_mean).powi(2)).sum::<f64>() / (n - 1.0);
                assert!((mean - want_mean).abs() < 1e-9 && (variance - want).abs() < 1e-9);
            }
        });
    }
}

/// The pivot is a value like any other, even the one that stands out.
#[test]
fn an_outlier_in_front_costs_no_digits() {
    let mut x = distinct([1001, 1], 0);
    x.data_mut()[0] = 1e9;
    let want = oracle(1e-5, [1001, 1, 1], &to_f64(&x), &[1.0], &[0.0]);
    everywhere(|| assert_close(&BatchNorm::default().forward(&x, None, None).unwrap().0, &want));
}

#[test]
fn a_constant_channel_is_its_bias() {
    let (x, bias) = (Tensor::full([3, 1, 2, 2], 0.1), Tensor::full([1], 7.0));
    everywhere(|| {
        let (y, saved) = BatchNorm::default().forward(&x, None, Some(&bias)).unwrap();
        assert_eq!(y.data(), [7.0; 12]);
        assert_eq!(saved.statistics().iter().collect::<Vec<_>>(), [(f64::from(0.1f32), 0.0)]);
        let dx = BatchNorm::default().backward(&saved, None, &x, None, None).unwrap();
        assert_eq!(dx.data(), [0.0; 12], "adding the same to all of a channel changes nothing");
    });
}

/// Numbers that PyTorch gives for two batches of a momentum of 0.1, and without.
#[test]
fn running_statistics_are_those_of_pytorch() {
    let batches = [[1.0, 2.0, 3.0, 6.0], [-1.0, 0.0, 0.0, 1.0]];
    for (momentum, mean_wanted, var_wanted) in PYTORCH {
        let op = BatchNorm { momentum, ..BatchNorm::default() };
        let (mut mean, mut var) = (Tensor::zeros([1]), Tensor::full([1], 1.0));
        for (i, batch) in batches.iter().enumerate() {
            let (_, saved) = op.forward(&Tensor::from_slice([4, 1], batch).unwrap(), None, None).unwrap();
            op.track(&saved.statistics(), i as u64 + 1, &mut mean, &mut var).unwrap();
        }
        assert_close(&mean, &[mean_wanted]);
        assert_close(&var, &[var_wanted]);
    }
}
const PYTORCH: [(Option<f64>, f64, f64); 3] =
    [(Some(0.1), 0.27, 1.296_666_6), (None, 1.5, 2.666_666_7), (Some(1.0), 0.0, 0.666_666_67)];

#[test]
fn gradients_of_parameters_are_added() {
    let (x, dy) = (distinct([3, 2, 5], 0), distinct([3, 2, 5], 1));
    let op = BatchNorm::default();
    let (_, saved) = op.forward(&x, None, None).unwrap();
    let (mut dweight, mut dbias) = (Tensor::full([2], 10.0), Tensor::full([2], 20.0));
    op.backward(&saved, None, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
    let twice = |now: &Tensor, start: f64| to_f64(now).iter().map(|v| 2.0 * v - start).collect::<Vec<_>>();
    let want = (twice(&dweight, 10.0), twice(&dbias, 20.0));
    op.backward_parameters(&saved, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
    assert_close(&dweight, &want.0);
    assert_close(&dbias, &want.1);
    assert_ne!(dweight.data(), [10.0; 2]);
}

#[test]
fn nan_and_infinity_stay_in_their_channel() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in [0, 3] {
            for plane in [1, 8] {
                let mut x = distinct([4, 2, plane], 0);
                x.data_mut()[place * 2 * plane] = bad;
                everywhere(|| {
                    let op = BatchNorm::default();
                    let (y, saved) = op.forward(&x, None, None).unwrap();
                    let is_nan = |at: usize| y.data()[at].is_nan();
                    assert!((0..y.data().len()).all(|at| is_nan(at) == (at / plane % 2 == 0)), "{y:?}");

                    let (mut mean, mut var) = (Tensor::zeros([2]), Tensor::full([2], 1.0));
                    op.track(&saved.statistics(), 1, &mut mean, &mut var).unwrap();
                    assert!(var.data()[0].is_nan() && var.data()[1].is_finite());
                    assert_eq!(mean.data()[0].to_bits() & 0x7FFF_FFFF, bad.to_bits() & 0x7FFF_FFFF);
                    let (_, good) = op.forward(&distinct([4, 2, plane], 0), None, None).unwrap();
                    op.track(&good.statistics(), 2, &mut mean, &mut var).unwrap();
                    assert!(var.data()[0].is_nan() && !mean.data()[0].is_finite(), "what is NaN stays so");

                    let ones = Tensor::full([2], 1.0);
                    let y = op.infer(&x, Running { mean: &ones, var: &ones }, None, None).unwrap();
                    let at_place = y.data()[place * 2 * plane];
                    assert!(at_place.is_nan() == bad.is_nan() && (bad.is_nan() || at_place == bad));
                    assert_eq!(y.data().iter().filter(|y| !y.is_finite()).count(), 1);
                });
            }
        }
    }
}

#[test]
fn an_infinite_running_mean_is_infinitely_far_away() {
    let (mean, var) = (Tensor::full([1], f32::INFINITY), Tensor::full([1], 1.0));
    let running = Running { mean: &mean, var: &var };
    let y = BatchNorm::default().infer(&Tensor::zeros([2, 1]), running, None, None).unwrap();
    assert_eq!(y.data(), [f32::NEG_INFINITY; 2]);
}

#[test]
fn an_empty_batch_gives_nothing_and_changes_nothing() {
    for shape in [Shape::from([0, 3]), [0, 3, 2, 2].into(), [2, 3, 0].into(), [2, 3, 0, 4].into()] {
        let (op, x) = (BatchNorm::default(), Tensor::zeros(shape));
        let (y, saved) = op.forward(&x, None, None).unwrap();
        assert_eq!(y, x);
        let (mut mean, mut var) = (Tensor::full([3], 5.0), Tensor::full([3], 6.0));
        op.track(&saved.statistics(), 1, &mut mean, &mut var).unwrap();
        assert_eq!((mean.data(), var.data()), (&[5.0; 3][..], &[6.0; 3][..]));
        let (mut dweight, mut dbias) = (Tensor::full([3], 1.0), Tensor::full([3], 2.0));
        let dx = op.backward(&saved, None, &y, Some(&mut dweight), Some(&mut dbias)).unwrap();
        assert_eq!((dx, dweight.data(), dbias.data()), (x.clone(), &[1.0; 3][..], &[2.0; 3][..]));
        let running = Running { mean: &mean, var: &var };
        assert_eq!(op.infer(&x, running, None, None).unwrap(), x);
        assert_eq!(op.backward_frozen(&x, running, None, &x, None, None).unwrap(), x);
    }
}

#[test]
fn no_channels_are_a_shape_like_any_other() {
    let x = Tensor::zeros([2, 0, 3]);
    let (y, saved) = BatchNorm::default().forward(&x, None, None).unwrap();
    assert_eq!(BatchNorm::default().backward(&saved, None, &y, None, None).unwrap(), x);
}

#[test]
fn threads_and_levels_change_nothing() {
    let op = BatchNorm::default();
    for shape in [Shape::from([300, 70]), [9, 7, 40, 30].into()] {
        let (x, dy) = (distinct(shape, 0), distinct(shape, 1));
        let c = shape.dims()[1];
        let results = || {
            let (y, saved) = op.forward(&x, None, None).unwrap();
            let (mut dweight, mut dbias) = (Tensor::zeros([c]), Tensor::zeros([c]));
            let dx = op.backward(&saved, None, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
            vec![y, dx, dweight, dbias]
        };
        assert_same_bits_on_any_threads(results);
        let first = results();
        everywhere(|| assert_eq!(results(), first));
    }
}

#[test]
fn errors_say_what_is_expected() {
    let op = BatchNorm::default();
    let message = |error: OpError| error.to_string();
    let shape = |op: BatchNorm, x: Shape| message(op.output_shape(x).unwrap_err());
    assert_eq!(
        shape(op, [4].into()),
        "batch_norm: x expects [n, c], [n, c, l] or [n, c, h, w], got shape [4]"
    );
    let eps = BatchNorm { eps: 0.0, ..op };
    assert_eq!(shape(eps, [4, 1].into()), "batch_norm: eps must be above 0 and finite, got 0");
    let momentum = BatchNorm { momentum: Some(1.5), ..op };
    assert_eq!(shape(momentum, [4, 1].into()), "batch_norm: momentum must be from 0 to 1, got 1.5");

    let one = Tensor::zeros([1, 3, 1, 1]);
    assert_eq!(
        message(op.forward(&one, None, None).unwrap_err()),
        "batch_norm: the number of values per channel must be above 1 in training, got 1 of shape [1, 3, 1, 1]"
    );
    let (x, wrong) = (Tensor::zeros([2, 3]), Tensor::zeros([2]));
    let right = Tensor::zeros([3]);
    assert_eq!(
        message(op.forward(&x, Some(&wrong), None).unwrap_err()),
        "batch_norm: weight expects shape [3], got [2]"
    );
    assert_eq!(
        message(op.forward(&x, None, Some(&wrong)).unwrap_err()),
        "batch_norm: bias expects shape [3], got [2]"
    );
    let running = Running { mean: &wrong, var: &right };
    assert_eq!(
        message(op.infer(&x, running, None, None).unwrap_err()),
        "batch_norm: running_mean expects shape [3], got [2]"
    );
    let running = Running { mean: &right, var: &wrong };
    assert_eq!(
        message(op.backward_frozen(&x, running, None, &x, None, None).unwrap_err()),
        "batch_norm: running_var expects shape [3], got [2]"
    );

    let (_, saved) = op.forward(&x, None, None).unwrap();
    let (mut mean, mut var) = (Tensor::zeros([3]), Tensor::zeros([2]));
    assert_eq!(
        message(op.track(&saved.statistics(), 1, &mut mean, &mut var).unwrap_err()),
        "batch_norm: running_var expects shape [3], got [2]"
    );
    assert_eq!(
        message(op.track(&saved.statistics(), 0, &mut mean, &mut right.clone()).unwrap_err()),
        "batch_norm: the number of batches tracked must be at least 1, got 0"
    );
}

#[test]
fn a_backward_pass_that_fails_adds_nothing() {
    let (op, x) = (BatchNorm::default(), distinct([2, 3], 0));
    let (_, saved) = op.forward(&x, None, None).unwrap();
    let (mut right, mut wrong) = (Tensor::zeros([3]), Tensor::zeros([2]));
    let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
    assert_eq!(
        message(op.backward(&saved, None, &wrong, Some(&mut right), None)),
        "batch_norm: dy expects shape [2, 3], got [2]"
    );
    assert_eq!(
        message(op.backward(&saved, Some(&wrong.clone()), &x, Some(&mut right), None)),
        "batch_norm: weight expects shape [3], got [2]"
    );
    assert_eq!(
        message(op.backward(&saved, None, &x, Some(&mut right), Some(&mut wrong))),
        "batch_norm: dbias expects shape [3], got [2]"
    );
    assert_eq!(
        message(op.backward(&saved, None, &x, Some(&mut wrong), Some(&mut right))),
        "batch_norm: dweight expects shape [3], got [2]"
    );
    assert_eq!(right, Tensor::zeros([3]));
}
