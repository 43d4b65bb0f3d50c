//! What is fuzzed: everything that reads bytes of others. Two drivers share this file, libFuzzer's (`fuzz/run`), which
//! follows coverage, and a quick one on the stable compiler (`crates/cnn-data/tests/fuzz.rs`), which every run of the
//! tests includes.
//!
//! A target holds if its function returns: what the bytes mean is an error or a value that keeps its promises, memory
//! stays within the target's bound, and there is no panic. To add one, write its function and add a line to [`TARGETS`].

use cnn_data::imagenet::Synsets;
use cnn_data::pose::{LSP, PoseSet};
use cnn_data::transform::{Pipeline, Transform};
use cnn_data::{
    CifarFamily, DataError, Dataset, DecodeLimits, Digit, IdxFile, InMemoryDataset, MnistFamily, Split,
};
use cnn_data::{ImageFiles, PackOptions, PackedImages, Picture, pack};
use cnn_nn::spec::{self, batch_norm2d, conv2d, flatten, linear, max_pool2d, relu};
use cnn_nn::{
    Batch, Classify, Graph, Input, Layer, Model, ModelSpec, Tensors, TrainSettings, Trainer, checkpoint,
};
use cnn_search::{Index, Item, Metric, Origin};
use cnn_tensor::{Random, Tensor};
use flate2::{Compression, write::GzEncoder};
use peak_alloc::PeakAlloc;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Something that reads bytes.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads them; panics if something is wrong with what came of it.
    pub run: fn(&[u8]),
    /// Bytes that mean something.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes of memory that one byte of input may cost.
    pub factor: usize,
    /// Bytes of memory beyond those.
    pub constant: usize,
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "idx", run: idx_plain, seeds: idx_seeds, factor: 4, constant: 4 * KIB },
    Target { name: "idx_gzip", run: idx, seeds: idx_gzip_seeds, factor: 4 * DEFLATE, constant: 128 * KIB },
    Target { name: "cifar10", run: cifar10, seeds: cifar10_seeds, factor: 8, constant: 16 * KIB },
    Target { name: "cifar100", run: cifar100, seeds: cifar100_seeds, factor: 8, constant: 32 * KIB },
    Target { name: "cifar_tar", run: cifar_tar, seeds: cifar_tar_seeds, factor: 8, constant: 64 * KIB },
    Target { name: "cifar_tar_sound", run: cifar_tar_sound, seeds: cifar_tar_seeds, factor: 8, constant: 64 * KIB },
    Target { name: "cifar_tar_gzip", run: cifar_tar, seeds: cifar_tar_gzip_seeds, factor: 8 * DEFLATE, constant: 192 * KIB },
    Target { name: "checkpoint", run: checkpoint, seeds: checkpoint_seeds, factor: 64, constant: 64 * KIB },
    Target { name: "checkpoint_header", run: checkpoint_header, seeds: checkpoint_header_seeds, factor: 64, constant: 64 * KIB },
    Target { name: "pth", run: pth, seeds: pth_seeds, factor: 128, constant: 64 * KIB },
    Target { name: "onnx", run: onnx, seeds: onnx_seeds, factor: 512, constant: 16 * 1024 * KIB },
    Target { name: "model", run: model, seeds: model_seeds, factor: 128, constant: 256 * KIB },
    Target { name: "graph", run: graph, seeds: graph_seeds, factor: 128, constant: 512 * KIB },
    Target { name: "index", run: index, seeds: index_seeds, factor: 64, constant: 256 * KIB },
    Target { name: "index_sound", run: index_sound, seeds: index_seeds, factor: 64, constant: 256 * KIB },
    Target { name: "train_settings", run: train_settings, seeds: train_settings_seeds, factor: 64, constant: 256 * KIB },
    Target { name: "transforms", run: transforms, seeds: transforms_seeds, factor: 256, constant: 16 * 1024 * KIB },
    Target { name: "images_tar", run: images_tar, seeds: images_tar_seeds, factor: 64, constant: 512 * KIB },
    Target { name: "images_tar_sound", run: images_tar_sound, seeds: images_tar_seeds, factor: 64, constant: 512 * KIB },
    Target { name: "packed_index", run: packed_index, seeds: packed_index_seeds, factor: 64, constant: 256 * KIB },
    Target { name: "synsets", run: synsets, seeds: synsets_seeds, factor: 64, constant: 64 * KIB },
    Target { name: "joints", run: joints, seeds: joints_seeds, factor: 64, constant: 256 * KIB },
    Target { name: "decode", run: decode, seeds: decode_seeds, factor: 16 * DEFLATE * 8, constant: 64 * 1024 * KIB },
    Target { name: "decode_png", run: decode_png, seeds: decode_png_seeds, factor: 16 * DEFLATE * 8, constant: 64 * 1024 * KIB },
    Target { name: "digit", run: digit, seeds: digit_seeds, factor: 24 * DEFLATE * 8, constant: 96 * 1024 * KIB },
];

