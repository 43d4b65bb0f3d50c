use super::algorithm::{ALGORITHMS, fastest};
use super::terms::{Case, Term, distinct_by, places, whole_by};
use super::*;
use crate::shared::testing::{any_extent, any_shape, everywhere};
use cnn_tensor::parallel::Threads;
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::testing::{assert_close, distinct, to_f64};
use proptest::prelude::*;

/// The definition, term by term.
fn terms(op: Conv2d, x: Shape, weight: Shape) -> Vec<Term> {
    let [n, c_in, h, w] = x.nchw().unwrap();
    let [c_out, c, kh, kw] = weight.nchw().unwrap();
    let [_, _, oh, ow] = op.output_shape(x, weight).unwrap().nchw().unwrap();
    let [[top, _], [left, _]] = op.padding.resolve([h, w], op.kernel, op.stride, op.dilation);
    let mut terms = vec![];
    for (y, [n, co, i, j]) in places([n, c_out, oh, ow]) {
        for (tap, [_, ci, a, b]) in places([1, c, kh, kw]) {
            let row = (i * op.stride[0] + a * op.dilation[0]).wrapping_sub(top);
            let column = (j * op.stride[1] + b * op.dilation[1]).wrapping_sub(left);
            if row < h && column < w {
                let channel = co / (c_out / op.groups) * c + ci;
                let x = ((n * c_in + channel) * h + row) * w + column;
                terms.push([y, co * c * kh * kw + tap, x]);
            }
        }
    }
    terms
}

/// A case, if the options fit.
fn case(op: Conv2d, x: [usize; 4], c_out: usize, numbers: impl Fn(Shape, u64) -> Tensor) -> Option<Case> {
    let x = Shape::from(x);
    let weight = op.weight_shape(x, c_out).ok()?;
    let y = op.output_shape(x, weight).ok()?;
    Some(Case::new([x, weight, y], terms(op, x, weight), numbers))
}

const LANES: &dyn Algorithm = &lanes::Lanes;
const WINOGRAD: &dyn Algorithm = &winograd::Winograd;
const POLYPHASE: &dyn Algorithm = &polyphase::Polyphase;
const IM2COL: &dyn Algorithm = &im2col::Im2col;

/// The algorithms that can compute a case.
fn algorithms(op: Conv2d, case: &Case) -> Vec<&'static dyn Algorithm> {
    let extents = op.extents(case.x.shape(), case.weight.shape()).unwrap();
    ALGORITHMS.into_iter().filter(|algorithm| algorithm.is_possible(&extents)).collect()
}

/// Whether an algorithm is among those that can compute a case.
fn is_possible(op: Conv2d, case: &Case, algorithm: &dyn Algorithm) -> bool {
    algorithm.is_possible(&op.extents(case.x.shape(), case.weight.shape()).unwrap())
}

/// `y`, `dx`, `dweight` and `dbias`.
fn run(op: Conv2d, case: &Case, algorithm: &'static dyn Algorithm) -> [Tensor; 4] {
    let weight = &case.weight;
    let (y, saved) = op.forward_by(|_| algorithm, &case.x, weight, Some(&case.bias)).unwrap();
    let (mut dweight, mut dbias) = (Tensor::zeros(weight.shape()), Tensor::zeros(case.bias.shape()));
    let dx = op.backward(&saved, weight, &case.dy, &mut dweight, Some(&mut dbias)).unwrap();
    [y, dx, dweight, dbias]
}

/// By every algorithm.
fn run_all(op: Conv2d) -> impl Fn(&Case) -> Vec<[Tensor; 4]> + Sync {
    move |case| algorithms(op, case).into_iter().map(|algorithm| run(op, case, algorithm)).collect()
}

prop_compose! {
    /// All options, half of the strides 1.
    fn options()(
        groups in 1..4usize,
        kernel in prop::array::uniform2(1..4usize), stride in prop::array::uniform2(1..4usize), unit: bool,
        padding in paddings(), dilation in prop::array::uniform2(1..3usize),
    ) -> Conv2d {
        Conv2d { kernel, stride: if unit { [1, 1] } else { stride }, padding, dilation, groups }
    }
}

