//! After the first step, operations ask the system for no memory at all: those on sequences, the losses, and those that no
//! network of the zoo has, which `cnn-zoo` tests.
//!
//! One test alone in its program: the allocator counts what every thread does.
#![forbid(unsafe_code)]

use cnn_ops::local_response_norm::LocalResponseNorm;
use cnn_ops::losses::{
    BceWithLogits, Contrastive, CrossEntropy, Huber, L1, Loss, MapLoss, Mse, MultiMargin, SmoothL1,
};
use cnn_ops::reduce::Statistic;
use cnn_ops::upsample2d::Interpolation;
use cnn_ops::{
    Arithmetic, ArithmeticBy, AvgPool2d, Embedding, GroupNorm, Gru, LayerNorm, Lstm, MatMul, MaxPool2d,
    MaxUnpool2d, Penalty, Reduce, Upsample2d, WeightGradients, Weights, gru, lstm, masked_softmax, prelu,
    softmax,
};
use cnn_tensor::Tensor;
use cnn_tensor::parallel::{self, Threads};
use cnn_tensor::testing::{CountingAllocator, distinct};
use std::sync::LazyLock;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Forward and back through a table of words, an LSTM, a GRU, and attention among the steps.
fn step(words: &Tensor, mask: &Tensor, table: &Tensor, [w4, w3]: [&Tensor; 2]) {
    let weights = |weight| Weights { weight_ih: weight, weight_hh: weight, bias_ih: None, bias_hh: None };
    let x = Embedding::default().forward(words, table).unwrap();
    let (first, lstm_saved) =
        Lstm::default().forward(&x, weights(w4), lstm::Initial::default(), Some(mask)).unwrap();
    let (second, gru_saved) =
        Gru { reverse: true }.forward(&first.y, weights(w3), Some(&first.h_n), Some(mask)).unwrap();
    let (scores, values) = (MatMul { transpose_b: true, ..MatMul::default() }, MatMul::default());
    let p = masked_softmax::forward(&scores.forward(&second.y, &second.y).unwrap(), mask).unwrap();
    let y = values.forward(&p, &second.y).unwrap();

    let (dp, dvalues) = values.backward(&p, &second.y, &y).unwrap();
    let dscores = masked_softmax::backward(&p, &dp).unwrap();
    scores.backward(&second.y, &second.y, &dscores).unwrap();
    let mut dweights = [w3, w3, w4, w4].map(|weight| Tensor::zeros(weight.shape()));
    let [g_ih, g_hh, l_ih, l_hh] = &mut dweights;
    let gradients =
        |weight_ih, weight_hh| WeightGradients { weight_ih, weight_hh, bias_ih: None, bias_hh: None };
    let dys = gru::OutputGradients { dy: Some(&dvalues), dh_n: None };
    let back = Gru::default().backward(&gru_saved, weights(w3), dys, gradients(g_ih, g_hh)).unwrap();
    let dys = lstm::OutputGradients { dy: Some(&back.dx), dh_n: Some(&back.dh0), dc_n: None };
    let back = Lstm::default().backward(&lstm_saved, weights(w4), dys, gradients(l_ih, l_hh)).unwrap();
    Embedding::default().backward(words, &back.dx, &mut Tensor::zeros(table.shape())).unwrap();
}

static REDUCTIONS: LazyLock<[Reduce; 3]> =
    LazyLock::new(|| [Statistic::Mean, Statistic::Max, Statistic::L2].map(|to| Reduce::new(to, [2, 3])));

