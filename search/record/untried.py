"""An exact claim of a point of a finite space that no other trial has."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.database import holding, storage, trial_rows
from search.database.changes import Change
from search.record import budget, chains, tried
from search.record.budget import Limits

Draw = Callable[[Sequence[FrozenTrial]], Mapping[str, Any]]


def claim(study: optuna.Study, limits: Limits, draw: Draw) -> int | None:
    """As `budget.claim`; a new trial is one of a point that no other trial has.

    Args:
        draw: a point that is not among those that these trials have tried.
    """
    assert limits.points is not None
    while True:
        if (queued := budget.claim_queued(study, limits)) is not None:
            return queued
        trials = study.get_trials(deepcopy=False)
        if tried.is_all(limits.points, trials) or not budget.has_slot(trials, limits):
            return None
        if (taken := _take(study, limits, draw(trials), trials)) is not None:
            return taken


def _take(
    study: optuna.Study,
    limits: Limits,
    params: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
) -> int | None:
    """None where somebody has begun that point since, or the budget has been used up."""
    newest = max((t._trial_id for t in trials), default=-1)
    has_slot = budget.slot(study, limits)

    def pays(connection: sqlalchemy.Connection) -> bool:
        begun = trial_rows.system_attrs_since(connection, study._study_id, newest, chains.FIXED)
        return dict(params) not in begun and has_slot(connection)

    study._thread_local.cached_all_trials = None  # as `study.ask` does before it samples
    taker = Change(TrialState.RUNNING, None, {chains.LEASE: provenance.process()})
    new = {chains.FIXED: dict(params)}
    return holding.take(storage.database_of(study), study._study_id, new, taker, pays)
