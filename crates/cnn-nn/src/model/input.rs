//! The input of a model, and the preprocessing of pictures.

use crate::NnError;
use cnn_ops::Pair;
use serde::{Deserialize, Serialize};

/// The input of a model: images of one shape, normalised as `(v - mean) / std` with `v` in `[0, 1]`, and the preprocessing that
/// makes such an image of a picture of any size. It is part of a model's file, so that training, tests and predictions treat
/// pictures alike.
///
/// ```
/// use cnn_nn::{Input, Preprocess};
/// let photos = Input::new([3, 224, 224], &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
/// assert_eq!(photos.preprocess, Preprocess::ResizeCrop { resize: 256 });
/// let digits = Input::new([1, 28, 28], &[0.1307], &[0.3081]);
/// assert_eq!(digits.preprocess, Preprocess::Digit);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "InFile")]
pub struct Input {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The mean of each channel.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel.
    pub std: Vec<f32>,
    /// The preprocessing that makes an image of that height and width.
    pub preprocess: Preprocess,
}

/// The preprocessing that makes an image of the model's height and width from a picture of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocess {
    /// The shorter side is scaled to `resize` pixels, and the middle is cut out. A picture that already has that height and width
    /// is not changed if `resize` is its shorter side.
    ResizeCrop {
        /// The length of the shorter side in pixels; at least the longer side of the part that is cut out.
        resize: usize,
    },
    /// The picture shows one digit, dark on light or light on dark. It is brought into the form of MNIST's images: 28 x 28,
    /// bright on black, 20 pixels high or wide, its centre of mass in the middle. A picture in that form is not changed.
    Digit,
}

impl Preprocess {
    /// The usual preprocessing for images of `[c, h, w]`. Gray images of 28 x 28 pixels are digits. Images of 32 x 32 or less are
    /// used whole. Of larger ones, 7/8 of the scaled side are cut out, as 224 of 256.
    pub fn usual([c, h, w]: [usize; 3]) -> Self {
        let side = h.max(w);
        match (c, h, w) {
            (1, 28, 28) => Self::Digit,
            _ if side <= 32 => Self::ResizeCrop { resize: side },
            _ => Self::ResizeCrop { resize: Self::short_side([h, w]) },
        }
    }

    /// The length to which a photo's shorter side is scaled before `[h, w]` is cut out: 256 for 224 and 227, in proportion for
    /// others, and never less than the longer side of the part that is cut out.
    pub fn short_side([h, w]: [usize; 2]) -> usize {
        let side = h.max(w);
        (side.saturating_mul(8) / 7 / 8 * 8).max(side)
    }
}

impl Input {
    /// Images of `shape` `[c, h, w]`, with the [usual](Preprocess::usual) preprocessing.
    pub fn new(shape: [usize; 3], mean: &[f32], std: &[f32]) -> Self {
        let preprocess = Preprocess::usual(shape);
        Self { shape, mean: mean.to_vec(), std: std.to_vec(), preprocess }
    }

    /// Grayscale images of `height x width`.
    pub fn gray(height: usize, width: usize, mean: f32, std: f32) -> Self {
        Self::new([1, height, width], &[mean], &[std])
    }

    /// The same input for images of another height and width, with the [usual](Preprocess::usual) preprocessing.
    #[must_use]
    pub fn with_size(self, size: impl Pair) -> Self {
        let [h, w] = size.pair();
        let shape = [self.shape[0], h, w];
        Self { shape, preprocess: Preprocess::usual(shape), ..self }
    }

