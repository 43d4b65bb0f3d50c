//! Free lists that allocate only when they outgrow their previous maximum, and a bound for what they hold.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items that are free, behind a lock.
pub(crate) struct FreeList<T>(Mutex<Items<T>>);

/// Free items, with room for those in use.
pub(crate) struct Items<T> {
    free: Vec<T>,
    /// The number of items that exist, free or in use.
    made: usize,
}

impl<T> FreeList<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Items::new()))
    }

    pub fn lock(&self) -> MutexGuard<'_, Items<T>> {
        // A free list has no invariant that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Items<T> {
    pub const fn new() -> Self {
        Self { free: Vec::new(), made: 0 }
    }

    /// Makes room for one more item, which the caller makes and will push here when it is free.
    pub fn expect_another(&mut self) {
        self.made += 1;
        self.free.reserve(self.made.saturating_sub(self.free.len()));
    }

    /// Takes back one [`Items::expect_another`]: an item in use will not come here.
    pub fn expect_one_less(&mut self) {
        self.made = self.made.saturating_sub(1);
    }

    /// Removes all free items, whose memory is about to be released.
    pub fn take_all(&mut self) -> Vec<T> {
        self.made = self.made.saturating_sub(self.free.len());
        std::mem::take(&mut self.free)
    }
}

impl<T> Deref for Items<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.free
    }
}

impl<T> DerefMut for Items<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.free
    }
}

/// Bounds the memory behind some free lists, free and in use together: it stays below the larger of [`Bound::FLOOR`] bytes
/// and [`Bound::FACTOR`] times the most that was in use at once.
///
/// Only memory that comes from the system is counted, so that reuse, the usual case, costs nothing.
pub(crate) struct Bound {
    /// Bytes that came from the system and have not gone back.
    held: AtomicUsize,
    /// The most bytes that were seen in use.
    peak: AtomicUsize,
    /// The `held` at which to look again how much is in use.
    look_at: AtomicUsize,
}

impl Bound {
    /// One item at a time, of any size up to some `s`, leaves one item of each size in the free lists. With four sizes for each
    /// power of two these are 6.5 times `s`: a lower factor would release in vain.
    pub const FACTOR: usize = 8;
    /// Less memory than this is not worth a release.
    pub const FLOOR: usize = 64 << 20;

    pub const fn new() -> Self {
        Self { held: AtomicUsize::new(0), peak: AtomicUsize::new(0), look_at: AtomicUsize::new(Self::FLOOR) }
    }

    /// Counts `bytes` that are about to come from the system and be in use. If too much would be held, `release` is called:
    /// it returns all free memory to the system, counts it by [`Bound::released`], and returns its number of bytes. `free`
    /// sums up the free bytes.
    pub fn took(&self, bytes: usize, free: impl FnOnce() -> usize, release: impl FnOnce() -> usize) {
        // Relaxed, as elsewhere here: the numbers are independent. Threads may look at once, and each sees sensible numbers.
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held < self.look_at.load(Ordering::Relaxed) {
            return;
        }
        let used = held.saturating_sub(free());
        let peak = self.peak.fetch_max(used, Ordering::Relaxed).max(used);
        let limit = peak.saturating_mul(Self::FACTOR).max(Self::FLOOR);
        if held > limit {
            release();
        }
        // Steps of a quarter, so that a peak is seen nearly as high as it is, and looking stays rare.
        let next = self.held.load(Ordering::Relaxed).saturating_mul(5) / 4;
        self.look_at.store(next.clamp(Self::FLOOR, limit), Ordering::Relaxed);
    }

    /// Counts `bytes` that have gone back to the system.
    pub fn released(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_all_that_was_made() {
        let list = FreeList::new();
        (0..100).for_each(|_| list.lock().expect_another());
        let capacity = list.lock().capacity();
        assert!(capacity >= 100);
        (0..100).for_each(|i| list.lock().push(i));
        assert_eq!(list.lock().capacity(), capacity);
        assert_eq!(list.lock().take_all().len(), 100);
        list.lock().expect_another();
        assert!(list.lock().capacity() < 100, "for one, now that the others are gone");
        for _ in 0..10_000 {
            list.lock().expect_another();
            list.lock().expect_one_less();
        }
        assert!(list.lock().capacity() < 100, "for one, as the others did not come");
    }

    #[test]
    fn memory_is_released_when_it_exceeds_the_bound_and_not_before() {
        const MIB: usize = 1 << 20;
        let bound = Bound::new();
        let (free, releases) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut most = 0;
        // One mebibyte after the other is taken, used and freed, and none is reused.
        for _ in 0..160 {
            let release = || {
                releases.fetch_add(1, Ordering::Relaxed);
                let bytes = free.swap(0, Ordering::Relaxed);
                bound.released(bytes);
                bytes
            };
            bound.took(MIB, || free.load(Ordering::Relaxed), release);
            most = most.max(bound.held.load(Ordering::Relaxed));
            free.fetch_add(MIB, Ordering::Relaxed);
        }
        assert!(most <= Bound::FLOOR, "{most} bytes");
        assert_eq!(releases.into_inner(), 2, "each after 64 MiB");
        // All is in use: nothing to release, however much it is.
        let bound = Bound::new();
        (0..1000).for_each(|_| bound.took(MIB, || 0, || panic!("nothing is free")));
        // Then all is free. The peak was seen within a quarter.
        let free = AtomicUsize::new(1000 * MIB);
        for _ in 0..5300 {
            bound.took(MIB, || free.load(Ordering::Relaxed), || panic!("within the bound"));
            free.fetch_add(MIB, Ordering::Relaxed);
        }
    }
}
