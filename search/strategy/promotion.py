"""Successive halving with promotion (Li et al., A System for Massively Parallel Hyperparameter
Tuning, 1810.05934), but what is not promoted pauses: it may be promoted later.

Rungs are 1, 3, 9, ... epochs. A run that is among the best third of all that came to its rung goes
on to the next one; where none is, a new configuration begins.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from search.strategy.steps import Question, Run, Step

ETA = 3  # of so many runs one is promoted


class Promotion:
    """A `Strategy` (steps.py)."""

    def __init__(self, question: Question) -> None:
        self.question = question

    def next(self, runs: Sequence[Run]) -> Step | None:
        question = self.question
        spent = sum(r.until if r.state == "running" else len(r.scores) for r in runs)
        left = math.inf if question.epochs is None else question.epochs - spent
        begun = sum(r.state != "queued" for r in runs)
        may_begin = left >= 1 and (question.trials is None or begun < question.trials)
        if (last := self._last(runs, left, may_begin)) is not None:
            return last if last.until - self._behind(runs, last) <= left else None
        if may_begin:
            queued = next((r for r in runs if r.state == "queued"), None)
            if queued is not None:
                return Step(queued.number, dict(queued.params), 1, f"{queued.name}: tried first")
        promoted = self._promoted(runs)
        if promoted is not None and promoted.until - self._behind(runs, promoted) <= left:
            return promoted
        return Step(None, self._drawn(len(runs)), 1, "drawn at random") if may_begin else None

    def explain(self, runs: Sequence[Run], number: int) -> str:
        run = next(r for r in runs if r.number == number)
        epochs = len(run.scores)
        peers = sorted((_best(r, epochs) for r in runs if len(r.scores) >= epochs), reverse=True)
        place = sum(score > _best(run, epochs) for score in peers) + 1
        return f"{place} of {len(peers)} that came so far"

    def _last(self, runs: Sequence[Run], left: float, may_begin: bool) -> Step | None:
        """To its end with the best, once nothing else can be paid besides."""
        paused = [r for r in runs if r.state == "paused"]
        ends = [_best(r) for r in runs if r.state == "complete" or _runs_to_its_end(r)]
        best = max(paused, key=lambda r: (_best(r), -r.number), default=None)
        if best is None or _best(best) <= max(ends, default=-math.inf):
            return None
        needed = best.planned - len(best.scores)
        is_tight = left - needed < self.question.longest / ETA
        if needed <= left and (is_tight or not may_begin):
            return Step(best.number, dict(best.params), best.planned, "the best so far, to its end")
        return None

    def _promoted(self, runs: Sequence[Run]) -> Step | None:
        """The best run of the highest rung that has one to promote."""
        by_rung: dict[int, list[Run]] = {}
        for run in runs:
            for rung in _rungs(run.planned):
                if len(run.scores) >= rung:
                    by_rung.setdefault(rung, []).append(run)
        for rung, peers in sorted(by_rung.items(), reverse=True):
            ranked = sorted(peers, key=lambda r: (-_best(r, rung), r.number))
            for run in ranked[: max(1, len(ranked) // ETA)] if len(ranked) >= ETA else []:
                if run.state == "paused" and rung <= len(run.scores) < run.planned:
                    until = next(r for r in _rungs(run.planned) if r > len(run.scores))
                    why = f"among the best third at epoch {rung}"
                    return Step(run.number, dict(run.params), until, why)
        return None

    def _behind(self, runs: Sequence[Run], step: Step) -> int:
        return next((len(r.scores) for r in runs if r.number == step.number), 0)

    def _drawn(self, number: int) -> dict[str, Any]:
        draw = random.Random(f"{self.question.seed} {number}")
        space, params = dict(self.question.space), dict[str, Any]()
        while space:  # parents first
            ready = [n for n, about in space.items() if not space.keys() & about.get("when", {})]
            for name in ready:
                about = space.pop(name)
                when = about.get("when", {})
                if all(other in params and params[other] in of for other, of in when.items()):
                    params[name] = _draw(draw, about)
        return params


def _rungs(planned: int) -> list[int]:
    """1, 3, 9, ..., and the last epoch."""
    below = [ETA**k for k in range(20) if ETA**k < planned]
    return [*below, planned]


def _best(run: Run, epochs: int | None = None) -> float:
    return max((s for s in run.scores[:epochs] if not math.isnan(s)), default=-math.inf)


def _runs_to_its_end(run: Run) -> bool:
    return run.state == "running" and run.until >= run.planned


def _draw(draw: random.Random, about: Mapping[str, Any]) -> Any:
    if "choice" in about:
        return draw.choice(about["choice"])
    kind = "float" if "float" in about else "int"
    low, high = about[kind]
    step = about.get("step") or (1 if kind == "int" else None)
    if about.get("log"):
        value = math.exp(draw.uniform(math.log(low), math.log(high)))
        return min(high, max(low, round(value) if kind == "int" else value))
    if step is None:
        return draw.uniform(low, high)
    return low + step * draw.randint(0, int((high - low) / step + 1e-9))
