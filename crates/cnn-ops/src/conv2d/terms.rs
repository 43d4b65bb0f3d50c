//! For tests: operations whose every output is a bias plus a sum of products of a weight and an input, given by the
//! terms of their definition.

use crate::shared::testing::{assert_exact, everywhere, whole_numbers};
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
use cnn_tensor::{Shape, Tensor};

/// Places in `y`, weight and `x`: the second and third are multiplied, and added to the first.
pub(crate) type Term = [usize; 3];

/// The operands of one such operation, and a gradient to send back.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub x: Tensor,
    pub weight: Tensor,
    pub bias: Tensor,
    pub dy: Tensor,
    pub terms: Vec<Term>,
}

impl Case {
    /// With numbers made by `numbers(shape, seed)`; `y` has a bias for every channel.
    pub fn new(
        [x, weight, y]: [Shape; 3],
        terms: impl IntoIterator<Item = Term>,
        numbers: impl Fn(Shape, u64) -> Tensor,
    ) -> Self {
        let bias = numbers([y.dims()[1]].into(), 2);
        let terms = terms.into_iter().collect();
        Self { x: numbers(x, 0), weight: numbers(weight, 1), bias, dy: numbers(y, 3), terms }
    }

    /// The definition, in f64.
    fn oracle(&self, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> = (0..self.dy.data().len()).map(|i| bias[self.channel(i)]).collect();
        self.terms.iter().for_each(|&[yi, wi, xi]| y[yi] += weight[wi] * x[xi]);
        y
    }

    /// The channel of element `i` of `y`.
    fn channel(&self, i: usize) -> usize {
        let [_, channels, h, w] = self.dy.shape().nchw().unwrap();
        i / (h * w) % channels
    }

    /// `y`, `dx`, `dweight` and `dbias` by the definition, the gradients by its differences.
    fn by_differences(&self) -> [Vec<f64>; 4] {
        let [x, weight, bias] = [&self.x, &self.weight, &self.bias].map(to_f64);
        [
            self.oracle(&x, &weight, &bias),
            gradient_of(&self.x, &self.dy, |x| self.oracle(x, &weight, &bias)),
            gradient_of(&self.weight, &self.dy, |weight| self.oracle(&x, weight, &bias)),
            gradient_of(&self.bias, &self.dy, |bias| self.oracle(&x, &weight, bias)),
        ]
    }

    /// The same, the gradients as sums of every term's share.
    fn by_terms(&self) -> [Vec<f64>; 4] {
        let [x, weight, bias, dy] = [&self.x, &self.weight, &self.bias, &self.dy].map(to_f64);
        let [mut dx, mut dweight, mut dbias] = [&x, &weight, &bias].map(|v| vec![0.0; v.len()]);
        for &[yi, wi, xi] in &self.terms {
            dx[xi] += weight[wi] * dy[yi];
            dweight[wi] += dy[yi] * x[xi];
        }
        dy.iter().enumerate().for_each(|(i, dy)| dbias[self.channel(i)] += dy);
        [self.oracle(&x, &weight, &bias), dx, dweight, dbias]
    }

    /// Asserts that each of `run(self)`, `y`, `dx`, `dweight` and `dbias`, is that of the definition, everywhere.
    pub fn matches_the_definition(&self, run: impl Fn(&Self) -> Vec<[Tensor; 4]> + Sync) {
        let [y, dx, dweight, dbias] = self.by_differences();
        everywhere(|| {
            for got in run(self) {
                assert_close(&got[0], &y);
                assert_gradient_close("dx", &got[1], &dx);
                assert_gradient_close("dweight", &got[2], &dweight);
                assert_gradient_close("dbias", &got[3], &dbias);
            }
        });
    }

    /// The same, with gradients by their terms, for algorithms that sum in a transformed domain. Each error must be at most
    /// `tolerance` of the largest sum of its tensor, its terms taken by their magnitudes: rounding errors of any order of
    /// additions grow with those, not with the sums, in which terms may cancel.
    pub fn is_close(&self, tolerance: f64, run: impl Fn(&Self) -> Vec<[Tensor; 4]> + Sync) {
        let (want, magnitudes) = (self.by_terms(), self.magnitudes().by_terms());
        everywhere(|| {
            for got in run(self) {
                let parts =
                    ["y", "dx", "dweight", "dbias"].iter().zip(&got).zip(want.iter().zip(&magnitudes));
                for ((what, got), (want, magnitudes)) in parts {
                    let largest = magnitudes.iter().copied().fold(0.0, f64::max);
                    let errors = to_f64(got).into_iter().zip(want).map(|(got, want)| (got - want).abs());
                    let worst = errors.fold(0.0, f64::max);
                    assert!(worst <= tolerance * largest, "{what}: {worst} of {largest}");
                }
            }
        });
    }

    /// The same case with the magnitudes of all numbers.
    fn magnitudes(&self) -> Self {
        let mut case = self.clone();
        for tensor in [&mut case.x, &mut case.weight, &mut case.bias, &mut case.dy] {
            tensor.data_mut().iter_mut().for_each(|v| *v = v.abs());
        }
        case
    }

    /// The same exactly, for whole numbers.
    pub fn is_exact(&self, run: impl Fn(&Self) -> Vec<[Tensor; 4]> + Sync) {
        let want = self.by_terms();
        everywhere(|| {
            for got in run(self) {
                for ((what, got), want) in ["y", "dx", "dweight", "dbias"].iter().zip(got).zip(&want) {
                    assert_exact(what, &got, want);
                }
            }
        });
    }
}

/// Numbers for differences.
pub(crate) fn distinct_by(seed: u64) -> impl Fn(Shape, u64) -> Tensor {
    move |shape, i| distinct(shape, seed ^ i)
}

/// Whole numbers, small enough that all sums of the tests are exact.
pub(crate) fn whole_by(seed: u64) -> impl Fn(Shape, u64) -> Tensor {
    move |shape, i| whole_numbers(shape, 4, seed ^ i)
}

/// Every place in an array of these extents, with its coordinates.
pub(crate) fn places([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, [usize; 4])> {
    (0..a * b * c * d).map(move |i| (i, [i / (b * c * d), i / (c * d) % b, i / d % c, i % d]))
}
