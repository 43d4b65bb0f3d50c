//! Files of classifiers become models: layers in sequence, the outputs before any softmax, images in this library's order.

use cnn_nn::spec::{
    NamedSpec, add, cat, conv2d, flatten, global_avg_pool2d, graph, linear, log_softmax, mul, permute, relu,
    sigmoid, slice, softmax, split,
};
use cnn_nn::{Graph, Input, LayerSpec, Model};
use cnn_onnx::{Channels, Described, Export, Onnx, export};
use cnn_tensor::{Shape, Tensor};

fn input(shape: [usize; 3]) -> Input {
    Input::new(shape, &vec![0.5; shape[0]], &vec![0.25; shape[0]])
}

fn described(shape: [usize; 3], classes: &[&str]) -> Described {
    let classes = classes.iter().map(ToString::to_string).collect();
    Described { name: "net".into(), input: input(shape), classes }
}

fn images(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let value = |i: usize| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0;
    Tensor::from_vec(shape, (0..shape.numel()).map(value).collect()).unwrap()
}

fn file(net: &Graph) -> Onnx {
    Onnx::read(export(net, &Export::default()).unwrap()).unwrap()
}

fn file_of(layers: Vec<NamedSpec>, input: [usize; 3]) -> (Graph, Onnx) {
    let net = Graph::build(layers, input, 3).unwrap();
    let file = file(&net);
    (net, file)
}

fn names(model: &Model) -> Vec<&str> {
    model.spec.layers.iter().map(|layer| layer.name.as_str()).collect()
}

/// A block whose values go two ways, with a split whose parts are both read, and a gate.
fn block() -> LayerSpec {
    graph(["x"])
        .node("conv", conv2d(6, 3).padding(1), ["x"])
        .node("halves", split(1, [2, 4]), ["conv"])
        .node("gate", sigmoid(), ["halves:1"])
        .node("gated", mul(), ["gate", "halves:1"])
        .node("joined", cat(1), ["gated", "halves"])
        .node("sum", add(), ["joined", "x"])
        .outputs(["sum"])
        .into()
}

#[test]
fn nodes_through_which_all_passes_are_layers_and_others_are_blocks() {
    let layers = vec![
        conv2d(6, 3).named("stem"),
        relu().named("act"),
        block().named("a"),
        block().named("b"),
        global_avg_pool2d().named("pool"),
        flatten().named("flat"),
        linear(5).named("fc"),
    ];
    let (net, file) = file_of(layers, [2, 7, 6]);
    let (model, notes) = file.classifier(described([2, 7, 6], &[]), Channels::Rgb).unwrap();
    assert_eq!(notes, ["the classes have no names: they are 0 to 4"]);
    assert_eq!(model.spec.classes, ["0", "1", "2", "3", "4"]);
    let names = names(&model);
    assert_eq!(
        (names[0], names.iter().filter(|name| name.starts_with("block")).count()),
        ("stem", 2),
        "{names:?}"
    );
    let x = images([3, 2, 7, 6]);
    assert_eq!(model.net.infer(&x).unwrap(), net.infer(&x).unwrap());

    // It is saved and trained on as any other.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap().net.infer(&x).unwrap(), net.infer(&x).unwrap());
    let other = model.with_head(vec!["a".into(), "b".into()], 1).unwrap();
    assert_eq!(other.net.infer(&x).unwrap().shape().dims(), [3, 2]);
    assert_eq!(other.net.tensors().len(), model.net.tensors().len());
}

