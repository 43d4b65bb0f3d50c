//! Aligned memory that is recycled: training steps after the first take none from the system.
//!
//! Freed blocks go to free lists, one for each size class, and are reused without being cleared. A block is zeroed once, when
//! it comes from the system; later it holds old numbers. These are initialised memory, so nothing ever reads an undefined
//! value. Builds with debug assertions overwrite them with NaN, which exposes kernels that read before they write.
//!
//! How much memory the free lists hold is bounded:
//!
//! - A size class has as many blocks, free and in use, as were in use at once. There are four classes for each power of two. So
//!   buffers of random sizes up to `s`, one at a time, leave at most 6.5 times `s`.
//! - All blocks together, free and in use, take at most the larger of 64 MiB and 8 times the most memory that was in use at once.
//!   When a block from the system would exceed this, all free blocks are released first. This needs many phases of very
//!   different sizes: a training loop never comes near it.
//!
//! [`release_unused_memory`] releases all free blocks at once.

mod block;
mod class;
mod memory_use;

pub use memory_use::MemoryUse;

use block::Owner;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Bytes to which buffers are aligned, except those made of a `Vec`: a cache line, and the widest vector. Kernels are faster on
/// aligned memory but do not need it.
pub const ALIGNMENT: usize = 64;

mod sealed {
    /// Types for which every bit pattern is a value.
    ///
    /// # Safety
    /// An implementor has no padding, no invalid bit pattern, no drop glue, and alignment of at most
    /// [`super::ALIGNMENT`].
    pub unsafe trait Element: Copy + Send + Sync + 'static {}
    // SAFETY: plain numbers: every bit pattern is a value, alignment at most 8.
    unsafe impl Element for f32 {}
    // SAFETY: as above.
    unsafe impl Element for u32 {}
    // SAFETY: as above.
    unsafe impl Element for u8 {}
}
pub(crate) use sealed::Element;

/// Shared, copy-on-write storage for `len` numbers, aligned to [`ALIGNMENT`] bytes unless it was made of a `Vec`.
///
/// A clone costs a reference count. Writing through [`Buffer::as_mut_slice`] first copies the numbers if a clone shares them.
/// They are `f32`, `u32` or `u8`.
///
/// ```
/// use cnn_tensor::Buffer;
/// let mut a = Buffer::<u32>::zeroed(3);
/// let b = a.clone();
/// a.as_mut_slice()[0] = 7;
/// assert_eq!((a.as_slice(), b.as_slice()), (&[7, 0, 0][..], &[0, 0, 0][..]));
/// ```
pub struct Buffer<T: Element> {
    owner: Owner,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::take(len);
        let bytes = len * size_of::<T>();
        let start = buffer.unique().as_ptr();
        // SAFETY: the block is ours alone, holds at least `bytes` bytes, and all-zero bits are a value of T.
        unsafe { start.write_bytes(0, bytes) };
        buffer
    }

    /// `len` numbers of unspecified value, for a caller that writes all of them. In builds with debug assertions all their bits
    /// are 1, which is NaN for `f32`.
    pub fn scratch(len: usize) -> Self {
        let mut buffer = Self::take(len);
        if cfg!(debug_assertions) {
            let start = buffer.unique().as_ptr();
            // SAFETY: the block is ours alone and holds that many bytes; 0xFF.. is a value of T (a NaN for f32).
            unsafe { start.write_bytes(0xFF, len * size_of::<T>()) };
        }
        buffer
    }

    /// A copy of `values`.
    pub fn from_slice(values: &[T]) -> Self {
        let mut buffer = Self::take(values.len());
        buffer.as_mut_slice().copy_from_slice(values);
        buffer
    }

    /// The given numbers, where they are: nothing is copied. Such a buffer is aligned as the `Vec` is, and its memory is not
    /// recycled.
    ///
    /// ```
    /// # use cnn_tensor::Buffer;
    /// let numbers = vec![1.0f32, 2.0];
    /// let place = numbers.as_ptr();
    /// let buffer = Buffer::from_vec(numbers);
    /// assert_eq!(buffer.as_slice().as_ptr(), place);
    /// assert_eq!(buffer.into_vec().as_ptr(), place);
    /// ```
    pub fn from_vec(numbers: Vec<T>) -> Self {
        Self { len: numbers.len(), owner: Owner::adopt(numbers), element: PhantomData }
    }

    /// The numbers as a `Vec`: the one of [`Buffer::from_vec`] if no clone shares it, else a copy.
    pub fn into_vec(self) -> Vec<T> {
        let Self { owner, len, element } = self;
        owner.into_vec().unwrap_or_else(|owner| Self { owner, len, element }.as_slice().to_vec())
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[T] {
        let start = self.owner.start().cast::<T>();
        // SAFETY: the block holds at least `len` initialised elements (zeroed when it came from the system, or those of a
        // `Vec<T>`), and nothing writes to it while `self` is borrowed: writing needs `&mut` of its only owner.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) }
    }

    /// The numbers, to write. They are copied first if a clone shares them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if !self.owner.is_unique() {
            *self = Self::from_slice(self.as_slice());
        }
        let len = self.len;
        let start = self.unique().cast::<T>();
        // SAFETY: the block holds `len` initialised elements, and `unique` has shown that there is no other owner.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A buffer of `len` unspecified numbers, from the free lists or the system.
    fn take(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).filter(|&b| b <= isize::MAX as usize / 2);
        let bytes = bytes.unwrap_or_else(|| panic!("a buffer of {len} elements exceeds the address space"));
        Self { owner: Owner::take(bytes), len, element: PhantomData }
    }

    /// The start of the block, which has no other owner.
    fn unique(&mut self) -> NonNull<u8> {
        assert!(self.owner.is_unique(), "no other owner");
        self.owner.start()
    }
}

