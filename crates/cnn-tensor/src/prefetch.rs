//! Memory asked for before it is read.

/// Asks for `items` to be brought near the processor, without waiting for them. Nothing but the time taken changes.
///
/// What is read in an order that the processor cannot guess, images of a shuffled data set say, is otherwise waited for.
///
/// ```
/// cnn_tensor::prefetch(&[1, 2, 3]);
/// ```
#[inline]
pub fn prefetch<T>(items: &[T]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in items.chunks((64 / size_of::<T>().max(1)).max(1)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and never faults; the pointer is one of a slice anyway.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = items;
}
