//! The bits of results are those of the SIMD level alone: not of the processor's vendor, its caches, or its cores.
//!
//! The table holds a digest of the results at each level, computed on a Zen 4; any other machine has to arrive at the same.
//! Nothing here depends on the platform's mathematical functions. If a kernel was changed on purpose so that its last bits differ, the
//! accuracies of docs/results.md are no longer those of the library: say so in CHANGELOG.md, measure them again, and put the
//! new digests, which a failure prints, into the table.
#![forbid(unsafe_code)]

use cnn_ops::{
    Activation, AvgPool2d, BatchNorm, Conv2d, CrossEntropy, GroupNorm, LayerNorm, LocalResponseNorm, Loss,
    Lstm, MatMul, MaxPool2d, WeightGradients, Weights, linear, lstm, softmax,
};
use cnn_tensor::Tensor;
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::testing::distinct;

/// An operation, and the digests of its results at the scalar level, AVX2 and AVX-512. The last two differ only where the
/// lanes of a vector are added up.
const DIGESTS: [(&str, [u64; 3]); 13] = [
    ("conv2d: LeNet-5's second", [0xbc59_f625_1466_fd7a, 0xcd14_7428_fe6b_4d21, 0xcd14_7428_fe6b_4d21]),
    ("conv2d: airbench's first", [0xa414_4182_cc1b_97d3, 0xaaa2_9110_5845_91dd, 0xaaa2_9110_5845_91dd]),
    ("conv2d: airbench's second", [0x6873_24f7_b1f3_5353, 0x75bb_e5a8_6391_6ca2, 0x75bb_e5a8_6391_6ca2]),
    ("conv2d: airbench's fourth", [0xa003_9dbc_e636_80dc, 0x49b5_4851_7a52_de5c, 0x49b5_4851_7a52_de5c]),
    ("conv2d: a single image", [0x7895_cdd4_44b5_7c4f, 0xce6e_4e23_e14c_b84f, 0xce6e_4e23_e14c_b84f]),
    ("conv2d: a stride and groups", [0xe992_ac1b_00bc_dee0, 0xcefc_a3c4_9c20_1821, 0xcefc_a3c4_9c20_1821]),
    ("linear", [0x0000_be69_e325_51a4, 0x4f46_98ec_8c57_153b, 0x4f46_98ec_8c57_153b]),
    ("matmul", [0xce50_c003_0f6b_125e, 0x0c77_9434_2514_5c76, 0x0c77_9434_2514_5c76]),
    ("lstm", [0x85bc_1f36_777d_608c, 0x0b08_563d_c3c0_7344, 0x0b08_563d_c3c0_7344]),
    ("normalisations", [0x059d_33e6_0869_f2a9, 0x059d_33e6_0869_f2a9, 0x059d_33e6_0869_f2a9]),
    ("activations", [0xf010_fb04_da60_4a37, 0xf71b_b81f_1a2a_4f78, 0xf71b_b81f_1a2a_4f78]),
    ("more activations", [0x2e1c_345e_46c3_507f, 0xcfb6_1653_9c68_04b6, 0xcfb6_1653_9c68_04b6]),
    ("poolings and probabilities", [0x07ab_9295_2cc3_abfe, 0x97a6_7fa2_171a_f70f, 0xec00_2391_681c_567f]),
];

