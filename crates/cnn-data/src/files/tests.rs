use super::*;
use crate::testing::{dot, entry, tar, write};
use std::fs;
use tempfile::TempDir;

/// The class, the shade and the last part of the name of each image.
pub(super) fn contents(set: &ImageFiles) -> Vec<(String, u8, String)> {
    let content = |i| {
        let class = set.classes()[set.label(i) as usize].clone();
        let name = set.name(i).rsplit(['/', ' ']).next().unwrap().to_string();
        (class, set.picture(i).unwrap().data()[0], name)
    };
    (0..set.len()).map(content).collect()
}

pub(super) fn of(class: &str, shade: u8, name: &str) -> (String, u8, String) {
    (class.into(), shade, name.into())
}

#[test]
fn a_folder_has_a_class_for_each_folder_in_it() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        &[
            ("bees/z.PNG", &dot(1)),
            ("bees/deep/er/a.jpeg", &dot(2)),
            ("ants/b.png", &dot(3)),
            ("ants/notes.txt", b"no image"),
            ("ants/.hidden.png", &dot(9)),
            (".git/x.png", &dot(9)),
            ("loose.png", &dot(9)),
        ],
    );
    let set = ImageFiles::by_folder(folder.path()).unwrap();
    let want = [of("ants", 3, "b.png"), of("bees", 2, "a.jpeg"), of("bees", 1, "z.PNG")];
    assert_eq!(contents(&set), want);
    assert_eq!(set.name(0), folder.path().join("ants/b.png").display().to_string());
    assert_eq!(set.encoded(0).unwrap(), Some(dot(3)));
}

#[test]
fn unlabelled_images_are_all_there_are() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        &[("b/z.png", &dot(1)), ("a.png", &dot(2)), ("notes.txt", b"no image"), (".x.png", &dot(9))],
    );
    let set = ImageFiles::unlabelled(folder.path()).unwrap();
    let seen: Vec<_> = (0..set.len()).map(|i| (set.name(i), set.label(i))).collect();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].0.ends_with("a.png") && seen[1].0.ends_with("z.png") && seen[0].1 == 0, "{seen:?}");
    let empty = TempDir::new().unwrap();
    let message = ImageFiles::unlabelled(empty.path()).unwrap_err().to_string();
    assert!(message.contains("expected images, got none"), "{message}");
}

#[test]
fn an_archive_is_read_where_it_lies() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.tar");
    let long = format!("bees/{}.png", "x".repeat(150));
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in
        [("./bees/b.png", dot(1)), ("ants//a.png", dot(2)), (&long, dot(3)), ("ants/._a.png", vec![])]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &content[..]).unwrap();
    }
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    let long = long.rsplit_once('/').unwrap().1;
    assert_eq!(contents(&set), [of("ants", 2, "a.png"), of("bees", 1, "b.png"), of("bees", 3, long)]);
    assert_eq!(set.name(0), format!("{}: ants/a.png", path.display()));
    assert_eq!(set.path(), path);
}

#[test]
fn an_archive_within_an_archive_is_a_class() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("train.tar");
    let (a, b) = (tar(&[("a_0.png", &dot(1)), ("a_1.png", &dot(2))]), tar(&[("b_0.png", &dot(3))]));
    fs::write(&path, tar(&[("b.tar", &b), ("a.tar", &a)])).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    assert_eq!(contents(&set), [of("a", 1, "a_0.png"), of("a", 2, "a_1.png"), of("b", 3, "b_0.png")]);
    // A fault within the inner archive is named with its place in the outer one.
    let mut bytes = tar(&[("a.tar", &a)]);
    bytes[512 + 1024 + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = ImageFiles::by_folder(&path).unwrap_err().to_string();
    let fault = "at byte 1536 of the content: expected a sound entry of a tar archive, got archive header checksum mismatch";
    assert_eq!(error, format!("{}: {fault}", path.display()));
}

/// The error of an archive of these bytes, without its name.
fn fault(bytes: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    fs::write(&path, bytes).unwrap();
    let error = ImageFiles::by_folder(&path).unwrap_err().to_string();
    error.strip_prefix(&format!("{}: ", path.display())).unwrap().to_string()
}

#[test]
fn hostile_archives_are_refused() {
    let end = [0; 1024];
    let good = entry(b'0', "a/1.png", 3, b"png");
    let after_good = |bytes: &[u8]| fault(&[&good, bytes, &end].concat());
    let at = "at byte 1024 of the content: expected";

    let below = format!("{at} a name below the archive's folder, got");
    for name in ["/etc/a.png", "a/../../b.png", "..", "\\a.png", "C:/a.png", "a\\..\\b.png"] {
        assert_eq!(after_good(&entry(b'0', name, 0, b"")), format!("{below} {name:?}"));
    }
    for size in [1025u64, u64::MAX / 2] {
        let message = after_good(&entry(b'0', "a/2.png", size, b""));
        let got = format!("got {size} bytes of \"a/2.png\" where 1024 are left");
        assert_eq!(message, format!("{at} an entry within the archive, {got}"));
    }
    let message = after_good(&entry(b'0', "a/2.png", u64::MAX, b""));
    assert_eq!(message, format!("{at} a sound entry of a tar archive, got size overflow"));
}

