use super::*;
use crate::shared::testing::*;
use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
use proptest::prelude::*;
use std::ops::Range;

pub(super) const ALL: [Arithmetic; 6] = [
    Arithmetic::Add,
    Arithmetic::Sub,
    Arithmetic::Mul,
    Arithmetic::Div,
    Arithmetic::Maximum,
    Arithmetic::Minimum,
];

/// The elements of `a` and `b` that meet in each element of `y`.
pub(super) fn places(y: Shape, operands: [Shape; 2]) -> Vec<[usize; 2]> {
    let place = |at: usize, x: Shape| {
        let (mut rest, mut place, mut stride) = (at, 0, 1);
        for (&extent, &own) in y.dims().iter().zip(x.dims()).rev() {
            place += if own == 1 { 0 } else { rest % extent * stride };
            rest /= extent;
            stride *= own;
        }
        place
    };
    (0..y.numel()).map(|at| operands.map(|x| place(at, x))).collect()
}

/// The definition, in f64.
pub(super) fn oracle(op: Arithmetic, places: &[[usize; 2]], a: &[f64], b: &[f64]) -> Vec<f64> {
    let apply = |&[i, j]: &[usize; 2]| match op {
        Arithmetic::Add => a[i] + b[j],
        Arithmetic::Sub => a[i] - b[j],
        Arithmetic::Mul => a[i] * b[j],
        Arithmetic::Div => a[i] / b[j],
        Arithmetic::Maximum => a[i].max(b[j]),
        Arithmetic::Minimum => a[i].min(b[j]),
    };
    places.iter().map(apply).collect()
}

/// Its transpose: both gradients of sum, difference or product.
fn adjoint(op: Arithmetic, places: &[[usize; 2]], [a, b]: [&[f64]; 2], dy: &[f64]) -> [Vec<f64>; 2] {
    let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
    for (&[i, j], dy) in places.iter().zip(dy) {
        let [by_a, by_b] = match op {
            Arithmetic::Add => [1.0, 1.0],
            Arithmetic::Sub => [1.0, -1.0],
            _ => [b[j], a[i]],
        };
        da[i] += dy * by_a;
        db[j] += dy * by_b;
    }
    [da, db]
}

/// Two shapes, each of which may have an extent of 1 where the other has more, or be a scalar; extents below `bound`.
fn shapes(bound: usize, ranks: Range<usize>) -> impl Strategy<Value = [Shape; 2]> {
    let axis = (0..bound, prop::sample::select(vec![[false; 2], [false; 2], [true, false], [false, true]]));
    (prop::collection::vec(axis, ranks), 0..8usize).prop_map(|(axes, scalar)| {
        [0, 1].map(|operand| {
            let extents = axes.iter().enumerate();
            let extents = extents.map(|(i, (extent, ones))| if i > 0 && ones[operand] { 1 } else { *extent });
            if scalar == operand {
                Shape::from([])
            } else {
                Shape::new(&extents.collect::<Vec<_>>()).unwrap()
            }
        })
    })
}

fn any_op() -> impl Strategy<Value = Arithmetic> {
    prop::sample::select(ALL.to_vec())
}

