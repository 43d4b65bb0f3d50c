"""The cases of layers.py: descriptions of layers over the whole space of options of every kind, and inputs for them."""

import math
import zlib

from fixture import numbers
from modules import build, output_shape

#: Cases of each kind, and of those with few options.
MANY, FEW = 16, 4
#: Elements of an output.
ELEMENTS = range(12, 401)


class Draw:
    """Choices by the generator of all numbers."""

    def __init__(self, seed):
        self.numbers = numbers(seed)

    def below(self, n):
        return (next(self.numbers) + 2**23) * n >> 24

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def of(self, *choices):
        return choices[self.below(len(choices))]

    def maybe(self):
        return self.below(2) == 0

    def pair(self, low, high):
        return [self.between(low, high), self.between(low, high)]

    def images(self):
        """A batch's extent: about half fill the vector lanes, some of them in more than one block of 16."""
        return self.of(1, 2, 3, 5, 8, 9, 16, 17)

    def number(self, low, high):
        """With few digits."""
        return round(low + (high - low) * self.below(1001) / 1000, 3)

    def short(self, options, **defaults):
        """Options without half of those that are what PyTorch has by default."""
        left_out = {key for key, value in defaults.items() if options[key] == value and self.maybe()}
        return {key: value for key, value in options.items() if key not in left_out}


#: For each kind, a function from a draw to options and the input's shape, and how many cases there are.
KINDS = {}


def kind(cases):
    def register(draw):
        KINDS[draw.__name__] = cases, draw
        return draw

    return register


def drawn(kind):
    """Description, input's shape and scale of one case after the other, without end."""
    d = Draw(zlib.crc32(kind.encode()))
    while True:
        spec, shape = KINDS[kind][1](d)
        spec = {"type": kind, **spec}
        if math.prod(shape) > 2 * ELEMENTS.stop:
            continue
        if math.prod(output_shape(build(spec, shape), shape)) in ELEMENTS:
            yield spec, shape, d.of(1, 4, 8)


def fitting(d, windows, padding, most=5):
    """An extent of the input for each window that fits it with its padding."""
    return [max(1, window - sum(pads)) + d.between(0, most) for window, pads in zip(windows, padding)]


def both(padding):
    return [[p, p] for p in padding]


def groups(d):
    """Groups, channels in and out: depthwise ones among them."""
    n = d.of(1, 1, 2, 3)
    if d.maybe() and n > 1:
        return n, n, n * d.between(1, 2)
    return n, n * d.between(1, 3), n * d.between(1, 3)


def kernel_with_dilation(d):
    kernel, dilation = d.pair(1, 4), d.pair(1, d.of(1, 1, 2, 3))
    return kernel, dilation, [r * (k - 1) + 1 for k, r in zip(kernel, dilation)]


def sides(d, windows):
    """Padding in one of its forms, and what it adds before and after in each axis."""
    form = d.of("pair", "sides", "valid", "same", "same_lower")
    if form == "pair":
        padding = [d.between(0, window) for window in windows]
        return padding, both(padding)
    if form == "sides":
        padding = [[d.between(0, window), d.between(0, window)] for window in windows]
        return padding, padding
    return form, both([0, 0]) if form == "valid" else [[0, window - 1] for window in windows]


@kind(3 * MANY)
def conv2d(d):
    kernel, dilation, windows = kernel_with_dilation(d)
    padding, added = sides(d, windows)
    n, c_in, c_out = groups(d)
    options = dict(
        out_channels=c_out,
        kernel=kernel,
        stride=d.pair(1, d.of(1, 2, 3)),
        padding=padding,
        dilation=dilation,
        groups=n,
        bias=d.maybe(),
    )
    options = d.short(options, stride=[1, 1], padding=[0, 0], dilation=[1, 1], groups=1, bias=True)
    return options, [d.images(), c_in, *fitting(d, windows, added)]


