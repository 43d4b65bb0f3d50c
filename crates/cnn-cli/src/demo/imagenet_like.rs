//! `cnn demo imagenet-like`: as many photos as one likes, in ImageNet's form.

use crate::fault::{Fault, note, print};
use crate::photos::{self, SIZE, Subject};
use crate::progress;
use crate::threads::threads;
use cnn_data::imagenet;
use cnn_tensor::parallel;
use indicatif::HumanBytes;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Make a folder of synthetic photos in ImageNet's form, to measure training on this machine without ImageNet.
///
/// OUT gets train/SYNSET/*.JPEG and val/SYNSET/*.JPEG, of as many of ILSVRC2012's classes as wanted. The photos have
/// ImageNet's usual size, 500x375, at some 60 KB each (ImageNet's have about 110 KB), and a class has colours and stripes of
/// its own, so that a network has something to learn. The same options give the same files.
#[derive(clap::Args)]
#[command(after_help = "\
Example: how long ImageNet would take here.
  cnn demo imagenet-like /tmp/imagenet-like --images 2000 --classes 1000
  cnn train --model alexnet --dataset /tmp/imagenet-like --epochs 1 --out /tmp/run

The run ends with its training images per second, and the share of the time in which it waited for batches. ImageNet has
1,281,167 training images: an epoch of it takes 1,281,167 / (images/s) seconds, the 90 epochs of AlexNet's recipe take
1334.5 days / (images/s). If it waits for more than a few percent of the time, give it more --workers, or pack the images.")]
pub struct Args {
    /// The folder to make.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Training photos; a class has as many as another, or one more.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    images: usize,
    /// Validation photos [default: a tenth of the training photos, and at least one for each class].
    #[arg(long, value_name = "N")]
    val: Option<usize>,
    /// Classes, the first of ILSVRC2012's 1000.
    #[arg(long, value_name = "N", default_value_t = 10)]
    classes: usize,
    /// Fixes what the photos show.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads; they change no photo [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The most photos: ten times ImageNet. A mistyped number must not fill the disk unnoticed.
const MAX_IMAGES: usize = 12_811_670;

/// A photo to be made.
struct Photo {
    subject: Subject,
    file: PathBuf,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let Args { out, images, classes, seed, .. } = &args;
    let most = imagenet::synsets().len();
    if !(1..=most).contains(classes) {
        return Err(Fault::usage(format!("--classes: expected 1 to {most}, got {classes}")));
    }
    let val = args.val.unwrap_or((images / 10).max(*classes));
    for (option, count) in [("--images", *images), ("--val", val)] {
        if !(*classes..=MAX_IMAGES).contains(&count) {
            let expected = format!("{classes}, one for each class, to {MAX_IMAGES}");
            return Err(Fault::usage(format!("{option}: expected {expected}, got {count}")));
        }
    }
    let (_, pool) = threads(args.threads)?;
    if fs::symlink_metadata(out).is_ok() {
        return Err(Fault::usage(format!("{}: expected a folder that is not there yet", out.display())));
    }
    // Whole or not at all: a run that ends before its time leaves nothing behind that could be taken for the set.
    let unfinished = unfinished(out)?;
    let made = pool.run(|| write(&unfinished, &photos(&unfinished, (*images, val), *classes, *seed)));
    let bytes = match made {
        Ok(bytes) => bytes,
        Err(fault) => {
            // The next run reports the rest.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(fault);
        }
    };
    fs::rename(&unfinished, out).map_err(|e| cannot(out, "named so", &e))?;
    print(format!(
        "{}: {images} training and {val} validation photos of {classes} classes, {}",
        out.display(),
        HumanBytes(bytes)
    ));
    note(format!("now: cnn train --model alexnet --dataset {} --epochs 1", out.display()));
    Ok(())
}

/// The folder beside `out` in which the set is made.
fn unfinished(out: &Path) -> Result<PathBuf, Fault> {
    let name = out
        .file_name()
        .ok_or_else(|| Fault::usage(format!("{}: expected the name of a folder to make", out.display())))?;
    let folder = out.with_file_name(format!("{}.unfinished", name.to_string_lossy()));
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|e| cannot(parent, "made", &e))?;
    }
    fs::create_dir(&folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Fault::usage(format!(
            "{}: an earlier run left this, or another one is making it: remove it first",
            folder.display()
        )),
        _ => cannot(&folder, "made", &e),
    })?;
    Ok(folder)
}

