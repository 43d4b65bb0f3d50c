//! Damaged and hostile files: an error or tensors, no panic, and memory in proportion to the file.
//!
//! The only test in its program, since the allocator counts the memory of all threads.
#![forbid(unsafe_code)]

use cnn_pth::read;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes of memory for each byte of a file, and beyond those.
const FACTOR: usize = 128;
const CONSTANT: usize = 64 * 1024;

fn try_to_read(file: &[u8]) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let _ = read(file);
    let used = MEMORY.peak_usage() - before;
    assert!(used <= FACTOR * file.len() + CONSTANT, "{used} bytes for a file of {}", file.len());
}

#[test]
fn hostile_files_are_refused_or_read_in_proportion_to_their_length() {
    every_byte_may_be_wrong();
    small_files_that_stand_for_much_stay_small();
}

fn every_byte_may_be_wrong() {
    for file in [
        &include_bytes!("fixtures/legacy.pth")[..],
        include_bytes!("fixtures/zip.pth"),
        include_bytes!("fixtures/checkpoint.pth"),
    ] {
        for length in 0..file.len() {
            try_to_read(&file[..length]);
        }
        let mut changed = file.to_vec();
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0xff, file[at] ^ 1, file[at] ^ 0x80, b'(', b'h', b't', b'2', b'.'] {
                changed[at] = value;
                try_to_read(&changed);
            }
            changed[at] = file[at];
        }
        // Two wrong bytes, of which one may make the other one reachable.
        let mut random = 1u64;
        for _ in 0..20_000 {
            let mut places = [0; 4];
            for place in &mut places {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *place = (random >> 33) as usize;
            }
            let [a, b] = [places[0] % file.len(), places[1] % file.len()];
            (changed[a], changed[b]) = (places[2] as u8, places[3] as u8);
            try_to_read(&changed);
            (changed[a], changed[b]) = (file[a], file[b]);
        }
    }
}

fn small_files_that_stand_for_much_stay_small() {
    let header = [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."[..],
        b"\x80\x02}X\x0d\0\0\0little_endian\x88s.",
    ]
    .concat();
    // A dict that holds another one a thousand times, which holds another one a thousand times, to any depth.
    let mut nested = [&header[..], b"\x80\x02}q\0"].concat();
    for level in 1..20u8 {
        nested.extend([b'}', b'q', level]);
        for _ in 0..1000 {
            nested.extend(*b"X\x01\0\0\0k");
            nested.extend([b'h', level - 1, b's']);
        }
    }
    nested.extend(b".\x80\x02].");
    try_to_read(&nested);
    // One long name, used often.
    let mut long = [&header[..], b"\x80\x02X\0\x10\0\0"].concat();
    long.extend([b'n'; 4096]);
    long.extend(b"q\0}");
    for _ in 0..4096 {
        long.extend(b"h\0h\0s");
    }
    long.extend(b".\x80\x02].");
    try_to_read(&long);
    // Tuples in tuples.
    let mut deep = [&header[..], b"\x80\x02)"].concat();
    deep.extend([b'\x85'; 100_000]);
    deep.extend(b".\x80\x02].");
    try_to_read(&deep);
}
