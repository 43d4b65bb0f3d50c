//! Images in files: looked at, packed, trained on, evaluated, predicted; and what is said of those that are not.

mod common;

use common::{cnn, refusal, stdout};
use image::{Rgb, RgbImage};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A folder of photos of two classes, reddish and bluish, in `train` and `val`; sizes differ.
fn photos(folder: &Path, each: u32) {
    for (part, count) in [("train", each), ("val", each / 2)] {
        for (class, color) in [("blue", [30, 60, 220]), ("red", [220, 60, 30])] {
            let folder = folder.join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let noise = |x: u32, y: u32, c: u32| (x * 31 + y * 17 + c * 7 + i * 13) % 40;
                let pixel = |x, y| {
                    Rgb([0, 1, 2].map(|c| (color[c] as u32 + noise(x, y, c as u32) - 20).min(255) as u8))
                };
                RgbImage::from_fn(40 + i % 5, 36, pixel).save(folder.join(format!("{i:03}.png"))).unwrap();
            }
        }
    }
}

fn run(arguments: &[&dyn AsRef<OsStr>]) -> String {
    stdout(cnn(arguments.iter().map(|argument| argument.as_ref())))
}

fn json(arguments: &[&dyn AsRef<OsStr>]) -> serde_json::Value {
    serde_json::from_str(&run(arguments)).unwrap()
}

#[test]
fn photos_are_looked_at_packed_trained_on_and_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let [data, packed, out] = ["photos", "packed", "out"].map(|name| folder.path().join(name));
    photos(&data, 40);

    let sheet = folder.path().join("a/sheet.png");
    let words = run(&[&"look", &data, &"--augment", &"imagenet", &"--size", &"32", &"--out", &sheet]);
    assert!(words.starts_with("photos: 80 training and 40 test images, in 2 classes"), "{words}");
    assert_eq!(image::open(&sheet).unwrap().width(), 1600);

    let report = json(&[&"pack", &data, &packed, &"--encoding", &"raw", &"--json"]);
    assert_eq!(report["images"], 120);
    let again = json(&[&"pack", &data, &packed, &"--encoding", &"raw", &"--json"]);
    assert_eq!((&again["images"], &again["bytes"]), (&120.into(), &report["bytes"]));
    assert_eq!((&report["up_to_date"], &again["up_to_date"]), (&false.into(), &true.into()));

    let train = |dataset: &Path, out: &Path, workers: &str| {
        json(&[
            &"train",
            &"--model",
            &"lenet",
            &"--dataset",
            &dataset,
            &"--size",
            &"32",
            &"--augment",
            &"alexnet",
            &"--epochs",
            &"3",
            &"--batch-size",
            &"16",
            &"--lr",
            &"0.02",
            &"--workers",
            &workers,
            &"--json",
            &"--overwrite",
            &"--out",
            &out,
        ])
    };
    let report = train(&data, &out, "2");
    assert!(report["test_accuracy"].as_f64().unwrap() > 0.9, "{report}");
    assert!((0.0..=1.0).contains(&report["waiting"].as_f64().unwrap()), "{report}");
    let model = out.join("model.safetensors");
    let weights = std::fs::read(&model).unwrap();
    // Neither workers nor packing change a bit of what is learned.
    train(&data, &out, "0");
    assert!(std::fs::read(&model).unwrap() == weights, "other weights without workers");
    train(&packed, &out, "3");
    assert!(std::fs::read(&model).unwrap() == weights, "other weights of packed images");

    let report = json(&[&"evaluate", &"--weights", &model, &"--dataset", &data, &"--json"]);
    assert_eq!((&report["images"], &report["top5"]), (&40.into(), &1.0.into()));
    assert!(report["top1"].as_f64().unwrap() > 0.9, "{report}");
    let ten = json(&[
        &"evaluate",
        &"--weights",
        &model,
        &"--dataset",
        &data,
        &"--crops",
        &"10",
        &"--all",
        &"--json",
    ]);
    assert_eq!((&ten["images"], &ten["crops"]), (&120.into(), &10.into()));
    assert!(ten["top1"].as_f64().unwrap() > 0.9, "{ten}");

    let words = run(&[&"predict", &"--weights", &model, &data.join("val/red/000.png")]);
    assert!(words.contains("000.png: red\n"), "{words}");
}

