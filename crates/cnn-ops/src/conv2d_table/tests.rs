use super::*;
use crate::conv2d::terms::{Case, Term, distinct_by, places, whole_by};
use crate::shared::testing::{any_extent, any_shape, assert_same_bits_on_any_threads, everywhere};
use cnn_tensor::testing::{assert_close, distinct, to_f64};
use proptest::prelude::*;

/// The definition, term by term.
fn terms(op: &Conv2dTable, x: Shape, y: Shape) -> Vec<Term> {
    let [n, c_in, h, w] = x.nchw().unwrap();
    let [_, c_out, oh, ow] = y.nchw().unwrap();
    let [kh, kw] = op.kernel;
    let [[top, _], [left, _]] = op.padding.resolve([h, w], op.kernel, op.stride, [1, 1]);
    let mut terms = vec![];
    for (y, [n, co, i, j]) in places([n, c_out, oh, ow]) {
        let first: usize = op.table[..co].iter().map(Vec::len).sum();
        for (tap, [_, ci, a, b]) in places([1, op.table[co].len(), kh, kw]) {
            let row = (i * op.stride[0] + a).wrapping_sub(top);
            let column = (j * op.stride[1] + b).wrapping_sub(left);
            if row < h && column < w {
                let x = ((n * c_in + op.table[co][ci]) * h + row) * w + column;
                terms.push([y, first * kh * kw + tap, x]);
            }
        }
    }
    terms
}

/// A case, if the options fit.
fn case(op: &Conv2dTable, x: [usize; 4], numbers: impl Fn(Shape, u64) -> Tensor) -> Option<Case> {
    let x = Shape::from(x);
    let weight = op.weight_shape(x).ok()?;
    let y = op.output_shape(x, weight).ok()?;
    Some(Case::new([x, weight, y], terms(op, x, y), numbers))
}

/// `y`, `dx`, `dweight` and `dbias`.
fn run(op: &Conv2dTable, case: &Case) -> [Tensor; 4] {
    let weight = &case.weight;
    let (y, saved) = op.forward(&case.x, weight, Some(&case.bias)).unwrap();
    let (mut dweight, mut dbias) = (Tensor::zeros(weight.shape()), Tensor::zeros(case.bias.shape()));
    let dx = op.backward(&saved, weight, &case.dy, &mut dweight, Some(&mut dbias)).unwrap();
    [y, dx, dweight, dbias]
}

/// Any rows of channels below `c_in`.
fn tables(c_in: usize, c_out: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<usize>>> {
    let row = prop::sample::subsequence((0..c_in).collect::<Vec<_>>(), 1..=c_in);
    prop::collection::vec(row, c_out)
}

prop_compose! {
    fn cases(c_in: usize, c_out: usize, extent: usize)(
        table in tables(c_in, 1..c_out), kernel in prop::array::uniform2(1..4usize),
        stride in prop::array::uniform2(1..3usize),
        padding in prop_oneof![
            prop::array::uniform2(prop::array::uniform2(0..3usize)).prop_map(Padding::from),
            Just(Padding::Same),
        ],
        hw in prop::array::uniform2(1..extent),
    ) -> (Conv2dTable, [usize; 3]) {
        (Conv2dTable { table, kernel, stride, padding }, [c_in, hw[0], hw[1]])
    }
}

proptest! {
    #![proptest_config(crate::shared::testing::any_number_of_rejects())]

    #[test]
    fn matches_the_definition(
        (op, case) in ((1..5usize).prop_flat_map(|c_in| cases(c_in, 5, 4)), 1..3usize, any::<u64>()).prop_filter_map(
            "the window fits",
            |((op, [c, h, w]), n, seed)| case(&op, [n, c, h, w], distinct_by(seed)).map(|case| (op, case)),
        ),
    ) {
        case.matches_the_definition(|case| vec![run(&op, case)]);
    }

    #[test]
    fn whole_numbers_are_exact(
        (op, case) in ((1..7usize).prop_flat_map(|c_in| cases(c_in, 9, 6)), 1..20usize, any::<u64>()).prop_filter_map(
            "the window fits, in little time",
            |((op, [c, h, w]), n, seed)| {
                let little = n * h * w * op.connections() * op.kernel[0] * op.kernel[1] < 8_000;
                let case = if little { case(&op, [n, c, h, w], whole_by(seed)) } else { None };
                case.map(|case| (op, case))
            },
        ),
    ) {
        case.is_exact(|case| vec![run(&op, case)]);
    }

    /// No table, options and shapes, however absurd, make an operation panic or take memory out of proportion; what the
    /// shape rule takes, the operation computes.
    #[test]
    fn absurd_options_are_errors(
        table in prop_oneof![
            prop::collection::vec(prop::collection::vec(any_extent(), 0..3), 0..3),
            prop::collection::vec(Just(vec![0]), 0..3),
        ],
        kernel in any_pair(), stride in any_pair(),
        padding in prop_oneof![
            (any_pair(), any_pair()).prop_map(|(rows, columns)| Padding::from([rows, columns])),
            Just(Padding::Same),
        ],
        x in prop_oneof![any_shape(), prop::array::uniform4(any_extent()).prop_map(Shape::from)],
        weight in prop::option::weighted(0.2, any_shape()),
    ) {
        let op = Conv2dTable { table, kernel, stride, padding };
        let fitting = op.weight_shape(x);
        let Some(weight) = weight.or(fitting.ok()) else { return Ok(()) };
        let _ = op.macs(x, weight);
        let Ok(y) = op.output_shape(x, weight) else { return Ok(()) };
        let dense = op.dense().macs(x, op.dense_shape(x).unwrap()).unwrap();
        if dense < 1 << 20 && [x, weight, y].iter().all(|shape| shape.numel() < 100_000) {
            let (x, weight, dy) = (Tensor::zeros(x), Tensor::zeros(weight), Tensor::zeros(y));
            let (got, saved) = op.forward(&x, &weight, None).unwrap();
            prop_assert_eq!(got, dy.clone());
            let mut dweight = Tensor::zeros(weight.shape());
            prop_assert_eq!(op.backward(&saved, &weight, &dy, &mut dweight, None).unwrap(), x);
        }
    }
}

fn any_pair() -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(any_extent())
}

