use super::*;
use crate::spec::{batch_norm2d, conv2d, dropout, flatten, linear, max_pool2d, relu};
use crate::{Mixed, Path};
use cnn_tensor::Random;
use cnn_tensor::parallel::Threads;

/// Noisy images of two classes, bright above or bright below, in batches of 40, reshuffled every epoch.
struct Halves;

const EXAMPLES: usize = 200;
const BATCH: usize = 40;

fn example(i: usize) -> (Vec<f32>, u32) {
    let label = (i % 2) as u32;
    let mut x = vec![0.0; 64];
    Random::new(7, &["example", &i.to_string()]).fill_normal(1.0, &mut x);
    let half = if label == 0 { 0..32 } else { 32..64 };
    x[half].iter_mut().for_each(|v| *v += 0.7);
    (x, label)
}

impl Batches for Halves {
    fn examples(&self) -> usize {
        EXAMPLES
    }
    fn batches(&self) -> usize {
        EXAMPLES / BATCH
    }
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let mut order: Vec<usize> = (0..EXAMPLES).collect();
        Random::new(1, &["order", &epoch.to_string()]).shuffle(&mut order);
        Box::new((skip..EXAMPLES / BATCH).map(move |b| {
            let (x, labels): (Vec<_>, Vec<_>) =
                order[b * BATCH..][..BATCH].iter().map(|&i| example(i)).unzip();
            Ok(Batch::new(Tensor::from_vec([BATCH, 1, 8, 8], x.concat())?, labels))
        }))
    }
}

fn net() -> Sequential {
    let layers = [
        conv2d(6, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        flatten().named("flatten"),
        linear(2).named("fc"),
    ];
    Sequential::build(layers, [1, 8, 8], 5).unwrap()
}

fn trainer(optimizer: OptimizerSpec) -> Trainer {
    let schedule = Schedule::Cosine;
    let settings = TrainSettings { epochs: 3, rate: 0.03, schedule, optimizer, ..TrainSettings::default() };
    Trainer::new(net(), settings).unwrap()
}

fn optimizers() -> [OptimizerSpec; 6] {
    [
        OptimizerSpec::Sgd(crate::Sgd { momentum: 0.9, ..Default::default() }),
        OptimizerSpec::Adam(crate::Adam::default()),
        OptimizerSpec::AdamW(crate::AdamW::default()),
        OptimizerSpec::RmsProp(crate::RmsProp { centered: true, momentum: 0.5, ..Default::default() }),
        OptimizerSpec::Adagrad(crate::Adagrad::default()),
        OptimizerSpec::Lion(crate::Lion::default()),
    ]
}

/// Every setting, with a rate that sinks after the first epoch.
fn all_settings(optimizer: OptimizerSpec) -> TrainSettings {
    let plateau = crate::Plateau { patience: 0, factor: 0.5, threshold: 0.9, ..Default::default() };
    TrainSettings {
        epochs: 3,
        rate: 0.03,
        loss: CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() },
        schedule: Schedule::WarmUp {
            length: crate::Span::Steps(3),
            start_factor: 0.1,
            schedule: Box::new(Schedule::ReduceOnPlateau(plateau)),
        },
        optimizer,
        groups: vec![
            ParameterGroup::frozen("conv.bias"),
            ParameterGroup { rate: 0.5, ..ParameterGroup::named("conv.*") },
            ParameterGroup::without_decay(),
        ],
        clip: Some(Clip::Norm { max_norm: 0.5 }),
        average: Some(Average { decay: 0.8 }),
        penalty: Penalty { l1: 1e-3, l2: 1e-3 },
        seed: 9,
    }
}

/// A run of each optimizer without anything else, and one with everything.
fn runs() -> impl Iterator<Item = TrainSettings> {
    optimizers().into_iter().flat_map(|optimizer| [trainer(optimizer).settings, all_settings(optimizer)])
}

