//! 10. A program to ship: it loads a model file, classifies one image, and prints the class.
//!
//! `cargo build --profile deploy -p cnn-zoo --example 10_deploy` makes a small program (docs/performance.md has its size),
//! with all layers and kernels for every instruction set. It needs no Python, no C++ runtime, and no shared libraries besides
//! the system's. The profile stands in the workspace's `Cargo.toml`: whole-program optimisation, no unwinding, no symbols.
//!
//! `10_deploy MODEL.safetensors IMAGE.pgm` takes a gray image of the network's size in a simple format (binary PGM, maximum
//! 255), bright on black like MNIST's. Example 19 takes PNG and JPEG of any size; the decoders make a program larger. Without
//! arguments it makes up a model and an image, to show that it runs.
#![allow(clippy::print_stdout)]

mod failure;

use cnn_nn::{Input, Model};
use cnn_ops::softmax::softmax;
use cnn_tensor::Tensor;
use failure::Failure;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Failure> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (model, pixels) = match &arguments[..] {
        [] => (made_up()?, vec![0; 28 * 28]),
        [model, image] => {
            let model = Model::load(model)?;
            let [_, h, w] = model.spec.input.shape;
            let name = image.display();
            let file = std::fs::read(image).map_err(|e| format!("{name}: {e}"))?;
            (model, pgm(&file, [h, w]).map_err(|e| format!("{name}: {e}"))?)
        }
        _ => return Err("expected MODEL.safetensors IMAGE.pgm, or nothing".into()),
    };

    // As in training: brightness from 0 to 1, minus the mean, divided by the standard deviation.
    let Input { shape: [c, h, w], mean, std, .. } = &model.spec.input;
    let normalized = pixels.iter().map(|&v| (f32::from(v) / 255.0 - mean[0]) / std[0]);
    let x = Tensor::from_vec([1, *c, *h, *w], normalized.collect())?;

    let probabilities = softmax(&model.net.infer(&x)?)?;
    let classes = model.spec.classes.iter().zip(probabilities.data());
    if let Some((class, probability)) = classes.max_by(|a, b| a.1.total_cmp(b.1)) {
        println!("{class} ({:.1} %)", 100.0 * probability);
    }
    Ok(())
}

/// An untrained LeNet-5.
fn made_up() -> Result<Model, Box<dyn Error>> {
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    Ok(Model::build(cnn_zoo::lenet5(Input::gray(28, 28, 0.1307, 0.3081), classes), 0)?)
}

/// The pixels of a binary PGM file: `P5`, width, height and 255, then one byte for each pixel.
fn pgm(file: &[u8], [h, w]: [usize; 2]) -> Result<Vec<u8>, String> {
    let mut rest = file;
    let mut header = Vec::new();
    while header.len() < 4 {
        let end = rest.iter().position(u8::is_ascii_whitespace).ok_or("expected a PGM header")?;
        let (word, after) = rest.split_at(end);
        rest = &after[1..];
        match word {
            [] => {}
            // A comment reaches to the end of its line.
            [b'#', ..] if after[0] == b'\n' => {}
            [b'#', ..] => {
                let line = rest.iter().position(|&byte| byte == b'\n').ok_or("expected a PGM header")?;
                rest = &rest[line + 1..];
            }
            word => header.push(String::from_utf8_lossy(word).into_owned()),
        }
    }
    let expected = ["P5".to_string(), w.to_string(), h.to_string(), "255".to_string()];
    if header != expected || rest.len() != h * w {
        return Err(format!("expected {expected:?} and {} bytes, got {header:?} and {}", h * w, rest.len()));
    }
    Ok(rest.to_vec())
}
