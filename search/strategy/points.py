"""Configurations as points: drawing, moving and encoding them, conditional parameters included.

A *place* is a row of float [P] in the unit cube, one number a parameter, nan where it is inactive
or unknown. A *code* is a row of float [C], what a kernel measures distances in: a number's place
and whether it is active, a choice as one of many, "inactive" being a choice of its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
OUTSIDE = 0.25  # how far beyond its range a baseline's value is told apart, in widths of the range


@dataclass(frozen=True)
class _Dimension:
    """One parameter. choices is empty for a number; low and high are logarithms where log."""

    name: str
    choices: tuple[Any, ...]
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool
    when: tuple[tuple[int, tuple[int, ...]], ...]  # (place of another, indices of its choices)

    def place(self, value: Any) -> float:
        """Where a value lies in the unit interval; nan where it is none of this parameter's."""
        if self.choices:
            index = index_of(self.choices, value)
            return math.nan if index is None else (index + 0.5) / len(self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return math.nan
        if self.log:
            value = math.log(value) if value > 0 else self.low
        if not math.isfinite(value) or self.high <= self.low:
            return math.nan if not math.isfinite(value) else 0.5
        return float(min(max((value - self.low) / (self.high - self.low), -OUTSIDE), 1 + OUTSIDE))

    def snapped(self, places: Array) -> Array:
        """Places of numbers as they are after `value`, on their grid, float [n]; nan stays."""
        raw = self.low + np.clip(places, 0.0, 1.0) * (self.high - self.low)
        ends = np.array([self.low, self.high])
        (low, high), numbers = (np.exp(ends), np.exp(raw)) if self.log else (ends, raw)
        if self.step is not None:
            steps = np.round((numbers - low) / self.step)
            numbers = low + np.minimum(steps, np.floor((high - low) / self.step)) * self.step
        numbers = np.clip(numbers, low, high)
        numbers = np.round(numbers) if self.whole else numbers
        if self.high <= self.low:
            return np.where(np.isfinite(places), 0.5, np.nan)
        numbers = np.log(numbers) if self.log else numbers
        return np.asarray((numbers - self.low) / (self.high - self.low), float)

    def value(self, place: float) -> Any:
        """The value at a place inside the unit interval."""
        place = min(max(place, 0.0), 1.0)
        if self.choices:
            return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]
        raw = self.low + place * (self.high - self.low)
        low, high = (math.exp(v) if self.log else v for v in (self.low, self.high))
        number = math.exp(raw) if self.log else raw
        if self.step is not None:
            steps = min(round((number - low) / self.step), math.floor((high - low) / self.step))
            number = float(f"{low + steps * self.step:.12g}")
        number = min(max(number, low), high)
        return round(number) if self.whole else float(number)


def index_of(choices: tuple[Any, ...], value: Any) -> int | None:
    """Of the choice that a value is, its type too where that tells two apart (1, 1.0 and true)."""
    same = [i for i, c in enumerate(choices) if c == value]
    typed = [i for i in same if type(choices[i]) is type(value)]
    return next(iter(typed or same), None)


def _dimension(name: str, parameter: Mapping[str, Any], before: list[_Dimension]) -> _Dimension:
    names = [d.name for d in before]
    when = []
    for other, values in (parameter.get("when") or {}).items():
        indices = (index_of(before[names.index(other)].choices, v) for v in values)
        when.append((names.index(other), tuple(i for i in indices if i is not None)))
    if "choice" in parameter:
        choices = tuple(parameter["choice"])
        return _Dimension(name, choices, 0.0, 1.0, False, None, False, tuple(when))
    whole = "int" in parameter
    low, high = parameter["int" if whole else "float"]
    log = bool(parameter.get("log", False))
    step = parameter.get("step") or (1 if whole and not log else None)
    ends = (math.log(low), math.log(high)) if log else (float(low), float(high))
    return _Dimension(name, (), *ends, log, step, whole, tuple(when))


class Points:
    """A space, for drawing and encoding many configurations at once."""

    def __init__(self, space: Mapping[str, Any]) -> None:
        self.dimensions: list[_Dimension] = []
        pending = dict(space)
        while pending:
            known = {d.name for d in self.dimensions}
            ready = [n for n, p in pending.items() if known.issuperset(p.get("when") or {})]
            if not ready:
                raise ValueError(f"`when` must go in no circle, got {', '.join(sorted(pending))}")
            for name in ready:
                self.dimensions.append(_dimension(name, pending.pop(name), self.dimensions))
        self.names = [d.name for d in self.dimensions]
        widths = [len(d.choices) + 1 if d.choices else 2 for d in self.dimensions]
        self.groups = np.repeat(np.arange(len(widths)), widths)  # the parameter of each column

    def place(self, params: Mapping[str, Any]) -> Array:
        """The place of a configuration, float [P]; parameters that the space lacks are left out."""
        values = [
            d.place(params[d.name]) if d.name in params else math.nan for d in self.dimensions
        ]
        return np.array(values, float)

    def params(self, place: Array) -> dict[str, Any]:
        """The configuration at a place: active parameters only."""
        return {
            d.name: d.value(float(p))
            for d, p in zip(self.dimensions, place, strict=True)
            if math.isfinite(p)
        }

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """Places drawn at random, float [n, P]."""
        return self.settled(rng.random((n, len(self.dimensions))))

    def near(self, rng: np.random.Generator, places: Array, width: float | Array) -> Array:
        """Each place with about a third of its parameters moved, float [n, P].

        width: standard deviation of a number's move, one or one a place [n, 1]; a choice is drawn
        anew.
        """
        fresh = rng.random(places.shape)
        moves = rng.random(places.shape) < max(1 / 3, 1.5 / max(places.shape[1], 1))
        steps = places + width * rng.standard_normal(places.shape)
        steps = 1 - np.abs(1 - np.abs(np.clip(steps, -1, 2)))  # bounces off the ends
        choice = np.array([bool(d.choices) for d in self.dimensions], bool)
        rare = choice & (rng.random(places.shape) < 0.5)  # a choice moves half as often
        moved = np.where(choice, np.where(rare, fresh, places), steps)
        moved = np.where(moves, moved, np.clip(places, 0, 1))
        return self.settled(np.where(np.isfinite(moved), moved, fresh))

    def settled(self, places: Array) -> Array:
        """Places on the grid of their parameters, inactive ones nan, float [n, P]."""
        places = places.copy()
        for i, d in enumerate(self.dimensions):
            if d.choices:
                count = len(d.choices)
                places[:, i] = (np.minimum(np.floor(places[:, i] * count), count - 1) + 0.5) / count
            elif d.whole or d.step:
                places[:, i] = d.snapped(places[:, i])
            for other, indices in d.when:
                parent = places[:, other] * len(self.dimensions[other].choices)
                holds = np.isin(np.floor(np.nan_to_num(parent, nan=-1)), indices)
                places[~holds, i] = np.nan
        return places

    def codes(self, places: Array) -> Array:
        """What kernels measure, float [n, C], C as in `groups`."""
        columns = []
        for d, place in zip(self.dimensions, places.T, strict=True):
            active = np.isfinite(place)
            if d.choices:
                count = len(d.choices)
                index = np.where(active, np.floor(np.nan_to_num(place) * count), count)
                columns += [np.where(index == i, math.sqrt(0.5), 0.0) for i in range(count + 1)]
            else:
                columns += [np.where(active, place, 0.5), np.where(active, 0.0, 0.5)]
        return np.column_stack(columns) if columns else np.zeros((len(places), 0))
