//! Every layer passes the gradient check, describes itself, and leaves its inputs alone.

use super::{build, join};
use crate::spec::*;
use crate::{
    At, Fresh, Gradients, Grads, Graph, Init, Kept, Layer, LayerSpec, Parameters, Path, Role, Shapes,
};
use crate::{Tensors, gradcheck, layers};
use cnn_ops::pad2d::PadMode;
use cnn_ops::pixel_shuffle::Order;
use cnn_ops::upsample2d::{Coordinates, Interpolation, Rounding};
use cnn_ops::{Activation, Arithmetic, AvgPool2d, MaxPool2d, Padding, Reshape, Upsample2d};
use cnn_tensor::testing::distinct;
use cnn_tensor::{Shape, Tensor};

/// A layer and the shapes of its inputs.
struct Case {
    spec: LayerSpec,
    x: Vec<Shape>,
}

impl Case {
    fn new<const N: usize>(spec: impl Into<LayerSpec>, x: [&[usize]; N]) -> Self {
        Self { spec: spec.into(), x: x.map(|x| Shape::new(x).unwrap()).into() }
    }

    /// The layer; of a container, the graph that has it.
    fn build(&self, seed: u64) -> Box<dyn Layer> {
        let source = &mut Fresh { seed };
        match &self.spec {
            LayerSpec::Sequential { .. }
            | LayerSpec::Residual(_)
            | LayerSpec::Concat { .. }
            | LayerSpec::MaxPoolUnpool2d(_)
            | LayerSpec::Graph(_) => Box::new(self.graph(seed)),
            leaf => build(leaf, &self.x, &mut Parameters::new(Path::ROOT, source)).unwrap(),
        }
    }

    /// The layer as the only node of a graph.
    fn graph(&self, seed: u64) -> Graph {
        let names: Vec<String> = (0..self.x.len()).map(|i| format!("x{i}")).collect();
        let outputs = match &self.spec {
            LayerSpec::Split(split) => split.sizes.len(),
            LayerSpec::MaxPool2dWithIndices(_) => 2,
            _ => 1,
        };
        let outputs: Vec<String> = (0..outputs).map(|slot| format!("layer:{slot}")).collect();
        let spec = GraphSpec { inputs: names.clone(), ..GraphSpec::default() }
            .node("layer", self.spec.clone(), names.iter().map(String::as_str))
            .outputs(outputs.iter().map(String::as_str));
        Graph::build_from(&spec, self.x.clone(), &mut Fresh { seed }).unwrap()
    }

    /// Inputs that the layer can take, and which of them are free numbers.
    fn inputs(&self, seed: u64) -> (Tensors, Vec<bool>) {
        let mut x: Tensors = self.x.iter().zip(seed..).map(|(x, seed)| distinct(*x, seed)).collect();
        let mut free = vec![true; x.len()];
        match self.spec {
            LayerSpec::Activation(
                Activation::Log | Activation::Sqrt | Activation::Reciprocal | Activation::Power { .. },
            ) => x[0].data_mut().iter_mut().for_each(|x| *x = x.abs() + 0.5),
            // Away from -1 and 1, where they bend.
            LayerSpec::Activation(Activation::Hardtanh { .. } | Activation::Threshold { .. }) => {
                x[0].data_mut().iter_mut().for_each(|x| *x = (*x * 16.0).round() / 8.0 + 0.0625);
            }
            // Away from 0.
            LayerSpec::Div => x[1].data_mut().iter_mut().for_each(|b| *b += 2.0),
            // Never equal, and on either side of each other.
            LayerSpec::Maximum | LayerSpec::Minimum => {
                x[0].data_mut().iter_mut().for_each(|a| *a = (*a * 16.0).round() / 8.0 + 0.0625);
                x[1].data_mut().iter_mut().for_each(|b| *b = (*b * 16.0).round() / 8.0);
            }
            LayerSpec::MaxUnpool2d => {
                let ([.., h, w], [.., oh, ow]) = (self.x[2].nchw().unwrap(), self.x[0].nchw().unwrap());
                let pool = join::MaxPool2dWithIndices(MaxPool2d::new([h / oh, w / ow]));
                x[1] = pool.infer(x[2].clone().into()).unwrap()[1].clone();
                (free[1], free[2]) = (false, false);
            }
            _ => {}
        }
        (x, free)
    }
}