/// Its counts in the paper: 60 connections, 1,516 parameters, 151,600 connections of neurons, biases among them.
#[test]
fn c3_is_the_papers() {
    let op = Conv2dTable::lenet5_c3([5, 5]);
    let x = Shape::from([1, 6, 14, 14]);
    let weight = op.weight_shape(x).unwrap();
    assert_eq!((op.connections(), weight), (60, [60, 5, 5].into()));
    assert_eq!(op.output_shape(x, weight).unwrap(), [1, 16, 10, 10].into());
    assert_eq!(weight.numel() + 16, 1516);
    assert_eq!(op.macs(x, weight).unwrap() + 16 * 100, 151_600);
    // Each map of S2 has ten connections, and no two maps of C3 see the same.
    for channel in 0..6 {
        assert_eq!(op.table.iter().flatten().filter(|&&ci| ci == channel).count(), 10);
    }
    assert!((0..16).all(|a| (0..a).all(|b| op.table[a] != op.table[b])));
}

/// A table of everything is a convolution.
#[test]
fn a_full_table_is_a_convolution() {
    let op = Conv2dTable::new(vec![vec![0, 1, 2]; 4], [3, 2]).stride([2, 1]).padding(Padding::Same);
    let case = case(&op, [2, 3, 7, 5], distinct).unwrap();
    let [y, dx, ..] = run(&op, &case);
    let conv = Conv2d::new([3, 2]).stride([2, 1]).padding(Padding::Same);
    let weight = case.weight.clone().reshape([4, 3, 3, 2]).unwrap();
    let (y_conv, saved) = conv.forward(&case.x, &weight, Some(&case.bias)).unwrap();
    assert_eq!(y, y_conv);
    let mut dweight = Tensor::zeros(weight.shape());
    assert_eq!(dx, conv.backward(&saved, &weight, &case.dy, &mut dweight, None).unwrap());
}

#[test]
fn channels_that_are_not_seen_count_as_zero_times_what_they_hold() {
    let op = Conv2dTable::new([vec![0], vec![1]], [1, 1]);
    let weight = Tensor::full([2, 1, 1], 2.0);
    for n in [1, 16] {
        everywhere(|| {
            let mut x = Tensor::full([n, 2, 1, 2], 3.0);
            assert_eq!(op.infer(&x, &weight, None).unwrap(), Tensor::full([n, 2, 1, 2], 6.0));
            x.data_mut()[0] = f32::INFINITY;
            let y = op.infer(&x, &weight, None).unwrap();
            assert_eq!(y.data()[0], f32::INFINITY);
            assert!(y.data()[2].is_nan(), "0 * inf");
            assert!(y.data()[1] == 6.0 && y.data()[3..].iter().all(|&v| v == 6.0));
        });
    }
}

#[test]
fn empty_batches_and_tables_are_empty_results() {
    for (table, n) in [(vec![vec![0, 1]], 0), (vec![], 2)] {
        let op = Conv2dTable::new(table, [3, 3]);
        let case = case(&op, [n, 2, 5, 5], distinct).unwrap();
        let [y, dx, dweight, dbias] = run(&op, &case);
        assert_eq!(y.shape(), [n, op.table.len(), 3, 3].into());
        assert!(dx.data().iter().chain(dweight.data()).chain(dbias.data()).all(|&v| v == 0.0));
    }
}

