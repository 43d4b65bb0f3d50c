use super::*;
use crate::spec::{
    Compute, LayerSpec, add, batch_norm1d, batch_norm2d, cat, concat, conv2d, div, dropout, flatten, graph,
    linear, max_pool_unpool2d, max_pool2d, max_pool2d_with_indices, max_unpool2d, mul, own, relu, residual,
    sequential, slice, split, stack, tanh,
};
use crate::{Gradients, Grads, Nature, Own, Parameters, Tensors, Unary, gradcheck, layers};
use cnn_tensor::testing::distinct;
use cnn_tensor::{MemoryUse, parallel::Threads};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;

fn fault<const N: usize>(layers: impl IntoIterator<Item = impl Into<Listed>>, x: [usize; N]) -> String {
    Graph::build(layers, x, 0).unwrap_err().to_string()
}

/// The error of a graph whose inputs have these shapes.
fn graph_fault<const N: usize>(spec: &GraphSpec, x: [&[usize]; N]) -> String {
    Graph::of(spec, x, 0).unwrap_err().to_string()
}

/// A random image.
fn image(shape: impl Into<Shape>) -> Tensor {
    distinct(shape, 7)
}

/// Outputs as in training, and what was kept.
fn forward(net: &Graph, x: impl Into<Tensors>) -> (Tensors, Kept) {
    let mut kept = Kept::default();
    (Layer::forward(net, x.into(), At::default(), &mut kept).unwrap(), kept)
}

/// The gradients with respect to the inputs and the parameters.
fn backward(net: &Graph, kept: &mut Kept, dy: impl Into<Gradients>) -> (Gradients, Vec<Tensor>) {
    let mut gradients = net.plan.gradients(net);
    let wants = vec![true; net.inputs.len()];
    let dx = Layer::backward(net, kept, dy.into(), &mut Grads::new(&mut gradients, &wants)).unwrap();
    (dx, gradients)
}

fn names(net: &Graph) -> Vec<String> {
    net.tensors().into_iter().map(|(name, _)| name).collect()
}

/// Passes its input on, and writes down under its name what it was asked for.
#[derive(Serialize, Deserialize)]
struct Spy {
    spy: String,
    #[serde(default)]
    parameter: bool,
    #[serde(skip)]
    weight: Option<Tensor>,
}

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Spy {
    fn plain(spy: &str) -> LayerSpec {
        own(&Self { spy: spy.into(), parameter: false, weight: None })
    }

    fn with_parameter(spy: &str) -> LayerSpec {
        own(&Self { spy: spy.into(), parameter: true, weight: None })
    }

    fn saw(&self, what: &str) {
        SEEN.lock().unwrap().push(format!("{} {what}", self.spy));
    }

    /// The inputs that spies whose names begin with `test` have seen since the last call.
    fn seen(test: &str) -> Vec<String> {
        let mut seen = SEEN.lock().unwrap();
        let (own, others) = seen.drain(..).partition(|line| line.starts_with(test));
        *seen = others;
        own
    }
}

impl Own for Spy {
    const KIND: &'static str = "spy";

    fn build(mut self, _: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        self.saw("build");
        if self.parameter {
            self.weight = Some(parameters.get("weight", [1], crate::Init::Constant(1.0))?);
        }
        Ok(self)
    }
}

impl Unary for Spy {
    type Saved = ();

    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        self.saw("infer");
        Ok(x)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, ()), NnError> {
        self.saw("forward");
        Ok((x, ()))
    }

    fn backward(&self, (): (), dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        self.saw(if grads.wants(0) { "backward" } else { "backward without dx" });
        if self.parameter {
            grads.of(0).data_mut()[0] += dy.data().iter().sum::<f32>();
        }
        Ok(grads.wants(0).then_some(dy))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        self.weight.iter().for_each(|weight| f("weight", Role::Parameter, weight));
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        self.weight.iter_mut().for_each(|weight| f("weight", Role::Parameter, weight));
    }
}

// Chains.

#[test]
fn faults_name_the_layer_what_it_expects_and_what_it_got() {
    let nested = sequential([conv2d(4, 3).named("0"), conv2d(8, 5).groups(3).named("3")]);
    assert_eq!(
        fault([nested.named("features")], [1, 9, 9]),
        "features.3: conv2d: groups must be a divisor of both channel counts, \
         got 3 for 4 input and 8 output channels"
    );
    assert_eq!(
        fault([max_pool2d(2).named("pool"), conv2d(4, 5).named("conv")], [1, 6, 6]),
        "conv: conv2d: a window of 5 with padding 0 does not fit an input extent of 3"
    );
    let message = fault([conv2d(1, 1).padding(1 << 20).named("c")], [1, 1, 1]);
    assert_eq!(
        message,
        "c: conv2d: the output must be at most 2^28 elements for one image, got [1, 1, 2097153, 2097153]"
    );
}

