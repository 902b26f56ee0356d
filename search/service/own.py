"""`worker`: of all that a study's workers train, what those of this command do."""

import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from signal import Signals
from typing import Any

from optuna.trial import FrozenTrial

from search.record import budget, spent
from search.record.listener import Listener
from search.record.progress import state_word
from search.service.hands import Hands, Opened
from search.service.watch import STOPPED


class Own(Listener):
    """Passes on what happens to the trials of this command's workers, and counts how they ended.
    The panel shows the whole study, and where each trial runs."""

    def __init__(self, other: Listener) -> None:
        self._other = other
        self._is_own: Callable[[FrozenTrial], bool] = lambda _: False
        self.is_visual = other.is_visual
        self.counts: Counter[str] = Counter()
        for name in ("open", "close", "say", "warn", "printed", "show", "happened", "saw"):
            setattr(self, name, getattr(other, name))

    def works(self, is_own: Callable[[FrozenTrial], bool]) -> None:
        self._is_own = is_own

    def began(self, study: str, trial: FrozenTrial) -> None:
        if self._is_own(trial):
            self._other.began(study, trial)

    def paused(self, study: str, trial: FrozenTrial) -> None:
        if self._is_own(trial):
            self.counts["paused"] += 1
            self._other.paused(study, trial)

    def ended(self, study: str, trial: FrozenTrial, is_best: bool) -> None:
        if self._is_own(trial):
            self.counts[state_word(trial)] += 1
            self._other.ended(study, trial, is_best)

    def words(self) -> str:
        """`2 complete, 1 pruned`."""
        told = ", ".join(f"{number} {state}" for state, number in sorted(self.counts.items()))
        return told or "no trial of its own"


def joined(opened: Opened, prepared: Mapping[str, Any]) -> str:
    """What a worker has come to do."""
    study, _, limits, hands = opened
    told = (spent.left(study, limits), spent.time_left(hands.deadline))
    about = ", ".join(filter(None, told)) or "no end but yours"
    return f"joined '{study.study_name}' on {platform.node()}: {about}; {hands.words(prepared)}"


def why(opened: Opened, stopped: Signals | None) -> str:
    """Why a worker ends, and what is left for others."""
    study, _, limits, hands = opened
    stopped_by = _stopped_by(hands, stopped)
    if stopped_by:
        return "; ".join(filter(None, (stopped_by, spent.left(study, limits))))
    if budget.first_failures(study.get_trials(deepcopy=False)):
        return "each of the first trials has failed"
    line = spent.used_up(study, limits).partition(": nothing to train")[0]
    return line or "nothing is left to train here"


def _stopped_by(hands: Hands, stopped: Signals | None) -> str:
    """What ended a worker before there was nothing more to do; "" where nothing did."""
    if stopped is not None:
        return "stopped by " + ("Ctrl-C" if stopped is Signals.SIGINT else stopped.name)
    if hands.halt.asked():
        return STOPPED
    is_over = hands.deadline is not None and time.monotonic() > hands.deadline
    return "its time is used up" if is_over else ""
