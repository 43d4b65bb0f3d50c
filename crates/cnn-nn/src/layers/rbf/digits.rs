//! Pictures of the digits for LeNet-5's output units: 7 pixels wide and 12 high, ink 1 and paper -1.
//!
//! Drawn after figure 3 of Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document
//! Recognition" (1998): the same size, values and style (strokes two pixels wide, the digits standing above a line of
//! paper). Single pixels may differ from the paper's, which gives no table. The purpose of the codes only requires that
//! similar digits look similar and no two look the same.

use cnn_tensor::Tensor;

/// `[10, 84]`: each picture row by row.
pub(super) fn codes() -> Tensor {
    let pixels =
        PICTURES.iter().flat_map(|picture| picture.bytes()).filter(|pixel| !pixel.is_ascii_whitespace());
    let codes = pixels.map(|pixel| if pixel == b'#' { 1.0 } else { -1.0 }).collect();
    Tensor::from_vec([10, 84], codes).expect("ten pictures of 7 by 12 pixels")
}

const PICTURES: [&str; 10] = [
    "
    ..###..
    .##.##.
    ##...##
    ##...##
    ##...##
    ##...##
    ##...##
    ##...##
    .##.##.
    ..###..
    .......
    .......",
    "
    ...##..
    ..###..
    .####..
    ...##..
    ...##..
    ...##..
    ...##..
    ...##..
    ...##..
    .######
    .......
    .......",
    "
    .#####.
    ##...##
    ##...##
    .....##
    ....##.
    ...##..
    ..##...
    .##....
    ##.....
    #######
    .......
    .......",
    "
    #######
    .....##
    ....##.
    ...##..
    ..####.
    .....##
    .....##
    .....##
    ##...##
    .#####.
    .......
    .......",
    "
    .....##
    ....###
    ...####
    ..##.##
    .##..##
    ##...##
    #######
    .....##
    .....##
    .....##
    .......
    .......",
    "
    #######
    ##.....
    ##.....
    ######.
    ##...##
    .....##
    .....##
    .....##
    ##...##
    .#####.
    .......
    .......",
    "
    ..####.
    .##....
    ##.....
    ##.....
    ##.###.
    ###..##
    ##...##
    ##...##
    .##..##
    ..####.
    .......
    .......",
    "
    #######
    ##...##
    .....##
    ....##.
    ....##.
    ...##..
    ...##..
    ..##...
    ..##...
    ..##...
    .......
    .......",
    "
    .#####.
    ##...##
    ##...##
    ##...##
    .#####.
    ##...##
    ##...##
    ##...##
    ##...##
    .#####.
    .......
    .......",
    "
    .####..
    ##..##.
    ##...##
    ##...##
    ##..###
    .###.##
    .....##
    .....##
    ....##.
    .####..
    .......
    .......",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_of_one_size_in_two_colours() {
        for picture in PICTURES {
            let rows: Vec<&str> = picture.split_whitespace().collect();
            assert!(rows.len() == 12 && rows.iter().all(|row| row.len() == 7), "{picture}");
            assert!(
                rows.iter().all(|row| row.chars().all(|pixel| pixel == '#' || pixel == '.')),
                "{picture}"
            );
        }
        assert!(codes().data().iter().all(|&code| code == 1.0 || code == -1.0));
    }
}
