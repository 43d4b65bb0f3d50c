//! Random descriptions of layers and graphs. Whatever they say, building, measuring and running the described network ends in
//! a result or in an error that names the layer, never in a panic, and within bounded memory.
//!
//! Descriptions are drawn as JSON from a table of all kinds of layers, so that the way through a file is tested too. A
//! new kind of layer needs a row there, and a test says so.

use cnn_nn::spec::{GraphSpec, NamedSpec};
use cnn_nn::{
    At, Fresh, Gradients, Graph, Kept, Layer, LayerSpec, NnError, ParameterSource, Path, Plan, Request,
    Shapes, Tensors, Trace,
};
use cnn_ops::Activation;
use cnn_tensor::{Shape, Tensor, release_unused_memory};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The possible values of a field of a description.
#[derive(Clone, Copy)]
enum Field {
    Extent,
    /// One or `null`.
    MaybeExtent,
    /// `[height, width]`.
    Pair,
    /// `[rows, columns]` at both edges.
    Margins,
    /// `[[top, bottom], [left, right]]`.
    Sides,
    /// Of a convolution or pooling: a pair, sides, or a word.
    Padding,
    /// Lists of channels.
    Table,
    /// Up to four extents, `null` among them.
    Extents,
    /// An axis: mostly one after the batch's.
    Axis,
    /// Mostly all axes in some order.
    Axes,
    /// Small numbers, of which some add up to an extent.
    Sizes,
    /// A position, from the end if negative.
    Position,
    Flag,
    Real,
    /// One or `null`.
    MaybeReal,
    /// `[height, width]`.
    Reals,
    Init,
    /// One of these, or an object of one of them and a number.
    OneOf(&'static [&'static str]),
    /// One of these.
    Word(&'static [&'static str]),
    /// One axis or two.
    Reduced,
    /// The extents of a tensor without a batch, mostly ones.
    Weight,
}
use Field::*;

