use super::*;
use proptest::prelude::*;

/// Step `step` of a run without a finished epoch.
fn at(step: usize, total_steps: usize, steps_per_epoch: usize) -> Moment<'static> {
    Moment { step, total_steps, steps_per_epoch, history: &[] }
}

/// Epochs of these test losses.
fn history(losses: &[f64]) -> Vec<EpochReport> {
    let report =
        |(i, &loss)| EpochReport { epoch: i + 1, metrics: [("test_loss", loss)].into_iter().collect() };
    losses.iter().enumerate().map(report).collect()
}

#[track_caller]
fn assert_rates(schedule: Schedule, want: &[f64]) {
    schedule.validate().unwrap();
    for (step, &want) in want.iter().enumerate() {
        let got = f64::from(schedule.learning_rate(0.5, at(step, 8, 2)));
        assert!((got - want).abs() <= 1e-6 * want, "step {step} of {schedule:?}: {got}, not {want}");
    }
}

/// Rates of 8 steps of PyTorch 2.15 with a base rate of 0.5, from `optimizer.param_groups[0]["lr"]` before each
/// step, `scheduler.step()` after it; the last number is a step after the end.
#[test]
fn rates_are_those_of_pytorch() {
    assert_rates(Schedule::Constant, &[0.5; 9]);
    // StepLR(optimizer, step_size=2 * 2, gamma=0.1), its step called after each batch of two an epoch.
    let step = Schedule::Step { every: 2, factor: 0.1 };
    assert_rates(step, &[0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.05, 0.005]);
    // CosineAnnealingLR(optimizer, T_max=8)
    let cosine =
        [0.5, 0.480_969_88, 0.426_776_7, 0.345_670_85, 0.25, 0.154_329_14, 0.073_223_3, 0.019_030_117];
    assert_rates(Schedule::Cosine, &cosine);
    assert_eq!([8, 9, usize::MAX].map(|step| Schedule::Cosine.learning_rate(0.5, at(step, 8, 2))), [0.0; 3]);
    // OneCycleLR(optimizer, max_lr=0.5, total_steps=8, pct_start=warmup, cycle_momentum=False)
    let rates = [0.02, 0.26, 0.5, 0.452_254_44, 0.327_254_94, 0.172_747_06, 0.047_747_56, 2e-6, 2e-6];
    assert_rates(Schedule::OneCycle { warmup: 0.375 }, &rates);
    let rates =
        [0.02, 0.043_767_47, 0.110_362_45, 0.206_594_98, 0.313_405_02, 0.409_637_55, 0.476_232_53, 0.5];
    assert_rates(Schedule::OneCycle { warmup: 1.0 }, &rates);
}

#[test]
fn the_shortest_runs_have_rates() {
    for warmup in [0.0, 0.5, 1.0] {
        assert_eq!(Schedule::OneCycle { warmup }.learning_rate(0.5, at(0, 1, 1)), 0.5);
    }
    let schedules = [
        Schedule::Constant,
        Schedule::Step { every: 1, factor: 0.5 },
        Schedule::MultiStep { milestones: vec![], gamma: 0.5 },
        Schedule::Exponential { gamma: 0.5 },
        Schedule::Cosine,
        Schedule::CosineWarmRestarts { t_0: 1, t_mult: 2, eta_min: 0.0 },
        Schedule::Polynomial { power: 0.9 },
        Schedule::ReduceOnPlateau(Plateau::default()),
        warm_up(Span::Steps(0), 0.5, Schedule::Cosine),
        warm_up(Span::Epochs(0.4), 0.5, Schedule::Cosine),
        warm_up(Span::Fraction(0.4), 0.5, Schedule::Cosine),
    ];
    for schedule in schedules {
        assert_eq!(schedule.learning_rate(0.5, at(0, 1, 1)), 0.5);
        assert!(schedule.learning_rate(0.5, at(3, 0, 0)).is_finite());
    }
}

fn warm_up(length: Span, start_factor: f64, schedule: Schedule) -> Schedule {
    Schedule::WarmUp { length, start_factor, schedule: Box::new(schedule) }
}

