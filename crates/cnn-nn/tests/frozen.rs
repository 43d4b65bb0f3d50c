//! Layers whose parameters are all frozen cost a step of training no more than their forward pass, and change no bit.
#![forbid(unsafe_code)]

use cnn_nn::spec::{NamedSpec, batch_norm2d, conv2d, dropout, flatten, linear, max_pool2d, relu, sequential};
use cnn_nn::{
    Batch, Clip, Fresh, Layer, LayerSpec, NnError, OptimizerSpec, Parameter, ParameterGroup, Path,
    Sequential, Sgd, TrainSettings, Trainer, TrainingStep,
};
use cnn_tensor::{Random, Shape, Tensor};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const STEPS: usize = 3;

/// 40 images of noise, cut into three pieces where the network allows it.
fn batch(i: usize) -> Batch {
    let mut x = Tensor::zeros([40, 1, 8, 8]);
    Random::new(3, &["batch", &i.to_string()]).fill_normal(1.0, x.data_mut());
    Batch::new(x, (0..40).map(|i| i % 3).collect())
}

fn settings(frozen: &[&str]) -> TrainSettings {
    TrainSettings {
        epochs: 1,
        rate: 0.1,
        optimizer: OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() }),
        groups: frozen.iter().map(|&names| ParameterGroup::frozen(names)).collect(),
        clip: Some(Clip::Norm { max_norm: 0.5 }),
        ..TrainSettings::default()
    }
}

/// The state after some steps, and what each gave: its loss and the norm of its gradients.
type Trained = (BTreeMap<String, Tensor>, Vec<(f64, Option<f64>)>);

fn train(net: Sequential, frozen: &[&str]) -> Trained {
    let mut trainer = Trainer::new(net, settings(frozen)).unwrap();
    let steps = (0..STEPS).map(|i| {
        let report = trainer.step(&batch(i), STEPS).unwrap();
        (report.loss, report.gradient_norm)
    });
    let steps = steps.collect();
    (trainer.state().into_iter().collect(), steps)
}

/// Passes everything on, and has a parameter that is trained and changes nothing: the layers after it must go back.
struct Ahead(Parameter);

impl Ahead {
    fn named() -> (String, Box<dyn Layer>) {
        ("ahead".into(), Box::new(Self(Parameter::new(Tensor::zeros([1])))))
    }
}

impl Layer for Ahead {
    fn kind(&self) -> &'static str {
        "ahead"
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }
    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(x.clone())
    }
    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(x)
    }
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        Ok(dy)
    }
    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        f(path.join("idle"), &self.0);
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        f(path.join("idle"), &mut self.0);
    }
    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self(self.0.replicate()))
    }
}

/// What was asked of a layer, whatever replica of it.
#[derive(Default)]
struct Calls {
    forward: AtomicUsize,
    infer: AtomicUsize,
    backward: AtomicUsize,
    backward_first: AtomicUsize,
}

impl Calls {
    fn counts(&self) -> [usize; 4] {
        [&self.forward, &self.infer, &self.backward, &self.backward_first].map(|calls| calls.load(Relaxed))
    }
}

/// A layer that counts calls.
struct Counted(Box<dyn Layer>, Arc<Calls>);

impl Layer for Counted {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        self.0.output_shape(x)
    }
    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        self.1.infer.fetch_add(1, Relaxed);
        self.0.infer(x)
    }
    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.1.forward.fetch_add(1, Relaxed);
        self.0.forward(x)
    }
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        self.1.backward.fetch_add(1, Relaxed);
        self.0.backward(dy)
    }
    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        self.1.backward_first.fetch_add(1, Relaxed);
        self.0.backward_first(dy)
    }
    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        self.0.visit(path, f);
    }
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        self.0.visit_mut(path, f);
    }
    fn visit_buffers<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Tensor)) {
        self.0.visit_buffers(path, f);
    }
    fn visit_buffers_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Tensor)) {
        self.0.visit_buffers_mut(path, f);
    }
    fn mixes_images(&self) -> bool {
        self.0.mixes_images()
    }
    fn training_differs(&self) -> bool {
        self.0.training_differs()
    }
    fn at_step(&mut self, at: TrainingStep) {
        self.0.at_step(at);
    }
    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self(self.0.replicate(), self.1.clone()))
    }
}

