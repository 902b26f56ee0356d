"""What the confirm stage is to do, and which plan's choice is the answer meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial

from search.record import chains

PLAN = "confirmation"  # study attribute of the sibling: `Plan`, fixed before the first run of it
CHOICE = "choice"  # study attribute of the sibling: winner and ties, fixed before any test
# Study attribute of the sibling: the same of earlier plans, in their order; besides, how many
# models were tested by then, and how many runs had begun (an earlier optsearch did not note that)
EARLIER, TESTED, BEGUN = "earlier", "tested", "begun"
# Of a run: the number of the search's trial, and which of the fresh seeds, from 0
CANDIDATE, SEED_INDEX = chains.CANDIDATE, chains.SEED_INDEX


@dataclass(frozen=True)
class Plan:
    """Who is confirmed, and how: fixed before the first run.

    `best` is the search's own best with its `score`; `trials` is how many had begun by then.
    `race` is False where a study enumerates: nothing is chosen there. `by` is what the study asks
    for: each of its values is among the candidates with its best. `epochs` is the most that the
    runs may take in all, where the study's budget tells. `baselines` are those of the study file
    that are among the candidates, by name. With `splits` each seed has a split of its own, which
    share their training images by `overlap` (`statistics.variance_of_mean`). `prefer` breaks ties.
    """

    candidates: list[int]
    best: int
    score: float
    seeds: int
    top: int
    trials: int
    race: bool = True
    by: str | None = None
    epochs: int | None = None
    baselines: Mapping[str, int] = field(default_factory=dict)
    splits: bool = False
    overlap: float = 0.0
    prefer: str = "score"

    def has(self, run: FrozenTrial) -> bool:
        """Whether a run was trained as this plan wants it: on a split of its own or not."""
        return self.splits == (chains.SPLIT in run.user_attrs)


def plan_of(confirming: optuna.Study) -> Plan | None:
    """What is being confirmed at present."""
    stored = confirming.user_attrs.get(PLAN)
    return None if stored is None else Plan(**stored)


def require_plan(confirming: optuna.Study) -> Plan:
    """The plan of a confirmation that has begun."""
    plan = plan_of(confirming)
    assert plan is not None
    return plan


class Chosen(NamedTuple):
    """The choice that is the answer: that of the present plan, or as long as this one has not come
    to its end that of the plan before it.

    `runs` is how many runs had begun when a later plan took over, None for all that there are;
    `before` are the notes of plans before this one, `pending` is the plan that is at work.
    """

    plan: Plan
    choice: Mapping[str, Any] | None
    runs: int | None = None
    before: Sequence[Mapping[str, Any]] = ()
    pending: Plan | None = None


def chosen(confirming: optuna.Study) -> Chosen | None:
    """What to read the answer by; None where nothing has been planned.

    A confirmed answer is one until another is: a later plan that came to no end, because its time
    was too short, has not shown anything yet.
    """
    now, attrs = plan_of(confirming), confirming.user_attrs
    if now is None:
        return None
    earlier = attrs.get(EARLIER, ())
    if attrs.get(CHOICE) or not earlier or earlier[-1]["winner"] is None:
        return Chosen(now, attrs.get(CHOICE), before=earlier)
    last = dict(earlier[-1])
    plan, begun = Plan(**last["plan"]), last.get(BEGUN)
    return Chosen(plan, last, begun, earlier[:-1], pending=now)


def ended(confirming: optuna.Study, plan: Plan) -> int:
    """How many runs of those that a plan wants have ended; those of earlier plans count."""
    runs = chains.last_links(confirming.get_trials(deepcopy=False))
    ours = [r for r in runs if r.user_attrs.get(CANDIDATE) in plan.candidates and plan.has(r)]
    return sum(r.state.is_finished() for r in ours)
