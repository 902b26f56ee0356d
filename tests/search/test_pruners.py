"""search/pruners.py: each row of the table works, and what is wrong is told."""

import optuna
import pytest

from search import pruners
from search.pruners import PRUNERS

NEEDED = {"threshold": {"lower": 0.0}, "percentile": {"percentile": 25.0}}


@pytest.mark.parametrize("name", PRUNERS)
def test_each_pruner_runs_a_study(name: str) -> None:
    """Every row of the table, with no more options than it needs."""
    options = NEEDED.get(name, {})
    assert list(pruners.problems(name, options)) == []
    study = optuna.create_study(pruner=pruners.build(name, options, epochs=9), direction="maximize")
    for i in range(4):
        trial = study.ask()
        for step in range(9):
            trial.report(0.5 - i / 10, step)
            trial.should_prune()
        study.tell(trial, 0.5 - i / 10)
    assert len(study.trials) == 4


def test_hopeless_trials_are_pruned_by_the_default() -> None:
    """The median pruner ends what is worse than half of its peers."""
    study = optuna.create_study(
        pruner=pruners.build("median", {"n_startup_trials": 1}, epochs=3), direction="maximize"
    )
    good, bad = study.ask(), study.ask()
    good.report(0.9, 0)
    study.tell(good, 0.9)
    bad.report(0.1, 0)
    assert bad.should_prune()


def test_hyperband_takes_the_epochs_as_its_resource_unless_told_otherwise() -> None:
    """`epochs` of the settings is the pruner's max_resource."""
    assert pruners.build("hyperband", {}, epochs=27)._max_resource == 27  # type: ignore[attr-defined]
    options = {"max_resource": 9}
    assert pruners.build("hyperband", options, epochs=27)._max_resource == 9  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("medain", {}, "unknown pruner 'medain'; did you mean 'median'? one of: none, median"),
        ("none", {"x": 1}, "pruner 'none' has no option 'x'; options: none"),
        ("threshold", {}, "pruner 'threshold': "),
        ("median", {"n_startup_trials": -1}, "pruner 'median': "),
    ],
)
def test_a_wrong_pruner_is_told(name: str, options: dict[str, object], message: str) -> None:
    """The nearest name, the valid options, or what the pruner itself says."""
    (found,) = pruners.problems(name, options)
    assert found.startswith(message)
