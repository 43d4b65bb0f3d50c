"""The networks of torchvision against the same networks here, weights by name, and the way back.

    pip install torch torchvision safetensors numpy
    cargo build -p cnn-zoo --example 09_published_weights
    python xtask/peers/torchvision_networks.py exchange target/debug/examples/09_published_weights [NETWORK ...]
    python xtask/peers/torchvision_networks.py fixture crates/cnn-zoo/tests/fixtures/torchvision.json

`exchange` gives each network random weights and statistics, saves its state_dict, has the program load it by name, and compares the
logits of both for the same images with those that PyTorch computes in float64. Then torchvision loads the model that the program
saved, with strict=True. Networks that torchvision lacks are built from its parts, with the names that they have here.

`fixture` writes what crates/cnn-zoo/tests/published.rs compares with: logits of a few networks whose weights both sides compute
(`computed`), for small images and 10 classes.
"""

import json
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

# torchvision looks for a package named pytorch, and must not find the script of that name beside this one.
HERE = sys.path.pop(0)
import torch
import torchvision
from torch import nn
from torchvision import models
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops.misc import Conv2dNormActivation, SqueezeExcitation

sys.path.insert(0, HERE)
from alexnet import Numbers, difference
from safetensors.torch import load_file, save_file

#: What the logits may differ by, relative to the largest.
TOLERANCE = 1e-4
IMAGES = 2


class SqueezedBottleneck(Bottleneck):
    """A bottleneck of SE-ResNet-50."""

    def __init__(self, inplanes, planes, *rest, **options):
        super().__init__(inplanes, planes, *rest, **options)
        self.se = SqueezeExcitation(4 * planes, 4 * planes // 16)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def chain(**layers):
    """Layers by name, a rectifier after each convolution."""
    parts = OrderedDict()
    for name, layer in layers.items():
        parts[name] = layer
        if isinstance(layer, nn.Conv2d):
            parts[f"relu_{name}"] = nn.ReLU()
    return nn.Sequential(parts)


def mobilenet_v1(num_classes=1000):
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + 5 * [(512, 1)] + [(1024, 2), (1024, 1)]
    features, channels = [Conv2dNormActivation(3, 32, stride=2)], 32
    for out, stride in pairs:
        depthwise = Conv2dNormActivation(channels, channels, stride=stride, groups=channels)
        features.append(nn.Sequential(depthwise, Conv2dNormActivation(channels, out, 1)))
        channels = out
    net = nn.Sequential()
    net.features, net.avgpool, net.flatten = nn.Sequential(*features), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    net.classifier = nn.Sequential(nn.Dropout(0.001), nn.Linear(1024, num_classes))
    return net


def zfnet(num_classes=1000):
    norm = lambda: nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)
    return chain(
        conv1=nn.Conv2d(3, 96, 7, stride=2, padding=1),
        pool1=pool(),
        norm1=norm(),
        conv2=nn.Conv2d(96, 256, 5, stride=2),
        pool2=pool(),
        norm2=norm(),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        conv4=nn.Conv2d(384, 384, 3, padding=1),
        conv5=nn.Conv2d(384, 256, 3, padding=1),
        pool5=pool(),
        flatten=nn.Flatten(),
        fc6=nn.Linear(9216, 4096),
        relu6=nn.ReLU(),
        fc7=nn.Linear(4096, 4096),
        relu7=nn.ReLU(),
        fc8=nn.Linear(4096, num_classes),
    )


def nin(num_classes=1000):
    return chain(
        conv1=nn.Conv2d(3, 192, 5, padding=2),
        cccp1=nn.Conv2d(192, 160, 1),
        cccp2=nn.Conv2d(160, 96, 1),
        pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
        conv2=nn.Conv2d(96, 192, 5, padding=2),
        cccp3=nn.Conv2d(192, 192, 1),
        cccp4=nn.Conv2d(192, 192, 1),
        pool2=nn.AvgPool2d(3, 2, ceil_mode=True),
        conv3=nn.Conv2d(192, 192, 3, padding=1),
        cccp5=nn.Conv2d(192, 192, 1),
        cccp6=nn.Conv2d(192, num_classes, 1),
        pool3=nn.AvgPool2d(8),
        flatten=nn.Flatten(),
    )


def all_cnn(num_classes=1000):
    return chain(
        conv1=nn.Conv2d(3, 96, 3, padding=1),
        conv2=nn.Conv2d(96, 96, 3, padding=1),
        conv3=nn.Conv2d(96, 96, 3, padding=1, stride=2),
        conv4=nn.Conv2d(96, 192, 3, padding=1),
        conv5=nn.Conv2d(192, 192, 3, padding=1),
        conv6=nn.Conv2d(192, 192, 3, padding=1, stride=2),
        conv7=nn.Conv2d(192, 192, 3),
        conv8=nn.Conv2d(192, 192, 1),
        conv9=nn.Conv2d(192, num_classes, 1),
        pool=nn.AvgPool2d(6),
        flatten=nn.Flatten(),
    )


OWN = {
    "all_cnn": all_cnn,
    "mobilenet_v1": mobilenet_v1,
    "nin": nin,
    "se_resnet50": lambda **options: ResNet(SqueezedBottleneck, [3, 4, 6, 3], **options),
    "zfnet": zfnet,
}
TORCHVISIONS = """
    alexnet convnext_tiny densenet121 efficientnet_b0 googlenet inception_v3 mnasnet1_0 mobilenet_v2 mobilenet_v3_large
    mobilenet_v3_small regnet_y_400mf resnet101 resnet152 resnet18 resnet34 resnet50 resnext50_32x4d shufflenet_v2_x1_0
    squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn wide_resnet50_2
""".split()
EXTENTS = {"inception_v3": 299, "nin": 32, "all_cnn": 32}
#: Networks with auxiliary classifiers, which have no part in evaluation.
AUXILIARY = ["googlenet", "inception_v3"]
#: A part of a name here, and what torchvision has in its place: `Network::torchvision_name`.
RENAMED = {
    "convnext_tiny": (".layer_scale.weight", ".layer_scale"),
    "squeezenet1_0": (".expand.", "."),
    "squeezenet1_1": (".expand.", "."),
}
#: The networks of the fixture, and the extent of their images there.
FIXTURE = {"shufflenet_v2_x1_0": 64, "mobilenet_v3_small": 64, "densenet121": 64, "regnet_y_400mf": 64}


