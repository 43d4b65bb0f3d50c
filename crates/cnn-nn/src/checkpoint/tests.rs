use super::*;
use proptest::prelude::*;
use std::fs;
use std::sync::LazyLock;

/// Tensors of every rank, one of them empty, with numbers that are easily lost.
fn tensors() -> Vec<(String, Tensor)> {
    let odd = [f32::MIN_POSITIVE / 2.0, -0.0, f32::INFINITY, f32::MAX, 1.0, 0.1];
    vec![
        ("b".into(), Tensor::from_slice([2, 3], &odd).unwrap()),
        ("a.weight".into(), Tensor::full([1, 2, 3, 4], 0.25)),
        ("scalar".into(), Tensor::full([], 3.0)),
        ("none".into(), Tensor::zeros([0, 7])),
        ("é\"\n".into(), Tensor::full([1], -1.0)),
    ]
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A whole file around a header, as hostile as the header is.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + data, 0);
    file
}

/// The fault that loading a file of these contents reports.
#[track_caller]
fn fault(contents: &[u8]) -> String {
    let folder = folder();
    let path = folder.path().join("hostile");
    fs::write(&path, contents).unwrap();
    let error = load(&path).and_then(|saved| saved.whole(&path)).unwrap_err();
    assert!(matches!(error, NnError::File { .. }), "{error:?}");
    let message = error.to_string();
    let fault = message.strip_prefix(&format!("{}: ", path.display()));
    fault.expect("the message starts with the file").into()
}

#[test]
fn what_a_file_says_cannot_break_the_line() {
    let name = r#"{"a\u001b[31m\nb":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]}}"#;
    let message = fault(&file(name, 1));
    assert_eq!(
        message,
        r"tensor a\u{1b}[31m\nb: expected floats or whole numbers, got elements of type F8_E5M2"
    );
}

#[test]
fn what_is_saved_is_loaded_bit_for_bit() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let description = "{\"name\": \"LeNet-5 — \\\"é\\\"\"}\n";
    save(&path, description, &tensors()).unwrap();
    let saved = load(&path).unwrap();
    assert_eq!(saved.description.as_deref(), Some(description));
    assert_eq!(saved.tensors.len(), tensors().len());
    for (name, tensor) in tensors() {
        let bits = |tensor: &Tensor| tensor.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(saved.tensors[&name].shape(), tensor.shape());
        assert_eq!(bits(&saved.tensors[&name]), bits(&tensor), "{name}");
    }
}

#[test]
fn equal_contents_make_equal_files() {
    let folder = folder();
    let bytes = |name: &str, tensors: &[(String, Tensor)]| {
        let path = folder.path().join(name);
        save(&path, "{}", tensors).unwrap();
        fs::read(path).unwrap()
    };
    let mut reversed = tensors();
    reversed.reverse();
    assert_eq!(bytes("one", &tensors()), bytes("other", &reversed));
}

