"""Writes what PyTorch makes of losses, for crates/cnn-nn/tests/pytorch_losses.rs to compare with.

    pip install torch safetensors
    python xtask/peers/losses.py crates/cnn-nn/tests/fixtures/losses.safetensors

The cases are drawn over the options of every loss. A case, as JSON in the metadata, has the kind of loss, its options
by PyTorch's names (one left out has PyTorch's default), targets and weights in full, and the shape, the bound and the
seed of the outputs `x`. The file holds the loss and its gradient by `x` for each case, in one flat tensor under the
case's number. Cases whose numbers would test nothing are drawn again (`fixture.sound`).
"""

import math
import sys
from itertools import count

import torch
import torch.nn.functional as F
from cases import Draw
from fixture import nudged, numbers, save, sound, uniform

CASES = 10
SCALE = 4

#: For each kind: PyTorch's function, and one from a draw and the extents of `x` to the target and the options.
KINDS = {}


def kind(function, cases=CASES):
    def register(draw):
        KINDS[draw.__name__] = function, cases, draw
        return draw

    return register


def weights(d, n):
    return [d.between(1, 12) / 4 for _ in range(n)]


def probabilities(d, n):
    """That add up to 1 exactly."""
    cuts = [0, *sorted(d.between(0, 64) for _ in range(n - 1)), 64]
    return [(high - low) / 64 for low, high in zip(cuts, cuts[1:])]


def nested(d, shape, draw):
    return [nested(d, shape[1:], draw) for _ in range(shape[0])] if shape else draw(d)


def reduction(d):
    return d.short(dict(reduction=d.of("mean", "sum")), reduction="mean")


@kind(F.cross_entropy, 2 * CASES)
def cross_entropy(d, n, c):
    options = dict(label_smoothing=d.of(0, 0.1, d.number(0, 1)))
    if d.maybe():
        options["weight"] = weights(d, c)
    if d.of(True, True, False):
        target = [d.below(c) for _ in range(n)]
        if d.maybe():
            options["ignore_index"] = d.below(c)
    else:
        target = [probabilities(d, c) for _ in range(n)]
    return target, d.short(options, label_smoothing=0) | reduction(d)


@kind(F.binary_cross_entropy_with_logits)
def bce_with_logits(d, *shape):
    options = reduction(d)
    if d.maybe():
        options["weight"] = weights(d, shape[-1])
    if d.maybe():
        options["pos_weight"] = weights(d, shape[-1])
    return nested(d, shape, lambda d: d.of(0, 1, d.below(65) / 64)), options


def difference(function, **options):
    def draw(d, *shape):
        drawn = {key: d.of(1, d.number(0.1, 3)) for key in options}
        target = nested(d, shape, lambda d: d.between(-256, 256) / 64)
        return target, d.short(drawn, **options) | reduction(d)

    return function, CASES, draw


KINDS["mse"] = difference(F.mse_loss)
KINDS["l1"] = difference(F.l1_loss)
KINDS["smooth_l1"] = difference(F.smooth_l1_loss, beta=1)
KINDS["huber"] = difference(F.huber_loss, delta=1)


@kind(F.multi_margin_loss)
def multi_margin(d, n, c):
    options = dict(p=d.of(1, 2), margin=d.of(1, d.number(0.1, 3)))
    if d.maybe():
        options["weight"] = weights(d, c)
    return [d.below(c) for _ in range(n)], d.short(options, p=1, margin=1) | reduction(d)


def log_penalties(x, labels, j=None, reduction="mean"):
    """LeCun, Bottou, Bengio and Haffner 1998, equation 9; `x` are penalties, smaller ones better."""
    losses = x.gather(1, labels[:, None])[:, 0] + torch.cat([x.new_full((len(x), 1), -j), -x], 1).logsumexp(1)
    return losses.mean() if reduction == "mean" else losses.sum()


@kind(log_penalties)
def map_loss(d, n, c):
    return [d.below(c) for _ in range(n)], dict(j=d.number(0.1, 3)) | reduction(d)


def outcome(case, nudge=None, dtype=torch.float64):
    """The loss and its gradient; `x` nudged by numbers from `nudge`."""
    options = {key: torch.tensor(o, dtype=dtype) if isinstance(o, list) else o for key, o in case["options"].items()}
    target = torch.tensor(case["target"])
    target = target.to(dtype) if target.dim() > 1 else target
    x = nudged(uniform(numbers(case["seed"]), case["x"], SCALE), SCALE, nudge).to(dtype).requires_grad_()
    loss = KINDS[case["kind"]][0](x, target, **options)
    loss.backward()
    return {"loss": loss.detach().double().reshape(1), "dx": x.grad.double().flatten()}


def main(out):
    tensors, cases = {}, []
    seeds = count(1)
    d = Draw(2026)
    for kind, (_, wanted, options) in KINDS.items():
        kept = 0
        while kept < wanted:
            shape = [d.between(1, 9), d.between(2, 7)]
            target, drawn = options(d, *shape)
            case = {"kind": kind, "options": drawn, "target": target, "x": shape, "scale": SCALE, "seed": next(seeds)}
            if not math.prod(shape) > 6:
                continue
            if result := sound(lambda **how: outcome(case, **how)):
                tensors[f"{len(cases):03}"] = torch.cat(list(result.values()))
                cases.append(case)
                kept += 1
        print(f"{kind}: {wanted} cases")
    save(tensors, out, "losses.py", cases=cases)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    main(sys.argv[1])
