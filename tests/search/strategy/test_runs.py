"""search/strategy/runs.py: a study's trials as a strategy sees them."""

import math

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.record import chains
from search.record.budget import Limits
from search.strategy.runs import Reader
from search.strategy.steps import Run

LIMITS = Limits(epochs=100, longest=9, steps=True, retries=2)
PAUSE = {chains.PAUSED: {"epochs": 2, "at": "then"}, chains.UNTIL: 2}


def trial(number: int, state: TrialState, curve: list[float], **attrs: object) -> FrozenTrial:
    value = 0.5 if state == TrialState.COMPLETE else None
    made = optuna.trial.create_trial(
        state=state,
        value=value,
        params={"x": 0.5},
        distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
        intermediate_values=dict(enumerate(curve)),
        user_attrs=attrs,
        system_attrs={chains.FIXED: {"x": 0.25, "y": 1}},
    )
    made.number = made._trial_id = number
    return made


def runs(*trials: FrozenTrial, pauses: bool = True, asking: int | None = None) -> list[Run]:
    return Reader(StudyDirection.MAXIMIZE, LIMITS, pauses).runs(trials, asking)


@pytest.mark.parametrize(
    ("state", "attrs", "seen"),
    [
        (TrialState.WAITING, {}, "queued"),
        (TrialState.WAITING, PAUSE, "paused"),
        (TrialState.WAITING, {chains.CHAIN: 0}, "running"),
        (TrialState.RUNNING, {chains.UNTIL: 3}, "running"),
        (TrialState.COMPLETE, {}, "complete"),
        (TrialState.PRUNED, {"reason": "hopeless"}, "ended"),
        (TrialState.FAIL, {"reason": "exception"}, "ended"),
        (TrialState.FAIL, {"reason": "preempted"}, "running"),
        (TrialState.FAIL, {"reason": "crashed"}, "running"),
        # taken again while it was read: reports and attributes are newer than its state
        (TrialState.WAITING, {**PAUSE, chains.PAUSED: {"epochs": 1, "at": "then"}}, "running"),
        (TrialState.WAITING, {chains.UNTIL: 3}, "running"),
    ],
)
def test_a_chain_is_a_run_in_the_state_of_its_last_link(
    state: TrialState, attrs: dict[str, object], seen: str
) -> None:
    """What is to go on by itself runs."""
    (run,) = runs(trial(0, state, [0.1, 0.2], **attrs))
    assert (run.number, run.state, list(run.scores)) == (0, seen, [0.1, 0.2])
    assert run.params == {"x": 0.5, "y": 1}


def test_a_running_trial_may_run_until_its_grant_or_to_its_end() -> None:
    """One that was begun under another strategy has none."""
    granted, free = runs(
        trial(0, TrialState.RUNNING, [], **{chains.UNTIL: 3}), trial(1, TrialState.RUNNING, [])
    )
    assert (granted.until, free.until) == (3, 9)


def test_links_of_a_chain_are_one_run_with_the_farthest_curve() -> None:
    """A retry that begins anew repeats what is known."""
    first = trial(0, TrialState.FAIL, [0.1, 0.2, 0.3], reason="crashed", epochs_planned=8)
    again = trial(1, TrialState.RUNNING, [0.1], **{chains.CHAIN: 0, chains.UNTIL: 5})
    (run,) = runs(first, again)
    assert (run.number, run.until, run.planned) == (0, 5, 8)
    assert list(run.scores) == [0.1, 0.2, 0.3]


def test_scores_are_better_where_they_are_more() -> None:
    """Whatever the direction; an epoch of those planned that was not reported is nan."""
    made = trial(0, TrialState.RUNNING, [0.1], epochs_planned=3)
    made.intermediate_values[2] = 0.3
    (run,) = Reader(StudyDirection.MINIMIZE, LIMITS).runs([made])
    assert run.scores[0] == -0.1
    assert math.isnan(run.scores[1])


def test_who_asks_is_paused_to_the_strategy() -> None:
    """And where the objective cannot resume, nobody else is."""
    running = trial(0, TrialState.RUNNING, [0.1], **{chains.UNTIL: 1})
    left = trial(1, TrialState.WAITING, [0.1, 0.2], **PAUSE)
    assert [r.state for r in runs(running, left, asking=0)] == ["paused", "paused"]
    assert [r.state for r in runs(running, left, asking=0, pauses=False)] == ["paused", "ended"]
