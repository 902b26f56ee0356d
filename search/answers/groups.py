"""What is compared: the trials of a study by the value that each has of a parameter."""

import difflib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from search.answers import evidence
from search.errors import UsageError
from search.record import chains, results

CONFIGURATION, STUDY = "configuration", "study"  # what to compare by, besides parameters
NOT_SET = "not set"  # in place of a value, where a parameter is not active
BINS = 4  # of a range: its values are compared as so many parts


def default_by(study: optuna.Study) -> str:
    """The configuration where a study enumerates, else what its file asks by, else its first choice
    parameter."""
    spec = study.user_attrs.get("spec", {})
    if spec.get("configurations"):
        return CONFIGURATION
    if (asked := spec.get("by")) and asked != "none":
        return str(asked)
    choices = [name for name, about in spec.get("space", {}).items() if "choice" in about]
    for trial in study.get_trials(deepcopy=False):
        kinds = trial.distributions.items()
        choices += [name for name, kind in kinds if isinstance(kind, CategoricalDistribution)]
    return choices[0] if choices else CONFIGURATION


def require_known(studies: Sequence[optuna.Study], by: str) -> None:
    """Raise UsageError where no trial, and no study file, has that parameter."""
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
        if trial.state in (TrialState.RUNNING, TrialState.WAITING) and not trial.params:
            continue  # it is about to draw them, or to take those of the trial that it goes on with
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
        return NOT_SET
    value = trial.params[by]
    if isinstance(kind := trial.distributions[by], CategoricalDistribution):
        return named(kind.choices)[repr(value)]
    for low, high in itertools.pairwise(cuts):
        if value <= high:
            return f"{low:.3g} to {high:.3g}"
    return str(value)


def named(choices: Sequence[Any]) -> dict[str, str]:
    """What tables call each choice, by its `repr`: a text stands in quotes where another choice
    (1, null), or the word for none, is written as it is."""
    others = {str(c) for c in choices if not isinstance(c, str)} | {NOT_SET}
    is_text = [isinstance(c, str) and c in others for c in choices]
    return {
        repr(c): json.dumps(c) if quoted else str(c)
        for c, quoted in zip(choices, is_text, strict=True)
    }


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
