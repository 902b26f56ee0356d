"""search/studyfile/durations.py: times as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import UsageError
from search.studyfile import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("90", 90),
        ("1.5", 1.5),
        ("30m", 1800),
        ("30min", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("0.5h", 1800),
        ("2d", 172800),
    ],
)
def test_a_duration_is_a_number_with_a_unit_or_seconds(text: str, seconds: float) -> None:
    """As people write times."""
    assert durations.option(text) == seconds


@pytest.mark.parametrize(
    "text", ["-5", "-2h", "0", "0s", "", "h", "2x", "abc", "1h30", "nan", "inf"]
)
def test_what_is_no_time_above_zero_is_refused(text: str) -> None:
    """A negative one, none at all, an unknown unit, and `1h30`, which could mean two things."""
    with pytest.raises(UsageError) as caught:
        durations.option(text)
    assert str(caught.value) == (
        f"--timeout {text}: must be a time above zero, as in 45s, 30m or 2h"
    )


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_the_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    """For all hours, minutes and seconds."""
    total = hours * 3600 + minutes * 60 + seconds
    assert durations.option(f"{hours}h{minutes}m{seconds}s") == total


@given(st.text("0123456789.hmsd -", max_size=8))
def test_any_text_is_a_duration_above_zero_or_a_usage_error(text: str) -> None:
    """Nothing else, for any text."""
    with contextlib.suppress(UsageError):
        assert (durations.option(text) or 0) > 0