/// Every kind of padding, and more than the window on each side.
fn paddings() -> impl Strategy<Value = Padding> {
    let side = || prop_oneof![3 => 0..3usize, 1 => 0..8usize];
    let sides = prop::array::uniform2(prop::array::uniform2(side()));
    prop_oneof![
        4 => sides.prop_map(Padding::from),
        1 => Just(Padding::Valid),
        2 => Just(Padding::Same),
    ]
}

prop_compose! {
    /// Small enough for differences. Groups of one channel are depthwise.
    fn small_cases()(
        op in options(), n in 1..3usize, c_in in 1..3usize, c_out in 1..3usize,
        hw in prop::array::uniform2(1..5usize), seed: u64,
    ) -> Option<(Conv2d, Case)> {
        let x = [n, op.groups * c_in, hw[0], hw[1]];
        Some((op, case(op, x, op.groups * c_out, distinct_by(seed))?))
    }
}

prop_compose! {
    /// Batches of several blocks of sixteen images and rests, channels for every register tile, rows for several vectors.
    fn larger_cases()(
        op in options(), n in 1..40usize, c_in in 1..4usize, c_out in 1..14usize,
        hw in prop::array::uniform2(1..8usize), seed: u64,
    ) -> Option<(Conv2d, Case)> {
        let x = [n, op.groups * c_in, hw[0], hw[1]];
        let terms = n * c_in * op.kernel[0] * op.kernel[1] * hw[0] * hw[1] * op.groups * c_out;
        if terms < 6_000 { Some((op, case(op, x, op.groups * c_out, whole_by(seed))?)) } else { None }
    }
}

proptest! {
    #![proptest_config(crate::shared::testing::any_number_of_rejects())]

    #[test]
    fn matches_the_definition((op, case) in small_cases().prop_filter_map("the window fits", |case| case)) {
        case.matches_the_definition(run_all(op));
    }

    #[test]
    fn whole_numbers_are_exact((op, case) in larger_cases().prop_filter_map("the window fits", |case| case)) {
        case.is_exact(run_all(op));
    }

    /// No options and shapes, however absurd, make an operation panic or take memory out of proportion; what the shape
    /// rule takes, the operation computes.
    #[test]
    fn absurd_options_are_errors(
        kernel in any_pair(), stride in any_pair(), dilation in any_pair(), groups in any_extent(),
        padding in prop_oneof![
            (any_pair(), any_pair()).prop_map(|(rows, columns)| Padding::from([rows, columns])),
            Just(Padding::Same),
        ],
        x in prop_oneof![any_shape(), prop::array::uniform4(any_extent()).prop_map(Shape::from)], c_out in any_extent(),
        weight in prop::option::weighted(0.2, any_shape()),
    ) {
        let op = Conv2d { kernel, stride, padding, dilation, groups };
        let fitting = op.weight_shape(x, c_out);
        let Some(weight) = weight.or(fitting.ok()) else { return Ok(()) };
        let _ = op.macs(x, weight);
        let Ok(y) = op.output_shape(x, weight) else { return Ok(()) };
        let macs = op.macs(x, weight).unwrap();
        if macs < 1 << 20 && [x, weight, y].iter().all(|shape| shape.numel() < 100_000) {
            let (x, weight, dy) = (Tensor::zeros(x), Tensor::zeros(weight), Tensor::zeros(y));
            let (got, saved) = op.forward(&x, &weight, None).unwrap();
            prop_assert_eq!(got, dy.clone());
            let mut dweight = Tensor::zeros(weight.shape());
            let dx = op.backward(&saved, &weight, &dy, &mut dweight, None).unwrap();
            prop_assert_eq!(dx, x);
        }
    }
}

