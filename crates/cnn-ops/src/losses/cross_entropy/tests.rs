use super::*;
use crate::losses::testing;
use crate::shared::testing::*;
use cnn_tensor::testing::{distinct, to_f64};
use proptest::prelude::*;

/// The target of a test: labels, or probabilities.
#[derive(Clone, Debug)]
enum Target {
    Labels(Vec<u32>),
    Probabilities(Vec<f64>),
}

/// The definition, in f64: the sum of the losses.
fn oracle(op: &CrossEntropy, [n, classes, inner]: [usize; 3], x: &[f64], target: &Target) -> f64 {
    let (e, mut loss) = (op.label_smoothing, 0.0);
    for position in 0..n * inner {
        let at = |k: usize| (position / inner * classes + k) * inner + position % inner;
        let sum: f64 = (0..classes).map(|k| x[at(k)].exp()).sum();
        for k in 0..classes {
            let hit = match target {
                Target::Labels(labels) if Some(labels[position]) == op.ignore_index => continue,
                Target::Labels(labels) => f64::from(labels[position] as usize == k),
                Target::Probabilities(p) => p[at(k)],
            };
            let weight = op.weight.as_ref().map_or(1.0, |w| f64::from(w[k]));
            loss -= weight * ((1.0 - e) * hit + e / classes as f64) * (x[at(k)].exp() / sum).ln();
        }
    }
    loss
}

/// Options for that many classes.
fn options(classes: usize) -> impl Strategy<Value = CrossEntropy> {
    let weight = prop::option::of(prop::collection::vec(-1.0..3.0f32, classes));
    let ignore = prop::option::of(0..classes as u32 + 2);
    let smoothing = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    let reduction = prop_oneof![Just(Reduction::Mean), Just(Reduction::Sum)];
    (weight, ignore, smoothing, reduction).prop_map(|(weight, ignore_index, label_smoothing, reduction)| {
        CrossEntropy { weight, ignore_index, reduction, label_smoothing }
    })
}

/// Options and a shape of logits, as extents `[n, classes, inner]` and with every rank.
fn cases() -> impl Strategy<Value = (CrossEntropy, Shape)> {
    (prop::collection::vec(1..4usize, 2..=6), 0..4usize).prop_flat_map(|(mut dims, n)| {
        dims[0] = n;
        (options(dims[1]), Just(Shape::new(&dims).unwrap()))
    })
}

fn extents(shape: Shape) -> [usize; 3] {
    [shape.batch(), shape.dims()[1], shape.dims()[2..].iter().product()]
}

/// Runs both passes everywhere and compares with the definition.
fn compare(op: &CrossEntropy, x: &Tensor, target: &Target, scale: f32) {
    let extents = extents(x.shape());
    let forward = |x: &Tensor| match target {
        Target::Labels(labels) => op.forward(x, &labels[..]),
        Target::Probabilities(p) => {
            let p = p.iter().map(|&p| p as f32).collect();
            op.forward(x, &Tensor::from_vec(x.shape(), p).unwrap())
        }
    };
    testing::compare(x, scale, forward, |x| oracle(op, extents, x, target));
}

