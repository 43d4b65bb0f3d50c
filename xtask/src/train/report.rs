//! What a finished run leaves behind: weights, pictures, and the words that close it.

use super::Config;
use super::console::{clock, save_model};
use super::folder::{Folder, Times};
use crate::fault::{Fault, note, print};
use crate::models::ModelName;
use crate::pictures::{self, Mistake};
use cnn_data::{Dataset, Examples, Loader};
use cnn_nn::checkpoint::write_atomically;
use cnn_nn::{Layer, Sequential, Trainer, evaluate};
use cnn_ops::softmax::softmax;
use cnn_tensor::{Tensor, parallel};
use serde::Serialize;
use std::path::PathBuf;

/// A run that has reached its last epoch.
pub struct Run<'a> {
    pub config: &'a Config,
    pub folder: &'a Folder,
    pub trainer: &'a Trainer,
    pub test: &'a Dataset,
    pub test_loader: &'a Loader,
    pub threads: usize,
    pub train_images: usize,
    pub times: Times,
    pub json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    model: String,
    dataset: &'static str,
    epochs: usize,
    batch_size: usize,
    seed: u64,
    threads: usize,
    train_images: usize,
    test_images: usize,
    /// 0 to 1.
    test_accuracy: f64,
    test_loss: f64,
    /// 0 to 1, by class.
    class_accuracy: Vec<(String, Option<f64>)>,
    seconds: f64,
    /// Images trained on per second of training, evaluation left out.
    train_images_per_second: f64,
    parameters: usize,
    weights: PathBuf,
}

/// Writes the weights and the pictures, and prints the summary.
pub fn write(run: Run<'_>) -> Result<(), Fault> {
    let Run { config, folder, trainer, .. } = run;
    let weights = folder.file("model.safetensors");
    save_model(config, trainer, &weights)?;
    let evaluation = evaluate(trainer.evaluated(), run.test_loader)?;
    let files = write_pictures(&run, &evaluation.confusion)?;
    let classes = run.test.classes().iter().cloned();
    let summary = Summary {
        model: config.model.spec(config.dataset).name,
        dataset: config.dataset.name(),
        epochs: config.epochs,
        batch_size: config.batch_size,
        seed: config.seed,
        threads: run.threads,
        train_images: run.train_images,
        test_images: run.test.len(),
        test_accuracy: evaluation.accuracy,
        test_loss: evaluation.loss,
        class_accuracy: classes.zip(evaluation.confusion.class_accuracy()).collect(),
        seconds: run.times.total,
        train_images_per_second: run.times.images as f64 / run.times.training.max(1e-9),
        parameters: trainer.net().parameter_count(),
        weights,
    };
    let words = in_words(&summary, &run, &files);
    if run.json {
        note(words);
        print(serde_json::to_string(&summary)?);
    } else {
        print(words);
    }
    Ok(())
}

fn in_words(summary: &Summary, run: &Run<'_>, pictures: &[&str]) -> String {
    let mut lines = vec![String::new()];
    let (accuracy, loss) = (100.0 * summary.test_accuracy, summary.test_loss);
    lines.push(format!("test accuracy {accuracy:.2} %  test loss {loss:.4}"));
    let longest = summary.class_accuracy.iter().map(|(class, _)| class.len()).max().unwrap_or(0);
    for (class, accuracy) in &summary.class_accuracy {
        lines.push(match accuracy {
            Some(accuracy) => format!("  {class:longest$}  {:6.2} %", 100.0 * accuracy),
            None => format!("  {class:longest$}  no test images"),
        });
    }
    let rate = summary.train_images_per_second;
    lines.push(format!("time {}, {rate:.0} training images/s", clock(summary.seconds.round() as u64)));
    let history = &run.trainer.progress().history;
    let best = history.iter().fold(None::<&cnn_nn::EpochReport>, |best, row| match best {
        Some(best) if best.test_accuracy >= row.test_accuracy => Some(best),
        _ => Some(row),
    });
    lines.push(format!("{}:", run.folder.path().display()));
    lines.push("  model.safetensors  the weights after the last epoch".into());
    if let Some(best) = best {
        let accuracy = 100.0 * best.test_accuracy;
        lines.push(format!(
            "  best.safetensors   those of epoch {}, the best on the test set: {accuracy:.2} %",
            best.epoch
        ));
    }
    lines.push("  metrics.csv, config.json, checkpoint.safetensors".into());
    lines.push(format!("  {}", pictures.join(", ")));
    lines.join("\n")
}

