use super::*;
use crate::Dataset;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::{self, Write};
use tempfile::TempDir;

/// Records whose pixels are all their number.
fn records(family: CifarFamily, labels: &[&[u8]]) -> Vec<u8> {
    let record = |(i, labels): (usize, &&[u8])| [labels, &[i as u8; PIXELS][..]].concat();
    assert!(labels.iter().all(|labels| labels.len() == family.label_limits().len()));
    labels.iter().enumerate().flat_map(record).collect()
}

fn ten(labels: &[u8]) -> Vec<u8> {
    records(CifarFamily::Cifar10, &labels.chunks(1).collect::<Vec<_>>())
}

fn hundred(labels: &[[u8; 2]]) -> Vec<u8> {
    records(CifarFamily::Cifar100, &labels.iter().map(|labels| &labels[..]).collect::<Vec<_>>())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn parse(family: CifarFamily, bytes: &[u8]) -> Result<InMemoryDataset, DataError> {
    family.parse("a.bin".as_ref(), bytes)
}

fn archive(bytes: &[u8], split: Split) -> Result<InMemoryDataset, DataError> {
    CifarFamily::Cifar10.parse_archive("a.tar.gz".as_ref(), bytes, split)
}

/// A folder with all files of CIFAR-10, the batches' labels being their numbers.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for i in 1..=5 {
        fs::write(folder.path().join(format!("data_batch_{i}.bin")), ten(&[i, i])).unwrap();
    }
    fs::write(folder.path().join("test_batch.bin"), ten(&[9])).unwrap();
    folder
}

/// The files of [`folder`], in the order of the published archive, with its folder and its other files.
fn published() -> Vec<u8> {
    let batches: Vec<Vec<u8>> = (1..=5).map(|i| ten(&[i, i])).collect();
    tar(&[
        ("cifar-10-batches-bin/data_batch_1.bin", &batches[0]),
        ("cifar-10-batches-bin/batches.meta.txt", b"airplane\n"),
        ("cifar-10-batches-bin/data_batch_3.bin", &batches[2]),
        ("cifar-10-batches-bin/data_batch_4.bin", &batches[3]),
        ("cifar-10-batches-bin/test_batch.bin", &ten(&[9])),
        ("cifar-10-batches-bin/readme.html", b"<html></html>"),
        ("cifar-10-batches-bin/data_batch_5.bin", &batches[4]),
        ("cifar-10-batches-bin/data_batch_2.bin", &batches[1]),
    ])
}

const IN_ORDER: [u32; 10] = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5];

#[test]
fn names_are_as_many_as_classes_and_the_labels_pick_them() {
    for family in [CifarFamily::Cifar10, CifarFamily::Cifar100, CifarFamily::Cifar100Coarse] {
        let names: std::collections::BTreeSet<_> = family.classes().iter().collect();
        assert_eq!(names.len(), family.label_limits()[family.label_index()]);
        assert_eq!(family.normalize().channels(), 3);
    }
    // The trout is a fish.
    let bytes = hundred(&[[1, 91], [14, 98]]);
    let fine = parse(CifarFamily::Cifar100, &bytes).unwrap();
    let coarse = parse(CifarFamily::Cifar100Coarse, &bytes).unwrap();
    let name = |set: &InMemoryDataset, i: usize| set.classes()[set.label(i) as usize].clone();
    assert_eq!([name(&fine, 0), name(&coarse, 0)], ["trout", "fish"]);
    assert_eq!([name(&fine, 1), name(&coarse, 1)], ["woman", "people"]);
    assert_eq!((fine.image(1), coarse.image(0)), (&[1; PIXELS][..], &[0; PIXELS][..]));
}

