"""What a study asks `by` is answered everywhere: terminal, report, JSON and best.yaml."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from rich.console import Console

from search import plots
from search.answers import compare, confirm, export, replay, report, sentences, verdicts
from search.cli import ranking
from tests.search import made

Cli = Callable[..., Any]
SGD, ADAM, ADAGRAD = (
    {"optimizer": name, "lr": 0.01, "batch_size": 32} for name in ("sgd", "adam", "adagrad")
)


@pytest.fixture
def study(database: str) -> optuna.Study:
    """Two optimizers that tie, and one far behind, confirmed."""
    opened, asked = made.opened(by="optimizer")
    made.search(opened, asked, [(SGD, 0.9), (ADAM, 0.91), (ADAGRAD, 0.5)])
    made.confirm_best(opened, asked, made.noisy({"sgd": 0.9, "adam": 0.9, "adagrad": 0.5}))
    return opened


def test_the_file_ranks_the_values_a_row_each(study: optuna.Study, tmp_path: Path) -> None:
    """Below each other, as a person reads a table; and `train` reads the file again."""
    _, asked = made.opened(by="optimizer")
    best = confirm.answer(study)
    assert best is not None
    text = export.document(study, asked, best, {})
    read = yaml.safe_load(text)
    assert [row["optimizer"] for row in read["ranking"]][-1] == "adagrad"
    assert [row["verdict"] for row in read["ranking"]] == ["best", "tied", "worse"]
    assert all(row["configurations"] == 1 and row["epochs"] == 4 for row in read["ranking"])
    assert text.count("\n- optimizer: ") == 3
    (tmp_path / "best.yaml").write_text(text)
    assert len(replay.load(tmp_path / "best.yaml").ranking) == 3


def test_the_report_opens_with_who_is_best(study: optuna.Study) -> None:
    """Before the configuration that was found."""
    head = sentences.answer(study)[0]
    assert "is best or tied with" in head
    assert report.html(study, plots.drawn(study)).index("is best or tied") < 6_000


def test_the_terminal_ranks_before_it_tells_of_trials(study: optuna.Study, cli: Cli) -> None:
    """Verdict, what each got, and the words."""
    shown = cli("show", "--study", "mine", "--storage", made.URL).out
    assert shown.index("verdict") < shown.index("val_accuracy")  # where a phone shows it
    assert shown.index("verdict") < shown.index("Confirmed with fresh seeds")
    assert "1 in 4 ep" in shown
    assert "adagrad is worse by 0.4" in shown


def test_a_long_metric_is_named_once_below_the_table(study: optuna.Study) -> None:
    """Broken over three lines nobody reads it; 80 columns hold the table."""
    found = compare.compare([study])
    with_long_name = dataclasses.replace(found, metric="val_balanced_accuracy")
    console = Console(width=80, file=io.StringIO())
    console.print(ranking.table(with_long_name))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].split()[:4] == ["optimizer", "verdict", "val", "seeds"]
    assert lines[-1].rstrip() == "val and test: balanced_accuracy"


def test_compare_tells_programs_as_much(study: optuna.Study, cli: Cli) -> None:
    """The rows with what each got, and the sentences beside them."""
    found = cli("compare", "--study", "mine", "--storage", made.URL, "--json").json
    assert found["by"] == "optimizer"
    assert {"configurations", "epochs_spent", "settled"} <= found["rows"][0].keys()
    assert any(line.startswith("tried: ") for line in found["sentences"])


def test_a_study_of_somebody_else_has_a_report(database: str) -> None:
    """It asks for nothing, as it has no study file."""
    plain = optuna.create_study(storage=made.URL)
    plain.optimize(lambda trial: trial.suggest_float("x", 0, 1), 3)
    assert sentences.answer(plain)[0].startswith("The best that was found")


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (
            "best tied tied worse",
            ["a ties with b and c: which is better these seeds cannot tell.", "Worse: d."],
        ),
        ("best worse", ["a is best.", "Worse: b."]),
        (
            "best,one seed,no score",
            ["a is best.", "Not confirmed: b and c; nothing may be concluded of what is not."],
        ),
    ],
)
def test_what_a_run_concludes_is_told_without_the_tables_numbers(
    told: str, lines: list[str]
) -> None:
    """In the words of each verdict."""
    found = told.split("," if "," in told else " ")
    rows = [verdicts.Row("", name, 1, verdict=v) for name, v in zip("abcd", found, strict=False)]
    assert verdicts.in_brief(rows) == lines
