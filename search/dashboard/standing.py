"""How the values that a study asks about stand before their trials, or fresh seeds, have ended."""

import dataclasses
import math

import optuna

from search.answers import effort, groups, statistics, verdicts
from search.answers.compare import Comparison
from search.answers.verdicts import Row

UNENDED = "unended"  # the verdict of what may go on
OPEN = "open"  # of what fresh seeds are still to tell
RACING = "so far: by the fresh seeds that have ended, else by the search's one seed"
TOLD = "unended: its trials run or are paused; the best that one of them has shown"


def of(found: Comparison, study: optuna.Study, sign: int) -> Comparison:
    """The comparison with the best that an open trial has shown, for each value that has no score
    yet: nothing is concluded from it.

    Args:
        sign: 1 where high scores are good, else -1.
    """
    best = {
        value: max(is_open, key=lambda t: effort.shown(t, sign))
        for value, trials in groups.grouped(study, found.by).items()
        if (is_open := [t for t in trials if not t.state.is_finished()])
    }
    rows, waiting = list[Row](), list[Row]()
    for row in found.rows:
        trial = best.get(row.value)
        if row.score is not None or trial is None:
            rows.append(row)
            continue
        shown = effort.shown(trial, sign)
        score = statistics.interval([sign * shown]) if math.isfinite(shown) else None
        open_row = dataclasses.replace(row, number=trial.number, score=score, verdict=UNENDED)
        waiting.append(open_row)
    if not waiting:
        return found
    waiting.sort(key=lambda r: -sign * r.score.mean if r.score else math.inf)
    lines = [*(verdicts.conclusions(rows, sign) if rows else ()), TOLD]
    scored = [r for r in rows if r.score]
    unscored = [r for r in rows if not r.score]
    return dataclasses.replace(found, rows=[*scored, *waiting, *unscored], conclusions=lines)


def while_confirming(found: Comparison) -> Comparison:
    """The comparison without conclusions, which fresh seeds that are still to come may turn."""
    rows = [
        dataclasses.replace(row, verdict=OPEN, p=None, p_best=None)
        if row.scores and not row.is_dropped
        else row
        for row in found.rows
    ]
    return dataclasses.replace(found, rows=rows, conclusions=[RACING])
