//! The same seed gives the same weights, bit for bit, on any number of threads.

use cnn_nn::{Adam, Batch, Classify, Input, Model, ModelSpec, OptimizerSpec, Sgd, TrainSettings, Trainer};
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::{Random, Tensor};

fn input(shape: [usize; 3]) -> Input {
    Input::new(shape, &vec![0.5; shape[0]], &vec![0.5; shape[0]])
}

fn classes() -> Vec<String> {
    (0..10).map(|class| class.to_string()).collect()
}

/// Asserts that `steps` training steps on `images` images give the same bits on 1, 2, 3 and 8 threads, at every SIMD level
/// in `levels`.
#[track_caller]
fn assert_same_bits(
    spec: &ModelSpec,
    images: usize,
    steps: usize,
    optimizer: OptimizerSpec,
    levels: &[Level],
) {
    let tensors = Model::build(spec.clone(), 1).unwrap().net.tensors();
    let [c, h, w] = spec.input.shape;
    let mut x = Tensor::zeros([images, c, h, w]);
    Random::new(0, &["determinism"]).fill_normal(1.0, x.data_mut());
    let batch = Batch::new(x, (0..images).map(|i| (i % 10) as u32).collect::<Vec<u32>>());
    let settings = TrainSettings { learning_rate: 1e-2, epochs: 1, optimizer, ..TrainSettings::default() };
    let train = |threads: usize| {
        let model = Model::from_tensors(spec.clone(), tensors.iter().cloned().collect()).unwrap();
        let mut trainer = Trainer::new(model.net, Classify::default(), settings.clone()).unwrap();
        let train = || {
            let loss = |_| trainer.step(&batch, steps).map(|report| report.loss.to_bits());
            (0..steps).map(loss).collect::<Result<Vec<u64>, _>>().unwrap()
        };
        let losses = Threads::new(threads).unwrap().run(train);
        (losses, trainer.into_net().tensors())
    };
    let same = |a: &Tensor, b: &Tensor| {
        a.data().iter().map(|v| v.to_bits()).eq(b.data().iter().map(|v| v.to_bits()))
    };
    for &level in levels {
        with_level(level, || {
            let (losses, weights) = train(1);
            let changed = weights.iter().zip(&tensors).any(|((_, after), (_, before))| after != before);
            assert!(changed, "training trains");
            for threads in [2, 3, 8] {
                let (other_losses, other) = train(threads);
                assert_eq!(losses, other_losses, "{}: losses on {threads} threads, {level:?}", spec.name);
                for ((name, one), (_, other)) in weights.iter().zip(&other) {
                    assert!(same(one, other), "{}: {name} on {threads} threads, {level:?}", spec.name);
                }
            }
        });
    }
}

fn sgd() -> OptimizerSpec {
    OptimizerSpec::Sgd(Sgd { momentum: 0.9, weight_decay: 1e-4, ..Sgd::default() })
}

#[test]
fn lenet_trains_to_the_same_bits_on_any_number_of_threads() {
    // Four pieces of 16 images and one of 6.
    let spec = cnn_zoo::lenet5(input([1, 28, 28]), classes());
    assert_same_bits(&spec, 70, 3, sgd(), Level::all());
}

#[test]
fn alexnet_trains_to_the_same_bits_on_any_number_of_threads() {
    let spec = cnn_zoo::alexnet(input([3, 63, 63]), classes());
    assert_same_bits(&spec, 5, 2, sgd(), &[Level::current()]);
}

#[test]
fn networks_with_batch_normalisation_train_to_the_same_bits_on_any_number_of_threads() {
    let spec = cnn_zoo::resnet18(input([3, 32, 32]), classes());
    assert_same_bits(&spec, 6, 2, sgd(), &[Level::current()]);
    let spec = cnn_zoo::airbench_small(input([3, 32, 32]), classes());
    assert_same_bits(&spec, 17, 2, OptimizerSpec::Adam(Adam::default()), &[Level::current()]);
}
