"""Writes what PyTorch makes of this library's networks, for crates/cnn-zoo/tests/pytorch.rs to compare with.

    pip install torch safetensors
    python xtask/peers/parity.py crates/cnn-zoo/tests/fixtures/pytorch.safetensors

The input is the first 20 test images of datasets/mnist (not a multiple of 16, so that blocks of lanes are cut short).
Parameters are drawn from a generator that both sides have (`draw`), so the file does not hold them. It holds, for each
network:

    NET.logits            the outputs, [20, 10]
    NET.loss              the mean cross-entropy, [1]
    NET.gradient.NAME     the gradient of that mean by parameter NAME, flat; every 11th element if there are over 10,000
    NET.norm.NAME         the Euclidean norm of the whole gradient, [1]
    NET.losses.OPTIMIZER  the loss before each of 20 steps on the whole batch

PyTorch computes in float64, so that the test's tolerance is for the rounding errors of this library alone, and on one
thread, so that two runs write the same bytes. The file's metadata names the versions that made it.
"""

import gzip
import math
import platform
import sys
from collections import OrderedDict
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import nn

IMAGES = 20
STEPS = 20
SEED = 1
LARGE = 10_000
STRIDE = 11
MNIST = Path(__file__).resolve().parents[2] / "datasets" / "mnist"


class ScaledTanh(nn.Module):
    def forward(self, x):
        return 1.7159 * torch.tanh(2 / 3 * x)


def lenet5(activation, pool):
    return OrderedDict(
        conv1=nn.Conv2d(1, 6, 5, padding=2),
        act1=activation(),
        pool1=pool(2),
        conv2=nn.Conv2d(6, 16, 5),
        act2=activation(),
        pool2=pool(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(400, 120),
        act3=activation(),
        fc2=nn.Linear(120, 84),
        act4=activation(),
        fc3=nn.Linear(84, 10),
    )


def mlp():
    return OrderedDict(flatten=nn.Flatten(), fc1=nn.Linear(784, 200), act1=nn.ReLU(), fc2=nn.Linear(200, 10))


NETS = {
    "lenet5": lambda: lenet5(nn.ReLU, nn.MaxPool2d),
    "lenet5_tanh": lambda: lenet5(ScaledTanh, nn.AvgPool2d),
    "mlp": mlp,
}

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9, nesterov=True, weight_decay=5e-4),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
}


def numbers():
    """Whole numbers from -2^23 to 2^23 - 1: the upper 24 bits of Knuth's 64-bit linear congruential generator."""
    state = SEED
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 40) - 2**23


def draw(net):
    """Parameters uniform within 1 / sqrt(fan_in), as PyTorch's own, in visiting order from one generator."""
    source = numbers()
    for layer in net:
        if not hasattr(layer, "weight"):
            continue
        # Operations on float32 that IEEE 754 rounds in one way only.
        bound = 1 / torch.tensor(math.prod(layer.weight.shape[1:]), dtype=torch.float32).sqrt()
        for parameter in (layer.weight, layer.bias):
            whole = torch.tensor([next(source) for _ in range(parameter.numel())], dtype=torch.float32)
            parameter.data = (whole / 2**23 * bound).reshape(parameter.shape).double()
    return net


def build(name):
    return draw(nn.Sequential(NETS[name]()))


def mnist(file, header, count):
    return torch.tensor(list(gzip.open(MNIST / file).read()[header : header + count]))


def main(out):
    pixels = mnist("t10k-images-idx3-ubyte.gz", 16, IMAGES * 28 * 28).reshape(IMAGES, 1, 28, 28)
    labels = mnist("t10k-labels-idx1-ubyte.gz", 8, IMAGES)
    x = (pixels.double() / 255 - 0.1307) / 0.3081
    cross_entropy = nn.CrossEntropyLoss()
    tensors = {}
    for name in NETS:
        net = build(name)
        logits = net(x)
        loss = cross_entropy(logits, labels)
        loss.backward()
        tensors[f"{name}.logits"] = logits.detach()
        tensors[f"{name}.loss"] = loss.detach().reshape(1)
        for path, parameter in net.named_parameters():
            gradient = parameter.grad.flatten()
            tensors[f"{name}.gradient.{path}"] = gradient[:: STRIDE if len(gradient) > LARGE else 1]
            tensors[f"{name}.norm.{path}"] = gradient.norm().reshape(1)
        for which, make in OPTIMIZERS.items():
            net = build(name)
            optimizer = make(net.parameters())
            losses = []
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss = cross_entropy(net(x), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            tensors[f"{name}.losses.{which}"] = torch.tensor(losses)
            print(f"{name}, {which}: loss {losses[0]:.4f} to {losses[-1]:.4f}")
    tensors = {key: tensor.float().contiguous() for key, tensor in tensors.items()}
    # One key alone: safetensors writes several in random order.
    python = f"Python {platform.python_version()}"
    made = f"xtask/peers/parity.py, {python}, torch {torch.__version__}, safetensors {safetensors.__version__}"
    save_file(tensors, out, metadata={"made_by": made})
    print(f"{out}: {len(tensors)} tensors, {Path(out).stat().st_size:,} bytes, {made}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    main(sys.argv[1])
