use super::*;
use crate::spec::{
    LayerSpec, NamedSpec, concat, conv2d, flatten, graph, linear, max_pool2d, own, relu, residual, sequential,
};
use crate::{At, Grads, LearnSettings, Learner, Own, Parameters, Tensors, Unary};
use std::time::Duration;

fn batch(n: usize, x: &[usize]) -> Batch {
    let mut images = Tensor::zeros(Shape::new(&[&[n], x].concat()).unwrap());
    cnn_tensor::Random::new(0, &["profile"]).fill_normal(1.0, images.data_mut());
    Batch::new(images, (0..n).map(|i| (i % 3) as u32).collect::<Vec<_>>())
}

fn small() -> Graph {
    let layers = [
        conv2d(4, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        flatten().named("flatten"),
        linear(3).named("fc"),
    ];
    Graph::build(layers, [2, 8, 8], 0).unwrap()
}

fn of_training(
    net: &Graph,
    batch: &Batch,
    settings: TrainSettings,
    rounds: usize,
) -> Result<Profile, NnError> {
    Profile::of_training(net, Classify::default(), batch, settings, rounds)
}

/// Sleeps in both passes, and does nothing to its input.
#[derive(serde::Serialize, serde::Deserialize)]
struct Nap {
    /// Milliseconds.
    forward: u64,
    backward: u64,
}

impl Own for Nap {
    const KIND: &'static str = "nap";
    fn build(self, _: &[Shape], _: &mut Parameters<'_>) -> Result<Self, NnError> {
        Ok(self)
    }
}

impl Unary for Nap {
    type Saved = ();
    fn kind(&self) -> &'static str {
        Self::KIND
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }
    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, ()), NnError> {
        std::thread::sleep(Duration::from_millis(self.forward));
        Ok((x, ()))
    }
    fn backward(&self, (): (), dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        std::thread::sleep(Duration::from_millis(self.backward));
        Ok(Some(dy))
    }
}

fn nap(forward: u64, backward: u64) -> LayerSpec {
    own(&Nap { forward, backward })
}

/// Whether a bound that only an idle machine keeps holds in one of ten attempts.
fn holds_once(mut bound: impl FnMut() -> bool) -> bool {
    (0..10).any(|_| bound())
}

/// Two naps of known length in a batch of 48 images, which is cut into three pieces of 16.
#[test]
fn time_is_written_down_where_it_was_spent_and_adds_up() {
    let layers = [linear(3).named("fc"), nap(4, 8).named("long"), nap(2, 1).named("short")];
    let net = Graph::build(layers, [5], 0).unwrap();
    for threads in [1, 3] {
        let pool = Threads::new(threads).unwrap();
        // The three pieces one after the other, or side by side.
        let naps = 3.0 / threads as f64 * 1e-3;
        let bounds_hold = || {
            let profile =
                pool.run(|| of_training(&net, &batch(48, &[5]), TrainSettings::default(), 5)).unwrap();
            assert_eq!((profile.threads, profile.rounds, profile.images), (threads, 5, 48));
            let [_, long, short] = &profile.layers[..] else { panic!("{profile}") };
            let mut hold = true;
            for (seconds, least) in
                [(long.forward, 4.0), (long.backward, 8.0), (short.forward, 2.0), (short.backward, 1.0)]
            {
                let least = least * naps;
                assert!(seconds >= 0.999 * least, "{seconds} {least}\n{profile}");
                hold &= seconds < 3.0 * least + 2e-3;
            }
            assert!(profile.step >= 15.0 * naps && profile.step_without_clocks >= 15.0 * naps);
            let names: Vec<&str> = profile.rest.iter().map(|rest| rest.name).collect();
            assert_eq!(names, ["loss", "gradients", "optimizer", "threads", "between"]);
            let shares: f64 = profile.layers.iter().map(|layer| layer.share).sum();
            let others: f64 = profile.rest.iter().map(|rest| rest.share).sum();
            assert!((shares + others - 1.0).abs() < 1e-9, "{shares} {others}");
            hold && (0.8..1.2).contains(&(profile.seconds() / profile.step))
        };
        assert!(holds_once(bounds_hold), "{threads} threads");
    }
}

