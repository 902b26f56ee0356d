"""An objective ends the search: `trial.study.stop()`. No further trial begins, and those that run
come to their end, retries of theirs included.

It is a state, not an event: the same command again goes on with what comes after the search.
Another budget opens the search again, and so does whoever queues a trial.
"""

import optuna

KEY = "optsearch:ended"  # study attribute: the trial that has ended the search, None: none has
OPENS = "another budget, as by --trials N, opens it again"


def end(study: optuna.Study, trial: int) -> None:
    """End the search at the wish of this trial."""
    study.set_user_attr(KEY, trial)


def by(study: optuna.Study) -> int | None:
    """The trial that has ended the search; None where it is open."""
    found: int | None = study.user_attrs.get(KEY)
    return found


def words(study: optuna.Study) -> str:
    """A line that says so; "" where the search is open."""
    if (trial := by(study)) is None:
        return ""
    return f"trial {trial} has ended the search (trial.study.stop())"


def reopen(study: optuna.Study) -> None:
    """Let trials begin again."""
    if by(study) is not None:
        study.set_user_attr(KEY, None)
