"""A person's note on a trial, kept where optuna-dashboard reads and writes it."""

import optuna

from search.database import storage
from search.errors import UsageError


def add(study: optuna.Study, number: int, text: str, *, replace: bool = False) -> str:
    """Write a note in Markdown, below what a person wrote before; the whole note as it is then.

    What optsearch tells of a trial is made when somebody looks, so nothing of it is lost: an empty
    note shows it again.

    Args:
        replace: in the place of what was written before.

    Raises:
        UsageError: there is no such trial.
    """
    from optuna_dashboard import _note  # costs half a second

    trial_id = _trial_id(study, number)
    place = study._storage, study._study_id, trial_id
    with storage.exclusive(study):  # another one may be written meanwhile
        attrs = study._storage.get_study_system_attrs(study._study_id)
        known = _note.get_note_from_system_attrs(attrs, trial_id)
        before = "" if replace else known["body"].rstrip()
        whole = "\n\n".join(filter(None, (before, text.strip())))
        _note.save_note_with_version(*place, known["version"] + 1, whole)
    return whole


def read(study: optuna.Study, number: int) -> str:
    """What people have written about a trial; "" where nobody has. Raises as `add`."""
    from optuna_dashboard import _note

    attrs = study._storage.get_study_system_attrs(study._study_id)
    return str(_note.get_note_from_system_attrs(attrs, _trial_id(study, number))["body"])


def _trial_id(study: optuna.Study, number: int) -> int:
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials):
        most = f"numbers go from 0 to {len(trials) - 1}" if trials else "it has none yet"
        raise UsageError(f"--trial {number}: study '{study.study_name}' has no such trial; {most}")
    return int(trials[number]._trial_id)
