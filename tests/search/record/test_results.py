"""search/record/results.py and search/answers/figures.py: what a study is read back as."""

import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.answers import figures
from search.record import chains, results


@pytest.fixture
def study() -> optuna.Study:
    """One of each: complete with a history, pruned, failed, retried, infeasible, waiting."""
    study = optuna.create_study(study_name="s", direction="maximize")
    endings = [
        ("plateau", 0.5, TrialState.COMPLETE),
        ("hopeless", None, TrialState.PRUNED),
        ("exception", None, TrialState.FAIL),
        ("preempted", None, TrialState.FAIL),
        ("all_epochs", 0.9, TrialState.COMPLETE),
        ("all_epochs", 0.9, TrialState.COMPLETE),
        ("infeasible", 1.5, TrialState.COMPLETE),
    ]
    for reason, value, state in endings:
        trial = study.ask()
        trial.suggest_categorical("optimizer", ["sgd", "adam"])
        trial.set_user_attr("reason", reason)
        for step in range(3):
            trial.report(step / 10, step)
        if reason == "plateau":
            trial.suggest_float("momentum", 0, 1)
            columns = {name: [0.1, 0.2, 0.3] for name in results.HISTORY_COLUMNS}
            trial.set_user_attr("history", columns)
            trial.set_user_attr("best_epoch", 1)
        if reason == "infeasible":
            trial.set_constraint("memory", 1.0)
        study.tell(trial, value, state)
    study.enqueue_trial(study.trials[3].params, user_attrs={chains.CHAIN: 3})
    return study


def test_trials_are_counted_by_how_they_stand(study: optuna.Study) -> None:
    """A row that a retry has replaced is retried, not failed."""
    assert results.counts(study.trials) == {
        "complete": 4,
        "pruned": 1,
        "failed": 1,
        "retried": 1,
        "running": 0,
        "paused": 0,
        "waiting": 1,
        "known": 0,
    }


def test_the_best_come_first_and_of_two_equals_the_earlier(study: optuna.Study) -> None:
    """Complete ones only, and none that broke a constraint, whatever its score."""
    assert [t.number for t in results.ranking(study)] == [4, 5, 0]
    lowest = optuna.create_study(direction="minimize")
    for value in (3.0, 1.0, 2.0):
        lowest.tell(lowest.ask(), value)
    assert [t.number for t in results.ranking(lowest)] == [1, 2, 0]


def test_a_trial_with_no_history_has_the_curve_of_its_reports(study: optuna.Study) -> None:
    """An objective from a tutorial keeps none; one that never reports has no curve at all."""
    assert results.history(study.trials[4]) == {"value": [0.0, 0.1, 0.2]}
    assert results.history(study.trials[0]).keys() == {*results.HISTORY_COLUMNS}
    study.tell(study.ask({}), 1.0)
    assert results.history(study.trials[-1]) == {}


def test_the_summary_holds_what_the_readme_promises(study: optuna.Study) -> None:
    """Name, direction, metric, budget, counts, epochs, and the best with its parameters."""
    whole = results.summary(study, 40)
    assert (whole["study"], whole["direction"], whole["metric"]) == ("s", "maximize", "value")
    assert whole["budget"] == {"trials": 40, "started": 7}
    assert whole["trials"] == results.counts(study.trials)
    assert whole["best"]["number"] == 4
    assert whole["best"]["value"] == 0.9
    assert whole["best"]["params"].keys() == {"optimizer"}
    assert results.summary(optuna.create_study(), None)["best"] is None


def test_csv_has_a_column_for_every_parameter_of_any_trial(study: optuna.Study) -> None:
    """A row per trial; what a trial does not have is empty."""
    rows = list(csv.DictReader(io.StringIO(results.as_csv(results.rows(study)))))
    assert [row["number"] for row in rows] == [str(t.number) for t in study.trials]
    assert float(rows[0]["params.momentum"]) == study.trials[0].params["momentum"]
    assert rows[1]["params.momentum"] == ""
    assert [row["state"] for row in rows[2:4]] == ["failed", "retried"]


def test_epochs_are_a_row_each(study: optuna.Study) -> None:
    """`number`, `epoch` from zero, and the columns of the history."""
    rows = results.epoch_rows(study)
    assert rows[1] == {"number": 0, "epoch": 1} | dict.fromkeys(results.HISTORY_COLUMNS, 0.2)
    assert rows[-1] == {"number": 6, "epoch": 2, "value": 0.2}
    assert results.as_csv([]).strip() == ""


def test_the_best_row_of_the_csv_reads_back_exactly(study: optuna.Study) -> None:
    """No digit of a float is lost on the way."""
    study.tell(study.ask(), 1 / 3)
    rows = list(csv.DictReader(io.StringIO(results.as_csv(results.rows(study)))))
    assert float(rows[-1]["value"]) == 1 / 3


@pytest.mark.parametrize("number", [0, 4])
def test_a_learning_curve_is_an_svg_with_its_trial_in_the_title(
    study: optuna.Study, number: int, tmp_path: Path
) -> None:
    """Two panels (accuracy and loss) with a history, one of the reported values without."""
    picture = figures.learning_curve(study.trials[number])
    root = ET.fromstring(picture)
    assert root.tag.endswith("svg")
    axes = [e for e in root.iter() if e.get("id", "").startswith("axes_")]
    assert len(axes) == (2 if number == 0 else 1)
    assert f"Trial {number}, score".encode() in picture


def test_a_trial_without_reports_has_an_empty_curve() -> None:
    """Nobody asks for it, but a hand-written address must not end in an error."""
    study = optuna.create_study()
    study.tell(study.ask(), 1.0)
    assert ET.fromstring(figures.learning_curve(study.trials[0])).tag.endswith("svg")


def test_null_is_another_thing_than_a_parameter_that_is_not_there() -> None:
    """An empty cell is that one; the text null stands in quotes."""
    rows = [{"params": {"a": value}} for value in (None, "null", "", "x", 1)] + [{"params": {}}]
    cells = [row["params.a"] for row in csv.DictReader(io.StringIO(results.as_csv(rows)))]
    assert cells == ["null", '"null"', '""', "x", "1", ""]
