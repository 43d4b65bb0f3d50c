use super::*;
use crate::layers;
use crate::spec::{
    NamedSpec, avg_pool2d, batch_norm2d, concat, conv2d, dropout, flatten, global_avg_pool2d, graph, linear,
    max_pool2d, relu, relu6, residual, sequential, softmax, tanh,
};
use cnn_tensor::parallel::Threads;
use cnn_tensor::testing::{assert_gradient_close, distinct};

mod naive;
mod sanity;

fn chain(layers: Vec<NamedSpec>, x: [usize; 3]) -> Graph {
    Graph::build(layers, x, 3).unwrap()
}

/// Branches, sums, normalisation by running statistics, and dropout.
fn branching() -> Graph {
    let branches = concat([
        conv2d(3, 1).named("narrow"),
        sequential([conv2d(2, 3).padding(1).named("0"), tanh().named("1")]).named("wide"),
    ]);
    let block = residual([conv2d(5, 3).padding(1).named("conv"), batch_norm2d().named("bn")]);
    let mut net = chain(
        layers![
            branches.named("branches"),
            block.named("block"),
            tanh().named("act"),
            dropout(0.5).named("drop"),
            flatten().named("flatten"),
            linear(3).named("fc")
        ],
        [2, 5, 4],
    );
    net.visit_mut(&mut |name, _, tensor| match name.to_string().as_str() {
        "block.bn.running_mean" => tensor.data_mut().fill(0.25),
        "block.bn.running_var" => tensor.data_mut().fill(4.0),
        _ => {}
    });
    net
}

/// Maps, global average pooling, a linear layer.
fn averaging() -> Graph {
    let features = sequential([
        conv2d(4, 3).named("0"),
        relu().named("1"),
        max_pool2d(2).named("2"),
        conv2d(6, 3).padding(1).named("3"),
        batch_norm2d().named("4"),
        relu6().named("5"),
    ]);
    chain(
        layers![
            features.named("features"),
            global_avg_pool2d().named("pool"),
            flatten().named("flatten"),
            linear(4).named("fc"),
            softmax().named("softmax")
        ],
        [1, 12, 10],
    )
}

#[test]
fn scores_are_those_of_evaluation_before_the_softmax() {
    let (net, x) = (branching(), distinct([3, 2, 5, 4], 1));
    let look = Explainer::new(&net).unwrap();
    assert_eq!(look.scores(&x).unwrap(), net.infer(&x).unwrap());

    let (net, x) = (averaging(), distinct([2, 1, 12, 10], 1));
    let look = Explainer::new(&net).unwrap();
    let all = net.activations(&x).unwrap();
    assert_eq!(look.scores(&x).unwrap(), all.iter().find(|(path, _)| *path == "fc").unwrap().1);
    // A probability would have a gradient of the other classes too: the gradient of the score is the linear layer's.
    let probabilities = net.infer(&x).unwrap();
    assert_ne!(look.scores(&x).unwrap(), probabilities);
}

/// The bias of a convolution adds to every pixel of its map, so the score's derivative by it is the sum of the gradient of the
/// map; and a gradient that went back through batch statistics or dropped elements would be another.
#[test]
fn gradients_of_inner_values_are_those_of_finite_differences() {
    const STEP: f32 = 1e-2;
    let (mut net, x) = (branching(), distinct([1, 2, 5, 4], 2));
    for (layer, maps) in [("branches.narrow", 3), ("branches.wide.0", 2), ("block.conv", 5)] {
        let bias = format!("{layer}.bias");
        for map in 0..maps {
            let mut moved = |by: f32| {
                net.visit_mut(&mut |name, _, tensor| {
                    if name.to_string() == bias {
                        tensor.data_mut()[map] += by;
                    }
                });
                net.infer(&x).unwrap().data()[1]
            };
            let (more, less) = (moved(STEP), moved(-2.0 * STEP));
            moved(STEP);
            let look = Explainer::new(&net).unwrap();
            let value = look.maps_of(layer).unwrap().0;
            let (_, gradient, _) = look.class_gradient(&x, 1, value, Rule::Plain).unwrap();
            let got: f32 = gradient.data()[map * 20..][..20].iter().sum();
            let want = (more - less) / (2.0 * STEP);
            assert!((got - want).abs() < 2e-3 * (1.0 + want.abs()), "{layer} {map}: {got} and {want}");
        }
    }
}

