"""LeNet-5 and AlexNet as ONNX files, with random weights, for the peers that read those."""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph in the making."""

    def __init__(self, x):
        self.x, self.nodes, self.weights, self.last = x, [], [], "x"
        self.random = numpy.random.default_rng(0)

    def weight(self, shape, fan_in):
        name = f"w{len(self.weights)}"
        values = self.random.standard_normal(shape, dtype=numpy.float32) * numpy.float32((2 / fan_in) ** 0.5)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def node(self, op, *weights, **options):
        output = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *weights], [output], **options))
        self.last = output
        return self

    def conv(self, c_in, c_out, kernel, stride=1, padding=0):
        weight = self.weight([c_out, c_in, kernel, kernel], c_in * kernel * kernel)
        options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        return self.node("Conv", weight, self.weight([c_out], c_out), **options).node("Relu")

    def pool(self, kernel, stride):
        return self.node("MaxPool", kernel_shape=[kernel] * 2, strides=[stride] * 2)

    def linear(self, inputs, outputs, relu=True):
        self.node("Gemm", self.weight([outputs, inputs], inputs), self.weight([outputs], outputs), transB=1)
        return self.node("Relu") if relu else self

    def file(self, batch):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *self.x])
        y = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model).SerializeToString()


def lenet(batch):
    net = Net((1, 28, 28)).conv(1, 6, 5, padding=2).pool(2, 2).conv(6, 16, 5).pool(2, 2).node("Flatten")
    return net.linear(400, 120).linear(120, 84).linear(84, 10, relu=False).file(batch)


def alexnet(batch):
    """Of a single tower; dropout does nothing in inference."""
    net = Net((3, 224, 224)).conv(3, 64, 11, stride=4, padding=2).pool(3, 2).conv(64, 192, 5, padding=2).pool(3, 2)
    net = net.conv(192, 384, 3, padding=1).conv(384, 256, 3, padding=1).conv(256, 256, 3, padding=1).pool(3, 2)
    return net.node("Flatten").linear(9216, 4096).linear(4096, 4096).linear(4096, 1000, relu=False).file(batch)


# The names are those of src/bench/works; with the shape of an image.
INFERENCE = {"lenet inference": (lenet, (1, 28, 28)), "alexnet inference": (alexnet, (3, 224, 224))}


def images(batch, x):
    return numpy.random.default_rng(1).standard_normal([batch, *x], dtype=numpy.float32)
