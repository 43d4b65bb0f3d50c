//! The table of activations: everything the library knows about each of them.

/// Calls a macro with the table of activations.
///
/// An entry is all that a new activation needs. From it follow the variant of [`Activation`](crate::Activation) and its
/// name in descriptions, the kernels, the tests against the definition, and in `cnn-nn` the layer, its builder in
/// `spec`, and the layer's tests. An entry reads
///
/// ```text
/// /// Documentation of the variant, and of the builder in `cnn-nn`.
/// Variant: name(the options that the builder takes) {
///     options {                    the parameters; left out if there are none
///         /// Its meaning.
///         option: f32 = default, tested at [values];
///     }
///     output_suffices: ...;        whether `dx` is computed from `y`, not `x`
///     y(s, x) = ...;               one vector of outputs from one of inputs
///     dx(s, kept, dy) = ...;       one vector of gradients; `kept` is `y` if that suffices, else `x`
///     definition(x) = ...;         `y` for one number in f64, as the source has it; tests alone use it
///     bends_at: [...];             where the slope jumps, 0 left out
/// }
/// ```
///
/// Options are visible in all of these by name. `max` and `min` of vectors keep a NaN in their second operand.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_activation {
    ($then:ident!) => {
        $then! {
            /// The rectifier, `max(x, 0)`.
            ///
            /// The gradient is `dy` where `x > 0`, else 0: also at 0 and at NaN.
            ///
            /// Source: V. Nair and G. Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.
            Relu: relu() {
                output_suffices: true;
                y(s, x) = s.max(s.splat(0.0), x);
                dx(s, y, dy) = s.select_gt(y, s.splat(0.0), dy, s.splat(0.0));
                definition(x) = x.max(0.0);
                bends_at: [];
            }

            /// The rectifier that saturates, `min(max(x, 0), 6)`.
            ///
            /// The gradient is `dy` where `0 < x < 6`, else 0: also at 0, 6 and NaN.
            ///
            /// Source: A. Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10" (2010).
            Relu6: relu6() {
                output_suffices: true;
                y(s, x) = s.min(s.splat(6.0), s.max(s.splat(0.0), x));
                dx(s, y, dy) = {
                    let zero = s.splat(0.0);
                    s.select_gt(y, zero, s.select_gt(s.splat(6.0), y, dy, zero), zero)
                };
                definition(x) = x.clamp(0.0, 6.0);
                bends_at: [6.0];
            }

            /// The rectifier that leaks: `x` where `x > 0`, else `slope x`; PyTorch's default slope is 0.01.
            ///
            /// The gradient is `dy` where `x > 0`, else `slope dy`: also at 0 and at NaN. With a slope of 0, minus
            /// infinity becomes NaN.
            ///
            /// Source: A. Maas, A. Hannun and A. Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
            /// ICML 2013.
            LeakyRelu: leaky_relu(slope: f32) {
                options {
                    /// PyTorch's `negative_slope`; 0.01 unless given.
                    slope: f32 = 0.01, tested at [-3.0, -0.5, 0.0, 0.3, 1.0, 2.5];
                }
                // The output tells the sign of the input.
                output_suffices: slope >= 0.0;
                y(s, x) = s.select_gt(x, s.splat(0.0), x, s.mul(s.splat(slope), x));
                dx(s, kept, dy) = s.select_gt(kept, s.splat(0.0), dy, s.mul(s.splat(slope), dy));
                definition(x) = if x > 0.0 { x } else { f64::from(slope) * x };
                bends_at: [];
            }

            /// The exponential linear unit: `x` where `x > 0`, else `alpha (e^x - 1)`; PyTorch's default alpha is 1.
            ///
            /// The gradient is `dy` where `x > 0`, else `dy alpha e^x`: also at 0.
            ///
            /// Source: D. Clevert, T. Unterthiner and S. Hochreiter, "Fast and Accurate Deep Network Learning by
            /// Exponential Linear Units", ICLR 2016, eq. 15.
            Elu: elu(alpha: f32) {
                options {
                    /// Minus the limit at minus infinity; 1 unless given.
                    alpha: f32 = 1.0, tested at [-3.0, -0.5, 0.0, 0.3, 2.5];
                }
                output_suffices: alpha >= 0.0;
                y(s, x) = s.select_gt(x, s.splat(0.0), x, s.mul(s.splat(alpha), math::expm1(s, x)));
                dx(s, kept, dy) = if alpha >= 0.0 {
                    // alpha e^x = y + alpha.
                    s.select_gt(kept, s.splat(0.0), dy, s.mul(dy, s.add(kept, s.splat(alpha))))
                } else {
                    s.select_gt(kept, s.splat(0.0), dy, s.mul(dy, s.mul(s.splat(alpha), math::exp(s, kept))))
                };
                definition(x) = if x > 0.0 { x } else { f64::from(alpha) * x.exp_m1() };
                bends_at: [];
            }

            /// The hyperbolic tangent, `tanh(x)`.
            Tanh: tanh() {
                output_suffices: true;
                y(s, x) = math::tanh(s, x);
                dx(s, y, dy) = s.mul(dy, s.sub(s.splat(1.0), s.mul(y, y)));
                definition(x) = x.tanh();
                bends_at: [];
            }

            /// LeCun's `1.7159 tanh(2x/3)`, which keeps a unit variance near 1.
            ///
            /// The constants make `f(1) = 1` and `f(-1) = -1`. LeNet-5 uses it: Y. LeCun, L. Bottou, Y. Bengio and P.
            /// Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998), appendix A.
            ///
            /// Source: Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, "Efficient BackProp" (1998), section 4.4.
            ScaledTanh: scaled_tanh() {
                output_suffices: true;
                y(s, x) = s.mul(s.splat(AMPLITUDE), math::tanh(s, s.mul(s.splat(INNER), x)));
                dx(s, y, dy) = {
                    s.mul(dy, s.sub(s.splat(AMPLITUDE * INNER), s.mul(s.splat(INNER / AMPLITUDE), s.mul(y, y))))
                };
                definition(x) = 1.7159 * (2.0 * x / 3.0).tanh();
                bends_at: [];
            }

            /// The logistic function, `1 / (1 + e^-x)`.
            Sigmoid: sigmoid() {
                output_suffices: true;
                y(s, x) = math::sigmoid(s, x);
                dx(s, y, dy) = s.mul(dy, s.mul(y, s.sub(s.splat(1.0), y)));
                definition(x) = 1.0 / (1.0 + (-x).exp());
                bends_at: [];
            }

            /// The smooth rectifier, `ln(1 + e^(beta x)) / beta`, and `x` where `beta x > threshold`.
            ///
            /// For `beta = 0` the formula divides by 0 and so does this.
            ///
            /// Source: C. Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing",
            /// NIPS 2000.
            Softplus: softplus() {
                options {
                    /// How sharp the bend is; 1 unless given.
                    beta: f32 = 1.0, tested at [-4.0, -0.1, 0.1, 0.7, 4.0];
                    /// Where `beta x` is larger, `y` is `x`; 20 unless given.
                    threshold: f32 = 20.0, tested at [-5.0, 0.5, 3.0, 30.0];
                }
                output_suffices: false;
                y(s, x) = {
                    let z = s.mul(s.splat(beta), x);
                    s.select_gt(z, s.splat(threshold), x, s.div(math::softplus(s, z), s.splat(beta)))
                };
                dx(s, x, dy) = {
                    let z = s.mul(s.splat(beta), x);
                    s.select_gt(z, s.splat(threshold), dy, s.mul(dy, math::sigmoid(s, z)))
                };
                definition(x) = {
                    let (beta, threshold) = (f64::from(beta), f64::from(threshold));
                    if beta * x > threshold { x } else { (beta * x).exp().ln_1p() / beta }
                };
                bends_at: [threshold / beta];
            }

            /// The Gaussian error linear unit, `x` times the probability that a standard normal number is below `x`.
            ///
            /// It is NaN at minus infinity, where the formula is `-inf * 0`, and so is the gradient at both infinities.
            /// For every finite `x` both are finite; PyTorch's approximation is NaN beyond 1e19.
            ///
            /// Source: D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units" (2016), section 2.
            Gelu: gelu() {
                options {
                    /// How that probability is computed; exactly unless given.
                    approximate: Approximate = Approximate::None, tested at [Approximate::Tanh];
                }
                output_suffices: false;
                y(s, x) = match approximate {
                    Approximate::None => s.mul(x, normal(s, x)),
                    Approximate::Tanh => s.mul(x, half_more(s, math::tanh(s, gelu_argument(s, x)))),
                };
                dx(s, x, dy) = match approximate {
                    Approximate::None => s.mul(dy, gelu_slope(s, x)),
                    Approximate::Tanh => s.mul(dy, gelu_tanh_slope(s, x)),
                };
                definition(x) = match approximate {
                    Approximate::None => x * (1.0 + erf(x / 2f64.sqrt())) / 2.0,
                    Approximate::Tanh => {
                        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                        x * (1.0 + u.tanh()) / 2.0
                    }
                };
                bends_at: [];
            }

            /// The sigmoid-weighted linear unit, also called swish: `x / (1 + e^-x)`.
            ///
            /// It is NaN at minus infinity, and its gradient at both infinities; finite for every finite `x`.
            ///
            /// Source: S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-Weighted Linear Units" (2017), eq. 6.
            Silu: silu() {
                output_suffices: false;
                y(s, x) = s.mul(x, math::sigmoid(s, x));
                dx(s, x, dy) = {
                    let one = s.splat(1.0);
                    let y = math::sigmoid(s, x);
                    s.mul(dy, s.mul(y, s.mul_add(x, s.sub(one, y), one)))
                };
                definition(x) = x / (1.0 + (-x).exp());
                bends_at: [];
            }

            /// The sigmoid made of straight lines, `min(max(x + 3, 0), 6) / 6`.
            ///
            /// The gradient is `dy / 6` where `-3 < x < 3`, else 0: also at -3, 3 and NaN.
            ///
            /// Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.
            HardSigmoid: hard_sigmoid() {
                // A sum with 3 may round to 6, so the output does not tell whether `x < 3`.
                output_suffices: false;
                y(s, x) = hard_sigmoid_of(s, x);
                dx(s, x, dy) = {
                    let (zero, sixth) = (s.splat(0.0), s.mul(dy, s.splat(1.0 / 6.0)));
                    s.select_gt(x, s.splat(-3.0), s.select_gt(s.splat(3.0), x, sixth, zero), zero)
                };
                definition(x) = ((x + 3.0) / 6.0).clamp(0.0, 1.0);
                bends_at: [-3.0, 3.0];
            }

            /// `x hard_sigmoid(x)`, `x min(max(x + 3, 0), 6) / 6`.
            ///
            /// The gradient is 0 up to -3, `dy (x / 3 + 1/2)` up to 3, then `dy`: also at 3. The output is NaN at minus
            /// infinity, where the formula is `-inf * 0`.
            ///
            /// Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.
            HardSwish: hard_swish() {
                output_suffices: false;
                y(s, x) = s.mul(x, hard_sigmoid_of(s, x));
                dx(s, x, dy) = {
                    let slope = s.mul_add(x, s.splat(1.0 / 3.0), s.splat(0.5));
                    // From the inside out, so that a NaN, which compares false, is left with the middle.
                    let below_3 = s.select_gt(x, s.splat(BELOW_3), dy, s.mul(dy, slope));
                    s.select_gt(s.splat(ABOVE_MINUS_3), x, s.splat(0.0), below_3)
                };
                definition(x) = x * ((x + 3.0) / 6.0).clamp(0.0, 1.0);
                bends_at: [-3.0, 3.0];
            }
        }
    };
}
