"""Optimizers by name: torch's own classes, and of pytorch-optimizer what torch lacks (kin.py).
Any other class of the two by its own name: named.py.

One row each: how it is built, which knobs it reads, and where its defaults leave `TrainConfig`'s.
Names and meanings are torch's; defaults are Keras', on which the source documents rely, and of
what the notebook did not know those of torch, else of the paper and its authors' code.

Where torch and Keras 3 differ by design (each pinned in the tests):

* A moving learning rate and momentum (sgd, rmsprop): Keras multiplies the gradient by the rate
  *before* it enters the momentum buffer, torch afterwards. Equal at a constant rate; else they
  part by about lr_decay times the way gone, a step: little at the notebook's 1e-6.
* epsilon: rmsprop and adagrad add it outside the root, as the Keras of the notebook did, Keras 3
  inside; adam, adamw and amsgrad add it after the bias correction, Keras before.
* nadam: torch's `momentum_decay` is 0.004, Keras 3 has none; ours is 1.0, which equals Keras 3.
* weight_decay is an L2 term in the gradient of sgd, rmsprop, adam, nadam, radam, adagrad, adadelta
  and schedule_free_sgd; it is decoupled in all others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn, optim

from objectives import kernels, kin, named, stepping
from objectives.muon import Muon

if TYPE_CHECKING:
    from objectives.config import TrainConfig

Extras = dict[str, Any]  # lr, weight_decay, and how this device runs it best
Trained = list[nn.Parameter] | list[dict[str, Any]]  # or groups of them, as torch has it
Builder = Callable[[Trained, "TrainConfig", Extras], optim.Optimizer]


@dataclass(frozen=True)
class Optimizer:
    """One row: `reads` are the knobs besides `lr`, `defaults` those that are its own, `above_zero`
    those that must not be 0 here; `in_two_groups`: matrices and vectors are always apart;
    `moments`: numbers that it keeps for each weight, at most."""

    build: Builder
    reads: tuple[str, ...]
    defaults: Mapping[str, float] = field(default_factory=dict)
    fused_on_cpu: bool = False
    above_zero: tuple[str, ...] = ()
    in_two_groups: bool = False
    moments: int = 2


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


def _nadamw(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.NAdam with decoupled weight decay."""
    return _nadam(parameters, config, {**extras, "decoupled_weight_decay": True})


