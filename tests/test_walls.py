"""The rooms of the house and the walls between them (README, "The map")."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SEARCH = sorted((ROOT / "search").rglob("*.py"))
OBJECTIVES = sorted((ROOT / "objectives").rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(file: Path) -> Iterator[str]:
    """Names of the top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name_of(file)}: a relative import"
            yield node.module.partition(".")[0]


def calls(file: Path) -> set[str]:
    """Names of the functions that a file calls by their bare name."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def test_the_rooms_are_where_they_are_looked_for() -> None:
    """A wall around an empty room keeps nothing out."""
    assert len(SEARCH) > 20
    assert len(OBJECTIVES) > 5


@pytest.mark.parametrize("file", SEARCH, ids=name_of)
def test_search_knows_no_networks(file: Path) -> None:
    """It searches any objective: it never imports torch, torchvision, or ours."""
    assert {*imports(file)}.isdisjoint({"torch", "torchvision", "objectives"})


@pytest.mark.parametrize("file", OBJECTIVES, ids=name_of)
def test_objectives_know_no_search(file: Path) -> None:
    """They are plain PyTorch, usable without any of it."""
    assert "search" not in imports(file)


@pytest.mark.parametrize("file", OBJECTIVES, ids=name_of)
def test_only_the_objective_touches_optuna(file: Path) -> None:
    """One file in that room knows what a trial is."""
    assert "optuna" not in imports(file) or file.name == "cnn.py"


@pytest.mark.parametrize("file", [*SEARCH, *OBJECTIVES], ids=name_of)
def test_only_the_command_line_prints_and_exits(file: Path) -> None:
    """search/cli/ and search/record/progress.py; everything else returns or raises."""
    if file.parent.name == "cli" or file.name == "progress.py":
        return
    assert calls(file).isdisjoint({"print", "exit", "quit", "input"})
    text = file.read_text(encoding="utf-8")
    assert "sys.exit" not in text
    assert {"typer", "rich"}.isdisjoint(imports(file))


def test_importing_the_command_line_loads_nothing_slow() -> None:
    """`optsearch --help` answers at once: no torch, no optuna, no pydantic, no database."""
    slow = ("torch", "torchvision", "optuna", "pydantic", "sqlalchemy", "numpy", "matplotlib")
    code = f"import sys, search.cli.app; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_reading_a_study_file_loads_no_torch() -> None:
    """The command line never imports an objective, nor what objectives are made of."""
    code = (
        "import sys; from search.studyfile import reading; from search.record import study;"
        "from search.workers import pool; from search.answers import export, report;"
        "reading.load('digits'); print([m for m in ('torch', 'objectives') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
