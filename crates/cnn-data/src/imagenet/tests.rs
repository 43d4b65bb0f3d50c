use super::*;
use crate::Dataset;
use crate::testing::{dot, tar, write};
use std::fs;
use tempfile::TempDir;

#[test]
fn the_list_has_a_thousand_sorted_synsets() {
    assert_eq!((synsets().len(), classes().len()), (1000, 1000));
    assert!(synsets().is_sorted() && synsets().iter().all(|id| is_synset(id)));
    assert_eq!(
        (synsets()[999], classes()[999]),
        ("n15075141", "toilet tissue, toilet paper, bathroom tissue")
    );
    assert_eq!((words("n01443537"), words("n00000000")), (Some("goldfish, Carassius auratus"), None));
}

/// Two classes, listed in the order that is not sorted.
const LIST: &str = "n02123045 tabby\nn01443537\n";

/// A validation archive of three images, and its ground truth.
fn validation_set(truth: &str) -> (TempDir, Result<ImageFiles, DataError>) {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let (a, b, c) = (dot(1), dot(2), dot(3));
    // Not in the order of their names.
    write(
        path,
        &[
            ("val.tar", &tar(&[("3.JPEG", &c), ("1.JPEG", &a), ("2.JPEG", &b)])),
            ("truth.txt", truth.as_bytes()),
        ],
    );
    let synsets = Synsets::parse("list.txt".as_ref(), LIST).unwrap();
    let set = validation(path.join("val.tar"), Some(&path.join("truth.txt")), &synsets);
    (folder, set)
}

#[test]
fn a_ground_truth_numbers_the_lines_of_the_list_and_labels_are_sorted() {
    let (_folder, set) = validation_set("1\n2\r\n 1 \n\n");
    let set = set.unwrap();
    assert_eq!(set.classes(), ["goldfish, Carassius auratus", "tabby"]);
    let seen: Vec<_> = (0..3).map(|i| (set.picture(i).unwrap().data()[0], set.label(i))).collect();
    assert_eq!(seen, [(1, 1), (2, 0), (3, 1)]);
}

#[test]
fn a_ground_truth_that_does_not_fit_is_refused() {
    let message = |truth: &str| {
        let (folder, set) = validation_set(truth);
        set.unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(message("1\n2\n"), "truth.txt: expected 3 labels, one for each image of val.tar, got 2");
    let number = "expected a number from 1 to 2, a line of the list of synsets, got";
    assert_eq!(message("1\n0\n1\n"), format!("truth.txt: at byte 2 of the content: {number} \"0\""));
    assert_eq!(message("1\n1\n3\n"), format!("truth.txt: at byte 4 of the content: {number} \"3\""));
    assert_eq!(
        message("a.JPEG 65\n"),
        format!("truth.txt: at byte 0 of the content: {number} \"a.JPEG 65\"")
    );
}

#[test]
fn validation_images_need_folders_or_a_ground_truth() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let message = || validation(path, None, &Synsets::default()).unwrap_err().to_string();
    assert_eq!(
        message(),
        format!("{}: expected images (.jpg .jpeg .png .webp .bmp), got none", path.display())
    );
    write(path, &[("1.JPEG", &dot(1))]);
    let needs =
        "expected a folder for each synset, or a ground truth, got 1 images and no file of ground truth";
    assert_eq!(message(), format!("{}: {needs}", path.display()));
    fs::remove_file(path.join("1.JPEG")).unwrap();
    write(path, &[("n01443537/1.JPEG", &dot(1))]);
    let set = validation(path, None, &Synsets::default()).unwrap();
    assert_eq!((set.len(), set.label(0), set.classes().len()), (1, 1, 1000));
}

/// Its ground truth has the numbers of the development kit, which are not those of the sorted synsets.
#[test]
fn the_challenge_itself_needs_a_list() {
    let check = |images, synsets: &Synsets| check_numbering(images, "truth.txt".as_ref(), synsets);
    let expected = "expected a list of synsets in the order of ILSVRC2012_ID beside it, as its numbers follow the \
                    development kit";
    let got = "got no list, and sorted synsets would be other classes";
    let error = check(50_000, &Synsets::default()).unwrap_err().to_string();
    assert_eq!(error, format!("truth.txt: {expected}, {got}"));
    let list: String = synsets().iter().rev().map(|id| format!("{id}\n")).collect();
    let list = Synsets::parse("list".as_ref(), &list).unwrap();
    assert!(check(50_000, &list).is_ok() && check(1000, &Synsets::default()).is_ok());
    assert_eq!(
        (list.class(1), list.class(1000), list.class(0), list.class(1001)),
        (Some(999), Some(0), None, None)
    );
}

#[test]
fn training_archives_hold_an_archive_for_each_synset() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("train.tar");
    let inner = tar(&[("n01443537_1.JPEG", &dot(1))]);
    fs::write(&path, tar(&[("n01443537.tar", &inner)])).unwrap();
    let set = train(&path, &Synsets::parse("list.txt".as_ref(), LIST).unwrap()).unwrap();
    assert_eq!((set.len(), set.label(0), set.class_counts()), (1, 0, vec![1, 0]));
    assert_eq!(set.name(0), format!("{}: n01443537/n01443537_1.JPEG", path.display()));
    let one = Synsets::parse("list.txt".as_ref(), "n02123045").unwrap();
    let error = train(&path, &one).unwrap_err().to_string();
    let unknown = "expected a folder for the 1 class, got \"n01443537\", which is not one of them";
    assert_eq!(error, format!("{}: {unknown}", path.display()));
}

#[test]
fn images_named_by_synset_are_of_the_thousand_classes() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        &[("n01440764_tench.jpg", &dot(1)), ("n15075141_x.png", &dot(2)), ("readme.txt", b"")],
    );
    let set = by_name(folder.path()).unwrap();
    assert_eq!((set.label(0), set.label(1), set.classes()[0].as_str()), (0, 999, "tench, Tinca tinca"));
    write(folder.path(), &[("photo.jpg", &dot(1))]);
    let error = by_name(folder.path()).unwrap_err().to_string();
    let expected = "expected a folder of images for each class, or images named SYNSET_name, of ILSVRC2012's 1000 synsets, \
                    got \"photo.jpg\"";
    assert_eq!(error, format!("{}: {expected}", folder.path().display()));
}

#[test]
fn lists_that_are_none_are_refused() {
    let message = |text: &str| Synsets::parse("list.txt".as_ref(), text).unwrap_err().to_string();
    let at = |offset| format!("list.txt: at byte {offset} of the content: expected");
    assert_eq!(message("n01443537\ncat\n"), format!("{} a synset, n and 8 digits, got \"cat\"", at(10)));
    assert_eq!(
        message("n01443537 a\nn01443537 b\n"),
        format!("{} each synset once, got \"n01443537\"", at(12))
    );
    assert_eq!(message("\n \n"), "list.txt: expected a line for each synset, got none");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("list.txt");
    fs::write(&path, b"n0144\xff").unwrap();
    let error = Synsets::read(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: at byte 5 of the content: expected text in UTF-8, got other bytes", path.display())
    );
}