def _radam(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """torch.optim.RAdam: Adam that waits for its second moment (1908.03265)."""
    return optim.RAdam(parameters, betas=_betas(config), eps=config.epsilon, **extras)


def _muon(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """Orthogonal momentum for matrices and convolutions (as torch.optim.Muon), AdamW for the rest,
    at one rate (2502.16982); decoupled decay."""
    kinds: dict[bool, dict[str, Any]] = {
        True: {"use_muon": True, "momentum": config.momentum, "nesterov": config.nesterov},
        False: {"use_muon": False, "betas": _betas(config), "eps": config.epsilon},
    }
    decay, groups = {"weight_decay": config.weight_decay}, cast("list[dict[str, Any]]", parameters)
    parts = [{**decay, **group, **kinds[group["params"][0].ndim > 1]} for group in groups]
    return Muon(parts, extras["lr"])


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


def _betas(config: TrainConfig) -> tuple[float, float]:
    return config.beta1, config.beta2


_DECAY = ("weight_decay", "decay_norm_and_bias")
_ALL = (*_DECAY, "ema_decay")  # what averages by itself needs no other average
_ADAM = (*_ALL, "beta1", "beta2", "epsilon")
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(
        _sgd, ("momentum", "nesterov", *_ALL), {"lr": 0.01}, fused_on_cpu=True, moments=1
    ),
    "rmsprop": Optimizer(_rmsprop, ("momentum", *_ALL, "rho", "centered", "epsilon"), moments=3),
    "adam": Optimizer(_adam, (*_ADAM, "amsgrad"), fused_on_cpu=True, moments=3),
    "adamw": Optimizer(
        _adamw, (*_ADAM, "amsgrad"), {"weight_decay": 0.01}, fused_on_cpu=True, moments=3
    ),
    "nadam": Optimizer(_nadam, (*_ADAM, "momentum_decay")),
    "nadamw": Optimizer(
        _nadamw, (*_ADAM, "momentum_decay"), {"weight_decay": 0.01, "epsilon": 1e-8}
    ),
    "radam": Optimizer(_radam, _ADAM, {"epsilon": 1e-8}),
    "adagrad": Optimizer(
        _adagrad,
        (*_ALL, "initial_accumulator", "epsilon"),
        fused_on_cpu=True,
        moments=1,
    ),
    "adadelta": Optimizer(_adadelta, (*_ALL, "rho", "epsilon"), {"rho": 0.95}),
    "adabound": Optimizer(kin.adabound, (*_ADAM, "final_lr"), {"epsilon": 1e-8}),
    "lion": Optimizer(
        kin.lion, (*_ALL, "beta1", "beta2"), {"lr": 1e-4, "beta2": 0.99}, moments=1
    ),  # its authors' code
    "muon": Optimizer(
        _muon,
        ("momentum", "nesterov", *_ADAM),
        # torch's, and of its AdamW those of 2502.16982
        {"momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "beta2": 0.95, "epsilon": 1e-8},
        in_two_groups=True,
    ),
    "adan": Optimizer(
        kin.adan,
        (*_ADAM, "beta3"),
        # its authors' code, where 0.02 of decay is said to suit every task
        {"beta1": 0.98, "beta2": 0.92, "weight_decay": 0.02, "epsilon": 1e-8},
        moments=4,
    ),
    "lamb": Optimizer(kin.lamb, _ADAM, {"epsilon": 1e-6}),  # the paper's
    "prodigy": Optimizer(kin.prodigy, (*_ADAM, "d_coef"), {"lr": 1.0, "epsilon": 1e-8}, moments=4),
    "schedule_free_sgd": Optimizer(
        kin.schedule_free_sgd,
        ("momentum", *_DECAY),
        {"lr": 1.0, "momentum": 0.9},
        above_zero=("momentum",),
        moments=1,
    ),
    "schedule_free_adamw": Optimizer(
        kin.schedule_free_adamw,
        (*_DECAY, "beta1", "beta2", "epsilon"),
        {"lr": 2.5e-3, "epsilon": 1e-8},
        above_zero=("beta1",),
    ),
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
    "nadamw": _FOREACH_GRAPH,
    "radam": _FOREACH_GRAPH,
    "adadelta": _FOREACH_GRAPH,
}  # muon and pytorch-optimizer's compute their rate on the host at every step
if kernels.has_cuda("_fused_adagrad_.tensor_lr"):  # adagrad does without it
    GRAPHED["adagrad"] = {"fused": True}


@functools.cache
def row(name: str) -> Optimizer:
    """The row of a name; of a class of another library one made from its signature. Raises
    ValueError where there is no such class."""
    if named.is_named(name):
        return Optimizer(named.build, named.reads(name), named.defaults(name))
    return OPTIMIZERS[name]


def moments(name: str, args: Mapping[str, Any]) -> int:
    """Numbers that it keeps for each weight, at most; of a class of another library, with `args`,
    counted."""
    return named.moments(name, args) if named.is_named(name) else OPTIMIZERS[name].moments


def build(
    parameters: Iterable[nn.Parameter], config: TrainConfig, lr: float, *, graphed: bool = False
) -> optim.Optimizer:
    """The optimizer of `config` over the parameters that are trained.

    lr: the first learning rate (a phase has its own). graphed: for a step inside a CUDA graph,
    whose rate is a tensor on the device, since a graph bakes a float in.
    """
    stepping.spare_the_compiler()
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    made, device = row(config.optimizer), trained[0].device
    extras: Extras = {"lr": lr, "weight_decay": config.weight_decay}
    if graphed:
        extras |= {"lr": torch.tensor(lr, device=device)} | GRAPHED[config.optimizer]
    else:
        extras |= (
            {"fused": True} if made.fused_on_cpu and device.type == "cpu" else {"foreach": True}
        )
    return made.build(_groups(trained, config, made.in_two_groups), config, extras)


def _groups(trained: list[nn.Parameter], config: TrainConfig, always: bool) -> Trained:
    """Without decay of norms and biases two groups: their weights are those of one dimension."""
    if config.decay_norm_and_bias and not always:
        return trained
    spared = {} if config.decay_norm_and_bias else {"weight_decay": 0.0}
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, **spared}]
    return [group for group in groups if group["params"]]
