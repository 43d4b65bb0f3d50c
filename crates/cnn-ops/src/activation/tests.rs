use super::*;
use crate::testing::{any_number_of_rejects, any_shape, assert_same_bits_on_any_threads, everywhere};
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, erf, to_f64};
use proptest::prelude::*;

/// The definition, in f64.
fn oracle(f: Activation, x: f64) -> f64 {
    let hard_sigmoid = ((x + 3.0) / 6.0).clamp(0.0, 1.0);
    let or_if_negative = |y: f64| if x > 0.0 { x } else { y };
    match f {
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => or_if_negative(f64::from(slope) * x),
        Activation::Elu { alpha } => or_if_negative(f64::from(alpha) * x.exp_m1()),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::ScaledTanh => 1.7159 * (2.0 * x / 3.0).tanh(),
        Activation::Softplus { beta, threshold } => {
            let (beta, threshold) = (f64::from(beta), f64::from(threshold));
            if beta * x > threshold { x } else { (beta * x).exp().ln_1p() / beta }
        }
        Activation::Gelu { approximate: Approximate::None } => x * (1.0 + erf(x / 2f64.sqrt())) / 2.0,
        Activation::Gelu { approximate: Approximate::Tanh } => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            x * (1.0 + u.tanh()) / 2.0
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::HardSigmoid => hard_sigmoid,
        Activation::HardSwish => x * hard_sigmoid,
    }
}

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.01 };
const ELU: Activation = Activation::Elu { alpha: 1.0 };
const SOFTPLUS: Activation = Activation::Softplus { beta: 1.0, threshold: 20.0 };
const GELU: Activation = Activation::Gelu { approximate: Approximate::None };
const GELU_TANH: Activation = Activation::Gelu { approximate: Approximate::Tanh };
const WITHOUT_OPTIONS: [Activation; 10] = [
    Activation::Relu,
    Activation::Relu6,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::ScaledTanh,
    GELU,
    GELU_TANH,
    Activation::Silu,
    Activation::HardSigmoid,
    Activation::HardSwish,
];
const DEFAULTS: [Activation; 13] = [
    Activation::Relu,
    Activation::Relu6,
    LEAKY,
    ELU,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::ScaledTanh,
    SOFTPLUS,
    GELU,
    GELU_TANH,
    Activation::Silu,
    Activation::HardSigmoid,
    Activation::HardSwish,
];

fn any_activation() -> impl Strategy<Value = Activation> {
    let option = || prop_oneof![-3.0..3.0f32, Just(0.0), Just(1.0)];
    let beta = prop_oneof![0.1..4.0f32, -4.0..-0.1f32, Just(1.0)];
    prop_oneof![
        10 => prop::sample::select(WITHOUT_OPTIONS.to_vec()),
        2 => option().prop_map(|slope| Activation::LeakyRelu { slope }),
        2 => option().prop_map(|alpha| Activation::Elu { alpha }),
        2 => (beta, prop_oneof![Just(20.0), -5.0..30.0f32])
            .prop_map(|(beta, threshold)| Activation::Softplus { beta, threshold }),
    ]
}

/// Moves a number that lies within a difference step of where `f` bends or jumps.
fn off_kinks(f: Activation, x: f32) -> f32 {
    let mut kinks = vec![-3.0, 3.0, 6.0];
    if let Activation::Softplus { beta, threshold } = f {
        kinks.push(threshold / beta);
    }
    if kinks.into_iter().any(|kink| (x - kink).abs() < 1e-3) { x + 0.01 } else { x }
}

