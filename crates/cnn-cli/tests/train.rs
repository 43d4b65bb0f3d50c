//! Training as a user runs it: what it leaves, and that nothing but the configuration decides the weights.

mod common;

use common::{cnn, refusal, short_run, stdout};
use std::path::Path;

fn weights(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("model.safetensors")).unwrap()
}

#[test]
fn a_run_leaves_everything_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a/b");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(short_run(&out, &["--json", "--threads", "2"]))).unwrap();
    assert_eq!(json["model"], "lenet5");
    assert_eq!(json["dataset"], "mnist");
    assert_eq!((&json["epochs"], &json["batch_size"], &json["seed"]), (&3.into(), &50.into(), &7.into()));
    assert_eq!(
        (&json["threads"], &json["train_images"], &json["test_images"]),
        (&2.into(), &1500.into(), &1000.into())
    );
    assert_eq!(json["parameters"], 61_706);
    assert_eq!(json["weights"], out.join("model.safetensors").to_str().unwrap());
    let accuracy = json["test_accuracy"].as_f64().unwrap();
    assert!((0.7..1.0).contains(&accuracy), "{json}");
    for field in ["test_loss", "seconds", "train_images_per_second"] {
        assert!(json[field].as_f64().unwrap() > 0.0, "{field}: {json}");
    }
    for picture in ["curves.png", "confusion.png", "filters.png", "mistakes.png"] {
        let picture = image::open(out.join(picture)).unwrap();
        assert!(picture.width() >= 1000 && picture.height() >= 500);
    }
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let lines: Vec<&str> = metrics.lines().collect();
    assert_eq!(lines[0], "epoch,train_loss,train_accuracy,test_loss,test_accuracy,test_top5,seconds");
    assert_eq!(lines.len(), 4);
    let last: f64 = lines[3].split(',').nth(4).unwrap().parse().unwrap();
    assert!((last - accuracy).abs() < 1e-6);
    assert!(!out.join("best.safetensors").exists(), "nothing is chosen by the test images");

    let mut inspect = cnn(["inspect", "--model", "lenet", "--json"]);
    inspect.arg(out.join("model.safetensors"));
    let contents: serde_json::Value = serde_json::from_str(&stdout(inspect)).unwrap();
    assert_eq!((&contents["numbers"], &contents["model"]["name"]), (&61_706.into(), &"lenet5".into()));
    assert_eq!((&contents["fits"], &contents["verified"]), (&true.into(), &true.into()));

    // config.json repeats the run, and nothing half-written is left behind.
    let again = folder.path().join("again");
    let mut command = cnn(["train-lenet", "--config"]);
    command.arg(out.join("config.json")).arg("--out").arg(&again);
    let words = stdout(command);
    assert!(words.contains("test accuracy") && words.contains("training images/s"), "{words}");
    assert_eq!(weights(&again), weights(&out));
    let names: Vec<_> = std::fs::read_dir(&out).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 9, "the lock as well: {names:?}");
}

#[test]
fn with_images_kept_back_the_best_epoch_is_chosen_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = short_run(&out, &["--validation", "600", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(run)).unwrap();
    assert_eq!(json["test_images"], 1_000, "the test set is for the end");
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    assert!(metrics.starts_with("epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,"));
    let last: f64 = metrics.lines().last().unwrap().split(',').nth(4).unwrap().parse().unwrap();
    assert!((last - json["test_accuracy"].as_f64().unwrap()).abs() > 1e-6, "other images: {metrics}");
    assert!(out.join("best.safetensors").exists());
    let wrong = folder.path().join("wrong");
    let message = refusal(short_run(&wrong, &["--validation", "2000"]));
    assert_eq!(message, "--validation: expected fewer than the 2000 training images, got 2000");
    for number in ["0", "1.5", "many"] {
        let output = short_run(&wrong, &["--validation", number]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains("expected a number of images, or a share between 0 and 1"), "{said}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        stdout(short_run(&out, more));
        weights(&out)
    };
    let one = run("1", &["--threads", "1"]);
    for threads in ["2", "3", "8"] {
        assert!(run(threads, &["--threads", threads]) == one, "{threads} threads");
    }
    assert!(run("again", &[]) == one, "a second run");
    assert!(run("seed", &["--seed", "8"]) != one, "another seed");
}

/// Its input is normalised as the paper has it, not as the other networks': in training, in the file, and for a drawing.
#[test]
fn the_net_of_1998_trains_saves_and_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(short_run(&out, &["--variant", "1998", "--json"]))).unwrap();
    assert_eq!((&json["model"], &json["parameters"]), (&"lenet5_1998".into(), &60_000.into()));
    assert!(json["test_accuracy"].as_f64().unwrap() > 0.5, "{json}");
    assert!(image::open(out.join("filters.png")).unwrap().width() >= 1000);

    let drawing = folder.path().join("one.png");
    let stroke = |x, y| image::Luma([if (18..22).contains(&x) && (6..34).contains(&y) { 0 } else { 255u8 }]);
    image::GrayImage::from_fn(40, 40, stroke).save(&drawing).unwrap();
    let mut command = cnn(["predict", "--weights"]);
    command.arg(out.join("model.safetensors")).arg(&drawing);
    assert!(stdout(command).contains("one.png: 1"));
}

#[test]
fn every_network_has_a_summary() {
    for (name, total) in [
        ("lenet", "61,706"),
        ("lenet-1998", "60,000"),
        ("lenet5-1998", "60,000"),
        ("mobilenet_v2", "3,504,872"),
        ("MobileNet-V2", "3,504,872"),
        ("resnet18", "11,689,512"),
        ("squeezenet1_1", "1,235,496"),
    ] {
        let words = stdout(cnn(["summary", name]));
        let last = words.lines().last().unwrap();
        assert!(last.starts_with("total ") && last.contains(total), "{name}: {last}");
    }
}

/// As with `train-lenet 2>&1 | head -1`.
#[test]
fn a_reader_that_leaves_does_not_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut run = short_run(&out, &[]);
    let mut run =
        run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop((run.stdout.take(), run.stderr.take()));
    assert!(run.wait().unwrap().success());
    assert!(out.join("model.safetensors").exists());
}

#[test]
fn demos_train_and_draw() {
    let folder = tempfile::tempdir().unwrap();
    for (demo, picture) in [("mlp", "confusion.png"), ("linear", "templates.png")] {
        let out = folder.path().join(demo);
        let mut command = cnn(["demo", demo, "--epochs", "2", "--limit", "2000", "--json", "--out"]);
        command.arg(&out);
        let json: serde_json::Value = serde_json::from_str(&stdout(command)).unwrap();
        assert_eq!(json["model"], demo);
        assert!(json["test_accuracy"].as_f64().unwrap() > 0.75, "{json}");
        assert!(out.join(picture).exists());
    }
    let out = folder.path().join("kernels/sheet.png");
    let mut command = cnn(["demo", "kernels", "--out"]);
    command.arg(&out);
    assert!(stdout(command).starts_with("12 kernels applied to"));
    assert_eq!(image::open(out).unwrap().width(), 1600);
}