const KIB: usize = 1024;
/// No byte of deflate unpacks to more.
const DEFLATE: usize = 1032;

/// Runs a target and checks what memory it took.
pub fn check(target: &Target, bytes: &[u8]) {
    cnn_tensor::release_unused_memory();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    (target.run)(bytes);
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let bound = target.factor * bytes.len() + target.constant;
    assert!(
        taken <= bound,
        "{}: {taken} bytes of memory for {} bytes, at most {bound}",
        target.name,
        bytes.len()
    );
}

/// An error's text: one line that can be shown.
fn is_one_line(error: impl Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}

/// A path that no other thread uses, in memory where the system has such a place.
fn temporary(kind: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
    folder.join(format!("cnn-fuzz-{kind}-{}-{:?}", std::process::id(), std::thread::current().id()))
}

/// Of things that can be read from a file only.
fn with_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FILE: PathBuf = temporary("file");
    }
    FILE.with(|path| {
        std::fs::write(path, bytes).expect("a temporary file can be written");
        let result = read(path);
        let _ = std::fs::remove_file(path);
        result
    })
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).expect("memory can be written to");
    encoder.finish().expect("memory can be written to")
}

// IDX

/// Without compression, which has a bound of its own.
fn idx_plain(bytes: &[u8]) {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        idx(bytes);
    }
}

fn idx(bytes: &[u8]) {
    match IdxFile::parse("file".as_ref(), bytes, IdxFile::LIMIT) {
        Ok(file) => assert_eq!(file.data.len(), file.dims.iter().product::<usize>()),
        Err(error) => is_one_line(error),
    }
}

fn idx_seeds() -> Vec<Vec<u8>> {
    let file = |dims: &[u32]| {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend((0..dims.iter().product::<u32>()).map(|i| i as u8));
        bytes
    };
    vec![file(&[3]), file(&[2, 3]), file(&[2, 3, 4]), file(&[1, 2, 3, 4]), file(&[0, 28, 28])]
}

fn idx_gzip_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> =
        idx_seeds().iter().flat_map(|bytes| [0, 6].map(|level| gzip(bytes, level))).collect();
    // Several members, and much from little.
    seeds.push([gzip(&idx_seeds()[1][..7], 6), gzip(&idx_seeds()[1][7..], 6)].concat());
    seeds.push(gzip(&[&[0, 0, 8, 1, 0, 1, 0, 0][..], &[0; 1 << 16]].concat(), 9));
    seeds
}

// CIFAR

fn is_sound(set: Result<InMemoryDataset, DataError>) {
    match set {
        Ok(set) => {
            assert!(!set.is_empty());
            assert!(set.labels().iter().all(|&label| (label as usize) < set.classes().len()));
            assert_eq!(set.images().len(), set.shape().iter().product::<usize>());
        }
        Err(error) => is_one_line(error),
    }
}

fn cifar10(bytes: &[u8]) {
    is_sound(CifarFamily::Cifar10.parse("file".as_ref(), bytes));
}

fn cifar100(bytes: &[u8]) {
    let fine = CifarFamily::Cifar100.parse("file".as_ref(), bytes);
    let coarse = CifarFamily::Cifar100Coarse.parse("file".as_ref(), bytes);
    assert_eq!(fine.is_ok(), coarse.is_ok());
    is_sound(fine);
    is_sound(coarse);
}

