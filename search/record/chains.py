"""Chains: a trial and its retries count as one, are queued once, and never get lost.

A retry is a trial of its own that names the chain's first trial; the last link speaks for all.
A trial that pauses keeps its row, and waits in it (pauses.py).
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.database import changes, holding, storage
from search.database.changes import Change
from search.database.trial_rows import Marks

CHAIN = "optsearch:chain"  # user attribute: the number of the first trial of a chain
LEASE = "optsearch:lease"  # user attribute: the process that runs the trial (provenance.process)
CHECKPOINTED = "checkpointed"  # user attribute, by the objective: epochs in the last checkpoint
RESUMED = "resumed_from"  # user attribute, by the objective: epochs found in a checkpoint
AUDIT = "optsearch:audit"  # user attribute: when the trial would have been pruned (LiveTrial)
PAUSED = "optsearch:paused"  # user attribute of a WAITING trial that has begun: where and when
UNTIL = "optsearch:until"  # user attribute: epochs in all that the trial may run before it asks
ANEW = "optsearch:anew"  # user attribute: why a trial that goes on has begun anew
ANEW_ONLY = "optsearch:anew_only"  # user attribute: its objective keeps nothing to go on from
ASKED = "optsearch:asked"  # user attribute of what a person asked for: not pruned before a floor
REOPENED = "optsearch:reopened"  # user attribute of a retry that a person asked for
FIXED = "fixed_params"  # system attribute of Optuna: what a queued trial does not draw
INFEASIBLE = "constraints:memory"  # system attribute behind `trial.set_constraint("memory", ...)`
RETRIED = ("preempted", "crashed")  # reasons after which a chain goes on
# What a retry takes over from the link before; the sampler does not draw again.
CANDIDATE, SEED_INDEX = "optsearch:candidate", "optsearch:seed_index"  # of a run that confirms
SPLIT = "split_seed"  # of a run that confirms, where each seed has a split of its own
KEPT = ("configuration", "seed", CANDIDATE, SEED_INDEX, SPLIT, CHAIN, AUDIT, UNTIL, ASKED)
KNOWN = "optsearch:from"  # user attribute of a trial of another study, known from the start
MARKS = Marks(CHAIN, PAUSED, KNOWN)


def of(trial: FrozenTrial) -> int:
    """The number of the first trial of this trial's chain."""
    return int(trial.user_attrs.get(CHAIN, trial.number))


def grouped(trials: Iterable[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """The links of every chain, first to last, by chain."""
    links: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        links.setdefault(of(trial), []).append(trial)
    return links


def is_known(trial: FrozenTrial) -> bool:
    """Whether another study has paid for it (known.py)."""
    return KNOWN in trial.user_attrs


def is_queued(trial: FrozenTrial) -> bool:
    """Whether its chain has not begun: a baseline, or what a person has asked for."""
    return trial.state == TrialState.WAITING and not trial.user_attrs.keys() & set(MARKS)


def is_paused(trial: FrozenTrial) -> bool:
    """Whether it has begun, and may go on where it is worth it."""
    return trial.state == TrialState.WAITING and PAUSED in trial.user_attrs


def is_retry(trial: FrozenTrial) -> bool:
    """Whether it waits to go on with what another trial began."""
    waits = trial.state == TrialState.WAITING and PAUSED not in trial.user_attrs
    return waits and CHAIN in trial.user_attrs


def last_links(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Of every chain that has begun, the trial that speaks for it."""
    return [links[-1] for links in grouped(t for t in trials if not is_queued(t)).values()]


def started(trials: Iterable[FrozenTrial]) -> int:
    """Chains that have begun here, however they ended; a queued baseline has not."""
    return len({of(t) for t in trials if not is_queued(t) and not is_known(t)})


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


def begun_anew(links: Sequence[FrozenTrial]) -> str:
    """Why the chain's last link, now training, has begun anew though there was a checkpoint: it
    runs on another machine, say, with another `--workdir`. "" where it has not."""
    last = links[-1]
    if last.state == TrialState.WAITING or not last.intermediate_values:
        return ""
    if why := [t.user_attrs[ANEW] for t in links[-2:] if ANEW in t.user_attrs]:
        return str(why[-1])
    lost = max((t.user_attrs.get(CHECKPOINTED, 0) for t in links[:-1]), default=0)
    return "" if RESUMED in last.user_attrs or not lost else lost_words(lost, last)


def lost_words(epochs: int, trial: FrozenTrial) -> str:
    """Of a checkpoint that is not where the trial runs."""
    host = trial.user_attrs.get(LEASE, {}).get("host", "its machine")
    return f"the checkpoint of {epochs} epochs is not in the workdir of {host}"


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
    return holding.follow(database, study._study_id, trial._trial_id, link, CHAIN) is not None


def _end(study: optuna.Study, trial: FrozenTrial, state: TrialState, reason: str) -> bool:
    """End a RUNNING trial; False where its worker lives after all, and has just ended it, or let it
    go."""
    lease = trial.user_attrs.get(LEASE)
    proof = None if lease is None else (LEASE, lease)
    values = None if state == TrialState.FAIL else last_report(trial)
    after = Change(state, values, {"reason": reason})
    database = storage.database_of(study)
    return changes.change(database, trial._trial_id, TrialState.RUNNING, proof, after)


def last_report(trial: FrozenTrial) -> list[float] | None:
    """The value of a trial that is ended early, as Optuna has it: its last report."""
    last = trial.intermediate_values.get(max(trial.intermediate_values, default=-1), math.nan)
    return None if math.isnan(last) else [last]
