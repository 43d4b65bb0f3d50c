"""Writes what PyTorch makes of whole networks, for crates/cnn-zoo/tests/pytorch.rs to compare with.

    pip install torch safetensors
    python xtask/peers/parity.py crates/cnn-zoo/tests/fixtures/pytorch.safetensors

The input is the first 20 test images of datasets/mnist (not a multiple of 16, so that blocks of lanes are cut short).
Weights and biases of convolutions and linear layers are drawn (`draw`), everything else begins as PyTorch has it. The
file holds, for each network:

    NET.logits             the outputs in training, [20, 10]
    NET.evaluated          the outputs in evaluation, after that pass; only where they differ
    NET.loss               the mean cross-entropy of the first, [1]
    NET.gradient.NAME      the gradient of that mean by parameter NAME, flat; every 11th element if over 10,000
    NET.norm.NAME          the Euclidean norm of the whole gradient, [1]
    NET.losses.OPTIMIZER   the loss before each of 20 steps on the whole batch, and in evaluation after it, [20, 2]

Networks that the zoo does not have are in the metadata, described as in a model's file, and so are the optimizers.
These networks have batch normalisation, and pixels from 0 to 1: against a background other than 0, the first
convolution's gradient would be the sum of as many equal rounding errors as it has pixels.
"""

import gzip
import math
import sys
from pathlib import Path

import torch
from fixture import numbers, root_bound, save, uniform
from modules import build
from torch import nn

IMAGES = 20
STEPS = 20
SEED = 1
LARGE = 10_000
STRIDE = 11
MNIST = Path(__file__).resolve().parents[2] / "datasets" / "mnist"


def named(**layers):
    """Layers under their names; a kind alone for one without options."""
    return [{"name": name, **(of if isinstance(of, dict) else {"type": of})} for name, of in layers.items()]


def conv2d(out_channels, kernel, **options):
    return {"type": "conv2d", "out_channels": out_channels, "kernel": [kernel, kernel], **options}


def linear(out_features, **options):
    return {"type": "linear", "out_features": out_features, **options}


def lenet5(activation, pool):
    pool = {"type": pool, "kernel": [2, 2]}
    return named(
        conv1=conv2d(6, 5, padding=[2, 2]),
        act1=activation,
        pool1=pool,
        conv2=conv2d(16, 5),
        act2=activation,
        pool2=pool,
        flatten="flatten",
        fc1=linear(120),
        act3=activation,
        fc2=linear(84),
        act4=activation,
        fc3=linear(10),
    )


def mlp():
    return named(flatten="flatten", fc1=linear(200), act1="relu", fc2=linear(10))


def normalized():
    """Batch normalisation of both kinds, and dropout that drops nothing."""
    pool = {"type": "max_pool2d", "kernel": [2, 2]}
    return named(
        conv1=conv2d(6, 3, padding=[1, 1], bias=False),
        bn1="batch_norm2d",
        relu1="relu",
        pool1=pool,
        conv2=conv2d(12, 3, bias=False),
        bn2={"type": "batch_norm2d", "momentum": None, "eps": 1e-3},
        relu2="relu",
        pool2=pool,
        drop1={"type": "dropout2d", "p": 0.0},
        # No feature is the same for all images: the normalisation would make a gradient of nothing but rounding errors.
        pool3={"type": "avg_pool2d", "kernel": [3, 3]},
        flatten="flatten",
        fc1=linear(32, bias=False),
        bn3="batch_norm1d",
        relu3="relu",
        drop2={"type": "dropout", "p": 0.0},
        fc2=linear(10),
    )


def resnet():
    """Three residual blocks as torchvision's BasicBlock; the second halves the image.

    The activation is smooth: among so many rectifiers there would be one or the other close enough to its kink for a
    rounding error to turn it, and training would make a difference of that.
    """

    def block(channels, stride=1):
        body = named(
            conv1=conv2d(channels, 3, stride=[stride, stride], padding=[1, 1], bias=False),
            bn1="batch_norm2d",
            act1="silu",
            conv2=conv2d(channels, 3, padding=[1, 1], bias=False),
            bn2="batch_norm2d",
        )
        options = {"type": "residual", "layers": body, "after": named(act2="silu")}
        if stride > 1:
            way = {"0": conv2d(channels, 1, stride=[stride, stride], bias=False), "1": "batch_norm2d"}
            options["shortcut"] = {"name": "downsample", "type": "sequential", "layers": named(**way)}
        return options

    return named(
        conv1=conv2d(8, 3, stride=[2, 2], padding=[1, 1], bias=False),
        bn1="batch_norm2d",
        act="silu",
        layer1=block(8),
        layer2=block(16, stride=2),
        layer3=block(16),
        avgpool="global_avg_pool2d",
        flatten="flatten",
        fc=linear(10),
    )


