//! Addition of two tensors, element by element.
//!
//! `y = a + b`: where a residual block's two ways meet. The gradient of either summand is `dy` itself, so there is no
//! backward pass to call: a caller hands `dy` to both ways, and adds what comes back from them with this same function.
//!
//! **Conventions.** The shapes are equal; nothing is broadcast. As IEEE arithmetic has it: NaN stays NaN, and infinity
//! minus infinity is NaN. The sum of no elements is no elements.
//!
//! **Algorithm.** In the memory of `a`, a vector at a time; every element is rounded once, at each SIMD level, so that
//! levels agree to the bit.
//!
//! Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, equation 1.

use crate::OpError;
use crate::work::worth_a_thread;
use cnn_tensor::{Shape, Tensor, parallel, vector};

const OP: &str = "add";

/// Elements that make a piece of work worth a thread.
const CHUNK: usize = worth_a_thread(1 << 16);

/// The shape of the sum, which both summands have.
///
/// # Errors
/// The shapes differ.
pub fn output_shape(a: Shape, b: Shape) -> Result<Shape, OpError> {
    if a == b { Ok(a) } else { Err(OpError::Shape { op: OP, what: "b", expected: a, got: b }) }
}

/// `a + b`, in the memory of `a` unless a clone shares it. The gradient of both is `dy`.
///
/// ```
/// use cnn_ops::add::add;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let y = add(x, &Tensor::full([2, 2], 10.0))?;
/// assert_eq!(y.data(), [11.0, 12.0, 13.0, 14.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The shapes differ.
pub fn add(mut a: Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    output_shape(a.shape(), b.shape())?;
    parallel::for_each_chunk(a.data_mut(), CHUNK, |i, a| {
        vector::axpy(1.0, &b.data()[i * CHUNK..][..a.len()], a);
    });
    Ok(a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers};
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(a: &Tensor, b: &Tensor) -> Vec<f64> {
        to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a + b).collect()
    }

    proptest! {
        #[test]
        fn matches_the_definition(dims in prop::collection::vec(0..6usize, 0..=4), seed: u64) {
            let shape = Shape::new(&dims).unwrap();
            let (a, b) = (distinct(shape, seed), distinct(shape, seed ^ 1));
            let want = oracle(&a, &b);
            everywhere(|| {
                let y = add(a.clone(), &b).unwrap();
                assert_eq!(y.shape(), shape);
                assert_close(&y, &want);
            });
        }

        #[test]
        fn whole_numbers_are_added_exactly(length in 0..300usize, seed: u64) {
            let [a, b] = [0, 1].map(|i| whole_numbers([length], 1 << 22, seed ^ i));
            let want = oracle(&a, &b);
            everywhere(|| assert_exact("y", &add(a.clone(), &b).unwrap(), &want));
        }

        #[test]
        fn absurd_shapes_are_errors(a in crate::testing::any_shape(), b in crate::testing::any_shape()) {
            prop_assert_eq!(output_shape(a, b).is_ok(), a == b);
        }
    }

    #[test]
    fn every_level_rounds_alike() {
        let (a, b) = (distinct([1001], 0), distinct([1001], 1));
        let want = Tensor::from_vec([1001], a.data().iter().zip(b.data()).map(|(a, b)| a + b).collect());
        everywhere(|| assert_eq!(add(a.clone(), &b), Ok(want.clone().unwrap())));
    }

    #[test]
    fn the_memory_of_a_is_used_unless_a_clone_shares_it() {
        let (a, b) = (Tensor::full([40], 1.0), Tensor::full([40], 2.0));
        let place = a.data().as_ptr();
        let kept = a.clone();
        let y = add(a, &b).unwrap();
        assert_ne!(y.data().as_ptr(), place);
        assert_eq!(kept, Tensor::full([40], 1.0));
        assert_eq!(add(kept, &b).unwrap().data().as_ptr(), place);
    }

    #[test]
    fn a_tensor_can_be_added_to_itself() {
        let a = Tensor::full([3], 4.0);
        assert_eq!(add(a.clone(), &a).unwrap(), Tensor::full([3], 8.0));
    }

    #[test]
    fn nan_and_infinity_are_added_as_numbers() {
        let a = Tensor::from_vec([3], vec![f32::NAN, f32::INFINITY, f32::INFINITY]).unwrap();
        let b = Tensor::from_vec([3], vec![1.0, f32::NEG_INFINITY, 1.0]).unwrap();
        everywhere(|| {
            let y = add(a.clone(), &b).unwrap();
            assert!(y.data()[0].is_nan() && y.data()[1].is_nan());
            assert_eq!(y.data()[2], f32::INFINITY);
        });
    }

    #[test]
    fn threads_change_nothing() {
        let (a, b) = (distinct([7, 31, 33], 0), distinct([7, 31, 33], 1));
        assert_same_bits_on_any_threads(|| vec![add(a.clone(), &b).unwrap()]);
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error = add(Tensor::zeros([2, 3]), &Tensor::zeros([3, 2])).unwrap_err();
        assert_eq!(error.to_string(), "add: b expects shape [2, 3], got [3, 2]");
        let error = add(Tensor::zeros([1]), &Tensor::zeros([])).unwrap_err();
        assert_eq!(error.to_string(), "add: b expects shape [1], got []");
    }
}
