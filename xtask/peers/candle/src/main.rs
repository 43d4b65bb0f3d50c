//! candle's side of `cargo xtask bench --against candle`, with all instructions of this CPU.

#[path = "../../protocol.rs"]
mod protocol;

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{
    Conv2d, Conv2dConfig, Linear, Optimizer, SGD, VarBuilder, VarMap, conv2d, linear, loss::cross_entropy,
};
use protocol::{Run, Work};

/// candle's own SGD has no momentum, so that its step is a little less work than ours.
const SGD_OF_CANDLE: &str = "SGD without momentum";

const WORKS: &[Work] = &[
    ("lenet training", SGD_OF_CANDLE, |n| training(LeNet::new, n)),
    ("lenet inference", "plain", |n| inference(LeNet::new, n)),
    ("mlp training", SGD_OF_CANDLE, |n| training(Mlp::new, n)),
];

fn main() {
    protocol::serve(concat!("candle ", env!("PEER_VERSION")), WORKS);
}

type Build<N> = fn(VarBuilder) -> Result<N>;

/// One step: forward, loss, backward, SGD.
fn training<N: Module + 'static>(build: Build<N>, n: usize) -> Run {
    let variables = VarMap::new();
    let net = net(build, &variables);
    let labels: Vec<u32> = (0..n).map(|i| (i % 10) as u32).collect();
    let labels = Tensor::new(labels, &Device::Cpu).expect("labels");
    let x = images(n);
    // The same rate as ours: the net hardly changes, so that the last step costs what the first one did.
    let mut optimizer = SGD::new(variables.all_vars(), 1e-6).expect("an optimizer");
    Box::new(move || {
        let loss = net.forward(&x).and_then(|logits| cross_entropy(&logits, &labels));
        loss.and_then(|loss| optimizer.backward_step(&loss)).expect("a step");
    })
}

fn inference<N: Module + 'static>(build: Build<N>, n: usize) -> Run {
    let variables = VarMap::new();
    // Detached from what an optimizer would see, so that nothing is recorded for a backward pass.
    net(build, &variables);
    let weights = variables.data().lock().expect("nobody else has them");
    let weights = weights.iter().map(|(name, of)| (name.clone(), of.as_detached_tensor())).collect();
    let net = build(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu)).expect("a net");
    let x = images(n);
    Box::new(move || {
        std::hint::black_box(net.forward(&x).expect("a forward pass"));
    })
}

fn net<N>(build: Build<N>, variables: &VarMap) -> N {
    build(VarBuilder::from_varmap(variables, DType::F32, &Device::Cpu)).expect("a net")
}

fn images(n: usize) -> Tensor {
    Tensor::randn(0f32, 1.0, (n, 1, 28, 28), &Device::Cpu).expect("images")
}

struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet {
    fn new(vb: VarBuilder) -> Result<Self> {
        let padded = Conv2dConfig { padding: 2, ..Conv2dConfig::default() };
        Ok(Self {
            conv1: conv2d(1, 6, 5, padded, vb.pp("conv1"))?,
            conv2: conv2d(6, 16, 5, Conv2dConfig::default(), vb.pp("conv2"))?,
            fc1: linear(400, 120, vb.pp("fc1"))?,
            fc2: linear(120, 84, vb.pp("fc2"))?,
            fc3: linear(84, 10, vb.pp("fc3"))?,
        })
    }
}

impl Module for LeNet {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv1.forward(x)?.relu()?.max_pool2d(2)?;
        let x = self.conv2.forward(&x)?.relu()?.max_pool2d(2)?;
        let x = self.fc1.forward(&x.flatten_from(1)?)?.relu()?;
        self.fc3.forward(&self.fc2.forward(&x)?.relu()?)
    }
}

struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn new(vb: VarBuilder) -> Result<Self> {
        Ok(Self { fc1: linear(784, 200, vb.pp("fc1"))?, fc2: linear(200, 10, vb.pp("fc2"))? })
    }
}

impl Module for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.fc2.forward(&self.fc1.forward(&x.flatten_from(1)?)?.relu()?)
    }
}
