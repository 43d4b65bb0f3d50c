use super::*;
use crate::spec::{flatten, linear};
use crate::{Batch, Batches, Graph, NnError, TrainSettings, Trainer, evaluate};
use cnn_ops::{BceWithLogits, CrossEntropy, L1, Mse, SmoothL1};
use cnn_tensor::testing::{distinct, gradient_of, to_f64};

/// Examples of a batch.
const N: usize = 12;
const CLASSES: usize = 7;

/// Outputs of about the size that networks have.
fn outputs(shape: impl Into<cnn_tensor::Shape>, seed: u64) -> Tensor {
    let mut y = distinct(shape, seed);
    y.data_mut().iter_mut().for_each(|v| *v *= 3.0);
    y
}

fn labels(seed: u32) -> Vec<u32> {
    (0..N as u32).map(|i| (i * i + seed) % CLASSES as u32).collect()
}

/// Rows of probabilities.
fn soft() -> Tensor {
    cnn_ops::softmax::softmax(&outputs([N, CLASSES], 9)).unwrap()
}

#[track_caller]
fn assert_same(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-3), "{what}: {got}, by the definition {want}");
}

#[track_caller]
fn assert_gradient(what: &str, got: &[f32], want: &[f64]) {
    let largest = want.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
    assert!(largest > 0.0 && got.len() == want.len(), "{what}: {} of {}", got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() <= 1e-5 * largest, "{what}: {got} and {want} of {largest}");
    }
}

fn parts(y: &Tensors, part: &Range<usize>) -> Tensors {
    y.iter().map(|y| y.slice_batch(part.start, part.end)).collect()
}

/// The loss and the gradients, by output, of a batch that is cut at `cuts`, and what it scores. `times` as many batches make up
/// the step.
fn losses<T: Task>(
    task: &T,
    y: &Tensors,
    target: &T::Target,
    cuts: &[usize],
    times: usize,
) -> (Vec<Vec<f32>>, Score) {
    let (mut score, mut gradients) = (Score::default(), vec![Vec::new(); y.len()]);
    let divisors: List<f64> = task.divisors(target).iter().map(|v| v * times as f64).collect();
    let (mut start, n) = (0, target.examples());
    for &end in cuts.iter().chain([&n]) {
        let dy = task.loss(parts(y, &(start..end)), target, start..end, &divisors, &mut score).unwrap();
        for (all, dy) in gradients.iter_mut().zip(&dy) {
            all.extend_from_slice(dy.as_ref().unwrap().data());
        }
        start = end;
    }
    (gradients, score)
}

/// Asserts that loss and gradients are those of `want`, the loss of a batch by its definition, in one piece and in several; gives
/// the score.
#[track_caller]
fn assert_loss<T: Task>(
    task: &T,
    y: &Tensors,
    target: &T::Target,
    want: impl Fn(&[Vec<f64>]) -> f64,
) -> Score {
    let values: Vec<Vec<f64>> = y.iter().map(to_f64).collect();
    let (mut scores, one) = (Vec::new(), Tensor::full([1], 1.0));
    for cuts in [&[][..], &[5], &[1, 2, 11]] {
        let (gradients, score) = losses(task, y, target, cuts, 1);
        assert_same("loss", task.mean_loss(&score), want(&values));
        for (slot, (got, y)) in gradients.iter().zip(y).enumerate() {
            let of_slot = |y: &[f64]| {
                let mut values = values.clone();
                values[slot] = y.to_vec();
                vec![want(&values)]
            };
            assert_gradient(&format!("output {slot}"), got, &gradient_of(y, &one, of_slot));
        }
        scores.push(score);
    }
    for score in &scores[1..] {
        for (got, want) in score.sums().iter().zip(scores[0].sums()) {
            assert_same("sum", got[0], want[0]);
            assert_eq!(got[1], want[1]);
        }
    }
    scores.swap_remove(0)
}

/// Metrics of training and evaluation, by name.
fn training<T: Task>(task: &T, score: &Score) -> crate::Metrics {
    crate::Metrics::of(task, score)
}

fn evaluation<T: Task>(task: &T, y: &Tensors, target: &T::Target) -> crate::Metrics {
    let (mut score, n) = (Score::default(), target.examples());
    for part in [0..5, 5..n] {
        task.score(&parts(y, &part), target, part, &mut score).unwrap();
    }
    crate::Metrics::of(task, &score)
}

/// The logarithms of the softmax of each row.
fn log_softmax(y: &[f64], classes: usize) -> Vec<f64> {
    let row = |row: &[f64]| {
        let sum: f64 = row.iter().map(|v| v.exp()).sum();
        row.iter().map(|v| v - sum.ln()).collect::<Vec<_>>()
    };
    y.chunks_exact(classes).flat_map(row).collect()
}

