//! What a finished run leaves behind: weights, pictures, and the words that close it.

use super::Config;
use super::tested::Tested;
use crate::datasets::short_names;
use crate::fault::Fault;
use crate::progress::clock;
use cnn_data::Loader;
use cnn_nn::{
    Batches, Graph, LayerSpec, Metrics, Model, ModelSpec, RunFolder, RunTimes, Trainer, evaluate_with,
};
use cnn_report as pictures;
use cnn_tensor::Tensor;
use cnn_tensor::files::write_atomically;
use cnn_tensor::text::cell;
use serde::Serialize;
use std::path::PathBuf;

/// A run that has reached its last epoch.
pub struct Run<'a> {
    pub config: &'a Config,
    pub spec: &'a ModelSpec,
    pub folder: &'a RunFolder,
    pub trainer: &'a Trainer,
    pub train: &'a Loader,
    pub validation: Option<&'a Loader>,
    pub test: &'a Loader,
    pub threads: usize,
    /// The last epoch's pass over the test set, if there was one.
    pub tested: Option<Tested>,
    pub times: RunTimes,
}

/// The report of a finished run.
pub struct Report {
    /// What `--json` prints.
    pub summary: Summary,
    /// The same for people, and the names of the files.
    pub words: String,
}

/// The output of `--json`.
#[derive(Serialize)]
pub struct Summary {
    model: String,
    dataset: String,
    epochs: usize,
    batch_size: usize,
    seed: u64,
    threads: usize,
    train_images: usize,
    test_images: usize,
    /// 0 to 1.
    pub test_accuracy: f64,
    test_top5: f64,
    test_loss: f64,
    /// 0 to 1, by class.
    class_accuracy: Vec<(String, Option<f64>)>,
    seconds: f64,
    /// Images trained on per second of training, evaluation left out.
    train_images_per_second: f64,
    /// The share of the training time that was spent waiting for batches, 0 to 1.
    waiting: f64,
    /// Images that could not be read and were passed over.
    bad_images: usize,
    parameters: usize,
    weights: PathBuf,
}

/// Writes the weights and the pictures.
pub fn write(run: Run<'_>) -> Result<Report, Fault> {
    let Run { config, spec, folder, trainer, .. } = run;
    let weights = folder.file("model.safetensors");
    Model::save_net(spec, trainer.evaluated(), &weights)?;
    if config.validation.is_none() {
        // A file of an earlier run would be taken for this run's.
        folder.remove("best.safetensors")?;
    }
    let (tested, metrics) = tested(&run)?;
    let files = write_pictures(&run, &tested)?;
    let confusion = &tested.confusion;
    let of = |metric: &str| metrics.get(metric).unwrap_or_default();
    let classes = spec.classes.iter().cloned();
    let summary = Summary {
        model: spec.name.clone(),
        dataset: config.dataset.to_string(),
        epochs: config.training.epochs,
        batch_size: config.batch_size,
        seed: config.training.seed,
        threads: run.threads,
        train_images: run.train.examples(),
        test_images: run.test.examples(),
        test_accuracy: of("accuracy"),
        test_top5: of("top5"),
        test_loss: of("loss"),
        class_accuracy: classes.zip(confusion.class_accuracy()).collect(),
        seconds: run.times.total,
        train_images_per_second: run.times.examples as f64 / run.times.training.max(1e-9),
        waiting: run.times.waiting / run.times.training.max(1e-9),
        bad_images: [Some(run.train), run.validation, Some(run.test)]
            .into_iter()
            .flatten()
            .map(|loader| loader.faults().len())
            .sum(),
        parameters: trainer.net().parameter_count(),
        weights,
    };
    let words = in_words(&summary, &run, &files);
    Ok(Report { summary, words })
}

fn in_words(summary: &Summary, run: &Run<'_>, pictures: &[&str]) -> String {
    let mut lines = vec![String::new()];
    let (accuracy, loss) = (100.0 * summary.test_accuracy, summary.test_loss);
    let many = summary.class_accuracy.len() >= 20;
    let top5 = if many { format!("  top-5 {:.2} %", 100.0 * summary.test_top5) } else { String::new() };
    lines.push(format!("test accuracy {accuracy:.2} %{top5}  test loss {loss:.4}"));
    let shown: Vec<_> = summary.class_accuracy.iter().take(MOST_CLASSES).collect();
    let names: Vec<String> = shown.iter().map(|(class, _)| cell(class, 60)).collect();
    let longest = names.iter().map(|class| class.chars().count()).max().unwrap_or(0);
    for (class, (_, accuracy)) in names.iter().zip(shown) {
        lines.push(match accuracy {
            Some(accuracy) => format!("  {class:longest$}  {:6.2} %", 100.0 * accuracy),
            None => format!("  {class:longest$}  no test images"),
        });
    }
    let rate = summary.train_images_per_second;
    lines.push(format!(
        "time {}, {rate:.0} training images/s, {:.1} % of the time waiting for batches",
        clock(summary.seconds.round() as u64),
        100.0 * summary.waiting
    ));
    if summary.bad_images > 0 {
        lines.push(format!("{} images could not be read and were passed over", summary.bad_images));
    }
    lines.push(format!("{}:", run.folder.path().display()));
    lines.push("  model.safetensors  the weights after the last epoch".into());
    let best = super::best().of(&run.trainer.progress().history).filter(|_| run.config.validation.is_some());
    if let Some((row, accuracy)) = best {
        let (epoch, accuracy) = (row.epoch, 100.0 * accuracy);
        lines.push(format!(
            "  best.safetensors   those of epoch {epoch}, the best on the validation images: {accuracy:.2} %"
        ));
    }
    lines.push("  metrics.csv, config.json, checkpoint.safetensors".into());
    lines.push(format!("  {}", pictures.join(", ")));
    lines.join("\n")
}

