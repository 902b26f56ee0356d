"""What the runs so far make likely: the model of curves, fitted, with what is running counted."""

import functools
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import threadpoolctl
from scipy.special import ndtr

from search.strategy import curves
from search.strategy.curves import Posterior, Rows
from search.strategy.seen import RUNNING, Seen

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
APART = 0.03  # least distance of a new configuration from others, in widths of the space
BEND = 3.0  # how much finer scores near the best are seen than those far below


def one_thread() -> AbstractContextManager[Any]:
    """Within it linear algebra takes one thread: on matrices this small, several that wait for each
    other take three times as long, and what else the machine trains loses its cores."""
    limit: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limit


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    """Those loaded by now; to look for them takes longer than a decision should."""
    return threadpoolctl.ThreadpoolController()


@dataclass(frozen=True)
class Scale:
    """Scores as the model sees them: finer near the best, of mean 0 and variance 1."""

    best: float
    gap: float
    mean: float
    sd: float

    @classmethod
    def of(cls, scores: Array) -> "Scale":
        best = float(scores.max())
        gaps = best - scores
        gap = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
        bent = -np.log1p(BEND * (gaps / gap))
        return cls(
            best,
            gap,
            float(bent.mean()),
            float(bent.std()) or 1.0,
        )

    def __call__(self, scores: npt.ArrayLike) -> Array:
        gaps = (self.best - np.asarray(scores, float)) / self.gap
        bent = np.where(gaps >= 0, -np.log1p(BEND * np.maximum(gaps, 0)), -BEND * gaps)
        return np.asarray((bent - self.mean) / self.sd, float)


class Beliefs:
    """Of at least one score. Means and deviations are on `scale`."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        rows, scores = seen.observed()
        self.scale = Scale.of(scores)
        values = self.scale(scores)
        parameters = int(seen.groups[-1]) + 1
        hyper = curves.fit(rows, values, seen.groups, parameters)
        running = np.flatnonzero(seen.states == RUNNING)
        pending = seen.rows(running, np.maximum(seen.until[running], 1))
        self.posterior = Posterior(hyper, seen.groups, rows, values).believing(pending)

    def of_runs(self, index: Indices, epochs: npt.ArrayLike) -> tuple[Array, Array]:
        """Mean and deviation of runs after so many epochs, float [n] each."""
        return self.posterior.predict(self.seen.rows(index, epochs))

    def of_new(self, places: Array, epochs: float) -> tuple[Array, Array]:
        """Mean and deviation of configurations not yet run, after so many epochs."""
        codes = np.zeros((len(places), len(self.seen.groups)))
        codes[:, :-2] = self.seen.points.codes(places)
        times = self.seen.times(np.full(len(places), epochs))
        return self.posterior.predict(Rows(codes, times, -1 - np.arange(len(places))))

    def crowded(self, places: Array) -> npt.NDArray[np.bool_]:
        """Which are so near to a run that training them would tell little, bool [n]."""
        codes, known = self.seen.points.codes(places), self.posterior.rows.codes[:, :-2]
        squares = (codes**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * codes @ known.T
        return np.asarray((squares < APART**2).any(1))

    def chance(self, i: int) -> float:
        """Of run i to beat the best score so far, at its end."""
        index = np.array([i], np.intp)
        mean, sd = self.of_runs(index, self.seen.planned[index])
        return float(ndtr((mean[0] - float(self.scale(self.scale.best))) / sd[0]))
