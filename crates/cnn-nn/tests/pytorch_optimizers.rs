//! Optimizers, clipping, penalty, groups, averages and schedules against PyTorch, over 100 steps.
//!
//! PyTorch's results are in `fixtures/optimizers.safetensors`, written by `xtask/peers/optimizers.py`, which describes the contents.
#![forbid(unsafe_code)]

use cnn_nn::spec::{linear, tanh};
use cnn_nn::{
    Adagrad, Adam, AdamW, Average, Batch, Classify, Clip, EpochReport, Graph, Lion, Moment, OptimizerSpec,
    ParameterGroup, Penalty, Plateau, RmsProp, Schedule, Sgd, Span, StepOptions, ThresholdMode,
    TrainSettings, Trainer, checkpoint,
};
use cnn_tensor::Tensor;
use cnn_tensor::simd::{Level, with_level};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const STEPS: usize = 100;
/// Steps between two that are compared.
const EVERY: usize = 10;
const STEPS_PER_EPOCH: usize = 5;
/// Error allowed, relative where the number exceeds 1.
const TOLERANCE: f64 = 1e-5;
/// Error allowed of a learning rate, relative to itself.
const RATE_TOLERANCE: f64 = 1e-6;

static PYTORCH: LazyLock<BTreeMap<String, Tensor>> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/optimizers.safetensors");
    checkpoint::load(file.as_ref()).unwrap().tensors
});

/// PyTorch's results under this name.
#[track_caller]
fn pytorch(name: &str) -> &'static [f32] {
    let renewal = "python xtask/peers/optimizers.py crates/cnn-nn/tests/fixtures/optimizers.safetensors";
    PYTORCH.get(name).unwrap_or_else(|| panic!("the fixture has no {name}; renew it: {renewal}")).data()
}

#[track_caller]
fn assert_same(name: &str, got: &[f64]) {
    let want = pytorch(name);
    assert_eq!(got.len(), want.len(), "numbers of {name}");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let want = f64::from(want);
        let error = (got - want).abs() / want.abs().max(1.0);
        // Not `>`: a NaN is wrong too.
        assert!(error <= TOLERANCE, "{name}[{i}] at {:?}: {got}, PyTorch {want}", Level::current());
    }
}

/// Numbers from -1 to below 1: the upper 24 bits of Knuth's 64-bit linear congruential generator.
struct Fractions(u64);

impl Iterator for Fractions {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(((self.0 >> 40) as i32 - (1 << 23)) as f64 / f64::from(1 << 23))
    }
}

/// The script's problem.
struct Problem {
    source: Fractions,
    net: Graph,
    slopes: Vec<f64>,
}

impl Problem {
    fn new() -> Self {
        let layers = [linear(3).named("a"), tanh().named("tanh"), linear(2).named("b")];
        let mut net = Graph::build(layers, [4], 0).unwrap();
        let mut source = Fractions(1);
        net.parameters_mut(&mut |_, parameter| {
            let values = parameter.data_mut().iter_mut();
            values.zip(&mut source).for_each(|(value, drawn)| *value = drawn as f32);
        });
        let slopes = source.by_ref().take(net.parameter_count()).map(f64::abs).collect();
        Self { source, net, slopes }
    }

    fn gradients(&mut self) -> Vec<Tensor> {
        let Self { source, net, slopes } = self;
        let (mut slopes, mut gradients) = (slopes.iter(), Vec::new());
        net.parameters(&mut |_, parameter| {
            let gradient = parameter.data().iter().map(|&value| {
                let (slope, noise) = (slopes.next().unwrap(), source.next().unwrap());
                (slope * f64::from(value) + noise) as f32
            });
            gradients.push(Tensor::from_vec(parameter.shape(), gradient.collect()).unwrap());
        });
        gradients
    }
}

fn values(net: &Graph) -> Vec<f64> {
    net.tensors().iter().flat_map(|(_, tensor)| tensor.data()).map(|&v| f64::from(v)).collect()
}

/// Runs `check` at every SIMD level.
fn at_every_level(check: impl Fn()) {
    Level::all().iter().for_each(|&level| with_level(level, &check));
}

/// Asserts that 100 steps are PyTorch's: the values, and norm and penalty where there are any.
fn assert_steps(name: &str, rate: f32, optimizer: OptimizerSpec, options: &StepOptions) {
    let mut problem = Problem::new();
    let mut optimizer = optimizer.build_with(options.clone()).unwrap();
    let (mut course, mut norms, mut penalties) = (vec![], vec![], vec![]);
    for step in 1..=STEPS {
        let gradients = problem.gradients();
        let stepped = optimizer.step(&mut problem.net, &gradients, rate).unwrap();
        norms.extend(stepped.gradient_norm);
        penalties.extend(stepped.penalty);
        if step % EVERY == 0 {
            course.extend(values(&problem.net));
        }
    }
    assert_same(&format!("{name}.values"), &course);
    for (what, got) in [("norms", norms), ("penalties", penalties)] {
        let name = format!("{name}.{what}");
        assert_eq!(PYTORCH.contains_key(&name), !got.is_empty(), "{name}");
        if !got.is_empty() {
            assert_same(&name, &got);
        }
    }
}