#[test]
fn a_folder_is_read_batch_by_batch_whether_its_own_or_the_archives() {
    let outer = folder();
    let load = |split| CifarFamily::Cifar10.load(outer.path(), split).unwrap();
    assert_eq!(load(Split::Train).labels(), IN_ORDER);
    assert_eq!(load(Split::Test).labels(), [9]);
    let inner = outer.path().join("cifar-10-batches-bin");
    fs::create_dir(&inner).unwrap();
    for entry in fs::read_dir(&outer).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::rename(entry.path(), inner.join(entry.file_name())).unwrap();
    }
    assert_eq!(load(Split::Train).labels(), IN_ORDER);
    // A folder of a file's name does not hide the file.
    fs::create_dir(outer.path().join("data_batch_1.bin")).unwrap();
    assert_eq!(load(Split::Train).labels(), IN_ORDER);
}

#[test]
fn the_archive_is_read_as_it_is() {
    let packed = gzip(&published());
    assert_eq!(archive(&packed, Split::Train).unwrap().labels(), IN_ORDER);
    assert_eq!(archive(&packed, Split::Test).unwrap().labels(), [9]);
    assert_eq!(archive(&published(), Split::Train).unwrap().labels(), IN_ORDER);

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cifar-10-binary.tar.gz");
    fs::write(&path, &packed).unwrap();
    for place in [folder.path(), &path] {
        assert_eq!(CifarFamily::Cifar10.load(place, Split::Train).unwrap().labels(), IN_ORDER);
    }
    let hundred = gzip(&tar(&[("cifar-100-binary/train.bin", &hundred(&[[19, 99]]))]));
    let set = CifarFamily::Cifar100.parse_archive("a".as_ref(), &hundred[..], Split::Train).unwrap();
    assert_eq!(set.labels(), [99]);
}

#[test]
fn a_file_of_another_length_names_the_record() {
    let message = |bytes: &[u8]| parse(CifarFamily::Cifar10, bytes).unwrap_err().to_string();
    assert_eq!(
        message(&ten(&[1, 2])[..3075]),
        "a.bin: at byte 3073 of the content: expected whole records of 3073 bytes, got the end 2 bytes into record 1"
    );
    assert_eq!(
        message(&[]),
        "a.bin: at byte 0 of the content: expected records of 3073 bytes, got an empty file"
    );
    // CIFAR-100 is not taken for CIFAR-10.
    assert!(message(&hundred(&[[1, 1], [2, 2]])).contains("got the end 2 bytes into record 2"));
    let error = parse(CifarFamily::Cifar100, &ten(&[1])).unwrap_err().to_string();
    assert!(error.ends_with("expected whole records of 3074 bytes, got the end 3073 bytes into record 0"));
}

#[test]
fn a_label_of_no_class_is_named_with_its_record_and_place() {
    let message = |family, bytes: &[u8]| parse(family, bytes).unwrap_err().to_string();
    assert_eq!(
        message(CifarFamily::Cifar10, &ten(&[0, 9, 10])),
        "a.bin: at byte 6146 of the content: expected a label below 10 in record 2, got 10"
    );
    assert_eq!(
        message(CifarFamily::Cifar100, &hundred(&[[19, 99], [0, 100]])),
        "a.bin: at byte 3075 of the content: expected a label below 100 in record 1, got 100"
    );
    // Whichever labels are asked for.
    for family in [CifarFamily::Cifar100, CifarFamily::Cifar100Coarse] {
        let error = message(family, &hundred(&[[20, 0]]));
        assert_eq!(error, "a.bin: at byte 0 of the content: expected a label below 20 in record 0, got 20");
    }
}

#[test]
fn no_file_is_longer_than_the_published_one() {
    let endless = || io::repeat(1);
    let error = CifarFamily::Cifar10.parse("a.bin".as_ref(), endless()).unwrap_err().to_string();
    assert_eq!(
        error,
        "a.bin: at byte 30730000 of the content: expected the end, after 10000 records of 3073 bytes, got more"
    );
    assert_eq!(
        CifarFamily::Cifar10.parse("a.bin".as_ref(), endless().take(30_730_000)).unwrap().len(),
        10_000
    );
}

