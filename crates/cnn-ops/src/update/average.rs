//! A running average of weights.

use cnn_tensor::simd::Level;

/// `average += share * (value - average)`: exact where both are equal.
///
/// An exponential moving average, of which `1 - share` is kept in each step (Polyak and Juditsky 1992, "Acceleration of
/// stochastic approximation by averaging", with weights that fall by a factor).
///
/// ```
/// let mut average = [0.0, 2.0];
/// cnn_ops::update::average(0.25, &[4.0, 2.0], &mut average);
/// assert_eq!(average, [1.0, 2.0]);
/// ```
///
/// # Panics
/// The lengths differ.
pub fn average(share: f32, value: &[f32], average: &mut [f32]) {
    assert_eq!(value.len(), average.len(), "average: value and average have the same length");
    approach(Level::current(), share, value, average);
}

cnn_tensor::kernel! {
    fn approach<S>(s, add: f32, x: &[f32], y: &mut [f32]) {
        let add = s.splat(add);
        let (mut xs, mut ys) = (x.chunks_exact(S::LANES), y.chunks_exact_mut(S::LANES));
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            let old = s.load(y);
            s.store(s.mul_add(add, s.sub(s.load(x), old), old), y);
        }
        let (x, y) = (xs.remainder(), ys.into_remainder());
        let old = s.load_partial(y);
        s.store_partial(s.mul_add(add, s.sub(s.load_partial(x), old), old), y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::to_f64;

    #[test]
    fn every_length_is_exact_on_whole_numbers() {
        at_every_level(|| {
            for n in 0..40 {
                let (value, mut got) = (whole_numbers([n], 1000, 1), whole_numbers([n], 1000, 2));
                let want: Vec<f64> =
                    to_f64(&value).iter().zip(to_f64(&got)).map(|(x, y)| y + 0.25 * (x - y)).collect();
                average(0.25, value.data(), got.data_mut());
                assert_exact("average", &got, &want);
            }
        });
    }
}
