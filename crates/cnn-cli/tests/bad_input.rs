//! Whatever is wrong is one clear line that names the file and what was expected.

mod common;

use common::{cnn, mnist, refusal, short_run, stdout};
use flate2::{Compression, write::GzEncoder};
use std::io::{Read, Write};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

/// A folder of MNIST's files in which `change` has been made to the content of `file`.
fn altered(folder: &Path, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> PathBuf {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    for name in FILES {
        if name != file {
            std::fs::copy(mnist(name), data.join(name)).unwrap();
        }
    }
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(mnist(file)).unwrap())
        .read_to_end(&mut content)
        .unwrap();
    let mut packed = GzEncoder::new(std::fs::File::create(data.join(file)).unwrap(), Compression::fast());
    packed.write_all(&change(content)).unwrap();
    packed.finish().unwrap();
    data
}

#[track_caller]
fn message(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = altered(folder.path(), file, change);
    let mut command = short_run(&folder.path().join("out"), &["--data-dir"]);
    command.arg(&data);
    let message = refusal(command);
    assert!(!folder.path().join("out/model.safetensors").exists());
    let data = format!("{}{MAIN_SEPARATOR}", data.display());
    assert!(message.contains(&data), "names the file: {message}");
    message.replace(&data, "")
}

#[test]
fn data_files_that_are_not_what_they_should_be() {
    let images = "train-images-idx3-ubyte.gz";
    let labels = "t10k-labels-idx1-ubyte.gz";
    let truncated = message(images, |mut v| {
        v.truncate(1_000_000);
        v
    });
    assert_eq!(
        truncated,
        "train-images-idx3-ubyte.gz: at byte 1000000 of the content: expected 47040000 bytes of data from byte 16 on, \
         got the end after 999984"
    );
    let magic = message(labels, |mut v| {
        v[0] = 9;
        v
    });
    assert!(magic.starts_with("t10k-labels-idx1-ubyte.gz: at byte 0 of the content: expected"), "{magic}");
    let promise = message(images, |mut v| {
        v[4..8].copy_from_slice(&[0xFF; 4]);
        v
    });
    assert!(promise.starts_with("train-images-idx3-ubyte.gz: at byte "), "{promise}");
    let label = message(labels, |mut v| {
        v[8 + 17] = 10;
        v
    });
    assert_eq!(
        label,
        "t10k-labels-idx1-ubyte.gz: at byte 25 of the content: expected a label below 10, got 10"
    );
    let count = message(labels, |mut v| {
        v[4..8].copy_from_slice(&9_999u32.to_be_bytes());
        v.truncate(8 + 9_999);
        v
    });
    assert!(count.contains("expected 10000 labels, one for each image of"), "{count}");
}

#[test]
fn missing_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = short_run(&folder.path().join("out"), &["--data-dir"]);
    command.arg(folder.path().join("none"));
    let message = refusal(command);
    assert!(message.contains("none") && message.contains("train-images"), "{message}");
}

#[test]
fn options_that_cannot_be_followed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let message = |more: &[&str]| refusal(short_run(&out, more));
    assert_eq!(message(&["--threads", "0"]), "--threads: threads: expected 1 to 1024 threads, got 0");
    for (option, value) in [("--lr", "-1"), ("--weight-decay", "-1"), ("--label-smoothing", "5")] {
        let output = short_run(&out, &[option, value]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(value) && !said.contains("unexpected argument"), "{said}");
    }
    let again = |option: &str, value: &str| {
        refusal({
            let mut command = cnn(["train-lenet", option, value, "--out"]);
            command.arg(&out);
            command
        })
    };
    assert_eq!(again("--batch-size", "0"), "--batch-size: expected at least 1, got 0");
    assert_eq!(again("--epochs", "0"), "--epochs: expected at least 1, got 0");
    assert_eq!(again("--limit", "0"), "--limit: expected at least 1, got 0");
    assert_eq!(again("--lr", "nan"), "--lr: expected a number above 0, got NaN");
    assert!(!out.exists(), "nothing is made before the options are known to be good");
    let mut command = cnn(["train-lenet", "--resume", "--out"]);
    command.arg(&out);
    assert!(refusal(command).contains("checkpoint.safetensors of an earlier run, found none"));
}

#[test]
fn an_out_that_cannot_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let message = refusal(short_run(&file.join("out"), &[]));
    assert!(message.contains("file") && message.contains("cannot make a folder to write to"), "{message}");
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