/// A kind of layer with its fields; those after `?` may be left out.
type Row = (&'static str, &'static [(&'static str, Field)]);

/// ONNX's names of the coordinates of a resampling.
const COORDINATES: &[&str] = &["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"];

/// Every kind of layer that is not made of layers, but for the [`ACTIVATIONS`].
const KINDS: &[Row] = &[
    ("embedding", &[("num_embeddings", Extent), ("embedding_dim", Extent), ("?init", Init)]),
    (
        "lstm",
        &[("hidden_size", Extent), ("?bias", Flag), ("?reverse", Flag), ("?mask", Flag), ("?initial", Flag)],
    ),
    (
        "gru",
        &[("hidden_size", Extent), ("?bias", Flag), ("?reverse", Flag), ("?mask", Flag), ("?initial", Flag)],
    ),
    ("transpose", &[("dims", Pair)]),
    (
        "conv2d",
        &[
            ("out_channels", Extent),
            ("kernel", Pair),
            ("?stride", Pair),
            ("?padding", Padding),
            ("?dilation", Pair),
            ("?groups", Extent),
            ("?bias", Flag),
            ("?init", Init),
            ("?bias_init", Init),
        ],
    ),
    (
        "conv2d_table",
        &[
            ("table", Table),
            ("kernel", Pair),
            ("?stride", Pair),
            ("?padding", Padding),
            ("?bias", Flag),
            ("?init", Init),
            ("?bias_init", Init),
        ],
    ),
    (
        "conv_transpose2d",
        &[
            ("out_channels", Extent),
            ("kernel", Pair),
            ("?stride", Pair),
            ("?padding", Padding),
            ("?output_padding", Margins),
            ("?dilation", Pair),
            ("?groups", Extent),
            ("?bias", Flag),
            ("?init", Init),
            ("?bias_init", Init),
        ],
    ),
    (
        "linear",
        &[("out_features", Extent), ("?bias", Flag), ("?init", Init), ("?bias_init", Init), ("?steps", Flag)],
    ),
    (
        "max_pool2d",
        &[
            ("kernel", Pair),
            ("?stride", Pair),
            ("?padding", Padding),
            ("?dilation", Pair),
            ("?ceil_mode", Flag),
        ],
    ),
    (
        "avg_pool2d",
        &[
            ("kernel", Pair),
            ("?stride", Pair),
            ("?padding", Padding),
            ("?dilation", Pair),
            ("?ceil_mode", Flag),
            ("?count_include_pad", Flag),
            ("?divisor_override", MaybeExtent),
        ],
    ),
    ("adaptive_avg_pool2d", &[("output", Pair)]),
    ("adaptive_max_pool2d", &[("output", Pair)]),
    ("global_avg_pool2d", &[]),
    ("global_max_pool2d", &[]),
    ("subsample", &[("kernel", Pair), ("?stride", Pair), ("?init", Init)]),
    ("batch_norm1d", &[("?eps", Real), ("?momentum", MaybeReal), ("?affine", Flag)]),
    ("batch_norm2d", &[("?eps", Real), ("?momentum", MaybeReal), ("?affine", Flag)]),
    ("local_response_norm", &[("size", Extent), ("?alpha", Real), ("?beta", Real), ("?k", Real)]),
    ("layer_norm", &[("?axes", MaybeExtent), ("?eps", Real), ("?affine", Flag)]),
    ("group_norm", &[("groups", Extent), ("?eps", Real), ("?affine", Flag)]),
    ("dropout", &[("?p", Real)]),
    ("dropout2d", &[("?p", Real)]),
    ("prelu", &[("?per_channel", Flag), ("?init", Real)]),
    (
        "arithmetic_by",
        &[
            ("op", Word(&["add", "sub", "mul", "div", "maximum", "minimum"])),
            ("shape", Weight),
            ("?reversed", Flag),
            ("?trained", Flag),
            ("?init", Init),
        ],
    ),
    ("softmax", &[("?dim", Axis)]),
    ("log_softmax", &[("?dim", Axis)]),
    ("soft_argmax2d", &[]),
    (
        "rbf",
        &[("out_features", Extent), ("?trainable", Flag), ("?codes", OneOf(&["digits"])), ("?init", Init)],
    ),
    ("flatten", &[]),
    ("reshape", &[("shape", Extents)]),
    (
        "pad2d",
        &[("padding", Sides), ("?mode", OneOf(&["zeros", "reflect", "replicate", "circular", "constant"]))],
    ),
    ("crop2d", &[("margins", Sides)]),
    (
        "upsample2d",
        &[
            ("size", Pair),
            ("?mode", OneOf(&["nearest", "bilinear", "bicubic"])),
            ("?align_corners", Flag),
            ("?coordinates", Word(COORDINATES)),
            ("?rounding", Word(&["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])),
        ],
    ),
    (
        "upsample2d",
        &[
            ("scale", Reals),
            ("?mode", OneOf(&["nearest", "bilinear", "bicubic"])),
            ("?align_corners", Flag),
            ("?coordinates", Word(COORDINATES)),
            ("?rounding", Word(&["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])),
        ],
    ),
    ("mean", &[("dims", Reduced), ("?keepdim", Flag)]),
    ("sum", &[("dims", Reduced), ("?keepdim", Flag)]),
    ("amax", &[("dims", Reduced), ("?keepdim", Flag)]),
    ("amin", &[("dims", Reduced), ("?keepdim", Flag)]),
    ("norm", &[("?p", Extent), ("dims", Reduced), ("?keepdim", Flag)]),
    ("pixel_shuffle", &[("factor", Extent), ("?order", Word(&["channels_first", "blocks_first"]))]),
    ("pixel_unshuffle", &[("factor", Extent), ("?order", Word(&["channels_first", "blocks_first"]))]),
    ("permute", &[("dims", Axes)]),
    ("slice", &[("dim", Axis), ("?start", Position), ("?end", Position), ("?step", Extent)]),
];

/// Every activation, with what its description shows of its options.
static ACTIVATIONS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let row = |activation: Activation| -> Row {
        let description = serde_json::to_value(activation).unwrap();
        let options = description.as_object().unwrap().iter().filter(|(option, _)| *option != "type");
        let fields = options.map(|(option, value)| {
            let field = if value.is_number() { Real } else { OneOf(words(&description, option)) };
            (&*format!("?{option}").leak(), field)
        });
        (activation.name(), fields.collect::<Vec<_>>().leak())
    };
    Activation::all().map(row).into()
});

/// The words that an option may be: serde lists them where it finds another.
fn words(description: &Value, option: &str) -> &'static [&'static str] {
    let mut wrong = description.clone();
    wrong[option] = json!("");
    let fault = serde_json::from_value::<Activation>(wrong).unwrap_err().to_string();
    let words = fault.split('`').skip(3).step_by(2).map(|word| &*word.to_string().leak());
    words.collect::<Vec<_>>().leak()
}

/// Every kind of layer that is not made of layers.
fn kinds() -> impl Iterator<Item = &'static Row> {
    KINDS.iter().chain(&*ACTIVATIONS)
}

/// Every kind with several inputs or outputs, likewise.
const JOINS: &[Row] = &[
    (
        "max_pool2d_with_indices",
        &[
            ("kernel", Pair),
            ("?stride", Pair),
            ("?padding", Padding),
            ("?dilation", Pair),
            ("?ceil_mode", Flag),
        ],
    ),
    ("max_unpool2d", &[]),
    ("matmul", &[("?transpose_a", Flag), ("?transpose_b", Flag)]),
    ("masked_softmax", &[]),
    ("add", &[]),
    ("sub", &[]),
    ("mul", &[]),
    ("div", &[]),
    ("maximum", &[]),
    ("minimum", &[]),
    ("cat", &[("dim", Axis)]),
    ("split", &[("dim", Axis), ("sizes", Sizes)]),
    ("stack", &[("dim", Axis)]),
];

/// Every kind that is made of layers.
const CONTAINERS: [&str; 5] = ["sequential", "residual", "concat", "max_pool_unpool2d", "graph"];

/// Mostly small, now and then from anywhere in `usize`.
fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 1..4usize,
        4 => 4..9usize,
        1 => Just(0),
        1 => 9..2000usize,
        1 => prop::sample::select(vec![1 << 28, (1 << 32) - 1, 1 << 32, usize::MAX / 2, usize::MAX]),
        1 => any::<usize>(),
    ]
}

/// Rows or columns at an edge: mostly few or none.
fn margin() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 0..2usize, 3 => 2..5usize, 1 => extent()]
}

fn real() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0..1.0f64,
        3 => 1.0..4.0f64,
        1 => prop::sample::select(vec![0.0, 1.0, -1.0, 1e-300, 1e-40, 1e300, 3e38]),
    ]
}

