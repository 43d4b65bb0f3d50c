//! A free list that allocates only when it outgrows its previous maximum.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items that are free, behind a lock.
pub(crate) struct FreeList<T>(Mutex<Items<T>>);

/// The items of a locked [`FreeList`].
pub(crate) struct Items<T> {
    free: Vec<T>,
    /// The number of items that exist, free or in use.
    made: usize,
}

impl<T> FreeList<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Items { free: Vec::new(), made: 0 }))
    }

    pub fn lock(&self) -> MutexGuard<'_, Items<T>> {
        // A free list has no invariant that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Items<T> {
    /// Makes room for one more item, which the caller makes and will push here when it is free.
    pub fn expect_another(&mut self) {
        self.made += 1;
        self.free.reserve(self.made.saturating_sub(self.free.len()));
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
    }
}
