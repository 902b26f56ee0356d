"""search/dashboard/notes.py: what a trial's note says of a pause."""

import optuna

from search.dashboard import notes
from search.database import storage
from search.record import budget, pauses
from search.record.budget import Grant, Limits

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
