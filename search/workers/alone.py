"""Trials that are in no study: a rehearsal, and one configuration trained once more."""

import hashlib
import json
import time
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import optuna

from search.record import outcomes
from search.strategy import samplers
from search.studyfile.spec import StudySpec
from search.workers import worker
from search.workers.attributes import PlainAttributes
from search.workers.choices import AnyChoice
from search.workers.stop import Stop
from search.workers.trial_study import REHEARSED, REPLAYED, STAGE, LoneStudy, Numbered

STARTUP_S = 10  # an epoch this short is measured anew, without what only the first one pays


class OneEpoch(AnyChoice, PlainAttributes, Numbered):
    """A trial that ends at its first report; at its second where the first came so soon that
    starting up, not training, took the time."""

    def __init__(self, study: optuna.Study, trial_id: int) -> None:
        super().__init__(study, trial_id)
        self.study, self._first = LoneStudy(study), REHEARSED
        self._started = time.perf_counter()

    def report(self, value: float, step: int) -> None:
        super().report(value, step)
        if step > 0 or time.perf_counter() - self._started > STARTUP_S:
            raise outcomes.Preempted


class Paced(OneEpoch):
    """A trial that runs to its end, and tells when each of its epochs was over."""

    tell: Connection

    def report(self, value: float, step: int) -> None:
        super(OneEpoch, self).report(value, step)
        self.tell.send(time.monotonic())


Sampled = TypeVar("Sampled", bound=OneEpoch)


def sample(study: StudySpec, threads: int, kind: type[Sampled]) -> Sampled:
    """The first baseline or configuration, else a sample; the same at each call."""
    sampler = samplers.build("random", {}, study.seed)
    scratch = optuna.create_study(study_name=study.name, direction=study.direction, sampler=sampler)
    first = [*study.baselines, *study.configurations][:1]
    for item in first:
        params = {k: v for k, v in item.params.items() if not isinstance(v, list)}
        scratch.enqueue_trial(params, user_attrs={"configuration": item.name})
    trial = kind(scratch, scratch.ask()._trial_id)
    worker.begin(trial, study, threads)
    return trial


def _number(study: StudySpec, offered: dict[str, Any]) -> int:
    """Of a training that is no trial's: the same for the same one, and another one for another."""
    told = {k: str(v) for k, v in offered.items() if k in ("seed", "initial_weights", "all_data")}
    params = study.configurations[0].params
    what = json.dumps([study.objective, study.settings, params, told], sort_keys=True)
    return REPLAYED + int.from_bytes(hashlib.sha256(what.encode()).digest()[:4], "big") % STAGE


class Replayed(AnyChoice, PlainAttributes, optuna.trial.FixedTrial):
    """A trial with fixed parameters, all known from the start, that passes its reports on."""

    def __init__(
        self,
        study: StudySpec,
        number: int | None,
        offered: dict[str, Any],
        stop: Stop,
        tell: Connection,
    ) -> None:
        params = study.configurations[0].params
        super().__init__(params, _number(study, offered) if number is None else number)
        alone = optuna.create_study(study_name=study.name, direction=study.direction)
        self.study = LoneStudy(alone)
        self._suggested_params = dict(params)
        self._stop, self._tell = stop, tell
        self.reports: dict[int, float] = {}

    def report(self, value: float, step: int) -> None:
        self.reports.setdefault(int(step), float(value))
        resumed_from = self.user_attrs.get("resumed_from", 0)
        if step >= resumed_from:  # earlier ones were told before the interruption
            self._tell.send({"step": step, "value": float(value), "resumed_from": resumed_from})
            if self._stop.requested:
                self._stop.preempt()
