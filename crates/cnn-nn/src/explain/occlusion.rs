//! Occlusion: how far a score falls when a part of the image is covered.

use super::Explainer;
use crate::NnError;
use cnn_tensor::Tensor;

/// The square that is moved over the image. It may hang over the border.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occlusion {
    /// The side of the square, in pixels; at least 1.
    pub side: usize,
    /// From square to square, in pixels; at least 1.
    pub stride: usize,
    /// The number put in place of the pixels, in the numbers of the network's input. 0 is the mean colour of normalised images.
    pub fill: f32,
}

impl Occlusion {
    /// The number of squares along each axis of an image of `h` rows and `w` columns.
    pub fn places(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        [h, w].map(|extent| extent.div_ceil(self.stride.max(1)))
    }

    /// The pixels that the square number `i` covers along an axis. Its middle is that of the pixels from `i * stride` to
    /// `(i + 1) * stride`, so the map lies over the image when enlarged by the stride.
    pub(super) fn covers(&self, i: usize, extent: usize) -> std::ops::Range<usize> {
        let twice_start = (2 * i + 1) * self.stride;
        let start = twice_start.saturating_sub(self.side) / 2;
        let end = ((twice_start + self.side) / 2).min(extent);
        start.min(end)..end
    }
}

impl Explainer<'_> {
    /// How far the score of `class` falls for an image `[1, c, h, w]` when a square of it is covered: `[1, 1, rows, columns]`, one
    /// number for each place of the square. Positive where the square hides evidence for the class. `tick` is called with the
    /// number of places done.
    ///
    /// Source: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2, with
    /// scores in place of probabilities.
    ///
    /// # Errors
    /// The network cannot take `x`, does not take images, or has no such class; or side or stride is 0.
    pub fn occlusion(
        &self,
        x: &Tensor,
        class: usize,
        square: Occlusion,
        mut tick: impl FnMut(usize),
    ) -> Result<Tensor, NnError> {
        self.check_one(x)?;
        self.check_class(class)?;
        let Some([_, c, h, w]) = x.shape().nchw() else {
            let (what, rule) = ("the input of a network for occlusion", "images [n, c, h, w]");
            return Err(NnError::Setting { what, rule, got: x.shape().to_string() });
        };
        if square.side == 0 || square.stride == 0 {
            let got = format!("{} and {}", square.side, square.stride);
            let (what, rule) = ("side and stride of the occluding square", "at least 1");
            return Err(NnError::Setting { what, rule, got });
        }
        let whole = self.scores(x)?.data()[class];
        let [rows, columns] = square.places([h, w]);
        let mut map = Tensor::zeros([1, 1, rows, columns]);
        let places: Vec<[usize; 2]> = (0..rows * columns).map(|i| [i / columns, i % columns]).collect();
        let mut done = 0;
        for places in places.chunks(self.at_a_time()) {
            let mut covered = Tensor::zeros(x.shape().with_batch(places.len()));
            for (image, place) in covered.data_mut().chunks_exact_mut(c * h * w).zip(places) {
                image.copy_from_slice(x.data());
                let (rows, columns) = (square.covers(place[0], h), square.covers(place[1], w));
                for plane in image.chunks_exact_mut(h * w) {
                    rows.clone().for_each(|row| plane[row * w..][columns.clone()].fill(square.fill));
                }
            }
            let scores = self.scores(&covered)?;
            for (fall, scores) in
                map.data_mut()[done..].iter_mut().zip(scores.data().chunks_exact(self.classes()))
            {
                *fall = whole - scores[class];
            }
            done += places.len();
            tick(done);
        }
        Ok(map)
    }
}
