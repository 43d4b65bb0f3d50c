use super::*;
use crate::spec::{conv2d, flatten, linear, max_pool2d, relu};
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
            Ok(Batch { x: Tensor::from_vec([BATCH, 1, 8, 8], x.concat())?, labels })
        }))
    }
}

fn trainer(optimizer: OptimizerSpec) -> Trainer {
    let layers = [
        conv2d(6, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        flatten().named("flatten"),
        linear(2).named("fc"),
    ];
    let net = Sequential::build(layers, [1, 8, 8], 5).unwrap();
    Trainer::new(net, TrainSettings { epochs: 3, rate: 0.03, schedule: Schedule::Cosine, optimizer }).unwrap()
}

fn optimizers() -> [OptimizerSpec; 2] {
    let sgd = crate::Sgd { momentum: 0.9, ..Default::default() };
    [OptimizerSpec::Sgd(sgd), OptimizerSpec::Adam(crate::Adam::default())]
}

#[test]
fn learns() {
    for optimizer in optimizers() {
        let mut trainer = trainer(optimizer);
        assert_eq!(trainer.fit(&Halves, &Halves, &mut ()).unwrap(), Outcome::Finished);
        let history = &trainer.progress().history;
        assert_eq!(history.len(), 3);
        assert!(history[2].train_loss < 0.6 * history[0].train_loss, "{history:?}");
        assert!(history[2].test_accuracy > 0.93, "{history:?}");
        let evaluation = evaluate(trainer.net(), &Halves).unwrap();
        assert_eq!(evaluation.accuracy, evaluation.confusion.accuracy());
        assert_eq!(evaluation.loss, history[2].test_loss);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for optimizer in optimizers() {
        let run = |threads: usize| {
            let mut trainer = trainer(optimizer);
            let fit = || trainer.fit(&Halves, &Halves, &mut ()).map(|_| ());
            Threads::new(threads).unwrap().run(fit).unwrap();
            (trainer.state(), trainer.progress().clone())
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            assert_eq!(run(threads), one, "{threads} threads");
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
    for optimizer in optimizers() {
        let mut unbroken = trainer(optimizer);
        unbroken.fit(&Halves, &Halves, &mut ()).unwrap();
        for steps in [1, 5, 6, 12, 14] {
            let mut first = trainer(optimizer);
            assert_eq!(first.fit(&Halves, &Halves, &mut StopAfter(steps)).unwrap(), Outcome::Stopped);
            // Through JSON, as a checkpoint goes.
            let progress = serde_json::to_string(first.progress()).unwrap();
            let mut second = trainer(optimizer);
            let state = first.state().into_iter().collect();
            second.restore(serde_json::from_str(&progress).unwrap(), state).unwrap();
            second.fit(&Halves, &Halves, &mut ()).unwrap();
            assert_eq!(second.state(), unbroken.state(), "stopped after {steps} steps");
            assert_eq!(second.progress(), unbroken.progress());
        }
    }
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
        let batch = || Ok(Batch { x: Tensor::zeros([self.0, 1, 8, 8]), labels: vec![0; self.1] });
        Box::new((skip..10).map(move |_| batch()))
    }
}

#[test]
fn batches_without_images_or_labels_are_errors() {
    for (images, labels) in [(0, 0), (40, 32), (32, 40), (0, 3)] {
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
            Box::new(std::iter::once(Ok(Batch { x: Tensor::zeros([20, 1, 8, 8]), labels })))
        }
    }
    let message = trainer(OptimizerSpec::default()).fit(&Stray, &Halves, &mut ()).unwrap_err().to_string();
    assert!(message.contains("label 2 of image 18 "), "{message}");
}

#[test]
fn a_rate_of_nothing_is_refused() {
    let net = Sequential::build([linear(2).named("fc")], [2], 0).unwrap();
    let settings = TrainSettings {
        epochs: 1,
        rate: 0.0,
        schedule: Schedule::Constant,
        optimizer: OptimizerSpec::default(),
    };
    let message = Trainer::new(net, settings).err().unwrap().to_string();
    assert_eq!(message, "the learning rate must be a number above 0, got 0");
}