#[test]
fn names_tell_layers_apart() {
    let rule = "the name of a layer must be neither empty nor used twice, and without a dot, got";
    for (names, got) in [(["a", "a"], r#""a""#), (["a", ""], r#""""#), (["a.b", "a"], r#""a.b""#)] {
        let layers = || names.map(|name| relu().named(name));
        assert_eq!(fault(layers(), [3]), format!("{rule} {got}"));
        assert_eq!(fault([sequential(layers()).named("part")], [3]), format!("part: {rule} {got}"));
        assert_eq!(fault([residual(layers()).named("part")], [3]), format!("part: {rule} {got}"));
        assert_eq!(fault([concat(layers()).named("part")], [3]), format!("part: {rule} {got}"));
        let inner = max_pool_unpool2d(max_pool2d(1), layers()).named("part");
        assert_eq!(fault([inner], [1, 2, 2]), format!("part: {rule} {got}"));
        let spec = graph(["x"]).node(names[0], relu(), ["x"]).node(names[1], relu(), ["x"]).outputs(["x"]);
        assert_eq!(graph_fault(&spec, [&[3]]), format!("{rule} {got}"));
    }
    let spec = graph(["x"]).node("x", relu(), ["x"]).outputs(["x"]);
    assert_eq!(graph_fault(&spec, [&[3]]), format!("{rule} \"x\""), "inputs and nodes share their names");
    let spec = graph(["x", "x"]).outputs(["x"]);
    assert_eq!(graph_fault(&spec, [&[3], &[3]]), format!("{rule} \"x\""));
    let spec = graph(["x"]).node("a:1", relu(), ["x"]).outputs(["x"]);
    assert_eq!(
        graph_fault(&spec, [&[3]]),
        "the name of a node must be one that does not end in a colon and a number, as edges to another output do, \
         got \"a:1\""
    );
    // The input of a chain gives way.
    let net = Graph::build([relu().named("input"), relu().named("input_")], [3], 0).unwrap();
    assert_eq!(net.spec().inputs, ["input__"]);
}

#[test]
fn a_built_net_describes_itself() {
    let specs = vec![
        conv2d(2, 3).named("conv"),
        relu().named("relu"),
        flatten().named("flat"),
        linear(3).named("fc"),
    ];
    let net = Graph::build(specs.clone(), [1, 5, 5], 1).unwrap();
    assert_eq!(*net.spec(), GraphSpec::chain(specs));
    assert_eq!((net.inputs(), net.output_shape().unwrap()), (&[[1, 1, 5, 5].into()][..], [1, 3].into()));
    assert!(net.summary().to_string().contains("conv"));
    assert_eq!(
        format!("{net:?}"),
        r#"{"conv": "conv2d", "relu": "relu", "flat": "flatten", "fc": "linear"}"#
    );
    let nothing = Graph::build(layers![], [3], 0).unwrap();
    assert_eq!(nothing.infer(&image([2, 3])).unwrap(), image([2, 3]));
}

#[test]
fn a_change_to_one_layer_leaves_the_others_initial_values() {
    let first = |out: usize| {
        let net = Graph::build([linear(3).named("a"), linear(out).named("b")], [4], 9).unwrap();
        net.tensors()[0].clone()
    };
    assert_eq!(first(2), first(7));
    assert_eq!(first(2).0, "a.weight");
    // Nor does the order in which a graph lists them.
    let node = |spec: GraphSpec, name| spec.node(name, linear(3), ["x"]);
    let (there, back) = (node(node(graph(["x"]), "a"), "b"), node(node(graph(["x"]), "b"), "a"));
    let tensors = |spec: GraphSpec| {
        let net = Graph::of(&spec.outputs(["a", "b"]), [[4]], 9).unwrap();
        net.tensors().into_iter().collect::<BTreeMap<_, _>>()
    };
    assert_eq!(tensors(there), tensors(back));
}

#[test]
fn backward_needs_forward() {
    let net = Graph::build([linear(3).named("fc")], [4], 0).unwrap();
    let rule = "a backward pass must be the only one after its own forward pass, got nothing kept";
    let back = |kept: &mut Kept| {
        let mut gradients = net.plan.gradients(&net);
        let dy = Tensor::zeros([1, 3]).into();
        Layer::backward(&net, kept, dy, &mut Grads::new(&mut gradients, &[true]))
            .map(drop)
            .map_err(|e| e.to_string())
    };
    assert_eq!(back(&mut Kept::default()).unwrap_err(), rule);
    let (_, mut kept) = forward(&net, image([1, 4]));
    back(&mut kept).unwrap();
    assert_eq!(back(&mut kept).unwrap_err(), format!("fc: {rule}"));
}

/// The names that version 0.1 gave, and files of it and of PyTorch have.
#[test]
fn containers_have_the_names_of_published_files() {
    let conv = |name| conv2d(3, 3).padding(1).bias(false).named(name);
    let block = |name| {
        residual([conv("conv1"), batch_norm2d().named("bn1"), relu().named("relu"), conv("conv2")])
            .shortcut(sequential([conv2d(3, 1).named("0"), batch_norm2d().named("1")]).named("downsample"))
            .after([relu().named("act"), conv("conv3")])
            .named(name)
    };
    let net = Graph::build(
        [
            sequential([block("0"), residual(layers![]).named("1")]).named("layer1"),
            concat([conv("a"), sequential([conv("0"), block("1")]).named("b")]).named("mixed"),
            max_pool_unpool2d(
                max_pool2d(2),
                [
                    conv2d(6, 1).named("conv"),
                    max_pool_unpool2d(max_pool2d(2), [conv2d(6, 1).named("conv")]).named("in"),
                ],
            )
            .named("level"),
        ],
        [3, 8, 8],
        0,
    )
    .unwrap();
    let block = |path: &str| {
        let trained = ["conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight"];
        let rest = [
            "downsample.0.weight",
            "downsample.0.bias",
            "downsample.1.weight",
            "downsample.1.bias",
            "conv3.weight",
        ];
        let names = trained.iter().chain(&rest).map(|name| format!("{path}.{name}"));
        names.collect::<Vec<_>>()
    };
    let buffers = |path: &str| {
        let names = ["bn1", "downsample.1"].into_iter().flat_map(|layer| {
            ["running_mean", "running_var", "num_batches_tracked"]
                .map(|name| format!("{path}.{layer}.{name}"))
        });
        names.collect::<Vec<_>>()
    };
    let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let expected = [
        block("layer1.0"),
        strings(&["mixed.a.weight", "mixed.b.0.weight"]),
        block("mixed.b.1"),
        strings(&["level.conv.weight", "level.conv.bias", "level.in.conv.weight", "level.in.conv.bias"]),
        buffers("layer1.0"),
        buffers("mixed.b.1"),
    ];
    assert_eq!(names(&net), expected.concat());
    let nodes: Vec<_> = net.nodes().skip(6).collect();
    let expected = [
        ("layer1.0", "add"),
        ("layer1.0.act", "relu"),
        ("layer1.0.conv3", "conv2d"),
        ("layer1.1", "add"),
        ("mixed.a", "conv2d"),
        ("mixed.b.0", "conv2d"),
        ("mixed.b.1.conv1", "conv2d"),
        ("mixed.b.1.bn1", "batch_norm2d"),
        ("mixed.b.1.relu", "relu"),
        ("mixed.b.1.conv2", "conv2d"),
        ("mixed.b.1.downsample.0", "conv2d"),
        ("mixed.b.1.downsample.1", "batch_norm2d"),
        ("mixed.b.1", "add"),
        ("mixed.b.1.act", "relu"),
        ("mixed.b.1.conv3", "conv2d"),
        ("mixed", "cat"),
        ("level.max_pool2d", "max_pool2d_with_indices"),
        ("level.conv", "conv2d"),
        ("level.in.max_pool2d", "max_pool2d_with_indices"),
        ("level.in.conv", "conv2d"),
        ("level.in", "max_unpool2d"),
        ("level", "max_unpool2d"),
    ];
    assert_eq!(nodes, expected);
}

// Graphs.

#[test]
fn nodes_may_stand_in_any_order() {
    let nodes: [(&str, LayerSpec, &[&str]); 4] = [
        ("sum", add(), &["b", "a"]),
        ("b", relu(), &["a"]),
        ("last", tanh(), &["sum"]),
        ("a", linear(3).into(), &["x"]),
    ];
    let orders = [[0, 1, 2, 3], [3, 1, 0, 2], [2, 0, 3, 1], [1, 3, 2, 0]];
    let outputs = orders.map(|order| {
        let nodes = order.map(|i| nodes[i].clone());
        let spec = nodes
            .into_iter()
            .fold(graph(["x"]), |spec, (name, layer, from)| spec.node(name, layer, from.iter().copied()));
        let net = Graph::of(&spec.outputs(["last"]), [[4]], 3).unwrap();
        let place = |name| net.nodes().position(|(path, _)| path == name).unwrap();
        assert!(
            place("a") < place("b") && place("b") < place("sum") && place("sum") < place("last"),
            "{net:?}"
        );
        net.infer(&image([2, 4])).unwrap()
    });
    assert!(outputs.iter().all(|y| *y == outputs[0]));
}

#[test]
fn a_long_chain_in_reverse_is_no_deep_recursion() {
    let n = 10_000;
    let mut spec = graph(["0"]);
    for i in (1..=n).rev() {
        spec = spec.node(&i.to_string(), relu(), [(i - 1).to_string().as_str()]);
    }
    let net = Graph::of(&spec.outputs([n.to_string().as_str()]), [[2]], 0).unwrap();
    assert_eq!(net.nodes().last().unwrap().0, n.to_string());
    assert_eq!(net.infer(&Tensor::full([1, 2], 0.5)).unwrap().data(), [0.5; 2]);
}

#[test]
fn cycles_are_named() {
    let spec = graph(["x"])
        .node("a", add(), ["x", "c"])
        .node("b", relu(), ["a"])
        .node("c", relu(), ["b"])
        .outputs(["x"]);
    assert_eq!(graph_fault(&spec, [&[3]]), "a graph must be without cycles, got a reads c reads b reads a");
    let spec = graph(["x"]).node("tail", relu(), ["self"]).node("self", relu(), ["self"]).outputs(["x"]);
    assert_eq!(graph_fault(&spec, [&[3]]), "a graph must be without cycles, got self reads self");
}

#[test]
fn what_is_missing_is_named_with_what_may_be_meant() {
    let spec = |from| {
        graph(["image"]).node("conv", conv2d(1, 1), ["image"]).node("relu", relu(), [from]).outputs(["relu"])
    };
    let rule = "the source of a node or an output must be a node or an input of the graph, got";
    let x: [&[usize]; 1] = [&[1, 2, 2]];
    assert_eq!(graph_fault(&spec("cnv"), x), format!("relu: {rule} \"cnv\"; is \"conv\" meant?"));
    assert_eq!(graph_fault(&spec("imag"), x), format!("relu: {rule} \"imag\"; is \"image\" meant?"));
    assert_eq!(graph_fault(&spec("something else"), x), format!("relu: {rule} \"something else\""));
    assert_eq!(graph_fault(&spec("conv:x"), x), format!("relu: {rule} \"conv:x\"; is \"conv\" meant?"));
    let output = spec("conv").outputs(["rely"]);
    assert_eq!(graph_fault(&output, x), format!("{rule} \"rely\"; is \"relu\" meant?"));
    let nested = graph(["x"]).node("part", spec("cnv"), ["x"]).outputs(["part"]);
    assert_eq!(graph_fault(&nested, x), format!("part.relu: {rule} \"cnv\"; is \"conv\" meant?"));
}

#[test]
fn an_output_that_a_node_lacks_is_counted() {
    let spec = |from| graph(["x"]).node("two", split(1, [1, 2]), ["x"]).node("relu", relu(), [from]);
    let got = "the output of a node that is read must be one that it has, got output";
    let x: [&[usize]; 1] = [&[3]];
    assert_eq!(
        graph_fault(&spec("two:2").outputs(["relu"]), x),
        format!("relu: {got} 2 of two, which has 2 (counted from 0)")
    );
    assert_eq!(
        graph_fault(&spec("x:1").outputs(["relu"]), x),
        format!("relu: {got} 1 of x, which has 1 (counted from 0)")
    );
    let last = spec("two:1").outputs(["relu:18446744073709551615"]);
    assert_eq!(
        graph_fault(&last, x),
        format!("{got} 18446744073709551615 of relu, which has 1 (counted from 0)")
    );
    Graph::of(&spec("two:1").outputs(["relu", "two:0"]), [[3]], 0).unwrap();
}

#[test]
fn inputs_and_outputs_are_counted() {
    let spec = graph(["a", "b"]).node("sum", add(), ["a"]).outputs(["sum"]);
    assert_eq!(graph_fault(&spec, [&[3], &[3]]), "sum: the number of inputs must be 2, got 1");
    let spec = graph(["a"]).node("relu", relu(), ["a", "a"]).outputs(["relu"]);
    assert_eq!(graph_fault(&spec, [&[3]]), "relu: the number of inputs must be 1, got 2");
    let spec = graph(["a"]).node("relu", relu(), []).outputs(["relu"]);
    assert_eq!(graph_fault(&spec, [&[3]]), "relu: the number of inputs must be 1, got 0");
    let spec = graph(["a"]).node("fc", linear(1), []).outputs(["fc"]);
    assert_eq!(graph_fault(&spec, [&[3]]), "fc: the number of inputs must be 1, got 0");
    let spec = graph(["a"]).node("relu", relu(), ["a"]);
    assert_eq!(graph_fault(&spec, [&[3]]), "the outputs of a graph must be at least one, got none");
    let spec = spec.outputs(["relu"]);
    assert_eq!(graph_fault(&spec, [&[3], &[3]]), "the number of inputs of a graph must be 1, got 2");
    let outer = graph(["a"]).node("part", spec.clone(), ["a", "a"]).outputs(["part"]);
    assert_eq!(graph_fault(&outer, [&[3]]), "part: the number of inputs of a graph must be 1, got 2");
    let net = Graph::of(&spec, [[3]], 0).unwrap();
    let two = Tensors::from([image([1, 3]), image([1, 3])]);
    assert_eq!(
        Layer::infer(&net, two.clone()).unwrap_err().to_string(),
        "the number of inputs must be 1, got 2"
    );
    let trained = Layer::forward(&net, two, At::default(), &mut Kept::default()).unwrap_err();
    assert_eq!(trained.to_string(), "the number of inputs must be 1, got 2");
    let many = graph(["a"]).node("parts", split(1, [1, 2]), ["a"]).outputs(["parts:0", "parts:1"]);
    let net = Graph::of(&many, [[3]], 0).unwrap();
    assert_eq!(net.infer(&image([1, 3])).unwrap_err().to_string(), "the number of outputs must be 1, got 2");
    assert_eq!(net.output_shape().unwrap_err().to_string(), "the number of outputs must be 1, got 2");
    let (_, mut kept) = forward(&net, image([1, 3]));
    let back =
        Layer::backward(&net, &mut kept, Tensor::zeros([1, 1]).into(), &mut Grads::new(&mut [], &[true]));
    assert_eq!(back.unwrap_err().to_string(), "the number of gradients must be 2, got 1");
}

#[test]
fn shapes_that_disagree_are_shown() {
    let spec = graph(["a", "b"]).node("sum", add(), ["a", "b"]).outputs(["sum"]);
    assert_eq!(
        graph_fault(&spec, [&[4, 5], &[3, 5]]),
        "sum: add: the extents must be equal or 1, got [1, 4, 5] and [1, 3, 5]"
    );
    let net = Graph::of(&spec, [[4, 5], [1, 5]], 0).unwrap();
    let fault = Layer::infer(&net, [image([2, 4, 5]), image([3, 4, 5])].into()).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "sum: add: the batches, axis 0, must be equal, got [2, 4, 5] and [3, 4, 5]"
    );
    let part = graph(["x"])
        .node("stacked", stack(1), ["x", "flat"])
        .node("flat", flatten(), ["x"])
        .outputs(["stacked"]);
    let outer = graph(["x"]).node("part", part, ["x"]).outputs(["part"]);
    assert_eq!(graph_fault(&outer, [&[2, 2]]), "part.stacked: stack: x expects shape [1, 2, 2], got [1, 4]");
}