    /// Checks the input.
    ///
    /// # Errors
    /// An extent is 0, there is not one mean and one standard deviation above 0 for each channel, or the preprocessing does
    /// not give images of that shape.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { shape, mean, std, preprocess } = self;
        if shape.contains(&0) {
            let rule = "at least one channel, row and column";
            return Err(NnError::Setting { what: "the input", rule, got: format!("{shape:?}") });
        }
        let sound =
            |v: &[f32], ok: fn(f32) -> bool| v.len() == shape[0] && v.iter().all(|&v| v.is_finite() && ok(v));
        if !sound(mean, |_| true) || !sound(std, |v| v > 0.0) {
            let got = format!("means {mean:?} and standard deviations {std:?} for {} channels", shape[0]);
            let rule = "a mean and a standard deviation above 0 for each channel";
            return Err(NnError::Setting { what: "the normalisation", rule, got });
        }
        let (what, got) = ("the preprocessing", format!("{preprocess:?} for {shape:?}"));
        match *preprocess {
            Preprocess::Digit if *shape != [1, 28, 28] => {
                Err(NnError::Setting { what, rule: "a digit only for images of [1, 28, 28]", got })
            }
            Preprocess::ResizeCrop { resize } if resize < shape[1].max(shape[2]) => {
                let rule = "a shorter side at least as long as the longer side of the part that is cut out";
                Err(NnError::Setting { what, rule, got })
            }
            _ => Ok(()),
        }
    }
}

/// The fields of a file. Version 0.1.0 wrote `deviation` for `std`, and no preprocessing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    shape: [usize; 3],
    mean: Vec<f32>,
    #[serde(alias = "deviation")]
    std: Vec<f32>,
    preprocess: Option<Preprocess>,
}

impl From<InFile> for Input {
    fn from(InFile { shape, mean, std, preprocess }: InFile) -> Self {
        let preprocess = preprocess.unwrap_or_else(|| Preprocess::usual(shape));
        Self { shape, mean, std, preprocess }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_preprocessing_get_the_usual_one() {
        let read = |json: &str| serde_json::from_str::<Input>(json);
        let old = read(r#"{"shape": [1, 28, 28], "mean": [0.1], "deviation": [0.3]}"#).unwrap();
        assert_eq!(old, Input { preprocess: Preprocess::Digit, ..Input::gray(28, 28, 0.1, 0.3) });
        let side = |json| match read(json).unwrap().preprocess {
            Preprocess::ResizeCrop { resize } => resize,
            Preprocess::Digit => 0,
        };
        assert_eq!(side(r#"{"shape": [3, 32, 32], "mean": [], "std": []}"#), 32);
        assert_eq!(side(r#"{"shape": [3, 64, 64], "mean": [], "std": []}"#), 72);
        assert_eq!(side(r#"{"shape": [3, 227, 227], "mean": [], "std": []}"#), 256);
        let given =
            r#"{"shape":[1,2,2],"mean":[0.5],"std":[1.0],"preprocess":{"type":"resize_crop","resize":9}}"#;
        let input = read(given).unwrap();
        assert_eq!(input.preprocess, Preprocess::ResizeCrop { resize: 9 });
        assert_eq!(serde_json::to_string(&input).unwrap(), given);
        assert!(read(r#"{"shape": [1, 2, 2], "mean": [], "std": [], "crop": 2}"#).is_err());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let message = |input: Input| input.validate().unwrap_err().to_string();
        let sound = Input::gray(4, 6, 0.5, 0.25);
        sound.validate().unwrap();
        assert!(message(Input { shape: [1, 0, 6], ..sound.clone() }).starts_with("the input must be"));
        assert!(message(Input { std: vec![0.0], ..sound.clone() }).contains("standard deviation above 0"));
        assert!(message(Input { mean: vec![f32::NAN], ..sound.clone() }).contains("a mean and"));
        let digit = Input { preprocess: Preprocess::Digit, ..sound.clone() };
        assert!(message(digit).ends_with("a digit only for images of [1, 28, 28], got Digit for [1, 4, 6]"));
        let small = Preprocess::ResizeCrop { resize: 5 };
        assert!(message(Input { preprocess: small, ..sound }).contains("the part that is cut out"));
        assert!(Preprocess::short_side([usize::MAX, 1]) == usize::MAX);
    }
}