/// Exactly: each round's parts are its step.
#[test]
fn the_parts_of_a_recording_are_the_whole() {
    let mut recorder = Recorder::new();
    let bounds_hold = || {
        recorder = Recorder::new();
        let mut learner = Learner::new(small(), LearnSettings::default()).unwrap();
        let batch = batch(40, &[2, 8, 8]);
        let since = Instant::now();
        record(&mut recorder, || {
            let ones = |_, y: Tensors| Ok((0.0, Tensor::full(y[0].shape(), 1.0).into()));
            learner.add(batch.inputs.clone(), ones).unwrap();
        });
        let whole = since.elapsed().as_secs_f64();
        let nodes = recorder.nodes.iter();
        let parts: f64 =
            nodes.map(|node| node.forward.seconds + node.backward.seconds + node.rest.seconds).sum();
        assert!(parts <= whole, "{parts} of {whole}");
        parts > 0.5 * whole
    };
    assert!(holds_once(bounds_hold));
    let names: Vec<&str> = recorder.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["", THREADS, GRADIENTS, "conv", "relu", "pool", "flatten", "fc", LOSS]);
    // Nothing is recorded any more.
    crate::probe::pass("other", crate::probe::Pass::Rest, || ());
    assert_eq!(recorder.nodes.len(), 9);
}

#[test]
fn profiling_leaves_the_network_and_what_a_step_makes_of_it_alone() {
    let (net, batch) = (small(), batch(40, &[2, 8, 8]));
    let before: Vec<(String, Tensor)> = net.tensors();
    let settings = TrainSettings { learning_rate: 0.1, epochs: 1, ..TrainSettings::default() };
    let train = |recorded: bool| {
        let mut trainer = Trainer::new(net.copy().unwrap(), Classify::default(), settings.clone()).unwrap();
        let mut recorder = Recorder::new();
        for _ in 0..3 {
            if recorded {
                record(&mut recorder, || trainer.step(&batch, 3)).unwrap();
            } else {
                trainer.step(&batch, 3).unwrap();
            }
        }
        trainer.into_net().tensors()
    };
    assert_eq!(train(true), train(false));
    of_training(&net, &batch, settings.clone(), 1).unwrap();
    assert_eq!(net.tensors(), before);
}

#[test]
fn layers_inside_containers_have_dotted_paths_and_their_counts() {
    let inner = residual([conv2d(4, 3).padding([1, 1]).named("conv1")]).after([relu().named("act")]);
    let layers = [
        sequential([conv2d(4, 3).named("0"), relu().named("1")]).named("features"),
        inner.named("block"),
        concat([conv2d(2, 1).named("a"), conv2d(3, 1).named("b")]).named("mixed"),
        flatten().named("flatten"),
        linear(3).named("fc"),
    ];
    let net = Graph::build(layers, [2, 8, 8], 0).unwrap();
    let profile = of_training(&net, &batch(16, &[2, 8, 8]), TrainSettings::default(), 3).unwrap();
    let paths: Vec<&str> = profile.layers.iter().map(|layer| layer.path.as_str()).collect();
    let expected = [
        "features.0",
        "features.1",
        "block.conv1",
        "block",
        "block.act",
        "mixed.a",
        "mixed.b",
        "mixed",
        "flatten",
        "fc",
    ];
    assert_eq!(paths, expected);
    for layer in &profile.layers {
        assert!(layer.forward > 0.0 && layer.backward > 0.0, "{}\n{profile}", layer.path);
    }
    let of = |path: &str| profile.layers.iter().find(|layer| layer.path == path).unwrap();
    let first = of("features.0");
    assert_eq!((first.parameters, first.macs), (4 * 18 + 4, 16 * 36 * 4 * 18));
    assert_eq!(first.backward_macs, first.macs, "nobody wants the gradient of the images");
    assert_eq!(of("block.conv1").backward_macs, 2 * of("block.conv1").macs);
    assert_eq!(first.output_bytes, 16 * 4 * 36 * 4);
    assert!(first.forward_bytes >= first.output_bytes, "{profile}");
    assert_eq!(of("features.1").forward_bytes, 0, "a rectifier writes over its input\n{profile}");
    assert!(profile.peak_bytes >= first.output_bytes);
    assert!(!profile.rest.iter().any(|rest| rest.name == "threads") || profile.threads > 1);
}

