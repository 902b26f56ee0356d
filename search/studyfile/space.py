"""The search space of a study file: float, int and choice parameters with `log`, `step`, `when`."""

import warnings
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import optuna
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Scalar: TypeAlias = bool | int | float | str | None
When: TypeAlias = dict[str, list[Scalar]]


# Of all models of a study file: what they have not is refused, and editors see their docstrings.
STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)


class _Parameter(BaseModel):
    model_config = STRICT
    when: When | None = None
    """Active only while each named parameter has one of these values."""


class FloatParameter(_Parameter):
    """`{float: [low, high], log: true}`, or `step: 0.1` in place of `log`; both ends included."""

    range: Annotated[tuple[float, float], Field(alias="float", strict=False)]
    log: bool = False
    step: float | None = None


class IntParameter(_Parameter):
    """`{int: [low, high], log: true}`, or `step: 2` in place of `log`; both ends included."""

    range: Annotated[tuple[int, int], Field(alias="int", strict=False)]
    log: bool = False
    step: int | None = None


class ChoiceParameter(_Parameter):
    """`{choice: [a, b, c]}`."""

    choice: Annotated[list[Scalar], Field(min_length=1)]


def _kind(value: Any) -> str:
    if isinstance(value, _Parameter):
        return {"FloatParameter": "float", "IntParameter": "int"}.get(
            type(value).__name__, "choice"
        )
    kinds = [k for k in ("float", "int", "choice") if isinstance(value, dict) and k in value]
    return kinds[0] if len(kinds) == 1 else "none"


Parameter: TypeAlias = Annotated[
    Annotated[FloatParameter, Tag("float")]
    | Annotated[IntParameter, Tag("int")]
    | Annotated[ChoiceParameter, Tag("choice")],
    Discriminator(_kind),
]
Space: TypeAlias = dict[str, Parameter]
Problem: TypeAlias = tuple[tuple[str | int, ...], str]  # (path below the space, message)


def ordered(space: Space) -> list[str]:
    """Names with every parameter after those that its `when` names; ValueError on a cycle."""
    done: list[str] = []
    pending = list(space)
    while pending:
        ready = [n for n in pending if all(p in done for p in space[n].when or {})]
        if not ready:
            raise ValueError(f"`when` must not go in a circle, got {', '.join(sorted(pending))}")
        done += ready
        pending = [n for n in pending if n not in ready]
    return done


