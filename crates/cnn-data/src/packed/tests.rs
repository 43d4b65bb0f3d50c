use super::*;
use crate::testing::{dot, write};
use crate::{ImageFiles, InMemoryDataset, OnFault};
use cnn_tensor::files::FolderLock;
use image::{ImageFormat, Rgb, RgbImage};
use std::fs;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

fn photo(seed: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (seed * 20) as u8]));
    let mut jpeg = Cursor::new(Vec::new());
    image.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    jpeg.into_inner()
}

/// Ten photos in two classes.
fn photos(folder: &Path) -> ImageFiles {
    for i in 0..10 {
        write(folder, &[(&format!("set/{}/{i}.jpg", ["a", "b"][i as usize % 2]), &photo(i))]);
    }
    ImageFiles::by_folder(folder.join("set")).unwrap()
}

fn small_shards(encoding: Encoding) -> PackOptions {
    PackOptions { encoding, shard_bytes: 4096, ..PackOptions::default() }
}

/// Hears the progress, and not the rest.
fn progress(mut hear: impl FnMut(PackProgress)) -> impl FnMut(PackEvent) {
    move |event| {
        if let PackEvent::Progress(progress) = event {
            hear(progress);
        }
    }
}

/// The events of packing into a folder, without the progress; in place of an error its message.
fn events(set: &dyn Dataset, to: &Path, options: &PackOptions) -> Result<Vec<PackEvent>, String> {
    let mut events = Vec::new();
    let packed = pack(set, to, options, |event| match event {
        PackEvent::Progress(_) => {}
        event => events.push(event),
    });
    packed.map(|_| events).map_err(|error| error.to_string())
}

/// The names and contents of the files in a folder, except its lock.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with(FolderLock::NAME))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn files_are_kept_as_they_are_in_archives_that_others_read() {
    let folder = TempDir::new().unwrap();
    let set = photos(folder.path());
    let to = folder.path().join("packed");
    let mut seen = Vec::new();
    let packed = pack(&set, &to, &small_shards(Encoding::Keep), progress(|now| seen.push(now))).unwrap();
    assert_eq!((packed.len(), packed.classes(), packed.class_counts()), (10, set.classes(), vec![5, 5]));
    for i in 0..10 {
        assert_eq!(packed.encoded(i).unwrap(), set.encoded(i).unwrap());
        assert_eq!((packed.picture(i).unwrap(), packed.label(i)), (set.picture(i).unwrap(), set.label(i)));
    }
    let last = seen.last().unwrap();
    assert_eq!((last.examples, last.total), (10, 10));
    assert!(last.shards > 1 && seen.is_sorted_by_key(|now| now.examples));
    // The index and the sources beside the archives, and in them pairs of image and label.
    let names: Vec<String> = files(&to).into_iter().map(|(name, _)| name).collect();
    assert_eq!((names[0].as_str(), names.len()), ("index.json", 2 + last.shards));
    assert_eq!(names.last().unwrap(), "sources.json");
    let first = fs::File::open(to.join("shard-000000.tar")).unwrap();
    let mut archive = tar::Archive::new(first);
    let entries: Vec<_> = archive.entries().unwrap().map(|entry| entry.unwrap()).take(4).collect();
    let names: Vec<_> = entries.iter().map(|entry| entry.path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["000000.jpg", "000000.cls", "000001.jpg", "000001.cls"]);
    assert_eq!(packed.name(0), format!("{}: 000000.jpg", to.join("shard-000000.tar").display()));
}

