"""`open_storage` is a storage in Optuna's every respect: its own suite, and other processes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import joblib
import optuna
import pytest
import sqlalchemy
from optuna.storages import BaseStorage
from optuna.storages._rdb import models
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState

from search.database import storage
from tests.postgresql import administer

pytestmark = pytest.mark.soak  # a suite of Optuna's, twice


class TestSqlite(StorageTestCase):
    """Optuna's contract, on a file."""

    @pytest.fixture
    def storage(self, empty_database: Path, tmp_path: Path) -> Iterator[BaseStorage]:
        shutil.copy(empty_database, tmp_path / "a.db")
        opened = storage.open_storage(f"sqlite:///{tmp_path}/a.db")
        yield opened
        opened.engine.dispose()


@pytest.fixture(scope="module")
def server_database(postgresql_server: str, postgresql_tables: str) -> Iterator[str]:
    """The URL of a database of this file's own, with tables, on a real server."""
    with administer(postgresql_server) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE contract_suite TEMPLATE {postgresql_tables}")
    yield postgresql_server.replace("/postgres?", "/contract_suite?")
    with administer(postgresql_server) as connection:
        connection.exec_driver_sql("DROP DATABASE contract_suite WITH (FORCE)")


class TestPostgresql(StorageTestCase):
    """Optuna's contract, on a real server: a database for all cases, emptied for each."""

    @pytest.fixture
    def storage(self, server_database: str) -> Iterator[BaseStorage]:
        opened = storage.open_storage(server_database)
        with opened.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE studies CASCADE")
        yield opened
        opened.engine.dispose()


@pytest.mark.soak
class TestMysql(StorageTestCase):
    """Optuna's contract, on a real MariaDB server: its tables emptied for each case."""

    @pytest.fixture
    def storage(self, mysql: str) -> Iterator[BaseStorage]:
        opened = storage.open_storage(mysql)
        with opened.engine.begin() as connection:
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
            for table in reversed(models.BaseModel.metadata.sorted_tables):
                if "version" not in table.name:
                    connection.execute(sqlalchemy.delete(table))
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")
        yield opened
        opened.engine.dispose()


def add_trial(study: optuna.Study, x: float) -> int:
    """What a process that was handed the study does with it."""
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    study.tell(trial, x)
    return trial.number


def test_a_study_goes_to_other_processes(database: str) -> None:
    """joblib and spawned processes are handed the object itself."""
    study = optuna.create_study(storage=storage.open_storage(database))
    with joblib.parallel_config("loky", n_jobs=2):
        numbers = joblib.Parallel()(joblib.delayed(add_trial)(study, x) for x in (0.1, 0.2, 0.3))
    assert sorted(numbers) == [0, 1, 2]
    assert sorted(t.value for t in study.trials if t.value is not None) == [0.1, 0.2, 0.3]


def test_a_created_trial_bears_no_mark_of_ours(database: str) -> None:
    """The token that finds it again, where an answer was lost, goes once the answer is known."""
    study = optuna.create_study(storage=storage.open_storage(database))
    study.enqueue_trial({"x": 0.5})
    assert [t.system_attrs for t in study.trials] == [{"fixed_params": {"x": 0.5}}]


def test_a_created_trial_is_known_without_reading_it_back(database: str) -> None:
    """Seven statements create it; what the creator holds is what everybody reads."""
    opened = storage.open_storage(database)
    study_id = opened.create_new_study([optuna.study.StudyDirection.MINIMIZE])
    statements = []
    sqlalchemy.event.listen(
        opened.engine, "before_cursor_execute", lambda *event: statements.append(event[2])
    )
    made = [opened._create_new_trial(study_id)]
    assert len(statements) == 7, statements
    queued = optuna.trial.create_trial(
        state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 0.5}}
    )
    made += [opened._create_new_trial(study_id, queued)]
    assert made == opened.get_all_trials(study_id)


@pytest.mark.parametrize(
    "kind", ["database", "server_database", pytest.param("mysql", marks=pytest.mark.soak)]
)
def test_a_long_history_fits(request: pytest.FixtureRequest, kind: str) -> None:
    """1,500 epochs are more than 74 KB, where a TEXT of MySQL ends at 64."""
    study = optuna.create_study(storage=storage.open_storage(request.getfixturevalue(kind)))
    history = {name: [1 / 3 + epoch for epoch in range(1500)] for name in ("a", "b", "c", "d")}
    trial = study.ask()
    trial.set_user_attr("history", history)
    study.set_user_attr("history", history)
    study.tell(trial, 1.0)
    assert study.trials[0].user_attrs == study.user_attrs == {"history": history}


@pytest.mark.parametrize(
    "kind", ["database", "server_database", pytest.param("mysql", marks=pytest.mark.soak)]
)
def test_names_that_look_alike_stay_apart(request: pytest.FixtureRequest, kind: str) -> None:
    """MySQL by itself compares without regard to case, accents and spaces at the end: one
    attribute or parameter would take the other's place."""
    opened = storage.open_storage(request.getfixturevalue(kind))
    study = optuna.create_study(storage=opened, study_name="alike")
    optuna.create_study(storage=opened, study_name="Alike")
    attrs = {"lr": 1, "LR": 2, "e": 3, "é": 4, "a": 5, "a ": 6}
    trial = study.ask()
    for name, value in attrs.items():
        trial.set_user_attr(name, value)
        study.set_user_attr(name, value)
    params = {"x": trial.suggest_float("x", 0, 1), "X": trial.suggest_float("X", 5, 6)}
    (read,) = opened.get_all_trials(study._study_id)
    assert (read.user_attrs, study.user_attrs) == (attrs, attrs)
    assert read.params == params
    assert {s.study_name for s in opened.get_all_studies()} >= {"alike", "Alike"}
