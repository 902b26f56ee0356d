"""search/answers/effort.py: what each value was given, and whether its tuning had come to rest."""

import math

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.answers import effort
from search.answers.effort import Effort


def trials(*curves: list[float]) -> list[FrozenTrial]:
    """Pruned trials with these reports, numbered as they come."""
    made = []
    for number, curve in enumerate(curves):
        reports = dict(enumerate(curve))
        one = create_trial(state=TrialState.PRUNED, intermediate_values=reports)
        one.number = number
        made.append(one)
    return made


def test_configurations_and_epochs_are_counted() -> None:
    """An epoch is a report; one that reported nothing took none."""
    assert effort.spent(trials([0.1, 0.2], [0.3], []), 1)[:2] == (3, 3)


def test_settled_is_what_the_last_third_of_the_epochs_gained() -> None:
    """Of the best score so far, in the order in which configurations began."""
    same = trials([0.5, 0.5], [0.9, 0.9], [0.7, 0.7])
    assert effort.spent(same, 1).settled == 0.0
    late = trials([0.5, 0.5], [0.6, 0.6], [0.9, 0.9])
    assert effort.spent(late, 1).settled == pytest.approx(0.3)


def test_lower_is_better_where_the_study_minimizes() -> None:
    """The gain is positive all the same."""
    late = trials([0.5, 0.5], [0.4, 0.4], [0.1, 0.1])
    assert effort.spent(late, -1).settled == pytest.approx(0.3)


@pytest.mark.parametrize("curves", [[[0.5]], [[], []], [[math.nan], [math.nan]]])
def test_where_nothing_tells_nothing_is_said(curves: list[list[float]]) -> None:
    """One configuration, none that reported, or none with a number."""
    assert effort.spent(trials(*curves), 1).settled is None


def test_a_complete_trial_has_shown_its_value() -> None:
    """Not its best report: patience may have chosen another epoch."""
    whole = optuna.trial.create_trial(value=0.7, intermediate_values={0: 0.9, 1: 0.7})
    assert effort.shown(whole, 1) == 0.7
    assert effort.shown(trials([0.9, 0.7])[0], 1) == 0.9


def test_the_words_name_who_may_gain_by_more() -> None:
    """Held against the noise of a seed; a gain below it is rest."""
    given = {"adam": Effort(5, 60, 0.0004), "sgd": Effort(3, 30, 0.02), "lion": Effort(1, 9, None)}
    said = effort.words(given, 0.002)
    assert said[0] == (
        "tried: adam 5 configurations, 60 epochs; sgd 3 configurations, 30 epochs; "
        "lion 1 configuration, 9 epochs"
    )
    assert said[1] == (
        "tuning had not come to rest for sgd (the last third of its epochs gained 0.0200)"
    )
    assert said[2] == "too few configurations tell whether lion could gain by more"
    rest = effort.words({"adam": Effort(5, 60, 0.0004), "sgd": Effort(3, 30, 0.0)}, 0.002)
    assert "had come to rest" in rest[-1]
    assert effort.words({"adam": Effort(5, 60, 0.0)}, None) == []