proptest! {
    #![proptest_config(any_number_of_rejects())]

    #[test]
    fn labels_match_the_definition((op, shape) in cases(), scale in -2.0..2.0f32, seed: u64) {
        let [n, classes, inner] = extents(shape);
        let mut random = cnn_tensor::Random::new(seed, &["labels"]);
        let labels: Vec<u32> = (0..n * inner)
            .map(|_| match op.ignore_index {
                Some(ignored) if random.below(3) == 0 => ignored,
                _ => random.below(classes) as u32,
            })
            .collect();
        let divisor = op.divisor(&labels[..]);
        let weights = labels.iter().filter(|&&label| Some(label) != op.ignore_index);
        let weights = weights.map(|&label| op.weight.as_ref().map_or(1.0, |w| f64::from(w[label as usize])));
        prop_assert_eq!(divisor, if op.reduction == Reduction::Sum { 1.0 } else { weights.sum() });
        compare(&op, &distinct(shape, seed), &Target::Labels(labels), scale);
    }

    #[test]
    fn probabilities_match_the_definition((op, shape) in cases(), scale in -2.0..2.0f32, seed: u64) {
        let op = CrossEntropy { ignore_index: None, ..op };
        let p = to_f64(&distinct(shape, seed ^ 1)).iter().map(|p| p.abs()).collect();
        compare(&op, &distinct(shape, seed), &Target::Probabilities(p), scale);
    }

    /// Labels are probabilities of 0 and 1.
    #[test]
    fn labels_and_probabilities_agree((op, shape) in cases(), seed: u64) {
        let op = CrossEntropy { ignore_index: None, ..op };
        let [n, classes, inner] = extents(shape);
        let mut random = cnn_tensor::Random::new(seed, &["labels"]);
        let labels: Vec<u32> = (0..n * inner).map(|_| random.below(classes) as u32).collect();
        let mut p = Tensor::zeros(shape);
        for (at, &label) in labels.iter().enumerate() {
            p.data_mut()[(at / inner * classes + label as usize) * inner + at % inner] = 1.0;
        }
        let x = distinct(shape, seed);
        let (a, saved_a) = op.forward(&x, &labels[..]).unwrap();
        let (b, saved_b) = op.forward(&x, &p).unwrap();
        prop_assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0));
        let to = to_f64(&saved_b.backward(1.0));
        cnn_tensor::testing::assert_close(&saved_a.backward(1.0), &to);
    }

    /// A batch that is cut gives the whole batch's loss and gradient.
    #[test]
    fn pieces_add_up((op, shape) in cases(), cut in 0..4usize, seed: u64) {
        let [n, classes, inner] = extents(shape);
        let labels: Vec<u32> = (0..n * inner).map(|i| ((i as u64 + seed % 7) % classes as u64) as u32).collect();
        let x = distinct(shape, seed);
        let (whole, saved) = op.forward(&x, &labels[..]).unwrap();
        let (cut, mut sum, mut gradient) = (cut.min(n), 0.0, vec![]);
        for (start, end) in [(0, cut), (cut, n)] {
            let part = &labels[start * inner..end * inner];
            let (loss, saved) = op.forward(&x.slice_batch(start, end), part).unwrap();
            sum += loss;
            gradient.extend_from_slice(saved.backward(0.5).data());
        }
        prop_assert!((sum - whole).abs() <= 1e-12 * whole.abs().max(1.0));
        let whole = saved.backward(0.5);
        prop_assert_eq!(whole.data(), &gradient);
    }

    #[test]
    fn absurd_options_are_errors(
        shape in any_shape(),
        label in any::<u32>(),
        ignore_index in prop::option::of(any::<u32>()),
        label_smoothing in prop_oneof![0.0..1.0f64, prop::num::f64::ANY],
        weights in prop::option::of(0..5usize),
    ) {
        let weight = weights.map(|n| vec![1.0; n]);
        let op = CrossEntropy { weight, ignore_index, label_smoothing, ..CrossEntropy::default() };
        prop_assume!(shape.numel() < 100_000);
        let x = Tensor::zeros(shape);
        let positions = Positions::new(OP, "logits", shape).map_or(0, |positions| positions.count);
        let _ = op.forward(&x, &vec![label; positions][..]);
        let _ = op.forward(&x, &x);
        let _ = (op.divisor(&[label][..]), op.divisor(&x));
    }
}

fn logits(values: &[f32]) -> Tensor {
    Tensor::from_slice([values.len() / 2, 2], values).unwrap()
}

