//! Sums over gradients and weights before a step.

use cnn_tensor::parallel;

/// Sums over all gradients and weights before a step. Those of several parameters are added.
///
/// ```
/// use cnn_ops::update::Sums;
/// let mut sums = Sums::of(&[1.0, -2.0], &[3.0, 4.0], [0.0, 0.0]);
/// sums += Sums::of(&[1.0], &[12.0], [0.0, 0.0]);
/// assert_eq!(sums.squares.sqrt(), 13.0);
/// assert_eq!(Sums::of(&[1.0, -2.0], &[3.0, 4.0], [0.5, 0.0]).penalty, 1.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// The sum of the squares of all gradients, with the penalty's included.
    pub squares: f64,
    /// The penalty.
    pub penalty: f64,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.squares += other.squares;
        self.penalty += other.penalty;
    }
}

/// The number of elements that a thread takes at a time.
const PIECE: usize = 1 << 16;
/// The number of independent running sums, so that an addition need not wait for the one before it.
const WAYS: usize = 8;

impl Sums {
    /// The sums over one parameter, in f64 and in an order that depends on its length alone. The penalty is
    /// `l1 * sum |w| + l2 / 2 * sum w^2`, with the gradient `l1 * sign(w) + l2 * w` and `sign(0) = 0`.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn of(value: &[f32], gradient: &[f32], [l1, l2]: [f64; 2]) -> Self {
        assert_eq!(value.len(), gradient.len(), "sums: value and gradient have the same length");
        let pieces = parallel::map(gradient.len().div_ceil(PIECE), |i| {
            let piece = i * PIECE..gradient.len().min((i + 1) * PIECE);
            if [l1, l2] == [0.0; 2] {
                Self { squares: squares(&gradient[piece]), penalty: 0.0 }
            } else {
                Self::penalized(&value[piece.clone()], &gradient[piece], [l1, l2])
            }
        });
        let mut sums = Self::default();
        pieces.into_iter().for_each(|piece| sums += piece);
        sums
    }

    fn penalized(values: &[f32], gradients: &[f32], [l1, l2]: [f64; 2]) -> Self {
        let (mut squares, mut magnitudes, mut value_squares) = ([0.0; WAYS], [0.0; WAYS], [0.0; WAYS]);
        for (values, gradients) in values.chunks(WAYS).zip(gradients.chunks(WAYS)) {
            for (i, (&value, &gradient)) in values.iter().zip(gradients).enumerate() {
                let value = f64::from(value);
                let sign = if value == 0.0 { 0.0 } else { value.signum() };
                squares[i] += (f64::from(gradient) + l1 * sign + l2 * value).powi(2);
                magnitudes[i] += value.abs();
                value_squares[i] += value * value;
            }
        }
        let [squares, magnitudes, value_squares] =
            [squares, magnitudes, value_squares].map(|sums| sums.iter().sum::<f64>());
        Self { squares, penalty: l1 * magnitudes + l2 / 2.0 * value_squares }
    }
}

fn squares(x: &[f32]) -> f64 {
    let mut sums = [0.0; WAYS];
    let (groups, rest) = x.as_chunks::<WAYS>();
    for group in groups {
        for (sum, &x) in sums.iter_mut().zip(group) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += f64::from(x) * f64::from(x);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::testing::{distinct, to_f64};

    #[test]
    fn sums_are_those_of_the_definition_and_the_same_for_any_number_of_threads() {
        for n in [0, 1, 7, 8, 9, 1000, 2 * PIECE + 13] {
            let (mut value, gradient) = (distinct([n], 1), distinct([n], 2));
            value.data_mut().iter_mut().step_by(3).for_each(|v| *v = 0.0);
            for [l1, l2] in [[0.0, 0.0], [0.5, 0.25], [0.0, 2.0]] {
                let sign = |w: f64| f64::from(w > 0.0) - f64::from(w < 0.0);
                let (mut squares, mut total) = (0.0, 0.0);
                for (w, g) in to_f64(&value).into_iter().zip(to_f64(&gradient)) {
                    squares += (g + l1 * sign(w) + l2 * w).powi(2);
                    total += l1 * w.abs() + l2 / 2.0 * w * w;
                }
                let [got, again] = [1, 3].map(|threads| {
                    let pool = parallel::Threads::new(threads).unwrap();
                    pool.run(|| Sums::of(value.data(), gradient.data(), [l1, l2]))
                });
                assert_eq!(got, again);
                assert!((got.squares - squares).abs() <= 1e-12 * squares, "{n}: {got:?} {squares}");
                assert!((got.penalty - total).abs() <= 1e-12 * total, "{n}: {got:?} {total}");
            }
        }
    }
}
