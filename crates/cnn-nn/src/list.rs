//! Short lists of tensors or shapes: the inputs and outputs of a layer.

use crate::NnError;
use cnn_tensor::{Recycled, Shape, Tensor};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A short list. A single element is stored in the list itself, several in recycled memory, so that a training step allocates
/// nothing.
///
/// ```
/// use cnn_nn::{List, Tensors};
/// use cnn_tensor::Tensor;
/// let one: Tensors = Tensor::zeros([2, 3]).into();
/// assert_eq!(one.len(), 1);
/// let several: List<u32> = [7, 8, 9].into_iter().collect();
/// assert_eq!(several[2], 9);
/// assert_eq!(several.into_iter().sum::<u32>(), 24);
/// ```
pub struct List<T: Send + 'static>(Kind<T>);

enum Kind<T: Send + 'static> {
    One(T),
    Many(Recycled<T>),
}

/// The inputs or the outputs of a layer, by slot.
pub type Tensors = List<Tensor>;

/// The shapes of inputs or outputs, by slot.
pub type Shapes = List<Shape>;

/// The gradients of inputs or outputs, by slot. `None` for an output that is not read, or an input whose gradient is not wanted.
pub type Gradients = List<Option<Tensor>>;

impl<T: Send + 'static> List<T> {
    /// A list without elements.
    pub fn empty() -> Self {
        Self(Kind::Many(Recycled::default()))
    }

    /// The element of a list that has exactly one.
    ///
    /// # Errors
    /// The list has another number of elements; `what` names them in the message.
    pub fn only(self, what: &'static str) -> Result<T, NnError> {
        match self.0 {
            Kind::One(element) => Ok(element),
            Kind::Many(mut elements) if elements.len() == 1 => Ok(elements.remove(0)),
            Kind::Many(elements) => Err(NnError::Count { what, expected: 1, got: elements.len() }),
        }
    }
}

impl<T: Send + 'static> From<T> for List<T> {
    fn from(element: T) -> Self {
        Self(Kind::One(element))
    }
}

impl From<&Tensor> for Tensors {
    /// A list with one tensor that shares the memory of this one.
    fn from(tensor: &Tensor) -> Self {
        tensor.clone().into()
    }
}

impl<const N: usize> From<[usize; N]> for Shapes {
    fn from(extents: [usize; N]) -> Self {
        Shape::from(extents).into()
    }
}

impl<T: Send + 'static, const N: usize> From<[T; N]> for List<T> {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl From<Tensor> for Gradients {
    fn from(gradient: Tensor) -> Self {
        Some(gradient).into()
    }
}

impl<T: Send + 'static> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut elements = elements.into_iter();
        let Some(first) = elements.next() else { return Self::empty() };
        let Some(second) = elements.next() else { return first.into() };
        let mut many = Recycled::with_capacity(2 + elements.size_hint().0);
        many.extend([first, second]);
        many.extend(elements);
        Self(Kind::Many(many))
    }
}

impl<T: Send + 'static> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Kind::One(element) => std::slice::from_ref(element),
            Kind::Many(elements) => elements,
        }
    }
}

impl<T: Send + 'static> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Kind::One(element) => std::slice::from_mut(element),
            Kind::Many(elements) => elements,
        }
    }
}

/// The elements of a [`List`], by value.
pub struct IntoIter<T: Send + 'static> {
    one: Option<T>,
    many: Option<<Recycled<T> as IntoIterator>::IntoIter>,
}

impl<T: Send + 'static> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.one.take().or_else(|| self.many.as_mut()?.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = usize::from(self.one.is_some()) + self.many.as_ref().map_or(0, ExactSizeIterator::len);
        (len, Some(len))
    }
}

impl<T: Send + 'static> ExactSizeIterator for IntoIter<T> {}

impl<T: Send + 'static> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        match self.0 {
            Kind::One(element) => IntoIter { one: Some(element), many: None },
            Kind::Many(elements) => IntoIter { one: None, many: Some(elements.into_iter()) },
        }
    }
}

impl<'a, T: Send + 'static> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Send + Clone + 'static> Clone for List<T> {
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl<T: Send + 'static> Default for List<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: Send + PartialEq + 'static> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_any_length_hold_their_elements_in_order() {
        for n in 0..6 {
            let list: List<usize> = (0..n).collect();
            assert_eq!(list.len(), n);
            assert!(list.iter().copied().eq(0..n));
            assert_eq!(list.clone(), list);
            assert_eq!(list.clone().into_iter().len(), n);
            assert!(list.into_iter().eq(0..n));
        }
    }

    #[test]
    fn another_number_than_one_is_said() {
        assert_eq!(List::from(5).only("inputs").unwrap(), 5);
        let error = List::<usize>::from([1, 2]).only("the inputs of relu").unwrap_err();
        assert_eq!(error.to_string(), "the inputs of relu must be 1, got 2");
    }
}