/// PyTorch 2.15: `F.cross_entropy(tensor([[1., 2.], [3., 1.], [0., 1.]]), tensor([1, 0, 1]), label_smoothing=0.3,
/// weight=tensor([2., 3.]), ignore_index=0)` and its gradient.
#[test]
fn the_mean_is_that_of_pytorch() {
    let op = CrossEntropy {
        weight: Some(vec![2.0, 3.0]),
        ignore_index: Some(0),
        label_smoothing: 0.3,
        ..CrossEntropy::default()
    };
    let (mean, dx) = op.loss(&logits(&[1.0, 2.0, 3.0, 1.0, 0.0, 1.0]), &[1, 0, 1][..]).unwrap();
    assert!((mean - 0.397_598_603_142_311_66).abs() < 1e-12, "{mean}");
    let want = [PYTORCH_GRADIENT, -PYTORCH_GRADIENT, 0.0, 0.0, PYTORCH_GRADIENT, -PYTORCH_GRADIENT];
    cnn_tensor::testing::assert_close(&dx, &want);
}
const PYTORCH_GRADIENT: f64 = 0.077747175151;

/// PyTorch: the same weights divide the mean over labels, but not that over probabilities.
#[test]
fn the_mean_over_probabilities_counts_positions() {
    let op = CrossEntropy { weight: Some(vec![2.0, 4.0]), ..CrossEntropy::default() };
    let x = logits(&[0.0; 4]);
    assert_eq!(op.loss(&x, &[0, 1][..]).unwrap().0, 2f64.ln());
    let one_hot = logits(&[1.0, 0.0, 0.0, 1.0]);
    assert_eq!(op.loss(&x, &one_hot).unwrap().0, 3.0 * 2f64.ln());
    assert_eq!(op.divisor(&Tensor::zeros([2, 3, 4, 5])), 40.0);
    let sum = CrossEntropy { reduction: Reduction::Sum, ..op };
    assert_eq!(sum.loss(&x, &one_hot).unwrap().0, 6.0 * 2f64.ln());
    assert_eq!(sum.loss(&x, &[0, 1][..]).unwrap().0, 6.0 * 2f64.ln());
}

#[test]
fn where_all_is_ignored_the_mean_is_nan_and_its_gradient_zero() {
    let op = CrossEntropy { ignore_index: Some(255), ..CrossEntropy::default() };
    let (mean, dx) = op.loss(&logits(&[1.0, 2.0]), &[255][..]).unwrap();
    assert!(mean.is_nan() && dx.data() == [0.0; 2]);
    let (sum, _) = op.forward(&logits(&[f32::NAN, 2.0]), &[255][..]).unwrap();
    assert_eq!(sum, 0.0);
    let (mean, dx) = CrossEntropy::default().loss(&Tensor::zeros([0, 2]), &[][..]).unwrap();
    assert!(mean.is_nan() && dx == Tensor::zeros([0, 2]));
}

#[test]
fn infinities_and_nan() {
    let inf = f32::INFINITY;
    let plain = CrossEntropy { ignore_index: Some(9), ..CrossEntropy::default() };
    let smooth = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
    assert_eq!(plain.loss(&logits(&[0.0, -inf]), &[0][..]).unwrap().0, 0.0);
    let (loss, dx) = smooth.loss(&logits(&[0.0, -inf]), &[0][..]).unwrap();
    assert_eq!(loss, f64::INFINITY);
    assert!(to_f64(&dx).iter().zip([0.05, -0.05]).all(|(a, b)| (a - b).abs() < 1e-7));
    let (loss, dx) = plain_probabilities(&[0.0, -inf], &[1.0, 0.0]);
    assert_eq!((loss, dx.data()), (0.0, &[0.0, 0.0][..]));
    for bad in [[f32::NAN, 0.0], [inf, 0.0], [-inf, -inf]] {
        assert!(plain.loss(&logits(&bad), &[0][..]).unwrap().0.is_nan());
        let (loss, dx) = plain_probabilities(&[bad, [3.0, 3.0]].concat(), &[1.0, 0.0, 0.5, 0.5]);
        assert!(loss.is_nan() && dx.data()[..2].iter().all(|dx| dx.is_nan()) && dx.data()[2..] == [0.0; 2]);
    }
}

