"""Outputs of published small networks, by onnxruntime, for crates/cnn-zoo/tests/published.rs to compare with.

    pip install numpy onnx onnxruntime safetensors
    python xtask/peers/small_nets.py WEIGHTS

WEIGHTS is a folder with resnet20_cifar10-12fca82f, resnet44_cifar10-014dd654, mtcnn_pnet, mtcnn_rnet and mtcnn_onet, each
.safetensors. The networks are written down here a second time, as ONNX nodes, so that a mistake in one of the two descriptions
shows. Writes crates/cnn-zoo/tests/fixtures/small_nets.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OUT = Path(__file__).parents[2] / "crates/cnn-zoo/tests/fixtures/small_nets.json"


def pixels(shape):
    """The upper bytes of multiples of a large odd number: noise from 0 to 255."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    return ((index * 2654435761 % 2**32) >> 24).astype(np.float32).reshape(1, *shape)


class Net:
    """Nodes one after the other; `x` is the value that the last one gave."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.x = weights, [], {}, "x"

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def parameters(self, *names):
        for name in names:
            self.constants[name] = self.weights[name]
        return list(names)

    def node(self, kind, *more, x=None, **attributes):
        y = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [x or self.x, *more], [y], **attributes))
        self.x = y
        return y

    def conv(self, name, x=None, bias=True, **attributes):
        return self.node("Conv", *self.parameters(f"{name}.weight", *[f"{name}.bias"][: int(bias)]), x=x, **attributes)

    def linear(self, name, x=None):
        return self.node("Gemm", *self.parameters(f"{name}.weight", f"{name}.bias"), x=x, transB=1)

    def norm(self, name):
        parts = ("weight", "bias", "running_mean", "running_var")
        return self.node("BatchNormalization", *self.parameters(*(f"{name}.{part}" for part in parts)))

    def prelu(self, name):
        slope = self.weights[f"{name}.weight"]
        spatial = self.nodes[-1].op_type == "Conv"
        return self.node("PRelu", self.constant(slope.reshape(-1, 1, 1) if spatial else slope))

    def run(self, outputs, x):
        make = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "net",
            [make("x", TensorProto.FLOAT, x.shape)],
            [make(output, TensorProto.FLOAT, None) for output in outputs],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(outputs, {"x": x})


def resnet(weights, blocks):
    net = Net(weights)
    net.conv("conv1", bias=False, pads=[1] * 4)
    net.norm("bn1")
    net.node("Relu")
    for stage in (1, 2, 3):
        for block in range(blocks):
            before, name = net.x, f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            net.conv(f"{name}.conv1", bias=False, pads=[1] * 4, strides=[stride] * 2)
            net.norm(f"{name}.bn1")
            net.node("Relu")
            net.conv(f"{name}.conv2", bias=False, pads=[1] * 4)
            body = net.norm(f"{name}.bn2")
            if stride == 2:
                integers = lambda *values: net.constant(np.array(values, dtype=np.int64))
                ends = np.iinfo(np.int64).max
                net.node("Slice", integers(0, 0), integers(ends, ends), integers(2, 3), integers(2, 2), x=before)
                planes = 2 ** (stage + 1)
                before = net.node("Pad", integers(0, planes, 0, 0, 0, planes, 0, 0))
            net.node("Add", before, x=body)
            net.node("Relu")
    net.node("GlobalAveragePool")
    net.node("Flatten")
    logits = net.linear("linear")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalize = lambda x: ((x / 255 - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)).astype(np.float32)
    return net, [logits], normalize(pixels((3, 32, 32)))


def mtcnn(weights, convolutions, dense, heads, shape):
    """`convolutions`: the kernel of the pooling after each, or None. `heads`: probabilities first."""
    net = Net(weights)
    for number, kernel in enumerate(convolutions, 1):
        net.conv(f"conv{number}")
        net.prelu(f"prelu{number}")
        if kernel:
            net.node("MaxPool", kernel_shape=[kernel] * 2, strides=[2, 2], ceil_mode=1)
    if dense:
        net.node("Transpose", perm=[0, 3, 2, 1])
        net.node("Flatten")
        net.linear(dense)
        net.prelu(dense.replace("dense", "prelu"))
    features = net.x
    outputs = [net.linear(head, x=features) if dense else net.conv(head, x=features) for head in heads]
    outputs[0] = net.node("Softmax", x=outputs[0], axis=1)
    return net, outputs, (pixels(shape) - np.float32(127.5)) / np.float32(128)


def main():
    weights = lambda name: load_file(Path(sys.argv[1]) / f"{name}.safetensors")
    nets = {
        "resnet20_cifar10-12fca82f": lambda w: resnet(w, 3),
        "resnet44_cifar10-014dd654": lambda w: resnet(w, 7),
        "mtcnn_pnet": lambda w: mtcnn(w, [2, None, None], None, ["conv4_1", "conv4_2"], (3, 21, 26)),
        "mtcnn_rnet": lambda w: mtcnn(w, [3, 3, None], "dense4", ["dense5_1", "dense5_2"], (3, 24, 24)),
        "mtcnn_onet": lambda w: mtcnn(w, [3, 3, 2, None], "dense5", ["dense6_1", "dense6_2", "dense6_3"], (3, 48, 48)),
    }
    found = {}
    for name, build in nets.items():
        net, outputs, x = build(weights(name))
        found[name] = [
            {"shape": list(y.shape), "values": [float(f"{value:.6g}") for value in y.flatten()]}
            for y in net.run(outputs, x)
        ]
    lines = [f"  {json.dumps(name)}: {json.dumps(outputs)}" for name, outputs in found.items()]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
