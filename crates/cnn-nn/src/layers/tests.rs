//! Every layer passes the gradient check, describes itself, and replicates.

use crate::spec::*;
use crate::{Fresh, Init, Layer, LayerSpec, Path, Sequential, gradcheck};
use cnn_ops::pad2d::PadMode;
use cnn_ops::upsample2d::Interpolation;
use cnn_ops::{AvgPool2d, LocalResponseNorm, MaxPool2d, Reshape, Upsample2d};
use cnn_tensor::testing::distinct;
use cnn_tensor::{Shape, Tensor};

fn layers() -> Vec<(LayerSpec, Shape)> {
    let image = Shape::from([2, 4, 7, 6]);
    let stem = conv2d(3, 3).padding(1).named("conv");
    vec![
        (conv2d(6, [3, 2]).into(), image),
        (conv2d(4, 3).stride(2).padding([1, 0]).dilation([1, 2]).groups(2).no_bias().into(), image),
        (conv2d(5, [4, 3]).stride([2, 1]).same().into(), image),
        (conv2d(4, 3).padding([[0, 3], [1, 0]]).groups(4).into(), image),
        (conv2d_table([vec![0, 1, 2], vec![3], vec![0, 3]], [3, 2]).into(), image),
        (conv2d_table([vec![1], vec![0, 2]], 3).stride([1, 2]).same().no_bias().into(), image),
        (conv_transpose2d(3, [2, 3]).into(), image),
        (
            conv_transpose2d(4, 3)
                .stride([3, 2])
                .padding([1, 2])
                .output_padding([2, 0])
                .groups(2)
                .no_bias()
                .into(),
            image,
        ),
        (conv_transpose2d(2, 2).dilation([1, 3]).output_padding([0, 1]).into(), image),
        (linear(5).into(), [3, 7].into()),
        (linear(5).no_bias().into(), [3, 7].into()),
        (max_pool2d(2).into(), image),
        (max_pool2d([2, 3]).stride([2, 1]).padding(1).dilation([2, 1]).ceil_mode().into(), image),
        (
            LayerSpec::MaxPool2d(
                MaxPool2d::new([3, 3]).with_stride([2, 1]).with_padding([1, 0]).with_ceil_mode(true),
            ),
            image,
        ),
        (avg_pool2d([2, 3]).into(), image),
        (avg_pool2d(3).stride(2).padding(1).ceil_mode().count_exclude_pad().into(), image),
        (avg_pool2d(2).divisor_override(3).into(), image),
        (adaptive_avg_pool2d([3, 4]), image),
        (adaptive_max_pool2d([3, 4]), image),
        (global_avg_pool2d(), image),
        (global_max_pool2d(), image),
        (subsample(2).into(), image),
        (subsample([3, 2]).stride([2, 1]).init(Init::Constant(0.5)).into(), image),
        (
            max_pool_unpool2d(max_pool2d(3).stride(1).padding(1), [tanh().named("shared_maxima")]).into(),
            image,
        ),
        (
            max_pool_unpool2d(max_pool2d(2), [max_pool_unpool2d(max_pool2d(2), []).named("inner")]).into(),
            image,
        ),
        (
            max_pool_unpool2d(max_pool2d(2), [conv2d(4, 3).padding(1).named("conv"), tanh().named("tanh")])
                .into(),
            image,
        ),
        (LayerSpec::AvgPool2d(AvgPool2d { padding: [1, 1], ..AvgPool2d::new([3, 3]) }), image),
        (batch_norm1d(), [5, 3].into()),
        (batch_norm1d(), [3, 2, 4].into()),
        (batch_norm2d(), [2, 3, 3, 2].into()),
        (
            LayerSpec::BatchNorm2d(BatchNormSpec { eps: 0.5, momentum: None, affine: false }),
            [2, 3, 3, 2].into(),
        ),
        (local_response_norm(3), image),
        (
            LayerSpec::LocalResponseNorm(LocalResponseNorm { size: 4, alpha: 0.5, beta: 0.6, k: 2.0 }),
            [2, 5, 3].into(),
        ),
        (layer_norm(), [3, 5].into()),
        (layer_norm(), [2, 3, 2, 2].into()),
        (LayerSpec::LayerNorm(LayerNormSpec { axes: Some(1), eps: 0.5, affine: false }), [2, 3, 2, 4].into()),
        (group_norm(2), [2, 4, 2, 2].into()),
        (LayerSpec::GroupNorm(GroupNormSpec { groups: 3, eps: 0.5, affine: false }), [2, 3, 4].into()),
        (dropout(0.3), image),
        (dropout(0.5), [3, 7].into()),
        (dropout2d(0.5), image),
        (relu(), image),
        (relu6(), image),
        (leaky_relu(0.1), image),
        (leaky_relu(-0.5), image),
        (prelu().into(), [3, 4].into()),
        (prelu().per_channel().init(-0.5).into(), [2, 3, 4].into()),
        (elu(0.5), image),
        (elu(-0.5), [4, 4].into()),
        (tanh(), image),
        (scaled_tanh(), image),
        (sigmoid(), image),
        (softplus(), image),
        (LayerSpec::Softplus { beta: -2.0, threshold: 20.0 }, [4, 4].into()),
        (gelu(), [2, 3, 4, 4].into()),
        (gelu_tanh(), [2, 3, 4, 4].into()),
        (silu(), image),
        (hard_sigmoid(), image),
        (hard_swish(), image),
        (softmax(), [3, 5].into()),
        (softmax(), [2, 3, 2, 3].into()),
        (log_softmax(), [3, 5].into()),
        (log_softmax(), [2, 3, 2, 3].into()),
        (rbf(4).into(), [3, 5].into()),
        (rbf(4).trainable().into(), [3, 5].into()),
        (rbf(4).trainable().negate().into(), [3, 5].into()),
        (rbf(10).codes(Codes::Digits).into(), [2, 84].into()),
        (flatten(), image),
        (reshape([6, 7, 4]), image),
        (LayerSpec::Reshape(Reshape { shape: vec![Some(8), None] }), image),
        (pad2d(1, PadMode::Zeros), image),
        (pad2d([1, 2], PadMode::Constant(0.5)), image),
        (pad2d([[2, 0], [1, 3]], PadMode::Reflect), image),
        (pad2d([[2, 0], [1, 9]], PadMode::Replicate), image),
        (crop2d([[2, 0], [1, 3]]), image),
        (upsample2d(2.0, Interpolation::Nearest), image),
        (upsample2d(1.5, Interpolation::Bilinear), image),
        (LayerSpec::Upsample2d(Upsample2d::to_size([5, 3])), image),
        (
            LayerSpec::Upsample2d(
                Upsample2d::to_size([9, 8]).with_mode(Interpolation::Bilinear).with_align_corners(true),
            ),
            image,
        ),
        (
            residual([
                conv2d(4, 3).padding(1).named("conv1"),
                tanh().named("act1"),
                conv2d(4, 1).named("conv2"),
            ])
            .into(),
            image,
        ),
        (
            residual([conv2d(3, 3).stride(2).padding(1).named("conv")])
                .shortcut(conv2d(3, 1).stride(2).no_bias().named("downsample"))
                .after([tanh().named("act")])
                .into(),
            image,
        ),
        (
            concat([conv2d(3, 1).named("a"), sequential([conv2d(2, 3).padding(1).named("0")]).named("b")]),
            image,
        ),
        (concat([residual([tanh().named("t")]).named("r"), relu().named("r2")]), image),
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
        assert_eq!(layer.replicate().infer(&x).unwrap(), y, "{spec:?}");
        let trained = layer.forward(x.clone()).unwrap();
        assert_eq!(trained == y, !layer.training_differs(), "{spec:?}");
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

fn fault(spec: impl Into<LayerSpec>, x: [usize; 4]) -> String {
    Sequential::build_from(&[spec.into().named("block")], x.into(), Path::ROOT, &mut Fresh { seed: 0 })
        .unwrap_err()
        .to_string()
}

#[test]
fn a_constant_that_json_cannot_hold_is_refused() {
    let message = fault(pad2d(1, PadMode::Constant(f32::INFINITY)), [1, 1, 2, 2]);
    assert_eq!(message, "block: the constant of pad2d must be finite, got inf");
}

#[test]
fn containers_name_the_part_that_does_not_fit() {
    let x = [1, 4, 5, 5];
    let narrow = residual([conv2d(4, 3).named("conv")]);
    assert_eq!(fault(narrow, x), "block: add: b expects shape [1, 4, 3, 3], got [1, 4, 5, 5]");
    let twice = residual([conv2d(4, 1).named("a")]).shortcut(conv2d(4, 1).named("a"));
    assert!(fault(twice, x).ends_with("used twice, and without a dot, got \"a\""));
    let broken = residual([]).shortcut(conv2d(4, 1).groups(3).named("downsample"));
    assert!(fault(broken, x).starts_with("block.downsample: conv2d: groups must be"));
    let after = residual([]).after([linear(3).named("fc")]);
    assert!(fault(after, x).starts_with("block.fc: linear: x expects"));
    let branch = concat([relu().named("a"), sequential([linear(3).named("fc")]).named("b")]);
    assert!(fault(branch, x).starts_with("block.b.fc: linear: x expects"));
    let uneven = concat([relu().named("a"), max_pool2d(2).named("b")]);
    assert!(fault(uneven, x).starts_with("block: concat: "), "{}", fault(concat([]), x));
    assert!(fault(concat([]), x).starts_with("block: concat: "));
    let hourglass = max_pool_unpool2d(max_pool2d(2), [conv2d(2, 1).named("conv")]);
    assert_eq!(
        fault(hourglass, x),
        "block: max_pool_unpool2d: what lies between pooling and unpooling expects shape [1, 4, 2, 2], \
         got [1, 2, 2, 2]"
    );
}

#[test]
fn a_container_counts_and_lists_its_parts() {
    let block = residual([conv2d(8, 3).padding(1).named("conv")])
        .shortcut(conv2d(8, 1).no_bias().named("downsample"))
        .after([relu().named("act")]);
    let net = Sequential::build([block.named("block")], [4, 5, 5], 0).unwrap();
    let rows: Vec<_> =
        net.summary([4, 5, 5]).unwrap().rows.into_iter().map(|row| (row.path, row.macs)).collect();
    let row = |path: &str, macs| (path.to_string(), macs);
    assert_eq!(
        rows,
        [
            row("block.conv", 8 * 36 * 25),
            row("block.downsample", 32 * 25),
            row("block", 0),
            row("block.act", 0)
        ]
    );
    assert_eq!(net.parameter_count(), 8 * 36 + 8 + 32);
    assert_eq!(net.macs([1, 4, 5, 5].into()), (8 * 36 + 32) * 25);
}

#[test]
fn a_subsampling_begins_as_average_pooling() {
    let x = Shape::from([2, 3, 6, 5]);
    let build = |spec: LayerSpec| spec.build(x, Path::ROOT, &mut Fresh { seed: 0 }).unwrap();
    let (trained, average) = (build(subsample([2, 3]).into()), build(avg_pool2d([2, 3]).into()));
    let input = distinct(x, 1);
    let want = cnn_tensor::testing::to_f64(&average.infer(&input).unwrap());
    cnn_tensor::testing::assert_close(&trained.infer(&input).unwrap(), &want);
    let mut parameters = Vec::new();
    trained.visit(Path::ROOT, &mut |path, p| parameters.push((path.to_string(), p.value.clone())));
    let want = [("weight", Tensor::full([3], 1.0 / 6.0)), ("bias", Tensor::zeros([3]))];
    assert_eq!(parameters, want.map(|(name, value)| (name.to_string(), value)));
    let error = trained.output_shape([2, 4, 6, 5].into()).unwrap_err();
    assert_eq!(error.to_string(), "subsample: x expects 3 channels, got 4");
}

#[test]
fn unpooling_puts_numbers_where_the_maxima_were() {
    let spec = LayerSpec::from(max_pool_unpool2d(max_pool2d(2), []));
    let mut layer = spec.build([1, 1, 2, 5].into(), Path::ROOT, &mut Fresh { seed: 0 }).unwrap();
    let x = vec![1.0, 5.0, 2.0, 0.0, 9.0, 3.0, 4.0, 8.0, 6.0, 9.0];
    let y = layer.forward(Tensor::from_vec([1, 1, 2, 5], x).unwrap()).unwrap();
    assert_eq!(y.data(), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0]);
    let dx = layer.backward(Tensor::full([1, 1, 2, 5], 3.0)).unwrap();
    assert_eq!(dx.data(), [0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
}

#[test]
fn a_block_between_pooling_and_unpooling_lists_its_parts() {
    let block = max_pool_unpool2d(max_pool2d(2), [conv2d(4, 3).padding(1).named("conv")]);
    let net = Sequential::build([block.named("level")], [4, 6, 6], 0).unwrap();
    let rows = net.summary([4, 6, 6]).unwrap().rows;
    let rows: Vec<_> = rows.into_iter().map(|row| (row.path, row.output, row.macs)).collect();
    assert_eq!(
        rows,
        [
            ("level.conv".to_string(), Shape::from([1, 4, 3, 3]), 4 * 36 * 9),
            ("level".to_string(), Shape::from([1, 4, 6, 6]), 0),
        ]
    );
}
