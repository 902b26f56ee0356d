"""What the knobs are, told from the tables: the companion that `optsearch knobs` asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from typing import Any

from objectives import gates, knobs, named, own, policies, rules
from objectives.config import ABOUT, DEFAULTS, GROUPS, KNOBS
from objectives.datasets import SOURCES, validation_fraction
from objectives.losses import LOSSES
from objectives.networks import NETWORKS
from objectives.optimizers import OPTIMIZERS
from objectives.schedules import SCHEDULES

Described = dict[str, Any]
TORCHVISION, OWN_NETWORK = knobs.OTHER_NETWORKS
NOT_GIVEN = (MISSING, "", ())  # defaults that stand for something else, or for nothing


def describe() -> Described:
    """Plain values that JSON holds.

    groups: names in their order. knobs: a row each with name, group, about, default, own_defaults
    (by gate, of the choices that have another), required, may_be (in words), json_schema, parts
    (the schema of NAME.PART, where a part of it may stand by itself), always
    (read whatever is chosen) and read_by (by gate, the choices that read it). choices: for a knob
    with a table, each name's about, the knobs it reads, and the defaults that are its own.
    """
    choices = {
        "dataset": _datasets(),
        "auto_augment": {
            name: {"about": about, "reads": [*gates.GATES["auto_augment"](name)], "defaults": {}}
            for name, about in policies.NAMES.items()
        },
        "network": _networks(),
        "optimizer": _optimizers(),
        "schedule": {name: _choice(row.rates, row.reads) for name, row in SCHEDULES.items()},
        "loss": {name: _choice(row.function, row.reads) for name, row in LOSSES.items()},
    }
    return {
        "groups": [*GROUPS],
        "knobs": [_knob(name, choices) for name in KNOBS],
        "choices": choices,
    }


def _knob(name: str, choices: Mapping[str, Described]) -> Described:
    rule, default = knobs.RULES[name], DEFAULTS[name]
    return {
        "name": name,
        **ABOUT[name],
        "default": None if default in NOT_GIVEN else default,
        "own_defaults": {
            gate: own for gate, rows in choices.items() if (own := _own_defaults(name, rows))
        },
        "required": name in knobs.REQUIRED,
        "may_be": rule.words,
        "parts": rules.scalar.schema if name == "optimizer_args" else None,
        "json_schema": rule.schema,
        "always": name in gates.ALWAYS,
        "read_by": {
            gate: [choice for choice, row in choices[gate].items() if name in row["reads"]]
            if gate in choices
            else examples
            for gate, examples in gates.readers(name).items()
        },
    }


def _own_defaults(name: str, rows: Mapping[str, Described]) -> Described:
    return {
        choice: row["defaults"][name] for choice, row in rows.items() if name in row["defaults"]
    }


def _choice(
    function: Callable[..., Any], reads: Iterable[str], defaults: Mapping[str, Any] | None = None
) -> Described:
    """A row of a table; what it is says the first paragraph of its function."""
    about = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ").rstrip(".")
    return {"about": about, "reads": [*reads], "defaults": dict(defaults or {})}


def _optimizers() -> dict[str, Described]:
    rows = {
        name: _choice(row.build, ("lr", *row.reads), row.defaults)
        for name, row in OPTIMIZERS.items()
    }
    for name, module in zip(named.NAMES, named.MODULES, strict=True):
        about = f"any class of {module} that needs gradients alone; its defaults are its own"
        rows[name] = {"about": about, "reads": ["lr", *named.ANY], "defaults": {}}
    return rows


def _datasets() -> dict[str, Described]:
    def row(name: str, function: Callable[..., Any]) -> Described:
        own = {"validation": round(validation_fraction(name, None), 4)}
        return _choice(function, (), own)

    named = {name: row(name, source.decode) for name, source in SOURCES.items()}
    for name, kind in zip(own.NAMES, own.KINDS.values(), strict=True):
        named[name] = {**row(name, describe), "about": kind.about}
    return named


def _networks() -> dict[str, Described]:
    def reads(example: str) -> list[str]:
        read = gates.GATES["network"](example)
        return [name for name in KNOBS if name in read]

    return {
        **{name: _choice(row.features, reads(name)) for name, row in NETWORKS.items()},
        TORCHVISION: {
            "about": "torchvision's network of that name with a new last layer",
            "reads": reads("torchvision:resnet18"),
            "defaults": {},
        },
        OWN_NETWORK: {
            "about": "your own: a function that returns a torch.nn.Module; init if it declares it",
            "reads": ["init", "weights"],
            "defaults": {},
        },
    }
