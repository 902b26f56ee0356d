"""words.py: what fresh seeds say, and what may not be concluded from it."""

from types import SimpleNamespace

import optuna
import pytest

from search.answers import evidence, testset, words
from search.answers.statistics import Interval
from search.record import next_step
from search.studyfile.spec import Confirm
from tests.search import made

SGD = {"optimizer": "sgd", "lr": 0.01, "batch_size": 32}
ADAM = {"optimizer": "adam", "lr": 0.01, "batch_size": 32}


def confirmed(
    mean: float, test: float, *, images: int | None = None, noise: float = 0.001
) -> optuna.Study:
    """Two optimizers on fresh seeds around this mean; every model's test score is `test`."""
    data = {"data": {"fingerprint": "f", "n_validation": images}} if images else {}
    study, asked = made.opened(f"mine-{images}-{mean}", prepared=data)
    made.search(study, asked, [(SGD, mean), (ADAM, mean - 0.2)])
    means = {"sgd": mean, "adam": mean - 0.2}
    runs = made.confirm_best(study, asked, made.noisy(means, noise=noise))
    about = {"accuracy": test} | ({"n": images} if images else {})
    runs.set_user_attr(testset.SCORES, {str(t.number): about for t in runs.trials})
    return study


def said(study: optuna.Study) -> list[str]:
    known = evidence.of(study)
    assert known is not None
    return words.of_evidence(known, len(study.trials), next_step.of(study, "confirm"))


@pytest.mark.soak
def test_intervals_say_what_they_cover(database: str) -> None:
    """Seeds alone where nobody tells how many images there are; else both, and how many."""
    assert "over 4 seeds." in said(confirmed(0.9, 0.9))[0]
    told = said(confirmed(0.9, 0.9, images=300))[0]
    assert (
        "the intervals cover other seeds and other images (300 of validation, 300 of test)" in told
    )


def test_a_validation_score_far_above_the_test_is_not_called_a_little_better(database: str) -> None:
    """Beside validation 0.9993 and test 0.9696 the test score is what counts."""
    told = said(confirmed(0.9993, 0.9696, images=1000, noise=1e-6))[0]
    assert "better than its test scores by 0.0297, more than chance explains" in told
    assert "a little better" not in told


@pytest.mark.soak
def test_a_gap_that_chance_explains_stays_a_little(database: str) -> None:
    """Fifty images move more than that."""
    assert "a little better than they are" in said(confirmed(0.95, 0.93, images=50))[0]


def test_a_saturated_validation_is_told(database: str) -> None:
    """Fewer than five wrong images tell nobody apart, however many there are."""
    told = said(confirmed(0.9985, 0.99, images=1000, noise=1e-6))[-1]
    assert told.startswith("Validation is nearly used up: the winner has 1.5 of 1000 images wrong")


def test_few_validation_images_are_told_with_what_one_is_worth(database: str) -> None:
    """More seeds would not help, more images would."""
    told = said(confirmed(0.625, 0.6, images=120))[-1]
    assert told.startswith("Few validation images: one of the 120 validation images is 0.0083")
    assert "hold out more images" in told


@pytest.mark.soak
def test_many_images_and_few_seeds_are_no_reason_to_hold_out_more(database: str) -> None:
    """Nor is anything said where nobody tells how many there are."""
    assert not any("mages" in line for line in said(confirmed(0.7, 0.7, images=5000))[1:])
    assert not any("mages" in line for line in said(confirmed(0.7, 0.7)))


@pytest.mark.soak
def test_the_test_set_that_was_read_before_is_told(database: str) -> None:
    """Where more is confirmed after the first look, also where no model was left out since."""
    study = confirmed(0.9, 0.88)
    assert "the test set was read once, afterwards" in said(study)[0]
    known = evidence.of(study)
    assert known is not None
    asked = made.study.require_spec(study)
    before = known.runs
    made.confirm_best(study, asked, made.noisy({"sgd": 0.9, "adam": 0.7}), seeds=6)
    assert made.confirm.begin(study, asked, Confirm(top=3, seeds=6)) is not None
    lines = said(study)
    assert "read once" not in lines[0]
    assert f"The test set was read before this choice, for {before} models" in " ".join(lines)


def test_a_command_names_its_study(database: str) -> None:
    """Where the search has gone on since."""
    study = confirmed(0.9, 0.88)
    known = evidence.of(study)
    assert known is not None
    again = next_step.of(study, "confirm")
    assert f"--study {study.study_name} " in again
    assert any(f"`{again}` looks" in line for line in words.of_evidence(known, 9, again))


@pytest.mark.parametrize(
    ("low", "mean", "told"),
    [
        (0.30, 0.3333, "It is no better than always saying 'cat', which gives 0.3333: nothing was"),
        (0.33, 0.5, "It is not sure to be better than always saying 'cat', which gives 0.3333."),
        (0.34, 0.5, ""),
    ],
)
def test_a_winner_that_learned_nothing_is_called_so(low: float, mean: float, told: str) -> None:
    """Three classes by balanced accuracy: a third is what one answer to everything gets."""
    data = {"majority": {"class": "cat", "share": 0.5}, "classes": 3}
    winner = SimpleNamespace(interval=Interval(mean, low, 1.0, 5))
    known = SimpleNamespace(metric="val_balanced_accuracy", sign=1)
    lines = words.of_useless(known, winner, data)  # type: ignore[arg-type]
    assert [line[: len(told)] for line in lines] == ([told] if told else [])
    minimized = SimpleNamespace(metric="val_balanced_accuracy", sign=-1)
    assert words.of_useless(minimized, winner, data) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.67, 0.54])
def test_the_majority_of_uneven_classes_is_told_beside_an_accuracy(share: float) -> None:
    """A winner that is clearly better is not warned of: what it is held against stands beside it,
    unless the classes are even, or the score counts each the same."""
    data = {"majority": {"class": "nevus", "share": share}, "classes": 2}
    winner = SimpleNamespace(interval=Interval(0.9, 0.85, 0.95, 5))
    known = SimpleNamespace(metric="val_accuracy", sign=1)
    told = words.beside(known, winner, data)  # type: ignore[arg-type]
    said = "Always saying 'nevus' gives 0.6700 on the validation images."
    assert told == ([said] if share > 0.6 else [])
    balanced = SimpleNamespace(metric="val_balanced_accuracy", sign=1)
    assert words.beside(balanced, winner, data) == []  # type: ignore[arg-type]