/// All photos, the classes in turns, so that each has as many as another or one more.
fn photos(folder: &Path, (train, val): (usize, usize), classes: usize, seed: u64) -> Vec<Photo> {
    let part = |name: &'static str, count: usize, first: usize| {
        (0..count).map(move |i| {
            let (class, index) = (i % classes, first + i / classes);
            let synset = imagenet::synsets()[class];
            let file = folder.join(name).join(synset).join(format!("{synset}_{index}.JPEG"));
            Photo { subject: Subject { seed, class, index }, file }
        })
    };
    // No photo is in both parts.
    part("train", train, 0).chain(part("val", val, train.div_ceil(classes))).collect()
}

/// Makes the photos; how many bytes they take.
fn write(folder: &Path, photos: &[Photo]) -> Result<u64, Fault> {
    /// Photos between two faults' chances to end the work.
    const AT_ONCE: usize = 64;
    for photo in photos {
        let class = photo.file.parent().unwrap_or(folder);
        fs::create_dir_all(class).map_err(|e| cannot(class, "made", &e))?;
    }
    let bar = progress::bar(Some(photos.len() as u64), "{pos}/{len} photos [{bar:30}] {eta} left");
    let bytes = AtomicU64::new(0);
    for photos in photos.chunks(AT_ONCE) {
        let made = parallel::map(photos.len(), |i| {
            let Photo { subject, file } = &photos[i];
            let content = photos::jpeg(*subject, SIZE)?;
            fs::write(file, &content).map_err(|e| cannot(file, "written", &e))?;
            bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
            bar.inc(1);
            Ok(())
        });
        made.into_iter().collect::<Result<(), Fault>>()?;
    }
    bar.finish_and_clear();
    Ok(bytes.into_inner())
}

fn cannot(path: &Path, done: &str, reason: &dyn std::fmt::Display) -> Fault {
    Fault { status: 1, message: format!("{}: cannot be {done}: {reason}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_data::Dataset;
    use cnn_data::DatasetName;
    use std::collections::BTreeMap;

    fn make(out: &Path, line: &[&str]) -> Result<(), Fault> {
        let out = out.display().to_string();
        run(crate::testing::parse(&[&[out.as_str()], line].concat()).unwrap())
    }

    /// The content of every file below a folder.
    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let content = fs::read(&path).unwrap();
                        found.insert(path.strip_prefix(folder).unwrap().into(), content);
                    }
                }
            }
        }
        found
    }

    #[test]
    fn the_set_is_one_to_train_on_and_the_same_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/set");
        make(&out, &["--images", "5", "--classes", "2", "--val", "3", "--threads", "2"]).unwrap();
        let data = DatasetName::Images(out.clone()).open(&out).unwrap();
        assert_eq!((data.train.class_counts(), data.test.class_counts()), (vec![3, 2], vec![2, 1]));
        assert_eq!(data.classes(), ["tench, Tinca tinca", "goldfish, Carassius auratus"]);
        assert_eq!(data.train.picture(4).unwrap().shape(), [3, 375, 500]);
        assert!(data.undivided.is_none(), "divided into training and validation photos");

        let again = folder.path().join("again");
        make(&again, &["--images", "5", "--classes", "2", "--val", "3", "--threads", "1"]).unwrap();
        let (first, second) = (files(&out), files(&again));
        assert_eq!(first, second, "whatever the number of threads");
        let mut photos: Vec<_> = first.values().collect();
        photos.sort();
        photos.dedup();
        assert_eq!(photos.len(), 8, "no photo twice, in either part");
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn what_cannot_be_made_is_one_line_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (there, new) = (folder.path().join("there"), folder.path().join("new"));
        fs::create_dir(&there).unwrap();
        for (out, line, expected) in [
            (&new, &["--classes", "0"][..], "--classes: expected 1 to 1000, got 0"),
            (&new, &["--classes", "1001"], "--classes: expected 1 to 1000, got 1001"),
            (&new, &["--images", "9"], "--images: expected 10, one for each class, to 12811670, got 9"),
            (&new, &["--images", "99999999"], "--images: expected 10, one for each class"),
            (&new, &["--val", "9"], "--val: expected 10, one for each class"),
            (&new, &["--threads", "0"], "--threads: "),
            (&there, &[], "there: expected a folder that is not there yet"),
        ] {
            let Fault { status, message } = make(out, line).unwrap_err();
            assert!(message.contains(expected), "{message}");
            assert_eq!((status, message.lines().count()), (2, 1), "{message}");
        }
        fs::create_dir(folder.path().join("new.unfinished")).unwrap();
        let message = make(&new, &[]).unwrap_err().message;
        assert!(message.contains("new.unfinished: an earlier run left this"), "{message}");
        let below_a_file = folder.path().join("file");
        fs::write(&below_a_file, "").unwrap();
        let Fault { status, message } = make(&below_a_file.join("set"), &[]).unwrap_err();
        assert!(status == 1 && message.contains("cannot be made: "), "{message}");
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["file", "new.unfinished", "there"]);
    }
}
