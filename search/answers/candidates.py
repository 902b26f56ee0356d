"""Which configurations of a search may be the best, and how many runs can be paid to tell."""

import json
import math

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import effort
from search.record import chains, results

FEWEST = 2  # seeds, without which nothing can be said about chance


def asked_by(study: optuna.Study) -> str | None:
    """The parameter that the study asks for, where its file says one."""
    by = study.user_attrs.get("spec", {}).get("by")
    return None if by in (None, "none") else str(by)


def candidates(study: optuna.Study, top: int) -> list[FrozenTrial]:
    """The `top` configurations that may be the best, each once, best first; of a study that asks
    which value of a parameter is best, the best of each value before all others.

    A trial that was pruned, or is paused, is among them where the best score that it has shown is
    as good as theirs. Where a study enumerates all of its configurations are.
    """
    ranked = _ranked(study)
    if study.user_attrs["spec"].get("configurations"):
        return ranked
    leading = leaders(study)
    first = [t for t in ranked if t.number in leading]
    others = [t for t in ranked if t.number not in leading]
    return first + others[: max(0, top - len(first))]


def leaders(study: optuna.Study) -> list[int]:
    """The best of each value that the study asks about, by number; [] where it asks for none."""
    by, found = asked_by(study), dict[str, int]()
    for trial in _ranked(study) if by is not None else ():
        if by in trial.params:
            found.setdefault(repr(trial.params[by]), trial.number)
    return list(found.values())


def baselines(study: optuna.Study) -> dict[str, int]:
    """The trials of the study file's baselines, by name: they are confirmed however they did, since
    the answer is measured against them. One that has shown no score is not among them."""
    names = [item["name"] for item in study.user_attrs["spec"].get("baselines", ())]
    by_params = {json.dumps(t.params, sort_keys=True): t.number for t in _ranked(study)}
    found = {}
    for trial in chains.last_links(study.get_trials(deepcopy=False)):
        key = json.dumps(trial.params, sort_keys=True)
        if (name := trial.user_attrs.get("configuration")) in names and key in by_params:
            found[name] = by_params[key]
    return {name: found[name] for name in names if name in found}


def _ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Each configuration once, by the best that it has shown."""
    enumerates = bool(study.user_attrs["spec"].get("configurations"))
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    eligible = _eligible(study)  # once: workers may end trials meanwhile
    ranked = sorted(eligible, key=lambda t: (-effort.shown(t, sign), t.number))
    found: dict[str, FrozenTrial] = {}
    for trial in ranked:
        name = trial.user_attrs.get("configuration") if enumerates else None
        found.setdefault(json.dumps([trial.params, name], sort_keys=True), trial)
    return list(found.values())


def _eligible(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials, and those that a pruner, or the end of the time, kept from their end."""
    states = (TrialState.PRUNED, TrialState.WAITING)
    early = [
        t
        for t in study.get_trials(deepcopy=False, states=states)
        if (chains.reason_of(t) == "hopeless" or chains.is_paused(t))
        and any(map(math.isfinite, t.intermediate_values.values()))
    ]
    return [*results.ranking(study), *early]


def values(study: optuna.Study) -> int:
    """How many values the study asks about; 0 where it asks for none."""
    by = asked_by(study)
    about = study.user_attrs["spec"].get("space", {}).get(by, {}) if by else {}
    return len(about.get("choice", ()))


def reserve(study: optuna.Study, top: int, seeds: int, epochs: int | None, longest: int) -> int:
    """Epochs of a study's budget that its search leaves to confirming the best and the baselines.

    Args:
        epochs: the budget; None for none, and nothing is kept.
        longest: the most epochs that one run takes.
    """
    if epochs is None or not seeds:
        return 0
    return kept(epochs, longest, most(study, top), seeds, values(study))


def most(study: optuna.Study, top: int) -> int:
    """How many configurations are confirmed at most: the best, one of each value that is asked
    about at least, and the baselines."""
    named = study.user_attrs["spec"].get("baselines", ())
    return max(top, values(study)) + len(named)


def kept(epochs: int, longest: int, number: int, seeds: int, values: int) -> int:
    """Epochs of a budget that are kept to confirm so many configurations with so many seeds each:
    a fifth; more where two seeds take more, of each of them where the question is which of so many
    values is best, else of two: up to a half and to a third. Never more than all of them take, nor
    what brings one configuration of each value to its end."""
    pairs, most = (number, epochs // 2) if values else (2, epochs // 3)
    part = max(epochs // 5, min(most, pairs * FEWEST * longest))
    return max(0, min(number * seeds * longest, part, epochs - max(values, 1) * longest))
