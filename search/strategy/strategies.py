"""Strategies by name, with their options. One that grants epochs step by step builds a `Strategy`
(steps.py); `optuna` leaves all to the sampler and the pruner of the study file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from search.record.budget import Limits
from search.strategy import tables
from search.strategy.steps import Question, Strategy
from search.studyfile import space
from search.studyfile.spec import StudySpec


@dataclass(frozen=True)
class Optuna:
    """A sampler proposes, a pruner ends; nothing pauses."""


@dataclass(frozen=True)
class FreezeThaw:
    """Trials run to a rung, pause, and go on where it is worth it.

    max_paused: trials that may be paused at a time, each with its checkpoint on disk; beyond, the
        worst one is ended.
    """

    max_paused: int = 64

    def __post_init__(self) -> None:
        if self.max_paused < 1:
            raise ValueError(f"max_paused >= 1 must hold, got {self.max_paused}")

    def build(self, question: Question) -> Strategy:
        from search.strategy import freeze_thaw  # with SciPy: half a second, for who trains only

        return freeze_thaw.FreezeThaw(question)


STRATEGIES: dict[str, Callable[..., Optuna | FreezeThaw]] = {
    "optuna": Optuna,
    "freeze_thaw": FreezeThaw,
}


def problems(name: str, options: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a strategy of a study file."""
    return tables.problems("strategy", STRATEGIES, name, options)


def stepwise(spec: StudySpec) -> FreezeThaw:
    """The strategy of a study whose trials are granted epochs step by step."""
    found = STRATEGIES[spec.strategy.name](**spec.strategy.options)
    assert isinstance(found, FreezeThaw)
    return found


def question(spec: StudySpec, limits: Limits, *, pauses: bool) -> Question:
    """What a strategy is asked in this study.

    Args:
        limits: what the search may spend: of the study's epochs, some may be kept to confirm.
        pauses: whether the objective goes on where it paused.
    """
    return Question(
        space=space.as_plain(spec.space),
        longest=limits.longest,
        by=spec.arms_of,
        pauses=pauses,
        trials=limits.trials,
        epochs=limits.epochs,
        seed=spec.seed,
        minimizes=spec.direction == "minimize",
    )
