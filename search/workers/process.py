"""Processes where objectives are imported, asked their companions, and run.

The command line itself never imports an objective (nor torch): it starts a process and asks it.
A process answers one request after the other; `work` is the long one.
"""

import contextlib
import importlib
import itertools
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import signal
import sys
import tempfile
import threading
import traceback
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from search import imports, provenance
from search import objective as objectives
from search.errors import ObjectiveError, OptsearchError, UsageError, WorkerDiedError
from search.workers import family, output
from search.workers.output import Output, Reader

REQUESTS = "search.workers.requests"  # the module whose functions a worker process answers with
OBJECTIVES = "objectives"  # the package of those that come with optsearch
SAFE_PATH = "PYTHONSAFEPATH"  # keeps Python from importing out of the current folder
SOCKET_FOLDER = 70  # bytes of a folder's path, which leave room for the name of a socket in it
OF_TERMINALS = {signal.SIGINT, signal.SIGHUP}  # all processes that were started there get them
STOP_PATIENCE_S = 10  # between SIGTERM and SIGKILL
_STARTING = threading.Lock()  # one thread at a time may hide the main module
_ALIVE: weakref.WeakSet["Process"] = weakref.WeakSet()


def warm_up(objective: str, folder: str | None = None, also: Iterable[str] = ()) -> None:
    """Start the fork server, which imports what a worker will want (`also`: modules) while this
    process does other things: workers are forked from it within milliseconds.

    A user's own code, in `folder`, is left to the worker: what it does on import must not happen in
    the fork server, which has the slow packages that it wants. Nor may the fork server find it: a
    `search.py` or `random.py` of theirs would stand in for ours and Python's.
    """
    module = objective.rpartition(":")[0]
    ahead = [module] if module.partition(".")[0] == OBJECTIVES else []
    if module and not ahead and folder is not None:
        ahead = imports.packages(Path(folder, objectives.file(objective)), Path(folder))
    _context().set_forkserver_preload([*also, *ahead, REQUESTS])
    os.environ[SAFE_PATH] = "1"
    _make_room_for_sockets()
    multiprocessing.resource_tracker.ensure_running()  # it would lift the shelter
    with _sheltered():
        multiprocessing.forkserver.ensure_running()


@contextlib.contextmanager
def _sheltered() -> Iterator[None]:
    """What starts in here hears no Ctrl-C, and not that a terminal is gone, until it wants to, and
    finds none of the user's files: a `search.py` or `random.py` in the current folder would stand
    in for ours and Python's."""
    os.environ[SAFE_PATH] = "1"
    signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
        os.environ.pop(SAFE_PATH, None)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """What starts in here does not run the program's own file again: a worker needs nothing of it,
    and a plain script that calls `run_study` needs no `if __name__ == "__main__"`."""
    with _STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _make_room_for_sockets() -> None:
    """Let the fork server listen in a folder whose path is short enough: that of a socket has about
    a hundred bytes, and TMPDIR may be longer, on a cluster say.

    Raises:
        UsageError: no folder can be written.
    """
    try:
        is_long = len(os.fsencode(tempfile.gettempdir())) > SOCKET_FOLDER
        if not is_long or not os.access("/tmp", os.W_OK):
            multiprocessing.util.get_temp_dir()
            return
        long, tempfile.tempdir = tempfile.tempdir, "/tmp"
        try:
            multiprocessing.util.get_temp_dir()  # is kept, and removed at the end
        finally:
            tempfile.tempdir = long
    except OSError as error:
        raise UsageError(
            f"TMPDIR {os.environ.get('TMPDIR', '')}: no folder for temporary files can be written "
            f"({error.strerror or error}); set TMPDIR to one"
        ) from error


def _context() -> multiprocessing.context.ForkServerContext:
    return multiprocessing.get_context("forkserver")