#[test]
fn saliency_is_the_finite_difference_of_the_score() {
    const STEP: f32 = 1e-2;
    let (net, x) = (branching(), distinct([1, 2, 5, 4], 4));
    let look = Explainer::new(&net).unwrap();
    let gradient = look.gradient(&x, 2, Rule::Plain).unwrap();
    let moved = |i: usize, by: f32| {
        let mut x = x.clone();
        x.data_mut()[i] += by;
        f64::from(net.infer(&x).unwrap().data()[2])
    };
    let want: Vec<f64> =
        (0..40).map(|i| (moved(i, STEP) - moved(i, -STEP)) / f64::from(2.0 * STEP)).collect();
    for (got, want) in gradient.data().iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() < 2e-3, "{got} and {want}");
    }
    let saliency = magnitude(&gradient);
    let want = (0..20).map(|i| gradient.data()[i].abs().max(gradient.data()[20 + i].abs()));
    assert!(saliency.data().iter().copied().eq(want));
}

#[test]
fn a_softmax_at_the_end_changes_no_explanation() {
    let layers = || {
        layers![
            conv2d(3, 3).named("conv"),
            relu().named("relu"),
            flatten().named("flatten"),
            linear(3).named("fc")
        ]
    };
    let with = [layers(), layers![softmax().named("softmax")]].concat();
    let (net, with, x) = (chain(layers(), [1, 6, 6]), chain(with, [1, 6, 6]), distinct([1, 1, 6, 6], 5));
    let gradient = |net: &Graph| Explainer::new(net).unwrap().gradient(&x, 1, Rule::Guided).unwrap();
    assert_eq!(gradient(&net), gradient(&with));
}

#[test]
fn integrated_gradients_sum_to_the_difference_of_the_scores() {
    for (net, shape) in [(branching(), [1, 2, 5, 4]), (averaging(), [1, 1, 12, 10])] {
        let (look, x) = (Explainer::new(&net).unwrap(), distinct(shape, 6));
        let mut ticks = Vec::new();
        let all =
            look.integrated_gradients(&x, &Tensor::zeros(shape), 1, 200, |done| ticks.push(done)).unwrap();
        let sum: f32 = all.map.data().iter().sum();
        assert!((sum - all.sum).abs() < 1e-4, "{sum} {}", all.sum);
        assert!((all.sum - (all.score - all.baseline)).abs() < 5e-3, "{all:?}");
        assert!(all.error() < 0.05);
        assert_eq!(ticks.last(), Some(&200));
    }
    // Of a linear classifier each part is exact: weight times input.
    let net = chain(layers![flatten().named("flatten"), linear(3).named("fc")], [1, 2, 3]);
    let x = distinct([1, 1, 2, 3], 7);
    let look = Explainer::new(&net).unwrap();
    let all = look.integrated_gradients(&x, &Tensor::zeros(x.shape()), 2, 1, |_| {}).unwrap();
    let weight = net.tensors()[0].1.data()[12..18].to_vec();
    let want: Vec<f64> = weight.iter().zip(x.data()).map(|(w, x)| f64::from(w * x)).collect();
    assert_gradient_close("linear", &all.map, &want);
}

#[test]
fn grad_cam_is_hires_cam_before_averaging_and_a_linear_layer() {
    let (net, x) = (averaging(), distinct([1, 1, 12, 10], 8));
    let look = Explainer::new(&net).unwrap();
    assert_eq!(look.cam_layer().unwrap(), "features.5");
    let (grad, hires) =
        (look.grad_cam(&x, 2, "features.5").unwrap(), look.hires_cam(&x, 2, "features.5").unwrap());
    let want: Vec<f64> = hires.map.data().iter().map(|&v| f64::from(v)).collect();
    assert_gradient_close("grad-cam", &grad.map, &want);
    assert!(want.iter().any(|v| v.abs() > 1e-3) && grad.map.shape().dims() == [1, 1, 5, 4]);
    // The definition: the linear layer's weights over the number of pixels, times the maps.
    let maps = look.maps(&x).unwrap();
    let maps = &maps.iter().find(|(path, _)| *path == "features.5").unwrap().1;
    let weight = &net.tensors().into_iter().find(|(name, _)| name == "fc.weight").unwrap().1;
    let at = |pixel: usize| {
        (0..6)
            .map(|k| f64::from(weight.data()[2 * 6 + k]) / 20.0 * f64::from(maps.data()[k * 20 + pixel]))
            .sum()
    };
    assert_gradient_close("definition", &grad.map, &(0..20).map(at).collect::<Vec<f64>>());
    // At an earlier layer the two differ.
    let (grad, hires) =
        (look.grad_cam(&x, 2, "features.1").unwrap(), look.hires_cam(&x, 2, "features.1").unwrap());
    assert_ne!(grad.map, hires.map);
    assert!(grad.positive().data().iter().zip(grad.map.data()).all(|(p, v)| *p == v.max(0.0)));
}

