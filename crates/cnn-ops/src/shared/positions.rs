//! Classes along axis 1, for operations that look at all classes of a position together: the rows of `[n, classes]`, or
//! strided through `[n, classes, ...]`, once for each pixel.

use crate::OpError;
use crate::shared::check;
use cnn_tensor::{Buffer, Recycled, Shape, Tensor, parallel};

/// A tensor `[n, classes, ...]` whose axes after the classes count as one.
#[derive(Clone, Copy)]
pub(crate) struct Positions {
    pub classes: usize,
    /// Positions in each image: 1 for a matrix.
    pub inner: usize,
    /// All positions, of all images; 0 if the tensor is empty.
    pub count: usize,
}

/// Positions that are gathered into rows at a time: a few cache lines of each class.
const BLOCK: usize = 64;

impl Positions {
    /// Those of the argument `what`.
    pub fn new(op: &'static str, what: &'static str, shape: Shape) -> Result<Self, OpError> {
        let [_, classes, inner] = check::channels(op, what, "[n, classes, ...]", shape)?;
        Ok(Self { classes, inner, count: shape.numel().checked_div(classes).unwrap_or(0) })
    }

    /// Images that make a piece of work of `worth_a_thread` elements.
    fn images_per_chunk(&self, worth_a_thread: usize) -> usize {
        (worth_a_thread / self.classes.saturating_mul(self.inner).max(1)).max(1)
    }

    /// A tensor of the shape of the inputs, written by `f` in runs of whole rows of classes: it gets the rows of each
    /// input, and those to write.
    pub fn map<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        worth_a_thread: usize,
        f: impl Fn([&[f32]; N], &mut [f32]) + Sync + Send,
    ) -> Tensor {
        let mut out = Tensor::scratch(inputs[0].shape());
        if self.count > 0 {
            let chunk = self.images_per_chunk(worth_a_thread) * self.classes * self.inner;
            parallel::for_each_chunk(out.data_mut(), chunk, |i, out| {
                let inputs = inputs.map(|x| &x.data()[i * chunk..][..out.len()]);
                self.in_rows(inputs, out, |_, x, y| f(x, y));
            });
        }
        out
    }

    /// The sum of the losses of all positions, in their order, and the gradient of it. `f` gets the number of a
    /// position and its classes in each input; it returns the loss and writes the gradient with respect to the classes.
    pub fn losses<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        worth_a_thread: usize,
        f: impl Fn(usize, [&[f32]; N], &mut [f32]) -> f64 + Sync + Send,
    ) -> (f64, Tensor) {
        let mut gradient = Tensor::scratch(inputs[0].shape());
        if self.count == 0 {
            return (0.0, gradient);
        }
        let mut losses = Recycled::filled(0.0, self.count);
        let positions = self.images_per_chunk(worth_a_thread) * self.inner;
        let chunk = positions * self.classes;
        parallel::for_each_chunk_pair(
            (&mut losses, positions),
            (gradient.data_mut(), chunk),
            |i, losses, gradient| {
                let inputs = inputs.map(|x| &x.data()[i * chunk..][..gradient.len()]);
                self.in_rows(inputs, gradient, |first, x, dx| {
                    let rows = dx.chunks_exact_mut(self.classes).zip(&mut losses[first..]);
                    for (row, (dx, loss)) in rows.enumerate() {
                        let x = x.map(|x| &x[row * self.classes..][..self.classes]);
                        *loss = f(i * positions + first + row, x, dx);
                    }
                });
            },
        );
        (losses.iter().fold(0.0, |sum, loss| sum + loss), gradient)
    }

    /// Calls `f` with whole images' classes as rows, and the number of the first row.
    fn in_rows<const N: usize>(
        &self,
        inputs: [&[f32]; N],
        out: &mut [f32],
        mut f: impl FnMut(usize, [&[f32]; N], &mut [f32]),
    ) {
        if self.inner == 1 {
            return f(0, inputs, out);
        }
        let block = BLOCK.min(self.inner);
        let mut rows = [(); N].map(|()| Buffer::scratch(block * self.classes));
        let mut out_rows = Buffer::scratch(block * self.classes);
        let image = self.classes * self.inner;
        for (n, out) in out.chunks_exact_mut(image).enumerate() {
            for first in (0..self.inner).step_by(block) {
                let length = block.min(self.inner - first) * self.classes;
                for (rows, x) in rows.iter_mut().zip(inputs) {
                    self.gather(&x[n * image..][..image], first, &mut rows.as_mut_slice()[..length]);
                }
                let out_rows = &mut out_rows.as_mut_slice()[..length];
                f(n * self.inner + first, rows.each_ref().map(|rows| &rows.as_slice()[..length]), out_rows);
                self.scatter(out_rows, first, out);
            }
        }
    }

    /// The positions from `first` on of an image, as rows.
    fn gather(&self, image: &[f32], first: usize, rows: &mut [f32]) {
        for (k, plane) in image.chunks_exact(self.inner).enumerate() {
            let class = rows[k..].iter_mut().step_by(self.classes);
            class.zip(&plane[first..]).for_each(|(row, x)| *row = *x);
        }
    }

    /// The inverse of [`Positions::gather`].
    fn scatter(&self, rows: &[f32], first: usize, image: &mut [f32]) {
        for (k, plane) in image.chunks_exact_mut(self.inner).enumerate() {
            let class = rows[k..].iter().step_by(self.classes);
            class.zip(&mut plane[first..]).for_each(|(row, x)| *x = *row);
        }
    }
}
