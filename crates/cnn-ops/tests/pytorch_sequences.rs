//! The operations on sequences against PyTorch: outputs and every gradient.
//!
//! PyTorch's numbers are in `fixtures/sequences.safetensors`, written by `xtask/peers/sequences.py`, which describes the file.
#![forbid(unsafe_code)]

use cnn_ops::{Embedding, Gru, Lstm, MatMul, WeightGradients, Weights, gru, lstm, masked_softmax};
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::{Shape, Tensor};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Error allowed, relative to the largest magnitude in the tensor.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Case {
    seed: u64,
    /// The names of what the fixture holds.
    tensors: Vec<String>,
    #[serde(flatten)]
    op: Op,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Op {
    Lstm(Recurrent),
    Gru(Recurrent),
    Embedding {
        indices: Vec<usize>,
        weight: Vec<usize>,
        padding_idx: Option<usize>,
    },
    #[serde(rename = "matmul")]
    MatMul {
        a: Vec<usize>,
        b: Vec<usize>,
        transpose_a: bool,
        transpose_b: bool,
    },
    MaskedSoftmax {
        x: Vec<usize>,
        mask: Vec<usize>,
    },
}

#[derive(Debug, Deserialize)]
struct Recurrent {
    /// `n t d h`.
    extents: [usize; 4],
    reverse: bool,
    bias: bool,
    initial: bool,
    lengths: Option<Vec<usize>>,
}

/// Knuth's 64-bit linear congruential generator.
struct Numbers(u64);

impl Numbers {
    /// A whole number from -2^23 to 2^23 - 1: the upper 24 bits.
    fn whole(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as i32 - (1 << 23)
    }

    /// A tensor within 1.
    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        self.tensor_of(shape, |whole| whole as f32 / (1 << 23) as f32)
    }

    fn tensor_of(&mut self, shape: &[usize], f: impl Fn(i32) -> f32) -> Tensor {
        let mut tensor = Tensor::zeros(Shape::new(shape).unwrap());
        tensor.data_mut().fill_with(|| f(self.whole()));
        tensor
    }
}

