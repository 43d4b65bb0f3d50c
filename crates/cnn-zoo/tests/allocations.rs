//! After the first step, a training step takes no memory from the system.
//!
//! The only test in its program, since the allocator counts the allocations of all threads.

use cnn_nn::{
    Adam, Average, Batch, Classify, Clip, Graph, Input, ModelSpec, OptimizerSpec, Penalty, Sgd,
    TrainSettings, Trainer, Zeros,
};
use cnn_tensor::parallel::Threads;
use cnn_tensor::testing::CountingAllocator;
use cnn_tensor::{Random, Tensor};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Trains a network on one batch repeatedly, on `threads`, and counts the allocations of each of at most `most` steps. With
/// `until_quiet` it stops after ten steps in a row that allocate nothing; four for a network whose steps take long.
fn allocations(
    spec: &ModelSpec,
    images: usize,
    settings: &TrainSettings,
    threads: &Threads,
    until_quiet: bool,
    most: usize,
) -> Vec<u64> {
    let [c, h, w] = spec.input.shape;
    let net = Graph::chain(spec.layers.clone(), [1, c, h, w].into(), &mut Zeros).unwrap();
    let mut x = Tensor::zeros([images, c, h, w]);
    Random::new(0, &["allocations"]).fill_normal(1.0, x.data_mut());
    let labels: Vec<u32> = (0..images).map(|i| (i % spec.classes.len()) as u32).collect();
    let batch = Batch::new(x, labels);
    let mut trainer = Trainer::new(net, Classify::default(), settings.clone()).unwrap();
    let mut counts: Vec<u64> = Vec::with_capacity(most);
    let enough = if trainer.net().parameter_count() > 20_000_000 { 4 } else { 10 };
    let mut quiet = 0;
    threads.run(|| {
        while counts.len() < most && !(until_quiet && quiet == enough) {
            let before = ALLOCATOR.allocations();
            trainer.step(&batch, most).unwrap();
            counts.push(ALLOCATOR.allocations() - before);
            quiet = if counts.last() == Some(&0) { quiet + 1 } else { 0 };
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
        ("LeNet-5, tanh", cnn_zoo::lenet5_tanh(gray(), classes()), 20, &sgd),
        ("LeNet-5, 1998", cnn_zoo::lenet5_1998(cnn_zoo::lenet::input_1998(), classes()), 20, &sgd),
        ("Dense 200-10", cnn_zoo::mlp(gray(), classes()), 128, &sgd),
        ("Linear", cnn_zoo::linear(gray(), classes()), 128, &sgd),
        ("cuda-convnet, quick", cnn_zoo::cuda_convnet_quick(color(32), classes()), 20, &sgd),
        ("airbench, small", cnn_zoo::airbench_small(color(32), classes()), 32, &everything),
        ("airbench94", cnn_zoo::airbench94(color(32), classes()), 8, &sgd),
        ("AlexNet, 2012", cnn_zoo::alexnet_2012(color(67), classes()), 2, &sgd),
        ("GoogLeNet", cnn_zoo::googlenet(color(64), classes()), 2, &sgd),
        ("SqueezeNet 1.0", cnn_zoo::squeezenet1_0(color(64), classes()), 4, &sgd),
        ("SqueezeNet 1.1", cnn_zoo::squeezenet1_1(color(64), classes()), 4, &sgd),
        ("MobileNet v2", cnn_zoo::mobilenet_v2(color(64), classes()), 2, &sgd),
        ("ResNet-18, all settings", cnn_zoo::resnet18(color(32), classes()), 2, &everything),
        ("ResNet-34", cnn_zoo::resnet34(color(32), classes()), 2, &sgd),
    ];
    // One pool for all cases: a thread that ends allocates too, at an arbitrary time.
    let [one, two] = [1, 2].map(|count| Threads::new(count).unwrap());
    for (name, spec, images, settings) in &cases {
        // One thread takes the same step each time.
        let counts = allocations(spec, *images, settings, &one, false, 4);
        assert!(counts[0] > 0, "{name}: the first step's memory is counted");
        assert!(counts[1..].iter().all(|&count| count == 0), "{name}, one thread: {counts:?}");
        // Two threads may need at the same time the blocks that they needed one after the other in earlier steps. Once there
        // are blocks for both, steps in a row allocate nothing.
        let counts = allocations(spec, *images, settings, &two, true, 60);
        assert!(counts.ends_with(&[0; 4]) && counts.len() < 60, "{name}, two threads: {counts:?}");
    }
}
