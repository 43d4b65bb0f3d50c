//! The partial inverse of max pooling: every maximum back to where it was found, zeros elsewhere.
//!
//! `y[n, c, indices[n, c, i, j]] = x[n, c, i, j]`, where an index counts the elements of an output plane row by row, as
//! [`max_pool2d::Saved::indices`](crate::max_pool2d::Saved::indices) gives them.
//!
//! **Conventions.** Where windows overlapped, two of them may have found the same element; the last in row-major order is
//! then the one that counts (they are equal where they come from a pooling), and it alone gets the gradient, since `y`
//! does not depend on the others. (PyTorch gives the gradient to all of them, which is not the derivative of what it
//! computes.) NaN and infinity are numbers like others. The index
//! [`NO_ELEMENT`](crate::max_pool2d::NO_ELEMENT) of a window on padding alone goes nowhere.
//!
//! **Algorithm.** A scatter, plane by plane, at the speed of memory; the backward pass gathers.
//!
//! Source: M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1,
//! whose switches the indices are; PyTorch's `nn.MaxUnpool2d`.

use crate::max_pool2d::NO_ELEMENT;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use crate::{OpError, Pair};
use cnn_tensor::{Recycled, Shape, Tensor, parallel};

const OP: &str = "max_unpool2d";

/// An unpooling to planes of `output` elements.
///
/// ```
/// use cnn_ops::{MaxPool2d, MaxUnpool2d};
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 2, 4], vec![1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 8.0, 6.0])?;
/// let (pooled, saved) = MaxPool2d::new([2, 2]).forward(&x)?;
/// let y = MaxUnpool2d::new([2, 4]).forward(&pooled, saved.indices())?;
/// assert_eq!(y.data(), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxUnpool2d {
    /// Height and width of the output, which should be those of the pooling's input.
    pub output: [usize; 2],
}

impl MaxUnpool2d {
    /// An output of the given height and width.
    pub fn new(output: impl Pair) -> Self {
        Self { output: output.pair() }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with the extents of `output`.
    ///
    /// # Errors
    /// `x` is not of rank 4, or an output plane has 2^32 - 1 elements or more.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let [n, c, _, _] = check::nchw(OP, "x", x)?;
        let [h, w] = self.output;
        check::output(OP, [n, c, h, w])
    }