prop_compose! {
    /// Tiles of every kind: alone, in rows, beyond the plane; padding on every side; several blocks and pieces.
    fn winograd_cases()(
        n in 1..6usize, c_in in 1..4usize, c_out in 1..6usize, hw in prop::array::uniform2(1..14usize),
        size in prop::sample::select(vec![3, 5]), padding in prop::array::uniform2(prop::array::uniform2(0..5usize)),
        seed: u64,
    ) -> Option<(Conv2d, Case)> {
        let op = Conv2d::new([size; 2]).padding(padding.map(|sides| sides.map(|side| side.min(size - 1))));
        let (x, c_out) = ([n, 16 * c_in, hw[0], hw[1]], 16 * c_out);
        let terms = x.iter().product::<usize>() * c_out * size * size;
        if terms < 1_000_000 { Some((op, case(op, x, c_out, distinct_by(seed))?)) } else { None }
    }
}

/// The transforms add numbers up to a hundred times as large as their results, so an error is up to some hundred roundings
/// of 2^-24.
const WINOGRAD_TOLERANCE: f64 = 200.0 / (1 << 24) as f64;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..crate::shared::testing::any_number_of_rejects() })]

    #[test]
    fn winograd_matches_the_definition((op, case) in winograd_cases().prop_filter_map("fits", |case| case)) {
        assert!(is_possible(op, &case, WINOGRAD));
        case.is_close(WINOGRAD_TOLERANCE, |case| vec![run(op, case, WINOGRAD)]);
    }
}

prop_compose! {
    /// Strides that make up to 32 phases of the channels, windows of 3 or 5 in each, full or not; any padding, and rests.
    fn polyphase_cases()(
        n in 1..4usize, c_out in 1..3usize, hw in prop::array::uniform2(1..30usize),
        (stride, c_in) in prop::sample::select(vec![([4, 4], 1), ([4, 4], 2), ([2, 2], 3), ([2, 4], 2), ([1, 2], 5), ([1, 1], 3)]),
        size in prop::sample::select(vec![3, 5]), missing in prop::array::uniform2(0..4usize), padding in paddings(),
        seed: u64,
    ) -> Option<(Conv2d, Case)> {
        let kernel = [0, 1].map(|i| size * stride[i] - missing[i] % stride[i]);
        let op = Conv2d::new(kernel).stride(stride).padding(padding);
        let (x, c_out) = ([n, c_in, hw[0], hw[1]], 16 * c_out);
        let terms = x.iter().product::<usize>() * c_out * kernel[0] * kernel[1];
        if terms < 1_000_000 { Some((op, case(op, x, c_out, distinct_by(seed))?)) } else { None }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..crate::shared::testing::any_number_of_rejects() })]

    #[test]
    fn polyphase_matches_the_definition((op, case) in polyphase_cases().prop_filter_map("fits", |case| case)) {
        assert!(is_possible(op, &case, POLYPHASE));
        case.is_close(WINOGRAD_TOLERANCE, |case| vec![run(op, case, POLYPHASE)]);
    }
}

/// Strides and windows that make phases for Winograd, and little padding.
#[test]
fn polyphase_suits_the_first_layer_of_alexnet() {
    let suits = |op: Conv2d, x: [usize; 4], c_out| {
        let weight = op.weight_shape(x.into(), c_out).unwrap();
        POLYPHASE.suits(&op.extents(x.into(), weight).unwrap())
    };
    let first = Conv2d::new([11, 11]).stride([4, 4]);
    assert!(suits(first.padding(2), [8, 3, 224, 224], 64) && suits(first, [8, 3, 227, 227], 96));
    assert!(suits(Conv2d::new([3, 3]).padding(1), [64, 24, 31, 31], 64), "channels of zeros");
    assert!(!suits(Conv2d::new([3, 3]).padding(1), [64, 3, 32, 32], 64), "mostly channels of zeros");
    assert!(!suits(first.padding(300), [8, 3, 24, 24], 64), "mostly padding");
    assert!(!suits(Conv2d::new([7, 7]).stride([2, 2]), [8, 3, 224, 224], 64), "windows of 4 x 4");
}

