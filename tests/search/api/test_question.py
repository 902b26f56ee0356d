"""A question from Python: same keys, same checks, and errors that name the key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna import distributions

from search import run_study
from search.api import question
from search.errors import ObjectiveError, OptsearchError, SpecError, UsageError
from search.studyfile import reading
from search.studyfile.spec import StudySpec

MINE = "./mine.py:objective"


@pytest.fixture(autouse=True)
def ready(folder: Path, fork_server: None) -> None:
    """A folder with an objective."""


def spec(study: Any, **keys: Any) -> StudySpec:
    return reading.load(question.given(study, keys, Path("work"))).spec


def test_a_dict_says_what_a_study_file_says(write: Callable[[str, str], Path]) -> None:
    """Every key by its name; values keep their types, NumPy's become Python's."""
    write(
        "dict.yaml",
        """
        objective: ./mine.py:objective
        settings: {epochs: 3, path: data/x, phases: [1, 2.5]}
        space: {lr: {float: [1.0e-4, 1.0], log: true}, n: {choice: [1, a, null]}}
        sampler: {name: tpe, n_startup_trials: 5}
        budget: {trials: 4, trial_timeout: 30m}
        confirm: false
        """,
    )
    given = {
        "objective": MINE,
        "name": "dict",
        "settings": {"epochs": np.int64(3), "path": Path("data/x"), "phases": np.array([1, 2.5])},
        "space": {
            "lr": {"float": (np.float64(1e-4), 1.0), "log": np.True_},
            "n": {"choice": (1, "a", None)},
        },
        "sampler": {"name": "tpe", "n_startup_trials": 5},
        "budget": {"trials": 4, "trial_timeout": "30m"},
        "confirm": False,
    }
    assert spec(given) == reading.load("./dict.yaml").spec


def test_a_space_of_optunas_distributions_is_one_of_ours() -> None:
    """As other tools on Optuna take it."""
    made = {
        "lr": distributions.FloatDistribution(1e-4, 1, log=True),
        "drop": distributions.FloatDistribution(0, 0.5, step=0.1),
        "width": distributions.IntDistribution(8, 64),
        "depth": distributions.IntDistribution(2, 8, step=2),
        "opt": distributions.CategoricalDistribution(["sgd", None]),
    }
    assert spec({"objective": MINE, "space": made}) == spec(
        MINE_STUDY
        | {
            "space": {
                "lr": {"float": [1e-4, 1.0], "log": True},
                "drop": {"float": [0, 0.5], "step": 0.1},
                "width": {"int": [8, 64]},
                "depth": {"int": [2, 8], "step": 2},
                "opt": {"choice": ["sgd", None]},
            }
        }
    )


MINE_STUDY = {"objective": MINE}


def test_a_study_is_called_as_its_module_or_function() -> None:
    """Unless it has a name."""
    assert spec(MINE_STUDY).name == "mine"
    assert spec({"objective": "objectives.cnn:objective"}).name == "cnn"
    assert spec(lambda trial: 1.0).name == "lambda"
    assert spec({**MINE_STUDY, "name": "other"}).name == "other"


@pytest.mark.parametrize(
    ("study", "told"),
    [
        (
            {"objective": MINE, "space": {"lr": {"float": [1.0, 0.1]}}},
            "study['space']['lr']['float']: low < high must hold, got [1.0, 0.1]; swap them",
        ),
        ({"objective": MINE, "spaces": {}}, "study['spaces']: unknown key; did you mean 'space'?"),
        ({"space": {}}, "study['objective']: this key is missing; add it"),
        (
            {"objective": MINE, "budget": {"trials": 0}},
            "study['budget']['trials']: input should be greater than 0, got 0",
        ),
        (
            {"objective": MINE, "settings": {"net": [object]}},
            "study['settings']['net'][0]: must be a text, a number, True, False, None, or a list "
            f"or dict of these, got {object!r}; give it a name, or make it inside the objective",
        ),
        (
            {"objective": MINE, "settings": {"rate": 1}, "budget": {"trials": 1}},
            "study['settings']: the objective takes no setting 'rate'; it takes: epochs",
        ),
        (
            {"objective": MINE},
            "study 'mine' has no limit: pass trials=20 or timeout='2h'",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_key(study: dict[str, Any], told: str) -> None:
    """The checks are those of a study file, those by the objective too; the words are Python's."""
    with pytest.raises(OptsearchError) as raised:
        run_study(study)
    assert str(raised.value) == told


def test_among_arguments_the_key_is_the_argument() -> None:
    """All problems at once, as ever."""
    space = {"lr": {"float": [1, 0]}, "n": {"integer": [1, 2]}}
    with pytest.raises(SpecError) as raised:
        run_study(lambda trial: 1.0, space=space, direction="up")
    lines = str(raised.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "direction",
        "space['n']",
        "space['lr']['float']",
    ]
    with pytest.raises(SpecError, match=r"^overrides\['settings.epochs'\]: must be a text"):
        run_study("./mine.yaml", overrides={"settings.epochs": object()})
    with pytest.raises(SpecError, match=r"^overrides\['budget.trials'\]: input should be greater"):
        run_study("./mine.yaml", overrides={"budget.trials": 0})


def test_what_is_no_study_is_refused() -> None:
    """With what would be one."""
    with pytest.raises(UsageError, match=r"^study: must be a name, a path, a dict or a function, "):
        run_study(42)  # type: ignore[arg-type]
    with pytest.raises(ObjectiveError, match=r"module:function|MODULE:FUNCTION|no module"):
        run_study({"objective": "nosuch", "budget": {"trials": 1}})