#[test]
fn learns() {
    for optimizer in optimizers() {
        let mut trainer = trainer(optimizer);
        assert_eq!(trainer.fit(&Halves, &Halves, &mut ()).unwrap(), Outcome::Finished);
        let history = &trainer.progress().history;
        assert_eq!(history.len(), 3);
        assert!(history[2].train_loss < 0.6 * history[0].train_loss, "{optimizer:?} {history:?}");
        assert!(history[2].test_accuracy > 0.93, "{history:?}");
        let evaluation = evaluate(trainer.net(), &Halves).unwrap();
        assert_eq!(evaluation.accuracy, evaluation.confusion.accuracy());
        assert_eq!(evaluation.loss, history[2].test_loss);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for settings in runs() {
        let run = |threads: usize| {
            let mut trainer = Trainer::new(net(), settings.clone()).unwrap();
            let fit = || trainer.fit(&Halves, &Halves, &mut ()).map(|_| ());
            Threads::new(threads).unwrap().run(fit).unwrap();
            (trainer.state(), trainer.progress().clone())
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == one, "{threads} threads, {settings:?}");
        }
    }
}

/// Ends the run after some steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn step(&mut self, _: &Trainer, _: &StepReport) -> Result<ControlFlow<()>, NnError> {
        self.0 -= 1;
        Ok(if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

#[test]
fn a_resumed_run_equals_an_unbroken_one_bit_for_bit() {
    for settings in runs() {
        let begin = || Trainer::new(net(), settings.clone()).unwrap();
        let mut unbroken = begin();
        unbroken.fit(&Halves, &Halves, &mut ()).unwrap();
        for steps in [1, 5, 6, 12, 14] {
            let mut first = begin();
            assert_eq!(first.fit(&Halves, &Halves, &mut StopAfter(steps)).unwrap(), Outcome::Stopped);
            // Through JSON, as a checkpoint goes.
            let progress = serde_json::to_string(first.progress()).unwrap();
            let mut second = begin();
            let state = first.state().into_iter().collect();
            second.restore(serde_json::from_str(&progress).unwrap(), state).unwrap();
            second.fit(&Halves, &Halves, &mut ()).unwrap();
            assert!(second.state() == unbroken.state(), "stopped after {steps} steps, {settings:?}");
            assert_eq!(second.progress(), unbroken.progress());
        }
        // Before the first step as well.
        let mut second = begin();
        second.restore(Progress::default(), begin().state().into_iter().collect()).unwrap();
        second.fit(&Halves, &Halves, &mut ()).unwrap();
        assert!(second.state() == unbroken.state(), "{settings:?}");
    }
}

/// Running statistics, a count of batches and random numbers go on as well, under an average.
#[test]
fn a_resumed_run_of_layers_with_a_state_equals_an_unbroken_one() {
    let layers = || {
        [
            conv2d(6, 3).named("conv"),
            batch_norm2d().named("norm"),
            relu().named("relu"),
            dropout(0.3).named("drop"),
            flatten().named("flatten"),
            linear(2).named("fc"),
        ]
    };
    let run = |seed, interrupted: Option<usize>| {
        let settings = TrainSettings { seed, ..all_settings(optimizers()[1]) };
        let begin =
            || Trainer::new(Sequential::build(layers(), [1, 8, 8], 5).unwrap(), settings.clone()).unwrap();
        let mut trainer = begin();
        if let Some(steps) = interrupted {
            let mut first = begin();
            first.fit(&Halves, &Halves, &mut StopAfter(steps)).unwrap();
            trainer.restore(first.progress().clone(), first.state().into_iter().collect()).unwrap();
        }
        trainer.fit(&Halves, &Halves, &mut ()).unwrap();
        (trainer.state(), trainer.progress().clone())
    };
    let unbroken = run(9, None);
    for steps in [1, 6, 14] {
        assert!(run(9, Some(steps)) == unbroken, "stopped after {steps} steps");
    }
    assert!(run(8, None) != unbroken, "the seed of the settings is that of dropout");
    let names: Vec<_> = unbroken.0.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"average.value.norm.running_mean"), "{names:?}");
    let count = unbroken.0.iter().find(|(name, _)| name == "average.value.norm.num_batches_tracked").unwrap();
    assert_eq!(count.1.data(), [15.0]);
}

