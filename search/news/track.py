"""`track` of a study file: trials as runs in TensorBoard, MLflow or Weights & Biases.

All of it happens in the process of `run`, from what the database holds: workers know nothing of it,
and trials that other machines train are told, too. Each tracker has a thread of its own, so that
one that is slow, hangs or fails costs no trial: it is left out from then on, and a line says so.
"""

import contextlib
import functools
import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search import plots
from search.answers import evidence, report
from search.news import trackers
from search.news.trackers import Run, Tracker
from search.record import chains, results
from search.record.listener import Both, Listener
from search.record.study import SUFFIX
from search.studyfile.parts import Track

CLOSE_S = 120.0  # how long the end of a run waits for what is under way


@contextlib.contextmanager
def tracking(
    study: optuna.Study, wanted: Sequence[Track], folder: Path, listener: Listener
) -> Iterator[Listener]:
    """A listener that also tells the trackers of the study file; it waits at its end for them.

    Args:
        folder: below which they keep what they keep here.
    """
    if not wanted:
        yield listener
        return
    told = Tracking(study, wanted, folder, listener)
    try:
        yield Both(listener, told)
    finally:
        told.close()


class Tracking(Listener):
    """Hands on to each tracker what is new."""

    def __init__(
        self, study: optuna.Study, wanted: Sequence[Track], folder: Path, listener: Listener
    ) -> None:
        self._study = study
        self._sent: dict[tuple[str, int], _Sent] = {}
        self._before = {(study.study_name, t.number) for t in _ended(study)}
        for runs in filter(None, [evidence.sibling(study)]):
            self._before |= {(runs.study_name, t.number) for t in _ended(runs)}
        uid, name = str(study.user_attrs.get("uid", "")), study.study_name
        built = {one: trackers.TRACKERS[one](folder, name, uid) for one in dict.fromkeys(wanted)}
        self._lines = [_Line(one, tracker, name, listener) for one, tracker in built.items()]

    def saw(self, study: str, trials: Sequence[FrozenTrial]) -> None:
        for trial in trials:
            if (study, trial.number) not in self._before and _has_begun(trial):
                self._look_at(study, trial)

    def answered(self, study: optuna.Study, file: Path | None) -> None:
        """The answer as a run of its own, with its file and the report as they are now."""
        known, best = evidence.of(study), results.ranking(study)[:1]
        run = Run(study.study_name, "answer", "answer", _answer(study, known), {})
        winner = known.winner if known else None
        values = {} if winner is None else _measured(known, winner)
        values |= {} if winner or not best else {results.metric(study): float(best[0].value or 0)}
        number = winner.number if winner else (best[0].number if best else None)
        told: dict[str, Any] = {"trial": number, "confirmed": winner is not None}
        told |= {"score": next(iter(values.values()))} if values else {}
        with tempfile.TemporaryDirectory(prefix="optsearch-") as folder:
            html = Path(folder, "report.html")
            html.write_text(report.html(study, plots.drawn(study)), encoding="utf-8")
            files = [one for one in (file, html) if one is not None and one.exists()]
            self._send(lambda t: t.begin(run))
            self._send(lambda t: t.point(run, 0, values))
            self._send(lambda t: t.end(run, told, files))
            for line in self._lines:  # the files are there until then
                line.wait()

    def close(self) -> None:
        """Until each tracker has all, or has had CLOSE_S."""
        for line in self._lines:
            line.send(lambda t: t.close())
        for line in self._lines:
            line.wait()

    def _look_at(self, study: str, trial: FrozenTrial) -> None:
        key = (study, chains.of(trial))
        sent = self._sent.get(key)
        if sent is None:
            sent = self._sent[key] = _Sent(_run(study, trial))
            self._send(lambda t: t.begin(sent.run))
        for epoch, values in sent.new(trial, results.metric(self._study)):
            self._send(functools.partial(_point, sent.run, epoch, values))
        if trial.state.is_finished():
            self._before.add((study, trial.number))
            told: dict[str, Any] = {
                "state": trial.state.name.lower(),
                "reason": chains.reason_of(trial),
            }
            if told["reason"] not in chains.RETRIED:  # else its chain may go on
                is_complete = trial.state == TrialState.COMPLETE and trial.value is not None
                told |= {"score": trial.value} if is_complete else {}
                told |= {k: v for k, v in trial.params.items() if k not in sent.run.params}
                self._send(lambda t: t.end(sent.run, told, ()))

    def _send(self, call: Callable[[Tracker], None]) -> None:
        for line in self._lines:
            line.send(call)