fn cifar_tar(bytes: &[u8]) {
    is_sound(CifarFamily::Cifar10.parse_archive("file".as_ref(), bytes, Split::Train));
    is_sound(CifarFamily::Cifar10.parse_archive("file".as_ref(), bytes, Split::Test));
}

/// With the checksums of headers made right, so that what is changed in them is believed.
fn cifar_tar_sound(bytes: &[u8]) {
    cifar_tar(&with_checksums(bytes.to_vec()));
}

/// A tar archive in which every block that may be a header has the checksum of one.
fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    for block in bytes.as_chunks_mut::<512>().0.iter_mut().filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

fn cifar_records(labels: &[&[u8]]) -> Vec<u8> {
    labels.iter().flat_map(|labels| [labels, &[labels[0]; 3072][..]].concat()).collect()
}

fn cifar10_seeds() -> Vec<Vec<u8>> {
    vec![cifar_records(&[&[0]]), cifar_records(&[&[9], &[3]])]
}

fn cifar100_seeds() -> Vec<Vec<u8>> {
    vec![cifar_records(&[&[0, 0]]), cifar_records(&[&[19, 99], &[3, 4]])]
}

fn tar(files: &[(&str, &[u8])], old: bool) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = if old { tar::Header::new_gnu() } else { tar::Header::new_ustar() };
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, *bytes).expect("memory can be written to");
    }
    archive.into_inner().expect("memory can be written to")
}

fn cifar_tar_seeds() -> Vec<Vec<u8>> {
    let record = cifar_records(&[&[7]]);
    let train: Vec<String> =
        (1..=5).rev().map(|i| format!("cifar-10-batches-bin/data_batch_{i}.bin")).collect();
    let train: Vec<(&str, &[u8])> = train.iter().map(|name| (&**name, &record[..])).collect();
    let long = "x".repeat(120);
    vec![
        tar(&[("cifar-10-batches-bin/test_batch.bin", &record)], false),
        tar(&[(&long, b"long"), ("test_batch.bin", &record)], true),
        tar(&train, false),
    ]
}

fn cifar_tar_gzip_seeds() -> Vec<Vec<u8>> {
    cifar_tar_seeds().iter().map(|bytes| gzip(bytes, 6)).collect()
}

// Files of tensors, and models

fn checkpoint(bytes: &[u8]) {
    let loaded = with_file(bytes, |path| {
        if let Err(error) = Model::load(path) {
            is_one_line(error);
        }
        checkpoint::load(path)
    });
    match loaded {
        Ok(saved) => {
            let numbers: usize = saved.tensors.values().map(|tensor| tensor.data().len()).sum();
            assert!(4 * numbers <= bytes.len());
        }
        Err(error) => is_one_line(error),
    }
}

/// With the header's length made right: a header to the first 0, and the data after it.
fn checkpoint_header(bytes: &[u8]) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (header, data) = bytes.split_at(end);
    checkpoint(&[&(end as u64).to_le_bytes()[..], header, data].concat());
}

fn small_model() -> Model {
    let spec = ModelSpec {
        name: "small".into(),
        input: Input::gray(6, 6, 0.5, 0.25),
        classes: vec!["a".into(), "b".into()],
        layers: vec![
            conv2d(2, 3).named("conv"),
            batch_norm2d().named("bn"),
            relu().named("relu"),
            max_pool2d(2).named("pool"),
            flatten().named("flatten"),
            linear(2).named("fc"),
        ],
    };
    Model::build(spec, 0).expect("the layers fit")
}

fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let saved = |save: &dyn Fn(&Path)| {
        with_file(b"", |path| {
            save(path);
            std::fs::read(path).expect("what was written can be read")
        })
    };
    let tensors = [("a".to_string(), Tensor::full([2, 3], 0.5)), ("b".to_string(), Tensor::full([], 1.0))];
    vec![
        saved(&|path| checkpoint::save(path, "{}", &tensors).expect("it can be written")),
        saved(&|path| small_model().save(path).expect("it can be written")),
        [
            &64u64.to_le_bytes()[..],
            format!("{:64}", r#"{"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#).as_bytes(),
            &[3; 8],
        ]
        .concat(),
    ]
}