#[test]
fn milestones_and_epochs_multiply() {
    let milestones = Schedule::MultiStep { milestones: vec![0, 1, 3], gamma: 0.5 };
    assert_rates(milestones, &[0.25, 0.25, 0.125, 0.125, 0.125, 0.125, 0.0625, 0.0625, 0.0625]);
    let exponential = Schedule::Exponential { gamma: 0.5 };
    assert_rates(exponential, &[0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.03125]);
}

#[test]
fn a_polynomial_falls_to_0_and_stays_there() {
    let line = Schedule::Polynomial { power: 1.0 };
    assert_rates(line, &[0.5, 0.4375, 0.375, 0.3125, 0.25, 0.1875, 0.125, 0.0625, 0.0, 0.0]);
    assert_rates(Schedule::Polynomial { power: 2.0 }, &[0.5, 0.5 * 0.875 * 0.875, 0.5 * 0.75 * 0.75]);
}

#[test]
fn a_cosine_restarts_at_the_base_rate() {
    // Two steps an epoch: rounds of 2, 4, 8 and 16 steps.
    let schedule = Schedule::CosineWarmRestarts { t_0: 1, t_mult: 2, eta_min: 0.1 };
    let mut want = Vec::new();
    for length in [2, 4, 8, 16] {
        want.extend((0..length).map(|t| 0.1 + 0.2 * (1.0 + (PI * f64::from(t) / f64::from(length)).cos())));
    }
    assert_rates(schedule, &want);
    assert_rates(
        Schedule::CosineWarmRestarts { t_0: 1, t_mult: 1, eta_min: 0.0 },
        &[0.5, 0.25, 0.5, 0.25, 0.5],
    );
}

#[test]
fn after_a_warm_up_a_run_begins() {
    let inner = Schedule::OneCycle { warmup: 0.5 };
    for (length, steps) in [(Span::Steps(4), 4), (Span::Epochs(0.76), 4), (Span::Fraction(0.3), 6)] {
        let schedule = warm_up(length, 0.25, inner.clone());
        for step in 0..25 {
            let learning_rate = f64::from(schedule.learning_rate(0.5, at(step, 20, 5)));
            let want = match step.checked_sub(steps) {
                None => 0.5 * (0.25 + 0.75 * step as f64 / steps as f64),
                Some(later) => inner.learning_rate(0.5, at(later, 20 - steps, 5)).into(),
            };
            assert!((learning_rate - want).abs() < 1e-7, "{length:?} {step}: {learning_rate}, not {want}");
        }
    }
    // A warm-up may be longer than the run, and may hold another.
    let all = warm_up(Span::Epochs(1e300), 0.5, warm_up(Span::Steps(3), 0.5, Schedule::Constant));
    assert_eq!(all.learning_rate(0.5, at(10, 20, 5)), 0.25);
}