// Shared layers.

#[test]
fn gradients_of_a_shared_layer_add_up() {
    let spec = graph(["a", "b"])
        .node("left", linear(2), ["a"])
        .share("right", "left", ["b"])
        .node("product", mul(), ["left", "right"])
        .outputs(["product"]);
    let mut net = Graph::of(&spec, [[3], [3]], 1).unwrap();
    assert_eq!(names(&net), ["left.weight", "left.bias"]);
    assert_eq!(net.parameter_count(), 3 * 2 + 2);
    assert_eq!(net.summary().parameters(), 3 * 2 + 2);
    let rows: Vec<_> =
        net.summary().rows.into_iter().map(|row| (row.path, row.parameters, row.macs)).collect();
    let row = |path: &str, parameters, macs| (path.to_string(), parameters, macs);
    assert_eq!(rows, [row("left", 8, 6), row("right", 0, 6), row("product", 0, 0)]);
    gradcheck::check(&mut net, [Shape::from([2, 3]), [2, 3].into()], 1).unwrap();

    // The same with two layers whose values are equal: its gradients' sum.
    let apart = GraphSpec { nodes: spec.nodes.clone(), ..spec.clone() };
    let apart = GraphSpec {
        nodes: apart
            .nodes
            .into_iter()
            .map(|mut node| {
                if node.name == "right" {
                    node.compute = Compute::Layer(linear(2).into());
                }
                node
            })
            .collect(),
        ..apart
    };
    let mut two = Graph::of(&apart, [[3], [3]], 1).unwrap();
    let values: Vec<Tensor> = net.tensors().into_iter().map(|(_, value)| value).collect();
    let mut again = values.iter().cycle();
    two.visit_mut(&mut |_, _, tensor| *tensor = again.next().unwrap().clone());
    let x = || Tensors::from([distinct([5, 3], 1), distinct([5, 3], 2)]);
    let ((y, mut kept), (y2, mut kept2)) = (forward(&net, x()), forward(&two, x()));
    assert_eq!(y, y2);
    let (dx, gradients) = backward(&net, &mut kept, image([5, 2]));
    let (dx2, gradients2) = backward(&two, &mut kept2, image([5, 2]));
    assert_eq!(dx, dx2);
    for (i, gradient) in gradients.iter().enumerate() {
        let sum = gradients2[i].data().iter().zip(gradients2[i + 2].data()).map(|(a, b)| a + b);
        assert!(gradient.data().iter().zip(sum).all(|(got, want)| (got - want).abs() < 1e-5), "{i}");
    }
}