fn value(field: Field) -> BoxedStrategy<Value> {
    let pair = || prop::array::uniform2(extent());
    match field {
        Extent => extent().prop_map(|v| json!(v)).boxed(),
        MaybeExtent => prop::option::of(extent()).prop_map(|v| json!(v)).boxed(),
        Pair => pair().prop_map(|v| json!(v)).boxed(),
        Margins => prop::array::uniform2(margin()).prop_map(|v| json!(v)).boxed(),
        Sides => prop::array::uniform2(prop::array::uniform2(margin())).prop_map(|v| json!(v)).boxed(),
        Padding => {
            let word = prop::sample::select(vec![json!("same"), json!("same_lower"), json!("valid")]);
            prop_oneof![3 => value(Margins), 1 => value(Sides), 1 => word].boxed()
        }
        Table => {
            let channels = prop::collection::btree_set(prop_oneof![30 => 0..4usize, 1 => extent()], 0..4);
            prop::collection::vec(channels, 0..4).prop_map(|v| json!(v)).boxed()
        }
        Extents => {
            prop::collection::vec(prop::option::weighted(0.8, extent()), 0..5).prop_map(|v| json!(v)).boxed()
        }
        Axis => prop_oneof![12 => 1..4usize, 1 => extent()].prop_map(|v| json!(v)).boxed(),
        Axes => {
            let orders = vec![
                json!([0, 1]),
                json!([0, 2, 1]),
                json!([0, 2, 3, 1]),
                json!([0, 1, 3, 2]),
                json!([0, 3, 2, 1]),
            ];
            let any = prop::collection::vec(extent(), 0..8).prop_map(|v| json!(v));
            prop_oneof![8 => prop::sample::select(orders), 1 => any].boxed()
        }
        Sizes => {
            let any = prop::collection::vec(prop_oneof![20 => 0..4usize, 1 => extent()], 0..4);
            prop_oneof![4 => prop::collection::vec(1..3usize, 1..4), 1 => any].prop_map(|v| json!(v)).boxed()
        }
        Position => {
            let number = prop_oneof![20 => -3..4i64, 1 => any::<i64>()];
            prop::option::weighted(0.9, number).prop_map(|v| json!(v)).boxed()
        }
        Flag => any::<bool>().prop_map(|v| json!(v)).boxed(),
        Real => real().prop_map(|v| json!(v)).boxed(),
        MaybeReal => prop::option::of(real()).prop_map(|v| json!(v)).boxed(),
        Reals => prop::array::uniform2(real()).prop_map(|v| json!(v)).boxed(),
        Init => {
            let names = vec![
                "pytorch",
                "kaiming_uniform",
                "kaiming_normal",
                "xavier_uniform",
                "xavier_normal",
                "lecun_uniform",
                "lecun_normal",
                "zeros",
            ];
            let constant = real().prop_map(|v| json!({"constant": v}));
            prop_oneof![prop::sample::select(names).prop_map(|v| json!(v)), constant].boxed()
        }
        Word(words) => prop::sample::select(words).prop_map(|v| json!(v)).boxed(),
        Reduced => {
            let axis = || prop_oneof![12 => 1..4usize, 1 => extent()];
            let two = prop::array::uniform2(axis()).prop_map(|v| json!(v));
            prop_oneof![2 => axis().prop_map(|v| json!([v])), 1 => two].boxed()
        }
        Weight => {
            let extent = prop_oneof![12 => Just(1), 4 => 1..4usize, 1 => extent()];
            prop::collection::vec(extent, 0..4).prop_map(|v| json!(v)).boxed()
        }
        OneOf(names) => {
            let number = -9..9i32;
            (prop::sample::select(names), any::<bool>(), number)
                .prop_map(|(name, alone, number)| if alone { json!(name) } else { json!({name: number}) })
                .boxed()
        }
    }
}

