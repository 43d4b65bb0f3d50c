use super::*;
use crate::shared::testing::*;
use cnn_tensor::testing::{FORWARD_TOLERANCE, assert_close, distinct, to_f64};
use proptest::prelude::*;

/// The definition, in f64.
fn oracle(op: Upsample2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
    let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
    let (rows, cols) = (weights(op, 0, h, oh), weights(op, 1, w, ow));
    let mut y = vec![0.0; n * c * oh * ow];
    for plane in 0..n * c {
        for (p, y) in y[plane * oh * ow..][..oh * ow].iter_mut().enumerate() {
            for i in 0..h {
                for j in 0..w {
                    *y += rows[p / ow][i] * cols[p % ow][j] * x[(plane * h + i) * w + j];
                }
            }
        }
    }
    y
}

/// Its transpose.
fn adjoint(op: Upsample2d, [n, c, h, w]: [usize; 4], dy: &[f64]) -> Vec<f64> {
    let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
    let (rows, cols) = (weights(op, 0, h, oh), weights(op, 1, w, ow));
    let mut dx = vec![0.0; n * c * h * w];
    for plane in 0..n * c {
        for (p, dx) in dx[plane * h * w..][..h * w].iter_mut().enumerate() {
            for i in 0..oh {
                for j in 0..ow {
                    *dx += rows[i][p / w] * cols[j][p % w] * dy[(plane * oh + i) * ow + j];
                }
            }
        }
    }
    dx
}

/// The source coordinate in one of ONNX's modes; `ratio` is one over the scale.
fn coordinate(mode: Coordinates, p: f64, ratio: f64, [extent, positions]: [usize; 2]) -> f64 {
    match mode {
        Coordinates::AlignCorners if positions == 1 => 0.0,
        Coordinates::AlignCorners => p * (extent - 1) as f64 / (positions - 1) as f64,
        Coordinates::PytorchHalfPixel if positions == 1 => 0.0,
        Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (p + 0.5) * ratio - 0.5,
        Coordinates::Asymmetric => p * ratio,
    }
}

/// Keys's kernel.
fn keys(d: f64) -> f64 {
    const A: f64 = -0.75;
    match d {
        ..=1.0 => (A + 2.0) * d.powi(3) - (A + 3.0) * d.powi(2) + 1.0,
        ..=2.0 => A * d.powi(3) - 5.0 * A * d.powi(2) + 8.0 * A * d - 4.0 * A,
        _ => 0.0,
    }
}

/// The contribution of each of `extent` inputs to each of `positions` outputs along one axis.
fn weights(op: Upsample2d, axis: usize, extent: usize, positions: usize) -> Vec<Vec<f64>> {
    let last = (extent - 1) as f64;
    let ratio = match op.target {
        Target::Size(_) => extent as f64 / positions as f64,
        Target::Scale(scale) => 1.0 / scale[axis],
    };
    if let Some(mode) = op.coordinates.filter(|_| op.mode == Interpolation::Nearest) {
        // Halves and other ties are where rounding differs, so the ratio is that of whole numbers here.
        let source = |p: usize| coordinate(mode, p as f64, ratio, [extent, positions]);
        let round = |s: f64| match op.rounding {
            None | Some(Rounding::Floor) => s.floor(),
            Some(Rounding::Ceil) => s.ceil(),
            Some(Rounding::RoundPreferFloor) if s.rem_euclid(1.0) == 0.5 => s.floor(),
            Some(Rounding::RoundPreferCeil) if s.rem_euclid(1.0) == 0.5 => s.ceil(),
            Some(_) => s.round(),
        };
        let at = |p| round(source(p)).clamp(0.0, last);
        let one = |p, i| if at(p) == i as f64 { 1.0 } else { 0.0 };
        return (0..positions).map(|p| (0..extent).map(|i| one(p, i)).collect()).collect();
    }
    if op.mode == Interpolation::Bicubic {
        let usual = if op.align_corners { Coordinates::AlignCorners } else { Coordinates::HalfPixel };
        let mode = op.coordinates.unwrap_or(usual);
        return (0..positions)
            .map(|p| {
                let (s, mut row) =
                    (coordinate(mode, p as f64, ratio, [extent, positions]), vec![0.0; extent]);
                for by in -1..3 {
                    let at = s.floor() + f64::from(by);
                    row[at.clamp(0.0, last) as usize] += keys((s - at).abs());
                }
                row
            })
            .collect();
    }
    let source = |position: usize| match (op.mode, op.target) {
        (Interpolation::Nearest, Target::Size(_)) => {
            f64::from((position as f32 * (extent as f32 / positions as f32)).floor())
        }
        (Interpolation::Nearest, Target::Scale(scale)) => {
            f64::from((position as f32 * (1.0 / scale[axis]) as f32).floor())
        }
        _ if op.coordinates.is_some() => {
            coordinate(op.coordinates.unwrap(), position as f64, ratio, [extent, positions])
        }
        _ if extent == positions => position as f64,
        _ if op.align_corners && positions == 1 => 0.0,
        _ if op.align_corners => position as f64 * (last / (positions - 1) as f64),
        (_, Target::Size(_)) => extent as f64 / positions as f64 * (position as f64 + 0.5) - 0.5,
        (_, Target::Scale(scale)) => 1.0 / scale[axis] * (position as f64 + 0.5) - 0.5,
    };
    let tent = |position, i| 1.0 - (source(position).clamp(0.0, last) - i as f64).abs();
    (0..positions).map(|p| (0..extent).map(|i| f64::max(0.0, tent(p, i))).collect()).collect()
}