/// A file of PyTorch's: an error, or tensors of as many bytes as their shapes say.
fn pth(bytes: &[u8]) {
    match cnn_pth::read(bytes) {
        Ok(contents) => {
            for (name, tensor) in contents.tensors {
                let numel: usize = tensor.shape.iter().product();
                assert_eq!(tensor.bytes.len(), numel * tensor.element.bytes(), "{name}");
            }
        }
        Err(error) => is_one_line(error),
    }
}

fn pth_seeds() -> Vec<Vec<u8>> {
    let files: [&[u8]; 3] = [
        include_bytes!("../crates/cnn-pth/tests/fixtures/legacy.pth"),
        include_bytes!("../crates/cnn-pth/tests/fixtures/zip.pth"),
        include_bytes!("../crates/cnn-pth/tests/fixtures/checkpoint.pth"),
    ];
    files.map(<[u8]>::to_vec).into()
}

/// An ONNX model: an error of a line for each node, or a network that can be built.
fn onnx(bytes: &[u8]) {
    let import = |bytes: &[u8]| {
        let file = cnn_onnx::Onnx::read(bytes.to_vec())?;
        let imported = file.import(&Default::default())?;
        imported.build()
    };
    if let Err(error) = import(bytes) {
        error.to_string().lines().for_each(is_one_line);
    }
}

/// The network of the other targets, and single nodes with the arithmetic on shapes that exporters write.
fn onnx_seeds() -> Vec<Vec<u8>> {
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("../crates/cnn-onnx/tests/fixtures/nodes.json"))
            .expect("it is JSON");
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..][..2], 16).expect("two digits"))
            .collect()
    };
    let names = [
        "shape_arithmetic",
        "size_arithmetic",
        "pad_axes",
        "split_18",
        "slice",
        "conv_SAME_LOWER",
        "resize_linear",
    ];
    let chosen = cases
        .as_array()
        .expect("a list")
        .iter()
        .filter(|case| names.iter().any(|name| case["name"] == *name));
    let mut seeds: Vec<Vec<u8>> = chosen.map(|case| hex(case["model"].as_str().expect("text"))).collect();
    seeds.push(cnn_onnx::export(&small_model().net, &Default::default()).expect("its layers have operators"));
    seeds
}

fn checkpoint_header_seeds() -> Vec<Vec<u8>> {
    checkpoint_seeds().iter().map(|bytes| bytes[8..].to_vec()).collect()
}

/// An index: an error, or one that is written as it was read and can be searched.
fn index(bytes: &[u8]) {
    match Index::from_bytes(bytes, Path::new("fuzzed")) {
        Ok(index) => {
            assert!(index.to_bytes().expect("it fits a file") == bytes);
            if !index.is_empty() {
                let hits = index.nearest(index.vector(0), 1, index.metric());
                assert_eq!(hits.expect("its vectors are finite").len(), 1);
            }
        }
        Err(error) => is_one_line(error),
    }
}

