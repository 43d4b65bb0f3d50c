//! Prefetching memory.

/// Tells the processor to load `items` into its caches, without waiting. No result changes, only the time taken.
///
/// It helps with memory that is read in an order the processor cannot predict, such as the images of a shuffled data set.
///
/// ```
/// cnn_tensor::prefetch(&[1, 2, 3]);
/// ```
#[inline]
pub fn prefetch<T>(items: &[T]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in items.chunks((64 / size_of::<T>().max(1)).max(1)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect on memory and never faults, and the pointer is that of a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = items;
}
