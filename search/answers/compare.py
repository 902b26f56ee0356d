"""Which value of a parameter is best, and how sure that is.

Each value speaks through its best configuration, trained with as many seeds as the confirm stage
gave it. Nothing here prints; `columns.py` has the cells of a table.
"""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import claims, comparable, evidence, statistics, testset, verdicts
from search.answers.statistics import Interval
from search.answers.verdicts import Row
from search.errors import IdentityError, UsageError
from search.record import chains, results
from search.strategy import audit

CONFIGURATION, STUDY = "configuration", "study"  # what to compare by, besides parameters
UNEQUAL = 2  # a value that was tried this many times as often as another had better chances
BINS = 4  # of a range: its values are compared as so many parts
NEAR = 0.05  # the target is this close to the best score
Group = tuple[str, str]  # study, value


@dataclass(frozen=True)
class Comparison:
    """Rows best first, those with several seeds before those with one; sentences for people."""

    by: str
    metric: str
    target: float
    rows: Sequence[Row]
    conclusions: Sequence[str]
    warnings: Sequence[str]
    audits: Sequence[str]  # of the pruner, which may have ended good trials


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
    by = by or default_by(studies[0])
    _require_known(studies, by)
    rows = [row for study in studies for row in _rows(study, by, sign * target, sign)]
    if len(studies) == 1:
        rows = [dataclasses.replace(row, study="") for row in rows]
    if different:
        rows = [dataclasses.replace(r, data=comparable.data_words(r.study, studies)) for r in rows]
    rows = verdicts.judged(rows, sign)
    warnings = [*_unequal(rows), *_failed(studies), *comparable.untold(studies)]
    lines = verdicts.conclusions(rows, sign)
    lines += [claim for study in studies if (claim := claims.of_study(study))]
    return Comparison(
        by, results.metric(studies[0]), target, rows, lines, warnings, _audited(studies)
    )


def default_by(study: optuna.Study) -> str:
    """The configuration where a study enumerates, else its first choice parameter."""
    spec = study.user_attrs.get("spec", {})
    if spec.get("configurations"):
        return CONFIGURATION
    choices = [name for name, about in spec.get("space", {}).items() if "choice" in about]
    for trial in study.get_trials(deepcopy=False):
        kinds = trial.distributions.items()
        choices += [name for name, kind in kinds if isinstance(kind, CategoricalDistribution)]
    return choices[0] if choices else CONFIGURATION


# What is compared


def _require_known(studies: Sequence[optuna.Study], by: str) -> None:
    names = dict.fromkeys(
        name for s in studies for t in s.get_trials(deepcopy=False) for name in t.params
    )
    for study in studies:
        names |= dict.fromkeys(study.user_attrs.get("spec", {}).get("space", ()))
    names |= dict.fromkeys((CONFIGURATION, STUDY))
    if by not in names:
        near = difflib.get_close_matches(by, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"one of: {', '.join(names)}"
        raise UsageError(f"--by {by}: no trial has that parameter; {hint}")


def last_links(study: optuna.Study) -> list[FrozenTrial]:
    """Of every chain that has begun, the trial that speaks for it."""
    return chains.last_links(study.get_trials(deepcopy=False))


def grouped(study: optuna.Study, by: str) -> dict[str, list[FrozenTrial]]:
    """Trials by the value they have; those of a range by the part of it they lie in."""
    trials = last_links(study)
    if by == CONFIGURATION and not study.user_attrs.get("spec", {}).get("configurations"):
        notable = _notable(study)
        trials = [t for t in trials if t.number in notable]
    cuts = _cuts(trials, by)
    found: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        found.setdefault(_value(study, trial, by, cuts), []).append(trial)
    return found


def _notable(study: optuna.Study) -> set[int]:
    """Of a search's many configurations those with a name, the confirmed, and the best five."""
    known = evidence.of(study)
    named = [t.number for t in last_links(study) if t.user_attrs.get(CONFIGURATION)]
    confirmed = [c.number for c in known.candidates] if known else []
    return {*named, *confirmed, *(t.number for t in results.ranking(study)[:5])}


def _value(study: optuna.Study, trial: FrozenTrial, by: str, cuts: Sequence[float]) -> str:
    if by == STUDY:
        return study.study_name
    if by == CONFIGURATION:
        return str(trial.user_attrs.get(CONFIGURATION, f"trial {trial.number}"))
    if by not in trial.params:
        return "not set"
    value = trial.params[by]
    for low, high in itertools.pairwise(cuts):
        if value <= high:
            return f"{low:.3g} to {high:.3g}"
    return str(value)


def _cuts(trials: Sequence[FrozenTrial], by: str) -> list[float]:
    """Ends of the parts of a range, as even as its scale; [] for a few values."""
    kinds = [t.distributions[by] for t in trials if by in t.distributions]
    if not kinds or isinstance(kinds[-1], CategoricalDistribution):
        return []
    values = sorted({float(t.params[by]) for t in trials if by in t.params})
    if len(values) <= 2 * BINS:
        return []
    low, high, log = values[0], values[-1], bool(getattr(kinds[-1], "log", False))
    parts = [i / BINS for i in range(BINS)]
    cuts = [low * (high / low) ** p if log else low + (high - low) * p for p in parts]
    return [*cuts, high]


# A row


def _rows(study: optuna.Study, by: str, goal: float, sign: int) -> list[Row]:
    """One per value. `goal` is the target, and `sign` makes higher better."""
    known, tested = evidence.of(study), testset.scores(study)
    ranked = results.ranking(study)
    confirmed = [c for c in known.candidates if c.scores and c.state != "failed"] if known else []
    rows = []
    for value, trials in grouped(study, by).items():
        numbers = {t.number for t in trials}
        row = Row(study.study_name, value, len(trials))
        if chosen := next((c for c in confirmed if c.number in numbers), None):
            runs = [r for r in chosen.runs if r.state == TrialState.COMPLETE]
            row = dataclasses.replace(
                row,
                number=chosen.number,
                params=chosen.params,
                scores=chosen.scores,
                score=chosen.interval,
                test=chosen.test,
                epochs=_median([_epochs_to(r, goal, sign) for r in runs]),
                seconds=_median([_seconds_to(r, goal, sign) for r in runs]),
            )
        elif best := next((t for t in ranked if t.number in numbers), None):
            row = dataclasses.replace(
                row,
                number=best.number,
                params=best.params,
                score=statistics.interval([float(best.value or 0.0)]),
                test=_one_test(tested.get(best.number), results.metric(study)),
                epochs=_epochs_to(best, goal, sign),
                seconds=_seconds_to(best, goal, sign),
            )
        rows.append(row)
    return rows


def _one_test(test: Mapping[str, float] | None, metric: str) -> Interval | None:
    name = metric.removeprefix("val_")
    return statistics.interval([float(test[name])]) if test and name in test else None


def _epochs_to(run: FrozenTrial, goal: float, sign: int) -> float | None:
    """inf where it never did; None where nothing was reported."""
    if not run.intermediate_values:
        return None
    steps = sorted(s for s, v in run.intermediate_values.items() if sign * v >= goal)
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
            "`optsearch run` goes on"
        )
    return sign * (max(best) - NEAR * abs(max(best)))


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