/// One corrupt image: named, once, and fatal or passed over as the user chose.
#[test]
fn a_corrupt_image_is_named_and_skipped_or_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let [data, out] = ["photos", "out"].map(|name| folder.path().join(name));
    photos(&data, 20);
    let bad = data.join("train/red/003.png");
    let whole = std::fs::read(&bad).unwrap();
    std::fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    let command = |more: &[&str]| {
        let mut command =
            cnn(["train", "--model", "lenet", "--size", "32", "--epochs", "2", "--batch-size", "8"]);
        command
            .args(["--augment", "flip", "--dataset"])
            .arg(&data)
            .args(["--overwrite", "--out"])
            .arg(&out)
            .args(more);
        command
    };
    let output = command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("003.png"), "{stderr}");

    let output = command(&["--skip-bad-images", "--json"]).output().unwrap();
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let named = stderr.lines().filter(|line| line.starts_with("passed over: ") && line.contains("003.png"));
    assert_eq!(named.count(), 1, "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["bad_images"], &report["train_images"]), (&1.into(), &40.into()));
}

/// A model that tells the two classes of [`photos`] apart, or does not.
fn trained(folder: &Path) -> PathBuf {
    let [data, out] = ["photos", "out"].map(|name| folder.join(name));
    photos(&data, 8);
    let mut command =
        cnn(["train", "--model", "lenet", "--size", "32", "--epochs", "1", "--batch-size", "8"]);
    command.args(["--augment", "none", "--json", "--dataset"]).arg(&data).arg("--out").arg(&out);
    stdout(command);
    out.join("model.safetensors")
}

/// One image that cannot be read keeps no other from its answer.
#[test]
fn predict_goes_on_after_a_bad_image() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path());
    let image = |name: &str| folder.path().join("photos/val").join(name);
    let bad = folder.path().join("bad.jpg");
    std::fs::write(&bad, b"<html>").unwrap();
    let predict = |more: &[&dyn AsRef<OsStr>]| {
        let mut command = cnn(["predict", "--weights"]);
        command.arg(&model).args(more.iter().map(|argument| argument.as_ref()));
        let output = command.output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), stdout, stderr)
    };
    let (first, last, absent) = (image("red/000.png"), image("blue/000.png"), image("red/none.png"));
    let (status, stdout, stderr) = predict(&[&first, &bad, &last, &absent]);
    assert_eq!((status, stdout.matches("000.png: ").count()), (Some(1), 2), "{stdout}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(
        lines[0].starts_with("passed over: ") && lines[0].contains("bad.jpg: expected a JPEG"),
        "{stderr}"
    );
    assert!(lines[1].starts_with("passed over: ") && lines[1].contains("none.png: cannot open"), "{stderr}");
    assert_eq!(lines[2..], ["error: 2 of 4 images could not be answered, named above"]);

    let (status, stdout, _) = predict(&[&"--json", &first, &bad, &last]);
    let answers: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let images: Vec<&str> =
        answers.as_array().unwrap().iter().map(|answer| answer["image"].as_str().unwrap()).collect();
    assert_eq!(images, [&first, &last].map(|path| path.to_str().unwrap()));
    assert_eq!(status, Some(1));
    // A single image's fault is the command's.
    let (status, stdout, stderr) = predict(&[&bad]);
    assert_eq!((status, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{stderr}");
}

/// The name of a file need not be UTF-8.
#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_looked_at_packed_and_predicted() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path());
    let odd = folder.path().join("photos/val/red").join(OsStr::from_bytes(b"caf\xe9.png"));
    std::fs::copy(folder.path().join("photos/val/red/000.png"), &odd).unwrap();
    let answers = json(&[&"predict", &"--weights", &model, &"--json", &odd]);
    assert!(answers[0]["image"].as_str().unwrap().ends_with("caf\u{fffd}.png"), "{answers}");
    let (data, packed) = (folder.path().join("photos"), folder.path().join("packed"));
    let sheet = folder.path().join("sheet.png");
    let words = run(&[&"look", &data, &"--out", &sheet]);
    assert!(words.starts_with("photos: 16 training and 9 test images, in 2 classes"), "{words}");
    assert_eq!(json(&[&"pack", &data, &packed, &"--json"])["images"], 25);
    assert_eq!(json(&[&"pack", &data, &packed, &"--json"])["up_to_date"], true);
}

