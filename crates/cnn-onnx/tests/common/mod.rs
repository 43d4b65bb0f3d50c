//! The cases that `xtask/peers/onnx_nodes.py` writes.

use serde_json::Value;

/// All cases.
pub fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../fixtures/nodes.json")).unwrap()
}

/// The model of a case.
pub fn model(case: &Value) -> Vec<u8> {
    let digits = case["model"].as_str().unwrap().as_bytes().as_chunks::<2>().0;
    digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
