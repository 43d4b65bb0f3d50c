//! ONNX files in the program: run, inspected, told from others, and used wherever a model file is.

mod common;

use cnn_nn::spec::{NamedSpec, add, conv2d, flatten, global_avg_pool2d, graph, linear, relu, softmax};
use cnn_nn::{Graph, Input, Model, ModelSpec};
use cnn_onnx::{Described, Export, export};
use common::{cnn, refusal, stdout};
use std::path::{Path, PathBuf};

/// A file with these fields, as protobuf: the number of a field, and a length-delimited value.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, value) in fields {
        bytes.extend([tag << 3 | 2, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes
}

/// The dimension of a shape, or one that is left open.
fn dim(value: Option<u8>) -> Vec<u8> {
    value.map_or_else(|| message(&[(2, b"n")]), |value| vec![8, value])
}

fn port(name: &str, dims: &[Option<u8>]) -> Vec<u8> {
    let dims: Vec<Vec<u8>> = dims.iter().map(|&value| dim(value)).collect();
    let shape = message(&dims.iter().map(|dim| (1, &dim[..])).collect::<Vec<_>>());
    let tensor = [&[8, 1][..], &message(&[(2, &shape)])].concat();
    message(&[(1, name.as_bytes()), (2, &message(&[(1, &tensor)]))])
}

/// A file of nodes without weights: inputs, operator and output of each.
fn file(nodes: &[(&[&str], &str, &str)], inputs: &[Vec<u8>], output: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let nodes: Vec<Vec<u8>> = nodes
        .iter()
        .map(|(inputs, op, output)| {
            let inputs = inputs.iter().map(|input| (1, input.as_bytes()));
            let rest = [(2, output.as_bytes()), (3, output.as_bytes()), (4, op.as_bytes())];
            message(&inputs.chain(rest).collect::<Vec<_>>())
        })
        .collect();
    fields.extend(nodes.iter().map(|node| (1, &node[..])));
    fields.extend(inputs.iter().map(|input| (11, &input[..])));
    fields.push((12, output));
    // Opset 13.
    [&[8, 7][..], &long(7, &message(&fields)), &message(&[(8, &[16, 13])])].concat()
}

/// A field of any length.
fn long(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    [&[tag << 3 | 2, (length & 127 | 128) as u8, (length >> 7) as u8][..], value].concat()
}

/// `NumPy`'s file of these numbers.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n");
    let length = (header.len() as u16).to_le_bytes();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &data].concat()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The program with the words of a line, and then paths.
fn with<'a>(line: &str, paths: impl IntoIterator<Item = &'a Path>) -> std::process::Command {
    let mut command = cnn(words(line));
    command.args(paths);
    command
}

fn input() -> Input {
    Input::new([3, 8, 8], &[0.5; 3], &[0.25; 3])
}

fn classes() -> Vec<String> {
    ["blue", "red"].map(String::from).to_vec()
}

/// Two blocks and a classifier, which says whether an image is blue or red.
fn layers() -> Vec<NamedSpec> {
    let block = graph(["x"])
        .node("conv", conv2d(4, 3).padding(1), ["x"])
        .node("relu", relu(), ["conv"])
        .node("sum", add(), ["relu", "x"])
        .outputs(["sum"]);
    vec![
        conv2d(4, 3).padding(1).named("stem"),
        cnn_nn::LayerSpec::from(block).named("body"),
        global_avg_pool2d().named("pool"),
        flatten().named("flat"),
        linear(2).named("fc"),
        softmax().named("softmax"),
    ]
}

/// The file of that network, with its description if asked for.
fn network(is_described: bool) -> Vec<u8> {
    let net = Graph::build(layers(), [3, 8, 8], 1).unwrap();
    let described = Described { name: "tiny".into(), input: input(), classes: classes() };
    let text = serde_json::to_string(&described).unwrap();
    let metadata = is_described.then(|| (Described::KEY.to_string(), text)).into_iter().collect();
    export(&net, &Export { metadata, ..Export::default() }).unwrap()
}

fn photo(folder: &Folder, name: &str, color: [u8; 3]) -> PathBuf {
    let path = folder.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(8, 8, image::Rgb(color)).save(&path).unwrap();
    path
}

