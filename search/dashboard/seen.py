"""A study as one reading shows it, with the runs that confirm its best."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.answers import evidence, plans
from search.answers.plans import Plan
from search.errors import OptsearchError
from search.plots import canvas
from search.record import chains, snapshot
from search.record import study as studies
from search.record.budget import Limits
from search.studyfile.spec import StudySpec

LIVELY_S = 60.0  # after a trial's end
QUIET_S = 20.0  # the same: a run needs a moment between its stages


class Seen(NamedTuple):
    """A study as one reading shows it; `runs` confirm its best, `spec` is None of one of others.
    With `may_end` its page ends trials, too."""

    study: optuna.Study
    spec: StudySpec | None
    limits: Limits
    trials: Sequence[FrozenTrial]
    runs: optuna.Study | None
    confirming: Sequence[FrozenTrial]
    may_end: bool = False

    @property
    def title(self) -> str:
        """The question, or the study's name where nobody has asked one."""
        return (self.spec.question if self.spec else "") or self.study.study_name

    @property
    def running(self) -> list[tuple[optuna.Study, FrozenTrial]]:
        """Trials that run, each with the study that it is of."""
        both = [(self.study, t) for t in self.trials]
        both += [(self.runs, t) for t in self.confirming if self.runs is not None]
        return [(study, t) for study, t in both if t.state == TrialState.RUNNING]

    @property
    def plan(self) -> Plan | None:
        """What is confirmed, or is yet to be; None where nobody has begun to, or all is over."""
        is_open = self.runs is not None and not self.runs.user_attrs.get(plans.CHOICE)
        return plans.plan_of(self.runs) if self.runs is not None and is_open else None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs, and nothing has ended a moment ago: nobody works here any more."""
        return not self.running and time.time() - self._last_end > QUIET_S

    @property
    def _last_end(self) -> float:
        ends = (t.datetime_complete for t in (*self.trials, *self.confirming))
        return max((end.timestamp() for end in ends if end), default=0.0)

    @property
    def is_lively(self) -> bool:
        """Whether something runs, or has ended a moment ago: more is likely to come soon."""
        return bool(self.running) or time.time() - self._last_end < LIVELY_S

    @property
    def last(self) -> list[FrozenTrial]:
        """Of every chain that has begun, the trial that speaks for it."""
        return chains.last_links(self.trials)

    @property
    def sign(self) -> int:
        return canvas.sign(self.study)


def see(study: optuna.Study, *, may_end: bool = False) -> Seen:
    """Read a study, and the runs that confirm it; trials of somebody else's study are not ours to
    end."""
    try:
        spec = studies.stored_spec(study)
        limits = studies.limits(study, spec) if spec else Limits()
    except (ValueError, KeyError, TypeError, OptsearchError):  # somebody else's attribute
        spec, limits = None, Limits()
    sibling = evidence.sibling(study) if spec else None
    runs, study = snapshot.of(sibling) if sibling else None, snapshot.of(study)
    confirming = runs.get_trials(deepcopy=False) if runs else []
    trials = study.get_trials(deepcopy=False)
    return Seen(study, spec, limits, trials, runs, confirming, may_end and spec is not None)