#[test]
fn a_shared_layer_takes_any_shape_that_it_can() {
    let spec = graph(["a", "b"])
        .node("near", conv2d(2, 3), ["a"])
        .share("far", "near", ["b"])
        .outputs(["near", "far"]);
    let net = Graph::of(&spec, [[3, 5, 5], [3, 7, 4]], 0).unwrap();
    let shapes = net.outputs();
    assert_eq!([shapes[0].dims(), shapes[1].dims()], [[1, 2, 3, 3], [1, 2, 5, 2]]);
    assert_eq!(
        graph_fault(&spec, [&[3, 5, 5], &[4, 5, 5]]),
        "far: conv2d: weight expects 3 input channels, got 4"
    );
    let spec = graph(["a", "b"]).node("near", linear(2), ["a"]).share("far", "near", ["b"]).outputs(["far"]);
    assert_eq!(graph_fault(&spec, [&[3], &[4]]), "far: linear: x expects 3 input features, got 4");
}

#[test]
fn a_shared_container_shares_all_its_layers() {
    let block =
        || residual([linear(3).named("fc"), batch_norm1d().named("bn")]).after([dropout(0.5).named("drop")]);
    let spec = graph(["a", "b"])
        .node("one", block(), ["a"])
        .share("two", "one", ["b"])
        .share("three", "one", ["two"])
        .outputs(["one", "three"]);
    let net = Graph::of(&spec, [[3], [3]], 0).unwrap();
    let expected = ["fc.weight", "fc.bias", "bn.weight", "bn.bias"].map(|name| format!("one.{name}"));
    assert_eq!(names(&net)[..4], expected);
    assert_eq!(names(&net).len(), 7);
    let paths: Vec<&str> = net.nodes().map(|(path, _)| path).collect();
    let parts = |node: &str| {
        ["fc", "bn"]
            .map(|part| format!("{node}.{part}"))
            .into_iter()
            .chain([node.into(), format!("{node}.drop")])
    };
    assert_eq!(paths, ["one", "two", "three"].into_iter().flat_map(parts).collect::<Vec<_>>());
    // Each application drops other numbers, and reports the statistics of its own batch.
    let x = || Tensors::from([image([4, 3]), image([4, 3])]);
    let mut net = net;
    let (y, mut kept) = forward(&net, x());
    assert_ne!(y[0], y[1]);
    net.settle(&mut kept).unwrap();
    let count = &net.tensors()[6];
    assert_eq!((count.0.as_str(), count.1.data()), ("one.bn.num_batches_tracked", &[3.0][..]));
    assert_eq!(Layer::infer(&net, x()).unwrap()[0], Layer::infer(&net.copy().unwrap(), x()).unwrap()[0]);
}

