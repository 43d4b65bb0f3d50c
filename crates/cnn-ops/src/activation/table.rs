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
///     tested_at(x) = ...;          moves a number to where tests evaluate the function; left out if it is smooth
///                                  for all numbers and stays below 1e30
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

            /// The sigmoid made of straight lines, `min(max(alpha x + beta, 0), 1)`: by default `min(max(x + 3, 0), 6) / 6`.
            ///
            /// The gradient is `alpha dy` where the line is between 0 and 1, else 0: also at both ends, and at NaN. PyTorch
            /// has the defaults alone. ONNX's default alpha is 0.2.
            ///
            /// Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2; ONNX, "HardSigmoid".
            HardSigmoid: hard_sigmoid() {
                options {
                    /// The slope; 1/6 unless given.
                    alpha: f32 = 1.0 / 6.0, tested at [0.2, -0.5, 0.0, 2.5];
                    /// The value at 0; 0.5 unless given.
                    beta: f32 = 0.5, tested at [0.25, -0.5, 3.0];
                }
                // A sum with 3 may round to 6, so the output does not tell whether `x < 3`.
                output_suffices: false;
                y(s, x) = match is_sixth(alpha, beta) {
                    true => hard_sigmoid_of(s, x),
                    false => {
                        let line = s.mul_add(s.splat(alpha), x, s.splat(beta));
                        s.min(s.splat(1.0), s.max(s.splat(0.0), line))
                    }
                };
                dx(s, x, dy) = {
                    let (zero, slope) = (s.splat(0.0), s.mul(dy, s.splat(alpha)));
                    // Where the ends are known, they are exact.
                    let (line, low, high) = match is_sixth(alpha, beta) {
                        true => (x, -3.0, 3.0),
                        false => (s.mul_add(s.splat(alpha), x, s.splat(beta)), 0.0, 1.0),
                    };
                    s.select_gt(line, s.splat(low), s.select_gt(s.splat(high), line, slope, zero), zero)
                };
                definition(x) = (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0);
                bends_at: [-beta / alpha, (1.0 - beta) / alpha];
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

            /// The numbers within bounds, `min(max(x, min_val), max_val)`: PyTorch's `nn.Hardtanh` and `torch.clamp`.
            ///
            /// `f32::MIN` and `f32::MAX` stand for no bound: infinities beyond them stay. (JSON has no infinity.) If the bounds
            /// are crossed, `y` is `max_val`. The gradient is `dy` where `min_val < x < max_val`, else 0: also at both, and at
            /// NaN. (That of `torch.clamp` is `dy` at both.)
            ///
            /// Source: R. Collobert, "Large Scale Machine Learning" (2004), section 5.4.
            Hardtanh: hardtanh(min_val: f32, max_val: f32) {
                options {
                    /// The lower bound; -1 unless given.
                    min_val: f32 = -1.0, tested at [-3.5, 0.0, 2.5, f32::MIN];
                    /// The upper bound; 1 unless given.
                    max_val: f32 = 1.0, tested at [-2.0, 0.0, 6.0, f32::MAX];
                }
                output_suffices: true;
                y(s, x) = s.min(s.splat(bound(max_val)), s.max(s.splat(bound(min_val)), x));
                dx(s, y, dy) = {
                    let (low, high, zero) = (s.splat(bound(min_val)), s.splat(bound(max_val)), s.splat(0.0));
                    s.select_gt(y, low, s.select_gt(high, y, dy, zero), zero)
                };
                definition(x) = {
                    let (min, max) = (kernels::bound(min_val), kernels::bound(max_val));
                    x.max(f64::from(min)).min(f64::from(max))
                };
                bends_at: [min_val, max_val];
            }

            /// `x` above a threshold, else a constant: PyTorch's `nn.Threshold`, ONNX's `ThresholdedRelu` with a constant of 0.
            ///
            /// The gradient is `dy` where `x > threshold`, else 0: also at the threshold and at NaN.
            ///
            /// Source: K. Konda, R. Memisevic and D. Krueger, "Zero-Bias Autoencoders and the Benefits of Co-Adapting
            /// Features", ICLR 2015, section 3.1.
            Threshold: threshold(threshold: f32, value: f32) {
                options {
                    /// Above it, `y` is `x`; 1 unless given, as in ONNX.
                    threshold: f32 = 1.0, tested at [-2.0, 0.0, 0.5];
                    /// `y` up to the threshold; 0 unless given.
                    value: f32 = 0.0, tested at [-1.0, 20.0];
                }
                output_suffices: false;
                y(s, x) = {
                    let y = s.select_gt(x, s.splat(threshold), x, s.splat(value));
                    s.select_number(x, y, x)
                };
                dx(s, x, dy) = s.select_gt(x, s.splat(threshold), dy, s.splat(0.0));
                definition(x) = if x > f64::from(threshold) { x } else { f64::from(value) };
                bends_at: [threshold];
            }

            /// The self-normalising exponential linear unit: `scale x` where `x > 0`, else `scale alpha (e^x - 1)`, with
            /// `scale = 1.0507...` and `alpha = 1.6732...`.
            ///
            /// The gradient is `scale dy` where `x > 0`, else `dy scale alpha e^x`: also at 0.
            ///
            /// Source: G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-Normalizing Neural Networks", NIPS 2017,
            /// eq. 2 and 14.
            Selu: selu() {
                output_suffices: true;
                y(s, x) = {
                    let below = s.mul(s.splat(SELU_LIMIT), math::expm1(s, x));
                    s.select_gt(x, s.splat(0.0), s.mul(s.splat(SELU_SCALE), x), below)
                };
                dx(s, y, dy) = {
                    // scale alpha e^x = y + scale alpha.
                    let slope = s.select_gt(y, s.splat(0.0), s.splat(SELU_SCALE), s.add(y, s.splat(SELU_LIMIT)));
                    s.mul(dy, slope)
                };
                definition(x) = {
                    let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
                    scale * if x > 0.0 { x } else { alpha * x.exp_m1() }
                };
                bends_at: [];
            }

            /// The continuously differentiable exponential linear unit: `x` where `x > 0`, else `alpha (e^(x / alpha) - 1)`;
            /// PyTorch's default alpha is 1.
            ///
            /// The gradient is `dy` where `x > 0`, else `dy e^(x / alpha)`. For `alpha = 0` the formula divides by 0 and so
            /// does this.
            ///
            /// Source: J. Barron, "Continuously Differentiable Exponential Linear Units" (2017), eq. 3.
            Celu: celu(alpha: f32) {
                options {
                    /// Minus the limit at minus infinity; 1 unless given.
                    alpha: f32 = 1.0, tested at [-3.0, 0.3, 2.5];
                }
                output_suffices: false;
                y(s, x) = {
                    let z = s.div(x, s.splat(alpha));
                    // With a negative alpha, z is positive and as large as it may be; there expm1 ends at 88.
                    let power = s.sub(math::exp(s, z), s.splat(1.0));
                    let below = s.mul(s.splat(alpha), s.select_gt(z, s.splat(1.0), power, math::expm1(s, z)));
                    s.select_gt(x, s.splat(0.0), x, below)
                };
                dx(s, x, dy) = {
                    let slope = math::exp(s, s.div(x, s.splat(alpha)));
                    s.select_gt(x, s.splat(0.0), dy, s.mul(dy, slope))
                };
                definition(x) = {
                    let alpha = f64::from(alpha);
                    if x > 0.0 { x } else { alpha * (x / alpha).exp_m1() }
                };
                bends_at: [];
            }

            /// `x tanh(ln(1 + e^x))`.
            ///
            /// It is NaN at minus infinity, and its gradient at both infinities; finite for every finite `x`.
            ///
            /// Source: D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020, eq. 1.
            Mish: mish() {
                output_suffices: false;
                y(s, x) = s.mul(x, math::tanh(s, math::softplus(s, x)));
                dx(s, x, dy) = {
                    let t = math::tanh(s, math::softplus(s, x));
                    let dt = s.mul(s.sub(s.splat(1.0), s.mul(t, t)), math::sigmoid(s, x));
                    s.mul(dy, s.mul_add(x, dt, t))
                };
                definition(x) = x * x.exp().ln_1p().tanh();
                bends_at: [];
            }

            /// `x / (1 + |x|)`, NaN at both infinities, where its gradient is 0.
            ///
            /// Source: J. Bergstra, G. Desjardins, P. Lamblin and Y. Bengio, "Quadratic Polynomials Learn Better Image
            /// Features" (2009), section 2.
            Softsign: softsign() {
                output_suffices: false;
                y(s, x) = s.div(x, s.add(s.splat(1.0), absolute(s, x)));
                dx(s, x, dy) = {
                    let d = s.add(s.splat(1.0), absolute(s, x));
                    s.div(dy, s.mul(d, d))
                };
                definition(x) = x / (1.0 + x.abs());
                bends_at: [];
            }

            /// The error function, `2 / sqrt(pi)` times the integral of `e^-t^2` from 0 to `x`.
            Erf: erf() {
                output_suffices: false;
                y(s, x) = math::erf(s, x);
                dx(s, x, dy) = {
                    let exponent = s.sub(s.splat(0.0), s.mul(x, x));
                    s.mul(dy, s.mul(s.splat(FRAC_2_SQRT_PI), math::exp(s, exponent)))
                };
                definition(x) = erf(x);
                bends_at: [];
            }

            /// The exponential, `e^x`; 0 below -87.3, infinity above 88.7.
            Exp: exp() {
                output_suffices: true;
                y(s, x) = math::exp(s, x);
                dx(s, y, dy) = s.mul(dy, y);
                definition(x) = x.exp();
                bends_at: [];
                tested_at(x) = x % 40.0;
            }

            /// The natural logarithm; minus infinity at 0 and NaN below.
            ///
            /// One number at a time. The gradient is `dy / x`, also below 0.
            Log: log() {
                output_suffices: false;
                y(s, x) = lane_by_lane(s, x, scalar::ln);
                dx(s, x, dy) = s.div(dy, x);
                definition(x) = x.ln();
                bends_at: [];
                tested_at(x) = x.abs() + 0.1;
            }

            /// The square root; NaN below 0.
            ///
            /// The gradient is `dy / (2 sqrt(x))`, infinite or NaN at 0.
            Sqrt: sqrt() {
                output_suffices: true;
                y(s, x) = s.sqrt(x);
                dx(s, y, dy) = s.div(dy, s.add(y, y));
                definition(x) = x.sqrt();
                bends_at: [];
                tested_at(x) = x.abs() + 0.1;
            }

            /// The magnitude, `|x|`.
            ///
            /// The gradient is `dy` where `x > 0`, `-dy` where `x < 0`, else 0: also at NaN.
            Abs: abs() {
                output_suffices: false;
                y(s, x) = absolute(s, x);
                dx(s, x, dy) = {
                    let zero = s.splat(0.0);
                    s.select_gt(x, zero, dy, s.select_gt(zero, x, s.mul(dy, s.splat(-1.0)), zero))
                };
                definition(x) = x.abs();
                bends_at: [];
                tested_at(x) = if x.abs() < 1e-3 { x + 0.01 } else { x };
            }

            /// `-x`.
            ///
            /// The gradient is `-dy`, also at NaN.
            Neg: neg() {
                output_suffices: true;
                y(s, x) = s.mul(x, s.splat(-1.0));
                dx(s, _y, dy) = s.mul(dy, s.splat(-1.0));
                definition(x) = -x;
                bends_at: [];
            }

            /// `1 / x`, infinite at 0.
            ///
            /// The gradient is `-dy / x^2`.
            Reciprocal: reciprocal() {
                output_suffices: true;
                y(s, x) = s.div(s.splat(1.0), x);
                dx(s, y, dy) = s.mul(s.mul(dy, s.splat(-1.0)), s.mul(y, y));
                definition(x) = 1.0 / x;
                bends_at: [];
                tested_at(x) = x + if x < 0.0 { -0.3 } else { 0.3 };
            }

            /// `x^exponent`, the same exponent for all numbers: PyTorch's `x ** exponent`; the square unless given.
            ///
            /// Of numbers below 0 it is NaN unless the exponent is whole. A square and a cube are products of vectors. For
            /// other exponents it is one number at a time. The gradient is
            /// `dy exponent x^(exponent - 1)`. `x^0` is 1, even of NaN, with a gradient of 0.
            Power: power(exponent: f32) {
                options {
                    /// The exponent; 2 unless given.
                    exponent: f32 = 2.0, tested at [-1.5, -1.0, 0.0, 0.5, 1.0, 1.7, 3.0, 4.0];
                }
                output_suffices: false;
                y(s, x) = power_of(s, x, exponent);
                dx(s, x, dy) = match exponent {
                    0.0 => s.mul(dy, s.splat(0.0)),
                    _ => s.mul(dy, s.mul(s.splat(exponent), power_of(s, x, exponent - 1.0))),
                };
                definition(x) = x.powf(f64::from(exponent));
                bends_at: [];
                tested_at(x) = x.abs().min(20.0) + 0.3;
            }
        }
    };
}
