//! Whole networks: a training step, or a forward pass.

use super::{Prepared, Tally, Work, random};
use cnn_cli::fault::Fault;
use cnn_data::{CifarFamily, MnistFamily};
use cnn_nn::{Batch, Classify, Input, Model, ModelSpec, OptimizerSpec, Sgd, Summary, TrainSettings, Trainer};
use cnn_tensor::Tensor;
use cnn_zoo::Network;

/// The rows.
pub fn works() -> Vec<Work> {
    vec![
        Work::new("lenet training", &[64, 256], |n, _| training(for_mnist("lenet"), n)),
        Work::new("lenet inference", &[1, 256], |n, _| inference(for_mnist("lenet"), n)),
        Work::new("mlp training", &[128], |n, _| training(for_mnist("mlp"), n)),
        Work::new("alexnet training", &[32], |n, _| training(for_imagenet("alexnet"), n)),
        Work::new("alexnet inference", &[1, 32], |n, _| inference(for_imagenet("alexnet"), n)),
        Work::new("airbench94 training", &[256], |n, _| training(for_cifar10("airbench94"), n)),
    ]
}

fn for_mnist(model: &str) -> ModelSpec {
    let mnist = MnistFamily::Mnist;
    of_classes(model, Input::gray(28, 28, mnist.mean(), mnist.std()), 10)
}

fn for_cifar10(model: &str) -> ModelSpec {
    let cifar = CifarFamily::Cifar10;
    of_classes(model, Input::new([3, 32, 32], &cifar.mean(), &cifar.std()), 10)
}

fn for_imagenet(model: &str) -> ModelSpec {
    of_classes(model, cnn_zoo::imagenet_input(), 1000)
}

fn of_classes(model: &str, input: Input, classes: usize) -> ModelSpec {
    (Network::find(model).expect("a network of the table").spec)(
        input,
        (0..classes).map(|class| class.to_string()).collect(),
    )
}

fn random_images(n: usize, model: &Model) -> Tensor {
    let [c, h, w] = model.spec.input.shape;
    random([n, c, h, w])
}

/// A training step as a user's run makes it: forward, loss, backward, and SGD with momentum.
fn training(spec: ModelSpec, n: usize) -> Result<Prepared, Fault> {
    let model = Model::build(spec, 0)?;
    let macs = training_macs(&model.summary()) * n as u64;
    let labels: Vec<u32> = (0..n).map(|i| (i % model.spec.classes.len()) as u32).collect();
    let batch = Batch::new(random_images(n, &model), labels);
    // So small a rate that the net hardly changes: the last repetition costs what the first one did.
    let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let settings = TrainSettings { epochs: 1, learning_rate: 1e-6, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(model.net, Classify::default(), settings)?;
    Ok(Prepared::new(Tally::Macs(macs), move || Ok(trainer.step(&batch, 1).map(drop)?)))
}

/// Multiply-adds to train on one image: forward, and backward once for each layer's weights and once for its input,
/// which the first layer declines.
fn training_macs(summary: &Summary) -> u64 {
    let first = summary.rows.iter().map(|row| row.macs).find(|&macs| macs > 0);
    3 * summary.macs() - first.unwrap_or(0)
}

fn inference(spec: ModelSpec, n: usize) -> Result<Prepared, Fault> {
    let model = Model::build(spec, 0)?;
    let macs = model.summary().macs() * n as u64;
    let x = random_images(n, &model);
    Ok(Prepared::new(Tally::Macs(macs), move || Ok(model.net.infer(&x).map(drop)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_counts_the_table_of_lenet_three_times_but_for_the_first_layers_input() {
        let work = training(for_mnist("lenet"), 2).unwrap();
        assert_eq!(work.tally, Tally::Macs(2 * (3 * 416_520 - 117_600)));
    }

    #[test]
    fn inference_counts_the_table_of_alexnet() {
        assert_eq!(inference(for_imagenet("alexnet"), 3).unwrap().tally, Tally::Macs(3 * 714_188_480));
    }
}
