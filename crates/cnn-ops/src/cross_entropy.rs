//! Cross-entropy between the softmax of logits and the right class, the loss of classifiers.
//!
//! ```text
//! loss     = sum over n of -ln softmax(x[n])[label[n]] = sum over n of (ln(sum over k of e^x[n, k]) - x[n, label[n]])
//! dx[n, k] = softmax(x[n])[k] - (1 if k = label[n], else 0)
//! ```
//!
//! This is the sum over the batch; divide by `n` for PyTorch's default, the mean. [`CrossEntropy`] has PyTorch's options:
//! weights of the classes, label smoothing, an ignored label, probabilities in place of labels, and classes at every
//! pixel. Without options it gives the same bits as [`forward`].
//!
//! The largest logit of each image is subtracted first, and sums are taken in f64, so the loss is accurate for any
//! finite logits, down to the 1e-9 of an image that is all but certain. Losses are added in the order of the images.
//!
//! **Conventions.** Another class's logit may be minus infinity (it has probability 0); the label's gives an infinite
//! loss. An image with a NaN, with plus infinity, or with nothing but minus infinity gives NaN. The loss of no images
//! is 0.
//!
//! Source: J. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990).
//!
//! ```
//! use cnn_ops::cross_entropy;
//! use cnn_tensor::Tensor;
//! let logits = Tensor::from_vec([2, 2], vec![0.0, 0.0, 5.0, 5.0])?;
//! let (loss, saved) = cross_entropy::forward(&logits, &[0, 1])?;
//! assert_eq!(loss, 2.0 * 2f64.ln());
//! let dlogits = cross_entropy::backward(&saved, 1.0 / 2.0);
//! assert_eq!(dlogits.data(), [-0.25, 0.25, 0.25, -0.25]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod options;

pub use options::CrossEntropy;

use crate::exponential::{largest, sum_of_exponentials};
use crate::positions::Positions;
use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::simd::Level;
use cnn_tensor::{Tensor, kernel, vector};

const OP: &str = "cross_entropy";

/// Logits that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 14);

/// What the backward pass reads.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The gradient of the sum.
    dlogits: Tensor,
}

/// The sum of the losses of a batch, in nats, from `logits [n, classes]` and the `n` right classes, counted from 0.
///
/// # Errors
/// `logits` is not of rank 2, there are not `n` labels, or a label is not below `classes`.
pub fn forward(logits: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
    let [n, classes] = check::matrix(OP, "logits", "[n, classes]", logits.shape())?;
    check::labels(OP, labels, [n, 1, classes], None)?;
    let positions = Positions::new(OP, "logits", logits.shape())?;
    let level = Level::current();
    let of_image =
        |image: usize, [x]: [&[f32]; 1], dx: &mut [f32]| of_image(level, x, labels[image] as usize, dx);
    let (loss, dlogits) = positions.losses([logits], WORTH_A_THREAD, of_image);
    Ok((loss, Saved { dlogits }))
}

/// `dlogits` of shape `[n, classes]`: the gradient of `scale` times the sum. Pass `1/n` for the mean; the parts of a
/// batch that was split pass 1 over the size of the whole.
pub fn backward(saved: &Saved, scale: f32) -> Tensor {
    let mut dlogits = Tensor::scratch(saved.dlogits.shape());
    scaled(Level::current(), scale, saved.dlogits.data(), dlogits.data_mut());
    dlogits
}

kernel! {
    /// `y = scale x`.
    fn scaled<S>(s, scale: f32, x: &[f32], y: &mut [f32]) {
        let scale = s.splat(scale);
        let (mut xs, mut ys) = (x.chunks_exact(S::LANES), y.chunks_exact_mut(S::LANES));
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            s.store(s.mul(scale, s.load(x)), y);
        }
        s.store_partial(s.mul(scale, s.load_partial(xs.remainder())), ys.into_remainder());
    }
}

