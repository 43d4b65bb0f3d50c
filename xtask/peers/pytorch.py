"""PyTorch's side of `cargo xtask bench --against pytorch`.

Reads one line of JSON per question on stdin and writes one line of JSON per answer on stdout; src/bench/peer.rs has
the protocol. Eager PyTorch on the CPU; of the modes that a piece of work has, the fastest is kept.
"""

import itertools
import json
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
        return self.seconds() / self.repetitions


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
    answer(version=f"PyTorch {torch.__version__}", works=list(WORKS))
    chosen = {}
    for line in sys.stdin:
        try:
            question = json.loads(line)
            work, batch, threads = (question[key] for key in ("work", "batch", "threads"))
            torch.set_num_threads(threads)
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