class _Sent:
    """What of a chain of trials has been told."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._next: dict[str, int] = {}  # by column, the epoch that comes next

    def new(self, trial: FrozenTrial, metric: str) -> Iterator[tuple[int, dict[str, float]]]:
        """Epochs from 0 with what is new of each: the score is there at once, the other columns of
        a history come a few epochs at a time."""
        stored = trial.user_attrs.get("history")
        kept = stored if stored and results.is_history(stored) else {}
        columns = {metric: dict(results.by_epoch(trial))}
        columns |= {k: dict(enumerate(v)) for k, v in kept.items() if k != metric}
        found: dict[int, dict[str, float]] = {}
        for name, column in columns.items():
            for epoch in sorted(e for e in column if e >= self._next.get(name, 0)):
                found.setdefault(epoch, {})[name] = float(column[epoch])
                self._next[name] = epoch + 1
        yield from sorted(found.items())


class _Line:
    """A tracker in a thread of its own, told in order."""

    def __init__(self, name: str, tracker: Tracker, study: str, listener: Listener) -> None:
        self._name, self._study, self._listener = name, study, listener
        self._tracker = tracker
        self._waiting: queue.Queue[Callable[[Tracker], None]] = queue.Queue()
        self._error = ""
        threading.Thread(target=self._work, daemon=True).start()

    def send(self, call: Callable[[Tracker], None]) -> None:
        if not self._error:
            self._waiting.put(call)

    def wait(self) -> None:
        done = threading.Event()
        self.send(lambda _: done.set())
        if not self._error and not done.wait(CLOSE_S):
            self._fail(f"has not taken all within {CLOSE_S:.0f} s")

    def _work(self) -> None:
        while True:
            call = self._waiting.get()
            if self._error:
                continue
            try:
                call(self._tracker)
            except Exception as error:  # of any package: it must not cost the run anything
                self._fail(f"failed ({type(error).__name__}: {error})"[:300])

    def _fail(self, why: str) -> None:
        self._error = why
        line = f"track: {self._name} {why}; it is told nothing more, and the search goes on"
        self._listener.warn(self._study, " ".join(line.split()))


def _point(run: Run, epoch: int, values: dict[str, float], tracker: Tracker) -> None:
    tracker.point(run, epoch, values)


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]


def _has_begun(trial: FrozenTrial) -> bool:
    """Whether there is anything to tell of it: an epoch, by which its parameters have been drawn,
    or its end. TensorBoard takes what a run began with once and for all."""
    waits = trial.state == TrialState.WAITING and not chains.is_paused(trial)
    return not waits and bool(trial.intermediate_values or trial.state.is_finished())


def _run(study: str, trial: FrozenTrial) -> Run:
    number, confirms = chains.of(trial), trial.user_attrs.get(chains.CANDIDATE)
    about = {"trial": number, "seed": trial.user_attrs.get("seed")}
    if confirms is None:
        return Run(study, f"trial-{number}", "trial", dict(trial.params), about)
    name = f"confirm-{confirms}-{trial.user_attrs.get(chains.SEED_INDEX)}"
    about |= {"confirms": confirms}
    return Run(study.removesuffix(SUFFIX), name, "confirm", dict(trial.params), about)


def _answer(study: optuna.Study, known: evidence.Evidence | None) -> dict[str, Any]:
    if known is not None and known.winner is not None:
        return dict(known.winner.params)
    best = results.ranking(study)
    return dict(best[0].params) if best else {}


def _measured(known: Any, winner: Any) -> dict[str, float]:
    """Means and ends of the intervals, by name."""
    found: dict[str, float] = {}
    for name, about in ((known.metric, winner.interval), (known.test_metric, winner.test)):
        ends = {} if about is None else {"mean": about.mean, "low": about.low, "high": about.high}
        found |= {f"{name}_{k}": float(v) for k, v in ends.items() if v is not None}
    return found
