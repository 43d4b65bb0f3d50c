//! Memory that waits for reuse goes back to the system when it is asked for.
//!
//! One test alone in its program: the allocator counts the bytes of all threads.
#![forbid(unsafe_code)]

use cnn_tensor::{Buffer, Recycled, release_unused_memory};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn buffers_and_lists_are_released() {
    const BYTES: usize = 1 << 20;
    release_unused_memory();
    let before = ALLOCATOR.current_usage();
    let kept = Recycled::filled(0u8, BYTES);
    for make in [
        || drop(Buffer::<f32>::zeroed(BYTES / 4)),
        || drop(Recycled::filled(0u64, BYTES / 8)),
        || drop(Recycled::filled(Recycled::filled(0u16, 4), BYTES / size_of::<Recycled<u16>>())),
    ] {
        make();
        assert!(ALLOCATOR.current_usage() >= before + 2 * BYTES, "the memory waits for reuse");
        let released = release_unused_memory();
        assert!(released >= BYTES, "{released} bytes");
        let held = ALLOCATOR.current_usage() - before;
        assert!((BYTES..BYTES + BYTES / 4).contains(&held), "{held} bytes are not released");
        assert_eq!(release_unused_memory(), 0, "nothing is left to release");
    }
    assert_eq!(kept.len(), BYTES, "lists in use stay");
}
