"""What each knob may be: settings and parameters -> `TrainConfig`.

Fixed settings and trial parameters share one set of names. Who reads which is told by gates.py.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from objectives import (
    datasets,
    gates,
    named,
    networks,
    optimizers,
    own,
    policies,
    resizing,
    rules,
    scores,
)
from objectives.columns import COLUMNS
from objectives.config import DEFAULTS, KNOBS, TrainConfig
from objectives.losses import LOSSES
from objectives.optimizers import OPTIMIZERS
from objectives.schedules import SCHEDULES

Values = Mapping[str, Any]
REQUIRED = ("dataset", "network")
LATER = (  # knobs that the first version did not have
    *("resize", "skip_broken", "columns", "sampling", "class_weight", "decay_norm_and_bias"),
    *("clip_grad_norm", "drop_last", "ema_decay", "mixup", "cutmix"),
    *(
        "vertical_flip",
        "rotate",
        "auto_augment",
        "color_jitter",
        "erase",
        "transform",
        "optimizer_args",
    ),
)
SCORES = ("val_accuracy", "val_loss", *(f"val_{name}" for name in scores.SCORES))
MONITORS = (*scores.BASIC, *scores.IN_TRAINING, *SCORES)
NEVER_ZERO = {name for row in OPTIMIZERS.values() for name in row.above_zero}
OTHER_NETWORKS = ("torchvision:NAME", "./file.py:function")


# What a value may be -------------------------------------------------------------------------

RULES: dict[str, rules.Rule] = {
    "dataset": rules.named(datasets.SOURCES, own.NAMES, f"^({'|'.join(own.KINDS)}):"),
    "data_dir": rules.optional(rules.text),
    "validation": rules.optional(rules.number(0, 1, ends="()")),
    "split_seed": rules.whole,
    "image_size": rules.optional(rules.count),
    "resize": rules.optional(rules.one_of(resizing.WAYS)),
    "skip_broken": rules.flag,
    "columns": rules.optional(rules.names(COLUMNS)),
    "flip": rules.flag,
    "vertical_flip": rules.flag,
    "crop": rules.whole,
    "rotate": rules.number(0, 180),
    "auto_augment": rules.one_of(policies.NAMES),
    "num_ops": rules.count,
    "magnitude": rules.number(0, policies.BINS - 1, whole=True),
    "color_jitter": rules.natural,
    "cutout": rules.whole,
    "erase": rules.number(0, 1),
    "transform": rules.optional(rules.text),
    "mixup": rules.natural,
    "cutmix": rules.natural,
    "normalize": rules.flag,
    "sampling": rules.one_of(("natural", "balanced")),
    "network": rules.named(networks.NETWORKS, OTHER_NETWORKS, ":"),
    "init": rules.one_of(("keras", "torch")),
    "weights": rules.named(("none", "default"), ("FILE",), "."),
    "freeze": rules.one_of(("none", "backbone")),
    "optimizer": rules.one_of(OPTIMIZERS, named.NAMES, named.PATTERN),
    "lr": rules.positive,
    "momentum": rules.fraction,
    "nesterov": rules.flag,
    "weight_decay": rules.natural,
    "decay_norm_and_bias": rules.flag,
    "ema_decay": rules.optional(rules.number(0, 1, ends="()")),
    "clip_grad_norm": rules.optional(rules.positive),
    "rho": rules.fraction,
    "centered": rules.flag,
    "beta1": rules.fraction,
    "beta2": rules.fraction,
    "beta3": rules.fraction,
    "epsilon": rules.positive,
    "amsgrad": rules.flag,
    "momentum_decay": rules.natural,
    "initial_accumulator": rules.natural,
    "final_lr": rules.positive,
    "d_coef": rules.positive,
    "optimizer_args": rules.optional(rules.arguments),
    "schedule": rules.one_of(SCHEDULES),
    "warmup_epochs": rules.natural,
    "lr_decay": rules.natural,
    "step_size": rules.count,
    "gamma": rules.number(0, 1, ends="(]"),
    "min_lr": rules.natural,
    "t_0": rules.count,
    "t_mult": rules.count,
    "step_size_up": rules.positive,
    "cycle_mode": rules.one_of(("triangular", "triangular2")),
    "div_factor": rules.number(1, ends="()"),
    "pct_start": rules.fraction,
    "final_div_factor": rules.number(1, ends="[)"),
    "factor": rules.number(0, 1, ends="()"),
    "plateau_patience": rules.whole,
    "phases": rules.rates,
    "loss": rules.one_of(LOSSES),
    "label_smoothing": rules.fraction,
    "margin": rules.positive,
    "focal_gamma": rules.natural,
    "class_weight": rules.class_weights,
    "batch_size": rules.batch_size,
    "drop_last": rules.flag,
    "epochs": rules.count,
    "score": rules.one_of(SCORES),
    "monitor": rules.one_of(MONITORS),
    "patience": rules.optional(rules.whole),
    "min_delta": rules.natural,
    "restore_best_weights": rules.flag,
    "precision": rules.one_of(("auto", "float32", "bfloat16", "float16")),
    "deterministic": rules.flag,
}


def rule(name: str) -> rules.Rule | None:
    """What a knob may be, or an argument of an optimizer by itself; None of an unknown name."""
    return rules.scalar if name.startswith(named.PREFIX) else RULES.get(name)


# What people call it who come from elsewhere, where no letters are alike.
CALLED = {
    "augmentation": "flip, crop, auto_augment",
    "augment": "flip, crop, auto_augment",
    "randaugment": "auto_augment: rand",
    "trivialaugment": "auto_augment: trivial",
    "horizontal_flip": "flip",
    "degrees": "rotate",
    "random_erasing": "erase",
    "reprob": "erase",
    "jitter": "color_jitter",
    "mixup_alpha": "mixup",
    "cutmix_alpha": "cutmix",
    "transforms": "transform, auto_augment or normalize",
    "learning_rate": "lr",
    "scheduler": "schedule",
    "model": "network",
    "architecture": "network",
    "criterion": "loss",
    "decay": "weight_decay or lr_decay",
    "pos_weight": "class_weight",
    "alpha": "class_weight",
    "oversample": "sampling",
    "sampler": "sampling",
    "early_stopping": "patience",
    "resolution": "image_size",
    "max_norm": "clip_grad_norm",
    "ema": "ema_decay",
    "model_ema": "ema_decay",
    "polyak": "ema_decay",
    "clipnorm": "clip_grad_norm",
    "no_decay": "decay_norm_and_bias",
    "mixed_precision": "precision",
    "amp": "precision",
    "cudnn_benchmark": "deterministic",
    "reproducible": "deterministic",
    "metric": "score",
    "data": "dataset",
}


def unknown(name: str) -> str:
    """What to say of a knob that is not there."""
    if meant := CALLED.get(name.lower()):
        return f"unknown name; did you mean {meant}?"
    near = difflib.get_close_matches(name, KNOBS, 1)
    return "unknown name; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(KNOBS)}")


def wrong_value(name: str, value: Any) -> str | None:
    """What to say of a value outside its knob's range; None where it is fine, or of no knob."""
    known = rule(name)
    must = known(value) if known else None
    if must is None:
        return None
    if must.startswith("one of"):
        return f"unknown {name} {value!r}; {must}"
    return f"must be {must}, got {value!r}"


