use super::*;
use crate::optim::memory::PIECE;
use crate::{Adagrad, Adam, AdamW, Lion, OptimizerSpec, ParameterGroup, Penalty, RmsProp, Sgd};
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::testing::distinct;
use cnn_tensor::{Random, parallel};
use proptest::prelude::*;
use std::fmt::Display;

/// A model that is nothing but its parameters.
#[derive(Clone)]
struct Weights(Vec<(&'static str, Tensor)>);

impl Trainable for Weights {
    fn each(&self, f: &mut dyn FnMut(&dyn Display, &Tensor)) {
        self.0.iter().for_each(|(name, value)| f(name, value));
    }
    fn each_mut(&mut self, f: &mut dyn FnMut(&dyn Display, &mut Tensor)) {
        self.0.iter_mut().for_each(|(name, value)| f(name, value));
    }
}

impl Weights {
    /// Parameters of less than a vector, of some vectors and a rest, of nothing, and of more than a piece.
    fn random() -> Self {
        let shapes: [(_, Shape); 4] =
            [("a", [3].into()), ("b", [5, 7].into()), ("none", [0].into()), ("large", [PIECE + 21].into())];
        let mut weights = Self(shapes.map(|(name, shape)| (name, Tensor::zeros(shape))).into());
        for (name, value) in &mut weights.0 {
            Random::new(1, &["value", *name]).fill_normal(1.0, value.data_mut());
        }
        weights
    }

    /// One step for each entry of `gradients`, which holds those of all parameters, one after the other; what the last one
    /// found out.
    fn train(&mut self, optimizer: &mut dyn Optimizer, gradients: &[Vec<f32>]) -> Stepped {
        self.train_at(RATE, optimizer, gradients)
    }

    /// [`Weights::train`] at another rate.
    fn train_at(&mut self, rate: f32, optimizer: &mut dyn Optimizer, gradients: &[Vec<f32>]) -> Stepped {
        let mut stepped = Stepped::default();
        for step in gradients {
            let gradients = self.shaped(step);
            stepped = optimizer.step(self, &gradients, rate).unwrap();
        }
        stepped
    }

    /// Numbers for all parameters, one after the other, as a tensor for each.
    fn shaped(&self, mut numbers: &[f32]) -> Vec<Tensor> {
        let shaped = self.0.iter().map(|(_, value)| {
            let (these, others) = numbers.split_at(value.data().len());
            numbers = others;
            Tensor::from_slice(value.shape(), these).unwrap()
        });
        shaped.collect()
    }

    /// Gradients that change nothing.
    fn zeros(&self) -> Vec<Tensor> {
        self.0.iter().map(|(_, value)| Tensor::zeros(value.shape())).collect()
    }

    fn values(&self) -> Vec<f32> {
        self.0.iter().map(|(_, value)| value.data()).collect::<Vec<_>>().concat()
    }
}

const RATE: f32 = 0.01;

/// Gradients of `steps` steps of [`Weights::random`].
fn gradients(steps: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(2, &["gradients"]);
    let mut gradients = vec![vec![0.0; Weights::random().values().len()]; steps];
    gradients.iter_mut().for_each(|step| random.fill_normal(1.0, step));
    gradients
}

/// Each method in each of its forms.
fn specs() -> [OptimizerSpec; 13] {
    let sgd = Sgd { weight_decay: 0.01, ..Sgd::default() };
    let heavy = Sgd { momentum: 0.9, ..sgd };
    let adam = Adam { weight_decay: 0.01, ..Adam::default() };
    let rmsprop = RmsProp { weight_decay: 0.01, ..RmsProp::default() };
    let centered = RmsProp { centered: true, ..rmsprop };
    [
        OptimizerSpec::Sgd(sgd),
        OptimizerSpec::Sgd(heavy),
        OptimizerSpec::Sgd(Sgd { nesterov: true, ..heavy }),
        OptimizerSpec::Sgd(Sgd { dampening: 0.5, ..heavy }),
        OptimizerSpec::Adam(adam),
        OptimizerSpec::Adam(Adam { amsgrad: true, ..adam }),
        OptimizerSpec::AdamW(AdamW::default()),
        OptimizerSpec::AdamW(AdamW { amsgrad: true, ..AdamW::default() }),
        OptimizerSpec::RmsProp(rmsprop),
        OptimizerSpec::RmsProp(RmsProp { momentum: 0.9, ..centered }),
        OptimizerSpec::RmsProp(RmsProp { momentum: 0.9, ..rmsprop }),
        OptimizerSpec::Adagrad(Adagrad {
            lr_decay: 0.1,
            initial_accumulator_value: 0.5,
            ..Adagrad::default()
        }),
        OptimizerSpec::Lion(Lion { weight_decay: 0.1, ..Lion::default() }),
    ]
}

/// Asserts that 100 steps agree with `oracle(rate, value, gradients)`, the definition for one number, at every
/// SIMD level, and that the number of threads does not change a bit. Where the definition hangs on a rounding error, the
/// oracle gives NaN, and must do so rarely.
#[track_caller]
pub(in crate::optim) fn assert_follows(spec: OptimizerSpec, oracle: impl Fn(f64, f64, &[f64]) -> f64) {
    const STEPS: usize = 100;
    let (start, gradients) = (Weights::random(), gradients(STEPS));
    let history = |i: usize| gradients.iter().map(|gradient| f64::from(gradient[i])).collect::<Vec<_>>();
    let values = start.values();
    // The small parameters, both ends of the large one's pieces, and a sample of what is between.
    let looked_at = |&i: &usize| i < 200 || i.is_multiple_of(19) || i + 100 > values.len();
    let value = |i: usize| (i, oracle(RATE.into(), values[i].into(), &history(i)));
    let want: Vec<(usize, f64)> = (0..values.len()).filter(looked_at).map(value).collect();
    assert!(want.iter().filter(|(_, v)| v.is_nan()).count() < want.len() / 100);
    for &level in Level::all() {
        let [got, again] = [1, 3].map(|threads| {
            let run = || {
                let mut weights = start.clone();
                weights.train(&mut *spec.build().unwrap(), &gradients);
                weights.values()
            };
            with_level(level, || parallel::Threads::new(threads).unwrap().run(run))
        });
        assert_eq!(got, again, "{level:?}: one thread and three");
        for &(i, want) in want.iter().filter(|(_, want)| !want.is_nan()) {
            let got = got[i];
            let error = (f64::from(got) - want).abs();
            assert!(error <= 1e-5 * want.abs().max(1.0), "{level:?} {spec:?} {i}: {got}, not {want}");
        }
    }
}

/// Asserts that 1, -2 and 3 become `want` in five steps at a rate of 0.1, the gradient of step `t`
/// from 0 being `value * [0.5, 1, -2] + t`.
#[track_caller]
pub(in crate::optim) fn assert_five_steps(spec: OptimizerSpec, want: [f64; 3]) {
    let value = Tensor::from_slice([3], &[1.0, -2.0, 3.0]).unwrap();
    let mut weights = Weights(vec![("w", value)]);
    let mut optimizer = spec.build().unwrap();
    for t in 0..5 {
        let slopes = [0.5, 1.0, -2.0].into_iter();
        let gradient =
            weights.values().iter().zip(slopes).map(|(value, slope)| value * slope + t as f32).collect();
        weights.train_at(0.1, &mut *optimizer, &[gradient]);
    }
    for (got, want) in weights.values().into_iter().zip(want) {
        assert!((f64::from(got) - want).abs() <= 1e-6 * want.abs(), "{spec:?}: {got}, not {want}");
    }
}

fn entries(optimizer: &dyn Optimizer) -> BTreeMap<String, Tensor> {
    optimizer.state().into_iter().collect()
}

/// Options of every kind at once, with `b` frozen.
fn all_options() -> StepOptions {
    StepOptions {
        groups: vec![
            ParameterGroup::frozen("b"),
            ParameterGroup { lr_mult: 0.5, weight_decay: Some(0.2), ..ParameterGroup::named("l*e") },
        ],
        clip: Some(Clip::Norm { max_norm: 10.0 }),
        penalty: Penalty { l1: 0.01, l2: 0.02 },
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bits() {
    let gradients = gradients(10);
    for spec in specs() {
        for (options, interrupted) in
            [StepOptions::default(), all_options()].iter().flat_map(|options| [0, 1, 7].map(|n| (options, n)))
        {
            let build = || spec.build_with(options.clone()).unwrap();
            let (before, after) = gradients.split_at(interrupted);
            let (mut weights, mut optimizer) = (Weights::random(), build());
            weights.train(&mut *optimizer, before);
            let (mut resumed, state) = (weights.clone(), entries(&*optimizer));
            weights.train(&mut *optimizer, after);

            let mut optimizer = build();
            optimizer.restore(state.clone(), &resumed).unwrap();
            assert_eq!(entries(&*optimizer), state);
            resumed.train(&mut *optimizer, after);
            assert_eq!(resumed.values(), weights.values(), "{spec:?} interrupted after {interrupted} steps");
        }
    }
}

#[test]
fn a_frozen_parameter_keeps_every_bit_and_nothing_is_remembered_of_it() {
    let options = StepOptions { groups: vec![ParameterGroup::frozen("b")], ..all_options() };
    for spec in specs() {
        let (mut weights, mut optimizer) = (Weights::random(), spec.build_with(options.clone()).unwrap());
        let bits = |weights: &Weights| {
            weights
                .0
                .iter()
                .map(|(_, value)| value.data().iter().map(|v| v.to_bits()).collect())
                .collect::<Vec<Vec<_>>>()
        };
        // Numbers that do not survive arithmetic.
        weights.0[1].1.data_mut()[..3].copy_from_slice(&[-0.0, f32::NAN, f32::INFINITY]);
        let before = bits(&weights);
        let mut gradients = gradients(3);
        gradients[1][4] = f32::NAN;
        weights.train(&mut *optimizer, &gradients);
        let after = bits(&weights);
        assert_eq!(after[1], before[1], "{spec:?}");
        assert!(after[0] != before[0] && after[3] != before[3], "{spec:?}");
        assert!(optimizer.state().iter().all(|(name, _)| !name.ends_with(".b")), "{spec:?}");
    }
}

#[test]
fn a_group_trains_as_with_an_optimizer_of_its_own() {
    let group = ParameterGroup { lr_mult: 0.25, weight_decay: Some(0.125), ..ParameterGroup::named("b") };
    let options = StepOptions { groups: vec![group], ..StepOptions::default() };
    let gradients = gradients(5);
    let own = |spec: OptimizerSpec, weight_decay| match spec {
        OptimizerSpec::Sgd(sgd) => OptimizerSpec::Sgd(Sgd { weight_decay, ..sgd }),
        OptimizerSpec::Adam(adam) => OptimizerSpec::Adam(Adam { weight_decay, ..adam }),
        OptimizerSpec::AdamW(adamw) => OptimizerSpec::AdamW(AdamW { weight_decay, ..adamw }),
        OptimizerSpec::RmsProp(rmsprop) => OptimizerSpec::RmsProp(RmsProp { weight_decay, ..rmsprop }),
        OptimizerSpec::Adagrad(adagrad) => OptimizerSpec::Adagrad(Adagrad { weight_decay, ..adagrad }),
        OptimizerSpec::Lion(lion) => OptimizerSpec::Lion(Lion { weight_decay, ..lion }),
    };
    for spec in specs() {
        let train = |optimizer: Box<dyn Optimizer>, rate| {
            let (mut weights, mut optimizer) = (Weights::random(), optimizer);
            weights.train_at(rate, &mut *optimizer, &gradients);
            weights.0.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        let together = train(spec.build_with(options.clone()).unwrap(), RATE);
        let rest = train(spec.build().unwrap(), RATE);
        let alone = train(own(spec, 0.125).build().unwrap(), 0.25 * RATE);
        assert_eq!(together, [&rest[0], &alone[1], &rest[2], &rest[3]].map(Tensor::clone), "{spec:?}");
    }
}

/// A few numbers of one, two, four and no axes.
fn small() -> Weights {
    let shapes: [(_, Shape); 4] =
        [("bias", [3].into()), ("fc", [2, 5].into()), ("conv", [2, 1, 2, 2].into()), ("scalar", [].into())];
    let parameter = |(i, (name, shape))| (name, distinct(shape, i as u64));
    Weights(shapes.into_iter().enumerate().map(parameter).collect())
}

/// The definition of descent with momentum 0.9 and weight decay 0.01, of each group's parameters as one list of numbers:
/// the values after the steps, and norm and penalty before the last. `None` where the sign of a weight hangs on a rounding
/// error.
fn descend(options: &StepOptions, gradients: &[Vec<f32>]) -> Option<(Vec<f64>, [f64; 2])> {
    let (mut w, mut rate, mut decay, mut weight) = (vec![], vec![], vec![], vec![]);
    for (name, value) in small().0 {
        let axes = value.shape().dims().len();
        let group = options.groups.iter().find(|group| group.takes(name, axes)).cloned().unwrap_or_default();
        for &v in value.data() {
            w.push(f64::from(v));
            rate.push(f64::from(group.lr_mult));
            decay.push(group.weight_decay.unwrap_or(0.01));
            weight.push(f64::from(axes >= 2 && group.lr_mult > 0.0));
        }
    }
    let Penalty { l1, l2 } = options.penalty;
    let (mut v, mut last) = (vec![0.0; w.len()], [0.0; 2]);
    for gradient in gradients {
        if l1 > 0.0 && w.iter().any(|w| w.abs() < 1e-4) {
            return None;
        }
        let penalized = |i: usize| f64::from(gradient[i]) + weight[i] * (l1 * w[i].signum() + l2 * w[i]);
        let mut g: Vec<f64> = (0..w.len()).map(penalized).collect();
        let norm =
            g.iter().zip(&rate).map(|(g, rate)| if *rate > 0.0 { g * g } else { 0.0 }).sum::<f64>().sqrt();
        last = [norm, w.iter().zip(&weight).map(|(w, on)| on * (l1 * w.abs() + l2 / 2.0 * w * w)).sum()];
        for (i, g) in g.iter_mut().enumerate() {
            *g = match options.clip {
                None => *g,
                Some(Clip::Norm { max_norm }) => *g * (max_norm / (norm + 1e-6)).min(1.0),
                Some(Clip::Value { clip_value }) => g.clamp(-clip_value, clip_value),
            };
            v[i] = 0.9 * v[i] + *g + decay[i] * w[i];
            w[i] -= f64::from(RATE) * rate[i] * v[i];
        }
    }
    Some((w, last))
}

fn options() -> impl Strategy<Value = StepOptions> {
    let clip = prop_oneof![
        Just(None),
        (0.1..20.0).prop_map(|max_norm| Some(Clip::Norm { max_norm })),
        (0.1..2.0).prop_map(|clip_value| Some(Clip::Value { clip_value })),
    ];
    let names = prop::sample::select(vec!["bias", "fc", "c*", "s*r", "*"]);
    let rate = prop_oneof![Just(0.0), 0.1..10.0f32];
    let group = (names, prop::option::of(0..3usize), rate, prop::option::of(0.0..0.5));
    let group = group.prop_map(|(names, max_axes, rate, weight_decay)| ParameterGroup {
        names: names.into(),
        max_axes,
        lr_mult: rate,
        weight_decay,
        ..ParameterGroup::default()
    });
    let some = || prop_oneof![Just(0.0), 0.0..0.5];
    let penalty = (some(), some()).prop_map(|(l1, l2)| Penalty { l1, l2 });
    (prop::collection::vec(group, 0..3), clip, penalty)
        .prop_map(|(groups, clip, penalty)| StepOptions { groups, clip, penalty })
        .prop_filter("a group takes nothing", |options| group::assign(&options.groups, &small()).is_ok())
}

proptest! {
    #![proptest_config(any_number_of_rejects())]

    #[test]
    fn groups_bounds_and_penalty_are_those_of_the_definition(options in options(), seed: u64, steps in 1..6usize) {
        let mut gradients = vec![vec![0.0; small().values().len()]; steps];
        let mut random = Random::new(seed, &["gradients"]);
        gradients.iter_mut().for_each(|step| random.fill_normal(1.0, step));
        let Some((want, [norm, penalty])) = descend(&options, &gradients) else { return Err(TestCaseError::reject("")) };
        let sgd = OptimizerSpec::Sgd(Sgd { momentum: 0.9, weight_decay: 0.01, ..Sgd::default() });
        for &level in Level::all() {
            let (weights, stepped) = with_level(level, || {
                let (mut weights, mut optimizer) = (small(), sgd.build_with(options.clone()).unwrap());
                let stepped = weights.train(&mut *optimizer, &gradients);
                (weights, stepped)
            });
            for (i, (&got, &want)) in weights.values().iter().zip(&want).enumerate() {
                let error = (f64::from(got) - want).abs();
                prop_assert!(error <= 1e-5 * want.abs().max(1.0), "{level:?} {i}: {got}, not {want}");
            }
            let near = |got: f64, want: f64| (got - want).abs() <= 1e-5 * want.abs().max(1.0);
            let Stepped { gradient_norm, penalty: got } = stepped;
            prop_assert_eq!(gradient_norm.is_some(), matches!(options.clip, Some(Clip::Norm { .. })));
            prop_assert_eq!(got.is_some(), options.penalty != Penalty::default());
            prop_assert!(near(gradient_norm.unwrap_or(norm), norm), "{gradient_norm:?}, not {norm}");
            prop_assert!(near(got.unwrap_or(penalty), penalty), "{got:?}, not {penalty}");
        }
    }
}

/// The usual configuration, which `PROPTEST_CASES` changes, but with as many options drawn and refused as it takes.
fn any_number_of_rejects() -> ProptestConfig {
    ProptestConfig { max_global_rejects: u32::MAX, max_local_rejects: u32::MAX, ..ProptestConfig::default() }
}

#[test]
fn bounds_far_away_leave_every_bit_and_threads_change_none() {
    let gradients = gradients(3);
    for spec in specs() {
        let run = |clip, threads| {
            let train = || {
                let options = StepOptions { clip, ..StepOptions::default() };
                let (mut weights, mut optimizer) = (Weights::random(), spec.build_with(options).unwrap());
                weights.train(&mut *optimizer, &gradients);
                weights.values()
            };
            parallel::Threads::new(threads).unwrap().run(train)
        };
        let free = run(None, 1);
        for bound in [1e30, 1.0] {
            for clip in [Clip::Norm { max_norm: bound }, Clip::Value { clip_value: bound }] {
                let [one, three] = [1, 3].map(|threads| run(Some(clip), threads));
                assert_eq!(one, three, "{spec:?} {clip:?}");
                assert_eq!(one == free, bound > 1.0, "{spec:?} {clip:?}");
            }
        }
    }
}

#[test]
fn a_norm_that_is_not_finite_is_an_error_and_changes_nothing() {
    for spec in specs() {
        let options = StepOptions { clip: Some(Clip::Norm { max_norm: 1.0 }), ..StepOptions::default() };
        let (mut weights, mut optimizer) = (Weights::random(), spec.build_with(options).unwrap());
        for steps in 0..2 {
            let mut broken = weights.zeros();
            broken[3].data_mut()[PIECE] = [f32::INFINITY, f32::NAN][steps];
            let (values, state) = (weights.values(), entries(&*optimizer));
            let message = optimizer.step(&mut weights, &broken, RATE).unwrap_err().to_string();
            let shown = ["inf", "NaN"][steps];
            assert_eq!(
                message,
                format!("the norm of the gradients must be finite to be clipped, got {shown}")
            );
            assert!(weights.values() == values && entries(&*optimizer) == state);
            weights.train(&mut *optimizer, &gradients(1));
        }
    }
}

#[test]
fn a_nan_passes_bounds_on_values_and_reaches_its_own_weight_alone() {
    let options = StepOptions { clip: Some(Clip::Value { clip_value: 1.0 }), ..StepOptions::default() };
    for &level in Level::all() {
        let (mut weights, mut optimizer) =
            (Weights::random(), specs()[0].build_with(options.clone()).unwrap());
        let mut gradients = gradients(1);
        gradients[0][1] = f32::NAN;
        with_level(level, || weights.train(&mut *optimizer, &gradients));
        let nan: Vec<_> =
            weights.values().iter().enumerate().filter(|(_, v)| v.is_nan()).map(|(i, _)| i).collect();
        assert_eq!(nan, [1], "{level:?}");
    }
}

#[test]
fn a_rate_that_a_group_makes_infinite_is_an_error() {
    let group = ParameterGroup { lr_mult: 1e30, ..ParameterGroup::default() };
    let options = StepOptions { groups: vec![group], ..StepOptions::default() };
    let (mut weights, mut optimizer) = (Weights::random(), specs()[0].build_with(options).unwrap());
    let (before, zeros) = (weights.values(), weights.zeros());
    let message = optimizer.step(&mut weights, &zeros, 1e30).unwrap_err().to_string();
    assert_eq!(message, "learning rate of a parameter group must be finite and at least 0, got inf");
    assert_eq!(weights.values(), before);
}

#[test]
fn options_of_a_step_that_are_out_of_range_are_named() {
    let message = |options| specs()[0].build_with(options).err().unwrap().to_string();
    let default = StepOptions::default();
    let groups = vec![ParameterGroup { lr_mult: -1.0, ..ParameterGroup::default() }];
    assert!(
        message(StepOptions { groups, ..default.clone() }).starts_with("parameter group: lr_mult must be")
    );
    let clip = Some(Clip::Norm { max_norm: 0.0 });
    assert!(message(StepOptions { clip, ..default.clone() }).starts_with("clip: max_norm must be"));
    let penalty = Penalty { l1: -1.0, l2: 0.0 };
    assert!(message(StepOptions { penalty, ..default }).starts_with("penalty: l1 must be"));
}

#[test]
fn a_group_of_nothing_is_an_error_of_the_first_step() {
    let options = StepOptions { groups: vec![ParameterGroup::frozen("nothing")], ..StepOptions::default() };
    let (mut weights, mut optimizer) = (Weights::random(), specs()[0].build_with(options).unwrap());
    let zeros = weights.zeros();
    let message = optimizer.step(&mut weights, &zeros, RATE).unwrap_err().to_string();
    assert!(message.ends_with("got nothing"), "{message}");
}

#[test]
fn a_rate_of_0_leaves_values_alone() {
    for spec in specs() {
        let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
        weights.train(&mut *optimizer, &gradients(1));
        let before = weights.values();
        weights.train_at(0.0, &mut *optimizer, &gradients(1));
        assert_eq!(weights.values(), before);
    }
}

#[test]
fn a_state_is_named_after_the_parameters() {
    let names = |spec: OptimizerSpec| {
        let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
        weights.0.truncate(2);
        assert_eq!(optimizer.state(), [("step".to_string(), Tensor::zeros([2]))]);
        weights.train(&mut *optimizer, &gradients(1));
        optimizer
            .state()
            .into_iter()
            .map(|(name, tensor)| format!("{name} {}", tensor.shape()))
            .collect::<Vec<_>>()
    };
    let of = |kinds: &[&str]| {
        let entry = |name: &str| kinds.iter().map(|kind| format!("{kind}.{name}")).collect::<Vec<_>>();
        let (a, b) =
            (entry("a").into_iter().map(|e| e + " [3]"), entry("b").into_iter().map(|e| e + " [5, 7]"));
        ["step [2]".to_string()].into_iter().chain(a).chain(b).collect::<Vec<_>>()
    };
    let momentum = of(&["momentum"]);
    let (adam, amsgrad) = (of(&["exp_avg", "exp_avg_sq"]), of(&["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]));
    let want = [
        of(&[]),
        momentum.clone(),
        momentum.clone(),
        momentum,
        adam.clone(),
        amsgrad.clone(),
        adam,
        amsgrad,
        of(&["square_avg"]),
        of(&["variance", "grad_avg", "momentum_buffer"]),
        of(&["square_avg", "momentum_buffer"]),
        of(&["sum"]),
        of(&["exp_avg"]),
    ];
    assert_eq!(specs().map(names), want);
    assert_eq!(want[1], ["step [2]", "momentum.a [3]", "momentum.b [5, 7]"]);
}

#[test]
fn a_state_of_another_model_is_an_error_that_names_the_entry() {
    let (mut weights, mut optimizer) = (Weights::random(), specs()[1].build().unwrap());
    weights.train(&mut *optimizer, &gradients(1));
    let state = entries(&*optimizer);
    let mut refused = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut changed = state.clone();
        change(&mut changed);
        let error = optimizer.restore(changed, &weights).unwrap_err();
        assert_eq!(entries(&*optimizer), state, "a failed restore changes nothing");
        error.to_string()
    };
    let set = |name: &'static str, values: &'static [f32]| {
        move |state: &mut BTreeMap<String, Tensor>| {
            let tensor = Tensor::from_slice([values.len()], values).unwrap();
            state.insert(name.into(), tensor);
        }
    };
    assert_eq!(
        refused(&|state| _ = state.remove("momentum.b")),
        "parameter momentum.b: the model expects shape [5, 7], the file has none of that name"
    );
    assert_eq!(
        refused(&|state| _ = state.remove("step")),
        "parameter step: the model expects shape [2], the file has none of that name"
    );
    assert_eq!(
        refused(&set("momentum.a", &[0.0; 4])),
        "parameter momentum.a: the model expects shape [3], the file has shape [4]"
    );
    assert_eq!(
        refused(&set("momentum.c", &[0.0; 4])),
        "parameter momentum.c: the model expects none of that name, the file has shape [4]"
    );
    assert_eq!(
        refused(&set("step", &[0.0, -1.0])),
        "saved number of steps must be two whole numbers from 0 to 16777215, got [0.0, -1.0]"
    );
    assert!(refused(&set("step", &[0.0, 0.0])).contains("the model expects none of that name"));
}

#[test]
fn a_model_that_changes_between_steps_is_an_error() {
    for spec in specs() {
        let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
        weights.train(&mut *optimizer, &gradients(1));
        let mut refused = |change: &dyn Fn(&mut Weights)| {
            let mut changed = weights.clone();
            change(&mut changed);
            let (before, zeros) = (changed.values(), changed.zeros());
            let error = optimizer.step(&mut changed, &zeros, RATE).unwrap_err();
            assert_eq!(changed.values(), before, "a failed step changes nothing");
            error.to_string()
        };
        let error = refused(&|weights| weights.0[1].1 = Tensor::zeros([7, 5]));
        assert_eq!(error, "parameter b: the model expects shape [7, 5], the file has shape [5, 7]");
        let error = refused(&|weights| _ = weights.0.pop());
        assert!(error.starts_with("parameter large: the model expects none of that name"), "{error}");
        let error = refused(&|weights| weights.0.push(("more", Tensor::zeros([1]))));
        assert_eq!(error, "parameter more: the model expects shape [1], the file has none of that name");
    }
}

#[test]
fn a_rate_that_is_no_rate_is_an_error() {
    for (rate, shown) in [(-0.1, "-0.1"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut weights = Weights::random();
        let zeros = weights.zeros();
        let error = specs()[0].build().unwrap().step(&mut weights, &zeros, rate).unwrap_err().to_string();
        assert!(error.starts_with("learning rate must be finite and at least 0, got "), "{error}");
        assert!(error.contains(shown), "{error}");
    }
}

#[test]
fn a_gradient_of_another_shape_is_an_error_that_names_the_parameter() {
    for spec in specs() {
        let options = StepOptions { groups: vec![ParameterGroup::frozen("a")], ..StepOptions::default() };
        let (mut weights, mut optimizer) = (Weights::random(), spec.build_with(options).unwrap());
        let values = weights.values();
        let mut refused = |change: &dyn Fn(&mut Vec<Tensor>)| {
            let mut gradients = weights.zeros();
            change(&mut gradients);
            let error = optimizer.step(&mut weights, &gradients, RATE).unwrap_err().to_string();
            assert_eq!(weights.values(), values, "a failed step changes nothing");
            assert_eq!(unpack(&entries(&*optimizer)[STEP]).unwrap(), 0);
            error
        };
        let rule = "a gradient must be one for each parameter, of its shape, got";
        assert_eq!(refused(&|g| g[1] = Tensor::zeros([35])), format!("{rule} [35] for b of shape [5, 7]"));
        assert_eq!(refused(&|g| g.truncate(3)), format!("{rule} none for large of shape [65557]"));
        assert_eq!(refused(&|g| g.push(Tensor::zeros([1]))), "the number of gradients must be 4, got 5");
        // Of a frozen parameter there need be none.
        let mut gradients = weights.zeros();
        gradients[0] = Tensor::default();
        optimizer.step(&mut weights, &gradients, RATE).unwrap();
    }
}

proptest! {
    #[test]
    fn numbers_of_steps_are_saved_exactly(steps in 0..1u64 << 48) {
        prop_assert_eq!(unpack(&pack(steps)).unwrap(), steps);
    }
}

#[test]
fn what_is_no_number_of_steps_is_an_error() {
    for part in [-1.0, 0.5, 16_777_216.0, f32::INFINITY, f32::NAN] {
        for saved in [[part, 1.0], [1.0, part]] {
            assert!(unpack(&Tensor::from_slice([2], &saved).unwrap()).is_err(), "{saved:?}");
        }
    }
}
