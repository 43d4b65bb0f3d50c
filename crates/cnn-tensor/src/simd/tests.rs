use super::*;

/// A kernel that applies a function of [`math`] to every element.
macro_rules! elementary {
    ($($name:ident)*) => {$(
        crate::kernel! {
            fn $name<S>(s, x: &mut [f32]) {
                for x in x.chunks_mut(S::LANES) {
                    let y = math::$name(s, s.load_partial(x));
                    s.store_partial(y, x);
                }
            }
        }
    )*};
}
elementary!(exp expm1 tanh sigmoid softplus erf);

fn check(name: &str, f: fn(Level, &mut [f32]), oracle: fn(f64) -> f64, range: f32) {
    let inputs: Vec<f32> = (-20_000..=20_000).map(|i| i as f32 * range / 20_000.0).collect();
    for &level in Level::all() {
        let mut y = inputs.clone();
        f(level, &mut y);
        for (&x, &y) in inputs.iter().zip(&y) {
            let want = oracle(f64::from(x));
            let error = (f64::from(y) - want).abs();
            assert!(error <= 4e-7 * want.abs() + 2e-38, "{name}({x}) at {level:?}: {y} instead of {want}");
        }
    }
}

#[test]
fn elementary_functions_are_accurate_to_a_few_ulp() {
    check("exp", exp, f64::exp, 87.0);
    check("exp", exp, f64::exp, 1e-3);
    check("tanh", tanh, f64::tanh, 20.0);
    check("tanh", tanh, f64::tanh, 1e-3);
    check("sigmoid", sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 80.0);
    check("expm1", expm1, f64::exp_m1, 88.0);
    check("expm1", expm1, f64::exp_m1, 1.0);
    check("expm1", expm1, f64::exp_m1, 1e-6);
    check("softplus", softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), 85.0);
    check("softplus", softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), 2.0);
    check("erf", erf, crate::testing::erf, 5.0);
    check("erf", erf, crate::testing::erf, 1.0);
    check("erf", erf, crate::testing::erf, 1e-3);
}

