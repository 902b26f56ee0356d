"""Values as the parameters of a study's space write them: inside the range, on the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Parameter = Mapping[str, Any]  # {"choice": [...]} | {"float": [low, high]} | {"int": [low, high]}
Space = Mapping[str, Parameter]
OUTSIDE = object()  # the answer where there is no value; None may be a choice


def ordered(space: Space) -> list[str]:
    """Every parameter after those that its `when` names; the rate last where that may be."""
    pending = sorted(space, key=lambda name: name == "lr")
    done: list[str] = []
    while pending:
        ready = (n for n in pending if not any(p in pending for p in space[n].get("when", {})))
        done.append(next(ready))  # there is one: `when` goes in no circle in a study
        pending.remove(done[-1])
    return done


def is_active(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    """Whether `when` holds under the values chosen so far."""
    when = parameter.get("when", {})
    return all(name in params and params[name] in values for name, values in when.items())


def inside(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter writes it, on its grid; OUTSIDE where it has no such value."""
    if "choice" in parameter:
        return next((choice for choice in parameter["choice"] if same(choice, value)), OUTSIDE)
    low, high = ends_of(parameter)
    if not is_number(value) or not low <= value <= high:
        return OUTSIDE
    step = parameter.get("step") or (1 if "int" in parameter else None)
    if step is not None:
        first, last, width, wanted = (Decimal(str(number)) for number in (low, high, step, value))
        steps = min(round((wanted - first) / width), int((last - first) // width))
        value = first + steps * width
    return int(value) if "int" in parameter else float(value)


def default(parameter: Parameter, value: Any) -> Any:
    """The value where it lies inside, else the first choice or the middle of the range."""
    if (found := inside(parameter, value)) is not OUTSIDE:
        return found
    if "choice" in parameter:
        return parameter["choice"][0]
    low, high = ends_of(parameter)
    middle = math.sqrt(low * high) if parameter.get("log") else (low + high) / 2
    return inside(parameter, min(max(middle, low), high))


def nearest(parameter: Parameter, batch_size: int) -> Any:
    """The nearest batch size, by their ratio."""
    if "choice" not in parameter:
        low, high = ends_of(parameter)
        return inside(parameter, min(max(batch_size, low), high))
    sizes = [choice for choice in parameter["choice"] if is_number(choice) and choice > 0]
    return min(sizes, key=lambda size: abs(math.log(size / batch_size)), default=OUTSIDE)


def ends_of(parameter: Parameter) -> tuple[float, float]:
    """Low and high of a range."""
    low, high = parameter.get("float") or parameter["int"]
    return low, high


def is_number(value: Any) -> bool:
    """Whether it is an int or a float, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(one: Any, other: Any) -> bool:
    """Equal, with 1 and true apart, and rates equal to nine digits."""
    if is_number(one) and is_number(other):
        return math.isclose(one, other)
    return type(one) is type(other) and one == other
