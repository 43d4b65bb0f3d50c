//! Layers whose parameters are all frozen cost a step of training no more than their forward pass, and change no bit.
#![forbid(unsafe_code)]

use cnn_nn::spec::{
    NamedSpec, batch_norm2d, conv2d, dropout, flatten, linear, max_pool2d, own, relu, sequential,
};
use cnn_nn::{
    At, Batch, Classify, Clip, Fresh, Gradients, Grads, Graph, Init, Kept, Layer, LayerSpec, Nature, NnError,
    OptimizerSpec, Own, ParameterGroup, Parameters, Plan, Role, Sgd, Shapes, Tensors, Trace, TrainSettings,
    Trainer, Unary,
};
use cnn_tensor::{Random, Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const STEPS: usize = 3;

/// 40 images of noise, cut into three pieces where the network allows it.
fn batch(i: usize) -> Batch {
    let mut x = Tensor::zeros([40, 1, 8, 8]);
    Random::new(3, &["batch", &i.to_string()]).fill_normal(1.0, x.data_mut());
    Batch::new(x, (0..40).map(|i| i % 3).collect::<Vec<_>>())
}

fn frozen(names: &[&str]) -> Vec<ParameterGroup> {
    names.iter().map(|&names| ParameterGroup::frozen(names)).collect()
}

fn settings(groups: Vec<ParameterGroup>) -> TrainSettings {
    TrainSettings {
        epochs: 1,
        learning_rate: 0.1,
        optimizer: OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() }),
        groups,
        clip: Some(Clip::Norm { max_norm: 0.5 }),
        ..TrainSettings::default()
    }
}

/// The state after some steps, and what each gave: its loss and the norm of its gradients.
type Trained = (BTreeMap<String, Tensor>, Vec<(f64, Option<f64>)>);

fn train(net: Graph, names: &[&str]) -> Trained {
    let mut trainer = Trainer::new(net, Classify::default(), settings(frozen(names))).unwrap();
    let steps = (0..STEPS).map(|i| {
        let report = trainer.step(&batch(i), STEPS).unwrap();
        (report.loss, report.gradient_norm)
    });
    let steps = steps.collect();
    (trainer.state().into_iter().collect(), steps)
}

/// Passes everything on, and has a parameter that is trained and changes nothing: the layers after it must go back.
#[derive(Serialize, Deserialize)]
struct Ahead {
    #[serde(skip)]
    idle: Tensor,
}

/// How often gradients came back to an [`Ahead`].
static CAME_BACK: AtomicUsize = AtomicUsize::new(0);

impl Own for Ahead {
    const KIND: &'static str = "ahead";
    fn build(self, _: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        Ok(Self { idle: parameters.get("idle", [1], Init::Zeros)? })
    }
}

impl Unary for Ahead {
    type Saved = ();
    fn kind(&self) -> &'static str {
        Self::KIND
    }
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }
    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, ()), NnError> {
        Ok((x, ()))
    }
    fn backward(&self, (): (), dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        CAME_BACK.fetch_add(1, Relaxed);
        Ok(Some(dy))
    }
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("idle", Role::Parameter, &self.idle);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("idle", Role::Parameter, &mut self.idle);
    }
}

/// A layer that counts its calls.
#[derive(Serialize, Deserialize)]
struct Counted {
    layer: LayerSpec,
    #[serde(skip)]
    path: String,
    #[serde(skip)]
    net: Option<Graph>,
}

/// By path: forward, infer, backward, and backward without the gradient of the input. Of one test alone.
static CALLS: Mutex<BTreeMap<String, [usize; 4]>> = Mutex::new(BTreeMap::new());

impl Counted {
    fn net(&self) -> &Graph {
        self.net.as_ref().unwrap()
    }

    fn count(&self, call: usize) {
        CALLS.lock().unwrap().entry(self.path.clone()).or_default()[call] += 1;
    }
}