proptest! {
    #![proptest_config(any_number_of_rejects())]

    #[test]
    fn matches_the_definition(f in any_activation(), n in 0..70usize,
                              scale in prop::sample::select(vec![0.01, 1.0, 10.0, 100.0f32]), seed: u64) {
        let mut x = distinct([n], seed);
        x.data_mut().iter_mut().for_each(|x| *x = off_kinks(f, *x * scale));
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
        let x = crate::testing::whole_numbers([n], 9, seed);
        let dy = crate::testing::whole_numbers([n], 100, seed ^ 1);
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
                crate::testing::assert_exact("y", &got, &y);
                crate::testing::assert_exact("dx", &f.backward(&saved, dy.clone()).unwrap(), &dx);
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
        for f in with_options.into_iter().chain(DEFAULTS) {
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

/// What PyTorch 2.15 gives too, but for the gradients at NaN, where it depends on the number of elements.
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
        (Activation::HardSigmoid, [0.0, 1.0], [0.0, 0.0, 0.0]),
        (Activation::HardSwish, [nan, inf], [0.0, 1.0, nan]),
    ];
    everywhere(|| {
        for (f, [low, high], gradient) in table {
            let (y, dx) = values(f, &[-inf, inf, nan]);
            assert!(same(&y, &[low, high, nan]), "{f:?}: y is {y:?}");
            assert!(same(&dx, &gradient), "{f:?}: dx is {dx:?}");
        }
    });
}

#[test]
fn scaled_tanh_ends_at_its_amplitude() {
    let (y, dx) = values(Activation::ScaledTanh, &[f32::NEG_INFINITY, f32::INFINITY, f32::NAN]);
    assert!(same(&y, &[-kernels::A, kernels::A, f32::NAN]));
    assert!(dx[0].abs() < 1e-6 && dx[1].abs() < 1e-6 && dx[2].is_nan());
}

#[test]
fn gradients_at_kinks() {
    let table: [(Activation, &[f32], &[f32]); 8] = [
        (Activation::Relu, &[0.0, -0.0, 1e-40, -1e-40], &[0.0, 0.0, 1.0, 0.0]),
        (Activation::Relu6, &[0.0, -0.0, 6.0, 6f32.next_down()], &[0.0, 0.0, 0.0, 1.0]),
        (LEAKY, &[0.0, -0.0], &[0.01, 0.01]),
        (Activation::LeakyRelu { slope: -0.5 }, &[0.0, -0.0], &[-0.5, -0.5]),
        (Activation::Elu { alpha: 0.75 }, &[0.0, -0.0], &[0.75, 0.75]),
        (Activation::Elu { alpha: -0.75 }, &[0.0, -0.0], &[-0.75, -0.75]),
        (
            Activation::HardSigmoid,
            &[-3.0, 3.0, (-3f32).next_up(), 3f32.next_down()],
            &[0.0, 0.0, 1.0 / 6.0, 1.0 / 6.0],
        ),
        (Activation::HardSwish, &[-3.0, 3.0, 0.0], &[0.0, 1.0, 0.5]),
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
        for f in [GELU, GELU_TANH, Activation::Silu, Activation::HardSwish, SOFTPLUS] {
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
    for f in [ELU, Activation::Tanh] {
        everywhere(|| {
            let (y, _) = values(f, &x);
            assert!(y.iter().zip(x).all(|(y, x)| (y / x - 1.0).abs() < 1e-5), "{f:?}: {y:?}");
        });
    }
}

#[test]
fn scaled_tanh_maps_one_to_one() {
    let (y, _) = values(Activation::ScaledTanh, &[1.0, -1.0]);
    assert!((y[0] - 1.0).abs() < 1e-4 && y[1] == -y[0]);
}

#[test]
fn memory_is_used_again_unless_it_is_shared_or_needed() {
    for f in DEFAULTS {
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
    for f in DEFAULTS {
        let (y, saved) = f.forward(Tensor::zeros([0, 3]));
        assert_eq!(f.backward(&saved, y).unwrap(), Tensor::zeros([0, 3]));
    }
}

#[test]
fn threads_change_nothing() {
    let (x, dy) = (distinct([3 * CHUNK + 5], 0), distinct([3 * CHUNK + 5], 1));
    for f in DEFAULTS {
        assert_same_bits_on_any_threads(|| {
            let (y, saved) = f.forward(x.clone());
            let dx = f.backward(&saved, dy.clone()).unwrap();
            vec![y, dx]
        });
    }
}

#[test]
fn dy_has_the_shape_of_y() {
    for f in DEFAULTS {
        let (_, saved) = f.forward(Tensor::zeros([2, 3]));
        let error = f.backward(&saved, Tensor::zeros([3, 2])).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: dy expects shape [2, 3], got [3, 2]", f.name()));
    }
}
