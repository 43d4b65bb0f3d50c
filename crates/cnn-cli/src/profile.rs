//! `cnn profile`: where the time and the memory of a network go.

use crate::busy;
use crate::fault::{Fault, note, print};
use crate::progress::{self, Lines};
use crate::summary::described;
use crate::threads::threads;
use crate::weights;
use cnn_nn::{Batch, Classify, Model, OptimizerSpec, Profile, Profiler, Sgd, TrainSettings};
use cnn_tensor::simd::Level;
use cnn_tensor::{Random, Tensor};
use cnn_train::onnx::{self, Preparation};
use cnn_zoo::{Network, NetworkName, Takes, Weights};
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Show where the time and the memory of a network go, layer by layer.
///
/// Takes training steps on made-up images (or predictions, with --inference), each once with clocks around every layer and
/// once without, and prints the medians. The longest bar belongs to the heaviest layer: what to change first. GFLOP/s says
/// how well a layer does for the arithmetic that it has; a slow layer with a high rate needs fewer operations, one with a low
/// rate waits for memory or has too little work to share.
#[derive(clap::Args)]
#[command(after_help = "\
Columns:
  output      its shape for one image
  size        bytes of the output for the batch
  taken       bytes taken for tensors and the kernels' own memory in both passes; recycled from the second step on
  forward     milliseconds (or us, or s) of the forward pass
  backward    of the backward pass: the gradients of the weights and of the input
  GFLOP/s     of the pass to the left; a multiply-accumulate counts as two operations, whatever the algorithm makes of it
  share       of the whole step
Lines below the layers:
  loss        cross-entropy and its gradient
  gradients   set to zero, and added up over the pieces that a small network's batch is cut into
  optimizer   SGD with momentum
  threads     handing out the pieces, and waiting for the last
  between     everything else
Where pieces run on several threads at once, a layer's time is the threads' total over their number, so that the parts
still add up to the step. The last lines hold the sum against the step without clocks.

Dataset:
  cnn profile lenet                                  a training step of 64 images, on all cores
  cnn profile alexnet --threads 1                    on one thread
  cnn profile resnet18 --batch-size 8 --size 64      small photos; layers have dotted paths, as layer1.0.conv1
  cnn profile alexnet --inference --batch-size 1     a single prediction
  cnn profile runs/lenet-mnist/model.safetensors     your own network, as training saved it
  CNN_SIMD=avx2 cnn profile vgg11 --inference        as on a CPU without AVX-512

A network written in Rust: cnn_nn::Profile::of_training(&net, &batch, settings, rounds).")]
pub struct Args {
    #[arg(help = format!("{}; or a model file, ONNX or one that a training run wrote", Network::names()))]
    model: String,
    /// Images in a batch [default: 64, or 32 for networks for ImageNet].
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Height and width of the images [default: what the network is made for].
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Weights for the network instead of random ones; they change the time little.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Predict instead of training.
    #[arg(long)]
    inference: bool,
    /// Rounds that the medians are of [default: as many as 3 seconds hold, from 5 to 200].
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Print one JSON object: times in seconds, memory in bytes.
    #[arg(long)]
    json: bool,
}

/// The largest batch size, height and width; mistyped ones must not fill the memory.
const LARGEST: usize = 1 << 16;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    model: String,
    /// Channels, height and width.
    input: [usize; 3],
    /// The instruction set in use.
    simd: &'static str,
    #[serde(flatten)]
    profile: Profile,
}

pub fn run(args: Args) -> Result<(), Fault> {
    for (option, value) in
        [("--batch-size", args.batch_size), ("--size", args.size), ("--rounds", args.rounds)]
    {
        if let Some(got) = value.filter(|value| !(1..=LARGEST).contains(value)) {
            return Err(Fault::usage(format!("{option}: expected 1 to {LARGEST}, got {got}")));
        }
    }
    let (count, pool) = threads(args.threads)?;
    let (model, images) = model(&args)?;
    let images = args.batch_size.unwrap_or(images);
    let (name, input) = (model.spec.name.clone(), model.spec.input.shape);
    let what = if args.inference { "predictions" } else { "training steps" };
    note(format!(
        "{name}: {what} of {images} images of {input:?} on {count} {}, {}",
        if count == 1 { "thread" } else { "threads" },
        Level::current().name(),
    ));
    busy::warn();
    let profile = pool.run(|| measure(model, images, &args))?;
    if args.json {
        print(serde_json::to_string(&Report { model: name, input, simd: Level::current().name(), profile })?);
    } else {
        print(profile.to_string().trim_end());
    }
    Ok(())
}

/// The model, and how many images a batch of it has.
fn model(args: &Args) -> Result<(Model, usize), Fault> {
    let path = Path::new(&args.model);
    let Some(spec) = described(&args.model) else {
        if !path.exists() {
            let (model, names) = (&args.model, Network::names());
            return Err(Fault::usage(format!(
                "{model}: expected one of {names}, or an existing weights file"
            )));
        }
        let is_onnx = onnx::is_onnx(path);
        for (option, given) in
            [("--weights", args.weights.is_some()), ("--size", args.size.is_some() && !is_onnx)]
        {
            if given {
                let model = path.display();
                return Err(Fault::usage(format!(
                    "{option}: expected with the name of a network; {model} has its own"
                )));
            }
        }
        let model = match is_onnx {
            true => onnx::classifier(path, &Preparation::default(), args.size, None, true)?,
            false => Model::load(path)?,
        };
        let images = if model.spec.input.shape[1] > 100 { 32 } else { 64 };
        return Ok((model, images));
    };
    let network: NetworkName = args.model.parse().map_err(Fault::usage)?;
    let images = if matches!(network.takes, Takes::ImageNet(_)) { 32 } else { 64 };
    let mut input = spec.input;
    if let Some(size) = args.size {
        input.shape = [input.shape[0], size, size];
    }
    let spec = (network.spec)(input, spec.classes);
    let model = match &args.weights {
        Some(file) => {
            let weights = Weights::read(file)?;
            let begun = weights.begin(&network, Some(spec.input), spec.classes, false, 0);
            begun.map_err(weights::advise)?.model
        }
        None => Model::build(spec, 0)?,
    };
    Ok((model, images))
}

