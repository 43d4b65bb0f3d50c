//! Lists whose memory is recycled, as that of a [`Buffer`](crate::Buffer) is, with elements of any type.

use crate::free_list::FreeList;
use std::any::{Any, TypeId};
use std::fmt;
use std::ops::{Deref, DerefMut};

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
pub struct Recycled<T: Send + 'static> {
    /// `None` only while being dropped. The box is recycled, with the list inside.
    #[expect(clippy::box_collection, reason = "the box is recycled too")]
    list: Option<Box<Vec<T>>>,
}

/// A free list.
struct Free {
    element: TypeId,
    capacity: usize,
    bytes: usize,
    list: Box<dyn Any + Send>,
}

/// Free lists in groups, each with its own lock, so that threads seldom wait for each other.
const GROUPS: usize = 16;
static FREE: [FreeList<Free>; GROUPS] = [const { FreeList::new() }; GROUPS];

impl<T: Send + 'static> Recycled<T> {
    /// An empty list with room for `capacity` elements.
    pub fn with_capacity(capacity: usize) -> Self {
        // Lists of about the same length share memory. Elements without size need none.
        let capacity = if size_of::<T>() == 0 { usize::MAX } else { capacity.max(4).next_power_of_two() };
        let element = TypeId::of::<T>();
        let mut free = group(size_of::<T>(), capacity).lock();
        let known = |free: &Free| free.capacity == capacity && free.element == element;
        let recycled = free.iter().rposition(known).map(|at| free.swap_remove(at));
        if recycled.is_none() {
            free.expect_another();
        }
        drop(free);
        let list = recycled.and_then(|free| free.list.downcast().ok());
        Self { list: Some(list.unwrap_or_else(|| Box::new(Vec::with_capacity(capacity)))) }
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

/// Returns the memory of the free lists to the system. Returns the number of bytes that their elements had room for.
pub(crate) fn release_free() -> usize {
    let mut bytes = 0;
    for group in &FREE {
        let free = group.lock().take_all();
        bytes += free.iter().map(|free| free.bytes).sum::<usize>();
    }
    bytes
}

fn group(size: usize, capacity: usize) -> &'static FreeList<Free> {
    &FREE[(size / 4 + capacity.trailing_zeros() as usize) % GROUPS]
}

impl<T: Send + 'static> Drop for Recycled<T> {
    fn drop(&mut self) {
        let Some(mut list) = self.list.take() else { return };
        // Without holding the lock, as elements may be recycled lists themselves.
        list.clear();
        let capacity = list.capacity();
        // A list that grew to a capacity which is not a power of two would never be asked for.
        if capacity.is_power_of_two() || size_of::<T>() == 0 {
            let (element, bytes) = (TypeId::of::<T>(), capacity.saturating_mul(size_of::<T>()));
            group(size_of::<T>(), capacity).lock().push(Free { element, capacity, bytes, list });
        }
    }
}

impl<T: Send + 'static> Deref for Recycled<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        self.list.as_ref().expect("a list until drop")
    }
}

impl<T: Send + 'static> DerefMut for Recycled<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        self.list.as_mut().expect("a list until drop")
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
    fn a_list_that_grew_is_found_under_its_new_size() {
        struct Grown;
        let mut list: Recycled<(u8, [Grown; 0])> = Recycled::with_capacity(4);
        (0..5).for_each(|i| list.push((i, [])));
        let (capacity, place) = (list.capacity(), list.as_ptr() as usize);
        drop(list);
        let again: Recycled<(u8, [Grown; 0])> = Recycled::with_capacity(capacity);
        assert_eq!(again.as_ptr() as usize, place);
        assert_eq!(Recycled::filled((), 3).len(), 3);
        assert_eq!(Recycled::filled((), 2)[..], [(); 2]);
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
