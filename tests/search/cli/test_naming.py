"""naming.py: a study's name as an argument, by its option, or not at all where there is one."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.main import get_command

from search.cli.app import COMMANDS, NEVER_GUESSED, app
from search.record import study
from search.studyfile import reading

Cli = Callable[..., Any]


@pytest.fixture
def stored(database: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a study in the usual storage."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", database)

    def make(name: str) -> None:
        study.open_study(reading.load("./mine.yaml", [], name).spec, database, {})

    return make


@pytest.mark.soak
def test_the_only_study_needs_no_name(cli: Cli, stored: Callable[[str], None]) -> None:
    """One more, and those that there are are named; the option stays."""
    stored("one")
    assert cli("show").code == 0
    stored("two")
    several = cli("show")
    assert (several.code, several.err.count("\n")) == (2, 1)
    assert several.err.endswith("name one of one, two\n")
    for typed in (("two",), ("--study", "two"), ("two", "--study", "two")):
        assert cli("show", *typed).code == 0


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        (("show", "one", "--study", "two"), 2, "'one' and --study two: are two studies"),
        (("show", "three"), 6, "--study three: not in"),
        (("delete", "--yes"), 2, "no study is named; give a study in the storage"),
        (("run",), 2, "no study is named; give a study file"),
        (("compare", "one", "two"), 2, "no trial is complete yet"),
    ],
)
def test_what_is_named_wrongly_is_told_in_one_line(
    cli: Cli, stored: Callable[[str], None], typed: tuple[str, ...], code: int, told: str
) -> None:
    """What deletes, or makes, guesses nothing."""
    stored("one")
    if typed[0] == "compare":
        stored("two")
    answer = cli(*typed)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert told in answer.err


def test_an_empty_storage_says_what_starts_a_study(cli: Cli, stored: Callable[[str], None]) -> None:
    """There is nothing to guess."""
    answer = cli("show")
    assert (answer.code, "no study in" in answer.err, "`run` starts one" in answer.err) == (6, 1, 1)


OF_NO_STUDY = ("init", "list", "dashboard", "schema", "doctor", "predict", "convert", "data")


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in OF_NO_STUDY])
def test_every_command_on_a_study_takes_its_name_so(name: str) -> None:
    """A new command does, too."""
    group: Any = get_command(app)
    arguments = [p for p in group.commands[name].params if p.param_type_name == "argument"]
    assert len(arguments) == 1
    assert set(NEVER_GUESSED) < COMMANDS.keys()