/// The definition of the cross-entropy with labels: sum and divisor.
fn cross_entropy(options: &CrossEntropy, y: &[f64], classes: usize, labels: &[u32]) -> f64 {
    let (log_p, e) = (log_softmax(y, classes), options.label_smoothing);
    let weight = |class: usize| options.weight.as_ref().map_or(1.0, |weights| f64::from(weights[class]));
    let (mut sum, mut divisor) = (0.0, 0.0);
    for (log_p, &label) in log_p.chunks_exact(classes).zip(labels) {
        if options.ignore_index == Some(label) {
            continue;
        }
        for (class, log_p) in log_p.iter().enumerate() {
            let hit = if class == label as usize { 1.0 - e } else { 0.0 };
            sum -= weight(class) * (hit + e / classes as f64) * log_p;
        }
        divisor += weight(label as usize);
    }
    if options.reduction == Reduction::Mean { sum / divisor } else { sum }
}

fn weights() -> Option<Vec<f32>> {
    Some((0..CLASSES).map(|class| 0.5 + class as f32 / 4.0).collect())
}

/// Means and sums, with and without class weights and smoothing.
fn cross_entropies() -> Vec<CrossEntropy> {
    let plain = CrossEntropy::default();
    let weighted = CrossEntropy { weight: weights(), label_smoothing: 0.1, ..plain.clone() };
    let smooth = CrossEntropy { label_smoothing: 0.2, ..plain.clone() };
    let sum = CrossEntropy { reduction: Reduction::Sum, ..weighted.clone() };
    vec![plain, smooth, weighted, sum]
}

/// Reported losses of sums are means over the examples.
fn reported(reduction: Reduction, loss: f64) -> f64 {
    if reduction == Reduction::Sum { loss / N as f64 } else { loss }
}

/// [`assert_loss`] where the reported loss is not what is descended: a sum.
#[track_caller]
fn assert_sum<T: Task>(task: &T, y: &Tensors, target: &T::Target, want: impl Fn(&[f64]) -> f64) {
    let one = Tensor::full([1], 1.0);
    for (cuts, times) in [(&[][..], 1), (&[5], 1), (&[1, 2, 11], 3)] {
        let (gradients, score) = losses(task, y, target, cuts, times);
        assert_same("loss", task.mean_loss(&score), want(&to_f64(&y[0])) / N as f64);
        // A sum is divided by nothing, however many batches there are.
        let want = gradient_of(&y[0], &one, |y| vec![want(y)]);
        assert_gradient("gradient of a sum", &gradients[0], &want);
    }
}

#[test]
fn classes_by_labels() {
    let (y, labels) = (outputs([N, CLASSES], 1), labels(0));
    let mut right = 0.0;
    for (row, &label) in y.data().chunks_exact(CLASSES).zip(&labels) {
        right += f64::from(u8::from(row.iter().all(|v| *v <= row[label as usize])));
    }
    assert!(right > 0.0 && right < N as f64);
    for loss in cross_entropies() {
        let (task, target) = (Classify { loss: loss.clone() }, Classes::from(labels.clone()));
        if loss.reduction == Reduction::Sum {
            assert_sum(&task, &(&y).into(), &target, |y| cross_entropy(&loss, y, CLASSES, &labels));
            continue;
        }
        let score =
            assert_loss(&task, &(&y).into(), &target, |y| cross_entropy(&loss, &y[0], CLASSES, &labels));
        let metrics = training(&task, &score);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["loss", "accuracy"]);
        assert_eq!(metrics.get("accuracy"), Some(right / N as f64));
    }
    // One that is ignored.
    let loss = CrossEntropy { ignore_index: Some(2), ..cross_entropies().swap_remove(2) };
    assert!(labels.contains(&2));
    let task = Classify { loss: loss.clone() };
    let want = |y: &[Vec<f64>]| cross_entropy(&loss, &y[0], CLASSES, &labels);
    assert_loss(&task, &(&y).into(), &labels.clone().into(), want);
}

#[test]
fn classes_of_mixed_images() {
    let (y, first, second) = (outputs([N, CLASSES], 2), labels(0), labels(3));
    for loss in cross_entropies() {
        for share in [0.25, 1.0, 0.0] {
            let task = Classify { loss: loss.clone() };
            let target = Classes::Mixed { first: first.clone(), second: second.clone(), share };
            let share = f64::from(share);
            let want = |y: &[f64]| {
                share * cross_entropy(&loss, y, CLASSES, &first)
                    + (1.0 - share) * cross_entropy(&loss, y, CLASSES, &second)
            };
            if loss.reduction == Reduction::Sum {
                assert_sum(&task, &(&y).into(), &target, want);
            } else {
                let score = assert_loss(&task, &(&y).into(), &target, |y| want(&y[0]));
                let alone = losses(&task, &(&y).into(), &first.clone().into(), &[], 1).1;
                assert_eq!(score.metric(ACCURACY), alone.metric(ACCURACY), "the first class counts");
            }
        }
    }
}

