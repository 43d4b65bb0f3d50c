"""This library's layer descriptions as modules of PyTorch.

`build` takes a description, as JSON has it, and the shape of the input. Options that a description leaves out are left
out of the call of PyTorch too, so that its own defaults hold. Parameters, buffers and their names come in the order in
which this library visits them.
"""

import math
from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn

#: A function for each kind of layer: from the input's shape and the options to a module.
KINDS = {}


def build(spec, shape):
    """The module for inputs of `shape` that `spec` describes."""
    options = {key: value for key, value in spec.items() if key not in ("type", "name")}
    return KINDS[spec["type"]](shape, **options)


def output_shape(module, shape):
    return list(module.eval()(torch.zeros(shape)).shape)


def kind(build):
    KINDS[build.__name__] = build
    return build


class Function(nn.Module):
    """A function without parameters."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def plain(name, module):
    """A kind that PyTorch has with the same options."""
    KINDS[name] = lambda shape, **options: module(**options)


# Convolution


def same(extent, kernel, stride, dilation):
    """What Keras's "same" adds before and after: enough for ceil(extent / stride) windows, an odd one after."""
    total = max((math.ceil(extent / stride) - 1) * stride + dilation * (kernel - 1) + 1 - extent, 0)
    return total // 2, total - total // 2


def sides(padding, shape, kernel, stride=(1, 1), dilation=(1, 1)):
    """Padding in any of its forms, as F.pad takes it: left, right, top, bottom."""
    if padding == "valid":
        padding = [0, 0]
    if padding in ("same", "same_lower"):
        pairs = [same(*axis) for axis in zip(shape[2:], kernel, stride, dilation)]
        padding = pairs if padding == "same" else [pair[::-1] for pair in pairs]
    pairs = [(p, p) if isinstance(p, int) else p for p in padding]
    return list(chain(*reversed(pairs)))


class Padded(nn.Module):
    """A convolution after padding: its parameters' names have no prefix."""

    def __init__(self, conv, padding):
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.conv, self.padding = [conv], padding

    def forward(self, x):
        (conv,) = self.conv
        return F.conv2d(F.pad(x, self.padding), self.weight, self.bias, conv.stride, 0, conv.dilation, conv.groups)


@kind
def conv2d(shape, out_channels, kernel, padding=(0, 0), **options):
    conv = nn.Conv2d(shape[1], out_channels, kernel, **options)
    if all(isinstance(p, int) for p in padding):
        return nn.Conv2d(shape[1], out_channels, kernel, padding=padding, **options)
    return Padded(conv, sides(padding, shape, kernel, conv.stride, conv.dilation))


class Cropped(nn.Module):
    """A transposed convolution without padding, cropped: its parameters' names have no prefix."""

    def __init__(self, conv, padding):
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.conv, self.padding = [conv], padding

    def forward(self, x):
        (conv,) = self.conv
        options = conv.stride, 0, conv.output_padding, conv.groups, conv.dilation
        y = F.conv_transpose2d(x, self.weight, self.bias, *options)
        return F.pad(y, [-p for p in self.padding])


@kind
def conv_transpose2d(shape, out_channels, kernel, padding=(0, 0), **options):
    if all(isinstance(p, int) for p in padding):
        return nn.ConvTranspose2d(shape[1], out_channels, kernel, padding=padding, **options)
    conv = nn.ConvTranspose2d(shape[1], out_channels, kernel, **options)
    return Cropped(conv, sides(padding, shape, kernel))


