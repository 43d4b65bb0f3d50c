//! Files that are missing, broken or lying: each is one clear line, and none takes more memory than it holds.

use cnn_data::{DataError, Dataset, Digit, Emnist, IdxFile, MnistFamily, Split};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An IDX file of unsigned bytes with this header and this content, true or not.
fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn parse(bytes: &[u8]) -> Result<IdxFile, DataError> {
    IdxFile::parse(Path::new("a.idx"), bytes, 1 << 20)
}

#[track_caller]
fn assert_fault(bytes: &[u8], message: &str) {
    assert_eq!(parse(bytes).unwrap_err().to_string(), format!("a.idx: {message}"));
}

#[test]
fn plain_and_gzip_are_told_by_content_not_by_name() {
    let folder = TempDir::new().unwrap();
    let content = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    let want = IdxFile { dims: vec![2, 3], data: vec![1, 2, 3, 4, 5, 6] };
    for (name, bytes) in [("plain.gz", content.clone()), ("packed", gzip(&content))] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(IdxFile::read(path).unwrap(), want);
    }
    // As gzip joins files: two members, one content.
    let parts = [gzip(&content[..7]), gzip(&content[7..])].concat();
    assert_eq!(parse(&parts).unwrap(), want);
}

#[test]
fn arrays_without_elements_are_arrays() {
    assert_eq!(parse(&idx(&[0], &[])).unwrap(), IdxFile { dims: vec![0], data: vec![] });
    for dims in [vec![u32::MAX, 0, u32::MAX], vec![u32::MAX, u32::MAX, u32::MAX, 0]] {
        let message = parse(&idx(&dims, &[])).unwrap_err().to_string();
        let expected = format!("dimensions of at most 1048576 elements in all, got {dims:?}");
        assert_eq!(message, format!("a.idx: at byte 4 of the content: expected {expected}"));
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("absent");
    let message = IdxFile::read(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: cannot open: ", path.display())), "{message}");
    let message = Digit::read(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: cannot open: ", path.display())), "{message}");
}

#[test]
fn a_header_that_ends_early_is_named_with_its_end() {
    let magic = "expected an IDX magic number of 4 bytes";
    assert_fault(&[], &format!("at byte 0 of the content: {magic}, got the end after 0"));
    assert_fault(&[0, 0, 8], &format!("at byte 3 of the content: {magic}, got the end after 3"));
    assert_fault(&gzip(&[]), &format!("at byte 0 of the content: {magic}, got the end after 0"));
    let header = &idx(&[1, 28, 28], &[])[..13];
    assert_fault(header, "at byte 13 of the content: expected 3 dimensions of 4 bytes, got the end after 9");
}

#[test]
fn a_file_of_another_kind_is_named_with_what_it_starts_with() {
    let magic = "an IDX magic number, 00 00 08 and the number of dimensions";
    let at = format!("at byte 0 of the content: expected {magic}, got");
    assert_fault(b"\x89PNG....", &format!("{at} 89 50 4e 47"));
    assert_fault(b"\x89PNG\r\n\x1a\n", &format!("{at} a PNG image"));
    assert_fault(
        &gzip(b"<!DOCTYPE html>"),
        &format!("{at} an HTML page: a server's answer in place of the file?"),
    );
    assert_fault(b"PK\x03\x04....", &format!("{at} a ZIP archive: unpack it first"));
    let byte = "elements of type 0x08 (unsigned byte)";
    assert_fault(
        &[0, 0, 0x0d, 3, 0, 0],
        &format!("at byte 2 of the content: expected {byte}, got type 0x0d (32-bit float)"),
    );
    assert_fault(
        &[0, 0, 0x01, 3, 0, 0],
        &format!("at byte 2 of the content: expected {byte}, got type 0x01 (unknown)"),
    );
    assert_fault(&idx(&[], &[7]), "at byte 3 of the content: expected 1 to 4 dimensions, got 0");
    assert_fault(&idx(&[1; 5], &[7]), "at byte 3 of the content: expected 1 to 4 dimensions, got 5");
}

#[test]
fn data_that_ends_early_is_named_with_its_end() {
    let fault = "at byte 15 of the content: expected 10 bytes of data from byte 8 on, got the end after 7";
    assert_fault(&idx(&[10], &[1; 7]), fault);
    assert_fault(&gzip(&idx(&[10], &[1; 7])), fault);
}

#[test]
fn a_promise_beyond_the_limit_is_refused_at_once() {
    let huge = u32::MAX;
    assert_fault(
        &idx(&[huge, 28, 28], &[1; 100]),
        "at byte 4 of the content: expected dimensions of at most 1048576 elements in all, got [4294967295, 28, 28]",
    );
    // A product of 2^128, nearly.
    assert_fault(
        &idx(&[huge; 4], &[]),
        "at byte 4 of the content: expected dimensions of at most 1048576 elements in all, \
         got [4294967295, 4294967295, 4294967295, 4294967295]",
    );
}

/// With room for 2^64 - 1 bytes nothing is refused beforehand, and the promise must not be allocated either.
#[test]
fn a_promise_is_not_memory() {
    let parse = |bytes: &[u8]| IdxFile::parse(Path::new("a.idx"), bytes, u64::MAX).unwrap_err().to_string();
    let (images, huge) = (0xffff_ffff_u64, u32::MAX);
    assert_eq!(
        parse(&idx(&[huge, 28, 28], &[1; 100])),
        format!(
            "a.idx: at byte 116 of the content: expected {} bytes of data from byte 16 on, got the end after 100",
            images * 28 * 28
        )
    );
    assert_eq!(
        parse(&gzip(&idx(&[huge, huge], &[1; 100]))),
        format!(
            "a.idx: at byte 112 of the content: expected {} bytes of data from byte 12 on, got the end after 100",
            images * images
        )
    );
}

#[test]
fn bytes_after_the_data_are_an_error() {
    let fault = "at byte 18 of the content: expected 10 bytes of data, got more";
    assert_fault(&idx(&[10], &[1; 11]), fault);
    assert_fault(&gzip(&idx(&[10], &[1; 11])), fault);
}

/// The source counts what is taken from it: unpacking stops where the promise does.
#[test]
fn a_gzip_bomb_is_not_unpacked() {
    let bomb = gzip(&idx(&[10], &vec![0; 64 << 20]));
    let mut rest: &[u8] = &bomb;
    let error = IdxFile::parse(Path::new("bomb.gz"), &mut rest, 1 << 20).unwrap_err();
    assert_eq!(error.to_string(), "bomb.gz: at byte 18 of the content: expected 10 bytes of data, got more");
    assert!(rest.len() > bomb.len() / 2, "{} of {} bytes were not read", rest.len(), bomb.len());
}

#[test]
fn broken_gzip_is_named_with_how_far_it_went() {
    let good = gzip(&idx(&[10], &[1; 10]));
    let mut checksum = good.clone();
    checksum[good.len() - 8] ^= 1;
    assert_fault(
        &checksum,
        "at byte 18 of the content: expected sound gzip data, \
         got corrupt gzip stream does not have a matching checksum",
    );
    assert_fault(
        &good[..good.len() - 1],
        "at byte 18 of the content: expected sound gzip data, got unexpected end of file",
    );
    assert_fault(
        &good[..2],
        "at byte 0 of the content: expected sound gzip data, got unexpected end of file",
    );
    let mut trailing = good.clone();
    trailing.extend(b"junk that is no gzip");
    assert_fault(&trailing, "at byte 18 of the content: expected sound gzip data, got invalid gzip header");
}

/// A folder with the two training files of MNIST.
fn mnist_folder(images: &[u8], labels: &[u8]) -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (images_path, labels_path) = (path("train-images-idx3-ubyte"), path("train-labels.idx1-ubyte"));
    fs::write(&images_path, images).unwrap();
    fs::write(&labels_path, labels).unwrap();
    (folder, images_path, labels_path)
}

fn load(folder: &TempDir) -> Result<cnn_data::InMemoryDataset, DataError> {
    MnistFamily::Mnist.load(folder.path(), Split::Train)
}

#[test]
fn every_spelling_of_the_names_is_found() {
    let (folder, images_path, _) = mnist_folder(&idx(&[2, 28, 28], &[7; 2 * 784]), &idx(&[2], &[3, 9]));
    let set = load(&folder).unwrap();
    assert_eq!((set.len(), set.labels()), (2, &[3, 9][..]));
    // A folder of the name, as some archives have it, does not hide the file.
    fs::rename(&images_path, folder.path().join("train-images.idx3-ubyte.gz")).unwrap();
    fs::create_dir(images_path).unwrap();
    assert_eq!(load(&folder).unwrap().image(1), [7; 784]);
}

#[test]
fn a_folder_without_the_files_says_what_was_looked_for() {
    let folder = TempDir::new().unwrap();
    let error = MnistFamily::FashionMnist.load(folder.path(), Split::Test).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: expected t10k-images-idx3-ubyte.gz or t10k-images-idx3-ubyte or t10k-images.idx3-ubyte.gz or \
             t10k-images.idx3-ubyte, got none of them: install the Debian package dataset-fashion-mnist, or name \
             their folder with --data-dir",
            folder.path().display()
        )
    );
    let absent = folder.path().join("absent");
    let error = MnistFamily::Mnist.load(&absent, Split::Train).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: expected train-images", absent.display())), "{error}");
    assert!(error.ends_with("the project's repository has them in datasets/mnist"));
}

