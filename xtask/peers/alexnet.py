"""AlexNet against PyTorch: whole, at its published size, and both ways through files.

    pip install torch safetensors numpy
    python xtask/peers/alexnet.py fixture crates/cnn-zoo/tests/fixtures/alexnet.safetensors
    cargo build --release -p cnn-zoo --example 09_published_weights
    python xtask/peers/alexnet.py exchange target/release/examples/09_published_weights

`fixture` writes what crates/cnn-zoo/tests/alexnet.rs compares with. 61 million weights would be too much for a file, so
both sides draw them (`Numbers`). The file holds, for each network and two images:

    NET.features       the input of the first linear layer, every 41st
    NET.logits         the outputs in evaluation, [2, 1000]
    NET.loss           the mean cross-entropy for the labels 7 and 700, [1]
    NET.gradient.NAME  the gradient of that mean by parameter NAME, dropout switched off: 61 of its elements, evenly apart
    NET.norm.NAME      the Euclidean norm of the whole gradient, [1]

`exchange` takes PyTorch's weights to this library and back: it saves the state_dict of a network with PyTorch's own first
weights, has the program load it by name, compares the logits, and loads the model that the program saved. Where
torchvision is installed, the network of a single tower is torchvision's own.
"""

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from fixture import save
from safetensors.torch import load_file, save_file
from torch import nn

LABELS = [7, 700]
#: What the logits may differ by, relative to the largest.
TOLERANCE = 1e-4


class Numbers:
    """Whole numbers from -2^23 to 2^23 - 1: the upper 24 bits of SplitMix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed):
        self.state = seed

    def whole(self, count):
        with np.errstate(over="ignore"):
            z = np.uint64(self.state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            self.state = int(z[-1])
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        return (z >> np.uint64(40)).astype(np.int64) - (1 << 23)

    def tensor(self, shape, bound):
        """A tensor within `bound`, computed by operations on float32 that IEEE 754 rounds in one way only."""
        whole = self.whole(math.prod(shape)).astype(np.float32)
        return torch.from_numpy(whole / np.float32(1 << 23) * np.float32(bound)).reshape(shape)


def single_tower():
    """torchvision's AlexNet, to the names."""
    try:
        from torchvision.models import alexnet

        return alexnet()
    except ImportError:
        pass
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
    )
    classifier = nn.Sequential(
        nn.Dropout(),
        nn.Linear(9216, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    )
    net = nn.Sequential()
    net.features, net.avgpool, net.flatten, net.classifier = features, nn.AdaptiveAvgPool2d(6), nn.Flatten(), classifier
    return net


def of_2012():
    """The paper's AlexNet, by the names of Caffe's copy. PyTorch too divides alpha by the size."""
    norm = lambda: nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    net = nn.Sequential()
    for name, layer in {
        "conv1": nn.Conv2d(3, 96, 11, stride=4),
        "relu1": nn.ReLU(),
        "norm1": norm(),
        "pool1": nn.MaxPool2d(3, 2),
        "conv2": nn.Conv2d(96, 256, 5, padding=2, groups=2),
        "relu2": nn.ReLU(),
        "norm2": norm(),
        "pool2": nn.MaxPool2d(3, 2),
        "conv3": nn.Conv2d(256, 384, 3, padding=1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(384, 384, 3, padding=1, groups=2),
        "relu4": nn.ReLU(),
        "conv5": nn.Conv2d(384, 256, 3, padding=1, groups=2),
        "relu5": nn.ReLU(),
        "pool5": nn.MaxPool2d(3, 2),
        "flatten": nn.Flatten(),
        "fc6": nn.Linear(9216, 4096),
        "relu6": nn.ReLU(),
        "drop6": nn.Dropout(),
        "fc7": nn.Linear(4096, 4096),
        "relu7": nn.ReLU(),
        "drop7": nn.Dropout(),
        "fc8": nn.Linear(4096, 1000),
    }.items():
        net.add_module(name, layer)
    return net


#: Each network, the extent of its images and the bound of their numbers, and its first linear layer.
NETS = {
    "alexnet": (single_tower, 224, 2.0, "classifier.1"),
    "alexnet_2012": (of_2012, 227, 128.0, "fc6"),
}


def difference(got, want):
    """The largest difference, relative to the largest magnitude."""
    return ((got - want).abs().max() / want.abs().max()).item()


def outcome(net, first_linear, x):
    """What the fixture holds of a network."""
    seen = {}
    hook = net.get_submodule(first_linear).register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    net.zero_grad()
    logits = net(x)
    hook.remove()
    loss = nn.CrossEntropyLoss()(logits, torch.tensor(LABELS))
    loss.backward()
    of_net = {"features": seen["x"].flatten()[::41], "logits": logits, "loss": loss.reshape(1)}
    for path, parameter in net.named_parameters():
        gradient = parameter.grad.flatten()
        of_net[f"gradient.{path}"] = gradient[:: len(gradient) // 61][:61].clone()
        of_net[f"norm.{path}"] = gradient.double().norm().reshape(1)
    return {key: value.detach() for key, value in of_net.items()}


def fixture(out):
    tensors = {}
    for name, (build, extent, bound, first_linear) in NETS.items():
        numbers = Numbers(1)
        x = numbers.tensor([len(LABELS), 3, extent, extent], bound)
        net = build()
        for parameter, owner in [(p, m) for m in net.modules() for p in m.parameters(recurse=False)]:
            fan_in = math.prod(owner.weight.shape[1:])
            # Weights that nearly keep signals as they are through rectifiers, so that logits depend on the image.
            scale = np.float32(4.0 if parameter.ndim > 1 else 1.0)
            parameter.data = numbers.tensor(parameter.shape, np.sqrt(scale / np.float32(fan_in)))
        of_net = outcome(net.double().eval(), first_linear, x.double())
        # What PyTorch's own rounding errors come to, for the tests' tolerance.
        rounded = outcome(net.float(), first_linear, x)
        errors = {key: difference(rounded[key].double(), value) for key, value in of_net.items()}
        for part in ("features", "logits", "loss", "gradient", "norm"):
            print(f"{name}: {part} in float32: {max(e for key, e in errors.items() if key.startswith(part)):.1e}")
        logits = of_net["logits"]
        print(f"{name}: loss {of_net['loss'].item():.4f}, images differ by {difference(logits[0], logits[1]):.3f}")
        tensors |= {f"{name}.{key}": value for key, value in of_net.items()}
    save(tensors, out, "alexnet.py")


def exchange(program):
    for name, (build, extent, bound, _) in NETS.items():
        torch.manual_seed(1)
        net = build().eval()
        x = torch.randn(4, 3, extent, extent) * bound / 2
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            weights, images, logits, model = [
                str(Path(folder) / f"{part}.safetensors") for part in ("weights", "x", "logits", "model")
            ]
            save_file(net.state_dict(), weights)
            save_file({"x": x}, images)
            subprocess.run([program, name, weights, images, logits, model], check=True, stdout=subprocess.DEVNULL)
            want, ours = net(x), load_file(logits)["logits"]
            there = difference(ours, want)
            again = build().eval()
            again.load_state_dict(load_file(model), strict=True)
            back = difference(again(x), ours)
            equal = all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values()))
        print(f"{name}: PyTorch's weights here {there:.1e}, ours in PyTorch {back:.1e}, weights equal: {equal}")
        if not (there < TOLERANCE and back < TOLERANCE and equal):
            sys.exit(f"{name}: expected differences below {TOLERANCE}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    commands = {"fixture": fixture, "exchange": exchange}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](sys.argv[2])