#[test]
fn a_model_is_run_on_tensors_and_compared() {
    let folder = Folder::new();
    let open = [None, None];
    let nodes: [(&[&str], &str, &str); 2] = [(&["a", "b"], "Sub", "d"), (&["d"], "Relu", "y")];
    let model =
        folder.write("m.onnx", &file(&nodes, &[port("a", &open), port("b", &open)], &port("y", &open)));
    let a = folder.write("a.npy", &npy("(2, 3)", &[1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN]));
    let b = folder.write("b.npy", &npy("(2, 3)", &[0.5, 3.0, 1.0, 1.0, 5.0, 1.0]));
    let [a, b] = [&a, &b].map(|file| file.display().to_string());
    let (inputs, out) = ([format!("a={a}"), format!("b={b}")], folder.path("out"));
    let run = |more: &[&str]| {
        let mut command = with("run", [&*model]);
        command.arg("--input").args(&inputs).args(more);
        command
    };
    let said = stdout(run(&["--output", out.to_str().unwrap()]));
    assert!(said.starts_with("y [2, 3]: from 0 to 3, in "), "{said}");
    let written = std::fs::read(out.join("y.npy")).unwrap();
    let values: Vec<f32> = written[written.len() - 24..]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(values[..5], [0.5, 0.0, 2.0, 3.0, 0.0]);
    assert!(values[5].is_nan());

    // What was written is what is expected.
    let right = out.join("y.npy").display().to_string();
    let said = stdout(run(&["--expect", &right]));
    assert_eq!(said, "y [2, 3]: equal, largest difference 0.000e0\n");
    let wrong = folder.write("w.npy", &npy("(2, 3)", &[0.5, 0.0, 2.0, 3.5, 0.001, 0.0]));
    let output = run(&["--expect", &format!("y={}", wrong.display()), "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["equal"], false);
    let difference = &json["sets"][0]["outputs"][0]["difference"];
    assert_eq!((&difference["beyond"], &difference["at"]), (&3.into(), &serde_json::json!([1, 2])));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "error: 1 of 1 outputs differ from the expected ones\n");

    let mut one = with("run", [&*model]);
    one.args(["--input", &a]);
    assert!(refusal(one).contains("with a name of a, b"));
    let mut missing = with("run", [&*model]);
    missing.args(["--input", &inputs[0]]);
    assert_eq!(refusal(missing), "--input: expected a file for b as well");
    assert!(refusal(with("run", [&*model])).contains("or a folder test_data_set_0 beside the model"));
    let unknown = refusal(run(&["--expect", &format!("z={right}")]));
    assert!(unknown.starts_with("--expect: expected one of y, got z"), "{unknown}");
}

#[test]
fn folders_of_test_data_are_found_and_all_are_run() {
    let folder = Folder::new();
    folder.write("model.onnx", &file(&[(&["x"], "Relu", "y")], &[port("x", &[None; 2])], &port("y", &[])));
    // A TensorProto: dims, the type f32, and the bytes.
    let tensor = |values: &[f32]| {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [&[8, 1, 8, values.len() as u8, 16, 1][..], &message(&[(9, &raw)])].concat()
    };
    folder.write("test_data_set_0/input_0.pb", &tensor(&[-1.0, 2.0]));
    folder.write("test_data_set_0/output_0.pb", &tensor(&[0.0, 2.0]));
    folder.write("test_data_set_10/input_0.pb", &tensor(&[3.0]));
    folder.write("test_data_set_2/input_0.pb", &tensor(&[-1.0, -2.0, 3.0]));
    folder.write("test_data_set_2/output_0.pb", &tensor(&[0.0, 0.0, 3.0]));
    let said = stdout(with("run", [folder.0.path()]));
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "test_data_set_0",
            "  y [1, 2]: equal, largest difference 0.000e0",
            "test_data_set_2",
            "  y [1, 3]: equal, largest difference 0.000e0",
            "test_data_set_10",
            "  y [1, 1]: from 3 to 3",
        ]
    );
    folder.write("test_data_set_2/input_1.pb", &tensor(&[1.0]));
    assert!(refusal(with("run", [folder.0.path()])).contains("files for 1 inputs, got input_1.pb as well"));
}

