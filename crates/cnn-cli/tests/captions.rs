//! A captioner is trained, tested, resumed and used; and what is said where that cannot be.

mod common;

use cnn::prelude::*;
use common::{cnn, refusal, stdout};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

const COLORS: [(&str, [u8; 3]); 3] =
    [("red", [220, 40, 30]), ("green", [30, 200, 60]), ("blue", [40, 60, 220])];

/// Pictures of one color, with two captions each, in a folder with lists: 24 to learn from, 6 and 6.
fn data(folder: &Path) {
    std::fs::create_dir_all(folder.join("images")).unwrap();
    let mut tokens = String::new();
    let mut lists = [String::new(), String::new(), String::new()];
    for i in 0..36u8 {
        let (word, color) = COLORS[usize::from(i) % 3];
        let pixel = |x: u32, y: u32| {
            Rgb(color.map(|c| c.saturating_add(((x * 7 + y * 5 + u32::from(i)) % 30) as u8)))
        };
        RgbImage::from_fn(32, 32, pixel).save(folder.join(format!("images/{i:02}.png"))).unwrap();
        tokens += &format!("{i:02}.png#0\tA {word} wall .\n{i:02}.png#1\tThe whole picture is {word} !\n");
        lists[[0, 0, 0, 0, 1, 2][usize::from(i) / 6]] += &format!("{i:02}.png\n");
    }
    // Captions of an image that no list names.
    tokens += "gone.png#0\tNothing .\n";
    std::fs::write(folder.join("tokens.txt"), tokens).unwrap();
    for (name, list) in ["train", "dev", "test"].iter().zip(lists) {
        std::fs::write(folder.join(format!("{name}.txt")), list).unwrap();
    }
    let spec =
        zoo::lenet5(Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]), ["a", "b"].map(String::from).to_vec());
    Model::build(spec, 3).unwrap().save(folder.join("trunk.safetensors")).unwrap();
}

/// A short training run into `out`.
fn training(folder: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command =
        cnn(["train-captions", "--hidden", "16", "--embedding", "12", "--lr", "0.02", "--batch-size", "12"]);
    command.args(["--dropout", "0.1", "--least", "1", "--beam", "3"]);
    for (option, file) in [
        ("--images", "images"),
        ("--tokens", "tokens.txt"),
        ("--train", "train.txt"),
        ("--dev", "dev.txt"),
        ("--test", "test.txt"),
        ("--weights", "trunk.safetensors"),
        ("--features", "features"),
    ] {
        command.arg(option).arg(folder.join(file));
    }
    command.arg("--out").arg(out).args(more);
    command
}

fn json(command: Command) -> Value {
    serde_json::from_str(&stdout(command)).unwrap()
}

fn features(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("features")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_captioner_is_trained_tested_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, out) = (folder.path(), folder.path().join("out"));
    data(folder);
    let report = json(training(folder, &out, &["--epochs", "6", "--json"]));
    assert_eq!(
        (&report["train_photos"], &report["dev_photos"], &report["test_photos"]),
        (&24.into(), &6.into(), &6.into())
    );
    // Three marks, three colors, and: a, wall, the, whole, picture, is.
    assert_eq!(report["words"], 12);
    let rows = report["bleu"].as_array().unwrap();
    let four = |row: usize| rows[row]["bleu"][3].as_f64().unwrap();
    let name = |row: usize| rows[row]["captions"].as_str().unwrap();
    assert_eq!(rows.len(), 6);
    assert!(rows[0]["bleu"][0].as_f64().unwrap() > 30.0, "{report}");
    // The nearest picture has the same color, and so the same captions; one sentence is right about a third of the pictures.
    assert!((four(3) - 100.0).abs() < 1e-9 && four(5) > 50.0 && four(5) < 90.0, "{report}");
    assert!(name(5).contains(": the whole picture is "), "{report}");
    for name in ["captions.png", "curves.png"] {
        assert_eq!(image::open(out.join(name)).unwrap().width(), 1600);
    }
    let told: Value = serde_json::from_slice(&std::fs::read(out.join("captions.json")).unwrap()).unwrap();
    assert_eq!((told.as_array().unwrap().len(), &told[0]["image"]), (6, &"30.png".into()));

    // Another number of threads, and features from the disk but for a file that is damaged: the same bits.
    let weights = |out: &Path| std::fs::read(out.join("captioner.safetensors")).unwrap();
    let kept = features(folder);
    let time = |file: &PathBuf| std::fs::metadata(file).unwrap().modified().unwrap();
    let times: Vec<_> = kept.iter().map(time).collect();
    assert_eq!(kept.len(), 4, "training as it is and mirrored, dev, test");
    std::fs::write(&kept[0], "x").unwrap();
    let other = folder.join("other");
    stdout(training(folder, &other, &["--epochs", "6", "--threads", "1"]));
    assert!(weights(&other) == weights(&out) && std::fs::metadata(&kept[0]).unwrap().len() > 1000);
    assert_eq!(kept[1..].iter().map(time).collect::<Vec<_>>(), times[1..]);

    let file = out.join("captioner.safetensors");
    let caption = |more: &[&dyn AsRef<OsStr>]| {
        let mut command = cnn([OsStr::new("caption"), OsStr::new("--weights"), file.as_os_str()]);
        command.args(more.iter().map(|argument| argument.as_ref()));
        command
    };
    let red = folder.join("images/33.png");
    let sheet = folder.join("sheet.png");
    let answer = json(caption(&[&red, &"--beam", &"4", &"--top", &"2", &"--picture", &sheet, &"--json"]));
    let captions = answer[0]["captions"].as_array().unwrap();
    assert!(captions.len() == 2 && !captions[0]["caption"].as_str().unwrap().contains('<'), "{answer}");
    assert!(captions[0]["probability"].as_f64().unwrap() > 1e-6, "{answer}");
    assert_eq!(image::open(&sheet).unwrap().width(), 1600);
    let words = stdout(caption(&[&folder.join("images"), &"--top", &"1"]));
    assert_eq!(words.lines().count(), 72);
    std::fs::write(folder.join("bad.png"), "no").unwrap();
    let message = refusal(caption(&[&folder.join("bad.png")]));
    assert!(message.contains("bad.png"), "{message}");
    assert!(
        refusal(caption(&[&red, &"--beam", &"0"]))
            .starts_with("--beam: the width of a beam must be 1 to 100")
    );
    assert!(
        refusal(caption(&[&red, &"--length-power", &"-1"]))
            .starts_with("--length-power: the power of the length must be 0 to 4, got -1")
    );
    let trunk = folder.join("trunk.safetensors");
    let message =
        refusal(cnn(["caption".as_ref(), red.as_os_str(), "--weights".as_ref(), trunk.as_os_str()]));
    assert!(message.contains("as cnn train-captions writes it, got \"cnn-model\""), "{message}");
}