#[test]
fn a_label_out_of_range_is_named_with_its_place() {
    let (folder, _, labels) = mnist_folder(&idx(&[3, 28, 28], &[0; 3 * 784]), &idx(&[3], &[9, 0, 10]));
    assert_eq!(
        load(&folder).unwrap_err().to_string(),
        format!("{}: at byte 10 of the content: expected a label below 10, got 10", labels.display())
    );
}

#[test]
fn images_and_labels_that_disagree_in_count_are_both_named() {
    let (folder, images, labels) = mnist_folder(&idx(&[3, 28, 28], &[0; 3 * 784]), &idx(&[2], &[1, 2]));
    assert_eq!(
        load(&folder).unwrap_err().to_string(),
        format!("{}: expected 3 labels, one for each image of {}, got 2", labels.display(), images.display())
    );
}

#[test]
fn arrays_of_another_form_are_named() {
    let good_labels = idx(&[1], &[1]);
    let message = |images: &[u8], labels: &[u8]| {
        let (folder, images, labels) = mnist_folder(images, labels);
        let message = load(&folder).unwrap_err().to_string();
        message.replace(images.to_str().unwrap(), "IMAGES").replace(labels.to_str().unwrap(), "LABELS")
    };
    assert_eq!(
        message(&idx(&[1, 784], &[0; 784]), &good_labels),
        "IMAGES: at byte 3 of the content: expected 3 dimensions: images, rows, columns, got 2"
    );
    assert_eq!(
        message(&idx(&[1, 32, 28], &[0; 32 * 28]), &good_labels),
        "IMAGES: at byte 8 of the content: expected images of 28x28 pixels, got 32x28"
    );
    assert_eq!(
        message(&idx(&[0, 28, 28], &[]), &idx(&[0], &[])),
        "IMAGES: at byte 4 of the content: expected at least 1 image, got 0"
    );
    assert_eq!(
        message(&idx(&[1, 28, 28], &[0; 784]), &idx(&[1, 1], &[1])),
        "LABELS: at byte 3 of the content: expected 1 dimension: labels, got 2"
    );
}

