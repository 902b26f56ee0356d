"""What each knob may be and who reads it: settings and parameters -> `TrainConfig`.

Fixed settings and trial parameters share one set of names. **No dead knobs**: the tables of
optimizers, schedules and losses name what each choice reads; what nobody reads is an error.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from objectives import networks
from objectives.config import DEFAULTS, KNOBS, TrainConfig
from objectives.losses import LOSSES
from objectives.optimizers import OPTIMIZERS
from objectives.schedules import SCHEDULES

Values = Mapping[str, Any]
REQUIRED = ("dataset", "network")
LATER = ("skip_broken",)  # knobs that the first version did not have
MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")
SCORES = ("val_accuracy", "val_loss")


# What a value may be: each rule returns None or what must hold -------------------------------

Rule = Callable[[Any], str | None]


def number(
    low: float, high: float = float("inf"), *, ends: str = "[]", whole: bool = False
) -> Rule:
    """A rule for numbers between low and high; `ends` says, as in mathematics, which are in."""

    def rule(value: Any) -> str | None:
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        inside = right and not isinstance(value, bool) and low <= value <= high
        inside = inside and not (ends[0] == "(" and value == low)
        inside = inside and not (ends[1] == ")" and value == high)
        below = f" {'<' if ends[1] == ')' else '<='} {high:g}" if high < float("inf") else ""
        above = f"{low:g} {'<' if ends[0] == '(' else '<='} "
        return None if inside else f"{'a whole number, ' if whole else ''}{above}it{below}"

    return rule


def one_of(names: Iterable[str]) -> Rule:
    """A rule for names; the nearest is offered."""
    known = tuple(names)

    def rule(value: Any) -> str | None:
        if value in known:
            return None
        near = difflib.get_close_matches(str(value), known, 1)
        return f"one of: {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")

    return rule


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    return lambda value: None if value is None else rule(value)


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "text"


def _batch_size(value: Any) -> str | None:
    rule = number(1, whole=True)
    return None if value == "full" or rule(value) is None else "a whole number of images, or full"


def _phases(value: Any) -> str | None:
    fine = isinstance(value, list | tuple) and value
    if fine and all(
        isinstance(lr, int | float) and not isinstance(lr, bool) and lr > 0 for lr in value
    ):
        return None
    return "a list of learning rates above 0, such as [1.0e-3, 1.0e-4, 1.0e-5]"


_POSITIVE, _FRACTION = number(0, ends="()"), number(0, 1, ends="[)")
_COUNT, _WHOLE, _NATURAL = number(1, whole=True), number(0, whole=True), number(0, ends="[)")
RULES: dict[str, Rule] = {
    "dataset": _text,
    "data_dir": optional(_text),
    "validation": optional(number(0, 1, ends="()")),
    "split_seed": _WHOLE,
    "image_size": optional(_COUNT),
    "skip_broken": _flag,
    "flip": _flag,
    "crop": _WHOLE,
    "cutout": _WHOLE,
    "normalize": _flag,
    "network": _text,
    "init": one_of(("keras", "torch")),
    "weights": _text,
    "freeze": one_of(("none", "backbone")),
    "optimizer": one_of(OPTIMIZERS),
    "lr": _POSITIVE,
    "momentum": _FRACTION,
    "nesterov": _flag,
    "weight_decay": _NATURAL,
    "rho": _FRACTION,
    "centered": _flag,
    "beta1": _FRACTION,
    "beta2": _FRACTION,
    "epsilon": _POSITIVE,
    "amsgrad": _flag,
    "momentum_decay": _NATURAL,
    "initial_accumulator": _NATURAL,
    "final_lr": _POSITIVE,
    "schedule": one_of(SCHEDULES),
    "warmup_epochs": _NATURAL,
    "lr_decay": _NATURAL,
    "step_size": _COUNT,
    "gamma": number(0, 1, ends="(]"),
    "min_lr": _NATURAL,
    "t_0": _COUNT,
    "t_mult": _COUNT,
    "step_size_up": _POSITIVE,
    "cycle_mode": one_of(("triangular", "triangular2")),
    "div_factor": number(1, ends="()"),
    "pct_start": _FRACTION,
    "final_div_factor": number(1, ends="[)"),
    "factor": number(0, 1, ends="()"),
    "plateau_patience": _WHOLE,
    "phases": _phases,
    "loss": one_of(LOSSES),
    "label_smoothing": _FRACTION,
    "margin": _POSITIVE,
    "batch_size": _batch_size,
    "epochs": _COUNT,
    "score": one_of(SCORES),
    "monitor": one_of(MONITORS),
    "patience": optional(_WHOLE),
    "min_delta": _NATURAL,
    "restore_best_weights": _flag,
    "precision": one_of(("auto", "float32", "bfloat16")),
}


# Who reads what --------------------------------------------------------------------------------


def _network_reads(value: Any) -> tuple[str, ...]:
    try:
        return tuple(networks.reads(str(value)))
    except (ValueError, OSError):
        return ("init", "weights", "freeze")  # an unknown network is an error of its own


def _row(table: Mapping[str, Any]) -> Callable[[Any], tuple[str, ...]]:
    return lambda value: table[value].reads if value in table else KNOBS


# A gate is a knob whose value decides which other knobs are read.
GATES: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "dataset": lambda value: ("skip_broken",) if str(value).startswith("folder:") else (),
    "optimizer": _row(OPTIMIZERS),
    "schedule": _row(SCHEDULES),
    "loss": _row(LOSSES),
    "network": _network_reads,
    "patience": lambda value: () if value is None else ("monitor", "min_delta"),
    "restore_best_weights": lambda value: ("monitor", "min_delta") if value else (),
}
EXAMPLES: dict[str, tuple[Any, ...]] = {
    "dataset": ("folder:PATH",),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
    "loss": tuple(LOSSES),
    "network": ("torchvision:resnet18", *networks.NETWORKS),
    "patience": (5,),
    "restore_best_weights": (True,),
}
ALWAYS = frozenset(
    [
        *("dataset", "data_dir", "validation", "split_seed", "image_size"),
        *("flip", "crop", "cutout", "normalize", "network", "optimizer", "schedule", "loss"),
        *("batch_size", "epochs", "score", "patience", "restore_best_weights", "precision"),
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


def unknown(name: str) -> str:
    """What to say of a knob that is not there."""
    near = difflib.get_close_matches(name, KNOBS, 1)
    return "unknown name; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(KNOBS)}")


def wrong_value(name: str, value: Any) -> str | None:
    """What to say of a value outside its knob's range; None where it is fine."""
    must = RULES[name](value)
    if must is None:
        return None
    if must.startswith("one of"):
        return f"unknown {name} {value!r}; {must}"
    return f"must be {must.replace('<= it', '<= value').replace('< it', '< value')}, got {value!r}"