def build(name, **options):
    if name in OWN:
        return OWN[name](**options).eval()
    if name in AUXILIARY:
        options = {"init_weights": False, "aux_logits": True, "transform_input": False, **options}
    return getattr(models, name)(**options).eval()


def randomize(net, x):
    """Random weights, biases and statistics by which activations and logits are of the order of 1."""
    torch.manual_seed(1)
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "layer_scale":
                parameter.data.uniform_(0.2, 0.6)
            elif parameter.ndim > 1:
                nn.init.kaiming_uniform_(parameter)
            elif name == "weight":
                parameter.data.uniform_(0.75, 1.25)
            else:
                parameter.data.uniform_(-0.2, 0.2)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        # The statistics become those of this batch.
        norm.momentum = 1.0
        norm.train()
    net(x)
    for norm, momentum in zip(norms, momenta):
        norm.eval()
        norm.momentum = momentum
        norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.75, 1.25)
    last = [module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))][-1]
    last.weight.data /= net(x).std()


def exchange(program, names):
    failures = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            weights, images, logits, model = [
                str(Path(folder) / f"{part}.safetensors") for part in ("weights", "x", "logits", "model")
            ]
            net = build(name)
            extent = EXTENTS.get(name, 224)
            torch.manual_seed(2)
            x = torch.randn(IMAGES, 3, extent, extent)
            randomize(net, x)
            save_file(net.state_dict(), weights)
            save_file({"x": x}, images)
            want = net.double()(x.double())
            rounded = difference(net.float()(x).double(), want)
            arguments = [program, name, weights, images, logits, model]
            done = subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                print(f"{name}: {done.stderr.strip()}", flush=True)
                failures.append(name)
                continue
            ours = load_file(logits)["logits"]
            there = difference(ours.double(), want)
            # Ours has no auxiliary classifiers.
            back = build(name, **({"aux_logits": False} if name in AUXILIARY else {}))
            ours_and_theirs = RENAMED.get(name, ("", ""))
            saved = OrderedDict((key.replace(*ours_and_theirs), value) for key, value in load_file(model).items())
            # The versions of modules, which MNASNet asks for.
            saved._metadata = back.state_dict()._metadata
            back.load_state_dict(saved, strict=True)
            again = difference(back.double()(x.double()), want)
            apart, largest = difference(want[0], want[1]), want.abs().max().item()
            parameters = sum(parameter.numel() for parameter in back.parameters())
        print(
            f"{name}: {parameters:,} parameters, error {there:.1e} (PyTorch's own in float32 {rounded:.1e}), back {again:.1e}; "
            f"largest logit {largest:.2f}, images {apart:.2f} apart",
            flush=True,
        )
        if not (there < TOLERANCE and again < TOLERANCE and apart > 10 * TOLERANCE):
            failures.append(name)
    if failures:
        sys.exit(f"expected differences below {TOLERANCE}, and images that are further apart; not so of {', '.join(failures)}")


def seed(name):
    """The 64-bit FNV-1a hash of a name (Fowler, Noll and Vo)."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


def computed(name, shape):
    """The parameter or buffer `name` of the fixture: a few random numbers, spread as its kind needs it."""
    kind = name.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return torch.tensor(0)
    middle, bound = {"running_var": (1.0, 0.5), "running_mean": (0.0, 0.25), "bias": (0.0, 0.25)}.get(kind, (1.0, 0.25))
    if kind == "weight" and len(shape) > 1:
        # A variance of 2 for each sum over its inputs.
        fan_in = torch.tensor(shape[1:]).prod().float()
        middle, bound = 0.0, (6 / fan_in).sqrt().item()
    return middle + Numbers(seed(name)).tensor(shape, bound)


def fixture(out):
    nets = {}
    for name, extent in FIXTURE.items():
        net = build(name, num_classes=10)
        net.load_state_dict({key: computed(key, list(value.shape)) for key, value in net.state_dict().items()})
        x = Numbers(seed("x")).tensor([IMAGES, 3, extent, extent], 1.75)
        with torch.no_grad():
            logits = net.double()(x.double())
            rounded = difference(net.float()(x).double(), logits)
        largest = logits.abs().max().item()
        apart = difference(logits[0], logits[1])
        print(f"{name}: largest logit {largest:.3g}, images {apart:.3f} apart, error of float32 {rounded:.1e}")
        # Nine digits hold a float32.
        nets[name] = {"extent": extent, "logits": [float(f"{value:.9g}") for value in logits.flatten().tolist()]}
    about = f"xtask/peers/torchvision_networks.py, torch {torch.__version__}, torchvision {torchvision.__version__}"
    Path(out).write_text(json.dumps({"made_by": about, "networks": nets}, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) == 3 and sys.argv[1] == "fixture":
        fixture(sys.argv[2])
    elif len(sys.argv) > 2 and sys.argv[1] == "exchange":
        exchange(sys.argv[2], sys.argv[3:] or sorted(TORCHVISIONS + list(OWN)))
    else:
        sys.exit(__doc__)
