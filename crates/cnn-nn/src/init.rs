//! Initial values of weights and biases.

use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// The initialisation of a parameter.
///
/// The spread follows from the fans of the layer, so that neither signals nor gradients grow or vanish from layer
/// to layer. `fan_in` is the number of inputs that each output sums over, `fan_out` the number of outputs that each
/// input reaches. For a weight `[c_out, c_in / groups, kh, kw]` they are `c_in / groups * kh * kw` and
/// `c_out / groups * kh * kw`; for a weight `[out, in]` they are `in` and `out`. A bias has the fans of its weight.
/// (PyTorch does not divide `c_out` by the groups.)
///
/// With a fan of 0 there is nothing to sum over, and every initialisation that depends on it gives zeros.
///
/// In a description: `"kaiming_uniform"`, `{"normal": 0.01}`, `{"constant": 1.0}`.
///
/// ```
/// use cnn_nn::Init;
/// use cnn_tensor::Random;
/// let mut weight = [0.0; 1000];
/// Init::KaimingUniform.fill(&mut Random::new(0, &["weight"]), 150, 400, &mut weight);
/// assert!(weight.iter().all(|w| w.abs() <= 0.2)); // sqrt(6 / 150)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Uniform in `±1 / sqrt(fan_in)`, for weights and biases, as in PyTorch's `nn.Linear` and `nn.Conv2d`.
    #[default]
    #[serde(rename = "pytorch")]
    PyTorch,
    /// Uniform in `±sqrt(6 / fan_in)`: a variance of `2 / fan_in`, for ReLU (He et al. 2015, eq. 10).
    KaimingUniform,
    /// Normal of variance `2 / fan_in`, for ReLU (He et al. 2015, eq. 10).
    KaimingNormal,
    /// Normal of variance `2 / fan_out`, which preserves the scale of the gradients of a network with ReLU rather than that of
    /// the signals (He et al. 2015, eq. 14).
    KaimingNormalFanOut,
    /// Uniform in `±sqrt(6 / (fan_in + fan_out))`, for tanh (Glorot and Bengio 2010, eq. 16).
    XavierUniform,
    /// Normal of variance `2 / (fan_in + fan_out)`, for tanh (Glorot and Bengio 2010, eq. 12).
    XavierNormal,
    /// Uniform in `±sqrt(3 / fan_in)`: a variance of `1 / fan_in` (LeCun et al. 1998, "Efficient BackProp", eq. 16).
    LecunUniform,
    /// Normal of variance `1 / fan_in` (LeCun et al. 1998, eq. 16); not truncated, unlike Keras's.
    LecunNormal,
    /// Normal of this standard deviation, whatever the fans.
    Normal(f32),
    /// The first output channels copy the input channels, as far as there are as many. The others are initialised as
    /// [`Init::PyTorch`] (Jordan 2024, section 3.2).
    Dirac,
    /// Every element the same number.
    Constant(f32),
    /// Zeros.
    Zeros,
}

impl Init {
    /// Fills `out`, the elements of a parameter of a layer with the given fans. Draws from `rng` unless the result is
    /// constant.
    pub fn fill(self, rng: &mut Random, fan_in: usize, fan_out: usize, out: &mut [f32]) {
        let both = fan_in.saturating_add(fan_out);
        match self {
            Self::PyTorch => rng.fill_uniform(root_of_ratio(1, fan_in), out),
            Self::KaimingUniform => rng.fill_uniform(root_of_ratio(6, fan_in), out),
            Self::KaimingNormal => rng.fill_normal(root_of_ratio(2, fan_in), out),
            Self::KaimingNormalFanOut => rng.fill_normal(root_of_ratio(2, fan_out), out),
            Self::XavierUniform => rng.fill_uniform(root_of_ratio(6, both), out),
            Self::XavierNormal => rng.fill_normal(root_of_ratio(2, both), out),
            Self::LecunUniform => rng.fill_uniform(root_of_ratio(3, fan_in), out),
            Self::LecunNormal => rng.fill_normal(root_of_ratio(1, fan_in), out),
            Self::Normal(std) => rng.fill_normal(std, out),
            Self::Dirac => {
                Self::PyTorch.fill(rng, fan_in, fan_out, out);
                pass_through(fan_in, fan_out, out);
            }
            Self::Constant(value) => out.fill(value),
            Self::Zeros => out.fill(0.0),
        }
    }
}

/// Sets the first filters of a weight `[c_out, c_in, kh, kw]` to copy the input channel of their number, by the middle tap.
fn pass_through(fan_in: usize, fan_out: usize, weight: &mut [f32]) {
    let c_out = weight.len().checked_div(fan_in).unwrap_or(0);
    let window = fan_out.checked_div(c_out).unwrap_or(0);
    let c_in = fan_in.checked_div(window).unwrap_or(0);
    for (c, taps) in weight.chunks_exact_mut(fan_in.max(1)).take(c_in).enumerate() {
        taps.fill(0.0);
        taps[c * window + window / 2] = 1.0;
    }
}

