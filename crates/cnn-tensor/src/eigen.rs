/// The eigenvalues of a symmetric matrix of `n` rows, the largest first, and its eigenvectors of length 1 in the same order, one
/// after the other. It takes about `10 n^3` steps, so it is meant for a few dozen rows.
///
/// The method is Jacobi's: each rotation makes one number off the diagonal 0, until all of them are negligible. A matrix with
/// numbers that are not finite gives eigenvalues that are not finite.
///
/// ```
/// let (values, vectors) = cnn_tensor::symmetric_eigen(&[2.0, 1.0, 1.0, 2.0], 2);
/// assert!((values[0] - 3.0).abs() < 1e-12 && (values[1] - 1.0).abs() < 1e-12);
/// assert!((vectors[0] - vectors[1]).abs() < 1e-12, "the first one lies on the diagonal");
/// ```
///
/// # Panics
/// `matrix` does not have `n * n` numbers.
///
/// Source: C. Jacobi, "Über ein leichtes Verfahren, die in der Theorie der Säcularstörungen vorkommenden Gleichungen numerisch
/// aufzulösen", 1846.
pub fn symmetric_eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    assert_eq!(matrix.len(), n * n, "a matrix of {n} rows and columns");
    let mut a = matrix.to_vec();
    let mut vectors: Vec<f64> = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    let size: f64 = a.iter().map(|x| x * x).sum();
    // Convergence is quadratic, so a dozen sweeps suffice. The limit stops the loop if there are NaN.
    for _ in 0..50 {
        let beside = a.iter().enumerate().filter(|(i, _)| i / n != i % n);
        if beside.map(|(_, x)| x * x).sum::<f64>() <= 1e-30 * size {
            break;
        }
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            if a[p * n + q] == 0.0 {
                continue;
            }
            let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
            let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let cos = 1.0 / tan.hypot(1.0);
            let sin = tan * cos;
            let turn = |numbers: &mut [f64], i: usize, j: usize| {
                let (x, y) = (numbers[i], numbers[j]);
                (numbers[i], numbers[j]) = (cos * x - sin * y, sin * x + cos * y);
            };
            (0..n).for_each(|k| turn(&mut a, k * n + p, k * n + q));
            (0..n).for_each(|k| turn(&mut a, p * n + k, q * n + k));
            (0..n).for_each(|k| turn(&mut vectors, p * n + k, q * n + k));
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let vectors = order.iter().flat_map(|&i| vectors[i * n..(i + 1) * n].iter().copied()).collect();
    (order.iter().map(|&i| a[i * n + i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// For any symmetric matrix, `A v = lambda v`, the lengths are 1, and the angles are right.
        #[test]
        fn eigenvectors_are_turned_to_multiples_of_themselves(
            n in 1usize..9,
            entries in prop::collection::vec(prop_oneof![-9.0..9.0f64, Just(0.0), Just(1.0)], 64),
        ) {
            let entry = |i: usize, j: usize| entries[8 * i.min(j) + i.max(j)];
            let matrix: Vec<f64> = (0..n * n).map(|i| entry(i / n, i % n)).collect();
            let (values, vectors) = symmetric_eigen(&matrix, n);
            prop_assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
            let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            for (i, (value, v)) in values.iter().zip(vectors.chunks(n)).enumerate() {
                for (row, v_i) in matrix.chunks(n).zip(v) {
                    prop_assert!((dot(row, v) - value * v_i).abs() < 1e-11, "{value} of {values:?}");
                }
                for (j, w) in vectors.chunks(n).enumerate() {
                    let want = if i == j { 1.0 } else { 0.0 };
                    prop_assert!((dot(v, w) - want).abs() < 1e-11);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_comes_back() {
        assert_eq!(symmetric_eigen(&[f64::NAN; 4], 2).0.len(), 2);
        assert_eq!(symmetric_eigen(&[], 0), (Vec::new(), Vec::new()));
    }
}