/// The loss of one image, and its gradient to `dx`.
fn of_image(level: Level, x: &[f32], label: usize, dx: &mut [f32]) -> f64 {
    let max = f64::from(largest(level, x));
    let sum = sum_of_exponentials(level, max, x, dx);
    vector::scale((1.0 / sum) as f32, dx);
    // Once more in f64: in f32, `1 - p` loses all digits of a p near 1.
    dx[label] = ((f64::from(x[label]) - max).exp() / sum - 1.0) as f32;
    sum.ln() - (f64::from(x[label]) - max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_same_bits_on_any_threads, everywhere};
    use cnn_tensor::testing::{assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(classes: usize, x: &[f64], labels: &[u32]) -> f64 {
        let of_image = |(x, &label): (&[f64], &u32)| {
            let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
            -((x[label as usize] - max).exp() / sum).ln()
        };
        x.chunks(classes).zip(labels).map(of_image).sum()
    }

    proptest! {
        #[test]
        fn matches_the_definition(labels in prop::collection::vec(0..9u32, 1..6), more in 0..4usize,
                                  scale in -2.0..2.0f32, seed: u64) {
            let classes = 9 + more;
            let x = distinct([labels.len(), classes], seed);
            let want = oracle(classes, &to_f64(&x), &labels);
            let gradient = gradient_of(&x, &Tensor::full([1], scale), |x| vec![oracle(classes, x, &labels)]);
            everywhere(|| {
                let (loss, saved) = forward(&x, &labels).unwrap();
                assert!((loss - want).abs() <= 1e-12 * want, "{loss} instead of {want}");
                assert_gradient_close("dlogits", &backward(&saved, scale), &gradient);
            });
        }
    }

    fn example(logits: &[f32], label: u32) -> (f64, Vec<f32>) {
        let logits = Tensor::from_slice([1, logits.len()], logits).unwrap();
        let (loss, saved) = forward(&logits, &[label]).unwrap();
        (loss, backward(&saved, 1.0).data().to_vec())
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let span = 2.0 * f64::from(f32::MAX);
        assert_eq!(example(&[f32::MAX, f32::MIN], 1), (span, vec![1.0, -1.0]));
        assert_eq!(example(&[f32::MAX, f32::MIN], 0), (0.0, vec![0.0, 0.0]));
        assert_eq!(example(&[f32::MIN; 2], 0), (std::f64::consts::LN_2, vec![-0.5, 0.5]));
    }

    #[test]
    fn an_image_that_is_all_but_certain_keeps_its_digits() {
        let (loss, dx) = example(&[20.0, 0.0], 0);
        let rest = 1.0 / (1.0 + 20f64.exp());
        assert!((loss / rest - 1.0).abs() < 1e-6);
        assert!(
            (f64::from(dx[0]) / -rest - 1.0).abs() < 1e-6 && (f64::from(dx[1]) / rest - 1.0).abs() < 1e-6
        );
    }

    #[test]
    fn infinities_and_nan() {
        assert_eq!(example(&[1.0, f32::NEG_INFINITY], 0), (0.0, vec![0.0, 0.0]));
        assert_eq!(example(&[1.0, f32::NEG_INFINITY], 1), (f64::INFINITY, vec![1.0, -1.0]));
        for logits in [[f32::NAN, 0.0], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
            let (loss, dx) = example(&logits, 0);
            assert!(loss.is_nan() && dx.iter().all(|dx| dx.is_nan()), "{logits:?}");
        }
    }

    #[test]
    fn no_images_lose_nothing() {
        for classes in [0, 10] {
            let (loss, saved) = forward(&Tensor::zeros([0, classes]), &[]).unwrap();
            assert_eq!(loss.to_bits(), 0.0f64.to_bits());
            assert_eq!(backward(&saved, 1.0), Tensor::zeros([0, classes]));
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (n, classes) = (500, 100);
        let x = distinct([n, classes], 0);
        let labels: Vec<u32> = (0..n as u32).map(|i| i % classes as u32).collect();
        assert_same_bits_on_any_threads(|| {
            let (loss, saved) = forward(&x, &labels).unwrap();
            let bits = loss.to_bits();
            let halves = [bits as u32, (bits >> 32) as u32].map(f32::from_bits);
            vec![Tensor::from_slice([2], &halves).unwrap(), backward(&saved, 1.0)]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |shape: &[usize], labels: &[u32]| {
            let logits = Tensor::zeros(cnn_tensor::Shape::new(shape).unwrap());
            forward(&logits, labels).unwrap_err().to_string()
        };
        assert_eq!(message(&[3], &[0]), "cross_entropy: logits expects [n, classes], got shape [3]");
        assert_eq!(message(&[3, 10], &[1, 2]), "cross_entropy: labels expects 3 entries, got 2");
        assert_eq!(
            message(&[2, 10], &[9, 10]),
            "cross_entropy: label 10 of image 1 must be below the number of classes, 10"
        );
        assert_eq!(
            message(&[1, 0], &[0]),
            "cross_entropy: label 0 of image 0 must be below the number of classes, 0"
        );
    }
}
