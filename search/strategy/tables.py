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


def schema(table: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """The JSON Schema of such a component: a name, or a mapping of its name and its options."""
    names = [*table]
    branches = [
        {
            "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
            "then": {"properties": _options(builder), "additionalProperties": False},
        }
        for name, builder in table.items()
    ]
    named = {"type": "object", "properties": {"name": {"enum": names}}, "required": ["name"]}
    return {"anyOf": [{"enum": names}, {**named, "allOf": branches}]}


def _options(builder: Callable[..., Any]) -> dict[str, Any]:
    """Each option's JSON Schema, as far as its annotation and its default tell."""
    found: dict[str, Any] = {"name": True}
    for option, parameter in inspect.signature(builder).parameters.items():
        if option in _OURS | _DEPRECATED:
            continue
        kind = _plain_type(parameter)
        found[option] = TypeAdapter(kind).json_schema() if kind is not None else {}
        if isinstance(parameter.default, bool | int | float | str):
            found[option]["default"] = parameter.default
    return found


def _plain_type(parameter: inspect.Parameter) -> Any:
    """The annotated type, where it is one that YAML can write; else None."""
    annotation = str(parameter.annotation)
    return None if set(annotation.split(" | ")) - _PLAIN else eval(annotation)


def _wrong_types(builder: Callable[..., Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Options whose value is not of the annotated type, where that is one YAML can write."""
    parameters = inspect.signature(builder).parameters
    for option in options.keys() & parameters.keys():
        kind = _plain_type(parameters[option])
        if kind is None:
            continue
        try:
            TypeAdapter(kind).validate_python(options[option], strict=True)
        except ValidationError:
            annotation = parameters[option].annotation
            yield f"option '{option}' must be {annotation}, got {options[option]!r}"
