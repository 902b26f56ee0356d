"""Pauses: a trial that has come to a rung waits in its row, and goes on where it is worth it.

Its row is WAITING again, with its reports, its parameters and, in its folder, its checkpoint. It
has begun: it is no retry, which goes on by itself, and nothing of the queue, which has not begun.
"""

import copy
from datetime import UTC, datetime

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.database import changes, holding, storage
from search.database.changes import Change
from search.record import budget, chains, results
from search.record.budget import Limits

RESUMES = "optsearch:resumes"  # study attribute: false where the objective was seen to begin anew


def pause(study: optuna.Study, trial_id: int, epochs: int, why: str, seconds: float) -> None:
    """Let the RUNNING trial of this process wait where it is.

    Args:
        epochs: that it has behind it.
        why: for people.
        seconds: that it has been trained, all in all.

    Raises:
        UpdateFinishedTrialError: somebody else has ended it.
    """
    since = {"epochs": epochs, "at": datetime.now(UTC).isoformat(timespec="microseconds")}
    words = f"at epoch {epochs}: {why.removeprefix(f'paused at epoch {epochs}: ')}"
    told = {budget.PAUSED_WORDS: words, results.SECONDS: seconds}
    after = Change(TrialState.WAITING, None, {chains.PAUSED: since, **told}, (chains.LEASE,))
    lease = (chains.LEASE, provenance.process())
    database = storage.database_of(study)
    if not changes.change(database, trial_id, TrialState.RUNNING, lease, after):
        raise optuna.exceptions.UpdateFinishedTrialError


def end(study: optuna.Study, trial: FrozenTrial, reason: str = "hopeless") -> bool:
    """End a paused trial as pruned; False where it is paused no more."""
    after = Change(TrialState.PRUNED, chains.last_report(trial), {"reason": reason})
    return _change(study, trial, after)


def as_ended(trial: FrozenTrial) -> FrozenTrial:
    """A paused trial as it would be if it ended now, for whoever asks what it has shown; any other
    as it is. Nothing is written."""
    if not chains.is_paused(trial):
        return trial
    ended = copy.copy(trial)
    ended.state, ended.values = TrialState.PRUNED, chains.last_report(trial)
    return ended


def begin_anew(study: optuna.Study, trial: FrozenTrial, retries: int, why: str) -> None:
    """Put a retry into the place of a paused trial whose checkpoint is worth nothing."""
    change = Change(TrialState.FAIL, None, {"reason": "preempted", chains.ANEW: why})
    if _change(study, trial, change):
        chains.mend(study, retries)


def end_beyond(study: optuna.Study, most: int) -> list[FrozenTrial]:
    """End those of the paused trials that stand worst, so that no more than `most` are left: each
    keeps a checkpoint on disk.

    Returns:
        The trials that were ended here.
    """
    paused = [t for t in study.get_trials(deepcopy=False) if chains.is_paused(t)]
    sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1

    def standing(trial: FrozenTrial) -> tuple[float, int]:
        finite = [sign * v for v in trial.intermediate_values.values() if v == v]
        return max(finite, default=-float("inf")), -trial.number

    worst = sorted(paused, key=standing)[: max(0, len(paused) - most)]
    return [t for t in worst if end(study, t)]


def settle(study: optuna.Study, limits: Limits) -> bool:
    """End what is still paused, as nothing more is worth training within the limits; False where
    some trial runs, or is to go on."""
    return holding.settle(
        storage.database_of(study),
        study._study_id,
        chains.MARKS,
        _hopeless,
        lambda rows: (budget.SETTLED, budget.settled_by(limits, rows)),
    )


def end_all(study: optuna.Study) -> None:
    """End what is paused: the study's new strategy pauses nothing, and would leave it so."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        if chains.is_paused(trial):
            end(study, trial)


def _hopeless(trial: FrozenTrial) -> Change:
    return Change(TrialState.PRUNED, chains.last_report(trial), {"reason": "hopeless"})


def _change(study: optuna.Study, trial: FrozenTrial, after: Change) -> bool:
    """By what tells this pause from every other one."""
    proof = (chains.PAUSED, trial.user_attrs[chains.PAUSED])
    database = storage.database_of(study)
    return changes.change(database, trial._trial_id, TrialState.WAITING, proof, after)
