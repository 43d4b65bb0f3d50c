//! Pairs of images made into one.

use super::extents;
use crate::DataError;
use cnn_nn::{Batch, Classes};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Mixes each image of a batch with another one of it, and their labels in the same proportion.
///
/// Image `i` is mixed with image `i - 1` of the batch, the first with the last, as torchvision does; the batch was shuffled
/// before. Where several processes [share](crate::Loader::shard) a batch, it is the neighbour in the whole batch, which two of
/// them read. The share of the first image is drawn once for the batch, from the beta distribution of (`alpha`, `alpha`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mix {
    /// The weighted mean of the two images.
    ///
    /// Source: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section 2.
    Mixup {
        /// Above 0; the paper has 0.1 to 0.4 for ImageNet, 1 for CIFAR.
        alpha: f32,
    },
    /// A rectangle of the second image laid on the first one. Its centre is drawn anywhere in the image, so that it may hang
    /// over the edge; the labels' share is that of the pixels.
    ///
    /// Source: S. Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV
    /// 2019, equations 1 and 2.
    #[serde(rename = "cutmix")]
    CutMix {
        /// Above 0; the paper has 1.
        alpha: f32,
    },
}

impl Mix {
    pub(super) fn validate(self) -> Result<(), DataError> {
        let (Self::Mixup { alpha } | Self::CutMix { alpha }) = self;
        if alpha.is_finite() && alpha > 0.0 {
            return Ok(());
        }
        let rule = "a number above 0".into();
        Err(DataError::Setting { what: "alpha of the mixing", rule, got: alpha.to_string() })
    }

    /// The batch, mixed; it has at least one image. The one before its first is the last of `before`, or else its own last.
    pub(super) fn apply(self, mut batch: Batch, before: Option<&Batch>, random: &mut Random) -> Batch {
        let x = &mut batch.inputs[0];
        let [_, c, h, w] = extents(x.shape());
        let mut share = match self {
            Self::Mixup { alpha } | Self::CutMix { alpha } => random.beta(alpha.into()) as f32,
        };
        let others = x.clone();
        let image = c * h * w;
        let last = before.map_or(others.data(), |before| before.inputs[0].data());
        let last = &last[last.len() - image..];
        let other = |i: usize| if i == 0 { last } else { &others.data()[(i - 1) * image..i * image] };
        match self {
            Self::Mixup { .. } => {
                for (i, x) in x.data_mut().chunks_exact_mut(image).enumerate() {
                    x.iter_mut().zip(other(i)).for_each(|(x, other)| *x = share * *x + (1.0 - share) * other);
                }
            }
            Self::CutMix { .. } => {
                let side = (1.0 - share).sqrt();
                let [rows, columns] = [h, w].map(|extent| {
                    let (centre, half) = (random.below(extent), (side * extent as f32 / 2.0) as usize);
                    centre.saturating_sub(half)..(centre + half).min(extent)
                });
                for (i, x) in x.data_mut().chunks_exact_mut(image).enumerate() {
                    let other = other(i);
                    for plane in 0..c {
                        for row in rows.clone() {
                            let start = (plane * h + row) * w;
                            let span = start + columns.start..start + columns.end;
                            x[span.clone()].copy_from_slice(&other[span]);
                        }
                    }
                }
                share = 1.0 - (rows.len() * columns.len()) as f32 / (h * w) as f32;
            }
        }
        let first = batch.labels().to_vec();
        let mut second = first.clone();
        second.rotate_right(1);
        if let Some(label) = before.and_then(|before| before.labels().last()) {
            second[0] = *label;
        }
        Batch { target: Classes::Mixed { first, second, share }, ..batch }
    }
}

impl FromStr for Mix {
    type Err = DataError;

    /// `mixup:ALPHA` or `cutmix:ALPHA`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let fault = || DataError::Setting {
            what: "the mixing",
            rule: "mixup:ALPHA or cutmix:ALPHA".into(),
            got: text.into(),
        };
        let (kind, alpha) = text.split_once(':').ok_or_else(fault)?;
        let alpha: f32 = alpha.parse().map_err(|_| fault())?;
        match kind {
            "mixup" => Ok(Self::Mixup { alpha }),
            "cutmix" => Ok(Self::CutMix { alpha }),
            _ => Err(fault()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::Tensor;

    /// Images of 8x8 pixels of 0, 1 and 2, of classes 0, 1 and 2.
    fn batch() -> Batch {
        let x = (0..3).flat_map(|i| vec![i as f32; 2 * 64]).collect();
        Batch::new(Tensor::from_vec([3, 2, 8, 8], x).unwrap(), vec![0, 1, 2])
    }

    #[test]
    fn mixup_is_the_weighted_mean_with_the_neighbour() {
        for seed in 0..100 {
            let mixed = Mix::Mixup { alpha: 1.0 }.apply(batch(), None, &mut Random::new(seed, &[]));
            let Classes::Mixed { first, second, share } = mixed.target else { panic!("{:?}", mixed.target) };
            assert_eq!((&second[..], &first[..]), (&[2, 0, 1][..], &[0, 1, 2][..]));
            for (image, (own, other)) in [(0.0, 2.0), (1.0, 0.0), (2.0, 1.0)].into_iter().enumerate() {
                let want = share * own + (1.0 - share) * other;
                let x = &mixed.inputs[0].data()[image * 128..][..128];
                assert!(x.iter().all(|x| (x - want).abs() < 1e-6), "{x:?} is not {want}");
            }
        }
    }

    #[test]
    fn cutmix_lays_a_rectangle_whose_share_is_the_labels() {
        let mut shares = Vec::new();
        for seed in 0..300 {
            let mixed = Mix::CutMix { alpha: 1.0 }.apply(batch(), None, &mut Random::new(seed, &[]));
            let Classes::Mixed { second, share, .. } = mixed.target else { panic!("{:?}", mixed.target) };
            assert_eq!(second, [2, 0, 1]);
            let image = &mixed.inputs[0].data()[128..256];
            assert!(image.iter().all(|&x| x == 0.0 || x == 1.0));
            assert_eq!(image[..64], image[64..], "the same rectangle in all channels");
            let own = image[..64].iter().sum::<f32>() / 64.0;
            assert!((own - share).abs() < 1e-6, "{own} of the pixels, {share} of the label");
            shares.push(share);
        }
        let mean = shares.iter().sum::<f32>() / shares.len() as f32;
        // 1/2, and the parts that hang over the edge or are lost by rounding to whole pixels.
        assert!((0.6..0.8).contains(&mean), "{mean}");
    }

    #[test]
    fn alpha_is_above_0() {
        let message = Mix::Mixup { alpha: 0.0 }.validate().unwrap_err().to_string();
        assert_eq!(message, "alpha of the mixing must be a number above 0, got 0");
        assert!(Mix::CutMix { alpha: f32::NAN }.validate().is_err());
    }

    #[test]
    fn a_mix_is_read_from_its_kind_and_alpha() {
        assert_eq!("mixup:0.2".parse::<Mix>().unwrap(), Mix::Mixup { alpha: 0.2 });
        assert_eq!("cutmix:1".parse::<Mix>().unwrap(), Mix::CutMix { alpha: 1.0 });
        for wrong in ["mixup", "mixup:", "cutmix:x", "blend:1", "none"] {
            let message = wrong.parse::<Mix>().unwrap_err().to_string();
            assert_eq!(message, format!("the mixing must be mixup:ALPHA or cutmix:ALPHA, got {wrong}"));
        }
    }
}
