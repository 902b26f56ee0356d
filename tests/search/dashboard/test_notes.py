"""search/dashboard/notes.py: what a study's note answers, and a trial's says of a pause."""

import optuna
import pytest

from search.answers import confirm
from search.dashboard import notes
from search.database import storage
from search.record import budget, pauses
from search.record.budget import Grant, Limits
from tests.search import made

LIMITS = Limits(epochs=40, longest=9, steps=True)


def note(study: optuna.Study) -> str:
    (frozen,) = study._storage.get_all_studies()
    return notes.of_trial(frozen, study.trials[0], storage.DEFAULT_URL)


def test_a_note_tells_where_and_why_a_trial_paused(database: str) -> None:
    """And whether it may go on."""
    study = optuna.create_study(storage=storage.open_storage(database))
    taken = budget.take(study, LIMITS, Grant(None, {}, 3, "new"), [])
    assert taken is not None
    assert "It is running." in note(study)
    pauses.pause(study, taken, 3, "paused at epoch 3: 4 % chance to beat 0.712", 1.0)
    assert "It paused at epoch 3\\: 4 % chance to beat 0\\.712. It may go on." in note(study)
    assert budget.take(study, LIMITS, Grant(study.trials[0], {}, 9, ""), study.trials) == taken
    assert "It is running." in note(study)
    pauses.pause(study, taken, 9, "others are better", 2.0)
    assert pauses.settle(study, LIMITS)
    assert "others are better. It was not worth going on with." in note(study)


def of_study(study: optuna.Study) -> str:
    frozen = {s.study_name: s for s in study._storage.get_all_studies()}[study.study_name]
    return notes.of_study(frozen, study.trials, storage.DEFAULT_URL)


@pytest.mark.soak
def test_a_note_shows_one_answer(database: str) -> None:
    """The confirmed one, with its parameters; what the search had shown beside it is told as that:
    `export` writes the confirmed one."""
    study, asked = made.opened()
    lucky = {"optimizer": "sgd", "lr": 0.5, "batch_size": 32}
    good = {"optimizer": "adam", "lr": 0.25, "batch_size": 16}
    made.search(study, asked, [(lucky, 0.99), (good, 0.9)])
    made.confirm_best(study, asked, made.noisy({"sgd": 0.5, "adam": 0.9}))
    confirm.publish(study)
    body = of_study(study)
    assert "Confirmed on fresh seeds: trial 1" in body
    assert "Best so far" not in body
    assert "with one seed, another had shown more: trial 0" in body
    assert "| `lr` | `0.25` |" in body
    assert "0.5" not in body.split("| parameter")[1].split("Train")[0]


def test_a_note_offers_no_command_that_does_nothing(database: str) -> None:
    """Where the trials are used up it asks for more; where all that is listed is trained it offers
    none; a name that no study file of the package has is not passed off as one."""
    sgd = {"optimizer": "sgd", "lr": 0.5, "batch_size": 32}
    study, asked = made.opened("some", budget={"trials": 2})
    made.search(study, asked, [(sgd, 0.9)])
    assert "    optsearch run --study FILE --name some\n" in of_study(study) + "\n"
    made.search(study, asked, [({**sgd, "lr": 0.25}, 0.9)])
    assert "--name some --trials 4" in of_study(study)
    listed = [{"name": "a", "params": {"lr": 0.1}}, {"name": "b", "params": {"lr": 0.2}}]
    study, asked = made.opened("all", configurations=listed)
    made.enumerate_all(study, asked, {"a": 0.1, "b": 0.2})
    assert "optsearch run" not in of_study(study)
