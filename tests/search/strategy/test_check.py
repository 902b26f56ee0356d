"""The strategy of a study file: names, options, arms, and what does not go together with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import SpecError
from search.record import floors, study
from search.strategy import check
from search.studyfile import reading
from search.studyfile.spec import StudySpec

Write = Callable[[str, str], Path]
BASE = "objective: m:f\nsettings: {epochs: 10}\n"
SPACE = "space:\n  lr: {float: [0, 1]}\n  optimizer: {choice: [sgd, adam, lion]}\n"
FREEZE = "strategy: freeze_thaw\n"

BAD = {
    # what is wrong: (text below BASE, line and message)
    "unknown strategy": (
        SPACE + "strategy: freeze_thraw\n",
        "bad.yaml:6 strategy: unknown strategy 'freeze_thraw'; did you mean 'freeze_thaw'?",
    ),
    "unknown option": (
        SPACE + "strategy: {name: freeze_thaw, most: 3}\n",
        "bad.yaml:6 strategy: strategy 'freeze_thaw' has no option 'most'; options: max_paused",
    ),
    "option of the wrong type": (
        SPACE + "strategy: {name: freeze_thaw, max_paused: many}\n",
        "strategy 'freeze_thaw': option 'max_paused' must be int, got 'many'",
    ),
    "option out of range": (
        SPACE + "strategy: {name: freeze_thaw, max_paused: 0}\n",
        "strategy 'freeze_thaw': max_paused >= 1 must hold, got 0",
    ),
    "an option of optuna": (
        SPACE + "strategy: {name: optuna, max_paused: 3}\n",
        "strategy 'optuna' has no option 'max_paused'; options: none",
    ),
    "sampler beside it": (
        SPACE + FREEZE + "sampler: tpe\n",
        "bad.yaml:7 sampler: `sampler` and `strategy: freeze_thaw`, which does its work, exclude",
    ),
    "pruner beside it": (SPACE + FREEZE + "pruner: none\n", "bad.yaml:7 pruner: `pruner` and"),
    "configurations beside it": (
        "configurations: [{name: a, params: {lr: 0.5}}]\n" + FREEZE,
        "bad.yaml:4 strategy: `configurations` and `strategy: freeze_thaw` exclude each other",
    ),
    "no space": (FREEZE, "bad.yaml:3 strategy: 'freeze_thaw' needs a `space` to draw from"),
    "by: unknown": (
        SPACE + "by: optimiser\n",
        "bad.yaml:6 by: must be a choice parameter of the space, or none, got 'optimiser'; "
        "one of: optimizer",
    ),
    "by: a range": (SPACE + "by: lr\n", "got 'lr'; one of: optimizer"),
    "by: nothing to choose": (
        "space: {lr: {float: [0, 1]}}\nby: lr\n",
        "space has no choices: leave `by` out; what an objective draws is compared without it",
    ),
    "portfolio: a word": (SPACE + "portfolio: mine\n", "bad.yaml:6 portfolio: input should be a"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_with_its_line(name: str, write: Write) -> None:
    """Before anything runs."""
    text, message = BAD[name]
    write("bad.yaml", BASE + text)
    with pytest.raises(SpecError) as error:
        reading.load("./bad.yaml", checks=[check.problems])
    assert message in str(error.value)


def read(write: Write, text: str) -> StudySpec:
    write("good.yaml", BASE + text)
    return reading.load("./good.yaml", checks=[check.problems]).spec


def test_a_file_says_by_what_its_question_is_answered(write: Write) -> None:
    """`none`, like nothing at all, makes all one arm."""
    by = read(write, SPACE + "by: optimizer\n")
    assert (by.arms_of, by.arms) == ("optimizer", 3)
    for text in (SPACE + "by: none\n", SPACE):
        assert (read(write, text).arms_of, read(write, text).arms) == (None, 1)


def test_a_portfolio_is_taken_where_it_is_wanted(write: Write) -> None:
    """By a strategy that steps unless the file says no, by the others where it says yes."""
    assert read(write, SPACE + FREEZE).takes_portfolio
    assert not read(write, SPACE + FREEZE + "portfolio: false\n").takes_portfolio
    assert not read(write, SPACE).takes_portfolio
    assert read(write, SPACE + "portfolio: true\n").takes_portfolio


def test_a_sampler_or_a_pruner_means_optuna_whatever_the_default(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do configurations, and studies of before, whose stored specs name both."""
    monkeypatch.setattr("search.studyfile.spec.DEFAULT_STRATEGY", "freeze_thaw")
    assert read(write, SPACE).strategy.name == "freeze_thaw"
    for text in ("sampler: tpe\n", "pruner: none\n"):
        assert read(write, SPACE + text).strategy.name == "optuna"
    assert read(write, "").strategy.name == "optuna"
    stored = read(write, SPACE + "pruner: none\n").model_dump(mode="json", by_alias=True)
    del stored["strategy"], stored["by"], stored["portfolio"]
    assert StudySpec.model_validate(stored, strict=False).strategy.name == "optuna"


# What the budget must pay for


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "by: optimizer\nbudget: {epochs: 29}\n",
            "each of 3 values is trained to its end at least once, 3 x 10 = 30 epochs, got 29",
        ),
        ("budget: {epochs: 9}\n", "must be at least one trial's 10 epochs, got 9"),
    ],
)
def test_a_floor_that_the_budget_cannot_pay_is_refused(
    write: Write, text: str, message: str
) -> None:
    """With the arithmetic, and what can be done."""
    with pytest.raises(SpecError) as error:
        floors.limits(read(write, SPACE + FREEZE + text), None)
    assert message in str(error.value)


def test_a_file_with_fewer_trials_than_values_is_refused_a_command_is_told(write: Write) -> None:
    """`--trials 2` is a short look, after which the question is still open."""
    with pytest.raises(SpecError) as error:
        read(write, SPACE + FREEZE + "by: optimizer\nbudget: {trials: 2}\n")
    assert str(error.value).endswith(
        "budget.trials: by optimizer each of 3 values needs at least one trial, got 2; raise it, "
        "or use `by: none`"
    )
    short = read(write, SPACE + FREEZE + "by: optimizer\n").with_budget(2, None)
    assert floors.limits(short, None).trials == 2
    assert floors.short(short).startswith("2 trials are fewer than the 3 values of optimizer")
    assert floors.short(short.with_budget(3, None)) == ""


def test_a_strategy_of_steps_must_know_the_epochs(write: Write) -> None:
    """From the settings or from `prepare`."""
    asked = read(write, SPACE + FREEZE).with_settings({"epochs": None})
    with pytest.raises(SpecError, match="strategy freeze_thaw: how many epochs a trial can take"):
        floors.limits(asked, None)
    assert floors.limits(asked, 12).longest == 12


@pytest.mark.soak
def test_strategy_arms_and_portfolio_may_change_on_resume(write: Write, database: str) -> None:
    """They are no part of the question."""
    write("m.py", "def f(trial): return 1.0\n")
    for text in (FREEZE, FREEZE + "by: optimizer\nportfolio: false\n", "sampler: random\n"):
        made, _ = study.open_study(read(write, SPACE + text), database, {})
    assert made.user_attrs["spec"]["strategy"] == {"name": "optuna"}
