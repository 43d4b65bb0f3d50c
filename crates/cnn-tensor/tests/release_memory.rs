//! Memory that waits for reuse goes back to the system when it is asked for, and is bounded before.
//!
//! One test alone in its program: the allocator counts the bytes of all threads.
#![forbid(unsafe_code)]

use cnn_tensor::{Buffer, Random, Recycled, release_unused_memory};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn memory_is_bounded_and_released() {
    buffers_and_lists_are_released();
    lists_that_grow_do_not_pile_up();
    buffers_of_random_sizes_do_not_pile_up();
    buffers_of_all_sizes_in_turn_do_not_pile_up();
    many_lists_at_once_are_released();
}

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

/// Runs `work`. Returns the most bytes held at once, and asserts that all are given back, but for the tables of the free lists.
#[track_caller]
fn most_held(work: impl FnOnce()) -> usize {
    release_unused_memory();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    work();
    let most = ALLOCATOR.peak_usage() - before;
    release_unused_memory();
    let held = ALLOCATOR.current_usage().saturating_sub(before);
    assert!(held < 16 << 10, "{held} bytes are not given back");
    most
}

fn lists_that_grow_do_not_pile_up() {
    const COUNT: usize = 1_000_000;
    let most = most_held(|| {
        for i in 0..COUNT {
            let mut list = Recycled::default();
            (0..5 + i % 60).for_each(|n| list.push(n));
            // The iterator does not know its length.
            let odd: Recycled<usize> = list.iter().copied().filter(|n| n % 2 == 1).collect();
            assert_eq!(odd.len(), list.len() / 2);
        }
    });
    assert!(most < 64 << 10, "{most} bytes");
}

fn buffers_of_random_sizes_do_not_pile_up() {
    const LARGEST: usize = 1 << 20;
    let mut random = Random::new(0, &["churn"]);
    let most = most_held(|| {
        for _ in 0..100_000 {
            drop(Buffer::<u8>::scratch(random.below(LARGEST + 1)));
        }
    });
    // 6.5 times the largest, and the records of the blocks.
    assert!((LARGEST..LARGEST * 13 / 2 + (64 << 10)).contains(&most), "{most} bytes");
}

fn buffers_of_all_sizes_in_turn_do_not_pile_up() {
    const AT_ONCE: usize = 16 << 20;
    let most = most_held(|| {
        // 64 KiB to 16 MiB in steps of a quarter: 33 sizes, 528 MiB if all were kept.
        for quarters in 0..=32 {
            let size = (4 + quarters % 4) << (14 + quarters / 4);
            let all: Vec<_> = (0..AT_ONCE / size).map(|_| Buffer::<u8>::scratch(size)).collect();
            drop(all);
        }
    });
    assert!((AT_ONCE..8 * AT_ONCE + AT_ONCE / 8).contains(&most), "{most} bytes");
}

fn many_lists_at_once_are_released() {
    const COUNT: usize = 100_000;
    let most = most_held(|| {
        let all: Vec<_> = (0..COUNT).map(|n| Recycled::filled(n, 4)).collect();
        drop(all);
        // Lists of other types and lengths are found none the slower, which the time of this test would show.
        for n in 0..COUNT {
            drop(Recycled::filled([n as f32; 2], 4));
            drop(Recycled::filled(n as u64, 8));
        }
    });
    assert!(most > COUNT * 32, "{most} bytes");
}