/// The values of a network, as its state has them under `prefix`.
fn values(trainer: &Trainer, prefix: &str) -> BTreeMap<String, Vec<f64>> {
    let state = trainer.state().into_iter();
    let named = state.filter_map(|(name, tensor)| {
        let values = tensor.data().iter().map(|&v| f64::from(v)).collect();
        Some((name.strip_prefix(prefix)?.to_string(), values))
    });
    named.collect()
}

/// Averages in f64 what a run goes through, and keeps the reports.
#[derive(Default)]
struct Watch {
    average: BTreeMap<String, Vec<f64>>,
    reports: Vec<StepReport>,
}

impl Observer for Watch {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let values = values(trainer, MODEL);
        if self.reports.is_empty() {
            self.average.clone_from(&values);
        }
        for (name, value) in values {
            for (average, value) in self.average.get_mut(&name).unwrap().iter_mut().zip(value) {
                *average = 0.8 * *average + (1.0 - 0.8) * value;
            }
        }
        self.reports.push(*report);
        Ok(ControlFlow::Continue(()))
    }

    fn epoch(&mut self, trainer: &Trainer, evaluation: &Evaluation) -> Result<ControlFlow<()>, NnError> {
        assert_eq!(evaluation.loss, evaluate(trainer.evaluated(), &Halves)?.loss);
        assert_ne!(evaluation.loss, evaluate(trainer.net(), &Halves)?.loss);
        Ok(ControlFlow::Continue(()))
    }
}

#[test]
fn averages_follow_the_definition_and_are_what_is_evaluated_and_kept() {
    let settings = TrainSettings { groups: vec![], ..all_settings(optimizers()[0]) };
    let (mut trainer, mut watch) = (Trainer::new(net(), settings).unwrap(), Watch::default());
    // Before the first step, the average is the network.
    assert_eq!(trainer.evaluated().tensors(), trainer.net().tensors());
    trainer.fit(&Halves, &Halves, &mut watch).unwrap();
    let averages = values(&trainer, "average.value.");
    assert_eq!(averages.keys().collect::<Vec<_>>(), watch.average.keys().collect::<Vec<_>>());
    for (name, want) in &watch.average {
        for (got, want) in averages[name].iter().zip(want) {
            assert!((got - want).abs() <= 1e-6, "{name}: {got}, not {want}");
        }
    }
    assert_ne!(averages, values(&trainer, MODEL));
    let evaluated = trainer.evaluated().tensors();
    assert_eq!(trainer.into_net().tensors(), evaluated);
}

#[test]
fn settings_reach_the_steps() {
    let (mut trainer, mut watch) =
        (Trainer::new(net(), all_settings(optimizers()[0])).unwrap(), Watch::default());
    let frozen = values(&trainer, "model.conv.bias");
    trainer.fit(&Halves, &Halves, &mut watch).unwrap();
    assert_eq!(values(&trainer, "model.conv.bias"), frozen);
    let weights = values(&Trainer::new(net(), all_settings(optimizers()[0])).unwrap(), MODEL);
    let penalty = ["conv.weight", "fc.weight"]
        .iter()
        .flat_map(|name| &weights[*name])
        .map(|w| 1e-3 * w.abs() + 1e-3 / 2.0 * w * w)
        .sum::<f64>();
    let first = watch.reports[0];
    assert!((first.penalty.unwrap() - penalty).abs() < 1e-9 * penalty, "{first:?}, not {penalty}");
    assert!(watch.reports.iter().all(|report| report.gradient_norm.unwrap() > 0.0));
    // Warm-up over three steps of five an epoch; after the first epoch, no loss is a tenth of the one before.
    let rates: Vec<_> = watch.reports.iter().map(|report| report.rate).collect();
    let warm = [0.1, 0.4, 0.7].map(|share| (f64::from(0.03f32) * share) as f32);
    for (got, want) in rates.iter().zip(warm) {
        assert!((got - want).abs() < 1e-8, "{got}, not {want}");
    }
    assert_eq!(rates[3..10], [0.03; 7]);
    assert_eq!(rates[10..], [(f64::from(0.03f32) * 0.5) as f32; 5]);
}

