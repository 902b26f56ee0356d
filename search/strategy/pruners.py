"""Pruners by name: they end trials that are hopeless against their peers."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.strategy import percentiles, tables


class SuccessiveHalvingPruner(optuna.pruners.SuccessiveHalvingPruner):
    """As Optuna's, with a memory for each horizon: `min_resource: auto` is estimated once, from the
    first complete trials, and two workers that met other horizons first would hold the same rung
    at different steps."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        own: dict[object, SuccessiveHalvingPruner] = self.__dict__.setdefault("_own", {})
        pruner = own.setdefault(trial.user_attrs.get(percentiles.HORIZON), copy.copy(self))
        return super(SuccessiveHalvingPruner, pruner).prune(study, trial)


PRUNERS: dict[str, Callable[..., optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": percentiles.MedianPruner,
    "percentile": percentiles.PercentilePruner,
    "successive_halving": SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}


def problems(name: str, options: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a pruner of a study file."""
    return tables.problems("pruner", PRUNERS, name, options)


def build(name: str, options: dict[str, Any], epochs: int | None) -> optuna.pruners.BasePruner:
    """The pruner that `problems` finds nothing wrong with.

    Args:
        epochs: the most epochs a trial can run, Hyperband's `max_resource` unless set.
    """
    if name == "hyperband" and epochs is not None:
        options = {"max_resource": epochs} | options
    return PRUNERS[name](**options)
