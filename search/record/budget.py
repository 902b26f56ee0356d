"""Slots: how much a study may spend, and an exact claim of the next trial."""

from collections.abc import Sequence
from typing import NamedTuple

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.database import storage, trial_rows
from search.record import chains


class Limits(NamedTuple):
    """What a study may spend in all, whoever runs it and however often it is resumed."""

    trials: int | None = None  # chains: a trial and its retries are one
    epochs: int | None = None
    longest: int = 0  # most epochs that one trial can take; needed where `epochs` is set
    queued_only: bool = False  # what waits in the queue is all there is to do


def has_slot(trials: Sequence[FrozenTrial], limits: Limits) -> bool:
    """Whether another chain may begin.

    Of the epochs, those of the ended chains are spent and every open chain may take its longest:
    so the limit is never passed, and what stays unspent is less than one trial.
    """
    if limits.queued_only:
        return any(t.state == TrialState.WAITING for t in trials)
    if limits.trials is not None and chains.started(trials) >= limits.trials:
        return False
    return limits.epochs is None or _reserved(trials, limits) + limits.longest <= limits.epochs


def _reserved(trials: Sequence[FrozenTrial], limits: Limits) -> int:
    last = [links[-1] for links in chains.grouped(trials).values()]
    begun = [t for t in last if t.state != TrialState.WAITING or chains.CHAIN in t.user_attrs]
    return sum(
        max(t.intermediate_values, default=-1) + 1 if t.state.is_finished() else limits.longest
        for t in begun
    )


def has_retry(trials: Sequence[FrozenTrial]) -> bool:
    """Whether a retry waits for a worker: its slot is taken already."""
    return any(t.state == TrialState.WAITING and chains.CHAIN in t.user_attrs for t in trials)


def is_over(trials: Sequence[FrozenTrial], limits: Limits) -> bool:
    """Whether no trial runs, and none will: what is queued beyond the budget stays so."""
    runs = any(t.state == TrialState.RUNNING for t in trials)
    return not (runs or has_retry(trials) or has_slot(trials, limits))


def claim(study: optuna.Study, limits: Limits) -> int | None:
    """Take the next slot: a waiting retry, else a queued or new trial while the budget lasts.

    Exact under any number of workers: counting and taking are one transaction.

    Returns:
        The id of a trial that is RUNNING now, with a first heartbeat and this process' lease; None
        where there is no slot. An id, because making an `optuna.Trial` samples, which takes time.
    """
    study_id, lease = study._study_id, {chains.LEASE: provenance.process()}

    def may_begin(connection: sqlalchemy.Connection) -> bool:
        """As `has_slot`; thousands of trials are read only where their epochs count."""
        if limits.queued_only:
            return trial_rows.queued(connection, study_id, chains.CHAIN) is not None
        if limits.epochs is not None:
            return has_slot(trial_rows.of_study(connection, study_id), limits)
        if limits.trials is None:
            return True
        return trial_rows.chains(connection, study_id, chains.CHAIN) < limits.trials

    study._thread_local.cached_all_trials = None  # as `study.ask` does before it samples
    return storage.database_of(study).claim(study_id, chains.CHAIN, lease, may_begin)


def used_up(study: optuna.Study, limits: Limits) -> str:
    """A line that says so where the study has no slot left; "" otherwise."""
    trials = study.get_trials(deepcopy=False)
    if not is_over(trials, limits):
        return ""
    if limits.trials is not None and chains.started(trials) >= limits.trials:
        return (
            f"the budget of {limits.trials} trials is used up: nothing to train; --trials N goes on"
        )
    return (
        f"the budget of {limits.epochs} epochs has no room for a trial of up to {limits.longest}: "
        "nothing to train; --set budget.epochs=N goes on"
    )


def beyond(trials: Sequence[FrozenTrial], limits: Limits) -> str:
    """A line that says so where the last of what is queued has no slot; "" otherwise."""
    waiting = [t for t in trials if t.state == TrialState.WAITING]
    needed = chains.started(trials) + sum(chains.CHAIN not in t.user_attrs for t in waiting)
    if limits.trials is not None and needed > limits.trials:
        budget = f"beyond the budget of {limits.trials} trials"
        return f"{budget}; `optsearch run --trials {needed}` goes on"
    if has_slot(trials, limits):
        return ""
    return (
        f"beyond the budget of {limits.epochs} epochs; "
        "`optsearch run --set budget.epochs=N` goes on"
    )


def first_failures(trials: Sequence[FrozenTrial], most: int = 3) -> FrozenTrial | None:
    """The first trial, if each of the study's first chains failed: nothing here will work."""
    last = [links[-1] for links in chains.grouped(trials).values()]
    ended = [t for t in last if t.state.is_finished() and chains.reason_of(t) != "preempted"]
    failed = [t for t in ended if t.state == TrialState.FAIL]
    return ended[0] if len(ended) >= most and len(failed) == len(ended) else None
