use super::*;
use crate::conv2d::terms::{Case, Term, distinct_by, places, whole_by};
use crate::shared::testing::{
    any_extent, any_padding, any_shape, assert_same_bits_on_any_threads, everywhere,
};
use cnn_tensor::testing::{assert_close, distinct, to_f64};
use proptest::prelude::*;

/// The definition, term by term: where each tap of the kernel falls that an input element lays down.
fn terms(op: ConvTranspose2d, x: Shape, weight: Shape) -> Vec<Term> {
    let [n, c_in, h, w] = x.nchw().unwrap();
    let [_, c, kh, kw] = weight.nchw().unwrap();
    let [_, c_out, oh, ow] = op.output_shape(x, weight).unwrap().nchw().unwrap();
    let [[top, _], [left, _]] = op.sides([h, w]);
    let mut terms = vec![];
    for (x, [n, ci, i, j]) in places([n, c_in, h, w]) {
        for (tap, [_, co, a, b]) in places([1, c, kh, kw]) {
            let row = (i * op.stride[0] + a * op.dilation[0]).wrapping_sub(top);
            let column = (j * op.stride[1] + b * op.dilation[1]).wrapping_sub(left);
            if row < oh && column < ow {
                let channel = ci / (c_in / op.groups) * c + co;
                let y = ((n * c_out + channel) * oh + row) * ow + column;
                terms.push([y, ci * c * kh * kw + tap, x]);
            }
        }
    }
    terms
}

/// A case, if the options fit.
fn case(
    op: ConvTranspose2d,
    x: [usize; 4],
    c_out: usize,
    numbers: impl Fn(Shape, u64) -> Tensor,
) -> Option<Case> {
    let x = Shape::from(x);
    let weight = op.weight_shape(x, c_out).ok()?;
    let y = op.output_shape(x, weight).ok()?;
    Some(Case::new([x, weight, y], terms(op, x, weight), numbers))
}

/// `y`, `dx`, `dweight` and `dbias`.
fn run(op: ConvTranspose2d, case: &Case) -> [Tensor; 4] {
    let weight = &case.weight;
    let (y, saved) = op.forward(&case.x, weight, Some(&case.bias)).unwrap();
    let (mut dweight, mut dbias) = (Tensor::zeros(weight.shape()), Tensor::zeros(case.bias.shape()));
    let dx = op.backward(&saved, weight, &case.dy, &mut dweight, Some(&mut dbias)).unwrap();
    [y, dx, dweight, dbias]
}

prop_compose! {
    /// All options: paddings below and above the kernel, output paddings below stride and dilation.
    fn options()(
        groups in 1..4usize, kernel in prop::array::uniform2(1..4usize), stride in prop::array::uniform2(1..4usize),
        padding in any_padding(5), output_padding in prop::array::uniform2(0..3usize),
        dilation in prop::array::uniform2(1..4usize),
    ) -> ConvTranspose2d {
        let same = matches!(padding, Padding::Same | Padding::SameLower);
        let output_padding = if same { [0, 0] } else { output_padding };
        ConvTranspose2d { kernel, stride, padding, output_padding, dilation, groups }
    }
}

prop_compose! {
    /// Small enough for differences.
    fn small_cases()(
        op in options(), n in 1..3usize, c_in in 1..3usize, c_out in 1..3usize,
        hw in prop::array::uniform2(1..4usize), seed: u64,
    ) -> Option<(ConvTranspose2d, Case)> {
        let x = [n, op.groups * c_in, hw[0], hw[1]];
        Some((op, case(op, x, op.groups * c_out, distinct_by(seed))?))
    }
}