/// `sqrt(numerator / fan)`; 0 for a fan of 0.
fn root_of_ratio(numerator: u8, fan: usize) -> f32 {
    if fan == 0 { 0.0 } else { (f64::from(numerator) / fan as f64).sqrt() as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FANS: (usize, usize) = (150, 450);

    /// Each random initialisation with its variance and, where it is uniform, its bound.
    fn random_inits() -> [(Init, f64, Option<f64>); 8] {
        let (fan_in, fan_out) = (FANS.0 as f64, FANS.1 as f64);
        [
            (Init::PyTorch, 1.0 / 3.0 / fan_in, Some(1.0 / fan_in.sqrt())),
            (Init::KaimingUniform, 2.0 / fan_in, Some((6.0 / fan_in).sqrt())),
            (Init::KaimingNormal, 2.0 / fan_in, None),
            (Init::KaimingNormalFanOut, 2.0 / fan_out, None),
            (Init::XavierUniform, 2.0 / (fan_in + fan_out), Some((6.0 / (fan_in + fan_out)).sqrt())),
            (Init::XavierNormal, 2.0 / (fan_in + fan_out), None),
            (Init::LecunUniform, 1.0 / fan_in, Some((3.0 / fan_in).sqrt())),
            (Init::LecunNormal, 1.0 / fan_in, None),
        ]
    }

    fn filled(init: Init, (fan_in, fan_out): (usize, usize), len: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; len];
        init.fill(&mut Random::new(7, &["init"]), fan_in, fan_out, &mut out);
        out
    }

    #[test]
    fn random_fillings_have_their_mean_variance_and_range() {
        let fixed = (Init::Normal(0.25), 0.0625, None);
        for (init, variance, bound) in random_inits().into_iter().chain([fixed]) {
            let values = filled(init, FANS, 200_000);
            let n = values.len() as f64;
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let spread = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
            assert!(mean.abs() < 0.01 * variance.sqrt(), "{init:?}: mean {mean}");
            assert!((spread / variance - 1.0).abs() < 0.02, "{init:?}: variance {spread}, not {variance}");
            let largest = values.iter().fold(0.0, |largest: f64, &v| largest.max(f64::from(v).abs()));
            match bound {
                Some(bound) => {
                    assert!((0.999..1.000_001).contains(&(largest / bound)), "{init:?}: {largest}")
                }
                None => assert!(largest > 3.5 * variance.sqrt(), "{init:?}: a normal distribution has tails"),
            }
        }
    }

    #[test]
    fn dirac_windows_pass_their_channel_through() {
        // [3, 2, 3, 3]
        let weight = filled(Init::Dirac, (18, 27), 54);
        let tap = |at: usize| (0..18).map(|i| f32::from(u8::from(i == at))).collect::<Vec<_>>();
        assert_eq!((&weight[..18], &weight[18..36]), (&tap(4)[..], &tap(13)[..]));
        assert_eq!(weight[36..], filled(Init::PyTorch, (18, 27), 54)[36..]);
        // Fewer channels come out than go in.
        assert_eq!(filled(Init::Dirac, (3, 1), 3), [1.0, 0.0, 0.0]);
        assert_eq!(filled(Init::Dirac, (0, 0), 2), [0.0; 2]);
    }

    #[test]
    fn fans_of_zero_give_zeros_and_the_largest_fans_give_numbers() {
        for (init, ..) in random_inits() {
            assert_eq!(filled(init, (0, 0), 9), [0.0; 9], "{init:?}");
            assert!(filled(init, (usize::MAX, usize::MAX), 9).iter().all(|v| v.is_finite()), "{init:?}");
        }
        assert!(filled(Init::Normal(1.0), (0, 0), 9).iter().all(|v| *v != 0.0));
        assert_eq!(filled(Init::Constant(0.5), (0, 0), 3), [0.5; 3]);
        assert_eq!(filled(Init::Zeros, (1, 1), 3), [0.0; 3]);
    }

    #[test]
    fn a_description_reads_like_its_name() {
        let all = [
            Init::PyTorch,
            Init::KaimingNormalFanOut,
            Init::XavierNormal,
            Init::Normal(0.01),
            Init::Constant(1.0),
            Init::Zeros,
        ];
        let text = concat!(
            r#"["pytorch","kaiming_normal_fan_out","xavier_normal","#,
            r#"{"normal":0.01},{"constant":1.0},"zeros"]"#
        );
        assert_eq!(serde_json::to_string(&all).unwrap(), text);
        assert_eq!(serde_json::from_str::<[Init; 6]>(text).unwrap(), all);
    }
}