#[test]
fn a_file_is_inspected_with_all_that_is_missing() {
    let folder = Folder::new();
    let model = folder.write("model.onnx", &network(true));
    let said = stdout(with("inspect", [&*model]));
    assert!(
        said.contains("inputs    input [?, 3, 8, 8]\noutputs   output [?, 2]\nmetadata  cnn\n"),
        "{said}"
    );
    assert!(said.contains("model     tiny, for images of 3 x 8 x 8 and 2 classes\n"), "{said}");
    assert!(said.contains("\nnodes     ") && said.contains(", all supported\n"), "{said}");
    assert!(said.lines().last().unwrap().starts_with("total"), "{said}");

    // Two unknown operators, and one node that depends on them.
    let nodes: [(&[&str], &str, &str); 4] =
        [(&["x"], "Relu", "a"), (&["a"], "Foo", "b"), (&["a"], "Bar", "c"), (&["b", "c"], "Add", "y")];
    let image = port("x", &[None, Some(3), None, None]);
    let model = folder.write("other.onnx", &file(&nodes, &[image], &port("y", &[])));
    let output = with("inspect --size 8", [&*model]).output().unwrap();
    let (said, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("nodes     4: 1 fine, 2 not supported, 1 that depend on those\n  Foo b: "),
        "{said}"
    );
    assert!(said.contains("\n  Bar c: "), "{said}");
    assert!(error.ends_with("2 of 4 nodes are not supported: Bar (1), Foo (1)\n"), "{error}");
    let output = with("inspect --input-shape x=3,8,8 --json", [&*model]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["unsupported"].as_array().unwrap().len(), &json["layers"]), (2, &().into()));
    let open = with("inspect", [&*model]).output().unwrap();
    let error = String::from_utf8(open.stderr).unwrap();
    assert!(error.contains("input x [?, 3, ?, ?]: the file leaves extents open; state those"), "{error}");
}

#[test]
fn a_classifier_predicts_and_its_head_is_replaced_in_training() {
    let folder = Folder::new();
    let model = folder.write("model.onnx", &network(true));
    let own = folder.path("own.safetensors");
    // The same model, as this library saves it, with the weights of the file.
    let mut spec = layers();
    spec.pop();
    let net = Graph::build(layers(), [3, 8, 8], 1).unwrap();
    let spec = ModelSpec { name: "tiny".into(), input: input(), classes: classes(), layers: spec };
    Model::from_tensors(spec, net.tensors().into_iter().collect()).unwrap().save(&own).unwrap();
    let red = photo(&folder, "red.png", [250, 10, 10]);
    let json = |line: &str, model: &Path| -> serde_json::Value {
        let mut command = with(line, [model]);
        command.arg(&red);
        serde_json::from_str(&stdout(command)).unwrap()
    };
    let of_onnx = json("predict --json --model", &model);
    let of_own = json("predict --json --weights", &own);
    assert_eq!(of_onnx, of_own);
    assert_eq!(of_onnx[0]["ranking"].as_array().unwrap().len(), 2);

    // Without the description, the range is asked for and classes are numbers. Blue comes first on demand.
    let plain = folder.write("plain.onnx", &network(false));
    let asks = refusal(with("predict --model", [&*plain, &*red]));
    assert!(
        asks.contains("plain.onnx: the file does not state the range of its inputs: --preprocess"),
        "{asks}"
    );
    let probability = |options: &str, image: &Path| {
        let mut command = with(&format!("predict --json {options} --model"), [&*plain]);
        command.arg(image);
        let json: serde_json::Value = serde_json::from_str(&stdout(command)).unwrap();
        json[0]["ranking"].as_array().unwrap().iter().find(|class| class[0] == "1").unwrap()[1]
            .as_f64()
            .unwrap()
    };
    let blue = photo(&folder, "blue.png", [10, 10, 250]);
    let numbers = "--mean 0.5 --std 0.25";
    assert_eq!(
        probability(numbers, &red),
        of_onnx[0]["ranking"].as_array().unwrap().iter().find(|class| class[0] == "red").unwrap()[1]
            .as_f64()
            .unwrap()
    );
    assert_eq!(probability(&format!("{numbers} --channels bgr"), &blue), probability(numbers, &red));
    assert_ne!(probability(numbers, &blue), probability(numbers, &red));

    // A new head for three classes, on frozen layers, and the saved model by itself.
    for (class, color) in [("a", [200, 20, 20]), ("b", [20, 200, 20]), ("c", [20, 20, 200])] {
        for i in 0..4u8 {
            let part = if i == 3 { "val" } else { "train" };
            photo(&folder, &format!("data/{part}/{class}/{i}.png"), color.map(|v: u8| v + i));
        }
    }
    let out = folder.path("run");
    let mut train = with(
        "train --new-head --freeze-trunk --epochs 1 --batch-size 3 --augment none --threads 1 --json --model",
        [&*model],
    );
    train.arg("--dataset").arg(folder.path("data")).arg("--out").arg(&out);
    stdout(train);
    let trained = Model::load(out.join("model.safetensors")).unwrap();
    assert_eq!(
        (&trained.spec.name[..], &trained.spec.classes[..]),
        ("tiny", &["a", "b", "c"].map(String::from)[..])
    );
    assert_eq!(trained.spec.input, input());
    let names: Vec<&str> = trained.spec.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names.last(), Some(&"head"));
    let (before, after) = (net.tensors(), trained.net.tensors());
    assert_eq!(after.len(), before.len());
    // In order: those before the classifier are the file's.
    let trunk = before.len() - 2;
    assert!(before[..trunk].iter().zip(&after).all(|((_, a), (_, b))| a == b));
    let config = std::fs::read_to_string(out.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["model"]["file"], model.display().to_string());
}

