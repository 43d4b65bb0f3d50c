//! Channels to pixels, and pixels to channels.
//!
//! `PixelShuffle` by `r` makes one channel of `r * r`: `y[n, c, h*r + i, w*r + j] = x[n, (c*r + i)*r + j, h, w]`, the
//! sub-pixel convolution's last step. `PixelUnshuffle` is the inverse, and each is the other's backward pass.
//!
//! **Conventions.** Those of PyTorch's `nn.PixelShuffle` and `nn.PixelUnshuffle`. With
//! [`Order::BlocksFirst`](crate::pixel_shuffle::Order::BlocksFirst) the channels of the small image are in the other order,
//! `x[n, (i*r + j)*C + c, h, w]` for `C` channels of the large one: ONNX's `DepthToSpace` in its mode DCR, and its
//! `SpaceToDepth`. Numbers are moved, NaN and infinity among them.
//!
//! **Algorithm.** A permutation of axes, of which height and width are two each; see [`Permute`](crate::Permute).
//!
//! Source: W. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
//! Network", CVPR 2016, equation 4.

use crate::OpError;
use crate::permute::permute;
use crate::shared::check;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

/// The order of the channels that become pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Those that make one channel are neighbours: PyTorch's order, ONNX's `CRD`.
    #[default]
    ChannelsFirst,
    /// Those of one place in the block are neighbours: ONNX's `DCR`.
    BlocksFirst,
}

/// Defines one of the two operations.
macro_rules! operation {
    ($(#[$doc:meta])* $operation:ident, $name:literal, $to:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $operation {
            /// Rows and columns of the block of pixels that are one pixel of the small image; at least 1.
            pub factor: usize,
            /// The order of the small image's channels.
            #[serde(default)]
            pub order: Order,
        }

        impl $operation {
            /// Blocks of `factor` rows and columns, in PyTorch's order.
            #[must_use]
            pub fn new(factor: usize) -> Self {
                Self { factor, order: Order::default() }
            }

            /// Sets the order of the small image's channels.
            #[must_use]
            pub fn order(self, order: Order) -> Self {
                Self { order, ..self }
            }

            /// The shape of `y`.
            ///
            /// # Errors
            /// `factor` is 0; `x` is not `[n, c, h, w]`, or not a multiple of whole blocks.
            pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                Ok(self.blocks(x)?.$to())
            }

            /// `y` from `x`.
            ///
            /// # Errors
            /// Those of `output_shape`.
            pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
                self.blocks(x.shape())?.moved(x.clone(), self.order)
            }

            /// `dx` of shape `x` from `dy`.
            ///
            /// # Errors
            /// Those of `output_shape`, or `dy` does not have the shape of `y`.
            pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
                let blocks = self.blocks(x)?;
                check::shape($name, "dy", blocks.$to(), dy)?;
                blocks.reversed().moved(dy.clone(), self.order)
            }
        }
    };
}

operation! {
    /// Channels to pixels: `[n, c r r, h, w]` to `[n, c, h r, w r]`.
    ///
    /// ```
    /// use cnn_ops::PixelShuffle;
    /// use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([1, 4, 1, 2], vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0])?;
    /// let y = PixelShuffle::new(2).forward(&x)?;
    /// assert_eq!(y.shape().dims(), [1, 1, 2, 4]);
    /// assert_eq!(y.data(), [0.0, 10.0, 1.0, 11.0, 20.0, 30.0, 21.0, 31.0]);
    /// assert_eq!(PixelShuffle::new(2).backward(x.shape(), &y)?, x);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    PixelShuffle, "pixel_shuffle", large
}

operation! {
    /// Pixels to channels: `[n, c, h r, w r]` to `[n, c r r, h, w]`.
    PixelUnshuffle, "pixel_unshuffle", small
}

