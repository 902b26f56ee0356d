"""Look on while others run a study, here or on other machines."""

import contextlib
import itertools
import time
from collections.abc import Iterator

import optuna
from optuna.trial import TrialState

from search.answers import evidence, plans
from search.errors import StudyNotFoundError
from search.record import budget
from search.record import study as studies
from search.record.budget import Limits
from search.record.listener import Listener
from search.record.progress import Progress

LOOK_S = 1.0  # between two looks
EVENTS = 5  # trials that ended before somebody looked on, and are told first


def look_on(study: optuna.Study, listener: Listener) -> None:
    """Show a study that others run, and how it is confirmed, until all is done, or Ctrl-C.

    Raises:
        StudyNotFoundError: it was deleted meanwhile.
    """
    earlier = EVENTS if listener.is_visual else 0
    with contextlib.suppress(KeyboardInterrupt):
        try:
            for one in itertools.chain([study], _confirming(study)):
                limits, over = _budget(one)
                with Progress(one, limits, None, listener, earlier) as progress:
                    while not over:
                        time.sleep(LOOK_S)
                        progress.limits, over = _budget(one)  # a run may have changed it
                        progress.update()
        except KeyError:
            raise StudyNotFoundError(f"study '{study.study_name}' was deleted meanwhile") from None


def _confirming(study: optuna.Study) -> Iterator[optuna.Study]:
    """The study of the runs that confirm this one, where they are under way."""
    runs = evidence.sibling(study)
    if runs is not None and plans.plan_of(runs) and not runs.user_attrs.get(plans.CHOICE):
        yield runs


def _budget(study: optuna.Study) -> tuple[Limits, bool]:
    """What the study may spend, and whether nothing runs and nothing will."""
    if (plan := plans.plan_of(study)) is not None:  # its queue may be empty between two rounds
        total = len(plan.candidates) * plan.seeds
        return Limits(total, queued_only=True), bool(study.user_attrs.get(plans.CHOICE))
    spec, trials = studies.stored_spec(study), study.get_trials(deepcopy=False)
    limits = studies.limits(study, spec) if spec else Limits()
    if budget.first_failures(trials) is not None:  # its runs end there
        return limits, not any(t.state == TrialState.RUNNING for t in trials)
    return limits, budget.is_over(trials, limits, budget.settled(study, limits))
