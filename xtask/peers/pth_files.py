"""Files of torch.save for the tests of crates/cnn-pth, and the tensors that are in them.

    pip install torch
    python xtask/peers/pth_files.py

Writes crates/cnn-pth/tests/fixtures: the files, and expected.json with each tensor's type, extents and numbers.
"""

import json
from collections import OrderedDict
from pathlib import Path

import torch

OUT = Path(__file__).parents[2] / "crates/cnn-pth/tests/fixtures"


def state():
    """Every type, and every way in which a tensor can lie in its storage."""
    whole = torch.arange(24, dtype=torch.float32)
    tied = torch.tensor([1.5, -2.5])
    made = OrderedDict()
    made["f32"] = whole.reshape(2, 3, 4) / 8
    made["transposed"] = whole.reshape(4, 6).t()
    made["part"] = whole[5:17:3]
    made["last_axes"] = whole.reshape(2, 3, 4)[:, 1:, :2]
    made["channels_last"] = whole.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    made["scalar"] = torch.tensor(3.25)
    made["empty"] = torch.zeros(0, 3)
    made["tied.a"], made["tied.b"] = tied, tied
    made["parameter"] = torch.nn.Parameter(torch.tensor([0.125, 7.0]))
    for name in ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"):
        made[name] = torch.tensor([0, 1, 2, 3]).to(getattr(torch, name))
    made["bn.num_batches_tracked"] = torch.tensor(12345)
    # As a module leaves it.
    made._metadata = OrderedDict([("", {"version": 1}), ("bn", {"version": 2})])
    return made


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    made = state()
    torch.save(made, OUT / "zip.pth")
    torch.save(made, OUT / "legacy.pth", _use_new_zipfile_serialization=False)
    small = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([0.5])}
    optimizer = torch.optim.SGD([torch.nn.Parameter(small["weight"])], lr=0.1, momentum=0.9)
    checkpoint = {"epoch": 3, "best": 0.75, "arch": "net", "optimizer": optimizer.state_dict(), "state_dict": small}
    torch.save(checkpoint, OUT / "checkpoint.pth")
    torch.save({"model": small, "device": torch.device("cpu"), "size": torch.Size([1, 2])}, OUT / "protocol4.pth", pickle_protocol=4)
    torch.save(torch.nn.Linear(2, 1), OUT / "module.pth")
    torch.save([1, 2], OUT / "list.pth")
    torch.jit.script(torch.nn.Linear(2, 1)).save(str(OUT / "script.pt"))
    expected = {
        name: {"element": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "values": t.double().flatten().tolist()}
        for name, t in made.items()
    }
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