def is_active(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    """Whether `when` holds under the parameters chosen so far."""
    return all(
        name in params and params[name] in values for name, values in (parameter.when or {}).items()
    )


def distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """The Optuna distribution of a parameter that `problems` finds nothing wrong with."""
    if isinstance(parameter, ChoiceParameter):
        return optuna.distributions.CategoricalDistribution(tuple(parameter.choice))
    low, high = parameter.range
    with warnings.catch_warnings():  # that its steps end before its end is told by `notes`
        warnings.simplefilter("ignore", UserWarning)
        if isinstance(parameter, FloatParameter):
            return optuna.distributions.FloatDistribution(
                low, high, log=parameter.log, step=parameter.step
            )
        return optuna.distributions.IntDistribution(
            int(low), int(high), log=parameter.log, step=parameter.step or 1
        )


def step_of(parameter: FloatParameter | IntParameter) -> float | None:
    """The distance of two values; None where there is none."""
    return parameter.step or (1 if isinstance(parameter, IntParameter) else None)


def last(parameter: FloatParameter | IntParameter) -> float:
    """The largest value of a range: its end, or the last that its steps come to."""
    low, high = parameter.range
    if parameter.step is None:
        return high
    first, end, step = (Decimal(str(n)) for n in (low, high, parameter.step))
    return type(high)(first + (end - first) // step * step)


def notes(space: Space) -> Iterator[Problem]:
    """What is right, and may be another thing than was meant."""
    for name, parameter in space.items():
        if isinstance(parameter, ChoiceParameter) or last(parameter) == parameter.range[1]:
            continue
        low, high = parameter.range
        message = f"step {parameter.step} does not divide [{low}, {high}]; "
        yield (name, "step"), message + f"the last value is {last(parameter)}"


def suggest(trial: optuna.trial.BaseTrial, space: Space) -> dict[str, Any]:
    """Draw every active parameter, parents first."""
    params: dict[str, Any] = {}
    for name in ordered(space):
        parameter = space[name]
        if not is_active(parameter, params):
            continue
        if isinstance(parameter, ChoiceParameter):
            params[name] = trial.suggest_categorical(name, parameter.choice)
            continue
        low, high = parameter.range[0], last(parameter)
        if isinstance(parameter, FloatParameter):
            params[name] = trial.suggest_float(
                name, low, high, log=parameter.log, step=parameter.step
            )
        else:
            params[name] = trial.suggest_int(
                name, int(low), int(high), log=parameter.log, step=parameter.step or 1
            )
    return params


def of_configurations(listed: list[dict[str, Any]]) -> Space:
    """Enumerated configurations as a space: each parameter's choices are the values it takes.

    Lists are left out: they cannot be Optuna parameters, and travel as settings of their trial.
    """
    choices: dict[str, list[Scalar]] = {}
    for params in listed:
        for name, value in params.items():
            known = choices.setdefault(name, []) if not isinstance(value, list) else [value]
            if not any(type(v) is type(value) and v == value for v in known):
                known.append(value)
    return {name: ChoiceParameter(choice=values) for name, values in choices.items()}


def problems(space: Space) -> Iterator[Problem]:
    """Everything wrong with the space that its types allow."""
    for name, parameter in space.items():
        if isinstance(parameter, ChoiceParameter):
            if len(set(parameter.choice)) < len(parameter.choice):
                message = "choices must differ, and 1, 1.0 and true are one to Optuna; got "
                message += f"{parameter.choice}"
                yield (name, "choice"), message
        else:
            yield from _range_problems(name, parameter)
        yield from _when_problems(name, parameter, space)
    try:
        if all(p in space for parameter in space.values() for p in parameter.when or {}):
            ordered(space)
    except ValueError as error:
        yield (), str(error)


def _range_problems(name: str, parameter: FloatParameter | IntParameter) -> Iterator[Problem]:
    low, high = parameter.range
    kind = "float" if isinstance(parameter, FloatParameter) else "int"
    if not low < high:
        yield (name, kind), f"low < high must hold, got [{low}, {high}]; swap them"
    if parameter.log and low <= 0:
        yield (name, kind), f"log needs low > 0, got [{low}, {high}]; raise low or drop log"
    if parameter.log and parameter.step is not None:
        yield (name, "step"), "log and step exclude each other; drop one of them"
    if parameter.step is not None and parameter.step <= 0:
        yield (name, "step"), f"step must be > 0, got {parameter.step}"


def _when_problems(name: str, parameter: Parameter, space: Space) -> Iterator[Problem]:
    for other, values in (parameter.when or {}).items():
        path = (name, "when", other)
        if other not in space:
            yield (
                path,
                f"`when` names '{other}', which is not in the space; one of: {', '.join(space)}",
            )
            continue
        parent = space[other]
        if not isinstance(parent, ChoiceParameter):
            yield path, f"`when` needs a choice parameter, but '{other}' is a range"
            continue
        for value in values:
            if value not in parent.choice:
                yield (
                    path,
                    f"'{other}' is never {value!r}; one of: {', '.join(map(str, parent.choice))}",
                )
        if not values:
            yield path, f"`when` must list at least one value of '{other}'"


def params_problems(space: Space, params: Mapping[str, Any]) -> Iterator[Problem]:
    """What keeps `params` from being a point of the space: unknown, missing, inactive, outside."""
    for name, value in params.items():
        if name not in space:
            yield (name,), f"'{name}' is not in the space; one of: {', '.join(space)}"
        elif not is_active(space[name], params):
            yield (
                (name,),
                f"'{name}' is not active here: its `when` is {space[name].when}; remove it",
            )
        elif (message := _outside(space[name], value)) is not None:
            yield (name,), f"'{name}' {message}"
    for name in ordered(space):
        if name not in params and is_active(space[name], params):
            yield (), f"the active parameter '{name}' is missing; add it"


def _outside(parameter: Parameter, value: Any) -> str | None:
    if isinstance(parameter, ChoiceParameter):
        if any(type(value) is type(c) and value == c for c in parameter.choice):
            return None
        return f"must be one of {parameter.choice}, got {value!r}"
    low, high = parameter.range
    if not isinstance(value, int | float) or isinstance(value, bool):
        return f"must be a number in [{low}, {high}], got {value!r}"
    if not low <= value <= high:
        return f"must lie in [{low}, {high}], got {value!r}; widen the range or move the value"
    if isinstance(parameter, IntParameter) and value != int(value):
        return f"must be a whole number in [{low}, {high}], got {value!r}"
    if not distribution(parameter)._contains(float(value)):
        return f"must be {low} plus a multiple of step {parameter.step}, got {value!r}"
    return None


def as_plain(space: Space) -> dict[str, dict[str, Any]]:
    """The space as a study file writes it: what an objective's `check` is given."""
    return {
        name: parameter.model_dump(by_alias=True, mode="json", exclude_defaults=True)
        for name, parameter in space.items()
    }
