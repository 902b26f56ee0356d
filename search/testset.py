"""The one look at the test set, for studies that enumerate: nothing is chosen among their trials,
so nothing can be chosen on the test set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from search import chains, results, study
from search.spec import StudySpec

SCORES = "test_scores"  # study attribute: trial number -> {"loss", "accuracy", "n"}


def scores(opened: optuna.Study) -> dict[int, dict[str, float]]:
    """What was measured on the test set, by trial number."""
    return {int(k): v for k, v in opened.user_attrs.get(SCORES, {}).items()}


def read_once(
    opened: optuna.Study,
    spec: StudySpec,
    workdir: str | Path,
    evaluate: Callable[[str], dict[str, Any] | None],
) -> None:
    """Score every finished configuration's kept model on the test set, each once and for all.

    Does nothing while a trial is open, or where the study samples: its best are confirmed first.

    Args:
        evaluate: the folder of a trial -> `loss`, `accuracy`, `n`.
    """
    trials = opened.get_trials(deepcopy=False)
    if not spec.configurations or not all(t.state.is_finished() for t in trials):
        return
    known = scores(opened)
    for trial in results.ranking(opened):
        folder = study.folder(opened, workdir) / str(chains.of(trial))
        if trial.number not in known and (score := evaluate(str(folder))) is not None:
            known[trial.number] = score
            opened.set_user_attr(SCORES, {str(k): v for k, v in known.items()})