#[test]
fn an_archive_that_was_cut_off_is_refused() {
    let whole = tar(&[("a/1.png", &dot(1)), ("a/2.png", &dot(2))]);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.tar"), &whole).unwrap();
    assert_eq!(ImageFiles::by_folder(folder.path().join("a.tar")).unwrap().len(), 2);
    for cut in (128..=whole.len() - 1024).step_by(128) {
        fault(&whole[..cut]);
    }
    let zeros = "expected the block of zeros that ends a tar archive, got the end of the file: it may have been cut off";
    assert_eq!(fault(&whole[..2048]), format!("at byte 2048 of the content: {zeros}"));
    let size = dot(2).len();
    let within =
        format!("expected an entry within the archive, got {size} bytes of \"a/2.png\" where 10 are left");
    assert_eq!(fault(&whole[..1546]), format!("at byte 1024 of the content: {within}"));
    for (start, kind) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0"[..], "a file compressed with gzip: unpack it first"),
        (b"PK\x03\x04", "a ZIP archive: unpack it first"),
        (b"<!DOCTYPE html><html>", "an HTML page: a server's answer in place of the file?"),
        (b"\x08\x07\x12\x07pytorch", "an ONNX model"),
        (b"\x80\x04\x95\x10\0\0\0", "a Python pickle"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"", "an empty file"),
    ] {
        assert_eq!(
            fault(start),
            format!("expected a folder of images, or a plain tar archive of them, got {kind}")
        );
    }
    let other = fault(&[7; 2048]);
    assert!(
        other.starts_with("at byte 0 of the content: expected a sound entry of a tar archive, got "),
        "{other}"
    );
}

#[test]
fn a_file_that_shrinks_later_is_an_error_of_its_images() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    fs::write(&path, tar(&[("a/1.png", &dot(1)), ("a/2.png", &dot(2))])).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1100).unwrap();
    assert!(set.picture(0).is_ok());
    let fault = "at byte 1536 of the content: expected an entry, got the end of the file within it";
    assert_eq!(set.picture(1).unwrap_err().to_string(), format!("{}: {fault}", path.display()));
}

#[test]
fn a_faulty_image_is_an_error_of_that_picture_alone() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        &[("a/1.png", &dot(1)), ("a/2.jpg", b"\xff\xd8\xff\xe0 cut off"), ("a/3.png", &dot(3))],
    );
    let set = ImageFiles::by_folder(folder.path()).unwrap();
    assert!(set.picture(0).is_ok() && set.picture(2).is_ok());
    let path = folder.path().join("a/2.jpg");
    let fault =
        "expected a sound JPEG image, got a fault: the end of the file after 12 bytes, before the pixels";
    assert_eq!(set.picture(1).unwrap_err().to_string(), format!("{}: {fault}", path.display()));
    fs::remove_file(folder.path().join("a/3.png")).unwrap();
    let error = set.picture(2).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: cannot open: ", folder.path().join("a/3.png").display())),
        "{error}"
    );
}

#[test]
fn folders_without_classes_or_images_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let error = || ImageFiles::by_folder(path).unwrap_err().to_string();
    let place = path.display();
    let expected = format!("{place}: expected a folder of images for each class");
    assert_eq!(error(), format!("{expected}, got no images"));
    write(path, &[("a/b.gif", b"GIF89a"), ("photos.zip", b"PK")]);
    let passed = "2 files of other kinds (1 .gif, 1 .zip)";
    assert_eq!(error(), format!("{expected}, got no images; passed over: {passed}"));
    write(path, &[("loose.png", &dot(1))]);
    assert_eq!(error(), format!("{expected}, got 1 image and no folders with images; passed over: {passed}"));
    let absent = ImageFiles::by_folder(path.join("absent")).unwrap_err().to_string();
    assert!(absent.starts_with(&format!("{}: cannot open: ", path.join("absent").display())), "{absent}");
}

#[test]
fn many_threads_read_one_archive() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    let images: Vec<(String, Vec<u8>)> = (0..200).map(|i| (format!("c/{i:03}.png"), dot(i))).collect();
    let files: Vec<(&str, &[u8])> = images.iter().map(|(name, png)| (&**name, &**png)).collect();
    fs::write(&path, tar(&files)).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let set = &set;
            scope.spawn(move || {
                for i in (start..200).step_by(3) {
                    assert_eq!(set.picture(i).unwrap().data(), [i as u8]);
                }
            });
        }
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(100))]

    #[test]
    fn a_damaged_archive_is_an_error_or_lists_what_is_there(
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..6),
    ) {
        let inner = tar(&[("x.png", &dot(5)), ("y.png", &dot(6))]);
        let mut bytes = tar(&[("a/1.png", &dot(1)), ("b.tar", &inner), ("c/2.png", &dot(2))]);
        damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.tar");
        fs::write(&path, &bytes).unwrap();
        match ImageFiles::by_folder(&path) {
            Ok(set) => (0..set.len()).for_each(|i| drop(set.picture(i))),
            Err(error) => proptest::prop_assert!(!error.to_string().contains('\n'), "{}", error),
        }
    }
}
