"""Rules of who works for a study: host, device, epochs a second, and the last sign of life."""

from typing import Any

import optuna
import pytest

from search.cli import workers
from search.database import storage
from search.record import chains
from search.record import study as studies
from search.workers import leases, seen


@pytest.fixture(params=["database", "postgresql"])
def study(request: pytest.FixtureRequest) -> optuna.Study:
    """One with no trial, on SQLite and on PostgreSQL."""
    opened = storage.open_storage(request.getfixturevalue(request.param))
    return optuna.create_study(storage=opened, study_name="mine", direction="maximize")


def running(study: optuna.Study, host: str, pid: int = 7, **attrs: Any) -> optuna.Trial:
    """A trial that a worker of a host has."""
    trial = study.ask()
    for name, value in {chains.LEASE: {"host": host, "pid": pid}, **attrs}.items():
        trial.set_user_attr(name, value)
    return trial


@pytest.mark.soak
def test_each_worker_is_told_with_its_pace(study: optuna.Study) -> None:
    """By host; of the last epochs; silent since its last heartbeat."""
    history = {"value": [0.1] * 7, "seconds": [9.0, 9.0, 0.5, 0.5, 0.5, 0.5, 0.5]}
    slow = running(study, "b", device="NVIDIA H100", history=history)
    running(study, "a")
    ended = running(study, "c")
    study.tell(ended, 1.0)
    for epoch in range(7):
        slow.report(0.1, epoch)
    leases.beat(study, slow._trial_id)
    first, second = seen.working(study)
    assert first == seen.Working("mine", "a", 7, "", 1, 0, None, None)
    assert second[:7] == ("mine", "b", 7, "NVIDIA H100", 0, 7, 2.0)
    assert second.silent_s is not None
    assert 0 <= second.silent_s < 120


def test_processes_of_one_host_are_told_apart(study: optuna.Study) -> None:
    """By their numbers, in whose order they stand."""
    for pid in (12, 11):
        running(study, "a", pid)
    assert [(row.process, row.trial) for row in seen.working(study)] == [(11, 1), (12, 0)]


def test_the_confirming_runs_are_told_too(study: optuna.Study) -> None:
    """Under the name of their own study."""
    runs = optuna.create_study(storage=study._storage, study_name="mine:confirm")
    runs.set_user_attr(studies.CONFIRMS, "mine")
    running(runs, "a")
    assert [row.study for row in seen.working(study)] == ["mine:confirm"]


def test_the_table_has_a_device_where_somebody_tells_one(
    database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An objective need not."""
    study = optuna.create_study(storage=storage.open_storage(database), study_name="mine")
    heads = []
    for device in ({}, {"device": "an abacus"}):
        running(study, "a", **device)
        workers.workers("mine", database)
        heads.append(capfd.readouterr().out.splitlines()[0].split()[:4])
    assert heads[0] == ["host", "process", "trial", "epochs"]
    assert heads[1] == ["host", "process", "device", "trial"]


@pytest.mark.parametrize(
    ("now", "then", "seconds"),
    [
        ("2026-11-29 10:00:30", "2026-11-29 10:00:05", 25.0),
        ("2026-11-29 10:00:05", "2026-11-29 10:00:06", 0.0),
    ],
)
def test_silence_is_by_one_clock(now: str, then: str, seconds: float) -> None:
    """SQLite tells it as text; a beat of this very second is none of the future."""
    assert seen._apart(now, then) == seconds
