"""The points of a space that has finitely many: how many there are, which, and which one it is."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from search.studyfile import space as spaces
from search.studyfile.space import ChoiceParameter, Parameter, Space

Key = tuple[tuple[str, Any], ...]
MOST = 100_000  # ways to choose what others hang on


class Points(NamedTuple):
    """A finite space, and how many points it has."""

    space: Space
    number: int

    def key(self, params: Mapping[str, Any]) -> Key:
        """What two trials of one point have in common: a float's step, not its last bit."""
        active = [name for name in sorted(self.space) if name in params]
        return tuple((name, _place(self.space[name], params[name])) for name in active)

    def all(self) -> Iterator[dict[str, Any]]:
        """Every point, active parameters only."""
        return _assignments(self.space, spaces.ordered(self.space), {})


def of(space: Space) -> Points | None:
    """The points of a space; None where a float has no step, so that they are without number, or
    where the choices that others hang on are too many to go through."""
    ranges = [p for p in space.values() if not isinstance(p, ChoiceParameter)]
    if not space or any(spaces.step_of(parameter) is None for parameter in ranges):
        return None
    parents = [n for n in spaces.ordered(space) if any(n in (p.when or {}) for p in space.values())]
    if math.prod(_size(space[name]) for name in parents) > MOST:
        return None
    number = 0
    for chosen in _assignments(space, parents, {}):
        others = (p for n, p in space.items() if n not in parents and spaces.is_active(p, chosen))
        number += math.prod(map(_size, others))
    return Points(space, number)


def _assignments(
    space: Space, names: list[str], chosen: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if not names:
        yield dict(chosen)
        return
    name, *rest = names
    if not spaces.is_active(space[name], chosen):
        yield from _assignments(space, rest, chosen)
        return
    for value in _values(space[name]):
        yield from _assignments(space, rest, {**chosen, name: value})


def _size(parameter: Parameter) -> int:
    if isinstance(parameter, ChoiceParameter):
        return len(parameter.choice)
    step = spaces.step_of(parameter)
    assert step is not None
    return round((spaces.last(parameter) - parameter.range[0]) / step) + 1


def _values(parameter: Parameter) -> list[Any]:
    if isinstance(parameter, ChoiceParameter):
        return list(parameter.choice)
    low, step = parameter.range[0], spaces.step_of(parameter) or 1
    return [low + i * step for i in range(_size(parameter))]


def _place(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, ChoiceParameter):
        return type(value).__name__, value
    step = spaces.step_of(parameter)
    return value if step is None else round((value - parameter.range[0]) / step)
