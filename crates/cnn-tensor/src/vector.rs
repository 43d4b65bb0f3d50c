//! Operations on whole slices.

use crate::simd::Level;

crate::kernel! {
    fn axpy_kernel<S>(s, a: f32, x: &[f32], y: &mut [f32]) {
        let a = s.splat(a);
        let (mut xs, mut ys) = (x.chunks_exact(S::LANES), y.chunks_exact_mut(S::LANES));
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            s.store(s.mul_add(a, s.load(x), s.load(y)), y);
        }
        let (x, y) = (xs.remainder(), ys.into_remainder());
        s.store_partial(s.mul_add(a, s.load_partial(x), s.load_partial(y)), y);
    }
}

/// `y += a * x`.
///
/// ```
/// let mut y = [1.0, 2.0];
/// cnn_tensor::vector::axpy(2.0, &[10.0, 20.0], &mut y);
/// assert_eq!(y, [21.0, 42.0]);
/// ```
///
/// # Panics
/// The lengths differ.
pub fn axpy(a: f32, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "axpy: x and y have the same length");
    axpy_kernel(Level::current(), a, x, y);
}

crate::kernel! {
    fn sum_kernel<S>(s, x: &[f32]) -> f32 {
        // Four independent sums: an addition need not wait for the one before it.
        let mut sums = [s.splat(0.0); 4];
        let mut groups = x.chunks_exact(4 * S::LANES);
        for group in groups.by_ref() {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = s.add(*sum, s.load(&group[i * S::LANES..]));
            }
        }
        for rest in groups.remainder().chunks(S::LANES) {
            sums[0] = s.add(sums[0], s.load_partial(rest));
        }
        s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
    }
}

/// The sum of all elements, in an order that depends only on the length and the SIMD level.
///
/// ```
/// assert_eq!(cnn_tensor::vector::sum(&[1.0; 100]), 100.0);
/// ```
pub fn sum(x: &[f32]) -> f32 {
    sum_kernel(Level::current(), x)
}

crate::kernel! {
    fn scale_kernel<S>(s, scale: f32, x: &mut [f32]) {
        let scale = s.splat(scale);
        let mut xs = x.chunks_exact_mut(S::LANES);
        for x in xs.by_ref() {
            s.store(s.mul(scale, s.load(x)), x);
        }
        let x = xs.into_remainder();
        s.store_partial(s.mul(scale, s.load_partial(x)), x);
    }
}

/// `x *= scale`.
///
/// ```
/// let mut x = [1.0, 2.0];
/// cnn_tensor::vector::scale(0.5, &mut x);
/// assert_eq!(x, [0.5, 1.0]);
/// ```
pub fn scale(scale: f32, x: &mut [f32]) {
    scale_kernel(Level::current(), scale, x);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::with_level;

    #[test]
    fn every_level_and_length_is_exact_on_whole_numbers() {
        for &level in Level::all() {
            with_level(level, || {
                for n in 0..150 {
                    let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
                    let mut y: Vec<f32> = (0..n).map(|i| 1000.0 - i as f32).collect();
                    axpy(2.0, &x, &mut y);
                    assert!(y.iter().enumerate().all(|(i, &y)| y == 1000.0 + i as f32), "{level:?} {n}");
                    assert_eq!(sum(&x), (n * n.max(1) - n) as f32 / 2.0, "{level:?} {n}");
                    scale(0.5, &mut y);
                    assert!(y.iter().enumerate().all(|(i, &y)| y == 500.0 + i as f32 / 2.0));
                }
            });
        }
    }
}
