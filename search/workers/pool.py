"""The workers of one machine: kept at their number until the study has nothing left for them.

    with Pool(study, spec, url, workdir, seats) as pool:
        while not pool.done:
            for message in pool.poll(0.25): ...

A worker that dies is replaced and its trial goes on; so do trials of other machines that fall
silent. Leaving the context ends the workers in good order.
"""

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial

from search.database import storage
from search.errors import WorkerDiedError, WorkerPoisonedError
from search.record import budget, chains
from search.record import study as studies
from search.studyfile.spec import StudySpec
from search.workers import leases, process
from search.workers.output import Line, Output
from search.workers.process import Process
from search.workers.seats import Seat

LOOK_S = 5.0  # between two looks for silent trials
LOOK_OVERDUE_S = 1.0  # and for overdue ones
OVERDUE_S = 5.0  # after its deadline a trial has this long to end by itself
BARREN_DEATHS = 3  # in a row, each without a trial: no worker lives long enough to begin one


class Crew(Protocol):
    """Workers that are kept at their number until the study has nothing left for them: a Pool here,
    or a Cluster (cluster.py)."""

    def __enter__(self) -> "Crew": ...
    def __exit__(self, *error: object) -> None: ...
    @property
    def done(self) -> bool: ...
    @property
    def waits(self) -> int: ...
    @property
    def running(self) -> list[FrozenTrial]: ...
    def is_own(self, trial: FrozenTrial) -> bool: ...
    def poll(self, timeout_s: float) -> Iterator[str]: ...
    def printed(self) -> Iterator[Line]: ...
    def follow(self, spec: StudySpec) -> None: ...
    def finish_epoch(self) -> None: ...
    def stop_at_once(self) -> None: ...


