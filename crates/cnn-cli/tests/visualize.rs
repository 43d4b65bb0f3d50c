//! Explanations of a network: the pictures, the numbers, and what is said of what does not suit.

mod common;

use cnn_nn::spec::{conv2d, flatten, global_avg_pool2d, linear, relu};
use cnn_nn::{Input, Model, ModelSpec, layers};
use common::{cnn, refusal, stdout};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// LeNet-5 for MNIST as training begins it: its scores have gradients, and need no training to be explained.
fn lenet(folder: &Path) -> PathBuf {
    let file = folder.join("lenet.safetensors");
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let spec = cnn_zoo::lenet5(Input::gray(28, 28, 0.1307, 0.3081), classes);
    Model::build(spec, 1).unwrap().save(&file).unwrap();
    file
}

fn visualize(weights: &Path, more: &[&str]) -> Command {
    let mut command = cnn(["visualize", "--weights"]);
    command.arg(weights).args(more);
    command
}

fn json(command: Command) -> Vec<Value> {
    serde_json::from_str(&stdout(command)).unwrap()
}

#[test]
fn every_method_draws_its_picture_and_says_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let weights = lenet(folder.path());
    let picture = |name: &str| folder.path().join(name).display().to_string();
    let mnist = ["--dataset", "mnist", "--number", "7"];

    let out = picture("a/all.png");
    let all = json(visualize(&weights, &[&mnist[..], &["--json", "--out", &out]].concat()));
    let methods: Vec<&str> = all.iter().map(|found| found["method"].as_str().unwrap()).collect();
    let want = ["saliency", "guided", "deconv", "integrated", "grad-cam", "hires-cam", "occlusion"];
    assert_eq!(methods, want);
    for found in &all {
        assert_eq!((&found["image"], &found["zero"]), (&"image 7".into(), &false.into()), "{found}");
        assert_eq!(
            (&found["class_number"], &found["picture"]),
            (&all[0]["class_number"], &out.as_str().into())
        );
        assert!(found["min"].as_f64() < found["max"].as_f64() && found["score"].is_f64(), "{found}");
    }
    let integrated = &all[3];
    let [sum, difference] = ["sum", "difference"].map(|key| integrated[key].as_f64().unwrap());
    assert!((sum - difference).abs() < 0.01 + 0.05 * difference.abs(), "{integrated}");
    assert_eq!((&all[4]["layer"], &all[4]["shape"]), (&"act2".into(), &serde_json::json!([1, 10, 10])));
    assert_eq!(image::open(&out).unwrap().width(), 1600);

    // Another class, another layer, by words.
    let out = picture("cam.png");
    let more = ["--class", "3", "--method", "grad-cam", "--layer", "act1", "--out", &out];
    let words = stdout(visualize(&weights, &[&mnist[..], &more].concat()));
    assert!(words.starts_with("grad-cam of 3 (score ") && words.contains(") at act1: sum "), "{words}");
    assert_eq!(words.lines().last(), Some(out.as_str()));

    let maps = json(visualize(
        &weights,
        &[&mnist[..], &["--method", "maps", "--json", "--out", &picture("m.png")]].concat(),
    ));
    let layers: Vec<&str> = maps.iter().map(|found| found["layer"].as_str().unwrap()).collect();
    assert_eq!(layers, ["act1", "pool1", "act2", "pool2"]);
    let filters = json(visualize(&weights, &["--method", "filters", "--json", "--out", &picture("f.png")]));
    assert_eq!(
        (&filters[0]["layer"], &filters[0]["shape"]),
        (&"conv1".into(), &serde_json::json!([6, 1, 5, 5]))
    );
}

#[test]
fn the_same_seed_gives_the_same_picture_on_any_threads() {
    let folder = tempfile::tempdir().unwrap();
    let weights = lenet(folder.path());
    let run = |name: &str, more: &[&str], seed: &str, threads: &str| {
        let out = folder.path().join(name);
        let mut command = visualize(&weights, more);
        command.args(["--json", "--seed", seed, "--threads", threads, "--out"]).arg(&out);
        (json(command), std::fs::read(out).unwrap())
    };
    let ascent = ["--method", "maximise", "--class", "0", "--class", "4", "--steps", "20"];
    let (found, one) = run("a.png", &ascent, "1", "1");
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|found| found["score"].as_f64() > found["start"].as_f64()), "{found:?}");
    assert!(run("b.png", &ascent, "1", "3").1 == one);
    assert!(run("c.png", &ascent, "2", "1").1 != one);

    let patches = ["--method", "top-patches", "--dataset", "mnist", "--limit", "60", "--layer", "pool1"];
    let (found, one) = run("d.png", &patches, "0", "1");
    assert!((1..=6).contains(&found.len()), "{found:?}");
    for map in &found {
        let hits = map["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 9);
        let values: Vec<f64> = hits.iter().map(|hit| hit["activation"].as_f64().unwrap()).collect();
        assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
        // Six rows and columns: two windows of five, one apart.
        assert!(hits.iter().all(|hit| (1..=6).contains(&hit["patch"]["height"].as_u64().unwrap())));
    }
    assert!(run("e.png", &patches, "0", "2").1 == one);
    let (found, _) = run("f.png", &[&patches[..], &["--map", "3"]].concat(), "0", "1");
    assert_eq!((found.len(), &found[0]["map"]), (1, &3.into()));
}

