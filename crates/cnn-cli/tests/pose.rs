//! Joints: a cascade trained on stick figures, resumed and used; and what is said where that cannot be.

mod common;

use cnn::data::pose::{LSP, PoseSet, stick_figures};
use common::{cnn, refusal, stdout};
use image::GrayImage;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the figures as a table with a folder of images beside it.
fn write(set: &PoseSet, table: &Path) {
    let folder = table.with_extension("");
    std::fs::create_dir_all(&folder).unwrap();
    let columns = LSP.joints.iter().map(|name| format!(",{name}_x,{name}_y,{name}_v"));
    let mut text = format!("image,width,height{}\n", columns.collect::<String>());
    for i in 0..set.len() {
        let picture = set.picture(i).unwrap();
        let [_, h, w] = picture.shape();
        let image = GrayImage::from_raw(w as u32, h as u32, picture.data().to_vec()).unwrap();
        image.save(folder.join(format!("{i:02}.png"))).unwrap();
        text += &format!("{i:02}.png,{w},{h}");
        for joint in &set.person(i).joints {
            text += &format!(",{},{},{}", joint.x, joint.y, u8::from(joint.visible));
        }
        text += "\n";
    }
    std::fs::write(table, text).unwrap();
}

/// A table of training figures, and one of test figures.
fn tables(folder: &Path) -> [PathBuf; 2] {
    [("train.csv", 24, 1), ("test.csv", 12, 2)].map(|(name, count, seed)| {
        let table = folder.join(name);
        write(&stick_figures(count, 40, seed).unwrap(), &table);
        table
    })
}

fn command(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    cnn(arguments.iter().map(|argument| argument.as_ref()))
}

/// A short run of two stages.
fn train(tables: &[PathBuf; 2], out: &Path, more: &[&str]) -> Command {
    let options =
        "--epochs 1 --refine-epochs 1 --size 32 --refine-size 32 --batch-size 10 --validation 0.2 --json";
    let mut command = command(&[&"train-pose", &tables[0], &"--test", &tables[1], &"--out", &out]);
    command.args(options.split(' ')).args(more);
    command
}

#[test]
fn a_cascade_is_trained_scored_resumed_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let tables = tables(folder.path());
    let [out, parts] = ["out", "parts"].map(|name| folder.path().join(name));
    let report: Value = serde_json::from_str(&stdout(train(&tables, &out, &[]))).unwrap();
    let names: Vec<&str> =
        report["scores"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mean pose", "nearest neighbour", "stage 1", "stage 2"]);
    assert_eq!((&report["train_people"], &report["tested"]), (&19.into(), &"test".into()));
    for row in report["scores"].as_array().unwrap() {
        assert!(
            row["error"].as_f64().unwrap() > 0.0 && row["pcp_of"].as_array().unwrap().len() == 4,
            "{row}"
        );
    }
    let weights = out.join("pose.safetensors");
    assert_eq!(image::open(out.join("poses.png")).unwrap().width(), 1600);
    for file in ["stage1/curves.png", "stage2/metrics.csv", "stage2/model.safetensors", "report.json"] {
        assert!(out.join(file).exists(), "{file}");
    }
    let message = refusal(train(&tables, &out, &[]));
    assert!(
        message.contains("holds a run: add --resume to go on with it, --overwrite to start over"),
        "{message}"
    );

    // A run of which the second stage is lost, on another number of threads: the same bits.
    stdout(train(&tables, &parts, &["--threads", "1"]));
    let bytes = std::fs::read(&weights).unwrap();
    assert!(std::fs::read(parts.join("pose.safetensors")).unwrap() == bytes, "on one thread");
    std::fs::remove_dir_all(parts.join("stage2")).unwrap();
    std::fs::remove_file(parts.join("pose.safetensors")).unwrap();
    let message = refusal(train(&tables, &parts, &["--resume", "--lr", "0.5"]));
    assert!(message.contains("learning_rate") && message.contains("instead of 0.5"), "{message}");
    stdout(train(&tables, &parts, &["--resume"]));
    assert!(std::fs::read(parts.join("pose.safetensors")).unwrap() == bytes, "resumed");

    let images = tables[1].with_extension("");
    let (one, sheet) = (folder.path().join("one.png"), folder.path().join("sheet.png"));
    let pose: &[&dyn AsRef<OsStr>] = &[&"pose", &"--weights", &weights, &"--json"];
    let figure = images.join("03.png");
    let answer = |more: &[&dyn AsRef<OsStr>]| -> Value {
        serde_json::from_str(&stdout(command(&[pose, more].concat()))).unwrap()
    };
    let answers = answer(&[&figure, &"--out", &one]);
    assert_eq!(answers[0]["joints"].as_array().unwrap().len(), 14);
    assert_eq!(answers[0]["joints"][13][0], "head_top");
    assert_eq!(image::open(&one).unwrap().height(), 1160);
    let boxed = answer(&[&figure, &"--out", &one, &"--box", &"0,0,20,40"]);
    assert_ne!(boxed[0]["joints"], answers[0]["joints"]);
    let all = answer(&[&images, &"--out", &sheet]);
    assert_eq!((all.as_array().unwrap().len(), &all[3]["joints"]), (12, &answers[0]["joints"]));
    assert_eq!(image::open(&sheet).unwrap().width(), 1600);
    let message = refusal(command(&[&"pose", &"--weights", &weights, &figure, &"--box", &"50,0,5,5"]));
    assert!(message.contains("a --box within the image of 40 x 40 pixels"), "{message}");
}

#[test]
fn what_cannot_be_trained_on_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let tables = tables(folder.path());
    let out = folder.path().join("out");
    let said = |more: &[&str]| refusal(train(&tables, &out, more));
    assert!(said(&["--model", "pose-mobilnet-v2"]).contains("is \"pose-mobilenet-v2\" meant?"));
    assert!(said(&["--stages", "0"]).contains("--stages: expected at least 1, got 0"));
    assert!(said(&["--validation", "1.5"]).contains("--validation: expected a share between 0 and 1"));
    assert!(said(&["--rotation", "200"]).contains("--rotation: expected 0 to 180 degrees, got 200"));
    assert!(said(&["--lr", "-1"]).contains("--lr: expected a number above 0"));
    let message = said(&["--batch-size", "8"]);
    assert!(message.contains("stage 2: the network cannot learn from one view alone"), "{message}");
    assert!(said(&["--weights", "nothing.safetensors"]).contains("nothing.safetensors"));
    assert!(said(&["--weights", &tables[0].display().to_string()]).contains("train.csv"));

    std::fs::remove_file(tables[0].with_extension("").join("05.png")).unwrap();
    let message = said(&[]);
    assert!(message.contains("1 that are not there: 05.png"), "{message}");
    let text = std::fs::read_to_string(&tables[1]).unwrap();
    std::fs::write(&tables[0], text.replace("neck_v", "nose_v")).unwrap();
    assert!(said(&[]).ends_with("x, y and v of 14 joints, got none named neck_v"));

    let other = folder.path().join("model.safetensors");
    std::fs::write(&other, "nonsense").unwrap();
    let figure = tables[1].with_extension("").join("03.png");
    let message = refusal(command(&[&"pose", &figure, &"--weights", &other]));
    assert!(message.contains("model.safetensors"), "{message}");
    // A mistake in the command line is followed by where to find help.
    let output = command(&[&"pose", &figure, &"--weights", &other, &"--box", &"1,2"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("expected x,y,width,height in pixels, the last two above 0, got 1,2"), "{said}");
}
