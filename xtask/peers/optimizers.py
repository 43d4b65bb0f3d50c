"""Writes what PyTorch's optimizers and schedules do, for crates/cnn-nn/tests/pytorch_optimizers.rs to compare with.

    pip install torch safetensors
    python xtask/peers/optimizers.py crates/cnn-nn/tests/fixtures/optimizers.safetensors

The problem is 23 numbers, the parameters of two linear layers (a: 4 to 3, b: 3 to 2), whose gradients are

    gradient = slope * value + noise(step)

with values, slopes and noise from a generator that both sides have (`Problem`). The file holds:

    OPTIMIZER.values      the values after every tenth of 100 steps, [10, 23]; likewise of those that follow
    OPTIMIZER.norms       the norm that `clip_grad_norm_` returned in each step, [100], where it was called
    OPTIMIZER.penalties   the penalty before each step, [100], where there was one
    SCHEDULE.rates        the learning rate of each of 100 steps, [100]
    trainer.*             of a small network in training, with everything at once: values, averages, losses, norms,
                          penalties and rates

PyTorch has no Lion, so that is written here from the paper. PyTorch computes in float64, so that the test's tolerance
is for the rounding errors of this library alone, and on one thread, so that two runs write the same bytes. Where a
step depends on a sign, the script makes sure that no rounding error decides it.
"""

import platform
import sys
from pathlib import Path

import safetensors
import torch
from fixture import numbers
from safetensors.torch import save_file
from torch import nn
from torch.optim import lr_scheduler as lrs
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

STEPS = 100
EVERY = 10
STEPS_PER_EPOCH = 5
# What a number must be away from 0 where its sign matters.
APART = 1e-5


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                assert c.abs().min() > APART, f"a sign hangs on rounding: {c.abs().min()}"
                p.sub_(group["lr"] * (c.sign() + group["weight_decay"] * p))
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


def fractions():
    """Numbers from -1 to below 1 that a float32 holds exactly."""
    return (n / 2**23 for n in numbers(1))


class Problem:
    """Parameters by name, with gradients by the formula above."""

    def __init__(self):
        self.source = fractions()
        self.net = nn.Sequential()
        self.net.add_module("a", nn.Linear(4, 3, dtype=torch.float64))
        self.net.add_module("b", nn.Linear(3, 2, dtype=torch.float64))
        self.parameters = dict(self.net.named_parameters())
        for p in self.parameters.values():
            p.data = self.draw(p)
        self.slopes = {name: self.draw(p).abs() for name, p in self.parameters.items()}

    def draw(self, like):
        return torch.tensor([next(self.source) for _ in range(like.numel())], dtype=torch.float64).reshape(like.shape)

    def set_gradients(self):
        for name, p in self.parameters.items():
            p.grad = self.slopes[name] * p.detach() + self.draw(p)

    def values(self):
        return flat(self.parameters.values())


def flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


def penalty_of(parameters, l1, l2):
    """Of the weights, which have two axes."""
    weights = [p for p in parameters if p.dim() >= 2]
    if l1 > 0:
        assert min(w.abs().min() for w in weights) > APART, "a sign hangs on rounding"
    return sum(l1 * w.abs().sum() + l2 / 2 * w.square().sum() for w in weights)


def grouped(named):
    """Groups as the test's `groups()`: a.bias frozen, b at half the rate with a weight decay of its own."""
    named = dict(named)
    b = {"params": [named.pop("b.weight"), named.pop("b.bias")], "rate": 0.5, "weight_decay": 0.1}
    named.pop("a.bias")
    return [{"params": list(named.values())}, b]


def with_rate(groups, rate):
    return [{**group, "lr": rate * group.pop("rate", 1.0)} for group in groups]


