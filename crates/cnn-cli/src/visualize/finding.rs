//! The numbers that a method found.

use cnn_nn::explain::is_zero;
use cnn_tensor::Tensor;
use cnn_tensor::text::one_line;
use serde::Serialize;
use serde_json::{Map, Value};

/// An object of `--json`, and a line of the other output.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Finding {
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The explained class: its name, number from 0, and score before any softmax.
    #[serde(flatten)]
    pub class: Option<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The number of a feature map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<usize>,
    #[serde(flatten)]
    pub numbers: Option<Numbers>,
    /// Fields of this method alone.
    #[serde(flatten)]
    pub more: Map<String, Value>,
    pub picture: String,
    /// The rest of the line for people.
    #[serde(skip)]
    pub remark: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Class {
    pub class: String,
    pub class_number: usize,
    pub score: f32,
    /// By the softmax over all scores.
    pub probability: f32,
}

/// A map in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    pub shape: Vec<usize>,
    pub sum: f64,
    pub min: f32,
    pub max: f32,
    /// Whether what is drawn is zero everywhere.
    pub zero: bool,
}

impl Numbers {
    /// The numbers of a map, of which `drawn` is the part in the picture.
    pub fn of(map: &Tensor, drawn: &Tensor) -> Self {
        let data = map.data();
        Self {
            shape: map.shape().dims()[1..].to_vec(),
            sum: data.iter().map(|&v| f64::from(v)).sum(),
            min: data.iter().copied().reduce(f32::min).unwrap_or(0.0),
            max: data.iter().copied().reduce(f32::max).unwrap_or(0.0),
            zero: is_zero(drawn),
        }
    }

    /// For a picture: the sum and the extremes.
    pub fn note(&self) -> String {
        format!("sum {}, {} to {}", short(self.sum), short(self.min.into()), short(self.max.into()))
    }
}

/// A number for a picture: three digits or a little more, with a typographic sign.
pub fn short(number: f64) -> String {
    let places = match number.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    // The sum with zero turns a negative zero into a positive one.
    format!("{:.places$}", number + 0.0).replace('-', "\u{2212}")
}

impl Finding {
    /// The line for people.
    pub fn line(&self) -> String {
        let mut line = self.method.clone();
        if let Some(Class { class, score, .. }) = &self.class {
            line += &format!(" of {} (score {score:.3})", one_line(class));
        }
        if let Some(layer) = &self.layer {
            line += &format!(" at {layer}");
        }
        if let Some(map) = self.map {
            line += &format!(", map {map}");
        }
        if let Some(Numbers { sum, min, max, zero, .. }) = &self.numbers {
            line += &format!(": sum {sum:.4}, from {min:.4} to {max:.4}");
            if *zero {
                line += ". The map is zero everywhere: it shows nothing";
            }
        }
        line + &self.remark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_pictures_are_short() {
        let shown = [1234.5, -12.34, 1.234, 0.0123, -0.0].map(short);
        assert_eq!(shown, ["1234", "\u{2212}12.3", "1.23", "0.012", "0.000"]);
    }
}