const ACCURACY: usize = 0;

#[test]
fn classes_as_probabilities() {
    let (y, soft) = (outputs([N, CLASSES], 3), soft());
    for loss in cross_entropies() {
        let (task, target) = (Classify { loss: loss.clone() }, Classes::Soft(soft.clone()));
        let e = loss.label_smoothing;
        let want = |y: &[f64]| {
            let log_p = log_softmax(y, CLASSES);
            let term = |(i, (log_p, t)): (usize, (&f64, &f32))| {
                let weight = loss.weight.as_ref().map_or(1.0, |weights| f64::from(weights[i % CLASSES]));
                -weight * (f64::from(*t) * (1.0 - e) + e / CLASSES as f64) * log_p
            };
            let sum = log_p.iter().zip(soft.data()).enumerate().map(term).sum::<f64>();
            if loss.reduction == Reduction::Mean { sum / N as f64 } else { sum }
        };
        if loss.reduction == Reduction::Sum {
            assert_sum(&task, &(&y).into(), &target, want);
            continue;
        }
        let score = assert_loss(&task, &(&y).into(), &target, |y| want(&y[0]));
        let likeliest = crate::metrics::argmax(&soft);
        let by_labels = losses(&task, &(&y).into(), &likeliest.into(), &[], 1).1;
        assert_eq!(score.metric(ACCURACY), by_labels.metric(ACCURACY));
        let metrics = evaluation(&task, &(&y).into(), &target);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["loss", "accuracy"], "no top five of probabilities");
    }
}

#[test]
fn classes_are_evaluated_by_the_plain_cross_entropy() {
    let (y, first) = (outputs([N, CLASSES], 4), labels(1));
    let second = labels(2);
    let five = y
        .data()
        .chunks_exact(CLASSES)
        .zip(&first)
        .filter(|(row, label)| row.iter().filter(|v| **v > row[**label as usize]).count() < 5);
    let five = five.count() as f64 / N as f64;
    assert!(five < 1.0);
    let plain = cross_entropy(&CrossEntropy::default(), &to_f64(&y), CLASSES, &first);
    for loss in cross_entropies() {
        let task = Classify { loss };
        let mixed = Classes::Mixed { first: first.clone(), second: second.clone(), share: 0.3 };
        for target in [first.clone().into(), mixed] {
            let metrics = evaluation(&task, &(&y).into(), &target);
            assert_same("loss", metrics.get("loss").unwrap(), plain);
            assert_eq!(metrics.get("top5"), Some(five));
            let right = crate::metrics::argmax(&y).iter().zip(&first).filter(|(a, b)| a == b).count();
            assert_eq!(metrics.get("accuracy"), Some(right as f64 / N as f64));
        }
    }
}

#[test]
fn views_of_a_class_are_averaged_as_probabilities() {
    let y = outputs([6, CLASSES], 5);
    let task = Classify::default();
    assert_eq!(task.merge_views((&y).into(), 1).unwrap()[0], y);
    let merged = task.merge_views((&y).into(), 3).unwrap().only("outputs").unwrap();
    assert_eq!(merged.shape().dims(), [2, CLASSES]);
    let p: Vec<f64> = log_softmax(&to_f64(&y), CLASSES).iter().map(|v| v.exp()).collect();
    for (example, merged) in merged.data().chunks_exact(CLASSES).enumerate() {
        for (class, merged) in merged.iter().enumerate() {
            let mean = (0..3).map(|view| p[(3 * example + view) * CLASSES + class]).sum::<f64>() / 3.0;
            assert!((f64::from(*merged) - mean.ln()).abs() < 1e-5, "{merged} and {}", mean.ln());
        }
    }
}

#[test]
fn numbers() {
    let (y, target) = (outputs([N, 2, 3], 6), outputs([N, 2, 3], 7));
    let t = to_f64(&target);
    let numbers = t.len() as f64;
    let squares = |y: &[f64]| y.iter().zip(&t).map(|(y, t)| (y - t).powi(2)).sum::<f64>();
    let magnitudes = |y: &[f64]| y.iter().zip(&t).map(|(y, t)| (y - t).abs()).sum::<f64>();
    let values = to_f64(&y);
    let metrics = |metrics: crate::Metrics, loss: f64| {
        assert_same("loss", metrics.get("loss").unwrap(), loss);
        assert_same("mae", metrics.get("mae").unwrap(), magnitudes(&values) / numbers);
        assert_same("rmse", metrics.get("rmse").unwrap(), (squares(&values) / numbers).sqrt());
    };

    let task = Regress::<Mse>::default();
    let score = assert_loss(&task, &(&y).into(), &target, |y| squares(&y[0]) / numbers);
    metrics(training(&task, &score), squares(&values) / numbers);
    metrics(evaluation(&task, &(&y).into(), &target), squares(&values) / numbers);

    let task = Regress { loss: L1::default() };
    let score = assert_loss(&task, &(&y).into(), &target, |y| magnitudes(&y[0]) / numbers);
    metrics(training(&task, &score), magnitudes(&values) / numbers);

    let task = Regress { loss: Mse { reduction: Reduction::Sum } };
    assert_sum(&task, &(&y).into(), &target, squares);
    metrics(evaluation(&task, &(&y).into(), &target), squares(&values) / N as f64);

    assert_eq!(
        task.merge_views((&y).into(), 2).unwrap_err().to_string(),
        "the views of a batch must be 1 of each example for this task, got 2"
    );
}