#[test]
fn a_file_of_another_package_is_loaded_without_a_description() {
    let header =
        r#"{"w":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"},"__metadata__":{"format":"pt"}}   "#;
    let mut contents = file(header, 0);
    contents.extend([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    let saved = parse(&contents).unwrap();
    assert_eq!(saved.description, None);
    assert_eq!(saved.tensors["w"].data(), [1.0, -2.0]);
    assert_eq!(parse(&file("{}", 0)).unwrap().tensors.len(), 0);
}

#[test]
fn a_name_used_twice_or_reserved_is_an_error_before_anything_is_written() {
    let folder = folder();
    for (names, named) in [(["w", "w"], "w"), (["__metadata__", "w"], "__metadata__")] {
        let tensors = names.map(|name| (name.to_string(), Tensor::zeros([1])));
        let error = save(&folder.path().join("model"), "{}", &tensors).unwrap_err().to_string();
        let rule = "the name of a saved tensor must be used once and not `__metadata__`";
        assert_eq!(error, format!("{rule}, got {named}"));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn hostile_files_are_errors_that_say_what_was_expected() {
    assert_eq!(fault(b""), "expected a safetensors file, got one of 0 bytes");
    assert_eq!(
        fault(b"PK\x03\x04"),
        "expected a safetensors or PyTorch file, got a ZIP archive: unpack it first"
    );
    let text = fault(b"This is not a safetensors file but some text.");
    assert!(text.starts_with("expected a safetensors header of 2338328219631577172 bytes, got"), "{text}");
    let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
    let follow = "got a file in which 2 follow";
    assert_eq!(fault(&huge), format!("expected a safetensors header of {} bytes, {follow}", u64::MAX));
    for header in ["", "{", "[]", "null", r#"{"w":1}"#, r#"{"__metadata__":{"cnn":1}}"#] {
        let fault = fault(&file(header, 0));
        assert!(fault.starts_with("expected a safetensors header, got "), "{header}: {fault}");
    }
    let mut not_utf8 = file(r#"{"w?":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, 4);
    not_utf8[PREFIX + 3] = 0xFF;
    assert!(fault(&not_utf8).starts_with("expected a safetensors header, got "));
}

#[test]
fn headers_that_lie_about_the_data_are_errors() {
    let one = |shape: &str, start: u64, end: u64, data: usize| {
        let header = format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}}}"#);
        fault(&file(&header, data))
    };
    assert_eq!(one("[2]", 0, 8, 4), "expected 8 bytes of tensors after the header, got 4");
    assert_eq!(one("[2]", 0, 8, 12), "expected 8 bytes of tensors after the header, got 12");
    let promised = 4_000_000_000_000;
    let missing = format!("expected {promised} bytes of tensors after the header, got 0");
    assert_eq!(one("[1000000000000]", 0, promised, 0), missing);
    for (shape, start, end) in [
        ("[2]", 0, 4),
        ("[1]", 4, 8),
        ("[1]", 8, 4),
        ("[-1]", 0, 4),
        ("[0.5]", 0, 2),
        ("[4611686018427387905,4]", 0, 16),
        ("[18446744073709551615,18446744073709551615]", 0, 4),
    ] {
        let fault = one(shape, start, end, 8);
        assert!(fault.starts_with("expected a safetensors header, got "), "{shape}: {fault}");
    }
    let twice = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    assert!(fault(&file(twice, 4)).starts_with("expected a safetensors header, got invalid offset"));
}

/// Tensors that end a byte short of 2^64: adding the header's length to that would wrap around.
#[test]
fn a_header_whose_promises_add_up_to_the_whole_address_space_is_an_error() {
    let largest = (1u64 << 61) - 8;
    let mut entries = Vec::new();
    let mut start = 0;
    for (i, bytes) in [largest; 8].into_iter().chain([56]).enumerate() {
        let (elements, end) = (bytes / 4, start + bytes);
        entries
            .push(format!(r#""w{i}":{{"dtype":"F32","shape":[{elements}],"data_offsets":[{start},{end}]}}"#));
        start = end;
    }
    assert_eq!(start, u64::MAX - 7);
    let header = format!("{{{}}}", entries.join(","));
    let want = format!("expected {start} bytes of tensors after the header, got 16");
    assert_eq!(fault(&file(&header, 16)), want);
}

#[test]
fn whole_numbers_become_floats_if_a_float_can_hold_them() {
    let count = |count: i64| {
        let mut contents = file(r#"{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}"#, 0);
        contents.extend(count.to_le_bytes());
        parse(&contents).map(|saved| match saved.tensors.get("n") {
            Some(tensor) => Ok(tensor.data()[0]),
            None => Err(saved.unreadable["n"].clone()),
        })
    };
    for exact in [0, -1, 7032, 1 << 24, 1 << 40, i64::MIN] {
        assert_eq!(count(exact).unwrap(), Ok(exact as f32));
    }
    for inexact in [(1 << 24) + 1, i64::MAX] {
        let rule = "expected whole numbers that a float can hold";
        assert_eq!(count(inexact).unwrap(), Err(format!("{rule}, got {inexact}")));
    }
}

#[test]
fn other_types_and_higher_ranks_are_errors_that_name_the_tensor() {
    let one = |dtype: &str, shape: &str, bytes: usize| {
        let header =
            format!(r#"{{"fc.w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{bytes}]}}}}"#);
        fault(&file(&header, bytes))
    };
    let rule = "tensor fc.w: expected floats or whole numbers, got elements of type";
    assert_eq!(one("F8_E4M3", "[4]", 4), format!("{rule} F8_E4M3"));
    assert_eq!(one("C64", "[1]", 8), format!("{rule} C64"));
    assert_eq!(one("F32", "[1,1,1,1,1,1,1]", 4), "tensor fc.w: tensor: expected at most 6 axes, got 7");
    assert!(one("Q4", "[1]", 4).starts_with("expected a safetensors header, got unknown variant `Q4`"));
}

#[test]
fn every_flipped_bit_is_found() {
    for at in 0..8 * VALID.len() {
        let mut file = VALID.clone();
        file[at / 8] ^= 1 << (at % 8);
        match parse(&file) {
            Err(_) => {}
            // The key of the checksum can become another; all else is then as it was.
            Ok(saved) => assert!(!saved.is_verified, "bit {at}"),
        }
    }
    assert!(parse(&VALID).unwrap().is_verified);
}

#[test]
fn a_file_of_another_library_has_no_checksum_and_says_so() {
    let file = file(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4);
    assert!(!parse(&file).unwrap().is_verified);
}

#[test]
fn files_of_other_kinds_are_named() {
    assert_eq!(
        fault(b"PK\x03\x04 and so on"),
        "expected a safetensors or PyTorch file, got a ZIP archive: unpack it first"
    );
    assert!(
        fault(b"<!DOCTYPE html><title>404</title>")
            .starts_with("expected a safetensors or PyTorch file, got an HTML page")
    );
    let folder = folder();
    let path = folder.path().join("weights.pth");
    fs::write(&path, b"PK\x03\x04 and so on").unwrap();
    let message = load(&path).unwrap_err().to_string();
    assert!(message.contains("weights.pth: expected a whole ZIP archive"), "{message}");
}

#[test]
fn pytorchs_files_are_read_with_all_types_that_floats_can_hold() {
    let file = include_bytes!("../../../cnn-pth/tests/fixtures/zip.pth");
    let folder = folder();
    let path = folder.path().join("weights.pth");
    fs::write(&path, file).unwrap();
    let saved = load(&path).unwrap();
    assert_eq!((saved.tensors.len(), saved.unreadable.len(), saved.is_verified), (20, 0, false));
    assert_eq!(saved.tensors["bn.num_batches_tracked"].data(), [12345.0]);
    for name in ["float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"] {
        assert_eq!(saved.tensors[name].data(), [0.0, 1.0, 2.0, 3.0], "{name}");
    }
    assert_eq!(saved.tensors["transposed"].shape().dims(), [6, 4]);
    assert_eq!(saved.tensors["transposed"].data()[..4], [0.0, 6.0, 12.0, 18.0]);

    fs::write(&path, include_bytes!("../../../cnn-pth/tests/fixtures/checkpoint.pth")).unwrap();
    let notes = load(&path).unwrap().notes;
    assert_eq!(notes, ["the weights are those under state_dict"]);
}

#[test]
fn what_is_no_file_is_an_error() {
    let folder = folder();
    let error = load(folder.path()).unwrap_err();
    let want = format!("{}: expected a safetensors file, got a directory or device", folder.path().display());
    assert_eq!(error.to_string(), want);
    let path = folder.path().join("missing");
    let message = load(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: cannot read: ", path.display())), "{message}");
}

/// The names in a directory, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_run_killed_while_writing_does_not_disturb_the_next() {
    let folder = folder();
    let path = folder.path().join("model");
    save(&path, "old", &tensors()).unwrap();
    fs::write(folder.path().join(".unfinished-abc123"), b"half of a fi").unwrap();
    assert_eq!(load(&path).unwrap().description.as_deref(), Some("old"));
    save(&path, "new", &tensors()).unwrap();
    assert_eq!(load(&path).unwrap().description.as_deref(), Some("new"));
    assert_eq!(names(folder.path()), [".unfinished-abc123", "model"]);
}

#[test]
fn a_directory_that_is_missing_or_none_is_an_error() {
    let folder = folder();
    fs::write(folder.path().join("file"), b"").unwrap();
    for path in ["missing/model", "file/model"].map(|path| folder.path().join(path)) {
        let message = save(&path, "{}", &tensors()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: cannot write: ", path.display())), "{message}");
    }
    assert_eq!(names(folder.path()), ["file"]);
}

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = folder();
    let path = folder.path().join("model");
    save(&path, "{}", &tensors()).unwrap();
    fs::read(path).unwrap()
});

proptest! {
    #[test]
    fn a_damaged_file_is_loaded_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut file = VALID.clone();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if cut {
            file.truncate(end.index(file.len()));
            prop_assert!(parse(&file).is_err(), "a truncated file never holds what its header promises");
        }
        if let Ok(saved) = parse(&file) {
            // Of 8-bit numbers, which damage can make of the type, each becomes four bytes.
            let bytes: usize = saved.tensors.values().map(|tensor| tensor.shape().numel()).sum();
            prop_assert!(bytes < file.len());
        }
    }

    #[test]
    fn a_header_of_random_numbers_is_loaded_or_refused(
        numbers in prop::collection::vec((number(), number(), number(), number()), 0..4),
        data in 0..64usize,
    ) {
        let entry = |(i, (a, b, start, end)): (usize, &(u64, u64, u64, u64))| {
            format!(r#""w{i}":{{"dtype":"F32","shape":[{a},{b}],"data_offsets":[{start},{end}]}}"#)
        };
        let entries: Vec<_> = numbers.iter().enumerate().map(entry).collect();
        if let Ok(saved) = parse(&file(&format!("{{{}}}", entries.join(",")), data)) {
            let bytes: usize = saved.tensors.values().map(|tensor| 4 * tensor.shape().numel()).sum();
            prop_assert_eq!(bytes, data);
        }
    }
}

/// Small multiples of four, and numbers near the powers of two at which arithmetic overflows.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..5u64).prop_map(|n| 4 * n),
        0..3u64,
        (0..64u32).prop_map(|bit| (1 << bit) - 1),
        Just(u64::MAX)
    ]
}
