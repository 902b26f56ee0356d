"""Configurations known to be good for image classifiers: what a study tries before it searches.

One table, each row from a paper, a library's documentation or its published code. None was fitted
to a table or a data set that the search is judged on. A study gets those that fit its space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from objectives import points
from objectives.config import DEFAULTS
from objectives.optimizers import OPTIMIZERS
from objectives.points import Parameter, Space

Values = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One configuration. Without its `params` it would be another; `also` may fall away.

    batch_size: images a batch for which the rate was published.
    """

    name: str
    params: Mapping[str, Any]
    batch_size: int
    source: str
    also: Mapping[str, Any] = field(default_factory=dict)


_CONSTANT = {"schedule": "constant"}
_NESTEROV = {"momentum": 0.9, "nesterov": True}
PORTFOLIO = (
    Row(
        "sgd-nesterov",
        {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9},
        batch_size=32,
        source="Keras' guide to the Sequential model, its VGG-like CNN; its decay of 1e-6 left out",
        also={"nesterov": True, **_CONSTANT},
    ),
    Row(
        "sgd-cosine",
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "cosine"},
        batch_size=128,
        source="Loshchilov and Hutter, 1608.03983, after the wide residual networks of 1605.07146",
        also={"nesterov": True, "weight_decay": 5e-4},
    ),
    Row(
        "sgd-one-cycle",
        {"optimizer": "sgd", "lr": 0.4, "momentum": 0.9, "schedule": "one_cycle"},
        batch_size=512,
        source="Page, How to train your ResNet (cifar10-fast): up to 0.4 in a fifth of the epochs",
        also={"nesterov": True, "weight_decay": 5e-4, "pct_start": 0.2},
    ),
    Row(
        "sgd-keras",
        {"optimizer": "sgd", "lr": 0.01, "momentum": 0.0},
        batch_size=32,
        source="Keras' defaults",
        also={"nesterov": False, **_CONSTANT},
    ),
    Row(
        "sgd-warm-restarts",
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": "cosine_warm_restarts"},
        batch_size=128,
        source="Loshchilov and Hutter, 1608.03983, on CIFAR-10",
        also={"nesterov": True, "weight_decay": 5e-4, "t_0": 10, "t_mult": 2},
    ),
    Row(
        "sgd-cyclical",
        {"optimizer": "sgd", "lr": 0.006, "momentum": 0.9, "schedule": "cyclical"},
        batch_size=100,
        source="Smith, 1506.01186, Caffe's CNN on CIFAR-10: up from a sixth in 2,000 steps",
        also={"step_size_up": 4.0, "div_factor": 6.0, "cycle_mode": "triangular2"},
    ),
    Row(
        "rmsprop-keras",
        {"optimizer": "rmsprop", "lr": 1e-3, "momentum": 0.0},
        batch_size=32,
        source="Keras' defaults; the rate is that of Hinton's lecture 6e",
        also={"rho": 0.9, **_CONSTANT},
    ),
    Row(
        "rmsprop-cifar",
        {"optimizer": "rmsprop", "lr": 1e-4, "momentum": 0.0},
        batch_size=32,
        source="Keras' example cifar10_cnn.py",
        also={"rho": 0.9, "schedule": "inverse_time", "lr_decay": 1e-6},
    ),
    Row(
        "adam-keras",
        {"optimizer": "adam", "lr": 1e-3},
        batch_size=32,
        source="Keras' defaults; the rate is that of Kingma and Ba, 1412.6980",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "adam-wilson",
        {"optimizer": "adam", "lr": 3e-4},
        batch_size=128,
        source="Wilson et al., 1705.08292: the best of six rates for a VGG on CIFAR-10",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "adam-cosine",
        {"optimizer": "adam", "lr": 1e-3, "schedule": "cosine"},
        batch_size=128,
        source="Loshchilov and Hutter, 1711.05101: Adam on CIFAR-10 with cosine annealing",
        also={"beta1": 0.9, "beta2": 0.999},
    ),
    Row(
        "adam-plateau",
        {"optimizer": "adam", "lr": 1e-3, "schedule": "reduce_on_plateau"},
        batch_size=32,
        source="Keras' example cifar10_resnet.py",
        also={"factor": 0.316, "plateau_patience": 5},
    ),
    Row(
        "adamw-torch",
        {"optimizer": "adamw", "lr": 1e-3},
        batch_size=128,
        source="torch's defaults; the batch size is that of Loshchilov and Hutter, 1711.05101",
        also={"weight_decay": 0.01, **_CONSTANT},
    ),
    Row(
        "adamw-convnext",
        {"optimizer": "adamw", "lr": 4e-3, "schedule": "cosine", "weight_decay": 0.05},
        batch_size=4096,
        source="Liu et al., A ConvNet for the 2020s, 2201.03545",
    ),
    Row(
        "adamw-taskset",
        {"optimizer": "adamw", "lr": 1.195e-3, "beta1": 0.936},
        batch_size=128,
        source="Metz et al., TaskSet, 2002.11887: the first of its list (opt_list); tasks of many "
        "batch sizes, 128 taken here; constant for its first three quarters",
        also={"beta2": 0.99895, "epsilon": 5.876e-6, "weight_decay": 0.01014, **_CONSTANT},
    ),
    Row(
        "nadam-keras",
        {"optimizer": "nadam", "lr": 1e-3},
        batch_size=32,
        source="Keras' defaults",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "nadam-torch",
        {"optimizer": "nadam", "lr": 2e-3},
        batch_size=32,
        source="torch's default rate, and that of Keras 2; the batch size is Keras'",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "adagrad-torch",
        {"optimizer": "adagrad", "lr": 0.01},
        batch_size=128,
        source="torch's default rate; the best of five on CIFAR-10 in Luo et al., 1902.09843",
        also=_CONSTANT,
    ),
    Row(
        "adadelta-zeiler",
        {"optimizer": "adadelta", "lr": 1.0},
        batch_size=100,
        source="Zeiler, 1212.5701, on MNIST; torch's default rate too",
        also={"rho": 0.95, "epsilon": 1e-6, **_CONSTANT},
    ),
    Row(
        "adabound-luo",
        {"optimizer": "adabound", "lr": 1e-3},
        batch_size=128,
        source="Luo et al., 1902.09843, on CIFAR-10",
        also={"final_lr": 0.1, "weight_decay": 5e-4, **_CONSTANT},
    ),
)