#[test]
fn numbers_of_which_a_mask_selects_some() {
    let (y, mut numbers) = (outputs([N, 4], 6), outputs([N, 4], 7));
    // Whole examples without a number that counts, in the middle of the batch and at a cut, and odd values where none counts.
    let counts = |i: usize| !(8..12).contains(&i) && !(40..44).contains(&i) && i % 3 != 1;
    let mask =
        Tensor::from_vec([N, 4], (0..4 * N).map(|i| f32::from(u8::from(counts(i)))).collect()).unwrap();
    let odd = [f32::NAN, f32::INFINITY, 1e30];
    numbers.data_mut().iter_mut().enumerate().filter(|(i, _)| !counts(*i)).for_each(|(i, v)| *v = odd[i % 3]);
    let t = to_f64(&numbers);
    let selected: Vec<usize> = (0..4 * N).filter(|&i| counts(i)).collect();
    let sum = |y: &[f64], f: fn(f64) -> f64| selected.iter().map(|&i| f(y[i] - t[i])).sum::<f64>();
    let (count, values) = (selected.len() as f64, to_f64(&y));
    let [square, magnitude, smooth]: [fn(f64) -> f64; 3] =
        [|d| d * d, f64::abs, |d| if d.abs() < 0.5 { d * d } else { d.abs() - 0.25 }];
    let target = (numbers.clone(), mask.clone());
    let check = |metrics: crate::Metrics, loss: f64| {
        assert_same("loss", metrics.get("loss").unwrap(), loss);
        assert_same("mae", metrics.get("mae").unwrap(), sum(&values, magnitude) / count);
        assert_same("rmse", metrics.get("rmse").unwrap(), (sum(&values, square) / count).sqrt());
    };

    let task = MaskedRegress::<Mse>::default();
    let score = assert_loss(&task, &(&y).into(), &target, |y| sum(&y[0], square) / count);
    check(training(&task, &score), sum(&values, square) / count);
    check(evaluation(&task, &(&y).into(), &target), sum(&values, square) / count);
    let task = MaskedRegress { loss: SmoothL1 { beta: 0.5, ..SmoothL1::default() } };
    let score = assert_loss(&task, &(&y).into(), &target, |y| sum(&y[0], smooth) / count);
    check(training(&task, &score), sum(&values, smooth) / count);
    let task = MaskedRegress { loss: Mse { reduction: Reduction::Sum } };
    assert_sum(&task, &(&y).into(), &target, |y| sum(y, square));
    check(evaluation(&task, &(&y).into(), &target), sum(&values, square) / N as f64);

    // A mask that selects all numbers is none.
    let (all, plain) = (Tensor::full([N, 4], 1.0), outputs([N, 4], 7));
    let masked = losses(&MaskedRegress::<Mse>::default(), &(&y).into(), &(plain.clone(), all), &[5], 1);
    assert_eq!(masked, losses(&Regress::<Mse>::default(), &(&y).into(), &plain, &[5], 1));
    // One that selects nothing gives no loss and no gradient.
    let nothing = (numbers, Tensor::zeros([N, 4]));
    let task = MaskedRegress::<Mse>::default();
    let (gradients, score) = losses(&task, &(&y).into(), &nothing, &[5], 1);
    assert_eq!((task.mean_loss(&score), &gradients[0]), (0.0, &vec![0.0; 4 * N]));
}

