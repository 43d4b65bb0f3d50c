use super::*;
use crate::evaluate;
use crate::metrics::argmax;
use crate::spec::{batch_norm2d, conv2d, dropout, flatten, linear, max_pool2d, relu};
use crate::{
    At, Average, Classes, Clip, ConfusionMatrix, Grads, Kept, Layer, OptimizerSpec, ParameterGroup, Penalty,
    Regress, Schedule, Weighted, evaluate_with, on,
};
use cnn_ops::CrossEntropy;
use cnn_tensor::Random;
use cnn_tensor::parallel::Threads;
use cnn_tensor::testing::to_f64;

/// Noisy images of two classes, bright above or bright below, in batches of so many, reshuffled every epoch.
struct HalvesBy(usize);

/// In batches of 40.
#[expect(non_upper_case_globals, reason = "it stands where a type without fields would")]
const Halves: HalvesBy = HalvesBy(BATCH);

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

impl Batches for HalvesBy {
    fn examples(&self) -> usize {
        EXAMPLES
    }
    fn batches(&self) -> usize {
        EXAMPLES.div_ceil(self.0)
    }
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let mut order: Vec<usize> = (0..EXAMPLES).collect();
        Random::new(1, &["order", &epoch.to_string()]).shuffle(&mut order);
        Box::new((skip..self.batches()).map(move |b| {
            let order = &order[b * self.0..EXAMPLES.min((b + 1) * self.0)];
            let (x, labels): (Vec<_>, Vec<_>) = order.iter().map(|&i| example(i)).unzip();
            Ok(Batch::new(Tensor::from_vec([labels.len(), 1, 8, 8], x.concat())?, labels))
        }))
    }
}

fn net() -> Graph {
    let layers = [
        conv2d(6, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        flatten().named("flatten"),
        linear(2).named("fc"),
    ];
    Graph::build(layers, [1, 8, 8], 5).unwrap()
}

fn trainer(optimizer: OptimizerSpec) -> Trainer {
    let schedule = Schedule::Cosine;
    let settings =
        TrainSettings { epochs: 3, learning_rate: 0.03, schedule, optimizer, ..TrainSettings::default() };
    Trainer::new(net(), Classify::default(), settings).unwrap()
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
        learning_rate: 0.03,
        schedule: Schedule::WarmUp {
            length: crate::Span::Steps(3),
            start_factor: 0.1,
            schedule: Box::new(Schedule::ReduceOnPlateau(plateau)),
        },
        optimizer,
        groups: vec![
            ParameterGroup::frozen("conv.bias"),
            ParameterGroup { lr_mult: 0.5, ..ParameterGroup::named("conv.*") },
            ParameterGroup::without_decay(),
        ],
        clip: Some(Clip::Norm { max_norm: 0.5 }),
        average: Some(Average { decay: 0.8 }),
        penalty: Penalty { l1: 1e-3, l2: 1e-3 },
        accumulate: 1,
        seed: 9,
    }
}

fn smooth() -> Classify {
    Classify { loss: CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() } }
}

/// [`all_settings`] with a loss that has options.
fn with_everything(net: Graph, optimizer: OptimizerSpec) -> Trainer {
    Trainer::new(net, smooth(), all_settings(optimizer)).unwrap()
}

/// A run of each optimizer without anything else, and one with everything.
fn runs() -> impl Iterator<Item = (Classify, TrainSettings)> {
    let plain = |optimizer| (Classify::default(), trainer(optimizer).settings);
    optimizers()
        .into_iter()
        .flat_map(move |optimizer| [plain(optimizer), (smooth(), all_settings(optimizer))])
}

/// An evaluation, and who was taken for whom in it.
fn confusion(net: &Graph, test: &dyn Batches) -> (Metrics, ConfusionMatrix) {
    let mut confusion = ConfusionMatrix::new(2);
    let metrics = evaluate_with(net, &Classify::default(), test, &mut |batch, first, y| {
        let labels = &batch.labels()[first..];
        argmax(&y[0]).into_iter().zip(labels).try_for_each(|(got, label)| confusion.add(*label, got))
    });
    (metrics.unwrap(), confusion)
}