/// EMNIST has names, an orientation and label numbers of its own.
#[test]
fn emnist_letters_are_turned_and_counted_from_0() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let mut image = vec![0; 784];
    // In the second row of the file; to be in the second column.
    image[28 + 5] = 9;
    write(
        "emnist-letters-train-images-idx3-ubyte.gz",
        &gzip(&idx(&[2, 28, 28], &[image, vec![1; 784]].concat())),
    );
    let labels = "emnist-letters-train-labels-idx1-ubyte";
    write(labels, &idx(&[2], &[1, 26]));
    let letters = MnistFamily::Emnist(Emnist::Letters);
    let set = letters.load(folder.path(), Split::Train).unwrap();
    assert_eq!((set.image(0)[5 * 28 + 1], set.image(0)[28 + 5]), (9, 0));
    let named: Vec<&str> = set.labels().iter().map(|&label| &*set.classes()[label as usize]).collect();
    assert_eq!(named, ["A", "Z"]);
    for (wrong, at) in [([0, 1], 8), ([1, 27], 9)] {
        write(labels, &idx(&[2], &wrong));
        let error = letters.load(folder.path(), Split::Train).unwrap_err().to_string();
        let got = wrong[at - 8];
        let fault = format!("at byte {at} of the content: expected a label from 1 to 26, got {got}");
        assert_eq!(error, format!("{}: {fault}", folder.path().join(labels).display()));
    }
    let error = letters.load(folder.path(), Split::Test).unwrap_err().to_string();
    assert!(error.contains("expected emnist-letters-test-images-idx3-ubyte.gz or "), "{error}");
}