#[test]
fn jpeg_and_raw_pixels_are_what_they_say() {
    let folder = TempDir::new().unwrap();
    let set = photos(folder.path());
    let jpeg = Encoding::Jpeg { short_side: 15, quality: 95 };
    let packed = pack(&set, folder.path().join("jpeg"), &small_shards(jpeg), |_| {}).unwrap();
    let picture = packed.picture(3).unwrap();
    assert_eq!(picture.shape(), [3, 15, 20]);
    // Red at the left and at the right.
    assert!(picture.plane(0)[0] < 30 && picture.plane(0)[19] > 200);
    let packed = pack(&set, folder.path().join("raw"), &small_shards(Encoding::Raw), |_| {}).unwrap();
    assert_eq!(packed.picture(3).unwrap(), set.picture(3).unwrap());
    assert!(packed.name(3).ends_with("000003.ppm"));
    // Images smaller than that stay as they are; those in memory have no file to keep.
    let gray = InMemoryDataset::new([1, 1, 2, 2], vec![1, 2, 3, 4], vec![0], vec!["x".into()]).unwrap();
    let jpeg = Encoding::Jpeg { short_side: 15, quality: 95 };
    let small = pack(&gray, folder.path().join("small"), &small_shards(jpeg), |_| {}).unwrap();
    assert_eq!(small.picture(0).unwrap().shape(), [1, 2, 2]);
    let kept = pack(&gray, folder.path().join("kept"), &PackOptions::default(), |_| {}).unwrap();
    assert_eq!(kept.picture(0).unwrap().data(), [1, 2, 3, 4]);
}

/// The states of a folder that a run may leave when it is killed: the next run goes on from each, to the same bytes.
#[test]
fn an_interrupted_run_is_gone_on_with() {
    let folder = TempDir::new().unwrap();
    let set = photos(folder.path());
    let options = small_shards(Encoding::Keep);
    let whole = folder.path().join("whole");
    pack(&set, &whole, &options, |_| {}).unwrap();
    let want = files(&whole);
    let shards = want.len() - 2;

    // A panic in the middle of the run, wherever it is, leaves what a kill would leave.
    for stop in 1..=shards {
        let to = folder.path().join(format!("stopped-{stop}"));
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pack(&set, &to, &options, progress(|now| assert!(now.shards < stop, "stop")))
        }));
        assert!(run.is_err());
        let notes = (0..stop).filter(|i| to.join(format!("shard-{i:06}.json")).exists()).count();
        assert_eq!((notes, to.join("index.json").exists()), (stop, false));
        if stop % 2 == 0 {
            // A complete archive was damaged: it is written again. Another was begun.
            let damaged = to.join("shard-000001.tar");
            let mut bytes = fs::read(&damaged).unwrap();
            bytes[600] ^= 1;
            fs::write(damaged, bytes).unwrap();
            fs::write(to.join(format!(".unfinished-shard-{stop:06}.tar")), b"half of it").unwrap();
            fs::write(to.join(".unfinished-x7Yz"), b"half of an index").unwrap();
        }
        let mut done = Vec::new();
        pack(&set, &to, &options, progress(|now| done.push(now.shards))).unwrap();
        assert_eq!(files(&to).len(), want.len());
        assert!(files(&to) == want, "stop {stop}");
        if stop % 2 == 1 && stop < shards {
            assert_eq!(done.first(), Some(&stop), "complete archives are not written again");
        }
    }
    // A complete run is recognised.
    assert_eq!(events(&set, &whole, &options), Ok(vec![PackEvent::UpToDate]));
}

#[test]
fn a_folder_that_another_run_writes_to_is_refused() {
    let folder = TempDir::new().unwrap();
    let (set, to) = (photos(folder.path()), folder.path().join("packed"));
    fs::create_dir(&to).unwrap();
    let lock = FolderLock::take(&to).unwrap();
    let message = events(&set, &to, &PackOptions::default()).unwrap_err();
    let fault = "expected a folder that this run alone writes to, got another process that writes to it";
    assert_eq!(message, format!("{}: {fault}", to.display()));
    drop(lock);
    events(&set, &to, &PackOptions::default()).unwrap();
}

