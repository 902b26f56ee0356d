"""What the tables of samplers and pruners share: names and options checked before anything runs."""

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import optuna
from pydantic import TypeAdapter, ValidationError

_OURS = {"self", "seed"}  # given by the study, not by an option
_PLAIN = {"int", "float", "bool", "str", "None"}
_DEPRECATED = {"constraints_func"}  # functions cannot stand in YAML


def problems(
    kind: str, table: Mapping[str, Callable[..., Any]], name: str, options: Mapping[str, Any]
) -> Iterator[str]:
    """Unknown names (with the nearest), unknown options (with the valid ones)."""
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        yield f"unknown {kind} '{name}'; {hint}one of: {', '.join(table)}"
        return
    known = set(inspect.signature(table[name]).parameters) - _OURS - _DEPRECATED
    for option in options:
        if option not in known:
            valid = ", ".join(sorted(known)) or "none"
            yield f"{kind} '{name}' has no option '{option}'; options: {valid}"
    wrong = list(_wrong_types(table[name], options))
    yield from (f"{kind} '{name}': {message}" for message in wrong)
    if options.keys() <= known and not wrong:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                table[name](**options)
        except (TypeError, ValueError) as error:
            yield f"{kind} '{name}': {error}"


def _wrong_types(builder: Callable[..., Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Options whose value is not of the annotated type, where that is one YAML can write."""
    parameters = inspect.signature(builder).parameters
    for option in options.keys() & parameters.keys():
        annotation = str(parameters[option].annotation)
        if set(annotation.split(" | ")) - _PLAIN:
            continue
        try:
            TypeAdapter(eval(annotation)).validate_python(options[option], strict=True)
        except ValidationError:
            yield f"option '{option}' must be {annotation}, got {options[option]!r}"
