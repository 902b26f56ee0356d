"""leads.py: how the search's best stands beside the baselines of its study file."""

from typing import Any

import optuna
import pytest

from search.answers import (
    candidates,
    confirm,
    evidence,
    export,
    leads,
    plans,
    sentences,
    statistics,
)
from search.record import results
from search.studyfile.spec import Confirm
from tests.search import made

BASE = {"optimizer": "adam", "lr": 0.01, "batch_size": 32}
OTHER = {"optimizer": "sgd", "lr": 0.01, "batch_size": 32}
THIRD = {"optimizer": "adagrad", "lr": 0.01, "batch_size": 32}


def searched(scores: dict[str, float], **raw: Any) -> tuple[optuna.Study, Any]:
    """A study whose baseline `usual` is BASE, and a trial of each other optimizer."""
    study, asked = made.opened(baselines=[{"name": "usual", "params": BASE}], **raw)
    made.end(study, made.ask(study, asked, None), scores["adam"])
    made.search(study, asked, [(OTHER, scores["sgd"]), (THIRD, scores["adagrad"])])
    return study, asked


def said(means: dict[str, float], **raw: Any) -> list[str]:
    """What is said where fresh seeds show these means."""
    study, asked = searched(means, **raw)
    made.confirm_best(study, asked, made.noisy(means), top=2)
    return leads.of_study(study)


@pytest.mark.soak
def test_a_baseline_is_confirmed_however_it_did(database: str) -> None:
    """Beyond the `top` best, and with all of its seeds although it loses at once."""
    study, asked = searched({"adam": 0.1, "sgd": 0.9, "adagrad": 0.8})
    means = {"adam": 0.1, "sgd": 0.9, "adagrad": 0.8}
    made.confirm_best(study, asked, made.noisy(means), top=2, seeds=4)
    known = evidence.of(study)
    assert known is not None
    assert known.plan.baselines == {"usual": 0}
    assert sorted(known.plan.candidates) == [0, 1, 2]
    assert {c.number: len(c.scores) for c in known.candidates}[0] == 4


def test_a_baseline_that_was_pruned_is_confirmed_too(database: str) -> None:
    """That it learns slowly does not make it a worse answer."""
    study, asked = made.opened(baselines=[{"name": "usual", "params": BASE}])
    made.prune(study, made.ask(study, asked, None), 0.1)
    made.search(study, asked, [(OTHER, 0.9), (THIRD, 0.8)])
    assert candidates.baselines(study) == {"usual": 0}
    made.confirm_best(study, asked, made.noisy({"adam": 0.95, "sgd": 0.9, "adagrad": 0.8}), top=1)
    assert leads.of_study(study)[0] == "The winner is usual, a baseline."


@pytest.mark.parametrize(
    ("base", "told"), [(0.5, "beats usual by 0."), (0.885, "ties with usual: ")]
)
def test_the_winner_beats_or_ties_with_a_baseline(database: str, base: float, told: str) -> None:
    """By how much, with the interval, on what is measured."""
    (line,) = said({"adam": base, "sgd": 0.9, "adagrad": 0.2})
    assert line.startswith(f"Trial 1 {told}")
    assert " of test_accuracy, " in line


def test_the_search_loses_to_a_baseline_that_wins(database: str) -> None:
    """What is best beside it is held against it."""
    first, second = said({"adam": 0.9, "sgd": 0.5, "adagrad": 0.2})
    assert first == "The winner is usual, a baseline."
    assert second.startswith("The best beside it, trial 1, loses to usual by 0.")


@pytest.mark.soak
def test_where_low_is_good_a_lower_loss_beats(database: str) -> None:
    """By validation, as a test accuracy would be better where it is higher."""
    (line,) = said(
        {"adam": 0.9, "sgd": 0.5, "adagrad": 2.0},
        direction="minimize",
        prepared={"metric": "val_loss"},
    )
    assert line.startswith("Trial 1 beats usual by 0.")
    assert " of val_loss, " in line


@pytest.mark.soak
def test_images_widen_a_lead(database: str) -> None:
    """A lead that all seeds show may still be one of these twenty images."""
    data = {"data": {"fingerprint": "f", "n_validation": 20}}
    means = {"adam": 0.85, "sgd": 0.9, "adagrad": 0.2}
    study, asked = searched(means, prepared=data)
    runs = made.confirm_best(study, asked, made.noisy(means, noise=0.001), top=2)
    runs.set_user_attr("test_scores", {})
    (line,) = leads.of_study(study)
    assert line.startswith("Trial 1 ties with usual: +0.049")
    assert "4 seeds and 20 images" in line