#[test]
fn only_a_layer_of_the_same_graph_is_shared() {
    let rule = "the node whose layer is shared must be a node of the same graph with its own layer, got";
    let x: [&[usize]; 1] = [&[3]];
    let spec = |of| graph(["x"]).node("first", relu(), ["x"]).share("second", of, ["x"]).outputs(["second"]);
    assert_eq!(graph_fault(&spec("frist"), x), format!("second: {rule} \"frist\"; is \"first\" meant?"));
    assert_eq!(graph_fault(&spec("second"), x), format!("second: {rule} \"second\""));
    assert_eq!(graph_fault(&spec("x"), x), format!("second: {rule} \"x\""));
    let twice = spec("first").share("third", "second", ["x"]).outputs(["third"]);
    assert!(graph_fault(&twice, x).starts_with(&format!("third: {rule} \"second\"")));
    let inner = graph(["x"]).share("deep", "first", ["x"]).outputs(["deep"]);
    let outer = graph(["x"]).node("first", relu(), ["x"]).node("part", inner, ["first"]).outputs(["part"]);
    assert_eq!(graph_fault(&outer, x), format!("part.deep: {rule} \"first\""));
}

/// The one that shares may come first.
#[test]
fn a_layer_is_built_where_it_is_applied_first() {
    let spec =
        graph(["x"]).share("early", "late", ["x"]).node("late", linear(3), ["early"]).outputs(["late"]);
    let net = Graph::of(&spec, [[3]], 0).unwrap();
    assert_eq!(names(&net), ["late.weight", "late.bias"]);
    assert_eq!(net.nodes().map(|(path, _)| path).collect::<Vec<_>>(), ["early", "late"]);
}

/// Forty graphs, each of which has the one before twice.
#[test]
fn parts_that_are_shared_again_and_again_are_an_error_soon() {
    let mut spec = graph(["x"]).node("a", relu(), ["x"]).outputs(["a"]);
    for _ in 0..40 {
        spec = graph(["x"]).node("a", spec, ["x"]).share("b", "a", ["a"]).outputs(["b"]);
    }
    let message = graph_fault(&spec, [&[3]]);
    assert!(
        message.ends_with("the layers and values of a graph must be at most 65,536, got more"),
        "{message}"
    );
    // As many values as that, though few layers.
    let mut spec =
        graph(["x"]).node("many", split(1, vec![0; 300].into_iter().chain([3]).collect::<Vec<_>>()), ["x"]);
    for i in 0..300 {
        spec = spec.share(&i.to_string(), "many", ["x"]);
    }
    let message = graph_fault(&spec.outputs(["many"]), [&[3]]);
    assert!(message.ends_with("must be at most 65,536, got more"), "{message}");
}

// Values.

