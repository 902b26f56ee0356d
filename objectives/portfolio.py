"""What a study tries before it searches: of the recipes those that fit its space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain, zip_longest
from typing import Any

from objectives import points
from objectives.config import DEFAULTS
from objectives.optimizers import OPTIMIZERS
from objectives.points import Parameter, Space
from objectives.recipes import POWERS, RECIPES, Row

Values = dict[str, Any]


def portfolio(settings: dict[str, Any], space: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that fit a study, as {"name", "params", "source"}: optimizers in turn, first rows
    first. `params` is a point of the space: every active parameter, no other.

    settings, space: as `check` gets them. A row fits if its values lie inside the space, and what
    is not searched agrees with `settings` and the defaults (what stands in `also` is then left
    out). Its batch size becomes the nearest one; its rate grows with the batch size, linearly
    under sgd (Goyal et al., 1706.02677), by the square root else (Malladi et al., 2205.10287);
    prodigy's stays, as it is a factor.
    """
    found: dict[str, list[tuple[Row, Values]]] = {}
    for row in RECIPES if space else ():
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
    power = POWERS.get(row.params["optimizer"], 0.5)
    return float(f"{row.params['lr'] * (batch_size / row.batch_size) ** power:.4g}")