#[test]
fn the_default_layer_follows_sums_and_concatenations_and_passes_over_single_pixels() {
    let layer = |net: &Graph| Explainer::new(net).unwrap().cam_layer().map(String::from);
    assert_eq!(layer(&branching()).unwrap(), "drop");
    // LeNet-5's third convolution makes one pixel.
    let lenet = chain(
        layers![
            conv2d(2, 3).named("c1"),
            tanh().named("a1"),
            avg_pool2d(2).named("s2"),
            conv2d(4, 3).named("c5"),
            tanh().named("a5"),
            flatten().named("flatten"),
            linear(2).named("fc"),
        ],
        [1, 8, 8],
    );
    assert_eq!(layer(&lenet).unwrap(), "a1");
    // Of two heads the first output's counts.
    let heads = graph(["x"])
        .node("conv", conv2d(2, 3), ["x"])
        .node("flat", flatten(), ["conv"])
        .node("fc", linear(2), ["flat"])
        .node("other", conv2d(2, 3), ["conv"])
        .outputs(["fc", "other"]);
    let heads = Graph::of(&heads, [[1, 6, 6]], 0).unwrap();
    assert_eq!(layer(&heads).unwrap(), "conv");
    let dense = chain(layers![flatten().named("flatten"), linear(2).named("fc")], [1, 2, 2]);
    assert_eq!(
        layer(&dense).unwrap_err().to_string(),
        "a network with class activation maps must be one with a convolution whose maps have several pixels, got none"
    );
}

#[test]
fn occlusion_is_the_recomputed_fall_of_the_score() {
    let (net, x) = (averaging(), distinct([1, 1, 12, 10], 9));
    let look = Explainer::new(&net).unwrap();
    for (side, stride) in [(3, 3), (4, 3), (1, 1), (5, 2), (40, 7)] {
        let square = Occlusion { side, stride, fill: 0.5 };
        let map = look.occlusion(&x, 3, square, |_| {}).unwrap();
        let [rows, columns] = [12usize.div_ceil(stride), 10usize.div_ceil(stride)];
        assert_eq!(map.shape().dims(), [1, 1, rows, columns]);
        let score = |x: &Tensor| look.scores(x).unwrap().data()[3];
        for (i, fall) in map.data().iter().enumerate() {
            let mut covered = x.clone();
            for row in 0..12i64 {
                for column in 0..10i64 {
                    // From the middle of the stride's pixels, half the side to each side.
                    let inside = |at: i64, place: usize| {
                        let start = ((2 * place + 1) * stride) as i64 - side as i64;
                        let start = if start < 0 { 0 } else { start / 2 };
                        at >= start && at < (((2 * place + 1) * stride + side) / 2) as i64
                    };
                    if inside(row, i / columns) && inside(column, i % columns) {
                        covered.data_mut()[(row * 10 + column) as usize] = 0.5;
                    }
                }
            }
            assert!((fall - (score(&x) - score(&covered))).abs() < 1e-5, "side {side}, place {i}");
        }
    }
    // Every pixel is covered by some place of a square that is at least as large as its stride.
    for (side, stride, extent) in [(3, 3, 10), (4, 3, 11), (1, 1, 5), (8, 8, 30), (5, 2, 7)] {
        let square = Occlusion { side, stride, fill: 0.0 };
        let [places, _] = square.places([extent, 1]);
        let covered: std::collections::BTreeSet<usize> =
            (0..places).flat_map(|place| square.covers(place, extent)).collect();
        assert_eq!(covered.len(), extent, "{side} {stride}");
    }
}

