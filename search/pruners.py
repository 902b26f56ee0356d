"""Pruners by name: they end trials that are hopeless against their peers."""

from collections.abc import Callable, Iterator
from typing import Any

import optuna

from search import percentiles, tables

PRUNERS: dict[str, Callable[..., optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": percentiles.MedianPruner,
    "percentile": percentiles.PercentilePruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
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
