"""Show workers at work until they are done, and pass on what a person asks of them."""

import contextlib
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from search.cli.log import Silent

if TYPE_CHECKING:
    import optuna

    from search.record.budget import Limits
    from search.record.halt import Halt
    from search.studyfile.spec import StudySpec
    from search.workers.crew import Crew
    from search.workers.seats import Seat, Wish

POLL_S = 0.25
RESERVE_S = 5.0  # between two looks at how much time the next stage will need
LOOK_S = 1.0  # between two looks from outside
EVENTS = 5  # trials that ended before somebody looked on, and are told first
FINISHING = "finishing the running epochs"


class Terminated(KeyboardInterrupt):
    """SIGTERM: the machine is going down, or a scheduler wants it back."""


class Hands(NamedTuple):
    """Who works, until when, and where news go: the same for every stage of a command."""

    wish: "Wish"
    url: str
    workdir: Path
    dealt: "Sequence[Seat]"
    deadline: float | None
    log: Silent
    halt: "Halt"

    @property
    def number(self) -> int:
        """How many workers there are."""
        return self.wish.workers or len(self.dealt)

    def work(
        self,
        study: "optuna.Study",
        spec: "StudySpec",
        limits: "Limits",
        *,
        reserve: Callable[[], float] = lambda: 0.0,
        advance: Callable[[], object] = lambda: None,
        modest: bool = False,
    ) -> int:
        """Work on a study until nothing is left to do; the exit code, as `watch` returns it."""
        from search.workers import crew

        workers = crew.crew(
            self.wish, study, spec, self.url, self.workdir, self.dealt, modest=modest
        )
        with workers as at_work:
            return watch(
                at_work, study, limits, self.deadline, self.log, self.halt, reserve, advance
            )


def watch(
    crew: "Crew",
    study: "optuna.Study",
    limits: "Limits",
    deadline: float | None,
    log: Silent,
    halt: "Halt",
    reserve: Callable[[], float],
    advance: Callable[[], object],
) -> int:
    """Returns the exit code: 0, 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        limits: how much there is to do, for those who look on.
        deadline: a `time.monotonic()` moment at which the running epochs are the last.
        reserve: seconds before the deadline that are kept for what comes after, at most half of
            the time.
        advance: called all the time; queues what is to be done next.
        halt: hears `optsearch stop`; asks no more than the deadline does.
    """
    from search.errors import ObjectiveError, StudyNotFoundError
    from search.record.progress import Progress
    from search.workers.process import STOP_PATIENCE_S

    name = study.study_name
    interrupts, kill_at, code = 0, math.inf, 0
    started, looked, kept = time.monotonic(), -math.inf, 0.0
    is_last = False  # whether the running epochs are
    with _terminable(), Progress(study, limits, deadline, log) as progress:
        while time.monotonic() < kill_at:
            try:
                if deadline is not None and time.monotonic() > looked + RESERVE_S:
                    looked = time.monotonic()
                    kept = min(reserve(), max(0.0, deadline - started) / 2)
                if not is_last:
                    advance()
                if crew.done:
                    break
                for message in crew.poll(POLL_S):
                    progress.say(message)
                progress.waits(crew.waits)
                progress.update()
                if not is_last and (why := _end(deadline, kept, halt)):
                    is_last = True
                    progress.say(f"{why}: {FINISHING}; Ctrl-C stops at once")
                    crew.finish_epoch()
            except KeyboardInterrupt as asked:
                terminated = isinstance(asked, Terminated)
                interrupts += 2 if terminated else 1
                code = 143 if terminated else 130
                if interrupts == 1 and not is_last:
                    is_last = True
                    progress.say(f"{FINISHING}; Ctrl-C again stops at once")
                    crew.finish_epoch()
                else:  # leaving ends those that do not obey
                    kill_at = time.monotonic() + (interrupts <= 3) * STOP_PATIENCE_S
                    crew.stop_at_once()
            except (KeyError, ObjectiveError) as error:
                if isinstance(error, ObjectiveError) and _exists(study):
                    raise
                raise StudyNotFoundError(f"study '{name}' was deleted meanwhile") from None
    return code


def _exists(study: "optuna.Study") -> bool:
    """Whether nobody has deleted it: its workers fail as if their objective did."""
    try:
        return bool(study.user_attrs)
    except KeyError:
        return False


def _end(deadline: float | None, kept: float, halt: "Halt") -> str:
    """Why the running epochs are to be the last; "" where they are not."""
    from search.record.progress import duration

    if deadline is not None and time.monotonic() > deadline - kept:
        rest = f", but for {duration(kept)} to confirm the best" if kept else ""
        return f"the time is used up{rest}"
    return "stopped by `optsearch stop`" if halt.asked() else ""


def look_on(study: "optuna.Study", log: Silent) -> None:
    """Show a study that others run, and how it is confirmed, until all is done, or Ctrl-C.

    Raises:
        StudyNotFoundError: it was deleted meanwhile.
    """
    from search.errors import StudyNotFoundError
    from search.record.progress import Progress

    earlier = EVENTS if log.is_visual else 0
    with contextlib.suppress(KeyboardInterrupt):
        try:
            for one in itertools.chain([study], _confirming(study)):
                limits, over = _budget(one)
                with Progress(one, limits, None, log, earlier) as progress:
                    while not over:
                        time.sleep(LOOK_S)
                        progress.limits, over = _budget(one)  # a run may have changed it
                        progress.update()
        except KeyError:
            raise StudyNotFoundError(f"study '{study.study_name}' was deleted meanwhile") from None


def _confirming(study: "optuna.Study") -> Iterator["optuna.Study"]:
    """The study of the runs that confirm this one, where they are under way."""
    from search.answers import evidence

    runs = evidence.sibling(study)
    if runs is not None and evidence.plan_of(runs) and not runs.user_attrs.get(evidence.CHOICE):
        yield runs


def _budget(study: "optuna.Study") -> tuple["Limits", bool]:
    """What the study may spend, and whether nothing runs and nothing will."""
    from optuna.trial import TrialState

    from search.answers import evidence
    from search.record import budget
    from search.record import study as studies

    if (plan := evidence.plan_of(study)) is not None:  # its queue may be empty between two rounds
        total = len(plan.candidates) * plan.seeds
        return budget.Limits(total, queued_only=True), bool(study.user_attrs.get(evidence.CHOICE))
    spec, trials = studies.stored_spec(study), study.get_trials(deepcopy=False)
    limits = studies.limits(study, spec) if spec else budget.Limits()
    if budget.first_failures(trials) is not None:  # its runs end there
        return limits, not any(t.state == TrialState.RUNNING for t in trials)
    return limits, budget.is_over(trials, limits)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises Terminated in here. (As process 1 of a container it would be ignored.)"""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hears signals in its main thread only
        return

    def terminate(_signal: int, _frame: FrameType | None) -> Any:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