/// Any way to make up elements; corners are aligned only where that is allowed.
fn any_mode() -> impl Strategy<Value = (Interpolation, bool, Option<Coordinates>)> {
    let modes = vec![
        (Interpolation::Nearest, false),
        (Interpolation::Bilinear, false),
        (Interpolation::Bilinear, true),
        (Interpolation::Bicubic, false),
        (Interpolation::Bicubic, true),
    ];
    let given = prop::option::of(prop::sample::select(COORDINATES.to_vec()));
    (prop::sample::select(modes), given).prop_map(|((mode, align_corners), coordinates)| {
        let apt = !align_corners && mode != Interpolation::Nearest;
        (mode, align_corners, coordinates.filter(|_| apt))
    })
}

const COORDINATES: [Coordinates; 4] = [
    Coordinates::HalfPixel,
    Coordinates::PytorchHalfPixel,
    Coordinates::AlignCorners,
    Coordinates::Asymmetric,
];

const ROUNDINGS: [Rounding; 4] =
    [Rounding::Floor, Rounding::Ceil, Rounding::RoundPreferFloor, Rounding::RoundPreferCeil];

fn any_target() -> impl Strategy<Value = Target> {
    let scale = prop_oneof![0.2..4.0f64, prop::sample::select(vec![0.5, 1.0, 1.1, 2.0, 2.1, 3.0])];
    prop_oneof![
        prop::array::uniform2(1..9usize).prop_map(Target::Size),
        prop::array::uniform2(scale).prop_map(Target::Scale),
    ]
}