#[test]
fn several_labels() {
    let y = outputs([N, 5], 8);
    let target = Tensor::from_vec([N, 5], (0..N * 5).map(|i| (i * i % 3 % 2) as f32).collect()).unwrap();
    let a = [1.0, 3.0, 0.5, 2.0, 1.5];
    let loss = BceWithLogits { pos_weight: Some(a.to_vec()), ..BceWithLogits::default() };
    let sum = |y: &[f64]| {
        let terms = y.iter().zip(target.data()).enumerate().map(|(i, (y, t))| {
            let (p, t) = (1.0 / (1.0 + (-y).exp()), f64::from(*t));
            -(f64::from(a[i % 5]) * t * p.ln() + (1.0 - t) * (1.0 - p).ln())
        });
        terms.sum::<f64>()
    };
    let right = |(y, t): (&f32, &f32)| (*y > 0.0) == (*t == 1.0);
    let rows = y.data().chunks_exact(5).zip(target.data().chunks_exact(5));
    let exact = rows.filter(|(y, t)| y.iter().zip(*t).all(right)).count() as f64 / N as f64;
    let all = y.data().iter().zip(target.data()).filter(|(y, t)| right((y, t))).count() as f64;
    let check = |metrics: crate::Metrics, loss: f64| {
        assert_same("loss", metrics.get("loss").unwrap(), loss);
        assert_eq!(
            (metrics.get("accuracy"), metrics.get("exact")),
            (Some(all / (N * 5) as f64), Some(exact))
        );
    };
    let task = MultiLabel { loss: loss.clone() };
    let mean = |y: &[f64]| sum(y) / (N * 5) as f64;
    let score = assert_loss(&task, &(&y).into(), &target, |y| mean(&y[0]));
    check(training(&task, &score), mean(&to_f64(&y)));
    check(evaluation(&task, &(&y).into(), &target), mean(&to_f64(&y)));

    let task = MultiLabel { loss: BceWithLogits { reduction: Reduction::Sum, ..loss } };
    assert_sum(&task, &(&y).into(), &target, sum);
    check(evaluation(&task, &(&y).into(), &target), reported(Reduction::Sum, sum(&to_f64(&y))));

    // An example that is right altogether.
    let (y, target) = (Tensor::from_slice([1, 2], &[1.0, -1.0]), Tensor::from_slice([1, 2], &[1.0, 0.0]));
    let (_, score) = losses(&MultiLabel::default(), &y.unwrap().into(), &target.unwrap(), &[], 1);
    assert_eq!(score.metric(1), [1.0, 1.0]);
}

/// Steps of 12 sequences, of which every third is shorter.
fn steps() -> Steps {
    let label = |i: usize| match (i / 4 % 3, i % 4) {
        (0, 2..) => Steps::NONE,
        _ => (i * i % 5) as u32,
    };
    Steps::new((0..N * 4).map(label).collect(), 4).unwrap()
}

/// The mean over the steps that count.
fn sequence_loss(y: &[f64], target: &Steps) -> f64 {
    let ignore = CrossEntropy { ignore_index: Some(Steps::NONE), ..CrossEntropy::default() };
    cross_entropy(&ignore, y, 5, target.labels())
}

#[test]
fn steps_of_sequences() {
    let (y, target) = (outputs([N, 4, 5], 10), steps());
    let score = assert_loss(&Sequence, &(&y).into(), &target, |y| sequence_loss(&y[0], &target));
    let counted: Vec<(&[f32], u32)> = y
        .data()
        .chunks_exact(5)
        .zip(target.labels().iter().copied())
        .filter(|(_, label)| *label != Steps::NONE)
        .collect();
    assert_eq!(counted.len(), 40);
    let right = counted.iter().filter(|(row, label)| row.iter().all(|v| *v <= row[*label as usize])).count();
    for metrics in [training(&Sequence, &score), evaluation(&Sequence, &(&y).into(), &target)] {
        assert_same("loss", metrics.get("loss").unwrap(), sequence_loss(&to_f64(&y), &target));
        assert_eq!(metrics.get("accuracy"), Some(right as f64 / 40.0));
    }
    // Steps that do not count have no gradient.
    let (gradients, _) = losses(&Sequence, &(&y).into(), &target, &[], 1);
    let rows = gradients[0].chunks_exact(5).zip(target.labels());
    assert!(rows.filter(|(_, label)| **label == Steps::NONE).all(|(row, _)| row == [0.0; 5]));
    assert_eq!((target.examples(), target.steps()), (N, 4));
}

