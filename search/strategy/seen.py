"""What is known of every run, as arrays that grow: encoded once, read by each decision."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from search.strategy.curves import Rows
from search.strategy.points import Points, index_of
from search.strategy.steps import STATES, Question, Run

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
QUEUED, RUNNING, PAUSED, COMPLETE, ENDED = range(len(STATES))
MOST_POINTS = 240
LEADERS = 40  # runs whose whole curves the model sees; of others their last point


def ladder(longest: int) -> list[int]:
    """The epochs at which a run may pause: `longest`, its half, and so on, at most five.

    Not below three epochs, nor a third of a short run: what one epoch says is mostly chance.
    """
    rungs = [max(1, round(longest / 2**i)) for i in range(5)]
    least = min(3, longest / 3)
    return sorted({r for r in rungs if r >= least} | {longest})


class Seen:
    """Runs as arrays, one row a run in the order given.

    places: [n, P], codes: [n, C] (see `Points`), states, epochs, until, planned: int [n];
    arms: int [n], -1 where its value is none of the arms; best: float [n], the highest score yet,
    nan where there is none; marks: float [n, R], the highest score up to each rung, or nan.
    """

    def __init__(self, question: Question) -> None:
        self.question, self.points = question, Points(question.space)
        self.rungs = ladder(question.longest)
        parameter = question.space.get(question.by, {}) if question.by else {}
        self.arm_values = tuple(parameter.get("choice", (None,)))
        p, c = len(self.points.names), len(self.points.groups) + 2
        self.groups: Indices = np.append(self.points.groups, [p, p])  # the last: its horizon
        self.runs: list[Run] = []
        self._keys: list[tuple[Any, ...]] = []
        self.taken: set[bytes] = set()  # places that runs have, to propose none twice
        self._room(256, p, c)

    def _room(self, n: int, p: int, c: int) -> None:
        self._floats = {
            "places": np.full((n, p), np.nan),
            "codes": np.zeros((n, c)),
            "best": np.full(n, np.nan),
            "marks": np.full((n, len(self.rungs)), np.nan),
            "stretch": np.ones(n),
        }
        names = ("states", "epochs", "until", "planned", "arms")
        self._ints = {name: np.zeros(n, np.intp) for name in names}

    def update(self, runs: Sequence[Run]) -> None:
        """Take in what has changed."""
        if len(runs) < len(self.runs):
            self.runs, self._keys, self.taken = [], [], set()
        known = len(self.runs)
        while len(self._ints["states"]) < len(runs):
            for arrays in (self._floats, self._ints):
                for name, array in arrays.items():
                    arrays[name] = np.concatenate([array, array])
        placed, changed = [], []
        for i, run in enumerate(runs):
            if i < known and run is self.runs[i]:
                continue
            # an objective tells its horizon when it begins: what was queued is placed anew then
            is_placed = (run.number, run.horizon, run.planned)
            key = (*is_placed, len(run.scores), run.state, run.until)
            if i < known:
                old = self.runs[i]
                if key == self._keys[i] and run.params == old.params:
                    continue
                moved = is_placed != self._keys[i][:3] or run.params != old.params
                self.runs[i], self._keys[i] = run, key
            else:
                moved = True
                self.runs.append(run)
                self._keys.append(key)
            changed.append(i)
            placed += [i] if moved else []
        self._place(placed)
        for i in changed:
            self._take(i, runs[i])
        for name, array in (*self._floats.items(), *self._ints.items()):
            setattr(self, name, array[: len(runs)])

    places: Array
    codes: Array
    best: Array
    marks: Array
    stretch: Array  # longest / horizon: how its epochs count where the schedule follows the horizon
    states: Indices
    epochs: Indices
    until: Indices
    planned: Indices
    arms: Indices

    def _place(self, rows: Sequence[int]) -> None:
        """Encode the configurations of runs, all at once."""
        if not rows:
            return
        f, points = self._floats, self.points
        runs = [self.runs[i] for i in rows]
        f["places"][rows] = places = np.array([points.place(run.params) for run in runs])
        self.taken.update(place.tobytes() for place in points.settled(places))
        f["codes"][rows, :-2] = points.codes(places)
        longest, by = self.question.longest, self.question.by
        for i, run in zip(rows, runs, strict=True):
            shaped = run.horizon is not None and run.horizon > 0
            ratio = longest / run.horizon if shaped and run.horizon else 1.0
            f["codes"][i, -2:] = 0.5 * shaped, math.log(ratio) / 2
            f["stretch"][i] = ratio
            arm = index_of(self.arm_values, run.params.get(by)) if by else 0
            self._ints["arms"][i] = -1 if arm is None else arm

    def _take(self, i: int, run: Run) -> None:
        f, n = self._floats, self._ints
        scores = np.fmax.accumulate(np.asarray(run.scores, float)) if len(run.scores) else None
        f["marks"][i] = np.nan
        f["best"][i] = np.nan
        if scores is not None:
            for k, rung in enumerate(self.rungs_of(i, f["stretch"])):
                if rung <= len(scores):
                    f["marks"][i, k] = scores[rung - 1]
            f["best"][i] = scores[-1] if np.isfinite(scores[-1]) else np.nan
        n["states"][i] = STATES.index(run.state)
        n["epochs"][i], n["until"][i] = len(run.scores), run.until
        n["planned"][i] = max(run.planned, 1)

    def times(self, epochs: npt.ArrayLike, stretch: npt.ArrayLike = 1.0) -> Array:
        """Epochs as the model's time, 0 for the first and 1 for the last of the longest run."""
        scaled = np.maximum(np.asarray(epochs, float) * np.asarray(stretch), 1.0)
        return np.asarray(np.log(scaled) / math.log(max(self.question.longest, 2)), float)

    def rows(self, index: Indices, epochs: npt.ArrayLike) -> Rows:
        """Points of runs after so many epochs."""
        return Rows(self.codes[index], self.times(epochs, self.stretch[index]), index)

    def rungs_of(self, i: int, stretch: Array) -> list[int]:
        """The rungs in epochs of run i: equal parts of the horizon, where that is its own."""
        return [max(1, round(r / float(stretch[i]))) for r in self.rungs]

    def next_rung(self, i: int) -> int:
        """Until when run i would train next, in epochs."""
        beyond = [r for r in self.rungs_of(i, self.stretch) if r > self.epochs[i]]
        return int(min([*beyond[:1], self.planned[i]]))

    def _ranked(self, index: Indices) -> Indices:
        """Runs, the best of each arm first, then the second of each, ..."""
        order = index[np.argsort(-self.best[index], kind="stable")]
        place = np.zeros(len(order), np.intp)
        for arm in np.unique(self.arms[order]):
            of = self.arms[order] == arm
            place[of] = np.arange(of.sum())
        return order[np.argsort(place, kind="stable")]

    def observed(self) -> tuple[Rows, Array]:
        """The points that the model is given, at most about MOST_POINTS, and their scores."""
        last = np.flatnonzero(np.isfinite(self.best))
        if not len(last):
            return self.rows(last, 0), np.zeros(0)
        ranked = self._ranked(last)
        leaders = ranked[:LEADERS]
        i, rung = np.nonzero(np.isfinite(self.marks[leaders]))
        of = leaders[i]
        inner = np.asarray(self.rungs)[rung] < self.epochs[of] * self.stretch[of]
        i, rung = leaders[i[inner]], rung[inner]
        others = ranked[LEADERS:]
        room = MOST_POINTS - len(leaders) - len(i)
        if len(others) > room:
            half = others[: room // 2]
            rest = others[room // 2 :]
            spread = np.linspace(0, len(rest) - 1, room - len(half)).round().astype(np.intp)
            others = np.concatenate([half, rest[np.unique(spread)]])
        whole = np.concatenate([leaders, others])
        rows = self.rows(whole, self.epochs[whole]).plus(
            self.rows(i, np.asarray(self.rungs)[rung] / self.stretch[i])
        )
        return rows, np.concatenate([self.best[whole], self.marks[i, rung]])
