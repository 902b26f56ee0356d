"""steps.py: why trials paused, went on or were ended."""

from collections.abc import Callable
from typing import Any

import pytest

from search.answers import report, steps
from search.record import budget, pauses
from search.record.budget import Grant, Limits
from tests.search import made

Cli = Callable[..., Any]
LIMITS = Limits(epochs=40, longest=9, steps=True)
STEPWISE = {
    "strategy": {"name": "freeze_thaw"},
    "settings": {"epochs": 9},
    "budget": {"epochs": 40},
}


def test_each_decision_is_told_the_best_first(database: str, cli: Cli) -> None:
    """Paused, granted and ended, in the strategy's words; in `show` and in the report."""
    study, _ = made.opened(**STEPWISE)
    for score in (0.5, 0.75):
        taken = budget.take(study, LIMITS, Grant(None, {}, 3, "new"), study.trials)
        assert taken is not None
        study._storage.set_trial_intermediate_value(taken, 2, score)
        pauses.pause(study, taken, 3, "4 % chance to beat 0.712", 1.0)
    assert budget.take(study, LIMITS, Grant(study.trials[1], {}, 9, "best"), study.trials)
    first, second = steps.rows(study)
    assert (first["trial"], first["why"]) == ("1", "granted to epoch 9: best")
    assert (second["is"], second["why"]) == (
        "paused",
        "paused at epoch 3: 4 % chance to beat 0.712",
    )
    shown = cli("show", "--study", "mine", "--storage", made.URL)
    assert "paused at epoch 3: 4 % chance to beat 0.712" in shown.out
    assert "4 % chance" in cli("show", "--study", "mine", "--storage", made.URL, "--csv").out
    assert "Why trials paused or went on" in report.html(study, {})
    assert pauses.end(study, study.trials[0])
    assert steps.rows(study)[1]["why"].endswith("ended there, as nothing more was worth training")


@pytest.mark.soak
def test_what_a_strategy_does_not_use_is_not_shown(database: str) -> None:
    """No sampler and pruner beside a strategy that does their work, and no steps without one."""
    study, asked = made.opened(**STEPWISE)
    told = report._setup(study, {})
    assert "freeze_thaw" in told
    assert "sampler" not in told
    assert "pruner" not in told
    study, asked = made.opened("plain", sampler="random")
    made.search(study, asked, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 16}, 0.5)])
    assert "sampler" in report._setup(study, {})
    assert steps.rows(study) == []