#[test]
fn the_ascent_climbs_and_is_the_same_on_any_threads() {
    let net = averaging();
    let look = Explainer::new(&net).unwrap();
    let settings = Maximise { steps: 30, bounds: vec![[-1.0, 1.0]], seed: 5, ..Maximise::default() };
    let run = |target, threads| {
        Threads::new(threads).unwrap().run(|| look.maximise(target, &settings, |_| {})).unwrap()
    };
    for target in [Target::Class(1), Target::Map { layer: "features.3", map: 4 }] {
        let one = run(target, 1);
        assert!(one.score > one.start, "{target:?} {} {}", one.start, one.score);
        assert!(one.image.data().iter().all(|v| (-1.0..=1.0).contains(v)));
        for threads in [2, 3] {
            assert_eq!(run(target, threads).image, one.image);
        }
    }
    // Of a linear classifier, the ascent without blur, decay and jitter goes along the weights.
    let net = chain(layers![flatten().named("flatten"), linear(3).named("fc")], [1, 3, 3]);
    let settings = Maximise { steps: 400, decay: 0.0, blur: 0.0, jitter: 0, ..Maximise::default() };
    let look = Explainer::new(&net).unwrap();
    let image = look.maximise(Target::Class(1), &settings, |_| {}).unwrap().image;
    let weight = net.tensors()[0].1.data()[9..18].to_vec();
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let [a, b] = [product(image.data(), image.data()), product(&weight, &weight)];
    assert!(product(image.data(), &weight) / (a * b).sqrt() > 0.999);
}

#[test]
fn the_ascent_wakes_rectifiers_that_are_all_at_rest() {
    let layers = layers![
        conv2d(3, 3).named("conv"),
        relu().named("relu"),
        flatten().named("flatten"),
        linear(2).named("fc")
    ];
    let mut net = chain(layers, [1, 6, 6]);
    net.visit_mut(&mut |name, _, tensor| {
        if name.to_string() == "conv.bias" {
            tensor.data_mut().fill(-0.05);
        }
    });
    let look = Explainer::new(&net).unwrap();
    assert!(is_zero(&look.gradient(&Tensor::zeros([1, 1, 6, 6]), 0, Rule::Plain).unwrap()), "at rest");
    let settings = Maximise { noise: 0.0, blur: 0.0, jitter: 0, ..Maximise::default() };
    let found = look.maximise(Target::Class(0), &settings, |_| {}).unwrap();
    assert!(found.score > found.start + 0.1, "{} {}", found.start, found.score);
}

#[test]
fn the_largest_part_of_a_score_is_found() {
    let (net, x) = (averaging(), distinct([1, 1, 12, 10], 12));
    let look = Explainer::new(&net).unwrap();
    let value = look.maps_of("features.1").unwrap().0;
    let (_, gradient, maps) = look.class_gradient(&x, 2, value, Rule::Plain).unwrap();
    let parts: Vec<f32> = gradient.data().iter().zip(maps.data()).map(|(g, v)| g * v).collect();
    let (map, [row, column]) = look.largest_part(&x, 2, "features.1").unwrap();
    let found = parts[(map * 10 + row) * 8 + column];
    assert!(parts.iter().all(|part| *part <= found) && found > 0.0);
}

