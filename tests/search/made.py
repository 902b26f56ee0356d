"""Studies made by hand: trials are asked and told as workers do, but nothing is trained."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from search.answers import confirm, testset
from search.answers.plans import CHOICE
from search.record import results, study
from search.studyfile import reading, space
from search.studyfile.spec import Confirm, StudySpec

URL = "sqlite:///a.db"
SPACE = {
    "optimizer": {"choice": ["sgd", "adam", "adagrad"]},
    "lr": {"float": [1e-4, 1.0], "log": True},
    "batch_size": {"choice": [16, 32, 64]},
}
Score = Callable[[Mapping[str, Any], int], float]  # parameters and seed -> score


def opened(name: str = "mine", prepared: Mapping[str, Any] | None = None, **raw: Any) -> Any:
    """A new study of a file like this, and its spec; needs `mine.py` in the current folder."""
    whole = {"name": name, "objective": "./mine.py:objective", "folder": "."} | raw
    if "configurations" not in whole:
        whole.setdefault("space", SPACE)
    parsed = reading.parse(whole, {}, "mine.yaml")
    return study.open_study(parsed, URL, {"metric": "val_accuracy"} | dict(prepared or {}))


def ask(made: optuna.Study, asked: StudySpec, params: Mapping[str, Any] | None) -> optuna.Trial:
    """The next trial, with its parameters drawn."""
    if params is not None:
        made.enqueue_trial(dict(params))
    trial = made.ask()
    listed = [item.params for item in asked.configurations]
    whole = space.of_configurations(listed) if listed else asked.space
    if name := trial.user_attrs.get("configuration"):
        own = asked.configuration(name).params if listed else whole
        whole = {k: v for k, v in whole.items() if k in own}
    space.suggest(trial, whole)
    return trial


def end(made: optuna.Study, trial: optuna.Trial, score: float, *, epochs: int = 4) -> None:
    """A complete trial that has come closer to its score with each epoch."""
    curve = [score * (1 - 0.5 ** (epoch + 1)) for epoch in range(epochs - 1)] + [score]
    for epoch, value in enumerate(curve):
        trial.report(value, epoch)
    attrs = {
        "history": dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), curve)
        | {"lr": [0.1 / (e + 1) for e in range(epochs)], "seconds": [2.0] * epochs},
        "best_epoch": epochs - 1,
        "stop_epoch": epochs - 1,
        "epochs_planned": epochs,
        "reason": "all_epochs",
        "device": "an abacus",
    }
    for name, value in attrs.items():
        trial.set_user_attr(name, value)
    made.tell(trial, score)


def prune(made: optuna.Study, trial: optuna.Trial, score: float, planned: int = 4) -> None:
    """A trial that was hopeless after its first epoch."""
    trial.report(score, 0)
    trial.set_user_attr("reason", "hopeless")
    trial.set_user_attr("epochs_planned", planned)
    made.tell(trial, state=TrialState.PRUNED)


def fail(made: optuna.Study, trial: optuna.Trial, error: str = "ValueError: no") -> None:
    trial.set_user_attr("reason", "exception")
    trial.set_user_attr("error", f"Traceback:\n{error}")
    made.tell(trial, state=TrialState.FAIL)


def search(
    made: optuna.Study, asked: StudySpec, tried: Sequence[tuple[Mapping[str, Any], float]]
) -> None:
    """Complete trials with these parameters and scores."""
    for params, score in tried:
        end(made, ask(made, asked, params), score)


def enumerate_all(made: optuna.Study, asked: StudySpec, scores: Mapping[str, float]) -> None:
    """Every configuration once, with the score of its name."""
    for _ in asked.configurations:
        trial = ask(made, asked, None)
        end(made, trial, scores[trial.user_attrs["configuration"]])


def confirm_best(
    made: optuna.Study, asked: StudySpec, score: Score, *, top: int = 3, seeds: int = 4
) -> optuna.Study:
    """The confirm stage from begin to choice, each run ending as `score` says; then the tests.

    A score of nan is a run that fails.
    """
    runs = confirm.begin(made, asked, Confirm(top=top, seeds=seeds))
    assert runs is not None
    asked = confirm.spec_of_runs(asked)
    while confirm.advance(runs, made, 1):
        trial = ask(runs, asked, None)
        found = score(trial.params, trial.user_attrs["seed"])
        end(runs, trial, found) if found == found else fail(runs, trial)
    assert confirm.choose(runs)
    assert runs.user_attrs[CHOICE]
    ended = results.ranking(runs)
    tests = {str(t.number): {"accuracy": float(t.value or 0) - 0.1} for t in ended}
    runs.set_user_attr(testset.SCORES, tests)
    return runs


def noisy(means: Mapping[Any, float], by: str = "optimizer", noise: float = 0.01) -> Score:
    """Scores around a mean for each value of a parameter; the same seed, the same score."""

    def score(params: Mapping[str, Any], seed: int) -> float:
        return means[params[by]] + random.Random(f"{seed}{params[by]}").gauss(0, noise)

    return score
