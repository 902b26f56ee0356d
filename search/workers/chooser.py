"""What a worker trains next where a strategy grants epochs step by step, and how far.

A decision is made from one reading of the trials, outside of every lock. It is carried out in one
short transaction, which sees whether it can be: if somebody was faster, it is made again.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import provenance
from search.record import budget, chains, enough, pauses, results
from search.record import study as studies
from search.record.budget import Grant, Limits
from search.strategy import strategies
from search.strategy.runs import Reader
from search.strategy.steps import Run, Step
from search.studyfile.spec import StudySpec


class Verdict(NamedTuple):
    """Of a trial at its rung: until which epoch it goes on, None where it does not; and why."""

    until: int | None
    why: str


class Chooser:
    """Decides for one worker. `resumes`: whether the objective goes on where it paused."""

    def __init__(
        self, study: optuna.Study, spec: StudySpec, limits: Limits, folder: Path, *, resumes: bool
    ) -> None:
        self._study, self._spec, self._limits, self._folder = study, spec, limits, folder
        self._options = strategies.stepwise(spec)
        self.resumes = resumes
        self._begin()

    @property
    def longest(self) -> int:
        """The most epochs that one trial can take."""
        return self._limits.longest

    def cannot_resume(self) -> None:
        """The objective was seen to begin anew where it should have gone on."""
        self._study.set_user_attr(pauses.RESUMES, False)
        self.resumes = False
        self._begin()

    def _begin(self) -> None:
        asked = strategies.question(self._spec, self._of_all(), pauses=self.resumes)
        self._strategy = self._options.build(asked)
        self._reader = Reader(self._study.direction, self._limits, self.resumes)

    def _of_all(self) -> Limits:
        """The limits of all that the strategy sees: what another study has paid for, too."""
        trials = self._study.get_trials(deepcopy=False)
        epochs = [results.epochs_run(t) for t in trials if chains.is_known(t)]
        limits = self._limits
        return limits._replace(
            trials=None if limits.trials is None else limits.trials + len(epochs),
            epochs=None if limits.epochs is None else limits.epochs + sum(epochs),
        )

    def claim(self) -> int | None:
        """Take what is to be trained next: retries first, then what the strategy wants.

        Returns:
            The id of a trial that is RUNNING now; None where nothing is to be done, now or ever.
        """
        while True:
            trials = self._study.get_trials(deepcopy=False)
            if budget.has_retry(trials):
                if (retry := budget.claim_retry(self._study)) is not None:
                    return retry
                continue
            step = self._next(self._runs(trials))
            grant = None if step is None else self._grant(step, trials)
            if grant is None or not budget.is_paid(trials, self._limits, grant):
                if self._rests(trials):
                    return None
            elif not self._begins_anew(grant.trial):
                taken = budget.take(self._study, self._limits, grant, trials)
                if taken is not None:
                    return taken

    def at_rung(self, trial_id: int) -> Verdict:
        """Whether the running trial of this worker, that has run as far as it may, goes on."""
        while True:
            trials = self._study.get_trials(deepcopy=False)
            trial = _by_id(trials, trial_id)
            number, epochs = chains.of(trial), results.epochs_run(trial)
            runs = self._runs(trials, asking=number)
            step = self._next(runs)
            if step is None or step.number != number or step.until <= epochs:
                return Verdict(None, self._explain(runs, number))
            grant = Grant(trial, trial.params, step.until, step.why)
            if not budget.is_paid(trials, self._limits, grant):
                had = enough.why(trials, self._limits.enough)
                return Verdict(None, had or "the budget has no room for more")
            if budget.go_on(self._study, self._limits, grant, trials):
                return Verdict(step.until, step.why)

    def run_to(self, trial_id: int, until: int, why: str) -> bool:
        """Let a trial at its rung run on; False where the budget has no room for that."""
        trials = self._study.get_trials(deepcopy=False)
        trial = _by_id(trials, trial_id)
        grant = Grant(trial, trial.params, until, why)
        return budget.go_on(self._study, self._limits, grant, trials)

    def keep_few(self) -> None:
        """End those paused trials for whose checkpoints there is no room."""
        pauses.end_beyond(self._study, self._options.max_paused)

    def _runs(self, trials: Sequence[FrozenTrial], asking: int | None = None) -> list[Run]:
        """What the strategy sees; of what is queued, as much as the budget of trials pays for."""
        runs = self._reader.runs(trials, asking)
        if self._limits.trials is None:
            return runs
        slots = self._limits.trials - chains.started(trials)
        beyond = {run.number for run in [r for r in runs if r.state == "queued"][max(slots, 0) :]}
        return [run for run in runs if run.number not in beyond]

    def _next(self, runs: Sequence[Run]) -> Step | None:
        try:
            return self._strategy.next(runs, self._study.user_attrs.get(studies.TIMELY))
        except BaseException:  # a deadline may strike in here, and leave half a thought
            self._begin()
            raise

    def _explain(self, runs: Sequence[Run], number: int) -> str:
        return self._strategy.explain(runs, number)

    def _grant(self, step: Step, trials: Sequence[FrozenTrial]) -> Grant:
        trial = None
        if step.number is not None:
            trial = [t for t in trials if chains.of(t) == step.number][-1]
            assert trial.state == TrialState.WAITING
            assert step.until > results.epochs_run(trial)
        return Grant(trial, step.params, step.until, step.why)

    def _begins_anew(self, trial: FrozenTrial | None) -> bool:
        """Whether a trial paused under other code of the objective: its checkpoint goes, and a
        retry takes its place."""
        if trial is None or not chains.is_paused(trial):
            return False
        code = provenance.of_trial(self._spec.objective, self._spec.folder)["code"]
        if trial.user_attrs.get("versions", {}).get("code", code) == code:
            return False
        shutil.rmtree(self._folder / str(chains.of(trial)), ignore_errors=True)
        why = f"the code of {self._spec.objective} has changed since it paused"
        pauses.begin_anew(self._study, trial, self._spec.budget.retries, why)
        return True

    def _rests(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether this worker has nothing to do. Where nobody has, what is paused ends."""
        if any(t.state == TrialState.RUNNING for t in trials):
            return True
        chains.mend(self._study, self._spec.budget.retries)  # what is to go on must not be missed
        again = self._study.get_trials(deepcopy=False)
        return [_moment(t) for t in again] == [_moment(t) for t in trials] and pauses.settle(
            self._study, self._limits
        )


def _by_id(trials: Sequence[FrozenTrial], trial_id: int) -> FrozenTrial:
    return next(t for t in trials if t._trial_id == trial_id)


def _moment(trial: FrozenTrial) -> tuple[int, TrialState]:
    return trial.number, trial.state
