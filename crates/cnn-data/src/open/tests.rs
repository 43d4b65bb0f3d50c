use super::*;
use crate::testing::{dot, tar, write};
use crate::{PackOptions, pack};
use tempfile::TempDir;

/// The form, the number of classes, and of training and test images.
fn parts(path: &Path) -> (String, usize, usize, Option<usize>) {
    let set = open(path).unwrap();
    (set.form, set.train.classes().len(), set.train.len(), set.test.map(|test| test.len()))
}

fn message(folder: &TempDir) -> String {
    let error = open(folder.path()).unwrap_err().to_string();
    error.replace(folder.path().to_str().unwrap(), "DIR")
}

#[test]
fn image_folders_are_found_divided_or_not_and_with_a_folder_around() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let d = dot(1);
    write(path, &[("around/train/a/1.png", &d), ("around/train/b/1.png", &d), ("around/val/b/2.png", &d)]);
    let want = ("image folders; taken as training set: train, as test set: val".to_string(), 2, 2, Some(1));
    assert_eq!(parts(path), want);
    assert_eq!(parts(&path.join("around")), want);
    assert_eq!(open(path).unwrap().test.unwrap().label(0), 1);
    assert_eq!(parts(&path.join("around/train")), ("an image folder, not divided".into(), 2, 2, None));

    write(path, &[("around/val/c/2.png", &d)]);
    let unknown = "expected a folder for each of the 2 classes, got \"c\", which is not one of them";
    assert_eq!(message(&folder), format!("DIR/around/val: {unknown}"));
}

#[test]
fn an_archive_is_arranged_as_a_folder_would_be() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.tar");
    let d = dot(1);
    write(folder.path(), &[("set.tar", &tar(&[("x/train/a/1.png", &d), ("x/test/a/2.png", &d)]))]);
    assert_eq!(
        parts(&path),
        ("image folders; taken as training set: train, as test set: test".into(), 1, 1, Some(1))
    );
    write(folder.path(), &[("set.tar", &tar(&[("n01440764_tench.jpg", &d)]))]);
    assert_eq!(parts(&path), ("images named by synset, not divided".into(), 1000, 1, None));
    write(folder.path(), &[("set.tar", &tar(&[("n01440764/1.jpg", &d), ("n15075141/1.jpg", &d)]))]);
    assert_eq!(open(&path).unwrap().train.classes()[0], "tench, Tinca tinca");
    let error = message(&folder);
    let expected = "DIR: expected one archive *train*.tar or a folder train";
    assert_eq!(error, format!("{expected}, got set.tar: to use one archive alone, name the archive itself"));
}

#[test]
fn the_form_of_ilsvrc2012_is_told_by_names() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let d = dot(1);
    let train =
        tar(&[("n01443537.tar", &tar(&[("1.JPEG", &d)])), ("n02123045.tar", &tar(&[("1.JPEG", &d)]))]);
    let val = tar(&[("1.JPEG", &d), ("2.JPEG", &d)]);
    write(path, &[("T_img_train.tar", &train), ("t_img_val.tar", &val), ("val_ground_truth.txt", b"2\n1\n")]);
    write(path, &[("synsets.txt", b"n01443537\nn02123045\n")]);
    let files = "T_img_train.tar, t_img_val.tar, val_ground_truth.txt, synsets.txt";
    assert_eq!(parts(path), (format!("ILSVRC2012's form: {files}"), 2, 2, Some(2)));
    assert_eq!(open(path).unwrap().test.unwrap().label(0), 1);

    write(path, &[("other_val.tar", &val)]);
    assert_eq!(message(&folder), "DIR: expected one file *val*.tar, got 2: other_val.tar, t_img_val.tar");
    fs::remove_file(path.join("other_val.tar")).unwrap();
    fs::remove_file(path.join("val_ground_truth.txt")).unwrap();
    let needs =
        "expected a folder for each synset, or a ground truth, got 2 images and no file of ground truth";
    assert_eq!(message(&folder), format!("DIR/t_img_val.tar: {needs}"));

    // Unpacked: folders in place of archives.
    fs::remove_file(path.join("T_img_train.tar")).unwrap();
    fs::remove_file(path.join("t_img_val.tar")).unwrap();
    write(path, &[("train/n01443537/1.JPEG", &d), ("val/1.JPEG", &d), ("val_ground_truth.txt", b"1\n")]);
    assert_eq!(
        parts(path),
        ("ILSVRC2012's form: train, val, val_ground_truth.txt, synsets.txt".into(), 2, 1, Some(1))
    );
}

#[test]
fn packed_folders_are_found() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    write(path, &[("set/a/1.png", &dot(1)), ("set/b/1.png", &dot(2)), ("other/c/1.png", &dot(2))]);
    let packed = |from: &str, to: &str| {
        let set = ImageFiles::by_folder(path.join(from)).unwrap();
        pack(&set, path.join(to), &PackOptions::default(), |_| {}).unwrap();
    };
    packed("set", "p/train");
    assert_eq!(parts(&path.join("p/train")), ("packed images, not divided".into(), 2, 2, None));
    packed("set", "p/val");
    let form = "packed images; taken as training set: train, as test set: val";
    assert_eq!(parts(&path.join("p")), (form.into(), 2, 2, Some(2)));
    packed("other", "q/val");
    packed("set", "q/train");
    let error = open(path.join("q")).unwrap_err().to_string();
    let (train, val) = (path.join("q/train"), path.join("q/val"));
    assert_eq!(
        error,
        format!("{}: expected the 2 classes of {}, got 1 others", val.display(), train.display())
    );
}

#[test]
fn other_things_than_data_sets_are_named() {
    let folder = TempDir::new().unwrap();
    assert_eq!(
        message(&folder),
        "DIR: expected a folder of images for each class, or images named SYNSET_name, got none"
    );
    let absent = open(folder.path().join("absent")).unwrap_err().to_string();
    assert!(absent.contains("absent: cannot open: "), "{absent}");
}
