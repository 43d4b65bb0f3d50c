"""Published weights in this library against the programs that they were published for.

    pip install torch torchvision safetensors onnxruntime
    cargo build --release -p cnn-zoo --example 09_published_weights
    python xtask/peers/published.py WEIGHTS target/release/examples/09_published_weights

WEIGHTS is a folder; what it lacks is skipped, and said to be:

    squeezenet_v1.0_dc.safetensors, .onnx   SqueezeNet 1.0 by Caffe's names, against onnxruntime
    mobilenet_v2-b0353104.safetensors       MobileNetV2 by torchvision's, against torchvision
    alexnet_features.safetensors            the convolutions of AlexNet by torchvision's, which are only a part

Images are random: noise of every scale added up, from 0 to 255. Logits are compared, and the class that is largest.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

IMAGES = 8
#: What the logits may differ by, relative to the largest.
TOLERANCE = 1e-4


def noise(extent):
    """Images [IMAGES, 3, extent, extent] in red, green and blue, from 0 to 255: coarse noise and fine."""
    generator = torch.Generator().manual_seed(1)
    x = torch.zeros(IMAGES, 3, extent, extent)
    for cells in (2, 4, 8, 16, 32, 64, extent):
        coarse = torch.randn(IMAGES, 3, cells, cells, generator=generator)
        x += F.interpolate(coarse, size=(extent, extent), mode="bilinear")
    return ((x / 4 + 0.5).clamp(0, 1) * 255).round()


def ours(program, name, weights, x):
    with tempfile.TemporaryDirectory() as folder:
        images, logits = str(Path(folder) / "x.safetensors"), str(Path(folder) / "logits.safetensors")
        save_file({"x": x.contiguous()}, images)
        subprocess.run([program, name, weights, images, logits], check=True, stdout=subprocess.DEVNULL)
        return load_file(logits)["logits"]


def compare(name, got, want):
    difference = ((got - want).abs().max() / want.abs().max()).item()
    classes = len(set(want.argmax(1).tolist()))
    same = (got.argmax(1) == want.argmax(1)).sum().item()
    print(f"{name}: logits differ by {difference:.1e}; {same} of {IMAGES} in the same class, of {classes}")
    if not difference < TOLERANCE or same < IMAGES:
        sys.exit(f"{name}: expected a difference below {TOLERANCE} and the same classes")


def squeezenet(program, weights):
    import onnxruntime

    rgb = noise(227)
    mean = torch.tensor([123.0, 117.0, 104.0]).reshape(3, 1, 1)
    bgr = (rgb - mean).flip(1)
    session = onnxruntime.InferenceSession(str(weights.with_suffix(".onnx")))
    # The file is for an open batch; its output has axes of 1.
    want = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: bgr.numpy()})[0]).flatten(1)
    compare("squeezenet1_0", ours(program, "squeezenet1_0", str(weights), rgb - mean), want)


def normalized(extent):
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    return (noise(extent) / 255 - mean) / deviation


def mobilenet(program, weights):
    from torchvision.models import mobilenet_v2

    net = mobilenet_v2().eval()
    net.load_state_dict({name: t.reshape(net.state_dict()[name].shape) for name, t in load_file(weights).items()})
    x = normalized(224)
    with torch.no_grad():
        compare("mobilenet_v2", ours(program, "mobilenet_v2", str(weights), x), net(x))


def alexnet(program, weights):
    """The convolutions' weights with a classifier of our own making: the file's part of the network is in the logits."""
    from torchvision.models import alexnet as torchvisions

    torch.manual_seed(1)
    net = torchvisions().eval()
    missing = net.load_state_dict(load_file(weights), strict=False)
    assert not missing.unexpected_keys and all(name.startswith("classifier") for name in missing.missing_keys)
    x = normalized(224)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        whole = str(Path(folder) / "alexnet.safetensors")
        save_file(net.state_dict(), whole)
        compare("alexnet, with a random classifier", ours(program, "alexnet", whole, x), net(x))


FILES = {
    "squeezenet_v1.0_dc.safetensors": squeezenet,
    "mobilenet_v2-b0353104.safetensors": mobilenet,
    "alexnet_features.safetensors": alexnet,
}

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    for file, check in FILES.items():
        weights = Path(sys.argv[1]) / file
        if weights.exists():
            check(sys.argv[2], weights)
        else:
            print(f"{weights}: not there, skipped")
