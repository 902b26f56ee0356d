"""The same workers on a Ray cluster. Ray places them, with their CPU cores and shares of GPUs, and
starts them anew where a node dies; nothing of a scheduler is written here.

Each Ray actor keeps one worker process of its node as `pool` does: the process lives between
trials, and a trial that a dead node lost goes on elsewhere.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.database import storage
from search.errors import OptsearchError, UsageError
from search.record import study as studies
from search.studyfile.spec import StudySpec
from search.workers import join, process
from search.workers.output import Line
from search.workers.pool import Pool
from search.workers.process import STOP_PATIENCE_S
from search.workers.seats import Seat, Wish

CONNECT_S = 5.0
ASK_S = 5.0  # for a request to reach an actor whose node may be gone

try:
    import ray as _ray
except ImportError as missing:
    raise UsageError("--cluster: needs Ray; pip install 'optsearch[ray]'") from missing
ray: Any = _ray  # its decorators lose every type


class Member:
    """A Ray actor: one worker process on whichever node it was placed."""

    def __init__(self, spec: StudySpec, url: str, workdir: str, seat: Seat) -> None:
        self._spec, self._url, self._workdir, self._seat = spec, url, workdir, seat
        self._pool: Pool | None = None
        self._ending = False

    def run(self) -> None:
        """Work until the study has nothing left. Raises OptsearchError, in words for people."""
        process.warm_up(self._spec.objective, self._spec.folder)
        study = studies.load_study(self._spec.name, self._url)
        join.check_code(study, self._spec)
        with Pool(study, self._spec, self._url, self._workdir, [self._seat]) as self._pool:
            if self._ending:
                self._pool.finish_epoch()
            while not self._pool.done:
                for _ in (*self._pool.poll(0.25), *self._pool.printed()):
                    pass  # what happened is seen in the database, by the command that shows it

    def finish_epoch(self) -> None:
        self._ending = True
        if self._pool:
            self._pool.finish_epoch()

    def stop_at_once(self) -> None:
        self._ending = True
        if self._pool:
            self._pool.stop_at_once()


class Cluster:
    """Workers on the nodes of a Ray cluster; used as `Pool` is."""

    def __init__(
        self,
        wish: Wish,
        study: optuna.Study,
        spec: StudySpec,
        url: str,
        workdir: Path,
    ) -> None:
        self._address, self._wish = wish.cluster or "auto", wish
        # a worker of Ray has another current folder
        self._job = (spec, storage.absolute(url), str(workdir.absolute()))
        # without seats it starts nothing, but sees what is left to do and which trials fell silent
        self._watch = Pool(study, spec, url, workdir, [])
        self._members: list[Any] = []
        self._running: dict[Any, Any] = {}  # a call of `run` -> its member
        self._idle: list[Any] = []  # members that found nothing to do
        self._ending = False

    def __enter__(self) -> "Cluster":
        _connect(self._address)
        number, resources, seat = _plan(self._wish, ray.cluster_resources())
        # a second thread hears `finish_epoch` while `run` runs; -1: as often as nodes die
        actor = ray.remote(max_restarts=-1, max_task_retries=-1, max_concurrency=2)(Member)
        self._members = [actor.options(**resources).remote(*self._job, seat) for _ in range(number)]
        self._running = {member.run.remote(): member for member in self._members}
        return self

    def __exit__(self, *error: object) -> None:
        """Ends every worker in good order: an actor that goes takes its worker with it."""
        if not self._ending:
            self.stop_at_once()
        if self._running:
            ray.wait([*self._running], num_returns=len(self._running), timeout=STOP_PATIENCE_S)
        for member in self._members:
            with contextlib.suppress(Exception):
                ray.kill(member)
        ray.shutdown()
        self._watch.__exit__(*error)

    @property
    def done(self) -> bool:
        """Whether the study has nothing left to do; a member that waits for a node need not."""
        return not self._running if self._ending else self._watch.done

    def follow(self, spec: StudySpec) -> None:
        """As `Pool.follow`."""
        self._watch.follow(spec)

    @property
    def waits(self) -> int:
        return 0

    @property
    def running(self) -> list[FrozenTrial]:
        """What is trained anywhere: who of the cluster is at it is not known here."""
        return self._watch.open

    def is_own(self, trial: FrozenTrial) -> bool:
        """Any: as `running`."""
        return True

    def poll(self, timeout_s: float) -> Iterator[str]:
        """Wait for news at most so long; yields messages for people. Raises OptsearchError."""
        yield from self._watch.poll(timeout_s)
        for one in self._ended():
            member = self._running.pop(one)
            try:
                ray.get(one)
                self._idle.append(member)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise (cause if isinstance(cause, OptsearchError) else error) from None
            except ray.exceptions.RayActorError:
                yield "a worker of the cluster died and cannot be started anew"
                if not self._running and not self._idle:
                    raise OptsearchError(
                        f"--cluster {self._address}: no worker is left; the same command resumes"
                    ) from None
        if self._idle and not self._ending and self._watch.wakes():  # the race wants more runs
            self._running |= {member.run.remote(): member for member in self._idle}
            self._idle.clear()

    def _ended(self) -> list[Any]:
        """Calls of `run` that have returned."""
        calls = [*self._running]
        return ray.wait(calls, num_returns=len(calls), timeout=0)[0] if calls else []

    def printed(self) -> Iterator[Line]:
        """Nothing: it is kept in the workdir of each node."""
        return iter(())

    def finish_epoch(self) -> None:
        self._tell("finish_epoch")

    def stop_at_once(self) -> None:
        self._tell("stop_at_once")

    def _tell(self, what: str) -> None:
        self._ending = True
        told = [getattr(member, what).remote() for member in self._members]
        if told:
            ray.wait(told, num_returns=len(told), timeout=ASK_S)


def _connect(address: str) -> None:
    """Raises UsageError where nobody answers: Ray itself would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    started = time.monotonic()
    try:
        if host and port.isdecimal():
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **({"include_dashboard": False} if address == "local" else {}),
        )
    except (OSError, ValueError, RuntimeError) as error:
        cause = str(error).strip().splitlines()[0]
        raise UsageError(
            f"--cluster {address}: no Ray cluster answers there ({cause}; "
            f"{time.monotonic() - started:.0f} s); start one with `ray start --head`, "
            "or use --cluster local"
        ) from error


def _plan(wish: Wish, found: dict[str, float]) -> tuple[int, dict[str, float], Seat]:
    """Number of workers, what each asks of Ray, and its seat.

    Raises:
        UsageError: more is asked for than the whole cluster has.
    """
    cores, gpus = int(found.get("CPU", 0)), found.get("GPU", 0.0)
    on_gpu = wish.device.startswith("cuda") or (wish.device == "auto" and gpus > 0)
    share = wish.per_gpu or 1
    number = wish.workers or max(1, int(gpus * share) if on_gpu else cores)
    if wish.modest:
        number = max(1, min(number, int(gpus * share) if on_gpu else cores))
    needs = number / share if on_gpu else number
    if needs > (gpus if on_gpu else cores):
        kind, has = ("GPUs", gpus) if on_gpu else ("CPU cores", cores)
        raise UsageError(
            f"--workers {number}: {needs:g} {kind} needed, the cluster has {has:g}; "
            "use fewer" + (", or raise --workers-per-gpu" if on_gpu else "")
        )
    threads = max(1, cores // number) if on_gpu else 1
    resources = {"num_cpus": threads, "num_gpus": 1 / share if on_gpu else 0}
    return number, resources, Seat("cuda" if on_gpu else wish.device, threads)