#[test]
fn look_says_what_was_passed_over_and_which_folders_are_which() {
    let folder = tempfile::tempdir().unwrap();
    let (data, sheet) = (folder.path().join("photos"), folder.path().join("sheet.png"));
    photos(&data, 4);
    std::fs::rename(data.join("train"), data.join("Training")).unwrap();
    std::fs::rename(data.join("val"), data.join("test_set")).unwrap();
    std::fs::write(data.join("Training/red/Thumbs.db"), b"x").unwrap();
    std::fs::write(data.join("Training/red/a.gif"), b"GIF89a").unwrap();
    std::fs::write(data.join("Training/red/b.gif"), b"GIF89a").unwrap();
    std::fs::create_dir(data.join("Training/green")).unwrap();
    let mut command = cnn(["look"]);
    command.arg(&data).arg("--out").arg(&sheet);
    let output = command.output().unwrap();
    assert!(output.status.success());
    let passed = "2 files of other kinds (2 .gif), 1 leftover of another program (1 Thumbs.db), 1 folder without images (green)";
    let want = format!(
        "photos: 8 training and 4 test images, in 2 classes\npassed over: {passed}\n{}\n",
        sheet.display()
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), want);
    let form = "image folders; taken as training set: Training, as test set: test_set";
    let want = format!("{0}: {form}\n{0}: passed over {passed}\n", data.display());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), want);

    let words = run(&[&"look", &data, &"--classes-from", &"folders", &"--out", &sheet]);
    assert!(words.contains("images, in 2 classes"), "{words}");
    let whole =
        json(&[&"pack", &data, &folder.path().join("parts"), &"--classes-from", &"folders", &"--json"]);
    assert_eq!(whole["images"], 12);
    assert!(folder.path().join("parts/index.json").exists(), "one packing, not divided");
}

#[test]
fn images_that_changed_are_packed_anew_and_a_packing_may_lie_within_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data, 4);
    let packed = data.join("packed");
    let pack = || {
        let mut command = cnn(["pack"]);
        let output = command.arg(&data).arg(&packed).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{stderr}");
        (stdout, stderr)
    };
    assert!(!pack().0.contains("up to date"));
    assert!(pack().0.contains(": 12 images, ") && pack().0.ends_with(", up to date\n"));
    std::fs::copy(data.join("train/red/000.png"), data.join("train/blue/001.png")).unwrap();
    std::fs::write(data.join("train/.unfinished-left"), b"x").unwrap();
    let (stdout, stderr) = pack();
    assert!(!stdout.contains("up to date"), "{stdout}");
    let why = "packed anew, since train/blue/001.png ";
    assert!(stderr.contains(&format!("{}: {why}", packed.join("train").display())), "{stderr}");
    assert!(pack().0.ends_with(", up to date\n"));
    // The photos are still read as photos, and the packing as a packing.
    let sheet = folder.path().join("sheet.png");
    let words = run(&[&"look", &data, &"--out", &sheet]);
    assert!(words.starts_with("photos: 8 training and 4 test images, in 2 classes\n"), "{words}");
    let words = run(&[&"look", &packed, &"--out", &sheet]);
    assert!(words.starts_with("packed: 8 training and 4 test images, in 2 classes\n"), "{words}");
    // Packing into the photos' own folders is refused.
    let mut command = cnn(["pack"]);
    command.arg(&data).arg(&data);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("expected an empty folder, or one with an earlier packing, got "), "{stderr}");
}

