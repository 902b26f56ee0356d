"""What a strategy is asked, and what it answers: plain values, no database and no Optuna.

A strategy sees every configuration tried so far (`Run`) and says what to train next and how far
(`Step`). It keeps no state that matters: it may be made anew at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

STATES = ("queued", "running", "paused", "complete", "ended")


@dataclass(frozen=True)
class Run:
    """One configuration, as far as it is known.

    params: the active ones only; an inactive conditional one is missing.
    scores: one an epoch from 0, more is better (the caller turns the sign where a study
        minimizes); may hold nan. Only ever grows under the same number.
    planned: epochs at its end; patience may end it earlier (then "complete", with fewer scores).
    horizon: its planned epochs where they shape its schedule (cosine, one-cycle): such runs are
        compared at equal horizon.
    state: "queued" (portfolio entries, baselines: params fixed, not begun), "running", "paused",
        "complete" or "ended" (pruned, diverged, failed, out of memory).
    until: running: epochs it has been granted so far.
    name: of a queued entry.
    asked: by a person (a baseline, what was enqueued): tried whatever it takes of the budget.
    """

    number: int
    params: Mapping[str, Any]
    scores: Sequence[float]
    planned: int
    horizon: int | None = None
    state: str = "paused"
    until: int = 0
    name: str | None = None
    asked: bool = False


@dataclass(frozen=True)
class Question:
    """What is searched, and with what means.

    space: in plain form, {name: {"float": [low, high], "log": True}, {"int": [low, high],
        "step": 1} or {"choice": [...]}, each with "when": {other: [values]} or without}.
    longest: the most epochs that one run can take.
    by: the categorical parameter whose values are the arms; None: all is one arm.
    pauses: False: the objective cannot resume, so a paused run is never proposed. A run that
        does not earn going on is ended.
    trials, epochs: configurations and epochs in all; None: no limit.
    minimizes: scores bear the other sign than people see.
    """

    space: Mapping[str, Any]
    longest: int
    by: str | None = None
    pauses: bool = True
    trials: int | None = None
    epochs: int | None = None
    seed: int = 0
    minimizes: bool = False


class Step(NamedTuple):
    """What to train: a queued or paused run by its number, or a new configuration (None).

    params: of a new configuration; else those of the run.
    until: train until so many epochs in all.
    why: for people, "paused at epoch 3: 4 % chance to beat 0.712".
    """

    number: int | None
    params: dict[str, Any]
    until: int
    why: str


class Strategy(Protocol):
    """Deterministic in the question and the runs; the order of calls does not matter."""

    def next(self, runs: Sequence[Run], timely: int | None = None) -> Step | None:
        """What a free worker should train; None: nothing left is worth it.

        timely: epochs in all that the time is likely to pay for, where it may be short. It ends
        nothing: an estimate may err.

        A worker whose run has come to its `until` asks with that run "paused". If the step
        names the same number it trains on; else the run pauses (ends, where pauses is False).
        """
        ...

    def explain(self, runs: Sequence[Run], number: int) -> str:
        """Why this run pauses or ends now, with its chance to beat the best."""
        ...
