//! What happens to images before they are normalised: the presets of `--augment`, and what a test does.

use crate::fault::Fault;
use cnn_data::transform::{HorizontalFlip, Pipeline, Transform, TransformSpec};
use cnn_data::{Crops, Mix};
use std::path::Path;

/// A preset of `--augment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Nothing at random.
    None,
    /// Left and right exchanged half of the time.
    Flip,
}

/// The transforms of a preset or of a JSON file, for images brought to `size` (their own, if `None`).
pub fn training(wanted: &str, size: Option<usize>, photos: bool) -> Result<Pipeline, Fault> {
    let Ok(preset) = <Preset as clap::ValueEnum>::from_str(wanted, true) else {
        return read(Path::new(wanted));
    };
    let steps: Vec<TransformSpec> = match preset {
        Preset::None => return Ok(test(size, photos)),
        Preset::Flip => vec![HorizontalFlip::default().into()],
    };
    Ok(Pipeline::new(test(size, photos).steps().iter().cloned().chain(steps))?)
}

/// The list of transforms in a JSON file.
fn read(file: &Path) -> Result<Pipeline, Fault> {
    let presets: Vec<_> = <Preset as clap::ValueEnum>::value_variants()
        .iter()
        .filter_map(clap::ValueEnum::to_possible_value)
        .collect();
    let names: Vec<&str> = presets.iter().map(clap::builder::PossibleValue::get_name).collect();
    let fault = |e: &dyn std::fmt::Display| {
        Fault::usage(format!(
            "--augment: expected one of {}, or a JSON file with a list of transforms; {}: {e}",
            names.join(", "),
            file.display()
        ))
    };
    let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
    let pipeline: Pipeline = serde_json::from_str(&text).map_err(|e| fault(&e))?;
    pipeline.validate().map_err(|e| fault(&e))?;
    Ok(pipeline)
}

/// What is done to test images.
pub fn test(size: Option<usize>, photos: bool) -> Pipeline {
    let _ = (size, photos);
    Pipeline::default()
}

/// What is done to test images before so many crops are taken, and the crops.
pub fn crops(count: &str, size: Option<usize>) -> Result<(Pipeline, Option<Crops>), Fault> {
    let side =
        size.ok_or_else(|| Fault::usage("--crops: expected --size, the height and width of a crop"))?;
    let size = [side, side];
    Ok(match count {
        "5" => (Pipeline::default(), Some(Crops::Five { size })),
        "10" => (Pipeline::default(), Some(Crops::Ten { size })),
        _ => (test(Some(side), true), None),
    })
}

/// `mixup:ALPHA` or `cutmix:ALPHA`; `none` for neither.
pub fn mix(wanted: &str) -> Result<Option<Mix>, Fault> {
    let fault = || Fault::usage(format!("--mix: expected none, mixup:ALPHA or cutmix:ALPHA, got {wanted}"));
    if wanted == "none" {
        return Ok(None);
    }
    let (kind, alpha) = wanted.split_once(':').ok_or_else(fault)?;
    let alpha: f32 = alpha.parse().map_err(|_| fault())?;
    match kind {
        "mixup" => Ok(Some(Mix::Mixup { alpha })),
        "cutmix" => Ok(Some(Mix::CutMix { alpha })),
        _ => Err(fault()),
    }
}
