//! The lecture's experiments: their numbers, their pictures, and what they say of options that cannot be followed.

mod common;

use common::{cnn, refusal, stdout};
use serde_json::{Value, json};
use std::path::Path;

fn json_of(arguments: &[&str], out: &Path) -> Value {
    let mut command = cnn(["demo"]);
    command.args(arguments).args(["--json", "--out"]).arg(out);
    serde_json::from_str(&stdout(command)).unwrap()
}

#[test]
fn examples_to_compute_by_hand_have_the_lectures_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);

    let slide = json_of(&["slide"], &out("slide"));
    assert_eq!(slide["feature_map"], json!([4.0, 3.0, 4.0, 2.0, 4.0, 3.0, 2.0, 3.0, 4.0]));
    assert_eq!(slide["products"][0], json!([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]));
    let animation = std::fs::read(out("slide/slide-animation.png")).unwrap();
    assert!(animation.windows(4).any(|chunk| chunk == b"acTL"), "an animated PNG");
    assert_eq!(image::open(out("slide/slide.png")).unwrap().width(), 1600);

    let pooling = json_of(&["pooling"], &out("pooling.png"));
    assert_eq!(pooling["output"], json!([6.0, 8.0, 3.0, 4.0]));
    assert_eq!(pooling["places"], json!([[1, 1], [1, 3], [2, 0], [3, 3]]));

    let softmax = json_of(&["softmax"], &out("softmax.png"));
    let rounded = |value: &Value| (100.0 * value.as_f64().unwrap()).round() / 100.0;
    assert_eq!([0, 1, 2].map(|i| rounded(&softmax["probabilities"][i])), [0.13, 0.87, 0.0]);
    assert_eq!([&softmax["loss"], &softmax["loss_base_10"]].map(rounded), [2.04, 0.89]);

    let four = json_of(&["four-pixels"], &out("new/four.png"));
    assert_eq!([0, 1, 2].map(|i| rounded(&four["scores"][i])), [-96.8, 437.9, 60.75]);
    for picture in ["pooling.png", "softmax.png", "new/four.png"] {
        assert_eq!(image::open(out(picture)).unwrap().width(), 1600, "{picture}");
    }
    let sizes: Value = serde_json::from_str(&stdout(cnn(["demo", "sizes", "--json"]))).unwrap();
    assert_eq!(sizes[6]["output"], json!([28, 28, 6]));
}

#[test]
fn studies_give_the_same_numbers_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let study = |line: &[&str], name: &str| {
        let run = |threads: &str| {
            let out = folder.path().join(name);
            json_of(&[line, &["--seed", "3", "--threads", threads]].concat(), &out)
        };
        let (one, three) = (run("1"), run("3"));
        assert_eq!(one, three, "{name}");
        for picture in one["pictures"].as_array().unwrap() {
            assert_eq!(image::open(picture.as_str().unwrap()).unwrap().width(), 1600);
        }
        one
    };
    let norm = study(&["batch-norm", "--images", "100", "--epochs", "1"], "norm");
    let networks = norm["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 6);
    let last = |i: usize| networks[i]["layers"][9]["deviation"].as_f64().unwrap();
    assert!(last(0) < 1e-3 && (0.1..0.4).contains(&last(2)) && last(4) > 0.9, "without");
    assert!([1, 3, 5].iter().all(|&i| (0.6..0.65).contains(&last(i))), "with batch normalisation");
    assert_eq!(networks[0]["trainings"].as_array().unwrap().len(), 8);

    let line = ["dropout", "--images", "100", "--epochs", "3", "--passes", "3", "--alien", "mnist"];
    let dropout = study(&line, "dropout");
    assert_eq!(dropout["with"]["test_loss"].as_array().unwrap().len(), 3);
    let groups = dropout["ensemble"]["groups"].as_array().unwrap();
    let images = |i: usize| groups[i]["images"].as_u64().unwrap();
    assert_eq!((groups.len(), images(0) + images(1), images(2)), (6, 2000, 300));
    let spread = |i: usize| groups[i]["spread"].as_f64().unwrap();
    assert!(spread(1) > spread(0), "wrong answers are less sure than right ones");
}

#[test]
fn options_that_cannot_be_followed_are_one_line() {
    for (line, expected) in [
        (&["slide", "--stride", "0"][..], "conv2d: stride must be at least 1"),
        (&["pooling", "--window", "5"], "max_pool2d: a window of 5"),
        (&["pooling", "--stride", "0"], "max_pool2d: stride must be at least 1"),
        (&["sizes", "--input", "9x9", "--kernel", "0"], "conv2d: kernel must be at least 1"),
        (&["softmax", "--scores", "1 inf"], "--scores: expected a finite number or a fraction, got \"inf\""),
        (&["kernels", "no such file.png"], "no such file.png: cannot open"),
        (&["batch-norm", "--images", "9"], "--images: expected 10 to 60000 images, got 9"),
        (&["batch-norm", "--epochs", "0"], "--epochs: expected at least 1, got 0"),
        (&["batch-norm", "--dataset", "mnits"], "--dataset: expected"),
        (&["dropout", "--drop", "1"], "--drop: expected a number between 0 and 1, got 1"),
        (&["dropout", "--passes", "0"], "--passes: expected 1 to 10000, got 0"),
        (&["dropout", "--threads", "0"], "--threads: "),
        (&["dropout", "--lr", "-1"], "the learning rate must be a number above 0, got -1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = cnn(["demo"]);
        command.args(line);
        if line[0] != "sizes" {
            command.arg("--out").arg(folder.path().join("out"));
        }
        let message = refusal(command);
        assert!(message.starts_with(expected), "{message}");
        assert!(!folder.path().join("out").exists(), "{line:?}");
    }
}