/// The same with the right checksum, so that mutations reach the words.
fn index_sound(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 16 {
        let checksum = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
    index(&bytes);
}

fn index_seeds() -> Vec<Vec<u8>> {
    let origin =
        Origin { model: "small".into(), layer: "fc".into(), part: "all".into(), ..Origin::default() };
    let mut small = Index::new(origin, Metric::Euclidean, vec!["a".into(), "b".into()], 2).expect("a length");
    for (name, label) in [("x.png", Some(1)), ("y.png", None)] {
        small.push(Item { name: name.into(), label, position: 3 }, &[0.5, -2.0]).expect("finite numbers");
    }
    let empty = Index::new(Origin::default(), Metric::Cosine, vec![], 1).expect("a length");
    [small, empty].map(|index| index.to_bytes().expect("it fits a file")).to_vec()
}

/// The description alone, before the tensors of the small model.
fn model(bytes: &[u8]) {
    thread_local! {
        static TENSORS: Vec<(String, Tensor)> = small_model().net.tensors();
    }
    let Ok(description) = str::from_utf8(bytes) else { return };
    let tensors = TENSORS.with(|tensors| tensors.iter().cloned().collect());
    let saved = checkpoint::Saved::new(description, tensors);
    match Model::from_saved(saved, "file".as_ref()) {
        Ok(model) => {
            // Whatever was described can be used.
            let [c, h, w] = model.spec.input.shape;
            if c * h * w <= 4096 {
                let y = model.net.infer(&Tensor::zeros([1, c, h, w])).expect("a model takes its input");
                assert_eq!(y.shape().dims(), [1, model.spec.classes.len()]);
            }
        }
        Err(error) => is_one_line(error),
    }
}

fn model_seeds() -> Vec<Vec<u8>> {
    let model = serde_json::to_string(&small_model().spec).expect("a description can be written");
    vec![format!(r#"{{"format":"cnn-model","version":1,"model":{model}}}"#).into_bytes()]
}

/// Two inputs that share layers, joins, slots, two outputs.
fn small_graph() -> Graph {
    let spec = spec::graph(["a", "b"])
        .node("conv", conv2d(2, 3), ["a"])
        .share("twin", "conv", ["b"])
        .node("sum", spec::add(), ["conv", "twin"])
        .node("both", spec::cat(1), ["sum", "conv"])
        .node("parts", spec::split(1, [1, 3]), ["both"])
        .node("scaled", spec::mul(), ["parts:1", "parts"])
        .node("flat", flatten(), ["scaled"])
        .node("fc", linear(2), ["flat"])
        .node("steps", spec::reshape([3, 4]), ["conv"])
        .node("lstm", spec::lstm(2), ["steps"])
        .outputs(["fc", "lstm:1"]);
    Graph::of(&spec, [[1, 4, 5], [1, 4, 5]], 0).expect("the layers fit")
}

/// The description alone, before the tensors of the small graph.
fn graph(bytes: &[u8]) {
    thread_local! {
        static TENSORS: Vec<(String, Tensor)> = small_graph().tensors();
    }
    let Ok(description) = str::from_utf8(bytes) else { return };
    let tensors = TENSORS.with(|tensors| tensors.iter().cloned().collect());
    let saved = checkpoint::Saved::new(description, tensors);
    match Graph::from_saved(saved, "file".as_ref()) {
        Ok(net) => {
            // Whatever was described can be used, and says of itself what was said of it.
            let elements = net.inputs().iter().map(|shape| shape.numel());
            let outputs = net.summary().rows.into_iter().map(|row| row.output.numel());
            if elements.chain(outputs).fold(0, usize::saturating_add) <= 16_384 {
                let x: Tensors = net.inputs().iter().map(|shape| Tensor::zeros(*shape)).collect();
                // What is computed may be no index or mask of what reads it.
                match Layer::infer(&net, x) {
                    Ok(y) => assert!(y.iter().map(Tensor::shape).eq(net.outputs().iter().copied())),
                    Err(error) => is_one_line(error),
                }
            }
        }
        Err(error) => is_one_line(error),
    }
}

fn graph_seeds() -> Vec<Vec<u8>> {
    let spec = serde_json::to_string(small_graph().spec()).expect("a description can be written");
    let header = r#""format":"cnn-graph","version":1,"inputs":[[1,4,5],[1,4,5]]"#;
    vec![format!("{{{header},\"graph\":{spec}}}").into_bytes()]
}

// Settings

/// Settings that are accepted can be written, read back, and trained with.
fn train_settings(bytes: &[u8]) {
    let settings = match serde_json::from_slice::<TrainSettings>(bytes) {
        Ok(settings) => settings,
        // The parser's own words.
        Err(_) => return,
    };
    if let Err(error) = settings.validate() {
        return is_one_line(error);
    }
    let text = serde_json::to_string(&settings).expect("settings can be written");
    assert_eq!(serde_json::from_str::<TrainSettings>(&text).expect("and read"), settings);
    let layers = [flatten().named("flatten"), linear(2).named("fc")];
    let net = Graph::build(layers, [1, 2, 2], 0).expect("the layers fit");
    let mut trainer = match Trainer::new(net, Classify::default(), settings) {
        Ok(trainer) => trainer,
        Err(error) => return is_one_line(error),
    };
    let batch = Batch::new(Tensor::full([2, 1, 2, 2], 0.5), vec![0, 1]);
    for _ in 0..3 {
        if let Err(error) = trainer.step(&batch, 2) {
            return is_one_line(error);
        }
    }
}

fn train_settings_seeds() -> Vec<Vec<u8>> {
    let text = serde_json::to_string(&TrainSettings::default()).expect("settings can be written");
    let more = [
        r#"{"epochs":3,"rate":0.1,"optimizer":{"type":"adam","beta1":0.9},"clip":{"type":"norm","max_norm":1}}"#,
        r#"{"schedule":{"type":"one_cycle"},"optimizer":{"type":"lion"},"clip":{"type":"value","limit":1}}"#,
        r#"{"schedule":{"type":"step","step_size":2,"gamma":0.1},"optimizer":{"type":"rmsprop"},"penalty":{"l1":0.1}}"#,
        r#"{"optimizer":{"type":"sgd","momentum":0.9,"nesterov":true,"weight_decay":0.1},"groups":[{"names":["bias"],"weight_decay":0}]}"#,
        r#"{"optimizer":{"type":"adagrad"},"accumulate":2,"average":{"decay":0.9}}"#,
        r#"{"optimizer":{"type":"adamw"},"schedule":{"type":"plateau"},"seed":3}"#,
    ];
    more.iter().map(|text| text.as_bytes().to_vec()).chain([text.into_bytes()]).collect()
}

/// Transforms that are accepted can be written, read back, and applied.
fn transforms(bytes: &[u8]) {
    let pipeline = match serde_json::from_slice::<Pipeline>(bytes) {
        Ok(pipeline) => pipeline,
        Err(_) => return,
    };
    if let Err(error) = pipeline.validate() {
        return is_one_line(error);
    }
    let text = serde_json::to_string(&pipeline).expect("transforms can be written");
    assert_eq!(serde_json::from_str::<Pipeline>(&text).expect("and read"), pipeline);
    // Settings may ask for images as large as files may; one that does says nothing new.
    if largest(&serde_json::from_str(&text).expect("JSON")) > 100.0 {
        return;
    }
    for (c, normalize) in [(1, MnistFamily::Mnist.normalize()), (3, CifarFamily::Cifar10.normalize())] {
        let mut random = Random::new(0, &[]);
        let picture = Picture::filled([c, 6, 5], 100);
        match pipeline.apply(picture, &mut random) {
            Ok(picture) => {
                let shape = picture.shape();
                assert!(!shape.contains(&0));
                let Ok(x) = normalize.tensor([1, shape[0], shape[1], shape[2]], picture.data()) else {
                    continue;
                };
                let mut x = x.data().to_vec();
                if let Err(error) = pipeline.finish(&mut x, shape, &normalize, &mut random) {
                    is_one_line(error);
                }
            }
            Err(error) => is_one_line(error),
        }
    }
}

fn largest(value: &serde_json::Value) -> f64 {
    use serde_json::Value;
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::INFINITY),
        Value::Array(values) => values.iter().map(largest).fold(0.0, f64::max),
        Value::Object(fields) => fields.values().map(largest).fold(0.0, f64::max),
        _ => 0.0,
    }
}

fn transforms_seeds() -> Vec<Vec<u8>> {
    let steps = [
        r#"{"type":"auto_contrast"},{"type":"equalize"},{"type":"invert"}"#,
        r#"{"type":"center_crop","size":[5,4]}"#,
        r#"{"type":"color_jitter","brightness":0.5,"contrast":0.5,"saturation":0.5,"hue":0.2}"#,
        r#"{"type":"cutout","size":3,"holes":2}"#,
        r#"{"type":"elastic_transform","alpha":30,"sigma":4}"#,
        r#"{"type":"grayscale","num_output_channels":3}"#,
        r#"{"type":"horizontal_flip","p":0.25}"#,
        r#"{"type":"pad","padding":2,"padding_mode":"reflect"}"#,
        r#"{"type":"pca_lighting"}"#,
        r#"{"type":"posterize","bits":3,"p":1}"#,
        r#"{"type":"rand_augment","num_ops":3}"#,
        r#"{"type":"random_affine","degrees":30,"translate":[0.2,0.3],"scale":[0.8,1.2],"shear":10}"#,
        r#"{"type":"random_apply","p":1,"steps":[{"type":"invert","p":1}]}"#,
        r#"{"type":"random_choice","steps":[{"type":"invert","p":1},{"type":"solarize","threshold":100}]}"#,
        r#"{"type":"random_crop","size":6,"padding":[1,2]}"#,
        r#"{"type":"random_erasing","p":1,"value":"random"}"#,
        r#"{"type":"random_grayscale","p":0.5}"#,
        r#"{"type":"random_resized_crop","size":[4,6]}"#,
        r#"{"type":"random_rotation","degrees":45,"interpolation":"bilinear"}"#,
        r#"{"type":"resize","size":5},{"type":"sharpness","sharpness_factor":2,"p":1}"#,
    ];
    let all = |step: &&str| format!("[{step}]").into_bytes();
    let seeds: Vec<Vec<u8>> = steps.iter().map(all).collect();
    for seed in &seeds {
        let pipeline: Pipeline = serde_json::from_slice(seed).expect("a seed means something");
        pipeline.validate().expect("a seed is accepted");
    }
    seeds
}

// Images

/// Formats that need no bytes for blank pixels are bounded by memory alone.
const LIMITS: DecodeLimits = DecodeLimits { memory: 16 << 20 };

fn digit(bytes: &[u8]) {
    let picture = Picture::decode_within("file", bytes, LIMITS);
    if let Err(error) = picture.and_then(|picture| Digit::from_picture(&picture)) {
        is_one_line(error);
    }
}

fn digit_seeds() -> Vec<Vec<u8>> {
    let stroke =
        image::GrayImage::from_fn(20, 24, |x, y| image::Luma([if x / 3 == y / 5 { 10 } else { 240 }]));
    let encoded = |image: image::DynamicImage, format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("memory can be written to");
        bytes.into_inner()
    };
    use image::{DynamicImage, ImageFormat};
    let gray = || DynamicImage::ImageLuma8(stroke.clone());
    vec![
        encoded(gray(), ImageFormat::Png),
        encoded(gray(), ImageFormat::Jpeg),
        encoded(DynamicImage::ImageRgb8(gray().to_rgb8()), ImageFormat::Bmp),
        encoded(DynamicImage::ImageRgba8(gray().to_rgba8()), ImageFormat::WebP),
        encoded(DynamicImage::ImageRgba16(gray().to_rgba16()), ImageFormat::Png),
    ]
}