/// A layer of a kind that is not made of layers.
fn row((kind, fields): &Row) -> impl Strategy<Value = Value> + use<> {
    let kind = *kind;
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, field)| {
            let there = if name.starts_with('?') { 0.4 } else { 0.99 };
            let name = name.trim_start_matches('?');
            prop::option::weighted(there, value(*field)).prop_map(move |value| (name, value))
        })
        .collect();
    fields.prop_map(move |fields| {
        let mut layer = json!({"type": kind});
        for (name, value) in fields {
            value.into_iter().for_each(|value| layer[name] = value);
        }
        layer
    })
}

/// A layer that is not made of layers.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![12 => Union::new(kinds().map(row)), 1 => join()]
}

/// A layer with several inputs or outputs.
fn join() -> impl Strategy<Value = Value> {
    Union::new(JOINS.iter().map(row))
}

/// The options of a max pooling.
fn pool() -> impl Strategy<Value = Value> {
    let rows = KINDS.iter().filter(|row| row.0 == "max_pool2d");
    Union::new(rows.map(row)).prop_map(|mut layer| {
        layer.as_object_mut().map(|fields| fields.remove("type"));
        layer
    })
}

fn named(layer: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        40 => any::<u16>().prop_map(|number| format!("layer{number}")),
        1 => prop::sample::select(vec!["", "a.b", "twice", "ß"]).prop_map(String::from),
    ];
    (name, layer).prop_map(|(name, mut layer)| {
        layer["name"] = json!(name);
        layer
    })
}

/// A node of a random graph: a layer, and numbers that select the outputs it reads.
type Drawn = (Value, [u8; 3], u8, u8);

/// Graphs of these layers, most of them plausible.
fn graph(
    part: impl Strategy<Value = Value>,
    inputs: impl Strategy<Value = usize>,
) -> impl Strategy<Value = Value> {
    let layer = prop_oneof![2 => part, 3 => join()];
    let node = (layer, any::<[u8; 3]>(), any::<u8>(), any::<u8>());
    let outputs = prop::collection::vec(any::<u8>(), 1..3);
    (prop::collection::vec(node, 1..6), outputs, inputs)
        .prop_map(|(nodes, outputs, inputs)| wired(nodes, &outputs, inputs))
}

fn wired(drawn: Vec<Drawn>, outputs: &[u8], inputs: usize) -> Value {
    let names: Vec<String> = (0..inputs).map(|i| format!("x{i}")).collect();
    let mut known = names.clone();
    let mut nodes: Vec<Value> = Vec::new();
    // The last ones are read most: what comes of several numbers is mostly 0.
    let recent = |known: &[String], pick: u8| {
        known[known.len() - 1 - usize::from(pick & pick >> 3) % known.len()].clone()
    };
    for (i, (layer, picks, slot, odd)) in drawn.into_iter().enumerate() {
        let name = match odd {
            0 => "n0".into(),
            1 => "a.b".into(),
            2 => "a:1".into(),
            _ => format!("n{i}"),
        };
        let shares =
            (20..50).contains(&odd).then(|| nodes.get(usize::from(picks[2]) % i.max(1)).cloned()).flatten();
        let layer = shares.clone().unwrap_or(layer);
        let kind = layer["type"].as_str().unwrap_or_default();
        let arity = match kind {
            _ if odd == 5 => usize::from(picks[2] % 4),
            "add" | "sub" | "mul" | "div" | "maximum" | "minimum" => 2,
            "cat" | "stack" => 1 + usize::from(picks[2] % 3),
            "graph" => layer["inputs"].as_array().map_or(1, Vec::len),
            _ => 1,
        };
        let edge = |pick: u8| {
            let of = match odd {
                3 => "missing".to_string(),
                4 => name.clone(),
                _ => recent(&known, pick),
            };
            match (odd, slot) {
                (6, _) => format!("{of}:7"),
                (_, ..60) => format!("{of}:1"),
                _ => of,
            }
        };
        let mut from: Vec<String> = (0..arity).map(|slot| edge(picks[slot % 3])).collect();
        if kind == "max_unpool2d" && odd != 5 {
            // Its three inputs hardly ever fit by chance.
            let (pool, kernel) = (format!("p{i}"), [1 + picks[1] % 2, 1 + picks[2] % 2]);
            let x = edge(picks[0]);
            nodes.push(
                json!({"type": "max_pool2d_with_indices", "kernel": kernel, "name": pool, "from": [x]}),
            );
            from = vec![pool.clone(), format!("{pool}:1"), x];
        }
        let mut node = match shares {
            Some(shared) => json!({"shares": shared["name"]}),
            None => layer,
        };
        (node["name"], node["from"]) = (json!(name), json!(from));
        nodes.push(node);
        known.push(name);
    }
    let outputs: Vec<String> = outputs.iter().map(|pick| recent(&known, *pick)).collect();
    json!({"type": "graph", "inputs": names, "nodes": nodes, "outputs": outputs})
}