/// Many channels and tiles, as in a net: against the products, which round less.
#[test]
fn winograd_agrees_with_products_where_it_is_used() {
    for (size, x, c_out) in [
        (3, [9, 64, 13, 13], 80),
        (3, [17, 96, 4, 4], 32),
        (5, [5, 64, 27, 27], 48),
        (3, [3, 64, 14, 14], 80),
        (5, [1, 64, 27, 27], 96),
    ] {
        let op = Conv2d::new([size; 2]).padding(size / 2);
        let case = case_without_terms(op, x, c_out);
        let chosen = fastest(&op.extents(case.x.shape(), case.weight.shape()).unwrap());
        assert_eq!(format!("{chosen:?}"), "Winograd");
        let want = run(op, &case, IM2COL).map(|t| to_f64(&t));
        everywhere(|| {
            for (got, want) in run(op, &case, WINOGRAD).iter().zip(&want) {
                let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                let errors = to_f64(got).into_iter().zip(want).map(|(got, want)| (got - want).abs());
                let worst = errors.fold(0.0, f64::max);
                assert!(worst <= 1e-5 * largest, "{worst} of {largest}");
            }
        });
    }
}

/// Where it wins: many channels, tiles that mostly lie in the plane, a batch for a few threads, 3 x 3 and nothing else.
#[test]
fn winograd_suits_deep_layers_of_small_windows() {
    let suits = |op: Conv2d, x: [usize; 4], c_out| {
        let weight = op.weight_shape(x.into(), c_out).unwrap();
        WINOGRAD.suits(&op.extents(x.into(), weight).unwrap())
    };
    let op = Conv2d::new([3, 3]).padding(1);
    assert!(
        suits(op, [8, 64, 32, 32], 64) && suits(op, [64, 512, 4, 4], 512) && suits(op, [8, 64, 13, 13], 64)
    );
    assert!(!suits(op, [8, 16, 32, 32], 64) && !suits(op, [8, 64, 32, 32], 16), "few channels");
    assert!(!suits(op, [8, 72, 32, 32], 64), "channels that fill no vectors");
    assert!(!suits(op, [8, 64, 2, 2], 64), "tiles that are mostly outside");
    assert!(suits(op, [1, 64, 13, 13], 64) && !suits(op, [1, 64, 7, 7], 64), "one image of few tiles");
    assert!(!suits(op.stride([2, 2]), [8, 64, 32, 32], 64) && !suits(op.groups(2), [8, 64, 32, 32], 64));
    assert!(!suits(op.padding(3), [8, 64, 32, 32], 64) && !suits(Conv2d::new([3, 5]), [8, 64, 32, 32], 64));
    assert!(suits(Conv2d::new([5, 5]).padding(2), [32, 64, 27, 27], 192), "AlexNet's second");
}

/// A case to compare algorithms by.
fn case_without_terms(op: Conv2d, x: [usize; 4], c_out: usize) -> Case {
    let x = Shape::from(x);
    let weight = op.weight_shape(x, c_out).unwrap();
    let y = op.output_shape(x, weight).unwrap();
    Case::new([x, weight, y], [], distinct)
}

fn any_pair() -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(any_extent())
}

/// Batches that fill blocks of sixteen in every way, LeNet-5's layers.
#[test]
fn algorithms_agree_on_larger_shapes() {
    let lenet = Conv2d::new([5, 5]);
    let cases = [
        (lenet.padding(2), [17, 1, 28, 28], 6),
        (lenet, [32, 6, 14, 14], 16),
        (Conv2d::new([3, 2]).dilation([2, 1]).padding([[1, 3], [0, 1]]), [15, 3, 9, 13], 13),
        (Conv2d::new([3, 3]).groups(4).padding(Padding::Same), [33, 4, 8, 7], 20),
    ];
    for (op, x, c_out) in cases {
        let case = case(op, x, c_out, distinct).unwrap();
        let want = run(op, &case, IM2COL).map(|t| to_f64(&t));
        for &level in Level::all() {
            with_level(level, || {
                let got = run(op, &case, LANES);
                for (got, want) in got.iter().zip(&want) {
                    let largest = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                    for (got, want) in got.data().iter().zip(want) {
                        assert!((f64::from(*got) - want).abs() < 1e-5 * largest, "{got} instead of {want}");
                    }
                }
            });
        }
    }
}