#[test]
fn a_run_that_cannot_begin_leaves_the_earlier_one_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    stdout(short_run(&out, &["--epochs", "1", "--limit", "100"]));
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect::<Vec<_>>()
    };
    let before = files();
    let mut command = short_run(&out, &["--data-dir"]);
    command.arg(folder.path().join("none"));
    refusal(command);
    assert!(files() == before);
}

#[test]
fn weights_that_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let seven = seven(folder.path());
    let message = |weights: &Path| {
        let mut command = cnn(["predict", "--weights"]);
        command.arg(weights).arg(&seven);
        refusal(command).replace(&format!("{}{MAIN_SEPARATOR}", folder.path().display()), "")
    };
    assert!(message(&folder.path().join("none")).starts_with("none: cannot read"));
    let text = folder.path().join("text");
    std::fs::write(&text, "not weights").unwrap();
    assert!(message(&text).starts_with("text: expected"), "{}", message(&text));
    // The checkpoint of a run is a safetensors file, but not a model.
    let out = folder.path().join("out");
    stdout(short_run(&out, &["--epochs", "1", "--limit", "100"]));
    let refused = message(&out.join("checkpoint.safetensors"));
    assert!(refused.contains("expected the description of a model in the metadata"), "{refused}");
    let whole = std::fs::read(out.join("model.safetensors")).unwrap();
    std::fs::write(&text, &whole[..whole.len() - 1]).unwrap();
    assert!(message(&text).starts_with("text: expected"), "{}", message(&text));
    // A broken checkpoint is not resumed, and says so.
    std::fs::write(out.join("checkpoint.safetensors"), &whole[..1000]).unwrap();
    let mut command = cnn(["train-lenet", "--resume", "--out"]);
    command.arg(&out);
    assert!(refusal(command).contains("checkpoint.safetensors: expected"));
    assert_eq!(std::fs::read(out.join("model.safetensors")).unwrap(), whole);
}

/// A folder with two classes of ten images, dark and light, and one without any for the test.
fn shades(folder: &Path, names: [&str; 2]) -> PathBuf {
    let set = folder.join(names.join("-"));
    for (part, count) in [("train", 10), ("val", 4)] {
        for (class, level) in names.into_iter().zip([40, 200]) {
            let folder = set.join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let image = image::GrayImage::from_pixel(16, 16, image::Luma([level + i]));
                image.save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
    set
}

/// The error of a command that says first how it understood its data.
#[track_caller]
fn last_line(mut command: std::process::Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or_else(|| panic!("ends with an error: {stderr}")).into()
}

fn train(set: &Path, out: &Path, more: &[&str]) -> std::process::Command {
    let mut command = cnn(["train", "--model", "lenet", "--size", "16", "--epochs", "2", "--dataset"]);
    command.arg(set).arg("--out").arg(out).args(more);
    command
}

#[test]
fn a_run_goes_on_with_its_own_data_wherever_they_are_now() {
    let folder = tempfile::tempdir().unwrap();
    let set = shades(folder.path(), ["dark", "light"]);
    let out = folder.path().join("out");
    stdout(train(&set, &out, &[]));
    // The very command again, with the option to resume.
    stdout(train(&set, &out, &["--resume"]));
    let moved = folder.path().join("moved");
    std::fs::rename(&set, &moved).unwrap();
    let resume = |more: &[&str]| {
        let mut command = cnn(["train", "--model", "lenet", "--resume", "--out"]);
        command.arg(&out).arg("--data-dir").arg(&moved).args(more);
        command
    };
    stdout(resume(&[]));
    std::fs::remove_file(moved.join("train/light/3.png")).unwrap();
    let message = last_line(resume(&[]));
    assert!(message.contains("of the training images, class light had 10 examples, and has 9"), "{message}");
    stdout(resume(&["--changed-data"]));
    std::fs::rename(moved.join("train/light"), moved.join("train/bright")).unwrap();
    std::fs::rename(moved.join("val/light"), moved.join("val/bright")).unwrap();
    let message = last_line(resume(&[]));
    assert!(message.contains("class 0 was dark, and is bright"), "{message}");
}

#[test]
fn a_finished_run_and_a_damaged_one_are_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let set = shades(folder.path(), ["dark", "light"]);
    let out = folder.path().join("out");
    stdout(train(&set, &out, &[]));
    let message = last_line(train(&set, &out, &[]));
    assert!(message.contains("holds a finished run of 2 epochs: add --overwrite to train anew"), "{message}");
    stdout(train(&set, &out, &["--overwrite"]));
    let checkpoint = out.join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&checkpoint, &bytes).unwrap();
    for more in [&[][..], &["--resume"]] {
        let message = last_line(train(&set, &out, more));
        assert!(message.contains("checkpoint.safetensors: expected contents of checksum"), "{message}");
        assert!(std::fs::read(&checkpoint).unwrap() == bytes, "it stays");
    }
    stdout(train(&set, &out, &["--overwrite"]));
}