#[test]
fn the_folder_of_another_packing_is_refused() {
    let folder = TempDir::new().unwrap();
    let set = photos(folder.path());
    let to = folder.path().join("packed");
    let of = |origin: &str| PackOptions { origin: Some(origin.into()), ..small_shards(Encoding::Keep) };
    pack(&set, &to, &of("set"), |_| {}).unwrap();
    let refused = |set: &dyn Dataset, options: &PackOptions| events(set, &to, options).unwrap_err();
    let expected = format!("{}: expected the packing of the same images with the same options", to.display());
    let advice = "name an empty folder, or delete this one";
    let error = refused(&set, &small_shards(Encoding::Raw));
    assert_eq!(error, format!("{expected}, got one with another encoding: {advice}"));
    let error = refused(&set, &PackOptions { shard_bytes: 1, ..of("set") });
    assert_eq!(error, format!("{expected}, got one with archives of 4096 bytes: {advice}"));
    let other = InMemoryDataset::new([1, 1, 1, 1], vec![1], vec![0], vec!["x".into()]).unwrap();
    assert_eq!(refused(&other, &of("other")), format!("{expected}, got one of set: {advice}"));
    // The same images, moved.
    assert_eq!(events(&set, &to, &of("moved")), Ok(vec![PackEvent::UpToDate]));

    let earlier =
        format!("{expected}, got one of an earlier version, which does not know its sources: {advice}");
    fs::remove_file(to.join("sources.json")).unwrap();
    assert_eq!(refused(&set, &of("set")), earlier);
    assert_eq!(PackedImages::open(&to).unwrap().len(), 10, "it is read nevertheless");
}

/// Sets the time of a file to so many seconds after 1970.
fn touch(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn images_that_changed_are_packed_anew_and_the_first_change_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    photos(path);
    let set = path.join("set");
    let to = path.join("packed");
    let again = || {
        let images = ImageFiles::by_folder(&set).unwrap();
        let events = events(&images, &to, &small_shards(Encoding::Keep)).unwrap();
        let packed = PackedImages::open(&to).unwrap();
        assert_eq!((packed.len(), packed.classes()), (images.len(), images.classes()));
        for i in 0..images.len() {
            assert_eq!(packed.encoded(i).unwrap(), images.encoded(i).unwrap());
            assert_eq!(packed.label(i), images.label(i));
        }
        match &events[..] {
            [PackEvent::Anew { why }] => why.clone(),
            [PackEvent::UpToDate] => "up to date".into(),
            _ => String::new(),
        }
    };
    for i in 0..10 {
        touch(&set.join(format!("{}/{i}.jpg", ["a", "b"][i % 2])), 1_000_000 + i as u64);
    }
    assert_eq!(again(), "");
    assert_eq!(again(), "up to date");
    // Another picture of the same name, of another size and of the same.
    let (a4, before) = (set.join("a/4.jpg"), photo(4).len());
    fs::write(&a4, [photo(4), vec![0]].concat()).unwrap();
    assert_eq!(again(), format!("a/4.jpg has {} bytes, and had {before}", before + 1));
    fs::write(&a4, [photo(4), vec![1]].concat()).unwrap();
    touch(&a4, 2_000_000);
    assert_eq!(again(), "a/4.jpg was written anew");
    fs::remove_file(&a4).unwrap();
    assert_eq!(again(), "a/4.jpg is gone");
    write(&set, &[("a/5.jpg", &photo(5))]);
    assert_eq!(again(), "a/5.jpg is new");
    fs::rename(set.join("b/9.jpg"), set.join("b/90.jpg")).unwrap();
    assert_eq!(again(), "b/9.jpg is gone");
    fs::rename(set.join("b"), set.join("c")).unwrap();
    assert_eq!(again(), "the class \"c\" is where \"b\" was");
    write(&set, &[("d/0.jpg", &photo(5))]);
    assert_eq!(again(), "there are 3 classes, and were 2");
    assert_eq!(again(), "up to date");
    // Interrupted, and changed since.
    fs::remove_file(to.join("index.json")).unwrap();
    let interrupted = PackedImages::open(&to).unwrap_err().to_string();
    let got =
        "expected a complete packing, got one that was interrupted: run pack again, which goes on with it";
    assert_eq!(interrupted, format!("{}: {got}", to.display()));
    write(&set, &[("d/1.jpg", &photo(6))]);
    assert_eq!(again(), "d/1.jpg is new");
}