fn cases() -> Vec<Case> {
    let unary = unary().into_iter().map(|(spec, x)| Case { spec, x: vec![x] });
    let activations = Activation::all().map(|activation| Case::new(activation, [&[2, 3, 4, 4]]));
    unary.chain(activations).chain(several()).collect()
}

/// Layers with several inputs or outputs, and those that move numbers between axes.
fn several() -> Vec<Case> {
    let mut cases = Vec::new();
    for join in [add(), sub(), mul(), div(), maximum(), minimum()] {
        let image: &[usize] = &[2, 3, 2, 4];
        let others: [&[usize]; 5] = [image, &[2, 3, 1, 1], &[2, 1, 2, 4], &[2, 1, 1, 1], &[]];
        cases.extend(others.map(|other| Case::new(join.clone(), [image, other])));
        cases.push(Case::new(join.clone(), [&[2, 1, 3], &[2, 4, 1]]));
        cases.push(Case::new(join, [&[2, 3, 1, 1], image]));
    }
    cases.extend([
        Case::new(cat(1), [&[2, 1, 3], &[2, 2, 3], &[2, 1, 3]]),
        Case::new(cat(2), [&[2, 2, 3], &[2, 2, 1]]),
        Case::new(cat(1), [&[2, 5]]),
        Case::new(split(1, [1, 2]), [&[2, 3, 4]]),
        Case::new(split(2, [3, 1]), [&[2, 3, 4]]),
        Case::new(split(1, [3]), [&[2, 3]]),
        Case::new(stack(1), [&[2, 3], &[2, 3], &[2, 3]]),
        Case::new(stack(3), [&[2, 3, 2], &[2, 3, 2]]),
        Case::new(slice(1, 1, -1), [&[2, 4, 3]]),
        Case::new(slice(2, -4, None).step(2), [&[2, 2, 5]]),
        Case::new(permute([0, 2, 1]), [&[2, 3, 4]]),
        Case::new(permute([0, 3, 1, 2]), [&[2, 3, 2, 4]]),
        Case::new(transpose(1, 3), [&[2, 3, 2, 4]]),
        Case::new(max_pool2d_with_indices(max_pool2d(2)), [&[2, 2, 5, 4]]),
        Case::new(max_pool2d_with_indices(max_pool2d(3).stride(2).padding(1)), [&[2, 2, 5, 4]]),
        Case::new(max_unpool2d(), [&[2, 2, 2, 2], &[2, 2, 2, 2], &[2, 2, 4, 6]]),
    ]);
    // A squeeze and what it excites; a layer that is applied twice.
    let squeeze = graph(["x"])
        .node("squeeze", global_avg_pool2d(), ["x"])
        .node("fc", conv2d(3, 1), ["squeeze"])
        .node("gate", sigmoid(), ["fc"])
        .node("scaled", mul(), ["x", "gate"])
        .outputs(["scaled"]);
    let twins = graph(["a", "b"])
        .node("left", linear(2), ["a"])
        .share("right", "left", ["b"])
        .node("distance", sub(), ["left", "right"])
        .outputs(["distance"]);
    cases.extend([Case::new(squeeze, [&[2, 3, 3, 2]]), Case::new(twins, [&[3, 4], &[3, 4]])]);
    cases
}

