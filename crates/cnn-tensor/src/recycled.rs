//! Lists whose memory is recycled, as that of a [`Buffer`](crate::Buffer) is, with elements of any type.
//!
//! Free lists are kept by kind: the type of the elements, and the capacity, which is a power of two. How much memory they hold
//! is bounded:
//!
//! - A kind has as many lists, free and in use, as were in use at once. A list that grew goes back to its kind with the capacity
//!   that it was made with; memory beyond it goes back to the system.
//! - All lists together, free and in use, take at most the larger of 64 MiB and 8 times the most memory that was in use at once,
//!   growth not counted. When another list would exceed this, all free lists are released first.
//!
//! Only the table of kinds itself stays: a program has few types, and each at most 64 capacities.

use crate::free_list::{Bound, Items};
use std::any::{Any, TypeId};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A `Vec` whose memory is recycled: after a drop it is reused by the next list of the same type and about the same length.
///
/// Each training step makes the same small lists: tables of taps, sums of channels, scores of pieces. As recycled lists, they
/// take memory from the system only in the first step.
///
/// ```
/// use cnn_tensor::Recycled;
/// let squares: Recycled<usize> = (0..4).map(|i| i * i).collect();
/// assert_eq!(squares[..], [0, 1, 4, 9]);
/// let place = squares.as_ptr();
/// drop(squares);
/// let zeros = Recycled::filled(0usize, 3);
/// assert_eq!((&zeros[..], zeros.as_ptr()), (&[0, 0, 0][..], place));
/// ```
pub struct Recycled<T: Send + 'static>(
    /// `None` only while being dropped. The box is recycled, with the list inside.
    Option<Box<List<T>>>,
);

/// A list that knows where it waits when it is free.
struct List<T> {
    elements: Vec<T>,
    /// The capacity of its kind.
    capacity: usize,
    /// The number of its kind in the group.
    kind: usize,
}

impl<T: Send + 'static> List<T> {
    /// Bytes of a list of that capacity.
    fn bytes(capacity: usize) -> usize {
        capacity.saturating_mul(size_of::<T>()).saturating_add(size_of::<Self>())
    }
}

/// The lists of one type and capacity.
struct Kind {
    element: TypeId,
    capacity: usize,
    /// Bytes of each list.
    bytes: usize,
    free: Items<Box<dyn Any + Send>>,
}

/// Kinds in groups, each with its own lock, so that threads seldom wait for each other. Kinds are never removed, since lists in
/// use know them by number.
struct Group(Mutex<Vec<Kind>>);

const GROUPS: usize = 16;
static GROUPS_OF_KINDS: [Group; GROUPS] = [const { Group(Mutex::new(Vec::new())) }; GROUPS];

/// Bounds the bytes of all lists, as they were made.
static BOUND: Bound = Bound::new();

impl Group {
    /// The group that has the kind.
    fn of(size: usize, capacity: usize) -> &'static Self {
        &GROUPS_OF_KINDS[(size / 4 + capacity.trailing_zeros() as usize) % GROUPS]
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kind>> {
        // Kinds have no invariant that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Recycled<T> {
    /// An empty list with room for `capacity` elements.
    pub fn with_capacity(capacity: usize) -> Self {
        // Lists of about the same length share memory. Elements without size need none.
        let capacity = if size_of::<T>() == 0 { usize::MAX } else { capacity.max(4).next_power_of_two() };
        let element = TypeId::of::<T>();
        let bytes = List::<T>::bytes(capacity);
        let mut kinds = Group::of(size_of::<T>(), capacity).lock();
        let known = |kind: &Kind| kind.capacity == capacity && kind.element == element;
        let kind = kinds.iter().position(known).unwrap_or_else(|| {
            kinds.push(Kind { element, capacity, bytes, free: Items::new() });
            kinds.len() - 1
        });
        let free = &mut kinds[kind].free;
        let recycled = free.pop();
        if recycled.is_none() {
            free.expect_another();
        }
        drop(kinds);
        let list = recycled.and_then(|list| list.downcast().ok());
        Self(Some(list.unwrap_or_else(|| {
            BOUND.took(bytes, free_bytes, release_free);
            Box::new(List { elements: Vec::with_capacity(capacity), capacity, kind })
        })))
    }

    /// `len` clones of `value`.
    pub fn filled(value: T, len: usize) -> Self
    where
        T: Clone,
    {
        let mut list = Self::with_capacity(len);
        list.resize(len, value);
        list
    }
}

/// Returns the memory of the free lists to the system. Returns its number of bytes.
pub(crate) fn release_free() -> usize {
    let mut bytes = 0;
    for group in &GROUPS_OF_KINDS {
        for kind in group.lock().iter_mut() {
            bytes += kind.free.take_all().len() * kind.bytes;
        }
    }
    BOUND.released(bytes);
    bytes
}

/// The bytes of the free lists.
fn free_bytes() -> usize {
    let bytes = |group: &Group| group.lock().iter().map(|kind| kind.free.len() * kind.bytes).sum::<usize>();
    GROUPS_OF_KINDS.iter().map(bytes).sum()
}

impl<T: Send + 'static> Drop for Recycled<T> {
    fn drop(&mut self) {
        let Some(mut list) = self.0.take() else { return };
        // Without holding the lock, as elements may be recycled lists themselves.
        list.elements.clear();
        let List { capacity, kind, .. } = *list;
        if list.elements.capacity() > capacity {
            list.elements.shrink_to(capacity);
        }
        let mut kinds = Group::of(size_of::<T>(), capacity).lock();
        if list.elements.capacity() == capacity {
            kinds[kind].free.push(list);
        } else {
            // Its memory was taken away, or put in the place of another's.
            kinds[kind].free.expect_one_less();
            drop(kinds);
            BOUND.released(List::<T>::bytes(capacity));
        }
    }
}