/// A network as a layer.
#[derive(serde::Serialize, serde::Deserialize)]
struct Closed {
    layers: Vec<NamedSpec>,
    #[serde(skip)]
    net: Option<Graph>,
}

impl Own for Closed {
    const KIND: &'static str = "closed";
    fn build(self, x: &[Shape], _: &mut Parameters<'_>) -> Result<Self, NnError> {
        let net = Some(Graph::chain(self.layers.clone(), x[0], &mut crate::Fresh { seed: 0 })?);
        Ok(Self { net, ..self })
    }
}

impl Unary for Closed {
    type Saved = ();
    fn kind(&self) -> &'static str {
        Self::KIND
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }
    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, ()), NnError> {
        Ok((self.net.as_ref().expect("built").infer_owned(x)?, ()))
    }
    fn backward(&self, (): (), dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        Ok(Some(dy))
    }
}

/// Though what is inside has the names of others outside.
#[test]
fn what_a_layer_hides_is_its_own() {
    let layers = vec![nap(3, 0).named("a"), nap(5, 0).named("b")];
    let layers = [own(&Closed { layers, net: None }).named("closed"), relu().named("a")];
    let net = Graph::build(layers, [3], 0).unwrap();
    let profile = Profile::of_inference(&net, Tensor::zeros([1, 3]), 3).unwrap();
    let [closed, relu] = &profile.layers[..] else { panic!("{profile}") };
    assert!(closed.forward >= 8e-3 && closed.share > 0.9, "{profile}");
    assert!(relu.forward < 2e-3, "{profile}");
    assert_eq!(closed.backward, 0.0);
    assert!(!profile.training);
}

/// A teacher, say, whose layers have the names of the network's.
#[test]
fn what_a_loss_runs_is_the_losss() {
    let teacher = Graph::build([nap(5, 0).named("fc")], [3], 0).unwrap();
    let net = Graph::build([linear(3).named("fc")], [3], 0).unwrap();
    let mut learner = Learner::new(net, LearnSettings::default()).unwrap();
    let mut recorder = Recorder::new();
    record(&mut recorder, || {
        let loss = |_, y: Tensors| Ok((0.0, Layer::infer(&teacher, y)?.into_iter().map(Some).collect()));
        learner.step(Tensor::zeros([2, 3]), 0.1, loss).unwrap();
    });
    let of = |name: &str| recorder.nodes.iter().find(|node| node.name == name).unwrap();
    assert!(of(LOSS).rest.seconds >= 5e-3 && of("fc").forward.seconds < 4e-3, "{recorder:?}");
}

#[test]
fn nodes_of_a_graph_are_told_apart_where_they_share_a_layer() {
    let spec = graph(["a", "b"])
        .node("left", linear(3), ["a"])
        .share("right", "left", ["b"])
        .node("sum", crate::spec::add(), ["left", "right"])
        .outputs(["sum"]);
    let net = Graph::of(&spec, [[4], [4]], 0).unwrap();
    let x = || Tensors::from([Tensor::zeros([16, 4]), Tensor::zeros([16, 4])]);
    let batch = Batch { inputs: x(), ..batch(16, &[4]) };
    let profile = of_training(&net, &batch, TrainSettings::default(), 2).unwrap();
    let rows: Vec<_> =
        profile.layers.iter().map(|row| (row.path.as_str(), row.parameters, row.macs)).collect();
    assert_eq!(rows, [("left", 15, 16 * 12), ("right", 0, 16 * 12), ("sum", 0, 0)]);
    assert!(profile.layers.iter().all(|row| row.forward > 0.0 && row.backward > 0.0), "{profile}");
    assert_eq!(profile.images, 16);
    assert_eq!(Profile::of_inference(&net, x(), 1).unwrap().layers.len(), 3);
}

