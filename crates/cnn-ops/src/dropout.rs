//! Dropout of elements or of whole channels, in training.
//!
//! `y = x / (1 - p)` for elements that are kept, and 0 for those dropped, so that the mean stays the same ("inverted"
//! dropout). Each element, or with `channels` each plane `[h, w]` of `[n, c, h, w]`, is dropped with probability `p`,
//! independently of the others. The gradient is the same map: `dx = dy / (1 - p)` where `x` was kept, else 0. In
//! evaluation nothing is dropped, and `y = x`.
//!
//! **Conventions.** Those of PyTorch's `nn.Dropout` and `nn.Dropout2d`, except that dropped elements are exactly 0, even if
//! they were NaN, infinite or negative: PyTorch multiplies by the mask, and NaN times 0 is NaN there. A NaN that is kept
//! stays NaN. With `p = 1` everything is 0, with `p = 0` nothing changes.
//!
//! **Which elements are dropped** follows from [`Stream`](crate::dropout::Stream) and the shape of an image
//! alone: not from the number of threads, nor from how a batch is cut into pieces, nor from earlier draws.
//!
//! **Algorithm.** One bit for each element or channel ([`Random::fill_bits`](cnn_tensor::Random::fill_bits)), a stream of
//! random numbers for each image. Threads take runs of images.
//!
//! Source: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A Simple Way to Prevent
//! Neural Networks from Overfitting", JMLR 15 (2014), section 4. Channels: J. Tompson, R. Goroshin, A. Jain, Y. LeCun
//! and C. Bregler, "Efficient Object Localization Using Convolutional Networks", CVPR 2015, section 3.2.

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::Level;
use cnn_tensor::{Random, Recycled, Shape, Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};
use std::io::Write;

const OP: &str = "dropout";

/// The options of a dropout.
///
/// ```
/// use cnn_ops::dropout::{Dropout, Stream};
/// use cnn_tensor::Tensor;
/// let op = Dropout::new(0.5);
/// let stream = Stream { seed: 1, step: 0, first_image: 0 };
/// let (y, saved) = op.forward(Tensor::full([10, 100], 3.0), stream)?;
/// assert!(y.data().iter().all(|&y| y == 0.0 || y == 6.0));
/// let kept = y.data().iter().filter(|&&y| y == 6.0).count();
/// assert!((450..550).contains(&kept));
/// let dx = op.backward(&saved, Tensor::full([10, 100], 1.0))?;
/// assert!(dx.data().iter().zip(y.data()).all(|(dx, y)| 3.0 * dx == *y));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The probability of being dropped, from 0 to 1.
    pub p: f64,
    /// Whether whole channels are dropped, of images `[n, c, h, w]`, instead of elements.
    pub channels: bool,
}

/// Decides which elements are dropped: image `i` of a batch takes the random numbers named by `seed`, `step` and
/// `first_image + i`.
///
/// Two pieces of a batch get the masks of the whole batch, if the second's `first_image` is moved by the number of
/// images in the first:
///
/// ```
/// use cnn_ops::dropout::{Dropout, Stream};
/// use cnn_tensor::Tensor;
/// let (op, stream) = (Dropout::new(0.5), Stream { seed: 1, step: 7, first_image: 0 });
/// let (whole, _) = op.forward(Tensor::full([5, 9], 1.0), stream)?;
/// let (rest, _) = op.forward(Tensor::full([3, 9], 1.0), Stream { first_image: 2, ..stream })?;
/// assert_eq!(rest, whole.slice_batch(2, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Different for each layer and each run.
    pub seed: u64,
    /// Different for each pass: the training step.
    pub step: u64,
    /// The place of the first image in the batch that the images were cut from. The sum with `i` may wrap around.
    pub first_image: u64,
}

/// Read by the backward pass: one bit for each element or channel.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    /// For each image, whole words: a bit is 1 where something was dropped.
    dropped: Recycled<u64>,
}

/// The elements that each bit of an image stands for.
#[derive(Clone, Copy, Debug)]
struct Extents {
    /// Elements in an image.
    image: usize,
    /// Elements that share a bit.
    unit: usize,
    /// Words of bits for an image.
    words: usize,
}

impl Dropout {
    /// Drops elements.
    pub fn new(p: f64) -> Self {
        Self { p, channels: false }
    }