prop_compose! {
    /// Planes of several bands, batches of more images than there are parts of one.
    fn larger_cases()(
        op in options(), n in 1..20usize, c_in in 1..6usize, c_out in 1..6usize,
        hw in prop::array::uniform2(1..8usize), seed: u64,
    ) -> Option<(ConvTranspose2d, Case)> {
        let x = [n, op.groups * c_in, hw[0], hw[1]];
        let terms = x.iter().product::<usize>() * c_out * op.kernel[0] * op.kernel[1];
        if terms < 8_000 { Some((op, case(op, x, op.groups * c_out, whole_by(seed))?)) } else { None }
    }
}

proptest! {
    #![proptest_config(crate::shared::testing::any_number_of_rejects())]

    #[test]
    fn matches_the_definition((op, case) in small_cases().prop_filter_map("it leaves an output", |case| case)) {
        case.matches_the_definition(|case| vec![run(op, case)]);
    }

    #[test]
    fn whole_numbers_are_exact((op, case) in larger_cases().prop_filter_map("it leaves an output", |case| case)) {
        case.is_exact(|case| vec![run(op, case)]);
    }

    /// The property it is named for: `<conv(y), x> = <y, conv_transpose(x)>`, exactly for whole numbers.
    #[test]
    fn is_the_transpose_of_the_convolution(
        (op, case) in larger_cases().prop_filter_map("a convolution makes the input's extents", |case| {
            case.filter(|(op, _)| (0..2).all(|i| op.output_padding[i] < op.stride[i]))
        }),
    ) {
        let ConvTranspose2d { kernel, stride, padding, dilation, groups, .. } = op;
        let conv = Conv2d { kernel, stride, padding, dilation, groups };
        let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
        let Case { x, weight, dy: y, .. } = &case;
        let convolved = conv.infer(y, weight, None).unwrap();
        prop_assert_eq!(convolved.shape(), x.shape());
        prop_assert_eq!(dot(&convolved, x), dot(y, &op.infer(x, weight, None).unwrap()));
    }

    /// No options and shapes, however absurd, make an operation panic or take memory out of proportion; what the shape
    /// rule takes, the operation computes.
    #[test]
    fn absurd_options_are_errors(
        kernel in any_pair(), stride in any_pair(), padding in prop::array::uniform2(any_pair()), output_padding in any_pair(),
        dilation in any_pair(), groups in any_extent(),
        x in prop_oneof![any_shape(), prop::array::uniform4(any_extent()).prop_map(Shape::from)],
        c_out in any_extent(), weight in prop::option::weighted(0.2, any_shape()),
    ) {
        let padding = padding.into();
        let op = ConvTranspose2d { kernel, stride, padding, output_padding, dilation, groups };
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
            prop_assert_eq!(op.backward(&saved, &weight, &dy, &mut dweight, None).unwrap(), x);
        }
    }
}

fn any_pair() -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(any_extent())
}

/// PyTorch's `conv_transpose2d` makes the same shapes.
#[test]
fn output_extents_are_pytorchs() {
    let rows = |op: ConvTranspose2d, h: usize| {
        let x = Shape::from([1, 2, h, 3]);
        let weight = op.weight_shape(x, 1).unwrap();
        op.output_shape(x, weight).unwrap().dims()[2]
    };
    let op = ConvTranspose2d::new([5, 1]);
    assert_eq!(rows(op, 3), 7);
    assert_eq!(rows(op.stride([3, 1]).padding([5, 0]), 3), 1, "more padding than kernel");
    let dilated = ConvTranspose2d::new([1, 1]).dilation([3, 1]).output_padding([2, 0]);
    assert_eq!(rows(dilated, 3), 5, "output padding above the stride");
    assert_eq!(rows(op.stride([2, 1]).padding([2, 0]).output_padding([1, 0]), 4), 8);
    assert_eq!(rows(op.padding([[1, 2], [0, 0]]), 3), 4, "other numbers at each side");
    for stride in [1, 2, 7] {
        assert_eq!(rows(op.stride([stride, 1]).padding(Padding::Same), 3), 3 * stride);
    }
}