#[test]
fn a_value_may_be_read_and_given_more_than_once() {
    let spec = graph(["x"])
        .node("square", mul(), ["x", "x"])
        .node("double", add(), ["square", "square"])
        .outputs(["double", "x", "square", "double"]);
    let mut net = Graph::of(&spec, [[2, 3]], 0).unwrap();
    let x = image([2, 2, 3]);
    let y = Layer::infer(&net, (&x).into()).unwrap();
    assert_eq!((y.len(), &y[1], &y[0]), (4, &x, &y[3]));
    for ((&x, &square), &double) in x.data().iter().zip(y[2].data()).zip(y[0].data()) {
        assert_eq!((square, double), (x * x, 2.0 * x * x));
    }
    gradcheck::check(&mut net, [2, 2, 3], 0).unwrap();
    // d (2 x^2 a + x b + x^2 c + 2 x^2 d) = 4 x a + b + 2 x c + 4 x d
    let (_, mut kept) = forward(&net, x.clone());
    let dy: Gradients = [1.0, 10.0, 100.0, 1000.0].map(|dy| Some(Tensor::full([2, 2, 3], dy))).into();
    let (dx, _) = backward(&net, &mut kept, dy);
    for (x, dx) in x.data().iter().zip(dx[0].as_ref().unwrap().data()) {
        assert!((dx - (4.0 * x + 10.0 + 200.0 * x + 4000.0 * x)).abs() < 1e-2);
    }
    // Outputs without a gradient.
    let (_, mut kept) = forward(&net, x.clone());
    let dy: Gradients = [None, Some(Tensor::full([2, 2, 3], 1.0)), None, None].into();
    let (dx, _) = backward(&net, &mut kept, dy);
    assert_eq!(dx[0], Some(Tensor::full([2, 2, 3], 1.0)));
    let (_, mut kept) = forward(&net, x);
    let (dx, _) = backward(&net, &mut kept, Gradients::from([None, None, None, None]));
    assert_eq!(dx[0], None);
}

#[test]
fn a_value_is_written_over_by_its_last_reader_only() {
    // Both rectifiers may write over their input; the first of the two readers may not.
    let spec = graph(["x"])
        .node("h", linear(3), ["x"])
        .node("a", relu(), ["h"])
        .node("b", tanh(), ["h"])
        .outputs(["a", "b"]);
    let net = Graph::of(&spec, [[3]], 0).unwrap();
    let x = image([4, 3]);
    let y = Layer::infer(&net, (&x).into()).unwrap();
    let h = Graph::build([linear(3).named("h")], [3], 0).unwrap().infer(&x).unwrap();
    for ((h, a), b) in h.data().iter().zip(y[0].data()).zip(y[1].data()) {
        assert_eq!(*a, h.max(0.0));
        assert!((b - h.tanh()).abs() < 1e-6);
    }
    assert_eq!(x, image([4, 3]), "the caller holds it still");
}

/// Bytes in use at most while `f` runs, beyond those before.
fn peak(f: impl FnOnce()) -> usize {
    let before = MemoryUse::restart_peak();
    f();
    (MemoryUse::of_this_thread().peak - before.held) as usize
}

#[test]
fn values_are_let_go_after_their_last_reader() {
    let one = Threads::new(1).unwrap();
    one.run(|| {
        let bytes = peak(|| drop(image([1, 16, 16, 16])));
        // Two alternate where nothing is written over; the skip holds one more.
        let copy = || slice(1, 0, None);
        let copies = (0..12).map(|i| copy().named(&i.to_string()));
        let chain = Graph::build(copies, [16, 16, 16], 0).unwrap();
        let x = image([1, 16, 16, 16]);
        chain.infer(&x).unwrap();
        let used = peak(|| drop(chain.infer(&x).unwrap()));
        assert!((2 * bytes..3 * bytes).contains(&used), "{used} of {bytes}");
        let mut spec = graph(["x"]).node("0", copy(), ["x"]);
        for i in 1..12 {
            spec = spec.node(&i.to_string(), copy(), [(i - 1).to_string().as_str()]);
        }
        let skip =
            Graph::of(&spec.node("sum", add(), ["11", "0"]).outputs(["sum"]), [[16, 16, 16]], 0).unwrap();
        let used = peak(|| drop(skip.infer(&x).unwrap()));
        assert!((3 * bytes..4 * bytes).contains(&used), "{used} of {bytes}");
        // Unread values are freed at once: all parts but one.
        let spec = graph(["x"]).node("parts", split(1, [1, 15]), ["x"]).node("0", copy(), ["parts"]);
        let spec = spec.node("1", stack(2), (0..16).map(|_| "0")).node("2", relu(), ["1"]).outputs(["2"]);
        let unread = Graph::of(&spec, [[16, 16, 16]], 0).unwrap();
        assert_eq!(unread.output_shape().unwrap().dims(), [1, 1, 16, 16, 16]);
        let used = peak(|| drop(unread.infer(&x).unwrap()));
        assert!(used < 3 * bytes / 2, "{used} of {bytes}");
    });
}

#[test]
fn nodes_that_no_output_depends_on_are_not_run() {
    let spec = graph(["x"])
        .node("read", Spy::plain("unread read"), ["x"])
        .node("ignored", Spy::with_parameter("unread ignored"), ["x"])
        .node("also", Spy::plain("unread also"), ["ignored"])
        .outputs(["read"]);
    let mut net = Graph::of(&spec, [[3]], 0).unwrap();
    assert_eq!(names(&net), ["ignored.weight"], "they are there all the same");
    let build = ["unread read build", "unread ignored build", "unread also build"];
    assert_eq!(Spy::seen("unread"), build);
    let (_, mut kept) = forward(&net, image([2, 3]));
    let (dx, gradients) = backward(&net, &mut kept, image([2, 3]));
    assert_eq!((dx[0].as_ref(), gradients[0].data()), (Some(&image([2, 3])), &[0.0][..]));
    net.settle(&mut kept).unwrap();
    net.infer(&image([2, 3])).unwrap();
    assert_eq!(Spy::seen("unread"), ["unread read forward", "unread read backward", "unread read infer"]);
    // Their values do not matter to the graph.
    let spec = graph(["x"]).node("bn", batch_norm1d(), ["x"]).outputs(["x"]);
    let net = Graph::of(&spec, [[3]], 0).unwrap();
    assert_eq!(net.nature(), Nature::default());
    assert!(!net.plan.couples_images(&net));
    let seen: Vec<&str> =
        net.activations(&image([2, 3])).unwrap().into_iter().map(|(path, _)| path).collect();
    assert!(seen.is_empty());
}

// Plans.

/// `first` and `second` have a parameter each; between them, and after them, is something.
fn spies(test: &str) -> Graph {
    let name = |part: &str| format!("{test} {part}");
    let spec = graph(["x"])
        .node("below", Spy::plain(&name("below")), ["x"])
        .node("first", Spy::with_parameter(&name("first")), ["below"])
        .node("between", Spy::plain(&name("between")), ["first"])
        .node("second", Spy::with_parameter(&name("second")), ["between"])
        .node("above", Spy::plain(&name("above")), ["second"])
        .outputs(["above"]);
    let net = Graph::of(&spec, [[3]], 0).unwrap();
    Spy::seen(test);
    net
}

