//! Blocks of memory with a count of their owners, and the free lists.

use super::class::{CLASSES, Class};
use super::{Element, MemoryUse};
use crate::free_list::{Bound, FreeList};
use std::alloc::{alloc, dealloc, handle_alloc_error};
use std::any::TypeId;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// Free blocks by class.
static POOL: [FreeList<Box<Block>>; CLASSES] = [const { FreeList::new() }; CLASSES];

/// Bounds the bytes of all blocks from the system.
static BOUND: Bound = Bound::new();

/// Memory for numbers, all of it initialised.
struct Block {
    /// The number of [`Owner`]s; 1 while the block is free.
    owners: AtomicUsize,
    start: NonNull<u8>,
    bytes: usize,
    origin: Origin,
}

/// Where a block comes from, which decides where it goes when its last owner drops.
#[derive(Clone, Copy)]
enum Origin {
    /// The system, zeroed when it came; it goes to the free lists.
    System(Class),
    /// A `Vec` of `len` numbers of type `element`; `free` drops a `Vec` of that type, given its start and capacity.
    Vec { element: TypeId, len: usize, capacity: usize, free: unsafe fn(NonNull<u8>, usize) },
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
        Self { owners: AtomicUsize::new(1), start, bytes: class.bytes, origin: Origin::System(class) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        match self.origin {
            // SAFETY: allocated in `from_system` with this very layout, and freed only here.
            Origin::System(class) => unsafe { dealloc(self.start.as_ptr(), class.layout()) },
            // SAFETY: start and capacity are those of the `Vec` that `Owner::adopt` took apart, and `free` is of its type.
            Origin::Vec { capacity, free, .. } => unsafe { free(self.start, capacity) },
        }
    }
}

/// Returns the blocks in the free lists to the system. Returns their number of bytes.
pub(super) fn release_free() -> usize {
    let mut bytes = 0;
    for list in &POOL {
        let free = list.lock().take_all();
        bytes += free.iter().map(|block| block.bytes).sum::<usize>();
    }
    BOUND.released(bytes);
    bytes
}

/// The bytes of the blocks in the free lists.
fn free_bytes() -> usize {
    let bytes = |list: &FreeList<Box<Block>>| {
        let free = list.lock();
        // The blocks of a list have one size.
        free.first().map_or(0, |block| block.bytes * free.len())
    };
    POOL.iter().map(bytes).sum()
}

/// Drops a `Vec`.
///
/// # Safety
/// `start` and `capacity` are those of a `Vec<T>` that was taken apart.
unsafe fn free_vec<T: Element>(start: NonNull<u8>, capacity: usize) {
    // SAFETY: the caller promises the parts, and a `Vec` of length 0 needs no initialised elements.
    drop(unsafe { Vec::from_raw_parts(start.cast::<T>().as_ptr(), 0, capacity) });
}

/// One of the owners of a block. The last owner returns the block to the free lists, or frees it if it was adopted.
///
/// This is not an `Arc`, because an `Arc` cannot be recycled reliably: when two last owners drop at the same moment, each may
/// see the other, and then neither knows that it should return the block.
pub(super) struct Owner(NonNull<Block>);

// SAFETY: owners share a block only to read it and to count (`Block` is `Sync`), and the last one may free it on any thread
// (`Block` is `Send`).
unsafe impl Send for Owner {}
// SAFETY: as above.
unsafe impl Sync for Owner {}

impl Owner {
    /// The only owner of a block of at least `bytes` bytes, from the free lists or the system. The content is initialised but
    /// unspecified.
    pub fn take(bytes: usize) -> Self {
        let class = Class::of(bytes);
        MemoryUse::change(|memory| memory.take(class.bytes));
        let mut free = POOL[class.index].lock();
        let recycled = free.pop();
        if recycled.is_none() {
            free.expect_another();
        }
        drop(free);
        let block = recycled.unwrap_or_else(|| {
            BOUND.took(class.bytes, free_bytes, release_free);
            Box::new(Block::from_system(class))
        });
        Self(NonNull::from(Box::leak(block)))
    }

