"""An optimizer at work: its rate, its step, its two kinds of weights, and going on from a state."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, optim

OF_DEVICE = ("lr", "foreach", "fused", "capturable")  # in a group: a matter of the device


def set_rate(optimizer: optim.Optimizer, lr: float | Tensor) -> None:
    """Put a new learning rate in force, in place where it is a tensor (a graph reads that one)."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].copy_(lr) if isinstance(lr, Tensor) else group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def read_rate(optimizer: optim.Optimizer, rates: Tensor, at: Tensor) -> None:
    """Put the rate of a step in force without the host. rates: float32 [steps]; at: int64 [1]."""
    (first, *others) = (group["lr"] for group in optimizer.param_groups)
    torch.index_select(rates, 0, at, out=first.view(1))
    for lr in others:
        if lr is not first:
            lr.copy_(first)


def restore(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Go on from `state_dict()` of the same optimizer, which may have run on another device.

    How this device runs it best stands: torch would take over a GPU's flags, which raise on a CPU.
    They go in beforehand, since by them torch decides where each count of steps lies.
    """
    own = [
        {name: group[name] for name in OF_DEVICE if name in group}
        for group in optimizer.param_groups
    ]
    groups = [saved | flags for saved, flags in zip(state["param_groups"], own, strict=True)]
    optimizer.load_state_dict(state | {"param_groups": groups})
    for group, flags in zip(optimizer.param_groups, own, strict=True):
        group["lr"] = flags["lr"]  # the tensor itself: torch has copied it, and a graph reads it


def stepper(optimizer: optim.Optimizer) -> Callable[[], object]:
    """`optimizer.step` without torch's wrappers for its compiler and profiler.

    Their first call imports the compiler, 2 to 6 s in every worker; each call costs 20 us besides.
    """
    plain = inspect.unwrap(type(optimizer).step)
    return torch.no_grad()(functools.partial(plain, optimizer))


def to_training(optimizer: optim.Optimizer) -> None:
    """Put the weights that are trained in place, where an optimizer has others for scoring."""
    if averages(optimizer):
        optimizer.train()  # type: ignore[attr-defined]


def to_scoring(optimizer: optim.Optimizer) -> bool:
    """Put the averaged weights in place, where an optimizer has such; whether it has."""
    if averages(optimizer):
        optimizer.eval()  # type: ignore[attr-defined]
        return True
    return False


def averages(optimizer: optim.Optimizer | type[optim.Optimizer]) -> bool:
    """Whether it averages by itself: the schedule-free ones have `train` and `eval`."""
    return hasattr(optimizer, "train") and hasattr(optimizer, "eval")


@functools.cache
def spare_the_compiler() -> None:
    """Let torch's optimizers be made and saved without importing the compiler, which is not used.

    torch wraps these methods with a lazy import; where it no longer does, nothing changes here.
    """
    for name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"):
        method = getattr(getattr(optim.Optimizer, name), "__wrapped__", None)
        if method is not None:
            setattr(method, "__dynamo_disable", method)
