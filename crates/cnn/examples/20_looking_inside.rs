//! 20. Looking inside a trained network: which pixels speak for its answer?
//!
//! You learn the difference between methods: the gradient of a score, the same by the rule of guided backpropagation, the class
//! activation map of a layer, and integrated gradients, whose parts add up to the score.
//!
//! `cargo run --release -p cnn --example 20_looking_inside MODEL IMAGE`
//!
//! `MODEL` is a file that training wrote: `cargo xtask train-lenet` leaves `runs/lenet-mnist/model.safetensors`, for digits.
//! `cnn visualize` draws what is printed here.
#![allow(clippy::print_stdout)]

#[path = "../../cnn-zoo/examples/failure/mod.rs"]
mod failure;

use cnn::nn::explain::{Explainer, Rule, magnitude};
use cnn::prelude::*;
use failure::Failure;
use std::ffi::OsString;

fn main() -> Result<(), Failure> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [model, image] = &arguments[..] else {
        return Err("expected MODEL IMAGE, such as runs/lenet-mnist/model.safetensors seven.png; \
            `cargo xtask train-lenet` writes that model"
            .into());
    };

    let model = Model::load(model)?;
    let x = cnn::data::ToInput::new(&model.spec.input)?.read(image)?;
    let look = Explainer::new(&model.net)?;
    let scores = look.scores(&x)?;
    let class =
        (0..look.classes()).max_by(|&a, &b| scores.data()[a].total_cmp(&scores.data()[b])).unwrap_or(0);
    println!("{}: score {:.2}", model.spec.classes[class], scores.data()[class]);

    let largest = |map: &Tensor| map.data().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let saliency = magnitude(&look.gradient(&x, class, Rule::Plain)?);
    println!("saliency {}: at most {:.4}", saliency.shape(), largest(&saliency));
    if look.has_rectifiers() {
        let guided = look.gradient(&x, class, Rule::Guided)?;
        println!("guided backpropagation {}: at most {:.4}", guided.shape(), largest(&guided));
    }
    if let Ok(layer) = look.cam_layer() {
        let cam = look.grad_cam(&x, class, layer)?;
        println!("Grad-CAM at {layer} {}: at most {:.4}", cam.map.shape(), largest(&cam.positive()));
    }
    let parts = look.integrated_gradients(&x, &Tensor::zeros(x.shape()), class, 64, |_| {})?;
    println!("integrated gradients: the parts sum to {:.3}", parts.sum);
    println!("the score less that of a gray image is {:.3}", parts.score - parts.baseline);
    Ok(())
}
