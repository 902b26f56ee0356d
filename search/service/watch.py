"""Watch workers until they are done, and pass on what a person asks of them."""

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from signal import Signals
from types import FrameType
from typing import Any, NamedTuple

import optuna

from search.errors import ObjectiveError, StudyNotFoundError
from search.record.budget import Limits
from search.record.changed import Follower
from search.record.halt import Halt
from search.record.listener import Listener
from search.record.progress import Progress, duration
from search.workers import process
from search.workers.pool import Crew
from search.workers.process import STOP_PATIENCE_S

POLL_S = 0.25
RESERVE_S = 5.0  # between two looks at how much time the next stage will need
STOPPED = "stopped by another command (`stop`)"
FINISHING = "finishing the running epochs"
AT_ONCE = "stops at once, and what it stops is tried again by the next run"
WAITS_S = 10.0  # until it is told what an end still waits for; then after twice as long each time


TERMINATING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM: the machine is going down, or a scheduler wants it back. SIGHUP: the connection that
    the command was typed over is gone. Its argument is the signal."""


class AtWork(NamedTuple):
    """Workers on a study. `limits` is how much there is to do, for those who look on; at the
    `deadline`, a `time.monotonic()` moment, the running epochs are the last; `halt` hears
    `optsearch stop` and asks no more than the deadline does."""

    crew: Crew
    study: optuna.Study
    limits: Limits
    deadline: float | None
    halt: Halt
    listener: Listener
    following: Follower | None = None  # what another command may change meanwhile


class Interrupts:
    """What a person, or a scheduler, has asked of the command so far."""

    def __init__(self) -> None:
        self.count = 0
        self.signal: Signals | None = None

    def heard(self, asked: KeyboardInterrupt) -> None:
        terminated = isinstance(asked, Terminated)
        self.count += 2 if terminated else 1  # SIGTERM leaves no time for a running epoch
        self.signal = Signals(asked.args[0]) if terminated else Signals.SIGINT


def until_done(
    at_work: AtWork, reserve: Callable[[], float], advance: Callable[[], object]
) -> Signals | None:
    """The signal that broke the work off, or None.

    Args:
        reserve: seconds before the deadline that are kept for what comes after, at most half of
            the time.
        advance: called all the time; queues what is to be done next.
    """
    crew, study, limits, deadline, _, listener, _ = at_work
    kept = _Kept(deadline, reserve)
    interrupts, kill_at = Interrupts(), math.inf
    is_last = False  # whether the running epochs are
    waiting = _Waiting()
    with terminable() as raised, Progress(study, limits, deadline, listener) as progress:
        while time.monotonic() < kill_at:
            try:
                if raised:
                    raise raised[0]
                if not is_last:
                    advance()
                if crew.done:
                    break
                _tell(crew, progress)
                _follow(at_work, progress)
                if is_last:
                    waiting.tell(crew, progress, again=interrupts.count > 0)
                elif why := _end(at_work, kept.seconds()):
                    is_last = True
                    progress.say(f"{why}: {FINISHING}; Ctrl-C stops at once")
                    crew.finish_epoch()
            except KeyboardInterrupt as asked:
                raised[:] = [one for one in raised if one is not asked]
                interrupts.heard(asked)
                if interrupts.count == 1 and not is_last:
                    is_last = True
                    progress.say(f"{FINISHING}; Ctrl-C again stops at once")
                    crew.finish_epoch()
                else:  # leaving ends those that do not obey
                    kill_at = time.monotonic() + (interrupts.count <= 3) * STOP_PATIENCE_S
                    crew.stop_at_once()
            except (KeyError, ObjectiveError) as error:
                _raise_where_it_exists(study, error)
    return interrupts.signal


class _Kept:
    """How many seconds before the deadline are kept for the next stage; asked for now and then."""

    def __init__(self, deadline: float | None, reserve: Callable[[], float]) -> None:
        self._deadline, self._reserve = deadline, reserve
        self._began, self._looked, self._seconds = time.monotonic(), -math.inf, 0.0

    def seconds(self) -> float:
        now = time.monotonic()
        if self._deadline is not None and now > self._looked + RESERVE_S:
            self._looked = now
            self._seconds = min(self._reserve(), max(0.0, self._deadline - self._began) / 2)
        return self._seconds


class _Waiting:
    """Tells now and then what the end still waits for: a trial that never reports takes long."""

    def __init__(self) -> None:
        self._since, self._next = math.inf, WAITS_S

    def tell(self, crew: Crew, progress: Progress, *, again: bool) -> None:
        now = time.monotonic()
        self._since = min(self._since, now)
        if now - self._since > self._next and (running := crew.running):
            self._next *= 2
            remedy = f"Ctrl-C {'again ' * again}{AT_ONCE}"
            progress.waits_for(running, now - self._since, remedy)


def _tell(crew: Crew, progress: Progress) -> None:
    for message in crew.poll(POLL_S):
        progress.say(message)
    for trial, text in crew.printed():
        progress.printed(trial, text)
    progress.waits(crew.waits)
    progress.update()


def _follow(at_work: AtWork, progress: Progress) -> None:
    """Go on by what another command has changed, and tell of it."""
    following = at_work.following
    if following is not None and following.look():
        at_work.crew.follow(following.spec)
        progress.limits = following.limits
        if following.words:
            progress.say(following.words)


def _raise_where_it_exists(study: optuna.Study, error: KeyError | ObjectiveError) -> None:
    """Workers of a study that somebody deletes fail as if their objective did; where it is there,
    the error is another one, and stands."""
    if _exists(study):
        raise error
    raise StudyNotFoundError(f"study '{study.study_name}' was deleted meanwhile") from None


def _exists(study: optuna.Study) -> bool:
    try:
        return bool(study.user_attrs)
    except KeyError:
        return False


def _end(at_work: AtWork, kept: float) -> str:
    """Why the running epochs are to be the last; "" where they are not."""
    deadline = at_work.deadline
    if deadline is not None and time.monotonic() > deadline - kept:
        rest = f", but for {duration(kept)} to confirm the best" if kept else ""
        return f"the time is used up{rest}"
    return STOPPED if at_work.halt.asked() else ""


@contextlib.contextmanager
def terminable() -> Iterator[list[KeyboardInterrupt]]:
    """SIGTERM and SIGHUP raise Terminated in here. (As process 1 of a container SIGTERM would be
    ignored.) Under `nohup` SIGHUP means nothing. Ctrl-Z stops the workers too, which hear nothing
    of the terminal.

    Yields what was raised, Ctrl-C included, for whoever hears it to take out: Python swallows what
    is raised while a weak reference is called back, as those of a database's rows are, and would
    print a traceback.
    """
    raised: list[KeyboardInterrupt] = []
    if threading.current_thread() is not threading.main_thread():
        yield raised  # Python hears signals in its main thread only
        return
    terminals = [fd for fd in (1, 2) if os.isatty(fd)]

    def terminate(number: int, _frame: FrameType | None) -> Any:
        if number == signal.SIGHUP:
            _leave(terminals)
        raised.append(Terminated(number))
        raise raised[-1]

    def interrupt(_number: int, _frame: FrameType | None) -> Any:
        raised.append(KeyboardInterrupt())
        raise raised[-1]

    heard = (*TERMINATING, signal.SIGINT, signal.SIGTSTP)
    before = {number: signal.getsignal(number) for number in heard}
    if before[signal.SIGINT] is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    for number in TERMINATING:
        if number == signal.SIGTERM or before[number] is not signal.SIG_IGN:
            signal.signal(number, terminate)
    if before[signal.SIGTSTP] is signal.SIG_DFL:  # there is a shell that knows of it
        signal.signal(signal.SIGTSTP, lambda _signal, _frame: process.suspend())
    swallow, sys.unraisablehook = sys.unraisablehook, lambda one: _swallowed(one, raised, swallow)
    try:
        yield raised
    finally:
        sys.unraisablehook = swallow
        for number, handler in before.items():
            signal.signal(number, handler)


def _swallowed(
    one: "sys.UnraisableHookArgs", raised: Sequence[KeyboardInterrupt], usual: Callable[..., object]
) -> None:
    """Nothing is printed of what is going to be heard."""
    if not any(one.exc_value is ours for ours in raised):
        usual(one)


def _leave(terminals: Sequence[int]) -> None:
    """Write to a terminal no more: it is gone, and to write there would be an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in terminals:
        os.dup2(nowhere, fd)
    os.close(nowhere)