#[test]
fn every_data_set_of_the_family_has_its_classes() {
    let counts = [
        (MnistFamily::Mnist, 10),
        (MnistFamily::FashionMnist, 10),
        (MnistFamily::Kmnist, 10),
        (MnistFamily::Emnist(Emnist::ByClass), 62),
        (MnistFamily::Emnist(Emnist::ByMerge), 47),
        (MnistFamily::Emnist(Emnist::Balanced), 47),
        (MnistFamily::Emnist(Emnist::Letters), 26),
        (MnistFamily::Emnist(Emnist::Digits), 10),
    ];
    for (family, count) in counts {
        let classes: std::collections::BTreeSet<_> = family.classes().iter().collect();
        assert_eq!(classes.len(), count, "{}", family.name());
    }
}

/// A change to a file: bytes overwritten, then cut short or lengthened.
fn damage() -> impl Strategy<Value = (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>, Vec<u8>)> {
    let overwritten = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (overwritten, any::<Option<prop::sample::Index>>(), prop::collection::vec(any::<u8>(), 0..3))
}

fn damaged(
    mut bytes: Vec<u8>,
    (overwritten, cut, appended): (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>, Vec<u8>),
) -> Vec<u8> {
    for (at, byte) in overwritten {
        // Half of the changes go to the header, where they matter most.
        let within = if byte % 2 == 0 { bytes.len().min(16) } else { bytes.len() };
        bytes[at.index(within)] = byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len() + 1));
    }
    bytes.extend(appended);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_damaged_idx_file_is_an_error_or_holds_what_it_promises(
        dims in prop::collection::vec(0..6u32, 1..5), packed: bool, damage in damage(),
    ) {
        let content = idx(&dims, &vec![7; dims.iter().product::<u32>() as usize]);
        let bytes = damaged(if packed { gzip(&content) } else { content }, damage);
        match parse(&bytes) {
            Ok(file) => prop_assert_eq!(file.data.len(), file.dims.iter().product::<usize>()),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("a.idx: at byte ") && !message.contains('\n'), "{}", message);
            }
        }
    }

    #[test]
    fn an_undamaged_file_is_read_back(dims in prop::collection::vec(0..6u32, 1..5), packed: bool) {
        let data: Vec<u8> = (0..dims.iter().product::<u32>()).map(|i| i as u8).collect();
        let content = idx(&dims, &data);
        let file = parse(&if packed { gzip(&content) } else { content }).unwrap();
        prop_assert_eq!(file.data, data);
        prop_assert_eq!(file.dims, dims.iter().map(|&dim| dim as usize).collect::<Vec<_>>());
    }
}
