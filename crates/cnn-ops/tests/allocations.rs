//! After the first step, the operations on sequences ask the system for no memory at all.
//!
//! One test alone in its program: the allocator counts what every thread does.
#![forbid(unsafe_code)]

use cnn_ops::{Embedding, Gru, Lstm, MatMul, WeightGradients, Weights, gru, lstm, masked_softmax};
use cnn_tensor::Tensor;
use cnn_tensor::parallel::Threads;
use cnn_tensor::testing::{CountingAllocator, distinct};

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

#[test]
fn a_step_after_the_first_asks_the_system_for_no_memory() {
    let [n, t, h] = [32, 12, 48];
    let mut words = Tensor::zeros([n, t]);
    words.data_mut().iter_mut().enumerate().for_each(|(i, word)| *word = (i * 7 % 20) as f32);
    let mut mask = Tensor::full([n, t], 1.0);
    mask.data_mut()[t - 3..t].fill(0.0);
    let (table, w4, w3) = (distinct([20, h], 0), distinct([4 * h, h], 1), distinct([3 * h, h], 2));
    let counts = |threads: usize, steps: usize| {
        let mut counts = Vec::with_capacity(steps);
        Threads::new(threads).unwrap().run(|| {
            for _ in 0..steps {
                let before = ALLOCATOR.allocations();
                step(&words, &mask, &table, [&w4, &w3]);
                counts.push(ALLOCATOR.allocations() - before);
            }
        });
        counts
    };
    let one = counts(1, 8);
    assert!(one[0] > 0, "the first step's memory is counted");
    assert!(one[1..].iter().all(|&count| count == 0), "one thread: {one:?}");
    // Two may both need at once what they needed one after the other in the steps before, until they have had as much as they
    // can need: ten steps in a row then take nothing.
    let two = counts(2, 100);
    assert!(two.windows(10).any(|steps| steps == [0; 10]), "two threads: {two:?}");
}
