"""Slots: how many chains of trials (a trial with its retries) a study may still start."""

import math
import re
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import provenance, storage
from search.errors import UsageError

RETRIES = 3  # of a chain whose process died
CHAIN = "chain"  # user attribute: the number of the first trial of a chain


_UNITS = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_UNIT, _NUMBER = "|".join(_UNITS), r"[0-9]+(?:\.[0-9]+)?"


def parse_duration(text: str) -> float:
    """Seconds of `2h`, `1h30m`, `45s` or `90` (seconds).

    Raises:
        UsageError: not a duration, or not above zero.
    """
    seconds = text + "s" if re.fullmatch(_NUMBER, text) else text
    whole = re.fullmatch(rf"(?:{_NUMBER}\s*(?:{_UNIT})\s*)+", seconds)
    parts = re.findall(rf"({_NUMBER})\s*({_UNIT})", seconds) if whole else []
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < total < math.inf:
        raise UsageError(f"--timeout {text}: must be a time above zero, as in 45s, 30m or 2h")
    return total


def chain_of(trial: FrozenTrial) -> int:
    """The number of the first trial of this trial's chain."""
    return int(trial.user_attrs.get(CHAIN, trial.number))


def started(trials: list[FrozenTrial]) -> int:
    """Chains that have begun, however they ended; a queued baseline has not."""
    return len(
        {chain_of(t) for t in trials if t.state != TrialState.WAITING or CHAIN in t.user_attrs}
    )


def claim(study: optuna.Study, limit: int | None) -> int | None:
    """Take the next slot: a waiting retry, else a queued or new trial while the budget lasts.

    Exact under any number of workers: counting and taking happen under one lock.

    Returns:
        The id of a trial that is RUNNING now; None where the budget is used up. An id, because
        making an `optuna.Trial` samples, which takes time and belongs outside the lock.
    """
    with storage.exclusive(study):
        study._thread_local.cached_all_trials = None  # as `study.ask` does before it samples
        trials = study.get_trials(deepcopy=False)
        retries = [t for t in trials if t.state == TrialState.WAITING and CHAIN in t.user_attrs]
        for retry in retries:
            if study._storage.set_trial_state_values(retry._trial_id, TrialState.RUNNING):
                return retry._trial_id
        if limit is not None and started(trials) >= limit:
            return None
        queued = study._pop_waiting_trial_id()
        return study._storage.create_new_trial(study._study_id) if queued is None else queued


def used_up(study: optuna.Study, limit: int | None) -> str:
    """A line that says so where the study has no slot left; "" otherwise."""
    trials = study.get_trials(deepcopy=False)
    open_chains = any(not t.state.is_finished() for t in trials)
    if limit is None or started(trials) < limit or open_chains:
        return ""
    return f"the budget of {limit} trials is used up: nothing to train; --trials N goes on"


def enqueue_retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue the same configuration again, as the next link of the same chain."""
    attrs: dict[str, Any] = {
        key: trial.user_attrs[key] for key in ("configuration", "seed") if key in trial.user_attrs
    }
    study.enqueue_trial(trial.params, user_attrs={**attrs, CHAIN: chain_of(trial)})


def reconcile(study: optuna.Study) -> int:
    """End RUNNING trials whose process on this host is dead, and queue their chains again.

    A chain that has crashed RETRIES times is not queued any more. Returns how many were ended.
    """
    with storage.exclusive(study):
        trials = study.get_trials(deepcopy=False)
        dead = [
            t
            for t in trials
            if t.state == TrialState.RUNNING
            and provenance.is_gone(t.user_attrs.get("versions", {}))
        ]
        for trial in dead:
            study._storage.set_trial_user_attr(trial._trial_id, "reason", "crashed")
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            before = [t for t in trials if chain_of(t) == chain_of(trial) and t is not trial]
            if 1 + sum(t.user_attrs.get("reason") == "crashed" for t in before) < RETRIES:
                enqueue_retry(study, trial)
    return len(dead)


def superseded(trials: list[FrozenTrial]) -> set[int]:
    """Numbers of trials that a later link of their chain has replaced."""
    last = {chain_of(t): t.number for t in trials}
    return {t.number for t in trials if last[chain_of(t)] != t.number}


def first_failures(trials: list[FrozenTrial], most: int = 3) -> FrozenTrial | None:
    """The first trial, if each of the study's first trials raised: nothing here will work."""
    ended = [
        t for t in trials if t.state.is_finished() and t.user_attrs.get("reason") != "preempted"
    ]
    raised = [t for t in ended if t.user_attrs.get("reason") == "exception"]
    return ended[0] if len(ended) >= most and len(raised) == len(ended) else None