    /// Drops whole channels.
    ///
    /// ```
    /// use cnn_ops::dropout::{Dropout, Stream};
    /// use cnn_tensor::Tensor;
    /// let (y, _) = Dropout::channels(0.5).forward(Tensor::full([1, 8, 2, 2], 1.0), Stream::default())?;
    /// assert!(y.data().chunks(4).all(|plane| plane == [0.0; 4] || plane == [2.0; 4]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn channels(p: f64) -> Self {
        Self { p, channels: true }
    }

    /// The shape of `x`: of any rank but 0, and of rank 4 if channels are dropped.
    ///
    /// # Errors
    /// `p` is not from 0 to 1, or `x` has another rank.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.extents(x).map(|_| x)
    }

    /// `y` of the shape of `x`, in the memory of `x` unless a clone shares it.
    ///
    /// # Errors
    /// Those of [`Dropout::output_shape`].
    pub fn forward(&self, mut x: Tensor, stream: Stream) -> Result<(Tensor, Saved), OpError> {
        let extents = self.extents(x.shape())?;
        let Extents { image, words, .. } = extents;
        let mut dropped = Recycled::filled(0, extents.images(x.shape()) * words);
        let (each, level) = (extents.images_worth_a_thread(), Level::current());
        let masks = (&mut dropped[..], each.saturating_mul(words));
        let pair = ((x.data_mut(), each.saturating_mul(image)), masks);
        parallel::for_each_chunk_pair(pair.0, pair.1, |i, x, dropped| {
            for (at, (x, dropped)) in
                x.chunks_exact_mut(image).zip(dropped.chunks_exact_mut(words)).enumerate()
            {
                stream.random(i * each + at).fill_bits(self.p, dropped);
                self.apply(level, extents, dropped, x);
            }
        });
        let saved = Saved { x: x.shape(), dropped };
        Ok((x, saved))
    }

    /// `dx` of the shape of `x`, in the memory of `dy` unless a clone shares it.
    ///
    /// # Errors
    /// Those of [`Dropout::output_shape`], or `dy` does not have the shape of `x`.
    pub fn backward(&self, saved: &Saved, mut dy: Tensor) -> Result<Tensor, OpError> {
        let extents = self.extents(saved.x)?;
        check::shape(OP, "dy", saved.x, &dy)?;
        let Extents { image, words, .. } = extents;
        let (each, level) = (extents.images_worth_a_thread(), Level::current());
        parallel::for_each_chunk(dy.data_mut(), each.saturating_mul(image), |i, dx| {
            let dropped = saved.dropped[i * each * words..].chunks_exact(words);
            for (dx, dropped) in dx.chunks_exact_mut(image).zip(dropped) {
                self.apply(level, extents, dropped, dx);
            }
        });
        Ok(dy)
    }

    /// Scales the kept elements of an image, and clears the others.
    fn apply(&self, level: Level, extents: Extents, dropped: &[u64], x: &mut [f32]) {
        let scale = (1.0 / (1.0 - self.p)) as f32;
        if !self.channels {
            return keep(level, scale, dropped, x);
        }
        for (c, plane) in x.chunks_exact_mut(extents.unit).enumerate() {
            if dropped[c / 64] >> (c % 64) & 1 == 0 {
                cnn_tensor::vector::scale(scale, plane);
            } else {
                plane.fill(0.0);
            }
        }
    }

    fn extents(&self, x: Shape) -> Result<Extents, OpError> {
        check::rule(OP, "p", "from 0 to 1", (0.0..=1.0).contains(&self.p), self.p)?;
        let [image, unit] = match *x.dims() {
            [] => return Err(OpError::Rank { op: OP, what: "x", expected: "a batch", got: x }),
            [_, c, h, w] if self.channels => [c.saturating_mul(h).saturating_mul(w), h.saturating_mul(w)],
            _ if self.channels => {
                return Err(OpError::Rank { op: OP, what: "x", expected: "[n, c, h, w]", got: x });
            }
            [_, ref image @ ..] => [image.iter().fold(1usize, |m, &extent| m.saturating_mul(extent)), 1],
        };
        check::output(OP, x)?;
        // Without elements there are no bits, however many channels there are.
        let units = image.checked_div(unit).unwrap_or(0);
        Ok(Extents { image, unit, words: if x.numel() == 0 { 0 } else { units.div_ceil(64) } })
    }
}

impl Extents {
    /// Images that there is something to compute for.
    fn images(self, x: Shape) -> usize {
        if x.numel() == 0 { 0 } else { x.batch() }
    }

    fn images_worth_a_thread(self) -> usize {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 14);
        WORTH_A_THREAD.div_ceil(self.image.max(1))
    }
}

impl Stream {
    /// The random numbers of image `i` of the batch.
    fn random(self, i: usize) -> Random {
        let image = self.first_image.wrapping_add(i as u64);
        let mut digits = [[0; DIGITS]; 2];
        let [step_digits, image_digits] = &mut digits;
        Random::new(self.seed, &[OP, decimal(self.step, step_digits), decimal(image, image_digits)])
    }
}