fn decode(bytes: &[u8]) {
    match Picture::decode_within("file", bytes, LIMITS) {
        Ok(picture) => assert!(matches!(picture.channels(), 1 | 3)),
        Err(error) => is_one_line(error),
    }
}

fn decode_seeds() -> Vec<Vec<u8>> {
    let mut seeds = digit_seeds();
    // Three scans, for the plain decoder of JPEG.
    seeds.push(include_bytes!("seeds/non_interleaved_420_64x64.jpg").to_vec());
    seeds.push(b"P5 2 3 255\n\x01\x02\x03\x04\x05\x06".to_vec());
    seeds.push(b"P6 # a comment\n2 1 255\n\x01\x02\x03\x04\x05\x06".to_vec());
    seeds
}

/// With the checksums of chunks made right, so that what is changed in them is believed.
fn decode_png(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let mut start = 8;
    while let Some(length) = bytes.get(start..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = u32::from_be_bytes(*length) as usize;
        let Some(end) = start.checked_add(8 + length).filter(|end| end + 4 <= bytes.len()) else { break };
        let sum = crc32fast::hash(&bytes[start + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        start = end + 4;
    }
    decode(&bytes);
}

fn decode_png_seeds() -> Vec<Vec<u8>> {
    digit_seeds().into_iter().filter(|bytes| bytes.starts_with(b"\x89PNG")).collect()
}

// Archives of images

fn images_tar(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Err(error) = cnn_data::open(path) {
            is_one_line(error);
        }
        match ImageFiles::by_folder(path) {
            Ok(set) => {
                for i in 0..set.len().min(3) {
                    assert!((set.label(i) as usize) < set.classes().len());
                    match set.encoded(i) {
                        Ok(encoded) => assert!(encoded.is_some_and(|encoded| encoded.len() <= bytes.len())),
                        Err(error) => is_one_line(error),
                    }
                    if let Err(error) = set.picture(i) {
                        is_one_line(error);
                    }
                }
            }
            Err(error) => is_one_line(error),
        }
    });
}

