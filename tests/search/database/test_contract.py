"""`open_storage` is a storage in Optuna's every respect: its own suite, and other processes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import joblib
import optuna
import pytest
import sqlalchemy
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from search.database import storage


class TestSqlite(StorageTestCase):
    """Optuna's contract, on a file."""

    @pytest.fixture
    def storage(self, empty_database: Path, tmp_path: Path) -> Iterator[BaseStorage]:
        shutil.copy(empty_database, tmp_path / "a.db")
        opened = storage.open_storage(f"sqlite:///{tmp_path}/a.db")
        yield opened
        opened.engine.dispose()


class TestPostgresql(StorageTestCase):
    """Optuna's contract, on a real server: a database for the class, emptied for each case."""

    @pytest.fixture(scope="class")
    def server_database(self, postgresql: str) -> str:
        url = sqlalchemy.make_url(postgresql).set(drivername="postgresql+psycopg")
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS contract")
            connection.exec_driver_sql("CREATE DATABASE contract")
        engine.dispose()
        made = url.set(database="contract").render_as_string(hide_password=False)
        storage.open_storage(made).engine.dispose()
        return made

    @pytest.fixture
    def storage(self, server_database: str) -> Iterator[BaseStorage]:
        opened = storage.open_storage(server_database)
        with opened.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE studies CASCADE")
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
