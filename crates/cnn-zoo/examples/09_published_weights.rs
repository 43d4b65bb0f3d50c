//! 9. A network with weights that another library trained, loaded by the names of the parameters.
//!
//! `cargo run --release -p cnn-zoo --example 09_published_weights NETWORK WEIGHTS [INPUT OUTPUT [MODEL]]`
//!
//! `NETWORK` is a network for ImageNet, such as `alexnet` or `mobilenet_v2`. `WEIGHTS` is a safetensors file: torchvision's
//! `state_dict`, written by `safetensors.torch.save_file`, or a model of this library. `INPUT` is a safetensors file with a
//! normalised batch `x`. Its `logits` are written to `OUTPUT`, to be compared with another library's. The network is written
//! to `MODEL`, as a model of this library, which PyTorch reads as well.
#![allow(clippy::print_stdout)]

mod failure;

use cnn_nn::checkpoint;
use failure::Failure;
use std::path::PathBuf;

fn main() -> Result<(), Failure> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (name, weights, rest) = match &args[..] {
        [name, weights, rest @ ..] if [0, 2, 3].contains(&rest.len()) => {
            (name.to_string_lossy(), weights, rest)
        }
        _ => {
            return Err(
                "expected NETWORK WEIGHTS [INPUT OUTPUT [MODEL]], such as alexnet alexnet.safetensors".into(),
            );
        }
    };
    // The names of ImageNet's classes are not in the weights; numbers are enough here.
    let classes = (0..1000).map(|class| class.to_string()).collect();
    let model = cnn_zoo::load_weights(&name, weights, classes)?;
    let (spec, net) = (&model.spec, &model.net);
    println!(
        "{} for images of shape {:?}: {} parameters",
        spec.name,
        spec.input.shape,
        net.parameter_count()
    );

    if let [input, output, ..] = rest {
        let saved = checkpoint::load(input)?;
        let x = saved
            .tensors
            .get("x")
            .ok_or_else(|| format!("{}: expected a tensor x, got none", input.display()))?;
        let logits = net.infer(x)?;
        for class in cnn_nn::metrics::argmax(&logits) {
            println!("class {}", spec.classes[class as usize]);
        }
        checkpoint::save(output, "{}", &[("logits".into(), logits)])?;
    }
    if let [_, _, file] = rest {
        model.save(file)?;
    }
    Ok(())
}
