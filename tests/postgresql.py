"""What tests do to a PostgreSQL server as its owner."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy


@contextmanager
def administer(url: str) -> Iterator[sqlalchemy.Connection]:
    """A connection whose statements each take effect at once, as CREATE DATABASE asks for."""
    parsed = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(parsed, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
