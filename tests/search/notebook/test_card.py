"""The card of an answer: what the command prints at the end of a run, in a notebook."""

import re
from html import unescape
from pathlib import Path

import optuna

from search import Answer, Study
from search.notebook import card
from search.record import results


def words(text: str) -> str:
    body = text.partition("</style>")[2]
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", body).split()))


def answer_of(study: optuna.Study, url: str) -> Answer:
    told = results.summary(study, None)
    return Answer(study.study_name, told["best"], told["confirmed"], True, url)


def test_an_answer_shows_itself(study: optuna.Study, database: str) -> None:
    """The question, a row a value, what may be concluded, the parameters, the cost; no links."""
    whole = answer_of(study, database)._repr_html_()
    told = words(whole)
    for part in (
        "Which optimizer?",
        "sgd one seed 0.7000",
        "nothing may be concluded",
        "Cost: 4 trials",
        "It was stopped early: the same call goes on.",
    ):
        assert part in told
    assert "lr=0.0333" in told
    assert "<a " not in whole
    assert "<script" not in whole


def test_one_whose_database_is_gone_shows_what_it_holds(
    study: optuna.Study, database: str, tmp_path: Path
) -> None:
    """With the reason: a notebook is opened again when its temporary folder has been cleared."""
    kept = answer_of(study, database)
    gone = Answer(kept.study, kept.best, None, False, f"sqlite:///{tmp_path}/gone.db")
    told = words(gone._repr_html_())
    assert "Best of the search: trial 2, 0.7000." in told
    assert "cannot be read" in told
    assert "gone.db" in told


def test_a_rehearsal_shows_what_it_found() -> None:
    found = {"seconds": 1.5, "params": {"lr": 0.1}}
    told = words(Answer("digits", None, None, False, None, found)._repr_html_())
    assert "one epoch, to rehearse seconds 1.5 params lr=0.1" in told


def test_a_study_that_is_not_there_says_how_it_begins(database: str) -> None:
    """In Python's words, and in place of a traceback below the cell."""
    told = words(Study("digits", storage=database)._repr_html_())
    assert told.startswith("digits study='digits': not in")
    assert "run_study('digits'" in told


def test_a_study_of_others_shows_its_best_trials(database: str) -> None:
    theirs = optuna.create_study(study_name="theirs", storage=database, direction="maximize")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    told = words(card.of_study(theirs))
    assert "was not made by optsearch" in told
    assert f"x={theirs.best_params['x']:.3g}" in told
