use super::*;
use crate::spec::{NamedSpec, add, batch_norm2d, conv2d, dropout, flatten, graph, linear, max_pool2d, relu};
use crate::{AdamW, Kept, Role};
use cnn_ops::{CrossEntropy, Loss};
use cnn_tensor::Random;
use cnn_tensor::parallel::Threads;
use cnn_tensor::testing::to_f64;
use std::sync::{Arc, Mutex};

const RATE: f32 = 0.05;

fn noise<const N: usize>(name: &str, shape: [usize; N]) -> Tensor {
    let mut x = Tensor::zeros(shape);
    Random::new(7, &["noise", name]).fill_normal(1.0, x.data_mut());
    x
}

fn images(n: usize) -> Tensor {
    noise("images", [n, 1, 8, 8])
}

fn labels(n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i * 7 % 3).collect()
}

/// The cross-entropies of some images, and the gradient of their mean over the batch.
fn loss(labels: &[u32]) -> impl Fn(Range<usize>, Tensors) -> Result<(f64, Gradients), NnError> + Sync + '_ {
    |images, y| {
        let (sum, saved) = CrossEntropy::default().forward(&y[0], &labels[images])?;
        Ok((sum, saved.backward(1.0 / labels.len() as f32).into()))
    }
}

fn build(layers: impl IntoIterator<Item = NamedSpec>) -> Graph {
    Graph::build(layers, [1, 8, 8], 5).unwrap()
}

/// Its batches are cut into pieces that run at once.
fn small() -> Graph {
    build([
        conv2d(6, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        dropout(0.3).named("drop"),
        flatten().named("flatten"),
        linear(3).named("fc"),
    ])
}

/// Of more than 2^20 parameters: pieces run one after the other.
fn large() -> Graph {
    let net = build([
        flatten().named("flatten"),
        linear(16_384).named("fc1"),
        relu().named("relu"),
        dropout(0.3).named("drop"),
        linear(3).named("fc2"),
    ]);
    assert!(net.parameter_count() > 1 << 20);
    net
}

/// Its batches are not cut.
fn normalized() -> Graph {
    build([
        conv2d(6, 3).bias(false).named("conv"),
        batch_norm2d().named("norm"),
        relu().named("relu"),
        dropout(0.3).named("drop"),
        flatten().named("flatten"),
        linear(3).named("fc"),
    ])
}

fn learner(net: Graph) -> Learner {
    Learner::new(net, LearnSettings { seed: 3, ..LearnSettings::default() }).unwrap()
}

/// Every kind of memory: the optimizer's, an average, running statistics.
fn settings() -> LearnSettings {
    LearnSettings {
        optimizer: OptimizerSpec::AdamW(AdamW::default()),
        clip: Some(Clip::Norm { max_norm: 0.5 }),
        average: Some(Average { decay: 0.8 }),
        seed: 3,
        ..LearnSettings::default()
    }
}

/// Asserts that `got` is `want` but for rounding, relative to the largest number.
#[track_caller]
fn assert_near(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
    assert!(largest > 0.0, "{what}: zeros prove nothing");
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() <= 1e-5 * largest, "{what}: {got} and {want} of {largest}");
    }
}

/// The gradients of a batch in one piece.
fn whole(net: &Graph, plan: &Plan, x: &Tensors, at: At, dy: impl Fn(Tensors) -> Gradients) -> Vec<Tensor> {
    let (mut trace, mut gradients) = (Trace::default(), plan.gradients(net));
    let y = net.forward_with(plan, x.clone(), at, &mut trace).unwrap();
    net.backward_with(plan, &mut trace, dy(y), &mut gradients).unwrap();
    gradients
}