/// Any layer, containers within containers among them.
fn layer() -> impl Strategy<Value = Value> {
    let deep = leaf().prop_recursive(3, 8, 3, |part| {
        let parts = |least, most| prop::collection::vec(named(part.clone()), least..most);
        let block = (parts(0, 3), prop::option::weighted(0.3, named(part.clone())), parts(0, 2));
        prop_oneof![
            4 => parts(1, 4).prop_map(|layers| json!({"type": "sequential", "layers": layers})),
            2 => block.prop_map(|(layers, shortcut, after)| {
                json!({"type": "residual", "layers": layers, "shortcut": shortcut, "after": after})
            }),
            1 => (pool(), parts(0, 3)).prop_map(|(pool, layers)| {
                json!({"type": "max_pool_unpool2d", "pool": pool, "layers": layers})
            }),
            2 => parts(0, 3).prop_map(|branches| json!({"type": "concat", "branches": branches})),
            4 => graph(part.clone(), prop_oneof![4 => Just(1usize), 1 => 2..4usize]),
        ]
    });
    prop_oneof![1 => leaf(), 1 => deep]
}

/// Shapes of rank 1 to 4, mostly of images.
fn shape() -> impl Strategy<Value = Shape> {
    let rank = prop_oneof![3 => Just(4usize), 1 => 1..4usize];
    (rank, prop::array::uniform4(extent())).prop_map(|(rank, [a, b, c, d])| match rank {
        1 => [a].into(),
        2 => [a, b].into(),
        3 => [a, b, c].into(),
        _ => [a, b, c, d].into(),
    })
}

/// Fresh parameters of at most [`LARGEST`] numbers in all: what a file of that size could hold.
struct Frugal {
    left: usize,
    fresh: Fresh,
}

impl ParameterSource for Frugal {
    fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        match self.left.checked_sub(request.shape.numel()) {
            Some(left) => self.left = left,
            None => {
                let name = path.to_string().into();
                return Err(NnError::Parameter { name, expected: Some(request.shape.into()), got: None });
            }
        }
        self.fresh.parameter(path, request)
    }
}

/// The largest network that is run here, in elements.
const LARGEST: usize = 100_000;
/// The longest work that is run here, in multiply-accumulates.
const LONGEST: u64 = 10_000_000;
/// The most memory that tensors may have taken in one case, in bytes: some fifty times [`LARGEST`] numbers, and what a
/// convolution of [`LONGEST`] unrolls.
const MOST_OF_TENSORS: usize = 1 << 26;
/// The most that one case may add to the largest address space of the process so far, in kB. Threads and their memory count.
const MOST_OF_ALL: u64 = 1 << 20;

/// Whether the values of the network, for the inputs that it was built for, are small enough. This alone decides whether it is
/// run.
fn small_enough(net: &Graph) -> bool {
    let summary = net.summary();
    let inputs = net.inputs().iter().map(|x| x.numel());
    let mut outputs = summary.rows.iter().map(|row| row.output.numel()).chain(inputs);
    outputs.all(|elements| elements <= LARGEST) && summary.macs() <= LONGEST
}

