"""Optuna's median and percentile pruners, remembering what trials that have ended reported.

Optuna goes through all complete trials at every report; these look at each of them once. They
answer what Optuna's answer (tested).

A trial's horizon is how long its learning-rate schedule is, where the schedule's shape follows
from that. Such a trial looks bad in the middle by design, so LiveTrial shows a pruner none but
those of equal horizon. A trial without a horizon is compared with trials without one only,
however many epochs it has planned: no decay that is still to come holds its curve back.
"""

import math
from array import array
from collections import defaultdict

import numpy as np
import optuna
from optuna.pruners._percentile import (
    _get_best_intermediate_result_over_steps,
    _is_first_in_interval_step,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

HORIZON = "horizon"  # user attribute, by the objective: planned epochs that shape the schedule


class _Reports:
    """Reports of complete trials of one study and one horizon, by step. They never change, nor
    go."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._by_step: dict[int, array[float]] = defaultdict(lambda: array("d"))

    def at(self, step: int, completed: list[FrozenTrial]) -> "array[float]":
        if len(completed) != len(self._seen):
            for trial in completed:
                if trial._trial_id not in self._seen:
                    self._seen.add(trial._trial_id)
                    for reported, value in trial.intermediate_values.items():
                        self._by_step[reported].append(value)
        return self._by_step[step]


class PercentilePruner(optuna.pruners.PercentilePruner):
    """As Optuna's."""

    _study_id: int | None = None
    _reports: dict[object, _Reports]  # by horizon

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if self._study_id != study._study_id:
            self._study_id, self._reports = study._study_id, defaultdict(_Reports)
        completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        step = trial.last_step
        if not completed or len(completed) < self._n_startup_trials or step is None:
            return False
        steps, warmup = trial.intermediate_values.keys(), self._n_warmup_steps
        if step < warmup or not _is_first_in_interval_step(
            step, steps, warmup, self._interval_steps
        ):
            return False
        best = _get_best_intermediate_result_over_steps(trial, study.direction)
        if math.isnan(best):
            return True
        values = self._reports[trial.user_attrs.get(HORIZON)].at(step, completed)
        if len(values) < self._n_min_trials:
            return False
        if study.direction == StudyDirection.MAXIMIZE:
            return bool(best < np.nanpercentile(np.array(values), 100 - self._percentile))
        return bool(best > np.nanpercentile(np.array(values), self._percentile))


class MedianPruner(PercentilePruner, optuna.pruners.MedianPruner):
    """As Optuna's: the percentile pruner at 50."""

    __init__ = optuna.pruners.MedianPruner.__init__
