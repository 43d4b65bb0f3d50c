"""PyTorch's side of `cargo xtask bench --against pytorch`.

Reads one line of JSON per question on stdin and writes one line of JSON per answer on stdout; src/bench/peer.rs has
the protocol. Eager PyTorch on the CPU; of the modes that a piece of work has, the fastest is kept.
"""

import io
import itertools
import json
import pathlib
import sys
import time

# Whatever libraries print must not get between the answers.
answers, sys.stdout = sys.stdout, sys.stderr


def answer(**fields):
    print(json.dumps(fields), file=answers, flush=True)


try:
    import torch
    from torch import nn
except ImportError as error:
    answer(error=str(error))
    sys.exit()

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


def training(build, layouts):
    """One step: forward, loss, backward, SGD with momentum; one function per mode."""

    def step(batch, layout, fused):
        net = build().to(memory_format=LAYOUTS[layout])
        x = torch.randn(batch, 1, 28, 28).to(memory_format=LAYOUTS[layout])
        labels = torch.arange(batch) % 10
        # The same rate as ours: the net hardly changes, so that the last step costs what the first one did.
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, fused=fused)

        def run():
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x), labels).backward()
            optimizer.step()

        return run

    optimizers = {"": False, ", fused SGD": True}
    return {
        layout + name: lambda batch, layout=layout, fused=fused: step(batch, layout, fused)
        for layout, (name, fused) in itertools.product(layouts, optimizers.items())
    }


def inference(build, layouts):
    def forward(batch, layout):
        net = build().to(memory_format=LAYOUTS[layout]).eval()
        x = torch.randn(batch, 1, 28, 28).to(memory_format=LAYOUTS[layout])

        @torch.inference_mode()
        def run():
            net(x)

        return run

    return {layout: lambda batch, layout=layout: forward(batch, layout) for layout in layouts}


def gemm(side):
    def product(_):
        a, b, c = (torch.randn(side, side) for _ in range(3))
        return lambda: torch.mm(a, b, out=c)

    return {"plain": product}


def conv(x, c_out, padding, backward, first):
    """A 5 x 5 convolution; backward gives the gradients of weight, bias and, unless it stands first, input."""

    def pass_(batch, layout):
        layer = nn.Conv2d(x[0], c_out, 5, padding=padding).to(memory_format=LAYOUTS[layout])
        input = torch.randn(batch, *x).to(memory_format=LAYOUTS[layout]).requires_grad_(not first)
        if not backward:
            return lambda: layer(input)
        y = layer(input)
        dy = torch.randn_like(y)
        wanted = [*layer.parameters()] + [input] * (not first)
        return lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)

    return {layout: lambda batch, layout=layout: pass_(batch, layout) for layout in LAYOUTS}


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
        threads = QUESTION["threads"]
        batches = 2 * threads
        images = Files(batches * batch, QUESTION["files"], decode, kind, to_numbers)
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


CONV1 = {"x": (1, 28, 28), "c_out": 6, "padding": 2, "first": True}
CONV2 = {"x": (6, 14, 14), "c_out": 16, "padding": 0, "first": False}

# The names are those of src/bench/works.rs. For each mode, a function from the batch size to the work.
WORKS = {
    "lenet training": training(lenet, LAYOUTS),
    "lenet inference": inference(lenet, LAYOUTS),
    "mlp training": training(mlp, ["plain"]),
    "gemm 512x512x512": gemm(512),
    "gemm 1024x1024x1024": gemm(1024),
    "conv 6x1x5x5 28x28 forward": conv(**CONV1, backward=False),
    "conv 6x1x5x5 28x28 backward": conv(**CONV1, backward=True),
    "conv 16x6x5x5 10x10 forward": conv(**CONV2, backward=False),
    "conv 16x6x5x5 10x10 backward": conv(**CONV2, backward=True),
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
if LACKING is None:
    WORKS.update({name: modes() for name, modes in JPEG_WORKS.items()})

# The question being answered, for work that needs more of it than the size of a batch.
QUESTION = {}


class Contestant:
    """One mode of a piece of work, with the number of repetitions that makes a round."""

    def __init__(self, mode, run, round_seconds):
        self.mode, self.run, self.repetitions = mode, run, 1
        while (seconds := self.seconds()) < round_seconds / 2:
            self.repetitions *= 2
        self.repetitions = max(1, round(self.repetitions * round_seconds / seconds))

    def seconds(self):
        start = time.perf_counter()
        for _ in range(self.repetitions):
            self.run()
        return time.perf_counter() - start

    def round(self):
        return self.seconds() / self.repetitions / getattr(self.run, "repeats", 1)


def fastest(modes, batch, round_seconds):
    """The mode whose best of three rounds, taken in turns, is the best."""
    contestants = []
    for mode, prepare in modes.items():
        try:
            contestants.append(Contestant(mode, prepare(batch), round_seconds))
        except RuntimeError:
            # An older PyTorch has no fused SGD on the CPU, for one; the plain mode must work.
            if mode == "plain":
                raise
    if len(contestants) == 1:
        return contestants[0]
    rounds = [[contestant.round() for contestant in contestants] for _ in range(3)]
    best = [min(times) for times in zip(*rounds)]
    return contestants[best.index(min(best))]


def main():
    version = f"PyTorch {torch.__version__}"
    if LACKING is None:
        version += f", torchvision {TORCHVISION}, Pillow {PIL.__version__}"
    lacks = {} if LACKING is None else dict.fromkeys(JPEG_WORKS, LACKING)
    answer(version=version, works=list(WORKS), lacks=lacks)
    chosen = {}
    for line in sys.stdin:
        try:
            question = json.loads(line)
            work, batch, threads = (question[key] for key in ("work", "batch", "threads"))
            torch.set_num_threads(threads)
            QUESTION.update(question)
            if (work, batch, threads) not in chosen:
                # One at a time: what is not being measured must not hold memory.
                chosen.clear()
                chosen[work, batch, threads] = fastest(WORKS[work], batch, question["seconds"])
            contestant = chosen[work, batch, threads]
            answer(seconds=contestant.round(), mode=contestant.mode)
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