#[test]
fn a_plateau_lowers_the_rate() {
    let plateau =
        Plateau { factor: 0.5, patience: 1, threshold: 0.1, cooldown: 1, eps: 0.0, ..Plateau::default() };
    let rates = |plateau: Plateau, losses: &[f64]| {
        let schedule = Schedule::ReduceOnPlateau(plateau);
        schedule.validate().unwrap();
        let reports = history(losses);
        let moment = |epochs| Moment { history: &reports[..epochs], ..at(0, 8, 2) };
        (0..=losses.len()).map(|epochs| schedule.learning_rate(1.0, moment(epochs))).collect::<Vec<_>>()
    };
    // 0.95 is not a tenth better than 1; the second bad epoch in a row lowers the rate; the epoch after that does not count.
    let losses = [1.0, 0.95, 0.92, 0.95, 0.95, 0.95, 0.5, 0.6, f64::NAN];
    assert_eq!(rates(plateau, &losses), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]);
    let absolute = Plateau { threshold: 0.05, threshold_mode: ThresholdMode::Abs, ..plateau };
    let losses = [10.0, 9.94, 9.88, 9.84, 9.84];
    assert_eq!(rates(absolute, &losses), [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
    // Not below the lowest rate, and no change that is hardly one.
    assert_eq!(
        rates(Plateau { min_lr: 0.75, ..plateau }, &[1.0; 6]),
        [1.0, 1.0, 1.0, 0.75, 0.75, 0.75, 0.75]
    );
    assert_eq!(rates(Plateau { eps: 0.5, ..plateau }, &[1.0; 4]), [1.0; 5]);
    // A warm-up does not make its epochs unseen.
    let schedule = warm_up(Span::Steps(2), 0.5, Schedule::ReduceOnPlateau(plateau));
    let reports = history(&[1.0; 3]);
    assert_eq!(schedule.learning_rate(1.0, Moment { history: &reports, ..at(6, 8, 2) }), 0.5);
}

#[test]
fn options_out_of_range_are_named() {
    let message = |schedule: Schedule| schedule.validate().unwrap_err().to_string();
    let step = |every, factor| message(Schedule::Step { every, factor });
    assert_eq!(step(0, 0.5), "step schedule: every must be at least 1 epoch, got 0");
    assert_eq!(step(1, 0.0), "step schedule: factor must be finite and above 0, got 0");
    assert_eq!(step(1, f64::NAN), "step schedule: factor must be finite and above 0, got NaN");
    let warmup = message(Schedule::OneCycle { warmup: 1.5 });
    assert_eq!(warmup, "one-cycle schedule: warmup must be between 0 and 1, got 1.5");
    let milestones =
        |milestones: &[usize], gamma| message(Schedule::MultiStep { milestones: milestones.to_vec(), gamma });
    let rule = "multi-step schedule: milestones must be epochs in ascending order";
    assert_eq!(milestones(&[3, 2], 0.5), format!("{rule}, got [3, 2]"));
    assert_eq!(milestones(&[3, 3], 0.5), format!("{rule}, got [3, 3]"));
    assert_eq!(milestones(&[], 0.0), "multi-step schedule: gamma must be finite and above 0, got 0");
    assert_eq!(
        message(Schedule::Exponential { gamma: -0.5 }),
        "exponential schedule: gamma must be finite and above 0, got -0.5"
    );
    let restarts = |t_0, t_mult, eta_min| message(Schedule::CosineWarmRestarts { t_0, t_mult, eta_min });
    assert_eq!(restarts(0, 1, 0.0), "cosine schedule: t_0 must be at least 1 epoch, got 0");
    assert_eq!(restarts(1, 0, 0.0), "cosine schedule: t_mult must be at least 1, got 0");
    assert_eq!(restarts(1, 1, -0.5), "cosine schedule: eta_min must be finite and at least 0, got -0.5");
    assert_eq!(
        message(Schedule::Polynomial { power: f64::INFINITY }),
        "polynomial schedule: power must be finite and above 0, got inf"
    );
    let warm = |length, factor| message(warm_up(length, factor, Schedule::Constant));
    assert_eq!(warm(Span::Epochs(-1.0), 0.5), "warm-up: epochs must be finite and at least 0, got -1");
    assert_eq!(warm(Span::Fraction(1.5), 0.5), "warm-up: fraction must be between 0 and 1, got 1.5");
    assert_eq!(warm(Span::Steps(5), 0.0), "warm-up: start_factor must be above 0 and at most 1, got 0");
    let inner = warm_up(Span::Steps(5), 0.5, Schedule::Step { every: 0, factor: 0.5 });
    assert!(message(inner).starts_with("step schedule: every"));
    let plateau = |plateau| message(Schedule::ReduceOnPlateau(plateau));
    let default = Plateau::default();
    assert_eq!(
        plateau(Plateau { factor: 1.0, ..default }),
        "plateau schedule: factor must be above 0 and below 1, got 1"
    );
    assert_eq!(
        plateau(Plateau { threshold: 1.0, ..default }),
        "plateau schedule: threshold must be from 0 to below 1, got 1"
    );
    assert_eq!(
        plateau(Plateau { threshold: -1.0, threshold_mode: ThresholdMode::Abs, ..default }),
        "plateau schedule: threshold must be finite and at least 0, got -1"
    );
    assert_eq!(
        plateau(Plateau { min_lr: f64::NAN, ..default }),
        "plateau schedule: min_lr must be finite and at least 0, got NaN"
    );
    assert_eq!(
        plateau(Plateau { eps: -1.0, ..default }),
        "plateau schedule: eps must be finite and at least 0, got -1"
    );
}

/// Small numbers, and any.
fn count() -> impl Strategy<Value = usize> {
    prop_oneof![0..20usize, any::<usize>()]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..2.0, any::<f64>()]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let leaf = prop_oneof![
        (count(), number()).prop_map(|(every, factor)| Schedule::Step { every, factor }),
        (prop::collection::vec(count(), 0..3), number())
            .prop_map(|(milestones, gamma)| Schedule::MultiStep { milestones, gamma }),
        number().prop_map(|gamma| Schedule::Exponential { gamma }),
        Just(Schedule::Cosine),
        (count(), count(), number()).prop_map(|(t_0, t_mult, eta_min)| Schedule::CosineWarmRestarts {
            t_0,
            t_mult,
            eta_min
        }),
        number().prop_map(|warmup| Schedule::OneCycle { warmup }),
        number().prop_map(|power| Schedule::Polynomial { power }),
        (number(), count(), number(), count(), number()).prop_map(
            |(factor, patience, threshold, cooldown, min_lr)| {
                let plateau = Plateau { factor, patience, threshold, cooldown, min_lr, ..Plateau::default() };
                Schedule::ReduceOnPlateau(plateau)
            }
        ),
    ];
    let span = prop_oneof![
        count().prop_map(Span::Steps),
        number().prop_map(Span::Epochs),
        number().prop_map(Span::Fraction)
    ];
    (leaf, prop::option::of((span, number()))).prop_map(|(leaf, warm)| match warm {
        Some((length, start_factor)) => warm_up(length, start_factor, leaf),
        None => leaf,
    })
}