#[test]
fn several_tasks_with_weights_on_parts_of_a_target() {
    let (classes, boxes) = (labels(4), outputs([N, 4], 12));
    let target = (Classes::from(classes.clone()), boxes.clone());
    let y = Tensors::from([outputs([N, CLASSES], 11), outputs([N, 4], 13)]);
    let task = Weighted::new(on(|target: &(Classes, Tensor)| &target.0, Classify::default())).with(
        "box",
        0.25,
        on(|target: &(Classes, Tensor)| &target.1, Regress::<Mse>::default()),
    );
    let t = to_f64(&boxes);
    let of_classes = |y: &[f64]| cross_entropy(&CrossEntropy::default(), y, CLASSES, &classes);
    let of_boxes = |y: &[f64]| y.iter().zip(&t).map(|(y, t)| (y - t).powi(2)).sum::<f64>() / t.len() as f64;
    let want = |y: &[Vec<f64>]| of_classes(&y[0]) + 0.25 * of_boxes(&y[1]);
    let score = assert_loss(&task, &y, &target, want);
    let values: Vec<Vec<f64>> = y.iter().map(to_f64).collect();
    let (first, second) = (Classify::default(), Regress::<Mse>::default());
    let alone =
        [evaluation(&first, &(&y[0]).into(), &target.0), evaluation(&second, &(&y[1]).into(), &target.1)];
    for metrics in [training(&task, &score), evaluation(&task, &y, &target)] {
        assert_same("loss", metrics.get("loss").unwrap(), want(&values));
        assert_same("box_loss", metrics.get("box_loss").unwrap(), of_boxes(&values[1]));
        assert_eq!(metrics.get("accuracy"), alone[0].get("accuracy"));
        // A root of the mean, not a mean of roots.
        assert_same("box_rmse", metrics.get("box_rmse").unwrap(), of_boxes(&values[1]).sqrt());
        assert_same("box_mae", metrics.get("box_mae").unwrap(), alone[1].get("mae").unwrap());
    }
    assert_eq!(evaluation(&task, &y, &target).get("top5"), alone[0].get("top5"));
}

/// Where the tasks count by different things: steps, numbers, examples.
#[test]
fn the_losses_of_several_tasks_add_up_whatever_each_counts() {
    let (steps, numbers) = (steps(), outputs([N, 6], 14));
    let target = (steps.clone(), numbers.clone());
    let y = Tensors::from([outputs([N, 4, 5], 15), outputs([N, 6], 16), outputs([N, 4, 5], 17)]);
    type Both = (Steps, Tensor);
    let sum = Regress { loss: Mse::default() };
    let task = Weighted::new(on(|target: &Both| &target.0, Sequence))
        .with("numbers", 0.5, on(|target: &Both| &target.1, sum))
        .with("again", 2.0, on(|target: &Both| &target.0, Sequence));
    let t = to_f64(&numbers);
    let squares = |y: &[f64]| y.iter().zip(&t).map(|(y, t)| (y - t).powi(2)).sum::<f64>() / t.len() as f64;
    let want = |y: &[Vec<f64>]| {
        sequence_loss(&y[0], &steps) + 0.5 * squares(&y[1]) + 2.0 * sequence_loss(&y[2], &steps)
    };
    let score = assert_loss(&task, &y, &target, want);
    let values: Vec<Vec<f64>> = y.iter().map(to_f64).collect();
    for metrics in [training(&task, &score), evaluation(&task, &y, &target)] {
        assert_same("loss", metrics.get("loss").unwrap(), want(&values));
        assert_same("again_loss", metrics.get("again_loss").unwrap(), sequence_loss(&values[2], &steps));
    }
}

/// Targets that do not fit the outputs, or themselves, are errors.
#[test]
fn outputs_and_targets_that_do_not_go_together_are_errors() {
    fn message<T: Task>(task: &T, y: impl Into<Tensors>, target: &T::Target) -> [String; 2] {
        let (y, mut score) = (y.into(), Score::default());
        let part = 0..target.examples();
        let evaluated = task.score(&y, target, part.clone(), &mut score).unwrap_err().to_string();
        let trained = task.loss(y, target, part, &task.divisors(target), &mut score).unwrap_err().to_string();
        [trained, evaluated]
    }
    #[track_caller]
    fn assert_both(messages: [String; 2], want: &str) {
        messages.iter().for_each(|message| assert!(message.contains(want), "{message}, not {want}"));
    }
    let y = |n| Tensor::zeros([n, 3]);
    let (classify, two) = (Classify::default(), Classes::from(vec![0, 1]));
    assert_both(message(&classify, [y(2), y(2)], &two), "the outputs that a task scores must be 1, got 2");
    assert_both(
        message(&classify, Tensors::empty(), &two),
        "the outputs that a task scores must be 1, got 0",
    );
    assert_both(message(&classify, y(3), &two), "cross_entropy: ");
    assert_both(message(&classify, y(2), &vec![0, 3].into()), "label 3 of image 1 ");
    assert_both(message(&Regress::<Mse>::default(), y(2), &y(3)), "mse: ");
    assert_both(message(&Regress::<Mse>::default(), y(2), &Tensor::zeros([2, 1, 3])), "mse: ");
    assert_both(message(&MultiLabel::default(), y(2), &Tensor::zeros([2, 2])), "bce_with_logits: ");
    let masked = MaskedRegress::<Mse>::default();
    assert_both(message(&masked, y(2), &(y(3), y(3))), "the target must be of the shape of the outputs");
    assert_both(
        message(&masked, y(2), &(y(2), Tensor::zeros([2, 2]))),
        "the mask of the target must be of the shape of the outputs, got shape [2, 2] for outputs of shape [2, 3]",
    );
    let steps = |labels| Steps::new(labels, 2).unwrap();
    assert_both(
        message(&Sequence, y(2), &steps(vec![0; 4])),
        "the outputs for sequences must be [n, steps, classes], got [2, 3] for 2 labels each",
    );
    assert_both(
        message(&Sequence, Tensor::zeros([2, 3, 3]), &steps(vec![0; 4])),
        "got [2, 3, 3] for 2 labels each",
    );
    assert_both(message(&Sequence, Tensor::zeros([1, 2, 3]), &steps(vec![0; 4])), "cross_entropy: ");
    let heads = Weighted::new(Classify::default()).with("aux", 0.3, Classify::default());
    assert_both(message(&heads, y(2), &two), "the outputs of several tasks must be 2, got 1");
    assert_both(message(&heads, [y(2), y(3)], &two), "cross_entropy: ");

    // In a later part, images are counted from the start of the batch.
    let (mut score, labels) = (Score::default(), Classes::from(vec![0, 0, 7]));
    let error = classify.score(&y(1).into(), &labels, 2..3, &mut score).unwrap_err().to_string();
    assert!(error.contains("label 7 of image 2 "), "{error}");

    let error = Steps::new(vec![0; 5], 2).unwrap_err().to_string();
    assert_eq!(
        error,
        "the labels of sequences must be as many for each, and at least one, got 5 for 2 steps"
    );
    assert!(Steps::new(vec![], 0).is_err());
    let error = (two, y(3)).validate().unwrap_err().to_string();
    assert_eq!(error, "two targets of a batch must be of the same examples, got 2 and 3");
    let mixed = Classes::Mixed { first: vec![0, 1], second: vec![0], share: 0.5 };
    assert!((mixed, y(2)).validate().unwrap_err().to_string().ends_with("got 2 labels and 1 second ones"));
}

