"""Warnings of Python's, each with the line of whoever has called us, however deep it arises."""

import sys
import warnings

from search.api import words

_OURS = ("search", "contextlib")  # `words.spoken()` stands between


def warn(message: str) -> None:
    """Warn, in Python's words."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(words.python(message.removeprefix("warning: ")), stacklevel=level)