#[test]
fn learns() {
    for optimizer in optimizers() {
        let mut trainer = trainer(optimizer);
        assert_eq!(trainer.fit(&Halves, &Halves, &mut ()).unwrap(), Outcome::Finished);
        let history = &trainer.progress().history;
        assert_eq!(history.len(), 3);
        let loss = |epoch: usize| history[epoch].train("loss").unwrap();
        assert!(loss(2) < 0.6 * loss(0), "{optimizer:?} {history:?}");
        assert!(history[2].test("accuracy").unwrap() > 0.93, "{history:?}");
        let (metrics, confusion) = confusion(trainer.net(), &Halves);
        assert_eq!(metrics.get("accuracy"), Some(confusion.accuracy()));
        assert_eq!(metrics.get("loss"), history[2].test("loss"));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (task, settings) in runs() {
        let run = |threads: usize| {
            let mut trainer = Trainer::new(net(), task.clone(), settings.clone()).unwrap();
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

impl<T: Task> Observer<T> for StopAfter {
    fn step(&mut self, _: &Trainer<T>, _: &StepReport) -> Result<ControlFlow<()>, NnError> {
        self.0 -= 1;
        Ok(if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

#[test]
fn a_resumed_run_equals_an_unbroken_one_bit_for_bit() {
    for (task, settings) in runs() {
        let begin = || Trainer::new(net(), task.clone(), settings.clone()).unwrap();
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
        let net = || Graph::build(layers(), [1, 8, 8], 5).unwrap();
        let begin = || Trainer::new(net(), smooth(), settings.clone()).unwrap();
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

const MODEL: &str = "model.";

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
        self.reports.push(report.clone());
        Ok(ControlFlow::Continue(()))
    }

    fn epoch(&mut self, trainer: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let loss = |net| Ok::<_, NnError>(evaluate(net, trainer.task(), &Halves)?.get("loss"));
        assert!(report.test("loss").is_some());
        assert_eq!(report.test("loss"), loss(trainer.evaluated())?);
        assert_ne!(report.test("loss"), loss(trainer.net())?);
        Ok(ControlFlow::Continue(()))
    }
}

#[test]
fn averages_follow_the_definition_and_are_what_is_evaluated_and_kept() {
    let settings = TrainSettings { groups: vec![], ..all_settings(optimizers()[0]) };
    let (mut trainer, mut watch) = (Trainer::new(net(), smooth(), settings).unwrap(), Watch::default());
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
    let (mut trainer, mut watch) = (with_everything(net(), optimizers()[0]), Watch::default());
    let frozen = values(&trainer, "model.conv.bias");
    trainer.fit(&Halves, &Halves, &mut watch).unwrap();
    assert_eq!(values(&trainer, "model.conv.bias"), frozen);
    let weights = values(&with_everything(net(), optimizers()[0]), MODEL);
    let penalty = ["conv.weight", "fc.weight"]
        .iter()
        .flat_map(|name| &weights[*name])
        .map(|w| 1e-3 * w.abs() + 1e-3 / 2.0 * w * w)
        .sum::<f64>();
    let first = &watch.reports[0];
    assert!((first.penalty.unwrap() - penalty).abs() < 1e-9 * penalty, "{first:?}, not {penalty}");
    assert!(watch.reports.iter().all(|report| report.gradient_norm.unwrap() > 0.0));
    // Warm-up over three steps of five an epoch; after the first epoch, no loss is a tenth of the one before.
    let rates: Vec<_> = watch.reports.iter().map(|report| report.learning_rate).collect();
    let warm = [0.1, 0.4, 0.7].map(|share| (f64::from(0.03f32) * share) as f32);
    for (got, want) in rates.iter().zip(warm) {
        assert!((got - want).abs() < 1e-8, "{got}, not {want}");
    }
    assert_eq!(rates[3..10], [0.03; 7]);
    assert_eq!(rates[10..], [(f64::from(0.03f32) * 0.5) as f32; 5]);
}

#[test]
fn a_group_of_nothing_and_a_decay_out_of_range_are_refused_before_the_run() {
    let message = |settings| Trainer::new(net(), smooth(), settings).err().unwrap().to_string();
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
    for (_, settings) in runs() {
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<TrainSettings>(&text).unwrap(), settings);
    }
    let old = r#"{"epochs":12,"learning_rate":0.05,"schedule":{"type":"one_cycle","warmup":0.2},
                  "optimizer":{"type":"sgd","momentum":0.9,"nesterov":false,"weight_decay":0.0005}}"#;
    let sgd = crate::Sgd { momentum: 0.9, weight_decay: 5e-4, ..Default::default() };
    let settings = TrainSettings {
        epochs: 12,
        learning_rate: 0.05,
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
    let mut trainer = with_everything(net(), optimizers()[0]);
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
    trainer.settings.learning_rate = 1e30;
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
        assert_eq!(evaluate(trainer.net(), trainer.task(), &batches).unwrap_err().to_string(), want);
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
    let message = evaluate(nothing.net(), nothing.task(), &Nothing).unwrap_err().to_string();
    assert_eq!(message, "the test set must be at least one image, got none");
}

/// Where all examples of a batch were faulty, the batch is one step that changes nothing.
#[test]
fn batches_without_examples_are_passed_over() {
    let mut one = trainer(OptimizerSpec::default());
    let before = one.net().tensors();
    one.fit(&Lopsided(0, 0), &Halves, &mut ()).unwrap();
    assert_eq!((one.progress().epoch, one.net().tensors()), (3, before));
    let message = evaluate(one.net(), one.task(), &Lopsided(0, 0)).unwrap_err().to_string();
    assert_eq!(message, "the test set must be at least one image, got none");
}

/// The gradients of a mixed batch are the two batches' gradients in their shares.
#[test]
fn mixed_labels_are_two_losses_in_their_shares() {
    let gradients = |target: Classes, task: &Classify| {
        let mut trainer = Trainer::new(net(), task.clone(), TrainSettings::default()).unwrap();
        let inputs = Halves.epoch(0, 0).next().unwrap().unwrap().inputs;
        let loss = trainer.step(&Batch::new(inputs, target), 1).unwrap().loss;
        (loss, added(&trainer))
    };
    let (a, b): (Vec<u32>, Vec<u32>) = ((0..BATCH as u32).map(|i| i % 2).collect(), vec![1; BATCH]);
    for task in [Classify::default(), smooth()] {
        let (loss_a, da) = gradients(a.clone().into(), &task);
        let (loss_b, db) = gradients(b.clone().into(), &task);
        let mixed = Classes::Mixed { first: a.clone(), second: b.clone(), share: 0.25 };
        let (both, d) = gradients(mixed, &task);
        assert!((both - (0.25 * loss_a + 0.75 * loss_b)).abs() < 1e-5 * both, "{both}");
        let differ = da.iter().zip(&db).any(|(a, b)| (a - b).abs() > 1e-3);
        assert!(differ, "labels that make no difference");
        for ((d, a), b) in d.iter().zip(&da).zip(&db) {
            assert!((d - (0.25 * a + 0.75 * b)).abs() < 1e-6, "{d} is no mean of {a} and {b}");
        }
    }
}

/// The gradients of the last step, one after the other.
fn added<T: Task>(trainer: &Trainer<T>) -> Vec<f32> {
    trainer.learner().added().iter().flat_map(Tensor::data).copied().collect()
}

#[test]
fn batches_that_training_cannot_take_are_errors() {
    let message = |batch: &Batch| trainer(OptimizerSpec::default()).step(batch, 1).unwrap_err().to_string();
    let batch = |target: Classes| Batch::new(Tensor::zeros([4, 1, 8, 8]), target);
    let mixed =
        |second: usize, share| batch(Classes::Mixed { first: vec![0; 4], second: vec![0; second], share });
    let rule =
        "a batch must be a second class for each image, and a share of 0 to 1, where images are mixed, got";
    assert_eq!(message(&mixed(3, 0.5)), format!("{rule} 4 labels and 3 second ones"));
    assert_eq!(message(&mixed(4, f32::NAN)), format!("{rule} a share of NaN"));
    assert_eq!(
        message(&Batch { views: 2, ..batch(vec![0; 4].into()) }),
        "a batch must be at least one image, each with a label, got 4 images in 2 views and 4 labels"
    );
    let views = Batch { views: 2, ..batch(vec![0; 2].into()) };
    assert_eq!(message(&views), "the views of a training batch must be 1 of each image, got 2");
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
            let images = one.inputs[0].data().chunks_exact(64);
            let x: Vec<f32> = images.flat_map(|image| image.repeat(self.0)).collect();
            let x = Tensor::from_vec([BATCH * self.0, 1, 8, 8], x).unwrap();
            Box::new(std::iter::once(Ok(Batch { views: self.0, ..Batch::new(x, one.target) })))
        }
    }
    let (one, confused) = confusion(&net(), &Views(1));
    for views in [2, 10, 100] {
        let (many, confusion) = confusion(&net(), &Views(views));
        let [a, b] = [&many, &one].map(|metrics| metrics.get("loss").unwrap());
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
        assert_eq!((many.get("accuracy"), many.get("top5")), (one.get("accuracy"), Some(1.0)));
        assert_eq!(confusion, confused);
    }
    let logits = Tensor::from_vec([2, 2], vec![0.0, 0.0, 3f32.ln(), 0.0]).unwrap();
    let mean = Classify::default().merge_views(logits.into(), 2).unwrap();
    let [a, b] = [0, 1].map(|class| mean[0].data()[class].exp());
    assert!((a - 0.625).abs() < 1e-6 && (b - 0.375).abs() < 1e-6);
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
    let net = Graph::build([linear(2).named("fc")], [2], 0).unwrap();
    let settings = TrainSettings { learning_rate: 0.0, ..TrainSettings::default() };
    let message = Trainer::new(net, Classify::default(), settings).err().unwrap().to_string();
    assert_eq!(message, "the learning rate must be a number above 0, got 0");
}

/// Of a batch in three pieces, with a label that is ignored: the pieces are weighed by the whole batch's divisor.
#[test]
fn a_step_descends_the_loss_that_the_task_says() {
    let mut batch = Halves.epoch(0, 0).next().unwrap().unwrap();
    let mut labels = batch.labels().to_vec();
    labels[17] = 9;
    batch.target = labels.clone().into();
    let mean = CrossEntropy {
        weight: Some(vec![1.0, 3.0]),
        label_smoothing: 0.1,
        ignore_index: Some(9),
        ..CrossEntropy::default()
    };
    for loss in [CrossEntropy { reduction: cnn_ops::Reduction::Sum, ..mean.clone() }, mean] {
        let (want, gradients) = whole(&net(), At::default(), &batch.inputs, |y| {
            cnn_ops::Loss::loss(&loss, y, &labels[..]).unwrap()
        });
        let task = Classify { loss: loss.clone() };
        let mut trainer = Trainer::new(net(), task, TrainSettings::default()).unwrap();
        let report = trainer.step(&batch, 1).unwrap();
        let images = if loss.reduction == cnn_ops::Reduction::Sum { BATCH as f64 } else { 1.0 };
        // Of a mean, over the images that count.
        assert!((report.loss * images / want - 1.0).abs() < 1e-6, "{} for {want}", report.loss);
        assert_eq!(report.examples, BATCH);
        for (got, want) in trainer.learner().added().iter().zip(&gradients) {
            let want = to_f64(want);
            assert!(want.iter().any(|v| v.abs() > 1e-4));
            cnn_tensor::testing::assert_close(got, &want);
        }
    }
}

/// Loss and gradients of a batch in one piece.
fn whole(net: &Graph, at: At, x: &Tensors, loss: impl Fn(&Tensor) -> (f64, Tensor)) -> (f64, Vec<Tensor>) {
    let (mut kept, mut gradients) = (Kept::default(), Vec::new());
    net.parameters(&mut |_, parameter| gradients.push(Tensor::zeros(parameter.shape())));
    let y = net.forward_one(x[0].clone(), at, &mut kept).unwrap();
    let (loss, dy) = loss(&y);
    Layer::backward(net, &mut kept, dy.into(), &mut Grads::new(&mut gradients, &[true])).unwrap();
    (loss, gradients)
}

/// [`net`] with dropout, whose batches are cut into pieces that run at once.
fn small() -> Graph {
    let layers = [
        conv2d(6, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        dropout(0.3).named("drop"),
        flatten().named("flatten"),
        linear(2).named("fc"),
    ];
    Graph::build(layers, [1, 8, 8], 5).unwrap()
}

/// Of more than 2^20 parameters: pieces run one after the other.
fn large() -> Graph {
    let layers = [
        flatten().named("flatten"),
        linear(16_384).named("conv"),
        relu().named("relu"),
        dropout(0.3).named("drop"),
        linear(2).named("fc"),
    ];
    let net = Graph::build(layers, [1, 8, 8], 5).unwrap();
    assert!(net.parameter_count() > 1 << 20);
    net
}

fn normalized() -> Graph {
    let layers = [
        conv2d(6, 3).named("conv"),
        batch_norm2d().named("norm"),
        relu().named("relu"),
        dropout(0.3).named("drop"),
        flatten().named("flatten"),
        linear(2).named("fc"),
    ];
    Graph::build(layers, [1, 8, 8], 5).unwrap()
}

/// The state and the progress of a whole run.
fn run(net: Graph, settings: TrainSettings, batches: &dyn Batches) -> (Vec<(String, Tensor)>, Progress) {
    let mut trainer = Trainer::new(net, smooth(), settings).unwrap();
    trainer.fit(batches, &HalvesBy(100), &mut ()).unwrap();
    (trainer.state(), trainer.progress().clone())
}

#[test]
fn batches_that_are_gathered_have_the_bits_of_larger_ones() {
    // The last step of an epoch may have fewer.
    let small = small as fn() -> Graph;
    let cases =
        [(small, 20, 2, 3), (small, 40, 2, 3), (small, 8, 5, 2), (large, 100, 2, 1), (large, 40, 3, 1)];
    for (net, n, accumulate, epochs) in cases {
        let settings = TrainSettings { epochs, ..all_settings(optimizers()[0]) };
        let gathered = TrainSettings { accumulate, ..settings.clone() };
        let want = run(net(), settings, &HalvesBy(accumulate * n));
        let got = run(net(), gathered.clone(), &HalvesBy(n));
        assert!(got == want, "{accumulate} batches of {n}");
        assert!(run(net(), TrainSettings { accumulate: 1, ..gathered }, &HalvesBy(n)).0 != want.0);
    }
}

#[test]
fn a_run_that_gathers_batches_is_resumed_bit_for_bit() {
    let small = small as fn() -> Graph;
    let cases = [(small, 3, &[1, 2, 3, 4, 8][..]), (normalized, 3, &[1, 3, 4, 8]), (large, 1, &[1, 2])];
    for (net, epochs, stops) in cases {
        let settings = TrainSettings { epochs, accumulate: 2, ..all_settings(optimizers()[0]) };
        let unbroken = run(net(), settings.clone(), &Halves);
        for &steps in stops {
            let begin = || Trainer::new(net(), smooth(), settings.clone()).unwrap();
            let (mut first, mut second) = (begin(), begin());
            assert_eq!(first.fit(&Halves, &HalvesBy(100), &mut StopAfter(steps)).unwrap(), Outcome::Stopped);
            second.restore(first.progress().clone(), first.state().into_iter().collect()).unwrap();
            second.fit(&Halves, &HalvesBy(100), &mut ()).unwrap();
            assert!((second.state(), second.progress().clone()) == unbroken, "stopped after {steps} steps");
        }
    }
}

/// The gradients are the mean of those of the batches, each normalised by its own statistics, and each is tracked.
#[test]
fn batches_that_are_gathered_under_batch_normalisation_are_a_mean_of_their_gradients() {
    let settings = TrainSettings { accumulate: 3, seed: 4, ..TrainSettings::default() };
    let mut trainer = Trainer::new(normalized(), Classify::default(), settings).unwrap();
    let mut reports = First::default();
    trainer.fit(&Halves, &Halves, &mut reports).unwrap();
    let (mut mean, mut loss): (Vec<f64>, f64) = (Vec::new(), 0.0);
    for (i, batch) in Halves.epoch(0, 0).take(3).enumerate() {
        let batch = batch.unwrap();
        let at = At { seed: 4, first_image: (i * BATCH) as u64, ..At::default() };
        let (own, gradients) = whole(&normalized(), at, &batch.inputs, |y| {
            cnn_ops::Loss::loss(&CrossEntropy::default(), y, batch.labels()).unwrap()
        });
        loss += own / 3.0;
        let gradients = gradients.iter().flat_map(to_f64);
        mean.resize(gradients.clone().count(), 0.0);
        mean.iter_mut().zip(gradients).for_each(|(mean, g)| *mean += g / 3.0);
    }
    let report = reports.0.unwrap();
    assert_eq!(report.examples, 3 * BATCH);
    assert!((report.loss / loss - 1.0).abs() < 1e-6, "{}, not {loss}", report.loss);
    assert_near(&added(&trainer), &mean);
    let tracked = trainer.net().tensors().into_iter().find(|(name, _)| name.ends_with("tracked")).unwrap();
    assert_eq!(tracked.1.data(), [3.0]);
    assert_eq!((trainer.progress().step, trainer.progress().seen), (3, 3 * BATCH));
}

/// Keeps the first report, and stops.
#[derive(Default)]
struct First(Option<StepReport>);

impl<T: Task> Observer<T> for First {
    fn step(&mut self, _: &Trainer<T>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        self.0 = Some(report.clone());
        Ok(ControlFlow::Break(()))
    }
}

#[track_caller]
fn assert_near(got: &[f32], want: &[f64]) {
    let largest = want.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
    assert!(largest > 0.0 && got.len() == want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() <= 1e-5 * largest, "{got} and {want} of {largest}");
    }
}

/// [`Halves`], of whose batches some have no examples left; and what is gathered of them, as batches.
struct Faulty(&'static [bool], usize);

impl Batches for Faulty {
    fn examples(&self) -> usize {
        EXAMPLES
    }
    fn batches(&self) -> usize {
        self.0.len().div_ceil(self.1)
    }
    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let whole: Vec<_> = Halves.epoch(epoch, 0).map(Result::unwrap).collect();
        let group = move |i: usize| {
            let group = self.0.iter().enumerate().skip(i * self.1).take(self.1).filter(|(_, there)| **there);
            let group: Vec<&Batch> = group.map(|(b, _)| &whole[b % whole.len()]).collect();
            if group.is_empty() {
                return Ok(Batch::new(Tensor::zeros([0, 1, 8, 8]), vec![]));
            }
            let inputs: Vec<&Tensor> = group.iter().map(|batch| &batch.inputs[0]).collect();
            Ok(Batch::new(
                join(&inputs)?,
                group.iter().flat_map(|batch| batch.labels()).copied().collect::<Vec<_>>(),
            ))
        };
        Box::new((skip..self.batches()).map(group))
    }
}

#[test]
fn batches_without_examples_count_among_those_that_are_gathered() {
    const THERE: [bool; 9] = [true, false, false, false, true, true, false, true, true];
    let settings = TrainSettings { seed: 2, ..all_settings(optimizers()[0]) };
    let gathered = TrainSettings { accumulate: 2, ..settings.clone() };
    // As batches of two, of one, of none.
    let want = run(small(), settings.clone(), &Faulty(&THERE, 2));
    assert!(run(small(), gathered.clone(), &Faulty(&THERE, 1)) == want);
    // Also where the run goes on behind them.
    let begin = || Trainer::new(small(), smooth(), gathered.clone()).unwrap();
    for steps in [1, 2, 4, 5] {
        let (mut first, mut second) = (begin(), begin());
        first.fit(&Faulty(&THERE, 1), &HalvesBy(100), &mut StopAfter(steps)).unwrap();
        second.restore(first.progress().clone(), first.state().into_iter().collect()).unwrap();
        second.fit(&Faulty(&THERE, 1), &HalvesBy(100), &mut ()).unwrap();
        assert!((second.state(), second.progress().clone()) == want, "stopped after {steps} steps");
    }
    // An epoch of none at all.
    let mut trainer = begin();
    let before = trainer.net().tensors();
    trainer.fit(&Faulty(&[false; 5], 1), &Halves, &mut ()).unwrap();
    assert_eq!((trainer.progress().epoch, trainer.net().tensors()), (3, before));
}

/// Mixed images go through the network apart, since each batch is mixed in its own proportion.
#[test]
fn mixed_batches_are_gathered_too() {
    struct MixedHalves;
    impl Batches for MixedHalves {
        fn examples(&self) -> usize {
            EXAMPLES
        }
        fn batches(&self) -> usize {
            EXAMPLES / BATCH
        }
        fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
            let mix = |(i, batch): (usize, Result<Batch, NnError>)| {
                let Batch { inputs, target, .. } = batch?;
                let second = target.labels().iter().map(|label| 1 - label).collect();
                let share = 0.5 + 0.25 * i as f32;
                Ok(Batch::new(inputs, Classes::Mixed { first: target.labels().to_vec(), second, share }))
            };
            Box::new(Halves.epoch(epoch, skip).enumerate().map(mix))
        }
    }
    let loss = CrossEntropy { weight: Some(vec![1.0, 3.0]), ..CrossEntropy::default() };
    let begin = |accumulate| {
        let settings = TrainSettings { accumulate, ..TrainSettings::default() };
        Trainer::new(net(), Classify { loss: loss.clone() }, settings).unwrap()
    };
    let mut trainer = begin(2);
    trainer.fit(&MixedHalves, &Halves, &mut StopAfter(1)).unwrap();
    // By the definition: of both batches together, each share of the losses over their weights.
    let (mut weights, mut parts) = ([0.0; 2], Vec::new());
    for batch in MixedHalves.epoch(0, 0).take(2).map(Result::unwrap) {
        let Classes::Mixed { first, second, share } = batch.target else { panic!("a mixed batch") };
        for (i, (labels, share)) in [(first, share), (second, 1.0 - share)].into_iter().enumerate() {
            weights[i] += labels.iter().map(|label| if *label == 0 { 1.0 } else { 3.0 }).sum::<f64>();
            let sum = CrossEntropy { reduction: cnn_ops::Reduction::Sum, ..loss.clone() };
            let (_, gradients) = whole(&net(), At::default(), &batch.inputs, |y| {
                cnn_ops::Loss::loss(&sum, y, &labels[..]).unwrap()
            });
            parts.push((i, f64::from(share), gradients.iter().flat_map(to_f64).collect::<Vec<_>>()));
        }
    }
    let mut want = vec![0.0; parts[0].2.len()];
    for (i, share, gradients) in parts {
        want.iter_mut().zip(gradients).for_each(|(want, g)| *want += share * g / weights[i]);
    }
    assert_near(&added(&trainer), &want);
}

#[test]
fn a_sum_is_divided_by_nothing_however_many_batches_are_gathered() {
    let task =
        Classify { loss: CrossEntropy { reduction: cnn_ops::Reduction::Sum, ..CrossEntropy::default() } };
    for net in [small, normalized] {
        let step = |accumulate, batches: &dyn Batches| {
            let settings = TrainSettings { accumulate, ..TrainSettings::default() };
            let mut trainer = Trainer::new(net(), task.clone(), settings).unwrap();
            trainer.fit(batches, &Halves, &mut StopAfter(1)).unwrap();
            added(&trainer)
        };
        let (one, two) = (step(1, &HalvesBy(40)), step(2, &HalvesBy(40)));
        if net().nature().couples_images {
            // The first batch is in the sum, as it is.
            let second = Halves.epoch(0, 1).next().unwrap().unwrap();
            let at = At { first_image: 40, ..At::default() };
            let (_, gradients) = whole(&net(), at, &second.inputs, |y| {
                cnn_ops::Loss::loss(&task.loss, y, second.labels()).unwrap()
            });
            let second = gradients.iter().flat_map(to_f64);
            assert_near(&two, &one.iter().zip(second).map(|(a, b)| f64::from(*a) + b).collect::<Vec<_>>());
        } else {
            assert_eq!(two, step(1, &HalvesBy(80)));
        }
    }
}

#[test]
fn a_step_by_hand_stands_for_all_the_batches_that_are_gathered() {
    let settings = TrainSettings { accumulate: 2, schedule: Schedule::Cosine, ..TrainSettings::default() };
    let mut gathered = Trainer::new(small(), smooth(), settings.clone()).unwrap();
    let mut single = Trainer::new(small(), smooth(), TrainSettings { accumulate: 1, ..settings }).unwrap();
    let batch = Halves.epoch(0, 0).next().unwrap().unwrap();
    for _ in 0..3 {
        let (a, b) = (gathered.step(&batch, 5).unwrap(), single.step(&batch, 3).unwrap());
        assert_eq!((a.learning_rate, a.loss), (b.learning_rate, b.loss));
    }
    assert!(gathered.net().tensors() == single.net().tensors());
    assert_eq!((gathered.progress().step, single.progress().step), (5, 3));
}

#[test]
fn what_a_failed_step_has_added_is_not_in_the_next_one() {
    let mut batch = Halves.epoch(0, 0).next().unwrap().unwrap();
    let begin = || with_everything(small(), optimizers()[0]);
    let (mut failed, mut fresh) = (begin(), begin());
    let nan = Batch::new(Tensor::full([BATCH, 1, 8, 8], f32::NAN), batch.target.clone());
    assert!(matches!(failed.step(&nan, 5).unwrap_err(), NnError::NotFinite { epoch: 1, step: 1, .. }));
    batch.target = vec![1; BATCH].into();
    [&mut failed, &mut fresh].into_iter().for_each(|trainer| assert!(trainer.step(&batch, 5).is_ok()));
    assert!(failed.state() == fresh.state() && failed.progress() == fresh.progress());
}

/// As if another process had the same batches.
struct Twin;

impl Collective for Twin {
    fn size(&self) -> usize {
        2
    }
    fn sum(&self, values: &mut [f32]) -> Result<(), NnError> {
        values.iter_mut().for_each(|v| *v *= 2.0);
        Ok(())
    }
    fn sum_f64(&self, values: &mut [f64]) -> Result<(), NnError> {
        values.iter_mut().for_each(|v| *v *= 2.0);
        Ok(())
    }
}

/// Gradients and what they are divided by are both twice as large.
#[test]
fn two_processes_with_the_same_batches_take_the_steps_of_one() {
    for (net, accumulate) in [(net as fn() -> Graph, 1), (normalized, 1), (normalized, 2)] {
        let settings = TrainSettings { accumulate, epochs: 1, seed: 3, ..TrainSettings::default() };
        let mut together = Trainer::new(net(), smooth(), settings.clone()).unwrap().among(Twin);
        together.fit(&Halves, &HalvesBy(100), &mut ()).unwrap();
        assert!((together.state(), together.progress().clone()) == run(net(), settings, &Halves));
    }
}

/// Two inputs, two outputs, two kinds of targets.
struct Pairs;

impl Batches<(Classes, Tensor)> for Pairs {
    fn examples(&self) -> usize {
        EXAMPLES
    }
    fn batches(&self) -> usize {
        EXAMPLES / BATCH
    }
    fn epoch(
        &self,
        epoch: usize,
        skip: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch<(Classes, Tensor)>, NnError>> + '_> {
        Box::new(Halves.epoch(epoch, skip).map(|batch| {
            let Batch { inputs, target, .. } = batch?;
            let image = inputs.only("inputs")?;
            let sum = |image: &[f32]| image.iter().sum::<f32>() / 64.0;
            let sums = image.data().chunks_exact(64).map(sum).collect();
            let numbers = Tensor::from_vec([image.shape().batch(), 1], sums)?;
            Ok(Batch::new([image, numbers.clone()], (target, numbers)))
        }))
    }
}

#[test]
fn several_inputs_outputs_and_targets_are_trained_and_resumed() {
    type Both = (Classes, Tensor);
    let spec = crate::spec::graph(["image", "number"])
        .node("flatten", flatten(), ["image"])
        .node("class", linear(2), ["flatten"])
        .node("of_image", linear(1), ["flatten"])
        .node("of_number", linear(1), ["number"])
        .node("sum", crate::spec::add(), ["of_image", "of_number"])
        .outputs(["class", "sum"]);
    let begin = || {
        let task = Weighted::new(on(|target: &Both| &target.0, Classify::default())).with(
            "mean",
            0.5,
            on(|target: &Both| &target.1, Regress::<cnn_ops::Mse>::default()),
        );
        let net = Graph::of(&spec, [&[1, 8, 8][..], &[1]], 5).unwrap();
        let settings =
            TrainSettings { epochs: 4, learning_rate: 0.05, accumulate: 2, ..TrainSettings::default() };
        Trainer::new(net, task, settings).unwrap()
    };
    let mut unbroken = begin();
    unbroken.fit(&Pairs, &Pairs, &mut ()).unwrap();
    let history = &unbroken.progress().history;
    assert!(history[3].test("accuracy").unwrap() > 0.9, "{history:?}");
    assert!(
        history[3].test("mean_rmse").unwrap() < 0.7 * history[0].test("mean_rmse").unwrap(),
        "{history:?}"
    );
    for steps in [1, 3, 7] {
        let (mut first, mut second) = (begin(), begin());
        first.fit(&Pairs, &Pairs, &mut StopAfter(steps)).unwrap();
        let progress = serde_json::from_str(&serde_json::to_string(first.progress()).unwrap()).unwrap();
        second.restore(progress, first.state().into_iter().collect()).unwrap();
        second.fit(&Pairs, &Pairs, &mut ()).unwrap();
        assert!(second.state() == unbroken.state() && second.progress() == unbroken.progress());
    }
}