/// FNV-1a over the bits.
fn digest(results: &[Tensor]) -> u64 {
    let bytes = results.iter().flat_map(Tensor::data).flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Output and gradients of a convolution.
fn conv2d(op: Conv2d, x: [usize; 4], c_out: usize) -> Vec<Tensor> {
    let x = distinct(x, 0);
    let weight = distinct(op.weight_shape(x.shape(), c_out).unwrap(), 1);
    let (y, saved) = op.forward(&x, &weight, None).unwrap();
    let (dy, mut dweight) = (distinct(y.shape(), 2), Tensor::zeros(weight.shape()));
    let dx = op.backward(&saved, &weight, &dy, &mut dweight, None).unwrap();
    vec![y, dx, dweight]
}

fn results(operation: &str) -> Vec<Tensor> {
    let three = Conv2d::new([3, 3]).padding(1);
    match operation {
        "conv2d: LeNet-5's second" => conv2d(Conv2d::new([5, 5]), [33, 6, 14, 14], 16),
        "conv2d: airbench's first" => conv2d(Conv2d::new([2, 2]), [9, 3, 32, 32], 24),
        "conv2d: airbench's second" => conv2d(three, [9, 24, 31, 31], 32),
        "conv2d: airbench's fourth" => conv2d(three, [20, 96, 8, 8], 96),
        "conv2d: a single image" => conv2d(three, [1, 5, 40, 40], 7),
        "conv2d: a stride and groups" => conv2d(three.stride([2, 2]).groups(2), [5, 12, 19, 17], 20),
        "linear" => {
            let (x, weight) = (distinct([50, 900], 0), distinct([130, 900], 1));
            let y = linear::forward(&x, &weight, None).unwrap();
            let mut dweight = Tensor::zeros(weight.shape());
            let dx = linear::backward(&x, &weight, &y, &mut dweight, None).unwrap();
            vec![y, dx, dweight]
        }
        "matmul" => {
            let (a, b) = (distinct([3, 70, 600], 0), distinct([3, 600, 50], 1));
            vec![MatMul::default().forward(&a, &b).unwrap()]
        }
        "lstm" => {
            let (x, w_ih, w_hh) = (distinct([9, 4, 30], 0), distinct([148, 30], 1), distinct([148, 37], 2));
            let weights = Weights { weight_ih: &w_ih, weight_hh: &w_hh, bias_ih: None, bias_hh: None };
            let (output, saved) =
                Lstm::default().forward(&x, weights, lstm::Initial::default(), None).unwrap();
            let [mut weight_ih, mut weight_hh] = [&w_ih, &w_hh].map(|weight| Tensor::zeros(weight.shape()));
            let dweights = WeightGradients {
                weight_ih: &mut weight_ih,
                weight_hh: &mut weight_hh,
                bias_ih: None,
                bias_hh: None,
            };
            let dys = lstm::OutputGradients { dy: Some(&output.y), ..Default::default() };
            let back = Lstm::default().backward(&saved, weights, dys, dweights).unwrap();
            vec![output.y, back.dx, weight_ih, weight_hh]
        }
        "normalisations" => normalisations(),
        "activations" => activations(Activation::all().into_iter().take(FIRST)),
        "more activations" => {
            let power = Activation::Power { exponent: 1.7 };
            activations(Activation::all().into_iter().skip(FIRST).chain([power]))
        }
        "poolings and probabilities" => {
            let x = distinct([3, 5, 31, 31], 0);
            let (max, saved) = MaxPool2d::new([3, 3]).stride([2, 2]).forward(&x).unwrap();
            let dx = MaxPool2d::new([3, 3]).stride([2, 2]).backward(&saved, &max).unwrap();
            let mean = AvgPool2d::new([3, 3]).padding([1, 1]).forward(&x).unwrap();
            let (logits, labels) = (distinct([40, 100], 1), (0..40).collect::<Vec<u32>>());
            // The loss itself has a logarithm of the platform.
            let smooth = CrossEntropy { label_smoothing: 0.2, ..CrossEntropy::default() };
            let (_, gradient) = smooth.loss(&logits, &labels[..]).unwrap();
            vec![max, dx, mean, softmax::softmax(&logits).unwrap(), gradient]
        }
        _ => panic!("{operation} is not an operation of this test"),
    }
}

/// The activations up to `hard_swish`, whose digest is older than the others.
const FIRST: usize = 12;

/// Each with its gradient.
fn activations(all: impl Iterator<Item = Activation>) -> Vec<Tensor> {
    let of = |f: Activation| {
        let mut x = distinct([20_000], 0);
        x.data_mut().iter_mut().for_each(|x| *x *= 8.0);
        // The bits of a NaN are not compared.
        if matches!(f, Activation::Log | Activation::Sqrt | Activation::Power { .. }) {
            x = Activation::Abs.infer(x);
        }
        let (y, saved) = f.forward(x);
        let dx = f.backward(&saved, Tensor::full(y.shape(), 1.0)).unwrap();
        [y, dx]
    };
    all.flat_map(of).collect()
}

/// Each with its gradient.
fn normalisations() -> Vec<Tensor> {
    let x = distinct([8, 12, 15, 15], 0);
    let (batch, saved) = BatchNorm::default().forward(&x, None, None).unwrap();
    let of_batch = BatchNorm::default().backward(&saved, None, &x, None, None).unwrap();
    let (layer, saved) = LayerNorm::default().forward(&x, None, None).unwrap();
    let of_layer = LayerNorm::default().backward(&saved, None, &x, None, None).unwrap();
    let (group, saved) = GroupNorm::new(3).forward(&x, None, None).unwrap();
    let of_group = GroupNorm::new(3).backward(&saved, None, &x, None, None).unwrap();
    let (local, saved) = LocalResponseNorm::new(5).forward(&x).unwrap();
    let of_local = LocalResponseNorm::new(5).backward(&saved, &x).unwrap();
    vec![batch, of_batch, layer, of_layer, group, of_group, local, of_local]
}

#[test]
fn bits_are_those_of_the_level_on_any_machine() {
    let pools = [1, 2, 16].map(|cores| (cores, Threads::new(cores).unwrap()));
    let mut faults = Vec::new();
    for (operation, want) in DIGESTS {
        for (name, want) in ["scalar", "avx2", "avx512"].into_iter().zip(want) {
            let Some(&level) = Level::all().iter().find(|level| level.name() == name) else { continue };
            for (cores, pool) in &pools {
                let got = pool.run(|| with_level(level, || digest(&results(operation))));
                if got != want {
                    faults.push(format!("{operation}, {name}, {cores} cores: {got:#018x}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