impl PixelShuffle {
    fn blocks(self, x: Shape) -> Result<Blocks, OpError> {
        const OP: &str = "pixel_shuffle";
        let ([n, channels, h, w], r) = (check::nchw(OP, "x", x)?, self.factor);
        check::rule(OP, "factor", "at least 1", r >= 1, r)?;
        let fits = r.checked_mul(r).filter(|block| channels.is_multiple_of(*block));
        let rule = "a multiple of the factor's square";
        check::rule(
            OP,
            "the channels",
            rule,
            fits.is_some(),
            format_args!("{channels} for a factor of {r}"),
        )?;
        let c = channels / fits.unwrap_or(1);
        check::output(OP, [n, c, h.saturating_mul(r), w.saturating_mul(r)])?;
        Ok(Blocks { op: OP, n, c, h, w, r, enlarges: true })
    }
}

impl PixelUnshuffle {
    fn blocks(self, x: Shape) -> Result<Blocks, OpError> {
        const OP: &str = "pixel_unshuffle";
        let ([n, c, h, w], r) = (check::nchw(OP, "x", x)?, self.factor);
        check::rule(OP, "factor", "at least 1", r >= 1, r)?;
        let fits = h.is_multiple_of(r) && w.is_multiple_of(r);
        let got = format_args!("{h} x {w} for a factor of {r}");
        check::rule(OP, "the extents", "multiples of the factor", fits, got)?;
        check::output(OP, [n, c.saturating_mul(r).saturating_mul(r), h / r, w / r])?;
        Ok(Blocks { op: OP, n, c, h: h / r, w: w / r, r, enlarges: false })
    }
}

/// The extents: channels of the large image, rows and columns of the small one, and the factor.
#[derive(Clone, Copy)]
struct Blocks {
    op: &'static str,
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    r: usize,
    /// Whether the result is the large image.
    enlarges: bool,
}

impl Blocks {
    fn small(self) -> Shape {
        [self.n, self.c * self.r * self.r, self.h, self.w].into()
    }

    fn large(self) -> Shape {
        [self.n, self.c, self.h * self.r, self.w * self.r].into()
    }

    fn reversed(self) -> Self {
        Self { enlarges: !self.enlarges, ..self }
    }

