"""Builders of pytorch-optimizer's classes, each a row of the table in optimizers.py.

Its import takes seconds: only for who asks for one of them. Their counts of steps and what follows
from them live on the host, so none of them goes into a CUDA graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import optim

if TYPE_CHECKING:
    from objectives.config import TrainConfig
    from objectives.optimizers import Extras, Trained


def adabound(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's AdaBound: Adam that turns into SGD (1902.09843); decoupled decay."""
    from pytorch_optimizer import AdaBound

    return AdaBound(
        parameters,
        lr=extras["lr"],
        final_lr=config.final_lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        eps=config.epsilon,
    )


def lion(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's Lion: the sign of a momentum (2302.06675); decoupled decay."""
    from pytorch_optimizer import Lion

    return Lion(parameters, betas=(config.beta1, config.beta2), **extras)


def adan(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's Adan: Nesterov's momentum from differences of gradients (2208.06677);
    decoupled decay."""
    from pytorch_optimizer import Adan

    betas = (config.beta1, config.beta2, config.beta3)
    return Adan(parameters, betas=betas, eps=config.epsilon, **extras)


def lamb(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's Lamb: Adam, each step as long as its weights (1904.00962, version 3);
    the decay is part of the step."""
    from pytorch_optimizer import Lamb

    betas = (config.beta1, config.beta2)
    # without adam_debias the first steps are ten times as long as the rate
    form = {"weight_decouple": False, "adam_debias": True}
    return Lamb(parameters, betas=betas, eps=config.epsilon, **form, **extras)


def prodigy(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's Prodigy: Adam that finds its rate, which lr multiplies (2306.06101);
    decoupled decay."""
    from pytorch_optimizer import Prodigy

    betas = (config.beta1, config.beta2)
    return Prodigy(parameters, betas=betas, eps=config.epsilon, d_coef=config.d_coef, **extras)


def schedule_free_sgd(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """pytorch-optimizer's ScheduleFreeSGD: averaged weights in place of a schedule (2405.15682)."""
    from pytorch_optimizer import ScheduleFreeSGD

    return ScheduleFreeSGD(parameters, momentum=config.momentum, **extras)


def schedule_free_adamw(
    parameters: Trained, config: TrainConfig, extras: Extras
) -> optim.Optimizer:
    """pytorch-optimizer's ScheduleFreeAdamW: averaged weights in place of a schedule (2405.15682);
    decoupled decay."""
    from pytorch_optimizer import ScheduleFreeAdamW

    betas = (config.beta1, config.beta2)
    return ScheduleFreeAdamW(parameters, betas=betas, eps=config.epsilon, **extras)