proptest! {
    #[test]
    fn matches_the_definition(op in any_op(), [a, b] in prop_oneof![shapes(5, 0..4), shapes(3, 4..7)], seed: u64) {
        let (x, mut z) = (distinct(a, seed), distinct(b, seed ^ 1));
        // Away from 0, by which differences cannot be divided.
        z.data_mut().iter_mut().for_each(|z| *z += 1.5);
        let y = op.output_shape(a, b).unwrap();
        let places = places(y, [a, b]);
        let (x64, z64, dy) = (to_f64(&x), to_f64(&z), distinct(y, seed ^ 2));
        let want = oracle(op, &places, &x64, &z64);
        let want_da = gradient_of(&x, &dy, |x| oracle(op, &places, x, &z64));
        let want_db = gradient_of(&z, &dy, |z| oracle(op, &places, &x64, z));
        everywhere(|| {
            let (got, saved) = op.forward(x.clone(), &z).unwrap();
            assert_eq!(got.shape(), y);
            assert_close(&got, &want);
            assert_eq!(op.infer(x.clone(), &z).unwrap(), got);
            let (da, db) = op.backward(&saved, dy.clone()).unwrap();
            assert_eq!([da.shape(), db.shape()], [a, b]);
            assert_gradient_close("da", &da, &want_da);
            assert_gradient_close("db", &db, &want_db);
        });
    }

    #[test]
    fn whole_numbers_are_exact(op in prop::sample::select(ALL[..3].to_vec()),
                               [a, b] in prop_oneof![shapes(20, 0..4), shapes(9, 4..5)], seed: u64) {
        let (x, z) = (whole_numbers(a, 40, seed), whole_numbers(b, 40, seed ^ 1));
        let y = op.output_shape(a, b).unwrap();
        let (places, dy) = (places(y, [a, b]), whole_numbers(y, 9, seed ^ 2));
        let (x64, z64) = (to_f64(&x), to_f64(&z));
        let want = oracle(op, &places, &x64, &z64);
        let [want_da, want_db] = adjoint(op, &places, [&x64, &z64], &to_f64(&dy));
        everywhere(|| {
            let (y, saved) = op.forward(x.clone(), &z).unwrap();
            assert_exact("y", &y, &want);
            let (da, db) = op.backward(&saved, dy.clone()).unwrap();
            assert_exact("da", &da, &want_da);
            assert_exact("db", &db, &want_db);
        });
    }

    #[test]
    fn add_of_equal_shapes_is_exact(length in 0..300usize, seed: u64) {
        let [a, b] = [0, 1].map(|i| whole_numbers([length], 1 << 22, seed ^ i));
        let want: Vec<f64> = to_f64(&a).iter().zip(to_f64(&b)).map(|(a, b)| a + b).collect();
        everywhere(|| assert_exact("y", &add(a.clone(), &b).unwrap(), &want));
    }

    #[test]
    fn absurd_shapes_are_errors(op in any_op(), a in any_shape(), b in any_shape(), ones in any::<[bool; 6]>(),
                                share in any::<bool>()) {
        prop_assert_eq!(sum_shape(a, b).is_ok(), a == b);
        // Shapes that agree in most extents are accepted now and then.
        let similar: Vec<usize> = a.dims().iter().zip(ones).map(|(&extent, one)| if one { 1 } else { extent }).collect();
        let b = match Shape::new(&similar) {
            Ok(similar) if share => similar,
            _ => b,
        };
        let Ok(y) = op.output_shape(a, b) else { return Ok(()) };
        prop_assert_eq!(op.output_shape(b, a).unwrap(), y);
        if [a, b, y].iter().all(|x| x.numel() <= 100_000) {
            let (got, saved) = op.forward(Tensor::zeros(a), &Tensor::zeros(b)).unwrap();
            prop_assert_eq!(got.shape(), y);
            let (da, db) = op.backward(&saved, got).unwrap();
            prop_assert_eq!([da.shape(), db.shape()], [a, b]);
        }
    }
}

#[test]
fn every_level_rounds_alike() {
    let (a, b, row) = (distinct([7, 11, 13], 0), distinct([7, 11, 13], 1), distinct([7, 11, 1], 2));
    for op in ALL {
        for b in [&b, &row] {
            let places = places(a.shape(), [a.shape(), b.shape()]);
            let apply = |&[i, j]: &[usize; 2]| match op {
                Arithmetic::Add => a.data()[i] + b.data()[j],
                Arithmetic::Sub => a.data()[i] - b.data()[j],
                Arithmetic::Mul => a.data()[i] * b.data()[j],
                Arithmetic::Div => a.data()[i] / b.data()[j],
                Arithmetic::Maximum => a.data()[i].max(b.data()[j]),
                Arithmetic::Minimum => a.data()[i].min(b.data()[j]),
            };
            let want = Tensor::from_vec(a.shape(), places.iter().map(apply).collect()).unwrap();
            everywhere(|| assert_eq!(op.infer(a.clone(), b).unwrap(), want));
        }
    }
    everywhere(|| assert_eq!(add(a.clone(), &b), Arithmetic::Add.infer(a.clone(), &b)));
}

#[test]
fn the_memory_of_a_is_used_unless_a_clone_shares_it() {
    for op in ALL {
        let (a, b) = (Tensor::full([40], 1.0), Tensor::full([40], 2.0));
        let place = a.data().as_ptr();
        let kept = a.clone();
        let y = op.infer(a, &b).unwrap();
        assert_ne!(y.data().as_ptr(), place);
        assert_eq!(kept, Tensor::full([40], 1.0));
        assert_eq!(op.infer(kept, &Tensor::full([], 2.0)).unwrap().data().as_ptr(), place);
    }
    let a = Tensor::full([40], 1.0);
    let place = a.data().as_ptr();
    assert_eq!(add(a, &Tensor::full([40], 2.0)).unwrap().data().as_ptr(), place);
    let a = Tensor::full([40], 1.0);
    let place = a.data().as_ptr();
    assert_eq!(Arithmetic::Sub.forward(a, &Tensor::full([], 2.0)).unwrap().0.data().as_ptr(), place);
}