def wrong_length(values: Values) -> tuple[str, str] | None:
    """The knob, and what to say, where a schedule's length contradicts the epochs; else None."""
    full = {**DEFAULTS, **values}
    read, epochs = gates.reads(full), full["epochs"]
    warmup = full["warmup_epochs"] if "warmup_epochs" in read else 0
    if warmup >= epochs:
        return "warmup_epochs", f"warmup_epochs < epochs must hold, got {warmup} and {epochs}"
    for knob in ("step_size", "step_size_up", "t_0"):
        too_long = operator.gt if knob == "t_0" else operator.ge  # a period may fill the epochs
        if knob in read and too_long(full[knob], epochs - warmup):
            after = f" after a warm-up of {warmup}" if warmup else ""
            return knob, f"{knob} {full[knob]} is too long for {epochs} epochs{after}"
    return None


def wrong_zeros(values: Values) -> dict[str, str]:
    """The knobs, and what to say, that are 0 where the optimizer cannot do with it."""
    optimizer = values.get("optimizer", DEFAULTS["optimizer"])
    if named.is_named(optimizer):
        return {}
    return {
        name: f"{name} > 0 must hold under {optimizer}, got {values[name]}"
        for name in OPTIMIZERS[optimizer].above_zero
        if values.get(name) == 0
    }