/// With weights that are all positive, a pixel that becomes large changes exactly the elements that depend on it.
#[test]
fn receptive_fields_are_the_pixels_that_matter() {
    let nets: [Vec<NamedSpec>; 3] = [
        layers![
            conv2d(2, [3, 2]).stride([1, 2]).padding([1, 0]).named("a"),
            relu().named("b"),
            max_pool2d(2).named("c"),
            conv2d(2, 3).dilation(2).padding([[2, 1], [0, 2]]).named("d")
        ],
        layers![
            residual([conv2d(1, 3).padding(1).named("r")]).named("a"),
            avg_pool2d(3).stride(2).padding(1).named("b"),
            concat([conv2d(1, 1).named("x"), conv2d(2, 5).padding(2).named("y")]).named("d")
        ],
        layers![
            conv2d(1, 2).padding(cnn_ops::Padding::Same).named("a"),
            max_pool2d(3).stride(2).ceil_mode(true).named("d")
        ],
    ];
    for layers in nets {
        let end = layers![flatten().named("flatten"), linear(2).named("fc")];
        let mut net = chain([layers, end].concat(), [1, 11, 12]);
        net.parameters_mut(&mut |_, tensor| tensor.data_mut().iter_mut().for_each(|v| *v = v.abs() + 0.01));
        let look = Explainer::new(&net).unwrap();
        let y = |x: &Tensor| look.maps(x).unwrap().into_iter().find(|(path, _)| *path == "d").unwrap().1;
        let x = distinct([1, 1, 11, 12], 3);
        let (before, [_, h, w]) = (y(&x), look.maps_of("d").unwrap().1);
        let mut seen = vec![None::<Region>; h * w];
        for pixel in 0..11 * 12 {
            let mut moved = x.clone();
            moved.data_mut()[pixel] = 1000.0;
            let after = y(&moved);
            for (i, region) in seen.iter_mut().enumerate() {
                // In any channel: of a concatenation, each may see another part.
                let values = before.data().iter().zip(after.data()).skip(i).step_by(h * w);
                if values.into_iter().any(|(before, after)| (before - after).abs() > 1e-3) {
                    let (row, column) = (pixel / 12, pixel % 12);
                    let one = Region { rows: row..row + 1, columns: column..column + 1 };
                    *region = Some(region.take().map_or(one.clone(), |region| region.union(&one)));
                }
            }
        }
        for (i, seen) in seen.into_iter().enumerate() {
            let got = look.receptive_field("d", [i / w, i % w]).unwrap();
            assert_eq!(Some(got), seen, "{:?} {i} of {h} x {w}", look.layers());
        }
    }
}

#[test]
fn the_strongest_images_are_those_of_a_scan() {
    let (net, x) = (averaging(), distinct([23, 1, 12, 10], 11));
    let look = Explainer::new(&net).unwrap();
    let mut found = look.strongest("features.1", 9).unwrap();
    for first in (0..23).step_by(5) {
        found.add(100 + first, &x.slice_batch(first, (first + 5).min(23))).unwrap();
    }
    let maps = look.maps(&x).unwrap().into_iter().find(|(path, _)| *path == "features.1").unwrap().1;
    let [_, channels, h, w] = maps.shape().nchw().unwrap();
    for map in 0..channels {
        let mut all: Vec<(f32, usize)> = (0..23)
            .map(|i| {
                let plane = &maps.data()[(i * channels + map) * h * w..][..h * w];
                (plane.iter().copied().fold(f32::NEG_INFINITY, f32::max), i)
            })
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let hits = &found.hits()[map];
        assert_eq!(hits.len(), 9);
        for (hit, (value, image)) in hits.iter().zip(all) {
            assert!((hit.value - value).abs() < 1e-5 && hit.image == 100 + image, "{hit:?} {value} {image}");
            let [row, column] = hit.at;
            let at = maps.data()[((image * channels + map) * h + row) * w + column];
            assert!((at - value).abs() < 1e-5);
        }
    }
}

#[test]
fn equal_activations_rank_by_their_number() {
    let net = averaging();
    let look = Explainer::new(&net).unwrap();
    let mut found = look.strongest("features.1", 3).unwrap();
    found.add(0, &Tensor::full([5, 1, 12, 10], 0.5)).unwrap();
    for hits in found.hits() {
        assert_eq!(hits.iter().map(|hit| hit.image).collect::<Vec<_>>(), [0, 1, 2]);
    }
}

#[test]
fn layers_and_filters_are_found() {
    let net = averaging();
    let look = Explainer::new(&net).unwrap();
    assert_eq!(look.map_layers(), ["features.1", "features.2", "features.5"]);
    let (layer, weight) = look.first_filters().unwrap();
    assert_eq!((layer, weight.shape().dims()), ("features.0", &[4, 1, 3, 3][..]));
    assert_eq!(look.layers()[0].output.dims(), [1, 4, 10, 8]);
    let maps = look.maps(&distinct([1, 1, 12, 10], 1)).unwrap();
    assert_eq!(maps.len(), 7, "the pooled maps too");
    let dense = chain(layers![flatten().named("flatten"), linear(2).named("fc")], [1, 2, 2]);
    assert!(
        Explainer::new(&dense).unwrap().first_filters().unwrap_err().to_string().contains("a convolution")
    );
}