#[test]
fn files_of_other_kinds_and_models_of_other_uses_are_one_line_each() {
    let folder = Folder::new();
    let red = photo(&folder, "red.png", [250, 10, 10]);
    let says = |name: &str, contents: &[u8], options: &str, expected: &str| {
        let model = folder.write(name, contents);
        let message = refusal(with(&format!("predict {options} --model"), [&*model, &*red]));
        assert!(message.contains(name) && message.contains(expected), "{message}");
    };
    let own = folder.path("own.safetensors");
    let layers = vec![flatten().named("flat"), linear(2).named("fc")];
    let spec = ModelSpec { name: "tiny".into(), input: input(), classes: classes(), layers };
    Model::build(spec, 0).unwrap().save(&own).unwrap();
    says("a.onnx", &std::fs::read(&own).unwrap(), "", "expected an ONNX model, got a safetensors file");
    let whole = network(true);
    says("b.onnx", &whole[..whole.len() / 2], "", "expected an ONNX model, got ");
    says("c.onnx", &[], "", "expected an ONNX model, got an empty file");
    let image = |name| port(name, &[None, Some(3), Some(8), Some(8)]);
    let two = file(&[(&["a", "b"], "Add", "y")], &[image("a"), image("b")], &port("y", &[]));
    says(
        "d.onnx",
        &two,
        "--preprocess unit",
        "expected one input, of images, got a [?, 3, 8, 8], b [?, 3, 8, 8]",
    );
    let maps = file(&[(&["x"], "Relu", "y")], &[image("x")], &port("y", &[]));
    says("e.onnx", &maps, "--preprocess unit", "a number for each class of an image, got y [3, 8, 8]");
    let open = file(&[(&["x"], "Relu", "y")], &[port("x", &[None, Some(3), None, None])], &port("y", &[]));
    says(
        "f.onnx",
        &open,
        "--preprocess unit",
        "leaves height or width open; state those of an image: --size N",
    );
    says("g.onnx", &network(false), "--preprocess unit --size 9", "got 9");
    let mut command = with("predict --preprocess unit --model", [&*own, &*red]);
    assert!(refusal(command).ends_with("own.safetensors has its own preprocessing"));
    command = with("predict --model lenet", [&*red]);
    let message = refusal(command);
    assert!(message.starts_with("--weights: expected ") && message.contains("lenet"), "{message}");
}

#[test]
fn a_model_is_exported_and_comes_back() {
    let folder = Folder::new();
    let mut layers = layers();
    layers.pop();
    let spec = ModelSpec { name: "tiny".into(), input: input(), classes: classes(), layers };
    let model = Model::build(spec, 3).unwrap();
    let [own, onnx, tensors, again] =
        ["model.safetensors", "out/model.onnx", "out/tensors.safetensors", "again.safetensors"]
            .map(|name| folder.path(name));
    model.save(&own).unwrap();
    let export = |from: &Path, to: &[(&str, &Path)]| {
        let mut command = with("export", [from]);
        for (option, path) in to {
            command.arg(option).arg(path);
        }
        command
    };
    stdout(export(&own, &[("--onnx", &onnx), ("--safetensors", &tensors)]));
    // With the names of the classes and the preprocessing.
    stdout(export(&onnx, &[("--model-file", &again)]));
    let back = Model::load(&again).unwrap();
    assert_eq!((&back.spec.name, &back.spec.classes), (&model.spec.name, &model.spec.classes));
    assert_eq!(back.spec.input, model.spec.input);
    let x = cnn_tensor::Tensor::full(model.net.inputs()[0].with_batch(2), 0.25);
    assert_eq!(back.net.infer(&x).unwrap(), model.net.infer(&x).unwrap());
    // Tensors alone, which no model is.
    let saved = cnn_nn::checkpoint::load(&tensors).unwrap();
    assert_eq!((saved.description, saved.is_verified), (None, true));
    assert_eq!(saved.tensors.len(), model.net.tensors().len());
    let same = refusal(export(&own, &[("--onnx", &own)]));
    assert!(same.contains("expected another file than the model itself"), "{same}");
    assert!(Model::load(&own).is_ok());
}