#[test]
fn what_cannot_be_followed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let weights = lenet(folder.path());
    let said = |more: &[&str]| refusal(visualize(&weights, more));
    let with_image = |more: &[&str]| said(&[&["--dataset", "mnist", "--number", "0"], more].concat());
    assert_eq!(said(&[]), "expected an image to explain: --image FILE, or --dataset NAME --number N");
    assert_eq!(
        with_image(&["--layer", "atc2"]),
        "--layer: expected one of conv1, act1, pool1, conv2, act2, pool2, flatten, fc1, act3, fc2, act4, fc3, got atc2; is \
         \"act2\" meant?"
    );
    assert!(
        with_image(&["--layer", "fc1", "--method", "grad-cam"])
            .contains("got fc1 with an output of shape [1, 120]")
    );
    assert!(
        with_image(&["--layer", "fc1", "--method", "maps"]).contains("got fc1, which has a list of features")
    );
    assert_eq!(
        with_image(&["--class", "ten"]),
        "--class: expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, got ten"
    );
    assert_eq!(
        with_image(&["--layer", "act2", "--map", "99", "--method", "deconv"]),
        "the feature map must be one of the layer's, got 99 of 16, counted from 0"
    );
    assert_eq!(
        said(&["--dataset", "mnist", "--number", "10000"]),
        "--number: expected one from 0 to 9999, got 10000"
    );
    assert!(said(&["--method", "top-patches"]).contains("--dataset NAME|DIR"));
    let two = with_image(&["--method", "all,filters", "--out", "x.png"]);
    assert_eq!(
        two,
        "--out: the methods make 2 pictures (explained, filters); name one kind, or leave x.png out"
    );
    assert!(with_image(&["--method", "integrated", "--steps", "0"]).contains("at least 1, got 0"));
    assert!(with_image(&["--method", "occlusion", "--window", "0"]).contains("at least 1"));
    assert!(said(&["--image", "none.png"]).starts_with("none.png: cannot open"));
}

/// A model for gray images of 12 x 12 pixels, in a file.
fn model(folder: &Path, layers: Vec<cnn_nn::spec::NamedSpec>, change: impl Fn(&mut Model)) -> PathBuf {
    let file = folder.join("model.safetensors");
    let input = Input::gray(12, 12, 0.5, 0.5);
    let classes = vec!["ant".into(), "bee".into()];
    let mut model = Model::build(ModelSpec { name: "small".into(), input, classes, layers }, 0).unwrap();
    change(&mut model);
    model.save(&file).unwrap();
    file
}

fn photo(folder: &Path) -> String {
    let file = folder.join("photo.png");
    image::GrayImage::from_fn(12, 12, |x, y| image::Luma([(x * 13 + y * 7) as u8])).save(&file).unwrap();
    file.display().to_string()
}

#[test]
fn methods_that_do_not_suit_a_network_are_refused_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let dense = model(folder.path(), layers![flatten().named("flatten"), linear(2).named("fc")], |_| {});
    let (photo, out) = (photo(folder.path()), folder.path().join("out.png").display().to_string());
    let said = |method: &str| refusal(visualize(&dense, &["--image", &photo, "--method", method]));
    assert!(said("grad-cam").contains("one with a convolution whose maps have several pixels"));
    assert!(said("guided").contains("one with rectifiers (relu, relu6)"));
    assert!(said("filters").contains("one with a convolution"));
    assert_eq!(said("maps"), "maps: small has no layer of maps");
    let mut command = visualize(&dense, &["--image", &photo, "--out", &out]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let methods: Vec<&str> = stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(methods[..3], ["saliency", "integrated", "occlusion"]);
    assert_eq!(stderr.matches(" is left out: the network has no ").count(), 4, "{stderr}");
}

#[test]
fn a_map_of_zeros_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let layers = layers![
        conv2d(2, 3).named("conv"),
        relu().named("relu"),
        global_avg_pool2d().named("pool"),
        flatten().named("flatten"),
        linear(2).named("fc")
    ];
    // No rectifier is ever active.
    let dead = model(folder.path(), layers, |model| {
        model.net.visit_mut(&mut |name, _, tensor| {
            if name.to_string() == "conv.bias" {
                tensor.data_mut().fill(-100.0);
            }
        });
    });
    let (photo, out) = (photo(folder.path()), folder.path().join("out.png").display().to_string());
    let words = stdout(visualize(&dead, &["--image", &photo, "--out", &out]));
    assert_eq!(words.matches("The map is zero everywhere").count(), 7, "{words}");
    let found = json(visualize(&dead, &["--image", &photo, "--method", "grad-cam", "--json", "--out", &out]));
    assert_eq!((&found[0]["zero"], &found[0]["class"]), (&true.into(), &found[0]["class"]));
}
