"""Learning-rate schedules: plain functions from the step to the rate, an epoch's rates at once.

Names, parameters and values are those of torch's schedulers (the tests hold them against the
closed formulas and against torch's own classes), but no state is kept: a resumed run cannot
differ, nothing runs per step, and a CUDA graph reads the rates of an epoch from one tensor.

Units: a step is one optimizer step. `step` and `exponential` change between epochs, as torch's
are used; `inverse_time`, `cosine`, `cosine_warm_restarts`, `cyclical` and `one_cycle` move with
every step, their lengths given in epochs. Warm-up rises linearly to `lr` over `warmup_epochs`;
the schedule's own clock starts after it and its length is what is left of `epochs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectives import scores

if TYPE_CHECKING:
    from objectives.config import TrainConfig

Rates = NDArray[np.float64]


class Clock(NamedTuple):
    """Where the run is: steps since the warm-up, steps an epoch, steps in all, what was seen."""

    step: Rates
    per_epoch: int
    total: int
    monitored: Sequence[float]

    @property
    def epoch(self) -> Rates:
        """Epochs since the warm-up, with their fraction."""
        return self.step / self.per_epoch


ScheduleFunction = Callable[["TrainConfig", float, Clock], Rates]


@dataclass(frozen=True)
class Schedule:
    """One row: `rates(config, lr, clock)` gives the rate of each step of `clock.step`."""

    rates: ScheduleFunction
    reads: tuple[str, ...] = ("lr", "warmup_epochs")
    is_horizon_bound: bool = False  # its shape follows `epochs`: halfway it cannot look good yet


def _constant(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """The same rate throughout."""
    return np.full(len(clock.step), lr)


def _phases(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """A run for each rate of `phases`, one after the other, each at its constant rate."""
    return _constant(config, lr, clock)


def _inverse_time(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """Keras' `decay`: InverseTimeDecay(lr, decay_steps=1, decay_rate=lr_decay)."""
    return lr / (1 + config.lr_decay * clock.step)


def _step(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's StepLR."""
    return lr * np.power(config.gamma, np.floor(np.floor(clock.epoch) / config.step_size))


def _exponential(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's ExponentialLR."""
    return lr * np.power(config.gamma, np.floor(clock.epoch))


def _cosine(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's CosineAnnealingLR with a step's clock (Loshchilov and Hutter, 1608.03983)."""
    return _half_cosine(lr, config.min_lr, clock.step / clock.total)


def _cosine_warm_restarts(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's CosineAnnealingWarmRestarts: periods of t_0, t_0 t_mult, t_0 t_mult^2 ... epochs."""
    start, period = np.zeros(len(clock.step)), np.full(len(clock.step), float(config.t_0))
    while np.any(over := clock.epoch >= start + period):
        start, period = start + over * period, np.where(over, period * config.t_mult, period)
    return _half_cosine(lr, config.min_lr, (clock.epoch - start) / period)


def _cyclical(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's CyclicLR (Smith, 1506.01186): from lr / div_factor up to lr in step_size_up epochs
    and down again; `triangular2` halves the height with every cycle."""
    half = clock.epoch / config.step_size_up
    cycle = np.floor(half / 2)
    height = 1 - np.abs(half - 2 * cycle - 1)
    shrink = np.power(0.5 if config.cycle_mode == "triangular2" else 1.0, cycle)
    low = lr / config.div_factor
    return np.asarray(low + (lr - low) * height * shrink)


def _one_cycle(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's OneCycleLR, cosine both ways (Smith, 1708.07120); momentum is left alone."""
    first, last = lr / config.div_factor, lr / config.div_factor / config.final_div_factor
    peak, end = config.pct_start * clock.total - 1, clock.total - 1
    up = _half_cosine(first, lr, clock.step / peak) if peak > 0 else np.full(len(clock.step), lr)
    down = _half_cosine(lr, last, (clock.step - peak) / (end - peak))
    return np.where(clock.step <= peak, up, down)


def _reduce_on_plateau(config: TrainConfig, lr: float, clock: Clock) -> Rates:
    """torch's ReduceLROnPlateau on `monitor`, with `min_delta` as its absolute threshold."""
    rate = lr * config.factor ** reductions(clock.monitored, config)
    return np.full(len(clock.step), max(rate, min(config.min_lr, lr)))


def reductions(monitored: Sequence[float], config: TrainConfig) -> int:
    """How often the rate was reduced after these epochs: each time that more than
    `plateau_patience` epochs in a row were no better than the best by `min_delta`."""
    sign = 1 if scores.rises(config.monitor) else -1
    best, bad, count = -np.inf, 0, 0
    for value in monitored:
        if sign * value > best + config.min_delta:
            best, bad = sign * value, 0
        else:
            bad += 1
        if bad > config.plateau_patience:
            bad, count = 0, count + 1
    return count


def _half_cosine(start: float, end: float, part: Rates) -> Rates:
    return end + (start - end) * (1 + np.cos(np.pi * part)) / 2


_USUAL = ("lr", "warmup_epochs")
SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(_constant),
    "inverse_time": Schedule(_inverse_time, (*_USUAL, "lr_decay")),
    "step": Schedule(_step, (*_USUAL, "step_size", "gamma")),
    "exponential": Schedule(_exponential, (*_USUAL, "gamma")),
    "cosine": Schedule(_cosine, (*_USUAL, "min_lr"), True),
    "cosine_warm_restarts": Schedule(_cosine_warm_restarts, (*_USUAL, "t_0", "t_mult", "min_lr")),
    "cyclical": Schedule(_cyclical, (*_USUAL, "step_size_up", "cycle_mode", "div_factor")),
    "one_cycle": Schedule(_one_cycle, ("lr", "pct_start", "div_factor", "final_div_factor"), True),
    "reduce_on_plateau": Schedule(
        _reduce_on_plateau,
        (*_USUAL, "factor", "plateau_patience", "min_lr", "monitor", "min_delta"),
    ),
    "phases": Schedule(_phases, ("phases",), True),
}


def learning_rates(
    config: TrainConfig, lr: float, epoch: int, per_epoch: int, monitored: Sequence[float]
) -> Rates:
    """The rate of each optimizer step of one epoch, float64 [per_epoch].

    lr: the run's (or the phase's) rate. epoch: from 0 within the run or phase. monitored: the
    monitored value of each epoch before this one.
    """
    step = epoch * per_epoch + np.arange(per_epoch, dtype=np.float64)
    warm = round(config.warmup_epochs * per_epoch)
    clock = Clock(
        np.maximum(step - warm, 0), per_epoch, config.epochs * per_epoch - warm, monitored
    )
    rates = SCHEDULES[config.schedule].rates(config, lr, clock)
    return np.where(step < warm, lr * (step + 1) / max(warm, 1), rates)
