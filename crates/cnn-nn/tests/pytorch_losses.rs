//! Every loss against PyTorch, over its options: the loss and its gradient.
//!
//! PyTorch's results are in `fixtures/losses.safetensors`, written by `xtask/peers/losses.py`, which describes the contents.
#![forbid(unsafe_code)]

mod parity;

use cnn_ops::losses::{BceWithLogits, Huber, L1, MapLoss, Mse, MultiMargin, SmoothL1};
use cnn_ops::{CrossEntropy, Loss, OpError};
use cnn_tensor::{Shape, Tensor};
use parity::{Computed, Fixture, Numbers, assert_same};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    kind: String,
    options: Value,
    target: Target,
    /// The shape of `x`.
    x: Vec<usize>,
    /// The largest magnitude of an `x`.
    scale: f32,
    seed: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    Labels(Vec<u32>),
    Numbers(Vec<Vec<f32>>),
}

impl Target {
    fn labels(&self) -> &[u32] {
        match self {
            Self::Labels(labels) => labels,
            Self::Numbers(_) => panic!("this loss has labels"),
        }
    }

    /// As a tensor.
    fn numbers(&self, shape: Shape) -> Tensor {
        match self {
            Self::Labels(_) => panic!("this loss has no labels"),
            Self::Numbers(rows) => Tensor::from_vec(shape, rows.concat()).unwrap(),
        }
    }
}

impl Case {
    fn name(&self) -> String {
        format!("{} {} on {:?}", self.kind, self.options, self.x)
    }

    fn options<L: DeserializeOwned>(&self) -> L {
        serde_json::from_value(self.options.clone())
            .unwrap_or_else(|fault| panic!("{}: {fault}", self.name()))
    }

    /// The reduced loss and its gradient.
    fn loss(&self, x: &Tensor) -> Result<(f64, Tensor), OpError> {
        let labels = || self.target.labels();
        let numbers = || self.target.numbers(x.shape());
        match (self.kind.as_str(), &self.target) {
            ("cross_entropy", Target::Labels(labels)) => self.options::<CrossEntropy>().loss(x, &labels[..]),
            ("cross_entropy", Target::Numbers(_)) => self.options::<CrossEntropy>().loss(x, &numbers()),
            ("bce_with_logits", _) => self.options::<BceWithLogits>().loss(x, &numbers()),
            ("mse", _) => self.options::<Mse>().loss(x, &numbers()),
            ("l1", _) => self.options::<L1>().loss(x, &numbers()),
            ("smooth_l1", _) => self.options::<SmoothL1>().loss(x, &numbers()),
            ("huber", _) => self.options::<Huber>().loss(x, &numbers()),
            ("multi_margin", _) => self.options::<MultiMargin>().loss(x, labels()),
            ("map_loss", _) => self.options::<MapLoss>().loss(x, labels()),
            (kind, _) => panic!("no loss {kind}"),
        }
    }

    fn compute(&self) -> Result<Computed, String> {
        let x = Numbers(self.seed).tensor(Shape::new(&self.x).unwrap(), self.scale);
        let (loss, dx) = self.loss(&x).map_err(|fault| fault.to_string())?;
        Ok(vec![("loss".into(), vec![loss as f32]), ("dx".into(), dx.data().to_vec())])
    }
}

#[test]
fn losses_are_pytorchs() {
    let fixture = Fixture::<Case>::load("losses");
    assert_same(&fixture, Case::name, Case::compute);
    let mut counts = BTreeMap::new();
    fixture.cases().for_each(|(case, _)| *counts.entry(case.kind.as_str()).or_insert(0) += 1);
    assert!(counts.len() == 8 && counts.values().all(|&count| count >= 10), "{counts:?}");
}
