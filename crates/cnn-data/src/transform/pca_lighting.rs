//! Light of another colour.

use super::Transform;
use super::options::setting;
use crate::statistics::Moments;
use crate::{DataError, Examples, Normalize};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Adds to all pixels of an image the same colour, `sum over i of a_i lambda_i p_i` with `a_i` normal of mean 0 and deviation
/// `deviation`: along the directions in which the colours of the data set vary, in proportion to how much they do. For RGB
/// images, after normalisation.
///
/// `lambda_i` are eigenvalues and `p_i` eigenvectors of the covariance matrix of the colours of a pixel, where white is 1.
/// The default ones are those in use for ImageNet since the `Lighting` of Facebook's fb.resnet.torch;
/// [`PcaLighting::of`] computes those of any set.
///
/// ```
/// use cnn_data::transform::{PcaLighting, Transform};
/// use cnn_data::Normalize;
/// let lighting = PcaLighting::default();
/// let mut x = vec![0.0; 3 * 2];
/// let normalize = Normalize::new(&[0.5; 3], &[0.5; 3])?;
/// lighting.finish(&mut x, [3, 1, 2], &normalize, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert!(x[0] != 0.0 && x[0] == x[1]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
/// section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PcaLighting {
    /// The standard deviation of what the eigenvalues are multiplied by, 0.1 in the paper.
    pub deviation: f32,
    /// `lambda_i`, the largest first.
    pub eigenvalues: [f32; 3],
    /// Row `c` has the channel `c` of each `p_i`: an eigenvector is a column.
    pub eigenvectors: [[f32; 3]; 3],
}

impl Default for PcaLighting {
    /// The paper's deviation, and colours of ImageNet.
    fn default() -> Self {
        Self {
            deviation: 0.1,
            eigenvalues: [0.2175, 0.0188, 0.0045],
            eigenvectors: [
                [-0.5675, 0.7192, 0.4009],
                [-0.5808, -0.0045, -0.8140],
                [-0.5836, -0.6948, 0.4203],
            ],
        }
    }
}

impl PcaLighting {
    /// With the eigenvalues and eigenvectors of the colours of `examples`, or of at most `limit` of them, which are spread
    /// evenly over the set. Gray images count as RGB. The same for any number of threads.
    ///
    /// ```
    /// use cnn_data::transform::PcaLighting;
    /// use cnn_data::Dataset;
    /// // One black pixel, and one whose red is at its half.
    /// let set = Dataset::new([2, 3, 1, 1], vec![0, 0, 0, 128, 0, 0], vec![0, 0], vec!["a".into()])?;
    /// let lighting = PcaLighting::of(&set, usize::MAX)?;
    /// assert!((lighting.eigenvalues[0] - 0.25f32.powi(2)).abs() < 1e-3);
    /// assert_eq!(lighting.eigenvectors.map(|row| row[0].abs()), [1.0, 0.0, 0.0]);
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// An image cannot be read, there is none, or one is neither gray nor RGB.
    pub fn of(examples: &dyn Examples, limit: usize) -> Result<Self, DataError> {
        let moments = Moments::of(examples, limit)?;
        let covariance = moments.covariance().ok_or_else(|| {
            setting("the examples of a PCA lighting", "images of 3 channels", moments.channels())
        })?;
        let (values, vectors) = eigen(covariance);
        let narrow = |row: [f64; 3]| row.map(|v| v as f32);
        Ok(Self { deviation: 0.1, eigenvalues: narrow(values), eigenvectors: vectors.map(narrow) })
    }
}

impl Transform for PcaLighting {
    fn validate(&self) -> Result<(), DataError> {
        if !(self.deviation >= 0.0 && self.deviation.is_finite()) {
            return Err(setting("the deviation of a PCA lighting", "a number of at least 0", self.deviation));
        }
        let numbers = self.eigenvectors.iter().flatten().chain(&self.eigenvalues);
        match numbers.into_iter().find(|v| !v.is_finite()) {
            None => Ok(()),
            Some(v) => Err(setting("eigenvalues and eigenvectors of a PCA lighting", "finite numbers", v)),
        }
    }

    fn finish(
        &self,
        x: &mut [f32],
        [c, h, w]: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        if c != 3 {
            return Err(setting("an image for a PCA lighting", "one of 3 channels", c));
        }
        let weights = self.eigenvalues.map(|lambda| random.normal() * self.deviation * lambda);
        for (channel, plane) in x.chunks_exact_mut(h * w).enumerate() {
            let row = self.eigenvectors[channel];
            let light: f32 = row.iter().zip(weights).map(|(p, weight)| p * weight).sum();
            let light = light / normalize.deviation(channel);
            plane.iter_mut().for_each(|x| *x += light);
        }
        Ok(())
    }
}