/// Layers with one input, and its shape.
fn unary() -> Vec<(LayerSpec, Shape)> {
    let image = Shape::from([2, 4, 7, 6]);
    let stem = conv2d(3, 3).padding(1).named("conv");
    vec![
        (conv2d(6, [3, 2]).into(), image),
        (conv2d(4, 3).stride(2).padding([1, 0]).dilation([1, 2]).groups(2).bias(false).into(), image),
        (conv2d(5, [4, 3]).stride([2, 1]).padding(Padding::Same).into(), image),
        (conv2d(4, 3).padding([[0, 3], [1, 0]]).groups(4).into(), image),
        (conv2d_table([vec![0, 1, 2], vec![3], vec![0, 3]], [3, 2]).into(), image),
        (
            conv2d_table([vec![1], vec![0, 2]], 3).stride([1, 2]).padding(Padding::Same).bias(false).into(),
            image,
        ),
        (conv_transpose2d(3, [2, 3]).into(), image),
        (
            conv_transpose2d(4, 3)
                .stride([3, 2])
                .padding([1, 2])
                .output_padding([2, 0])
                .groups(2)
                .bias(false)
                .into(),
            image,
        ),
        (conv_transpose2d(2, 2).dilation([1, 3]).output_padding([0, 1]).into(), image),
        (linear(5).into(), [3, 7].into()),
        (linear(5).bias(false).into(), [3, 7].into()),
        (linear(5).steps(true).into(), [3, 4, 7].into()),
        (max_pool2d(2).into(), image),
        (max_pool2d([2, 3]).stride([2, 1]).padding(1).dilation([2, 1]).ceil_mode(true).into(), image),
        (LayerSpec::MaxPool2d(MaxPool2d::new([3, 3]).stride([2, 1]).padding([1, 0]).ceil_mode(true)), image),
        (avg_pool2d([2, 3]).into(), image),
        (avg_pool2d(3).stride(2).padding(1).ceil_mode(true).count_include_pad(false).into(), image),
        (avg_pool2d(2).divisor_override(3).into(), image),
        (max_pool2d(3).stride(1).padding([[2, 0], [1, 2]]).into(), image),
        (max_pool2d(4).stride(3).padding(Padding::SameLower).into(), image),
        (avg_pool2d(3).stride(2).padding(Padding::Same).count_include_pad(false).into(), image),
        (avg_pool2d(2).dilation([2, 1]).padding([[0, 1], [3, 0]]).into(), image),
        (conv_transpose2d(3, [2, 3]).stride(2).padding([[1, 0], [0, 2]]).into(), image),
        (conv_transpose2d(2, 3).stride(2).padding(Padding::Same).into(), image),
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
            max_pool_unpool2d(max_pool2d(2), [max_pool_unpool2d(max_pool2d(2), layers![]).named("inner")])
                .into(),
            image,
        ),
        (
            max_pool_unpool2d(max_pool2d(2), [conv2d(4, 3).padding(1).named("conv"), tanh().named("tanh")])
                .into(),
            image,
        ),
        (LayerSpec::AvgPool2d(AvgPool2d { padding: [1, 1].into(), ..AvgPool2d::new([3, 3]) }), image),
        (batch_norm1d().into(), [5, 3].into()),
        (batch_norm1d().into(), [3, 2, 4].into()),
        (batch_norm2d().into(), [2, 3, 3, 2].into()),
        (batch_norm2d().eps(0.5).momentum(None).affine(false).into(), [2, 3, 3, 2].into()),
        (local_response_norm(3).into(), image),
        (local_response_norm(4).alpha(0.5).beta(0.6).k(2.0).into(), [2, 5, 3].into()),
        (layer_norm().into(), [3, 5].into()),
        (layer_norm().into(), [2, 3, 2, 2].into()),
        (layer_norm().axes(1).eps(0.5).affine(false).into(), [2, 3, 2, 4].into()),
        (group_norm(2).into(), [2, 4, 2, 2].into()),
        (group_norm(3).eps(0.5).affine(false).into(), [2, 3, 4].into()),
        (dropout(0.3), image),
        (dropout(0.5), [3, 7].into()),
        (dropout2d(0.5), image),
        (leaky_relu(0.1), image),
        (leaky_relu(-0.5), image),
        (prelu().into(), [3, 4].into()),
        (prelu().per_channel(true).init(-0.5).into(), [2, 3, 4].into()),
        (elu(0.5), image),
        (elu(-0.5), [4, 4].into()),
        (Activation::Softplus { beta: -2.0, threshold: 20.0 }.into(), [4, 4].into()),
        (gelu_tanh(), [2, 3, 4, 4].into()),
        (arithmetic_by(Arithmetic::Add, [4, 1, 1]).init(Init::Normal(1.0)).into(), image),
        (arithmetic_by(Arithmetic::Sub, [6]).reversed(true).init(Init::Normal(1.0)).into(), image),
        (arithmetic_by(Arithmetic::Mul, [4, 7, 6]).init(Init::Normal(1.0)).into(), image),
        (arithmetic_by(Arithmetic::Mul, []).init(Init::Constant(3.0)).trained(false).into(), image),
        (arithmetic_by(Arithmetic::Div, [3, 1]).init(Init::Constant(2.0)).into(), [2, 1, 4].into()),
        (arithmetic_by(Arithmetic::Mul, [3]).init(Init::Normal(1.0)).reversed(true).into(), [5, 1].into()),
        (arithmetic_by(Arithmetic::Maximum, [3, 1]).init(Init::Constant(9.0)).into(), [2, 1, 4].into()),
        (hardtanh(-0.5, 0.75), image),
        (threshold(0.25, -1.0), image),
        (celu(-0.7), [4, 4].into()),
        (power(-1.5), [4, 4].into()),
        (Activation::HardSigmoid { alpha: 2.0 / 3.0, beta: 0.5 }.into(), image),
        (softmax(), [3, 5].into()),
        (softmax(), [2, 3, 2, 3].into()),
        (log_softmax(), [3, 5].into()),
        (log_softmax(), [2, 3, 2, 3].into()),
        (softmax_over(3), [2, 3, 2, 3].into()),
        (log_softmax_over(2), [2, 3, 4, 3].into()),
        (mean([2, 3]).into(), [2, 3, 2, 3].into()),
        (mean([1]).keepdim(true).into(), [2, 3, 2].into()),
        (sum([2]).into(), [2, 3, 2, 3].into()),
        (amax([3, 1]).into(), [2, 3, 2, 3].into()),
        (amin([2]).keepdim(true).into(), [2, 3, 4].into()),
        (norm([1, 2]).into(), [3, 2, 3].into()),
        (norm([1]).p(1).into(), [3, 5].into()),
        (soft_argmax2d(), image),
        (rbf(4).into(), [3, 5].into()),
        (rbf(4).trainable(true).into(), [3, 5].into()),
        (rbf(4).trainable(true).negate(true).into(), [3, 5].into()),
        (rbf(10).codes(Codes::Digits).into(), [2, 84].into()),
        (flatten(), image),
        (reshape([6, 7, 4]), image),
        (LayerSpec::Reshape(Reshape { shape: vec![Some(8), None] }), image),
        (pad2d(1).into(), image),
        (pad2d([1, 2]).mode(PadMode::Constant(0.5)).into(), image),
        (pad2d([[2, 0], [1, 3]]).mode(PadMode::Reflect).into(), image),
        (pad2d([[2, 0], [1, 9]]).mode(PadMode::Replicate).into(), image),
        (pad2d([[2, 0], [1, 9]]).mode(PadMode::Circular).into(), image),
        (crop2d([[2, 0], [1, 3]]), image),
        (pixel_shuffle(2).into(), [2, 4, 3, 2].into()),
        (pixel_unshuffle(3).order(Order::BlocksFirst).into(), [2, 2, 3, 6].into()),
        (upsample2d(2.0).into(), image),
        (upsample2d(1.5).mode(Interpolation::Bilinear).into(), image),
        (upsample2d_to_size([5, 3]).into(), image),
        (upsample2d([1.5, 2.0]).mode(Interpolation::Bicubic).into(), image),
        (
            upsample2d_to_size([5, 8])
                .mode(Interpolation::Bilinear)
                .coordinates(Coordinates::Asymmetric)
                .into(),
            image,
        ),
        (upsample2d(0.5).coordinates(Coordinates::HalfPixel).rounding(Rounding::Ceil).into(), image),
        (
            LayerSpec::Upsample2d(
                Upsample2d::to_size([9, 8]).mode(Interpolation::Bilinear).align_corners(true),
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
                .shortcut(conv2d(3, 1).stride(2).bias(false).named("downsample"))
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
    for case in cases() {
        for seed in 0..3 {
            let mut layer = case.build(seed);
            let (x, free) = case.inputs(seed);
            let checked = match case.spec {
                LayerSpec::Div
                | LayerSpec::Maximum
                | LayerSpec::Minimum
                | LayerSpec::MaxUnpool2d
                | LayerSpec::Activation(
                    Activation::Log
                    | Activation::Sqrt
                    | Activation::Reciprocal
                    | Activation::Power { .. }
                    | Activation::Hardtanh { .. }
                    | Activation::Threshold { .. },
                ) => gradcheck::check_at(&mut *layer, x, &free, seed),
                _ => gradcheck::check(&mut *layer, case.x.iter().copied().collect::<Shapes>(), seed),
            };
            checked.unwrap_or_else(|error| panic!("{:?} of {:?}: {error}", case.spec, case.x));
        }
    }
}

/// The outputs as in training, and what was kept.
fn forward(layer: &dyn Layer, x: Tensors) -> (Tensors, Kept) {
    let mut kept = Kept::default();
    (layer.forward(x, At::default(), &mut kept).unwrap(), kept)
}

#[test]
fn training_and_evaluation_agree_where_they_should() {
    for case in cases() {
        let (layer, spec) = (case.build(1), &case.spec);
        let (x, _) = case.inputs(2);
        let y = layer.infer(x.clone()).unwrap();
        let shapes: Shapes = y.iter().map(Tensor::shape).collect();
        assert_eq!(shapes, layer.output_shapes(&case.x).unwrap(), "{spec:?}");
        let (trained, _) = forward(&*layer, x.clone());
        assert_eq!(trained == y, !layer.nature().training_differs, "{spec:?}");
        assert_eq!(x, case.inputs(2).0, "the caller's inputs are untouched by {spec:?}");
        // Those that the layer may write over.
        assert_eq!(layer.infer(case.inputs(2).0).unwrap(), y, "{spec:?}");
        assert_eq!(forward(&*layer, case.inputs(2).0).0, trained, "{spec:?}");
    }
}

#[test]
fn a_graph_of_one_layer_is_that_layer() {
    for case in cases() {
        let (net, spec) = (case.graph(1), &case.spec);
        assert_eq!(net.spec().nodes[0].compute, Compute::Layer(spec.clone()));
        let json = serde_json::to_string(net.spec()).unwrap();
        assert_eq!(serde_json::from_str::<GraphSpec>(&json).unwrap(), *net.spec());
        let layer = case.build(1);
        let (x, _) = case.inputs(2);
        // The layers of other paths begin otherwise, and drop otherwise.
        let mut values = Vec::new();
        net.visit(&mut |_, _, tensor| values.push(tensor.clone()));
        let mut layer = layer;
        let mut values = values.into_iter();
        layer.visit_mut(&mut |_, _, tensor| *tensor = values.next().unwrap());
        let y = Layer::infer(&net, x.clone()).unwrap();
        assert_eq!(layer.infer(x.clone()).unwrap(), y, "{spec:?}");
        assert_eq!(Layer::infer(&net.copy().unwrap(), x).unwrap(), y, "{spec:?}");
        assert_eq!(layer.nature(), net.nature(), "{spec:?}");
        assert_eq!(layer.macs(&case.x), net.macs(&case.x), "{spec:?}");
    }
}

/// A tensor of zeros for each parameter.
fn zeros(layer: &dyn Layer) -> Vec<Tensor> {
    let mut zeros = Vec::new();
    layer.visit(&mut |_, role, tensor| {
        if role == Role::Parameter {
            zeros.push(Tensor::zeros(tensor.shape()));
        }
    });
    zeros
}

#[test]
fn without_the_inputs_gradient_the_parameters_are_the_same() {
    for case in cases() {
        let layer = case.build(1);
        let gradients = |wanted: bool| {
            let (y, mut kept) = forward(&*layer, case.inputs(2).0);
            let dy: Gradients = y.iter().map(|y| Some(distinct(y.shape(), 3))).collect();
            let mut gradients = zeros(&*layer);
            let wants = vec![wanted; case.x.len()];
            layer.backward(&mut kept, dy, &mut Grads::new(&mut gradients, &wants)).unwrap();
            gradients
        };
        assert_eq!(gradients(true), gradients(false), "{:?}", case.spec);
    }
}

#[test]
fn outputs_that_nobody_reads_have_no_part_in_gradients() {
    for case in cases().iter().filter(|case| case.graph(1).outputs().len() > 1) {
        let layer = case.build(1);
        let backward = |dy: Gradients| {
            let (_, mut kept) = forward(&*layer, case.inputs(2).0);
            layer.backward(&mut kept, dy, &mut Grads::new(&mut [], &[true])).unwrap()
        };
        let shapes = layer.output_shapes(&case.x).unwrap();
        for read in 0..shapes.len() {
            let dy = |slot: usize| distinct(shapes[slot], 3);
            let some = (0..shapes.len()).map(|slot| (slot == read).then(|| dy(slot)));
            let zeros = (0..shapes.len())
                .map(|slot| Some(if slot == read { dy(slot) } else { Tensor::zeros(shapes[slot]) }));
            let want = backward(zeros.collect());
            let got = backward(some.collect());
            let got = got.iter().map(|dx| dx.clone().unwrap_or_else(|| Tensor::zeros(case.x[0])));
            assert!(got.eq(want.iter().map(|dx| dx.clone().unwrap())), "{:?}", case.spec);
        }
    }
}

#[test]
fn backward_before_forward_is_an_error() {
    for case in cases() {
        let layer = case.build(0);
        let shapes = layer.output_shapes(&case.x).unwrap();
        let dy = || shapes.iter().map(|shape| Some(Tensor::zeros(*shape))).collect::<Gradients>();
        let (mut gradients, wants) = (zeros(&*layer), vec![true; case.x.len()]);
        let mut fault = |kept: &mut Kept| {
            layer.backward(kept, dy(), &mut Grads::new(&mut gradients, &wants)).unwrap_err().to_string()
        };
        let rule = "a backward pass must be the only one after its own forward pass, got nothing kept";
        assert!(fault(&mut Kept::default()).ends_with(rule));
        let (_, mut kept) = forward(&*layer, case.inputs(2).0);
        layer.backward(&mut kept, dy(), &mut Grads::new(&mut zeros(&*layer), &wants)).unwrap();
        assert!(fault(&mut kept).ends_with(rule), "{:?}", case.spec);
    }
}

#[test]
fn another_number_of_inputs_is_an_error() {
    for case in cases().iter().filter(|case| !matches!(case.spec, LayerSpec::Cat(_) | LayerSpec::Stack(_))) {
        let (layer, expected) = (case.build(0), case.x.len());
        let more: Tensors = case.inputs(0).0.iter().chain([&Tensor::zeros([2, 3])]).cloned().collect();
        let shapes: Vec<Shape> = more.iter().map(Tensor::shape).collect();
        let want = format!("the number of inputs must be {expected}, got {}", expected + 1);
        assert_eq!(layer.output_shapes(&shapes).unwrap_err().to_string(), want, "{:?}", case.spec);
        assert_eq!(layer.infer(more.clone()).unwrap_err().to_string(), want, "{:?}", case.spec);
        let fault = layer.forward(more, At::default(), &mut Kept::default()).unwrap_err();
        assert_eq!(fault.to_string(), want, "{:?}", case.spec);
    }
}

fn fault(spec: impl Into<LayerSpec>, x: [usize; 4]) -> String {
    Graph::chain(vec![spec.into().named("block")], x.into(), &mut Fresh { seed: 0 }).unwrap_err().to_string()
}

#[test]
fn a_constant_that_json_cannot_hold_is_refused() {
    let message = fault(pad2d(1).mode(PadMode::Constant(f32::INFINITY)), [1, 1, 2, 2]);
    assert_eq!(message, "block: the constant of pad2d must be finite, got inf");
}

#[test]
fn containers_name_the_part_that_does_not_fit() {
    let x = [1, 4, 5, 5];
    let narrow = residual([conv2d(4, 3).named("conv")]);
    assert_eq!(
        fault(narrow, x),
        "block: add: the extents must be equal or 1, got [1, 4, 3, 3] and [1, 4, 5, 5]"
    );
    let twice = residual([conv2d(4, 1).named("a")]).shortcut(conv2d(4, 1).named("a"));
    assert!(fault(twice, x).ends_with("used twice, and without a dot, got \"a\""));
    let broken = residual(layers![]).shortcut(conv2d(4, 1).groups(3).named("downsample"));
    assert!(fault(broken, x).starts_with("block.downsample: conv2d: groups must be"));
    let after = residual(layers![]).after([linear(3).named("fc")]);
    assert!(fault(after, x).starts_with("block.fc: linear: x expects"));
    let branch = concat([relu().named("a"), sequential([linear(3).named("fc")]).named("b")]);
    assert!(fault(branch, x).starts_with("block.b.fc: linear: x expects"));
    let uneven = concat([relu().named("a"), max_pool2d(2).named("b")]);
    assert!(fault(uneven, x).starts_with("block: concat: "));
    assert!(fault(concat(layers![]), x).starts_with("block: concat: "), "{}", fault(concat(layers![]), x));
    let hourglass = max_pool_unpool2d(max_pool2d(2), [conv2d(2, 1).named("conv")]);
    assert_eq!(
        fault(hourglass, x),
        "block: max_pool_unpool2d: what lies between pooling and unpooling expects shape [1, 4, 2, 2], \
         got [1, 2, 2, 2]"
    );
    let wide = max_pool_unpool2d(max_pool2d(6), layers![]);
    assert_eq!(
        fault(wide, x),
        "block: max_pool2d: a window of 6 with padding 0 does not fit an input extent of 5"
    );
}

#[test]
fn a_container_counts_and_lists_its_parts() {
    let block = residual([conv2d(8, 3).padding(1).named("conv")])
        .shortcut(conv2d(8, 1).bias(false).named("downsample"))
        .after([relu().named("act")]);
    let net = Graph::build([block.named("block")], [4, 5, 5], 0).unwrap();
    let rows: Vec<_> = net.summary().rows.into_iter().map(|row| (row.path, row.kind, row.macs)).collect();
    let row = |path: &str, kind, macs| (path.to_string(), kind, macs);
    assert_eq!(
        rows,
        [
            row("block.conv", "conv2d", 8 * 36 * 25),
            row("block.downsample", "conv2d", 32 * 25),
            row("block", "add", 0),
            row("block.act", "relu", 0)
        ]
    );
    assert_eq!(net.parameter_count(), 8 * 36 + 8 + 32);
    assert_eq!(net.macs(&[[1, 4, 5, 5].into()]), (8 * 36 + 32) * 25);
}

#[test]
fn a_subsampling_begins_as_average_pooling() {
    let x: &[usize] = &[2, 3, 6, 5];
    let [trained, average] = [subsample([2, 3]).into(), avg_pool2d([2, 3]).into()]
        .map(|spec: LayerSpec| Case::new(spec, [x]).build(0));
    let input = Tensors::from(distinct([2, 3, 6, 5], 1));
    let want = cnn_tensor::testing::to_f64(&average.infer(input.clone()).unwrap()[0]);
    cnn_tensor::testing::assert_close(&trained.infer(input).unwrap()[0], &want);
    let mut parameters = Vec::new();
    trained.visit(&mut |name, _, value| parameters.push((name.to_string(), value.clone())));
    let want = [("weight", Tensor::full([3], 1.0 / 6.0)), ("bias", Tensor::zeros([3]))];
    assert_eq!(parameters, want.map(|(name, value)| (name.to_string(), value)));
    let error = trained.output_shapes(&[[2, 4, 6, 5].into()]).unwrap_err();
    assert_eq!(error.to_string(), "subsample: x expects 3 channels, got 4");
}

#[test]
fn unpooling_puts_numbers_where_the_maxima_were() {
    let layer = Case::new(max_pool_unpool2d(max_pool2d(2), layers![]), [&[1, 1, 2, 5]]).build(0);
    let x = vec![1.0, 5.0, 2.0, 0.0, 9.0, 3.0, 4.0, 8.0, 6.0, 9.0];
    let (y, mut kept) = forward(&*layer, Tensor::from_vec([1, 1, 2, 5], x).unwrap().into());
    assert_eq!(y[0].data(), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0]);
    let dy = Tensor::full([1, 1, 2, 5], 3.0);
    let dx = layer.backward(&mut kept, dy.into(), &mut Grads::new(&mut [], &[true])).unwrap();
    let dx = dx[0].as_ref().unwrap();
    assert_eq!(dx.data(), [0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
}

#[test]
fn positions_of_maxima_are_numbers_of_their_planes() {
    let pool = Case::new(max_pool2d_with_indices(max_pool2d(2).padding(1).ceil_mode(true)), [&[1, 1, 2, 5]])
        .build(0);
    let x = vec![1.0, 5.0, 2.0, 0.0, 9.0, 3.0, 4.0, 8.0, 6.0, 9.0];
    let y = pool.infer(Tensor::from_vec([1, 1, 2, 5], x).unwrap().into()).unwrap();
    assert_eq!(y[0].data(), [1.0, 5.0, 9.0, 3.0, 8.0, 9.0]);
    assert_eq!(y[1].data(), [0.0, 1.0, 4.0, 5.0, 7.0, 9.0]);
    let large = pool.output_shapes(&[[1, 1, 4096, 4097].into()]).unwrap_err().to_string();
    assert_eq!(large, "a plane whose positions are asked for must be at most 2^24 elements, got 16781312");
}

#[test]
fn positions_that_are_none_are_refused() {
    let x: [&[usize]; 3] = [&[1, 1, 1, 2], &[1, 1, 1, 2], &[1, 1, 2, 4]];
    let unpool = Case::new(max_unpool2d(), x).build(0);
    let fault = |positions: [f32; 2], values: [usize; 4], like: [usize; 4]| {
        let positions = Tensor::from_slice([1, 1, 1, 2], &positions).unwrap();
        let x = Tensors::from([Tensor::zeros(values), positions, Tensor::zeros(like)]);
        unpool.infer(x).map(|y| y[0].data().to_vec()).map_err(|fault| fault.to_string())
    };
    let (x, like) = ([1, 1, 1, 2], [1, 1, 2, 4]);
    let refused = |got| Err(format!("max_unpool2d: an index must be a whole number from -1, got {got}"));
    assert_eq!(fault([0.0, 0.5], x, like), refused("0.5 at element 1"));
    assert_eq!(fault([f32::NAN, 0.0], x, like), refused("NaN at element 0"));
    assert_eq!(fault([-2.0, 0.0], x, like), refused("-2 at element 0"));
    assert_eq!(fault([-1.0, 7.0], x, like), Ok(vec![0.0; 8]));
    assert!(fault([0.0, 8.0], x, like).unwrap_err().starts_with("max_unpool2d: "));
    let shape = "max_unpool2d: indices expects shape [1, 1, 2, 2], got [1, 1, 1, 2]";
    assert_eq!(fault([0.0, 1.0], [1, 1, 2, 2], like), Err(shape.into()));
    let shape = "max_unpool2d: like expects shape [1, 1, 2, 4], got [1, 2, 2, 4]";
    assert_eq!(fault([0.0, 1.0], x, [1, 2, 2, 4]), Err(shape.into()));
}

#[test]
fn a_block_between_pooling_and_unpooling_lists_its_parts() {
    // The name of the pooling itself is another's, here.
    let conv = |name| conv2d(4, 3).padding(1).named(name);
    for (name, pool) in [("conv", "level.max_pool2d"), ("max_pool2d", "level.max_pool2d_")] {
        let block = max_pool_unpool2d(max_pool2d(2), [conv(name)]);
        let net = Graph::build([block.named("level")], [4, 6, 6], 0).unwrap();
        let rows = net.summary().rows.into_iter();
        let rows: Vec<_> = rows.map(|row| (row.path, row.kind, row.output, row.macs)).collect();
        let (inner, outer) = (Shape::from([1, 4, 3, 3]), Shape::from([1, 4, 6, 6]));
        assert_eq!(
            rows,
            [
                (pool.to_string(), "max_pool2d_with_indices", inner, 0),
                (format!("level.{name}"), "conv2d", inner, 4 * 36 * 9),
                ("level".to_string(), "max_unpool2d", outer, 0),
            ]
        );
        assert_eq!(net.tensors()[0].0, format!("level.{name}.weight"));
    }
}

#[test]
fn a_norm_is_the_first_or_the_second() {
    assert_eq!(fault(norm([1]).p(3), [1, 1, 2, 2]), "block: p of a norm must be 1 or 2, got 3");
}

/// Layers that cannot take their inputs say which rule was broken.
#[test]
fn joins_say_what_does_not_fit() {
    let fault = |spec: LayerSpec, x: &[&[usize]]| {
        let x: Vec<Shape> = x.iter().map(|x| Shape::new(x).unwrap()).collect();
        let source = &mut Fresh { seed: 0 };
        let built = build(&spec, &x, &mut Parameters::new(Path::ROOT, source));
        built.and_then(|layer| layer.output_shapes(&x)).unwrap_err().to_string()
    };
    assert_eq!(fault(mul(), &[&[1, 2]]), "the number of inputs must be 2, got 1");
    assert_eq!(fault(relu(), &[&[1, 2], &[1, 2]]), "the number of inputs must be 1, got 2");
    assert_eq!(fault(linear(2).into(), &[]), "the number of inputs must be 1, got 0");
    assert_eq!(
        fault(div(), &[&[2, 3], &[3, 3]]),
        "div: the batches, axis 0, must be equal, got [2, 3] and [3, 3]"
    );
    assert!(fault(cat(1), &[&[2, 3, 1], &[2, 3, 2]]).starts_with("concat: "));
    assert!(fault(stack(1), &[&[2, 3], &[2, 2]]).starts_with("stack: x expects shape [2, 3], got [2, 2]"));
    assert!(fault(split(1, [1, 1]), &[&[2, 3]]).starts_with("split: "));
    assert!(fault(permute([0, 1]), &[&[2, 3, 4]]).starts_with("permute: dims must be each axis of x once"));
    let container = sequential([relu().named("a")]);
    assert_eq!(fault(container, &[&[1, 2]]), "a layer must be one layer, not a container, got sequential");
}