proptest! {
    /// Whatever is valid gives a rate that is none below 0, however absurd its options, and reads as it was written.
    #[test]
    fn every_valid_schedule_has_a_rate(
        schedule in schedules(),
        (step, total_steps, steps_per_epoch) in (count(), count(), count()),
        losses in prop::collection::vec(number(), 0..6),
    ) {
        if schedule.validate().is_ok() {
            let history = history(&losses);
            let learning_rate = schedule.learning_rate(0.5, Moment { step, total_steps, steps_per_epoch, history: &history });
            prop_assert!(learning_rate >= 0.0, "{learning_rate}");
            let text = serde_json::to_string(&schedule).unwrap();
            prop_assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
        }
    }
}

#[test]
fn options_left_out_are_pytorchs() {
    let read = |text: &str| serde_json::from_str::<Schedule>(text).unwrap();
    assert_eq!(
        read(r#"{"type":"multi_step","milestones":[30,60]}"#),
        Schedule::MultiStep { milestones: vec![30, 60], gamma: 0.1 }
    );
    assert_eq!(
        read(r#"{"type":"cosine_warm_restarts","t_0":10}"#),
        Schedule::CosineWarmRestarts { t_0: 10, t_mult: 1, eta_min: 0.0 }
    );
    assert_eq!(read(r#"{"type":"polynomial"}"#), Schedule::Polynomial { power: 1.0 });
    assert_eq!(
        read(r#"{"type":"warm_up","length":{"steps":5},"schedule":{"type":"constant"}}"#),
        warm_up(Span::Steps(5), 1.0 / 3.0, Schedule::Constant)
    );
    let text = r#"{"type":"reduce_on_plateau","factor":0.1,"patience":10,"threshold":0.0001,"threshold_mode":"rel","#;
    let text = format!("{text}\"cooldown\":0,\"min_lr\":0.0,\"eps\":1e-8}}");
    let plateau = Schedule::ReduceOnPlateau(Plateau::default());
    assert_eq!(serde_json::to_string(&plateau).unwrap(), text);
    assert_eq!(read(r#"{"type":"reduce_on_plateau"}"#), plateau);
    assert!(serde_json::from_str::<Schedule>(r#"{"type":"reduce_on_plateau","mode":"max"}"#).is_err());
    assert!(serde_json::from_str::<Schedule>(r#"{"type":"exponential"}"#).is_err());
}

#[test]
fn a_description_reads_like_its_name() {
    let all = [Schedule::Cosine, Schedule::Step { every: 5, factor: 0.5 }];
    let text = r#"[{"type":"cosine"},{"type":"step","every":5,"factor":0.5}]"#;
    assert_eq!(serde_json::to_string(&all).unwrap(), text);
    assert_eq!(serde_json::from_str::<[Schedule; 2]>(text).unwrap(), all);
    assert!(serde_json::from_str::<Schedule>(r#"{"type":"step","every":5,"factor":0.5,"gamma":1}"#).is_err());
}
