"""A tracker in a thread of its own, and what of each chain of trials it has been told."""

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.errors import StorageError
from search.news.ledger import Chain, Ledger
from search.news.trackers import Run, Tracker
from search.record import chains, results
from search.record.listener import Listener
from search.record.study import SUFFIX

CLOSE_S = 120.0  # how long the end of a run waits for what is under way
LOOK_S = 0.1  # between two looks at whether it still waits for something


class Line:
    """Told in order. What the ledger does not give to this command is left to another one."""

    def __init__(
        self, name: str, tracker: Tracker, study: optuna.Study, listener: Listener
    ) -> None:
        self._name, self._study, self._listener = name, study.study_name, listener
        self._metric, self._tracker = results.metric(study), tracker
        self._ledger = Ledger(study, f"{name} {tracker.place}", is_empty=tracker.is_empty())
        self._asked: set[tuple[Chain, bool]] = set()
        self._sent: dict[Chain, _Sent | None] = {}  # what the ledger has given; None: nothing yet
        self._whole: list[Chain] = []  # that the tracker has taken to their end
        self._waiting: queue.Queue[Callable[[Tracker], None]] = queue.Queue()
        self._error = ""
        threading.Thread(target=self._work, daemon=True).start()

    def consider(self, found: Mapping[Chain, bool]) -> None:
        """Take what is new: chains that are there, and whether they are over. Another command that
        tells one may end before it does, so it is asked for once more at its end."""
        new = set(found.items()) - self._asked
        self._asked |= new
        if (wanted := {chain for chain, _ in new} - self._sent.keys()) and not self._error:
            with self._failing():
                self._sent |= dict.fromkeys(self._ledger.take(wanted))

    def look_at(self, chain: Chain, links: Sequence[FrozenTrial], *, is_over: bool) -> None:
        """Tell what is new of a chain, if it is this command's to tell."""
        if chain not in self._sent:
            return
        sent = self._sent[chain]
        if sent is None:
            sent = self._sent[chain] = _Sent(_run(chain[0], links[-1]))
            self.send(lambda t: t.begin(sent.run))
        for trial in links:
            for epoch, values in sent.new(trial, self._metric):
                self.send(functools.partial(_point, sent.run, epoch, values))
        if is_over:
            self.send(lambda t: t.end(sent.run, _outcome(links[-1], sent.run), ()))
            self.send(lambda _: self._whole.append(chain))

    def answer(self, made_of: str, calls: Sequence[Callable[[Tracker], None]]) -> None:
        """Tell the answer, where it is another one than it has, and wait until it is taken."""
        if self._ledger.has_answer(made_of):
            return
        for call in calls:
            self.send(call)
        self.wait()
        if not self._error:
            with self._failing():
                self._ledger.answered(made_of)

    def settle(self) -> None:
        """Note what the tracker has whole by now."""
        whole = self._whole[:]
        del self._whole[: len(whole)]
        with self._failing():
            self._ledger.told(whole)

    def send(self, call: Callable[[Tracker], None]) -> None:
        if not self._error:
            self._waiting.put(call)

    def wait(self) -> None:
        done = threading.Event()
        self.send(lambda _: done.set())
        until = time.monotonic() + CLOSE_S
        while not (self._error or done.wait(LOOK_S)):
            if time.monotonic() > until:
                self._fail(f"has not taken all within {CLOSE_S:.0f} s")

    def leave(self) -> None:
        """What it does not have whole is for a later command."""
        with contextlib.suppress(KeyError, StorageError):  # else it is told once more
            self.settle()
            self._ledger.leave()

    def _work(self) -> None:
        while True:
            call = self._waiting.get()
            if self._error:
                continue
            try:
                call(self._tracker)
            except Exception as error:  # of any package: it must not cost the run anything
                self._fail(f"failed ({type(error).__name__}: {error})"[:300])

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._fail(f"is left out, as nobody can note what it has ({error})")

    def _fail(self, why: str) -> None:
        self._error = why
        line = f"track: {self._name} {why}; it is told nothing more, and the search goes on"
        self._listener.warn(self._study, " ".join(line.split()))


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


def _point(run: Run, epoch: int, values: dict[str, float], tracker: Tracker) -> None:
    tracker.point(run, epoch, values)


def _outcome(trial: FrozenTrial, run: Run) -> dict[str, Any]:
    told: dict[str, Any] = {"state": trial.state.name.lower(), "reason": chains.reason_of(trial)}
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        told["score"] = trial.value
    return told | {k: v for k, v in trial.params.items() if k not in run.params}


def _run(study: str, trial: FrozenTrial) -> Run:
    number, confirms = chains.of(trial), trial.user_attrs.get(chains.CANDIDATE)
    about = {"trial": number, "seed": trial.user_attrs.get("seed")}
    if confirms is None:
        return Run(study, f"trial-{number}", "trial", dict(trial.params), about)
    name = f"confirm-{confirms}-{trial.user_attrs.get(chains.SEED_INDEX)}"
    about |= {"confirms": confirms}
    return Run(study.removesuffix(SUFFIX), name, "confirm", dict(trial.params), about)
