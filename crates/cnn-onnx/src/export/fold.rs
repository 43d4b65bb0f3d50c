//! Batch normalisation folded into the layer before it.
//!
//! `gamma (W x + b - mean) / sqrt(var + eps) + beta` is a layer with the weight `s W` and the bias `s (b - mean) + beta`, where
//! `s = gamma / sqrt(var + eps)`.

use cnn_nn::spec::LayerSpec;
use cnn_nn::{Part, Role};
use cnn_tensor::Tensor;
use std::collections::HashMap;

/// A layer and the batch normalisation that it takes in.
pub struct Fold {
    /// The numbers of both parts.
    pub layer: usize,
    pub norm: usize,
    pub weight: Tensor,
    pub bias: Tensor,
}

/// All normalisations that are the only readers of a convolution or dense layer. `outputs` are the values that the graph gives.
pub fn folds(parts: &[Part<'_>], outputs: &[usize]) -> Vec<Fold> {
    let mut readers: HashMap<usize, usize> = HashMap::new();
    let reads = parts.iter().flat_map(|part| part.reads.iter().map(|&(value, _)| value));
    reads.chain(outputs.iter().copied()).for_each(|value| *readers.entry(value).or_default() += 1);
    let mut owners: HashMap<&str, usize> = HashMap::new();
    parts.iter().for_each(|part| *owners.entry(part.owner).or_default() += 1);
    let maker: HashMap<usize, usize> = parts
        .iter()
        .enumerate()
        .flat_map(|(i, part)| part.makes.iter().map(move |&(value, _)| (value, i)))
        .collect();
    let mut folds = Vec::new();
    for (norm, part) in parts.iter().enumerate() {
        let (LayerSpec::BatchNorm1d(spec) | LayerSpec::BatchNorm2d(spec)) = part.layer else { continue };
        let value = part.reads[0].0;
        let Some(&layer) = maker.get(&value).filter(|_| readers[&value] == 1) else { continue };
        let before = &parts[layer];
        let is_alone = owners[before.owner] == 1;
        let takes = match before.layer {
            LayerSpec::Conv2d(_) => true,
            LayerSpec::Linear(linear) => !linear.steps,
            _ => false,
        };
        if takes
            && is_alone
            && let Some((weight, bias)) = folded(before, part, spec.eps)
        {
            folds.push(Fold { layer, norm, weight, bias });
        }
    }
    folds
}

fn folded(layer: &Part<'_>, norm: &Part<'_>, eps: f64) -> Option<(Tensor, Tensor)> {
    let mut weight = layer.tensor("weight")?.clone();
    let (mean, var) = (norm.tensor("running_mean")?.data(), norm.tensor("running_var")?.data());
    let channels = mean.len();
    let number =
        |tensor: Option<&Tensor>, i: usize, default: f64| tensor.map_or(default, |t| t.data()[i].into());
    let (gamma, beta, own) = (norm.tensor("weight"), norm.tensor("bias"), layer.tensor("bias"));
    let mut bias = Tensor::zeros([channels]);
    let rows = weight.data().len() / channels.max(1);
    for i in 0..channels {
        let scale = number(gamma, i, 1.0) / (f64::from(var[i]) + eps).sqrt();
        weight.data_mut()[i * rows..][..rows].iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        let shifted = (number(own, i, 0.0) - f64::from(mean[i])) * scale + number(beta, i, 0.0);
        bias.data_mut()[i] = shifted as f32;
    }
    Some((weight, bias))
}

impl Fold {
    /// The layer's tensors, as a part lists them.
    pub fn tensors(&self) -> Vec<(String, Role, &Tensor)> {
        [("weight", &self.weight), ("bias", &self.bias)]
            .map(|(name, tensor)| (name.to_string(), Role::Parameter, tensor))
            .into()
    }
}
