"""Rules of `import optsearch` and of the command's entry point, in a checkout and in a wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import optsearch
import pytest

import search

ROOT = Path(__file__).parents[2]
START = [sys.executable, "-c", "from optsearch import main; main()"]  # as the installed script does


def run(command: list[str], cwd: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """In a folder of its own, with these folders before all that is installed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_its_names_are_those_of_search() -> None:
    """The very same objects."""
    assert optsearch.__all__ == sorted([*search.__all__, "__version__"])
    assert all(getattr(optsearch, name) is getattr(search, name) for name in optsearch.__all__)
    with pytest.raises(AttributeError, match="module 'optsearch' has no attribute 'run_studies'"):
        _ = optsearch.run_studies  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["search", "objectives", "studies"])
@pytest.mark.parametrize("file", ["{}/__init__.py", "{}.py", "{}/other.txt"])
def test_another_projects_module_of_one_of_our_names_is_refused(
    tmp_path: Path, name: str, file: str
) -> None:
    """In one line, that says where it is and what to do. A folder without __init__ is no match for
    the real one, which then is found."""
    other = tmp_path / "site" / file.format(name)
    other.parent.mkdir(parents=True)
    other.write_text("")
    done = run([*START, "--version"], tmp_path, tmp_path / "site", ROOT, ROOT / "search" / "face")
    if other.suffix == ".txt":
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode == 1
    assert done.stderr.startswith(f"optsearch: the module `{name}` is another project's (")
    assert str(tmp_path / "site" / name) in done.stderr
    assert "`uv tool install`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_library_raises_where_the_command_ends(tmp_path: Path) -> None:
    """An ImportError, not the end of the user's program."""
    (tmp_path / "search.py").write_text("")
    code = "try:\n    from optsearch import run_study\nexcept ImportError as e: print(e)"
    done = run([sys.executable, "-c", code], tmp_path, tmp_path, ROOT, ROOT / "search" / "face")
    assert done.stdout.startswith("the module `search` is another project's")


@pytest.mark.soak
def test_a_wheel_holds_all_that_a_run_needs(tmp_path: Path) -> None:
    """Built, laid out, and run in an empty folder: studies, report and starter are inside."""
    build = [sys.executable, "-m", "uv", "build", "--wheel", "-q", "-o", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(site)
    empty.mkdir()
    where = "import search; print(search.__file__)"
    assert run([sys.executable, "-P", "-c", where], empty, site).stdout.startswith(str(site))
    small = ["--set", "budget.trials=2", "--set", "settings.epochs=1", "--set", "confirm=false"]
    small += ["--set", "by=none"]
    done = run([*START, "run", "digits", *small, "--log", "plain"], empty, site)
    assert done.returncode == 0, done.stderr
    assert (empty / "best.yaml").is_file()
    assert run([*START, "report", "digits"], empty, site).returncode == 0
    assert run([*START, "init", "--objective", "./mine.py:objective"], empty, site).returncode == 0