#[test]
fn a_group_of_nothing_and_a_decay_out_of_range_are_refused_before_the_run() {
    let message = |settings| Trainer::new(net(), settings).err().unwrap().to_string();
    let groups = vec![ParameterGroup::frozen("conv1.*")];
    let error = message(TrainSettings { groups, ..TrainSettings::default() });
    assert_eq!(error, "parameter group: names must be a pattern of the model's parameters, got conv1.*");
    let average = Some(Average { decay: 1.0 });
    let error = message(TrainSettings { average, ..TrainSettings::default() });
    assert_eq!(error, "average: decay must be from 0 to below 1, got 1");
    let clip = Some(Clip::Value { clip_value: -1.0 });
    assert!(message(TrainSettings { clip, ..TrainSettings::default() }).starts_with("clip: clip_value"));
}

#[test]
fn settings_read_as_they_were_written_and_old_ones_have_defaults() {
    for settings in runs() {
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<TrainSettings>(&text).unwrap(), settings);
    }
    let old = r#"{"epochs":12,"rate":0.05,"schedule":{"type":"one_cycle","warmup":0.2},
                  "optimizer":{"type":"sgd","momentum":0.9,"nesterov":false,"weight_decay":0.0005}}"#;
    let sgd = crate::Sgd { momentum: 0.9, weight_decay: 5e-4, ..Default::default() };
    let settings = TrainSettings {
        epochs: 12,
        rate: 0.05,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        optimizer: OptimizerSpec::Sgd(sgd),
        ..TrainSettings::default()
    };
    assert_eq!(serde_json::from_str::<TrainSettings>(old).unwrap(), settings);
    assert!(serde_json::from_str::<TrainSettings>(r#"{"epoch":12}"#).is_err());
}

#[test]
fn state_of_another_network_is_refused() {
    let mut trainer = trainer(OptimizerSpec::default());
    let state: BTreeMap<_, _> = trainer.state().into_iter().collect();
    let mut refusal = |change: fn(&mut BTreeMap<String, Tensor>)| {
        let mut state = state.clone();
        change(&mut state);
        trainer.restore(Progress::default(), state).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(|s| drop(s.remove("model.fc.bias"))),
        "parameter fc.bias: the model expects shape [2], the file has none of that name"
    );
    assert_eq!(
        refusal(|s| drop(s.insert("model.more".into(), Tensor::zeros([3])))),
        "parameter more: the model expects none of that name, the file has shape [3]"
    );
    assert!(refusal(|s| drop(s.insert("stray".into(), Tensor::zeros([3])))).starts_with("parameter stray"));
    assert_eq!(
        refusal(|s| drop(s.insert("average.step".into(), Tensor::zeros([2])))),
        "parameter average.step: the model expects none of that name, the file has shape [2]"
    );
}

#[test]
fn state_of_another_average_is_refused() {
    let mut trainer = Trainer::new(net(), all_settings(optimizers()[0])).unwrap();
    trainer.fit(&Halves, &Halves, &mut StopAfter(1)).unwrap();
    let (progress, state) =
        (trainer.progress().clone(), trainer.state().into_iter().collect::<BTreeMap<_, _>>());
    let mut refusal = |change: fn(&mut BTreeMap<String, Tensor>)| {
        let mut state = state.clone();
        change(&mut state);
        trainer.restore(progress.clone(), state).unwrap_err().to_string()
    };
    let missing = "the file has none of that name";
    assert_eq!(
        refusal(|s| drop(s.remove("average.step"))),
        format!("parameter average.step: the model expects shape [2], {missing}")
    );
    assert_eq!(
        refusal(|s| drop(s.remove("average.value.fc.bias"))),
        format!("parameter average.value.fc.bias: the model expects shape [2], {missing}")
    );
    let surplus = "the model expects none of that name, the file has shape";
    assert_eq!(
        refusal(|s| drop(s.insert("average.more".into(), Tensor::zeros([3])))),
        format!("parameter average.more: {surplus} [3]")
    );
    assert_eq!(
        refusal(|s| drop(s.insert("average.step".into(), Tensor::zeros([2])))),
        format!("parameter average.value.conv.bias: {surplus} [6]")
    );
    assert!(
        refusal(|s| drop(s.insert("average.step".into(), Tensor::full([2], 0.5))))
            .contains("number of steps")
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_says_where() {
    let mut trainer = trainer(OptimizerSpec::default());
    trainer.settings.rate = 1e30;
    let error = trainer.fit(&Halves, &Halves, &mut ()).unwrap_err().to_string();
    assert!(error.contains("at epoch 1, step ") && error.contains("lower the learning rate"), "{error}");
}

/// Batches of so many images and labels, ten times.
struct Lopsided(usize, usize);

impl Batches for Lopsided {
    fn examples(&self) -> usize {
        10 * self.0
    }
    fn batches(&self) -> usize {
        10
    }
    fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let batch = || Ok(Batch::new(Tensor::zeros([self.0, 1, 8, 8]), vec![0; self.1]));
        Box::new((skip..10).map(move |_| batch()))
    }
}

#[test]
fn batches_without_images_or_labels_are_errors() {
    for (images, labels) in [(40, 32), (32, 40), (0, 3)] {
        let mut trainer = trainer(OptimizerSpec::default());
        let want = format!(
            "a batch must be at least one image, each with a label, got {images} images and {labels} labels"
        );
        let batches = Lopsided(images, labels);
        assert_eq!(trainer.fit(&batches, &Halves, &mut ()).unwrap_err().to_string(), want);
        assert_eq!(evaluate(trainer.net(), &batches).unwrap_err().to_string(), want);
    }
    let nothing = trainer(OptimizerSpec::default());
    struct Nothing;
    impl Batches for Nothing {
        fn examples(&self) -> usize {
            0
        }
        fn batches(&self) -> usize {
            0
        }
        fn epoch(&self, _: usize, _: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
            Box::new(std::iter::empty())
        }
    }
    let message = evaluate(nothing.net(), &Nothing).unwrap_err().to_string();
    assert_eq!(message, "the test set must be at least one image, got none");
}

/// Where all examples of a batch were faulty, the batch is one step that changes nothing.
#[test]
fn batches_without_examples_are_passed_over() {
    let mut one = trainer(OptimizerSpec::default());
    let before = one.net().tensors();
    one.fit(&Lopsided(0, 0), &Halves, &mut ()).unwrap();
    assert_eq!((one.progress().epoch, one.net().tensors()), (3, before));
    let message = evaluate(one.net(), &Lopsided(0, 0)).unwrap_err().to_string();
    assert_eq!(message, "the test set must be at least one image, got none");
}

/// The gradients of a mixed batch are the two batches' gradients in their shares.
#[test]
fn mixed_labels_are_two_losses_in_their_shares() {
    let loss = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
    let gradients = |labels: Vec<u32>, mixed: Option<Mixed>, loss: &CrossEntropy| {
        let mut net = trainer(OptimizerSpec::default()).net;
        let x = Halves.epoch(0, 0).next().unwrap().unwrap().x;
        let batch = Batch { mixed, ..Batch::new(x, labels) };
        let score = Replicas::default().gradients(&mut net, &batch, TrainingStep::default(), loss).unwrap();
        let mut gradients = Vec::new();
        net.visit(Path::ROOT, &mut |_, parameter| gradients.extend_from_slice(parameter.gradient.data()));
        (score.loss, gradients)
    };
    let (a, b): (Vec<u32>, Vec<u32>) = ((0..BATCH as u32).map(|i| i % 2).collect(), vec![1; BATCH]);
    for loss in [CrossEntropy::default(), loss] {
        let (loss_a, da) = gradients(a.clone(), None, &loss);
        let (loss_b, db) = gradients(b.clone(), None, &loss);
        let mixed = Mixed { labels: b.clone(), share: 0.25 };
        let (both, d) = gradients(a.clone(), Some(mixed), &loss);
        assert!((both - (0.25 * loss_a + 0.75 * loss_b)).abs() < 1e-5 * both, "{both}");
        let differ = da.iter().zip(&db).any(|(a, b)| (a - b).abs() > 1e-3);
        assert!(differ, "labels that make no difference");
        for ((d, a), b) in d.iter().zip(&da).zip(&db) {
            assert!((d - (0.25 * a + 0.75 * b)).abs() < 1e-6, "{d} is no mean of {a} and {b}");
        }
    }
}

#[test]
fn batches_that_training_cannot_take_are_errors() {
    let gradients = |batch: &Batch| {
        let mut net = trainer(OptimizerSpec::default()).net;
        let at = TrainingStep::default();
        Replicas::default().gradients(&mut net, batch, at, &CrossEntropy::default()).unwrap_err().to_string()
    };
    let batch = Batch::new(Tensor::zeros([4, 1, 8, 8]), vec![0; 4]);
    let mixed = |labels: usize, share| Some(Mixed { labels: vec![0; labels], share });
    let rule = "a batch must be at least one image, each with a label, got";
    assert_eq!(
        gradients(&Batch { mixed: mixed(3, 0.5), ..batch.clone() }),
        format!("{rule} 4 labels and 3 second ones")
    );
    assert_eq!(
        gradients(&Batch { mixed: mixed(4, f32::NAN), ..batch.clone() }),
        format!("{rule} a share of NaN")
    );
    assert_eq!(
        gradients(&Batch { views: 2, ..batch.clone() }),
        format!("{rule} 4 images in 2 views and 4 labels")
    );
    let views = Batch { views: 2, labels: vec![0; 2], ..batch };
    assert_eq!(gradients(&views), "the views of a training batch must be 1 of each image, got 2");
}

/// Two views of each image, one of them repeated: the mean of the probabilities, whatever the pieces.
#[test]
fn views_are_averaged_as_probabilities() {
    struct Views(usize);
    impl Batches for Views {
        fn examples(&self) -> usize {
            BATCH
        }
        fn batches(&self) -> usize {
            1
        }
        fn epoch(&self, _: usize, _: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
            let one = Halves.epoch(0, 0).next().unwrap().unwrap();
            let x: Vec<f32> = one.x.data().chunks_exact(64).flat_map(|image| image.repeat(self.0)).collect();
            let x = Tensor::from_vec([BATCH * self.0, 1, 8, 8], x).unwrap();
            Box::new(std::iter::once(Ok(Batch { views: self.0, ..Batch::new(x, one.labels) })))
        }
    }
    let net = trainer(OptimizerSpec::default()).net;
    let one = evaluate(&net, &Views(1)).unwrap();
    for views in [2, 10, 100] {
        let many = evaluate(&net, &Views(views)).unwrap();
        assert!((many.loss - one.loss).abs() < 1e-5, "{} and {}", many.loss, one.loss);
        assert_eq!((many.accuracy, many.top5, &many.confusion), (one.accuracy, 1.0, &one.confusion));
    }
    let logits = Tensor::from_vec([2, 2], vec![0.0, 0.0, 3f32.ln(), 0.0]).unwrap();
    let mean = mean_of_views(&logits, 2).unwrap();
    assert!((mean.data()[0].exp() - 0.625).abs() < 1e-6 && (mean.data()[1].exp() - 0.375).abs() < 1e-6);
}

#[test]
fn progress_that_cannot_be_is_refused() {
    let mut one = trainer(OptimizerSpec::default());
    let state: BTreeMap<_, _> = one.state().into_iter().collect();
    let ahead = Progress { epoch: 1, ..Progress::default() };
    let message = one.restore(ahead, state.clone()).unwrap_err().to_string();
    assert!(message.ends_with("got 0 reports and 1 of 3 epochs"), "{message}");
    one.restore(Progress { step: 99, ..Progress::default() }, state).unwrap();
    assert!(one.fit(&Halves, &Halves, &mut ()).unwrap_err().to_string().ends_with("got 99"));
}

/// A label out of range, or any other fault of one piece of a batch, is the step's error, with its image named.
#[test]
fn a_label_out_of_range_is_an_error() {
    struct Stray;
    impl Batches for Stray {
        fn examples(&self) -> usize {
            20
        }
        fn batches(&self) -> usize {
            1
        }
        fn epoch(&self, _: usize, _: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
            let mut labels = vec![0; 20];
            labels[18] = 2;
            Box::new(std::iter::once(Ok(Batch::new(Tensor::zeros([20, 1, 8, 8]), labels))))
        }
    }
    let message = trainer(OptimizerSpec::default()).fit(&Stray, &Halves, &mut ()).unwrap_err().to_string();
    assert!(message.contains("label 2 of image 18 "), "{message}");
}

#[test]
fn a_rate_of_nothing_is_refused() {
    let net = Sequential::build([linear(2).named("fc")], [2], 0).unwrap();
    let settings = TrainSettings { rate: 0.0, ..TrainSettings::default() };
    let message = Trainer::new(net, settings).err().unwrap().to_string();
    assert_eq!(message, "the learning rate must be a number above 0, got 0");
}

/// Of a batch in three pieces, with a label that is ignored: the pieces are weighed by the whole batch's divisor.
#[test]
fn a_step_descends_the_loss_that_the_settings_say() {
    let mut batch = Halves.epoch(0, 0).next().unwrap().unwrap();
    batch.labels[17] = 9;
    let mean = CrossEntropy {
        weight: Some(vec![1.0, 3.0]),
        label_smoothing: 0.1,
        ignore_index: Some(9),
        ..CrossEntropy::default()
    };
    for loss in [CrossEntropy { reduction: cnn_ops::Reduction::Sum, ..mean.clone() }, mean] {
        let mut whole = net();
        let logits = whole.forward(batch.x.clone()).unwrap();
        let (want, dlogits) = cnn_ops::Loss::loss(&loss, &logits, &batch.labels[..]).unwrap();
        whole.backward_first(dlogits).unwrap();
        let settings = TrainSettings { loss: loss.clone(), ..TrainSettings::default() };
        let mut trainer = Trainer::new(net(), settings).unwrap();
        let report = trainer.step(&batch, 1).unwrap();
        let images = if loss.reduction == cnn_ops::Reduction::Sum { BATCH as f64 } else { 1.0 };
        assert!((report.loss * images / want - 1.0).abs() < 1e-6, "{} for {want}", report.loss);
        let mut gradients = Vec::new();
        whole.visit(crate::Path::ROOT, &mut |_, p| gradients.push(p.gradient.clone()));
        let mut gradients = gradients.into_iter();
        trainer.net().visit(crate::Path::ROOT, &mut |path, p| {
            let want = cnn_tensor::testing::to_f64(&gradients.next().unwrap());
            assert!(want.iter().any(|v| v.abs() > 1e-4), "{path}");
            cnn_tensor::testing::assert_close(&p.gradient, &want);
        });
    }
}
