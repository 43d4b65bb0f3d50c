//! Counts of the memory that each thread takes and gives back.

use std::cell::Cell;

/// The memory that the calling thread takes for buffers and gives back, in bytes. It does not matter whether the memory comes
/// from the free lists, the system or a `Vec`.
///
/// Each thread has its own counts. If one thread takes a buffer and another gives it back, `held` grows on the first and
/// shrinks on the second; the sum over all threads is exact.
///
/// ```
/// use cnn_tensor::{MemoryUse, Tensor};
/// let before = MemoryUse::restart_peak();
/// drop(Tensor::zeros([1000]));
/// let y = Tensor::zeros([500]);
/// let after = MemoryUse::of_this_thread();
/// assert!(after.taken - before.taken >= 6000);
/// assert!((2000..4000).contains(&(after.held - before.held)));
/// assert!((4000..6000).contains(&(after.peak - before.held)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Taken since the thread began.
    pub taken: u64,
    /// Taken and not given back. It is negative on a thread that gives back more than it takes.
    pub held: i64,
    /// The largest `held` since [`MemoryUse::restart_peak`].
    pub peak: i64,
}

thread_local! {
    static MEMORY_USE: Cell<MemoryUse> = const { Cell::new(MemoryUse { taken: 0, held: 0, peak: 0 }) };
}

impl MemoryUse {
    /// The counts up to now.
    pub fn of_this_thread() -> Self {
        MEMORY_USE.get()
    }

    /// Sets `peak` to the present `held`, and returns the counts.
    pub fn restart_peak() -> Self {
        Self::change(|memory| memory.peak = memory.held);
        Self::of_this_thread()
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        self.held += bytes as i64;
        self.peak = self.peak.max(self.held);
    }

    pub(super) fn change(f: impl FnOnce(&mut Self)) {
        let mut memory = MEMORY_USE.get();
        f(&mut memory);
        MEMORY_USE.set(memory);
    }
}