#[test]
fn what_does_not_suit_the_network_is_refused() {
    let (net, x) = (averaging(), distinct([1, 1, 12, 10], 1));
    let look = Explainer::new(&net).unwrap();
    let fault = |result: Result<ClassMap, NnError>| result.unwrap_err().to_string();
    assert_eq!(
        fault(look.grad_cam(&x, 0, "features.55")),
        "the layer must be one that the scores depend on, got \"features.55\"; is \"features.5\" meant?; there are \
         features.0, features.1, features.2, features.3, features.4, features.5, pool, flatten, fc"
    );
    assert!(
        fault(look.grad_cam(&x, 0, "fc"))
            .contains("got fc with an output of shape [1, 4]; layers of maps: features.0,")
    );
    assert_eq!(
        fault(look.grad_cam(&x, 4, "pool")),
        "the class must be one of the network's, got 4 of 4 classes, counted from 0"
    );
    let two = distinct([2, 1, 12, 10], 1);
    assert_eq!(fault(look.grad_cam(&two, 0, "pool")), "the number of images must be 1, got 2");
    let other = look.gradient(&distinct([1, 1, 10, 12], 1), 0, Rule::Plain).unwrap_err().to_string();
    assert!(other.ends_with("got [1, 1, 10, 12] for a network that takes [1, 1, 12, 10]"), "{other}");
    let square = Occlusion { side: 0, stride: 1, fill: 0.0 };
    assert!(look.occlusion(&x, 0, square, |_| {}).is_err());
    assert!(look.integrated_gradients(&x, &x, 0, 0, |_| {}).is_err());
    assert!(look.project(&x, "features.5", 6, None, Rule::Plain).is_err());
    assert!(look.project(&x, "features.5", 5, Some([5, 0]), Rule::Plain).is_err());
    assert!(look.project(&x, "features.0", 0, None, Rule::Deconv).is_err(), "no rectifier before it");
    for wrong in [
        Maximise { steps: 0, ..Maximise::default() },
        Maximise { rate: f32::NAN, ..Maximise::default() },
        Maximise { noise: f32::INFINITY, ..Maximise::default() },
        Maximise { decay: 2.0, ..Maximise::default() },
        Maximise { blur: -1.0, ..Maximise::default() },
        Maximise { bounds: vec![[1.0, 0.0]], ..Maximise::default() },
        Maximise { bounds: vec![[0.0, 1.0]; 3], ..Maximise::default() },
    ] {
        assert!(look.maximise(Target::Class(0), &wrong, |_| {}).is_err(), "{wrong:?}");
    }

    let smooth = branching();
    let look = Explainer::new(&smooth).unwrap();
    assert_eq!(
        look.gradient(&distinct([1, 2, 5, 4], 1), 0, Rule::Guided).unwrap_err().to_string(),
        "a network for guided backpropagation or the deconvnet must be one with rectifiers (relu, relu6), got none \
         before the explained value"
    );
    let maps = chain(layers![conv2d(2, 3).named("conv")], [1, 6, 6]);
    assert!(Explainer::new(&maps).is_err());
    let two = graph(["a", "b"]).node("sum", crate::spec::add(), ["a", "b"]).outputs(["sum"]);
    assert!(Explainer::new(&Graph::of(&two, [[3], [3]], 0).unwrap()).is_err());
}

#[test]
fn helpers_are_what_they_say() {
    let maps = Tensor::from_vec([1, 2, 1, 3], vec![1.0, -2.0, 0.0, -4.0, 1.5, 0.0]).unwrap();
    assert_eq!(magnitude(&maps).data(), [4.0, 2.0, 0.0]);
    assert_eq!(channel_sum(&maps).data(), [-3.0, -0.5, 0.0]);
    assert_eq!(positive(maps.clone()).data(), [1.0, 0.0, 0.0, 0.0, 1.5, 0.0]);
    assert!(is_zero(&Tensor::zeros([3])) && is_zero(&Tensor::full([2], -0.0)) && !is_zero(&maps));
    assert!(magnitude(&Tensor::full([1, 2, 1, 1], f32::NAN)).data()[0].is_nan());
    assert_eq!(
        resized(&Tensor::from_vec([1, 1, 1, 2], vec![0.0, 4.0]).unwrap(), [1, 4]).unwrap().data(),
        [0.0, 1.0, 3.0, 4.0]
    );
    assert!(resized(&Tensor::zeros([3]), [2, 2]).is_err());
}