impl<T: Element> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self { owner: self.owner.clone(), len: self.len, element: PhantomData }
    }
}

/// The length and the type of the elements.
impl<T: Element> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} x {})", self.len, std::any::type_name::<T>())
    }
}

/// Returns all memory that waits for reuse to the system: that of freed [`Buffer`]s and [`Recycled`](crate::Recycled) lists.
/// A program may call it after it has dropped a large network. Returns the number of bytes released.
///
/// Without such a call, the buffers take at most the larger of 64 MiB and 8 times the most memory that was in use at once, free
/// ones included; the lists likewise.
///
/// ```
/// # use cnn_tensor::{Buffer, Recycled, release_unused_memory};
/// drop(Buffer::<f32>::zeroed(1000));
/// drop(Recycled::filled(0u64, 1000));
/// assert!(release_unused_memory() >= 4000 + 8000);
/// ```
pub fn release_unused_memory() -> usize {
    block::release_free() + crate::recycled::release_free()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn buffers_are_aligned_and_zeroed_again_when_recycled() {
        // The longest buffers have huge pages.
        let lengths = [0, 1, 15, 16, 17, 1000, (4 << 20) / 4 - 16, (4 << 20) / 4, 3 << 20];
        for len in lengths.into_iter().filter(|&len| !cfg!(miri) || len <= 1000) {
            let mut a = Buffer::<f32>::zeroed(len);
            a.as_mut_slice().fill(3.0);
            drop(a);
            let a = Buffer::<f32>::zeroed(len);
            assert_eq!(a.as_slice().as_ptr() as usize % ALIGNMENT, 0);
            assert!(a.as_slice().iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn clones_on_other_threads_do_not_see_writes() {
        let mut a = Buffer::from_slice(&[1.0f32; 100]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut b = a.clone();
                scope.spawn(move || {
                    b.as_mut_slice().fill(2.0);
                    assert!(b.as_slice().iter().all(|&v| v == 2.0));
                });
            }
            a.as_mut_slice().fill(3.0);
        });
        assert!(a.as_slice().iter().all(|&v| v == 3.0));
    }

    #[test]
    fn a_vec_is_adopted_and_given_back_where_it_is() {
        let before = MemoryUse::of_this_thread().held;
        for len in [0, 1, 1000] {
            let mut numbers = Vec::with_capacity(len + 3);
            numbers.extend((0..len).map(|i| i as f32));
            let (place, capacity) = (numbers.as_ptr() as usize, numbers.capacity());
            let mut buffer = Buffer::from_vec(numbers.clone());
            assert_eq!(buffer.as_slice(), numbers);
            buffer = Buffer::from_vec(numbers);
            assert_eq!(MemoryUse::of_this_thread().held - before, 4 * capacity as i64);
            // A clone keeps the old numbers, and the memory.
            let clone = buffer.clone();
            buffer.as_mut_slice().fill(-1.0);
            assert!(len == 0 || buffer.as_slice().as_ptr() as usize != place);
            assert_eq!(buffer.into_vec(), vec![-1.0; len]);
            let (mut last, copy) = (clone.clone(), clone.into_vec());
            assert_eq!(copy.len(), len);
            last.as_mut_slice().iter_mut().for_each(|v| *v += 1.0);
            let back = last.into_vec();
            assert_eq!((back.as_ptr() as usize, back.capacity()), (place, capacity));
            assert!(back.iter().enumerate().all(|(i, &v)| v == i as f32 + 1.0));
            assert_eq!(MemoryUse::of_this_thread().held, before, "all is given back");
        }
        assert_eq!(Buffer::<u8>::zeroed(3).into_vec(), [0; 3], "of the free lists: a copy");
    }

    /// The bytes that `f` adds to the calling thread's count of bytes held.
    fn held(f: impl FnOnce()) -> i64 {
        let before = MemoryUse::of_this_thread().held;
        f();
        MemoryUse::of_this_thread().held - before
    }

    #[test]
    fn bytes_are_given_back_once_when_two_last_owners_race() {
        const COUNT: usize = if cfg!(miri) { 10 } else { 200 };
        for round in 0..if cfg!(miri) { 2 } else { 20 } {
            let mut owners = [Vec::new(), Vec::new()];
            let mut sum = held(|| {
                for _ in 0..COUNT {
                    let buffer = Buffer::<f32>::zeroed(10);
                    owners[0].push(buffer.clone());
                    owners[1].push(buffer);
                }
            });
            assert!(sum > 0, "they are counted");
            // Both drop each buffer at the same moment; in every other round, one writes to it first.
            let arrived = AtomicUsize::new(0);
            let drop_all = |owners: Vec<Buffer<f32>>, write: bool| {
                held(|| {
                    for (i, mut buffer) in owners.into_iter().enumerate() {
                        arrived.fetch_add(1, Ordering::Relaxed);
                        while arrived.load(Ordering::Relaxed) < 2 * (i + 1) {
                            std::thread::yield_now();
                        }
                        if write {
                            buffer.as_mut_slice()[0] = 1.0;
                        }
                    }
                })
            };
            std::thread::scope(|scope| {
                let [first, second] = owners;
                let first = scope.spawn(|| drop_all(first, round % 2 == 1));
                let second = scope.spawn(|| drop_all(second, false));
                sum += first.join().unwrap() + second.join().unwrap();
            });
            assert_eq!(sum, 0, "round {round}");
        }
    }

    #[test]
    #[should_panic(expected = "exceeds the address space")]
    fn an_absurd_length_panics_before_it_allocates() {
        Buffer::<f32>::zeroed(usize::MAX / 2);
    }
}
