//! One bad entry of a folder or archive is one bad entry.

use super::tests::{contents, of};
use super::*;
use crate::testing::{dot, entry, tar, write};
use std::fs;
use tempfile::TempDir;

/// The counts of what was passed over, in a line.
fn passed_over(path: &Path) -> String {
    ImageFiles::by_folder(path).unwrap().passed_over().to_string()
}

#[test]
fn images_are_read_by_content_under_any_ending_or_none() {
    let folder = TempDir::new().unwrap();
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(2, 2).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let names = ["1.jpg", "2.jpe", "3.jfif", "4.JPG", "5.jpeg_large", "6.jpg.1", "7", "8.img", "9.gif"];
    let images = names.iter().map(|name| (format!("a/{name}"), &*jpeg));
    let others: [(&str, &[u8]); 5] = [
        ("a/x.gif", b"GIF89a"),
        ("a/x.tif", b"II*\0"),
        ("a/y.TIF", b"II*\0"),
        ("a/empty", b""),
        ("a/labels.csv", b"1,2"),
    ];
    let files: Vec<_> = images.chain(others.map(|(name, content)| (name.into(), content))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (&**name, *content)).collect();
    write(folder.path(), &files);
    let archive = folder.path().join(".set.tar");
    fs::write(&archive, tar(&files)).unwrap();
    for path in [folder.path(), &archive] {
        let set = ImageFiles::by_folder(path).unwrap();
        assert_eq!(set.len(), names.len());
        (0..set.len())
            .for_each(|i| assert_eq!(set.picture(i).unwrap().shape(), [1, 2, 2], "{}", set.name(i)));
        assert_eq!(set.passed_over().count(Reason::OtherKind), 5);
    }
    let line = "5 files of other kinds (2 .tif, 1 without ending, 1 .csv, 1 .gif)";
    assert_eq!(passed_over(&archive), line);
    assert_eq!(passed_over(folder.path()), format!("{line}, 1 hidden entry (1 .set.tar)"));
}

