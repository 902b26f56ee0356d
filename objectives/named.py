"""Any optimizer of two libraries by its class: torch.optim:NAME, pytorch_optimizer:NAME.

Arguments that are knobs here are read as those, with the class's own defaults; the others are given
by `optimizer_args`, checked against the signature. A class that needs more than gradients (a
closure, a model, second derivatives), or that cannot go on bitwise from its state, is refused.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, nn, optim

from objectives import stepping

if TYPE_CHECKING:
    from objectives.config import TrainConfig
    from objectives.optimizers import Extras, Trained

MODULES = ("torch.optim", "pytorch_optimizer")
NAMES = tuple(f"{module}:NAME" for module in MODULES)
PATTERN = r"^(torch\.optim|pytorch_optimizer):\w+$"
PREFIX = "optimizer_args."  # a parameter of the space is called optimizer_args.ARGUMENT
SAME = {  # arguments that are knobs, where their default is a number, or true or false
    "momentum": "momentum",
    "nesterov": "nesterov",
    "amsgrad": "amsgrad",
    "weight_decay": "weight_decay",
    "eps": "epsilon",
}
BETAS = ("beta1", "beta2", "beta3")
ANY = (  # what such a class may read, besides lr
    *("momentum", "nesterov", "weight_decay", "decay_norm_and_bias", "ema_decay"),
    *(*BETAS, "epsilon", "amsgrad", "optimizer_args"),
)
VALID: dict[str, Callable[[Any], bool]] = {  # as the knob's rule has it
    "momentum": lambda value: 0 <= value < 1,
    "nesterov": lambda value: isinstance(value, bool),
    "amsgrad": lambda value: isinstance(value, bool),
    "weight_decay": lambda value: value >= 0,
    "eps": lambda value: value > 0,
}
# What is not for a study to say: whose weights, the rate, how the device runs it, up or down.
OURS = ("params", "lr", "foreach", "fused", "capturable", "differentiable", "maximize")


def is_named(name: object) -> TypeGuard[str]:
    """Whether it is the name of a class of another library."""
    return isinstance(name, str) and name.startswith(tuple(f"{module}:" for module in MODULES))


@functools.cache
def found(name: str) -> Any:
    """The class. Raises ValueError for a name that is none, with the nearest."""
    module, _, wanted = name.partition(":")
    library = importlib.import_module(module)
    classes = {
        one: kind
        for one, kind in vars(library).items()
        if inspect.isclass(kind)
        and issubclass(kind, optim.Optimizer)
        and kind is not optim.Optimizer
    }
    if wanted not in classes:
        folded = {one.lower(): one for one in classes}
        near = get_close_matches(wanted.lower(), folded, 1)
        hint = f"did you mean {module}:{folded[near[0]]}?" if near else "see its documentation"
        raise ValueError(f"{module} has no optimizer {wanted!r}; {hint}")
    return classes[wanted]


@functools.cache
def defaults(name: str) -> dict[str, Any]:
    """The knobs that a class reads, with the defaults of its signature where it has them."""
    given = _known(name)
    read = {SAME[one]: value for one, value in given.items() if one in SAME}
    read |= zip(BETAS, given.get("betas", ()), strict=False)
    lr: Any = _signature(name).get("lr")
    return read | ({"lr": float(lr)} if _is_plain(lr) and lr > 0 else {})


@functools.cache
def reads(name: str) -> tuple[str, ...]:
    """The knobs and parameters that a class reads, besides lr."""
    known = {one for one in defaults(name) if one != "lr"} | {"optimizer_args"}
    known |= {"decay_norm_and_bias"} if "weight_decay" in known else set()
    known |= set() if stepping.averages(found(name)) else {"ema_decay"}
    return *(one for one in ANY if one in known), *(PREFIX + one for one in arguments(name))


@functools.cache
def arguments(name: str) -> dict[str, Any]:
    """The arguments that `optimizer_args` may give, with their defaults."""
    ours = {"self", *OURS, *_known(name)}
    return {one: value for one, value in _signature(name).items() if one not in ours}


@functools.cache
def _signature(name: str) -> dict[str, Any]:
    """Its arguments with their defaults."""
    listed = inspect.signature(found(name).__init__).parameters.values()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {one.name: one.default for one in listed if one.kind not in kinds}


@functools.cache
def _known(name: str) -> dict[str, Any]:
    """The arguments that are knobs, by their own names, with their defaults."""
    return {
        one: value
        for one, value in _signature(name).items()
        if (one in SAME and _is_plain(value) and VALID[one](value))
        or (one == "betas" and _are_betas(value))
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _are_betas(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and 2 <= len(value) <= 3
        and all(_is_plain(one) and 0 <= one < 1 for one in value)
    )


def build(parameters: Trained, config: TrainConfig, extras: Extras) -> optim.Optimizer:
    """The optimizer of a configuration that names a class."""
    read = _known(config.optimizer)
    given = {one: getattr(config, SAME[one]) for one in read if one in SAME}
    if "betas" in read:
        given["betas"] = tuple(getattr(config, one) for one in BETAS[: len(read["betas"])])
    given |= {one: _as_given(value) for one, value in (config.optimizer_args or {}).items()}
    made: optim.Optimizer = found(config.optimizer)(parameters, lr=extras["lr"], **given)
    return made


def _as_given(value: Any) -> Any:
    """YAML has lists where Python's signatures have tuples."""
    return tuple(value) if isinstance(value, list) else value