#[test]
fn views_of_several_tasks_are_merged_by_each() {
    let (a, b) = (outputs([4, 3], 18), outputs([4, 3], 19));
    let heads = Weighted::new(Classify::default()).with("aux", 0.3, Classify::default());
    let merged = heads.merge_views([a.clone(), b.clone()].into(), 2).unwrap();
    let alone = [a, b].map(|y| Classify::default().merge_views(y.into(), 2).unwrap()[0].clone());
    assert_eq!(merged, Tensors::from(alone));
    let part = on(|target: &(Classes, Tensor)| &target.0, Classify::default());
    assert_eq!(part.merge_views((&outputs([4, 3], 18)).into(), 2).unwrap()[0], merged[0]);
    assert!(heads.merge_views(outputs([4, 3], 18).into(), 2).is_err());
}

#[test]
fn targets_of_several_batches_are_joined_or_refused() {
    let labels = Classes::from(vec![1, 2]);
    let mixed = Classes::Mixed { first: vec![1], second: vec![2], share: 0.5 };
    let soft = Classes::Soft(Tensor::full([2, 3], 0.25));
    assert_eq!(Classes::join(&[&labels, &vec![3].into()]).unwrap(), vec![1, 2, 3].into());
    assert_eq!(Classes::join(&[&soft, &soft]).unwrap(), Classes::Soft(Tensor::full([4, 3], 0.25)));
    for parts in [[&labels, &mixed], [&soft, &labels], [&mixed, &mixed]] {
        let error = Classes::join(&parts).unwrap_err().to_string();
        assert!(
            error.starts_with("batches that are taken together must be of labels, or of prob"),
            "{error}"
        );
    }
    let (a, b) = (outputs([2, 3], 1), outputs([1, 3], 2));
    let joined = Tensor::join(&[&a, &b]).unwrap();
    assert_eq!(joined.shape().dims(), [3, 3]);
    assert_eq!(joined.data(), [a.data(), b.data()].concat());
    let error = Tensor::join(&[&a, &outputs([1, 4], 2)]).unwrap_err().to_string();
    let rule = "batches that are taken together must be of one shape but for the first axis";
    assert_eq!(error, format!("{rule}, got [1, 4] and [2, 3]"));
    let steps = |n, steps| Steps::new(vec![1; n * steps], steps).unwrap();
    assert_eq!(Steps::join(&[&steps(2, 3), &steps(1, 3)]).unwrap(), steps(3, 3));
    let error = Steps::join(&[&steps(2, 3), &steps(1, 2)]).unwrap_err().to_string();
    assert_eq!(
        error,
        "batches that are taken together must be of sequences of one length, got 3 and 2 steps"
    );
    let (first, second) = ((labels.clone(), a), (Classes::from(vec![0]), b));
    assert_eq!(<(Classes, Tensor)>::join(&[&first, &second]).unwrap(), (vec![1, 2, 0].into(), joined));
}

