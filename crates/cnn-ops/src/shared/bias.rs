//! Shared by operations with one bias for each output channel.

use cnn_tensor::{Tensor, vector};

/// Every channel's planes of `y` filled with `bias[channel]`, or with zeros.
pub(crate) fn fill(bias: Option<&[f32]>, plane: usize, y: &mut [f32]) {
    match bias {
        None => y.fill(0.0),
        Some(_) if y.is_empty() => {}
        Some(bias) => {
            for (plane, &value) in y.chunks_exact_mut(plane).zip(bias.iter().cycle()) {
                plane.fill(value);
            }
        }
    }
}

/// `dbias[c] += sum of dy[n, c, .., ..]`: each plane's sum, image after image. `dbias` has an element for every channel
/// of `dy`.
pub(crate) fn add_gradient(dy: &Tensor, dbias: &mut Tensor) {
    if dy.data().is_empty() {
        return;
    }
    let plane: usize = dy.shape().dims()[2..].iter().product();
    let dbias = dbias.data_mut();
    for image in dy.data().chunks_exact(plane * dbias.len()) {
        for (sum, plane) in dbias.iter_mut().zip(image.chunks_exact(plane)) {
            *sum += vector::sum(plane);
        }
    }
}