/// The outputs for the test set, and the metrics. If the last epoch was evaluated on it, no other pass is needed.
fn tested(run: &Run<'_>) -> Result<(Tested, Metrics), Fault> {
    let trainer = run.trainer;
    if let (Some(tested), Some(last)) = (&run.tested, trainer.progress().history.last()) {
        let metrics =
            last.metrics.iter().filter_map(|(name, value)| Some((name.strip_prefix("test_")?, value)));
        return Ok((tested.clone(), metrics.collect()));
    }
    let mut tested = Tested::new(&run.spec.classes);
    let metrics = evaluate_with(trainer.evaluated(), trainer.task(), run.test, &mut |batch, first, y| {
        tested.add(batch, first, y)
    })?;
    Ok((tested, metrics))
}

/// Classes that a list or a confusion matrix has room for.
const MOST_CLASSES: usize = 40;

/// The pictures that suit the network; their names.
fn write_pictures(run: &Run<'_>, tested: &Tested) -> Result<Vec<&'static str>, Fault> {
    let Run { config, spec, folder, trainer, .. } = run;
    let title = |what: &str| format!("{what}: {} on {}", config.model.title(), config.dataset.title());
    let mut names = Vec::new();
    let mut save = |name: &'static str, png: Vec<u8>| {
        names.push(name);
        write_atomically(&folder.file(name), &png)
    };
    save(
        "curves.png",
        pictures::curves(&title("Training"), &trainer.progress().history, config.held_out())?,
    )?;
    if spec.classes.len() <= MOST_CLASSES {
        let counts = tested.confusion.rows().concat();
        let names = short_names(&spec.classes);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        save("confusion.png", pictures::confusion(&title("Test images"), &names, &counts)?)?;
    }
    save("mistakes.png", pictures::mistakes(&title("Worst mistakes"), &tested.mistakes)?)?;
    let net = trainer.evaluated();
    if let Some(first) = &tested.first
        && let Some((weight, features)) = first_convolution(spec, net, first)?
    {
        save("filters.png", pictures::filters(&title("First layer"), &weight, &features, first)?)?;
    }
    let few = spec.classes.len() <= MOST_CLASSES && [1, 3].contains(&spec.input.shape[0]);
    if config.model.network().is_some_and(|network| network.name == "linear") && few {
        let (weight, classes) = (weight_of(net, "fc.weight"), short_names(&spec.classes));
        save(
            "templates.png",
            pictures::templates(&title("Templates"), &classes, &weight, spec.input.shape)?,
        )?;
    }
    Ok(names)
}

/// The weight of the first convolution, and what it and its activation make of `image`; `None` if no convolution comes
/// before the image is flattened.
fn first_convolution(
    spec: &ModelSpec,
    net: &Graph,
    image: &Tensor,
) -> Result<Option<(Tensor, Tensor)>, Fault> {
    let is_convolution =
        |layer: &LayerSpec| matches!(layer, LayerSpec::Conv2d(_) | LayerSpec::Conv2dTable(_));
    let index = spec.layers.iter().position(|layer| is_convolution(&layer.layer));
    let Some(index) = index else { return Ok(None) };
    let weight = weight_of(net, &format!("{}.weight", spec.layers[index].name));
    // The next layer is mostly its activation.
    let seen = net.activations(image)?;
    let name = &spec.layers[index].name;
    let features = seen.iter().skip_while(|(path, _)| path != name).take(2).last();
    let features = features.map(|(_, features)| features.clone()).unwrap_or_default();
    Ok((features.shape().nchw().is_some_and(|[_, c, ..]| c == weight.shape().batch()))
        .then_some((weight, features)))
}

/// The value of a parameter that the network is known to have.
fn weight_of(net: &Graph, name: &str) -> Tensor {
    let found = net.tensors().into_iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value).unwrap_or_default()
}