proptest! {
    #![proptest_config(any_number_of_rejects())]

    #[test]
    fn matches_the_definition(target in any_target(), (mode, align_corners, coordinates) in any_mode(), n in 0..3usize,
                              c in 0..3usize, h in 1..6usize, w in 1..6usize, seed: u64) {
        let op = Upsample2d { target, mode, align_corners, coordinates, rounding: None };
        let shape = [n, c, h, w];
        prop_assume!(op.output_shape(shape.into()).is_ok());
        let x = distinct(shape, seed);
        let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 1);
        // The map is linear, and its transpose, written down beside it, is the gradient.
        let (want, dx) = (oracle(op, shape, &to_f64(&x)), adjoint(op, shape, &to_f64(&dy)));
        let products = |a: &[f64], b: &Tensor| a.iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
        prop_assert!((products(&want, &dy) - products(&dx, &x)).abs() < 1e-10);
        everywhere(|| {
            assert_close(&op.forward(&x).unwrap(), &want);
            let got = op.backward(x.shape(), &dy).unwrap();
            assert_eq!(got.shape(), x.shape());
            assert_close(&got, &dx);
        });
    }

    #[test]
    fn nearest_is_exact_on_whole_numbers(target in any_target(), n in 1..3usize, h in 1..10usize, w in 1..10usize,
                                         seed: u64) {
        let op = Upsample2d::to(target);
        prop_assume!(op.output_shape([n, 2, h, w].into()).is_ok());
        check_exactly(op, [n, 2, h, w], seed);
    }

    /// By factors that are powers of two, so that ties are ties.
    #[test]
    fn nearest_rounds_as_asked(scale in prop::array::uniform2(-2..3i32), coordinates in prop::sample::select(COORDINATES.to_vec()),
                               rounding in prop::option::of(prop::sample::select(ROUNDINGS.to_vec())), h in 1..9usize,
                               w in 1..9usize, seed: u64) {
        // Aligned corners have another ratio, whose ties are those of f32.
        prop_assume!(coordinates != Coordinates::AlignCorners);
        let op = Upsample2d::by_scale(scale.map(|exponent| 2f64.powi(exponent))).coordinates(coordinates);
        let op = Upsample2d { rounding, ..op };
        prop_assume!(op.output_shape([2, 2, h, w].into()).is_ok());
        check_exactly(op, [2, 2, h, w], seed);
    }

    #[test]
    fn powers_of_two_are_exact_on_whole_numbers(scale in prop::array::uniform2(-2..3i32), size: bool, n in 1..3usize,
                                                h in 1..9usize, w in 1..9usize, seed: u64) {
        let scale = scale.map(|exponent| 2f64.powi(exponent));
        let mut op = Upsample2d::by_scale(scale).mode(Interpolation::Bilinear);
        let Ok(y) = op.output_shape([n, 2, h, w].into()) else { return Err(TestCaseError::reject("no output")) };
        // By size only where that is the same: elsewhere the ratio is not a power of two.
        let [oh, ow] = [y.dims()[2], y.dims()[3]];
        if size && oh as f64 == h as f64 * scale[0] && ow as f64 == w as f64 * scale[1] {
            op.target = Target::Size([oh, ow]);
        }
        check_exactly(op, [n, 2, h, w], seed);
    }

    #[test]
    fn aligned_corners_that_halve_or_double_the_spacing_are_exact(finer in prop::array::uniform2(0..3u32),
                                                                  coarser: bool, spaces in prop::array::uniform2(1..5usize),
                                                                  seed: u64) {
        let large = [0, 1].map(|i| (spaces[i] << finer[i]) + 1);
        let small = spaces.map(|spaces| spaces + 1);
        let ([h, w], size) = if coarser { (large, small) } else { (small, large) };
        let op = Upsample2d::to_size(size).mode(Interpolation::Bilinear).align_corners(true);
        check_exactly(op, [2, 2, h, w], seed);
    }

    #[test]
    fn absurd_options_are_errors(size in prop::array::uniform2(any_extent()), scale in prop::array::uniform2(any_scale()),
                                 by_size: bool, bilinear: bool, cubic: bool, align_corners: bool,
                                 coordinates in prop::option::of(prop::sample::select(COORDINATES.to_vec())),
                                 rounding in prop::option::of(prop::sample::select(ROUNDINGS.to_vec())), x in any_shape()) {
        let target = if by_size { Target::Size(size) } else { Target::Scale(scale) };
        let mode = if bilinear { Interpolation::Bilinear } else { Interpolation::Nearest };
        let mode = if cubic { Interpolation::Bicubic } else { mode };
        let op = Upsample2d { target, mode, align_corners, coordinates, rounding };
        let Ok(y) = op.output_shape(x) else { return Ok(()) };
        if x.numel() <= 100_000 && y.numel() <= 100_000 {
            prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
            prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
        } else if y.numel() <= 100_000 && x.numel() / x.batch() > 1 << 28 {
            prop_assert!(op.backward(x, &Tensor::zeros(y)).is_err());
        }
    }
}

