//! Parts and classes, told by the names of folders.

use super::*;
use crate::testing::{dot, tar, write};
use tempfile::TempDir;

/// A folder with one image for each of the names.
fn folder(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    names.iter().for_each(|name| write(folder.path(), &[(name, &dot(1))]));
    folder
}

/// The form, the classes, and the training and test images of a [`folder`].
fn form(names: &[&str]) -> (String, Vec<String>, usize, Option<usize>) {
    let set = open(folder(names).path()).unwrap();
    (set.form, set.train.classes().to_vec(), set.train.len(), set.test.map(|test| test.len()))
}

/// The error of a [`folder`].
fn refused(names: &[&str]) -> String {
    let folder = folder(names);
    let error = open(folder.path()).unwrap_err().to_string();
    error.replace(folder.path().to_str().unwrap(), "DIR")
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

#[test]
fn parts_are_known_under_the_names_that_are_usual() {
    for [train, test] in [
        ["Train", "Test"],
        ["training_set", "test_set"],
        ["Training", "Testing"],
        ["tr", "val"],
        ["TRAIN", "Validation"],
        ["train_set", "dev"],
        ["Training-Set", "eval"],
        ["train2017", "val2017"],
    ] {
        let files = ["a/1.png", "b/1.png", "b/2.png"].map(|name| format!("{train}/{name}"));
        let mut names: Vec<&str> = files.iter().map(String::as_str).collect();
        let in_test = format!("{test}/a/1.png");
        names.push(&in_test);
        let want = format!("image folders; taken as training set: {train}, as test set: {test}");
        assert_eq!(form(&names), (want, strings(&["a", "b"]), 3, Some(1)));
    }
}

#[test]
fn doubled_folders_and_folders_around_a_part_are_passed_through() {
    let folder = folder(&[
        "seg_train/seg_train/a/1.png",
        "seg_train/seg_train/b/1.png",
        "seg_test/seg_test/a/1.png",
        "seg_pred/seg_pred/1.png",
        "seg_pred/seg_pred/2.png",
    ]);
    let set = open(folder.path()).unwrap();
    assert_eq!(set.form, "image folders; taken as training set: seg_train, as test set: seg_test");
    assert_eq!((set.train.classes(), set.train.len()), (&strings(&["a", "b"])[..], 2));
    assert_eq!(set.test.map(|test| test.label(0)), Some(0));
    assert_eq!(set.passed_over.to_string(), "2 images in folders that are not used (2 seg_pred)");
    let (_, classes, ..) = form(&["train/images/a/1.png", "train/images/b/1.png", "val/images/b/1.png"]);
    assert_eq!(classes, ["a", "b"]);
}

#[test]
fn test_images_without_labels_are_not_used() {
    let train = ["train/a/1.png", "train/b/1.png"];
    for test in ["test/1.png", "test/test/1.png", "test/unknown/1.png", "test/images/1.png"] {
        let (form, _, images, tests) = form(&[train[0], train[1], test]);
        let remark = "not used: test, whose 1 image has no labels";
        let want = format!("image folders; taken as training set: train, no test set; {remark}");
        assert_eq!((form, images, tests), (want, 2, None), "{test}");
    }
    let (with_val, .., tests) = form(&[train[0], train[1], "val/b/1.png", "test/1.png"]);
    let want = "image folders; taken as training set: train, as test set: val; not used: test";
    assert_eq!((with_val.as_str(), tests), (want, Some(1)));
    let remark = "not used: val, whose 1 image has no labels";
    let want = format!("image folders; taken as training set: train, as test set: test; {remark}");
    assert_eq!(form(&[train[0], train[1], "val/1.png", "test/b/1.png"]).0, want);
}

#[test]
fn folders_that_look_like_parts_are_classes_only_by_choice() {
    let advice = "if these folders are classes, say so by --classes-from folders (ClassesFrom::Folders)";
    let loose = "DIR/Train: expected a folder of images for each class, got images alone there and no folders with images";
    assert_eq!(refused(&["Train/1.png", "Test/1.png"]), format!("{loose}; {advice}"));
    let none =
        "DIR: expected a folder for the training set beside others (train, training, training_set, ...), got";
    assert_eq!(refused(&["val/a/1.png", "test/a/1.png"]), format!("{none} val and test; {advice}"));
    let two = "DIR: expected one folder for the training set, got Training and train";
    assert_eq!(refused(&["train/a/1.png", "Training/a/1.png"]), format!("{two}; {advice}"));
    let within = "DIR: expected a folder for training, beside one for the test, got a there and in test";
    assert_eq!(refused(&["a/1.png", "b/1.png", "test/a/1.png"]), format!("{within}; {advice}"));

    let folder = folder(&["tr/1.png", "te/1.png", "de/1.png"]);
    let countries = open_with(folder.path(), ClassesFrom::Folders).unwrap();
    assert_eq!(countries.train.classes(), ["de", "te", "tr"]);
    // One alone is a class, and that is said.
    let want = "an image folder, not divided; taken as a class: train";
    assert_eq!(form(&["bus/1.png", "train/1.png"]), (want.into(), strings(&["bus", "train"]), 2, None));
}

#[test]
fn one_training_folder_is_not_divided_further() {
    let want = "image folders; taken as training set: train, no test set";
    assert_eq!(form(&["train/a/1.png", "train/b/1.png"]), (want.into(), strings(&["a", "b"]), 2, None));
}

#[test]
fn empty_folders_are_no_classes_in_any_part() {
    let folder = folder(&["train/a/1.png", "train/b/1.png", "val/a/1.png"]);
    for empty in ["train/c", "val/b", "val/d"] {
        fs::create_dir_all(folder.path().join(empty)).unwrap();
    }
    let set = open(folder.path()).unwrap();
    assert_eq!((set.train.classes(), set.test.unwrap().len()), (&strings(&["a", "b"])[..], 1));
    assert_eq!(set.passed_over.to_string(), "3 folders without images (b, c, d)");
}

#[test]
fn a_test_archive_without_labels_is_not_used() {
    let folder = TempDir::new().unwrap();
    let d = dot(1);
    let train = tar(&[("n01443537/1.JPEG", &d), ("n02123045/1.JPEG", &d)]);
    let test = tar(&[("1.JPEG", &d), ("2.JPEG", &d)]);
    write(folder.path(), &[("train.tar", &train), ("test.tar", &test)]);
    let set = open(folder.path()).unwrap();
    let remark = "not used: test.tar, whose 2 images have no labels";
    assert_eq!(set.form, format!("ILSVRC2012's form: train.tar; {remark}"));
    assert!(set.test.is_none());
    write(folder.path(), &[("test.tar", &tar(&[("n02123045/1.JPEG", &d)]))]);
    let set = open(folder.path()).unwrap();
    assert_eq!((set.form.as_str(), set.test.unwrap().len()), ("ILSVRC2012's form: train.tar, test.tar", 1));
}