/// The eigenvalues of a symmetric matrix, the largest first, and its eigenvectors as columns, of length 1.
///
/// Rotations that make one element beside the diagonal 0 each, until all of them are as good as 0.
///
/// Source: C. Jacobi, "Über ein leichtes Verfahren, die in der Theorie der Säcularstörungen vorkommenden Gleichungen numerisch
/// aufzulösen", 1846.
fn eigen(mut matrix: [[f64; 3]; 3]) -> ([f64; 3], [[f64; 3]; 3]) {
    let mut vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // Convergence is quadratic: a handful of sweeps is enough, and more change nothing.
    for _ in 0..16 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if matrix[p][q] == 0.0 {
                continue;
            }
            let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
            let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let cos = 1.0 / tan.hypot(1.0);
            let sin = tan * cos;
            let turn = |row: &mut [f64; 3]| {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q])
            };
            matrix.iter_mut().for_each(turn);
            vectors.iter_mut().for_each(turn);
            let (above, below) = matrix.split_at_mut(q);
            for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
            }
        }
    }
    let mut order = [0, 1, 2];
    order.sort_by(|&a, &b| matrix[b][b].total_cmp(&matrix[a][a]));
    (order.map(|i| matrix[i][i]), vectors.map(|row| order.map(|i| row[i])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;
    use proptest::prelude::*;

    proptest! {
        /// `A v = lambda v`, lengths of 1, and right angles, for any symmetric matrix.
        #[test]
        fn eigenvectors_are_what_they_are_called(
            entries in prop::array::uniform6(prop_oneof![-9.0..9.0f64, Just(0.0), Just(1.0)]),
        ) {
            let [a, b, c, d, e, f] = entries;
            let matrix = [[a, b, c], [b, d, e], [c, e, f]];
            let (values, vectors) = eigen(matrix);
            prop_assert!(values[0] >= values[1] && values[1] >= values[2]);
            let column = |i: usize| vectors.map(|row| row[i]);
            let dot = |a: [f64; 3], b: [f64; 3]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            for (i, value) in values.into_iter().enumerate() {
                let v = column(i);
                for (row, v_i) in matrix.iter().zip(v) {
                    prop_assert!((dot(*row, v) - value * v_i).abs() < 1e-12 * 100.0);
                }
                for j in 0..3 {
                    let want = if i == j { 1.0 } else { 0.0 };
                    prop_assert!((dot(v, column(j)) - want).abs() < 1e-12);
                }
            }
        }
    }

    /// Colours along one line have one eigenvalue, their variance.
    #[test]
    fn the_first_direction_is_that_of_the_colours() {
        let pixels = [[10, 20, 30], [30, 60, 90], [20, 40, 60], [80, 160, 240]];
        let data: Vec<u8> = pixels.iter().flatten().copied().collect();
        let set = Dataset::new([4, 3, 1, 1], data, vec![0; 4], vec!["a".into()]).unwrap();
        let lighting = PcaLighting::of(&set, usize::MAX).unwrap();
        let unit = 14f32.sqrt();
        let [first, ..] = [0, 1, 2].map(|i| lighting.eigenvectors.map(|row| row[i]));
        let sign = first[0].signum();
        for (got, want) in first.into_iter().zip([1.0, 2.0, 3.0]) {
            assert!((got * sign - want / unit).abs() < 1e-5, "{first:?}");
        }
        // 14 times the variance of 10, 30, 20 and 80, which is 725.
        let want = 14.0 * 725.0 / (255.0 * 255.0);
        assert!((lighting.eigenvalues[0] - want).abs() < 1e-5, "{:?} is not {want}", lighting.eigenvalues);
        assert!(lighting.eigenvalues[1].abs() < 1e-6 && lighting.eigenvalues[2].abs() < 1e-6);
        let two = Dataset::new([1, 2, 1, 1], vec![0, 0], vec![0], vec!["a".into()]).unwrap();
        let error = PcaLighting::of(&two, 1).unwrap_err().to_string();
        assert_eq!(error, "the examples of a PCA lighting must be images of 3 channels, got 2");
    }

    /// The covariance of what is added is `P diag((deviation lambda)^2) P^T`, in units of each channel's deviation.
    #[test]
    fn light_is_normal_along_the_eigenvectors() {
        let lighting = PcaLighting { deviation: 0.5, ..PcaLighting::default() };
        let deviations = [0.2f32, 0.5, 0.25];
        let normalize = Normalize::new(&[0.5; 3], &deviations).unwrap();
        let mut random = Random::new(0, &[]);
        let mut covariance = [[0.0f64; 3]; 3];
        let count = 20_000;
        for _ in 0..count {
            let mut x = vec![1.0f32; 6];
            lighting.finish(&mut x, [3, 2, 1], &normalize, &mut random).unwrap();
            assert!(x[0] == x[1] && x[2] == x[3] && x[4] == x[5], "the same colour everywhere");
            let added = [0, 1, 2].map(|c| f64::from((x[2 * c] - 1.0) * deviations[c]));
            (0..9).for_each(|i| covariance[i / 3][i % 3] += added[i / 3] * added[i % 3] / f64::from(count));
        }
        for (i, j) in (0..9).map(|i| (i / 3, i % 3)) {
            let term = |k: usize| {
                let weight = f64::from(0.5 * lighting.eigenvalues[k]).powi(2);
                weight * f64::from(lighting.eigenvectors[i][k] * lighting.eigenvectors[j][k])
            };
            let want: f64 = (0..3).map(term).sum();
            assert!((covariance[i][j] - want).abs() < 2e-4, "{i} {j}: {} is not {want}", covariance[i][j]);
        }
    }
}
