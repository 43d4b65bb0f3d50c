//! Files that PyTorch wrote (`xtask/peers/pth_files.py`), and what can be wrong with a file.
#![forbid(unsafe_code)]

use cnn_pth::{Contents, Element, PthError, Tensor, read};
use serde_json::Value;

const ZIP: &[u8] = include_bytes!("fixtures/zip.pth");
const LEGACY: &[u8] = include_bytes!("fixtures/legacy.pth");
const CHECKPOINT: &[u8] = include_bytes!("fixtures/checkpoint.pth");
const PROTOCOL4: &[u8] = include_bytes!("fixtures/protocol4.pth");

/// The numbers of a tensor whose type holds only numbers of a few bits.
fn values(tensor: &Tensor) -> Vec<f64> {
    let bytes = &tensor.bytes;
    match tensor.element {
        Element::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        Element::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
        Element::BF16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16).into())
            .collect(),
        // 0, 1, 2 and 3.
        Element::F16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| match u16::from_le_bytes(b) {
                0 => 0.0,
                0x3c00 => 1.0,
                0x4000 => 2.0,
                0x4200 => 3.0,
                other => panic!("{other:#x}"),
            })
            .collect(),
        Element::I64 => bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
        Element::I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        Element::I16 => bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
        Element::I8 => bytes.iter().map(|&b| (b as i8).into()).collect(),
        Element::U8 | Element::Bool => bytes.iter().map(|&b| b.into()).collect(),
    }
}

