"""What a value may be: each rule is a JSON Schema, the same in words, and the check of a value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """Called with a value, None or what must hold, as in `0 < value <= 1`."""

    words: str
    schema: dict[str, Any]
    holds: Callable[[Any], bool]
    hint: Callable[[Any], str] = lambda value: ""

    def __call__(self, value: Any) -> str | None:
        return None if self.holds(value) else self.words + self.hint(value)


def number(
    low: float, high: float = float("inf"), *, ends: str = "[]", whole: bool = False
) -> Rule:
    """A rule for numbers between low and high; `ends` says, as in mathematics, which are in."""
    above, below = ends[0] == "(", ends[1] == ")"

    def holds(value: Any) -> bool:
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        inside = right and not isinstance(value, bool) and low <= value <= high
        return inside and not (above and value == low) and not (below and value == high)

    words = f"{low:g} {'<' if above else '<='} value"
    schema = {"type": "integer" if whole else "number"}
    schema["exclusiveMinimum" if above else "minimum"] = low  # type: ignore[assignment]
    if high < float("inf"):
        words += f" {'<' if below else '<='} {high:g}"
        schema["exclusiveMaximum" if below else "maximum"] = high  # type: ignore[assignment]
    return Rule(f"a whole number, {words}" if whole else words, schema, holds)


def one_of(names: Iterable[str], others: Iterable[str] = (), pattern: str = "") -> Rule:
    """A rule for names, or for what looks like `pattern` (told as `others`); the nearest name is
    offered."""
    known = tuple(names)

    def holds(value: Any) -> bool:
        fits = bool(pattern) and isinstance(value, str) and re.search(pattern, value) is not None
        return value in known or fits

    def hint(value: Any) -> str:
        near = difflib.get_close_matches(str(value), known, 1)
        return f"; did you mean {near[0]}?" if near else ""

    words = f"one of: {', '.join([*known, *others])}"
    schema: dict[str, Any] = {"enum": [*known]}
    if pattern:
        schema = {"anyOf": [schema, {"type": "string", "pattern": pattern}]}
    return Rule(words, schema, holds, hint)


def named(names: Iterable[str], others: Iterable[str], pattern: str) -> Rule:
    """A rule for text: a known name, or one that looks like `pattern` (told as `others`).

    Whether a name is known is not checked here: who reads it says more.
    """
    known = [*names]
    schema = {"anyOf": [{"enum": known}, {"type": "string", "pattern": pattern}]}
    return Rule(f"one of: {', '.join([*known, *others])}", schema, _is_text)


def names(known: Iterable[str]) -> Rule:
    """A rule for a mapping from some of the known names to names of somebody else's."""
    listed = tuple(known)

    def holds(value: Any) -> bool:
        return isinstance(value, dict) and all(
            key in listed and _is_text(name) for key, name in value.items()
        )

    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in listed},
        "additionalProperties": False,
    }
    return Rule(
        f"names for some of {', '.join(listed)}, as in {{{listed[0]}: NAME}}", schema, holds
    )


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    if "enum" in rule.schema:
        schema = {"enum": [*rule.schema["enum"], None]}
    else:
        schema = {**rule.schema, "type": [rule.schema["type"], "null"]}
    words = f"{rule.words}, or null"
    return Rule(words, schema, lambda value: value is None or rule.holds(value), rule.hint)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_batch_size(value: Any) -> bool:
    return value == "full" or count.holds(value)


def _are_rates(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(positive.holds, value))


def _are_class_weights(value: Any) -> bool:
    if isinstance(value, Mapping):
        named = all(isinstance(name, str | int) for name in value)
        return bool(value) and named and all(map(positive.holds, value.values()))
    return value in ("none", "balanced")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _are_arguments(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and (_is_scalar(one) or (isinstance(one, list) and all(map(_is_scalar, one))))
        for name, one in value.items()
    )


positive, fraction = number(0, ends="()"), number(0, 1, ends="[)")
count, whole, natural = number(1, whole=True), number(0, whole=True), number(0, ends="[)")
flag = Rule("true or false", {"type": "boolean"}, lambda value: isinstance(value, bool))
text = Rule("text", {"type": "string", "minLength": 1}, _is_text)
batch_size = Rule(
    "a whole number of images, or full",
    {"anyOf": [count.schema, {"const": "full"}]},
    _is_batch_size,
)
rates = Rule(
    "a list of learning rates above 0, such as [1.0e-3, 1.0e-4, 1.0e-5]",
    {"type": "array", "items": positive.schema, "minItems": 1},
    _are_rates,
)
class_weights = Rule(
    "none, balanced, or weights above 0 by class, such as {cat: 2.0}",
    {
        "anyOf": [
            {"enum": ["none", "balanced"]},
            {"type": "object", "additionalProperties": positive.schema, "minProperties": 1},
        ]
    },
    _are_class_weights,
)
_SCALARS = ["number", "string", "boolean", "null"]
scalar = Rule("a number, text, true, false or null", {"type": _SCALARS}, _is_scalar)
arguments = Rule(
    "values by name, such as {alpha: 0.9}",
    {
        "type": "object",
        "additionalProperties": {"type": [*_SCALARS, "array"], "items": {"type": _SCALARS}},
    },
    _are_arguments,
)
