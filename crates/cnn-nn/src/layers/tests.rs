//! Every layer passes the gradient check, describes itself, and replicates.

use crate::spec::*;
use crate::{Fresh, LayerSpec, Path, gradcheck};
use cnn_ops::{AvgPool2d, MaxPool2d};
use cnn_tensor::testing::distinct;
use cnn_tensor::{Shape, Tensor};

fn layers() -> Vec<(LayerSpec, Shape)> {
    let image = Shape::from([2, 4, 7, 6]);
    let stem = conv2d(3, 3).padding(1).named("conv");
    vec![
        (conv2d(6, [3, 2]).into(), image),
        (conv2d(4, 3).stride(2).padding([1, 0]).dilation([1, 2]).groups(2).no_bias().into(), image),
        (linear(5).into(), [3, 7].into()),
        (linear(5).no_bias().into(), [3, 7].into()),
        (max_pool2d(2), image),
        (LayerSpec::MaxPool2d(MaxPool2d { kernel: [3, 3], stride: [2, 1], padding: [1, 0] }), image),
        (avg_pool2d([2, 3]), image),
        (LayerSpec::AvgPool2d(AvgPool2d { padding: [1, 1], ..AvgPool2d::new([3, 3]) }), image),
        (relu(), image),
        (tanh(), image),
        (scaled_tanh(), image),
        (sigmoid(), image),
        (flatten(), image),
        (sequential([stem, tanh().named("tanh"), flatten().named("flat"), linear(4).named("fc")]), image),
    ]
}

#[test]
fn gradients_are_right() {
    for (spec, x) in layers() {
        for seed in 0..3 {
            let mut layer = spec.build(x, Path::ROOT, &mut Fresh { seed }).unwrap();
            gradcheck::check(&mut *layer, x, seed).unwrap_or_else(|error| panic!("{spec:?}: {error}"));
        }
    }
}

#[test]
fn training_and_evaluation_agree_where_they_should() {
    for (spec, x_shape) in layers() {
        let mut layer = spec.build(x_shape, Path::ROOT, &mut Fresh { seed: 1 }).unwrap();
        let x = distinct(x_shape, 2);
        let y = layer.infer(&x).unwrap();
        assert_eq!(y.shape(), layer.output_shape(x_shape).unwrap(), "{spec:?}");
        assert_eq!(layer.infer_owned(x.clone()).unwrap(), y, "{spec:?}");
        assert_eq!(layer.forward(x.clone()).unwrap(), y, "{spec:?}");
        assert_eq!(layer.replicate().infer(&x).unwrap(), y, "{spec:?}");
        assert_eq!(x, distinct(x_shape, 2), "the caller's input is untouched by {spec:?}");
        assert_eq!(layer.spec().unwrap(), spec);
    }
}

#[test]
fn without_the_inputs_gradient_the_parameters_are_the_same() {
    for (spec, x_shape) in layers() {
        let mut layer = spec.build(x_shape, Path::ROOT, &mut Fresh { seed: 1 }).unwrap();
        let mut gradients = |first: bool| {
            layer.visit_mut(Path::ROOT, &mut |_, p| p.clear_gradient());
            let y = layer.forward(distinct(x_shape, 2)).unwrap();
            let dy = distinct(y.shape(), 3);
            if first {
                layer.backward_first(dy).unwrap()
            } else {
                drop(layer.backward(dy).unwrap())
            }
            let mut gradients: Vec<Tensor> = Vec::new();
            layer.visit(Path::ROOT, &mut |_, p| gradients.push(p.gradient.clone()));
            gradients
        };
        assert_eq!(gradients(true), gradients(false), "{spec:?}");
    }
}

#[test]
fn backward_before_forward_is_an_error() {
    for (spec, x) in layers() {
        let mut layer = spec.build(x, Path::ROOT, &mut Fresh { seed: 0 }).unwrap();
        let dy = Tensor::zeros(layer.output_shape(x).unwrap());
        assert!(
            layer.backward(dy).unwrap_err().to_string().ends_with("backward needs a forward pass before it")
        );
    }
}
