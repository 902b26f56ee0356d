"""Which value of a parameter is best, and how sure that is.

Each value speaks through its best configuration, trained with as many seeds as the confirm stage
gave it. Nothing here prints; `columns.py` has the cells of a table.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import (
    claims,
    comparable,
    effort,
    evidence,
    groups,
    statistics,
    testset,
    verdicts,
)
from search.answers.statistics import Interval
from search.answers.verdicts import Row
from search.errors import IdentityError, UsageError
from search.record import next_step, results
from search.strategy import audit

UNEQUAL = 2  # a value that was tried this many times as often as another had better chances
NEAR = 0.05  # the target is this close to the best score


@dataclass(frozen=True)
class Comparison:
    """Rows best first, those with several seeds before those with one.

    `sentences` are the answer in words: `conclusions` about the scores, then what each value was
    given, and whether its tuning had come to rest.
    """

    by: str
    metric: str
    target: float
    rows: Sequence[Row]
    conclusions: Sequence[str]
    warnings: Sequence[str]
    audits: Sequence[str]  # of the pruner, which may have ended good trials
    sentences: Sequence[str] = ()


def compare(
    studies: Sequence[optuna.Study],
    by: str | None = None,
    *,
    target: float | None = None,
    allow_different_data: bool = False,
) -> Comparison:
    """Compare the values of a parameter, in one study or across several.

    Raises:
        UsageError: nobody has such a parameter, or the studies measure different things.
        IdentityError: the studies' data, splits or epochs differ.
    """
    different = comparable.differences(studies)
    if different and not allow_different_data:
        raise IdentityError(
            f"--study {', '.join(s.study_name for s in studies)}: not the same data and training "
            f"({'; '.join(different)}); --allow-different-data compares them all the same"
        )
    comparable.require_one_metric(studies)
    sign = 1 if studies[0].direction == StudyDirection.MAXIMIZE else -1
    target = _near_best(studies, sign) if target is None else target
    by = by or groups.default_by(studies[0])
    groups.require_known(studies, by)
    rows = [row for study in studies for row in _rows(study, by, sign * target, sign)]
    if len(studies) == 1:
        rows = [dataclasses.replace(row, study="") for row in rows]
    if different:
        rows = [dataclasses.replace(r, data=comparable.data_words(r.study, studies)) for r in rows]
    rows = verdicts.judged(rows, sign)
    warnings = [*_unequal(rows), *_failed(studies), *comparable.untold(studies)]
    warnings += verdicts.unsure(rows)
    lines = verdicts.conclusions(rows, sign)
    lines += [claim for study in studies if (claim := claims.of_study(study))]
    metric, sentences = results.metric(studies[0]), [*lines, *_efforts(studies, rows)]
    return Comparison(by, metric, target, rows, lines, warnings, _audited(studies), sentences)


# A row


def _rows(study: optuna.Study, by: str, goal: float, sign: int) -> list[Row]:
    """One per value. `goal` is the target, and `sign` makes higher better."""
    rows = []
    for value, trials in groups.grouped(study, by).items():
        given = effort.spent(trials, sign)
        row = Row(
            study.study_name,
            value,
            len(trials),
            configurations=given.configurations,
            epochs_spent=given.epochs,
            settled=given.settled,
        )
        found = _confirmed(study, trials, goal, sign) or _searched(study, trials, goal, sign)
        rows.append(dataclasses.replace(row, **found))
    return sorted(rows, key=lambda row: _place(study, row))


def _place(study: optuna.Study, row: Row) -> int:
    """Where its trial stands in the ranking: of equal scores the winner of the race comes first."""
    known = evidence.of(study)
    numbers = [c.number for c in known.candidates] if known else []
    return numbers.index(row.number) if row.number in numbers else len(numbers)


def _confirmed(
    study: optuna.Study, trials: Sequence[FrozenTrial], goal: float, sign: int
) -> dict[str, Any]:
    """What fresh seeds say of the best of these trials; {} where none was confirmed."""
    known, numbers = evidence.of(study), {t.number for t in trials}
    candidates = known.candidates if known else ()
    scored = (c for c in candidates if c.number in numbers and c.scores and c.state != "failed")
    chosen = next(scored, None)
    if chosen is None:
        return {}
    runs = [r for r in chosen.runs if r.state == TrialState.COMPLETE]
    return {
        "number": chosen.number,
        "params": chosen.params,
        "scores": chosen.scores,
        "score": chosen.interval,
        "test": chosen.test,
        "epochs": _median([_epochs_to(r, goal, sign) for r in runs]),
        "seconds": _median([_seconds_to(r, goal, sign) for r in runs]),
        "overlap": chosen.spread.overlap,
        "is_dropped": bool(known and known.plan.race and chosen.state == "worse"),
    }


def _searched(
    study: optuna.Study, trials: Sequence[FrozenTrial], goal: float, sign: int
) -> dict[str, Any]:
    """What the search's one seed says of the best of these trials; {} where none is complete."""
    numbers = {t.number for t in trials}
    best = next((t for t in results.ranking(study) if t.number in numbers), None)
    if best is None:
        return {}
    tested = testset.scores(study).get(best.number)
    return {
        "number": best.number,
        "params": best.params,
        "score": statistics.interval([float(best.value or 0.0)]),
        "test": _one_test(tested, results.metric(study)),
        "epochs": _epochs_to(best, goal, sign),
        "seconds": _seconds_to(best, goal, sign),
    }