/// The divisor of a step is the sum of the divisors of its batches.
#[test]
fn divisors_of_batches_add_up() {
    fn check<T: Task>(task: &T, a: &T::Target, b: &T::Target) {
        let joined = task.divisors(&T::Target::join(&[a, b]).unwrap());
        let (a, b) = (task.divisors(a), task.divisors(b));
        let added: List<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        assert_eq!(joined, added);
    }
    let (a, b) = (Classes::from(labels(0)), Classes::from(labels(5)));
    let numbers = (outputs([3, 4], 1), outputs([2, 4], 1));
    for loss in cross_entropies() {
        check(&Classify { loss: loss.clone() }, &a, &b);
        check(&Classify { loss: loss.clone() }, &Classes::Soft(soft()), &Classes::Soft(soft()));
        let reduction = loss.reduction;
        check(&Regress { loss: Mse { reduction } }, &numbers.0, &numbers.1);
        let mask = |numbers: &Tensor| (numbers.clone(), numbers.map(|v| f32::from(u8::from(v > 0.0))));
        check(&MaskedRegress { loss: Mse { reduction } }, &mask(&numbers.0), &mask(&numbers.1));
        let loss = BceWithLogits { reduction, ..BceWithLogits::default() };
        check(&MultiLabel { loss }, &numbers.0, &numbers.1);
    }
    check(&Sequence, &steps(), &Steps::new(vec![1; 8], 4).unwrap());
}

#[test]
fn scores_add_up() {
    let mut a = Score::default();
    a.loss(1.0, 2.0);
    let mut b = Score::default();
    b.loss(0.5, 1.0);
    b.add(1, 3.0, 4.0);
    a += b;
    assert_eq!(
        (a.losses(), a.metric(0), a.metric(1), a.metric(7)),
        ([1.5, 3.0], [0.0; 2], [3.0, 4.0], [0.0; 2])
    );
    let metrics = crate::Metrics::of(&Classify::default(), &a);
    assert_eq!(metrics.iter().collect::<Vec<_>>(), [("loss", 0.5), ("top5", 0.75)], "of what was counted");
}

/// Two examples, whose target is as it may be.
struct Two(f32);

impl Batches<Tensor> for Two {
    fn examples(&self) -> usize {
        2
    }
    fn batches(&self) -> usize {
        1
    }
    fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch<Tensor>, NnError>> + '_> {
        let target = Tensor::from_vec([2, 1], vec![0.5, self.0]).unwrap();
        Box::new(std::iter::once(Ok(Batch::new(outputs([2, 1, 2], 20), target))).skip(skip))
    }
}

/// A task whose loss is finite, and its metric is not.
struct Infinite;

impl Task for Infinite {
    type Target = Tensor;
    fn metrics(&self) -> Vec<String> {
        vec!["share".into()]
    }
    fn loss(
        &self,
        y: Tensors,
        target: &Tensor,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        score.add(0, f64::INFINITY, 1.0);
        Regress::<Mse>::default()
            .loss(y, target, part, divisors, &mut Score::default())
            .inspect(|_| score.loss(1.0, 1.0))
    }
    fn score(&self, _: &Tensors, _: &Tensor, _: Range<usize>, score: &mut Score) -> Result<(), NnError> {
        score.loss(1.0, 1.0);
        Ok(())
    }
}

#[test]
fn what_is_not_finite_is_an_error() {
    let net = || Graph::build([flatten().named("flatten"), linear(1).named("fc")], [1, 2], 0).unwrap();
    let rule = "must be finite numbers: look at the inputs and the weights, got";
    let error = evaluate(&net(), &Regress::<Mse>::default(), &Two(f32::INFINITY)).unwrap_err().to_string();
    assert_eq!(error, format!("the metrics of an evaluation {rule} loss inf"));
    let settings = || TrainSettings { epochs: 1, ..TrainSettings::default() };
    let mut trainer = Trainer::new(net(), Regress::<Mse>::default(), settings()).unwrap();
    let error = trainer.fit(&Two(1.0), &Two(f32::NAN), &mut ()).unwrap_err().to_string();
    assert_eq!(error, format!("the metrics of an evaluation {rule} loss NaN"));
    let mut trainer = Trainer::new(net(), Regress::<Mse>::default(), settings()).unwrap();
    let error = trainer.fit(&Two(f32::NAN), &Two(1.0), &mut ()).unwrap_err().to_string();
    assert!(error.starts_with("the loss is NaN at epoch 1, step 1: "), "{error}");
    let mut trainer = Trainer::new(net(), Infinite, settings()).unwrap();
    let error = trainer.fit(&Two(1.0), &Two(1.0), &mut ()).unwrap_err().to_string();
    assert_eq!(error, format!("the metrics of an epoch {rule} share inf"));
    assert!(trainer.progress().history.is_empty());
}
