//! The paper in the picture of a digit.

use super::Gray;

/// The brightness of the paper, and how far its grain goes from it.
pub(super) fn paper(picture: &Gray) -> (Plane, f32) {
    let (width, height) = picture.dimensions();
    let margin = (width.min(height) / 28).max(1);
    let from_edge = |x: u32, y: u32| x.min(width - 1 - x).min(y).min(height - 1 - y);
    let border: Vec<(u32, u32, f32)> = picture
        .enumerate_pixels()
        .filter(|&(x, y, _)| from_edge(x, y) < margin)
        .map(|(x, y, luma)| (x, y, luma.0[0]))
        .collect();
    let (darkest, lightest) =
        picture.iter().fold((1.0f32, 0.0f32), |(min, max), &v| (min.min(v), max.max(v)));
    // Strokes that touch the border are further from the median than the paper around it. At least a step of a byte, so
    // that some pixel is always near: the one nearest to a plane of least squares is within the error of any other plane.
    let tolerance = ((lightest - darkest) / 4.0).max(1.0 / 255.0);
    let mut plane =
        Plane { level: median(border.iter().map(|&(_, _, luma)| luma).collect()), slope: [0.0; 2] };
    let mut residuals = Vec::new();
    for _ in 0..3 {
        let residual = |&(x, y, luma): &(u32, u32, f32)| luma - plane.at(picture, x, y);
        let near: Vec<_> = border.iter().copied().filter(|at| residual(at).abs() <= tolerance).collect();
        plane = Plane::through(picture, &near);
        residuals = near.iter().map(|&(x, y, luma)| (luma - plane.at(picture, x, y)).abs()).collect();
    }
    // Three standard deviations, of which the median of the residuals is 0.6745.
    (plane, 3.0 / 0.6745 * median(residuals))
}

/// `level + slope[0] u + slope[1] v`, where `u` and `v` go from -1 to 1 across the picture.
pub(super) struct Plane {
    level: f32,
    slope: [f32; 2],
}

impl Plane {
    /// Its value at pixel `(x, y)` of the picture.
    pub(super) fn at(&self, picture: &Gray, x: u32, y: u32) -> f32 {
        let [u, v] = position(picture, x, y);
        self.level + self.slope[0] * u + self.slope[1] * v
    }

    /// The plane of least squares through the samples `(x, y, luma)`.
    fn through(picture: &Gray, samples: &[(u32, u32, f32)]) -> Self {
        // The normal equations, augmented by their right-hand side. A trace of a ridge keeps a picture one pixel wide,
        // where a slope is undetermined, from dividing by 0.
        let mut a = [[1e-6, 0.0, 0.0, 0.0], [0.0, 1e-6, 0.0, 0.0], [0.0, 0.0, 1e-6, 0.0f64]];
        for &(x, y, luma) in samples {
            let [u, v] = position(picture, x, y).map(f64::from);
            let terms = [1.0, u, v, luma.into()];
            for (row, of_row) in a.iter_mut().zip(terms) {
                row.iter_mut().zip(terms).for_each(|(a, of_column)| *a += of_row * of_column);
            }
        }
        // Gauss and Jordan; the matrix is positive definite and needs no pivoting.
        for i in 0..3 {
            let pivot = a[i].map(|v| v / a[i][i]);
            a = a.map(|row| std::array::from_fn(|column| row[column] - row[i] * pivot[column]));
            a[i] = pivot;
        }
        Self { level: a[0][3] as f32, slope: [a[1][3] as f32, a[2][3] as f32] }
    }
}

fn position(picture: &Gray, x: u32, y: u32) -> [f32; 2] {
    let across = |at: u32, extent: u32| (2 * at + 1) as f32 / extent as f32 - 1.0;
    [across(x, picture.width()), across(y, picture.height())]
}

fn median(mut values: Vec<f32>) -> f32 {
    *element(&mut values, 0.5)
}

/// The element of `values`, which are not empty, that `part` of them come before in order.
pub(super) fn element(values: &mut [f32], part: f32) -> &mut f32 {
    let at = (part * (values.len() - 1) as f32) as usize;
    values.select_nth_unstable_by(at, f32::total_cmp).1
}
