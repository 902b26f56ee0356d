"""A table of one's own, a configuration a line, as a task: a forest stands for training.

    {"params": {"optimizer": "adam", "lr": 0.001}, "val": [[accuracy, loss], ...]}

The space is read off the table: numbers with more than eight values are ranges (logarithmic where
most are below a tenth of the greatest), all else is a choice; a parameter that is missing
somewhere depends on the choice whose values tell where.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from quality_tables import Array, Params, Task, forest

from search.strategy.points import Points

FEW = 8
NOISE = (0.005, 0.003)  # DeepOBS' CNNs: 0.06 to 0.93 points of accuracy from seed to seed


def own(path: Path) -> Task:
    """The task of a `.jsonl` file. Scores are validation accuracies."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    rows = [line["params"] for line in lines]
    longest = max(len(line["val"]) for line in lines)
    space = space_of(rows)
    points = Points(space)
    known = forest(points.codes(np.array([points.place(row) for row in rows])), _curves(lines))

    def train(params: Params) -> Array:
        return known(points.codes(points.place(params)[None])[0])

    arms = "optimizer" if "choice" in space.get("optimizer", {}) else None
    return Task(path.stem, space, longest, train, NOISE, by=arms, portfolio=_portfolio(space))


def _curves(lines: list[dict[str, Any]]) -> Array:
    """Accuracies, float [n, longest]; a run that ended early stays where it ended."""
    longest = max(len(line["val"]) for line in lines)
    curves = np.zeros((len(lines), longest))
    for curve, line in zip(curves, lines, strict=True):
        seen = np.array([accuracy for accuracy, _ in line["val"]], float)
        curve[: len(seen)], curve[len(seen) :] = seen, seen[-1]
    return np.nan_to_num(curves, nan=0.0)


def _portfolio(space: dict[str, Any]) -> list[Params]:
    """The product's own for image classifiers, where this version has one."""
    try:
        from objectives.portfolio import portfolio
    except ImportError:
        return []
    return [entry["params"] for entry in portfolio({}, space)]


def space_of(rows: list[Params]) -> dict[str, Any]:
    """The space that the rows of a table were drawn from, as nearly as they tell."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    space = {name: _parameter([row[name] for row in rows if name in row]) for name in names}
    for name in names:
        if any(name not in row for row in rows):
            space[name]["when"] = _when(name, rows, [n for n in names if "choice" in space[n]])
    return space


def _parameter(values: list[Any]) -> dict[str, Any]:
    distinct = sorted(set(values), key=lambda v: (str(type(v)), v))
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not numbers or len(distinct) <= FEW:
        return {"choice": distinct}
    low, high = min(values), max(values)
    log = low > 0 and sorted(values)[len(values) // 2] < high / 10
    kind = "int" if all(isinstance(v, int) for v in values) else "float"
    return {kind: [low, high], **({"log": True} if log else {})}


def _when(name: str, rows: list[Params], choices: list[str]) -> dict[str, list[Any]]:
    for other in choices:
        has = {row.get(other) for row in rows if name in row}
        lacks = {row.get(other) for row in rows if name not in row}
        if other != name and not has & lacks:
            return {other: sorted(has, key=str)}
    raise ValueError(f"'{name}' is missing in some rows, but no choice tells in which")