/// Digits of the largest number.
const DIGITS: usize = u64::MAX.ilog10() as usize + 1;

/// `n.to_string()` without an allocation.
fn decimal(n: u64, digits: &mut [u8; DIGITS]) -> &str {
    let mut rest = &mut digits[..];
    let _ = write!(rest, "{n}");
    let unused = rest.len();
    std::str::from_utf8(&digits[..DIGITS - unused]).expect("digits")
}

kernel! {
    /// `x *= scale` where the bit is 0, and `x = 0` where it is 1.
    fn keep<S>(s, scale: f32, dropped: &[u64], x: &mut [f32]) {
        let scale = s.splat(scale);
        let (whole, rest) = x.as_chunks_mut::<64>();
        let (words, last) = dropped.split_at(whole.len());
        for (word, x) in words.iter().zip(whole) {
            for (i, x) in x.chunks_exact_mut(S::LANES).enumerate() {
                s.store(s.clear((word >> (i * S::LANES)) as u32, s.mul(s.load(x), scale)), x);
            }
        }
        for (i, x) in rest.chunks_mut(S::LANES).enumerate() {
            s.store_partial(s.clear((last[0] >> (i * S::LANES)) as u32, s.mul(s.load_partial(x), scale)), x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{
        any_number_of_rejects, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64, of images of `units` times `unit` elements.
    fn oracle(p: f64, stream: Stream, [n, units, unit]: [usize; 3], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for image in 0..n {
            let name = [stream.step, stream.first_image.wrapping_add(image as u64)].map(|of| of.to_string());
            let mut bits = vec![0; units.div_ceil(64)];
            Random::new(stream.seed, &["dropout", &name[0], &name[1]]).fill_bits(p, &mut bits);
            for at in 0..units * unit {
                let kept = bits[at / unit / 64] >> (at / unit % 64) & 1 == 0;
                let at = image * units * unit + at;
                y[at] = if kept { x[at] / (1.0 - p) } else { 0.0 };
            }
        }
        y
    }

    fn probability() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), Just(0.5), Just(1.0), 0.0..0.9]
    }

    fn streams() -> impl Strategy<Value = Stream> {
        (any::<u64>(), any::<u64>(), prop_oneof![0..9u64, Just(u64::MAX)])
            .prop_map(|(seed, step, first_image)| Stream { seed, step, first_image })
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(dims in prop::collection::vec(0..4usize, 1..7), wide in 1..100usize,
                                  p in probability(), stream in streams(), seed: u64) {
            let dims = if dims.len() == 2 { vec![dims[0], wide] } else { dims };
            let shape = Shape::new(&dims).unwrap();
            let extents = [dims[0], dims[1..].iter().product(), 1];
            let (op, x, dy) = (Dropout::new(p), distinct(shape, seed), distinct(shape, seed ^ 1));
            let want = oracle(p, stream, extents, &to_f64(&x));
            // The map is its own gradient.
            let want_dx = oracle(p, stream, extents, &to_f64(&dy));
            everywhere(|| {
                let (y, saved) = op.forward(x.clone(), stream).unwrap();
                assert_close(&y, &want);
                assert_close(&op.backward(&saved, dy.clone()).unwrap(), &want_dx);
            });
        }

        #[test]
        fn channels_match_the_definition(n in 0..4usize, c in prop_oneof![0..5usize, 60..140usize], h in 0..3usize,
                                         w in 0..4usize, p in probability(), stream in streams(), seed: u64) {
            let shape = Shape::from([n, c, h, w]);
            let (op, x, dy) = (Dropout::channels(p), distinct(shape, seed), distinct(shape, seed ^ 1));
            let want = oracle(p, stream, [n, c, h * w], &to_f64(&x));
            let want_dx = oracle(p, stream, [n, c, h * w], &to_f64(&dy));
            everywhere(|| {
                let (y, saved) = op.forward(x.clone(), stream).unwrap();
                assert_close(&y, &want);
                assert_close(&op.backward(&saved, dy.clone()).unwrap(), &want_dx);
            });
        }

        #[test]
        fn gradients_are_those_of_differences(n in 0..3usize, c in 0..5usize, m in 1..4usize, channels: bool,
                                              p in 0.0..0.9, seed: u64) {
            let (op, stream) = (Dropout { p, channels }, Stream { seed, ..Stream::default() });
            let (x, dy) = (distinct([n, c, m, 1], seed), distinct([n, c, m, 1], seed ^ 1));
            let extents = if channels { [n, c, m] } else { [n, c * m, 1] };
            let want = gradient_of(&x, &dy, |x| oracle(p, stream, extents, x));
            let (_, saved) = op.forward(x, stream).unwrap();
            assert_gradient_close("dx", &op.backward(&saved, dy).unwrap(), &want);
        }

        /// With `p = 1/2`, kept elements are doubled, exactly.
        #[test]
        fn half_is_exact_on_whole_numbers(n in 1..6usize, m in 1..300usize, stream in streams(), seed: u64) {
            let x = whole_numbers([n, m], 1000, seed);
            let want = oracle(0.5, stream, [n, m, 1], &to_f64(&x));
            everywhere(|| {
                let (y, saved) = Dropout::new(0.5).forward(x.clone(), stream).unwrap();
                assert_exact("y", &y, &want);
                assert_exact("dx", &Dropout::new(0.5).backward(&saved, x.clone()).unwrap(), &want);
            });
        }

        #[test]
        fn masks_do_not_depend_on_how_a_batch_is_cut(n in 1..6usize, cut in 0..6usize, c in 1..9usize, m in 1..9usize,
                                                     channels: bool, stream in streams()) {
            let (op, cut) = (Dropout { p: 0.5, channels }, cut.min(n));
            let mask = |n: usize, first: usize| {
                let first_image = stream.first_image.wrapping_add(first as u64);
                op.forward(Tensor::full([n, c, m, 1], 1.0), Stream { first_image, ..stream }).unwrap().0
            };
            everywhere(|| {
                let whole = mask(n, 0);
                assert_eq!(mask(cut, 0), whole.slice_batch(0, cut));
                assert_eq!(mask(n - cut, cut), whole.slice_batch(cut, n));
            });
        }

        #[test]
        fn absurd_options_are_errors(dims in prop::collection::vec(absurd(), 0..7), channels: bool,
                                     p in prop_oneof![0.0..1.0, any::<f64>(), Just(f64::NAN), Just(5e-324)]) {
            let op = Dropout { p, channels };
            let Ok(shape) = Shape::new(&dims) else { return Ok(()) };
            let accepted = op.output_shape(shape);
            prop_assert!((0.0..=1.0).contains(&p) || accepted.is_err());
            if accepted.is_ok() && shape.numel() <= 100_000 {
                let (y, saved) = op.forward(Tensor::zeros(shape), Stream::default()).unwrap();
                op.backward(&saved, y).unwrap();
            }
        }
    }

    fn absurd() -> impl Strategy<Value = usize> {
        prop_oneof![0..5usize, 0..5usize, any::<usize>(), Just(usize::MAX)]
    }

    /// 1 where an element of each of `n` images was kept.
    fn kept(op: Dropout, n: usize, m: usize, step: u64) -> Vec<bool> {
        let stream = Stream { seed: 3, step, first_image: 0 };
        let (y, _) = op.forward(Tensor::full([n, m], 1.0), stream).unwrap();
        y.data().iter().map(|&y| y != 0.0).collect()
    }

    /// Whether `count` of `total` is likely for probability `p`: within five standard deviations.
    fn is_likely(count: usize, total: usize, p: f64) -> bool {
        let (count, total) = (count as f64, total as f64);
        (count - total * p).abs() <= 5.0 * (total * p * (1.0 - p)).sqrt()
    }

    #[test]
    fn the_rate_is_right_and_images_and_steps_are_independent() {
        let (n, m) = (200, 500);
        for p in [0.1, 0.3, 0.5, 0.8] {
            let op = Dropout::new(p);
            let (first, second) = (kept(op, n, m, 0), kept(op, n, m, 1));
            assert!(is_likely(first.iter().filter(|&&kept| kept).count(), n * m, 1.0 - p), "rate at {p}");
            let both = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|&(&a, &b)| a && b).count();
            let square = (1.0 - p) * (1.0 - p);
            assert!(is_likely(both(&first, &second), n * m, square), "steps at {p}");
            for images in 1..4 {
                let moved = &first[images * m..];
                assert!(is_likely(both(&first, moved), moved.len(), square), "images {images} apart at {p}");
            }
            for position in 0..m {
                let at_position = (0..n).filter(|image| first[image * m + position]).count();
                assert!(is_likely(at_position, n, 1.0 - p), "position {position} at {p}");
            }
        }
    }

    #[test]
    fn seeds_steps_and_images_name_different_masks() {
        let stream = Stream { seed: 1, step: 1, first_image: 1 };
        let streams = [
            stream,
            Stream { seed: 2, ..stream },
            Stream { step: 2, ..stream },
            Stream { first_image: 2, ..stream },
            Stream { step: 11, ..stream },
            Stream { first_image: 11, ..stream },
        ];
        let masks =
            streams.map(|stream| Dropout::new(0.5).forward(Tensor::full([1, 64], 1.0), stream).unwrap().0);
        for i in 0..masks.len() {
            assert!(masks[..i].iter().all(|other| *other != masks[i]), "{:?}", streams[i]);
        }
    }

    /// A released mask must not change: saved runs are resumed with it.
    #[test]
    fn masks_are_stable() {
        let stream = Stream { seed: 42, step: 1000, first_image: 5 };
        let (_, saved) = Dropout::new(0.3).forward(Tensor::zeros([2, 64]), stream).unwrap();
        assert_eq!(saved.dropped, STABLE, "{:#x?}", saved.dropped);
    }
    const STABLE: [u64; 2] = [0x5082_8243_a2c0_2990, 0xcd08_508a_a348_4814];

    #[test]
    fn what_is_dropped_is_zero_whatever_it_was() {
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0];
        let x = Tensor::from_vec([4, 50], bad.repeat(50)).unwrap();
        for channels in [false, true] {
            let x = x.clone().reshape([4, 50, 1, 1]).unwrap();
            everywhere(|| {
                let op = Dropout { p: 0.5, channels };
                let (y, saved) = op.forward(x.clone(), Stream::default()).unwrap();
                let zeros = y.data().iter().filter(|y| y.to_bits() == 0).count();
                assert!((60..140).contains(&zeros), "{zeros}");
                for (y, x) in y.data().iter().zip(x.data()) {
                    let kept = if x.is_nan() { y.is_nan() } else { *y == 2.0 * x };
                    assert!(y.to_bits() == 0 || kept, "{x} became {y}");
                }
                let dx = op.backward(&saved, x.clone()).unwrap();
                assert!(dx.data().iter().zip(y.data()).all(|(dx, y)| dx.to_bits() == y.to_bits()));
            });
        }
    }

    #[test]
    fn nothing_and_everything_can_be_dropped() {
        let x = distinct([3, 70], 0);
        let of = |p: f64| Dropout::new(p).forward(x.clone(), Stream::default()).unwrap().0;
        assert_eq!(of(0.0), x);
        assert!(of(1.0).data().iter().all(|y| y.to_bits() == 0));
    }

    #[test]
    fn memory_is_used_again_unless_it_is_shared() {
        let x = Tensor::full([2, 8], 1.0);
        let memory = x.data().as_ptr();
        let (y, saved) = Dropout::new(0.5).forward(x, Stream::default()).unwrap();
        assert_eq!(y.data().as_ptr(), memory);
        let shared = y.clone();
        let dx = Dropout::new(0.5).backward(&saved, y).unwrap();
        assert_ne!(dx, shared);
    }

    #[test]
    fn empty_things_are_shapes_like_any_other() {
        for shape in
            [Shape::from([0]), [0, 3].into(), [3, 0].into(), [2, 3, 0, 4].into(), [2, 0, 3, 4].into()]
        {
            for channels in [false, true] {
                if channels && shape.rank() != 4 {
                    continue;
                }
                let (op, x) = (Dropout { p: 0.5, channels }, Tensor::zeros(shape));
                let (y, saved) = op.forward(x.clone(), Stream::default()).unwrap();
                assert_eq!(y, x);
                assert_eq!(op.backward(&saved, y).unwrap(), x);
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([9, 11, 20, 21], 0);
        for op in [Dropout::new(0.4), Dropout::channels(0.4)] {
            assert_same_bits_on_any_threads(|| {
                let (y, saved) = op.forward(x.clone(), Stream::default()).unwrap();
                vec![op.backward(&saved, x.clone()).unwrap(), y]
            });
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let shape = |op: Dropout, x: Shape| op.output_shape(x).unwrap_err().to_string();
        assert_eq!(shape(Dropout::new(1.5), [1].into()), "dropout: p must be from 0 to 1, got 1.5");
        assert_eq!(shape(Dropout::new(0.5), [].into()), "dropout: x expects a batch, got shape []");
        assert_eq!(
            shape(Dropout::channels(0.5), [2, 3].into()),
            "dropout: x expects [n, c, h, w], got shape [2, 3]"
        );
        let (_, saved) = Dropout::new(0.5).forward(Tensor::zeros([2, 3]), Stream::default()).unwrap();
        assert_eq!(
            Dropout::new(0.5).backward(&saved, Tensor::zeros([2])).unwrap_err().to_string(),
            "dropout: dy expects shape [2, 3], got [2]"
        );
    }
}
