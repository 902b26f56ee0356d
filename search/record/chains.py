"""Chains: a trial and its retries count as one, are queued once, and never get lost.

A retry is a trial of its own that names the chain's first trial; the last link speaks for all.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.database import storage

CHAIN = "optsearch:chain"  # user attribute: the number of the first trial of a chain
LEASE = "optsearch:lease"  # user attribute: the process that runs the trial (provenance.process)
CHECKPOINTED = "checkpointed"  # user attribute, by the objective: epochs in the last checkpoint
RESUMED = "resumed_from"  # user attribute, by the objective: epochs found in a checkpoint
AUDIT = "optsearch:audit"  # user attribute: when the trial would have been pruned (LiveTrial)
REOPENED = "optsearch:reopened"  # user attribute of a retry that a person asked for
FIXED = "fixed_params"  # system attribute of Optuna: what a queued trial does not draw
INFEASIBLE = "constraints:memory"  # system attribute behind `trial.set_constraint("memory", ...)`
RETRIED = ("preempted", "crashed")  # reasons after which a chain goes on
# What a retry takes over from the link before; the sampler does not draw again.
CANDIDATE, SEED_INDEX = "optsearch:candidate", "optsearch:seed_index"  # of a run that confirms
KEPT = ("configuration", "seed", CANDIDATE, SEED_INDEX, CHAIN, AUDIT)


def of(trial: FrozenTrial) -> int:
    """The number of the first trial of this trial's chain."""
    return int(trial.user_attrs.get(CHAIN, trial.number))


def grouped(trials: Iterable[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """The links of every chain, first to last, by chain."""
    links: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        links.setdefault(of(trial), []).append(trial)
    return links


def started(trials: Iterable[FrozenTrial]) -> int:
    """Chains that have begun, however they ended; a queued baseline has not."""
    return len({of(t) for t in trials if t.state != TrialState.WAITING or CHAIN in t.user_attrs})


def superseded(trials: Iterable[FrozenTrial]) -> set[int]:
    """Numbers of trials that a later link of their chain has replaced."""
    return {t.number for links in grouped(trials).values() for t in links[:-1]}


def reason_of(trial: FrozenTrial) -> str | None:
    """The word for how a trial ended; a failure that nobody could explain is a crash."""
    unexplained = "crashed" if trial.state == TrialState.FAIL else None
    return trial.user_attrs.get("reason") or unexplained


def crashes(links: Sequence[FrozenTrial]) -> int:
    """Crashes at the chain's end without a new checkpoint between them; a preemption is none."""
    count = 0
    for i, link in reversed(list(enumerate(links))):
        before = max((t.user_attrs.get(CHECKPOINTED, 0) for t in links[:i]), default=0)
        if reason_of(link) == "crashed":
            if link.user_attrs.get(CHECKPOINTED, 0) > before:
                break
            count += 1
        if link.user_attrs.get(REOPENED):
            break
    return count


def lost_epochs(links: Sequence[FrozenTrial]) -> int:
    """Epochs in the checkpoint of an earlier link that the last one, now training, did not find:
    it runs on another machine, with another `--workdir`. 0 where nothing was lost."""
    last = links[-1]
    if not last.intermediate_values or RESUMED in last.user_attrs:
        return 0
    return max((t.user_attrs.get(CHECKPOINTED, 0) for t in links[:-1]), default=0)


def goes_on(links: Sequence[FrozenTrial], retries: int) -> bool:
    """Whether the chain's last link has failed in a way that deserves another one.

    Args:
        retries: how many crashes in a row, without a new checkpoint, are answered by a retry.
    """
    last = links[-1]
    failed = last.state == TrialState.FAIL and reason_of(last) in RETRIED
    return failed and (reason_of(last) == "preempted" or crashes(links) <= retries)


def mend(study: optuna.Study, retries: int, lost: Collection[int] = ()) -> list[FrozenTrial]:
    """Put right what a death left behind, whenever it struck; safe to call at any time.

    RUNNING trials whose process on this host is dead, or whose id is among `lost`, end as crashed;
    every chain that ended in a crash or a preemption gets its waiting retry, exactly one, however
    many processes mend at once.

    Returns:
        The trials that ended as crashed here.
    """
    dead = [t for t in _running(study) if t._trial_id in lost or is_dead(t)]
    ended = [t for t in dead if _end(study, t, TrialState.FAIL, "crashed")]
    for links in grouped(_read(study)).values():
        if goes_on(links, retries):
            _follow(study, links[-1])
    return ended


def is_dead(trial: FrozenTrial) -> bool:
    """Whether the process that holds this trial's lease is known to be gone."""
    return provenance.is_gone(trial.user_attrs.get(LEASE, {}))


def prune(study: optuna.Study, which: Callable[[FrozenTrial], bool], reason: str) -> None:
    """End RUNNING trials as pruned, in place of workers that are dead or do not answer.

    Args:
        reason: `deadline` or `out_of_memory`; the sampler learns the latter as infeasible.
    """
    for trial in filter(which, _running(study)):
        if reason == "out_of_memory":
            study._storage.set_trial_system_attr(trial._trial_id, INFEASIBLE, 1.0)
        _end(study, trial, TrialState.PRUNED, reason)


def reopen(study: optuna.Study, reasons: Collection[str]) -> list[FrozenTrial]:
    """Queue a retry for every chain that has failed for good, with one of the reasons.

    Args:
        reasons: `exception`, `crashed`; empty for both.

    Returns:
        The failed trials that get another link.
    """
    last = [links[-1] for links in grouped(_read(study)).values()]
    failed = [t for t in last if t.state == TrialState.FAIL]
    chosen = [t for t in failed if not reasons or reason_of(t) in reasons]
    return [t for t in chosen if _follow(study, t, **{REOPENED: True})]


def _read(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False)


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _follow(study: optuna.Study, trial: FrozenTrial, **attrs: Any) -> bool:
    """Queue the same configuration again, as the next link of the same chain; False where
    somebody else was first."""
    kept = {key: trial.user_attrs[key] for key in KEPT if key in trial.user_attrs}
    # a baseline that was killed early has not drawn all that it was queued with
    fixed = {**trial.system_attrs.get(FIXED, {}), **trial.params}
    link = optuna.trial.create_trial(
        state=TrialState.WAITING,
        system_attrs={FIXED: fixed},
        user_attrs={**kept, CHAIN: of(trial), **attrs},
    )
    database = storage.database_of(study)
    return database.follow(study._study_id, trial._trial_id, link, CHAIN) is not None


def _end(study: optuna.Study, trial: FrozenTrial, state: TrialState, reason: str) -> bool:
    """The reason first: once a trial is finished nothing can be written to it. False where its
    worker lives after all, and has just ended it."""
    last = trial.intermediate_values.get(max(trial.intermediate_values, default=-1))
    values = None if last is None or state == TrialState.FAIL else [last]
    try:
        study._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
        study._storage.set_trial_state_values(trial._trial_id, state, values)
    except optuna.exceptions.UpdateFinishedTrialError:
        return False
    return True
