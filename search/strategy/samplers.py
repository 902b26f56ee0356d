"""Samplers by name. A new one is one row: it is listed, validated and tested from the table."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import optuna

from search.strategy import tables


def _tpe(seed: int, **options: Any) -> optuna.samplers.BaseSampler:
    # group=True: a conditional parameter would else leave the joint space and be sampled alone
    return optuna.samplers.TPESampler(seed=seed, **{"group": True, "multivariate": True} | options)


SAMPLERS: dict[str, tuple[Callable[..., optuna.samplers.BaseSampler], Callable[..., Any]]] = {
    # name: (builder, whose options it takes)
    "tpe": (_tpe, optuna.samplers.TPESampler),
    "random": (optuna.samplers.RandomSampler, optuna.samplers.RandomSampler),
    "qmc": (optuna.samplers.QMCSampler, optuna.samplers.QMCSampler),
    "gp": (optuna.samplers.GPSampler, optuna.samplers.GPSampler),
}


def problems(name: str, options: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a sampler of a study file."""
    return tables.problems("sampler", {k: row[1] for k, row in SAMPLERS.items()}, name, options)


def build(name: str, options: dict[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    """The sampler that `problems` finds nothing wrong with."""
    builder, _ = SAMPLERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return builder(seed=seed, **options)