fn plain_probabilities(x: &[f32], p: &[f32]) -> (f64, Tensor) {
    CrossEntropy::default().loss(&logits(x), &logits(p)).unwrap()
}

#[test]
fn pixels_are_positions() {
    let x = Tensor::from_vec([1, 2, 1, 3], vec![0.0, 100.0, 0.0, 0.0, 0.0, 100.0]).unwrap();
    let (sum, saved) = CrossEntropy::default().forward(&x, &[0, 0, 1][..]).unwrap();
    assert!((sum - 2f64.ln()).abs() < 1e-12);
    assert_eq!(saved.backward(1.0).data()[0], -0.5);
}

#[test]
fn threads_change_nothing() {
    let (n, classes, side) = (6, 10, 40);
    let x = distinct([n, classes, side, side], 0);
    let labels: Vec<u32> = (0..(n * side * side) as u32).map(|i| i % classes as u32).collect();
    let op = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
    testing::assert_threads_change_nothing(|| op.forward(&x, &labels[..]).unwrap());
}

#[test]
fn descriptions_have_pytorchs_names_and_defaults() {
    let json = r#"{"weight":[1.0,2.0],"ignore_index":255,"reduction":"sum","label_smoothing":0.1}"#;
    let op = CrossEntropy {
        weight: Some(vec![1.0, 2.0]),
        ignore_index: Some(255),
        reduction: Reduction::Sum,
        label_smoothing: 0.1,
    };
    assert_eq!(serde_json::to_string(&op).unwrap(), json);
    assert_eq!(serde_json::from_str::<CrossEntropy>(json).unwrap(), op);
    assert_eq!(serde_json::from_str::<CrossEntropy>("{}").unwrap(), CrossEntropy::default());
    assert!(serde_json::from_str::<CrossEntropy>(r#"{"smoothing":0.1}"#).is_err());
}

#[test]
fn errors_say_what_is_expected() {
    let op = CrossEntropy { ignore_index: Some(7), ..CrossEntropy::default() };
    let x = Tensor::zeros([2, 3, 2, 1]);
    let message =
        |op: &CrossEntropy, x: &Tensor, labels: &[u32]| op.forward(x, labels).unwrap_err().to_string();
    assert_eq!(
        message(&op, &Tensor::zeros([3]), &[0]),
        "cross_entropy: logits expects [n, classes, ...], got shape [3]"
    );
    assert_eq!(message(&op, &x, &[0]), "cross_entropy: labels expects 4 entries, got 1");
    assert_eq!(
        message(&op, &x, &[7, 0, 2, 3]),
        "cross_entropy: label 3 of image 1 must be below the number of classes, 3"
    );
    let smoothing = |label_smoothing| CrossEntropy { label_smoothing, ..CrossEntropy::default() };
    for (value, got) in [(1.5, "1.5"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
        assert_eq!(
            message(&smoothing(value), &x, &[0; 4]),
            format!("cross_entropy: label_smoothing must be between 0 and 1, got {got}")
        );
    }
    let weighted = CrossEntropy { weight: Some(vec![1.0; 2]), ..CrossEntropy::default() };
    assert_eq!(
        message(&weighted, &x, &[0; 4]),
        "cross_entropy: weight expects 3 entries, one for each class, got 2"
    );
    let probabilities = |op: &CrossEntropy, t: &Tensor| op.forward(&x, t).unwrap_err().to_string();
    assert_eq!(
        probabilities(&op, &x),
        "cross_entropy: ignore_index must be left out where targets are probabilities, got 7"
    );
    assert_eq!(
        probabilities(&weighted, &x),
        "cross_entropy: weight expects 3 entries, one for each class, got 2"
    );
    assert_eq!(
        probabilities(&CrossEntropy::default(), &Tensor::zeros([2, 3])),
        "cross_entropy: targets expects shape [2, 3, 2, 1], got [2, 3]"
    );
}
