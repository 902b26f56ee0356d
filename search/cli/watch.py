"""Show workers at work until they are done, and pass on what a person asks of them."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

    from search.crew import Crew

POLL_S = 0.25
RESERVE_S = 5.0  # between two looks at how much time the next stage will need


class Terminated(KeyboardInterrupt):
    """SIGTERM: the machine is going down, or a scheduler wants it back."""


def watch(
    crew: "Crew",
    study: "optuna.Study",
    total: int | None,
    deadline: float | None,
    *,
    reserve: Callable[[], float] = lambda: 0.0,
    advance: Callable[[], object] = lambda: None,
) -> int:
    """Returns the exit code: 0, 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        total: trials that there will be at most; None where nobody knows.
        deadline: a `time.monotonic()` moment at which the running epochs are the last.
        reserve: seconds before the deadline that are kept for what comes after, at most half of
            the time.
        advance: called all the time; queues what is to be done next.
    """
    from rich.console import Console

    from search.errors import StudyNotFoundError
    from search.process import STOP_PATIENCE_S
    from search.progress import Progress, duration

    interrupts, kill_at, code = 0, math.inf, 0
    started, looked, kept = time.monotonic(), -math.inf, 0.0
    name = study.study_name
    console = Console(highlight=False, markup=False)
    with _terminable(), Progress(study, total, deadline, console) as progress:
        while time.monotonic() < kill_at:
            try:
                if deadline is not None and time.monotonic() > looked + RESERVE_S:
                    looked = time.monotonic()
                    kept = min(reserve(), max(0.0, deadline - started) / 2)
                advance()
                if crew.done:
                    break
                for message in crew.poll(POLL_S):
                    progress.say(message)
                progress.waits(crew.waits)
                progress.update()
                if deadline is not None and time.monotonic() > deadline - kept:
                    rest = f", but for {duration(kept)} to confirm the best" if kept else ""
                    progress.say(
                        f"the time is used up{rest}: finishing the running epochs; "
                        "Ctrl-C stops at once"
                    )
                    deadline, advance = None, lambda: None
                    crew.finish_epoch()
            except KeyboardInterrupt as asked:
                terminated = isinstance(asked, Terminated)
                interrupts += 2 if terminated else 1
                advance = lambda: None  # noqa: E731
                code = 143 if terminated else 130
                if interrupts == 1:
                    progress.say("finishing the running epochs; Ctrl-C again stops at once")
                    crew.finish_epoch()
                else:  # leaving ends those that do not obey
                    kill_at = time.monotonic() + (interrupts <= 3) * STOP_PATIENCE_S
                    crew.stop_at_once()
            except KeyError:
                raise StudyNotFoundError(f"study '{name}' was deleted meanwhile") from None
    return code


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises Terminated in here. (As process 1 of a container it would be ignored.)"""

    def terminate(_signal: int, _frame: FrameType | None) -> Any:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
