use super::*;
use crate::spec::{concat, conv2d, flatten, linear, max_pool2d, relu, residual, sequential};
use crate::{LayerSpec, Parameter};
use std::time::Duration;

fn batch(n: usize, x: &[usize]) -> Batch {
    let mut images = Tensor::zeros(Shape::new(&[&[n], x].concat()).unwrap());
    cnn_tensor::Random::new(0, &["profile"]).fill_normal(1.0, images.data_mut());
    Batch::new(images, (0..n).map(|i| (i % 3) as u32).collect())
}

fn small() -> Sequential {
    let layers = [
        conv2d(4, 3).named("conv"),
        relu().named("relu"),
        max_pool2d(2).named("pool"),
        flatten().named("flatten"),
        linear(3).named("fc"),
    ];
    Sequential::build(layers, [2, 8, 8], 0).unwrap()
}

/// Sleeps in both passes, and does nothing to its input.
struct Nap {
    forward: Duration,
    backward: Duration,
}

impl Layer for Nap {
    fn kind(&self) -> &'static str {
        "nap"
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }
    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        std::thread::sleep(self.forward);
        Ok(x.clone())
    }
    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.infer(&x)
    }
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        std::thread::sleep(self.backward);
        Ok(dy)
    }
    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { ..*self })
    }
}

fn nap(forward: u64, backward: u64) -> Box<dyn Layer> {
    Box::new(Nap { forward: Duration::from_millis(forward), backward: Duration::from_millis(backward) })
}

fn layer(spec: impl Into<LayerSpec>, x: &[usize]) -> Box<dyn Layer> {
    spec.into().build(Shape::new(x).unwrap(), Path::ROOT, &mut crate::Fresh { seed: 0 }).unwrap()
}

/// Two naps of known length in a batch of 48 images, which is cut into three pieces of 16.
#[test]
fn time_is_written_down_where_it_was_spent_and_adds_up() {
    let layers = vec![
        ("fc".to_string(), layer(linear(3), &[1, 5])),
        ("long".to_string(), nap(4, 8)),
        ("short".to_string(), nap(2, 1)),
    ];
    let net = Sequential::new(layers).unwrap();
    for threads in [1, 3] {
        let pool = Threads::new(threads).unwrap();
        let profile =
            pool.run(|| Profile::of_training(&net, &batch(48, &[5]), TrainSettings::default(), 5)).unwrap();
        assert_eq!((profile.threads, profile.rounds, profile.images), (threads, 5, 48));
        let [_, long, short] = &profile.layers[..] else { panic!("{profile}") };
        // The three pieces one after the other, or side by side.
        let naps = 3.0 / threads as f64 * 1e-3;
        for (seconds, least) in
            [(long.forward, 4.0), (long.backward, 8.0), (short.forward, 2.0), (short.backward, 1.0)]
        {
            let least = least * naps;
            assert!(seconds >= 0.999 * least, "{seconds} {least}\n{profile}");
            assert!(seconds < 3.0 * least + 2e-3, "{seconds} {least}\n{profile}");
        }
        assert!(profile.step >= 15.0 * naps && profile.step_without_clocks >= 15.0 * naps);
        let names: Vec<&str> = profile.rest.iter().map(|rest| rest.name).collect();
        assert_eq!(names, ["loss", "gradients", "optimizer", "threads", "between"]);
        let sum = profile.seconds();
        assert!((0.8..1.2).contains(&(sum / profile.step)), "{sum} of {}\n{profile}", profile.step);
        let shares: f64 = profile.layers.iter().map(|layer| layer.share).sum();
        let others: f64 = profile.rest.iter().map(|rest| rest.share).sum();
        assert!((shares + others - 1.0).abs() < 1e-9, "{shares} {others}");
    }
}

/// Exactly: each round's parts are its step.
#[test]
fn the_parts_of_a_recording_are_the_whole() {
    let mut recorder = Recorder::new();
    let (mut net, batch) = (small(), batch(40, &[2, 8, 8]));
    let since = Instant::now();
    record(&mut recorder, || {
        let mut replicas = crate::replicas::Replicas::default();
        let at = crate::TrainingStep::default();
        replicas.gradients(&mut net, &batch, at, &cnn_ops::CrossEntropy::default()).unwrap();
    });
    let whole = since.elapsed().as_secs_f64();
    let parts: f64 = recorder
        .nodes
        .iter()
        .map(|node| node.forward.seconds + node.backward.seconds + node.rest.seconds)
        .sum();
    assert!(parts <= whole && parts > 0.5 * whole, "{parts} of {whole}");
    let names: Vec<&str> = recorder.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["", GRADIENTS, THREADS, "conv", "relu", "pool", "flatten", "fc", LOSS]);
    // Nobody records any more.
    probe::pass("other", probe::Pass::Rest, || ());
    assert_eq!(recorder.nodes.len(), 9);
}

#[test]
fn profiling_leaves_the_network_and_what_a_step_makes_of_it_alone() {
    let (net, batch) = (small(), batch(40, &[2, 8, 8]));
    let before: Vec<(String, Tensor)> = net.tensors();
    let settings = TrainSettings { rate: 0.1, epochs: 1, ..TrainSettings::default() };
    let train = |recorded: bool| {
        let mut trainer = Trainer::new(net.copy(), settings.clone()).unwrap();
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
    Profile::of_training(&net, &batch, settings.clone(), 1).unwrap();
    assert_eq!(net.tensors(), before);
    let mut gradients = 0.0;
    net.visit(Path::ROOT, &mut |_, p: &Parameter| gradients += p.gradient.data().iter().sum::<f32>());
    assert_eq!(gradients, 0.0);
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
    let net = Sequential::build(layers, [2, 8, 8], 0).unwrap();
    let profile = Profile::of_training(&net, &batch(16, &[2, 8, 8]), TrainSettings::default(), 3).unwrap();
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

/// A container of one's own that says nothing of its parts.
struct Closed(Sequential);

impl Layer for Closed {
    fn kind(&self) -> &'static str {
        "closed"
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        self.0.output_shape(x)
    }
    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        self.0.infer(x)
    }
    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.0.forward(x)
    }
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        self.0.backward(dy)
    }
    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self(self.0.copy()))
    }
}

#[test]
fn what_a_layer_hides_is_its_own() {
    let hidden = Sequential::new(vec![("a".into(), nap(3, 0)), ("b".into(), nap(5, 0))]).unwrap();
    let net = Sequential::new(vec![("closed".into(), Box::new(Closed(hidden)) as _)]).unwrap();
    let profile = Profile::of_inference(&net, &Tensor::zeros([1, 3]), 3).unwrap();
    let [closed] = &profile.layers[..] else { panic!("{profile}") };
    assert!(closed.forward >= 8e-3 && closed.share > 0.9, "{profile}");
    assert_eq!(closed.backward, 0.0);
    assert!(!profile.training);
}

#[test]
fn errors_are_those_of_the_step_and_nobody_records_after_them() {
    let net = small();
    let fault = Profile::of_inference(&net, &Tensor::zeros([1, 3]), 1).unwrap_err().to_string();
    assert!(fault.starts_with("conv: conv2d: "), "{fault}");
    let labels = Batch { labels: vec![7; 40], ..batch(40, &[2, 8, 8]) };
    let fault = Profile::of_training(&net, &labels, TrainSettings::default(), 1).unwrap_err().to_string();
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