fn images_tar_sound(bytes: &[u8]) {
    images_tar(&with_checksums(bytes.to_vec()));
}

fn images_tar_seeds() -> Vec<Vec<u8>> {
    let pixel: &[u8] = b"P5 1 1 255\n\x07";
    let inner = tar(&[("a.pgm", pixel)], true);
    let long = format!("bees/{}.pgm", "b".repeat(120));
    vec![
        tar(&[("ants/a.pgm", pixel), ("bees/b.pgm", pixel)], false),
        tar(&[("ants/a.pgm", pixel), (&long, pixel)], true),
        tar(&[("set/train/ants/a.pgm", pixel), ("set/val/ants/b.pgm", pixel)], false),
        tar(&[("n01440764.tar", &inner), ("n01443537.tar", &inner)], true),
        tar(&[("n01440764_a.pgm", pixel), ("n01443537_b.pgm", pixel)], false),
    ]
}

/// An index beside archives that are sound.
fn packed_index(bytes: &[u8]) {
    with_packed(|folder| {
        std::fs::write(folder.join(PackedImages::INDEX), bytes).expect("a temporary file can be written");
        match PackedImages::open(folder) {
            Ok(set) => {
                for i in 0..set.len().min(3) {
                    assert!((set.label(i) as usize) < set.classes().len());
                    if let Err(error) = set.picture(i) {
                        is_one_line(error);
                    }
                }
            }
            Err(error) => is_one_line(error),
        }
    });
}

