"""What an objective knows to be good is tried first (workers/portfolio.py, record/queueing.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import ObjectiveError
from search.record import study
from search.studyfile import reading
from search.workers import requests

Write = Callable[[str, str], Path]
OBJECTIVE = """
    def objective(trial, epochs=9):
        return trial.params["x"]

    def portfolio(settings, space):
        assert space == {"x": {"float": [0.0, 1.0]}}
        return ENTRIES
"""
GOOD = [
    {"name": "one", "params": {"x": 0.5}, "source": "a paper"},
    {"name": "two", "params": {"x": 0.75}, "source": "another"},
]
BASELINES = "baselines=[{name: one, params: {x: 0.25}}, {name: half, params: {x: 0.75}}]"
STUDY = "objective: ./mine.py:objective\nspace: {x: {float: [0.0, 1.0]}}\nbudget: {trials: 4}\n"


def queued(write: Write, *overrides: str, entries: object = GOOD) -> list[tuple[str, float]]:
    """What is tried first: names and values."""
    write("mine.py", OBJECTIVE.replace("ENTRIES", repr(entries)))
    write("mine.yaml", STUDY)
    spec = reading.load("./mine.yaml", ["settings={epochs: 9}", *overrides]).spec
    prepared = requests.prepare(spec, "auto")
    for _ in range(2):  # resumed, nothing is queued twice
        made, _ = study.open_study(spec, "sqlite:///a.db", prepared)
    fixed = [t.system_attrs["fixed_params"]["x"] for t in made.trials]
    return [(t.user_attrs["configuration"], x) for t, x in zip(made.trials, fixed, strict=True)]


@pytest.fixture(autouse=True)
def fresh(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty database, and `mine.py` read anew."""
    from search import objective

    objective._import.cache_clear()


def test_baselines_come_first_then_the_portfolio(write: Write) -> None:
    """Under names of their own; what is a baseline already is not tried twice."""
    found = queued(write, "strategy=freeze_thaw", BASELINES)
    assert found == [("one", 0.25), ("half", 0.75), ("one-portfolio", 0.5)]


def test_each_says_where_it_is_from(write: Write) -> None:
    """In an attribute that a dashboard shows."""
    queued(write, "strategy=freeze_thaw")
    made = study.load_study("mine", "sqlite:///a.db")
    assert [t.user_attrs["source"] for t in made.trials] == ["a paper", "another"]


@pytest.mark.parametrize(
    "override", ["portfolio=null", "portfolio=false", "{strategy: freeze_thaw, portfolio: false}"]
)
def test_a_portfolio_is_not_asked_for_where_it_is_not_wanted(write: Write, override: str) -> None:
    """The objective's word is not needed then, and not checked."""
    overrides = [override]
    if override.startswith("{"):
        overrides = ["strategy=freeze_thaw", "portfolio=false"]
    assert queued(write, *overrides, entries=7) == []


def test_under_optuna_a_file_may_want_it(write: Write) -> None:
    """`portfolio: true`."""
    assert queued(write, "portfolio=true") == [("one", 0.5), ("two", 0.75)]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"name": "a", "params": {"x": 2.0}}], "portfolio: a: 'x' must lie in"),
        ([{"name": "a", "params": {}}], "portfolio: a: the active parameter 'x' is missing"),
        ([{"params": {"x": 0.5}}], "every entry needs a name of its own, got None"),
        ([*GOOD, *GOOD], "every entry needs a name of its own, got 'one'"),
    ],
)
def test_an_entry_must_be_a_point_of_the_space(write: Write, entries: object, message: str) -> None:
    """Whoever wrote the objective is told in one line."""
    with pytest.raises(ObjectiveError) as error:
        queued(write, "portfolio=true", entries=entries)
    assert message in str(error.value)
