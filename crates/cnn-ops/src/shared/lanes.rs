//! Blocks of sixteen images side by side in the vector lanes: the way in and out, whole blocks or not.

use cnn_tensor::Buffer;
use cnn_tensor::simd::{IMAGES, Level};

/// Calls `f` with 16 images of `image` numbers each: `images`, and as many of zeros as are missing.
pub(crate) fn whole_block<R>(images: &[f32], image: usize, f: impl FnOnce(&[f32]) -> R) -> R {
    if images.len() == IMAGES * image {
        return f(images);
    }
    let mut whole = Buffer::zeroed(IMAGES * image);
    whole.as_mut_slice()[..images.len()].copy_from_slice(images);
    f(whole.as_slice())
}

/// Brings images of `image` numbers each into the lanes: `lanes[number][image]`.
pub(crate) fn enter(level: Level, images: &[f32], image: usize, lanes: &mut [f32]) {
    whole_block(images, image, |images| images_to_lanes(level, images, image, lanes));
}

/// Brings at most 16 images of `image` numbers each back from the lanes.
pub(crate) fn leave(level: Level, lanes: &[f32], image: usize, images: &mut [f32]) {
    if images.len() == IMAGES * image {
        return lanes_to_images(level, lanes, image, images);
    }
    let mut whole = Buffer::scratch(IMAGES * image);
    lanes_to_images(level, lanes, image, whole.as_mut_slice());
    images.copy_from_slice(&whole.as_slice()[..images.len()]);
}

cnn_tensor::kernel! {
    fn images_to_lanes<S>(s, images: &[f32], image: usize, lanes: &mut [f32]) {
        s.images_to_lanes(images, image, image, lanes);
    }
}

cnn_tensor::kernel! {
    fn lanes_to_images<S>(s, lanes: &[f32], image: usize, images: &mut [f32]) {
        s.lanes_to_images(lanes, image, images, image);
    }
}
