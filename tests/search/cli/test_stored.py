"""What is stored, read back: show, list, export, validate, delete."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.search.cli.places import DATABASE, RUN, stored, studies_in

Write = Callable[[str, str], Path]
Cli = Callable[..., Any]


def test_show_prints_one_object_as_json(finished: Cli) -> None:
    """At least study, direction, budget, trials by state, and best."""
    read = finished("show", "--study", "mine", "--json").json
    assert (read["study"], read["direction"]) == ("mine", "maximize")
    assert read["budget"]["trials"] == 4
    states = {"complete", "pruned", "failed", "retried", "running", "paused", "waiting", "known"}
    assert read["trials"].keys() == states
    assert sum(read["trials"].values()) == 4
    assert read["best"].keys() >= {"number", "value", "params"}
    assert len(read["rows"]) == 4


def test_show_prints_rows_as_csv(finished: Cli) -> None:
    """A row per trial, or per epoch with --history; headings that a program can rely on."""
    rows = list(csv.DictReader(io.StringIO(finished("show", "--study", "mine", "--csv").out)))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    epochs = finished("show", "--study", "mine", "--history", "--csv").out
    assert len(list(csv.DictReader(io.StringIO(epochs)))) == sum(int(r["epochs"]) for r in rows)


def test_show_prints_the_table_of_the_run_again(finished: Cli) -> None:
    """And the epochs as a table with --history."""
    assert "Where is the top of the parabola?" in finished("show", "--study", "mine").out
    assert "epoch" in finished("show", "--study", "mine", "--history").out


@pytest.mark.soak
def test_json_stays_json_whatever_an_objective_reports(cli: Cli, write: Write) -> None:
    """NaN and infinity become null: no strict reader takes them. Infinity is no answer."""
    write("mine.py", "def objective(t):\n    t.report(float('nan'), 0)\n    return float('inf')\n")
    assert cli(*RUN, "--trials", 1).code == 1

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for options in ((), ("--history",)):
        out = cli("show", "--study", "mine", "--json", *options).out
        read = json.loads(out, parse_constant=refuse)
    assert read["best"] is None
    assert (read["trials"]["pruned"], stored().trials[0].user_attrs["reason"]) == (1, "diverged")


def test_list_names_stored_studies_and_those_that_come_along(finished: Cli) -> None:
    """With trials, best and question."""
    out = finished("list").out
    for words in ("mine", "Where is the top", "digits", "cifar", "mnist"):
        assert words in out


def test_list_works_before_anything_was_run_and_makes_nothing(cli: Cli) -> None:
    """The first command of a new user."""
    answer = cli("list")
    assert answer.code == 0
    assert "nothing yet" in answer.out
    assert "digits" in answer.out
    assert not DATABASE.parent.exists()


@pytest.mark.soak
def test_export_writes_the_best_first(finished: Cli) -> None:
    """best.yaml, best.2.yaml, best.3.yaml, in the order of the scores."""
    assert finished("export", "--study", "mine", "--out", "e/best.yaml", "--top", 3).code == 0
    complete = [t for t in stored().trials if t.state.name == "COMPLETE"]
    ranked = sorted(complete, key=lambda t: -(t.value or 0))[:3]
    names = ["best.yaml", "best.2.yaml", "best.3.yaml"][: len(ranked)]
    for trial, name in zip(ranked, names, strict=True):
        assert yaml.safe_load((Path("e") / name).read_text())["trial"] == trial.number


@pytest.mark.soak
def test_no_output_ever_holds_the_password(
    cli: Cli, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run, list, show, export, errors: it stays in the URL."""
    url = postgresql.replace("postgres:@", "postgres:s3cr3t@")
    monkeypatch.setenv("OPTSEARCH_STORAGE", url)
    printed = [
        cli(*RUN, "--name", "hushed"),
        cli("list"),
        cli("show", "--study", "hushed", "--json"),
        cli("show", "--study", "nosuch"),
        cli("export", "--study", "hushed"),
        cli("delete", "--study", "hushed", "--yes"),
        cli("list", "--storage", "postgresql://me:s3cr3t@127.0.0.1:1/db"),
        cli("list", "--storage", "postgresql://me:s3cr3t@127.0.0.1:port/db"),
    ]
    assert [p.code for p in printed] == [0, 0, 0, 6, 0, 0, 5, 5]
    text = "".join(p.out + p.err for p in printed) + Path("best.yaml").read_text()
    assert "s3cr3t" not in text


def test_validate_says_that_a_file_is_valid_and_how_to_run_it(cli: Cli) -> None:
    """Asking the objective, and making nothing."""
    answer = cli("validate", "./mine.yaml")
    assert (answer.code, answer.out) == (
        0,
        "not confirmed: ./mine.py:objective declares no parameter `seed`\n"
        "./mine.yaml: valid; optsearch run --study ./mine.yaml\n",
    )
    assert not DATABASE.parent.exists()


@pytest.mark.soak
def test_delete_asks_for_the_name(finished: Cli, command: Callable[..., Any]) -> None:
    """A wrong one deletes nothing; the right one deletes the study."""
    for typed, code, left in (("mnie\n", 2, ["mine"]), ("mine\n", 0, [])):
        answer = command("delete", "--study", "mine", stdin=subprocess.PIPE).end(typed)
        assert answer.code == code, answer.err
        assert "has 4 trials" in answer.err
        assert studies_in(DATABASE) == left


@pytest.mark.soak
def test_names_are_not_read_as_markup(cli: Cli, write: Write) -> None:
    """A study called [/x] is listed like any other."""
    assert cli(*RUN, "--name", "[/x]").code == 0
    assert "[/x]" in cli("list").out
