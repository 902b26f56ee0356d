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

    A trial that was pruned is among them where the best score that it had shown by then is as
    good as theirs. Where a study enumerates all of its configurations are.
    """
    ranked = _ranked(study)
    if study.user_attrs["spec"].get("configurations"):
        return ranked
    by = asked_by(study)
    leaders: dict[object, FrozenTrial] = {}
    if by is not None:
        for trial in ranked:
            if by in trial.params:
                leaders.setdefault(repr(trial.params[by]), trial)
    first = list(leaders.values())
    others = [t for t in ranked if t not in first]
    return first + others[: max(0, top - len(first))]


def _ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Each configuration once, by the best that it has shown."""
    enumerates = bool(study.user_attrs["spec"].get("configurations"))
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    shown = {t.number: effort.shown(t, sign) for t in _eligible(study)}
    ranked = sorted(_eligible(study), key=lambda t: (-shown[t.number], t.number))
    found: dict[str, FrozenTrial] = {}
    for trial in ranked:
        name = trial.user_attrs.get("configuration") if enumerates else None
        found.setdefault(json.dumps([trial.params, name], sort_keys=True), trial)
    return list(found.values())


def _eligible(study: optuna.Study) -> list[FrozenTrial]:
    pruned = [
        t
        for t in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
        if chains.reason_of(t) == "hopeless"
        and any(map(math.isfinite, t.intermediate_values.values()))
    ]
    return [*results.ranking(study), *pruned]


def values(study: optuna.Study) -> int:
    """How many values the study asks about; 0 where it asks for none."""
    by = asked_by(study)
    about = study.user_attrs["spec"].get("space", {}).get(by, {}) if by else {}
    return len(about.get("choice", ()))


def reserve(study: optuna.Study, top: int, seeds: int, epochs: int | None, longest: int) -> int:
    """Epochs of a budget that are kept for confirming: what it takes, but a part at most: a third,
    or two fifths where each value of the question is to be confirmed.

    Args:
        epochs: the budget; None for none, and nothing is kept.
        longest: the most epochs that one run takes.
    """
    if epochs is None or not seeds:
        return 0
    wanted = max(top, values(study)) * seeds * longest
    most = epochs * 2 // 5 if values(study) else epochs // 3
    return max(0, min(wanted, most, epochs - longest))
