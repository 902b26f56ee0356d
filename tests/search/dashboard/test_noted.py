"""A person's note on a trial stands where optuna-dashboard reads it."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna_dashboard import get_note, save_note

from tests.search import made

Cli = Callable[..., Any]
NOTE = ("note", "--storage", made.URL, "--trial", "0")


@pytest.fixture
def trial(database: str) -> optuna.trial.Trial:
    study, asked = made.opened()
    made.search(study, asked, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 16}, 0.9)])
    return optuna.trial.Trial(study, study.trials[0]._trial_id)


@pytest.mark.soak
def test_a_note_is_what_optuna_dashboard_shows(cli: Cli, trial: optuna.trial.Trial) -> None:
    """Below what was written there before, however long; it is printed, replaced and removed."""
    assert cli(*NOTE).out == "trial 0 has no note\n"
    save_note(trial, "a **spike**")
    long = "x" * 3000  # more than one attribute holds
    assert cli(*NOTE, long).out == "study 'mine': trial 0: noted, 3013 characters in all\n"
    assert get_note(trial) == f"a **spike**\n\n{long}"
    assert cli(*NOTE, "--study", "mine", "--replace", "new").code == 0
    assert cli(*NOTE).out == "new\n"
    assert cli(*NOTE, "", "--replace").out == "study 'mine': trial 0: its note is gone\n"
    assert get_note(trial) == ""


def test_a_trial_that_is_not_there_is_refused(cli: Cli, trial: optuna.trial.Trial) -> None:
    """With the numbers that there are."""
    told = cli("note", "--storage", made.URL, "--trial", "7", "text")
    assert told.code == 2
    assert "--trial 7: study 'mine' has no such trial; numbers go from 0 to 0" in told.err