/// The layers of a container, each counted; those of containers within it, at their own paths, likewise.
fn counted(
    specs: &[NamedSpec],
    mut x: Shape,
    path: Path<'_>,
    calls: &Mutex<BTreeMap<String, Arc<Calls>>>,
) -> Sequential {
    let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::new();
    for NamedSpec { name, layer } in specs {
        let path = path.join(name);
        let built: Box<dyn Layer> = match layer {
            LayerSpec::Sequential { layers } => Box::new(counted(layers, x, path, calls)),
            layer => layer.build(x, path, &mut Fresh { seed: 5 }).unwrap(),
        };
        x = built.output_shape(x).unwrap();
        let own = Arc::<Calls>::default();
        calls.lock().unwrap().insert(path.to_string(), own.clone());
        layers.push(match layer {
            LayerSpec::Sequential { .. } => (name.clone(), built),
            _ => (name.clone(), Box::new(Counted(built, own))),
        });
    }
    Sequential::new(layers).unwrap()
}

fn plain() -> Vec<NamedSpec> {
    let features = [
        conv2d(6, 3).padding(1).named("0"),
        relu().named("1"),
        max_pool2d(2).named("2"),
        conv2d(8, 3).named("3"),
    ];
    let classifier = [linear(10).named("0"), relu().named("1"), linear(3).named("2")];
    vec![
        sequential(features).named("features"),
        flatten().named("flatten"),
        sequential(classifier).named("classifier"),
    ]
}

/// With batch normalisation and dropout in the trunk.
fn normalized() -> Vec<NamedSpec> {
    let features = [
        conv2d(6, 3).no_bias().named("0"),
        batch_norm2d().named("1"),
        relu().named("2"),
        dropout(0.2).named("3"),
        conv2d(8, 3).named("4"),
    ];
    vec![sequential(features).named("features"), flatten().named("flatten"), linear(3).named("classifier")]
}

const IMAGE: [usize; 4] = [1, 1, 8, 8];

#[test]
fn trained_parameters_have_the_bits_they_would_have_without_the_shortcut() {
    let cases: [(_, &[&str]); 5] = [
        (plain(), &["features.*"]),
        (plain(), &["features.0.*"]),
        (plain(), &["features.0.*", "features.3.*"]),
        (normalized(), &["features.*"]),
        (normalized(), &["features.0.*", "*.4.bias"]),
    ];
    for (specs, frozen) in cases {
        let build = || Sequential::build(specs.clone(), [1, 8, 8], 5).unwrap();
        let start: BTreeMap<_, _> = build().tensors().into_iter().collect();
        let (short, short_steps) = train(build(), frozen);

        let calls = Mutex::default();
        let net = counted(&specs, IMAGE.into(), Path::ROOT, &calls);
        let mut whole = Sequential::new(vec![Ahead::named(), ("net".into(), Box::new(net))]).unwrap();
        let inner: Vec<String> = frozen.iter().map(|names| format!("net.{names}")).collect();
        // Both networks begin alike, whatever their paths.
        whole.visit_mut(Path::ROOT, &mut |path, parameter| {
            if let Some(name) = path.to_string().strip_prefix("net.") {
                parameter.value = start[name].clone();
            }
        });
        let names: Vec<&str> = inner.iter().map(String::as_str).collect();
        let (whole, whole_steps) = train(whole, &names);
        assert!(calls.lock().unwrap()["features.0"].counts()[2] > 0, "the reference goes all the way back");

        assert_eq!(short_steps, whole_steps, "{frozen:?}");
        let mut compared = 0;
        for (name, tensor) in short.iter().filter(|(name, _)| *name != "optimizer.step") {
            let other = match name.strip_prefix("model.") {
                Some(name) => &whole[&format!("model.net.{name}")],
                None => &whole[&name.replace("optimizer.momentum.", "optimizer.momentum.net.")],
            };
            assert!(tensor == other, "{name}, {frozen:?}");
            compared += 1;
        }
        assert!(compared > 6);
        let moved = |name: &str| short[&format!("model.{name}")] != start[name];
        assert!(!moved("features.0.weight"));
        let last = start.keys().rfind(|name| name.starts_with("classifier")).unwrap();
        assert!(moved(last), "{last}");
        if specs == normalized() {
            assert!(moved("features.1.running_mean"), "running statistics go on");
        }
    }
}

