"""A study that has been run."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.search.cli.places import RUN

Cli = Callable[..., Any]


@pytest.fixture
def finished(cli: Cli) -> Cli:
    assert cli(*RUN).code == 0
    return cli
