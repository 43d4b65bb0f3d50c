//! 3. The convolution: one small kernel looks at every place of the image and writes a feature map.
//!
//! `cargo run --release -p cnn-zoo --example 03_convolution`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_ops::{Conv2d, MaxPool2d};
use cnn_tensor::Tensor;
use failure::Failure;

const HOUSE: [&str; 12] = [
    "..............",
    "......##......",
    "....######....",
    "..##########..",
    "..##########..",
    "..##......##..",
    "..##......##..",
    "..##......##..",
    "..##......##..",
    "..##########..",
    "..##########..",
    "..............",
];

/// 3 x 3 numbers, row by row.
const KERNELS: [(&str, [f32; 9]); 5] = [
    ("identity", [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
    ("blur: the mean of nine", [1.0 / 9.0; 9]),
    ("Sobel: + where it brightens to the right", [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0]),
    ("Sobel: + where it brightens downwards", [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0]),
    ("Laplacian: any edge, + outside, - inside", [0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0]),
];

fn main() -> Result<(), Failure> {
    let pixels = HOUSE.iter().flat_map(|row| row.bytes()).map(|v| if v == b'#' { 1.0 } else { 0.0 });
    let image = Tensor::from_vec([1, 1, 12, 14], pixels.collect())?;

    // One output channel for each kernel: a weight of shape [c_out, c_in, kh, kw] = [5, 1, 3, 3]. A border of one zero
    // on each side keeps the size: 12 + 2 * 1 - 3 + 1 = 12.
    let weight = Tensor::from_vec([5, 1, 3, 3], KERNELS.iter().flat_map(|(_, kernel)| *kernel).collect())?;
    let conv = Conv2d::new([3, 3]).padding([1, 1]);
    let maps = conv.infer(&image, &weight, None)?;
    println!("{} images, kernels {}, feature maps {}", image.shape(), weight.shape(), maps.shape());
    for ((name, _), map) in KERNELS.iter().zip(maps.data().chunks(12 * 14)) {
        println!("\n{name}");
        draw(map, 14);
    }

    // A stride of 2 looks at every other place; pooling keeps the largest of every 2 x 2. Both halve height and width:
    // without padding, (12 - 3) / 2 + 1 = 5 rows, rounded down, and 12 / 2 = 6.
    let strided = Conv2d::new([3, 3]).stride([2, 2]).infer(&image, &weight, None)?;
    let pooled = MaxPool2d::new([2, 2]).infer(&maps)?;
    println!("\nstride 2: {}, pooled: {}", strided.shape(), pooled.shape());
    println!("\nthe second Sobel map, pooled");
    draw(&pooled.data()[3 * 6 * 7..][..6 * 7], 7);

    // All places of the image share the nine numbers, however large it is. In a network, the kernels are not chosen by hand:
    // example 5 learns them.
    println!(
        "\nA dense layer from this image to one such map has {} weights, a kernel 9.",
        (12 * 14) * (12 * 14)
    );
    Ok(())
}

/// From -1 or less, by way of 0, to 1 or more: two characters each, as a character is twice as high as wide.
fn draw(map: &[f32], width: usize) {
    for row in map.chunks(width) {
        let shade =
            |v: &f32| ["==", "--", "..", "++", "##"][((v * 2.0).round().clamp(-2.0, 2.0) + 2.0) as usize];
        println!("  {}", row.iter().map(shade).collect::<String>());
    }
}
