//! The sizes of blocks.

use super::ALIGNMENT;
use std::alloc::Layout;

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// A block size: `(4 + quarter) << exponent` cache lines over four, so that at most a quarter is wasted.
#[derive(Clone, Copy)]
pub(super) struct Class {
    /// From 0, in order of size.
    pub index: usize,
    pub bytes: usize,
}

/// The number of classes.
pub(super) const CLASSES: usize = 4 * (usize::BITS as usize - 6);

impl Class {
    /// The smallest class that holds `bytes` bytes, which are at most half the address space.
    pub fn of(bytes: usize) -> Self {
        let lines = bytes.div_ceil(ALIGNMENT).max(1);
        if lines <= 4 {
            return Self { index: lines - 1, bytes: lines * ALIGNMENT };
        }
        // 2^e < lines <= 2^(e+1): four steps of a quarter of 2^e each.
        let exponent = (lines - 1).ilog2() as usize;
        let quarter = 1 << (exponent - 2);
        let steps = (lines - (1 << exponent)).div_ceil(quarter);
        let index = 4 * (exponent - 1) + steps - 1;
        Self { index, bytes: ((1 << exponent) + steps * quarter) * ALIGNMENT }
    }

    /// Whether the block is worth huge pages.
    pub fn is_huge(self) -> bool {
        self.bytes >= 2 * HUGE
    }

    pub fn layout(self) -> Layout {
        let alignment = if self.is_huge() { HUGE } else { ALIGNMENT };
        Layout::from_size_align(self.bytes, alignment).expect("within half the address space")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_promise_and_waste_little() {
        let mut last = Class::of(0);
        for bytes in (0..if cfg!(miri) { 2000 } else { 100_000 }).chain([
            1 << 30,
            (1 << 30) + 1,
            isize::MAX as usize / 2,
        ]) {
            let class = Class::of(bytes);
            assert!(class.bytes >= bytes && class.bytes.is_multiple_of(ALIGNMENT));
            assert!(class.bytes <= (bytes + bytes / 4).max(4) + ALIGNMENT, "{bytes} -> {}", class.bytes);
            assert!(class.index < CLASSES);
            if class.bytes == last.bytes {
                assert_eq!(class.index, last.index);
            } else {
                assert!(class.index > last.index, "classes of different size must not share a list");
            }
            last = class;
        }
    }
}