#[test]
fn gradients_of_parameters_are_added() {
    let op = Conv2dTable::new([vec![0], vec![0, 1]], [2, 2]);
    let case = case(&op, [2, 2, 3, 3], distinct).unwrap();
    let [_, _, dweight, dbias] = run(&op, &case);
    let (_, saved) = op.forward(&case.x, &case.weight, None).unwrap();
    let (mut dweight_again, mut dbias_again) = (Tensor::full(dweight.shape(), 1.0), Tensor::full([2], 2.0));
    op.backward_parameters(&saved, &case.weight, &case.dy, &mut dweight_again, Some(&mut dbias_again))
        .unwrap();
    let plus = |t: &Tensor, by: f64| to_f64(t).iter().map(|v| v + by).collect::<Vec<f64>>();
    assert_close(&dweight_again, &plus(&dweight, 1.0));
    assert_close(&dbias_again, &plus(&dbias, 2.0));
}

#[test]
fn threads_change_nothing() {
    let op = Conv2dTable::lenet5_c3([5, 5]);
    let case = case(&op, [37, 6, 14, 14], distinct).unwrap();
    assert_same_bits_on_any_threads(|| run(&op, &case).into());
}

#[test]
fn faults_are_named() {
    let message = |table: &[&[usize]], kernel, x: [usize; 4], weight: &[usize]| {
        let op = Conv2dTable::new(table.iter().copied(), kernel);
        let message = op.output_shape(x.into(), Shape::new(weight).unwrap()).unwrap_err().to_string();
        message.strip_prefix("conv2d_table: ").unwrap().to_string()
    };
    let (table, x): (&[&[usize]], _) = (&[&[0, 1], &[2]], [1, 3, 8, 8]);
    assert_eq!(message(table, [3, 3], x, &[2, 3, 3]), "weight expects shape [3, 3, 3], got [2, 3, 3]");
    assert_eq!(message(table, [3, 3], x, &[3, 1, 3, 3]), "weight expects shape [3, 3, 3], got [3, 1, 3, 3]");
    assert_eq!(message(table, [0, 3], x, &[3, 0, 3]), "kernel must be at least 1, got [0, 3]");
    assert_eq!(
        message(table, [9, 3], x, &[3, 9, 3]),
        "a window of 9 with padding 0 does not fit an input extent of 8"
    );
    assert_eq!(
        message(table, [3, 3], [1, 2, 8, 8], &[3, 3, 3]),
        "table must be of channels that the input has, got channel 2 of 2 for output channel 1"
    );
    for (row, written) in [(&[][..], "[]"), (&[1, 0], "[1, 0]"), (&[1, 1], "[1, 1]")] {
        assert_eq!(
            message(&[&[0], row], [3, 3], x, &[3, 3, 3]),
            format!(
                "table must be rows of at least one channel, ascending, got {written} for output channel 1"
            )
        );
    }
    assert_eq!(
        message(&[&[0][..]; 1 << 9], [1, 1], [1, 1 << 20, 1, 1], &[1 << 9, 1, 1]),
        "the table's dense weight must be at most 2^28 elements, got [512, 1048576, 1, 1]"
    );
    let op = Conv2dTable::new(vec![vec![0]], [1, 1]).stride([1, 0]);
    let error = op.output_shape(x.into(), [1, 1, 1].into()).unwrap_err();
    assert_eq!(error.to_string(), "conv2d_table: stride must be at least 1, got [1, 0]");
    let error = op.weight_shape([3, 8, 8].into()).unwrap_err();
    assert_eq!(error.to_string(), "conv2d_table: x expects [n, c, h, w], got shape [3, 8, 8]");
}

#[test]
fn a_backward_pass_that_fails_adds_nothing() {
    let op = Conv2dTable::new([vec![0], vec![0, 1]], [2, 2]);
    let case = case(&op, [1, 2, 3, 3], distinct).unwrap();
    let weight = &case.weight;
    let error = op.infer(&case.x, weight, Some(&Tensor::zeros([3]))).unwrap_err();
    assert_eq!(error.to_string(), "conv2d_table: bias expects shape [2], got [3]");
    let (_, saved) = op.forward(&case.x, weight, None).unwrap();
    let (mut dweight, mut dbias, mut other) =
        (Tensor::zeros(weight.shape()), Tensor::zeros([2]), Tensor::zeros([4]));
    let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
    assert_eq!(
        message(op.backward(&saved, weight, &case.x, &mut dweight, Some(&mut dbias))),
        "conv2d_table: dy expects shape [1, 2, 2, 2], got [1, 2, 3, 3]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.dy, &mut other, Some(&mut dbias))),
        "conv2d_table: dweight expects shape [3, 2, 2], got [4]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.dy, &mut dweight, Some(&mut other))),
        "conv2d_table: dbias expects shape [2], got [4]"
    );
    assert!(dweight.data().iter().chain(dbias.data()).all(|&v| v == 0.0));
}