fn train(net: &Graph, plan: &Plan, trace: &mut Trace) -> (Gradients, Vec<Tensor>) {
    let mut gradients = plan.gradients(net);
    net.forward_with(plan, image([2, 3]).into(), At::default(), trace).unwrap();
    let dx = net.backward_with(plan, trace, image([2, 3]).into(), &mut gradients).unwrap();
    (dx, gradients)
}

#[test]
fn nothing_is_computed_below_the_first_trained_parameter() {
    let test = "frozen";
    let net = spies(test);
    let seen = || Spy::seen(test).iter().map(|line| line[test.len() + 1..].to_string()).collect::<Vec<_>>();
    let plan = Plan::new(&net, &[false, true], false);
    let (dx, gradients) = train(&net, &plan, &mut Trace::default());
    let expected = [
        "below infer",
        "first infer",
        "between infer",
        "second forward",
        "above forward",
        "above backward",
        "second backward without dx",
    ];
    assert_eq!(seen(), expected);
    assert_eq!((dx.len(), dx[0].as_ref()), (1, None));
    let sum: f32 = image([2, 3]).data().iter().sum();
    assert_eq!(gradients[0].data().len(), 0, "no memory for it");
    assert_eq!(gradients[1].data(), [sum]);
    assert_eq!(plan.trained(), [false, true]);

    // The input's gradient is wanted as well: everything has a part, and the frozen parameter has a gradient that is not used.
    let (dx, gradients) = train(&net, &Plan::new(&net, &[false, true], true), &mut Trace::default());
    assert_eq!(
        seen()[5..],
        ["above", "second", "between", "first", "below"].map(|part| format!("{part} backward"))
    );
    assert_eq!((dx[0].as_ref(), gradients.len()), (Some(&image([2, 3])), 2));

    // Nothing at all.
    let (dx, _) = train(&net, &Plan::new(&net, &[false, false], false), &mut Trace::default());
    assert_eq!(seen(), ["below", "first", "between", "second", "above"].map(|part| format!("{part} infer")));
    assert_eq!(dx[0], None);
}

#[test]
fn what_an_active_plan_kept_is_gone_in_another() {
    let net = spies("plans");
    let mut trace = Trace::default();
    let (all, none) = (Plan::new(&net, &[true, true], false), Plan::new(&net, &[false, true], false));
    train(&net, &all, &mut trace);
    net.forward_with(&all, image([2, 3]).into(), At::default(), &mut trace).unwrap();
    net.forward_with(&none, image([2, 3]).into(), At::default(), &mut trace).unwrap();
    let mut gradients = all.gradients(&net);
    let fault = net.backward_with(&all, &mut trace, image([2, 3]).into(), &mut gradients).unwrap_err();
    assert!(
        fault.to_string().starts_with("between: a backward pass must be the only one after its own"),
        "{fault}"
    );
}

#[test]
fn a_layer_that_is_frozen_in_one_branch_is_trained_in_another() {
    let spec = graph(["x"])
        .node("trunk", linear(4), ["x"])
        .node("left", linear(3), ["trunk"])
        .node("right", linear(3), ["trunk"])
        .node("sum", add(), ["left", "right"])
        .outputs(["sum"]);
    let net = Graph::of(&spec, [[4]], 0).unwrap();
    let all = Plan::new(&net, &[true; 6], false);
    let x = image([5, 4]);
    let gradients = |plan: &Plan| {
        let (mut trace, mut gradients) = (Trace::default(), plan.gradients(&net));
        net.forward_with(plan, (&x).into(), At::default(), &mut trace).unwrap();
        net.backward_with(plan, &mut trace, image([5, 3]).into(), &mut gradients).unwrap();
        gradients
    };
    let whole = gradients(&all);
    // Numbers are in the order of the nodes.
    assert_eq!(names(&net)[2], "left.weight");
    for trained in 0..3 {
        let part = gradients(&Plan::new(&net, &[0, 0, 1, 1, 2, 2].map(|layer| layer == trained), false));
        for i in [2 * trained, 2 * trained + 1] {
            assert_eq!(part[i], whole[i]);
        }
        let others = (0..6).filter(|i| i / 2 != trained);
        // The trunk's gradient goes through both branches, whose own are a by-product.
        assert!(others.into_iter().all(|i| part[i].data().is_empty() == (trained != 0)), "{trained}");
    }
}

#[test]
fn held_layers_go_by_their_running_statistics() {
    let net = Graph::build([batch_norm1d().named("bn"), linear(2).named("fc")], [3], 0).unwrap();
    let plan = Plan::new(&net, &[true; 4], false);
    let held = plan.clone().holding(&net, |name| name.starts_with("bn."));
    assert!(plan.couples_images(&net) && !held.couples_images(&net));
    let x = image([4, 3]);
    let forward =
        |plan: &Plan, trace: &mut Trace| net.forward_with(plan, (&x).into(), At::default(), trace).unwrap();
    assert_eq!(forward(&held, &mut Trace::default())[0], net.infer(&x).unwrap());
    assert_ne!(forward(&plan, &mut Trace::default())[0], net.infer(&x).unwrap());
    let counted = |plan: &Plan| {
        let (mut net, mut trace) = (net.copy().unwrap(), Trace::default());
        forward(plan, &mut trace);
        net.settle_with(plan, &mut trace).unwrap();
        net.tensors().last().unwrap().1.data()[0]
    };
    assert_eq!((counted(&plan), counted(&held)), (1.0, 0.0));
    // Frozen, it follows the batch unless it is held.
    let frozen = Plan::new(&net, &[false, false, true, true], false);
    assert_eq!(counted(&frozen), 1.0);
    assert_eq!(counted(&frozen.clone().holding(&net, |name| name.starts_with("bn."))), 0.0);
}