class Table(nn.Module):
    """A convolution whose output channels see only the input channels that a table lists for them."""

    def __init__(self, c_in, table, kernel, stride, padding, bias):
        super().__init__()
        self.c_in, self.stride, self.padding = c_in, stride, padding
        self.outs = torch.tensor([out for out, row in enumerate(table) for _ in row])
        self.ins = torch.tensor([c for row in table for c in row])
        self.weight = nn.Parameter(torch.zeros(len(self.ins), *kernel))
        self.bias = nn.Parameter(torch.zeros(len(table))) if bias else None

    def forward(self, x):
        dense = self.weight.new_zeros(int(self.outs.max()) + 1, self.c_in, *self.weight.shape[1:])
        dense = dense.index_put((self.outs, self.ins), self.weight)
        return F.conv2d(F.pad(x, self.padding), dense, self.bias, self.stride)


@kind
def conv2d_table(shape, table, kernel, stride=(1, 1), padding=(0, 0), bias=True):
    return Table(shape[1], table, kernel, stride, sides(padding, shape, kernel, stride), bias)


# Sums of inputs


@kind
def linear(shape, out_features, **options):
    return nn.Linear(shape[1], out_features, **options)


class Rbf(nn.Module):
    """Squared distances from the rows of the weight, which is a buffer unless it is trained."""

    def __init__(self, weight, trainable):
        super().__init__()
        if trainable:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def forward(self, x):
        return (x[:, None] - self.weight).square().sum(2)


@kind
def rbf(shape, out_features, trainable=False, init=None):
    return Rbf(torch.full((out_features, shape[1]), init["constant"] if init else 0.0), trainable)


class By(nn.Module):
    """Arithmetic with a weight, which is a buffer unless it is trained."""

    OPERATIONS = {name: getattr(torch, name) for name in ("add", "sub", "mul", "div", "maximum", "minimum")}

    def __init__(self, op, weight, reversed, trained):
        super().__init__()
        self.op, self.reversed = self.OPERATIONS[op], reversed
        if trained:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def forward(self, x):
        return self.op(self.weight, x) if self.reversed else self.op(x, self.weight)


def arithmetic_by(_, op, shape, reversed=False, trained=True, init=None):
    return By(op, torch.full(shape, init["constant"] if init else 1.0), reversed, trained)


# One of its options has the name of the first argument of the others.
KINDS["arithmetic_by"] = arithmetic_by

# Pooling


def padded_pool(shape, kernel, padding, stride=None, dilation=(1, 1)):
    """Padding as F.pad takes it, or nothing where the pooling itself takes it."""
    if all(isinstance(p, int) and 2 * p <= k for p, k in zip(padding, kernel)):
        return None
    return sides(padding, shape, kernel, stride or kernel, dilation)


@kind
def max_pool2d(shape, kernel, padding=(0, 0), **options):
    around = padded_pool(shape, kernel, padding, options.get("stride"), options.get("dilation", (1, 1)))
    if around is None:
        return nn.MaxPool2d(kernel, padding=padding, **options)
    pool = nn.MaxPool2d(kernel, **options)
    return Function(lambda x: pool(F.pad(x, around, value=-math.inf)))


@kind
def avg_pool2d(shape, kernel, padding=(0, 0), count_include_pad=True, **options):
    around = padded_pool(shape, kernel, padding, options.get("stride"))
    if around is None:
        return nn.AvgPool2d(kernel, padding=padding, count_include_pad=count_include_pad, **options)
    pool = nn.AvgPool2d(kernel, **options)
    if count_include_pad:
        return Function(lambda x: pool(F.pad(x, around)))
    return Function(lambda x: pool(F.pad(x, around)) / pool(F.pad(torch.ones_like(x), around)))


@kind
def adaptive_avg_pool2d(shape, output):
    return nn.AdaptiveAvgPool2d(output)


@kind
def adaptive_max_pool2d(shape, output):
    return nn.AdaptiveMaxPool2d(output)


@kind
def global_avg_pool2d(shape):
    return nn.AdaptiveAvgPool2d(1)


@kind
def global_max_pool2d(shape):
    return nn.AdaptiveMaxPool2d(1)