#[test]
fn an_archive_that_was_written_again_is_packed_anew() {
    let folder = TempDir::new().unwrap();
    let (path, to) = (folder.path().join("set.tar"), folder.path().join("packed"));
    fs::write(&path, crate::testing::tar(&[("a/1.png", &dot(1))])).unwrap();
    touch(&path, 1_000_000);
    let again = || events(&ImageFiles::by_folder(&path).unwrap(), &to, &PackOptions::default()).unwrap();
    assert_eq!(again(), []);
    assert_eq!(again(), [PackEvent::UpToDate]);
    fs::write(&path, crate::testing::tar(&[("a/1.png", &dot(2))])).unwrap();
    touch(&path, 2_000_000);
    assert_eq!(again(), [PackEvent::Anew { why: "a/1.png was written anew".into() }]);
    assert_eq!(PackedImages::open(&to).unwrap().picture(0).unwrap().data(), [2]);
}

#[test]
fn a_folder_with_images_is_not_packed_into() {
    let folder = TempDir::new().unwrap();
    let set = photos(folder.path());
    let refused = |to: &Path| events(&set, to, &PackOptions::default()).unwrap_err();
    let got = |place: &str, what: &str| {
        let place = folder.path().join(place);
        format!(
            "{}: expected an empty folder, or one with an earlier packing, got {what:?} in it",
            place.display()
        )
    };
    assert_eq!(refused(folder.path()), got("", "set").replace("/:", ":"));
    write(folder.path(), &[("loose/a.jpg", b""), ("notes/readme.txt", b""), ("notes/.DS_Store", b"")]);
    assert_eq!(refused(&folder.path().join("loose")), got("loose", "a.jpg"));
    assert_eq!(events(&set, &folder.path().join("notes"), &PackOptions::default()), Ok(vec![]));
}

/// `pack photos photos/packed` must leave `photos` as it was to readers.
#[test]
fn a_packing_within_its_source_is_passed_over() {
    let folder = TempDir::new().unwrap();
    let before = photos(folder.path());
    let set = folder.path().join("set");
    let to = set.join("packed/train");
    let options = small_shards(Encoding::Keep);
    assert_eq!(events(&before, &to, &options), Ok(vec![]));
    let after = ImageFiles::by_folder(&set).unwrap();
    assert_eq!((after.len(), after.classes()), (10, before.classes()));
    assert_eq!(
        after.passed_over().to_string(),
        "1 folder without images (packed), 1 folder of packed images (train)"
    );
    assert_eq!(events(&after, &to, &options), Ok(vec![PackEvent::UpToDate]));
    // One that was interrupted is known, too.
    fs::remove_file(to.join("index.json")).unwrap();
    assert_eq!(ImageFiles::by_folder(&set).unwrap().classes(), before.classes());
    // A file of that name alone does not make a packed folder.
    write(&set, &[("a/index.json", b"{}")]);
    assert_eq!(ImageFiles::by_folder(&set).unwrap().len(), 10);
}

#[test]
fn options_outside_their_range_are_refused() {
    let set = InMemoryDataset::new([1, 1, 1, 1], vec![1], vec![0], vec!["x".into()]).unwrap();
    let folder = TempDir::new().unwrap();
    let message = |encoding, shard_bytes| {
        let options = PackOptions { encoding, shard_bytes, ..PackOptions::default() };
        pack(&set, folder.path(), &options, |_| {}).unwrap_err().to_string()
    };
    assert_eq!(
        message(Encoding::Jpeg { short_side: 0, quality: 9 }, 1),
        "the shorter side must be at least 1, got 0"
    );
    assert_eq!(
        message(Encoding::Jpeg { short_side: 9, quality: 101 }, 1),
        "the quality of JPEG must be from 1 to 100, got 101"
    );
    assert_eq!(message(Encoding::Raw, 0), "the bytes of an archive must be at least 1, got 0");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn faulty_images_stop_the_run_or_are_left_out() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        &[("set/a/1.png", &dot(1)), ("set/a/2.png", b"\x89PNG\r\n\x1a\n"), ("set/a/3.png", &dot(3))],
    );
    let set = ImageFiles::by_folder(folder.path().join("set")).unwrap();
    let mut options = PackOptions { encoding: Encoding::Raw, ..PackOptions::default() };
    let to = folder.path().join("packed");
    let error = pack(&set, &to, &options, |_| {}).unwrap_err().to_string();
    assert!(error.contains("set/a/2.png: expected a sound PNG image"), "{error}");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    options.on_fault = OnFault::skip(move |line| hears.lock().unwrap().push(line.to_string()));
    let packed = pack(&set, &to, &options, |_| {}).unwrap();
    assert_eq!(*heard.lock().unwrap(), [error]);
    assert_eq!((packed.len(), packed.picture(1).unwrap().data()), (2, &[3][..]));
    assert!(packed.name(1).ends_with("000002.pgm"));
}

