//! 2. The linear classifier `f(x, W) = W x + b`: loss, gradient and descent, with nothing hidden.
//!
//! `cargo run --release -p cnn-zoo --example 02_linear_classifier`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Loader, MnistFamily, Split};
use cnn_nn::{Batches, metrics::argmax};
use cnn_ops::{CrossEntropy, Loss, flatten, linear};
use cnn_tensor::{Tensor, vector};
use failure::Failure;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

fn main() -> Result<(), Failure> {
    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let train = Loader::new(train, 64)?.shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test, 1000)?.normalize(digits.normalize());

    // Ten scores from 784 pixels. Row k of the weight is a template: its product with an image is the score of class k.
    let (mut weight, mut bias) = (Tensor::zeros([10, 784]), Tensor::zeros([10]));
    let learning_rate = 0.01;

    println!(
        "Before the first step all ten classes are equally likely, and the loss is ln 10 = {:.4}.",
        10f64.ln()
    );
    for (step, batch) in train.epoch(0, 0).enumerate() {
        let batch = batch?;
        let n = batch.labels().len();

        // Forward: pixels to scores, scores to loss. The softmax is inside the cross-entropy, where it is stable.
        let x = flatten::flatten(batch.inputs[0].clone())?;
        let scores = linear::forward(&x, &weight, Some(&bias))?;
        let (loss, saved) = CrossEntropy::default().forward(&scores, batch.labels())?;

        // Backward: the gradient of the mean loss by the scores is (softmax - 1 at the right class) / n; the chain rule
        // takes it on to weight and bias. Backward passes add, so the gradients start from zero.
        let dscores = saved.backward(1.0 / n as f32);
        let (mut dweight, mut dbias) = (Tensor::zeros([10, 784]), Tensor::zeros([10]));
        linear::backward_parameters(&x, &dscores, &mut dweight, Some(&mut dbias))?;

        // Descent: a small step against the gradient.
        vector::axpy(-learning_rate, dweight.data(), weight.data_mut());
        vector::axpy(-learning_rate, dbias.data(), bias.data_mut());

        if step % 100 == 0 {
            println!("step {step:3}: loss {:.4}", loss / n as f64);
        }
    }

    let mut correct = 0;
    for batch in test.epoch(0, 0) {
        let batch = batch?;
        let x = flatten::flatten(batch.inputs[0].clone())?;
        let scores = linear::forward(&x, &weight, Some(&bias))?;
        correct += argmax(&scores).iter().zip(batch.labels()).filter(|(got, label)| got == label).count();
    }
    println!("test accuracy {:.2} %", 100.0 * correct as f64 / test.examples() as f64);

    println!("\nThe templates of 0 and 3: ink at + and @ speaks for the class, at - and = against it.");
    let template = |class: usize| weight.data()[class * 784..][..784].chunks(28);
    for (zero, three) in template(0).zip(template(3)) {
        println!("{}   {}", draw(zero), draw(three));
    }
    Ok(())
}

fn draw(row: &[f32]) -> String {
    let level = |v: f32| (v * 25.0).round().clamp(-2.0, 2.0) as i32 + 2;
    row.iter().map(|&v| ["==", "--", "  ", "++", "@@"][level(v) as usize]).collect()
}
