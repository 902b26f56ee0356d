"""The floor under every arm: one configuration at least runs to its end before all else."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from search.strategy import prior
from search.strategy.seen import COMPLETE, PAUSED, QUEUED, RUNNING, Indices, ladder
from search.strategy.steps import Question, Run, Step

if TYPE_CHECKING:
    from search.strategy.freeze_thaw import _Decision

# Configurations begun before one goes to its end: where all is one arm, without and with entries of
# a portfolio, and of each of many arms. The first are drawn at random, then the model proposes;
# at once in an arm of which the portfolio knows something.
STARTS_ALONE, STARTS_NAMED, STARTS = 14, 10, 5
BLIND_ALONE, BLIND = 8, 2
SURE = 1.0  # standard deviations by which a configuration beats one of the portfolio


def floor_epochs(question: Question, queued: Sequence[Run] = ()) -> int:
    """What the floors cost: every arm's queued runs to the first rung, one of them to its end.

    A caller refuses a budget that is below it.
    """
    parameter = question.space.get(question.by, {}) if question.by else {}
    arms = parameter.get("choice", [None])
    first = ladder(question.longest)[0]
    queued_in = [
        sum(not question.by or q.params.get(question.by) == a for q in queued) for a in arms
    ]
    return sum(max(n, 1) * first + question.longest - first for n in queued_in)


class Floors:
    """Of one decision."""

    def __init__(self, decision: "_Decision") -> None:
        self.decision = decision

    def affordable(self) -> Indices:
        """The queued runs, without those of a portfolio after whose first epochs what is left would
        not bring every arm to an end."""
        decision, seen = self.decision, self.decision.seen
        queued = np.flatnonzero(seen.states == QUEUED)
        if not len(queued) or not math.isfinite(decision.likely):
            return queued
        needs = {arm: self._needs(arm) for _, arm in self._lacking()}
        if not needs or decision.likely - sum(needs.values()) >= seen.rungs[0]:
            return queued
        of = seen.arms[queued]
        is_first = [not self._begun(arm) and arm not in of[:k] for k, arm in enumerate(of)]
        return queued[np.array([seen.runs[i].asked for i in queued]) | is_first]

    def _needs(self, arm: int) -> int:
        """Epochs from where its farthest run stands to that run's end."""
        seen = self.decision.seen
        alive = (seen.arms == arm) & np.isin(seen.states, (RUNNING, PAUSED))
        left = (seen.planned - self.decision.spent)[alive]
        return int(left.min()) if len(left) else self.decision.question.longest

    def _begun(self, arm: int) -> int:
        """How many configurations of an arm have begun."""
        seen = self.decision.seen
        return int(((seen.arms == arm) & (seen.states != QUEUED)).sum())

    def _lacking(self) -> list[tuple[int, int]]:
        """The arms that have no complete run yet, nor one on its way there: (epochs spent, arm)."""
        seen, lacking = self.decision.seen, []
        for arm in range(len(seen.arm_values)):
            of = seen.arms == arm
            finishing = of & (seen.states == RUNNING) & (seen.until >= seen.planned)
            if not (of & (seen.states == COMPLETE)).any() and not finishing.any():
                lacking.append((int(self.decision.spent[of].sum()), arm))
        return lacking

    def step(self) -> Step | None:
        """A step of an arm that has no complete run yet, the arm that got least first."""
        decision, seen = self.decision, self.decision.seen
        lacking = self._lacking()
        ends = decision.question.longest * len(lacking)
        affords = decision.likely >= ends + seen.rungs[0]
        steps = (self._arm(arm, affords) for _, arm in sorted(lacking))
        return next((s for s in steps if s is not None), None)

    def _arm(self, arm: int, affords: bool) -> Step | None:
        decision, seen = self.decision, self.decision.seen
        of = seen.arms == arm
        begun = self._begun(arm)
        mine = decision.paused[of[decision.paused]]
        if not self.decision.question.pauses and len(mine) and self._leads(int(mine[0]), of):
            return decision.go_on(int(mine[0]), "its arm's best after so many epochs")
        alive = (of & np.isin(seen.states, (RUNNING, PAUSED))).any()
        if (affords and begun < self._starts()) or not alive:
            blind = begun < self._blind(arm)
            place = None if blind else decision.proposal(arm)
            if step := decision.begin(place, "its arm has no complete run yet", arm):
                return step
        if not len(mine):
            return None
        return decision.go_on(self._first(mine), "its arm's first to run to its end")

    def _first(self, paused: npt.NDArray[np.intp]) -> int:
        """The likeliest to end best. What is known to be good elsewhere goes before what looks no
        better than it for sure: in the first epochs many networks show nothing but noise."""
        seen = self.decision.seen
        means, sds = self.decision.beliefs.of_runs(paused, seen.planned[paused])
        best = int(np.argmax(means))
        named = np.array([seen.runs[i].name is not None for i in paused])
        sure = (means[best] - means) / np.hypot(sds, sds[best])
        known = np.flatnonzero(named & (sure < SURE))
        return int(paused[known[np.argmax(means[known])] if len(known) else best])

    def _leads(self, i: int, of: npt.NDArray[np.bool_]) -> bool:
        """Whether no run of the arm had a higher score after as many epochs."""
        seen = self.decision.seen
        rungs = np.flatnonzero(np.isfinite(seen.marks[i]))
        return bool(len(rungs)) and bool(
            seen.marks[i, rungs[-1]] >= np.nanmax(seen.marks[of][:, rungs[-1]])
        )

    def _blind(self, arm: int) -> int:
        """Configurations that are drawn at random before the model proposes."""
        if len(self.decision.seen.arm_values) == 1:
            return BLIND_ALONE
        return 0 if prior.has_rows(self.decision.seen, arm) else BLIND

    def _starts(self) -> int:
        if len(self.decision.seen.arm_values) > 1:
            return STARTS
        named = any(run.name is not None for run in self.decision.seen.runs)
        return STARTS_NAMED if named else STARTS_ALONE
