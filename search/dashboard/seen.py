"""A study as one reading shows it, with the runs that confirm its best."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.answers import evidence
from search.errors import OptsearchError
from search.plots import canvas
from search.record import chains, snapshot
from search.record import study as studies
from search.record.budget import Limits
from search.studyfile.spec import StudySpec

LIVELY_S = 60.0  # after a trial's end


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
    def is_lively(self) -> bool:
        """Whether something runs, or has ended a moment ago: more is likely to come soon."""
        ends = (t.datetime_complete for t in (*self.trials, *self.confirming))
        last = max((end.timestamp() for end in ends if end), default=0.0)
        return bool(self.running) or time.time() - last < LIVELY_S

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