#[test]
fn both_forms_have_every_tensor_of_every_type_in_row_major_order() {
    let expected: Value = serde_json::from_str(include_str!("fixtures/expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 20);
    for file in [ZIP, LEGACY] {
        let Contents { tensors, others, path } = read(file).unwrap();
        assert!(others.is_empty() && path.is_empty());
        assert!(tensors.keys().eq(expected.keys()), "{:?}", tensors.keys());
        for (name, tensor) in &tensors {
            let expected = &expected[name];
            assert_eq!(tensor.element.name(), expected["element"], "{name}");
            assert_eq!(serde_json::to_value(&tensor.shape).unwrap(), expected["shape"], "{name}");
            assert_eq!(serde_json::to_value(values(tensor)).unwrap(), expected["values"], "{name}");
        }
    }
}

#[test]
fn the_weights_in_a_checkpoint_are_found() {
    let contents = read(CHECKPOINT).unwrap();
    assert_eq!(contents.path, ["state_dict"]);
    assert_eq!(values(&contents.tensors["weight"]), [1.0, 2.0]);
    assert_eq!(contents.tensors["weight"].shape, [1, 2]);
    let contents = read(PROTOCOL4).unwrap();
    assert_eq!((contents.path, contents.tensors.len()), (vec!["model".to_string()], 2));
}

#[track_caller]
fn refusal(file: &[u8]) -> String {
    read(file).unwrap_err().to_string()
}

#[test]
fn other_objects_are_refused_by_name() {
    let module = refusal(include_bytes!("fixtures/module.pth"));
    assert!(module.contains("got torch.nn.modules.linear.Linear, which is not called"), "{module}");
    assert!(module.contains("model.state_dict()"), "{module}");
    let list = refusal(include_bytes!("fixtures/list.pth"));
    assert_eq!(list, "expected a state_dict, tensors by name, got a list");
    let script = refusal(include_bytes!("fixtures/script.pt"));
    assert!(script.contains("TorchScript program: save its state_dict()"), "{script}");
    assert!(refusal(b"PK\x03\x04 and no archive").contains("expected a whole ZIP archive"));
    assert!(refusal(b"GIF89a").contains("expected a file of torch.save"));
}

/// A legacy file whose main pickle is `pickle`.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    let rest = b"\x80\x02]X\x01\0\0\x000a.\x02\0\0\0\0\0\0\0\0\0\x80?\0\0\0@";
    [&magic[..], b"\x80\x02M\xe9\x03.", system, pickle, rest].concat()
}

/// A dict with one tensor `w` of the storage 0, two floats, by this offset, these extents and strides.
fn tensor(offset: &[u8], extents: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02NtQ";
    let parts = [
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(",
        &storage[..],
        offset,
        extents,
        strides,
        b"\x89}tRs.",
    ];
    legacy(&parts.concat())
}

#[test]
fn a_pickle_that_calls_functions_is_refused() {
    let calls: &[&[u8]] = &[
        b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"\x80\x02c__builtin__\ngetattr\n.",
        b"\x80\x02cos\x1b[2J\nsystem\n.",
    ];
    // Names as a message shows them: without anything that moves the cursor.
    let names = ["os.system", "builtins.eval", "__builtin__.getattr", r"os\u{1b}[2J.system"];
    for (pickle, name) in calls.iter().zip(names) {
        let message = refusal(&legacy(pickle));
        assert!(message.contains(&format!("got {name}, which is not called")), "{message}");
        assert!(message.starts_with("at byte "), "{message}");
    }
}

#[test]
fn a_tensor_outside_its_storage_is_refused() {
    let good = read(&tensor(b"K\0", b"K\x02\x85", b"K\x01\x85")).unwrap();
    assert_eq!(values(&good.tensors["w"]), [1.0, 2.0]);
    let backwards_into_it =
        read(&tensor(b"K\x01", b"K\x01\x85", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")).unwrap();
    assert_eq!(values(&backwards_into_it.tensors["w"]), [2.0]);
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    type Case<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a str);
    let cases: &[Case<'_>] = &[
        (b"K\x01", b"K\x02\x85", b"K\x01\x85", "a part of the 2 elements of its storage"),
        (b"K\0", b"K\x02\x85", b"K\x02\x85", "a part of the 2 elements"),
        (b"K\0", b"K\x03\x85", b"K\0\x85", "at most the 8 bytes of its storage"),
        (b"K\0", &[huge, huge, &b"\x86"[..]].concat(), b"K\x01K\x01\x86", "at most the 8 bytes"),
        (huge, b"K\x02\x85", &[huge, &b"\x85"[..]].concat(), "a part of the 2 elements"),
        (b"J\xff\xff\xff\xff", b"K\x01\x85", b"K\x01\x85", "a storage, an offset, extents and strides"),
        (b"K\0", b"K\x02\x85", b"K\x01K\x01\x86", "a stride for each extent"),
        (b"K\0", b"J\xff\xff\xff\xff\x85", b"K\x01\x85", "a storage, an offset, extents and strides"),
    ];
    for (offset, extents, strides, expected) in cases {
        let message = refusal(&tensor(offset, extents, strides));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn numbers_that_stand_for_others_are_refused() {
    let plain = tensor(b"K\0", b"K\x02\x85", b"K\x01\x85");
    let end = plain.windows(4).position(|bytes| bytes == b"tRs.").unwrap();
    let with = |metadata: &[u8]| [&plain[..end], metadata, &plain[end..]].concat();
    for none in [&b"N"[..], b"}"] {
        assert_eq!(values(&read(&with(none)).unwrap().tensors["w"]), [1.0, 2.0]);
    }
    let message = refusal(&with(b"}X\x03\0\0\0neg\x88s"));
    assert!(message.contains("got one with metadata, such as a negative view"), "{message}");
}

#[test]
fn names_are_used_once() {
    // The dict, entered twice under one name.
    let file = tensor(b"K\0", b"K\x02\x85", b"K\x01\x85");
    let end = file.windows(3).position(|bytes| bytes == b"Rs.").unwrap();
    let twice = [&file[..end + 1], b"q\x07sX\x01\0\0\0wh\x07s", &file[end + 2..]].concat();
    let error = read(&twice).unwrap_err();
    assert!(matches!(&error, PthError::Tensor { name, .. } if name == "w"), "{error}");
}
