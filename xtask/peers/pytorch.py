"""PyTorch's side of `cargo xtask bench --against pytorch`, on the CPU; of the modes that a piece of work has, the fastest is
kept: eager and, for inference, torch.jit, in plain and channels_last layout."""

import io
import itertools
import pathlib

import peer

try:
    import torch
    from torch import nn
except ImportError as error:
    peer.refuse(error)

torch.set_num_threads(peer.THREADS)

# What torchvision does without; the rows that need it say what is missing.
try:
    import PIL.Image
    import torchvision.io
    from torchvision import transforms
    from torchvision.transforms import v2

    TORCHVISION, LACKING = torchvision.__version__, None
except ImportError as error:
    TORCHVISION, LACKING = None, error.name or str(error)

LAYOUTS = {"plain": torch.contiguous_format, "channels_last": torch.channels_last}


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(inplace=True),
        nn.Linear(120, 84), nn.ReLU(inplace=True),
        nn.Linear(84, 10),
    )  # fmt: skip


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 200), nn.ReLU(inplace=True), nn.Linear(200, 10))


def alexnet():
    """Of a single tower, as in torchvision; nothing is normalised."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2),
        nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
        nn.Linear(4096, 1000),
    )  # fmt: skip


def airbench94():
    """Jordan 2024: a convolution of patches, then blocks of two convolutions with normalisation and GELU."""
    layers, channels = [nn.Conv2d(3, 24, 2), nn.GELU()], 24
    for width in (64, 256, 256):
        layers += [nn.Conv2d(channels, width, 3, padding="same", bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.GELU()]
        layers += [nn.Conv2d(width, width, 3, padding="same", bias=False), nn.BatchNorm2d(width), nn.GELU()]
        channels = width
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(channels, 10, bias=False))


def training(build, layouts, x=(1, 28, 28), classes=10):
    """One step: forward, loss, backward, SGD with momentum; one function per mode."""

    def step(batch, layout, fused):
        net = build().to(memory_format=LAYOUTS[layout])
        images = torch.randn(batch, *x).to(memory_format=LAYOUTS[layout])
        labels = torch.arange(batch) % classes
        # The same rate as ours: the net hardly changes, so that the last step costs what the first one did.
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, fused=fused)

        def run():
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()

        return run

    optimizers = {"": False, ", fused SGD": True}
    return {
        layout + name: lambda batch, layout=layout, fused=fused: step(batch, layout, fused)
        for layout, (name, fused) in itertools.product(layouts, optimizers.items())
    }


def inference(build, layouts, x=(1, 28, 28)):
    compilers = {
        "": lambda net, images: net,
        ", jit": lambda net, images: torch.jit.freeze(torch.jit.trace(net, images)),
        ", jit optimized": lambda net, images: torch.jit.optimize_for_inference(torch.jit.trace(net, images)),
    }

    def forward(batch, layout, compile):
        net = build().to(memory_format=LAYOUTS[layout]).eval()
        images = torch.randn(batch, *x).to(memory_format=LAYOUTS[layout])
        with torch.no_grad():
            net = compile(net, images)

        def run():
            with torch.inference_mode():
                net(images)

        return run

    return {
        layout + name: lambda batch, layout=layout, compile=compile: forward(batch, layout, compile)
        for layout, (name, compile) in itertools.product(layouts, compilers.items())
    }


def gemm(part, side):
    def product(_):
        a, b, c = (torch.randn(side, side) for _ in range(3))
        return lambda: torch.mm(a, b, out=c)

    return {"plain": product}


def passes(part, layer, x, layouts=LAYOUTS, first=False):
    """A part of the work of a layer; where it stands first, nobody wants the gradient of its input."""

    def pass_(batch, layout):
        module = layer().to(memory_format=LAYOUTS[layout])
        input = torch.randn(batch, *x)
        if len(x) == 3:
            input = input.to(memory_format=LAYOUTS[layout])
        weights = [*module.parameters()]
        input.requires_grad_(not first)
        if part == "forward":
            return lambda: module(input)
        y = module(input)
        dy = torch.randn_like(y)
        wanted = {"backward input": [input], "backward weights": weights}
        wanted = wanted.get(part, weights + [input] * (not first))
        if part == "forward+backward":
            return lambda: torch.autograd.grad(module(input), wanted, dy)
        return lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)

    return {layout: lambda batch, layout=layout: pass_(batch, layout) for layout in layouts}


def conv2d(part, x, c_out, kernel, stride=1, padding=0, first=False):
    layer = lambda: nn.Conv2d(x[0], c_out, kernel, stride=stride, padding=padding)
    return passes(part, layer, x, first=first)


def in_place(part, x, function, modes):
    """Forward passes may write over their input, as in a net; nothing is recorded then."""
    if part != "forward":
        return modes

    def pass_(batch):
        input = torch.randn(batch, *x)

        def run():
            with torch.no_grad():
                function(input)

        return run

    return {**modes, "in place": pass_}


def relu(part, x):
    return in_place(part, x, torch.relu_, passes(part, nn.ReLU, x))


def dropout(part, x):
    function = lambda x: nn.functional.dropout(x, 0.5, training=True, inplace=True)
    return in_place(part, x, function, passes(part, lambda: nn.Dropout(0.5), x, layouts=["plain"]))


def cross_entropy(part, x):
    def pass_(batch):
        logits = torch.randn(batch, *x, requires_grad=True)
        labels = torch.arange(batch) % x[0]
        forward = lambda: nn.functional.cross_entropy(logits, labels)
        if part == "forward":
            return forward
        if part == "forward+backward":
            return lambda: torch.autograd.grad(forward(), logits)
        loss = forward()
        return lambda: torch.autograd.grad(loss, logits, retain_graph=True)

    return {"plain": pass_}


OPERATIONS = {
    "gemm": gemm,
    "conv2d": conv2d,
    "linear": lambda part, x, outputs: passes(part, lambda: nn.Linear(*x, outputs), x, layouts=["plain"]),
    "max_pool2d": lambda part, x, kernel, stride: passes(part, lambda: nn.MaxPool2d(kernel, stride), x),
    "avg_pool2d": lambda part, x, kernel, stride: passes(part, lambda: nn.AvgPool2d(kernel, stride), x),
    "batch_norm": lambda part, x: passes(part, lambda: nn.BatchNorm2d(x[0]), x),
    "relu": relu,
    "dropout": dropout,
    "cross_entropy": cross_entropy,
}


def pillow(file):
    return PIL.Image.open(io.BytesIO(file)).convert("RGB")


def decode_jpeg(file):
    data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
    return torchvision.io.decode_jpeg(data, mode=torchvision.io.ImageReadMode.RGB)


MEAN_AND_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def to_numbers_v1():
    return [transforms.ToTensor(), transforms.Normalize(*MEAN_AND_DEVIATION)]


def to_numbers_v2():
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*MEAN_AND_DEVIATION)]


class Files(torch.utils.data.Dataset):
    """The files of a folder over and over, from memory: each decoded, a part of it at 224x224, flipped, normalised."""

    def __init__(self, count, folder, decode, kind, to_numbers):
        self.count = count
        self.files = [path.read_bytes() for path in sorted(pathlib.Path(folder).rglob("*.jpg"))]
        self.decode = decode
        part = [kind.RandomResizedCrop(224, antialias=True), kind.RandomHorizontalFlip()]
        self.transform = kind.Compose(part + to_numbers())

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return self.transform(self.decode(self.files[i % len(self.files)]))


def jpeg(*modes):
    """Two batches for each thread: on one thread in a plain loop, on several from a DataLoader with as many workers."""

    def epoch(batch, decode, kind, to_numbers):
        threads = peer.THREADS
        batches = 2 * threads
        images = Files(batches * batch, peer.QUESTION["files"], decode, kind, to_numbers)
        if threads == 1:
            loader = lambda: (torch.stack([images[b * batch + i] for i in range(batch)]) for b in range(batches))
        else:
            # A whole epoch is a repetition: no worker makes batches while it is not this side's turn.
            workers = torch.utils.data.DataLoader(
                images, batch_size=batch, num_workers=threads, persistent_workers=True
            )
            loader = lambda: workers

        def run():
            for _ in loader():
                pass

        run.repeats = batches
        return run

    return {name: lambda batch, mode=mode: epoch(batch, *mode) for name, *mode in modes}


IMAGENET = {"x": (3, 224, 224), "classes": 1000}

# The names are those of src/bench/works. For each mode, a function from the batch size to the work.
WORKS = {
    "lenet training": training(lenet, LAYOUTS),
    "lenet inference": inference(lenet, LAYOUTS),
    "mlp training": training(mlp, ["plain"]),
    "alexnet training": training(alexnet, LAYOUTS, **IMAGENET),
    "alexnet inference": inference(alexnet, LAYOUTS, x=IMAGENET["x"]),
    "airbench94 training": training(airbench94, LAYOUTS, x=(3, 32, 32)),
    **peer.operations(OPERATIONS),
}
JPEG_WORKS = {
    "jpeg batches": lambda: jpeg(
        ("Pillow", pillow, transforms, to_numbers_v1),
        ("Pillow, v2", pillow, v2, to_numbers_v2),
    ),
    "jpeg batches, tensors": lambda: jpeg(
        ("decode_jpeg", decode_jpeg, transforms, lambda: to_numbers_v2()[1:]),
        ("decode_jpeg, v2", decode_jpeg, v2, lambda: to_numbers_v2()[1:]),
    ),
}
VERSION, LACKS = f"PyTorch {torch.__version__}", {}
if LACKING is None:
    WORKS.update({name: modes() for name, modes in JPEG_WORKS.items()})
    VERSION += f", torchvision {TORCHVISION}, Pillow {PIL.__version__}"
else:
    LACKS = dict.fromkeys(JPEG_WORKS, LACKING)

if __name__ == "__main__":
    peer.serve(VERSION, WORKS, LACKS)