def portfolio(settings: dict[str, Any], space: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that fit a study, as {"name", "params", "source"}: optimizers in turn, first rows
    first. `params` is a point of the space: every active parameter, no other.

    settings, space: as `check` gets them. A row fits if its values lie inside the space, and what
    is not searched agrees with `settings` and the defaults (what stands in `also` is then left
    out). Its batch size becomes the nearest one; its rate grows with the batch size, linearly
    under sgd (Goyal et al., 1706.02677), by the square root else (Malladi et al., 2205.10287).
    """
    found: dict[str, list[tuple[Row, Values]]] = {}
    for row in PORTFOLIO if space else ():
        params = _fitted(row, settings, space)
        if params is not None:
            found.setdefault(row.params["optimizer"], []).append((row, params))
    in_turn = chain.from_iterable(zip_longest(*found.values()))
    entries: dict[frozenset[tuple[str, Any]], dict[str, Any]] = {}
    for row, params in filter(None, in_turn):
        entry = {"name": row.name, "params": params, "source": row.source}
        entries.setdefault(frozenset(params.items()), entry)
    return list(entries.values())


def _fitted(row: Row, settings: Mapping[str, Any], space: Space) -> Values | None:
    """The row as a point of the space; None where it does not fit."""
    wanted = {**row.also, **row.params}
    fixed = {**DEFAULTS, **OPTIMIZERS[row.params["optimizer"]].defaults, **settings}
    params: Values = {}
    for name in points.ordered(space):
        if not points.is_active(space[name], params):
            continue
        if name == "batch_size":
            params[name] = points.nearest(space[name], row.batch_size)
        elif name == "lr":
            params[name] = _rate(space[name], row, {**fixed, **params}["batch_size"])
        elif name in wanted:
            params[name] = points.inside(space[name], wanted[name])
        else:
            params[name] = points.default(space[name], fixed.get(name))
        if params[name] is points.OUTSIDE:
            return None
    at_hand = {**fixed, **params}
    must = {**row.params, "lr": _scaled(row, at_hand["batch_size"])}
    agrees = all(points.same(at_hand[name], must[name]) for name in must if name not in params)
    return params if agrees else None


def _rate(parameter: Parameter, row: Row, batch_size: Any) -> Any:
    """The scaled rate; the range's end or the published choice, where only that lies inside."""
    scaled = _scaled(row, batch_size)
    found = points.inside(parameter, scaled)
    if found is not points.OUTSIDE or math.isnan(scaled):
        return found
    published = points.inside(parameter, row.params["lr"])
    if published is points.OUTSIDE or "choice" in parameter:
        return published
    low, high = points.ends_of(parameter)
    return points.inside(parameter, min(max(scaled, low), high))


def _scaled(row: Row, batch_size: Any) -> float:
    """The row's rate for a batch size, to four digits; a full batch is of no known size."""
    if not points.is_number(batch_size):
        return math.nan
    power = 1.0 if row.params["optimizer"] == "sgd" else 0.5
    return float(f"{row.params['lr'] * (batch_size / row.batch_size) ** power:.4g}")
