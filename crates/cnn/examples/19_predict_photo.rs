//! 19. A photo from a path, and a saved model: what does the photo show?
//!
//! You learn how little a program needs to use a trained network: load the model, predict, print. The model file says how
//! a photo becomes its input (size, crop, mean and standard deviation), so the program does not.
//!
//! `cargo run --release -p cnn --example 19_predict_photo MODEL PHOTO`
//!
//! `MODEL` is a file that training wrote: `cargo xtask train-lenet` leaves `runs/lenet-mnist/model.safetensors`, for digits.
//! `PHOTO` is a JPEG, PNG, WebP or BMP of any size.
#![allow(clippy::print_stdout)]

#[path = "../../cnn-zoo/examples/failure/mod.rs"]
mod failure;

use cnn::prelude::*;
use failure::Failure;
use std::ffi::OsString;

fn main() -> Result<(), Failure> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [model, photo] = &arguments[..] else {
        return Err("expected MODEL PHOTO, such as runs/lenet-mnist/model.safetensors seven.png; \
            `cargo xtask train-lenet` writes that model"
            .into());
    };

    let model = Model::load(model)?;
    let answer = model.predict(photo)?;
    println!("{} ({:.1} %)", answer.class(), 100.0 * answer.probability());

    for (class, probability) in answer.ranking().iter().skip(1).take(4) {
        println!("or {class} ({:.1} %)", 100.0 * probability);
    }
    Ok(())
}