impl Own for Counted {
    const KIND: &'static str = "counted";
    fn build(self, x: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let layers = vec![self.layer.clone().named("layer")];
        let mut net = Graph::chain(layers, x[0], &mut Fresh { seed: 5 })?;
        let tensors = net.tensors().into_iter().map(|(name, value)| {
            let value = parameters.beginning_as(&name, value)?;
            Ok((name, value))
        });
        net.restore(tensors.collect::<Result<_, NnError>>()?)?;
        Ok(Self { path: parameters.path().to_string(), net: Some(net), ..self })
    }
}

impl Layer for Counted {
    fn kind(&self) -> &'static str {
        Self::KIND
    }
    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        self.net().output_shapes(x)
    }
    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        self.count(1);
        Layer::infer(self.net(), x)
    }
    fn forward(&self, x: Tensors, at: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        self.count(0);
        Layer::forward(self.net(), x, at, kept)
    }
    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError> {
        self.count(if grads.wants(0) { 2 } else { 3 });
        Layer::backward(self.net(), kept, dy, grads)
    }
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        Layer::visit(self.net(), f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        Layer::visit_mut(self.net.as_mut().unwrap(), f);
    }
    fn settle(&mut self, kept: &mut Kept) -> Result<(), NnError> {
        Layer::settle(self.net.as_mut().unwrap(), kept)
    }
    fn nature(&self) -> Nature {
        self.net().nature()
    }
    fn macs(&self, x: &[Shape]) -> u64 {
        self.net().macs(x)
    }
}

/// The layers, each counted, those of containers likewise.
fn counted(specs: &[NamedSpec]) -> Vec<NamedSpec> {
    let counted = |NamedSpec { name, layer }: &NamedSpec| match layer {
        LayerSpec::Sequential { layers } => sequential(counted(layers)).named(name),
        layer => own(&Counted { layer: layer.clone(), path: String::new(), net: None }).named(name),
    };
    specs.iter().map(counted).collect()
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
        conv2d(6, 3).bias(false).named("0"),
        batch_norm2d().named("1"),
        relu().named("2"),
        dropout(0.2).named("3"),
        conv2d(8, 3).named("4"),
    ];
    vec![sequential(features).named("features"), flatten().named("flatten"), linear(3).named("classifier")]
}

fn build(specs: Vec<NamedSpec>) -> Graph {
    Graph::build(specs, [1, 8, 8], 5).unwrap()
}

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
        let start: BTreeMap<_, _> = build(specs.clone()).tensors().into_iter().collect();
        let (short, short_steps) = train(build(specs.clone()), frozen);

        let came_back = CAME_BACK.load(Relaxed);
        let ahead = own(&Ahead { idle: Tensor::default() }).named("ahead");
        let (whole, whole_steps) = train(build([&[ahead], &specs[..]].concat()), frozen);
        assert!(CAME_BACK.load(Relaxed) > came_back, "the reference goes all the way back");

        assert_eq!(short_steps, whole_steps, "{frozen:?}");
        for (name, tensor) in &short {
            assert!(*tensor == whole[name], "{name}, {frozen:?}");
        }
        assert_eq!(short.len() + 2, whole.len(), "the idle parameter and its momentum");
        assert!(short.len() > 7);
        let moved = |name: &str| short[&format!("model.{name}")] != start[name];
        assert!(!moved("features.0.weight"));
        let last = start.keys().rfind(|name| name.starts_with("classifier")).unwrap();
        assert!(moved(last), "{last}");
        if specs == normalized() {
            assert!(moved("features.1.running_mean"), "running statistics go on");
        }
    }
}

/// The calls of each layer in a step of training on three pieces.
fn calls_of_a_step(specs: &[NamedSpec], groups: Vec<ParameterGroup>) -> BTreeMap<String, [usize; 4]> {
    let mut trainer = Trainer::new(build(counted(specs)), Classify::default(), settings(groups)).unwrap();
    CALLS.lock().unwrap().clear();
    trainer.step(&batch(0), 1).unwrap();
    std::mem::take(&mut CALLS.lock().unwrap())
}