class Pool:
    """Supervises local workers. Use as a context manager, and call `poll` until it is `done`."""

    def __init__(
        self,
        study: optuna.Study,
        spec: StudySpec,
        url: str,
        workdir: str | Path,
        seats: Sequence[Seat],
    ) -> None:
        self._study, self._spec, self._url, self._workdir = study, spec, url, str(workdir)
        self._limits = studies.limits(study, spec)
        self._output = Output()
        self._stack = contextlib.ExitStack()
        self._seats = list(seats)
        self._all: list[object] = []  # who has worked, also those that have been replaced
        self._busy: dict[Process, Seat] = {}
        self._idle: dict[Process, Seat] = {}
        self._watch = leases.Watch(study)
        self._since: dict[object, float] = {}  # run -> when it was first seen, monotonic
        self._looked = self._looked_overdue = time.monotonic()
        self._seen: object = None  # how the trials stood when idle workers were woken
        self._barren = 0
        self._kills = _host_kills()
        self._ending = False

    def __enter__(self) -> "Pool":
        for seat in self._seats:
            self._start(seat)
        return self

    def __exit__(self, *error: object) -> None:
        """Ends every worker, and puts right what those that had to be killed left behind."""
        self._stack.__exit__(*error)  # type: ignore[arg-type]
        with contextlib.suppress(KeyError):  # the study was deleted
            chains.mend(self._study, self._spec.budget.retries)

    @property
    def done(self) -> bool:
        """Whether no worker has anything to do, and no machine a trial that may yet be lost."""
        return not self._busy and (self._ending or not (self.open or self._has_work()))

    def follow(self, spec: StudySpec) -> None:
        """Go on by what the study is asked by now; its workers see that by themselves."""
        self._spec, self._limits = spec, studies.limits(self._study, spec)
        self._seen = None  # who has found nothing to do may find something

    @property
    def waits(self) -> int:
        """Trials of other machines that are all that is left to wait for; 0 otherwise."""
        return 0 if self._busy or self._ending else len(self.open)

    @property
    def running(self) -> list[FrozenTrial]:
        """What its workers are at."""
        return [trial for _, trial in self._held()]

    def is_own(self, trial: FrozenTrial) -> bool:
        """Whether one of its workers has the trial, or had it last."""
        return trial.user_attrs.get(chains.LEASE) in self._all

    def poll(self, timeout_s: float) -> Iterator[str]:
        """Wait for news at most so long; yields messages for people.

        Raises:
            ObjectiveError: a worker cannot work at all, and neither could another one.
        """
        if not self._busy:
            time.sleep(timeout_s)
        for worker in process.wait(list(self._busy), timeout_s):
            yield from self._answered(worker)
        if time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            storage.check_present(self._study)
            yield from self._mend(self._watch.lost())
        if time.monotonic() - self._looked_overdue > LOOK_OVERDUE_S:
            self._looked_overdue = time.monotonic()
            yield from self._end_overdue()
        if self._idle and self.wakes():
            for worker, seat in self._idle.items():
                self._send(worker, seat)
            self._idle.clear()

    def wakes(self) -> bool:
        """Whether workers that found nothing to do are to look again."""
        return not self._ending and self._may_wake() and self._has_work()

    def printed(self) -> Iterator[Line]:
        """What its workers have printed since the last look."""
        return self._output.lines()

    def finish_epoch(self) -> None:
        """Ask every worker to stop after the running epoch, keeping everything."""
        self._ending = True
        for worker in self._busy:
            worker.finish_epoch()

    def stop_at_once(self) -> None:
        self._ending = True
        for worker in self._busy:
            worker.stop_at_once()

    def _start(self, seat: Seat) -> None:
        worker = self._stack.enter_context(Process(seat.environment, self._output))
        self._all.append(worker.identity)
        self._send(worker, seat)

    def _send(self, worker: Process, seat: Seat) -> None:
        machine = {"device": seat.device, "threads": seat.threads}
        job = {"spec": self._spec, "url": self._url, "workdir": self._workdir}
        worker.send("work", **job, **machine)
        self._busy[worker] = seat

    def _answered(self, worker: Process) -> Iterator[str]:
        """A worker has nothing more to do, or is to be replaced."""
        seat = self._busy.pop(worker)
        try:
            worker.answer()
        except (WorkerDiedError, WorkerPoisonedError) as error:
            yield from self._bury(worker, error)
            if not self._ending and budget.first_failures(self._trials()) is None:
                self._start(seat)
        else:
            self._idle[worker] = seat

    def _bury(self, worker: Process, error: WorkerDiedError | WorkerPoisonedError) -> Iterator[str]:
        if isinstance(error, WorkerPoisonedError):
            self._barren = 0
            worker.end()  # it would hold its GPU's memory as long as it lives
            yield "a GPU fault broke a worker; another one takes its place"
            return
        if "SIGKILL" in error.args[0] and _host_kills() > self._kills:
            self._kills = _host_kills()
            chains.prune(self._study, functools.partial(_is_held, worker), "out_of_memory")
            yield "the system ended a worker because memory ran out: its trial counts as infeasible"
            return
        dead = list(self._mend(()))
        lived = any(_is_held(worker, trial) for trial in self._trials())
        self._barren = 0 if lived else self._barren + 1
        if self._barren == BARREN_DEATHS:
            raise error
        yield f"a worker died ({error.args[0]})" + "; another one takes its place" * (
            not self._ending
        )
        yield from dead

    def _mend(self, lost: Sequence[int] | set[int]) -> Iterator[str]:
        for trial in chains.mend(self._study, self._spec.budget.retries, set(lost)):
            links = chains.grouped(self._trials())[chains.of(trial)]
            again = links[-1].number != trial.number
            goes_on = "begins anew" if trial.user_attrs.get(chains.ANEW_ONLY) else "goes on"
            yield f"trial {trial.number} lost its worker: " + (
                f"{goes_on} as trial {links[-1].number}"
                if again
                else f"given up after {chains.crashes(links)} crashes in a row"
            )

    def _end_overdue(self) -> Iterator[str]:
        """Trials of this pool that should have ended by themselves: their workers hang."""
        limit, now = self._spec.budget.trial_timeout, time.monotonic()
        if limit is None:
            return
        held = self._held()
        self._since = {_run(t): self._since.get(_run(t), now) for _, t in held}
        for worker, trial in held:
            if now - self._since[_run(trial)] > limit + OVERDUE_S:
                chains.prune(self._study, functools.partial(_is_held, worker), "deadline")
                worker.kill()
                yield f"trial {trial.number} hung past its deadline: its worker is replaced"

    def _has_work(self) -> bool:
        trials, settled = self._trials(), budget.settled(self._study, self._limits)
        has_work = budget.has_work(trials, self._limits, settled)
        return has_work and budget.first_failures(trials) is None

    def _may_wake(self) -> bool:
        """Whether a worker that found nothing to do would see something else now: as long as trials
        run, a strategy may want to wait for them."""
        seen = [(t.number, t.state, t.user_attrs.get(chains.UNTIL)) for t in self._trials()]
        is_news = seen != self._seen or not self._limits.steps or not self.open
        self._seen = seen
        return is_news

    def _held(self) -> list[tuple[Process, FrozenTrial]]:
        return [(w, t) for t in self.open for w in self._busy if _is_held(w, t)]

    @property
    def open(self) -> list[FrozenTrial]:
        """Trials that run, here or elsewhere."""
        return [t for t in self._trials() if t.state == optuna.trial.TrialState.RUNNING]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def _is_held(worker: Process, trial: FrozenTrial) -> bool:
    """Whether this worker runs the trial."""
    return trial.user_attrs.get(chains.LEASE) == worker.identity


def _run(trial: FrozenTrial) -> object:
    """What tells the trial from the same one before a pause."""
    return trial.number, trial.datetime_start


def _host_kills() -> int:
    """How many processes the system has killed for want of memory, here since it started."""
    for file in (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")):
        with contextlib.suppress(OSError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0
