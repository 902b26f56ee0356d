"""The one look at the test set, at models that were trained and chosen without it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.database import storage
from search.record import chains, study

SCORES = "test_scores"  # study attribute: trial number -> {"loss", "accuracy", "n"}


def scores(opened: optuna.Study) -> dict[int, dict[str, float]]:
    """What was measured on the test set, by trial number."""
    return {int(k): v for k, v in opened.user_attrs.get(SCORES, {}).items()}


def read_once(
    opened: optuna.Study,
    trials: Iterable[FrozenTrial],
    workdir: str | Path,
    evaluate: Callable[[str], dict[str, Any] | None],
) -> None:
    """Score the kept models of these trials on the test set, each once and for all.

    The caller sees to it that nothing is chosen any more: by then all trials of a study that
    enumerates have ended, and of one that searches its confirmed best is named.

    Args:
        evaluate: the folder of a trial -> `loss`, `accuracy`, `n`.
    """
    for trial in trials:
        folder = study.folder(opened, workdir) / str(chains.of(trial))
        if trial.number not in scores(opened) and (score := evaluate(str(folder))) is not None:
            with storage.exclusive(opened):  # another command may have written meanwhile
                known = {trial.number: score, **scores(opened)}
                opened.set_user_attr(SCORES, {str(k): v for k, v in known.items()})
