//! The options `--augment` and `--mix`.

use crate::fault::Fault;
use cnn_data::transform::{self, Frame, Pipeline, Preset};
use cnn_data::{DataError, Mix};
use cnn_tensor::text::one_line;

/// The transforms of a preset or of a JSON file.
pub fn training(wanted: &str, frame: Frame) -> Result<Pipeline, Fault> {
    transform::training(wanted, frame).map_err(|fault| {
        Fault::usage(match fault {
            DataError::Setting { what: "the augmentation", rule, got } => {
                format!("--augment: expected {rule}, got {}", one_line(got))
            }
            fault => format!("--augment: {fault}"),
        })
    })
}

/// The help of `--augment`, with its presets.
pub fn presets() -> String {
    let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    format!(
        "What is done to training images at random: {}; or a JSON file with a list of transforms",
        names.join(", ")
    )
}

/// `mixup:ALPHA` or `cutmix:ALPHA`; `none` for neither.
pub fn mix(wanted: &str) -> Result<Option<Mix>, Fault> {
    match wanted {
        "none" => Ok(None),
        _ => wanted.parse().map(Some).map_err(|_| {
            Fault::usage(format!("--mix: expected none, mixup:ALPHA or cutmix:ALPHA, got {wanted}"))
        }),
    }
}