fn all_trained(net: &Graph) -> Plan {
    let mut count = 0;
    net.parameters(&mut |_, _| count += 1);
    Plan::new(net, &vec![true; count], false)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (net, n) in [(small as fn() -> Graph, 150), (large, 150), (normalized, 40)] {
        let (x, labels) = (images(n), labels(n));
        let run = |threads| {
            let mut learner = Learner::new(net(), settings()).unwrap();
            let steps =
                || -> Vec<_> { (0..2).map(|_| learner.step(&x, RATE, loss(&labels)).unwrap()).collect() };
            let steps = Threads::new(threads).unwrap().run(steps);
            (learner.state(), steps)
        };
        let one = run(1);
        for threads in [2, 3, 5, 8] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}

#[test]
fn the_gradients_of_the_pieces_add_up_to_those_of_the_batch() {
    for (net, sizes) in [(small as fn() -> Graph, [1, 16, 17, 40, 150]), (large, [1, 127, 128, 129, 150])] {
        for n in sizes {
            let (x, labels) = (images(n), labels(n));
            let mut learner = learner(net());
            let score = learner.add(&x, loss(&labels)).unwrap();
            let (net, plan) = (net(), all_trained(learner.net()));
            let sum = Mutex::new(0.0);
            let want = whole(&net, &plan, &(&x).into(), At { seed: 3, ..At::default() }, |y| {
                let (score, dy) = loss(&labels)(0..n, y).unwrap();
                *sum.lock().unwrap() = score;
                dy
            });
            assert!((score / sum.into_inner().unwrap() - 1.0).abs() < 1e-6);
            assert_eq!(learner.added().len(), want.len());
            for (i, (got, want)) in learner.added().iter().zip(&want).enumerate() {
                assert_near(&format!("parameter {i} for {n} images"), got.data(), &to_f64(want));
            }
        }
    }
}

/// The outputs in training, joined again, with the number of pieces.
fn outputs(learner: &mut Learner, x: &Tensor, first: usize) -> (Vec<f32>, usize) {
    let seen = Mutex::new(BTreeMap::new());
    let keep = |images: Range<usize>, y: Tensors| {
        seen.lock().unwrap().insert(images.start, y[0].clone());
        Ok((0, Tensor::zeros(y[0].shape()).into()))
    };
    learner.add_at(&x.into(), first, keep).unwrap();
    let seen = seen.into_inner().unwrap();
    (seen.values().flat_map(Tensor::data).copied().collect(), seen.len())
}

#[test]
fn images_know_where_in_the_step_they_stand_whatever_the_pieces() {
    let build = || learner(Graph::build([dropout(0.5).named("drop")], [50], 0).unwrap());
    let x = Tensor::full([64, 50], 1.0);
    let at = |step, first_image| {
        let at = At { seed: 3, step, first_image, ..At::default() };
        build().net().forward_one(x.clone(), at, &mut Kept::default()).unwrap().data().to_vec()
    };
    let mut learner = build();
    let (y, pieces) = outputs(&mut learner, &x, 0);
    assert!(pieces == 4 && y == at(0, 0));
    // Images that are added in the same step come after.
    assert!(outputs(&mut learner, &x, 0).0 == at(0, 64));
    // And so they do after the images of other processes.
    assert!(outputs(&mut learner, &x, 100).0 == at(0, 228));
    learner.apply(RATE).unwrap();
    assert_eq!(learner.steps(), 1);
    assert!(outputs(&mut learner, &x, 0).0 == at(1, 0) && at(1, 0) != at(0, 0));
}

#[test]
fn an_error_of_the_loss_is_that_of_the_step_which_changes_nothing() {
    // The first of the pieces in which it fails.
    for (net, n, failed) in
        [(small as fn() -> Graph, 64, 32..48), (large, 140, 0..128), (normalized, 64, 0..64)]
    {
        let (x, labels) = (images(n), labels(n));
        let mut learner = Learner::new(net(), settings()).unwrap();
        let whole = loss(&labels);
        let failing = |images: Range<usize>, y: Tensors| match images.end > 40 {
            true => Err(NnError::Data(format!("the images {images:?}").into())),
            false => whole(images, y),
        };
        learner.add(&x, &whole).unwrap();
        let before = learner.state();
        let error = learner.step(&x, RATE, failing).unwrap_err().to_string();
        assert_eq!(error, format!("the images {failed:?}"));
        // The gradients that were added before are lost.
        let error = learner.apply(RATE).unwrap_err().to_string();
        assert_eq!(error, "the gradients of a step must be those of at least one example, got none");
        assert!(learner.steps() == 0 && learner.state() == before);
        // And leaves no trace in the next step.
        let mut fresh = Learner::new(net(), settings()).unwrap();
        fresh.restore(0, before.into_iter().collect()).unwrap();
        let steps = [&mut learner, &mut fresh].map(|learner| learner.step(&x, RATE, &whole).unwrap());
        assert_eq!(steps[0], steps[1]);
        assert!(learner.state() == fresh.state());
    }
}

#[test]
fn two_batches_of_one_step_are_one_twice_as_large() {
    // Cut into the same pieces, they have its bits.
    let (x, labels) = (images(256), labels(256));
    let half = |images: Range<usize>, y| loss(&labels)(images.start + 128..images.end + 128, y);
    let mut twice = learner(large());
    let mut score = twice.add(x.slice_batch(0, 128), loss(&labels)).unwrap();
    score += twice.add(x.slice_batch(128, 256), half).unwrap();
    twice.apply(RATE).unwrap();
    let mut once = learner(large());
    assert_eq!(once.step(&x, RATE, loss(&labels)).unwrap().score, score);
    assert!(once.state() == twice.state());

    // Cut into others, they differ by rounding.
    let (mut twice, mut once) = (learner(small()), learner(small()));
    twice.add(x.slice_batch(0, 128), loss(&labels)).unwrap();
    twice.add(x.slice_batch(128, 256), half).unwrap();
    once.add(&x, loss(&labels)).unwrap();
    for (got, want) in twice.added().iter().zip(once.added()) {
        assert_near("two batches", got.data(), &to_f64(want));
    }
}

#[test]
fn a_step_without_gradients_is_an_error() {
    let (x, labels) = (images(4), labels(4));
    let message = |learner: &mut Learner| learner.apply(RATE).unwrap_err().to_string();
    let none = "the gradients of a step must be those of at least one example, got none";
    let mut learner = learner(small());
    assert_eq!(message(&mut learner), none);
    learner.step(&x, RATE, loss(&labels)).unwrap();
    assert_eq!(message(&mut learner), none, "a step uses them up");
    learner.add(&x, loss(&labels)).unwrap();
    learner.restore(1, learner.state().into_iter().collect()).unwrap();
    assert_eq!(message(&mut learner), none, "another run's");
    assert_eq!(learner.steps(), 1);
}

#[test]
fn batches_that_a_step_cannot_take_are_errors() {
    let zeros =
        |_: Range<usize>, y: Tensors| Ok((0, y.iter().map(|y| Some(Tensor::zeros(y.shape()))).collect()));
    let message = |x: Tensors| learner(pair(false)).step(x, RATE, zeros).unwrap_err().to_string();
    let (a, b) = (|n| Tensor::zeros([n, 4]), |n| Tensor::zeros([n, 4]));
    assert_eq!(
        message([a(4), b(3)].into()),
        "the inputs of a batch must be of the same number of examples, got 4 and 3"
    );
    assert_eq!(message([a(0), b(0)].into()), "a batch must be at least one example, got none");
    assert_eq!(message(Tensors::empty()), "a batch must be at least one example, got none");
    assert_eq!(message(a(4).into()), "the number of inputs must be 2, got 1");
    assert!(message([a(4), Tensor::zeros([4, 5])].into()).starts_with("b: linear: "));
    let one = |_: Range<usize>, y: Tensors| Ok((0, y[0].clone().into()));
    let error = learner(pair(false)).step([a(4), b(4)], RATE, one).unwrap_err().to_string();
    assert_eq!(error, "the number of gradients must be 2, got 1");
}

/// A layer on each of two inputs, the same if it is shared. Outputs: both, the first plus the second.
fn pair(shared: bool) -> Graph {
    let spec = graph(["x", "z"]).node("a", linear(3), ["x"]);
    let spec = if shared { spec.share("b", "a", ["z"]) } else { spec.node("b", linear(3), ["z"]) };
    let spec = spec.node("sum", add(), ["a", "b"]).outputs(["sum", "b"]);
    Graph::of(&spec, [[4], [4]], 5).unwrap()
}

/// The definition of the gradients of a linear layer, of weights and of biases: the sums of `dy x` and of `dy`.
fn linear_gradients(x: &Tensor, dy: &[f64]) -> [Vec<f64>; 2] {
    let (mut dw, mut db) = (vec![0.0; 12], vec![0.0; 3]);
    for (x, dy) in x.data().chunks_exact(4).zip(dy.chunks_exact(3)) {
        for (o, dy) in dy.iter().enumerate() {
            db[o] += dy;
            x.iter().enumerate().for_each(|(i, x)| dw[4 * o + i] += dy * f64::from(*x));
        }
    }
    [dw, db]
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

#[test]
fn several_inputs_and_outputs_and_layers_that_are_shared() {
    let (x, z) = (noise("x", [40, 4]), noise("z", [40, 4]));
    let (first, second) = (noise("first", [40, 3]), noise("second", [40, 3]));
    let part = |dy: &Tensor, images: &Range<usize>| dy.slice_batch(images.start, images.end);
    for (shared, both) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut learner = learner(pair(shared));
        let pieces = learner.add([x.clone(), z.clone()], |images, y| {
            assert_eq!(y[1].shape().dims(), [images.len(), 3]);
            let second = both.then(|| part(&second, &images));
            Ok((1, [Some(part(&first, &images)), second].into()))
        });
        assert_eq!(pieces.unwrap(), 3);
        let (da, db) = (to_f64(&first), to_f64(&second));
        let db = if both { sum(&da, &db) } else { da.clone() };
        let (a, b) = (linear_gradients(&x, &da), linear_gradients(&z, &db));
        let want = match shared {
            true => vec![sum(&a[0], &b[0]), sum(&a[1], &b[1])],
            false => [a, b].concat(),
        };
        assert_eq!(learner.added().len(), want.len());
        for (i, (got, want)) in learner.added().iter().zip(&want).enumerate() {
            assert_near(&format!("parameter {i}, shared: {shared}"), got.data(), want);
        }
    }
}

/// The tensor of that name.
fn tensor(net: &Graph, name: &str) -> Tensor {
    net.tensors().into_iter().find(|(known, _)| known == name).unwrap().1
}

#[test]
fn running_statistics_take_in_each_batch_once() {
    let (x, labels) = (images(24), labels(24));
    let mut learner = learner(normalized());
    assert!(learner.couples_images());
    // Of the convolution's outputs, by the definition, with the variance that estimates the population's.
    let y = learner.net().activations(&x).unwrap().swap_remove(0).1;
    let channel = |c: usize| -> Vec<f64> {
        let images = y.data().chunks_exact(6 * 36);
        images.flat_map(|image| &image[36 * c..][..36]).map(|v| f64::from(*v)).collect()
    };
    let statistics = |c| {
        let values = channel(c);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
        [mean, var]
    };
    let mut want = [(); 6].map(|()| [0.0, 1.0]);
    let take_in = |want: &mut [[f64; 2]; 6]| {
        for (c, want) in want.iter_mut().enumerate() {
            for (running, batch) in want.iter_mut().zip(statistics(c)) {
                *running = 0.9 * *running + 0.1 * batch;
            }
        }
    };
    let check = |learner: &Learner, want: &[[f64; 2]; 6], batches| {
        for (i, name) in ["norm.running_mean", "norm.running_var"].into_iter().enumerate() {
            assert_near(name, tensor(learner.net(), name).data(), &want.map(|channel| channel[i]));
        }
        assert_eq!(tensor(learner.net(), "norm.num_batches_tracked").data(), [batches]);
    };
    learner.add(&x, loss(&labels)).unwrap();
    take_in(&mut want);
    check(&learner, &want, 1.0);
    learner.add(&x, loss(&labels)).unwrap();
    take_in(&mut want);
    check(&learner, &want, 2.0);
    learner.apply(RATE).unwrap();
    check(&learner, &want, 2.0);
}

#[test]
fn held_statistics_are_gone_by_and_kept_and_the_batch_is_cut() {
    let (x, labels) = (images(40), labels(40));
    let mut before = learner(normalized());
    for _ in 0..3 {
        before.step(&x, RATE, loss(&labels)).unwrap();
    }
    let net = before.into_net();
    for group in [ParameterGroup::named("norm.*"), ParameterGroup::frozen("norm.*")] {
        let frozen = group.lr_mult == 0.0;
        let run = |threads: usize| {
            let settings = LearnSettings { groups: vec![group.clone().holding_statistics()], ..settings() };
            let mut learner = Learner::new(net.copy().unwrap(), settings).unwrap();
            assert!(!learner.couples_images());
            let step = || {
                learner.step(&x, RATE, |images, y| {
                    let (_, dy) = loss(&labels)(images, y)?;
                    Ok((1, dy))
                })
            };
            assert_eq!(Threads::new(threads).unwrap().run(step).unwrap().score, 3, "pieces");
            (learner.added().to_vec(), learner.net().copy().unwrap())
        };
        let (gradients, after) = run(1);
        assert!([2, 3, 8].into_iter().all(|threads| run(threads).0 == gradients));

        let moved = |name: &str| tensor(&after, name) != tensor(&net, name);
        for name in ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"] {
            assert!(!moved(name), "{name}");
        }
        assert!(moved("conv.weight") && moved("fc.weight"));
        assert_eq!(["norm.weight", "norm.bias"].map(moved), [!frozen; 2]);

        // Those of the whole batch, where the layer is y = scale x + shift, by the running statistics.
        let plan = all_trained(&net).holding(&net, |name| name.starts_with("norm."));
        let at = At { seed: 3, ..At::default() };
        let want = whole(&net, &plan, &(&x).into(), at, |y| loss(&labels)(0..40, y).unwrap().1);
        let mut names = Vec::new();
        net.parameters(&mut |name, _| names.push(name.to_string()));
        for ((got, want), name) in gradients.iter().zip(&want).zip(&names) {
            if !(frozen && name.starts_with("norm.")) {
                assert_near(name, got.data(), &to_f64(want));
            }
        }
    }
    // Without the group the batch is one piece, and the gradients are others.
    let mut free = learner(net.copy().unwrap());
    assert!(free.couples_images());
    free.add(&x, loss(&labels)).unwrap();
    assert_ne!(tensor(free.net(), "norm.running_mean"), tensor(&net, "norm.running_mean"));
}

