"""How a trial ends: what happened, and what that becomes in Optuna (docs/results.md)."""

import math
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from search.errors import StorageError

ERROR_CHARS = 8_000  # of a traceback, its end: what the database keeps


# What CUDA says once and for all: whatever the process asks of the GPU from then on fails too.
POISONED = re.compile(
    r"CUDA error|CUDA driver error|CUDA unknown error|Triton Error \[CUDA\]|HIP error"
    r"|CUDNN_STATUS_EXECUTION_FAILED|CUDNN_STATUS_INTERNAL_ERROR(?!_HOST_ALLOCATION_FAILED)"
    r"|device-side assert"
    r"|Offset increment outside graph capture",  # torch to 2.12, ever after a failed capture
    re.IGNORECASE,
)


class Ended(BaseException):
    """The trial is to end now. Not an Exception: an objective's `except` must not swallow it."""


class Preempted(Ended):
    """The run is asked to stop; the trial goes on another time."""


class DeadlinePassedError(Ended):
    """The trial has had its time (`budget.trial_timeout`)."""


class Paused(Ended):
    """The trial has run as far as it was to, and waits: it may go on. Its argument tells why."""


class Stopped(Ended):
    """The trial has run as far as it was to, and cannot be paused: it is hopeless."""


@dataclass(frozen=True)
class Outcome:
    """The end of one trial, or its pause (`state` WAITING, and `reason` tells people why).

    `value` is set for COMPLETE only: a pruned trial's value is its last report, which Optuna
    finds by itself. `reason` is the word for people and for `--reason`. After a `poisoned` outcome
    the process cannot go on: its GPU context is broken.
    """

    state: TrialState
    value: float | None = None
    reason: str | None = None
    error: str | None = None  # traceback
    poisoned: bool = False


def attempt(objective: Callable[[optuna.Trial], Any], trial: optuna.Trial) -> Outcome:
    """Call the objective; whatever happens is an outcome, except what stops this process."""
    try:
        value = objective(trial)
    except optuna.TrialPruned:
        return Outcome(TrialState.PRUNED, reason="hopeless")
    except Ended as signal:
        return ended(signal)
    except StorageError:
        raise  # the database has been away for too long: nothing of it can be written there
    except optuna.exceptions.UpdateFinishedTrialError:
        raise  # somebody else ended this trial: a lost lease, not a failure of the objective
    except BaseException as error:  # SystemExit and KeyboardInterrupt of an objective too
        words = "".join(traceback.format_exception_only(error))  # bears an error without words
        poisoned = bool(POISONED.search(words))
        return Outcome(
            TrialState.FAIL,
            reason="crashed" if poisoned else "exception",
            error=traceback.format_exc()[-ERROR_CHARS:],
            poisoned=poisoned,
        )
    return _scored(value)


def ended(by: Ended) -> Outcome:
    """The outcome of a trial that was told to end. A deadline without any report has no value."""
    if isinstance(by, Paused):
        return Outcome(TrialState.WAITING, reason=str(by))
    if isinstance(by, Stopped):
        return Outcome(TrialState.PRUNED, reason="hopeless")
    if isinstance(by, DeadlinePassedError):
        return Outcome(TrialState.PRUNED, reason="deadline")
    return Outcome(TrialState.FAIL, reason="preempted")


def _scored(value: Any) -> Outcome:
    """As Optuna does, a list of one counts as its item; so does an array or a tensor."""
    single = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
    try:
        score = float(single.item() if hasattr(single, "item") else single)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # torch's, of many items
        score = math.nan
    if math.isnan(score):
        error = f"the objective must return a number, got {value!r:.200}"
        return Outcome(TrialState.FAIL, reason="exception", error=error)
    if math.isinf(score):  # whichever its sign, it can neither win nor be compared
        return Outcome(TrialState.PRUNED, reason="diverged")
    return Outcome(TrialState.COMPLETE, value=score)


def tell(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    """Write the outcome. A reason that the objective gave itself (`diverged`) stands."""
    attrs = trial.user_attrs
    if outcome.reason and ("reason" not in attrs or outcome.state == TrialState.FAIL):
        trial.set_user_attr("reason", outcome.reason)
    if outcome.error:
        trial.set_user_attr("error", outcome.error)
    study.tell(trial, outcome.value, state=outcome.state, skip_if_finished=True)
