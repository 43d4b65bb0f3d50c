//! Aligned memory that is recycled: after the first training step, a step asks the system for none.
//!
//! Freed blocks wait in free lists by size class and are handed out again as they are: zeroed once when they
//! came from the system, holding old numbers afterwards. Old numbers are initialised memory, so no part of
//! the library ever reads an undefined value; builds with debug assertions fill them with NaN to expose a
//! kernel that reads what it did not write.

use crate::free_list::FreeList;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes to which every buffer is aligned: a cache line, and the widest vector.
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

/// Shared, copy-on-write storage for `len` numbers, aligned to [`ALIGNMENT`] bytes.
///
/// Cloning is a reference count; writing through [`Buffer::as_mut_slice`] copies first if another clone exists.
/// The numbers are `f32`, `u32` or `u8`.
///
/// ```
/// use cnn_tensor::Buffer;
/// let mut a = Buffer::<u32>::zeroed(3);
/// let b = a.clone();
/// a.as_mut_slice()[0] = 7;
/// assert_eq!((a.as_slice(), b.as_slice()), (&[7, 0, 0][..], &[0, 0, 0][..]));
/// ```
pub struct Buffer<T: Element> {
    /// `None` only while being dropped.
    block: Option<Arc<Block>>,
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

    /// `len` numbers of unspecified value, for a caller that writes every one of them.
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

    /// The numbers.
    pub fn as_slice(&self) -> &[T] {
        let start = self.block().start.cast::<T>();
        // SAFETY: the block holds at least `len` initialised elements (zeroed when it came from the system) and
        // nothing writes to it while `self` is borrowed: writing needs `&mut` of its only owner.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) }
    }

    /// The numbers, to write; copies them first if they are shared with a clone.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if self.block.as_mut().is_some_and(|block| Arc::get_mut(block).is_none()) {
            *self = Self::from_slice(self.as_slice());
        }
        let len = self.len;
        let start = self.unique().cast::<T>();
        // SAFETY: the block holds `len` initialised elements and `unique` has shown that no other owner exists.
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

    /// A block with room for `len` elements, from the free lists or the system, contents as they come.
    fn take(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).filter(|&b| b <= isize::MAX as usize / 2);
        let bytes = bytes.unwrap_or_else(|| panic!("a buffer of {len} elements exceeds the address space"));
        let class = Class::of(bytes);
        MemoryUse::change(|memory| memory.take(class.bytes));
        let mut free = POOL[class.index].lock();
        let recycled = free.pop();
        if recycled.is_none() {
            free.expect_another();
        }
        drop(free);
        let block = recycled.unwrap_or_else(|| Arc::new(Block::from_system(class)));
        Self { block: Some(block), len, element: PhantomData }
    }

    fn block(&self) -> &Arc<Block> {
        self.block.as_ref().expect("a block until drop")
    }

    /// The start of the block, which nobody else owns.
    fn unique(&mut self) -> NonNull<u8> {
        let block = self.block.as_mut().expect("a block until drop");
        Arc::get_mut(block).expect("no other owner").start
    }
}

impl<T: Element> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self { block: self.block.clone(), len: self.len, element: PhantomData }
    }
}

/// The length; the numbers are the tensor's to show.
impl<T: Element> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} x {})", self.len, std::any::type_name::<T>())
    }
}

impl<T: Element> Drop for Buffer<T> {
    /// The last owner returns the block to the free lists.
    ///
    /// When two last owners drop at the same moment neither may see itself alone; the block then goes back to
    /// the system, which is correct and rare.
    fn drop(&mut self) {
        let Some(mut block) = self.block.take() else { return };
        if let Some(unique) = Arc::get_mut(&mut block) {
            let Class { index, bytes } = unique.class;
            MemoryUse::change(|memory| memory.held -= bytes as i64);
            POOL[index].lock().push(block);
        }
    }
}

