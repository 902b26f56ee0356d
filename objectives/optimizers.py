"""Optimizers by name: torch's own classes, and AdaBound from pytorch-optimizer.

One row each: how it is built, which knobs it reads, and where its defaults leave `TrainConfig`'s.
Names and meanings are torch's; defaults are Keras', on which the source documents rely.

Where torch and Keras 3 differ by design (each pinned in the tests):

* A moving learning rate and momentum (sgd, rmsprop): Keras multiplies the gradient by the rate
  *before* it enters the momentum buffer, torch afterwards. Equal at a constant rate; else they
  part by about lr_decay times the way gone, a step: little at the notebook's 1e-6.
* epsilon: rmsprop and adagrad add it outside the root, as the Keras of the notebook did, Keras 3
  inside; adam, adamw and amsgrad add it after the bias correction, Keras before.
* nadam: torch's `momentum_decay` is 0.004, Keras 3 has none; ours is 1.0, which equals Keras 3.
* weight_decay is an L2 term in the gradient, but decoupled in adamw and adabound.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn, optim

if TYPE_CHECKING:
    from objectives.config import TrainConfig

Extras = dict[str, Any]  # lr, weight_decay, and how this device runs it best
Trained = list[nn.Parameter] | list[dict[str, Any]]  # or groups of them, as torch has it
Builder = Callable[[Trained, "TrainConfig", Extras], optim.Optimizer]


@dataclass(frozen=True)
class Optimizer:
    """One row: `reads` are the knobs besides `lr`, `defaults` those that are its own."""

    build: Builder
    reads: tuple[str, ...]
    defaults: Mapping[str, float] = field(default_factory=dict)
    fused_on_cpu: bool = False


def _sgd(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.SGD: stochastic gradient descent, with momentum and Nesterov's if wanted."""
    nesterov = config.nesterov and config.momentum > 0  # torch refuses it at 0: plain SGD in Keras
    return optim.SGD(parameters, momentum=config.momentum, nesterov=nesterov, **extras)


def _rmsprop(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.RMSprop: each step divided by a running size of its gradients."""
    return optim.RMSprop(
        parameters,
        alpha=config.rho,
        momentum=config.momentum,
        centered=config.centered,
        eps=config.epsilon,
        **extras,
    )


def _adam(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.Adam: momentum and rmsprop together (1412.6980)."""
    return optim.Adam(
        parameters, betas=_betas(config), eps=config.epsilon, amsgrad=config.amsgrad, **extras
    )


def _adamw(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.AdamW: Adam with decoupled weight decay (1711.05101)."""
    return optim.AdamW(
        parameters, betas=_betas(config), eps=config.epsilon, amsgrad=config.amsgrad, **extras
    )


def _nadam(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.NAdam: Adam with Nesterov's momentum (Dozat, 2016)."""
    return optim.NAdam(
        parameters,
        betas=_betas(config),
        eps=config.epsilon,
        momentum_decay=config.momentum_decay,
        **extras,
    )


def _adagrad(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.Adagrad: each step divided by the size of all gradients so far."""
    return optim.Adagrad(
        parameters,
        initial_accumulator_value=config.initial_accumulator,
        eps=config.epsilon,
        **extras,
    )


def _adadelta(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.Adadelta: steps sized by the steps before them (1212.5701)."""
    return optim.Adadelta(parameters, rho=config.rho, eps=config.epsilon, **extras)


def _adabound(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's AdaBound: Adam that turns into SGD (1902.09843)."""
    from pytorch_optimizer import AdaBound  # seconds to import: only for who asks for it

    return AdaBound(
        parameters,
        lr=extras["lr"],
        final_lr=config.final_lr,
        betas=_betas(config),
        weight_decay=config.weight_decay,
        eps=config.epsilon,
    )


def _betas(config: TrainConfig) -> tuple[float, float]:
    return config.beta1, config.beta2


_DECAY = ("weight_decay", "decay_norm_and_bias")
_ADAM = (*_DECAY, "beta1", "beta2", "epsilon")
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(_sgd, ("momentum", "nesterov", *_DECAY), {"lr": 0.01}, fused_on_cpu=True),
    "rmsprop": Optimizer(_rmsprop, ("momentum", *_DECAY, "rho", "centered", "epsilon")),
    "adam": Optimizer(_adam, (*_ADAM, "amsgrad"), fused_on_cpu=True),
    "adamw": Optimizer(_adamw, (*_ADAM, "amsgrad"), {"weight_decay": 0.01}, fused_on_cpu=True),
    "nadam": Optimizer(_nadam, (*_ADAM, "momentum_decay")),
    "adagrad": Optimizer(
        _adagrad,
        (*_DECAY, "initial_accumulator", "epsilon"),
        fused_on_cpu=True,
    ),
    "adadelta": Optimizer(_adadelta, (*_DECAY, "rho", "epsilon"), {"rho": 0.95}),
    "adabound": Optimizer(_adabound, (*_ADAM, "final_lr"), {"epsilon": 1e-8}),
}


# How a graph on the GPU wants each optimizer: the rate as a tensor, no state on the host.
_FUSED_GRAPH = {"fused": True, "capturable": True}
_FOREACH_GRAPH = {"foreach": True, "capturable": True}
GRAPHED: dict[str, Extras] = {
    "sgd": {"fused": True},
    "adam": _FUSED_GRAPH,
    "adamw": _FUSED_GRAPH,
    "rmsprop": _FOREACH_GRAPH,
    "nadam": _FOREACH_GRAPH,
    "adadelta": _FOREACH_GRAPH,
}  # adagrad and adabound compute their rate on the host at every step


OF_DEVICE = ("lr", "foreach", "fused", "capturable")  # in a group: a matter of the device


def build(
    parameters: Iterable[nn.Parameter], config: TrainConfig, lr: float, *, graphed: bool = False
) -> optim.Optimizer:
    """The optimizer of `config` over the parameters that are trained.

    lr: the first learning rate (a phase has its own). graphed: for a step inside a CUDA graph,
    whose rate is a tensor on the device, since a graph bakes a float in.
    """
    _spare_the_compiler()
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    row, device = OPTIMIZERS[config.optimizer], trained[0].device
    extras: Extras = {"lr": lr, "weight_decay": config.weight_decay}
    if graphed:
        extras |= {"lr": torch.tensor(lr, device=device)} | GRAPHED[config.optimizer]
    else:
        extras |= (
            {"fused": True} if row.fused_on_cpu and device.type == "cpu" else {"foreach": True}
        )
    return row.build(_groups(trained, config), config, extras)


def _groups(trained: list[nn.Parameter], config: TrainConfig) -> Trained:
    """Without decay of norms and biases two groups: their weights are those of one dimension."""
    if config.decay_norm_and_bias:
        return trained
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def set_rate(optimizer: optim.Optimizer, lr: float | Tensor) -> None:
    """Put a new learning rate in force, in place where it is a tensor (a graph reads that one)."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].copy_(lr) if isinstance(lr, Tensor) else group["lr"].fill_(lr)
        else:
            group["lr"] = lr


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


@functools.cache
def _spare_the_compiler() -> None:
    """Let torch's optimizers be made and saved without importing the compiler, which is not used.

    torch wraps these methods with a lazy import; where it no longer does, nothing changes here.
    """
    for name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"):
        method = getattr(getattr(optim.Optimizer, name), "__wrapped__", None)
        if method is not None:
            setattr(method, "__dynamo_disable", method)
