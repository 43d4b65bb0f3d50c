//! Nested loops over several tensors at once, as few of them as describe the elements' places.

use cnn_tensor::Shape;
use std::ops::Range;

/// One loop: how often it runs, and how far each of `K` tensors moves in a step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis<const K: usize> {
    pub extent: usize,
    /// 0 for a tensor that stays where it is.
    pub strides: [usize; K],
}

impl<const K: usize> Axis<K> {
    /// Where each tensor is after `by` steps from `at`.
    pub fn after(&self, at: [usize; K], by: usize) -> [usize; K] {
        std::array::from_fn(|i| at[i] + self.strides[i] * by)
    }
}

/// Loops, the outermost first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes<const K: usize> {
    list: [Axis<K>; Shape::MAX_RANK],
    count: usize,
}

impl<const K: usize> Axes<K> {
    const NONE: Axis<K> = Axis { extent: 1, strides: [0; K] };

    /// These loops, in their order, each as it is.
    pub fn of(axes: impl Iterator<Item = Axis<K>>) -> Self {
        let mut all = Self { list: [Self::NONE; Shape::MAX_RANK], count: 0 };
        axes.for_each(|axis| all.push(axis));
        all
    }

    /// The fewest loops over the same places in the same order: those that run once are left out, and one that goes on
    /// where the loop inside it ends is one with it.
    pub fn merged(axes: impl Iterator<Item = Axis<K>>) -> Self {
        let mut all = Self::of([].into_iter());
        for axis in axes.filter(|axis| axis.extent != 1) {
            let goes_on = |outer: &Axis<K>| {
                outer.strides.iter().zip(&axis.strides).all(|(&outer, &inner)| outer == inner * axis.extent)
            };
            match all.list[..all.count].last_mut() {
                Some(outer) if goes_on(outer) => {
                    *outer = Axis { extent: outer.extent * axis.extent, strides: axis.strides };
                }
                _ => all.push(axis),
            }
        }
        all
    }

    fn push(&mut self, axis: Axis<K>) {
        self.list[self.count] = axis;
        self.count += 1;
    }

    /// The loops, the outermost first.
    pub fn as_slice(&self) -> &[Axis<K>] {
        &self.list[..self.count]
    }

    /// All loops but the innermost, and the innermost; one that runs once if there is none.
    pub fn split_inner(&self) -> (Self, Axis<K>) {
        match *self.as_slice() {
            [] => (*self, Self::NONE),
            [.., inner] => (Self { count: self.count - 1, ..*self }, inner),
        }
    }

    /// Where each tensor is the `at`-th time that the innermost loop's body runs. No extent is 0.
    pub fn offsets(&self, mut at: usize) -> [usize; K] {
        let mut offsets = [0; K];
        for axis in self.as_slice().iter().rev() {
            let i = at % axis.extent;
            at /= axis.extent;
            offsets.iter_mut().zip(axis.strides).for_each(|(offset, stride)| *offset += i * stride);
        }
        offsets
    }

    /// Cuts the times `all` that the innermost loop's body runs into stretches of that loop. Calls `f` for each: with the
    /// stretch, counted from the start of `all`, the tensors' steps along it, and where they are at its start. No extent is 0.
    pub fn runs(&self, all: Range<usize>, mut f: impl FnMut(Range<usize>, [usize; K], [usize; K])) {
        let (outer, inner) = self.split_inner();
        let mut at = all.start;
        while at < all.end {
            let (row, col) = (at / inner.extent, at % inner.extent);
            let end = all.end.min(at + inner.extent - col);
            f(at - all.start..end - all.start, inner.strides, inner.after(outer.offsets(row), col));
            at = end;
        }
    }

    /// Calls `f` with where each tensor is, in the order of the loops, for tensors that begin at `from`.
    pub fn for_each(&self, from: [usize; K], mut f: impl FnMut([usize; K])) {
        nested(self.as_slice(), from, &mut f);
    }
}

fn nested<const K: usize>(axes: &[Axis<K>], from: [usize; K], f: &mut impl FnMut([usize; K])) {
    let [axis, inner @ ..] = axes else { return f(from) };
    let mut at = from;
    for _ in 0..axis.extent {
        nested(inner, at, f);
        at.iter_mut().zip(axis.strides).for_each(|(at, stride)| *at += stride);
    }
}

/// The distance between neighbours along each axis of a tensor. Elements are counted as if no extent were 0.
pub(crate) fn strides(shape: Shape) -> [usize; Shape::MAX_RANK] {
    let mut strides = [0; Shape::MAX_RANK];
    let mut stride = 1_usize;
    for (own, &extent) in strides[..shape.rank()].iter_mut().zip(shape.dims()).rev() {
        *own = stride;
        stride = stride.saturating_mul(extent.max(1));
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(axes: &Axes<2>) -> Vec<[usize; 2]> {
        let mut places = vec![];
        axes.for_each([0; 2], |at| places.push(at));
        places
    }

    proptest! {
        #[test]
        fn fewer_loops_go_to_the_same_places(axes in prop::collection::vec((0..4usize, 0..4usize, 0..4usize), 0..=6)) {
            let axes = || axes.iter().map(|&(extent, a, b)| Axis { extent, strides: [a, b] });
            let (all, merged) = (Axes::of(axes()), Axes::merged(axes()));
            let want = places(&all);
            prop_assert_eq!(&places(&merged), &want);
            prop_assert!(want.iter().enumerate().all(|(i, &at)| merged.offsets(i) == at && all.offsets(i) == at));
            let (outer, inner) = merged.split_inner();
            let mut nested = vec![];
            outer.for_each([0; 2], |at| Axes::of([inner].into_iter()).for_each(at, |at| nested.push(at)));
            prop_assert_eq!(nested, want);
        }
    }

    #[test]
    fn neighbours_that_go_on_are_one_loop() {
        let strides = strides([2, 3, 1, 4].into());
        assert_eq!(strides, [12, 4, 4, 1, 0, 0]);
        let axes =
            [2, 3, 1, 4].iter().zip(strides).map(|(&extent, stride)| Axis { extent, strides: [stride] });
        assert_eq!(Axes::merged(axes).as_slice(), [Axis { extent: 24, strides: [1] }]);
    }
}