#[test]
fn nothing_goes_back_through_a_frozen_trunk_and_nothing_is_kept_for_it() {
    let calls = calls_of_a_step(&plain(), frozen(&["features.*"]));
    for frozen in ["features.0", "features.1", "features.2", "features.3", "flatten"] {
        assert_eq!(calls[frozen], [0, 3, 0, 0], "{frozen}");
    }
    assert_eq!(calls["classifier.0"], [3, 0, 0, 3], "the first trained layer is spared its dx");
    assert_eq!(calls["classifier.2"], [3, 0, 3, 0]);

    let calls = calls_of_a_step(&plain(), frozen(&["features.0.*"]));
    assert_eq!(calls["features.2"], [0, 3, 0, 0], "a layer without parameters");
    assert_eq!(calls["features.3"], [3, 0, 0, 3], "within the container");

    // A frozen layer after a trained one passes gradients on.
    let calls = calls_of_a_step(&plain(), frozen(&["features.3.*"]));
    assert_eq!(calls["features.0"], [3, 0, 0, 3]);
    assert_eq!(calls["features.3"], [3, 0, 3, 0]);

    // Images see each other, so there is one piece.
    let calls = calls_of_a_step(&normalized(), frozen(&["features.*"]));
    assert_eq!(calls["features.0"], [0, 1, 0, 0]);
    assert_eq!(calls["features.1"], [1, 0, 0, 0], "batch normalisation goes by the batch");
    assert_eq!(calls["features.3"], [1, 0, 0, 0], "dropout goes on");
    assert_eq!(calls["classifier"], [1, 0, 0, 1]);

    // Unless the statistics are held.
    let held = vec![ParameterGroup::frozen("features.*").holding_statistics()];
    let calls = calls_of_a_step(&normalized(), held);
    assert_eq!(calls["features.1"], [0, 3, 0, 0], "as in evaluation");
    assert_eq!(calls["classifier"], [3, 0, 0, 3]);
}

#[test]
fn a_net_that_is_frozen_as_a_whole_is_scored_and_stays() {
    let mut trainer = Trainer::new(build(plain()), Classify::default(), settings(frozen(&["*"]))).unwrap();
    let report = trainer.step(&batch(0), 1).unwrap();
    assert!(report.loss > 0.5 && report.gradient_norm == Some(0.0));
    assert_eq!(trainer.into_net().tensors(), build(plain()).tensors());
}

#[test]
fn a_trainer_without_groups_trains_everything_again() {
    let mut trainer = Trainer::new(build(plain()), Classify::default(), settings(frozen(&["*"]))).unwrap();
    trainer.step(&batch(0), 1).unwrap();
    let net = trainer.into_net();
    let start = net.tensors();
    let mut trainer = Trainer::new(net, Classify::default(), settings(vec![])).unwrap();
    trainer.step(&batch(0), 1).unwrap();
    for ((name, before), (_, after)) in start.iter().zip(trainer.net().tensors()) {
        assert!(*before != after, "{name}");
    }
}

#[test]
fn after_forward_everything_can_go_back_unless_the_plan_said_that_nothing_would() {
    let net = build(plain());
    let x = &batch(0).inputs[0];
    let count = net.tensors().len();
    let [all, none] = [true, false].map(|trained| Plan::new(&net, &vec![trained; count], trained));
    let mut trace = Trace::default();
    let y = net.forward_with(&all, x.into(), At::default(), &mut trace).unwrap();
    let dy = || Gradients::from(y[0].clone());
    let mut gradients = all.gradients(&net);
    let dx = net
        .backward_with(&all, &mut trace, dy(), &mut gradients)
        .unwrap()
        .only("gradients")
        .unwrap()
        .unwrap();
    assert!(dx.shape() == x.shape() && dx.data().iter().any(|v| *v != 0.0));
    assert!(gradients.iter().all(|gradient| gradient.data().iter().any(|v| *v != 0.0)));

    net.forward_with(&none, x.into(), At::default(), &mut trace).unwrap();
    let message = net.backward_with(&all, &mut trace, dy(), &mut gradients).unwrap_err().to_string();
    let rule = "a backward pass must be the only one after its own forward pass, got nothing kept";
    assert_eq!(message, format!("classifier.2: {rule}"));
}