/// A trunk that is held fixed under a new head stays as it is.
#[test]
fn a_frozen_trunk_keeps_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [data, first, second] = ["photos", "first", "second"].map(|name| folder.path().join(name));
    photos(&data, 20);
    let train = |out: &Path, more: &[&dyn AsRef<OsStr>]| {
        let mut command =
            cnn(["train", "--model", "lenet", "--size", "32", "--epochs", "1", "--batch-size", "8"]);
        command.args(["--augment", "none", "--dataset"]).arg(&data).args(["--json", "--out"]).arg(out);
        command.args(more.iter().map(|argument| argument.as_ref()));
        stdout(command);
        cnn_nn::checkpoint::load(&out.join("model.safetensors")).unwrap().tensors
    };
    let before = train(&first, &[]);
    let weights = first.join("model.safetensors");
    let freeze: [&dyn AsRef<OsStr>; 7] =
        [&"--weights", &weights, &"--freeze", &"conv", &"--freeze", &"fc", &"--new-head"];
    let after = train(&second, &freeze);
    assert_eq!(before["conv1.weight"], after["conv1.weight"]);
    assert_eq!(before["fc2.bias"], after["fc2.bias"]);
    assert_eq!(after["head.weight"].shape().dims(), [2, 84]);
    assert!(!after.contains_key("fc3.weight"));
}

#[test]
fn fine_tuning_trains_the_head_first_and_then_the_whole_network() {
    let folder = tempfile::tempdir().unwrap();
    let [data, first, out] = ["photos", "first", "out"].map(|name| folder.path().join(name));
    photos(&data, 20);
    let tensors =
        |folder: &Path| cnn_nn::checkpoint::load(&folder.join("model.safetensors")).unwrap().tensors;
    let small = ["--model", "lenet", "--size", "32", "--batch-size", "8", "--augment", "none", "--json"];
    let mut train = cnn(["train", "--epochs", "1"]);
    train.args(small).arg("--dataset").arg(&data).arg("--out").arg(&first);
    stdout(train);
    let finetune = |more: &[&str]| {
        let mut command = cnn(["finetune", "--head-epochs", "1", "--epochs", "2", "--lr-fall", "10"]);
        command.args(small).arg("--dataset").arg(&data).arg("--out").arg(&out);
        command.arg("--weights").arg(first.join("model.safetensors")).args(more);
        command
    };
    let report: serde_json::Value = serde_json::from_str(&stdout(finetune(&[]))).unwrap();
    assert_eq!(report["epochs"], 2);
    let [before, head, after] = [&first, &out.join("head"), &out].map(|folder| tensors(folder));
    assert_eq!(before["conv1.weight"], head["conv1.weight"], "held fixed");
    assert_ne!(before["conv1.weight"], after["conv1.weight"]);
    assert_ne!(head["head.weight"], after["head.weight"]);
    // The first layer's steps are the smallest.
    let change = |name: &str| {
        let squares =
            head[name].data().iter().zip(after[name].data()).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        (squares / head[name].shape().numel() as f32).sqrt()
    };
    assert!(
        change("conv1.weight") < 0.3 * change("head.weight"),
        "{} {}",
        change("conv1.weight"),
        change("head.weight")
    );

    assert!(refusal(finetune(&[])).contains("holds a finished run of 2 epochs: add --overwrite"));
    // A part that is finished is not trained again, and the second comes out the same.
    std::fs::remove_file(out.join("checkpoint.safetensors")).unwrap();
    stdout(finetune(&["--resume"]));
    assert_eq!(tensors(&out), after);
    let mut without = cnn(["finetune", "--model", "lenet", "--dataset"]);
    without.arg(&data);
    assert!(refusal(without).starts_with("--weights: expected a file of weights for lenet, "));
    // Found before anything is trained.
    assert_eq!(refusal(finetune(&["--lr", "-1"])), "--lr: expected a number above 0, got -1");

    // What the features are worth, by the number of images: the same numbers on any number of threads.
    let transfer = |images: &str, threads: &str| {
        let mut command =
            cnn(["demo", "transfer", "--model", "lenet", "--size", "32", "--seeds", "2", "--steps", "2"]);
        command.args(["--json", "--images", images, "--threads", threads, "--dataset"]).arg(&data);
        command
            .arg("--weights")
            .arg(first.join("model.safetensors"))
            .arg("--out")
            .arg(folder.path().join("a.png"));
        command
    };
    let report = stdout(transfer("2,8,500", "1"));
    assert_eq!(stdout(transfer("2,8,500", "3")), report);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["images_per_class"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 8]);
    assert_eq!(rows[1]["ways"][1][0], "frozen features");
    assert!(
        rows[1]["ways"][1][1].as_array().unwrap().iter().all(|accuracy| accuracy.as_f64() > Some(0.8)),
        "{report}"
    );
    assert!(folder.path().join("a.png").exists());
    assert!(refusal(transfer("0", "1")).ends_with("expected at least 1, got 0"));
}

