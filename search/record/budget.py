"""Slots: how much a study may spend, and an exact claim of the next trial."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.database import holding, storage, trial_rows
from search.database.changes import Change
from search.record import chains, ended, enough, results, tried
from search.record.enough import Enough
from search.studyfile.points import Points

GRANTED = "granted"  # user attribute, for people: how far a trial may run, and why
PAUSED_WORDS = "paused"  # user attribute, for people: at which epoch it paused, and why
SETTLED = "optsearch:settled"  # study attribute: under which limits nothing more was worth training


class Limits(NamedTuple):
    """What a study may spend in all, whoever runs it and however often it is resumed."""

    trials: int | None = None  # chains: a trial and its retries are one
    epochs: int | None = None
    longest: int = 0  # most epochs that one trial can take; needed where `epochs` is set
    queued_only: bool = False  # what waits in the queue is all there is to do
    steps: bool = False  # a strategy grants epochs step by step, and trials pause between
    retries: int = 3  # crashes in a row, without a new checkpoint, that are answered
    points: Points | None = None  # of a finite space, where each is trained once
    enough: Enough | None = None  # what ends the search before its budget does


class Grant(NamedTuple):
    """What a strategy lets a worker train: a trial that waits, or one with new parameters, until so
    many epochs in all, and why."""

    trial: FrozenTrial | None
    params: Mapping[str, Any]
    until: int
    why: str


def has_slot(trials: Sequence[FrozenTrial], limits: Limits) -> bool:
    """Whether another chain may begin; with `steps`, whether any epoch may be granted.

    Of the epochs, those of the ended chains are spent, and of every open chain those that it may
    run: so the limit is never passed, and what stays unspent is less than one trial.
    """
    if limits.queued_only:
        return any(t.state == TrialState.WAITING for t in trials)
    if enough.why(trials, limits.enough):
        return False
    may_begin = limits.trials is None or chains.started(trials) < limits.trials
    if tried.is_all(limits.points, trials):
        may_begin = may_begin and any(map(chains.is_queued, trials))
    if limits.steps:
        some = may_begin or any(map(chains.is_paused, trials))
        return some and left(trials, limits, 1) >= 1
    return may_begin and left(trials, limits, limits.longest) >= limits.longest


def left(trials: Sequence[FrozenTrial], limits: Limits, otherwise: int = 0) -> int:
    """Epochs that nobody has spent, or may spend; `otherwise` where there is no limit."""
    if limits.epochs is None:
        return otherwise
    own = (t for t in trials if not chains.is_queued(t) and not chains.is_known(t))
    links = chains.grouped(own).values()
    return limits.epochs - sum(_reserved(chain, limits) for chain in links)


def _reserved(links: Sequence[FrozenTrial], limits: Limits) -> int:
    """Epochs that a chain has spent, or may yet."""
    last = links[-1]
    run = results.epochs_run(last)
    if chains.is_paused(last):
        return run
    if last.state.is_finished() and not chains.goes_on(links, limits.retries):
        return run
    return max(run, int(last.user_attrs.get(chains.UNTIL, limits.longest)))


def is_paid(trials: Sequence[FrozenTrial], limits: Limits, grant: Grant) -> bool:
    """Whether the budget has room for what is granted, whatever the trial has been granted yet."""
    if enough.why(trials, limits.enough):
        return False
    if grant.trial is None:
        if limits.trials is not None and chains.started(trials) >= limits.trials:
            return False
    elif chains.is_queued(grant.trial):
        return is_paid(trials, limits, grant._replace(trial=None))
    if limits.epochs is None:
        return True
    own = None if grant.trial is None else chains.of(grant.trial)
    links = [t for t in trials if chains.of(t) == own and not chains.is_queued(t)]
    before = _reserved(links, limits) if links else 0
    return left(trials, limits) - (max(grant.until, before) - before) >= 0


def has_retry(trials: Sequence[FrozenTrial]) -> bool:
    """Whether a retry waits for a worker: its slot is taken already."""
    return any(map(chains.is_retry, trials))


def has_work(trials: Sequence[FrozenTrial], limits: Limits, settled: object = None) -> bool:
    """Whether there is something for a worker to look at; `settled` is what that function gives."""
    if has_retry(trials):
        return True
    if settled == ended.KEY:
        return any(map(chains.is_paused, trials))  # a worker ends them
    if not limits.steps:
        return has_slot(trials, limits)
    may_go_on = any(map(chains.is_paused, trials)) or has_slot(trials, limits)
    return may_go_on and settled != settled_by(limits, len(trials))


def is_over(trials: Sequence[FrozenTrial], limits: Limits, settled: object = None) -> bool:
    """Whether no trial runs, and none will: what is queued beyond the budget stays so."""
    runs = any(t.state == TrialState.RUNNING for t in trials)
    return not (runs or has_work(trials, limits, settled))


def settled(study: optuna.Study, limits: Limits) -> object:
    """What says that nothing more is to be trained, as far as something does."""
    if ended.by(study) is not None:
        return ended.KEY
    if limits.enough and enough.why(study.get_trials(deepcopy=False), limits.enough):
        return ended.KEY
    return study.user_attrs.get(SETTLED) if limits.steps else None


def settled_by(limits: Limits, rows: int) -> list[object]:
    """Under which limits, and of how many trials, nothing more was worth training: what changes one
    of them opens the study again."""
    own = [] if limits.enough is None else limits.enough.key
    return [limits.trials, limits.epochs, rows, *own]


def claim(study: optuna.Study, limits: Limits) -> int | None:
    """Take the next slot: a waiting retry, else a queued or new trial while the budget lasts.

    Exact under any number of workers: counting and taking are one transaction.

    Returns:
        The id of a trial that is RUNNING now, with a first heartbeat and this process' lease; None
        where there is no slot. An id, because making an `optuna.Trial` samples, which takes time.
    """
    return _claim(study, slot(study, limits))


def claim_queued(study: optuna.Study, limits: Limits) -> int | None:
    """As `claim`, of what waits only: retries, and what the budget pays for of the queue."""
    study_id, has_slot = study._study_id, slot(study, limits)
    return _claim(
        study, lambda c: trial_rows.queued(c, study_id, chains.MARKS) is not None and has_slot(c)
    )


def slot(study: optuna.Study, limits: Limits) -> Callable[[sqlalchemy.Connection], bool]:
    """Whether another chain may begin, asked in a transaction."""
    study_id = study._study_id
    if limits.queued_only:
        return lambda c: trial_rows.queued(c, study_id, chains.MARKS) is not None
    if limits.epochs is None and limits.enough is None:  # no need to read thousands of trials
        return functools.partial(_may_begin, study_id, limits)
    known = study.get_trials(deepcopy=False)
    return lambda c: has_slot(_as_of_now(c, study_id, known), limits)


def claim_retry(study: optuna.Study) -> int | None:
    """As `claim`, of retries only."""
    return _claim(study, lambda _: False)


def _claim(study: optuna.Study, has_slot: Callable[[sqlalchemy.Connection], bool]) -> int | None:
    study._thread_local.cached_all_trials = None  # as `study.ask` does before it samples
    lease = {chains.LEASE: provenance.process()}
    database = storage.database_of(study)
    return holding.claim(database, study._study_id, chains.MARKS, lease, has_slot)


def take(
    study: optuna.Study, limits: Limits, grant: Grant, trials: Sequence[FrozenTrial]
) -> int | None:
    """Take what a strategy grants, if the budget pays for it and nobody was faster.

    Args:
        trials: as the strategy saw them.

    Returns:
        As `claim`.
    """
    study._thread_local.cached_all_trials = None
    attrs = {chains.LEASE: provenance.process(), **_granted(grant)}
    change = Change(TrialState.RUNNING, None, attrs, (chains.PAUSED, PAUSED_WORDS))
    new = {chains.FIXED: dict(grant.params)}
    which = new if grant.trial is None else grant.trial._trial_id
    pays = functools.partial(_pays, study._study_id, limits, grant, trials)
    return holding.take(storage.database_of(study), study._study_id, which, change, pays)


def go_on(study: optuna.Study, limits: Limits, grant: Grant, trials: Sequence[FrozenTrial]) -> bool:
    """Let the RUNNING trial of this process run further, if the budget pays for it.

    Raises:
        UpdateFinishedTrialError: somebody else has ended it.
    """
    assert grant.trial is not None
    place = storage.database_of(study), study._study_id, grant.trial._trial_id
    lease = (chains.LEASE, provenance.process())
    pays = functools.partial(_pays, study._study_id, limits, grant, trials)
    return holding.grant(*place, lease, _granted(grant), pays)


def _granted(grant: Grant) -> dict[str, Any]:
    return {chains.UNTIL: grant.until, GRANTED: f"to epoch {grant.until}: {grant.why}"}


def _pays(
    study_id: int,
    limits: Limits,
    grant: Grant,
    known: Sequence[FrozenTrial],
    connection: sqlalchemy.Connection,
) -> bool:
    """As `is_paid`, of the trials as they are in this transaction; False also where a new one has
    the parameters of one that somebody else has begun since."""
    if grant.trial is None:
        newest = max((t._trial_id for t in known), default=-1)
        begun = trial_rows.system_attrs_since(connection, study_id, newest, chains.FIXED)
        if dict(grant.params) in begun:
            return False
    if limits.epochs is not None or limits.enough is not None:
        return is_paid(_as_of_now(connection, study_id, known), limits, grant)
    has_begun = grant.trial is not None and not chains.is_queued(grant.trial)
    return has_begun or _may_begin(study_id, limits, connection)


def _may_begin(study_id: int, limits: Limits, connection: sqlalchemy.Connection) -> bool:
    """Whether another chain may begin, where epochs do not count."""
    if limits.trials is None:
        return True
    return trial_rows.chains(connection, study_id, chains.MARKS) < limits.trials


def _as_of_now(
    connection: sqlalchemy.Connection, study_id: int, known: Sequence[FrozenTrial]
) -> list[FrozenTrial]:
    """All trials of a study, by number. Those that had ended in an earlier reading are taken from
    there: they do not change any more."""
    ended = [t for t in known if t.state.is_finished()]
    open_ = [t._trial_id for t in known if not t.state.is_finished()]
    newest = max((t._trial_id for t in known), default=-1)
    fresh = trial_rows.since(connection, study_id, newest, open_)
    return sorted([*ended, *fresh], key=lambda t: t.number)


def first_failures(trials: Sequence[FrozenTrial], most: int = 3) -> FrozenTrial | None:
    """The first trial, if each of the study's first chains failed: nothing here will work. (Where
    one has paused, something does.)"""
    own = (t for t in trials if not chains.is_known(t))
    last = [links[-1] for links in chains.grouped(own).values()]
    if any(map(chains.is_paused, last)):
        return None
    ended = [t for t in last if t.state.is_finished() and chains.reason_of(t) != "preempted"]
    failed = [t for t in ended if t.state == TrialState.FAIL]
    return ended[0] if len(ended) >= most and len(failed) == len(ended) else None