fn any_scale() -> impl Strategy<Value = f64> {
    prop_oneof![3 => 0.1..4.0f64, 1 => any::<f64>(), 1 => (-320..320i32).prop_map(|e| 10f64.powi(e))]
}

fn check_exactly(op: Upsample2d, shape: [usize; 4], seed: u64) {
    let x = whole_numbers(shape, 1000, seed);
    let dy = whole_numbers(op.output_shape(shape.into()).unwrap(), 100, seed ^ 1);
    let (y, dx) = (oracle(op, shape, &to_f64(&x)), adjoint(op, shape, &to_f64(&dy)));
    everywhere(|| {
        assert_exact("y", &op.forward(&x).unwrap(), &y);
        assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &dx);
    });
}

fn row(op: Upsample2d, x: Vec<f32>) -> Vec<f32> {
    op.forward(&Tensor::from_vec([1, 1, 1, x.len()], x).unwrap()).unwrap().data().to_vec()
}

/// Numbers from PyTorch 2.15: `F.interpolate` of `arange(5)`.
#[test]
fn agrees_with_pytorch() {
    let x = || vec![0.0, 1.0, 2.0, 3.0, 4.0];
    let close = |got: Vec<f32>, want: &[f64]| {
        assert_eq!(got.len(), want.len());
        assert!(
            got.iter().zip(want).all(|(&got, want)| (f64::from(got) - want).abs() < 1e-4),
            "{got:?}, {want:?}"
        );
    };
    let bilinear = |op: Upsample2d| op.mode(Interpolation::Bilinear);
    // The scale enters the coordinates, though the output has 6 elements either way.
    let by_scale = bilinear(Upsample2d::by_scale([1.0, 1.3]));
    close(row(by_scale, x()), &[0.0, 0.6538, 1.4231, 2.1923, 2.9615, 3.7308]);
    let to_size = bilinear(Upsample2d::to_size([1, 6]));
    close(row(to_size, x()), &[0.0, 0.75, 1.5833, 2.4167, 3.25, 4.0]);
    close(row(to_size.align_corners(true), x()), &[0.0, 0.8, 1.6, 2.4, 3.2, 4.0]);
    close(row(bilinear(Upsample2d::to_size([1, 2])), x()), &[0.75, 3.25]);
    let cubic = Upsample2d::to_size([1, 6]).mode(Interpolation::Bicubic);
    close(row(cubic, x()), &[-0.0525, 0.668, 1.5631, 2.4369, 3.332, 4.0525]);
    close(row(cubic.align_corners(true), x()), &[0.0, 0.728, 1.576, 2.424, 3.272, 4.0]);
    // mode="nearest-exact"
    let exact = Upsample2d::to_size([1, 3]).coordinates(Coordinates::HalfPixel);
    assert_eq!(row(exact.rounding(Rounding::RoundPreferCeil), x()), [0.0, 2.0, 4.0]);
    assert_eq!(row(Upsample2d::to_size([1, 3]), x()), [0.0, 1.0, 3.0]);
    assert_eq!(row(Upsample2d::to_size([1, 7]), x()), [0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 4.0]);
}

/// Places of `[0, 1, 2, 3]` halved, where every rounding differs from another, and aligned corners.
#[test]
fn roundings_differ_at_halves() {
    let x = || vec![0.0, 1.0, 2.0, 3.0];
    let halved = |rounding| {
        row(Upsample2d::by_scale([1.0, 0.5]).coordinates(Coordinates::HalfPixel).rounding(rounding), x())
    };
    assert_eq!(ROUNDINGS.map(halved), [[0.0, 2.0], [1.0, 3.0], [0.0, 2.0], [1.0, 3.0]]);
    let aligned = |rounding| {
        row(Upsample2d::to_size([1, 3]).coordinates(Coordinates::AlignCorners).rounding(rounding), x())
    };
    let want = [[0.0, 1.0, 3.0], [0.0, 2.0, 3.0], [0.0, 1.0, 3.0], [0.0, 2.0, 3.0]];
    assert_eq!(ROUNDINGS.map(aligned), want);
    let one = |coordinates| {
        row(Upsample2d::to_size([1, 1]).mode(Interpolation::Bilinear).coordinates(coordinates), x())
    };
    assert_eq!(COORDINATES.map(one), [[1.5], [0.0], [0.0], [0.0]]);
}