#[test]
fn what_no_input_reaches_is_the_bias_and_what_padding_takes_is_gone() {
    let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 2.0, 3.0]).unwrap();
    let (weight, bias) = (Tensor::full([1, 1, 1, 1], 10.0), Tensor::full([1], 0.5));
    let op = ConvTranspose2d::new([1, 1]).stride([1, 2]);
    let apart = op.output_padding([0, 1]);
    assert_eq!(apart.infer(&x, &weight, Some(&bias)).unwrap().data(), [10.5, 0.5, 20.5, 0.5, 30.5, 0.5]);
    let cropped = op.padding([0, 1]);
    let (y, saved) = cropped.forward(&x, &weight, Some(&bias)).unwrap();
    assert_eq!(y.data(), [0.5, 20.5, 0.5]);
    let dy = Tensor::full(y.shape(), 1.0);
    let mut dweight = Tensor::zeros(weight.shape());
    let dx = cropped.backward(&saved, &weight, &dy, &mut dweight, None).unwrap();
    assert_eq!((dx.data(), dweight.data()), (&[0.0, 10.0, 0.0][..], &[2.0][..]));
}

#[test]
fn empty_batches_and_channels_are_empty_results() {
    let op = ConvTranspose2d::new([3, 3]);
    for (x, c_out) in [([0, 2, 5, 5], 3), ([2, 2, 5, 5], 0), ([2, 0, 5, 5], 3)] {
        let case = case(op, x, c_out, distinct).unwrap();
        let [y, dx, dweight, _] = run(op, &case);
        assert_eq!(y.shape(), [x[0], c_out, 7, 7].into());
        assert!(dx.data().iter().chain(dweight.data()).all(|&v| v == 0.0));
        let bias_alone =
            y.data().iter().enumerate().all(|(i, &v)| v == case.bias.data()[i / 49 % c_out.max(1)]);
        assert!(bias_alone, "{x:?}");
    }
}

#[test]
fn gradients_of_parameters_are_added() {
    let op = ConvTranspose2d::new([2, 2]);
    let case = case(op, [2, 2, 3, 3], 2, distinct).unwrap();
    let [_, _, dweight, dbias] = run(op, &case);
    let (_, saved) = op.forward(&case.x, &case.weight, None).unwrap();
    let (mut dweight_again, mut dbias_again) = (Tensor::full(dweight.shape(), 1.0), Tensor::full([2], 2.0));
    op.backward_parameters(&saved, &case.weight, &case.dy, &mut dweight_again, Some(&mut dbias_again))
        .unwrap();
    let plus = |t: &Tensor, by: f64| to_f64(t).iter().map(|v| v + by).collect::<Vec<f64>>();
    assert_close(&dweight_again, &plus(&dweight, 1.0));
    assert_close(&dbias_again, &plus(&dbias, 2.0));
}

#[test]
fn nan_and_infinity_reach_what_their_kernel_covers() {
    let x = Tensor::from_vec([2, 1, 1, 2], vec![f32::NAN, 1.0, f32::INFINITY, 1.0]).unwrap();
    everywhere(|| {
        let op = ConvTranspose2d::new([1, 2]).stride([1, 2]);
        let y = op.infer(&x, &Tensor::full([1, 1, 1, 2], 2.0), None).unwrap();
        assert!(y.data()[..2].iter().all(|v| v.is_nan()) && y.data()[2..4] == [2.0, 2.0]);
        assert_eq!(y.data()[4..], [f32::INFINITY, f32::INFINITY, 2.0, 2.0]);
    });
}

#[test]
fn threads_change_nothing() {
    let op = ConvTranspose2d::new([3, 3]).stride([2, 2]).padding([1, 0]);
    let case = case(op, [19, 4, 6, 7], 3, distinct).unwrap();
    assert_same_bits_on_any_threads(|| run(op, &case).into());
}

