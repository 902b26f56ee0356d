"""`optsearch enqueue` and search/record/queueing.py: checked and queued."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.errors import UsageError
from search.record import queueing, study
from search.studyfile import reading

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"
AT = ("--study", "mine", "--storage", URL)
STUDY = """
    objective: ./mine.py:objective
    space:
      x: {float: [-10.0, 10.0]}
      optimizer: {choice: [sgd, adam]}
      momentum: {float: [0.0, 0.99], when: {optimizer: [sgd]}}
    budget: {trials: 3}
"""


def open_mine() -> optuna.Study:
    return study.open_study(reading.load("./mine.yaml").spec, URL, {})[0]


@pytest.fixture
def made(database: str, write: Write) -> optuna.Study:
    write("mine.yaml", STUDY)
    return open_mine()


@pytest.mark.soak
def test_the_next_free_slot_takes_it(cli: Cli, made: optuna.Study) -> None:
    """With its parameters, its name, and the type that the space gives them."""
    asked = cli("enqueue", *AT, "--params", "x=2,optimizer=sgd,momentum=5e-1", "--name", "guess")
    assert (asked.code, asked.err) == (0, "")
    assert "queued; the next free slot takes it" in asked.out
    assert cli("run", "--study", "./mine.yaml", "--storage", URL, "--workers", 1).code == 0
    first = made.trials[0]
    assert first.params == {"x": 2.0, "optimizer": "sgd", "momentum": 0.5}
    assert (first.user_attrs["configuration"], first.value) == ("guess", 0.0)
    assert len(made.trials) == 3  # it is one of the budget's


def test_parameters_may_come_in_parts(cli: Cli, made: optuna.Study) -> None:
    """--params is repeatable."""
    asked = cli("enqueue", *AT, "--params", "x=1e-3", "--params", "optimizer=adam")
    assert asked.code == 0
    assert made.trials[0].system_attrs["fixed_params"] == {"x": 0.001, "optimizer": "adam"}


@pytest.mark.parametrize(
    ("text", "params"),
    [
        (["lr=1e-3,optimizer=sgd"], {"lr": 0.001, "optimizer": "sgd"}),
        (["a=true, b=null,c='x,y',d=1"], {"a": True, "b": None, "c": "x,y", "d": 1}),
        (["sizes=[1, 2],lr=2"], {"sizes": [1, 2], "lr": 2}),
        (["a=b=c"], {"a": "b=c"}),
    ],
)
def test_values_are_yaml(text: list[str], params: dict[str, Any]) -> None:
    """A comma belongs to a value unless another NAME= follows it."""
    assert queueing.parse(text) == params


@pytest.mark.parametrize("text", ["lr", "=1", "lr=1,lr=2"])
def test_what_is_no_parameter_is_refused(text: str) -> None:
    """With the rule."""
    with pytest.raises(UsageError, match=r"must be NAME=VALUE|given twice"):
        queueing.parse([text])


def test_every_problem_is_told_on_a_line_of_its_own(cli: Cli, made: optuna.Study) -> None:
    """Unknown, missing, inactive, outside: exit code 2, and nothing is queued."""
    wrong = cli("enqueue", *AT, "--params", "x=11,optimizer=adam,lr=1,momentum=0.5")
    assert wrong.code == 2
    lines = wrong.err.splitlines()
    for words in (
        "'x' must lie in [-10.0, 10.0], got 11",
        "'lr' is not in the space; one of: x, optimizer, momentum",
        "'momentum' is not active here: its `when` is {'optimizer': ['sgd']}; remove it",
    ):
        assert [line for line in lines if words in line]
    assert len(lines) == 3
    missing = cli("enqueue", *AT, "--params", "x=1,optimizer=sgd")
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert "the active parameter 'momentum' is missing; add it" in missing.err
    assert made.trials == []


def test_a_name_is_given_once(cli: Cli, made: optuna.Study) -> None:
    """It tells a configuration from others, a baseline's too."""
    one = ("enqueue", *AT, "--params", "x=1,optimizer=adam", "--name", "a")
    assert cli(*one).code == 0
    again = cli(*one)
    assert (again.code, len(made.trials)) == (2, 1)
    assert "--name a: trial 0 has that name; choose another one" in again.err


@pytest.mark.soak
def test_a_budget_that_is_used_up_is_told_with_what_goes_on(cli: Cli, made: optuna.Study) -> None:
    """It waits; the command named trains it."""
    run = ("run", "--study", "./mine.yaml", "--storage", URL, "--workers", 1)
    assert cli(*run).code == 0
    for number in (4, 5):
        asked = cli("enqueue", *AT, "--params", f"x=0.{number},optimizer=adam")
        assert asked.code == 0
        assert "beyond the budget of 3 trials; `optsearch run --study /" in asked.out
        assert f"/mine.yaml --storage sqlite:///a.db --trials {number}` goes on" in asked.out
    assert "the budget of 3 trials is used up" in cli(*run).err  # and it waits for nothing
    assert cli(*run, "--trials", 5).code == 0
    assert [t.params["x"] for t in made.trials[3:]] == [0.4, 0.5]


def test_a_study_of_configurations_tries_no_others(cli: Cli, database: str, write: Write) -> None:
    """With what to do in place of it."""
    listed = "configurations: [{name: a, params: {x: 1}}]\n"
    write("mine.yaml", f"objective: ./mine.py:objective\n{listed}")
    made = open_mine()
    refused = cli("enqueue", *AT, "--params", "x=2")
    assert (refused.code, len(made.trials)) == (2, 1)
    assert "tries exactly its listed configurations (a); add yours to the list" in refused.err


@pytest.mark.soak
def test_without_a_space_the_trials_tell_what_can_be_queued(
    cli: Cli, database: str, write: Write
) -> None:
    """The objective draws by itself: before its first trial nothing can be checked, and that is
    said; afterwards names and ranges are."""
    write("mine.py", "def objective(trial): return trial.suggest_float('x', 0, 1)\n")
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 2}\n")
    made = open_mine()
    first = cli("enqueue", *AT, "--params", "x=0.25")
    assert (first.code, first.err) == (0, "")
    assert "names that it never draws are lost" in first.out
    assert cli("run", "--study", "./mine.yaml", "--storage", URL, "--workers", 1).code == 0
    assert made.trials[0].params == {"x": 0.25}
    wrong = cli("enqueue", *AT, "--params", "x=2,y=1")
    assert wrong.code == 2
    assert "'x' must be of FloatDistribution(high=1.0" in wrong.err
    assert "'y' was drawn by no trial; one of: x" in wrong.err
    asked = cli("enqueue", *AT, "--params", "x=0.75")
    assert (asked.code, "lost" in asked.out) == (0, False)


def test_the_example_of_the_help_lies_in_its_study() -> None:
    """`optsearch enqueue --study digits ...` can be typed as it stands."""
    from search.cli.app import COMMANDS
    from search.studyfile import space

    example = next(e for e in COMMANDS["enqueue"][1] if "--study digits" in e)
    params = queueing.parse([example.partition("--params ")[2]])
    assert list(space.params_problems(reading.load("digits").spec.space, params)) == []
