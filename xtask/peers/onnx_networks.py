"""Whole networks as ONNX, from torchvision to this library and from this library to onnxruntime.

    pip install torch torchvision onnx onnxruntime onnxscript safetensors numpy
    cargo build --release -p cnn-cli
    python xtask/peers/onnx_networks.py import target/release/cnn [NETWORK ...]
    python xtask/peers/onnx_networks.py export target/release/cnn [NETWORK ...]

`import` writes torchvision's networks, with random weights and statistics, by torch's exporter at opset 18 and by its legacy one at
13, and has `cnn run` compare its outputs with onnxruntime's.

`export` has `cnn export` write them from a state_dict, as they are and with batch normalisation folded. onnx checks the files in
full; onnxruntime's logits are compared with PyTorch's in float64.
"""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from torchvision_networks import AUXILIARY, EXTENTS, IMAGES, OWN, TOLERANCE, TORCHVISIONS, build, randomize, torch

import numpy as np
import onnx
import onnxruntime
from safetensors.torch import save_file

IMPORTED = """
    alexnet convnext_tiny densenet121 efficientnet_b0 googlenet inception_v3 mnasnet1_0 mobilenet_v2 mobilenet_v3_large
    mobilenet_v3_small regnet_y_400mf resnet18 resnet50 shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn
""".split()
#: Height and width where the network's own are not needed.
SMALL = 96
#: Their classifiers take a certain size, or their exporters do.
LARGE = {"alexnet": 224, "vgg11": 224, "vgg11_bn": 224, "inception_v3": 299}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


def network(name, extent, **options):
    options |= {"aux_logits": False} if name in AUXILIARY else {}
    net = build(name, **options)
    torch.manual_seed(2)
    x = torch.randn(IMAGES, 3, extent, extent)
    with torch.no_grad():
        randomize(net, x)
    return net, x


def by_exporter(net, x, path, legacy):
    names = {"input_names": ["input"], "output_names": ["output"]}
    if legacy:
        axes = {"input": {0: "N"}, "output": {0: "N"}}
        torch.onnx.export(net, (x,), path, opset_version=13, dynamo=False, dynamic_axes=axes, **names)
    else:
        shapes = ({0: torch.export.Dim("N")},)
        torch.onnx.export(net, (x,), path, opset_version=18, dynamo=True, dynamic_shapes=shapes, verbose=False, **names)


def logits(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x.numpy()})[0]


def imports(program, names):
    failures = []
    for name in names:
        net, x = network(name, LARGE.get(name, SMALL))
        for legacy in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                by_exporter(net, x, path, legacy)
                want = logits(path, x)
                np.save(Path(folder) / "x.npy", x.numpy())
                np.save(Path(folder) / "y.npy", want)
                # Within the tolerance of the largest logit.
                bound = TOLERANCE * np.abs(want).max()
                arguments = ["--input", f"input={folder}/x.npy", "--expect", f"output={folder}/y.npy", "--rtol", 0, "--atol", bound]
                status, text = run(program, "run", path, *arguments)
            kind = "legacy exporter, opset 13" if legacy else "exporter, opset 18"
            print(f"{name}, {kind}: {text.splitlines()[-1]}", flush=True)
            if status:
                failures.append(f"{name} ({kind})")
    return failures


def exports(program, names):
    failures = []
    for name in names:
        # Networks for CIFAR-10 have ten classes.
        net, x = network(name, EXTENTS.get(name, 224), **({"num_classes": 10} if name in ("all_cnn", "nin") else {}))
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            weights = Path(folder) / "weights.safetensors"
            save_file(net.state_dict(), weights)
            want = net.double()(x.double()).numpy()
            errors = []
            for options in ([], ["--fold-batch-norm"]):
                path = Path(folder) / "model.onnx"
                status, text = run(program, "export", weights, "--model", name, "--onnx", path, *options)
                if status:
                    print(f"{name}: {text}", flush=True)
                    failures.append(name)
                    break
                onnx.checker.check_model(str(path), full_check=True)
                errors.append(np.abs(logits(path, x) - want).max() / np.abs(want).max())
        if errors:
            print(f"{name}: error {errors[0]:.1e}, with batch norm folded {errors[-1]:.1e}", flush=True)
        if any(error > TOLERANCE for error in errors):
            failures.append(name)
    return failures


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    works = {"import": (imports, IMPORTED), "export": (exports, sorted(TORCHVISIONS + list(OWN)))}
    if len(sys.argv) < 3 or sys.argv[1] not in works:
        sys.exit(__doc__)
    work, usual = works[sys.argv[1]]
    failed = work(sys.argv[2], sys.argv[3:] or usual)
    if failed:
        sys.exit(f"not within {TOLERANCE} of the largest logit: {', '.join(failed)}")
