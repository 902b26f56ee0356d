"""What training leaves in the process is put back after each test."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def subnormal_floats() -> Iterator[None]:
    """Training flushes them to zero for the whole process; other tests write and read them."""
    yield
    torch.set_flush_denormal(False)