#[test]
fn optimizers() {
    let sgd = Sgd { weight_decay: 0.1, ..Sgd::default() };
    let heavy = Sgd { momentum: 0.9, ..sgd };
    let adam = Adam::default();
    let adamw = AdamW::default();
    let rmsprop = RmsProp::default();
    let sgds = [
        ("sgd", Sgd::default()),
        ("sgd_decay", sgd),
        ("sgd_momentum", Sgd { weight_decay: 0.0, ..heavy }),
        ("sgd_dampening", Sgd { dampening: 0.3, ..heavy }),
        ("sgd_nesterov", Sgd { nesterov: true, ..heavy }),
    ];
    let adams = [
        ("adam", adam),
        ("adam_options", Adam { betas: [0.8, 0.99], eps: 1e-3, weight_decay: 0.1, ..adam }),
        ("adam_amsgrad", Adam { betas: [0.8, 0.5], amsgrad: true, ..adam }),
    ];
    let adamws = [
        ("adamw", adamw),
        ("adamw_options", AdamW { betas: [0.8, 0.99], eps: 1e-3, weight_decay: 0.5, ..adamw }),
        ("adamw_amsgrad", AdamW { betas: [0.8, 0.5], amsgrad: true, ..adamw }),
    ];
    let rmsprops = [
        ("rmsprop", rmsprop),
        ("rmsprop_options", RmsProp { alpha: 0.9, eps: 1e-3, weight_decay: 0.1, ..rmsprop }),
        ("rmsprop_momentum", RmsProp { momentum: 0.5, ..rmsprop }),
        ("rmsprop_centered", RmsProp { centered: true, ..rmsprop }),
        ("rmsprop_all", RmsProp { alpha: 0.9, momentum: 0.5, centered: true, weight_decay: 0.1, ..rmsprop }),
    ];
    let adagrads = [
        ("adagrad", Adagrad::default()),
        (
            "adagrad_options",
            Adagrad { lr_decay: 0.1, weight_decay: 0.1, initial_accumulator_value: 0.5, eps: 1e-3 },
        ),
    ];
    let lions = [("lion", Lion::default()), ("lion_options", Lion { betas: [0.5, 0.75], weight_decay: 0.5 })];
    let all = (sgds.map(|(name, sgd)| (name, 0.1, OptimizerSpec::Sgd(sgd))).into_iter())
        .chain(adams.map(|(name, adam)| (name, 0.01, OptimizerSpec::Adam(adam))))
        .chain(adamws.map(|(name, adamw)| (name, 0.01, OptimizerSpec::AdamW(adamw))))
        .chain(rmsprops.map(|(name, rmsprop)| (name, 0.01, OptimizerSpec::RmsProp(rmsprop))))
        .chain(adagrads.map(|(name, adagrad)| (name, 0.1, OptimizerSpec::Adagrad(adagrad))))
        .chain(lions.map(|(name, lion)| (name, 0.01, OptimizerSpec::Lion(lion))));
    for (name, rate, optimizer) in all {
        at_every_level(|| assert_steps(name, rate, optimizer, &StepOptions::default()));
    }
}

/// `a.bias` frozen, `b` at half the rate with its own weight decay.
fn groups() -> Vec<ParameterGroup> {
    let b = ParameterGroup { lr_mult: 0.5, weight_decay: Some(0.1), ..ParameterGroup::named("b.*") };
    vec![ParameterGroup::frozen("a.bias"), b]
}

#[test]
fn groups_bounds_and_penalty() {
    let momentum = OptimizerSpec::Sgd(Sgd { momentum: 0.9, weight_decay: 0.05, ..Sgd::default() });
    let (penalty, default) = (Penalty { l1: 0.01, l2: 0.04 }, StepOptions::default());
    let norm = |max_norm| Some(Clip::Norm { max_norm });
    let treatments = [
        ("groups", StepOptions { groups: groups(), ..default.clone() }),
        ("clip_norm", StepOptions { clip: norm(3.0), ..default.clone() }),
        ("clip_value", StepOptions { clip: Some(Clip::Value { clip_value: 0.25 }), ..default.clone() }),
        ("penalty", StepOptions { penalty, ..default }),
        ("everything", StepOptions { groups: groups(), clip: norm(2.0), penalty }),
    ];
    for (name, options) in treatments {
        at_every_level(|| assert_steps(name, 0.1, momentum, &options));
    }
}

