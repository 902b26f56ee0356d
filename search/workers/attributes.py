"""What an objective says of its trial. An attribute never costs a score."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import optuna

from search.record.budget import GRANTED, PAUSED_WORDS
from search.strategy import percentiles

# Names that this program writes and reads again, whatever an objective means by them.
OURS = ("configuration", "seed", "versions", PAUSED_WORDS, GRANTED)
PREFIX = "optsearch:"
# Those that an objective may write for the tables, figures and retries here, and as what.
KINDS: dict[str, type] = {
    "reason": str,
    "error": str,
    "device": str,
    "threads": int,
    "not_saved": str,
    "best_epoch": int,
    "stop_epoch": int,
    "epochs_planned": int,
    percentiles.HORIZON: int,
    "checkpointed": int,
    "resumed_from": int,
}
ASIDE = "objective:"  # before the name of what is kept without being read here
LONGEST_NAME = 512  # characters that a database has for one
_told: set[str] = set()  # a line for each name, not for each trial


class PlainAttributes(optuna.trial.BaseTrial):
    """A trial whose `set_user_attr` takes whatever people give it."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """As Optuna's, for values of NumPy, torch and others too. What has another meaning here is
        kept under ASIDE and its name, and what cannot be kept is dropped; a line says so."""
        try:
            name, plain = str(key), as_plain(value)
            json.dumps(plain)
        except Exception as error:  # whatever a value's own methods raise
            _tell(f"{key!r}", f"is dropped: no database can hold it ({error})")
            return
        if name in KINDS:
            plain = _as_kind(KINDS[name], plain)
        if why := _not_read(name, plain):
            _tell(f"'{name}'", f"is kept as '{ASIDE}{name}': {why}")
            name = ASIDE + name
        if len(name) > LONGEST_NAME:
            _tell(f"'{name[:40]}...'", f"is dropped: a name has at most {LONGEST_NAME} characters")
            return
        super().set_user_attr(name, plain)  # type: ignore[safe-super]  # a mixin


def is_ours(name: str) -> bool:
    """Whether no objective may write a trial's attribute of this name."""
    return name in OURS or name.startswith(PREFIX)


def as_plain(value: Any) -> Any:
    """A value as JSON has it: arrays and tensors as lists, their numbers as numbers, mappings and
    collections of such, and anything else as the text that it prints."""
    if callable(listed := getattr(value, "tolist", None)) and not isinstance(value, type):
        return as_plain(listed())  # NumPy, torch, pandas
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {_key(k): as_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(v) for v in value]
    return str(value)


def _key(key: Any) -> Any:
    """JSON has texts; `json` writes the numbers among the keys as such by itself."""
    return key if isinstance(key, str | int | float) or key is None else str(as_plain(key))


def _as_kind(kind: type, plain: Any) -> Any:
    """3.0 is an epoch too."""
    return int(plain) if kind is int and isinstance(plain, float) and plain.is_integer() else plain


def _not_read(name: str, plain: Any) -> str:
    """Why an attribute is not one that is read here under its name; "" where it is, or is free."""
    if is_ours(name):
        return "optsearch keeps its own under this name"
    kind = KINDS.get(name, object)
    if isinstance(plain, kind) and not (kind is int and isinstance(plain, bool)):
        return ""
    return f"under this name optsearch reads a {_WORDS[kind]}, got {_short(plain)}"


_WORDS = {str: "text", int: "whole number"}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _tell(name: str, what: str) -> None:
    if name not in _told:
        _told.add(name)
        # The command tells it with the trial's number. An objective may make errors of warnings.
        logging.getLogger(__name__).warning("user attribute %s %s", name, what)