/// Checks that the error says where in `description` the fault lies.
fn names_a_layer(fault: &NnError, description: &Value) -> Result<(), TestCaseError> {
    let text = fault.to_string();
    // A name that is refused may have a dot.
    if text.contains("without a dot") || text.contains("a colon and a number") {
        return Ok(());
    }
    let NnError::At { path, .. } = fault else {
        let of_the_whole =
            ["a graph must be without cycles", "the outputs of a graph", "the source of a node or an output"];
        let others = ["the output of a node that is read", "the layers and values of a graph"];
        let whole = of_the_whole.iter().chain(&others).any(|what| text.starts_with(what));
        return if whole { Ok(()) } else { Err(TestCaseError::fail(format!("no path: {fault}"))) };
    };
    let mut at = description;
    for name in path.split('.') {
        let lists =
            ["layers", "after", "branches", "nodes"].into_iter().filter_map(|field| at[field].as_array());
        let parts = || lists.clone().flatten().chain(at.get("shortcut"));
        let find = |name: &str| parts().find(|part| part["name"] == *name);
        // The pooling is a separate node.
        if find(name).is_none() && at["type"] == "max_pool_unpool2d" && name.starts_with("max_pool2d") {
            return Ok(());
        }
        prop_assert!(find(name).is_some(), "no layer {} in {}: {}", name, at, fault);
        let part = find(name).unwrap_or(&Value::Null);
        at = part["shares"].as_str().and_then(find).unwrap_or(part);
    }
    Ok(())
}

/// Distinct numbers of these shapes.
fn distinct(shapes: &[Shape], seed: u64) -> Tensors {
    shapes.iter().zip(seed..).map(|(shape, seed)| cnn_tensor::testing::distinct(*shape, seed)).collect()
}

fn shapes(tensors: &Tensors) -> Shapes {
    tensors.iter().map(Tensor::shape).collect()
}

/// Runs a network forward and back, and checks what comes out against the rule of shapes.
fn run(net: &Graph, x: &[Shape], description: &Value) -> Result<(), TestCaseError> {
    // Indices and masks are whole numbers, and what is computed may be neither.
    let text = description.to_string();
    let picky = ["embedding", "masked_softmax", "\"mask\":true"].iter().any(|word| text.contains(word));
    let data = || match picky {
        true => x.iter().map(|shape| Tensor::zeros(*shape)).collect(),
        false => distinct(x, 1),
    };
    if let (true, Err(fault)) = (picky, Layer::infer(net, data())) {
        return names_a_layer(&fault, description);
    }
    let y = net.output_shapes(x).expect("measured before");
    prop_assert_eq!(Layer::infer(net, data()).map(|y| shapes(&y)).ok(), Some(y.clone()), "infer");
    let copy = net.copy().expect("a copy of what was built");
    prop_assert_eq!(Layer::infer(&copy, data()).map(|y| shapes(&y)).ok(), Some(y.clone()), "a copy");
    let at = At { seed: 1, step: 2, first_image: 3, ..At::default() };
    let mut kept = Kept::default();
    match Layer::forward(net, data(), at, &mut kept) {
        Ok(trained) => prop_assert_eq!(shapes(&trained), y.clone(), "forward"),
        // Statistics of a batch need more than one number.
        Err(fault) if net.nature().training_differs => return names_a_layer(&fault, description),
        Err(fault) => return Err(TestCaseError::fail(format!("forward, but not infer: {fault}"))),
    }
    let mut count = 0;
    net.parameters(&mut |_, _| count += 1);
    let dy = || distinct(&y, 2).into_iter().map(Some).collect::<Gradients>();
    // Everything is trained, something, nothing; and the same again in memory that was used before.
    let mut trace = Trace::default();
    for (round, every) in [1, 2, usize::MAX, 1].into_iter().enumerate() {
        let trained: Vec<bool> = (0..count).map(|i| i % every == 0 && every < usize::MAX).collect();
        let inputs = round == 0;
        let plan = Plan::new(net, &trained, inputs);
        let mut gradients = plan.gradients(net);
        prop_assert!(net.forward_with(&plan, data(), at, &mut trace).is_ok());
        let dx = net.backward_with(&plan, &mut trace, dy(), &mut gradients);
        let dx = dx.map_err(|fault| TestCaseError::fail(format!("backward: {fault}")))?;
        prop_assert_eq!(dx.len(), x.len());
        for (dx, x) in dx.iter().zip(x) {
            prop_assert!(inputs || dx.is_none());
            prop_assert!(dx.as_ref().is_none_or(|dx| dx.shape() == *x), "backward");
        }
        // Positions, indices and masks have no gradients.
        let reached = dx.iter().any(Option::is_some) || picky || text.contains("max_pool2d_with_indices");
        prop_assert!(!inputs || reached || net.nodes().next().is_none(), "no gradient reached the inputs");
    }
    let mut settled = net.copy().expect("a copy of what was built");
    let settled = Layer::settle(&mut settled, &mut kept);
    prop_assert!(settled.is_ok(), "{:?}", settled);
    // A gradient of another shape is refused, unless there is nothing that could refuse it.
    let longer = y.iter().map(|y| y.with_batch(y.batch().saturating_add(1)));
    if y.iter().all(|y| y.rank() > 0) && longer.clone().all(|longer| longer.numel() <= LARGEST) {
        let plan = Plan::new(net, &vec![true; count], true);
        prop_assert!(net.forward_with(&plan, data(), at, &mut trace).is_ok());
        let dy: Gradients = longer.map(|longer| Some(Tensor::zeros(longer))).collect();
        if let Err(fault) = net.backward_with(&plan, &mut trace, dy, &mut plan.gradients(net)) {
            names_a_layer(&fault, description)?;
        }
    }
    Ok(())
}

