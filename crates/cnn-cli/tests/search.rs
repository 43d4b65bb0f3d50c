//! Images by likeness: indices made, searched, evaluated; and what is said where that cannot be. Predictions as pictures.

mod common;

use cnn::prelude::*;
use common::{cnn, refusal, stdout};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Photos of two classes, reddish and bluish, in folders of those names.
fn photos(folder: &Path, each: u32) {
    for (class, color) in [("blue", [30, 60, 220]), ("red", [220, 60, 30])] {
        let folder = folder.join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..each {
            let noise = |x: u32, y: u32, c: u32| (x * 31 + y * 17 + c * 7 + i * i * 13) % 40;
            let pixel = |x, y| Rgb([0, 1, 2].map(|c| (color[c] + noise(x, y, c as u32) - 20).min(255) as u8));
            RgbImage::from_fn(40 + i % 5, 36, pixel).save(folder.join(format!("{class}{i}.png"))).unwrap();
        }
    }
}

/// A network with random weights, which tell colours apart well enough.
fn network(folder: &Path, name: &str, seed: u64) -> PathBuf {
    let classes = ["blue", "red"].map(String::from).to_vec();
    let file = folder.join(name);
    let spec = zoo::lenet5(Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]), classes);
    Model::build(spec, seed).unwrap().save(&file).unwrap();
    file
}

fn command(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    cnn(arguments.iter().map(|argument| argument.as_ref()))
}

fn json(arguments: &[&dyn AsRef<OsStr>]) -> Value {
    serde_json::from_str(&stdout(command(arguments))).unwrap()
}

#[test]
fn photos_are_indexed_found_drawn_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let [data, index, sheet] =
        ["photos", "a/photos.index", "b/sheet.png"].map(|name| folder.path().join(name));
    photos(&data, 12);
    let weights = network(folder.path(), "net.safetensors", 3);
    let report = json(&[&"index", &data, &"--weights", &weights, &"--out", &index, &"--json"]);
    assert_eq!(
        (&report["images"], &report["length"], &report["layer"]),
        (&24.into(), &84.into(), &"act4".into())
    );
    let bytes = std::fs::read(&index).unwrap();
    stdout(command(&[&"index", &data, &"--weights", &weights, &"--out", &index, &"--threads", &"1"]));
    assert!(std::fs::read(&index).unwrap() == bytes, "the same index on one thread");

    let query = data.join("red/red7.png");
    let search = |more: &[&dyn AsRef<OsStr>]| {
        json(
            &[&[&"search" as &dyn AsRef<OsStr>, &"--index", &index, &"--weights", &weights, &"--json"], more]
                .concat(),
        )
    };
    let answer = &search(&[&query, &"-k", &"5", &"--picture", &sheet])[0];
    let nearest = answer["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 5);
    assert!(nearest[0]["image"].as_str().unwrap().ends_with("red7.png"), "{answer}");
    assert!(nearest[0]["distance"].as_f64().unwrap() < 1e-5, "{answer}");
    assert!(nearest.iter().all(|near| near["class"] == "red"), "{answer}");
    assert_eq!(image::open(&sheet).unwrap().width(), 1600);
    // A folder is all the images in it.
    assert_eq!(search(&[&data.join("blue"), &"--metric", &"euclidean"]).as_array().unwrap().len(), 12);
    let samples = search(&[&"--samples", &"3", &"--seed", &"5"]);
    assert_eq!(samples, search(&[&"--samples", &"3", &"--seed", &"5"]));
    assert!(samples[0]["class"] == samples[0]["nearest"][0]["class"] && samples[0]["class"].is_string());
    let words = stdout(command(&[&"search", &query, &"--index", &index, &"--weights", &weights]));
    assert!(words.starts_with(&format!("{}\n", query.display())) && words.lines().count() == 9, "{words}");

    let report = search(&[&"--evaluate", &"own", &"-k", &"4"]);
    assert_eq!((&report["images"], &report["queries"], &report["k"]), (&24.into(), &24.into(), &4.into()));
    let rankings = report["rankings"].as_array().unwrap();
    let names: Vec<&str> = rankings.iter().map(|row| row["features"].as_str().unwrap()).collect();
    assert_eq!(names, ["act4 of lenet5", "act4, untrained", "raw pixels"]);
    assert_eq!(rankings[2]["length"], 3 * 32 * 32);
    for row in rankings {
        assert_eq!((&row["precision"], &row["mean_average_precision"]), (&1.0.into(), &1.0.into()), "{row}");
    }
}

