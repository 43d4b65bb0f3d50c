//! 9. A network with weights that another library trained: it finds them by name.
//!
//! `cargo run --release -p cnn-zoo --example 09_published_weights NETWORK WEIGHTS [INPUT OUTPUT [MODEL]]`
//!
//! `NETWORK` is one for ImageNet: `alexnet`, `mobilenet_v2`. `WEIGHTS` is a safetensors file: torchvision's `state_dict`,
//! written by `safetensors.torch.save_file`, or a model of this library. `INPUT` has a batch `x`, already normalised, and
//! `OUTPUT` gets its `logits`, so that they can be compared with another library's. `MODEL` gets the network as a model of
//! this library, which PyTorch reads as well.
#![allow(clippy::print_stdout)]

use cnn_nn::checkpoint;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, weights, rest) = match &args[..] {
        [name, weights, rest @ ..] if [0, 2, 3].contains(&rest.len()) => (name, weights, rest),
        _ => return Err("expected NETWORK WEIGHTS [INPUT OUTPUT [MODEL]]".into()),
    };
    // ImageNet's classes have names that are not in the weights; numbers will do here.
    let classes = (0..1000).map(|class| class.to_string()).collect();
    let model = cnn_zoo::load_weights(name, Path::new(weights), classes)?;
    let (spec, net) = (&model.spec, &model.net);
    println!(
        "{} for images of shape {:?}: {} parameters",
        spec.name,
        spec.input.shape,
        net.parameter_count()
    );

    if let [input, output, ..] = rest {
        let saved = checkpoint::load(Path::new(input))?;
        let x = saved.tensors.get("x").ok_or_else(|| format!("{input}: expected a tensor x, got none"))?;
        let logits = net.infer(x)?;
        for class in cnn_nn::metrics::argmax(&logits) {
            println!("class {}", spec.classes[class as usize]);
        }
        checkpoint::save(Path::new(output), "{}", &[("logits".into(), logits)])?;
    }
    if let [_, _, file] = rest {
        model.save(Path::new(file))?;
    }
    Ok(())
}