/// The largest address space that this process has had, in kB, where the system says.
fn largest_address_space() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

/// Checks a description for inputs of two shapes. Returns how far it got, for the test of this test.
fn holds(description: &Value, x: Shape, other: Shape) -> Result<Reached, TestCaseError> {
    let mut root = description.clone();
    root["name"] = json!("root");
    let Ok(root) = serde_json::from_str::<NamedSpec>(&root.to_string()) else {
        return Ok(Reached::Nothing);
    };
    let text = serde_json::to_string(&root).expect("descriptions can be written");
    prop_assert_eq!(&serde_json::from_str::<NamedSpec>(&text).expect("as written"), &root);
    let mut named = description.clone();
    named["name"] = json!("root");
    graph_holds(&GraphSpec::chain(vec![root]), &json!({"nodes": [named]}), &[x], &[other])
}

/// The same check for a graph.
fn graph_holds(
    spec: &GraphSpec,
    description: &Value,
    x: &[Shape],
    other: &[Shape],
) -> Result<Reached, TestCaseError> {
    let before = largest_address_space();
    let build = |x: &[Shape]| {
        Graph::build_from(spec, x.to_vec(), &mut Frugal { left: LARGEST, fresh: Fresh { seed: 0 } })
    };
    let net = match build(x) {
        Ok(net) => net,
        Err(fault) => return names_a_layer(&fault, description).map(|()| Reached::Description),
    };
    prop_assert!(net.output_shapes(x).is_ok());
    prop_assert_eq!(net.spec(), spec);
    prop_assert_eq!(format!("{net:?}").matches(": \"").count(), net.nodes().count());
    let mut reached = Reached::Network;
    if small_enough(&net) {
        run(&net, x, description)?;
        reached = Reached::Run;
    }
    match net.output_shapes(other) {
        Ok(y) => {
            // Of these shapes, it is as large as one that was built for them.
            if let Ok(built) = build(other)
                && small_enough(&built)
            {
                prop_assert_eq!(built.outputs(), y);
                run(&net, other, description)?;
            }
        }
        Err(fault) => {
            names_a_layer(&fault, description)?;
            prop_assert_eq!(net.macs(other), 0, "of nothing");
            let few = |x: &Shape| x.dims().iter().all(|extent| *extent <= 8);
            if reached == Reached::Run && other.iter().all(few) {
                let zeros = || other.iter().map(|x| Tensor::zeros(*x)).collect::<Tensors>();
                // A node that no output depends on is not run, and cannot fail.
                let ended = [
                    Layer::infer(&net, zeros()),
                    Layer::forward(&net, zeros(), At::default(), &mut Kept::default()),
                ];
                for end in ended {
                    if let Err(fault) = end {
                        names_a_layer(&fault, description)?;
                    }
                }
            }
        }
    }
    drop(net);
    let bytes = release_unused_memory();
    prop_assert!(bytes <= MOST_OF_TENSORS, "{} bytes of tensors", bytes);
    // Shrinking finds nothing smaller here: the peak has been reached.
    let grown = largest_address_space().zip(before).map(|(now, before)| now - before);
    prop_assert!(grown.is_none_or(|grown| grown < MOST_OF_ALL), "{:?} kB of address space", grown);
    Ok(reached)
}

/// How much of a case was put to the test.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reached {
    /// The description could not be read.
    Nothing,
    /// It could not be built for the shape.
    Description,
    /// The network is too large to run.
    Network,
    /// It ran.
    Run,
}