    /// The one image from the other.
    fn moved(self, x: Tensor, order: Order) -> Result<Tensor, OpError> {
        let Self { op, n, c, h, w, r, enlarges } = self;
        let fault = |fault| OpError::Tensor { op, fault };
        let small = match order {
            Order::ChannelsFirst => [n, c, r, r, h, w],
            Order::BlocksFirst => [n, r, r, c, h, w],
        };
        let large = [n, c, h, r, w, r];
        let (from, to, dims) = match (enlarges, order) {
            (true, Order::ChannelsFirst) => (small, large, [0, 1, 4, 2, 5, 3]),
            (true, Order::BlocksFirst) => (small, large, [0, 3, 4, 1, 5, 2]),
            (false, Order::ChannelsFirst) => (large, small, [0, 1, 3, 5, 2, 4]),
            (false, Order::BlocksFirst) => (large, small, [0, 3, 5, 1, 2, 4]),
        };
        let y = permute(&x.reshape(from).map_err(fault)?, &dims, to.into())?;
        y.reshape(if enlarges { self.large() } else { self.small() }).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::distinct;
    use proptest::prelude::*;

    /// The definition: the large image from the small one.
    fn oracle(r: usize, order: Order, x: &Tensor) -> Tensor {
        let [n, channels, h, w] = x.shape().nchw().unwrap();
        let c = channels / (r * r);
        let mut y = Tensor::zeros([n, c, h * r, w * r]);
        for at in 0..y.data().len() {
            let (row, col) = (at / (w * r) % (h * r), at % (w * r));
            let (image, channel) = (at / (h * r * w * r) / c, at / (h * r * w * r) % c);
            let from = match order {
                Order::ChannelsFirst => (channel * r + row % r) * r + col % r,
                Order::BlocksFirst => (row % r * r + col % r) * c + channel,
            };
            y.data_mut()[at] = x.data()[((image * channels + from) * h + row / r) * w + col / r];
        }
        y
    }

    fn any_order() -> impl Strategy<Value = Order> {
        prop::sample::select(vec![Order::ChannelsFirst, Order::BlocksFirst])
    }

    proptest! {
        #[test]
        fn matches_the_definition(r in 1..4usize, order in any_order(), n in 0..3usize, c in 0..4usize,
                                  h in 0..5usize, w in 0..5usize, seed: u64) {
            let x = distinct([n, c * r * r, h, w], seed);
            let want = oracle(r, order, &x);
            let (shuffle, unshuffle) = (PixelShuffle::new(r).order(order), PixelUnshuffle::new(r).order(order));
            everywhere(|| {
                assert_eq!(shuffle.forward(&x).unwrap(), want);
                assert_eq!(shuffle.output_shape(x.shape()).unwrap(), want.shape());
                assert_eq!(shuffle.backward(x.shape(), &want).unwrap(), x);
                assert_eq!(unshuffle.forward(&want).unwrap(), x);
                assert_eq!(unshuffle.output_shape(want.shape()).unwrap(), x.shape());
                assert_eq!(unshuffle.backward(want.shape(), &x).unwrap(), want);
            });
        }

        #[test]
        fn absurd_factors_and_shapes_are_errors(factor in any_extent(), order in any_order(), x in any_shape()) {
            let (shuffle, unshuffle) = (PixelShuffle { factor, order }, PixelUnshuffle { factor, order });
            for y in [shuffle.output_shape(x), unshuffle.output_shape(x)] {
                prop_assert!(y.is_err() || y.unwrap().numel() == x.numel());
            }
            if x.numel() <= 100_000 {
                let x = Tensor::zeros(x);
                prop_assert_eq!(shuffle.forward(&x).is_ok(), shuffle.output_shape(x.shape()).is_ok());
                prop_assert_eq!(unshuffle.forward(&x).is_ok(), unshuffle.output_shape(x.shape()).is_ok());
            }
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let fault = |y: Result<Shape, OpError>| y.unwrap_err().to_string();
        let (shuffle, unshuffle) = (PixelShuffle::new(2), PixelUnshuffle::new(2));
        let channels = fault(shuffle.output_shape([1, 6, 1, 1].into()));
        let rule = "the channels must be a multiple of the factor's square";
        assert_eq!(channels, format!("pixel_shuffle: {rule}, got 6 for a factor of 2"));
        let extents = fault(unshuffle.output_shape([1, 1, 4, 3].into()));
        let rule = "the extents must be multiples of the factor";
        assert_eq!(extents, format!("pixel_unshuffle: {rule}, got 4 x 3 for a factor of 2"));
        let none = fault(PixelShuffle::new(0).output_shape([1, 4, 1, 1].into()));
        assert_eq!(none, "pixel_shuffle: factor must be at least 1, got 0");
        let rank = fault(unshuffle.output_shape([4].into()));
        assert_eq!(rank, "pixel_unshuffle: x expects [n, c, h, w], got shape [4]");
        let dy = shuffle.backward([1, 4, 1, 1].into(), &Tensor::zeros([1, 4, 1, 1])).unwrap_err().to_string();
        assert_eq!(dy, "pixel_shuffle: dy expects shape [1, 1, 2, 2], got [1, 4, 1, 1]");
    }

    #[test]
    fn a_description_is_short() {
        let json = r#"{"factor":2,"order":"blocks_first"}"#;
        assert_eq!(serde_json::to_string(&PixelShuffle::new(2).order(Order::BlocksFirst)).unwrap(), json);
        assert_eq!(
            serde_json::from_str::<PixelUnshuffle>(r#"{"factor":3}"#).unwrap(),
            PixelUnshuffle::new(3)
        );
    }
}