def _one_test(test: Mapping[str, float] | None, metric: str) -> Interval | None:
    name = metric.removeprefix("val_")
    return statistics.interval([float(test[name])]) if test and name in test else None


def _epochs_to(run: FrozenTrial, goal: float, sign: int) -> float | None:
    """inf where it never did; None where nothing was reported."""
    if not run.intermediate_values:
        return None
    steps = sorted(e for e, v in results.by_epoch(run).items() if sign * v >= goal)
    return steps[0] + 1 if steps else math.inf


def _seconds_to(run: FrozenTrial, goal: float, sign: int) -> float | None:
    """Training time to that epoch; None for an objective that keeps none."""
    epochs, each = _epochs_to(run, goal, sign), results.history(run).get("seconds")
    if epochs is None or epochs == math.inf:
        return epochs
    return math.fsum(each[: int(epochs)]) if each else None


def _median(values: Sequence[float | None]) -> float | None:
    """The lower one of the middle two, as never has no mean; None where one is not known."""
    if not values or None in values:
        return None
    return sorted(v for v in values if v is not None)[(len(values) - 1) // 2]


def _near_best(studies: Sequence[optuna.Study], sign: int) -> float:
    best = [sign * float(r[0].value or 0.0) for s in studies if (r := results.ranking(s))]
    if not best:
        names = ", ".join(s.study_name for s in studies)
        raise UsageError(
            f"--study {names}: no trial is complete yet, so there is nothing to compare; "
            f"`{next_step.run_on(studies[0])}` goes on"
        )
    return sign * (max(best) - NEAR * abs(max(best)))


def _efforts(studies: Sequence[optuna.Study], rows: Sequence[Row]) -> list[str]:
    """What each value got, held against the noise of a seed."""
    known = [e for s in studies if (e := evidence.of(s))]
    noise = known[0].noise if len(known) == 1 else None
    given = {r.name: effort.Effort(r.configurations, r.epochs_spent, r.settled) for r in rows}
    return effort.words(given, noise)


# What to be wary of


def _unequal(rows: Sequence[Row]) -> list[str]:
    """A warning where some values had many more tries to find a good configuration."""
    if len(rows) < 2:
        return []
    most, least = max(rows, key=lambda r: r.trials), min(rows, key=lambda r: r.trials)
    if most.trials <= UNEQUAL * least.trials:
        return []
    return [
        f"not tuned alike: {most.name} had {most.trials} trials, {least.name} {least.trials}; "
        "the best of many tries looks better than the best of few"
    ]


def _failed(studies: Sequence[optuna.Study]) -> list[str]:
    """Configurations that were left out because some of their seeds failed."""
    known = [e for s in studies if (e := evidence.of(s))]
    return [
        f"trial {c.number} is not told by its seeds: {len(c.runs) - len(c.scores)} of "
        f"{len(c.runs)} runs did not end as complete"
        for e in known
        for c in e.candidates
        if c.state == "failed"
    ]


def _audited(studies: Sequence[optuna.Study]) -> list[str]:
    """How often the pruner ended what would have been among the best, where that was audited."""
    found = [audit.audit(s.get_trials(deepcopy=False), s.direction) for s in studies]
    return [one.words for one in found if one and one.drawn]