#[test]
fn one_run_at_a_time_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let _held = cnn_nn::RunFolder::open(&out).unwrap();
    let message = refusal(short_run(&out, &[]));
    assert!(message.contains("expected a folder that no run is using"), "{message}");
}

#[test]
fn what_would_end_a_run_later_is_found_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let set = shades(folder.path(), ["dark", "light"]);
    let message = |more: &[&str]| last_line(train(&set, &out, more));
    let drop_last = message(&["--drop-last", "--batch-size", "32"]);
    assert!(
        drop_last.starts_with("--drop-last: expected at least a batch of 32 training images, got 20"),
        "{drop_last}"
    );
    let none = message(&["--limit", "1"]);
    assert!(
        none.contains("expected training images for each class, got none for")
            && none.ends_with("raise --limit above 1, or leave it out"),
        "{none}"
    );
    let mut command =
        cnn(["train", "--model", "resnet18", "--size", "32", "--batch-size", "19", "--dataset"]);
    command.arg(&set).arg("--out").arg(&out);
    let one = last_line(command);
    assert!(one.contains("cannot learn from one image alone") && one.contains("add --drop-last"), "{one}");
    let single = folder.path().join("single");
    for part in ["train", "val"] {
        std::fs::create_dir_all(single.join(part)).unwrap();
        std::fs::rename(set.join(part).join("dark"), single.join(part).join("dark")).unwrap();
    }
    let alone = last_line(train(&single, &out, &[]));
    assert!(alone.ends_with("expected at least two classes to tell apart, got only dark"), "{alone}");
    assert!(!out.join("checkpoint.safetensors").exists());
}

#[test]
fn classes_are_matched_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let set = shades(folder.path(), ["dark", "light"]);
    let out = folder.path().join("out");
    stdout(train(&set, &out, &["--epochs", "8", "--lr", "0.01"]));
    let evaluate = |set: &Path| {
        let mut command = cnn(["evaluate", "--json", "--weights"]);
        command.arg(out.join("model.safetensors")).arg("--dataset").arg(set);
        command
    };
    let whole: serde_json::Value = serde_json::from_str(&stdout(evaluate(&set))).unwrap();
    assert_eq!(whole["top1"], 1.0, "{whole}");
    // The light ones alone: label 0 here, 1 there.
    let part = folder.path().join("part");
    std::fs::create_dir_all(part.join("val")).unwrap();
    std::fs::create_dir_all(part.join("train")).unwrap();
    for of in ["train", "val"] {
        std::fs::rename(set.join(of).join("light"), part.join(of).join("light")).unwrap();
    }
    let light: serde_json::Value = serde_json::from_str(&stdout(evaluate(&part))).unwrap();
    assert_eq!((&light["top1"], &light["images"]), (&1.0.into(), &4.into()), "{light}");
    let message = last_line(evaluate(&shades(folder.path(), ["dark", "bright"])));
    assert!(
        message.ends_with("a class must be one that the model knows (dark, light), got bright"),
        "{message}"
    );
}

#[test]
fn a_config_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    std::fs::write(&config, "{\"model\": \"lenet\"}").unwrap();
    let mut command = cnn(["train-lenet", "--config"]);
    command.arg(&config);
    let message = refusal(command);
    assert!(message.contains("config.json: expected the config.json of a run: missing field"), "{message}");
}

#[test]
fn images_that_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    stdout(short_run(&out, &["--epochs", "1", "--limit", "100"]));
    let message = |name: &str, content: &[u8]| {
        let image = folder.path().join(name);
        std::fs::write(&image, content).unwrap();
        let mut command = cnn(["predict", "--weights"]);
        command.arg(out.join("model.safetensors")).arg(&image);
        refusal(command)
    };
    assert!(message("text.png", b"no picture").contains("text.png: "));
    let mut png = Vec::new();
    let blank = image::GrayImage::from_pixel(30, 30, image::Luma([200]));
    blank.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    assert!(message("blank.png", &png).contains("blank.png: "));
    assert!(message("cut.png", &png[..png.len() / 2]).contains("cut.png: "));
    let page = message("page.jpg", b"<!DOCTYPE html><title>404</title>");
    assert!(page.ends_with("got an HTML page: a server's answer in place of the file?"), "{page}");
    assert!(message("model.png", b"PK\x03\x04").ends_with("got a ZIP archive: unpack it first"));
}

