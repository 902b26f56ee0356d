"""The confirm stage of a run: the best few race on fresh seeds (search/answers/confirm.py)."""

import functools
import time
from collections.abc import Callable
from signal import Signals
from typing import NamedTuple

import optuna

from search.answers import confirm as confirming
from search.answers import evidence
from search.record import budget
from search.record.listener import Listener
from search.studyfile.spec import Confirm, StudySpec

JOIN_S = 30.0  # how long a worker waits for the run that ended the search to begin confirming


class Workers(NamedTuple):
    """Who trains the runs: `work` is that of run.py, with its hands."""

    work: Callable[..., Signals | None]
    number: int
    listener: Listener


def stage(
    workers: Workers, study: optuna.Study, spec: StudySpec, confirm: Confirm, *, grow: bool = False
) -> Signals | None:
    """Run what the race wants until it is over; the signal that broke it off, or None.

    Args:
        grow: keep the larger `top` and `seeds` of an earlier command.
    """
    runs = confirming.begin(study, spec, confirm, grow=grow)
    if runs is None:
        return None
    plan = evidence.require_plan(runs)
    if not evidence.standing(runs, plan).over:
        number = len(plan.candidates)
        words = f"confirming the best {number} on {plan.seeds} fresh seeds"
        workers.listener.say(study.study_name, words)
    stopped = _race(workers, study, spec, runs)
    if not stopped:
        confirming.choose(runs)
    return stopped


def join(workers: Workers, study: optuna.Study, spec: StudySpec) -> Signals | None:
    """Help a run on another machine to confirm, where it is going to."""
    until = time.monotonic() + JOIN_S
    while study.user_attrs.get(confirming.WILL) and time.monotonic() < until:
        runs = evidence.sibling(study)
        if runs is not None and evidence.plan_of(runs) and not runs.user_attrs.get(evidence.CHOICE):
            return _race(workers, study, spec, runs)
        time.sleep(1)
    return None


def _race(
    workers: Workers, study: optuna.Study, spec: StudySpec, runs: optuna.Study
) -> Signals | None:
    """Train what the race wants, as long as it wants something."""
    advance = functools.partial(confirming.advance, runs, study, workers.number)
    if not advance():
        return None
    plan = evidence.require_plan(runs)
    limits = budget.Limits(len(plan.candidates) * plan.seeds, queued_only=True)
    asked = confirming.spec_of_runs(spec)
    return workers.work(runs, asked, limits, advance=advance, modest=True)
