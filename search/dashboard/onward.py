"""The command that searches on in a study, for its note and its page."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial
from pydantic import ValidationError

from search.record import chains, enough, next_step, tried
from search.studyfile import catalog, commands, points
from search.studyfile.spec import StudySpec


def search_on(
    study: FrozenStudy | optuna.Study,
    spec: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
    metric: str,
    place: str | None,
    *,
    is_over: bool = False,
) -> tuple[str, str]:
    """What it is called, and the command: with more trials where they are used up; ("", "") where
    all that a study lists, or has in its space, is trained.

    Args:
        spec: as the study's attribute has it, which may be of somebody else.
        place: the storage; None for the usual one.
        is_over: the budget is known to have nothing left, of epochs where it has trials.
    """
    limits, used = spec.get("budget"), chains.started(trials)
    most = limits.get("trials") if isinstance(limits, dict) else None
    if listed := spec.get("configurations"):
        most = min(most or len(listed), len(listed))
    is_used_up = isinstance(most, int) and used >= most
    if (is_used_up and listed) or _is_spent(spec, trials):
        return "", ""
    had = found_enough(study, spec, trials, metric)
    more: dict[str, Any] = {"trials": 2 * used} if is_used_up else {}
    epochs = limits.get("epochs") if isinstance(limits, dict) else None
    if epochs and (is_used_up or is_over):
        more["set"] = f"budget.epochs={2 * epochs}"  # more trials alone would find none left
    more = {"set": enough.off(had)} if had else more
    named, file = study.study_name, catalog.available().get(study.study_name)
    is_ours = file is not None and str(spec.get("objective", "")) == catalog.objective_of(named)
    if is_ours or next_step.ASKED in study.user_attrs:
        return "Search on", next_step.run(study, place, **more)
    run = commands.line("run", study="FILE", name=named, storage=place, **more)
    return "Search on, FILE being its study file", run


def found_enough(
    study: FrozenStudy | optuna.Study,
    spec: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
    metric: str,
) -> str:
    """Why the search has ended before its budget; "" where it has not."""
    ours = _parsed(spec)
    rule = None if ours is None else enough.of(ours, metric, study.user_attrs)
    return enough.why(trials, rule)


def _parsed(spec: Mapping[str, Any]) -> StudySpec | None:
    """None of a spec that is none of ours."""
    try:
        return StudySpec.model_validate(spec, strict=False)
    except ValidationError:
        return None


def _is_spent(spec: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> bool:
    """Whether each point of a finite space is tried."""
    ours = _parsed(spec)
    return ours is not None and tried.is_all(points.of(ours.space), trials)
