"""The rooms of the house and the walls between them (docs/design.md)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SEARCH = sorted((ROOT / "search").rglob("*.py"))
OBJECTIVES = sorted((ROOT / "objectives").rglob("*.py"))
# From the roof to the ground. A room imports from those below it alone; two on one floor are apart.
FLOORS = (
    ("face",),
    ("cli", "api"),
    ("notebook",),
    ("terminal",),
    ("service", "doctor"),
    ("dashboard", "news"),
    ("plots",),
    ("answers",),
    ("workers",),
    ("strategy",),
    ("record",),
    ("database",),
    ("studyfile",),
    ("objective", "provenance"),
    ("imports",),
    ("errors",),
)
LOOSE = {"__init__", "errors", "imports", "objective", "provenance"}  # files in no room
LONGEST_FILE, LONGEST_FUNCTION = 300, 50  # lines


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports, anywhere in it: late ones too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name_of(file)}:{node.lineno} a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def packages(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.partition(".")[0] for _, name in imports(file)}


def room_of(module: str) -> str:
    """`search.cli.run` is in `cli`; a loose file is a room of its own."""
    return module.split(".")[1] if "." in module else ""


def floor_of(room: str) -> int:
    """Counted from the roof."""
    return next(i for i, floor in enumerate(FLOORS) if room in floor)


def looks_up(file: Path) -> list[str]:
    """`file:line imports what`, for each import of a room above, or beside on the same floor."""
    own = room_of(name_of(file).removesuffix(".py").replace("/", "."))
    found = []
    for line, module in imports(file):
        room = room_of(module)
        if module.partition(".")[0] != "search" or room == own or own in ("__init__", "face"):
            continue
        if floor_of(room) <= floor_of(own):
            found.append(f"{name_of(file)}:{line} {own} imports {module}")
    return found


def calls(file: Path) -> set[str]:
    """Names of the functions that a file calls by their bare name."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Name and length of every function, in lines from its `def`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{name_of(file)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_the_rooms_are_those_of_the_plan() -> None:
    """Each has a floor, and what lies in no room is counted on one hand."""
    rooms = {room_of(name_of(f).removesuffix(".py").replace("/", ".")) for f in SEARCH}
    assert rooms - {"__init__"} == {room for floor in FLOORS for room in floor}
    assert {f.stem for f in (ROOT / "search").glob("*.py")} == LOOSE
    assert len(OBJECTIVES) > 5


@pytest.mark.parametrize("file", SEARCH, ids=name_of)
def test_imports_run_downward_only(file: Path) -> None:
    """Room by room, wherever in a file the import stands."""
    assert looks_up(file) == []


def test_an_import_that_looks_up_is_told_with_its_line(tmp_path: Path) -> None:
    """A wall that nothing can hit keeps nothing out."""
    up = ROOT / "search" / "record" / "never_written.py"
    try:
        up.write_text("import math\n\ndef late():\n    from search.cli import run\n")
        found = looks_up(up)
    finally:
        up.unlink()
    assert found == ["search/record/never_written.py:4 record imports search.cli.run"]


@pytest.mark.parametrize("file", SEARCH, ids=name_of)
def test_search_knows_no_networks(file: Path) -> None:
    """It searches any objective: it never imports torch, torchvision, or ours."""
    assert packages(file).isdisjoint({"torch", "torchvision", "objectives"})


@pytest.mark.parametrize("file", OBJECTIVES, ids=name_of)
def test_objectives_know_no_search(file: Path) -> None:
    """They are plain PyTorch, usable without any of it."""
    assert "search" not in packages(file)


@pytest.mark.parametrize("file", OBJECTIVES, ids=name_of)
def test_only_the_objective_touches_optuna(file: Path) -> None:
    """One file in that room knows what a trial is."""
    assert "optuna" not in packages(file) or file.name == "cnn.py"


@pytest.mark.parametrize("file", [*SEARCH, *OBJECTIVES], ids=name_of)
def test_only_the_faces_print_and_exit(file: Path) -> None:
    """search/cli/ and search/terminal/; everything else returns, raises, or tells a listener."""
    if file.parent.name in ("cli", "terminal"):
        return
    assert calls(file).isdisjoint({"print", "exit", "quit", "input"})
    text = file.read_text(encoding="utf-8")
    assert "sys.exit" not in text
    assert "sys.argv" not in text
    assert {"typer", "rich"}.isdisjoint(packages(file))


@pytest.mark.parametrize("file", [*SEARCH, *OBJECTIVES], ids=name_of)
def test_files_and_functions_can_be_read_at_once(file: Path) -> None:
    """No file of more than 300 lines, no function of more than 50."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    assert [where for where, lines in functions(file) if lines > LONGEST_FUNCTION] == []


def test_importing_the_command_line_loads_nothing_slow() -> None:
    """`optsearch --help` answers at once: no torch, no optuna, no pydantic, no database."""
    slow = ("torch", "torchvision", "optuna", "pydantic", "sqlalchemy", "numpy", "matplotlib")
    code = f"import sys, search.cli.app; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_reading_a_study_file_loads_no_torch() -> None:
    """The command line never imports an objective, nor what objectives are made of; nor, before it
    is needed, what costs a command the better part of a second."""
    slow = ("torch", "objectives", "scipy.stats", "sklearn", "pandas", "matplotlib")
    code = (
        "import sys; from search.service import prepare, run; from search.answers import report;"
        f"prepare.read('digits'); print([m for m in {slow} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
