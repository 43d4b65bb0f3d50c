//! After the first step, a training step asks the system for no memory at all.
//!
//! One test alone in its program: the allocator counts what every thread does.

use cnn_nn::{
    Adam, Average, Batch, Classify, Clip, Input, Model, ModelSpec, OptimizerSpec, Penalty, Sgd,
    TrainSettings, Trainer,
};
use cnn_tensor::parallel::Threads;
use cnn_tensor::testing::CountingAllocator;
use cnn_tensor::{Random, Tensor};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// What each of `steps` training steps asked of the system.
fn allocations(
    spec: &ModelSpec,
    images: usize,
    settings: &TrainSettings,
    threads: &Threads,
    steps: usize,
) -> Vec<u64> {
    let model = Model::build(spec.clone(), 0).unwrap();
    let [c, h, w] = spec.input.shape;
    let mut x = Tensor::zeros([images, c, h, w]);
    Random::new(0, &["allocations"]).fill_normal(1.0, x.data_mut());
    let labels: Vec<u32> = (0..images).map(|i| (i % spec.classes.len()) as u32).collect();
    let batch = Batch::new(x, labels);
    let mut trainer = Trainer::new(model.net, Classify::default(), settings.clone()).unwrap();
    let mut counts = Vec::with_capacity(steps);
    threads.run(|| {
        for _ in 0..steps {
            let before = ALLOCATOR.allocations();
            trainer.step(&batch, steps).unwrap();
            counts.push(ALLOCATOR.allocations() - before);
        }
    });
    counts
}

#[test]
fn a_training_step_after_the_first_asks_the_system_for_no_memory() {
    let gray = || Input::gray(28, 28, 0.5, 0.5);
    let color = |side| Input::new([3, side, side], &[0.5; 3], &[0.5; 3]);
    let classes = || (0..10).map(|class| class.to_string()).collect();
    let sgd = TrainSettings {
        learning_rate: 1e-3,
        optimizer: OptimizerSpec::Sgd(Sgd { momentum: 0.9, weight_decay: 1e-4, ..Sgd::default() }),
        ..TrainSettings::default()
    };
    let everything = TrainSettings {
        optimizer: OptimizerSpec::Adam(Adam::default()),
        clip: Some(Clip::Norm { max_norm: 1.0 }),
        average: Some(Average::default()),
        penalty: Penalty { l1: 1e-5, l2: 1e-5 },
        ..sgd.clone()
    };
    let cases = [
        ("LeNet-5", cnn_zoo::lenet5(gray(), classes()), 64, &sgd),
        ("LeNet-5, all settings", cnn_zoo::lenet5(gray(), classes()), 50, &everything),
        ("AlexNet", cnn_zoo::alexnet(color(63), classes()), 4, &sgd),
        ("SqueezeNet", cnn_zoo::squeezenet1_1(color(64), classes()), 4, &sgd),
        ("airbench, small", cnn_zoo::airbench_small(color(32), classes()), 32, &everything),
        ("ResNet-18, all settings", cnn_zoo::resnet18(color(32), classes()), 2, &everything),
        ("Dense 200-10", cnn_zoo::mlp(gray(), classes()), 128, &sgd),
    ];
    // For all cases: a thread that ends asks for memory too, whenever it gets to it.
    let [one, two] = [1, 2].map(|count| Threads::new(count).unwrap());
    for (name, spec, images, settings) in &cases {
        // One thread makes the same step every time.
        let counts = allocations(spec, *images, settings, &one, 8);
        assert!(counts[0] > 0, "{name}: the first step's memory is counted");
        assert!(counts[1..].iter().all(|&count| count == 0), "{name}, one thread: {counts:?}");
        // Two may both need at once what they needed one after the other in the steps before, until they have had as much
        // as they can need: ten steps in a row then take nothing.
        let counts = allocations(spec, *images, settings, &two, 60);
        assert!(counts.windows(10).any(|steps| steps == [0; 10]), "{name}, two threads: {counts:?}");
    }
}
