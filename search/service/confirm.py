"""The confirm stage of a run: the best few race on fresh seeds (search/answers/confirm.py)."""

import functools
import math
import time
from collections.abc import Callable
from signal import Signals
from typing import NamedTuple

import optuna

from search.answers import candidates, evidence, plans
from search.answers import confirm as confirming
from search.errors import UsageError
from search.record import budget, chains, results
from search.record import study as studies
from search.record.listener import Listener
from search.record.progress import duration
from search.studyfile.spec import Confirm, StudySpec

WARM_S = 2.0  # until workers are at it, after a search
LAST = 5  # trials by whose pace the time is planned
LOOK_S = 5.0  # between two estimates of what the time pays for
CLOSE = 0.05  # such a share more or less is no news
JOIN_S = 30.0  # how long a worker waits for the run that ended the search to begin confirming


class Workers(NamedTuple):
    """Who trains the runs, and until which `time.monotonic()`: `work` is that of run.py, with its
    hands."""

    work: Callable[..., Signals | None]
    number: int
    listener: Listener
    deadline: float | None = None


def wanted(usual: Confirm, top: int | None, seeds: int | None, splits: int | None) -> Confirm:
    """What is confirmed by a command of its own; None stands for what the study file says.

    Raises:
        UsageError: splits are neither one nor as many as seeds.
    """
    if seeds is None:
        seeds = splits if splits and splits > 1 else usual.seeds or 5
    if splits is None:
        splits = seeds if usual.is_split else 1
    if splits not in (1, seeds):
        raise UsageError(f"--splits {splits}: must be 1, or as many as --seeds ({seeds})")
    return Confirm(top=top or usual.top, seeds=seeds, splits=splits)


def epochs_kept(study: optuna.Study, spec: StudySpec, plan: Confirm) -> int:
    """Epochs of the budget that the search leaves to its confirming; 0 without such a budget."""
    epochs, longest = spec.budget.epochs, evidence.longest(study)
    return candidates.reserve(study, plan.top, plan.seeds, epochs, longest)


def epochs_left(study: optuna.Study, spec: StudySpec) -> int | None:
    """Epochs of the budget that the search has not run; None without such a budget."""
    if spec.budget.epochs is None:
        return None
    own = (t for t in study.get_trials(deepcopy=False) if not chains.is_known(t))
    links = chains.grouped(own).values()
    return max(0, spec.budget.epochs - sum(results.epochs_run(chain[-1]) for chain in links))


def stage(
    workers: Workers,
    study: optuna.Study,
    spec: StudySpec,
    confirm: Confirm,
    *,
    grow: bool = False,
    epochs: int | None = None,
) -> Signals | None:
    """Run what the race wants until it is over; the signal that broke it off, or None.

    Args:
        grow: keep the larger `top` and `seeds` of an earlier command.
        epochs: that all runs together may take at most; None for no limit.
    """
    timed = None if _has_caught_up(study) else _epochs_timed(study, confirm, workers)
    most = min((one for one in (epochs, timed) if one is not None), default=None)
    runs = confirming.begin(study, spec, confirm, grow=grow, epochs=most)
    if runs is None:
        if results.ranking(study):
            told = (
                f"{epochs} epochs are left, which do not pay two fresh seeds; raise budget.epochs"
            )
            if most == timed:
                told = "the time that is left does not pay two fresh seeds; give it more"
            workers.listener.say(study.study_name, f"not confirmed: {told}")
        return None
    plan = plans.require_plan(runs)
    if not evidence.standing(runs, plan).over:
        workers.listener.say(study.study_name, _cost(study, plan))
    stopped = _race(workers, study, spec, runs)
    if not stopped:
        confirming.choose(runs)
    return stopped


def _epochs_timed(study: optuna.Study, confirm: Confirm, workers: Workers) -> int | None:
    """Epochs that fresh runs may take in all for the time to pay them, by the pace of the trials
    that ended last; None where it pays all that is wanted, or nothing is known."""
    if workers.deadline is None or (pace := _pace(study)) is None:
        return None
    longest, left = evidence.longest(study), workers.deadline - time.monotonic()
    rounds = int(max(0.0, left - WARM_S) / (1.1 * pace * longest))
    if rounds * workers.number >= candidates.most(study, confirm.top) * confirm.seeds:
        return None
    runs = evidence.sibling(study)
    done = results.epochs_in_all(runs.get_trials(deepcopy=False)) if runs else 0
    return done + rounds * workers.number * longest


