"""How many workers fill one GPU, by measuring: one is added while that is worth it.

Each trains the same configuration again and again, so that what is compared is the number alone.
"""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from search.errors import OptsearchError
from search.studyfile.spec import StudySpec
from search.workers.process import Process

GAIN = 1.1  # times as many epochs a second, for one worker more
MOST = 8  # workers on one GPU: the memory of their contexts, and cores that feed them
EPOCHS = 4  # of each worker, between which its pace is measured
WARM_UP = 2  # and before: kernels are chosen, a graph is captured
START_S = 90.0  # for a worker to begin
WINDOW_S = 20.0  # for its EPOCHS
BUDGET_S = 120.0  # for all of it; what is under way then is the last
SHORT_S = 300.0  # a search that one worker ends sooner is not measured further


class Packed(NamedTuple):
    """How many workers, and why, in words."""

    workers: int
    why: str


class SlowError(Exception):
    """A number of workers could not be measured, in words."""


def choose(most: int, rate: Callable[[int], float], planned: int | None) -> Packed:
    """Add a worker while epochs a second grow by a tenth.

    Args:
        most: workers that memory, cores and MOST allow.
        rate: epochs a second of so many workers together. Raises SlowError.
        planned: epochs of the whole search; None where nobody can say.
    """
    rates: list[float] = []
    until, why = time.monotonic() + BUDGET_S, "no more fit"
    while len(rates) < most:
        if time.monotonic() > until:
            why = "measuring took its time"
            break
        try:
            rates.append(rate(len(rates) + 1))
        except SlowError as error:
            why = str(error)
            break
        if len(rates) == 1 and planned is not None and planned / rates[0] < SHORT_S:
            return Packed(min(2, most), f"the search takes one only {planned / rates[0]:.0f} s")
        if len(rates) > 1 and rates[-1] < GAIN * rates[-2]:
            told = _list(rates)
            return Packed(len(rates) - 1, f"{told}: one more gains less than a tenth")
    if not rates:
        return Packed(min(2, most), why)
    return Packed(len(rates), f"{_list(rates)}: {why}")


def _list(rates: list[float]) -> str:
    numbers = ", ".join(f"{one:.2g}" for one in rates)
    to = f"1 to {len(rates)}" if len(rates) > 1 else "1"
    return f"{numbers} epochs/s with {to}"


class Paces:
    """Workers that train one configuration, each told by its epochs. Use as a context manager."""

    def __init__(
        self, spec: StudySpec, device: str, threads: int, environment: Mapping[str, str]
    ) -> None:
        """
        Args:
            threads: CPU threads of each.
        """
        self._spec, self._machine = spec, {"device": device, "threads": threads}
        self._environment = environment
        self._stack = contextlib.ExitStack()
        self._folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self._at_work: list[tuple[Process, Connection]] = []
        self._epochs: list[list[float]] = []  # monotonic moments of each worker

    def __enter__(self) -> "Paces":
        return self

    def __exit__(self, *error: Any) -> None:
        for worker, _ in self._at_work:
            worker.kill()  # it holds nothing that is worth its last words
        self._stack.close()

    def rate(self, number: int) -> float:
        """Epochs a second of `number` workers, which are never fewer than before.

        Raises:
            SlowError: one does not begin, dies, or takes too long for an epoch.
        """
        while len(self._at_work) < number:
            self._add()
        self._wait(lambda: all(len(told) >= WARM_UP for told in self._epochs), START_S)
        since = [len(told) for told in self._epochs]
        self._wait(
            lambda: all(
                len(told) > first + EPOCHS for told, first in zip(self._epochs, since, strict=True)
            ),
            WINDOW_S,
        )
        paces = []
        for told, first in zip(self._epochs, since, strict=True):
            part = told[first:]
            if len(part) < 2:
                raise SlowError(f"an epoch takes longer than {WINDOW_S:.0f} s")
            paces.append((len(part) - 1) / (part[-1] - part[0]))
        return sum(paces)

    def _add(self) -> None:
        heard, tell = multiprocessing.Pipe(duplex=False)
        worker = self._stack.enter_context(Process(self._environment))
        folder = Path(self._folder, str(len(self._at_work)))
        worker.send("pace", study=self._spec, folder=folder, tell=tell, **self._machine)
        tell.close()
        self._at_work.append((worker, heard))
        self._epochs.append([])

    def _wait(self, done: Callable[[], bool], limit_s: float) -> None:
        """Until it is done, or so long."""
        until = time.monotonic() + limit_s
        while not done() and (left := until - time.monotonic()) > 0:
            heard = [pipe for _, pipe in self._at_work]
            ended = {one: worker for worker, _ in self._at_work for one in worker.handles}
            for one in connection.wait([*heard, *ended], left):
                if one in ended:
                    number = len(self._at_work)
                    raise SlowError(f"with {number} one failed: {_last_words(ended[one])}")
                which = heard.index(one)  # type: ignore[arg-type]
                self._epochs[which].append(heard[which].recv())


def _last_words(worker: Process) -> str:
    try:
        worker.answer()
    except OptsearchError as error:
        return (str(error).strip().splitlines() or ["it died"])[-1]
    return "it ended"