/// A folder that was packed, and is kept from one call to the next.
fn with_packed<T>(read: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: PathBuf = {
            let folder = temporary("packed");
            let classes = ["a", "b"].map(String::from).to_vec();
            let set = InMemoryDataset::new([3, 1, 1, 2], vec![1, 2, 3, 4, 5, 6], vec![0, 1, 1], classes);
            let options = PackOptions { shard_bytes: 2048, ..PackOptions::default() };
            pack(&set.expect("the parts agree"), &folder, &options, |_| {}).expect("a folder can be written");
            folder
        };
    }
    FOLDER.with(|folder| read(folder))
}

fn packed_index_seeds() -> Vec<Vec<u8>> {
    with_packed(|folder| vec![std::fs::read(folder.join(PackedImages::INDEX)).expect("it was written")])
}

fn synsets(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Synsets::parse("file".as_ref(), text) {
        Ok(list) => assert_eq!(list.ids().len(), list.classes().len()),
        Err(error) => is_one_line(error),
    }
}

fn synsets_seeds() -> Vec<Vec<u8>> {
    vec![
        b"n02123045 tabby\nn01443537 goldfish, Carassius auratus\n".to_vec(),
        b"n01440764\r\nn99999999\r\n".to_vec(),
    ]
}

// Tables of joints

/// A table beside a folder of one image, `a.png`.
fn joints(bytes: &[u8]) {
    thread_local! {
        static IMAGES: PathBuf = {
            let folder = temporary("images");
            std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
            std::fs::write(folder.join("a.png"), []).expect("a temporary file can be written");
            folder
        };
    }
    let read = with_file(bytes, |table| IMAGES.with(|images| PoseSet::read(table, images, &LSP)));
    match read {
        Ok(set) => {
            for person in (0..set.len()).map(|i| set.person(i)) {
                assert_eq!(person.joints.len(), 14);
                assert!(person.joints.iter().all(|joint| joint.x.is_finite() && joint.y.is_finite()));
                assert!(person.bounds.width > 0.0 && person.bounds.height > 0.0);
            }
        }
        Err(error) => is_one_line(error),
    }
}

fn joints_seeds() -> Vec<Vec<u8>> {
    let columns: String = LSP.joints.iter().map(|name| format!(",{name}_x,{name}_y,{name}_v")).collect();
    let (head, places) = (format!("image,width,height{columns}"), ",1.5,2,1".repeat(14));
    vec![
        format!("{head}\na.png,30,40{places}\na.png,9,9{places}\n").into_bytes(),
        format!("{head},box_x,box_y,box_width,box_height\r\na.png,30,40{places},1,2,3,4\r\n").into_bytes(),
        format!("{head}\nb.png,1,1{places}\n").into_bytes(),
    ]
}
