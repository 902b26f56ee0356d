"""What the knobs are, told from the tables: the companion that `optsearch knobs` asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from typing import Any

from objectives import knobs
from objectives.config import ABOUT, DEFAULTS, GROUPS, KNOBS
from objectives.datasets import SOURCES, validation_fraction
from objectives.losses import LOSSES
from objectives.networks import NETWORKS
from objectives.optimizers import OPTIMIZERS
from objectives.schedules import SCHEDULES

Described = dict[str, Any]
# How values that stand for many are told: of a gate's examples, of a default that is filled in.
TORCHVISION, OWN_NETWORK = knobs.OTHER_NETWORKS
WORDS = {"torchvision:resnet18": TORCHVISION, 5: "set", True: "true"}
NOT_GIVEN = (MISSING, "", ())


def describe() -> Described:
    """Plain values that JSON holds.

    groups: names in their order. knobs: a row each with name, group, about, default, required,
    may_be (in words), json_schema, always (read whatever is chosen) and read_by (by gate, the
    choices that read it). choices: for a knob with a table, each name's about, the knobs it
    reads, and the defaults that are its own.
    """
    return {
        "groups": [*GROUPS],
        "knobs": [_knob(name) for name in KNOBS],
        "choices": {
            "dataset": _datasets(),
            "network": _networks(),
            "optimizer": {
                name: _choice(row.build, ("lr", *row.reads), row.defaults)
                for name, row in OPTIMIZERS.items()
            },
            "schedule": {name: _choice(row.rates, row.reads) for name, row in SCHEDULES.items()},
            "loss": {name: _choice(row.function, row.reads) for name, row in LOSSES.items()},
        },
    }


def _knob(name: str) -> Described:
    rule, default = knobs.RULES[name], DEFAULTS[name]
    return {
        "name": name,
        **ABOUT[name],
        "default": None if default in NOT_GIVEN else default,
        "required": name in knobs.REQUIRED,
        "may_be": rule.words,
        "json_schema": rule.schema,
        "always": name in knobs.ALWAYS,
        "read_by": {
            gate: [WORDS.get(choice, choice) for choice in chosen]
            for gate, chosen in knobs.readers(name).items()
        },
    }


def _choice(
    function: Callable[..., Any], reads: Iterable[str], defaults: Mapping[str, Any] | None = None
) -> Described:
    """A row of a table; what it is says the first paragraph of its function."""
    about = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ").rstrip(".")
    return {"about": about, "reads": [*reads], "defaults": dict(defaults or {})}


def _datasets() -> dict[str, Described]:
    def row(name: str, function: Callable[..., Any]) -> Described:
        own = {"validation": round(validation_fraction(name, None), 4)}
        return _choice(function, (), own)

    named = {name: row(name, source.decode) for name, source in SOURCES.items()}
    about = "your own images: PATH/train/CLASS/* and PATH/test/CLASS/*"
    return {**named, "folder:PATH": {**row("folder:PATH", describe), "about": about}}


def _networks() -> dict[str, Described]:
    def reads(example: str) -> list[str]:
        read = knobs.GATES["network"](example)
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