#[test]
fn leftovers_of_other_programs_and_empty_folders_are_as_if_absent() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (dot(1), dot(2));
    let files: [(&str, &[u8]); 11] = [
        ("ants/1.png", &one),
        ("bees/2.png", &two),
        ("__MACOSX/ants/._1.png", b"x"),
        ("ants/._1.png", b"x"),
        ("ants/Thumbs.db", b"x"),
        ("ants/@eaDir/1.png/SYNOPHOTO_THUMB_S.jpg", b"\xff\xd8\xff"),
        ("ants/.DS_Store", b"x"),
        ("$RECYCLE.BIN/desktop.ini", b"x"),
        ("bees/.ipynb_checkpoints/2-checkpoint.png", b"x"),
        ("wasps/notes.txt", b"x"),
        ("bees/3.png.part", b"x"),
    ];
    write(folder.path(), &files);
    let archive = folder.path().join("set.tar");
    fs::write(&archive, tar(&files)).unwrap();
    let line = "1 file of another kind (1 .txt), 5 leftovers of other programs (1 $RECYCLE.BIN, 1 .part, 1 @eaDir, \
                1 Thumbs.db, 1 __MACOSX), 3 hidden entries (1 .DS_Store, 1 ._*, 1 .ipynb_checkpoints)";
    assert_eq!(passed_over(&archive), line);
    fs::remove_file(&archive).unwrap();
    assert_eq!(passed_over(folder.path()), format!("{line}, 1 folder without images (wasps)"));
    let set = ImageFiles::by_folder(folder.path()).unwrap();
    assert_eq!(contents(&set), [of("ants", 1, "1.png"), of("bees", 2, "2.png")]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles_nor_to_nowhere() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().unwrap();
    let (path, elsewhere) = (folder.path().join("set"), folder.path().join("elsewhere"));
    write(&elsewhere, &[("1.png", &dot(1))]);
    write(&path, &[("a/2.png", &dot(2))]);
    symlink(&elsewhere, path.join("b")).unwrap();
    assert_eq!(contents(&ImageFiles::by_folder(&path).unwrap()), [of("a", 2, "2.png"), of("b", 1, "1.png")]);
    assert_eq!(passed_over(&path), "");
    symlink(&path, path.join("a/up")).unwrap();
    symlink("nowhere", path.join("a/dangling.png")).unwrap();
    symlink("nowhere", path.join("a/dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("a/socket.png")).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    assert_eq!(contents(&set), [of("a", 2, "2.png"), of("b", 1, "1.png")]);
    let line = "2 links that lead nowhere (1 without ending, 1 .png), 1 link to a folder around it (1 without ending), \
                1 device or the like (1 .png)";
    assert_eq!(set.passed_over().to_string(), line);
}

#[test]
fn links_of_an_archive_stand_for_files_in_it_and_other_kinds_are_passed_over() {
    let link = |kind: u8, name: &str, target: &str| {
        let bytes = entry(kind, name, 0, b"");
        let mut header = tar::Header::from_byte_slice(&bytes).clone();
        header.set_link_name_literal(target).unwrap();
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let png = dot(7);
    let bytes = [
        entry(b'0', "a/1.png", png.len() as u64, &png),
        link(b'1', "b/hard.png", "a/1.png"),
        link(b'2', "b/soft.png", "../a/./1.png"),
        link(b'2', "b/out.png", "../../etc/passwd"),
        link(b'2', "b/absolute.png", "/a/1.png"),
        link(b'1', "b/none.png", "a/2.png"),
        entry(b'3', "b/device.png", 0, b""),
        entry(b'6', "b/fifo", 0, b""),
        vec![0; 1024],
    ]
    .concat();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    fs::write(&path, bytes).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    assert_eq!(contents(&set), [of("a", 7, "1.png"), of("b", 7, "hard.png"), of("b", 7, "soft.png")]);
    let line = "3 links that lead nowhere (3 .png), 2 devices or the like (1 without ending, 1 .png)";
    assert_eq!(set.passed_over().to_string(), line);
}

#[test]
fn of_two_entries_of_a_name_the_later_one_counts() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    fs::write(&path, tar(&[("a/1.png", &dot(1)), ("a/2.png", &dot(2)), ("./a//1.png", &dot(3))])).unwrap();
    let set = ImageFiles::by_folder(&path).unwrap();
    assert_eq!(contents(&set), [of("a", 3, "1.png"), of("a", 2, "2.png")]);
    assert_eq!(set.passed_over().to_string(), "1 entry with a newer one of its name (1 .png)");
}

/// Names are bytes to most systems: archives unpacked on another one have such names.
#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_kept_as_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let names: [&[u8]; 3] = [b"caf\xe9/\xe8.png", b"caf\xe9/\xe9.png", b"th\xe9/1.png"];
    let mut archive = Vec::new();
    for (name, shade) in names.iter().zip(1..) {
        let path = folder.path().join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, dot(shade)).unwrap();
        let png = dot(shade);
        let mut bytes = entry(b'0', &"x".repeat(name.len()), png.len() as u64, &png);
        let mut header = tar::Header::from_byte_slice(&bytes[..512]).clone();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        archive.extend(bytes);
    }
    archive.extend([0; 1024]);
    let path = folder.path().join(".set.tar");
    fs::write(&path, archive).unwrap();
    for path in [folder.path(), &path] {
        let set = ImageFiles::by_folder(path).unwrap();
        assert_eq!(set.classes(), [r"caf\xe9", r"th\xe9"]);
        let shades: Vec<u8> = (0..3).map(|i| set.picture(i).unwrap().data()[0]).collect();
        assert_eq!(shades, [1, 2, 3]);
        assert!(set.name(1).ends_with(r"caf\xe9/\xe9.png"), "{}", set.name(1));
        assert_ne!(set.stamp(0).name, set.stamp(1).name);
    }
}

#[test]
fn names_of_classes_are_bounded() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    let long = "x".repeat(300);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(dot(1).len() as u64);
    archive.append_data(&mut header, format!("{long}/1.png"), &dot(1)[..]).unwrap();
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    let error = ImageFiles::by_folder(&path).unwrap_err().to_string();
    let start = "x".repeat(40);
    let want =
        format!("expected names of classes of at most 255 bytes, got \"{start}\" and 300 bytes in all");
    assert_eq!(error, format!("{}: {want}", path.display()));
}
