//! Parts of images at other sizes. A program of its own: a test within the crate would compile the kernels again.
#![forbid(unsafe_code)]

use cnn_resize::{Filter, Resizer, Source};

#[test]
fn a_part_is_resized_and_the_rest_has_no_influence() {
    let pixels = [9, 9, 9, 9, 9, 10, 30, 9, 9, 50, 70, 9];
    let source = Source { pixels: &pixels, size: [3, 4], part: ([1, 1], [2, 2]) };
    let mut target = [0];
    Resizer::default().gray(source, (&mut target, [1, 1]), Filter::Box).unwrap();
    assert_eq!(target, [40]);
    let pixels = pixels.map(|v| [v, 2 * v, 0, 255]);
    let source = Source { pixels: pixels.as_flattened(), ..source };
    let mut target = [0; 4];
    Resizer::default().four_channels(source, (&mut target, [1, 1]), Filter::Box).unwrap();
    assert_eq!(target, [40, 80, 0, 255]);
}

#[test]
fn sizes_that_do_not_fit_are_faults() {
    let source = Source { pixels: &[1, 2, 3], size: [2, 2], part: ([0, 0], [2, 2]) };
    assert!(Resizer::default().gray(source, (&mut [0], [1, 1]), Filter::Box).is_err());
    let source = Source { pixels: &[1, 2, 3, 4], ..source };
    assert!(Resizer::default().gray(source, (&mut [0], [1, 2]), Filter::Box).is_err());
    let source = Source { part: ([1, 1], [2, 2]), ..source };
    assert!(Resizer::default().gray(source, (&mut [0], [1, 1]), Filter::Box).is_err());
    let mut resizer = Resizer::default();
    let wide = vec![7; 4096];
    let source = Source { pixels: &wide, size: [64, 64], part: ([0, 0], [64, 64]) };
    resizer.gray(source, (&mut [0; 4], [2, 2]), Filter::Bilinear).unwrap();
    resizer.release();
    assert_eq!(resizer.kept(), 0);
}
