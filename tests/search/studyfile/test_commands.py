"""commands.py and next_step.py: every command that is printed can be pasted back."""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.cli.app import COMMANDS
from search.database import storage
from search.record import next_step
from search.studyfile import commands

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "search").rglob("*.py"))
ALONE = ("knobs", "list", "dashboard", "schema")  # run as they stand, without any name
EXAMPLES = ("search/cli/app.py",)  # of the help; tests/test_documents.py looks at them
COMMAND = re.compile(rf"optsearch ({'|'.join(COMMANDS.keys() - set(ALONE))})\b")
ODD = ("my study", "it's 50% #1?", "-x", "--help", "$HOME", "a&b;c", '"', "ü", "a`b", "!x", "~")


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Every text of a file but docstrings, with its line."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    alone = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_command_is_written_but_by_the_one_function(file: Path) -> None:
    """It knows names, storages and quoting; a text that is written by hand forgets one of them."""
    name = str(file.relative_to(ROOT))
    if name in EXAMPLES:
        return
    assert [(name, line, text) for line, text in texts(file) if COMMAND.search(text)] == []
    if name not in ("search/studyfile/commands.py", "search/objective.py"):
        assert "import shlex" not in file.read_text(encoding="utf-8")


def test_a_command_that_is_written_by_hand_is_found(tmp_path: Path) -> None:
    """A net with holes catches nothing."""
    file = tmp_path / "a.py"
    file.write_text(
        "def f(n):\n    '''optsearch run'''\n    return f'`optsearch show --study {n}`'\n"
    )
    assert [line for line, text in texts(file) if COMMAND.search(text)] == [3]


@given(st.sampled_from(["study", "storage"]), st.text(st.characters(exclude_characters="\0")))
def test_a_shell_reads_back_what_was_meant(name: str, value: str) -> None:
    """In one word, which no command takes for another option."""
    program, command, *words = shlex.split(commands.line("show", **{name: value}))
    assert (program, command) == ("optsearch", "show")
    assert words in ([f"--{name}", value], [f"--{name}={value}"])
    assert len(words) == 1 or not value.startswith("-")


def test_bash_reads_it_so(tmp_path: Path) -> None:
    """Not only Python's idea of a shell."""
    script = "optsearch() { printf '%s\\n' \"$@\"; }\n"
    script += "\n".join(commands.line("train", commands.file(odd), study=odd) for odd in ODD)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    wanted = []
    for odd in ODD:
        study = [f"--study={odd}"] if odd.startswith("-") else ["--study", odd]
        wanted += ["train", *study, f"./{odd}" if odd.startswith("-") else odd]
    assert done.stdout.splitlines() == wanted


def test_the_next_step_names_study_file_changes_and_storage(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage only where a command would not find the study without it; no password."""
    study = optuna.create_study(study_name="my study", storage=storage.open_storage(database))
    assert next_step.of(study, "show") == f"optsearch show --study 'my study' --storage {database}"
    asked = next_step.asked("/a b/-x.yaml", "my study", ["settings.epochs=5", "-x=1"])
    study.set_user_attr(next_step.ASKED, asked)
    monkeypatch.setenv("OPTSEARCH_STORAGE", f" {database}\n")
    assert shlex.split(next_step.run_on(study, trials=5)) == [
        *("optsearch", "run", "--study", "/a b/-x.yaml", "--name", "my study"),
        *("--set", "settings.epochs=5", "--set=-x=1", "--trials", "5"),
    ]


def test_a_question_from_python_is_asked_again_by_a_call() -> None:
    """The dots are what was given before: a function has no word in a shell."""
    more = {"storage": "sqlite:///a.db", "trials": 8, "name": None}
    assert commands.call("run_study", **more) == (
        "run_study(..., storage='sqlite:///a.db', trials=8)"
    )
    assert commands.call("run_study", set="budget.epochs=4") == (
        "run_study(..., overrides={'budget.epochs': 4})"
    )