#[test]
fn what_cannot_be_trained_on_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, out) = (folder.path(), folder.path().join("out"));
    data(folder);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let fault = |more: &[&str]| refusal(training(folder, &out, more));
    write("test.txt", "30.png\ngone.png\nx.png\n31.png\ny.png\nz.png\n");
    let message = fault(&[]);
    let want = "test.txt: expected images for all 6 names, got none for 4: gone.png, x.png, y.png and 1 more";
    assert!(message.ends_with(want), "{message}");
    write("test.txt", "30.png\n24.png\n");
    assert_eq!(fault(&[]), "--test: expected other photos than --dev, got 24.png");
    write("test.txt", "30.png\n");
    assert_eq!(fault(&["--epochs", "0"]), "--epochs: expected at least 1, got 0");
    assert_eq!(fault(&["--dropout", "1"]), "--dropout: expected 0 to below 1, got 1");
    let message = fault(&["--least", "1000"]);
    assert!(message.starts_with("--least: expected words that occur 1000 times"), "{message}");
    assert!(fault(&["--resume"]).contains("of an earlier run, found none"));
    write("tokens.txt", "30.png A red wall .\n");
    let message = fault(&[]);
    assert!(
        message.contains("expected NAME#NUMBER, a tab and a caption in line 1, got 30.png A red"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, out) = (folder.path(), folder.path().join("out"));
    data(folder);
    let unbroken = folder.join("unbroken");
    stdout(training(folder, &unbroken, &["--epochs", "40"]));
    let mut run =
        training(folder, &out, &["--epochs", "40"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let start = std::time::Instant::now();
    while !out.join("checkpoint.safetensors").exists() {
        assert!(start.elapsed().as_secs() < 120, "no checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let pid = run.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let message = refusal(training(folder, &out, &["--epochs", "40"]));
    assert!(message.contains("holds a run that was interrupted in epoch"), "{message}");
    let message = refusal(training(folder, &out, &["--resume", "--seed", "4"]));
    assert!(message.contains("was started with training.seed 0 instead of 4"), "{message}");
    // Without the other captions the run would not be the same.
    let tokens = std::fs::read_to_string(folder.join("tokens.txt")).unwrap();
    std::fs::write(folder.join("tokens.txt"), tokens.replace("00.png#0\tA red wall", "00.png#0\tA red door"))
        .unwrap();
    let message = refusal(training(folder, &out, &["--resume"]));
    assert!(message.starts_with("--resume: the training photos and captions are not those"), "{message}");
    std::fs::write(folder.join("tokens.txt"), tokens).unwrap();
    stdout(training(folder, &out, &["--resume"]));
    let weights = |out: &Path| std::fs::read(out.join("captioner.safetensors")).unwrap();
    assert!(weights(&out) == weights(&unbroken));
}
