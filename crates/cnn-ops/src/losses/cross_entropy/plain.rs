//! Labels of images, without options: the default of classifiers, whose only `q` is 1 at the label.

use super::{CHUNK, CrossEntropy, OP, Saved};
use crate::OpError;
use crate::shared::check;
use crate::shared::exponential::{largest, sum_of_exponentials};
use crate::shared::positions::Positions;
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor, vector};

pub(super) fn suits(op: &CrossEntropy, logits: Shape) -> bool {
    *op == CrossEntropy::default() && logits.rank() == 2
}

/// The sum of the losses of `logits [n, classes]` and `n` labels.
pub(super) fn forward(logits: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
    let [n, classes] = check::matrix(OP, "logits", "[n, classes]", logits.shape())?;
    check::labels(OP, labels, [n, 1, classes], None)?;
    let positions = Positions::new(OP, "logits", logits.shape())?;
    let level = Level::current();
    let of_image =
        |image: usize, [x]: [&[f32]; 1], dx: &mut [f32]| of_image(level, x, labels[image] as usize, dx);
    let (loss, dx) = positions.losses([logits], CHUNK, of_image);
    Ok((loss, Saved::new(dx)))
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
    use crate::losses::Loss;
    use crate::losses::testing::*;
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
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
            let plain = |x: &Tensor| CrossEntropy::default().forward(x, &labels[..]);
            compare(&x, scale, plain, |x| oracle(classes, x, &labels));
        }

        /// The classes of an image of one pixel go the other way.
        #[test]
        fn images_are_pixels(labels in prop::collection::vec(0..9u32, 1..6), scale in prop::sample::select(vec![1.0, 50.0f32]), seed: u64) {
            let mut x = distinct([labels.len(), 9], seed);
            x.data_mut().iter_mut().for_each(|x| *x *= scale);
            let pixels = x.clone().reshape([labels.len(), 9, 1]).unwrap();
            prop_assert!(suits(&CrossEntropy::default(), x.shape()) && !suits(&CrossEntropy::default(), pixels.shape()));
            let (sum, saved) = CrossEntropy::default().forward(&x, &labels[..]).unwrap();
            let (want, other) = CrossEntropy::default().forward(&pixels, &labels[..]).unwrap();
            prop_assert!((sum - want).abs() <= 1e-12 * want, "{} instead of {}", sum, want);
            assert_close(&saved.backward(1.0), &to_f64(&other.backward(1.0)));
        }
    }

    fn example(logits: &[f32], label: u32) -> (f64, Vec<f32>) {
        let logits = Tensor::from_slice([1, logits.len()], logits).unwrap();
        let (loss, saved) = forward(&logits, &[label]).unwrap();
        (loss, saved.backward(1.0).data().to_vec())
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
            assert_eq!(saved.backward(1.0), Tensor::zeros([0, classes]));
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (n, classes) = (500, 100);
        let x = distinct([n, classes], 0);
        let labels: Vec<u32> = (0..n as u32).map(|i| i % classes as u32).collect();
        assert_threads_change_nothing(|| forward(&x, &labels).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |shape: [usize; 2], labels: &[u32]| {
            CrossEntropy::default().forward(&Tensor::zeros(shape), labels).unwrap_err().to_string()
        };
        assert_eq!(message([3, 10], &[1, 2]), "cross_entropy: labels expects 3 entries, got 2");
        assert_eq!(
            message([2, 10], &[9, 10]),
            "cross_entropy: label 10 of image 1 must be below the number of classes, 10"
        );
        assert_eq!(
            message([1, 0], &[0]),
            "cross_entropy: label 0 of image 0 must be below the number of classes, 0"
        );
    }
}
