"""A function as an objective: found by its file, or taken to worker processes by value."""

import functools
import importlib
import re
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search import objective as objectives
from search import provenance
from search.api import function
from search.errors import ObjectiveError

Import = Callable[[str, str], Any]
Write = Callable[[str, str], Path]
CELL = """
    import math
    WIDTH = 2

    def helper(x):
        return WIDTH * x if x in {"a", "b", 1} else -x

    def objective(trial):
        return helper(trial) + math.floor(0.5)
"""


@pytest.fixture
def imported(write: Write, monkeypatch: pytest.MonkeyPatch) -> Import:
    """Write a file, and import it as a script beside it would."""
    known = set(sys.modules)

    def import_file(name: str, text: str) -> Any:
        root = write(name, text).parents[name.count("/")]
        monkeypatch.syspath_prepend(str(root))
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return importlib.import_module(dotted)

    yield import_file
    for name in set(sys.modules) - known:
        del sys.modules[name]


def cell(text: str = CELL) -> Any:
    """What a notebook's cell defines: `objective`, of a main module without a file."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(text), names)
    return names["objective"]


def code_of(given: Callable[..., Any], folder: Path) -> str:
    found = function.of(given, folder)
    return provenance.code_fingerprint(found.objective, found.folder)


@pytest.mark.parametrize(
    ("file", "reference", "name"),
    [
        ("own.py", "./own.py:objective", "own"),
        ("nets/small.py", "nets.small:objective", "small"),
        ("nets/deep/__init__.py", "nets.deep:objective", "deep"),
        ("nets/__init__.py", "nets:objective", "nets"),
    ],
)
def test_a_function_of_a_file_is_imported_from_there(
    imported: Import, folder: Path, file: str, reference: str, name: str
) -> None:
    """As a study file names it: with its companions, and the code's fingerprint."""
    module = imported(file, "def objective(trial): return 1.0\ndef evaluate(workdir): return 0.5\n")
    found = function.of(module.objective, folder / "kept")
    assert found == (reference, str(folder), name)
    assert not (folder / "kept").exists()
    loaded = objectives.load(found.objective, found.folder)
    assert objectives.companion(loaded, "evaluate") is not None
    assert provenance.code_fingerprint(found.objective, found.folder).startswith("sha256:")


class Objective:
    """As Optuna's documents pass data to an objective."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __call__(self, trial: int) -> int:
        return trial + self.offset


def _closure(offset: int) -> Callable[[int], int]:
    def objective(trial: int) -> int:
        return trial + offset

    return objective


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (_closure(1), "objective"),
        (lambda trial: trial + 1, "lambda"),
        (functools.partial(_closure(1)), "objective"),
        (Objective(1), "Objective"),
        (cell(), "objective"),
    ],
)
def test_any_other_function_is_taken_along_by_value(
    given: Callable[..., int], name: str, folder: Path
) -> None:
    """With what it refers to; called after itself."""
    found = function.of(given, folder / "kept")
    assert found == (f"./{name}.pickle:{name}", str(folder / "kept"), name)
    loaded = objectives.load(found.objective, found.folder)
    assert loaded is not given
    assert loaded(1) == 2
    assert objectives.companion(loaded, "evaluate") is None


def test_modules_of_the_session_are_found_by_a_worker(
    imported: Import, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in the current folder of a notebook, too, which no worker looks into by itself."""
    imported("beside.py", "VALUE = 7\n")
    found = function.of(cell("import beside\ndef objective(trial): return beside.VALUE"), folder)
    del sys.modules["beside"]
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(folder)])
    assert objectives.load(found.objective, found.folder)(None) == 7


def test_what_cannot_be_taken_along_is_told_in_one_line(folder: Path) -> None:
    """A lock, an open file or a connection lives in one process."""
    lock = threading.Lock()
    with pytest.raises(ObjectiveError) as told:
        function.of(lambda trial: lock.locked(), folder / "kept")
    assert re.fullmatch(r"objective: lambda cannot be taken to worker .*", str(told.value))
    assert "lock" in str(told.value)
    assert "make that inside the function" in str(told.value)
    assert not (folder / "kept").exists()


def test_the_fingerprint_is_of_the_code_alone(folder: Path) -> None:
    """The same after the cell was run again; another where a function that it calls has changed."""
    codes = [code_of(cell(), folder), code_of(cell(), folder)]
    changed = code_of(cell(CELL.replace("WIDTH * x", "WIDTH + x")), folder)
    assert codes[0] == codes[1] != changed
    assert re.fullmatch("sha256:[0-9a-f]{16}", changed)


def test_a_function_that_is_gone_is_told(folder: Path) -> None:
    """Where somebody has emptied the folder of temporary files."""
    with pytest.raises(ObjectiveError, match=r"gone\.pickle: cannot be read .* call it once more"):
        objectives.load("./gone.pickle:gone", str(folder))


def test_a_script_without_a_guard_is_told_by_its_first_worker(write: Write, folder: Path) -> None:
    """One line, before anything is trained, in place of searches in searches."""
    write(
        "bare.py",
        """
        from search import run_study
        def objective(trial):
            return 1.0
        run_study(objective, trials=2)
        """,
    )
    with pytest.raises(ObjectiveError) as told:
        objectives.load("./bare.py:objective", str(folder))
    assert str(told.value) == (
        "./bare.py: calls run_study whenever it is imported, and every worker process imports it; "
        'put the call beneath `if __name__ == "__main__":`'
    )
    assert objectives.importing() is None