OPTIM = torch.optim
OPTIMIZERS = {
    "sgd": lambda p: OPTIM.SGD(p, lr=0.1),
    "sgd_decay": lambda p: OPTIM.SGD(p, lr=0.1, weight_decay=0.1),
    "sgd_momentum": lambda p: OPTIM.SGD(p, lr=0.1, momentum=0.9),
    "sgd_dampening": lambda p: OPTIM.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "sgd_nesterov": lambda p: OPTIM.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: OPTIM.Adam(p, lr=0.01),
    "adam_options": lambda p: OPTIM.Adam(p, lr=0.01, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1),
    "adam_amsgrad": lambda p: OPTIM.Adam(p, lr=0.01, betas=(0.8, 0.5), amsgrad=True),
    "adamw": lambda p: OPTIM.AdamW(p, lr=0.01),
    "adamw_options": lambda p: OPTIM.AdamW(p, lr=0.01, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.5),
    "adamw_amsgrad": lambda p: OPTIM.AdamW(p, lr=0.01, betas=(0.8, 0.5), amsgrad=True),
    "rmsprop": lambda p: OPTIM.RMSprop(p, lr=0.01),
    "rmsprop_options": lambda p: OPTIM.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-3, weight_decay=0.1),
    "rmsprop_momentum": lambda p: OPTIM.RMSprop(p, lr=0.01, momentum=0.5),
    "rmsprop_centered": lambda p: OPTIM.RMSprop(p, lr=0.01, centered=True),
    "rmsprop_all": lambda p: OPTIM.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.5, centered=True, weight_decay=0.1),
    "adagrad": lambda p: OPTIM.Adagrad(p, lr=0.1),
    "adagrad_options": lambda p: OPTIM.Adagrad(
        p, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-3
    ),
    "lion": lambda p: Lion(p, lr=0.01),
    "lion_options": lambda p: Lion(p, lr=0.01, betas=(0.5, 0.75), weight_decay=0.5),
}


def train(make, groups=False, max_norm=None, clip_value=None, l1=0.0, l2=0.0):
    problem = Problem()
    params = grouped(problem.parameters.items()) if groups else [{"params": list(problem.parameters.values())}]
    optimizer = make(params)
    trained = [p for group in params for p in group["params"]]
    out = {"values": [], "norms": [], "penalties": []}
    for step in range(1, STEPS + 1):
        problem.set_gradients()
        if l1 or l2:
            penalty = penalty_of(trained, l1, l2)
            penalty.backward()
            out["penalties"].append(penalty.detach())
        if max_norm:
            out["norms"].append(nn.utils.clip_grad_norm_(trained, max_norm))
        if clip_value:
            nn.utils.clip_grad_value_(trained, clip_value)
        optimizer.step()
        if step % EVERY == 0:
            out["values"].append(problem.values())
    return {key: torch.stack(tensors) for key, tensors in out.items() if tensors}


def momentum(params):
    return OPTIM.SGD(with_rate(params, 0.1), momentum=0.9, weight_decay=0.05)


TREATMENTS = {
    "groups": lambda: train(momentum, groups=True),
    "clip_norm": lambda: train(momentum, max_norm=3.0),
    "clip_value": lambda: train(momentum, clip_value=0.25),
    "penalty": lambda: train(momentum, l1=0.01, l2=0.04),
    "everything": lambda: train(momentum, groups=True, max_norm=2.0, l1=0.01, l2=0.04),
}


def rates(make, step=lambda scheduler, i: scheduler.step()):
    """The rate of each step of a schedule that is asked after each."""
    optimizer = OPTIM.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = make(optimizer)
    out = []
    for i in range(STEPS):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if i + 1 < STEPS:
            step(scheduler, i)
    return torch.tensor(out, dtype=torch.float64)


def each_epoch(scheduler, i):
    if (i + 1) % STEPS_PER_EPOCH == 0:
        scheduler.step()


def by_fraction(scheduler, i):
    scheduler.step((i + 1) / STEPS_PER_EPOCH)


def warm_up(steps, start_factor, make):
    def build(optimizer):
        first = lrs.LinearLR(optimizer, start_factor=start_factor, total_iters=steps)
        return lrs.SequentialLR(optimizer, [first, make(optimizer)], milestones=[steps])

    return build


def plateaus():
    """Epochs of one step; the loss falls, ever slower, and with noise."""
    options = {
        "plateau": dict(factor=0.5, patience=2, threshold=1e-2, cooldown=2, min_lr=2e-3),
        "plateau_abs": dict(factor=0.7, patience=1, threshold=1e-2, threshold_mode="abs", eps=1e-2),
        "plateau_default": dict(),
    }
    for name, kwargs in options.items():
        source = fractions()
        losses = [1 / (1 + i / 4) + 0.05 * next(source) for i in range(STEPS)]
        yield name, rates(
            lambda optimizer: lrs.ReduceLROnPlateau(optimizer, **kwargs),
            lambda scheduler, i: scheduler.step(losses[i]),
        )