class Named(nn.Module):
    """Layers that are directly under the module's path, each found by `self.of(spec)`."""

    def add(self, specs, shape):
        """One after the other; the shape of the output."""
        for spec in specs:
            module = build(spec, shape)
            self.add_module(spec["name"], module)
            shape = output_shape(module, shape)
        return shape

    def run(self, specs, x):
        for spec in specs:
            x = self.get_submodule(spec["name"])(x)
        return x


class MaxPoolUnpool(Named):
    def __init__(self, shape, pool, layers):
        super().__init__()
        pool = {{"kernel": "kernel_size"}.get(key, key): value for key, value in pool.items()}
        self.pool, self.layers = [nn.MaxPool2d(**pool, return_indices=True)], layers
        self.add(layers, list(self.pool[0](torch.zeros(shape))[0].shape))

    def forward(self, x):
        y, positions = self.pool[0](x)
        y = self.run(self.layers, y)
        flat = y.new_zeros(*y.shape[:2], x.shape[2] * x.shape[3])
        return flat.scatter(2, positions.flatten(2), y.flatten(2)).reshape(*y.shape[:2], *x.shape[2:])


@kind
def max_pool_unpool2d(shape, pool, layers):
    return MaxPoolUnpool(shape, pool, layers)


class Subsample(nn.Module):
    """LeCun's: the sum of each window times a weight, plus a bias."""

    def __init__(self, c, kernel, stride):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.zeros(c)) for _ in range(2))
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        sums = F.avg_pool2d(x, self.kernel, self.stride, divisor_override=1)
        return self.weight[:, None, None] * sums + self.bias[:, None, None]


@kind
def subsample(shape, kernel, stride=None):
    return Subsample(shape[1], kernel, stride)


# Normalisation


@kind
def batch_norm1d(shape, **options):
    return nn.BatchNorm1d(shape[1], **options)


@kind
def batch_norm2d(shape, **options):
    return nn.BatchNorm2d(shape[1], **options)


@kind
def layer_norm(shape, axes=None, affine=True, **options):
    return nn.LayerNorm(shape[-axes:] if axes else shape[1:], elementwise_affine=affine, **options)


@kind
def group_norm(shape, groups, **options):
    return nn.GroupNorm(groups, shape[1], **options)


plain("local_response_norm", nn.LocalResponseNorm)

# Activations

plain("relu", nn.ReLU)
plain("relu6", nn.ReLU6)
plain("elu", nn.ELU)
plain("sigmoid", nn.Sigmoid)
plain("tanh", nn.Tanh)
plain("softplus", nn.Softplus)
plain("gelu", nn.GELU)
plain("silu", nn.SiLU)
plain("hardtanh", nn.Hardtanh)
plain("selu", nn.SELU)
plain("celu", nn.CELU)
plain("mish", nn.Mish)
plain("softsign", nn.Softsign)
plain("hard_swish", nn.Hardswish)
plain("softmax", lambda dim=1: nn.Softmax(dim))
plain("log_softmax", lambda dim=1: nn.LogSoftmax(dim))
plain("erf", lambda: Function(torch.erf))
plain("exp", lambda: Function(torch.exp))
plain("log", lambda: Function(torch.log))
plain("sqrt", lambda: Function(torch.sqrt))
plain("abs", lambda: Function(torch.abs))
plain("neg", lambda: Function(torch.neg))
plain("reciprocal", lambda: Function(torch.reciprocal))
plain("power", lambda exponent=2: Function(lambda x: x**exponent))
plain("threshold", lambda threshold=1, value=0: nn.Threshold(threshold, value))
plain("scaled_tanh", lambda: Function(lambda x: 1.7159 * torch.tanh(2 / 3 * x)))


@kind
def hard_sigmoid(shape, alpha=None, beta=0.5):
    if alpha is None and beta == 0.5:
        return nn.Hardsigmoid()
    return Function(lambda x: torch.clamp((1 / 6 if alpha is None else alpha) * x + beta, 0, 1))


@kind
def leaky_relu(shape, **options):
    return nn.LeakyReLU(*options.values())