/// Forward and back through one operation after the other, on images `[n, c, h, w]`.
fn operations(x: &Tensor, of_channels: &Tensor) {
    let (c, image) = (of_channels, x.shape());
    let mut gradients = [(); 2].map(|()| Tensor::zeros(c.shape()));
    let [dweight, dbias] = &mut gradients;

    let y = prelu::forward(x, c).unwrap();
    prelu::backward(x, c, &y, dweight).unwrap();
    let norm = GroupNorm::new(2);
    let (y, saved) = norm.forward(x, Some(c), Some(c)).unwrap();
    norm.backward(&saved, Some(c), &y, Some(dweight), Some(dbias)).unwrap();
    let norm = LayerNorm::default();
    let (y, saved) = norm.forward(x, None, None).unwrap();
    norm.backward(&saved, None, &y, None, None).unwrap();
    let norm = LocalResponseNorm::new(3);
    let (y, saved) = norm.forward(x).unwrap();
    norm.backward(&saved, &y).unwrap();

    let scale = c.clone().reshape([6, 1, 1]).unwrap();
    let by = ArithmeticBy::new(Arithmetic::Mul);
    let (y, saved) = by.forward(x.clone(), &scale).unwrap();
    by.backward(&saved, y, true, Some(&mut Tensor::zeros([6, 1, 1]))).unwrap();

    for op in &*REDUCTIONS {
        let (y, saved) = op.forward(x).unwrap();
        op.backward(&saved, &y).unwrap();
    }

    let pool = MaxPool2d::new([2, 2]);
    let (y, saved) = pool.forward(x).unwrap();
    let unpool = MaxUnpool2d { output: [image.dims()[2], image.dims()[3]] };
    let back = unpool.forward(&y, saved.indices()).unwrap();
    unpool.backward(y.shape(), saved.indices(), &back).unwrap();
    for pool in [AvgPool2d::new([3, 3]).padding([1, 1]), AvgPool2d::new([2, 2]).divisor_override(3)] {
        let y = pool.forward(x).unwrap();
        pool.backward(image, &y).unwrap();
    }
    for mode in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
        let upsample = Upsample2d::by_scale([2.0, 1.5]).mode(mode);
        let y = upsample.forward(x).unwrap();
        upsample.backward(image, &y).unwrap();
    }
    let y = softmax::softmax(x).unwrap();
    softmax::softmax_backward(&y, x).unwrap();
    let y = softmax::log_softmax(x).unwrap();
    softmax::log_softmax_backward(&y, x).unwrap();
    Penalty { l1: 0.1, l2: 0.1 }.backward(x, &mut Tensor::zeros(image)).unwrap();
}

/// Every loss of some outputs and its gradient: of labels, of the outputs of each image, and of probabilities.
fn losses(x: &Tensor, labels: &[u32], same: &[u32], targets: &Tensor) {
    let of_labels: [&dyn Loss<[u32]>; 3] = [
        &CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() },
        &MultiMargin::default(),
        &MapLoss::new(1.0),
    ];
    of_labels.iter().for_each(|loss| drop(loss.loss(x, labels).unwrap()));
    Contrastive::new(1.0).loss(x, same).unwrap();
    let of_targets: [&dyn Loss<Tensor>; 6] = [
        &CrossEntropy::default(),
        &BceWithLogits::default(),
        &Mse::default(),
        &L1::default(),
        &SmoothL1::default(),
        &Huber::default(),
    ];
    of_targets.iter().for_each(|loss| drop(loss.loss(x, targets).unwrap()));
}

#[test]
fn a_step_after_the_first_asks_the_system_for_no_memory() {
    // For all checks: a thread that starts or ends asks for memory too, whenever it gets to it. Each has started when it has
    // slept.
    let pools = [1, 2].map(|threads| Threads::new(threads).unwrap());
    let sleep = |_| std::thread::sleep(Duration::from_millis(2));
    pools.iter().for_each(|threads| threads.run(|| parallel::for_each_index(64, sleep)));
    let [n, t, h] = [32, 12, 48];
    let mut words = Tensor::zeros([n, t]);
    words.data_mut().iter_mut().enumerate().for_each(|(i, word)| *word = (i * 7 % 20) as f32);
    let mut mask = Tensor::full([n, t], 1.0);
    mask.data_mut()[t - 3..t].fill(0.0);
    let (table, w4, w3) = (distinct([20, h], 0), distinct([4 * h, h], 1), distinct([3 * h, h], 2));
    check(&pools, "sequences", || step(&words, &mask, &table, [&w4, &w3]));

    let (images, of_channels) = (distinct([4, 6, 32, 32], 0), distinct([6], 1));
    check(&pools, "operations", || operations(&images, &of_channels));

    let (x, targets) = (distinct([3000, 10], 0), Tensor::full([3000, 10], 0.1));
    let [labels, same] = [10, 2].map(|classes| (0..3000).map(|i| i % classes).collect::<Vec<u32>>());
    check(&pools, "losses", || losses(&x, &labels, &same, &targets));
}

/// Asserts that after the first steps a step asks for no memory.
fn check([one, two]: &[Threads; 2], name: &str, step: impl Fn() + Sync) {
    let counts = |threads: &Threads, steps: usize| {
        let mut counts = Vec::with_capacity(steps);
        threads.run(|| {
            for _ in 0..steps {
                let before = ALLOCATOR.allocations();
                step();
                counts.push(ALLOCATOR.allocations() - before);
            }
        });
        counts
    };
    let one = counts(one, 8);
    assert!(one[0] > 0, "{name}: the first step's memory is counted");
    assert!(one[1..].iter().all(|&count| count == 0), "{name}, one thread: {one:?}");
    // Two may both need at once what they needed one after the other in the steps before, until they have had as much as they
    // can need: ten steps in a row then take nothing.
    let two = counts(two, 100);
    assert!(two.windows(10).any(|steps| steps == [0; 10]), "{name}, two threads: {two:?}");
}