SCHEDULES = {
    "step": lambda: rates(lambda o: lrs.StepLR(o, 3, 0.5), each_epoch),
    "multi_step": lambda: rates(lambda o: lrs.MultiStepLR(o, [2, 7, 8], 0.3), each_epoch),
    "exponential": lambda: rates(lambda o: lrs.ExponentialLR(o, 0.8), each_epoch),
    "cosine": lambda: rates(lambda o: lrs.CosineAnnealingLR(o, STEPS)),
    "restarts": lambda: rates(lambda o: lrs.CosineAnnealingWarmRestarts(o, 3), by_fraction),
    "restarts_longer": lambda: rates(
        lambda o: lrs.CosineAnnealingWarmRestarts(o, 2, T_mult=2, eta_min=0.01), by_fraction
    ),
    "one_cycle": lambda: rates(lambda o: lrs.OneCycleLR(o, 0.5, total_steps=STEPS, cycle_momentum=False)),
    "polynomial": lambda: rates(lambda o: lrs.PolynomialLR(o, STEPS)),
    "polynomial_power": lambda: rates(lambda o: lrs.PolynomialLR(o, STEPS, power=0.9)),
    "warm_up_constant": lambda: rates(warm_up(20, 1 / 3, lambda o: lrs.ConstantLR(o, 1.0))),
    "warm_up_cosine": lambda: rates(warm_up(10, 0.1, lambda o: lrs.CosineAnnealingLR(o, STEPS - 10))),
    "warm_up_step": lambda: rates(warm_up(10, 0.1, lambda o: lrs.StepLR(o, 3 * STEPS_PER_EPOCH, 0.5))),
    "warm_up_polynomial": lambda: rates(warm_up(10, 0.1, lambda o: lrs.PolynomialLR(o, STEPS - 10, power=2.0))),
}


def trainer():
    """A network in training with everything at once: 16 images of 4 numbers in 2 classes, one batch."""
    problem = Problem()
    net = nn.Sequential(problem.net.a, nn.Tanh(), problem.net.b)
    x = problem.draw(torch.empty(16, 4))
    labels = torch.arange(16) % 2
    params = grouped(problem.parameters.items())
    trained = [p for group in params for p in group["params"]]
    optimizer = OPTIM.AdamW(with_rate(params, 0.05), weight_decay=0.02)
    schedule = warm_up(10, 0.1, lambda o: lrs.CosineAnnealingLR(o, STEPS - 10))(optimizer)
    averaged = AveragedModel(net, avg_fn=get_ema_avg_fn(0.9))
    out = {key: [] for key in ("values", "averages", "losses", "norms", "penalties", "rates")}
    for step in range(1, STEPS + 1):
        net.zero_grad()
        loss = nn.functional.cross_entropy(net(x), labels)
        penalty = penalty_of(trained, 1e-3, 4e-3)
        (loss + penalty).backward()
        out["losses"].append(loss.detach())
        out["penalties"].append(penalty.detach())
        out["norms"].append(nn.utils.clip_grad_norm_(trained, 0.1))
        out["rates"].append(torch.tensor(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        averaged.update_parameters(net)
        schedule.step()
        if step % EVERY == 0:
            out["values"].append(flat(net.parameters()))
            out["averages"].append(flat(averaged.module.parameters()))
    return {key: torch.stack(tensors) for key, tensors in out.items()}


def main(out):
    tensors = {}
    for name, make in OPTIMIZERS.items():
        tensors[f"{name}.values"] = train(make)["values"]
    for name, run in {**TREATMENTS, "trainer": trainer}.items():
        for key, tensor in run().items():
            tensors[f"{name}.{key}"] = tensor
    for name, run in SCHEDULES.items():
        tensors[f"{name}.rates"] = run()
    for name, tensor in plateaus():
        tensors[f"{name}.rates"] = tensor
    for key, tensor in tensors.items():
        print(f"{key}: from {tensor.flatten()[0]:.5f} to {tensor.flatten()[-1]:.5f}")
    tensors = {key: tensor.float().contiguous() for key, tensor in tensors.items()}
    # One key alone: safetensors writes several in random order.
    python = f"Python {platform.python_version()}"
    made = f"xtask/peers/optimizers.py, {python}, torch {torch.__version__}, safetensors {safetensors.__version__}"
    save_file(tensors, out, metadata={"made_by": made})
    print(f"{out}: {len(tensors)} tensors, {Path(out).stat().st_size:,} bytes, {made}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    main(sys.argv[1])
