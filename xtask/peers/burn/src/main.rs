//! burn's side of `cargo xtask bench --against burn`: its backend Flex, with all instructions of this CPU.

#[path = "../../protocol.rs"]
mod protocol;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use protocol::{Run, Work};

const WORKS: &[Work] = &[
    ("lenet training", "Flex", |n| training(LeNet::new, [n, 1, 28, 28], 10)),
    ("lenet inference", "Flex", |n| inference(LeNet::new, [n, 1, 28, 28])),
    ("mlp training", "Flex", |n| training(Mlp::new, [n, 1, 28, 28], 10)),
    ("alexnet training", "Flex", |n| training(AlexNet::new, [n, 3, 224, 224], 1000)),
    ("alexnet inference", "Flex", |n| inference(AlexNet::new, [n, 3, 224, 224])),
];

fn main() {
    protocol::serve(concat!("burn ", env!("PEER_VERSION")), WORKS);
}

trait Net: Module + 'static {
    fn forward(&self, x: Tensor<4>) -> Tensor<2>;
}

/// One step: forward, loss, backward, SGD with momentum.
fn training<N: Net>(build: fn(&Device) -> N, x: [usize; 4], classes: usize) -> Run {
    let device = Device::flex().autodiff();
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let labels: Vec<i64> = (0..x[0]).map(|i| (i % classes) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [x[0]]), &device);
    let x = Tensor::<4>::random(x, Distribution::Normal(0.0, 1.0), &device);
    let mut net = Some(build(&device));
    Box::new(move || {
        let trained = net.take().expect("there is a net");
        let loss = loss.forward(trained.forward(x.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &trained);
        // The same rate as ours: the net hardly changes, so that the last step costs what the first one did.
        net = Some(optimizer.step(1e-6, trained, gradients));
    })
}

fn inference<N: Net>(build: fn(&Device) -> N, x: [usize; 4]) -> Run {
    let device = Device::flex();
    let net = build(&device);
    let x = Tensor::<4>::random(x, Distribution::Normal(0.0, 1.0), &device);
    Box::new(move || {
        std::hint::black_box(net.forward(x.clone()));
    })
}

fn conv([c_in, c_out]: [usize; 2], kernel: usize, stride: usize, padding: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([c_in, c_out], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .init(device)
}

fn pool(kernel: usize) -> MaxPool2d {
    MaxPool2dConfig::new([kernel, kernel]).with_strides([2, 2]).init()
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

#[derive(Module, Debug)]
struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet {
    fn new(device: &Device) -> Self {
        Self {
            conv1: conv([1, 6], 5, 1, 2, device),
            conv2: conv([6, 16], 5, 1, 0, device),
            pool: pool(2),
            fc1: linear(400, 120, device),
            fc2: linear(120, 84, device),
            fc3: linear(84, 10, device),
        }
    }
}

impl Net for LeNet {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(x)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten::<2>(1, 3)));
        self.fc3.forward(relu(self.fc2.forward(x)))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(784, 200, device), fc2: linear(200, 10, device) }
    }
}

impl Net for Mlp {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.fc2.forward(relu(self.fc1.forward(x.flatten::<2>(1, 3))))
    }
}

#[derive(Module, Debug)]
struct AlexNet {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    conv4: Conv2d,
    conv5: Conv2d,
    pool: MaxPool2d,
    dropout: Dropout,
    fc6: Linear,
    fc7: Linear,
    fc8: Linear,
}

impl AlexNet {
    /// Of a single tower.
    fn new(device: &Device) -> Self {
        Self {
            conv1: conv([3, 64], 11, 4, 2, device),
            conv2: conv([64, 192], 5, 1, 2, device),
            conv3: conv([192, 384], 3, 1, 1, device),
            conv4: conv([384, 256], 3, 1, 1, device),
            conv5: conv([256, 256], 3, 1, 1, device),
            pool: pool(3),
            dropout: DropoutConfig::new(0.5).init(),
            fc6: linear(9216, 4096, device),
            fc7: linear(4096, 4096, device),
            fc8: linear(4096, 1000, device),
        }
    }
}

impl Net for AlexNet {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(x)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.conv4.forward(relu(self.conv3.forward(x))));
        let x = self.pool.forward(relu(self.conv5.forward(x)));
        let x = relu(self.fc6.forward(self.dropout.forward(x.flatten::<2>(1, 3))));
        let x = relu(self.fc7.forward(self.dropout.forward(x)));
        self.fc8.forward(x)
    }
}