#[test]
fn a_tensor_can_be_added_to_itself() {
    let a = Tensor::full([3], 4.0);
    assert_eq!(add(a.clone(), &a).unwrap(), Tensor::full([3], 8.0));
}

#[test]
fn nan_and_infinity_are_numbers() {
    let a = Tensor::from_vec([4], vec![f32::NAN, f32::INFINITY, f32::INFINITY, 0.0]).unwrap();
    let b = Tensor::from_vec([4], vec![1.0, f32::INFINITY, 1.0, 0.0]).unwrap();
    let compare = |op: Arithmetic, b: &Tensor, want: [f32; 4]| {
        let y = op.infer(a.clone(), b).unwrap();
        assert_eq!(format!("{:?}", y.data()), format!("{want:?}"), "{op:?}");
    };
    let (nan, infinity, zero) = (f32::NAN, f32::INFINITY, Tensor::full([], 0.0));
    everywhere(|| {
        compare(Arithmetic::Add, &b, [nan, infinity, infinity, 0.0]);
        compare(Arithmetic::Sub, &b, [nan, nan, infinity, 0.0]);
        compare(Arithmetic::Mul, &zero, [nan, nan, nan, 0.0]);
        compare(Arithmetic::Div, &b, [nan, nan, infinity, nan]);
        compare(Arithmetic::Maximum, &b, [nan, infinity, infinity, 0.0]);
        compare(Arithmetic::Minimum, &b, [nan, infinity, 1.0, 0.0]);
        compare(Arithmetic::Maximum, &Tensor::full([], nan), [nan; 4]);
        compare(Arithmetic::Minimum, &Tensor::full([4], nan), [nan; 4]);
    });
}

#[test]
fn equal_operands_of_a_maximum_share_the_gradient() {
    let a = Tensor::from_vec([4], vec![1.0, 2.0, 3.0, f32::NAN]).unwrap();
    let (b, dy) = (Tensor::full([4], 2.0), Tensor::full([4], 8.0));
    let gradients = |op: Arithmetic| {
        let (_, saved) = op.forward(a.clone(), &b).unwrap();
        let (da, db) = op.backward(&saved, dy.clone()).unwrap();
        [da.data().to_vec(), db.data().to_vec()]
    };
    assert_eq!(gradients(Arithmetic::Maximum), [[0.0, 4.0, 8.0, 8.0], [8.0, 4.0, 0.0, 8.0]]);
    assert_eq!(gradients(Arithmetic::Minimum), [[8.0, 4.0, 0.0, 8.0], [0.0, 4.0, 8.0, 8.0]]);
}

#[test]
fn a_scalar_serves_every_element_of_either_side() {
    let (x, two) = (Tensor::from_vec([2, 1, 2], vec![1.0, 2.0, 4.0, 8.0]).unwrap(), Tensor::full([], 2.0));
    let values = |op: Arithmetic, a: &Tensor, b: &Tensor| op.infer(a.clone(), b).unwrap().data().to_vec();
    assert_eq!(values(Arithmetic::Sub, &x, &two), [-1.0, 0.0, 2.0, 6.0]);
    assert_eq!(values(Arithmetic::Sub, &two, &x), [1.0, 0.0, -2.0, -6.0]);
    assert_eq!(values(Arithmetic::Div, &two, &x), [2.0, 1.0, 0.5, 0.25]);
    assert_eq!(values(Arithmetic::Mul, &two, &two), [4.0]);
    // It serves all images, so that its gradient is a sum over all, in pieces.
    let (a, ones) = (whole_numbers([3, 100], 9, 0), Tensor::full([3, 100], 1.0));
    let (_, saved) = Arithmetic::Mul.forward(a.clone(), &two).unwrap();
    everywhere(|| {
        let (_, db) = Arithmetic::Mul.backward(&saved, ones.clone()).unwrap();
        assert_eq!((db.shape().rank(), db.data()[0]), (0, a.data().iter().sum::<f32>()));
    });
}

#[test]
fn one_position_serves_none() {
    let (a, b) = (Tensor::full([2, 1], 1.0), Tensor::zeros([2, 0]));
    for op in ALL {
        let (y, saved) = op.forward(a.clone(), &b).unwrap();
        assert_eq!(y.shape(), Shape::from([2, 0]));
        let (da, db) = op.backward(&saved, y).unwrap();
        assert_eq!((da, db), (Tensor::zeros([2, 1]), Tensor::zeros([2, 0])));
    }
}