#[test]
fn a_trainer_with_everything_at_once() {
    let settings = TrainSettings {
        epochs: 1,
        learning_rate: 0.05,
        schedule: warm_up(10, 0.1, Schedule::Cosine),
        optimizer: OptimizerSpec::AdamW(AdamW { weight_decay: 0.02, ..AdamW::default() }),
        groups: groups(),
        clip: Some(Clip::Norm { max_norm: 0.1 }),
        average: Some(Average { decay: 0.9 }),
        penalty: Penalty { l1: 1e-3, l2: 4e-3 },
        ..TrainSettings::default()
    };
    at_every_level(|| {
        let Problem { source, net, .. } = Problem::new();
        let x = source.take(16 * 4).map(|v| v as f32).collect();
        let batch =
            Batch::new(Tensor::from_vec([16, 4], x).unwrap(), (0..16).map(|i| i % 2).collect::<Vec<_>>());
        let mut trainer = Trainer::new(net, Classify::default(), settings.clone()).unwrap();
        let mut course = BTreeMap::<_, Vec<f64>>::new();
        for step in 1..=STEPS {
            let report = trainer.step(&batch, STEPS).unwrap();
            let (norm, penalty) = (report.gradient_norm.unwrap(), report.penalty.unwrap());
            let reported = [
                ("losses", report.loss),
                ("norms", norm),
                ("penalties", penalty),
                ("rates", report.learning_rate.into()),
            ];
            reported.into_iter().for_each(|(what, v)| course.entry(what).or_default().push(v));
            if step % EVERY == 0 {
                course.entry("values").or_default().extend(values(trainer.net()));
                course.entry("averages").or_default().extend(values(trainer.evaluated()));
            }
        }
        assert_eq!(course.len(), PYTORCH.keys().filter(|name| name.starts_with("trainer.")).count());
        course.iter().for_each(|(what, got)| assert_same(&format!("trainer.{what}"), got));
    });
}

fn warm_up(steps: usize, start_factor: f64, schedule: Schedule) -> Schedule {
    Schedule::WarmUp { length: Span::Steps(steps), start_factor, schedule: Box::new(schedule) }
}

/// Asserts that the rates of 100 steps are PyTorch's.
#[track_caller]
fn assert_rates(name: &str, schedule: &Schedule, steps_per_epoch: usize, history: &[EpochReport]) {
    schedule.validate().unwrap();
    let want = pytorch(&format!("{name}.rates"));
    assert_eq!(want.len(), STEPS);
    for (step, &want) in want.iter().enumerate() {
        let history = &history[..history.len().min(step / steps_per_epoch)];
        let moment = Moment { step, total_steps: STEPS, steps_per_epoch, history };
        let (got, want) = (f64::from(schedule.learning_rate(0.5, moment)), f64::from(want));
        assert!((got - want).abs() <= RATE_TOLERANCE * want, "{name}, step {step}: {got}, PyTorch {want}");
    }
}

#[test]
fn schedules() {
    let step = Schedule::Step { every: 3, factor: 0.5 };
    let third = 1.0 / 3.0;
    let schedules = [
        ("step", step.clone()),
        ("multi_step", Schedule::MultiStep { milestones: vec![2, 7, 8], gamma: 0.3 }),
        ("exponential", Schedule::Exponential { gamma: 0.8 }),
        ("cosine", Schedule::Cosine),
        ("restarts", Schedule::CosineWarmRestarts { t_0: 3, t_mult: 1, eta_min: 0.0 }),
        ("restarts_longer", Schedule::CosineWarmRestarts { t_0: 2, t_mult: 2, eta_min: 0.01 }),
        ("one_cycle", Schedule::OneCycle { warmup: 0.3 }),
        ("polynomial", Schedule::Polynomial { power: 1.0 }),
        ("polynomial_power", Schedule::Polynomial { power: 0.9 }),
        ("warm_up_constant", warm_up(20, third, Schedule::Constant)),
        ("warm_up_cosine", warm_up(10, 0.1, Schedule::Cosine)),
        ("warm_up_step", warm_up(10, 0.1, step)),
        ("warm_up_polynomial", warm_up(10, 0.1, Schedule::Polynomial { power: 2.0 })),
    ];
    for (name, schedule) in schedules {
        assert_rates(name, &schedule, STEPS_PER_EPOCH, &[]);
    }
}

#[test]
fn plateaus() {
    let report = |(i, noise): (usize, f64)| {
        let loss = 1.0 / (1.0 + i as f64 / 4.0) + 0.05 * noise;
        EpochReport { epoch: i + 1, metrics: [("test_loss", loss)].into_iter().collect() }
    };
    let history: Vec<_> = Fractions(1).take(STEPS).enumerate().map(report).collect();
    let default = Plateau::default();
    let relative =
        Plateau { factor: 0.5, patience: 2, threshold: 1e-2, cooldown: 2, min_lr: 2e-3, ..default };
    let (threshold, threshold_mode) = (1e-2, ThresholdMode::Abs);
    let absolute = Plateau { factor: 0.7, patience: 1, threshold, threshold_mode, eps: 1e-2, ..default };
    for (name, plateau) in [("plateau", relative), ("plateau_abs", absolute), ("plateau_default", default)] {
        assert_rates(name, &Schedule::ReduceOnPlateau(plateau), 1, &history);
    }
}