#[test]
fn files_of_other_kinds_in_the_place_of_a_data_set_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, kind) in [
        ("photos.zip", &b"PK\x03\x04"[..], "a ZIP archive: unpack it first"),
        ("photos.tar.gz", b"\x1f\x8b\x08", "a file compressed with gzip: unpack it first"),
        ("fake.pth", b"PK\x03\x04", "a PyTorch file"),
        ("page.tar", b"<html><body>404", "an HTML page: a server's answer in place of the file?"),
        ("net.onnx", b"\x08\x07\x12\x07pytorch", "an ONNX model"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "a JPEG image"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        for command in ["look", "pack"] {
            let mut command = cnn([command]);
            command.arg(&path);
            if command.get_args().any(|argument| argument == "pack") {
                command.arg(folder.path().join("out"));
            }
            let expected = "expected a folder of images, or a plain tar archive of them";
            assert_eq!(refusal(command), format!("{}: {expected}, got {kind}", path.display()));
        }
    }
}

#[test]
fn weights_of_another_network_are_compared_by_name_and_shape() {
    let theirs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cnn-pth/tests/fixtures/checkpoint.pth");
    let inspect = |more: &[&str]| {
        let mut command = cnn(["inspect"]);
        command.arg(&theirs).args(more);
        command
    };
    let words = stdout(inspect(&[]));
    assert!(words.contains("2 tensors, 3 numbers") && words.contains("weight  float32   [1, 2]"), "{words}");
    let output = inspect(&["--model", "linear"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("the weights are those under state_dict"), "{said}");
    assert!(said.contains("expected all 2 parameters of linear, got 0: "), "{said}");
    let refused = refusal(inspect(&["--model", "linear", "--rename", "^nothing=x"]));
    assert!(refused.ends_with("expected a tensor for --rename ^nothing=x to rename, got none"), "{refused}");
    let output = inspect(&["--model", "linear", "--rename", "no-equals"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn unknown_names() {
    let message = refusal(cnn(["summary", "resnet"]));
    assert!(message.starts_with("resnet: expected one of lenet, lenet-tanh, "), "{message}");
    assert!(message.ends_with("resnet110, or an existing weights file; is \"resnet18\" meant?"), "{message}");
    let mut command = cnn(["demo", "kernels"]);
    command.arg(mnist("t10k-labels-idx1-ubyte.gz"));
    assert!(refusal(command).contains("t10k-labels-idx1-ubyte.gz: expected a JPEG, PNG, WebP or BMP image"));
}

/// The first test image, a seven, as a dark-on-light drawing of another size.
fn seven(folder: &Path) -> PathBuf {
    let mut content = Vec::new();
    let packed = std::fs::File::open(mnist("t10k-images-idx3-ubyte.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut content).unwrap();
    let digit =
        image::GrayImage::from_raw(28, 28, content[16..16 + 784].iter().map(|v| 255 - v).collect()).unwrap();
    let path = folder.join("seven.png");
    image::imageops::resize(&digit, 140, 140, image::imageops::FilterType::Triangle).save(&path).unwrap();
    path
}

#[test]
fn a_drawing_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    stdout(short_run(&out, &["--epochs", "3", "--limit", "6000"]));
    let mut command = cnn(["predict", "--json", "--weights"]);
    command.arg(out.join("model.safetensors")).arg(seven(folder.path()));
    let json: serde_json::Value = serde_json::from_str(&stdout(command)).unwrap();
    assert_eq!(json[0]["class"], "7", "{json}");
    let probabilities = json[0]["ranking"].as_array().unwrap().iter().map(|entry| entry[1].as_f64().unwrap());
    assert!((probabilities.sum::<f64>() - 1.0).abs() < 1e-4);
    let mut command = cnn(["predict", "--weights"]);
    command.arg(out.join("model.safetensors")).arg(seven(folder.path()));
    assert!(stdout(command).contains("seven.png: 7\n"));
}
