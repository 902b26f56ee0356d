"""search/objective.py: the door between search/ and whatever is searched."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search import objective
from search.errors import ObjectiveError

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def clean_imports(folder: Path) -> Iterator[None]:
    """What a test imports out of its folder is forgotten after it."""
    path = [*sys.path]
    yield
    sys.path[:] = path
    for name, module in [*sys.modules.items()]:
        if str(folder) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def test_a_file_is_loaded_with_the_modules_beside_it(write: Write, folder: Path) -> None:
    """As under `python mine.py`, from whatever folder the command runs in."""
    write("deep/helper_of_mine.py", "ANSWER = 42\n")
    write("deep/own.py", "import helper_of_mine\ndef f(trial): return helper_of_mine.ANSWER\n")
    assert objective.load("./own.py:f", str(folder / "deep"))(None) == 42


def test_a_package_beside_the_study_file_is_loaded(write: Write, folder: Path) -> None:
    """`package.module:function`."""
    write("parcel/__init__.py", "")
    write("parcel/inner.py", "def f(trial): return 1.0\n")
    assert objective.load("parcel.inner:f", str(folder))(None) == 1.0


def test_a_file_is_run_once_in_a_process(write: Write, folder: Path) -> None:
    """It is asked four times (check, prepare, work, resolve), and may read its data on import."""
    write("once.py", "print('imported', file=open('log', 'a'))\ndef f(trial): return 1.0\n")
    assert objective.load("./once.py:f", str(folder)) is objective.load("./once.py:f", str(folder))
    assert (folder / "log").read_text() == "imported\n"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mine.py", "objective: must be MODULE:FUNCTION, as in ./mine.py:objective, got 'mine.py'"),
        ("./no.py:f", "objective: no such file: ./no.py (looked in "),
        ("no_such_module:f", "objective: cannot import no_such_module: No module named"),
        ("./mine.py:nope", "objective: ./mine.py has no function 'nope'"),
        ("./mine.py:__name__", "objective: ./mine.py has no function '__name__'"),
    ],
)
def test_an_objective_that_cannot_be_loaded_is_told(
    reference: str, message: str, folder: Path
) -> None:
    """The rule, and what was found instead."""
    with pytest.raises(ObjectiveError) as caught:
        objective.load(reference, str(folder))
    assert str(caught.value).startswith(message)


def test_companions_are_found_in_the_objectives_module(write: Write, folder: Path) -> None:
    """And None is the answer where there is none."""
    write("with_check.py", "def check(settings, space): return []\ndef f(trial): return 1.0\n")
    loaded = objective.load("./with_check.py:f", str(folder))
    check = objective.companion(loaded, "check")
    assert check is not None
    assert check({}, {}) == []
    assert objective.companion(loaded, "prepare") is None


def test_an_objective_is_given_what_it_declares() -> None:
    """By name: `**settings` alone is no request for a seed."""
    offered = {"seed": 1, "device": "cpu"}
    assert objective.accepted(lambda trial, seed: 0, offered) == {"seed": 1}
    assert objective.accepted(lambda trial, **settings: 0, offered) == {}


def test_settings_must_fit_the_objectives_signature() -> None:
    """Unknown, missing, or given by optsearch itself: each is told before anything is made."""

    def f(trial: object, width: int, depth: int = 1, *, seed: int = 0) -> float:
        return 0.0

    def free(trial: object, seed: int, **settings: object) -> float:
        return 0.0

    check = objective.check_arguments
    assert check(f, {"width": 1}) == []
    assert check(f, {"width": 1, "depht": 2}) == [
        "the objective takes no setting 'depht'; it takes: width, depth, seed"
    ]
    assert check(f, {}) == ["the objective needs a setting 'width'; add it"]
    assert check(f, {"width": 1, "seed": 3}) == [
        "'seed' is not a setting: optsearch gives it (`seed:`, --device); remove it"
    ]
    assert check(free, {"anything": 1}) == []
    assert len(check(free, {"seed": 1})) == 1
    assert check(lambda trial: 0.0, {"x": 1}) == [
        "the objective takes no setting 'x'; it takes: none"
    ]