#[test]
fn faults_are_named() {
    let message = |op: ConvTranspose2d, x: [usize; 4], weight: [usize; 4]| {
        let message = op.output_shape(x.into(), weight.into()).unwrap_err().to_string();
        message.strip_prefix("conv_transpose2d: ").unwrap().to_string()
    };
    let (op, x, weight) = (ConvTranspose2d::new([3, 3]), [1, 4, 2, 2], [4, 6, 3, 3]);
    assert_eq!(message(op, x, [5, 6, 3, 3]), "weight expects 5 input channels, got 4");
    assert_eq!(message(op, x, [4, 6, 3, 2]), "weight expects shape [4, 6, 3, 3], got [4, 6, 3, 2]");
    assert_eq!(message(ConvTranspose2d::new([3, 0]), x, weight), "kernel must be at least 1, got [3, 0]");
    assert_eq!(message(op.stride([0, 1]), x, weight), "stride must be at least 1, got [0, 1]");
    assert_eq!(message(op.dilation([1, 0]), x, weight), "dilation must be at least 1, got [1, 0]");
    assert_eq!(
        message(op.groups(3), x, weight),
        "groups must be a divisor of both channel counts, got 3 for 4 input and 18 output channels"
    );
    let strided = op.stride([2, 3]).output_padding([2, 2]);
    assert_eq!(
        message(strided, x, weight),
        "output_padding must be less than stride or dilation, got [2, 2]"
    );
    assert_eq!(
        message(strided.padding(Padding::Same).output_padding([0, 1]), x, weight),
        "output_padding must be 0 where the padding is \"same\", got [0, 1]"
    );
    assert_eq!(
        message(op.padding([2, 0]), x, weight),
        "padding must be less than the output's extent without it, got 4 of 4"
    );
    assert_eq!(
        message(op, [1, 4, 2, 0], weight),
        "the input must be of at least 1 row and 1 column, got an extent of 0"
    );
    assert_eq!(
        message(op.stride([1 << 40, 1]), x, weight),
        "the output must be at most 2^28 elements for one image, got [1, 6, 1099511627779, 4]"
    );
    assert!(
        message(op.stride([usize::MAX, 1]), x, weight).contains(&usize::MAX.to_string()),
        "too large to count"
    );
    let error = op.output_shape([4, 2, 2].into(), weight.into()).unwrap_err();
    assert_eq!(error.to_string(), "conv_transpose2d: x expects [n, c, h, w], got shape [4, 2, 2]");
    let error = op.weight_shape(x.into(), 5).and(op.groups(2).weight_shape(x.into(), 5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conv_transpose2d: groups must be a divisor of both channel counts, got 2 for 4 input and 5 output channels"
    );
}

#[test]
fn a_backward_pass_that_fails_adds_nothing() {
    let op = ConvTranspose2d::new([2, 2]);
    let case = case(op, [1, 2, 3, 3], 3, distinct).unwrap();
    let weight = &case.weight;
    let error = op.infer(&case.x, weight, Some(&Tensor::zeros([2]))).unwrap_err();
    assert_eq!(error.to_string(), "conv_transpose2d: bias expects shape [3], got [2]");
    let (_, saved) = op.forward(&case.x, weight, None).unwrap();
    let (mut dweight, mut dbias, mut other) =
        (Tensor::zeros(weight.shape()), Tensor::zeros([3]), Tensor::zeros([4]));
    let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
    assert_eq!(
        message(op.backward(&saved, weight, &case.x, &mut dweight, Some(&mut dbias))),
        "conv_transpose2d: dy expects shape [1, 3, 4, 4], got [1, 2, 3, 3]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.dy, &mut other, Some(&mut dbias))),
        "conv_transpose2d: dweight expects shape [2, 3, 2, 2], got [4]"
    );
    assert_eq!(
        message(op.backward(&saved, weight, &case.dy, &mut dweight, Some(&mut other))),
        "conv_transpose2d: dbias expects shape [3], got [4]"
    );
    assert!(dweight.data().iter().chain(dbias.data()).all(|&v| v == 0.0));
}
