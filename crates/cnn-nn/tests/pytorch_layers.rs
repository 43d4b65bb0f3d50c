//! Every layer against PyTorch, over its options: outputs, every gradient, buffers, and evaluation after training.
//!
//! PyTorch's results are in `fixtures/layers.safetensors`, written by `xtask/peers/layers.py`, which describes the contents.
//! The tests use the cases in the fixture. A new kind of layer needs none, so PyTorch is not needed to add it. Its
//! definition is tested in `cnn-ops`. The script asks for cases of every kind of layer when the fixture is renewed.
#![forbid(unsafe_code)]

mod parity;

use cnn_nn::spec::NamedSpec;
use cnn_nn::{At, Fresh, Grads, Graph, Kept, Layer, NnError, Role};
use cnn_tensor::{Shape, Tensor};
use parity::{Computed, Fixture, Numbers, assert_same};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static FIXTURE: LazyLock<Fixture<Case>> = LazyLock::new(|| Fixture::load("layers"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    layer: Map<String, Value>,
    /// The input's shape.
    x: Vec<usize>,
    /// The largest magnitude of an input.
    scale: f32,
    seed: u64,
    /// The output's shape.
    y: Vec<usize>,
    /// The names of the tensors in the fixture.
    tensors: Vec<String>,
}

impl Case {
    fn name(&self) -> String {
        format!("{} on {:?}", Value::from(self.layer.clone()), self.x)
    }

    fn shape(&self) -> Shape {
        Shape::new(&self.x).unwrap()
    }

    /// A network of this layer, with parameters from `numbers`.
    fn build(&self, numbers: &mut Numbers) -> Result<Graph, String> {
        // As part of a model, so that an option the layer does not have is an error.
        let mut named = self.layer.clone();
        named.insert("name".into(), json!("layer"));
        let spec: NamedSpec = serde_json::from_value(named.into()).map_err(|e| e.to_string())?;
        let net = Graph::chain(vec![spec], self.shape(), &mut Fresh { seed: 0 });
        let mut net = net.map_err(|e| e.to_string())?;
        net.parameters_mut(&mut |_, parameter| {
            let (elements, first) = (parameter.shape().numel(), parameter.shape().batch());
            numbers.fill(1.0 / ((elements / first) as f32).sqrt(), parameter.data_mut());
        });
        Ok(net)
    }

    /// Computes the tensors that the fixture has for the case.
    fn compute(&self) -> Result<Computed, String> {
        let mut numbers = Numbers(self.seed);
        let [first, x] = [(); 2].map(|()| numbers.tensor(self.shape(), self.scale));
        let mut net = self.build(&mut numbers)?;
        let y = net.output_shape().map_err(|e| e.to_string())?;
        if y.dims() != self.y {
            return Err(format!("an output of shape {y}, PyTorch's has {:?}", self.y));
        }
        let computed = pass(&mut net, first, x, &mut numbers).map_err(|e| e.to_string())?;
        let names: Vec<_> = computed.iter().map(|(name, _)| name).collect();
        match names == self.tensors.iter().collect::<Vec<_>>() {
            true => Ok(computed),
            false => Err(format!("it has {names:?}, PyTorch {:?}", self.tensors)),
        }
    }
}

/// A forward pass of `first`, forward and backward of `x`, and evaluation.
fn pass(net: &mut Graph, first: Tensor, x: Tensor, numbers: &mut Numbers) -> Result<Computed, NnError> {
    let mut kept = Kept::default();
    net.forward_one(first, At::default(), &mut kept)?;
    Layer::settle(net, &mut kept)?;
    let y = net.forward_one(x.clone(), At::default(), &mut kept)?;
    Layer::settle(net, &mut kept)?;
    let mut gradients = Vec::new();
    net.parameters(&mut |_, parameter| gradients.push(Tensor::zeros(parameter.shape())));
    let dy = numbers.tensor(y.shape(), 1.0);
    let dx = Layer::backward(net, &mut kept, dy.into(), &mut Grads::new(&mut gradients, &[true]))?;
    let dx = dx[0].as_ref().expect("wanted");
    let mut computed = vec![("y".to_string(), y.data().to_vec()), ("dx".to_string(), dx.data().to_vec())];
    // The layer's own names follow its path.
    let own = |name: String| name.strip_prefix("layer.").expect("the only layer").to_string();
    let mut gradients = gradients.iter();
    net.parameters(&mut |name, _| {
        let gradient = gradients.next().expect("one for each");
        computed.push((own(name.to_string()), gradient.data().to_vec()));
    });
    Graph::visit(net, &mut |name, role, buffer| {
        if role == Role::Buffer {
            computed.push((own(name.to_string()), buffer.data().to_vec()));
        }
    });
    let evaluated = net.infer(&x)?;
    if net.nature().training_differs {
        computed.push(("evaluated".into(), evaluated.data().to_vec()));
    } else {
        assert_eq!(evaluated, y, "evaluation is what training is");
    }
    Ok(computed)
}

#[test]
fn layers_compute_what_pytorchs_do() {
    assert_same(&FIXTURE, Case::name, Case::compute);
}
