"""`run --data`: what the command hands on."""

from collections.abc import Callable
from typing import Any


def test_data_that_is_not_there_is_told_without_a_time_too(cli: Callable[..., Any]) -> None:
    """It once fell over without --timeout."""
    answer = cli("run", "--data", "nowhere")
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert "nowhere" in answer.err