/// Forward, infer, backward and backward_first of each layer in a step of training on three pieces.
fn calls_of_a_step(specs: &[NamedSpec], frozen: &[&str]) -> BTreeMap<String, [usize; 4]> {
    let calls = Mutex::default();
    let net = counted(specs, IMAGE.into(), Path::ROOT, &calls);
    let mut trainer = Trainer::new(net, settings(frozen)).unwrap();
    trainer.step(&batch(0), 1).unwrap();
    calls.into_inner().unwrap().into_iter().map(|(path, calls)| (path, calls.counts())).collect()
}

#[test]
fn nothing_goes_back_through_a_frozen_trunk_and_nothing_is_kept_for_it() {
    let calls = calls_of_a_step(&plain(), &["features.*"]);
    for frozen in ["features.0", "features.1", "features.2", "features.3", "flatten"] {
        assert_eq!(calls[frozen], [0, 3, 0, 0], "{frozen}");
    }
    assert_eq!(calls["classifier.0"], [3, 0, 0, 3], "the first trained layer is spared its dx");
    assert_eq!(calls["classifier.2"], [3, 0, 3, 0]);

    let calls = calls_of_a_step(&plain(), &["features.0.*"]);
    assert_eq!(calls["features.2"], [0, 3, 0, 0], "a layer without parameters");
    assert_eq!(calls["features.3"], [3, 0, 0, 3], "within the container");

    // A frozen layer after a trained one passes gradients on.
    let calls = calls_of_a_step(&plain(), &["features.3.*"]);
    assert_eq!(calls["features.0"], [3, 0, 0, 3]);
    assert_eq!(calls["features.3"], [3, 0, 3, 0]);

    // Images see each other, so there is one piece.
    let calls = calls_of_a_step(&normalized(), &["features.*"]);
    assert_eq!(calls["features.0"], [0, 1, 0, 0]);
    assert_eq!(calls["features.1"], [1, 0, 0, 0], "batch normalisation goes by the batch");
    assert_eq!(calls["features.3"], [1, 0, 0, 0], "dropout goes on");
    assert_eq!(calls["classifier"], [1, 0, 0, 1]);
}

#[test]
fn a_net_that_is_frozen_as_a_whole_is_scored_and_stays() {
    let build = || Sequential::build(plain(), [1, 8, 8], 5).unwrap();
    let mut trainer = Trainer::new(build(), settings(&["*"])).unwrap();
    let report = trainer.step(&batch(0), 1).unwrap();
    assert!(report.loss > 0.5 && report.gradient_norm == Some(0.0));
    let net = trainer.into_net();
    assert_eq!(net.tensors(), build().tensors());
    net.visit(Path::ROOT, &mut |path, parameter| assert!(!parameter.frozen, "{path}, when training is over"));
}

#[test]
fn a_trainer_without_groups_trains_everything_again() {
    let mut net = Sequential::build(plain(), [1, 8, 8], 5).unwrap();
    let start = net.tensors();
    net.visit_mut(Path::ROOT, &mut |_, parameter| parameter.frozen = true);
    let mut trainer = Trainer::new(net, settings(&[])).unwrap();
    trainer.step(&batch(0), 1).unwrap();
    for ((name, before), (_, after)) in start.iter().zip(trainer.net().tensors()) {
        assert!(*before != after, "{name}");
    }
}

#[test]
fn after_forward_everything_can_still_go_back() {
    let mut net = Sequential::build(plain(), [1, 8, 8], 5).unwrap();
    net.visit_mut(Path::ROOT, &mut |_, parameter| parameter.frozen = true);
    let Batch { x, .. } = batch(0);
    let y = net.forward(x.clone()).unwrap();
    let dx = net.backward(y.clone()).unwrap();
    assert!(dx.shape() == x.shape() && dx.data().iter().any(|v| *v != 0.0));
    net.forward_first(x).unwrap();
    let message = net.backward(y).unwrap_err().to_string();
    assert!(message.ends_with("backward needs a forward pass before it"), "{message}");
}