#[test]
fn errors_are_those_of_the_step_and_nobody_records_after_them() {
    let net = small();
    let fault = Profile::of_inference(&net, Tensor::zeros([1, 3]), 1).unwrap_err().to_string();
    assert!(fault.starts_with("conv: conv2d: "), "{fault}");
    let labels = Batch { target: vec![7; 40].into(), ..batch(40, &[2, 8, 8]) };
    let fault = of_training(&net, &labels, TrainSettings::default(), 1).unwrap_err().to_string();
    assert!(fault.contains("label"), "{fault}");
    let profiler = Profiler::inference(net, Tensor::zeros([1, 2, 8, 8])).unwrap();
    let fault = profiler.profile().unwrap_err().to_string();
    assert_eq!(fault, "the rounds of a profile must be at least 1, got none");
}

#[test]
fn the_table_is_aligned_and_its_longest_bar_is_the_heaviest_layers() {
    let row = |path: &str, parameters, macs| SummaryRow {
        path: path.into(),
        kind: "conv2d",
        output: [2, 10].into(),
        parameters,
        macs,
    };
    let mut layers =
        vec![LayerProfile::of_row(row("conv", 1234, 500_000)), LayerProfile::of_row(row("b.relu", 0, 0))];
    (layers[0].forward, layers[0].backward, layers[0].share) = (1e-3, 2e-3, 0.75);
    (layers[0].backward_macs, layers[0].forward_bytes) = (1_000_000, 12_345);
    (layers[1].forward, layers[1].backward, layers[1].share) = (0.2e-3, 0.3e-3, 0.125);
    let rest = vec![RestProfile { name: "loss", seconds: 0.5e-3, share: 0.125 }];
    let profile = Profile {
        training: true,
        images: 2,
        threads: 1,
        rounds: 3,
        layers,
        rest,
        step: 4.04e-3,
        step_without_clocks: 4e-3,
        peak_bytes: 2_500_000,
    };
    let expected = "\
layer   kind    output  parameters   size  taken  forward ms  GFLOP/s  backward ms  GFLOP/s   share
---------------------------------------------------------------------------------------------------
conv    conv2d  [10]         1,234   80 B  12 kB       1.000      1.0        2.000      1.0  75.0 %  ########################
b.relu  conv2d  [10]                 80 B              0.200                 0.300           12.5 %  ####
---------------------------------------------------------------------------------------------------
layers                       1,234  160 B  12 kB       1.200      0.8        2.300      0.9  87.5 %
loss                                                                         0.500           12.5 %  ####

step of 2 images on 1 thread: 4.000 ms, 500 images/s; the parts add up to 4.000 ms
with the clocks running 4.040 ms: they cost 1.0 % (medians of 3)
memory in use at most: 2.5 MB besides parameters, gradients, optimizer and batch
";
    assert_eq!(profile.to_string(), expected);
    let json = serde_json::to_value(&profile).unwrap();
    assert_eq!(json["layers"][0]["output"], serde_json::json!([2, 10]));
    assert_eq!(json["rest"][0]["seconds"], 0.5e-3);
}

#[test]
fn medians_are_the_middle() {
    assert_eq!(
        [&[][..], &[3.0], &[4.0, 2.0], &[9.0, 1.0, 2.0]].map(|v| median(v.iter().copied())),
        [0.0, 3.0, 3.0, 2.0]
    );
}