#[test]
fn a_held_layer_puts_out_in_training_what_it_does_in_evaluation() {
    let layers = [conv2d(6, 3).named("conv"), batch_norm2d().named("norm"), flatten().named("flatten")];
    let mut net = build(layers);
    net.visit_mut(&mut |_, role, tensor| {
        if role == Role::Buffer {
            tensor.data_mut().iter_mut().for_each(|v| *v += 0.5);
        }
    });
    let x = images(40);
    let want = net.infer(&x).unwrap();
    let group = ParameterGroup::default().holding_statistics();
    let mut learner = Learner::new(net, LearnSettings { groups: vec![group], ..Default::default() }).unwrap();
    let (got, pieces) = outputs(&mut learner, &x, 0);
    assert_eq!(pieces, 3);
    assert_near("outputs", &got, &to_f64(&want));
}

#[test]
fn a_restored_learner_goes_on_bit_for_bit() {
    let (x, labels) = (images(40), labels(40));
    for net in [small, normalized] {
        let begin = || Learner::new(net(), settings()).unwrap();
        let go_on = |learner: &mut Learner| {
            for _ in 0..3 {
                learner.step(&x, RATE, loss(&labels)).unwrap();
            }
        };
        let mut unbroken = begin();
        go_on(&mut unbroken);
        let state: BTreeMap<_, _> = unbroken.state().into_iter().collect();
        go_on(&mut unbroken);
        let restored = |steps| {
            let mut learner = begin();
            // Earlier state does not matter.
            learner.step(&x, RATE, loss(&labels)).unwrap();
            learner.restore(steps, state.clone()).unwrap();
            go_on(&mut learner);
            (learner.state(), learner.steps())
        };
        assert!(restored(3) == (unbroken.state(), 6));
        assert!(restored(2).0 != unbroken.state(), "random numbers are named by the step");
    }
}

