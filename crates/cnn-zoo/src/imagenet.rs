//! The input of networks for ImageNet.

use cnn_nn::Input;

/// Images of 3 x 224 x 224 in red, green and blue, normalised by the means and standard deviations of ImageNet's training
/// images, as torchvision's published weights expect them.
///
/// ```
/// assert_eq!(cnn_zoo::imagenet_input().shape, [3, 224, 224]);
/// ```
///
/// Source: O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015; the numbers are torchvision's.
pub fn imagenet_input() -> Input {
    Input::new([3, 224, 224], &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
}