impl<T: Send + 'static> Deref for Recycled<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0.as_ref().expect("a list until drop").elements
    }
}

impl<T: Send + 'static> DerefMut for Recycled<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0.as_mut().expect("a list until drop").elements
    }
}

/// With room for the lower bound of the iterator's length. If the iterator does not know its length, the list has to grow each
/// time: then extend a list made by [`Recycled::with_capacity`].
impl<T: Send + 'static> FromIterator<T> for Recycled<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let elements = elements.into_iter();
        let mut list = Self::with_capacity(elements.size_hint().0);
        list.extend(elements);
        list
    }
}

impl<T: Send + Clone + 'static> Clone for Recycled<T> {
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl<T: Send + 'static> Default for Recycled<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for Recycled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Send + PartialEq + 'static> PartialEq for Recycled<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Send + PartialEq + 'static> PartialEq<[T]> for Recycled<T> {
    fn eq(&self, other: &[T]) -> bool {
        ***self == *other
    }
}

impl<T: Send + PartialEq + 'static, const N: usize> PartialEq<[T; N]> for Recycled<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        ***self == *other
    }
}

/// The elements of a [`Recycled`] list, by value.
pub struct IntoIter<T: Send + 'static> {
    /// In reverse: the last element is the next one.
    reversed: Recycled<T>,
}

impl<T: Send + 'static> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.reversed.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.reversed.len(), Some(self.reversed.len()))
    }
}

impl<T: Send + 'static> ExactSizeIterator for IntoIter<T> {}

impl<T: Send + 'static> IntoIterator for Recycled<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(mut self) -> IntoIter<T> {
        self.reverse();
        IntoIter { reversed: self }
    }
}

impl<'a, T: Send + 'static> IntoIterator for &'a Recycled<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn lists_of_one_type_and_size_share_memory_and_others_do_not() {
        #[derive(Clone, Debug, PartialEq)]
        struct Own(u64);
        let first = Recycled::filled(Own(7), 5);
        let place = first.as_ptr() as usize;
        assert_eq!(first.capacity(), 8);
        drop(first);
        let other = Recycled::filled(1u64, 5);
        assert_ne!(other.as_ptr() as usize, place, "of another type");
        let longer = Recycled::filled(Own(1), 9);
        assert_ne!(longer.as_ptr() as usize, place, "longer than the one that is free");
        let again = Recycled::filled(Own(2), 8);
        assert_eq!((again.as_ptr() as usize, &again[..]), (place, &[const { Own(2) }; 8][..]));
    }

    #[test]
    fn elements_are_dropped_with_the_list() {
        let counted = Arc::new(());
        let list = Recycled::filled(Recycled::filled(counted.clone(), 3), 2);
        assert_eq!(Arc::strong_count(&counted), 7);
        drop(list);
        assert_eq!(Arc::strong_count(&counted), 1);
        assert!(Recycled::<Recycled<Arc<()>>>::default().is_empty());
    }

    #[test]
    fn a_list_that_grew_returns_to_the_size_it_was_made_with() {
        struct Grown;
        type Own = Recycled<(u8, [Grown; 0])>;
        for _ in 0..3 {
            let mut list = Own::with_capacity(4);
            assert_eq!(list.capacity(), 4);
            (0..100).for_each(|i| list.push((i, [])));
            drop(list);
            assert_eq!(free::<(u8, [Grown; 0])>(), [(4, 1)]);
        }
        assert_eq!(Recycled::filled((), 3).len(), 3);
        assert_eq!(Recycled::filled((), 2)[..], [(); 2]);
    }

    #[test]
    fn memory_that_lists_lost_or_exchanged_is_not_taken_for_what_they_had() {
        #[derive(Clone)]
        struct Own(#[expect(dead_code, reason = "bytes")] u32);
        let mut lost = Recycled::filled(Own(1), 4);
        assert_eq!(std::mem::take(&mut *lost).len(), 4);
        drop(lost);
        assert_eq!(free::<Own>(), [(4, 0)]);
        let [mut short, mut long] = [4, 16].map(|len| Recycled::filled(Own(2), len));
        std::mem::swap(&mut *short, &mut *long);
        drop((short, long));
        assert_eq!(free::<Own>(), [(4, 1), (16, 0)]);
        assert_eq!(Recycled::filled(Own(3), 16).capacity(), 16);
        assert_eq!(free::<Own>(), [(4, 1), (16, 1)]);
    }

    /// For each capacity of lists of `T`, how many are free.
    fn free<T: 'static>() -> Vec<(usize, usize)> {
        let mut free = Vec::new();
        for group in &GROUPS_OF_KINDS {
            let kinds = group.lock();
            let own = kinds.iter().filter(|kind| kind.element == TypeId::of::<T>());
            free.extend(own.map(|kind| (kind.capacity, kind.free.len())));
        }
        free.sort_unstable();
        free
    }

    #[test]
    fn threads_hand_lists_to_each_other() {
        const COUNT: usize = if cfg!(miri) { 30 } else { 200 };
        let sums = crate::parallel::Threads::new(4)
            .unwrap()
            .run(|| crate::parallel::map(COUNT, |i| Recycled::filled(i, i % 40).iter().sum::<usize>()));
        assert!(sums.iter().enumerate().all(|(i, &sum)| sum == i * (i % 40)));
    }
}
