"""A study's trials as a strategy sees them (steps.py): plain values, a chain of trials one run."""

import math
from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.record import chains, results
from search.record.budget import Limits
from search.strategy.percentiles import HORIZON
from search.strategy.steps import Run


class Reader:
    """Turns readings of one study into runs; chains that have ended are turned once."""

    def __init__(self, direction: StudyDirection, limits: Limits, pauses: bool = True) -> None:
        """`pauses`: whether the objective goes on where it paused; else what is paused ends so."""
        self._sign = 1 if direction == StudyDirection.MAXIMIZE else -1
        self._limits, self._pauses = limits, pauses
        self._ended: dict[int, Run] = {}  # by the id of a chain's last link

    def runs(self, trials: Sequence[FrozenTrial], asking: int | None = None) -> list[Run]:
        """Every chain as a run, by number.

        Args:
            asking: the chain of a running trial that has come to its rung: paused, to a strategy.
        """
        return [
            self._known(number, links, number == asking)
            for number, links in chains.grouped(trials).items()
        ]

    def _known(self, number: int, links: Sequence[FrozenTrial], asks: bool) -> Run:
        last = links[-1]
        if last._trial_id in self._ended:
            return self._ended[last._trial_id]
        run = self._run(number, links, "paused" if asks else self._state(links))
        if last.state.is_finished() and run.state != "running":
            self._ended[last._trial_id] = run
        return run

    def _state(self, links: Sequence[FrozenTrial]) -> str:
        last = links[-1]
        if _goes_on_meanwhile(last):
            return "running"
        if chains.is_queued(last):
            return "queued"
        if chains.is_paused(last):
            return "paused" if self._pauses else "ended"
        if last.state == TrialState.COMPLETE:
            return "complete"
        is_open = not last.state.is_finished() or chains.goes_on(links, self._limits.retries)
        return "running" if is_open else "ended"

    def _run(self, number: int, links: Sequence[FrozenTrial], state: str) -> Run:
        last, attrs = links[-1], links[-1].user_attrs
        told = {key: value for link in links for key, value in link.user_attrs.items()}
        return Run(
            number=number,
            params={**last.system_attrs.get(chains.FIXED, {}), **last.params},
            scores=self._scores(links),
            planned=told.get("epochs_planned", self._limits.longest),
            horizon=told.get(HORIZON),
            state=state,
            until=attrs.get(chains.UNTIL, self._limits.longest) if state == "running" else 0,
            name=attrs.get("configuration"),
            asked=bool(attrs.get(chains.ASKED)),
        )

    def _scores(self, links: Sequence[FrozenTrial]) -> list[float]:
        """One an epoch, of the link that came farthest: a retry that begins anew is no new run."""
        reports = max(map(results.by_epoch, reversed(links)), key=len)
        epochs = max(reports, default=-1) + 1
        return [self._sign * reports.get(epoch, math.nan) for epoch in range(epochs)]


def _goes_on_meanwhile(trial: FrozenTrial) -> bool:
    """Whether a trial that paused was taken again while it was being read: its state is read before
    its reports and attributes."""
    if trial.state != TrialState.WAITING or chains.is_retry(trial):
        return False
    pause = trial.user_attrs.get(chains.PAUSED)
    if pause is None:
        return chains.UNTIL in trial.user_attrs
    return bool(results.epochs_run(trial) != pause["epochs"])
