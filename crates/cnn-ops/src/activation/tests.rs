use super::*;
use crate::shared::testing::{any_number_of_rejects, any_shape, assert_same_bits_on_any_threads, everywhere};
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, erf, to_f64};
use proptest::prelude::*;

/// The part of the table of activations that tests read.
macro_rules! definitions {
    ($(
        $(#[$doc:meta])*
        $variant:ident: $name:ident $arguments:tt {
            $(options { $($(#[$about:meta])* $option:ident: $ty:ty = $default:expr, tested at $tested:expr;)* })?
            output_suffices: $output_suffices:expr;
            y($s:ident, $x:ident) = $y:expr;
            dx($t:ident, $kept:ident, $dy:ident) = $dx:expr;
            definition($n:ident) = $definition:expr;
            bends_at: $bends:expr;
            $(tested_at($at:ident) = $tested_at:expr;)?
        }
    )*) => {
        /// The definition, in f64.
        fn oracle(f: Activation, x: f64) -> f64 {
            match f {
                $(Activation::$variant { $($($option,)*)? } => {
                    let $n = x;
                    $definition
                })*
            }
        }

        /// Where the slope of `f` jumps, 0 left out.
        #[allow(unused_variables, reason = "most do not depend on the options")]
        fn bends(f: Activation) -> Vec<f32> {
            match f {
                $(Activation::$variant { $($($option,)*)? } => $bends.to_vec(),)*
            }
        }

        /// The number at which tests evaluate `f` instead of `x`.
        fn tested_at(f: Activation, x: f32) -> f32 {
            match f {
                $($(Activation::$variant { .. } => {
                    let $at = x;
                    $tested_at
                })?)*
                _ => x,
            }
        }

        /// Every activation with each option at its default and at each of the numbers to test.
        fn samples() -> Vec<Activation> {
            let mut samples = Vec::new();
            $({
                let mut these = vec![options::$name::default().into()];
                $($(these = these.into_iter().flat_map(|f: Activation| {
                    let with = move |option: $ty| match Description::from(f) {
                        Description::$name(mut options) => {
                            options.$option = option;
                            options.into()
                        }
                        _ => unreachable!("an activation of this name"),
                    };
                    std::iter::once(f).chain($tested.into_iter().map(with))
                }).collect();)*)?
                samples.append(&mut these);
            })*
            samples
        }
    };
}
crate::for_each_activation!(definitions!);

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.01 };
const ELU: Activation = Activation::Elu { alpha: 1.0 };
const SOFTPLUS: Activation = Activation::Softplus { beta: 1.0, threshold: 20.0 };
const HARD_SIGMOID: Activation = Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
const GELU: Activation = Activation::Gelu { approximate: Approximate::None };
const GELU_TANH: Activation = Activation::Gelu { approximate: Approximate::Tanh };

/// Any activation, any of its options.
fn any_activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(Activation::NAMES).prop_flat_map(|name| {
        let all = samples().into_iter().filter(|f| f.name() == name);
        prop::sample::select(all.collect::<Vec<_>>())
    })
}

/// Moves a number to where `f` is tested, and one that lies within a difference step of where `f` bends or jumps.
fn off_bends(f: Activation, x: f32) -> f32 {
    let x = tested_at(f, x);
    if bends(f).into_iter().any(|bend| (x - bend).abs() < 1e-3) { x + 0.01 } else { x }
}

proptest! {
    #![proptest_config(any_number_of_rejects())]

    #[test]
    fn matches_the_definition(f in any_activation(), n in 0..70usize,
                              scale in prop::sample::select(vec![0.01, 1.0, 10.0, 100.0f32]), seed: u64) {
        let mut x = distinct([n], seed);
        x.data_mut().iter_mut().for_each(|x| *x = off_bends(f, *x * scale));
        let dy = distinct([n], seed ^ 1);
        let y: Vec<f64> = to_f64(&x).into_iter().map(|x| oracle(f, x)).collect();
        let dx = to_f64(&x).into_iter().zip(to_f64(&dy));
        let dx: Vec<f64> = dx.map(|(x, dy)| dy * (oracle(f, x + 1e-5) - oracle(f, x - 1e-5)) / 2e-5).collect();
        everywhere(|| {
            let (got, saved) = f.forward(x.clone());
            assert_close(&got, &y);
            assert_close(&f.infer(x.clone()), &y);
            assert_gradient_close(f.name(), &f.backward(&saved, dy.clone()).unwrap(), &dx);
        });
    }

    /// Selections, whose results are exact.
    #[test]
    fn rectifiers_are_exact(n in 0..300usize, slope in -4..5i8, seed: u64) {
        let x = crate::shared::testing::whole_numbers([n], 9, seed);
        let dy = crate::shared::testing::whole_numbers([n], 100, seed ^ 1);
        let leaky = Activation::LeakyRelu { slope: f32::from(slope) };
        for f in [Activation::Relu, Activation::Relu6, leaky] {
            let y: Vec<f64> = to_f64(&x).into_iter().map(|x| oracle(f, x)).collect();
            let slope_at = |x: f64| match f {
                Activation::Relu6 if x >= 6.0 => 0.0,
                Activation::LeakyRelu { slope } if x <= 0.0 => f64::from(slope),
                _ if x <= 0.0 => 0.0,
                _ => 1.0,
            };
            let dx: Vec<f64> = to_f64(&x).into_iter().zip(to_f64(&dy)).map(|(x, dy)| dy * slope_at(x)).collect();
            everywhere(|| {
                let (got, saved) = f.forward(x.clone());
                crate::shared::testing::assert_exact("y", &got, &y);
                crate::shared::testing::assert_exact("dx", &f.backward(&saved, dy.clone()).unwrap(), &dx);
            });
        }
    }

    #[test]
    fn any_option_and_any_shape_is_taken(option in prop::num::f32::ANY, other in prop::num::f32::ANY, x in any_shape()) {
        prop_assume!(x.numel() < 100_000);
        let with_options = [
            Activation::LeakyRelu { slope: option },
            Activation::Elu { alpha: option },
            Activation::Softplus { beta: option, threshold: other },
        ];
        for f in with_options.into_iter().chain(samples()) {
            let (y, saved) = f.forward(Tensor::full(x, other));
            assert_eq!((y.shape(), f.backward(&saved, y).unwrap().shape()), (x, x));
        }
    }
}

/// The output and the gradient for `dy = 1`, each NaN written as the same NaN.
fn values(f: Activation, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (y, saved) = f.forward(Tensor::from_slice([x.len()], x).unwrap());
    let dx = f.backward(&saved, Tensor::full([x.len()], 1.0)).unwrap();
    (y.data().to_vec(), dx.data().to_vec())
}

fn same(got: &[f32], want: &[f32]) -> bool {
    let mut pairs = got.iter().zip(want);
    got.len() == want.len() && pairs.all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

/// PyTorch 2.15 gives the same, but for the gradients at NaN, where it depends on the number of elements.
#[test]
fn nan_and_infinities() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let table = [
        (Activation::Relu, [0.0, inf], [0.0, 1.0, 0.0]),
        (Activation::Relu6, [0.0, 6.0], [0.0, 0.0, 0.0]),
        (LEAKY, [-inf, inf], [0.01, 1.0, 0.01]),
        (Activation::LeakyRelu { slope: -0.5 }, [inf, inf], [-0.5, 1.0, -0.5]),
        (Activation::LeakyRelu { slope: 0.0 }, [nan, inf], [0.0, 1.0, 0.0]),
        (ELU, [-1.0, inf], [0.0, 1.0, nan]),
        (Activation::Elu { alpha: -0.5 }, [0.5, inf], [0.0, 1.0, nan]),
        (Activation::Elu { alpha: 0.0 }, [0.0, inf], [0.0, 1.0, nan]),
        (Activation::Sigmoid, [0.0, 1.0], [0.0, 0.0, nan]),
        (Activation::Tanh, [-1.0, 1.0], [0.0, 0.0, nan]),
        (SOFTPLUS, [0.0, inf], [0.0, 1.0, nan]),
        (Activation::Softplus { beta: -1.0, threshold: 20.0 }, [-inf, 0.0], [1.0, 0.0, nan]),
        (GELU, [nan, inf], [nan, nan, nan]),
        (GELU_TANH, [nan, inf], [nan, nan, nan]),
        (Activation::Silu, [nan, inf], [nan, nan, nan]),
        (HARD_SIGMOID, [0.0, 1.0], [0.0, 0.0, 0.0]),
        (Activation::HardSwish, [nan, inf], [0.0, 1.0, nan]),
        (Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }, [0.0, 1.0], [0.0, 0.0, 0.0]),
        (Activation::Hardtanh { min_val: -1.0, max_val: 2.0 }, [-1.0, 2.0], [0.0, 0.0, 0.0]),
        (Activation::Hardtanh { min_val: f32::MIN, max_val: f32::MAX }, [-inf, inf], [0.0, 0.0, 0.0]),
        (Activation::Threshold { threshold: 1.0, value: -3.0 }, [-3.0, inf], [0.0, 1.0, 0.0]),
        (Activation::Celu { alpha: 2.0 }, [-2.0, inf], [0.0, 1.0, nan]),
        (Activation::Celu { alpha: -2.0 }, [-inf, inf], [inf, 1.0, nan]),
        (Activation::Mish, [nan, inf], [nan, nan, nan]),
        (Activation::Softsign, [nan, nan], [0.0, 0.0, nan]),
        (Activation::Erf, [-1.0, 1.0], [0.0, 0.0, nan]),
        (Activation::Exp, [0.0, inf], [0.0, inf, nan]),
        (Activation::Log, [nan, inf], [0.0, 0.0, nan]),
        (Activation::Sqrt, [nan, inf], [nan, 0.0, nan]),
        (Activation::Abs, [inf, inf], [-1.0, 1.0, 0.0]),
        (Activation::Neg, [inf, -inf], [-1.0, -1.0, -1.0]),
        (Activation::Reciprocal, [0.0, 0.0], [0.0, 0.0, nan]),
        (Activation::Power { exponent: 2.0 }, [inf, inf], [-inf, inf, nan]),
        (Activation::Power { exponent: -1.0 }, [0.0, 0.0], [0.0, 0.0, nan]),
    ];
    everywhere(|| {
        for (f, [low, high], gradient) in table {
            let (y, dx) = values(f, &[-inf, inf, nan]);
            assert!(same(&y, &[low, high, nan]), "{f:?}: y is {y:?}");
            assert!(same(&dx, &gradient), "{f:?}: dx is {dx:?}");
        }
    });
}

/// At the infinities the output is what the definition gives there, and a NaN stays NaN.
#[test]
fn infinities_are_those_of_the_definition() {
    for f in samples() {
        let x = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
        let always_1 = f == Activation::Power { exponent: 0.0 };
        let want = x.map(|x| if x.is_nan() && !always_1 { x } else { oracle(f, f64::from(x)) as f32 });
        everywhere(|| {
            let (y, _) = values(f, &x);
            assert!(same(&y, &want), "{f:?}: y is {y:?}, the definition {want:?}");
        });
    }
}

#[test]
fn descriptions_are_short_and_complete() {
    for f in samples() {
        let json = serde_json::to_string(&f).unwrap();
        assert_eq!(serde_json::from_str::<Activation>(&json).unwrap(), f, "{json}");
    }
    for (f, name) in Activation::all().into_iter().zip(Activation::NAMES) {
        let json = format!(r#"{{"type":"{name}"}}"#);
        assert_eq!((serde_json::from_str(&json).ok(), f.name()), (Some(f), *name));
    }
    let json = |f: Activation| serde_json::to_string(&f).unwrap();
    assert_eq!(json(Activation::Relu6), r#"{"type":"relu6"}"#);
    assert_eq!(json(Activation::LeakyRelu { slope: 0.5 }), r#"{"type":"leaky_relu","slope":0.5}"#);
    assert_eq!(json(SOFTPLUS), r#"{"type":"softplus","beta":1.0,"threshold":20.0}"#);
    assert_eq!(json(GELU_TANH), r#"{"type":"gelu","approximate":"tanh"}"#);
    let fault = |json| serde_json::from_str::<Activation>(json).unwrap_err().to_string();
    assert!(fault(r#"{"type":"relu","slope":0.5}"#).starts_with("unknown field `slope`"));
    assert!(
        fault(r#"{"type":"leaky_relu","alpha":0.5}"#).starts_with("unknown field `alpha`, expected `slope`")
    );
}

#[test]
fn scaled_tanh_ends_at_its_amplitude() {
    let (y, dx) = values(Activation::ScaledTanh, &[f32::NEG_INFINITY, f32::INFINITY, f32::NAN]);
    assert!(same(&y, &[-kernels::AMPLITUDE, kernels::AMPLITUDE, f32::NAN]));
    assert!(dx[0].abs() < 1e-6 && dx[1].abs() < 1e-6 && dx[2].is_nan());
}

#[test]
fn gradients_at_kinks() {
    let table: [(Activation, &[f32], &[f32]); 15] = [
        (Activation::Relu, &[0.0, -0.0, 1e-40, -1e-40], &[0.0, 0.0, 1.0, 0.0]),
        (Activation::Relu6, &[0.0, -0.0, 6.0, 6f32.next_down()], &[0.0, 0.0, 0.0, 1.0]),
        (LEAKY, &[0.0, -0.0], &[0.01, 0.01]),
        (Activation::LeakyRelu { slope: -0.5 }, &[0.0, -0.0], &[-0.5, -0.5]),
        (Activation::Elu { alpha: 0.75 }, &[0.0, -0.0], &[0.75, 0.75]),
        (Activation::Elu { alpha: -0.75 }, &[0.0, -0.0], &[-0.75, -0.75]),
        (HARD_SIGMOID, &[-3.0, 3.0, (-3f32).next_up(), 3f32.next_down()], &[0.0, 0.0, 1.0 / 6.0, 1.0 / 6.0]),
        (Activation::HardSwish, &[-3.0, 3.0, 0.0], &[0.0, 1.0, 0.5]),
        (Activation::HardSigmoid { alpha: 0.5, beta: 0.5 }, &[-1.0, 1.0, 0.0], &[0.0, 0.0, 0.5]),
        (
            Activation::Hardtanh { min_val: -2.0, max_val: 3.0 },
            &[-2.0, (-2f32).next_up(), 3f32.next_down(), 3.0],
            &[0.0, 1.0, 1.0, 0.0],
        ),
        (Activation::Threshold { threshold: 2.0, value: 5.0 }, &[2.0, 2f32.next_up()], &[0.0, 1.0]),
        (Activation::Celu { alpha: 2.0 }, &[0.0, -0.0], &[1.0, 1.0]),
        (Activation::Abs, &[0.0, -0.0, 1e-40, -1e-40], &[0.0, 0.0, 1.0, -1.0]),
        (Activation::Sqrt, &[0.0, 4.0], &[f32::INFINITY, 0.25]),
        (Activation::Power { exponent: 0.0 }, &[0.0, -1.0], &[0.0, 0.0]),
    ];
    everywhere(|| {
        for (f, x, want) in table {
            assert_eq!(values(f, x).1, want, "{f:?}");
        }
        let (_, inside) = values(Activation::HardSwish, &[(-3f32).next_up(), 3f32.next_down()]);
        assert!((inside[0] + 0.5).abs() < 1e-6 && (inside[1] - 1.5).abs() < 1e-6);
    });
}

#[test]
fn finite_numbers_give_finite_results() {
    let x = [f32::MIN, -1e30, -1e20, -100.0, 100.0, 1e20, 1e30, f32::MAX];
    let ones = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    everywhere(|| {
        for f in [GELU, GELU_TANH, Activation::Silu, Activation::HardSwish, Activation::Mish, SOFTPLUS] {
            let (y, dx) = values(f, &x);
            assert_eq!(y[4..], x[4..], "{f:?}");
            assert!(y[..4].iter().all(|y| y.abs() < 1e-30), "{f:?}: {y:?}");
            assert!(dx.iter().zip(ones).all(|(dx, want)| (dx - want).abs() < 1e-6), "{f:?}: {dx:?}");
        }
    });
}

#[test]
fn small_numbers_keep_their_digits() {
    let x = [-1e-20, 1e-20, -1e-5];
    for f in [ELU, Activation::Celu { alpha: 2.0 }, Activation::Tanh] {
        everywhere(|| {
            let (y, _) = values(f, &x);
            assert!(y.iter().zip(x).all(|(y, x)| (y / x - 1.0).abs() < 1e-5), "{f:?}: {y:?}");
        });
    }
}

/// The defaults of a hard sigmoid have a formula of their own, which is that of all options but for rounding.
#[test]
fn hard_sigmoids_of_neighbouring_options_agree() {
    let x = [-3.5, -3.0, -1.0, 0.0, 2.0, 2.9, 3.0, 3.1];
    let (y, _) = values(HARD_SIGMOID, &x);
    assert_eq!(y, x.map(|x: f32| (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0)));
    let (near, _) = values(Activation::HardSigmoid { alpha: (1f32 / 6.0).next_up(), beta: 0.5 }, &x);
    assert!(y.iter().zip(near).all(|(y, near)| (y - near).abs() < 1e-6));
}

#[test]
fn a_bound_that_stands_for_none_is_written_as_a_number() {
    let open = Activation::Hardtanh { min_val: 0.0, max_val: f32::MAX };
    let json = serde_json::to_string(&open).unwrap();
    assert_eq!(json, r#"{"type":"hardtanh","min_val":0.0,"max_val":3.4028235e+38}"#);
    assert_eq!(serde_json::from_str::<Activation>(&json).unwrap(), open);
    assert_eq!(values(open, &[-1.0, f32::MAX, f32::INFINITY]).0, [0.0, f32::MAX, f32::INFINITY]);
}

#[test]
fn scaled_tanh_maps_one_to_one() {
    let (y, _) = values(Activation::ScaledTanh, &[1.0, -1.0]);
    assert!((y[0] - 1.0).abs() < 1e-4 && y[1] == -y[0]);
}

#[test]
fn memory_is_used_again_unless_it_is_shared_or_needed() {
    for f in samples() {
        let x = Tensor::full([5], 1.0);
        let memory = x.data().as_ptr();
        let y = f.infer(x);
        assert_eq!(y.data().as_ptr(), memory);
        let kept = y.clone();
        assert_ne!(f.infer(y).data().as_ptr(), kept.data().as_ptr());
        let x = Tensor::full([5], 1.0);
        let memory = x.data().as_ptr();
        let (y, saved) = f.forward(x);
        assert_eq!(y.data().as_ptr() == memory, f.output_suffices(), "{f:?}");
        let dy = Tensor::full([5], 1.0);
        let memory = dy.data().as_ptr();
        assert_eq!(f.backward(&saved, dy).unwrap().data().as_ptr(), memory);
    }
}

#[test]
fn an_empty_tensor_stays_empty() {
    for f in samples() {
        let (y, saved) = f.forward(Tensor::zeros([0, 3]));
        assert_eq!(f.backward(&saved, y).unwrap(), Tensor::zeros([0, 3]));
    }
}

#[test]
fn threads_change_nothing() {
    let (x, dy) = (distinct([3 * CHUNK + 5], 0), distinct([3 * CHUNK + 5], 1));
    for f in samples() {
        assert_same_bits_on_any_threads(|| {
            let (y, saved) = f.forward(x.clone());
            let dx = f.backward(&saved, dy.clone()).unwrap();
            vec![y, dx]
        });
    }
}

#[test]
fn dy_has_the_shape_of_y() {
    for f in samples() {
        let (_, saved) = f.forward(Tensor::zeros([2, 3]));
        let error = f.backward(&saved, Tensor::zeros([3, 2])).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: dy expects shape [2, 3], got [3, 2]", f.name()));
    }
}