#[test]
fn how_a_batch_is_cut_follows_from_its_shapes_alone() {
    // The more pixels, the less the layer with the many weights counts.
    let spec = graph(["x", "image"])
        .node("dense", linear(1200), ["x"])
        .node("conv", conv2d(8, 3), ["image"])
        .outputs(["dense", "conv"]);
    let zeros =
        |_: Range<usize>, y: Tensors| Ok((1, y.iter().map(|y| Some(Tensor::zeros(y.shape()))).collect()));
    let batch = |pixels| [Tensor::zeros([40, 64]), Tensor::zeros([40, 1, pixels, pixels])];
    let build = || learner(Graph::of(&spec, [&[64][..], &[1, 8, 8]], 0).unwrap());
    let pieces = |learner: &mut Learner, pixels| learner.add(batch(pixels), zeros).unwrap();
    assert_eq!((pieces(&mut build(), 8), pieces(&mut build(), 64)), (1, 3));
    let mut one = build();
    assert_eq!([8, 64, 8].map(|pixels| pieces(&mut one, pixels)), [1, 3, 1]);
}

/// As if another process had the same gradients; counts what is asked of it.
#[derive(Clone, Default)]
struct Twin {
    alone: bool,
    broken: bool,
    summed: Arc<Mutex<Vec<usize>>>,
}

