//! Adebayo's sanity check: maps must change when the weights are drawn anew from the last layer down.

use super::*;
use crate::{Batch, Classify, OptimizerSpec, Sgd, TrainSettings, Trainer};
use cnn_tensor::Random;

const SIDE: usize = 16;

/// Images of noise with a bright bar: upright, level, or none of the two but a block.
fn bars(n: usize, seed: u64) -> Batch {
    let mut random = Random::new(seed, &["bars"]);
    let mut x = Tensor::zeros([n, 1, SIDE, SIDE]);
    random.fill_normal(0.3, x.data_mut());
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    for (image, label) in x.data_mut().chunks_exact_mut(SIDE * SIDE).zip(&labels) {
        let [h, w] = [[9, 2], [2, 9], [4, 4]][*label as usize];
        let (top, left) = (random.below(SIDE - h), random.below(SIDE - w));
        for row in top..top + h {
            image[row * SIDE + left..][..w].iter_mut().for_each(|v| *v += 1.5);
        }
    }
    Batch::new(x, labels)
}

fn trained() -> Graph {
    let net = chain(
        layers![
            conv2d(8, 3).padding(1).named("conv1"),
            relu().named("relu1"),
            max_pool2d(2).named("pool1"),
            conv2d(16, 3).padding(1).named("conv2"),
            relu().named("relu2"),
            global_avg_pool2d().named("pool"),
            flatten().named("flatten"),
            linear(3).named("fc")
        ],
        [1, SIDE, SIDE],
    );
    let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let settings = TrainSettings { epochs: 1, learning_rate: 0.05, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(net, Classify::default(), settings).unwrap();
    (0..150).for_each(|step| drop(trainer.step(&bars(48, step as u64), 150).unwrap()));
    trainer.into_net()
}

/// The rank correlation of two lists of numbers (Spearman), of equal numbers by their order.
fn rank_correlation(a: &Tensor, b: &Tensor) -> f64 {
    let ranks = |x: &Tensor| {
        let mut order: Vec<usize> = (0..x.data().len()).collect();
        order.sort_by(|&i, &j| x.data()[i].total_cmp(&x.data()[j]));
        let mut ranks = vec![0.0; order.len()];
        order.into_iter().enumerate().for_each(|(rank, i)| ranks[i] = rank as f64);
        ranks
    };
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() - 1) as f64 / 2.0;
    let product =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    product(&a, &b) / product(&a, &a)
}

/// The mean over some images of the rank correlation of a method's map, with its signs, before and after the weights of the last
/// `depth` layers were drawn anew.
fn similarity(net: &Graph, depth: usize, map: impl Fn(&Explainer<'_>, &Tensor, usize) -> Tensor) -> f64 {
    const IMAGES: usize = 12;
    let mut other = net.copy().unwrap();
    let fresh: std::collections::BTreeMap<_, _> =
        Graph::build_from(net.spec(), net.inputs().to_vec(), &mut crate::Fresh { seed: 99 })
            .unwrap()
            .tensors()
            .into_iter()
            .collect();
    let redrawn = &["fc", "conv2", "conv1"][..depth];
    other.parameters_mut(&mut |name, tensor| {
        let name = name.to_string();
        if redrawn.iter().any(|layer| name.starts_with(layer)) {
            *tensor = fresh[&name].clone();
        }
    });
    let batch = bars(IMAGES, 777);
    let looks = [Explainer::new(net).unwrap(), Explainer::new(&other).unwrap()];
    let sum: f64 = (0..IMAGES)
        .map(|i| {
            let x = batch.inputs[0].slice_batch(i, i + 1);
            let [a, b] = [0, 1].map(|which: usize| map(&looks[which], &x, i % 3));
            rank_correlation(&a, &b)
        })
        .sum();
    sum / IMAGES as f64
}

#[test]
fn maps_change_with_the_weights() {
    let net = trained();
    let batch = bars(90, 555);
    let scores = net.infer(&batch.inputs[0]).unwrap();
    let right = scores
        .data()
        .chunks_exact(3)
        .zip(batch.labels())
        .filter(|(scores, label)| scores.iter().all(|s| *s <= scores[**label as usize]));
    assert!(right.count() > 80, "the network has learned");

    let integrated = |look: &Explainer<'_>, x: &Tensor, class| {
        look.integrated_gradients(x, &Tensor::zeros(x.shape()), class, 16, |_| {}).unwrap().map
    };
    let cam = |look: &Explainer<'_>, x: &Tensor, class| look.grad_cam(x, class, "relu2").unwrap().map;
    let by = |rule| move |look: &Explainer<'_>, x: &Tensor, class| look.gradient(x, class, rule).unwrap();
    for depth in 1..=3 {
        let passing = [
            ("saliency", similarity(&net, depth, by(Rule::Plain))),
            ("integrated gradients", similarity(&net, depth, integrated)),
            ("Grad-CAM", similarity(&net, depth, cam)),
        ];
        for (method, similarity) in passing {
            assert!(similarity.abs() < 0.5, "{method}, {depth} layers drawn anew: {similarity}");
        }
    }
    // The maps of the two that fail hardly notice that the classifier is another one.
    for rule in [Rule::Guided, Rule::Deconv] {
        let similarity = similarity(&net, 1, by(rule));
        assert!(similarity > 0.75, "{rule:?}: {similarity}");
    }
}
