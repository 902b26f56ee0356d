"""What Python is told: arguments and calls, never options and commands."""

import ast
import errno
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.api import words
from search.errors import OutputError, StorageError, UsageError, WorkerDiedError

ROOT = Path(__file__).resolve().parents[3]
FACES = ("cli", "terminal", "dashboard", "doctor", "face", "api")
OF_COMMANDS = re.compile(r"--[a-z]|\bcommand\b|`optsearch ")


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("--trials 0: must be at least 1", "trials=0: must be at least 1"),
        ("--timeout -5: must be a time", "timeout=-5: must be a time"),
        (
            "--storage sqlite:///my file.db: no such file",
            "storage='sqlite:///my file.db': no such file",
        ),
        (
            "--workers-per-gpu 2: no CUDA; use --workers 2",
            "workers_per_gpu=2: no CUDA; use workers=2",
        ),
        (
            "raise --workers-per-gpu, or lower --workers",
            "raise `workers_per_gpu`, or lower `workers`",
        ),
        ("use --name for another name", "use `name` for another name"),
        ("`ray start --head`, or --cluster local", "`ray start --head`, or cluster='local'"),
        ("or use --no-confirm", "or use confirm=False"),
        ("--cluster: needs Ray", "`cluster`: needs Ray"),
        ("--set settings.x: must be", "overrides['settings.x']: must be"),
        (
            "nothing; --set budget.epochs=8 goes on",
            "nothing; overrides={'budget.epochs': 8} goes on",
        ),
        ("`optsearch run --study digits` starts it", "`run_study('digits')` starts it"),
        (
            "`optsearch run --study ./a.yaml --set seed=1 --trials 8 --name a` resumes",
            "`run_study('./a.yaml', overrides={'seed': 1}, trials=8, name='a')` resumes",
        ),
        ("--from old lets it know", "overrides={'from': 'old'} lets it know"),
        ("; the same command resumes", "; the same call resumes"),
        ("a 3-fold -- and a well-known one", "a 3-fold -- and a well-known one"),
    ],
)
def test_options_are_arguments(typed: str, called: str) -> None:
    assert words.python(typed) == called


def test_errors_keep_their_kind() -> None:
    """Those that word themselves, too."""
    with pytest.raises(UsageError, match=r"^trials=0: must be"), words.spoken():
        raise UsageError("--trials 0: must be at least 1")
    with pytest.raises(WorkerDiedError, match=r"SIGKILL.*the same call resumes"), words.spoken():
        raise WorkerDiedError("killed by SIGKILL")


def test_what_a_database_or_disk_does_in_mid_run_is_an_error_of_ours() -> None:
    """A bug is not."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(OutputError, match="a file cannot be written: No space left"),
        words.spoken(),
    ):
        raise full
    with pytest.raises(StorageError, match=r"failed: .*; see to it, the same call"), words.spoken():
        raise sqlite3.OperationalError("disk I/O error")
    with pytest.raises(KeyError), words.spoken():
        raise KeyError("a bug")


def messages() -> Iterator[str]:
    """Every text in the rooms below that speaks of an option or a command, but docstrings."""
    for file in sorted((ROOT / "search").rglob("*.py")):
        if file.parent.name in FACES:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        parts = {id(p) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for p in n.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                known = (v.value if isinstance(v, ast.Constant) else "VALUE" for v in node.values)
                text = "".join(map(str, known))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = "" if id(node) in docs | parts else node.value
            else:
                continue
            if OF_COMMANDS.search(text):
                yield text


def test_no_message_of_any_room_keeps_the_words_of_the_command() -> None:
    """A new one, too: whoever writes it need not think of Python."""
    found = list(messages())
    assert len(found) > 40
    told = [words.python(text).replace("`ray start --head`", "") for text in found]
    kept = [text for text in told if OF_COMMANDS.search(text)]
    one, key = "stopped by another command (`stop`)", "command"  # which is one; of `notify`
    assert sorted(kept) == sorted([one, key])
