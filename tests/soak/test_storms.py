"""What else happens to a search that runs for days: databases stop, disks fill, commands collide.

make soak
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.trial import FrozenTrial

from search.database import storage
from search.record import chains
from tests.postgres import Server
from tests.soak.runs import Run

# Sixty epochs of half a second each in all, told one by one.
OBJECTIVE = """
import random, time
def objective(trial, seed, epochs=10, pause=0.5):
    draw = random.Random(seed)
    for epoch in range(epochs):
        time.sleep(pause)
        trial.report(draw.random(), epoch)
    return draw.random()
"""
STUDY = """\
objective: ./mine.py:objective
space: {x: {float: [0, 1]}}
pruner: none
sampler: random
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OBJECTIVE)
    (tmp_path / "mine.yaml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Run]]:
    """Start `optsearch run`; none outlives its test."""
    started: list[Run] = []

    def begin(url: str, *arguments: str) -> Run:
        run = Run(("--study", "./mine.yaml", "--storage", url, *arguments), folder)
        started.append(run)
        run.start()
        return run

    yield begin
    for run in started:
        run.end()


def trials(url: str) -> list[FrozenTrial]:
    try:
        return optuna.load_study(study_name="mine", storage=storage.open_storage(url)).trials
    except KeyError:
        return []


def wait_for(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def ended(run: Run, timeout_s: float = 300) -> int:
    assert run.process is not None
    return run.process.wait(timeout_s)


def whole(url: str, count: int) -> bool:
    """Every chain complete, with a curve of ten epochs."""
    links = chains.grouped(trials(url)).values()
    curves = {tuple(sorted(one[-1].intermediate_values)) for one in links}
    states = {one[-1].state.name for one in links}
    return len(links) == count and states == {"COMPLETE"} and curves == {tuple(range(10))}


def test_a_server_that_stops_for_thirty_seconds_costs_nothing(start: Callable[..., Run]) -> None:
    """In the middle of a run: no report is lost, no trial is tried again."""
    with tempfile.TemporaryDirectory(prefix="pg") as place:
        server = Server(place)
        run = start(server.url, "--trials", "6", "--workers", "2")
        wait_for(lambda: sum(len(t.intermediate_values) for t in trials(server.url)) > 5)
        server.stop("immediate")
        time.sleep(30)
        server.start()
        assert ended(run) == 0, (run.folder / "log").read_text()
        assert whole(server.url, 6)
        assert len(trials(server.url)) == 6
        told = (run.folder / "log").read_text()
        assert "waiting for storage" in told
        assert "s3cr3t" not in told
        server.close()


def test_a_full_disk_costs_nothing_once_there_is_room(folder: Path) -> None:
    """The database lies on a small disk that somebody fills, and empties after a while."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        url = f"sqlite:///{disk}/a.db"
        run = Run(("--study", "./mine.yaml", "--storage", url, "--trials", "6"), folder)
        run.start()
        wait_for(lambda: sum(len(t.intermediate_values) for t in trials(url)) > 3)
        subprocess.run(["dd", "if=/dev/zero", f"of={disk}/filler", "bs=4k"], check=False)
        assert shutil.disk_usage(disk).free < 4096
        time.sleep(20)
        (disk / "filler").unlink()
        assert ended(run) == 0, (folder / "log").read_text()
        assert whole(url, 6)
        assert len(trials(url)) == 6
    finally:
        run.end()
        subprocess.run(["umount", "-l", disk], check=False)


def test_a_storage_that_turns_read_only_ends_the_run_and_loses_nothing(
    start: Callable[..., Run],
) -> None:
    """As after a failover to a replica: with a line that says so. Writable again, the same command
    finishes."""
    with tempfile.TemporaryDirectory(prefix="pg") as place:
        server = Server(place)
        run = start(server.url, "--trials", "6", "--workers", "2")
        wait_for(lambda: sum(len(t.intermediate_values) for t in trials(server.url)) > 5)
        engine = sqlalchemy.create_engine(storage._parse(server.url), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        assert ended(run) == 5
        assert "read-only transaction" in (run.folder / "log").read_text()
        with engine.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql("ALTER SYSTEM RESET default_transaction_read_only")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        again = start(server.url, "--trials", "6", "--workers", "2")
        assert ended(again) == 0, (run.folder / "log").read_text()
        assert whole(server.url, 6)
        engine.dispose()
        server.close()


def test_two_runs_of_one_study_share_its_budget(start: Callable[..., Run], folder: Path) -> None:
    """Started together, on one SQLite file that neither has made yet."""
    url = f"sqlite:///{folder}/a.db"
    runs = [start(url, "--trials", "10", "--workers", "2") for _ in range(2)]
    assert [ended(run) for run in runs] == [0, 0], (folder / "log").read_text()
    assert whole(url, 10)
    assert len(trials(url)) == 10


@pytest.mark.parametrize("attempt", range(20))
def test_eight_workers_run_exactly_sixteen_trials(
    start: Callable[..., Run], folder: Path, attempt: int
) -> None:
    """Twenty times over: neither one too many, nor one too few."""
    url = f"sqlite:///{folder}/a.db"
    short = ("--set", "settings={epochs: 2, pause: 0.0}")
    run = start(url, "--trials", "16", "--workers", "8", *short)
    assert ended(run) == 0, (folder / "log").read_text()
    assert [t.state.name for t in trials(url)] == ["COMPLETE"] * 16
    assert attempt in range(20)