def wrong_length(values: Values) -> tuple[str, str] | None:
    """The knob, and what to say, where a schedule's length contradicts the epochs; else None."""
    full = {**DEFAULTS, **values}
    read, epochs = reads(full), full["epochs"]
    warmup = full["warmup_epochs"] if "warmup_epochs" in read else 0
    if warmup >= epochs:
        return "warmup_epochs", f"warmup_epochs < epochs must hold, got {warmup} and {epochs}"
    for knob in ("step_size", "step_size_up", "t_0"):
        too_long = operator.gt if knob == "t_0" else operator.ge  # a period may fill the epochs
        if knob in read and too_long(full[knob], epochs - warmup):
            after = f" after a warm-up of {warmup}" if warmup else ""
            return knob, f"{knob} {full[knob]} is too long for {epochs} epochs{after}"
    return None


def configure(settings: Values, params: Values) -> TrainConfig:
    """Settings and a trial's parameters -> one configuration, every default filled in.

    Raises ValueError, in one line, for all that is wrong with it.
    """
    if problems := [f"{path}: {message}" for path, message in _problems(settings, params)]:
        raise ValueError("; ".join(problems))
    given = {**settings, **params}
    row = OPTIMIZERS[given.get("optimizer", DEFAULTS["optimizer"])]
    values = {**row.defaults, **given}
    values["monitor"] = given.get("monitor") or given.get("score", DEFAULTS["score"])
    values["phases"] = tuple(given.get("phases", ()))
    return TrainConfig(**values)


def _problems(settings: Values, params: Values) -> Iterable[tuple[str, str]]:
    given = {**settings, **params}
    for place, values in (("settings", settings), ("params", params)):
        for name, value in values.items():
            if message := wrong_value(name, value) if name in RULES else unknown(name):
                yield f"{place}.{name}", message
    yield from (
        (f"params.{name}", "is a setting too; keep one") for name in settings if name in params
    )
    yield from ((f"settings.{name}", "is missing") for name in REQUIRED if not given.get(name))
    read = reads(given)
    yield from (
        (f"params.{name}", dead(name, given))
        for name in params
        if name in RULES and name not in read
    )
    if "phases" in read and not given.get("phases"):
        yield "settings.phases", "is missing; schedule phases needs its learning rates"
    if all(wrong_value(name, value) is None for name, value in given.items() if name in RULES) and (
        wrong := wrong_length(given)
    ):
        yield f"{'params' if wrong[0] in params else 'settings'}.{wrong[0]}", wrong[1]


def dead(name: str, values: Values) -> str:
    """What to say of a knob that nobody reads under these values."""
    by = readers(name)
    gate = next(iter(by))
    choices = ", ".join(map(str, by[gate]))
    choice = values.get(gate, DEFAULTS[gate])
    return f"{gate} {choice} does not read it; it is read by {gate}: {choices}"


def as_dict(config: TrainConfig) -> dict[str, Any]:
    """The knobs that are read, in the order of the groups; plain values that YAML and JSON hold.

    A knob of LATER is told where it is not at its default alone: then what an earlier version wrote
    of the same configuration is equal, and goes on.
    """
    values = {name: getattr(config, name) for name in KNOBS}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name in reads(values) and not (name in LATER and value == DEFAULTS[name])
    }