    /// The only owner of the memory of `numbers`, which is not copied. Capacity beyond the length stays unused.
    pub fn adopt<T: Element>(numbers: Vec<T>) -> Self {
        let mut numbers = ManuallyDrop::new(numbers);
        let start = NonNull::new(numbers.as_mut_ptr()).expect("a Vec never begins at null").cast();
        let (len, capacity) = (numbers.len(), numbers.capacity());
        let bytes = capacity * size_of::<T>();
        MemoryUse::change(|memory| memory.take(bytes));
        let origin = Origin::Vec { element: TypeId::of::<T>(), len, capacity, free: free_vec::<T> };
        let block = Box::new(Block { owners: AtomicUsize::new(1), start, bytes, origin });
        Self(NonNull::from(Box::leak(block)))
    }

    /// The adopted `Vec<T>` with its present numbers.
    ///
    /// # Errors
    /// The owner itself, if the block was not adopted from a `Vec<T>` or has another owner.
    pub fn into_vec<T: Element>(mut self) -> Result<Vec<T>, Self> {
        let Origin::Vec { element, len, capacity, free } = self.block().origin else { return Err(self) };
        if element != TypeId::of::<T>() || !self.is_unique() {
            return Err(self);
        }
        // SAFETY: it was a box when it was made, and its only owner is given up without being dropped.
        let mut block = unsafe { Box::from_raw(ManuallyDrop::new(self).0.as_ptr()) };
        MemoryUse::change(|memory| memory.held -= block.bytes as i64);
        // The block is left with a `Vec` that has no memory.
        let start = std::mem::replace(&mut block.start, NonNull::<T>::dangling().cast());
        block.origin = Origin::Vec { element, len: 0, capacity: 0, free };
        // SAFETY: the parts are those of the `Vec<T>` that `adopt` took apart, and nothing else frees them any more.
        Ok(unsafe { Vec::from_raw_parts(start.cast::<T>().as_ptr(), len, capacity) })
    }

    /// The start of the block.
    pub fn start(&self) -> NonNull<u8> {
        self.block().start
    }

    /// Whether this is the only owner. While `self` is mutably borrowed, it remains so.
    pub fn is_unique(&mut self) -> bool {
        // Acquire: all that former owners did with the block happens before this owner goes on.
        self.block().owners.load(Ordering::Acquire) == 1
    }

    fn block(&self) -> &Block {
        // SAFETY: the block was a box when it was taken, and is one again only when its last owner drops. Until then there
        // are only shared references to it.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Owner {
    fn clone(&self) -> Self {
        // Relaxed: the block stays alive because `self` owns it, and a new owner needs no other synchronisation.
        let others = self.block().owners.fetch_add(1, Ordering::Relaxed);
        if others > isize::MAX as usize {
            // Owners were leaked without being dropped. The count must not overflow.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Release: all that this owner did with the block happens before the last owner frees it.
        let owners = &self.block().owners;
        if owners.fetch_sub(1, Ordering::Release) > 1 {
            return;
        }
        fence(Ordering::Acquire);
        owners.store(1, Ordering::Relaxed);
        // SAFETY: it was a box when it was taken, and exactly one owner sees the count end: this one.
        let block = unsafe { Box::from_raw(self.0.as_ptr()) };
        MemoryUse::change(|memory| memory.held -= block.bytes as i64);
        if let Origin::System(class) = block.origin {
            POOL[class.index].lock().push(block);
        }
    }
}

/// Asks the system for huge pages. An operation that strides through a large tensor, such as one channel of all images, would
/// spend about as much time on address translation with small pages as on the numbers.
///
/// # Safety
/// `start` lies at the start of a page and begins `bytes` bytes that belong to the caller.
#[cfg(all(target_os = "linux", not(miri)))]
unsafe fn ask_for_huge_pages(start: NonNull<u8>, bytes: usize) {
    unsafe extern "C" {
        fn madvise(start: *mut u8, bytes: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    // A system without huge pages returns an error, which does not matter.
    // SAFETY: the advice leaves the content as it is, and the memory is the caller's.
    let _ = unsafe { madvise(start.as_ptr(), bytes, MADV_HUGEPAGE) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
unsafe fn ask_for_huge_pages(_: NonNull<u8>, _: usize) {}
