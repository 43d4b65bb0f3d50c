"""What the scripts share that write PyTorch's numbers for tests to compare with.

PyTorch computes in float64, so that a test's tolerance is for the rounding errors of this library alone, and on one
thread, so that two runs write the same bytes. Inputs and parameters are drawn from a generator that both sides have
(`numbers`), so files do not hold them.
"""

import json
import math
import platform
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file


def numbers(seed):
    """Whole numbers from -2^23 to 2^23 - 1: the upper 24 bits of Knuth's 64-bit linear congruential generator."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 40) - 2**23


def uniform(source, shape, bound):
    """A tensor within `bound`, computed by operations on float32 that IEEE 754 rounds in one way only."""
    whole = torch.tensor([next(source) for _ in range(math.prod(shape))], dtype=torch.float32)
    return (whole / 2**23 * bound).reshape(shape).double()


def root_bound(count):
    """1 / sqrt(count) in float32."""
    return 1 / torch.tensor(count, dtype=torch.float32).sqrt()


#: What the tests allow, relative to the largest magnitude in a tensor.
TOLERANCE = 1e-5
#: The largest change of an input or a parameter, relative to its bound, and of what comes out, relative to its largest.
NUDGE = 1e-5
CHANGE = 3e-4
#: How often each case is nudged.
NUDGES = 4


def nudged(value, bound, nudge):
    """`value`, unless `nudge` is None with numbers from it added."""
    return value if nudge is None else value + uniform(nudge, value.shape, bound * NUDGE)


def sound(outcome):
    """What `outcome()` gives, tensors by name, if comparing with it tests something, else nothing.

    It does not where rounding errors would say as much as the library does:

    - where a number changes by 30 times as much as an input does (`outcome(nudge=...)`), all relative to the largest of
      their tensor. So no maximum has a close rival, no activation is at a kink, and no gradient is 0 but for rounding.
    - where PyTorch's own float32 is wrong by more than a tenth of what the tests allow.
    """
    result = outcome()
    if not all(value.isfinite().all() and value.any() for value in result.values()):
        return None

    def error(other):
        return max((other[name] - value).abs().max() / value.abs().max() for name, value in result.items())

    nudge = numbers(0)
    if error(outcome(dtype=torch.float32)) > TOLERANCE / 10:
        return None
    if any(error(outcome(nudge=nudge)) > CHANGE for _ in range(NUDGES)):
        return None
    return result


def save(tensors, out, script, **about):
    """Writes `tensors` as float32 to `out`, and `about` as JSON with the versions that made the file."""
    tensors = {key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}
    python = f"Python {platform.python_version()}"
    made = f"xtask/peers/{script}, {python}, torch {torch.__version__}, safetensors {safetensors.__version__}"
    # One key alone, the one that cnn_nn::checkpoint reads: safetensors writes several in random order.
    save_file(tensors, out, metadata={"cnn": json.dumps({"made_by": made, **about}, separators=(",", ":"))})
    print(f"{out}: {len(tensors)} tensors, {Path(out).stat().st_size:,} bytes, {made}")