proptest! {
    #[test]
    fn end_in_results_or_errors_that_name_the_layer(description in layer(), x in shape(), other in shape()) {
        holds(&description, x, other)?;
    }

    /// Of several inputs, too.
    #[test]
    fn graphs_end_in_results_or_errors_that_name_the_layer(description in graph(layer(), 1..4usize),
                                                           x in shape(), other in shape(), same in 0..4usize) {
        let mut fields = description.clone();
        fields.as_object_mut().map(|fields| fields.remove("type"));
        if let Ok(spec) = serde_json::from_value::<GraphSpec>(fields) {
            let inputs = spec.inputs.len();
            let shapes = |x, other| (0..inputs).map(|i| if i == same { other } else { x }).collect::<Vec<_>>();
            graph_holds(&spec, &description, &shapes(x, other), &shapes(other, x))?;
            graph_holds(&spec, &description, &vec![x; inputs], &vec![other; inputs])?;
        }
    }

    /// With something else in one to three places.
    #[test]
    fn may_be_mangled(description in layer(), changes in prop::collection::vec((any::<prop::sample::Index>(), odd()), 1..4),
                      x in shape(), other in shape()) {
        let mut mangled = description;
        for (at, odd) in changes {
            let places = places(&mangled, String::new());
            if let Some(place) = mangled.pointer_mut(&places[at.index(places.len())]) {
                *place = odd;
            }
        }
        if mangled.is_object() {
            holds(&mangled, x, other)?;
        }
    }

    #[test]
    fn that_are_cut_off_are_errors(description in layer(), cut: prop::sample::Index) {
        let mut text = description.to_string();
        let cut = cut.index(text.len());
        if text.is_char_boundary(cut) {
            text.truncate(cut);
            prop_assert!(serde_json::from_str::<LayerSpec>(&text).is_err());
        }
    }
}

/// Values that fit hardly any place in a description.
fn odd() -> impl Strategy<Value = Value> {
    let numbers = [0, 1, (1 << 32) - 1, 1 << 32, 1 << 63, usize::MAX / 2, usize::MAX - 1, usize::MAX];
    let others = [
        json!(null),
        json!(-1),
        json!("x"),
        json!([]),
        json!({}),
        json!([1, [2]]),
        json!(1e300),
        json!(true),
    ];
    prop_oneof![
        2 => prop::sample::select(numbers.map(|number| json!(number)).to_vec()),
        1 => prop::sample::select(others.to_vec()),
    ]
}

/// The JSON pointers of all values within a value, itself included.
fn places(value: &Value, at: String) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.to_string(), item)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), field)).collect(),
        _ => Vec::new(),
    };
    let within = parts.into_iter().flat_map(|(name, part)| places(part, format!("{at}/{name}")));
    [at.clone()].into_iter().chain(within).collect()
}

#[test]
fn every_kind_of_layer_is_drawn() {
    // Serde lists what it would have accepted.
    let fault = serde_json::from_value::<LayerSpec>(json!({"type": ""})).unwrap_err().to_string();
    let known: Vec<&str> = fault.split('`').skip(3).step_by(2).collect();
    let drawn = |kind: &&str| kinds().chain(JOINS).any(|row| row.0 == *kind) || CONTAINERS.contains(kind);
    let missing: Vec<&&str> = known.iter().filter(|kind| !drawn(kind)).collect();
    assert!(known.len() > 10, "{fault}");
    assert!(missing.is_empty(), "KINDS needs rows for {missing:?}");
}

/// A row whose fields are misspelt, or whose layers never fit, would test nothing.
#[test]
fn every_kind_of_layer_runs_now_and_then() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (layer, shape) = (layer(), shape());
    let mut reached = std::collections::BTreeMap::new();
    // Two factors, or a mask, fit too seldom; those layers' own tests have them.
    let wanted: Vec<String> = kinds()
        .chain(JOINS)
        .map(|row| row.0)
        .chain(CONTAINERS)
        .filter(|kind| !["matmul", "masked_softmax"].contains(kind))
        .map(|kind| json!(kind).to_string())
        .collect();
    let runs_of = |reached: &std::collections::BTreeMap<String, u32>, kind: &String| {
        reached.get(kind).copied().unwrap_or(0)
    };
    for attempt in 0..40_000 {
        if attempt % 1000 == 0 && wanted.iter().all(|kind| runs_of(&reached, kind) >= 3) {
            break;
        }
        let description = layer.new_tree(&mut runner).unwrap().current();
        let [x, other] = [0, 1].map(|_| shape.new_tree(&mut runner).unwrap().current());
        let end = holds(&description, x, other).unwrap_or_else(|fault| panic!("{description} {x}: {fault}"));
        if end == Reached::Run {
            for place in places(&description, String::new()).iter().filter(|place| place.ends_with("/type")) {
                *reached.entry(description.pointer(place).unwrap().to_string()).or_insert(0) += 1;
            }
        }
    }
    for kind in &wanted {
        assert!(runs_of(&reached, kind) >= 3, "{kind}: {reached:?}");
    }
}

#[test]
fn a_description_within_thousands_of_others_is_an_error() {
    let (open, close) = (r#"{"name":"a","type":"sequential","layers":["#, "]}");
    for depth in [10_000, 100_000] {
        let text = open.repeat(depth) + &close.repeat(depth);
        assert!(serde_json::from_str::<NamedSpec>(&text).is_err());
    }
}