#[test]
fn a_net_gives_the_same_bits_whatever_is_trained() {
    let spec = graph(["x"])
        .node("conv", conv2d(3, 3).padding(1), ["x"])
        .node("drop", dropout(0.5), ["conv"])
        .node("pool", max_pool2d_with_indices(max_pool2d(2)), ["drop"])
        .node("inner", conv2d(3, 1), ["pool"])
        .node("up", max_unpool2d(), ["inner", "pool:1", "drop"])
        .node("both", cat(1), ["up", "conv"])
        .node("out", conv2d(2, 1), ["both"])
        .outputs(["out"]);
    let net = Graph::of(&spec, [[2, 4, 4]], 0).unwrap();
    let forward = |trained: [bool; 6], inputs| {
        let plan = Plan::new(&net, &trained, inputs);
        net.forward_with(&plan, image([3, 2, 4, 4]).into(), At::default(), &mut Trace::default()).unwrap()
    };
    let all = forward([true; 6], true);
    for trained in 0..64 {
        let trained: Vec<bool> = (0..6).map(|i| trained >> i & 1 == 1).collect();
        assert_eq!(forward(trained.try_into().unwrap(), false), all);
    }
}

// State.

#[test]
fn restoring_takes_all_tensors_or_none() {
    let build = |seed| Graph::build([linear(3).named("a"), batch_norm1d().named("bn")], [4], seed).unwrap();
    let (mut net, other) = (build(0), build(1));
    let tensors = || other.tensors().into_iter().collect::<BTreeMap<_, _>>();
    let before = net.tensors();
    let mut fault = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = tensors();
        change(&mut tensors);
        let fault = net.restore(tensors).unwrap_err().to_string();
        assert_eq!(net.tensors(), before, "unchanged");
        fault
    };
    assert_eq!(
        fault(&|tensors| drop(tensors.remove("bn.running_var"))),
        "parameter bn.running_var: the model expects shape [3], the file has none of that name"
    );
    assert_eq!(
        fault(&|tensors| drop(tensors.insert("a.bias".into(), Tensor::zeros([4])))),
        "parameter a.bias: the model expects shape [3], the file has shape [4]"
    );
    assert_eq!(
        fault(&|tensors| drop(tensors.insert("c.bias".into(), Tensor::zeros([4])))),
        "parameter c.bias: the model expects none of that name, the file has shape [4]"
    );
    net.restore(tensors()).unwrap();
    assert_eq!(net.tensors(), other.tensors());
}

#[test]
fn a_copy_shares_values_until_they_are_written_to() {
    let spec = graph(["x"]).node("fc", linear(4), ["x"]).share("again", "fc", ["fc"]).outputs(["again"]);
    let net = Graph::of(&spec, [[4]], 0).unwrap();
    let mut copy = net.copy().unwrap();
    assert_eq!((copy.tensors(), copy.spec()), (net.tensors(), net.spec()));
    let place = |net: &Graph| net.tensors()[0].1.data().as_ptr();
    assert_eq!(place(&net), place(&copy));
    copy.parameters_mut(&mut |_, tensor| tensor.data_mut()[0] += 1.0);
    assert_ne!(place(&net), place(&copy));
    assert_ne!(copy.infer(&image([1, 4])).unwrap(), net.infer(&image([1, 4])).unwrap());
}

#[test]
fn activations_are_the_outputs_of_all_nodes() {
    let part = graph(["x"])
        .node("parts", split(1, [1, 2]), ["x"])
        .node("relu", relu(), ["parts:1"])
        .outputs(["relu"]);
    let net = Graph::build([linear(3).named("fc"), LayerSpec::from(part).named("part")], [4], 0).unwrap();
    let seen = net.activations(&image([2, 4])).unwrap();
    let shapes: Vec<_> = seen.iter().map(|(path, y)| (*path, y.shape().dims().to_vec())).collect();
    assert_eq!(shapes, [("fc", vec![2, 3]), ("part.parts", vec![2, 1]), ("part.relu", vec![2, 2])]);
    assert_eq!(seen[2].1, net.infer(&image([2, 4])).unwrap());
}

/// Gives another number of outputs than it says.
struct Liar;

impl Layer for Liar {
    fn kind(&self) -> &'static str {
        "liar"
    }
    fn output_shapes(&self, x: &[Shape]) -> Result<crate::Shapes, NnError> {
        Ok(x.iter().copied().collect())
    }
    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        Ok(x.iter().chain(x.first()).cloned().collect())
    }
    fn forward(&self, x: Tensors, _: At, _: &mut Kept) -> Result<Tensors, NnError> {
        self.infer(x)
    }
    fn backward(&self, _: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
        Ok(dy)
    }
}

#[test]
fn a_layer_that_gives_more_than_it_says_is_named() {
    let node = Node::new("liar".into(), 0, 0, &[0], 1..2);
    let layers = vec![Entry::new("liar".into(), Box::new(Liar), &crate::spec::relu())];
    let spec = graph(["x"]).outputs(["x"]);
    let net = Graph::assemble(spec, vec![[1, 3].into()], layers, vec![node], 2, vec![1]);
    let rule = "liar: the number of outputs must be 1, got 2";
    assert_eq!(net.infer(&image([1, 3])).unwrap_err().to_string(), rule);
    let trained = net.forward_one(image([1, 3]), At::default(), &mut Kept::default());
    assert_eq!(trained.unwrap_err().to_string(), rule);
}

#[test]
fn a_quotient_of_a_net_and_itself_is_one() {
    let spec = graph(["x"]).node("h", linear(2), ["x"]).node("one", div(), ["h", "h"]).outputs(["one"]);
    let net = Graph::of(&spec, [[3]], 0).unwrap();
    let (y, mut kept) = forward(&net, image([2, 3]));
    assert_eq!(y[0].data(), [1.0; 4]);
    let (dx, _) = backward(&net, &mut kept, Tensor::full([2, 2], 1.0));
    assert!(dx[0].as_ref().unwrap().data().iter().all(|dx| dx.abs() < 1e-4));
}
