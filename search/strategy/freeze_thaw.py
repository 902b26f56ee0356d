"""Freeze and thaw: train a little, pause, and go on with what may still win.

Acquisition after Rakotoarison et al., In-Context Freeze-Thaw Bayesian Optimization (2404.16795):
the chance to beat the best by a random margin within a random number of epochs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from search.strategy import curves
from search.strategy.curves import Posterior, Rows
from search.strategy.seen import COMPLETE, PAUSED, QUEUED, RUNNING, Seen
from search.strategy.steps import Question, Run, Step

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
CURVE = 3.0  # how much finer
FRESH = 0.1  # of new configurations: drawn at random, so that no model can stick
STARTS = 3  # configurations of an arm before one of them goes to its end
DRAWN, NEAR = 192, 192  # candidates for a new configuration
WORTH = 0.02  # a paused run with less chance is not worth going on with, where trials are limited


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
        bent = -np.log1p(CURVE * gaps / gap)
        return cls(best, gap, float(bent.mean()), float(bent.std()) or 1.0)

    def __call__(self, scores: npt.ArrayLike) -> Array:
        gaps = (self.best - np.asarray(scores, float)) / self.gap
        bent = np.where(gaps >= 0, -np.log1p(CURVE * np.maximum(gaps, 0)), -CURVE * gaps)
        return np.asarray((bent - self.mean) / self.sd, float)





class FreezeThaw:
    """`strategy: {name: freeze_thaw}`. See `Strategy` for what `next` and `explain` promise."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.seen = Seen(question)

    def next(self, runs: Sequence[Run]) -> Step | None:
        seen = self.seen
        seen.update(runs)
        queued = np.flatnonzero(seen.states == QUEUED)
        if len(queued):
            i = int(queued[0])
            return self._go_on(i, f"{seen.runs[i].name or 'queued'}: tried first")
        rng = np.random.default_rng([self.question.seed, len(runs), int(seen.epochs.sum())])
        decision = _Decision(self.question, seen, rng)
        return decision.floor() or decision.open()

    def _go_on(self, i: int, why: str) -> Step:
        run = self.seen.runs[i]
        return Step(run.number, dict(run.params), self.seen.next_rung(i), why)


class _Decision:
    def __init__(self, question: Question, seen: Seen, rng: np.random.Generator) -> None:
        self.question, self.seen, self.rng = question, seen, rng
        rows, scores = seen.observed()
        self.known = len(scores)
        self.paused = np.flatnonzero(seen.states == PAUSED)
        if not self.known:
            return
        self.scale = Scale.of(scores)
        values = self.scale(scores)
        count = int(seen.groups.max()) + 1
        hyper = curves.fit(rows, values, seen.groups, count)
        posterior = Posterior(hyper, seen.groups, rows, values)
        self.model = posterior
        running = np.flatnonzero(seen.states == RUNNING)
        self.posterior = posterior.believing(seen.rows(running, np.maximum(seen.until[running], 1)))

    def floor(self) -> Step | None:
        """A step of an arm that has no complete run yet, the arm that got least first."""
        seen = self.seen
        lacking = []
        for arm in range(len(seen.arm_values)):
            of = seen.arms == arm
            finishing = of & (seen.states == RUNNING) & (seen.until >= seen.planned)
            if (of & (seen.states == COMPLETE)).any() or finishing.any():
                continue
            spent = np.where(seen.states == RUNNING, seen.until, seen.epochs)[of].sum()
            lacking.append((int(spent), arm))
        for _, arm in sorted(lacking):
            of = seen.arms == arm
            begun = (of & (seen.states != QUEUED)).sum()
            if begun < STARTS or not (of & np.isin(seen.states, (RUNNING, PAUSED))).any():
                return self._new(arm, "the arm's first")
            mine = self.paused[of[self.paused]]
            if len(mine):
                means, _ = self.posterior.predict(seen.rows(mine, seen.planned[mine]))
                return self._go_on(int(mine[np.argmax(means)]), "the arm's first to its end")
        return None

    def _go_on(self, i: int, why: str) -> Step:
        run = self.seen.runs[i]
        return Step(run.number, dict(run.params), self.seen.next_rung(i), why)

    def _new(self, arm: int | None, why: str) -> Step:
        place = self._candidates(arm)[0]
        return Step(None, self.seen.points.params(place), self.seen.rungs[0], why)

    def _candidates(self, arm: int | None = None) -> Array:
        """Places of new configurations, the first drawn at random, float [n, P]."""
        seen, points = self.seen, self.seen.points
        drawn = points.draw(self.rng, DRAWN)
        good = np.flatnonzero(np.isfinite(seen.best))
        if arm is not None and self.question.by:
            good = good[seen.arms[good] == arm]
        if len(good):
            top = good[np.argsort(-seen.best[good], kind="stable")][:8]
            weights = 0.7 ** np.arange(len(top))
            pick = self.rng.choice(top, NEAR, p=weights / weights.sum())
            widths = 10 ** self.rng.uniform(-2, -0.5, (NEAR, 1))
            drawn = np.concatenate([drawn, points.near(self.rng, seen.places[pick], widths)])
        if arm is not None and self.question.by:
            column = points.names.index(self.question.by)
            drawn[:, column] = (arm + 0.5) / len(seen.arm_values)
            drawn = points.settled(np.where(np.isfinite(drawn), drawn, self.rng.random(drawn.shape)))
        return drawn

    def open(self) -> Step | None:
        seen = self.seen
        places = self._candidates()
        if not self.known or self.rng.random() < FRESH * (len(seen.runs) > 0) * 0.999:
            if not self.known or self.rng.random() < 0.5:
                return Step(None, seen.points.params(places[0]), seen.rungs[0], "at random")
        codes = np.zeros((len(places), seen.codes.shape[1]))
        codes[:, :-2] = seen.points.codes(places)
        paused = self._hopeful()
        longest = self.question.longest
        horizon = int(self.rng.integers(1, longest + 1))
        margin = 10 ** self.rng.uniform(-3, -0.5)
        target = float(self.scale(self.scale.best)) + margin
        own = -1 - np.arange(len(places), dtype=np.intp)
        fresh = Rows(codes, seen.times(np.full(len(places), min(horizon, longest))), own)
        at = np.minimum(seen.epochs[paused] + horizon, seen.planned[paused])
        means, sds = self.posterior.predict(seen.rows(paused, at).plus(fresh))
        score = (means - target) / sds
        k = int(np.argmax(score))
        chance = ndtr(score[k])
        if k < len(paused):
            return self._go_on(int(paused[k]), f"{chance:.0%} chance to beat {self.scale.best:.4g}")
        return Step(None, seen.points.params(places[k - len(paused)]), seen.rungs[0], f"new {chance:.0%}")

    def _hopeful(self) -> Indices:
        """At most 128 paused runs, those that stand best after their epochs."""
        paused = self.paused
        if len(paused) <= 128:
            return paused
        best = self.seen.best[paused]
        order = np.argsort(-np.nan_to_num(best, nan=-math.inf), kind="stable")
        return paused[order[:128]]