#: Those in cnn-zoo, which builds them without these descriptions.
ZOO = {"lenet5": lenet5("relu", "max_pool2d"), "lenet5_tanh": lenet5("scaled_tanh", "avg_pool2d"), "mlp": mlp()}
#: The others.
NETS = {"normalized": normalized(), "resnet": resnet()}

#: The learning rate and the optimizer.
OPTIMIZERS = {
    "momentum": (0.03, {"type": "sgd", "momentum": 0.9}),
    "nesterov": (0.03, {"type": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    "adam": (1e-3, {"type": "adam"}),
    "dampened": (0.03, {"type": "sgd", "momentum": 0.9, "dampening": 0.5}),
    "amsgrad": (1e-3, {"type": "adam", "betas": [0.8, 0.99], "amsgrad": True, "weight_decay": 1e-3}),
    "adamw": (1e-3, {"type": "adamw", "weight_decay": 0.1}),
    "rmsprop": (3e-4, {"type": "rmsprop"}),
    "centered": (1e-3, {"type": "rmsprop", "centered": True, "momentum": 0.5, "alpha": 0.9, "eps": 1e-3}),
    "adagrad": (0.01, {"type": "adagrad"}),
    "decaying": (0.03, {"type": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 1e-3}),
    "lion": (3e-4, {"type": "lion", "weight_decay": 0.1}),
}
#: The optimizers that train every network, and the networks that every optimizer trains.
EVERYWHERE = ["adam", "momentum", "nesterov"]
THOROUGHLY = ["lenet5", "normalized", "resnet"]


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2."""

    def __init__(self, parameters, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                p -= group["lr"] * (c.sign() + group["weight_decay"] * p)
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


METHODS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "lion": Lion,
}


def draw(net):
    """Weights and biases uniform within 1 / sqrt(fan_in), as PyTorch's own, in visiting order from one generator."""
    source = numbers(SEED)
    for layer in net.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        bound = root_bound(math.prod(layer.weight.shape[1:]))
        for parameter in layer.parameters():
            parameter.data = uniform(source, parameter.shape, bound)
    return net


def fresh(layers):
    return draw(build({"type": "sequential", "layers": layers}, [1, 1, 28, 28]).double()).train()


def mnist(file, header, count):
    return torch.tensor(list(gzip.open(MNIST / file).read()[header : header + count]))


def main(out):
    pixels = mnist("t10k-images-idx3-ubyte.gz", 16, IMAGES * 28 * 28).reshape(IMAGES, 1, 28, 28)
    labels = mnist("t10k-labels-idx1-ubyte.gz", 8, IMAGES)
    pixels = pixels.double() / 255
    cross_entropy = nn.CrossEntropyLoss()
    tensors = {}
    for name, layers in (ZOO | NETS).items():
        x = pixels if name in NETS else (pixels - 0.1307) / 0.3081
        net = fresh(layers)
        logits = net(x)
        loss = cross_entropy(logits, labels)
        loss.backward()
        tensors[f"{name}.logits"] = logits
        if name in NETS:
            tensors[f"{name}.evaluated"] = net.eval()(x)
        tensors[f"{name}.loss"] = loss.reshape(1)
        for path, parameter in net.named_parameters():
            gradient = parameter.grad.flatten()
            tensors[f"{name}.gradient.{path}"] = gradient[:: STRIDE if len(gradient) > LARGE else 1]
            tensors[f"{name}.norm.{path}"] = gradient.norm().reshape(1)
        for which, (rate, options) in OPTIMIZERS.items():
            if which not in EVERYWHERE and name not in THOROUGHLY:
                continue
            net = fresh(layers)
            options = dict(options)
            optimizer = METHODS[options.pop("type")](net.parameters(), lr=rate, **options)
            losses = []
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss = cross_entropy(net.train()(x), labels)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    evaluated = cross_entropy(net.eval()(x), labels)
                losses.append([loss.item(), evaluated.item()])
            tensors[f"{name}.losses.{which}"] = torch.tensor(losses)
            print(f"{name}, {which}: loss {losses[0][0]:.4f} to {losses[-1][0]:.4f}")
    optimizers = {which: {"rate": rate, "optimizer": options} for which, (rate, options) in OPTIMIZERS.items()}
    save(tensors, out, "parity.py", nets=NETS, optimizers=optimizers)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    main(sys.argv[1])