def test_one_seed_each_concludes_nothing(database: str) -> None:
    """Before anything is confirmed, or where nothing is."""
    study, _ = searched({"adam": 0.8, "sgd": 0.9, "adagrad": 0.7})
    assert leads.of_study(study) == [
        "Trial 1 is ahead of usual, by 0.1000 of val_accuracy with one seed each: "
        "that may be chance."
    ]


def test_who_leads_is_told_before_a_baseline_that_has_no_score(database: str) -> None:
    """A reader who has not written the file does not know the baseline's name."""
    study, asked = made.opened(baselines=[{"name": "usual", "params": BASE}])
    made.ask(study, asked, None)
    made.search(study, asked, [(OTHER, 0.9)])
    assert leads.of_study(study) == [
        "Trial 1 leads with val_accuracy 0.9000, by one seed: nothing is confirmed.",
        "The baseline usual is not confirmed: it has not ended.",
    ]


def test_a_baseline_without_a_score_is_told_with_its_reason(database: str) -> None:
    """It was asked about, so silence would be read as a loss."""
    study, asked = made.opened(baselines=[{"name": "usual", "params": BASE}])
    made.fail(study, made.ask(study, asked, None))
    made.search(study, asked, [(OTHER, 0.9), (THIRD, 0.8)])
    made.confirm_best(study, asked, made.noisy({"sgd": 0.9, "adagrad": 0.8}))
    assert leads.of_study(study) == ["The baseline usual is not confirmed: it ended as exception."]


def test_a_baseline_that_the_epochs_do_not_pay_is_told_with_the_next_step(database: str) -> None:
    """Two runs of two candidates are all that there is room for."""
    means = {"adam": 0.5, "sgd": 0.9, "adagrad": 0.8}
    study, asked = searched(means)
    runs = confirm.begin(study, asked, Confirm(top=2, seeds=4), epochs=8)
    assert runs is not None
    plan = plans.require_plan(runs)
    assert (plan.candidates, plan.baselines) == ([1], {})
    while confirm.advance(runs, study, 1):
        made.end(runs, made.ask(runs, confirm.spec_of_runs(asked), None), 0.9)
    assert confirm.choose(runs)
    assert leads.of_study(study) == [
        "The baseline usual is not confirmed: the epochs left did not pay its fresh seeds; "
        "`optsearch confirm --study mine --storage sqlite:///a.db` trains them."
    ]


def test_a_baseline_whose_fresh_seeds_go_on_is_not_told_as_left_out(database: str) -> None:
    """Nothing of it while somebody works; else that they have not all ended."""
    study, asked = made.opened(baselines=[{"name": "usual", "params": BASE}])
    made.prune(study, made.ask(study, asked, None), 0.1)
    made.search(study, asked, [(OTHER, 0.9), (THIRD, 0.8)])
    assert confirm.begin(study, asked, Confirm(top=2, seeds=4)) is not None
    assert leads.of_study(study, is_open=True) == []
    assert leads.of_study(study)[1:] == [
        "The baseline usual is not confirmed yet: its fresh seeds have not all ended."
    ]


def test_a_baseline_comes_before_the_best_of_a_second_value(database: str) -> None:
    """Where the epochs do not pay all: it was asked about by name."""
    study, asked = searched({"adam": 0.5, "sgd": 0.9, "adagrad": 0.8}, by="optimizer")
    runs = confirm.begin(study, asked, Confirm(top=3, seeds=4), epochs=16)
    assert runs is not None
    plan = plans.require_plan(runs)
    assert (plan.candidates, plan.baselines) == ([1, 0], {"usual": 0})


@pytest.mark.soak
def test_every_answer_opens_with_it(database: str) -> None:
    """The report, the file and the attribute that a dashboard reads."""
    means = {"adam": 0.5, "sgd": 0.9, "adagrad": 0.2}
    study, asked = searched(means)
    made.confirm_best(study, asked, made.noisy(means), top=2)
    (line,) = leads.of_study(study)
    assert sentences.answer(study)[0] == line
    best = confirm.answer(study)
    assert best is not None
    head = export.document(study, asked, best, {}).split("\n\n")[0].replace("\n# ", " ")
    assert line in head
    confirm.publish(study)
    assert study.user_attrs[results.CONFIRMED]["baselines"] == [line]


@pytest.mark.parametrize("mean", [0.0, 1e-6, -4e-5])
def test_what_is_shown_as_no_difference_is_called_level(mean: float) -> None:
    """Not "ahead by 0.0000"."""
    by = statistics.interval([mean])
    told = leads.words("trial 3", "usual", "val_accuracy", by)
    alike = "trial 3 is level with usual, in val_accuracy with one seed each: that may be chance."
    assert told == alike
    assert leads.words("trial 3", "usual", "val_loss", statistics.interval([2e-4])).startswith(
        "trial 3 is ahead of usual, by 0.0002 of val_loss"
    )
