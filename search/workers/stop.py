"""How a worker is told to end: SIGINT after the running epoch, SIGTERM at once, a timer at the
trial's deadline. Outside of an objective nothing is ever interrupted."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from search.record import outcomes

AGAIN_S = 0.02  # until an interruption that was dropped is made again
LAST_WORDS_S = 8.0  # after SIGTERM; a node that goes down often kills ten seconds after it


class Stop:
    """What this process has been asked. Lives in its main thread, where Python handles signals."""

    def __init__(self, last_words: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            last_words: called from a thread where SIGTERM does not get the main thread out of the
                objective in time: it may be deep inside a kernel, or catch everything. The process
                ends after it.
        """
        self.requested = False
        self._interruptible = False
        self._ended_by: outcomes.Ended | None = None
        self._dropped: outcomes.Ended | None = None  # an interruption that is to be made again
        self._last_words = last_words
        self._outside = threading.Event()  # of the objective
        self._outside.set()
        self._timed = False

    def install(self) -> None:
        signal.signal(signal.SIGINT, self._finish_epoch)
        signal.signal(signal.SIGTERM, self._at_once)
        signal.signal(signal.SIGALRM, self._timer)
        sys.unraisablehook = self._unraisable
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # process.serve held it back

    def watch_for_hangs(self) -> None:
        """From now on SIGTERM ends this process where it does not get out of the objective."""
        told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        threading.Thread(target=self._guard, args=(told,), name="last words", daemon=True).start()

    def run(
        self, function: Callable[[], outcomes.Outcome], timeout_s: float | None = None
    ) -> outcomes.Outcome:
        """Call a function that SIGTERM, or the end of its time, may interrupt.

        What it makes of that (an error of its clean-up, a value so far) is not how it ended.
        """
        self._interruptible, self._timed = True, timeout_s is not None
        self._ended_by = self._dropped = None
        self._outside.clear()
        if timeout_s is not None:
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            outcome = function()
        except outcomes.Ended as late:  # it fell between the objective's end and here
            outcome = outcomes.ended(late)
        finally:
            self._interruptible = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._outside.set()
        return outcome if self._ended_by is None else outcomes.ended(self._ended_by)

    @property
    def interrupts(self) -> bool:
        """Whether what runs has been interrupted: whatever it returns is not how it ended."""
        return self._ended_by is not None

    def preempt(self) -> NoReturn:
        """End what runs, from within it. Raises Preempted."""
        self._ended_by = outcomes.Preempted()
        raise self._ended_by

    def _finish_epoch(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True

    def _at_once(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._interrupt(outcomes.Preempted())

    def _timer(self, _signal: int, _frame: FrameType | None) -> None:
        if self._dropped is not None:
            self._interrupt(self._dropped)
        elif self._timed:  # else the objective has a timer of its own
            self._interrupt(outcomes.DeadlinePassedError())

    def _unraisable(self, lost: "sys.UnraisableHookArgs") -> None:
        """Interrupt again where it fell into a `__del__` or the like, of which Python drops every
        exception: data loaders spend much of their time there."""
        if not isinstance(lost.exc_value, outcomes.Ended):
            sys.__unraisablehook__(lost)
        elif lost.exc_value is self._ended_by and not self._outside.is_set():
            self._dropped, self._interruptible = lost.exc_value, True
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)

    def _interrupt(self, by: outcomes.Ended) -> None:
        if self._interruptible:
            self._interruptible, self._dropped = False, None
            self._ended_by = by
            raise by

    def _guard(self, told: int) -> None:
        """The C half of Python's signal handling writes a byte even while a kernel runs."""
        while True:
            if signal.SIGTERM in os.read(told, 64) and not self._outside.wait(LAST_WORDS_S):
                self._last_words()
                os._exit(128 + signal.SIGTERM)