#[test]
fn what_is_missing_is_named_with_where_to_get_it() {
    let empty = TempDir::new().unwrap();
    let error = CifarFamily::Cifar10.load(&empty, Split::Train).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}: expected data_batch_1.bin or cifar-10-batches-bin/data_batch_1.bin or cifar-10-binary.tar.gz or \
             cifar-10-binary.tar, got none of them: get the binary version from \
             https://www.cs.toronto.edu/~kriz/cifar.html (`cnn fetch cifar10`), or name its folder with \
             --data-dir",
            empty.path().display()
        )
    );
    // The others are there: this one must be, too.
    let folder = folder();
    fs::remove_file(folder.path().join("data_batch_3.bin")).unwrap();
    let error = CifarFamily::Cifar10.load(&folder, Split::Train).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: expected data_batch_3.bin, got none", folder.path().display())));
    let error = archive(&gzip(&tar(&[("data_batch_1.bin", &ten(&[1]))])), Split::Train).unwrap_err();
    assert!(
        error.to_string().starts_with("a.tar.gz: expected data_batch_2.bin, got none of them: "),
        "{error}"
    );
}

#[test]
fn a_damaged_archive_is_an_error_wherever_it_is_damaged() {
    let tar = published();
    let packed = gzip(&tar);
    // A bit of the checksum that gzip has at its end.
    let mut checksum = packed.clone();
    let at = checksum.len() - 8;
    checksum[at] ^= 1;
    let message = |bytes: &[u8]| archive(bytes, Split::Test).unwrap_err().to_string();
    assert_eq!(
        message(&checksum),
        format!(
            "a.tar.gz: at byte {} of the content: expected a sound tar archive, compressed with gzip or not, got corrupt \
             gzip stream does not have a matching checksum",
            tar.len()
        )
    );
    for length in (0..packed.len()).step_by(7) {
        assert!(message(&packed[..length]).starts_with("a.tar.gz"));
    }
    // Files in it are named as if the archive were a folder.
    let cut = tar.windows(14).rposition(|window| window == b"test_batch.bin").unwrap();
    let truncated = message(&tar[..cut + 512 + 1000]);
    assert!(
        truncated.contains("test_batch.bin: at byte 0 of the content: expected whole records"),
        "{truncated}"
    );
    // Numbers of headers, and what errors quote of them, come from the file.
    let mut header = tar.clone();
    header[148..156].copy_from_slice(b"9\n\x1b[31m\0");
    let quoted = message(&header);
    assert!(!quoted.contains(['\n', '\x1b']), "{quoted}");
}

#[test]
fn a_file_that_is_there_twice_is_refused() {
    let twice = tar(&[("a/test_batch.bin", &ten(&[1])), ("b/test_batch.bin", &ten(&[2]))]);
    let error = archive(&twice, Split::Test).unwrap_err().to_string();
    assert_eq!(error, "a.tar.gz: at byte 4096 of the content: expected test_batch.bin once, got it again");
}

#[test]
fn a_bomb_is_cut_off() {
    // Two entries of 2^33 bytes each, as their headers say.
    let bomb = |name: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(1 << 33);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let zeros = || io::repeat(0).take(1 << 33);
    let family = CifarFamily::Cifar10;
    let source = io::Cursor::new(bomb("other.bin")).chain(zeros());
    let error = family.parse_archive("a.tar".as_ref(), source, Split::Test).unwrap_err().to_string();
    assert_eq!(
        error,
        "a.tar: at byte 185428576 of the content: expected the end, after at most 185428576 bytes unpacked, got more"
    );
    let source = io::Cursor::new(bomb("test_batch.bin")).chain(zeros());
    let error = family.parse_archive("a.tar".as_ref(), source, Split::Test).unwrap_err().to_string();
    assert_eq!(
        error,
        "a.tar/test_batch.bin: at byte 30730000 of the content: expected the end, after 10000 records of 3073 bytes, \
         got more"
    );
}