#[test]
fn threads_change_nothing() {
    for (op, x, c_out) in [
        (Conv2d::new([5, 5]).padding([[2, 1], [0, 2]]), [37, 3, 12, 11], 7),
        (Conv2d::new([3, 3]).stride([2, 1]).groups(3).padding(Padding::Same), [19, 6, 9, 9], 9),
        (Conv2d::new([3, 3]).padding(1), [11, 32, 9, 6], 48),
        (Conv2d::new([5, 5]).padding(2), [11, 32, 5, 6], 16),
    ] {
        let case = case(op, x, c_out, distinct).unwrap();
        for algorithm in algorithms(op, &case) {
            let one = Threads::new(1).unwrap().run(|| run(op, &case, algorithm));
            for threads in [2, 3, 8] {
                let pool = Threads::new(threads).unwrap();
                assert_eq!(one, pool.run(|| run(op, &case, algorithm)), "the same bits for any threads");
            }
        }
    }
}

/// Convolution is linear: `<conv(x), dy> = <x, dx> = <weight, dweight>`, also where differences would be too slow.
#[test]
fn backward_is_the_adjoint_of_forward() {
    let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
    for (op, x, c_out) in [
        (Conv2d::new([11, 11]).stride([4, 4]).padding(2), [2, 3, 63, 63], 16),
        (Conv2d::new([5, 5]).padding(2).groups(2), [3, 16, 27, 27], 32),
        (Conv2d::new([3, 3]).padding(1), [40, 8, 14, 14], 12),
    ] {
        let mut case = case(op, x, c_out, distinct).unwrap();
        case.bias = Tensor::zeros([c_out]);
        for algorithm in algorithms(op, &case) {
            let [y, dx, dweight, _] = run(op, &case, algorithm);
            let want = dot(&y, &case.dy);
            for (a, b) in [(&case.x, &dx), (&case.weight, &dweight)] {
                assert!((dot(a, b) - want).abs() <= 1e-4 * want.abs().max(1.0), "{algorithm:?}");
            }
        }
    }
}

#[test]
fn the_gradient_of_the_input_is_the_same_alone() {
    let op = Conv2d::new([3, 3]).padding([1, 1]);
    let case = case(op, [17, 3, 6, 5], 2, distinct).unwrap();
    for algorithm in algorithms(op, &case) {
        let [_, dx, ..] = run(op, &case, algorithm);
        let (_, saved) = op.forward_by(|_| algorithm, &case.x, &case.weight, None).unwrap();
        let alone = op.backward_input(&saved, &case.weight, &case.dy).unwrap();
        assert_eq!(alone.data(), dx.data(), "{algorithm:?}");
        assert!(op.backward_input(&saved, &case.weight, &case.x).is_err());
    }
}

#[test]
fn gradients_of_parameters_are_added() {
    let op = Conv2d::new([2, 2]);
    let case = case(op, [16, 2, 3, 3], 2, distinct).unwrap();
    for algorithm in algorithms(op, &case) {
        let [_, _, dweight, dbias] = run(op, &case, algorithm);
        let (_, saved) = op.forward_by(|_| algorithm, &case.x, &case.weight, None).unwrap();
        let (mut dweight_again, mut dbias_again) =
            (Tensor::full(dweight.shape(), 1.0), Tensor::full([2], 2.0));
        op.backward_parameters(&saved, &case.weight, &case.dy, &mut dweight_again, Some(&mut dbias_again))
            .unwrap();
        let plus = |t: &Tensor, by: f64| to_f64(t).iter().map(|v| v + by).collect::<Vec<f64>>();
        assert_close(&dweight_again, &plus(&dweight, 1.0));
        assert_close(&dbias_again, &plus(&dbias, 2.0));
    }
}

#[test]
fn empty_batches_and_channels_are_empty_results() {
    for (x, c_out) in [([0, 2, 5, 5], 3), ([2, 2, 5, 5], 0), ([2, 0, 5, 5], 3)] {
        let op = Conv2d::new([3, 3]);
        let case = case(op, x, c_out, distinct).unwrap();
        for algorithm in algorithms(op, &case) {
            let [y, dx, ..] = run(op, &case, algorithm);
            assert_eq!(y.shape(), [x[0], c_out, 3, 3].into());
            assert!(dx.data().iter().all(|&v| v == 0.0), "no output depends on the input");
            let bias_alone =
                y.data().iter().enumerate().all(|(i, &v)| v == case.bias.data()[i / 9 % c_out.max(1)]);
            assert!(bias_alone, "{algorithm:?} {x:?}");
        }
    }
}

