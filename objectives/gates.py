"""Who reads which knob. **No dead knobs**: the tables of optimizers, schedules and losses name what
each choice reads; what nobody reads is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from objectives import named, networks, optimizers, own, policies
from objectives.config import DEFAULTS, KNOBS
from objectives.losses import LOSSES
from objectives.schedules import SCHEDULES

Values = Mapping[str, Any]


def _network_reads(value: Any) -> tuple[str, ...]:
    try:
        return tuple(networks.reads(str(value)))
    except (ValueError, OSError):
        return ("init", "weights", "freeze")  # an unknown network is an error of its own


def _row(table: Mapping[str, Any]) -> Callable[[Any], tuple[str, ...]]:
    return lambda value: table[value].reads if value in table else KNOBS


def _optimizer_reads(value: Any) -> tuple[str, ...]:
    if value in named.NAMES:
        return named.ANY
    try:
        return optimizers.row(value).reads
    except (KeyError, ValueError):
        return KNOBS  # an unknown name is an error of its own


# A gate is a knob whose value decides which other knobs are read.
GATES: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "dataset": lambda value: own.reads(str(value)),
    "image_size": lambda value: ("resize",) if value else (),
    "auto_augment": lambda value: ("num_ops", "magnitude") if value == "rand" else (),
    "optimizer": _optimizer_reads,
    "schedule": _row(SCHEDULES),
    "loss": _row(LOSSES),
    "network": _network_reads,
    "patience": lambda value: () if value is None else ("monitor", "min_delta"),
    "restore_best_weights": lambda value: ("monitor", "min_delta") if value else (),
}
EXAMPLES: dict[str, tuple[Any, ...]] = {
    "dataset": own.NAMES,
    "image_size": (64,),
    "auto_augment": tuple(policies.NAMES),
    "optimizer": (*optimizers.OPTIMIZERS, *named.NAMES),
    "schedule": tuple(SCHEDULES),
    "loss": tuple(LOSSES),
    "network": ("torchvision:resnet18", *networks.NETWORKS),
    "patience": (5,),
    "restore_best_weights": (True,),
}
ALWAYS = frozenset(
    [
        *("dataset", "data_dir", "validation", "split_seed", "image_size"),
        *("flip", "vertical_flip", "crop", "rotate", "auto_augment", "color_jitter"),
        *("cutout", "erase", "transform", "mixup", "cutmix", "normalize"),
        *("network", "optimizer", "schedule", "loss"),
        *(
            "clip_grad_norm",
            "drop_last",
            "sampling",
            "class_weight",
            "batch_size",
            "epochs",
            "score",
            "patience",
            "restore_best_weights",
            "precision",
            "deterministic",
        ),
    ]
)


def reads(values: Values) -> frozenset[str]:
    """Which knobs are read under the gates' values (a gate that is left out has its default)."""
    gates = (read(values.get(gate, DEFAULTS[gate])) for gate, read in GATES.items())
    return ALWAYS.union(*gates)


def readers(knob: str) -> dict[str, list[Any]]:
    """Which choices read a knob, such as {'optimizer': ['sgd', 'rmsprop']}."""
    found = {
        gate: [choice for choice in EXAMPLES[gate] if knob in read(choice)]
        for gate, read in GATES.items()
    }
    return {gate: chosen for gate, chosen in found.items() if chosen}


def dead(name: str, values: Values) -> str:
    """What to say of a knob that nobody reads under these values."""
    by = readers(name.partition(".")[0])
    gate = next(iter(by))
    choices = ", ".join(map(str, by[gate]))
    choice = values.get(gate, DEFAULTS[gate])
    if name.startswith(named.PREFIX) and named.is_named(choice):
        return named.unread(choice, name.removeprefix(named.PREFIX))
    return f"{gate} {choice} does not read it; it is read by {gate}: {choices}"