class Process:
    """A process that answers requests, and the pipe to it.

    Use as a context manager: leaving ends the process.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, output: Output | None = None
    ) -> None:
        """
        Args:
            environment: variables that it sees in addition, such as the GPUs that it may use.
            output: gets the lines that it prints; None leaves them to standard error.
        """
        self.pipe, theirs = multiprocessing.Pipe()
        lifeline, self._lifeline = multiprocessing.Pipe(duplex=False)
        printed = multiprocessing.Pipe(duplex=False) if output else None
        arguments = (theirs, lifeline, printed, dict(environment or {}))
        self._process = _context().Process(target=serve, args=arguments)
        with _without_main():
            self._process.start()
        assert self._process.pid is not None
        self._pid = self._process.pid
        self.identity = provenance.process(self._pid)
        theirs.close()
        lifeline.close()
        self._reader, self._replies = None, 0
        if output and printed:
            printed[1].close()
            self._reader = Reader(printed[0], output)
        _ALIVE.add(self)

    @property
    def handles(self) -> tuple[Connection, int]:
        """One of them is ready as soon as there is an answer, or the process has ended: a loader
        worker that outlives it keeps its end of the pipe open."""
        return self.pipe, self._process.sentinel

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pipe.close()
        self._process.join(timeout=0.5 if kind is None else 0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(timeout=STOP_PATIENCE_S)
        self.end()

    def ask(self, name: str, **arguments: Any) -> Any:
        """Request and wait for the answer; what the function raised is raised here."""
        self.send(name, **arguments)
        return self.answer()

    def send(self, name: str, **arguments: Any) -> None:
        try:
            self.pipe.send((name, arguments))
        except BrokenPipeError:
            self.answer()  # raises: says how the process died

    def answer(self) -> Any:
        try:
            if self.pipe not in connection.wait(self.handles):
                raise EOFError
            kind, value = self.pipe.recv()
            self._replies += 1
        except (EOFError, ConnectionResetError):
            self._process.join(timeout=5)
            self._bury()
            self._replies = sys.maxsize  # and so do its last words
            raise WorkerDiedError(family.exit_words(self._process.exitcode)) from None
        finally:
            if self._reader:  # what it has printed comes before its answer
                self._reader.settle(self._replies)
        if kind == "ok":
            return value
        raise value if isinstance(value, OptsearchError) else ObjectiveError(str(value))

    def finish_epoch(self) -> None:
        """Ask to stop at the end of the running epoch, keeping everything."""
        self._signal(signal.SIGINT)

    def stop_at_once(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def end(self) -> None:
        """At once, with all that it has started; what it holds, of a GPU say, is free again."""
        self.kill()
        self._process.join(timeout=STOP_PATIENCE_S)  # one that a driver holds never ends
        self._bury()

    def _signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self._pid, number)

    def _bury(self) -> None:
        """End what it has left behind; once, as its number is given to another process some day."""
        if self in _ALIVE:
            _ALIVE.discard(self)
            family.signal_all(self._pid, signal.SIGKILL)


def wait(processes: Iterable[Process], timeout_s: float) -> list[Process]:
    """Those processes that have answered (or ended) within the time."""
    by_handle = {handle: process for process in processes for handle in process.handles}
    ready = connection.wait(list(by_handle), timeout_s)
    return list(dict.fromkeys(by_handle[handle] for handle in ready))  # type: ignore[index]


def suspend() -> None:
    """Stop this process and all workers, as Ctrl-Z does; they go on together."""
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in list(_ALIVE):
            family.signal_all(process._pid, number)
        if number == signal.SIGSTOP:
            os.kill(os.getpid(), signal.SIGSTOP)  # until the shell's `fg`


def serve(
    requests_pipe: Connection,
    lifeline: Connection,
    printed: tuple[Connection, Connection] | None,
    environment: dict[str, str],
) -> None:
    """The process itself: answer requests until the other end of the pipe is closed.

    Args:
        printed: both ends of the pipe for what is printed. It holds on to the one that is read from
            so that no `print` fails where the command is gone.
    """
    family.found()
    os.environ.update(environment)
    output.capture(printed[1] if printed else None)
    # Both are the command line's to handle; a SIGINT that it sends on waits until `work` listens
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # by nohup, for our children too
        signal.signal(signal.SIGHUP, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    os.environ.pop(SAFE_PATH, None)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    requests = importlib.import_module(REQUESTS)
    for count in itertools.count(1):
        try:
            name, arguments = requests_pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        reply = _reply(getattr(requests, name), arguments)
        output.replied(count)
        with contextlib.suppress(BrokenPipeError):  # who asked is gone, and so are we in a moment
            requests_pipe.send(reply)


def _reply(function: Any, arguments: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "ok", function(**arguments)
    except OptsearchError as error:
        return "error", error
    except Exception:
        return "error", ObjectiveError(traceback.format_exc())


def _end_with_parent(lifeline: Connection) -> None:
    """A closed pipe means that the parent is gone: end as on SIGTERM, and surely."""
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(2 * STOP_PATIENCE_S)
        os._exit(128 + signal.SIGTERM)
