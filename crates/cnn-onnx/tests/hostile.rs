//! Damaged and hostile files: an error or a network, no panic, and memory in proportion to the file.
//!
//! The only test in its program, since the allocator counts the memory of all threads.
#![forbid(unsafe_code)]

mod common;

use cnn_onnx::{Onnx, OnnxError};
use peak_alloc::PeakAlloc;
use std::collections::BTreeMap;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes of memory for each byte of a file, and beyond those: layers with their shapes and names.
const FACTOR: usize = 512;
const CONSTANT: usize = 16 << 20;

fn import(file: &[u8]) -> Result<(), OnnxError> {
    Onnx::read(file.to_vec())?.import(&BTreeMap::new())?.build()?;
    Ok(())
}

fn try_to_import(file: &[u8]) -> Result<(), OnnxError> {
    cnn_tensor::release_unused_memory();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = import(file);
    let used = MEMORY.peak_usage().saturating_sub(before);
    assert!(used <= FACTOR * file.len() + CONSTANT, "{used} bytes for a file of {}", file.len());
    result
}

fn fixture(name: &str) -> Vec<u8> {
    common::model(common::cases().iter().find(|case| case["name"] == name).unwrap())
}

#[test]
fn hostile_files_are_refused_or_imported_in_proportion_to_their_length() {
    every_byte_may_be_wrong();
    small_files_that_stand_for_much_stay_small();
}

fn every_byte_may_be_wrong() {
    for name in ["shape_arithmetic", "size_arithmetic", "gemm", "pad_value", "conv_SAME_UPPER", "split_sizes"]
    {
        let file = fixture(name);
        assert!(try_to_import(&file).is_ok(), "{name}");
        for length in 0..file.len() {
            let _ = try_to_import(&file[..length]);
        }
        let mut changed = file.clone();
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0xff, file[at] ^ 1, file[at] ^ 0x80] {
                changed[at] = value;
                let _ = try_to_import(&changed);
            }
            changed[at] = file[at];
        }
        // Two wrong bytes, of which one may make the other one reachable.
        let mut random = 1u64;
        for _ in 0..2_000 {
            let mut places = [0; 4];
            for place in &mut places {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *place = (random >> 33) as usize;
            }
            let [a, b] = [places[0] % file.len(), places[1] % file.len()];
            (changed[a], changed[b]) = (places[2] as u8, places[3] as u8);
            let _ = try_to_import(&changed);
            (changed[a], changed[b]) = (file[a], file[b]);
        }
    }
}

/// A field of bytes, of at most 2^21 of them.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let length = [(length & 127 | 128) as u8, (length >> 7 & 127 | 128) as u8, (length >> 14) as u8];
    [&[tag << 3 | 2], &length[..], content].concat()
}

/// A model of opset 17 with this graph.
fn model(graph: &[u8]) -> Vec<u8> {
    [&[8, 8], &field(7, graph)[..], &field(8, &[16, 17])].concat()
}

fn node(op: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| field(1, name.as_bytes()));
    let node: Vec<u8> = inputs.chain(field(2, output.as_bytes())).chain(field(4, op.as_bytes())).collect();
    field(1, &node)
}

fn refusal(graph: &[u8]) -> String {
    try_to_import(&model(graph)).unwrap_err().to_string()
}

fn small_files_that_stand_for_much_stay_small() {
    // Empty messages.
    for tag in [1, 5, 11, 12] {
        let _ = try_to_import(&model(&[tag << 3 | 2, 0].repeat(100_000)));
    }
    // A graph that is no graph, and groups in groups.
    let _ = try_to_import(&model(&vec![0x0b; 100_000]));
    // A hundred thousand numbers, doubled by every node.
    let floats = field(4, &vec![0; 400_000]);
    let dims = [8, 0xa0, 0x8d, 6];
    let tensor = [&dims[..], &[16, 1], &floats, &field(8, b"v0")].concat();
    let axis = field(5, &[&field(1, b"axis")[..], &[24, 0, 0xa0, 1, 2]].concat());
    let mut graph = field(5, &tensor);
    for i in 0..40 {
        let (x, y) = (format!("v{i}"), format!("v{}", i + 1));
        let double = node("Concat", &[&x, &x], &y);
        graph.extend(field(1, &[&double[4..], &axis[..]].concat()));
    }
    assert!(refusal(&graph).contains("times those of the file"), "{}", refusal(&graph));
    // Names used twice, cycles, values of no node.
    let twice = [node("Relu", &["x"], "y"), node("Relu", &["x"], "y")].concat();
    assert_eq!(refusal(&twice), "the value y is there twice");
    let cycle = [node("Relu", &["b"], "a"), node("Relu", &["a"], "b")].concat();
    assert!(refusal(&cycle).starts_with("the nodes form a cycle through "), "{}", refusal(&cycle));
    assert_eq!(refusal(&node("Relu", &["x"], "y")), "node : no node makes x");
    // A chain of nodes as deep as the file is long.
    let chain: Vec<u8> =
        (0..20_000).rev().flat_map(|i| node("Relu", &[&format!("{}", i + 1)], &format!("{i}"))).collect();
    let _ = try_to_import(&model(&chain));
}
