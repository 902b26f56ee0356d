"""A finite space: untried points first, and the search ends when all are tried."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.record import budget, chains, floors, queueing, spent, study, untried
from search.record.progress import Standing
from search.strategy import samplers
from search.strategy import untried as proposals
from search.studyfile import reading
from search.workers import worker

Write = Callable[[str, str], Path]
NINE = (  # a: 2 x 3 points, b: 3
    "space={o: {choice: [a, b]}, k: {int: [1, 2], when: {o: [a]}}, x: {float: [0, 1], step: 0.5}}"
)


def make(*overrides: str) -> tuple[optuna.Study, Any, budget.Limits]:
    asked = reading.load("./mine.yaml", [NINE, "budget.trials=24", *overrides]).spec
    opened, pinned = study.open_study(asked, "sqlite:///a.db", {})
    return opened, pinned, study.limits(opened, pinned)


def points(opened: optuna.Study) -> set[str]:
    return {str(sorted(trial.params.items())) for trial in opened.trials}


@pytest.mark.soak
@pytest.mark.usefixtures("database", "own_signals")
@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_each_point_is_trained_once_and_then_the_search_ends(
    database: str, write: Write, sampler: str
) -> None:
    """Whatever the sampler thinks of; what a person queues is trained all the same."""
    write("mine.py", "def objective(trial): return trial.params['x']")
    opened, pinned, limits = make(f"sampler={sampler}")
    queueing.add(opened, {"o": "b", "x": 0.5}, "first")
    queueing.add(opened, {"o": "b", "x": 0.5}, "again")
    assert spent.used_up(opened, limits) == ""
    assert Standing("mine", "value", opened.trials, None, limits, 0.0, None).most == 10
    worker.work(pinned, "sqlite:///a.db", device="cpu", workdir="work")
    assert (len(opened.trials), len(points(opened))) == (10, 9)
    assert budget.is_over(opened.trials, limits)
    told = "each of the 9 points of the space is tried: nothing to train"
    assert spent.used_up(opened, limits) == told
    assert floors.is_spent(pinned, opened.trials)
    assert Standing("mine", "value", opened.trials, None, limits, 0.0, None).most == 10
    queueing.add(opened, {"o": "b", "x": 0.5}, "third")
    assert not budget.is_over(opened.trials, limits)


def test_two_at_once_never_take_the_same(database: str) -> None:
    """Drawing is outside of the transaction that takes; who comes second draws again."""
    opened, pinned, limits = make()
    taken: list[int] = []

    def work() -> None:
        joined, finite = worker.join(pinned, "sqlite:///a.db"), limits.points
        assert finite is not None
        same = next(finite.all())

        def draw(trials: Any) -> Any:
            return proposals.draw(joined, finite, 0, trials) if trials else same

        while (claimed := untried.claim(joined, limits, draw)) is not None:
            taken.append(claimed)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(set(taken)) == len(taken) == 9
    fixed = {str(sorted(t.system_attrs[chains.FIXED].items())) for t in opened.trials}
    assert len(fixed) == 9


def test_a_budget_with_more_trials_than_points_is_told(folder: Path) -> None:
    """Before anything is trained."""
    asked = reading.load("./mine.yaml", [NINE, "budget.trials=24"]).spec
    assert floors.beyond(asked).startswith("the space has 9 points, the budget 24 trials: each")
    assert floors.beyond(asked.with_budget(9, None)) == ""
    assert floors.beyond(reading.load("./mine.yaml").spec) == ""