    /// `y` of shape `[n, c, oh, ow]` from `x [n, c, h, w]` and as many indices.
    ///
    /// # Errors
    /// Those of [`MaxUnpool2d::output_shape`]; there are not as many indices as elements, or one lies outside the plane.
    pub fn forward(&self, x: &Tensor, indices: &[u32]) -> Result<Tensor, OpError> {
        let shape = self.checked(x.shape(), indices)?;
        let mut y = Tensor::zeros(shape);
        let planes = Planes::new(x.shape(), shape);
        parallel::for_each_chunk(y.data_mut(), planes.y_chunk(), |i, y| {
            for (y, (x, indices)) in planes.of(i, y, x.data(), indices) {
                for (&x, &index) in x.iter().zip(indices) {
                    if index != NO_ELEMENT {
                        y[index as usize] = x;
                    }
                }
            }
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy [n, c, oh, ow]` and the indices of the forward pass.
    ///
    /// # Errors
    /// Those of [`MaxUnpool2d::forward`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, indices: &[u32], dy: &Tensor) -> Result<Tensor, OpError> {
        let shape = self.checked(x, indices)?;
        check::shape(OP, "dy", shape, dy)?;
        let mut dx = Tensor::zeros(x);
        let planes = Planes::new(x, shape);
        parallel::for_each_chunk(dx.data_mut(), planes.x_chunk(), |i, dx| {
            // Elements of the plane whose last index has been met.
            let mut taken = Recycled::filled(false, planes.y);
            let start = i * planes.per_chunk;
            for (plane, dx) in dx.chunks_exact_mut(planes.x.max(1)).enumerate() {
                let (x_start, y_start) = ((start + plane) * planes.x, (start + plane) * planes.y);
                let dy = &dy.data()[y_start..][..planes.y];
                taken.fill(false);
                for (dx, &index) in dx.iter_mut().zip(&indices[x_start..][..planes.x]).rev() {
                    if index != NO_ELEMENT && !std::mem::replace(&mut taken[index as usize], true) {
                        *dx = dy[index as usize];
                    }
                }
            }
        });
        Ok(dx)
    }

    /// The shape of the output, if all indices lie in its planes.
    fn checked(&self, x: Shape, indices: &[u32]) -> Result<Shape, OpError> {
        let shape = self.output_shape(x)?;
        let (expected, got) = (x.numel(), indices.len());
        if got != expected {
            return Err(OpError::Extent { op: OP, what: "indices", unit: "elements", expected, got });
        }
        let plane = self.output[0] * self.output[1];
        let outside = |&index: &u32| index != NO_ELEMENT && index as usize >= plane;
        match indices.iter().position(outside) {
            None => Ok(shape),
            Some(at) => {
                let got = format!("{} at element {at} for planes of {plane}", indices[at]);
                Err(OpError::Option {
                    op: OP,
                    option: "an index",
                    rule: "below the elements of a plane",
                    got,
                })
            }
        }
    }
}

/// The planes of input and output, and how many of them make a piece of work.
struct Planes {
    /// Elements of an input plane.
    x: usize,
    /// Elements of an output plane.
    y: usize,
    per_chunk: usize,
}

impl Planes {
    fn new(x: Shape, y: Shape) -> Self {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);
        let plane = |shape: Shape| shape.dims()[2] * shape.dims()[3];
        let (x, y) = (plane(x), plane(y));
        Self { x, y, per_chunk: (WORTH_A_THREAD / x.max(y).max(1)).max(1) }
    }

    fn x_chunk(&self) -> usize {
        self.per_chunk * self.x
    }

    fn y_chunk(&self) -> usize {
        self.per_chunk * self.y
    }

    /// The planes of piece `i` of the output, each with what belongs to it.
    fn of<'a>(
        &self,
        i: usize,
        y: &'a mut [f32],
        x: &'a [f32],
        indices: &'a [u32],
    ) -> impl Iterator<Item = (&'a mut [f32], (&'a [f32], &'a [u32]))> {
        let (start, plane) = (i * self.x_chunk(), self.x);
        y.chunks_exact_mut(self.y.max(1)).enumerate().map(move |(at, y)| {
            let at = start + at * plane;
            (y, (&x[at..][..plane], &indices[at..][..plane]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MaxPool2d;
    use crate::shared::testing::{any_extent, any_shape, assert_exact, everywhere};
    use cnn_tensor::testing::{assert_gradient_close, distinct, gradient_of, to_f64};
    use prop::array::uniform2;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(plane: [usize; 2], x: &[f64], indices: &[u32]) -> Vec<f64> {
        let (x_plane, y_plane) = (plane[0], plane[1]);
        let mut y = vec![0.0; x.len() / x_plane * y_plane];
        for (i, (&x, &index)) in x.iter().zip(indices).enumerate() {
            if index != NO_ELEMENT {
                y[i / x_plane * y_plane + index as usize] = x;
            }
        }
        y
    }

    proptest! {
        #[test]
        fn matches_the_definition(n in 1..3usize, c in 1..3usize, x in uniform2(1..4usize), output in uniform2(1..5usize),
                                  seed: u64, indices in prop::collection::vec(any::<u32>(), 36)) {
            let (shape, plane) = ([n, c, x[0], x[1]], [x[0] * x[1], output[0] * output[1]]);
            let x = distinct(shape, seed);
            // With duplicates, and one in ten on no element.
            let index = |v: &u32| if v % 10 == 9 { NO_ELEMENT } else { (v / 10) % plane[1] as u32 };
            let indices: Vec<u32> = indices[..x.data().len()].iter().map(index).collect();
            let op = MaxUnpool2d { output };
            let want = oracle(plane, &to_f64(&x), &indices);
            let dy = distinct(op.output_shape(x.shape()).unwrap(), seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(plane, x, &indices));
            everywhere(|| {
                assert_exact("y", &op.forward(&x, &indices).unwrap(), &want);
                assert_gradient_close("dx", &op.backward(x.shape(), &indices, &dy).unwrap(), &want_dx);
            });
        }

        /// Of what a pooling gave, every maximum is where it was, and pooling again finds it.
        #[test]
        fn undoes_a_pooling(n in 1..3usize, h in 3..9usize, w in 3..9usize, stride in 1..4usize, seed: u64) {
            let mut x = distinct([n, 2, h, w], seed);
            x.data_mut().iter_mut().for_each(|x| *x += 2.0);
            let pool = MaxPool2d::new([3, 3]).stride([stride; 2]).padding([1, 1]);
            let (pooled, saved) = pool.forward(&x).unwrap();
            everywhere(|| {
                let y = MaxUnpool2d { output: [h, w] }.forward(&pooled, saved.indices()).unwrap();
                assert!(y.data().iter().zip(x.data()).all(|(y, x)| *y == 0.0 || y == x));
                assert_eq!(pool.infer(&y).unwrap(), pooled);
            });
        }

        /// No options, shapes or indices, however absurd, panic or take memory.
        #[test]
        fn absurd_options_are_errors(output in uniform2(any_extent()), x in any_shape(), index: u32) {
            let op = MaxUnpool2d { output };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()).max(y.dims()[2].saturating_mul(y.dims()[3])) < 10_000 {
                let indices = vec![index; x.numel()];
                let forward = op.forward(&Tensor::zeros(x), &indices);
                prop_assert_eq!(forward.is_ok(), op.backward(x, &indices, &Tensor::zeros(y)).is_ok());
            }
        }
    }

    #[test]
    fn of_duplicates_the_last_counts() {
        let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 2.0, 3.0]).unwrap();
        let (op, indices) = (MaxUnpool2d { output: [1, 2] }, [1, 0, 1]);
        assert_eq!(op.forward(&x, &indices).unwrap().data(), [2.0, 3.0]);
        let dy = Tensor::from_vec([1, 1, 1, 2], vec![5.0, 7.0]).unwrap();
        assert_eq!(op.backward(x.shape(), &indices, &dy).unwrap().data(), [0.0, 5.0, 7.0]);
    }

    #[test]
    fn nan_infinity_and_no_element() {
        let x = Tensor::from_vec([1, 1, 1, 3], vec![f32::NAN, f32::INFINITY, 3.0]).unwrap();
        let (op, indices) = (MaxUnpool2d { output: [2, 2] }, [3, 0, NO_ELEMENT]);
        let y = op.forward(&x, &indices).unwrap();
        assert!(y.data()[3].is_nan());
        assert_eq!(y.data()[..3], [f32::INFINITY, 0.0, 0.0]);
        let dx = op.backward(x.shape(), &indices, &Tensor::full([1, 1, 2, 2], 4.0)).unwrap();
        assert_eq!(dx.data(), [4.0, 4.0, 0.0]);
    }

    #[test]
    fn an_empty_batch_gives_an_empty_batch() {
        let op = MaxUnpool2d { output: [4, 4] };
        let y = op.forward(&Tensor::zeros([0, 3, 2, 2]), &[]).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 4, 4]));
        assert_eq!(op.backward([0, 3, 2, 2].into(), &[], &y).unwrap().shape(), Shape::from([0, 3, 2, 2]));
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (op, x) = (MaxUnpool2d { output: [2, 2] }, Tensor::zeros([1, 1, 1, 2]));
        let message = |indices: &[u32]| op.forward(&x, indices).unwrap_err().to_string();
        assert_eq!(message(&[0]), "max_unpool2d: indices expects 2 elements, got 1");
        assert_eq!(
            message(&[0, 4]),
            "max_unpool2d: an index must be below the elements of a plane, got 4 at element 1 for planes of 4"
        );
        let error = op.backward(x.shape(), &[0, 1], &x).unwrap_err().to_string();
        assert_eq!(error, "max_unpool2d: dy expects shape [1, 1, 2, 2], got [1, 1, 1, 2]");
        let error = op.output_shape([4].into()).unwrap_err().to_string();
        assert_eq!(error, "max_unpool2d: x expects [n, c, h, w], got shape [4]");
    }
}