def optimizer_args(values: Values) -> dict[str, Any]:
    """The arguments that are given together and those that are given by themselves."""
    alone = {
        name.removeprefix(named.PREFIX): value
        for name, value in values.items()
        if name.startswith(named.PREFIX)
    }
    return {**(values.get("optimizer_args") or {}), **alone}


def configure(settings: Values, params: Values) -> TrainConfig:
    """Settings and a trial's parameters -> one configuration, every default filled in.

    Raises ValueError, in one line, for all that is wrong with it.
    """
    if problems := [f"{path}: {message}" for path, message in _problems(settings, params)]:
        raise ValueError("; ".join(problems))
    given = {**settings, **params}
    row = optimizers.row(given.get("optimizer", DEFAULTS["optimizer"]))
    values = {name: value for name, value in {**row.defaults, **given}.items() if name in KNOBS}
    values["optimizer_args"] = optimizer_args(given) or None
    values["monitor"] = given.get("monitor") or given.get("score", DEFAULTS["score"])
    if isinstance(by_class := given.get("class_weight"), Mapping):
        values["class_weight"] = {str(name): weight for name, weight in by_class.items()}
    values["phases"] = tuple(given.get("phases", ()))
    return TrainConfig(**values)


def _problems(settings: Values, params: Values) -> Iterable[tuple[str, str]]:
    given = {**settings, **params}
    for place, values in (("settings", settings), ("params", params)):
        for name, value in values.items():
            if message := wrong_value(name, value) if rule(name) else unknown(name):
                yield f"{place}.{name}", message
    yield from (
        (f"params.{name}", "is a setting too; keep one") for name in settings if name in params
    )
    yield from ((f"settings.{name}", "is missing") for name in REQUIRED if not given.get(name))
    read = gates.reads(given)
    yield from (
        (f"params.{name}", gates.dead(name, given))
        for name in params
        if rule(name) and name not in read
    )
    if "phases" in read and not given.get("phases"):
        yield "settings.phases", "is missing; schedule phases needs its learning rates"
    if any(wrong_value(name, value) for name, value in given.items()):
        return
    if named.is_named(optimizer := given.get("optimizer")):
        place = "params" if "optimizer" in params else "settings"
        for message in named.wrong(optimizer, optimizer_args(given)):
            yield f"{place}.optimizer", message
    contradictions = wrong_zeros(given)
    if wrong := wrong_length(given):
        contradictions[wrong[0]] = wrong[1]
    for name, message in contradictions.items():
        yield f"{'params' if name in params else 'settings'}.{name}", message


def as_dict(config: TrainConfig) -> dict[str, Any]:
    """The knobs that are read, in the order of the groups; plain values that YAML and JSON hold.

    A knob of LATER is told where it is not at its default alone: then what an earlier version wrote
    of the same configuration is equal, and goes on.
    """
    values = {name: getattr(config, name) for name in KNOBS}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name in gates.reads(values) and not (name in LATER and value == DEFAULTS[name])
    }
