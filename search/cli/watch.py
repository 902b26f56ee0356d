"""Show workers at work until they are done, and pass on what a person asks of them."""

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

    from search.crew import Crew
    from search.spec import StudySpec

POLL_S = 0.25
TIME_IS_UP = "the time is used up: finishing the running epochs; Ctrl-C stops at once"


class Terminated(KeyboardInterrupt):
    """SIGTERM: the machine is going down, or a scheduler wants it back."""


def watch(crew: "Crew", study: "optuna.Study", spec: "StudySpec", deadline: float | None) -> int:
    """Returns the exit code: 0, 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        deadline: a `time.monotonic()` moment at which the running epochs are the last.
    """
    from rich.console import Console

    from search.errors import StudyNotFoundError
    from search.process import STOP_PATIENCE_S
    from search.progress import Progress

    interrupts, kill_at, code = 0, math.inf, 0
    console = Console(highlight=False, markup=False)
    with _terminable(), Progress(study, spec.trials, deadline, console) as progress:
        while time.monotonic() < kill_at:
            try:
                if crew.done:
                    break
                for message in crew.poll(POLL_S):
                    progress.say(message)
                progress.waits(crew.waits)
                progress.update()
                if deadline is not None and time.monotonic() > deadline:
                    progress.say(
                        "the time is used up: finishing the running epochs; Ctrl-C stops at once"
                    )
                    deadline = None
                    crew.finish_epoch()
            except KeyboardInterrupt as asked:
                terminated = isinstance(asked, Terminated)
                interrupts += 2 if terminated else 1
                code = 143 if terminated else 130
                if interrupts == 1:
                    progress.say("finishing the running epochs; Ctrl-C again stops at once")
                    crew.finish_epoch()
                else:  # leaving ends those that do not obey
                    kill_at = time.monotonic() + (interrupts <= 3) * STOP_PATIENCE_S
                    crew.stop_at_once()
            except KeyError:
                raise StudyNotFoundError(f"study '{spec.name}' was deleted meanwhile") from None
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