#[test]
fn damage_is_named_with_archive_entry_and_place() {
    let folder = TempDir::new().unwrap();
    let set = InMemoryDataset::new([2, 1, 1, 2], vec![1, 2, 3, 4], vec![0, 0], vec!["x".into()]).unwrap();
    let to = folder.path().join("packed");
    pack(&set, &to, &PackOptions::default(), |_| {}).unwrap();
    let shard = to.join("shard-000000.tar");
    let bytes = fs::read(&shard).unwrap();

    let mut damaged = bytes.clone();
    // The last pixel of the second image: behind image, label and a header, and a line of text.
    damaged[4 * 512 + 512 + 12] ^= 1;
    fs::write(&shard, &damaged).unwrap();
    let packed = PackedImages::open(&to).unwrap();
    assert!(packed.picture(0).is_ok());
    let error = packed.picture(1).unwrap_err().to_string();
    let start =
        format!("{}: at byte 2560 of the content: expected entry 000001.pgm with checksum ", shard.display());
    assert!(error.starts_with(&start), "{error}");

    fs::write(&shard, &bytes[..3000]).unwrap();
    let error = PackedImages::open(&to).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: expected {} bytes, as the index says, got 3000", shard.display(), bytes.len())
    );
    fs::remove_file(&shard).unwrap();
    let error = PackedImages::open(&to).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot open: ", shard.display())), "{error}");
}

#[test]
fn an_index_that_lies_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("index.json");
    let message = |shards: &str| {
        let index = format!(
            r#"{{"format":"cnn-data packed images, version 1","plan":0,"classes":["x"],"shards":[{shards}]}}"#
        );
        fs::write(&path, index).unwrap();
        let error = PackedImages::open(folder.path()).unwrap_err().to_string();
        error.strip_prefix(&format!("{}: ", path.display())).unwrap().to_string()
    };
    let entry = |start: u64, length: u64, label: u32| {
        format!(r#"{{"file":"a.tar","bytes":100,"entries":[["0.jpg",{start},{length},0,{label}]]}}"#)
    };
    let within = "expected entries within the 100 bytes of an archive, got";
    assert_eq!(message(&entry(90, 11, 0)), format!("{within} 11 bytes from 90 on for entry 0.jpg of a.tar"));
    let huge = u64::MAX;
    assert_eq!(
        message(&entry(huge, huge, 0)),
        format!("{within} {huge} bytes from {huge} on for entry 0.jpg of a.tar")
    );
    let labels = "expected labels below 1, the number of classes, got 1 for entry 0.jpg of a.tar";
    assert_eq!(message(&entry(0, 1, 1)), labels);
    for file in ["../a.tar", "/a.tar", ".."] {
        let shard = format!(r#"{{"file":"{file}","bytes":0,"entries":[]}}"#);
        assert_eq!(message(&shard), format!("expected names of archives beside it, got {file:?}"));
    }
    fs::write(&path, "{}").unwrap();
    let error = PackedImages::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("expected an index of packed images, got missing field `format`"), "{error}");
    fs::write(&path, r#"{"format":"2","plan":0,"classes":[],"shards":[]}"#).unwrap();
    let error = PackedImages::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains(r#"expected format "cnn-data packed images, version 1", got "2""#), "{error}");
}