@kind
def prelu(shape, per_channel=False):
    return nn.PReLU(shape[1] if per_channel else 1)


# Reductions


def reduction(name, function):
    KINDS[name] = lambda shape, dims, **options: Function(lambda x: function(x, dim=dims, **options))


reduction("mean", torch.mean)
reduction("sum", torch.sum)
reduction("amax", torch.amax)
reduction("amin", torch.amin)
reduction("norm", lambda x, dim, p=2, **options: torch.linalg.vector_norm(x, p, dim, **options))

# Dropout

plain("dropout", nn.Dropout)
plain("dropout2d", nn.Dropout2d)

# Shapes


@kind
def flatten(shape):
    return nn.Flatten()


# Its option has the name of the first argument of the others.
KINDS["reshape"] = lambda _, shape: Function(lambda x: x.reshape(len(x), *(-1 if e is None else e for e in shape)))


@kind
def pad2d(shape, padding, mode="zeros"):
    padding = sides(padding, shape, (1, 1))
    if mode == "zeros" or isinstance(mode, dict):
        value = 0 if mode == "zeros" else mode["constant"]
        return Function(lambda x: F.pad(x, padding, value=value))
    return Function(lambda x: F.pad(x, padding, mode))


@kind
def crop2d(shape, margins):
    left, right, top, bottom = sides(margins, shape, (1, 1))
    return Function(lambda x: x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right])


@kind
def soft_argmax2d(shape):
    def of(x):
        p = x.flatten(2).softmax(2).view_as(x)
        centers = [(torch.arange(extent, dtype=x.dtype) + 0.5) / extent - 0.5 for extent in x.shape[2:]]
        right, down = (p.sum(2) * centers[1]).sum(2), (p.sum(3) * centers[0]).sum(2)
        return torch.stack([right, down], 2).flatten(1)

    return Function(of)


@kind
def pixel_shuffle(shape, factor, order="channels_first"):
    if order == "channels_first":
        return nn.PixelShuffle(factor)
    swap = lambda x: x.unflatten(1, (factor**2, -1)).transpose(1, 2).flatten(1, 2)
    return Function(lambda x: F.pixel_shuffle(swap(x), factor))


@kind
def pixel_unshuffle(shape, factor, order="channels_first"):
    if order == "channels_first":
        return nn.PixelUnshuffle(factor)
    swap = lambda x: x.unflatten(1, (-1, factor**2)).transpose(1, 2).flatten(1, 2)
    return Function(lambda x: swap(F.pixel_unshuffle(x, factor)))


@kind
def upsample2d(shape, size=None, scale=None, **options):
    return nn.Upsample(size and tuple(size), scale and tuple(scale), **options)


# Containers


class Sequential(Named):
    def __init__(self, shape, layers):
        super().__init__()
        self.specs = layers
        self.add(layers, shape)

    def forward(self, x):
        return self.run(self.specs, x)


class Residual(Named):
    """after(layers(x) + shortcut(x))"""

    def __init__(self, shape, layers, shortcut, after):
        super().__init__()
        self.body, self.shortcut, self.after = layers, [shortcut] if shortcut else [], after
        y = self.add(layers, shape)
        self.add(self.shortcut, shape)
        self.add(after, y)

    def forward(self, x):
        return self.run(self.after, self.run(self.body, x) + self.run(self.shortcut, x))


class Concat(Named):
    def __init__(self, shape, branches):
        super().__init__()
        self.specs = branches
        for spec in branches:
            self.add([spec], shape)

    def forward(self, x):
        return torch.cat([self.run([spec], x) for spec in self.specs], 1)


@kind
def sequential(shape, layers):
    return Sequential(shape, layers)


@kind
def residual(shape, layers, shortcut=None, after=()):
    return Residual(shape, layers, shortcut, after)


@kind
def concat(shape, branches):
    return Concat(shape, branches)