fn measure(model: Model, images: usize, args: &Args) -> Result<Profile, Fault> {
    /// The time for all rounds, if the user does not say how many.
    const LONG_ENOUGH: Duration = Duration::from_secs(3);
    const FEWEST: usize = 5;
    const MOST: usize = 200;

    let [c, h, w] = model.spec.input.shape;
    let mut x = Tensor::zeros([images, c, h, w]);
    Random::new(0, &["profile"]).fill_normal(1.0, x.data_mut());
    let mut progress = Progress::new();
    let mut profiler = if args.inference {
        Profiler::inference(model.net, x)?
    } else {
        let labels: Vec<u32> = (0..images).map(|i| (i % model.spec.classes.len()) as u32).collect();
        // So small a rate that the net hardly changes: the last step costs what the first one did.
        let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
        let settings = TrainSettings { learning_rate: 1e-6, optimizer, ..TrainSettings::default() };
        Profiler::training(model.net, Classify::default(), Batch::new(x, labels), settings)?
    };
    let since = Instant::now();
    let mut done = 0;
    loop {
        profiler.round()?;
        done += 1;
        let each = since.elapsed() / done as u32;
        let fitting = (LONG_ENOUGH.as_secs_f64() / each.as_secs_f64()) as usize;
        let rounds = args.rounds.unwrap_or(fitting.clamp(FEWEST, MOST));
        progress.show(done, rounds.max(done), each);
        if done >= rounds {
            return Ok(profiler.profile()?);
        }
    }
}

/// Says how far the rounds are, once they have taken two seconds.
struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
    lines: Lines,
}

impl Progress {
    const PATIENCE: Duration = Duration::from_secs(2);

    fn new() -> Self {
        Self { bar: None, since: Instant::now(), lines: Lines::new() }
    }

    fn show(&mut self, done: usize, rounds: usize, each: Duration) {
        if self.since.elapsed() < Self::PATIENCE {
            return;
        }
        let left = (each * (rounds - done) as u32).as_secs();
        let bar = self.bar.get_or_insert_with(|| progress::bar(None, "round {pos}/{len} [{bar:30}] {msg}"));
        bar.set_length(rounds as u64);
        bar.set_message(format!("{left} s left"));
        bar.set_position(done as u64);
        if done == rounds {
            bar.finish_and_clear();
        }
        self.lines.note(bar, || format!("round {done}/{rounds}  {left} s left"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Args {
        crate::testing::parse(line).unwrap()
    }

    #[test]
    fn what_cannot_be_profiled_is_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = file.path().to_str().unwrap();
        for (line, expected) in [
            (&["lenett"][..], "lenett: expected one of lenet, "),
            (&["lenet", "--batch-size", "0"], "--batch-size: expected 1 to 65536, got 0"),
            (&["lenet", "--threads", "0"], "--threads: "),
            (&["lenet", "--rounds", "0"], "--rounds: expected 1 to 65536, got 0"),
            (&["lenet", "--size", "100000"], "--size: expected 1 to 65536, got 100000"),
            (&[file, "--size", "28"], "--size: expected with the name of a network; "),
        ] {
            let Fault { status, message } = run(args(line)).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
            assert_eq!((status, message.lines().count()), (2, 1), "{message}");
        }
        let Fault { status, message } = run(args(&["alexnet", "--size", "20"])).unwrap_err();
        assert_eq!((status, message.lines().count()), (1, 1), "{message}");
        assert!(message.contains("conv2d") || message.contains("max_pool2d"), "{message}");
    }

    #[test]
    fn a_named_network_is_profiled_with_its_own_layers() {
        let args = args(&["resnet18", "--size", "32", "--batch-size", "2", "--rounds", "1"]);
        let (model, images) = model(&args).unwrap();
        assert_eq!((images, model.spec.input.shape), (32, [3, 32, 32]));
        let profile = measure(model, 2, &args).unwrap();
        assert_eq!((profile.images, profile.rounds), (2, 1));
        let downsample = profile.layers.iter().find(|layer| layer.path == "layer2.0.downsample.0").unwrap();
        assert!(downsample.forward > 0.0 && downsample.backward > 0.0);
        assert_eq!(downsample.macs, 2 * 64 * 128 * 4 * 4);
    }

    #[test]
    fn a_saved_network_is_profiled_as_it_is() {
        let lenet = Model::build(described("lenet").unwrap(), 3).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        lenet.save(file.path()).unwrap();
        let (model, images) = model(&args(&[file.path().to_str().unwrap()])).unwrap();
        assert_eq!(images, 64);
        assert_eq!(model.net.tensors(), lenet.net.tensors());
    }
}