#[test]
fn what_is_empty_may_have_more_images_than_can_be_counted() {
    let b = Tensor::zeros([1 << 63, 2, 0]);
    let (y, saved) = Arithmetic::Add.forward(Tensor::full([], 1.0), &b).unwrap();
    assert_eq!(y, b);
    assert_eq!(Arithmetic::Add.backward(&saved, y).unwrap(), (Tensor::zeros([]), b));
}

#[test]
fn an_empty_batch_is_an_empty_batch() {
    let (a, b) = (Tensor::zeros([0, 3, 2]), Tensor::zeros([0, 3, 1]));
    let (y, saved) = Arithmetic::Div.forward(a.clone(), &b).unwrap();
    assert_eq!(y, a);
    assert_eq!(Arithmetic::Div.backward(&saved, y).unwrap(), (a, b));
}

#[test]
fn sums_lose_nothing_to_rounding() {
    // In f32 the ones would vanish beside the first.
    let mut dy = Tensor::full([1, 1000], 1.0);
    dy.data_mut()[0] = 1e8;
    let (_, saved) = Arithmetic::Add.forward(Tensor::zeros([1, 1000]), &Tensor::zeros([1, 1])).unwrap();
    everywhere(|| {
        let (_, db) = Arithmetic::Add.backward(&saved, dy.clone()).unwrap();
        assert_eq!(db.data(), [100_000_999.0_f64 as f32]);
    });
}

#[test]
fn threads_change_nothing() {
    let a = distinct([7, 31, 33], 0);
    for other in [&[7, 31, 33][..], &[7, 31, 1], &[7, 1, 33], &[7, 1, 1], &[]] {
        let b = distinct(Shape::new(other).unwrap(), 1);
        for op in ALL {
            assert_same_bits_on_any_threads(|| {
                let (y, saved) = op.forward(a.clone(), &b).unwrap();
                let (da, db) = op.backward(&saved, y.clone()).unwrap();
                vec![y, da, db]
            });
        }
    }
}

#[test]
fn the_names_are_those_of_files() {
    for op in ALL {
        let json = serde_json::to_string(&op).unwrap();
        assert_eq!(json, format!("{:?}", op.name()));
        assert_eq!(serde_json::from_str::<Arithmetic>(&json).unwrap(), op);
    }
    assert!(serde_json::from_str::<Arithmetic>(r#""pow""#).is_err());
}

#[test]
fn errors_say_what_is_expected() {
    let error = add(Tensor::zeros([2, 3]), &Tensor::zeros([3, 2])).unwrap_err();
    assert_eq!(error.to_string(), "add: b expects shape [2, 3], got [3, 2]");
    let error = add(Tensor::zeros([1]), &Tensor::zeros([])).unwrap_err();
    assert_eq!(error.to_string(), "add: b expects shape [1], got []");
    let message = |op: Arithmetic, a: &[usize], b: &[usize]| {
        op.output_shape(Shape::new(a).unwrap(), Shape::new(b).unwrap()).unwrap_err().to_string()
    };
    assert_eq!(
        message(Arithmetic::Sub, &[2, 3], &[3]),
        "sub: the shapes must be of one rank, or one of them a scalar, got [2, 3] and [3]"
    );
    assert_eq!(
        message(Arithmetic::Mul, &[1, 3], &[2, 3]),
        "mul: the batches, axis 0, must be equal, got [1, 3] and [2, 3]"
    );
    assert_eq!(
        message(Arithmetic::Div, &[2, 3, 1], &[2, 4, 5]),
        "div: the extents must be equal or 1, got [2, 3, 1] and [2, 4, 5]"
    );
    assert_eq!(
        message(Arithmetic::Add, &[1, 1 << 20, 1], &[1, 1, 1 << 20]),
        "add: the output must be at most 2^28 elements for one image, got [1, 1048576, 1048576]"
    );
    let (y, saved) = Arithmetic::Mul.forward(Tensor::zeros([2, 3]), &Tensor::zeros([2, 1])).unwrap();
    let error = Arithmetic::Div.backward(&saved, y).unwrap_err();
    assert_eq!(error.to_string(), "div: saved must be of the same operation, got mul");
    let error = Arithmetic::Mul.backward(&saved, Tensor::zeros([2, 1])).unwrap_err();
    assert_eq!(error.to_string(), "mul: dy expects shape [2, 3], got [2, 1]");
}
