//! Activations.

use super::writer::{Writer, float, text};
use cnn_ops::Activation;
use cnn_ops::activation::Approximate;

/// Writes an activation of the value `x`, and returns the name of the result.
pub fn write(w: &mut Writer, activation: &Activation, x: &str) -> Result<String, String> {
    Ok(match *activation {
        Activation::Relu => w.node("Relu", &[x], vec![]),
        Activation::Relu6 => {
            let (min, max) = (w.scalar("min", 0.0), w.scalar("max", 6.0));
            w.node("Clip", &[x, &min, &max], vec![])
        }
        Activation::LeakyRelu { slope } => w.node("LeakyRelu", &[x], vec![float("alpha", slope.into())]),
        Activation::Elu { alpha } => w.node("Elu", &[x], vec![float("alpha", alpha.into())]),
        Activation::Tanh => w.node("Tanh", &[x], vec![]),
        Activation::ScaledTanh => {
            let (inner, amplitude) = (w.scalar("inner", 2.0 / 3.0), w.scalar("amplitude", 1.7159));
            let scaled = w.node("Mul", &[x, &inner], vec![]);
            let y = w.node("Tanh", &[&scaled], vec![]);
            w.node("Mul", &[&y, &amplitude], vec![])
        }
        Activation::Sigmoid => w.node("Sigmoid", &[x], vec![]),
        // Beyond the threshold of 20 the difference is below that of neighbouring floats.
        Activation::Softplus { beta: 1.0, threshold: 15.0.. } => w.node("Softplus", &[x], vec![]),
        Activation::Gelu { approximate } => {
            w.needs(20);
            let approximate = match approximate {
                Approximate::None => "none",
                Approximate::Tanh => "tanh",
            };
            w.node("Gelu", &[x], vec![text("approximate", approximate)])
        }
        Activation::Silu => {
            let gate = w.node("Sigmoid", &[x], vec![]);
            w.node("Mul", &[x, &gate], vec![])
        }
        Activation::HardSigmoid { alpha, beta } => {
            w.node("HardSigmoid", &[x], vec![float("alpha", alpha.into()), float("beta", beta.into())])
        }
        Activation::Hardtanh { min_val, max_val } => {
            let (min, max) = (w.scalar("min", min_val), w.scalar("max", max_val));
            w.node("Clip", &[x, &min, &max], vec![])
        }
        Activation::Threshold { threshold, value: 0.0 } => {
            w.node("ThresholdedRelu", &[x], vec![float("alpha", threshold.into())])
        }
        Activation::Selu => w.node("Selu", &[x], vec![]),
        Activation::Celu { alpha } => w.node("Celu", &[x], vec![float("alpha", alpha.into())]),
        Activation::Mish => w.node("Mish", &[x], vec![]),
        Activation::Softsign => w.node("Softsign", &[x], vec![]),
        Activation::Erf => w.node("Erf", &[x], vec![]),
        Activation::Exp => w.node("Exp", &[x], vec![]),
        Activation::Log => w.node("Log", &[x], vec![]),
        Activation::Sqrt => w.node("Sqrt", &[x], vec![]),
        Activation::Abs => w.node("Abs", &[x], vec![]),
        Activation::Neg => w.node("Neg", &[x], vec![]),
        Activation::Reciprocal => w.node("Reciprocal", &[x], vec![]),
        Activation::Power { exponent } => {
            let exponent = w.scalar("exponent", exponent);
            w.node("Pow", &[x, &exponent], vec![])
        }
        Activation::HardSwish => w.node("HardSwish", &[x], vec![]),
        ref other => return Err(format!("{other:?} has no operator")),
    })
}