@kind(2 * MANY)
def conv_transpose2d(d):
    kernel, dilation, windows = kernel_with_dilation(d)
    stride = d.pair(1, d.of(1, 2, 3))
    output_padding = [d.below(max(s, r)) for s, r in zip(stride, dilation)]
    padding = [d.between(0, (window - 1 + more) // 2) for window, more in zip(windows, output_padding)]
    if d.maybe():
        padding = [[p, d.between(0, p)] for p in padding]
    n, c_in, c_out = groups(d)
    options = dict(
        out_channels=c_out,
        kernel=kernel,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=n,
        bias=d.maybe(),
    )
    defaults = dict(stride=[1, 1], padding=[0, 0], output_padding=[0, 0], dilation=[1, 1], groups=1, bias=True)
    return d.short(options, **defaults), [d.images(), c_in, *d.pair(1, 5)]


@kind(MANY)
def conv2d_table(d):
    kernel, c_in = d.pair(1, 3), d.between(2, 4)
    padding, added = sides(d, kernel)
    table = [[c for c in range(c_in) if d.maybe()] or [d.below(c_in)] for _ in range(d.between(1, 4))]
    options = dict(table=table, kernel=kernel, stride=d.pair(1, 2), padding=padding, bias=d.maybe())
    options = d.short(options, stride=[1, 1], padding=[0, 0], bias=True)
    return options, [d.images(), c_in, *fitting(d, kernel, added)]


@kind(12)
def linear(d):
    options = dict(out_features=d.between(1, 20), bias=d.maybe())
    return d.short(options, bias=True), [d.images(), d.between(1, 30)]


@kind(8)
def rbf(d):
    # Codes that are not trained are no parameters, which are drawn.
    codes = dict(trainable=True) if d.maybe() else dict(init={"constant": d.number(-1, 1)})
    return dict(out_features=d.between(1, 20), **codes), [d.images(), d.between(1, 30)]


def image(d, low=1, high=7, channels=4):
    return [d.images(), d.between(1, channels), *d.pair(low, high)]


def beyond_pytorch(d, options, windows):
    """Half of the time padding that PyTorch's poolings do not have; then windows do not hang over. What it adds."""
    if d.maybe():
        return both(options["padding"])
    options["ceil_mode"] = False
    # No window lies on padding alone, whose maximum is infinite.
    options["padding"] = d.of("same", "same_lower", [[d.between(0, w - 1), d.between(0, w - 1)] for w in windows])
    return both([0, 0]) if isinstance(options["padding"], str) else options["padding"]


@kind(2 * MANY)
def max_pool2d(d):
    kernel, dilation, windows = kernel_with_dilation(d)
    padding = [d.between(0, k // 2) for k in kernel]
    options = dict(kernel=kernel, stride=d.pair(1, 4), padding=padding, dilation=dilation, ceil_mode=d.maybe())
    padding = beyond_pytorch(d, options, windows)
    defaults = dict(stride=kernel, padding=[0, 0], dilation=[1, 1], ceil_mode=False)
    return d.short(options, **defaults), [d.images(), d.between(1, 4), *fitting(d, windows, padding)]


@kind(12)
def max_pool_unpool2d(d):
    kernel = d.pair(1, 3)
    padding = [d.between(0, k // 2) for k in kernel]
    # Windows do not overlap, so that no position is written twice.
    pool = dict(kernel=kernel, stride=[k + d.between(0, 1) for k in kernel], padding=padding, ceil_mode=d.maybe())
    pool = d.short(pool, stride=kernel, padding=[0, 0], ceil_mode=False)
    c = d.between(1, 3)
    shape = [d.images(), c, *fitting(d, kernel, both(padding), 6)]
    layers = [
        {"name": "conv", "type": "conv2d", "out_channels": c, "kernel": [3, 3], "padding": [1, 1]},
        {"name": "act", "type": "tanh"},
    ]
    return dict(pool=pool, layers=layers[: d.between(0, 2)]), shape


@kind(2 * MANY)
def avg_pool2d(d):
    kernel = d.pair(1, 4)
    padding = [d.between(0, k // 2) for k in kernel]
    options = dict(
        kernel=kernel,
        stride=d.pair(1, 4),
        padding=padding,
        ceil_mode=d.maybe(),
        count_include_pad=d.maybe(),
        divisor_override=d.of(None, None, d.between(1, 9)),
    )
    padding = beyond_pytorch(d, options, kernel)
    if padding != both([0, 0]) or isinstance(options["padding"], str):
        options["divisor_override"] = options["divisor_override"] if options["count_include_pad"] else None
    defaults = dict(stride=kernel, padding=[0, 0], ceil_mode=False, count_include_pad=True, divisor_override=None)
    return d.short(options, **defaults), [d.images(), d.between(1, 4), *fitting(d, kernel, padding)]


@kind(12)
def adaptive_avg_pool2d(d):
    return dict(output=d.pair(1, 7)), image(d)


@kind(12)
def adaptive_max_pool2d(d):
    return dict(output=d.pair(1, 7)), image(d)


@kind(FEW)
def global_avg_pool2d(d):
    return {}, image(d, channels=20)


@kind(FEW)
def global_max_pool2d(d):
    return {}, image(d, channels=20)


@kind(12)
def subsample(d):
    kernel = d.pair(1, 4)
    options = dict(kernel=kernel, stride=d.pair(1, 4))
    return d.short(options, stride=kernel), [d.images(), d.between(1, 4), *fitting(d, kernel, both([0, 0]))]


def epsilon(d):
    return d.of(1e-5, 1e-3, 0.1)


def batch_norm(d):
    options = dict(eps=epsilon(d), momentum=d.of(0.1, None, d.number(0.01, 1)), affine=d.maybe())
    return d.short(options, eps=1e-5, momentum=0.1, affine=True)


@kind(MANY)
def batch_norm1d(d):
    return batch_norm(d), [d.between(3, 17), d.between(1, 8), d.between(2, 5)][: d.between(2, 3)]


@kind(MANY)
def batch_norm2d(d):
    return batch_norm(d), image(d)


@kind(12)
def local_response_norm(d):
    options = dict(size=d.between(1, 6), alpha=d.of(1e-4, 0.1, 1.5), beta=d.of(0.75, 0.5, 1.3), k=d.of(1, 2, 0.5))
    return d.short(options, alpha=1e-4, beta=0.75, k=1), image(d, channels=9)


@kind(20)
def layer_norm(d):
    shape = [d.images(), *(d.between(1, 6) for _ in range(d.of(1, 2, 3, 3)))]
    axes = d.of(None, d.between(1, len(shape) - 1), d.between(1, len(shape) - 1))
    options = dict(axes=axes, eps=epsilon(d), affine=d.maybe())
    return d.short(options, axes=None, eps=1e-5, affine=True), shape


@kind(MANY)
def group_norm(d):
    n = d.between(1, 4)
    shape = [d.images(), n * d.between(1, 4), *d.pair(1, 5)][: d.of(2, 4, 4)]
    return d.short(dict(groups=n, eps=epsilon(d), affine=d.maybe()), eps=1e-5, affine=True), shape


def anything(d):
    return [d.images(), *(d.between(1, 6) for _ in range(d.between(1, 3)))]


def activation(name, cases=3, **options):
    def draw(d):
        drawn = {key: value(d) for key, (_, value) in options.items()}
        return d.short(drawn, **{key: default for key, (default, _) in options.items()}), anything(d)

    KINDS[name] = cases, draw


activation("relu")
activation("relu6")
activation("leaky_relu", 8, slope=(0.01, lambda d: d.of(0.01, d.number(0, 1))))
activation("prelu", 12, per_channel=(False, lambda d: d.of(True, True, False)))
activation("elu", 8, alpha=(1, lambda d: d.of(1, d.number(0.1, 2))))
activation("sigmoid")
activation("tanh")
activation("scaled_tanh")
activation("softplus", 12, beta=(1, lambda d: d.of(1, d.number(0.2, 3))), threshold=(20, lambda d: d.of(20, 3, 1)))
activation("gelu", 8, approximate=("none", lambda d: d.of("none", "tanh")))
activation("silu")
activation("hard_swish")


def over_an_axis(name):
    def draw(d):
        shape = anything(d)
        return d.short(dict(dim=d.of(1, d.between(1, len(shape) - 1))), dim=1), shape

    KINDS[name] = 8, draw


over_an_axis("softmax")
over_an_axis("log_softmax")


@kind(FEW)
def flatten(d):
    return {}, anything(d)


@kind(8)
def reshape(d):
    a, b, c = (d.between(1, 4) for _ in range(3))
    to = d.of([a * b * c], [a * b, c], [c, b, a], [a, b * c])
    if d.maybe():
        to[d.below(len(to))] = None
    return dict(shape=to), [d.images(), *d.of([b, a, c], [a * b * c], [c, a * b])]


@kind(MANY)
def pad2d(d):
    mode = d.of("zeros", "reflect", "replicate", "circular", {"constant": d.number(-2, 2)})
    shape = image(d, high=5)
    most = [e - 1 if mode == "reflect" else min(e, 3) if mode == "circular" else 3 for e in shape[2:]]
    return d.short(dict(padding=[d.pair(0, m) for m in most], mode=mode), mode="zeros"), shape


@kind(8)
def crop2d(d):
    margins = [[d.between(0, 2), d.between(0, 2)] for _ in range(2)]
    return dict(margins=margins), [d.images(), d.between(1, 4), *(sum(m) + d.between(1, 4) for m in margins)]


@kind(2 * MANY)
def upsample2d(d):
    mode = d.of("nearest", "bilinear", "bicubic")
    shape = image(d, high=5)
    options = dict(mode=mode)
    if d.maybe():
        options["size"] = d.pair(1, 9)
    else:
        options["scale"] = [d.of(1, 2, 3, 0.5, 1.5, d.number(0.4, 3)) for _ in range(2)]
        # An output that is empty, or (see the operation) one where PyTorch's kernels have different rules.
        for e, scale in zip(shape[2:], options["scale"]):
            if math.floor(e * scale) == 0 or mode == "nearest" and scale % 1 and math.floor(e * scale) in (e, 2 * e):
                return upsample2d(d)
    if mode != "nearest":
        options |= d.short(dict(align_corners=d.maybe()), align_corners=False)
    return d.short(options, mode="nearest"), shape


# Younger kinds, after the others so that these keep their seeds.

activation(
    "hardtanh", 8, min_val=(-1, lambda d: d.of(-1, d.number(-2, 0))), max_val=(1, lambda d: d.of(1, d.number(0.1, 6)))
)
activation("threshold", 8, threshold=(1, lambda d: d.of(1, d.number(-1, 1))), value=(0, lambda d: d.of(0, d.number(-2, 2))))
activation("selu")
activation("celu", 8, alpha=(1, lambda d: d.of(1, d.number(0.2, 3))))
activation("mish")
activation("softsign")
activation("erf")
activation("exp")
activation("abs")
activation("neg")


def hard_sigmoid(d):
    options = dict(alpha=d.number(0.1, 0.6), beta=d.of(0.5, d.number(-0.5, 1)))
    return d.short(options, beta=0.5) if d.maybe() else {}, anything(d)


KINDS["hard_sigmoid"] = 8, hard_sigmoid


def of_positive(name, cases=4, **options):
    """A function of numbers above 0, after one that makes them so."""

    def draw(d):
        drawn = {key: value(d) for key, value in options.items()}
        layers = [dict(name="positive", type="softplus"), dict(name="of", type=name, **drawn)]
        return dict(type="sequential", layers=layers), anything(d)

    KINDS[name] = cases, draw


of_positive("log")
of_positive("sqrt")
of_positive("reciprocal")
of_positive("power", 12, exponent=lambda d: d.of(2, 3, 0.5, -1, 0, 1, d.number(-2, 4)))


@kind(3 * FEW + MANY)
def arithmetic_by(d):
    x = anything(d)
    w = [d.of(1, extent, extent) for extent in x[1:]][d.below(len(x) - 1) :]
    fixed = dict(trained=False, init={"constant": d.number(0.5, 2)})
    options = dict(op=d.of("add", "sub", "mul", "div", "maximum", "minimum"), shape=w, reversed=d.maybe())
    return d.short(options, reversed=False) | d.of({}, {}, fixed), x


def reduction(name, **options):
    def draw(d):
        # An output has some elements.
        shape = [d.images(), *(d.between(1, 6) for _ in range(d.between(2, 3)))]
        dims = [axis for axis in range(1, len(shape)) if d.maybe()] or [d.between(1, len(shape) - 1)]
        drawn = {key: value(d) for key, value in options.items()}
        return dict(dims=dims, **drawn) | d.short(dict(keepdim=d.maybe()), keepdim=False), shape

    KINDS[name] = 8, draw


reduction("mean")
reduction("sum")
reduction("amax")
reduction("amin")
reduction("norm", p=lambda d: d.between(1, 2))


def order(d):
    return d.short(dict(order=d.of("channels_first", "blocks_first")), order="channels_first")


@kind(8)
def pixel_shuffle(d):
    r = d.between(1, 3)
    return dict(factor=r) | order(d), [d.images(), r * r * d.between(1, 3), *d.pair(1, 4)]


@kind(8)
def pixel_unshuffle(d):
    r = d.between(1, 3)
    return dict(factor=r) | order(d), [d.images(), d.between(1, 3), *(r * e for e in d.pair(1, 3))]


@kind(8)
def soft_argmax2d(d):
    return {}, [d.images(), d.between(1, 4), *d.pair(1, 6)]


# Containers: trees of layers that keep the shape of images, and blocks that change it.

DEPTH = 2


def tree(d, c, depth):
    """Layers that keep a shape of `c` channels."""
    layers = []
    for _ in range(d.between(1, 3)):
        layers.append(leaf(d, c) if depth == 0 or d.of(True, True, False) else nest(d, c, depth - 1))
    return [{"name": f"{layer['type']}{i}", **layer} for i, layer in enumerate(layers)]


def leaf(d, c):
    name = d.of("conv2d", "conv2d", "batch_norm2d", "tanh", "relu", "group_norm", "avg_pool2d")
    options = {
        "conv2d": dict(
            out_channels=c, kernel=[3, 3], padding=d.of([1, 1], "same"), groups=d.of(1, c), bias=d.maybe()
        ),
        "group_norm": dict(groups=d.of(1, c)),
        "avg_pool2d": dict(kernel=[3, 3], stride=[1, 1], padding=[1, 1]),
    }
    return {"type": name, **options.get(name, {})}


def nest(d, c, depth):
    return d.of(sequence, block, fan)(d, c, depth)


def sequence(d, c, depth):
    return {"type": "sequential", "layers": tree(d, c, depth)}


def block(d, c, depth):
    options = dict(layers=tree(d, c, depth))
    if d.maybe():
        # A body within others keeps its shape.
        stride, out = (d.pair(1, 2), d.between(1, 4)) if depth == DEPTH else ([1, 1], c)
        last = dict(name="last", type="conv2d", out_channels=out, kernel=[3, 3], stride=stride, padding=[1, 1])
        options["layers"].append(last)
        options["shortcut"] = dict(name="downsample", type="conv2d", out_channels=out, kernel=[1, 1], stride=stride)
    if d.maybe():
        c = options["shortcut"]["out_channels"] if "shortcut" in options else c
        options["after"] = [{"name": "act", **leaf(d, c)}]
    return {"type": "residual", **options}


def fan(d, c, depth):
    """Branches whose channels come to `c` again, after a convolution."""
    branches = [{"name": f"b{i}", "type": "sequential", "layers": tree(d, c, depth)} for i in range(d.between(1, 3))]
    unite = {"name": "unite", "type": "conv2d", "out_channels": c, "kernel": [1, 1]}
    return {"type": "sequential", "layers": [{"name": "fan", "type": "concat", "branches": branches}, unite]}


def container(name, draw):
    def options(d):
        c = d.between(1, 4)
        spec = draw(d, c, DEPTH)
        shape = [d.of(2, 3, 5, 17), c, *d.pair(2, 5)]
        return {key: value for key, value in spec.items() if key != "type"}, shape

    KINDS[name] = 12, options


container("sequential", sequence)
container("residual", block)
container("concat", lambda d, c, depth: fan(d, c, depth)["layers"][0])
