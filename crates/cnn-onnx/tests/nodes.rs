//! Single operators with their options, against onnxruntime. The fixture is written by `xtask/peers/onnx_nodes.py`.

mod common;

use cnn_nn::Layer;
use cnn_onnx::{Onnx, OnnxError};
use cnn_tensor::{Shape, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// The script's noise in [-2, 2).
fn noise(shape: &[usize], seed: u64) -> Tensor {
    let numel: usize = shape.iter().product();
    let value = |i: u64| ((i + 7919 * seed) * 2_654_435_761 % (1 << 32)) >> 20;
    let values = (0..numel as u64).map(|i| value(i) as f32 / 1024.0 - 2.0).collect();
    Tensor::from_vec(Shape::new(shape).unwrap(), values).unwrap()
}

fn dims(shape: &Value) -> Vec<usize> {
    shape.as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap() as usize).collect()
}

/// What the network of the case makes of its inputs.
fn run(case: &Value) -> Result<Vec<Tensor>, OnnxError> {
    let file = Onnx::read(common::model(case))?;
    let inputs = case["inputs"].as_array().unwrap().iter().enumerate();
    let inputs: Vec<Tensor> = inputs.map(|(i, shape)| noise(&dims(shape), i as u64)).collect();
    let net = file.import(&BTreeMap::new())?.build()?;
    Ok(Layer::infer(&net, inputs.into_iter().collect())?.into_iter().collect())
}

#[test]
fn single_nodes_agree_with_onnxruntime() {
    let cases = common::cases();
    let mut faults = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let outputs = match run(case) {
            Ok(outputs) => outputs,
            Err(fault) => {
                faults.push(format!("{name}: {fault}"));
                continue;
            }
        };
        let wanted = case["outputs"].as_array().unwrap();
        assert_eq!(outputs.len(), wanted.len(), "{name}");
        for (got, wanted) in outputs.iter().zip(wanted) {
            let values: Vec<f32> =
                wanted["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let scale = values.iter().fold(1e-3f32, |largest, v| largest.max(v.abs()));
            // A NaN is not close.
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 2e-6 * scale;
            if got.shape().dims() != dims(&wanted["shape"]) || !got.data().iter().zip(&values).all(close) {
                faults.push(format!("{name}: expected {values:?}, got {} {:?}", got.shape(), got.data()));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
    assert!(cases.len() >= 120, "the fixture is whole");
}