def unread(name: str, argument: str) -> str:
    """What to say of an argument that the class lacks, or that is not given there."""
    if argument in OURS:
        return f"{name} is given its {argument} by optsearch; remove it"
    if argument in _known(name):
        knob = SAME.get(argument, " and ".join(BETAS[: len(_known(name).get("betas", ()))]))
        return f"{argument} is a knob of its own: set {knob}"
    near = get_close_matches(argument, arguments(name), 1)
    told = f"did you mean {near[0]}?" if near else f"known: {', '.join(arguments(name)) or 'none'}"
    return f"{name} has no argument {argument}; {told}"


def wrong(name: str, args: Mapping[str, Any]) -> list[str]:
    """All that the signature alone says against a class with these arguments."""
    try:
        known = arguments(name)
    except ValueError as error:
        return [str(error)]
    if "lr" not in _signature(name):
        return [f"{name} takes no lr, so no schedule and no search can set it; use another"]
    found = [unread(name, argument) for argument in args if argument not in known]
    needed = [one for one, value in known.items() if value is inspect.Parameter.empty]
    missing = [one for one in needed if one not in args]
    return found + [f"{name} needs {one}; set {PREFIX}{one}" for one in missing]


def check(name: str, args: Mapping[str, Any]) -> None:
    """Raise ValueError where the class cannot be trained with here.

    Twelve steps of it are made on a few weights, once also from a state saved halfway.
    """
    if problems := wrong(name, args):
        raise ValueError("; ".join(problems))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _try(name, args)


def moments(name: str, args: Mapping[str, Any]) -> int:
    """Numbers that a class with these arguments keeps for each weight: counted on some weights,
    since no class says so."""
    weights = [torch.ones(16, 16, 3, 3)]
    given = {one: _as_given(value) for one, value in args.items()}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = functools.partial(found(name), lr=defaults(name).get("lr", 1e-3), **given)
        _, state = _stepped(make, weights, range(2))
    kept = sum(one.numel() for row in state["state"].values() for one in _tensors(row) if one.ndim)
    return math.ceil(kept / weights[0].numel())


def _tensors(kept: Any) -> Iterator[Tensor]:
    """All that an optimizer keeps, however it is nested."""
    if isinstance(kept, Tensor):
        yield kept
    elif isinstance(kept, Mapping):
        yield from (one for value in kept.values() for one in _tensors(value))
    elif isinstance(kept, list | tuple):
        yield from (one for value in kept for one in _tensors(value))


def _try(name: str, args: Mapping[str, Any]) -> None:
    given = {one: _as_given(value) for one, value in args.items()}
    make = functools.partial(found(name), lr=defaults(name).get("lr", 1e-3), **given)
    try:
        weights = [torch.ones(4, 2, 3, 3), torch.ones(4)]
        half, state = _stepped(make, weights, range(6))
        resumed, _ = _stepped(make, half, range(6, 12), state)
        whole, _ = _stepped(make, weights, range(12))
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{name} cannot be trained with here, where there are gradients alone: {why}; "
            "choose another, or set its optimizer_args"
        ) from error
    if not all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True)):
        raise ValueError(
            f"{name} does not go on from its saved state as if it had not been interrupted; "
            "choose another"
        )


def _stepped(
    make: Callable[[list[nn.Parameter]], optim.Optimizer],
    weights: list[Tensor],
    steps: range,
    state: dict[str, Any] | None = None,
) -> tuple[list[Tensor], dict[str, Any]]:
    """Some weights after these steps, and the state as a checkpoint gives it back."""
    trained = [nn.Parameter(one.clone()) for one in weights]
    optimizer = make(trained)
    if state is not None:
        stepping.restore(optimizer, state)
    for step in steps:
        torch.manual_seed(step)
        for one in trained:
            one.grad = torch.randn_like(one)
        stepping.stepper(optimizer)()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    kept = torch.load(file, weights_only=True)
    return [one.detach() for one in trained], kept