/// A window that sees only padding yields the bias, and an image of no rows or columns has no other.
#[test]
fn padding_counts_as_zero() {
    let op = Conv2d::new([1, 1]).padding([2, 0]);
    let (weight, bias) = (Tensor::full([1, 1, 1, 1], 3.0), Tensor::full([1], 0.5));
    let y = op.infer(&Tensor::full([1, 1, 1, 1], 7.0), &weight, Some(&bias)).unwrap();
    assert_eq!(y.data(), [0.5, 0.5, 21.5, 0.5, 0.5]);
    let y = op.infer(&Tensor::zeros([1, 1, 0, 2]), &weight, Some(&bias)).unwrap();
    assert_eq!((y.shape(), y.data()), ([1, 1, 4, 2].into(), &[0.5; 8][..]));
    let far = Conv2d::new([1, 1]).padding([[0, 0], [0, 1 << 40]]).stride([1, 1 << 40]);
    let y = far.infer(&Tensor::full([1, 1, 1, 1], 7.0), &weight, Some(&bias)).unwrap();
    assert_eq!(y.data(), [21.5, 0.5]);
}

/// PyTorch's `conv2d(..., padding="same")` on these numbers, whose odd column is the right one.
#[test]
fn same_padding_keeps_the_extent_and_puts_the_odd_column_right() {
    let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 2.0, 3.0]).unwrap();
    let weight = Tensor::from_vec([1, 1, 1, 2], vec![10.0, 1.0]).unwrap();
    let op = Conv2d::new([1, 2]).padding(Padding::Same);
    assert_eq!(op.infer(&x, &weight, None).unwrap().data(), [12.0, 23.0, 30.0]);
    let strided = op.stride([1, 2]);
    assert_eq!(strided.infer(&x, &weight, None).unwrap().data(), [12.0, 30.0]);
}

#[test]
fn nan_and_infinity_are_values() {
    for n in [1, 16] {
        let mut x = Tensor::full([n, 1, 1, 3], 1.0);
        x.data_mut()[..3].copy_from_slice(&[f32::NAN, f32::INFINITY, 1.0]);
        everywhere(|| {
            let y = Conv2d::new([1, 1]).infer(&x, &Tensor::full([1, 1, 1, 1], 2.0), None).unwrap();
            assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY && y.data()[2] == 2.0);
            assert!(y.data()[3..].iter().all(|&v| v == 2.0), "other images are not touched");
        });
    }
}

/// The lanes are for layers whose blocks fit a cache, with their padding.
#[test]
fn lanes_suit_small_layers_with_at_most_full_padding() {
    let suits = |op: Conv2d, x: [usize; 4], c_out| {
        let weight = op.weight_shape(x.into(), c_out).unwrap();
        LANES.suits(&op.extents(x.into(), weight).unwrap())
    };
    let op = Conv2d::new([5, 5]);
    assert!(suits(op.padding(2), [8, 1, 28, 28], 6) && suits(op, [64, 6, 14, 14], 16));
    assert!(suits(op.padding([[4, 0], [0, 4]]), [64, 6, 14, 14], 16));
    assert!(!suits(op, [7, 6, 14, 14], 16), "too few images");
    assert!(!suits(op.padding([[5, 0], [0, 0]]), [64, 6, 14, 14], 16), "more than full padding");
    assert!(suits(Conv2d::new([8, 8]).stride([4, 4]), [32, 4, 84, 84], 32), "from Atari's frames");
    assert!(!suits(Conv2d::new([8, 8]).stride([4, 4]), [32, 4, 96, 96], 32), "images too large");
    assert!(!suits(op, [64, 64, 14, 14], 64), "too many weights");
    let tall = Conv2d::new([2, 1]).dilation([16_382, 1]);
    assert!(!suits(tall, [16, 1, 16_384, 1], 4096), "dy with its padding is too large");
}