/// The cases and PyTorch's numbers for each. A file of safetensors is the length of a header, the header in JSON, and the
/// numbers, whose places it says.
fn fixture() -> Vec<(Case, Vec<f32>)> {
    #[derive(Deserialize)]
    struct Place {
        data_offsets: [usize; 2],
    }
    #[derive(Deserialize)]
    struct About {
        cases: Vec<Case>,
    }
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sequences.safetensors"));
    let file = file.unwrap();
    let (length, rest) = file.split_first_chunk().unwrap();
    let (header, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
    let about = header.remove("__metadata__").unwrap();
    let about: About = serde_json::from_str(about["cnn"].as_str().unwrap()).unwrap();
    assert_eq!(about.cases.len(), header.len(), "a tensor for each case");
    let tensors = header.into_values().map(|place| {
        let Place { data_offsets: [start, end] } = serde_json::from_value(place).unwrap();
        numbers[start..end].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    });
    // The names are the cases' numbers, of as many digits each.
    about.cases.into_iter().zip(tensors).collect()
}

/// The outputs of a recurrent operation and its gradients: of an LSTM if `lstm`, else of a GRU.
fn recurrent(case: &Recurrent, is_lstm: bool, numbers: &mut Numbers) -> Vec<Tensor> {
    let Recurrent { extents: [n, t, d, h], reverse, bias, initial, ref lengths } = *case;
    let rows = if is_lstm { 4 * h } else { 3 * h };
    let x = numbers.tensor(&[n, t, d]);
    let (weight_ih, weight_hh) = (numbers.tensor(&[rows, d]), numbers.tensor(&[rows, h]));
    let [bias_ih, bias_hh] = [(); 2].map(|()| bias.then(|| numbers.tensor(&[rows])));
    let h0 = initial.then(|| numbers.tensor(&[n, h]));
    let c0 = (initial && is_lstm).then(|| numbers.tensor(&[n, h]));
    let (dy, dh_n) = (numbers.tensor(&[n, t, h]), numbers.tensor(&[n, h]));
    let mask = lengths.as_ref().map(|lengths| {
        let ones = lengths.iter().flat_map(|&length| (0..t).map(move |at| f32::from(u8::from(at < length))));
        Tensor::from_vec([n, t], ones.collect()).unwrap()
    });
    let weights = Weights {
        weight_ih: &weight_ih,
        weight_hh: &weight_hh,
        bias_ih: bias_ih.as_ref(),
        bias_hh: bias_hh.as_ref(),
    };
    let mut dweights = [&weight_ih, &weight_hh].map(|weight| Tensor::zeros(weight.shape()));
    let mut dbiases = [&bias_ih, &bias_hh].map(|bias| bias.as_ref().map(|bias| Tensor::zeros(bias.shape())));
    let [dweight_ih, dweight_hh] = &mut dweights;
    let [dbias_ih, dbias_hh] = &mut dbiases;
    let gradients = WeightGradients {
        weight_ih: dweight_ih,
        weight_hh: dweight_hh,
        bias_ih: dbias_ih.as_mut(),
        bias_hh: dbias_hh.as_mut(),
    };
    let (out, dx, dstate) = if is_lstm {
        let (op, initial) = (Lstm { reverse }, lstm::Initial { h0: h0.as_ref(), c0: c0.as_ref() });
        let (out, saved) = op.forward(&x, weights, initial, mask.as_ref()).unwrap();
        let dc_n = numbers.tensor(&[n, h]);
        let dys = lstm::OutputGradients { dy: Some(&dy), dh_n: Some(&dh_n), dc_n: Some(&dc_n) };
        let lstm::InputGradients { dx, dh0, dc0 } = op.backward(&saved, weights, dys, gradients).unwrap();
        (vec![out.y, out.h_n, out.c_n], dx, vec![dh0, dc0])
    } else {
        let op = Gru { reverse };
        let (out, saved) = op.forward(&x, weights, h0.as_ref(), mask.as_ref()).unwrap();
        let dys = gru::OutputGradients { dy: Some(&dy), dh_n: Some(&dh_n) };
        let gru::InputGradients { dx, dh0 } = op.backward(&saved, weights, dys, gradients).unwrap();
        (vec![out.y, out.h_n], dx, vec![dh0])
    };
    let dstate = if initial { dstate } else { vec![] };
    let dbiases = dbiases.into_iter().flatten();
    out.into_iter().chain([dx]).chain(dweights).chain(dbiases).chain(dstate).collect()
}

/// The outputs of an operation, then the gradients, in the order of the fixture.
fn computed(case: &Case) -> Vec<Tensor> {
    let mut numbers = Numbers(case.seed);
    match &case.op {
        Op::Lstm(case) => recurrent(case, true, &mut numbers),
        Op::Gru(case) => recurrent(case, false, &mut numbers),
        Op::Embedding { indices, weight, padding_idx } => {
            let op = Embedding { padding_idx: *padding_idx };
            let indices = numbers.tensor_of(indices, |whole| whole.rem_euclid(weight[0] as i32) as f32);
            let weight = numbers.tensor(weight);
            let y = op.forward(&indices, &weight).unwrap();
            let mut dweight = Tensor::zeros(weight.shape());
            op.backward(&indices, &numbers.tensor(y.shape().dims()), &mut dweight).unwrap();
            vec![y, dweight]
        }
        Op::MatMul { a, b, transpose_a, transpose_b } => {
            let op = MatMul { transpose_a: *transpose_a, transpose_b: *transpose_b };
            let (a, b) = (numbers.tensor(a), numbers.tensor(b));
            let y = op.forward(&a, &b).unwrap();
            let (da, db) = op.backward(&a, &b, &numbers.tensor(y.shape().dims())).unwrap();
            vec![y, da, db]
        }
        Op::MaskedSoftmax { x, mask } => {
            let mut x = numbers.tensor(x);
            x.data_mut().iter_mut().for_each(|x| *x *= 4.0);
            let mut mask = numbers.tensor_of(mask, |whole| f32::from(u8::from(whole >= 0)));
            let t = mask.shape().dims()[mask.shape().rank() - 1];
            mask.data_mut().chunks_mut(t).for_each(|row| row[0] = 1.0);
            let y = masked_softmax::forward(&x, &mask).unwrap();
            let dx = masked_softmax::backward(&y, &numbers.tensor(y.shape().dims())).unwrap();
            vec![y, dx]
        }
    }
}

#[test]
fn operations_on_sequences_are_those_of_pytorch() {
    let fixture = fixture();
    let renewal = "python xtask/peers/sequences.py crates/cnn-ops/tests/fixtures/sequences.safetensors";
    assert_eq!(fixture.len(), 26, "cases of the fixture; to renew it: {renewal}");
    for &level in Level::all() {
        for (case, want) in &fixture {
            let got = with_level(level, || computed(case));
            assert_eq!(got.len(), case.tensors.len(), "{:?}", case.op);
            let total: usize = got.iter().map(|tensor| tensor.data().len()).sum();
            assert_eq!(total, want.len(), "{:?}", case.op);
            let mut rest = &want[..];
            for (name, got) in case.tensors.iter().zip(&got) {
                let (want, after) = rest.split_at(got.data().len());
                rest = after;
                let largest = want.iter().fold(0.0f64, |largest, &v| largest.max(f64::from(v).abs()));
                for (i, (&got, &want)) in got.data().iter().zip(want).enumerate() {
                    let error = (f64::from(got) - f64::from(want)).abs() / largest;
                    // A NaN is wrong too, and so is a tensor of zeros, which would test nothing.
                    assert!(
                        error <= TOLERANCE,
                        "{:?} at {}: {name}[{i}] is {got}, PyTorch has {want}",
                        case.op,
                        level.name()
                    );
                }
            }
        }
    }
}