#[test]
fn what_cannot_be_followed_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data, 4);
    let message =
        |arguments: &[&dyn AsRef<OsStr>]| refusal(cnn(arguments.iter().map(|argument| argument.as_ref())));
    let none = folder.path().join("none");
    assert!(message(&[&"look", &none]).contains("none: cannot open"));
    assert!(
        message(&[&"train", &"--model", &"lenet"]).starts_with("--dataset: expected mnist, fashion-mnist")
    );
    let train = |option: &str, value: &str| {
        message(&[&"train", &"--model", &"lenet", &"--dataset", &data, &option, &value])
    };
    assert!(train("--augment", "wild").starts_with("--augment: expected one of none, flip"));
    assert!(
        train("--mix", "mixup").starts_with("--mix: expected none, mixup:ALPHA or cutmix:ALPHA, got mixup")
    );
    assert_eq!(train("--size", "0"), "--size: expected at least 1, got 0");
    let predict =
        |weights: &Path| message(&[&"predict", &"--model", &"lenet", &"--weights", &weights, &none]);
    assert!(predict(&none).ends_with("none: cannot read: No such file or directory (os error 2)"));
    // Without a tensor and a description.
    let weights = folder.path().join("weights.safetensors");
    std::fs::write(&weights, b"\x02\0\0\0\0\0\0\0{}").unwrap();
    let message = predict(&weights);
    assert!(
        message.starts_with("--model: expected a network with published weights (alexnet, "),
        "{message}"
    );
}

/// Training's own test, `evaluate`, `predict` and the library are given images of several sizes, the first of them of the
/// network's own.
#[test]
fn every_way_to_a_networks_input_gives_the_same_numbers() {
    use cnn::prelude::*;
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let sizes = [[16, 16], [40, 23], [17, 64], [16, 16], [90, 90], [16, 31]];
    let mut tested = Vec::new();
    for part in ["train", "val"] {
        for (class, light) in [("left", 0), ("right", 1)] {
            let folder = set.join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for (i, [w, h]) in sizes.into_iter().enumerate() {
                // One half is lighter, by less and less.
                let shade = |x: u32| if (2 * x >= w) == (light == 1) { 140 - 4 * i as u8 } else { 100 };
                let path = folder.join(format!("{i}.png"));
                image::GrayImage::from_fn(w, h, |x, _| image::Luma([shade(x)])).save(&path).unwrap();
                if part == "val" {
                    tested.push((path, class));
                }
            }
        }
    }
    let out = folder.path().join("out");
    let mut train =
        cnn(["train", "--model", "lenet", "--size", "16", "--epochs", "4", "--json", "--dataset"]);
    train.arg(&set).arg("--out").arg(&out);
    let trained: serde_json::Value = serde_json::from_str(&stdout(train)).unwrap();
    let weights = out.join("model.safetensors");

    let mut evaluate = cnn(["evaluate", "--json", "--weights"]);
    evaluate.arg(&weights).arg("--dataset").arg(&set);
    let evaluated: serde_json::Value = serde_json::from_str(&stdout(evaluate)).unwrap();
    assert_eq!((&evaluated["top1"], &evaluated["loss"]), (&trained["test_accuracy"], &trained["test_loss"]));

    let mut predict = cnn(["predict", "--json", "--weights"]);
    predict.arg(&weights).args(tested.iter().map(|(path, _)| path));
    let predicted: Vec<serde_json::Value> = serde_json::from_str(&stdout(predict)).unwrap();
    let model = Model::load(&weights).unwrap();
    let mut right = 0;
    for (predicted, (path, class)) in predicted.iter().zip(&tested) {
        let answer = model.predict(path).unwrap();
        assert_eq!(predicted["class"], answer.class());
        assert_eq!(predicted["probability"].as_f64().unwrap() as f32, answer.probability());
        right += u32::from(answer.class() == *class);
    }
    assert_eq!(evaluated["top1"], f64::from(right) / tested.len() as f64);
}