#[test]
fn images_without_classes_make_an_index_and_bad_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let [data, index] = ["photos", "photos.index"].map(|name| folder.path().join(name));
    photos(&data, 3);
    let loose = data.join("red");
    std::fs::write(loose.join("bad.jpg"), "<html>").unwrap();
    let weights = network(folder.path(), "net.safetensors", 3);
    let output = command(&[&"index", &loose, &"--weights", &weights, &"--out", &index]).output().unwrap();
    let [words, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words.starts_with("3 images of red, all: 84 numbers each, from layer act4 of lenet5\n"),
        "{words}"
    );
    assert!(errors.contains("passed over: ") && errors.contains("bad.jpg: expected a JPEG"), "{errors}");
    assert!(errors.ends_with("error: 1 of 4 images could not be read, named above\n"), "{errors}");
    let answers = json(&[
        &"search",
        &data.join("blue/blue0.png"),
        &"--index",
        &index,
        &"--weights",
        &weights,
        &"--json",
    ]);
    assert_eq!(answers[0]["nearest"].as_array().unwrap().len(), 3);
    assert!(answers[0]["nearest"][0].get("class").is_none());
    // The other queries are answered.
    let output = command(&[&"search", &loose, &"--index", &index, &"--weights", &weights, &"--json"])
        .output()
        .unwrap();
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), answers.as_array().unwrap().len()), (Some(1), 3));
    let message =
        refusal(command(&[&"search", &"--evaluate", &"own", &"--index", &index, &"--weights", &weights]));
    assert!(message.ends_with("expected an index with classes to evaluate, got one without"), "{message}");
}

#[test]
fn searches_that_make_no_sense_are_refused_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let [data, index, empty] = ["photos", "photos.index", "empty"].map(|name| folder.path().join(name));
    photos(&data, 2);
    std::fs::create_dir(&empty).unwrap();
    let weights = network(folder.path(), "net.safetensors", 3);
    let other = network(folder.path(), "other.safetensors", 4);
    stdout(command(&[&"index", &data, &"--weights", &weights, &"--out", &index]));
    let query = data.join("red/red0.png");
    let search = |weights: &Path, more: &[&dyn AsRef<OsStr>]| {
        refusal(command(
            &[&[&"search" as &dyn AsRef<OsStr>, &"--index", &index, &"--weights", &weights], more].concat(),
        ))
    };
    let message = search(&weights, &[&query, &"-k", &"5"]);
    assert_eq!(message, "k must be 1 to 4, the number of images in the index, got 5");
    let message = search(&other, &[&query]);
    assert!(
        message.starts_with(&format!("{}: expected one of the features of lenet5 (", index.display())),
        "{message}"
    );
    assert!(message.contains("got one of other weights of lenet5 ("), "{message}");
    assert_eq!(search(&weights, &[]), "search: expected images, --samples or --evaluate");
    assert!(search(&weights, &[&empty]).ends_with("empty: expected images, got none"));
    assert!(search(&weights, &[&folder.path().join("none.png")]).contains("none.png: cannot open"));
    assert!(search(&weights, &[&"--evaluate", &"test"]).starts_with("--evaluate: expected own"));
    let output = command(&[&"search", &"--samples", &"5", &"--index", &index, &"--weights", &weights])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && errors.ends_with("error: --samples: expected 1 to 4, got 5\n"),
        "{errors}"
    );
    let message = refusal(command(&[&"index", &data, &"--weights", &weights, &"--layer", &"relu9"]));
    assert!(
        message.starts_with("the layer must be one of conv1, act1, ") && message.contains("got relu9"),
        "{message}"
    );
    let message = refusal(command(&[&"index", &empty, &"--weights", &weights]));
    assert!(message.contains("empty: expected "), "{message}");
    // Images that moved are searched, and not drawn.
    std::fs::rename(&data, folder.path().join("moved")).unwrap();
    let (query, sheet) = (folder.path().join("moved/red/red0.png"), folder.path().join("sheet.png"));
    let output =
        command(&[&"search", &query, &"--index", &index, &"--weights", &weights, &"--picture", &sheet])
            .output()
            .unwrap();
    assert!(output.status.success() && sheet.exists());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("name the place of the index's images with --dataset")
    );
    // A damaged index.
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&index, bytes).unwrap();
    assert!(
        search(&weights, &[&query]).contains("photos.index: at byte 12: expected contents with the checksum")
    );
}

