"""search/cli/completion.py: what the shell offers, asked the way the shell asks."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from search.cli import completion
from search.database import storage
from search.record import study
from search.studyfile import reading

Write = Callable[[str, str], Path]
ASK = "import sys; sys.argv = ['optsearch']; from search.cli import main; main()"


def offered(line: str, **environment: str) -> list[str]:
    """What bash is told for a line that ends where the cursor is."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, **words, "_OPTSEARCH_COMPLETE": "complete_bash", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def made(database: str) -> str:
    """A database with two studies, `mine` and `other`."""
    for name in ("mine", "other"):
        study.open_study(reading.load("./mine.yaml", [], name).spec, database, {})
    return database


@pytest.mark.soak
def test_commands_and_options_are_completed(folder: Path) -> None:
    """By Typer."""
    assert offered("optsearch st") == ["stop"]
    assert offered("optsearch run --log ") == ["plain", "quiet", "json"]
    assert "--workers-per-gpu" in offered("optsearch run --w")


@pytest.mark.soak
def test_stored_studies_are_completed(made: str) -> None:
    """Those of --storage where it stands on the line, else of OPTSEARCH_STORAGE."""
    assert offered(f"optsearch show --storage {made} --study m") == ["mine"]
    for command in ("worker", "export", "stop", "enqueue", "retry", "delete"):
        assert offered(f"optsearch {command} --study ", OPTSEARCH_STORAGE=made) == ["mine", "other"]
    assert offered(f"optsearch copy --from {made} --study o") == ["other"]


@pytest.mark.soak
def test_a_storage_is_read_as_commands_read_it(made: str, folder: Path, postgresql: str) -> None:
    """White space around it, a ~ in it, and an option that only psycopg knows."""
    assert offered("optsearch show --study ", OPTSEARCH_STORAGE=f" {made}\n") == ["mine", "other"]
    at_home = {"HOME": str(folder), "OPTSEARCH_STORAGE": "sqlite:///~/a.db"}
    assert offered("optsearch show --study ", **at_home) == ["mine", "other"]
    study.open_study(reading.load("./mine.yaml", [], "pooled").spec, postgresql, {})
    joint = "&" if "?" in postgresql else "?"
    for options in ("prepare_threshold=0", "prepare_threshold=None&connect_timeout=9"):
        url = f"{postgresql}{joint}{options}"
        assert "pooled" in offered("optsearch show --study p", OPTSEARCH_STORAGE=url)


@pytest.mark.soak
def test_study_files_are_completed(write: Write) -> None:
    """Names that come along, and YAML files of one's own, through folders."""
    write("deep/theirs.yaml", "")
    write("deep/notes.txt", "")
    assert offered("optsearch run --study dig") == ["digits"]
    assert offered("optsearch run --study ./m") == ["./mine.yaml"]
    assert offered("optsearch validate deep/") == ["deep/theirs.yaml"]
    assert offered("optsearch validate de") == ["deep-cnn", "deep/"]
    assert "mine.yaml" in offered("optsearch run --study ")


def test_studies_on_a_server_are_completed(postgresql: str, folder: Path) -> None:
    """PostgreSQL, with the URL as it is given to --storage."""
    study.open_study(reading.load("./mine.yaml", [], "served").spec, postgresql, {})
    assert "served" in offered("optsearch show --study s", OPTSEARCH_STORAGE=postgresql)


@pytest.mark.soak
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///nosuch.db",
        "sqlite:///mine.yaml",
        "sqlite://",
        "postgresql://me:s3cr3t@127.0.0.1:1/db",
        "mysql://me@host/db",
        "nonsense",
    ],
)
def test_where_there_is_nothing_to_offer_nothing_is_said_or_made(folder: Path, url: str) -> None:
    """Somebody is typing: no error, no file."""
    before = sorted(folder.iterdir())
    assert offered("optsearch show --study ", OPTSEARCH_STORAGE=url) == []
    assert offered("optsearch run --study nosuch/folder/") == []
    assert sorted(folder.iterdir()) == before


def test_a_run_that_writes_is_no_hindrance(made: str, folder: Path) -> None:
    """Names are offered while another process holds the database for writing."""
    with sqlite3.connect(folder / "a.db", isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert offered("optsearch show --study m", OPTSEARCH_STORAGE=made) == ["mine"]


def test_the_usual_place_is_the_storages() -> None:
    """It is written down twice, as importing search.database.storage takes too long."""
    assert Path(completion.DEFAULT_FILE) == storage.DEFAULT_FILE


def test_completing_imports_nothing_slow(made: str) -> None:
    """No torch, no optuna, no SQLAlchemy."""
    code = (
        "import sys, search.cli.options; from search.cli import completion;"
        f"assert completion.files('d'); assert completion._stored_in({made!r});"
        "print([m for m in ('torch', 'optuna', 'sqlalchemy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