/// Returns every block in the free lists to the system: after a large network is dropped, say.
///
/// ```
/// # use cnn_tensor::{Buffer, release_unused_memory};
/// drop(Buffer::<f32>::zeroed(1000));
/// assert!(release_unused_memory() >= 4000);
/// ```
pub fn release_unused_memory() -> usize {
    let mut bytes = 0;
    for list in &POOL {
        for block in list.lock().take_all() {
            bytes += block.class.bytes;
        }
    }
    bytes
}

/// What the calling thread takes for buffers and gives back, in bytes, whether it comes from the free lists or the system.
///
/// A profile of one thread needs no more. Where threads share the work, each counts its own part, and a buffer that one
/// takes and another gives back makes the one's `held` grow and the other's shrink.
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
    /// Taken and not given back; negative where more came from other threads than went there.
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

    /// Lets `peak` begin anew, at what is held now; the counts up to now.
    pub fn restart_peak() -> Self {
        Self::change(|memory| memory.peak = memory.held);
        Self::of_this_thread()
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        self.held += bytes as i64;
        self.peak = self.peak.max(self.held);
    }

    fn change(f: impl FnOnce(&mut Self)) {
        let mut memory = MEMORY_USE.get();
        f(&mut memory);
        MEMORY_USE.set(memory);
    }
}

/// Memory from the system, zeroed when it came, aligned to [`ALIGNMENT`].
struct Block {
    start: NonNull<u8>,
    class: Class,
}

// SAFETY: a block is plain memory without thread affinity; access to it is governed by `Buffer`, which writes only
// through `&mut` of its single owner.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn from_system(class: Class) -> Self {
        let layout = class.layout();
        // SAFETY: the layout's size is at least ALIGNMENT, so not zero.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        if class.is_huge() {
            // SAFETY: the pages from `start` on, which lies at the start of one, are the block's.
            unsafe { ask_for_huge_pages(start, class.bytes) };
        }
        // SAFETY: the block has that many bytes.
        unsafe { start.write_bytes(0, class.bytes) };
        Self { start, class }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `from_system` with this very layout, and freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.class.layout()) }
    }
}

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Asks the system to back memory by huge pages. An operation that strides through a large tensor, plane by plane of one
/// channel say, waits for the addresses of small pages as long as for the numbers.
///
/// # Safety
/// `start` is aligned to [`HUGE`] and begins `bytes` bytes that belong to the caller.
#[cfg(target_os = "linux")]
unsafe fn ask_for_huge_pages(start: NonNull<u8>, bytes: usize) {
    unsafe extern "C" {
        fn madvise(start: *mut u8, bytes: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    // A system without huge pages says no, which changes nothing.
    // SAFETY: the advice leaves the content as it is, and the memory is the caller's.
    let _ = unsafe { madvise(start.as_ptr(), bytes, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
unsafe fn ask_for_huge_pages(_: NonNull<u8>, _: usize) {}

/// A block size: `(4 + quarter) << exponent` cache lines over four, so that at most a quarter is wasted.
#[derive(Clone, Copy)]
struct Class {
    index: usize,
    bytes: usize,
}

const CLASSES: usize = 4 * (usize::BITS as usize - 6);
static POOL: [FreeList<Arc<Block>>; CLASSES] = [const { FreeList::new() }; CLASSES];

impl Class {
    /// The smallest class that holds `bytes` bytes; `bytes` is at most half the address space.
    fn of(bytes: usize) -> Self {
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

    /// Whether the block is worth pages of its own.
    fn is_huge(self) -> bool {
        self.bytes >= 2 * HUGE
    }

    fn layout(self) -> Layout {
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
        for bytes in (0..100_000).chain([1 << 30, (1 << 30) + 1, isize::MAX as usize / 2]) {
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

    #[test]
    fn buffers_are_aligned_and_zeroed_again_when_recycled() {
        for len in [0, 1, 15, 16, 17, 1000, (4 << 20) / 4 - 16, (4 << 20) / 4, 3 << 20] {
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
    #[should_panic(expected = "exceeds the address space")]
    fn an_absurd_length_panics_before_it_allocates() {
        Buffer::<f32>::zeroed(usize::MAX / 2);
    }
}
