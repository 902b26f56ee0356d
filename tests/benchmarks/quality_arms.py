"""What a search would answer to "which one?": of each arm its best, raced on fresh seeds by the
product's own race, and judged by its own verdicts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from quality_runs import SEEDS
from quality_tables import Task

from search.answers import race, statistics, verdicts
from search.answers.verdicts import Row
from search.strategy.steps import Run

FRESH = 7_000_003  # apart from every seed of a search
Arms = dict[str, dict[str, Any]]


def bests(task: Task, runs: Sequence[Run], *, confirms: bool) -> dict[str, Run | None]:
    """Of each arm the run that speaks for it: of those that came to their end the best; where that
    is trained anew to confirm it, as the product does (`candidates.leaders`), the best of all."""
    found: dict[str, Run | None] = {}
    for value in task.space[task.by]["choice"] if task.by else []:
        mine = [r for r in runs if r.params.get(task.by) == value and len(r.scores)]
        able = [r for r in mine if confirms or r.state == "complete"] or mine
        found[str(value)] = max(able, key=lambda r: float(np.nanmax(r.scores)), default=None)
    return found


def told(task: Task, runs: Sequence[Run], tops: dict[str, float], *, confirms: bool) -> Arms:
    """Of each arm: configurations, epochs, whether one is complete, what its best is worth in
    truth, and how far that lies below the arm's own best."""
    found = {}
    for name, best in bests(task, runs, confirms=confirms).items():
        mine = [r for r in runs if str(r.params.get(str(task.by))) == name and len(r.scores)]
        true = task.true(dict(best.params)) if best else 0.0
        found[name] = {
            "configurations": len(mine),
            "epochs": sum(len(r.scores) for r in mine),
            "complete": any(r.state == "complete" for r in mine),
            "true": true,
            "regret": max(tops[name] - true, 0.0),
        }
    return found


def confirmed(task: Task, runs: Sequence[Run], epochs: int, seed: int) -> dict[str, str]:
    """The verdict on each arm after a race that `epochs` pay: best, tied, worse."""
    chosen = {n: r for n, r in bests(task, runs, confirms=True).items() if r is not None}
    names, scores = list(chosen), dict[int, list[float | None]]()
    for i in range(len(names)):
        scores[i] = []
    while True:
        now = race.standing(scores, SEEDS, runs=epochs // task.longest)
        if now.over:
            break
        for i, index in now.wanted:
            fresh = task.seen(dict(chosen[names[i]].params), FRESH + 1009 * seed + index)
            scores[i].append(float(np.nanmax(fresh)))
    rows = []
    for i, name in enumerate(names):
        by_seed = {k: s for k, s in enumerate(scores[i]) if s is not None}
        mean = statistics.interval(list(by_seed.values()))
        dropped = i in now.dropped
        rows.append(Row("", name, 1, scores=by_seed, score=mean, is_dropped=dropped))
    return {row.name: row.verdict for row in verdicts.judged(rows, 1)}
