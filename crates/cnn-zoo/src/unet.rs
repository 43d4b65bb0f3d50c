//! U-Net: a way down, a way up, and at each level a connection across, which gives each pixel of an image a class.
//!
//! O. Ronneberger, P. Fischer, T. Brox: "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015, figure 1.
//!
//! U-Net, for 1 x 572 x 572 and two classes:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | down1 | 64 x 568 x 568 | 37,568 | 12,080,353,536 |
//! | down2 | 128 x 280 x 280 | 221,440 | 17,423,695,872 |
//! | down3 | 256 x 136 x 136 | 885,248 | 16,525,688,832 |
//! | down4 | 512 x 64 x 64 | 3,539,968 | 14,802,223,104 |
//! | bottom | 1024 x 28 x 28 | 14,157,824 | 11,645,485,056 |
//! | up4 | 512 x 56 x 56 | 2,097,664 | 1,644,167,168 |
//! | merge4 | 512 x 52 x 52 | 7,078,912 | 20,138,950,656 |
//! | up3 | 256 x 104 x 104 | 524,544 | 1,417,674,752 |
//! | merge3 | 256 x 100 x 100 | 1,769,984 | 18,171,297,792 |
//! | up2 | 128 x 200 x 200 | 131,200 | 1,310,720,000 |
//! | merge2 | 128 x 196 x 196 | 442,624 | 17,226,399,744 |
//! | up1 | 64 x 392 x 392 | 32,832 | 1,258,815,488 |
//! | merge1 | 64 x 388 x 388 | 110,720 | 16,763,682,816 |
//! | classes | 2 x 388 x 388 | 130 | 19,269,632 |
//! | total | | 31,030,658 | 150,428,424,448 |
//!
//! Convolutions have no padding, so the map of classes is smaller than the image by 92 pixels on each side, and what goes across is
//! cropped. Rows and columns of the image must be 16 `n` + 12. Dropout zeroes half of the outputs at the end of the way down.
//!
//! Its output is a map for each class, and a [`ModelSpec`](cnn_nn::ModelSpec) has one number for each, so this is a graph; the example
//! `13_unet` trains one, with a task of its own. Weights are initialised as section 3 says: normal of variance 2 / `N` for `N` inputs;
//! biases are 0.

use cnn_nn::spec::{
    Conv2dSpec, cat, conv_transpose2d, conv2d, crop2d, dropout, graph, max_pool2d, relu, sequential,
};
use cnn_nn::{GraphSpec, Init, LayerSpec, layers};

/// U-Net: 31,030,658 parameters for images of one channel and two classes.
///
/// ```
/// use cnn_nn::{Graph, Zeros};
/// // A small image; the published size is 572 x 572.
/// let net = Graph::build_from(&cnn_zoo::unet(2), vec![[1, 1, 188, 188].into()], &mut Zeros)?;
/// assert_eq!(net.parameter_count(), 31_030_658);
/// assert_eq!(net.output_shape()?.dims(), [1, 2, 4, 4]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn unet(classes: usize) -> GraphSpec {
    let mut net = graph(["image"]);
    let mut from = "image".to_string();
    for (level, channels) in LEVELS {
        let (down, pool) = (format!("down{level}"), format!("pool{level}"));
        net = net.node(&down, block(channels, level == 4), [&*from]).node(&pool, max_pool2d(2), [&*down]);
        from = pool;
    }
    net = net.node("bottom", block(1024, true), [&*from]);
    from = "bottom".into();
    for ((level, channels), margin) in LEVELS.into_iter().rev().zip(MARGINS) {
        let name = |part: &str| format!("{part}{level}");
        let up = conv_transpose2d(channels, 2).stride(2).init(Init::KaimingNormal).bias_init(Init::Zeros);
        net = net
            .node(&name("up"), up, [&*from])
            .node(&name("crop"), crop2d(margin), [&*name("down")])
            .node(&name("across"), cat(1), [&*name("crop"), &*name("up")])
            .node(&name("merge"), block(channels, false), [&*name("across")]);
        from = name("merge");
    }
    net.node("classes", convolution(classes, 1), [&*from]).outputs(["classes"])
}

/// The levels of the way down, with their channels.
const LEVELS: [(usize, usize); 4] = [(1, 64), (2, 128), (3, 256), (4, 512)];
/// Rows and columns that what goes across loses on each side, from the lowest level up: what the convolutions below it take away.
const MARGINS: [usize; 4] = [4, 16, 40, 88];

/// Two convolutions with their rectifiers.
fn block(channels: usize, drop: bool) -> LayerSpec {
    let mut layers = layers![
        convolution(channels, 3).named("conv1"),
        relu().named("relu1"),
        convolution(channels, 3).named("conv2"),
        relu().named("relu2"),
    ];
    layers.extend(drop.then(|| dropout(0.5).named("drop")));
    sequential(layers)
}

fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).init(Init::KaimingNormal).bias_init(Init::Zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Untouched, assert_table_of};
    use cnn_nn::Graph;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        let net = Graph::build_from(&unet(2), vec![[1, 1, 572, 572].into()], &mut Untouched).unwrap();
        assert_eq!(net.output_shape().unwrap().dims(), [1, 2, 388, 388]);
        assert_table_of(include_str!("unet.rs"), "U-Net, for", &net.summary());
    }
}