#[test]
fn predictions_are_drawn_and_folders_are_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data, 3);
    let weights = network(folder.path(), "net.safetensors", 3);
    let (one, sheet) = (folder.path().join("a/one.png"), folder.path().join("sheet.png"));
    let words = stdout(command(&[
        &"predict",
        &"--weights",
        &weights,
        &data.join("red/red1.png"),
        &"--picture",
        &one,
    ]));
    assert!(words.ends_with(&format!("{}\n", one.display())), "{words}");
    assert_eq!(image::open(&one).unwrap().height(), 860);
    let answers = json(&[&"predict", &"--weights", &weights, &data, &"--picture", &sheet, &"--json"]);
    let names: Vec<&str> =
        answers.as_array().unwrap().iter().map(|answer| answer["image"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 6);
    assert!(names[0].ends_with("blue0.png") && names[5].ends_with("red2.png"), "{names:?}");
    assert_eq!(image::open(&sheet).unwrap().height(), 170 + 3 * 300);
    // The same answer by its folder and by its path.
    let alone = json(&[&"predict", &"--weights", &weights, &data.join("red/red2.png"), &"--json"]);
    assert_eq!(alone[0]["ranking"], answers[5]["ranking"]);
}

#[test]
fn demos_of_labels_and_errors_leave_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let [pairs, errors] = ["pairs.png", "errors.png"].map(|name| folder.path().join(name));
    let short: &[&dyn AsRef<OsStr>] = &[
        &"demo",
        &"multi-label",
        &"--pairs",
        &"640",
        &"--test-pairs",
        &"100",
        &"--epochs",
        &"1",
        &"--json",
        &"--out",
        &pairs,
    ];
    let report = json(short);
    let precisions = report["average_precision"].as_array().unwrap();
    let mean = precisions.iter().map(|value| value.as_f64().unwrap()).sum::<f64>() / 10.0;
    assert!((report["mean_average_precision"].as_f64().unwrap() - mean).abs() < 1e-9, "{report}");
    // Better than guessing, whose average precision is a label's share: about 19 %.
    assert!(mean > 0.4 && report["share"][0].as_f64().unwrap() < 0.35, "{report}");
    let again = json(&[short, &[&"--threads", &"1"]].concat());
    assert_eq!(again["average_precision"], report["average_precision"]);
    assert_eq!(image::open(&pairs).unwrap().width(), 1600);
    let words = stdout(command(&[&"demo", &"imagenet-error", &"--out", &errors]));
    assert!(
        words.contains("2012  AlexNet         16.40 %") && words.contains("2017  SENet            2.25 %"),
        "{words}"
    );
    assert_eq!(image::open(&errors).unwrap().width(), 1600);
}