class Timely:
    """Notes now and then how many epochs the time is likely to pay the search, for its strategy to
    bring the floors to their ends first; as long as nobody knows whether these are paid."""

    def __init__(self, study: optuna.Study, confirm: Confirm, workers: Workers) -> None:
        self._study, self._confirm, self._workers = study, confirm, workers
        self._next = time.monotonic() if workers.deadline else math.inf

    def __call__(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOOK_S
        epochs = self._epochs()
        noted = self._study.user_attrs.get(studies.TIMELY)
        if epochs is not None and (noted is None or abs(epochs - noted) > CLOSE * noted):
            self._study.set_user_attr(studies.TIMELY, epochs)

    def _epochs(self) -> int | None:
        study, confirm = self._study, self._confirm
        if self._workers.deadline is None or (pace := _pace(study)) is None:
            return None
        left = max(0.0, self._workers.deadline - time.monotonic() - WARM_S)
        paid = int(left * self._workers.number / (1.1 * pace))
        whole = results.epochs_in_all(study.get_trials(deepcopy=False)) + paid
        return whole - candidates.reserve(
            study, confirm.top, confirm.seeds, whole, evidence.longest(study)
        )


def _pace(study: optuna.Study) -> float | None:
    """Seconds an epoch, of the trials that ended last; of a whole one where none are reported."""
    own = [t for t in study.get_trials(deepcopy=False) if not chains.is_known(t)]
    own.sort(key=lambda t: results.moment(t.datetime_complete or t.datetime_start))
    took = [(s, results.epochs_run(t)) for t in own if (s := results.seconds(t))][-LAST:]
    epochs = sum(max(1, one) for _, one in took)
    return sum(seconds for seconds, _ in took) / epochs if took else None


def _cost(study: optuna.Study, plan: plans.Plan) -> str:
    """What is going to be confirmed, and what it takes at most."""
    number, longest = len(plan.candidates), evidence.longest(study)
    who = _who(study, plan)
    most, splits = number * plan.seeds, ", each on a split of its own" * plan.splits
    took = [s for t in results.ranking(study)[:number] if (s := results.seconds(t))]
    each = f", about {duration(sum(took) / len(took))} each" if took else ""
    if plan.epochs is not None and plan.epochs < most * longest:
        runs = max(number, plan.epochs // longest)
        return (
            f"confirming {who} on fresh seeds{splits}: {plan.epochs} epochs are left for it, which "
            f"pay {runs} runs of up to {longest}{each}, {plan.seeds} a candidate at most"
        )
    return (
        f"confirming {who} on {plan.seeds} fresh seeds{splits}: at most {most} runs{each}, "
        f"{most * longest} epochs"
    )


def _who(study: optuna.Study, plan: plans.Plan) -> str:
    """`the best of each of 6 values of optimizer, 2 more and 1 baseline`."""
    of_values = set(candidates.leaders(study)) & set(plan.candidates)
    others = set(plan.candidates) - of_values
    named = others & set(plan.baselines.values())
    told = [f"the best of each of {len(of_values)} values of {plan.by}"] if of_values else []
    if more := len(others - named):
        told.append(f"{more} more" if told else f"the best {more}")
    if named:
        told.append(f"{len(named)} baseline" + "s" * (len(named) > 1))
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def join(workers: Workers, study: optuna.Study, spec: StudySpec) -> Signals | None:
    """Help a run on another machine to confirm, where it is going to."""
    until, is_told = time.monotonic() + JOIN_S, False
    while study.user_attrs.get(confirming.WILL) and not _has_caught_up(study):
        runs = evidence.sibling(study)
        if runs is not None and plans.plan_of(runs) and not runs.user_attrs.get(plans.CHOICE):
            return _race(workers, study, spec, runs)
        if time.monotonic() > until:
            workers.listener.say(study.study_name, "no run has begun to confirm: nothing to help")
            return None
        if not is_told:
            is_told = True
            told = f"waiting {duration(JOIN_S)} at most for a run that confirms, to help it"
            workers.listener.say(study.study_name, told)
        time.sleep(min(1.0, JOIN_S))
    return None


def _has_caught_up(study: optuna.Study) -> bool:
    """Whether its race is over, and no trial has begun since then, for which another might come."""
    runs = evidence.sibling(study)
    if runs is None or not runs.user_attrs.get(plans.CHOICE) or not (plan := plans.plan_of(runs)):
        return False
    return plan.trials >= chains.started(study.get_trials(deepcopy=False))


def _race(
    workers: Workers, study: optuna.Study, spec: StudySpec, runs: optuna.Study
) -> Signals | None:
    """Train what the race wants, as long as it wants something."""
    advance = functools.partial(confirming.advance, runs, study, workers.number)
    if not advance():
        return None
    plan = plans.require_plan(runs)
    limits = budget.Limits(len(plan.candidates) * plan.seeds, queued_only=True)
    asked = confirming.spec_of_runs(spec)
    return workers.work(runs, asked, limits, advance=advance, modest=True)
