//! 1. The tensor: images are arrays of numbers with four axes.
//!
//! `cargo run --release -p cnn-zoo --example 01_tensor`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Loader, MnistFamily, Split};
use cnn_nn::Batches;
use cnn_tensor::{MatMut, MatRef, Tensor, gemm};
use failure::Failure;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

fn main() -> Result<(), Failure> {
    // A tensor is a shape and its numbers, row after row: element [i, j] of a [2, 3] tensor is number i * 3 + j.
    let x = Tensor::from_vec([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    println!("{x:?}, element [1, 0] is {}", x.data()[3]);

    // Another shape over the same numbers. A tensor is a value: changing the copy leaves the original alone.
    let mut y = x.clone().reshape([3, 2])?;
    y.data_mut()[0] = 100.0;
    println!("{y:?}, and x still starts with {}", x.data()[0]);

    // Images have four axes: [n, c, h, w], which is image, channel (1 for gray, 3 for colour), row, column.
    let digits = MnistFamily::Mnist.load(MNIST, Split::Test)?;
    let batch = Loader::new(digits, 8)?.epoch(0, 0).next().ok_or("no batch")??;
    println!(
        "\nA batch of {}, from black 0 to white 1; the first image shows a {}:",
        batch.inputs[0].shape(),
        batch.labels()[0]
    );
    for row in batch.inputs[0].data()[..28 * 28].chunks(28) {
        println!("{}", row.iter().map(|&v| shade(v)).collect::<String>());
    }

    // A matrix product compares every image with every other: [8, 784] x [784, 8]. This is where a network's time goes.
    let images = batch.inputs[0].data();
    let mut products = [0.0; 8 * 8];
    let rows = MatRef::new(images, 8, 784);
    gemm(1.0, rows, rows.t(), 0.0, MatMut::new(&mut products, 8, 8));

    // Divided by both lengths, a product is the cosine of the angle between two images: 1 if they are the same.
    // The two 1s are similar, but the two 4s are less similar than a 7 and a 0: comparing pixels does not recognise digits.
    println!("\nHow similar are the eight?");
    println!("     {}", batch.labels().iter().map(|label| format!("{label:6}")).collect::<String>());
    for (i, label) in batch.labels().iter().enumerate() {
        let cosine = |j: usize| products[i * 8 + j] / (products[i * 9] * products[j * 9]).sqrt();
        println!("{label:5}{}", (0..8).map(|j| format!("{:6.2}", cosine(j))).collect::<String>());
    }
    Ok(())
}

/// Two characters, as a character is twice as high as wide.
fn shade(v: f32) -> &'static str {
    ["  ", "..", "++", "@@"][(v * 4.0).clamp(0.0, 3.0) as usize]
}