#[test]
fn a_softmax_over_the_classes_is_left_out_and_no_other() {
    let trunk = |last: Vec<NamedSpec>| {
        let mut layers = vec![conv2d(4, 3).named("conv"), global_avg_pool2d().named("pool")];
        layers.extend(last);
        layers
    };
    let classifier = |layers: Vec<NamedSpec>| {
        let (net, file) = file_of(layers, [1, 5, 5]);
        let (model, notes) =
            file.classifier(described([1, 5, 5], &["a", "b", "c", "d"]), Channels::Rgb).unwrap();
        let x = images([2, 1, 5, 5]);
        (model.net.infer(&x).unwrap(), net.infer(&x).unwrap(), notes)
    };
    let plain = vec![flatten().named("flat"), linear(4).named("fc")];
    for (softmax, name) in [(softmax(), "softmax"), (log_softmax(), "log-softmax")] {
        let (logits, _, notes) = classifier(trunk([plain.clone(), vec![softmax.named("end")]].concat()));
        assert_eq!(notes, [format!("the last {name} is left out: outputs are the numbers before it")]);
        assert_eq!(logits, classifier(trunk(plain.clone())).0);
    }
    // Maps of one pixel, before and after their softmax.
    let (logits, _, _) = classifier(trunk(vec![softmax().named("end"), flatten().named("flat")]));
    assert_eq!(logits, classifier(trunk(vec![flatten().named("flat")])).1);
    let (logits, maps, _) = classifier(trunk(vec![]));
    assert_eq!((logits.shape().dims(), logits.data()), (&[2, 4][..], maps.data()));
    // Of two softmaxes one, and none over pairs of classes.
    let twice = vec![softmax().named("one"), softmax().named("two")];
    let (logits, _, _) = classifier(trunk([plain.clone(), twice].concat()));
    assert!((logits.data().iter().sum::<f32>() - 2.0).abs() < 1e-5);
    let reshape = |shape: &[usize]| {
        let shape = shape.iter().map(|&extent| Some(extent)).collect();
        LayerSpec::Reshape(cnn_ops::Reshape { shape })
    };
    let pairs = vec![reshape(&[2, 2]).named("pairs"), softmax().named("end"), flatten().named("flat_again")];
    let (outputs, all, notes) = classifier(trunk([plain, pairs].concat()));
    assert_eq!((outputs, notes), (all, vec![]));
}

#[test]
fn channels_may_be_last_or_begin_with_blue() {
    let layers = vec![
        permute([0, 3, 1, 2]).named("first"),
        conv2d(4, 3).named("conv"),
        global_avg_pool2d().named("pool"),
        flatten().named("flat"),
        linear(2).named("fc"),
    ];
    let (net, file) = file_of(layers, [6, 5, 3]);
    assert_eq!(file.image_shape(None).unwrap(), [3, 6, 5]);
    let model = |channels| file.classifier(described([3, 6, 5], &["a", "b"]), channels).unwrap().0;
    let x = images([2, 3, 6, 5]);
    let turned = |x: &Tensor| {
        let turn = Graph::build([permute([0, 2, 3, 1]).named("turn")], [3, 6, 5], 0).unwrap();
        turn.infer(x).unwrap()
    };
    assert_eq!(model(Channels::Rgb).net.infer(&x).unwrap(), net.infer(&turned(&x)).unwrap());
    let part = |at: isize| LayerSpec::from(slice(1, at, at + 1));
    let swap = graph(["x"])
        .node("b", part(2), ["x"])
        .node("g", part(1), ["x"])
        .node("r", part(0), ["x"])
        .node("bgr", cat(1), ["b", "g", "r"])
        .outputs(["bgr"]);
    let swapped = Graph::of(&swap, [[3, 6, 5]], 0).unwrap().infer(&x).unwrap();
    let bgr = model(Channels::Bgr);
    assert_eq!(bgr.net.infer(&x).unwrap(), net.infer(&turned(&swapped)).unwrap());
    assert_eq!(bgr.net.tensors().len(), net.tensors().len());
}

#[test]
fn what_does_not_fit_is_one_message() {
    let (_, file) = file_of(vec![flatten().named("flat"), linear(3).named("fc")], [1, 4, 6]);
    let message =
        |described: Described, channels| file.classifier(described, channels).unwrap_err().to_string();
    assert_eq!(
        message(described([1, 4, 6], &["a", "b"]), Channels::Rgb),
        "expected 3 names of classes, got 2"
    );
    assert_eq!(
        message(described([1, 4, 6], &[]), Channels::Bgr),
        "expected three channels for blue, green and red, got 1"
    );
    assert!(message(described([1, 4, 7], &[]), Channels::Rgb).contains("of its own height and width, got 7"));
    let wrong = message(described([3, 4, 6], &[]), Channels::Rgb);
    assert_eq!(wrong, "expected images of [1, 4, 6], got a description of [3, 4, 6]");

    let net = Graph::build([linear(2).named("fc")], [4], 0).unwrap();
    let metadata =
        |text: &str| Export { metadata: vec![(Described::KEY.into(), text.into())], ..Export::default() };
    let file = Onnx::read(export(&net, &metadata("{\"name\": 1}")).unwrap()).unwrap();
    let fault = Described::of(&file).unwrap_err().to_string();
    assert!(fault.starts_with("metadata cnn: expected a model's description: invalid type"), "{fault}");
    let fault = file.image_shape(None).unwrap_err().to_string();
    assert_eq!(fault, "expected an input of images [n, c, h, w], got input [?, 4]");
    let written = serde_json::to_string(&described([1, 4, 6], &["a"])).unwrap();
    let file = Onnx::read(export(&net, &metadata(&written)).unwrap()).unwrap();
    assert_eq!(Described::of(&file).unwrap(), Some(described([1, 4, 6], &["a"])));
}
