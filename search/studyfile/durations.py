"""Durations as people write them: `2h`, `1h30m`, `45s`."""

import math
import re

from search.errors import UsageError

_UNITS = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_UNIT, _NUMBER = "|".join(_UNITS), r"[0-9]+(?:\.[0-9]+)?"


def seconds(text: str) -> float:
    """Seconds of `2h`, `1h30m`, `45s` or `90` (seconds). Raises ValueError, with the rule."""
    whole_text = text + "s" if re.fullmatch(_NUMBER, text) else text
    whole = re.fullmatch(rf"(?:{_NUMBER}\s*(?:{_UNIT})\s*)+", whole_text)
    parts = re.findall(rf"({_NUMBER})\s*({_UNIT})", whole_text) if whole else []
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < total < math.inf:
        raise ValueError("must be a time above zero, as in 45s, 30m or 2h")
    return total


def option(text: str | None, option: str = "--timeout") -> float | None:
    """Seconds of an option, None where it was not given. Raises UsageError."""
    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error