#[test]
fn faults_are_named() {
    let message = |op: Conv2d, x: [usize; 4], weight: [usize; 4]| {
        op.output_shape(x.into(), weight.into()).unwrap_err().to_string()
    };
    let (op, x, weight) = (Conv2d::new([3, 3]), [1, 3, 8, 8], [16, 3, 3, 3]);
    assert_eq!(message(op, x, [16, 64, 3, 3]), "conv2d: weight expects 64 input channels, got 3");
    assert_eq!(
        message(op.padding([[0, 0], [0, 1]]), [1, 3, 8, 1], weight),
        "conv2d: a window of 3 with padding 1 does not fit an input extent of 1"
    );
    assert_eq!(
        message(op.padding(Padding::Same), [1, 3, 8, 0], weight),
        "conv2d: a window of 3 with padding 0 does not fit an input extent of 0"
    );
    assert_eq!(
        message(Conv2d::new([0, 3]), x, [16, 3, 0, 3]),
        "conv2d: kernel must be at least 1, got [0, 3]"
    );
    assert_eq!(message(op.stride([1, 0]), x, weight), "conv2d: stride must be at least 1, got [1, 0]");
    assert_eq!(message(op.dilation([0, 0]), x, weight), "conv2d: dilation must be at least 1, got [0, 0]");
    for groups in [0, 2] {
        let want = format!(
            "conv2d: groups must be a divisor of both channel counts, got {groups} for 3 input and 16 output channels"
        );
        assert_eq!(message(op.groups(groups), x, weight), want);
    }
    assert_eq!(
        message(op, x, [16, 3, 5, 3]),
        "conv2d: weight expects shape [16, 3, 3, 3], got [16, 3, 5, 3]"
    );
    let most = format!("got {} + 1", usize::MAX);
    assert_eq!(
        message(op.padding([[usize::MAX, 1], [0, 0]]), x, weight),
        format!("conv2d: padding must be such that the padded extent can be counted, {most}")
    );
    assert_eq!(
        message(op.padding(1 << 20), x, weight),
        "conv2d: the output must be at most 2^28 elements for one image, got [1, 16, 2097158, 2097158]"
    );
    let error = op.output_shape([3, 8, 8].into(), weight.into()).unwrap_err();
    assert_eq!(error.to_string(), "conv2d: x expects [n, c, h, w], got shape [3, 8, 8]");
    let error = op.output_shape(x.into(), [16, 27].into()).unwrap_err();
    assert_eq!(error.to_string(), "conv2d: weight expects [n, c, h, w], got shape [16, 27]");
}

#[test]
fn a_backward_pass_that_fails_adds_nothing() {
    let op = Conv2d::new([2, 2]);
    let case = case(op, [1, 1, 3, 3], 2, distinct).unwrap();
    let weight = &case.weight;
    let error = op.infer(&case.x, weight, Some(&Tensor::zeros([3]))).unwrap_err();
    assert_eq!(error.to_string(), "conv2d: bias expects shape [2], got [3]");
    let (_, saved) = op.forward(&case.x, weight, None).unwrap();
    let (mut dweight, mut dbias, mut other) =
        (Tensor::zeros(weight.shape()), Tensor::zeros([2]), Tensor::zeros([4]));
    let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
    assert_eq!(
        message(op.backward(&saved, &other, &case.dy, &mut dweight, Some(&mut dbias))),
        "conv2d: weight expects shape [2, 1, 2, 2], got [4]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.x, &mut dweight, Some(&mut dbias))),
        "conv2d: dy expects shape [1, 2, 2, 2], got [1, 1, 3, 3]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.dy, &mut other, Some(&mut dbias))),
        "conv2d: dweight expects shape [2, 1, 2, 2], got [4]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.dy, &mut dweight, Some(&mut other))),
        "conv2d: dbias expects shape [2], got [4]"
    );
    assert!(dweight.data().iter().chain(dbias.data()).all(|&v| v == 0.0));
}
