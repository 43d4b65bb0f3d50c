"""Writes what PyTorch makes of single layers, for crates/cnn-nn/tests/pytorch_layers.rs to compare with.

    pip install torch safetensors
    python xtask/peers/layers.py crates/cnn-nn/tests/fixtures/layers.safetensors

The cases are drawn over the whole space of options of every kind of layer (`cases.py`). A case is the JSON description
from which this library builds the layer, which is here built as a module of PyTorch, with a seed. From the seed's
generator come in this order: an input for a first pass, the input, each parameter in visiting order, and the gradient
of the output. Inputs are uniform within the case's `scale`, parameters within 1 / sqrt(elements / first extent), the
gradient within 1.

The file holds one flat tensor for each case, under its number, with these one after the other: the output, the
input's gradient, each parameter's, and the buffers after both passes; then, where training and evaluation differ, the
output of evaluation after them. The metadata names them (`tensors`), parameters and buffers by their paths, and has the output's shape.

Cases whose numbers would test nothing are drawn again (`fixture.sound`).
"""

import sys
from itertools import count

import torch
import modules
from cases import KINDS, drawn
from fixture import nudged, numbers, root_bound, save, sound, uniform
from modules import build, output_shape

def outcome(case, nudge=None, dtype=torch.float64):
    """The names and values that a case's tensor holds; nudged by numbers from `nudge`."""
    source = numbers(case["seed"])

    def tensor(shape, bound):
        return nudged(uniform(source, shape, bound), bound, nudge).to(dtype)

    module = build(case["layer"], case["x"]).to(dtype).train()
    first, x = (tensor(case["x"], case["scale"]) for _ in range(2))
    for parameter in module.parameters():
        parameter.data = tensor(parameter.shape, root_bound(parameter.numel() // len(parameter)))
    module(first)
    y = module(x.requires_grad_())
    y.backward(tensor(y.shape, 1))
    result = {"y": y, "dx": x.grad}
    result |= {name: parameter.grad for name, parameter in module.named_parameters()}
    result |= dict(module.named_buffers())
    if any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in module.modules()):
        result["evaluated"] = module.eval()(x)
    return {name: value.detach().double().flatten() for name, value in result.items()}


#: Layers that draw random numbers of their own.
RANDOM = {"dropout", "dropout2d"}


def main(out):
    if missing := sorted(modules.KINDS.keys() - KINDS.keys() - RANDOM):
        sys.exit(f"cases.py has no cases of {', '.join(missing)}")
    tensors, cases = {}, []
    seeds = count(1)
    for kind, (wanted, _) in KINDS.items():
        kept, refused = [], 0
        for spec, shape, scale in drawn(kind):
            case = {"layer": spec, "x": shape, "scale": scale, "seed": next(seeds)}
            if (spec, shape) in kept:
                continue
            result = sound(lambda **how: outcome(case, **how))
            if result is None:
                refused += 1
                continue
            tensors[f"{len(cases):03}"] = torch.cat(list(result.values()))
            cases.append(case | {"y": output_shape(build(spec, shape), shape), "tensors": list(result)})
            kept.append((spec, shape))
            if len(kept) == wanted:
                break
        print(f"{kind}: {wanted} cases, {refused} refused")
    save(tensors, out, "layers.py", cases=cases)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    main(sys.argv[1])