#[test]
fn a_description_may_have_onnxs_words() {
    let op =
        Upsample2d::to_size([2, 3]).coordinates(Coordinates::Asymmetric).rounding(Rounding::RoundPreferFloor);
    let json = r#"{"size":[2,3],"mode":"nearest","align_corners":false,"coordinates":"asymmetric","rounding":"round_prefer_floor"}"#;
    assert_eq!(serde_json::to_string(&op).unwrap(), json);
    assert_eq!(serde_json::from_str::<Upsample2d>(json).unwrap(), op);
    let plain = r#"{"size":[2,3],"mode":"nearest","align_corners":false}"#;
    assert_eq!(serde_json::to_string(&Upsample2d::to_size([2, 3])).unwrap(), plain);
}

#[test]
fn nearest_rounds_its_coordinates_to_f32() {
    // Without rounding these would be 15, 26, 13 and 26; PyTorch 2.15 rounds them so.
    for (extent, size, position, want) in
        [(30, 58, 29, 14), (39, 33, 22, 25), (39, 33, 11, 12), (52, 22, 11, 25)]
    {
        let y = row(Upsample2d::to_size([1, size]), (0..extent).map(|i| i as f32).collect());
        assert_eq!(y[position], want as f32);
    }
}

#[test]
fn nearest_by_a_scale_follows_the_formula_where_the_output_is_twice_as_large() {
    let y = row(Upsample2d::by_scale([1.0, 2.1]), vec![0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(y, [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0]);
}

#[test]
fn one_output_with_aligned_corners_is_the_first_element() {
    let op = Upsample2d::to_size([1, 1]).mode(Interpolation::Bilinear).align_corners(true);
    assert_eq!(row(op, vec![3.0, 4.0, 5.0]), [3.0]);
}

#[test]
fn an_output_as_large_as_the_input_is_the_input() {
    let x = distinct([1, 2, 3, 4], 0);
    for op in [Upsample2d::to_size([3, 4]), Upsample2d::by_scale([1.1, 1.1]).mode(Interpolation::Bilinear)] {
        assert_eq!(op.forward(&x).unwrap(), x);
        assert_eq!(op.mode(Interpolation::Bilinear).backward(x.shape(), &x).unwrap(), x);
    }
}

#[test]
fn nan_and_infinity_reach_only_what_they_have_a_weight_in() {
    let x = vec![1.0, f32::NAN, f32::INFINITY, 2.0];
    let op = Upsample2d::to_size([1, 7]).mode(Interpolation::Bilinear).align_corners(true);
    let y = row(op, x.clone());
    assert_eq!((y[0], y[4], y[5], y[6]), (1.0, f32::INFINITY, f32::INFINITY, 2.0));
    assert!(y[1..4].iter().all(|y| y.is_nan()));
    // Rows as well as columns, and a row that is a copy of the one before.
    let tall = Tensor::from_vec([1, 1, 4, 1], x).unwrap();
    let op = Upsample2d { target: Target::Size([7, 2]), ..op };
    let z = op.forward(&tall).unwrap();
    assert!(z.data().chunks(2).zip(&y).all(|(z, y)| z.iter().all(|z| z == y || z.is_nan() && y.is_nan())));
    // On the way back.
    let dy = Tensor::from_vec([1, 1, 1, 3], vec![f32::INFINITY, 1.0, 1.0]).unwrap();
    let op = Upsample2d::to_size([1, 3]).mode(Interpolation::Bilinear).align_corners(true);
    assert_eq!(op.backward([1, 1, 1, 2].into(), &dy).unwrap().data(), [f32::INFINITY, 1.5]);
}

#[test]
fn coordinates_stay_exact_on_long_axes() {
    // In f32 the coordinate itself would be off by 1/256 here.
    let (extent, positions) = (50_000, 70_000);
    let op = Upsample2d::to_size([1, positions]).mode(Interpolation::Bilinear);
    let y = row(op, (0..extent).map(|i| (i % 2) as f32).collect());
    for (i, &y) in y.iter().enumerate().skip(60_000).take(9_000) {
        let s = (i as f64 + 0.5) * extent as f64 / positions as f64 - 0.5;
        let want = if (s as usize).is_multiple_of(2) { s.fract() } else { 1.0 - s.fract() };
        assert!((f64::from(y) - want).abs() < FORWARD_TOLERANCE, "{i}: {y}, {want}");
    }
}

#[test]
fn an_empty_batch_is_resampled_to_an_empty_batch() {
    let op = Upsample2d::by_scale([2.0, 3.0]);
    let y = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
    assert_eq!(y.shape(), Shape::from([0, 3, 8, 12]));
    assert_eq!(op.backward([0, 3, 4, 4].into(), &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
}

#[test]
fn an_empty_batch_of_huge_planes_is_nothing() {
    let (op, x) = (Upsample2d::to_size([1, 1]), Shape::from([0, 1, 1, 1 << 40]));
    let y = op.forward(&Tensor::zeros(x)).unwrap();
    assert_eq!(op.backward(x, &y).unwrap().shape(), x);
}

#[test]
fn threads_change_nothing() {
    let x = distinct([3, 5, 11, 12], 0);
    for mode in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
        let op = Upsample2d::by_scale([1.7, 0.8]).mode(mode);
        assert_same_bits_on_any_threads(|| {
            let y = op.forward(&x).unwrap();
            let dx = op.backward(x.shape(), &distinct(y.shape(), 1)).unwrap();
            vec![y, dx]
        });
    }
}

#[test]
fn errors_say_what_is_expected() {
    let message = |op: Upsample2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
    let (op, x) = (Upsample2d::by_scale([2.0, 2.0]), Shape::from([1, 1, 2, 5]));
    assert_eq!(message(op, [4].into()), "upsample2d: x expects [n, c, h, w], got shape [4]");
    let corners = message(op.align_corners(true), x);
    assert_eq!(corners, "upsample2d: align_corners must be false with nearest, got true");
    let bilinear = op.mode(Interpolation::Bilinear);
    let twice = message(bilinear.align_corners(true).coordinates(Coordinates::HalfPixel), x);
    assert_eq!(twice, "upsample2d: align_corners must be false where coordinates are given, got true");
    let rounded = message(bilinear.rounding(Rounding::Ceil), x);
    assert_eq!(rounded, "upsample2d: rounding must be null but for nearest, got Ceil");
    assert_eq!(message(op, [1, 1, 0, 5].into()), "upsample2d: the plane must be at least [1, 1], got [0, 5]");
    let scale = message(Upsample2d::by_scale([f64::NAN, -1.0]), x);
    assert_eq!(scale, "upsample2d: scale must be above 0 and finite, got [NaN, -1.0]");
    let small = message(Upsample2d::by_scale([0.4, 1.0]), x);
    assert_eq!(small, "upsample2d: the output's size must be at least 1, got [0, 5]");
    assert_eq!(
        message(Upsample2d::to_size([1 << 20, 1 << 10]), x),
        "upsample2d: the output must be at most 2^28 elements for one image, got [1, 1, 1048576, 1024]"
    );
    let error = op.backward(x, &Tensor::zeros([1, 1, 2, 5])).unwrap_err();
    assert_eq!(error.to_string(), "upsample2d: dy expects shape [1, 1, 4, 10], got [1, 1, 2, 5]");
    let error = Upsample2d::to_size([1, 1]).backward([1, 1, 2, 1 << 30].into(), &Tensor::zeros([1, 1, 1, 1]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "upsample2d: the output must be at most 2^28 elements for one image, got [1, 1, 2, 1073741824]"
    );
}
