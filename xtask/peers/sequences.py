"""Writes what PyTorch makes of the operations on sequences, for crates/cnn-ops/tests/pytorch_sequences.rs to compare with.

    pip install torch safetensors
    python xtask/peers/sequences.py crates/cnn-ops/tests/fixtures/sequences.safetensors

A case is the JSON of what the test needs to make the same call, with a seed. From the seed's generator come, all within 1
and in this order:

- `lstm`, `gru`: the input, the weights of input and state, the two biases if `bias`, the initial state if `initial` (`h0`,
  then `c0`), and the gradients of `y` and of the last state. With `lengths` the sequences are packed and padded again. A
  layer that runs backwards is one half of a bidirectional one.
- `embedding`: the indices, each a whole number modulo the rows of the table; the table; the gradient.
- `matmul`: both factors as they are stored, and the gradient.
- `masked_softmax`: the input, four times as large; the mask, which is 0 for whole numbers below 0, but 1 where it begins a
  row; the gradient.

The file holds one flat tensor for each case, under its number: what comes out, then the gradients, in the order of the
metadata's `tensors`.
"""

import sys

import torch
from fixture import numbers, save, sound, uniform
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def recurrent(case, tensor, whole):
    n, t, d, h = case["extents"]
    lstm = case["op"] == "lstm"
    rows = (4 if lstm else 3) * h
    x = tensor([n, t, d])
    shapes = {"weight_ih": [rows, d], "weight_hh": [rows, h]}
    if case["bias"]:
        shapes |= {"bias_ih": [rows], "bias_hh": [rows]}
    weights = {name: tensor(shape) for name, shape in shapes.items()}
    names = ["h0", "c0"] if lstm else ["h0"]
    states = {name: tensor([n, h]) for name in names} if case["initial"] else {}
    dy, *dstates = (tensor(shape).detach() for shape in [[n, t, h], *[[n, h] for _ in names]])

    kind = torch.nn.LSTM if lstm else torch.nn.GRU
    layer = kind(d, h, bias=case["bias"], batch_first=True, bidirectional=case["reverse"]).to(x.dtype)
    suffix, half = ("_l0_reverse", 1) if case["reverse"] else ("_l0", 0)
    used = {name + suffix: value for name, value in weights.items()}
    initial = None
    if states:
        # The other half of a bidirectional layer begins with zeros.
        both = [torch.stack([torch.zeros_like(s)] * half + [s]) for s in states.values()]
        initial = tuple(both) if lstm else both[0]
    given = x
    if case["lengths"]:
        given = pack_padded_sequence(x, case["lengths"], batch_first=True, enforce_sorted=False)
    parameters = dict(layer.named_parameters()) | used
    y, last = torch.func.functional_call(layer, parameters, (given, initial))
    if case["lengths"]:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=t)
    out = [y[..., half * h :], *(s[half] for s in (last if lstm else [last]))]
    inputs = {"x": x} | weights | states
    gradients = torch.autograd.grad(out, list(inputs.values()), [dy, *dstates])
    named = dict(zip(["y", "h_n", "c_n"], out))
    return named | {f"d{name}": value for name, value in zip(inputs, gradients)}


def embedding(case, tensor, whole):
    rows, dim = case["weight"]
    indices = torch.tensor(whole(case["indices"])).remainder(rows).reshape(case["indices"])
    weight = tensor([rows, dim])
    y = torch.nn.functional.embedding(indices, weight, padding_idx=case["padding_idx"])
    y.backward(tensor(y.shape).detach())
    return {"y": y, "dweight": weight.grad}


def matmul(case, tensor, whole):
    a, b = tensor(case["a"]), tensor(case["b"])
    y = torch.matmul(a.mT if case["transpose_a"] else a, b.mT if case["transpose_b"] else b)
    y.backward(tensor(y.shape).detach())
    return {"y": y, "da": a.grad, "db": b.grad}


def masked_softmax(case, tensor, whole):
    x = tensor(case["x"])
    mask = torch.tensor(whole(case["mask"])).reshape(case["mask"]) >= 0
    mask[..., 0] = True
    # A mask [n, t] is the same for all rows of an image.
    seen = mask if case["mask"] == case["x"] else mask.reshape(case["x"][0], *[1] * (len(case["x"]) - 2), -1)
    y = torch.softmax((4 * x).masked_fill(~seen, -torch.inf), dim=-1)
    y.backward(tensor(y.shape).detach())
    # The gradient of the input that the operation sees.
    return {"y": y, "dx": x.grad / 4}


OPS = {"lstm": recurrent, "gru": recurrent} | {f.__name__: f for f in (embedding, matmul, masked_softmax)}


def outcome(case, nudge=None, dtype=torch.float64):
    """The names and values that a case's tensor holds; nudged by numbers from `nudge`."""
    source = numbers(case["seed"])

    def tensor(shape):
        value = uniform(source, shape, 1)
        value = value if nudge is None else value + uniform(nudge, value.shape, 1e-5)
        return value.to(dtype).requires_grad_()

    def whole(shape):
        return [next(source) for _ in range(torch.Size(shape).numel())]

    result = OPS[case["op"]](case, tensor, whole)
    return {name: value.detach().double().flatten() for name, value in result.items()}


def cases():
    for op in ("lstm", "gru"):
        for extents, reverse, bias, initial, lengths in [
            ([1, 1, 1, 1], False, True, True, None),
            ([3, 5, 4, 6], False, True, True, None),
            ([3, 5, 4, 6], True, True, True, None),
            ([4, 6, 3, 5], False, True, True, [6, 3, 1, 4]),
            ([4, 6, 3, 5], True, True, True, [2, 6, 5, 1]),
            ([2, 7, 8, 17], False, False, False, [5, 7]),
            ([2, 4, 2, 18], True, False, True, None),
        ]:
            yield {"op": op, "extents": extents, "reverse": reverse, "bias": bias, "initial": initial, "lengths": lengths}
    for indices, weight, padding in [
        ([7], [5, 3], None),
        ([4, 6], [9, 4], 0),
        ([2, 3, 4], [6, 17], 5),
    ]:
        yield {"op": "embedding", "indices": indices, "weight": weight, "padding_idx": padding}
    for a, b, transpose_a, transpose_b in [
        ([2, 3, 4], [2, 4, 5], False, False),
        ([2, 3, 4], [2, 5, 4], False, True),
        ([3, 4, 3], [3, 4, 5], True, False),
        ([1, 4, 17], [1, 2, 4], True, True),
        ([2, 3, 4, 6], [2, 3, 5, 6], False, True),
    ]:
        yield {"op": "matmul", "a": a, "b": b, "transpose_a": transpose_a, "transpose_b": transpose_b}
    for x, mask in [([3, 7], [3, 7]), ([2, 3, 18], [2, 18]), ([2, 2, 3, 5], [2, 5]), ([2, 4, 6], [2, 4, 6])]:
        yield {"op": "masked_softmax", "x": x, "mask": mask}


def main(out):
    tensors, described, seed = {}, [], 0
    for case in cases():
        result = None
        # Until the numbers are such as test something.
        while result is None:
            seed += 1
            case["seed"] = seed
            result = sound(lambda **how: outcome(case, **how))
        tensors[f"{len(described):03}"] = torch.cat(list(result.values()))
        described.append(case | {"tensors": list(result)})
    save(tensors, out, "sequences.py", cases=described)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    main(sys.argv[1])
