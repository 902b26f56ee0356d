"""How a worker is told to end: SIGINT after the running epoch, SIGTERM at once, a timer at the
trial's deadline. Outside of an objective nothing is ever interrupted."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from search.record import outcomes

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
        self._last_words = last_words
        self._outside = threading.Event()  # of the objective
        self._outside.set()
        self._timed = False

    def install(self) -> None:
        signal.signal(signal.SIGINT, self._finish_epoch)
        signal.signal(signal.SIGTERM, self._at_once)
        signal.signal(signal.SIGALRM, self._deadline)
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
        """Call a function that SIGTERM, or the end of its time, may interrupt."""
        self._interruptible, self._timed = True, timeout_s is not None
        self._outside.clear()
        if timeout_s is not None:
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            return function()
        except outcomes.Ended as late:  # it fell between the objective's end and here
            return outcomes.ended(late)
        finally:
            self._interruptible = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._outside.set()

    def _finish_epoch(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True

    def _at_once(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._interrupt(outcomes.Preempted())

    def _deadline(self, _signal: int, _frame: FrameType | None) -> None:
        if self._timed:  # else the objective has a timer of its own
            self._interrupt(outcomes.DeadlinePassedError())

    def _interrupt(self, by: outcomes.Ended) -> None:
        if self._interruptible:
            self._interruptible = False
            raise by

    def _guard(self, told: int) -> None:
        """The C half of Python's signal handling writes a byte even while a kernel runs."""
        while True:
            if signal.SIGTERM in os.read(told, 64) and not self._outside.wait(LAST_WORDS_S):
                self._last_words()
                os._exit(128 + signal.SIGTERM)