/// The pictures that suit the network; their names.
fn write_pictures(run: &Run<'_>, confusion: &cnn_nn::Confusion) -> Result<Vec<&'static str>, Fault> {
    let Run { config, folder, trainer, test, .. } = run;
    let title = |what: &str| format!("{what}: {} on {}", config.model.title(), config.dataset.title());
    let mut names = Vec::new();
    let mut save = |name: &'static str, png: Vec<u8>| {
        names.push(name);
        write_atomically(&folder.file(name), &png)
    };
    save("curves.png", pictures::curves(&title("Training"), &trainer.progress().history)?)?;
    let counts = confusion.rows().concat();
    save("confusion.png", pictures::confusion(&title("Test images"), test.classes(), &counts)?)?;
    let mistakes = mistakes(run)?;
    save("mistakes.png", pictures::mistakes(&title("Worst mistakes"), &mistakes)?)?;
    match config.model {
        ModelName::Lenet | ModelName::LenetTanh | ModelName::Lenet1998 => {
            // The last layer whose output is shown is the activation after the first convolution.
            let (weight, layers) = match config.model {
                ModelName::Lenet1998 => ("c1.weight", 3),
                _ => ("conv1.weight", 2),
            };
            let image = test_images(run, 0, 1)?;
            let (weight, features) = first_layer(trainer.evaluated(), &image, weight, layers)?;
            save("filters.png", pictures::filters(&title("First layer"), &weight, &features, &image)?)?;
        }
        ModelName::Linear => {
            let weight = weight_of(trainer.evaluated(), "fc.weight");
            let png = pictures::templates(&title("Templates"), test.classes(), &weight, [28, 28])?;
            save("templates.png", png)?;
        }
        ModelName::Mlp => {}
    }
    Ok(names)
}

/// The parameter `weight`, and what the first `layers` layers make of `image`.
fn first_layer(
    net: &Sequential,
    image: &Tensor,
    weight: &str,
    layers: usize,
) -> Result<(Tensor, Tensor), Fault> {
    let features = net.layers().take(layers).try_fold(image.clone(), |x, (_, layer)| layer.infer(&x))?;
    Ok((weight_of(net, weight), features))
}

/// The value of a parameter that the network is known to have.
fn weight_of(net: &Sequential, name: &str) -> Tensor {
    let found = net.tensors().into_iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// Test images `start..end` as the network sees them.
fn test_images(run: &Run<'_>, start: usize, end: usize) -> Result<Tensor, Fault> {
    let [_, c, h, w] = run.test.shape();
    let each = c * h * w;
    let normalize = run.config.normalize()?;
    Ok(normalize.tensor([end - start, c, h, w], &run.test.images()[start * each..end * each])?)
}

/// Every misclassified test image, the surest mistake first.
fn mistakes(run: &Run<'_>) -> Result<Vec<Mistake>, Fault> {
    const PIECE: usize = 64;
    let count = run.test.len();
    let pieces = parallel::map(count.div_ceil(PIECE), |piece| -> Result<Vec<Mistake>, Fault> {
        let (start, end) = (piece * PIECE, count.min((piece + 1) * PIECE));
        let x = test_images(run, start, end)?;
        let probabilities = softmax(&run.trainer.evaluated().infer(&x)?)?;
        let predictions = cnn_nn::metrics::top1(&probabilities);
        let classes = run.test.classes();
        let wrong = predictions.iter().enumerate().filter(|&(i, &p)| p != run.test.label(start + i));
        let mistake = |(i, &prediction): (usize, &u32)| Mistake {
            image: x.slice_batch(i, i + 1),
            truth: classes[run.test.label(start + i) as usize].clone(),
            predicted: classes[prediction as usize].clone(),
            probability: probabilities.data()[i * classes.len() + prediction as usize],
        };
        Ok(wrong.map(mistake).collect())
    });
    let mut mistakes = Vec::new();
    for piece in pieces {
        mistakes.extend(piece?);
    }
    mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    Ok(mistakes)
}