#[test]
fn elementary_functions_at_the_ends() {
    let ends = [f32::NEG_INFINITY, -1e30, -100.0, 0.0, 88.7, 100.0, 1e30, f32::INFINITY, f32::NAN];
    for &level in Level::all() {
        let mut y = ends;
        exp(level, &mut y);
        assert_eq!(y[..4], [0.0, 0.0, 0.0, 1.0]);
        assert!(y[4].is_finite() && y[5..8] == [f32::INFINITY; 3] && y[8].is_nan(), "{level:?} {y:?}");
        let mut y = ends;
        tanh(level, &mut y);
        assert_eq!(y[..8], [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        assert!(y[8].is_nan());
        let mut y = ends;
        sigmoid(level, &mut y);
        assert_eq!((y[0], y[3], y[7]), (0.0, 0.5, 1.0));
        assert!(y[8].is_nan());
        let mut y = ends;
        expm1(level, &mut y);
        assert_eq!(y[..4], [-1.0, -1.0, -1.0, 0.0]);
        assert!(y[8].is_nan());
        let mut y = ends;
        softplus(level, &mut y);
        assert_eq!(y[..3], [0.0; 3]);
        assert_eq!(y[3], std::f32::consts::LN_2);
        assert_eq!(y[4..8], ends[4..8]);
        assert!(y[8].is_nan());
        let mut y = ends;
        erf(level, &mut y);
        assert_eq!(y[..8], [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        assert!(y[8].is_nan());
        let mut y = [-0.0, -1e-30, 1e-30];
        for f in [expm1, erf] {
            f(level, &mut y);
            assert!(y[0].to_bits() == (-0.0f32).to_bits() && y[1] < 0.0 && y[2] > 0.0, "{level:?} {y:?}");
        }
    }
}

crate::kernel! {
    /// Every operation once, on partial vectors, into rows of `out`.
    fn operations<S>(s, a: &[f32], b: &[f32], out: &mut [Vec<f32>]) {
        let (va, vb) = (s.load_partial(a), s.load_partial(b));
        s.store_partial(s.add(va, vb), &mut out[0]);
        s.store_partial(s.sub(va, vb), &mut out[1]);
        s.store_partial(s.mul(va, vb), &mut out[2]);
        s.store_partial(s.div(va, vb), &mut out[3]);
        s.store_partial(s.max(va, vb), &mut out[4]);
        s.store_partial(s.min(va, vb), &mut out[5]);
        s.store_partial(s.select_gt(va, vb, s.splat(1.0), s.splat(-1.0)), &mut out[6]);
        s.store_partial(s.round(va), &mut out[7]);
        s.store_partial(s.sqrt(s.mul(va, va)), &mut out[8]);
        s.store_partial(s.mul_add(va, vb, s.splat(0.5)), &mut out[9]);
        out[10].fill(s.sum(va));
    }
}

#[test]
fn operations_mean_what_they_say_at_every_level_and_length() {
    for &level in Level::all() {
        let lanes = match level {
            Level::Scalar(_) => 4,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => 8,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => 16,
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => 4,
        };
        for n in 1..=lanes {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 - 3.0) * 1.5).collect();
            let b: Vec<f32> = (0..n).map(|i| 2.0 - i as f32 * 0.75 + 0.125).collect();
            let mut out = vec![vec![0.0; n]; 11];
            operations(level, &a, &b, &mut out);
            for i in 0..n {
                let (a, b) = (a[i], b[i]);
                let want = [
                    a + b,
                    a - b,
                    a * b,
                    a / b,
                    a.max(b),
                    a.min(b),
                    if a > b { 1.0 } else { -1.0 },
                    a.round_ties_even(),
                    a.abs(),
                    a * b + 0.5,
                ];
                for (op, want) in want.into_iter().enumerate() {
                    assert_eq!(out[op][i], want, "operation {op} at {level:?} on {a}, {b}");
                }
            }
            assert_eq!(out[10][0], a.iter().sum::<f32>());
        }
        let mut out = vec![vec![0.0; 2]; 11];
        operations(level, &[f32::NAN, 1.0], &[1.0, f32::NAN], &mut out);
        for row in [4, 5] {
            assert!(out[row][0] == 1.0 && out[row][1].is_nan(), "a NaN in b is kept, in a it is not");
        }
        assert_eq!(out[6], [-1.0, -1.0]);
    }
}

crate::kernel! {
    fn to_lanes<S>(s, src: &[f32], stride: usize, cols: usize, dst: &mut [f32]) {
        s.images_to_lanes(src, stride, cols, dst);
    }
}
crate::kernel! {
    fn to_images<S>(s, src: &[f32], cols: usize, dst: &mut [f32], stride: usize) {
        s.lanes_to_images(src, cols, dst, stride);
    }
}

crate::kernel! {
    /// Transposes `missing` rows fewer than there are lanes; returns the number of lanes.
    fn rows_to_columns<S>(s, src: &[f32], cols: usize, missing: usize, dst: &mut [f32], stride: usize) -> usize {
        let rows: Vec<&[f32]> = src.chunks(cols.max(1)).take(S::LANES - missing).collect();
        s.transpose(&rows, dst, stride);
        S::LANES
    }
}

#[test]
fn rows_become_columns() {
    for &level in Level::all() {
        for (cols, missing) in [(0, 0), (1, 0), (5, 3), (16, 0), (23, 1), (37, 0)] {
            let src: Vec<f32> = (1..=IMAGES * cols).map(|i| i as f32).collect();
            let stride = IMAGES + 3;
            let mut dst = vec![-1.0; cols * stride];
            let lanes = rows_to_columns(level, &src, cols, missing, &mut dst, stride);
            for (at, &v) in dst.iter().enumerate() {
                let (col, row) = (at / stride, at % stride);
                let want = if row < lanes - missing {
                    src[row * cols + col]
                } else if row < lanes {
                    0.0
                } else {
                    -1.0
                };
                assert_eq!(v, want, "{level:?} {cols} columns");
            }
        }
    }
}

#[test]
fn images_go_into_lanes_and_back() {
    for &level in Level::all() {
        for cols in [0, 1, 3, 7, 8, 9, 15, 16, 17, 28, 33] {
            let stride = cols + 2;
            let src: Vec<f32> = (0..IMAGES * stride).map(|i| i as f32).collect();
            let mut lanes = vec![-1.0; cols * IMAGES];
            to_lanes(level, &src, stride, cols, &mut lanes);
            for (at, &v) in lanes.iter().enumerate() {
                assert_eq!(v, src[at % IMAGES * stride + at / IMAGES], "{level:?} {cols} columns");
            }
            let mut back = vec![-1.0; src.len()];
            to_images(level, &lanes, cols, &mut back, stride);
            for (at, &v) in back.iter().enumerate() {
                let want = if at % stride < cols { src[at] } else { -1.0 };
                assert_eq!(v, want, "{level:?} {cols} columns: writes what it should and nothing else");
            }
        }
    }
}

#[test]
fn a_forced_level_reaches_other_threads_and_ends() {
    let before = Level::current();
    let pool = crate::parallel::Threads::new(3).unwrap();
    for &level in Level::all() {
        with_level(level, || {
            let seen = pool.run(|| crate::parallel::map(20, |_| Level::current()));
            assert!(seen.iter().all(|&l| l == level));
        });
    }
    assert_eq!(Level::current(), before);
    assert!(pool.run(|| crate::parallel::map(20, |_| forced())).iter().all(Option::is_none));
}

crate::kernel! {
    /// Unzips and zips pairs, reads and writes bytes, and chooses between `yes` and `no`.
    fn arrangements<S>(s, x: &[f32], bytes: &[u8], out: &mut [Vec<f32>], bytes_out: &mut [u8]) -> usize {
        let (a, b) = (s.load(x), s.load(&x[S::LANES..]));
        let (even, odd) = s.unzip(a, b);
        s.store(even, &mut out[0]);
        s.store(odd, &mut out[1]);
        let (first, second) = s.zip(a, b);
        s.store(first, &mut out[2]);
        s.store(second, &mut out[2][S::LANES..]);
        let numbers = s.load_bytes(bytes);
        s.store(numbers, &mut out[3]);
        s.store_bytes(s.sub(s.splat(255.0), numbers), bytes_out);
        let (yes, no) = (s.splat(1.0), s.splat(-1.0));
        s.store(s.select_eq(a, s.splat(x[1]), yes, no), &mut out[4]);
        s.store(s.select_number(a, yes, no), &mut out[5]);
        s.store(s.clear(0xFFFF_A5C3, a), &mut out[6]);
        S::LANES
    }
}

#[test]
fn arrangements_mean_what_they_say() {
    let mut x: Vec<f32> = (0..2 * IMAGES).map(|i| i as f32).collect();
    let bytes: Vec<u8> = (0..IMAGES).map(|i| (i * 17) as u8).collect();
    for special in [2.0, f32::NAN] {
        x[2] = special;
        for &level in Level::all() {
            let (mut out, mut bytes_out) = (vec![vec![0.0; 2 * IMAGES]; 7], vec![0; IMAGES]);
            let lanes = arrangements(level, &x, &bytes, &mut out, &mut bytes_out);
            for i in 0..lanes {
                let same = |a: f32, b: f32| a.to_bits() == b.to_bits();
                assert!(same(out[0][i], x[2 * i]) && same(out[1][i], x[2 * i + 1]), "unzip at {level:?}");
                assert!(
                    same(out[2][2 * i], x[i]) && same(out[2][2 * i + 1], x[lanes + i]),
                    "zip at {level:?}"
                );
                assert_eq!((out[3][i], bytes_out[i]), (f32::from(bytes[i]), 255 - bytes[i]), "{level:?}");
                assert_eq!(out[4][i], if x[i] == x[1] { 1.0 } else { -1.0 }, "{level:?}");
                assert_eq!(out[5][i], if x[i].is_nan() { -1.0 } else { 1.0 }, "{level:?}");
                let kept = 0xA5C3 >> i & 1 == 0;
                assert!(same(out[6][i], if kept { x[i] } else { 0.0 }), "clear at {level:?}");
            }
        }
    }
}

crate::kernel! {
    /// `(x - 1/3) x` and `x + x`, in f64.
    fn wide<S>(s, x: &[f32], products: &mut [f64], sums: &mut [f64]) -> usize {
        let x = s.widen(s.load(x));
        s.store_wide(s.mul_wide(s.sub_wide(x, s.splat_wide(1.0 / 3.0)), x), products);
        s.store_wide(s.add_wide(x, x), sums);
        S::LANES
    }
}

#[test]
fn wide_numbers_are_those_of_f64() {
    let x: Vec<f32> = (0..IMAGES).map(|i| 1.0 / (i + 1) as f32).collect();
    for &level in Level::all() {
        let (mut products, mut sums) = ([0.0; IMAGES], [0.0; IMAGES]);
        for i in 0..wide(level, &x, &mut products, &mut sums) {
            let x = f64::from(x[i]);
            assert_eq!((products[i], sums[i]), ((x - 1.0 / 3.0) * x, x + x), "{level:?}");
        }
    }
}

/// The default method, which levels without an instruction for equality use.
#[test]
fn equality_by_comparisons_knows_nan() {
    let (a, b) = ([1.0, f32::NAN, -0.0, 2.0], [1.0, f32::NAN, 0.0, f32::NAN]);
    assert_eq!(Scalar.select_eq(a, b, [1.0; 4], [0.0; 4]), [1.0, 0.0, 1.0, 0.0]);
}