impl Collective for Twin {
    fn size(&self) -> usize {
        if self.alone { 1 } else { 2 }
    }
    fn sum(&self, values: &mut [f32]) -> Result<(), NnError> {
        self.summed.lock().unwrap().push(values.len());
        if self.broken {
            return Err(NnError::Data("the other process is gone".into()));
        }
        values.iter_mut().for_each(|v| *v *= 2.0);
        Ok(())
    }
    fn sum_f64(&self, values: &mut [f64]) -> Result<(), NnError> {
        values.iter_mut().for_each(|v| *v *= 2.0);
        Ok(())
    }
}

#[test]
fn processes_sum_every_gradient_once_before_the_optimizer_sees_it() {
    let (x, labels) = (images(40), labels(40));
    let groups = vec![ParameterGroup::frozen("conv.*")];
    let begin = || Learner::new(small(), LearnSettings { groups: groups.clone(), ..settings() }).unwrap();
    let twin = Twin::default();
    let mut together = begin().among(twin.clone());
    assert_eq!((together.collective().rank(), together.collective().size()), (0, 2));
    // The same gradients twice are gradients twice as large, bit for bit.
    let mut alone = begin();
    let doubled = |images, y| {
        let (sum, mut dy) = loss(&labels)(images, y)?;
        dy.iter_mut().flatten().for_each(|dy| vector::scale(2.0, dy.data_mut()));
        Ok((sum, dy))
    };
    for _ in 0..2 {
        twin.summed.lock().unwrap().clear();
        together.add(&x, loss(&labels)).unwrap();
        together.add(&x, loss(&labels)).unwrap();
        assert!(twin.summed.lock().unwrap().is_empty(), "once for a step");
        let want: Vec<usize> = together.added().iter().map(|gradient| gradient.data().len()).collect();
        together.apply(RATE).unwrap();
        assert_eq!(*twin.summed.lock().unwrap(), want);
        assert_eq!(want, [0, 0, 162, 3], "nothing is computed for what is frozen");
        alone.add(&x, doubled).unwrap();
        alone.add(&x, doubled).unwrap();
        alone.apply(RATE).unwrap();
        assert!(together.state() == alone.state());
    }
    let single = Twin { alone: true, ..Twin::default() };
    begin().among(single.clone()).step(&x, RATE, loss(&labels)).unwrap();
    assert!(single.summed.lock().unwrap().is_empty());
}

#[test]
fn where_another_process_is_gone_no_step_is_taken() {
    let (x, labels) = (images(40), labels(40));
    let mut learner =
        Learner::new(small(), settings()).unwrap().among(Twin { broken: true, ..Twin::default() });
    let before = learner.state();
    let error = learner.step(&x, RATE, loss(&labels)).unwrap_err().to_string();
    assert_eq!(error, "the other process is gone");
    assert!(learner.state() == before && learner.steps() == 0);
}
