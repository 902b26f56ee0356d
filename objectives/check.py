"""All that is wrong with settings and a search space, told at once, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

from objectives import datasets, gates, knobs, named, networks, scores
from objectives.augmenter import own_transform
from objectives.config import DEFAULTS
from objectives.losses import LOSSES

Problems = Iterator[tuple[str, str]]
Parameter = Mapping[str, Any]
Space = Mapping[str, Parameter]
MOST_COMBINATIONS = 20_000


def check(
    settings: dict[str, Any], space: dict[str, Any], direction: str = "maximize"
) -> list[tuple[str, str]]:
    """Every problem as (path, message), path like "settings.network" or "space.momentum".

    space: name -> {"choice": [...]} | {"float": [low, high]} | {"int": [low, high]}, each with an
    optional "when": {other: [values]}. Touches no data and no device.
    """
    problems = [*_names(settings, space), *_values(settings, space)]
    if problems:  # the rest asks what the choices read, so the choices must be known
        sound = [
            _sound(place, given, problems)
            for place, given in (("settings", settings), ("space", space))
        ]
        unread = [found for part in (_dead_settings, _dead_parameters) for found in part(*sound)]
        wrong = {path.partition(".")[2] for path, _ in problems}
        problems += [found for part in OPENED for found in part(*sound)]
        problems += [found for found in unread if not _gates(found[0]) & wrong]
    else:
        parts = (
            *(*OPENED, _score),
            *(_dead_settings, _dead_parameters, _zeros, _lengths),
        )
        problems = [found for part in parts for found in part(settings, space)]
        problems += _direction(settings, direction)
    return problems


def _sound(
    place: str, given: Mapping[str, Any], problems: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """Without what is known to be wrong: the rest is looked at all the same, of a choice the other
    values."""
    wrong = {path for path, _ in problems}
    found = {name: value for name, value in given.items() if f"{place}.{name}" not in wrong}
    if place == "space":
        for name, parameter in given.items():
            right = [v for v in parameter.get("choice", ()) if not knobs.wrong_value(name, v)]
            if name not in found and right and knobs.rule(name) is not None:
                found[name] = {**parameter, "choice": right}
    return found


def _gates(path: str) -> set[str]:
    """The knobs that decide whether this one is read."""
    return set(gates.readers(path.split(".")[1]))


def ends(parameter: Parameter) -> list[Any]:
    """The values of a choice, or both ends of a range."""
    return list(parameter.get("choice") or parameter.get("float") or parameter.get("int") or ())


def _names(settings: Mapping[str, Any], space: Space) -> Problems:
    for place, names in (("settings", settings), ("space", space)):
        for name in names:
            if knobs.rule(name) is None:
                yield f"{place}.{name}", knobs.unknown(name)
    for name in space:
        if name in settings:
            yield f"space.{name}", "is a setting too; keep one of the two"
    for name in knobs.REQUIRED:
        if name not in settings and name not in space:
            yield f"settings.{name}", "is missing"


def _values(settings: Mapping[str, Any], space: Space) -> Problems:
    given = [(f"settings.{name}", name, value) for name, value in settings.items()]
    given += [(f"space.{name}", name, value) for name in space for value in ends(space[name])]
    for path, name, value in given:
        if message := knobs.wrong_value(name, value):
            yield path, message


def _given(name: str, settings: Mapping[str, Any], space: Space) -> Iterable[Any]:
    """What it may be, where it is told at all: that it is missing is said elsewhere."""
    return _reachable(name, settings, space) if name in settings or name in space else ()


def _networks(settings: Mapping[str, Any], space: Space) -> Problems:
    for network in _given("network", settings, space):
        read = networks.reads(network) if network in networks.NETWORKS else ("weights", "freeze")
        choices = {name: settings[name] for name in read if name in settings}
        yield from _tried("network", space, partial(networks.check, network, **choices))


def _datasets(settings: Mapping[str, Any], space: Space) -> Problems:
    read = ("validation", "image_size", "resize")
    choices = {name: settings[name] for name in read if name in settings}
    for dataset in _given("dataset", settings, space):
        yield from _tried("dataset", space, partial(datasets.check, dataset, **choices))


def _transforms(settings: Mapping[str, Any], space: Space) -> Problems:
    for transform in filter(None, _given("transform", settings, space)):
        yield from _tried("transform", space, partial(own_transform, transform))


def _optimizers(settings: Mapping[str, Any], space: Space) -> Problems:
    """Classes of other libraries, with the lowest and the highest of their arguments."""
    found: dict[tuple[str, str], None] = {}
    for values, active in _combinations(settings, space, ["optimizer"]):
        if not named.is_named(optimizer := values.get("optimizer")):
            continue
        for end in (0, -1):
            searched = {name: ends(space[name])[end] for name in active if name not in values}
            args = knobs.optimizer_args({**values, **searched})
            found |= dict.fromkeys(
                _tried("optimizer", space, partial(named.check, optimizer, args))
            )
    yield from found


def _tried(name: str, space: Space, attempt: Callable[[], object]) -> Problems:
    try:
        attempt()
    except (ValueError, OSError) as error:
        yield f"{'space' if name in space else 'settings'}.{name}", str(error)


OPENED = (_networks, _datasets, _optimizers, _transforms)  # what is looked up elsewhere


def _score(settings: Mapping[str, Any], space: Space) -> Problems:
    """Trials with different losses have no validation loss in common."""
    searched = [name for name in ("loss", *_loss_knobs()) if len(ends(space.get(name, {}))) > 1]
    if searched and "val_loss" in _reachable("score", settings, space):
        place = "settings" if "score" in settings else "space"
        yield (
            f"{place}.score",
            f"val_loss cannot be compared between trials while {searched[0]} is searched; "
            "use val_accuracy",
        )


def _loss_knobs() -> set[str]:
    return {name for loss in LOSSES.values() for name in loss.reads}


def _direction(settings: Mapping[str, Any], direction: str) -> Problems:
    score = settings.get("score", DEFAULTS["score"])
    wanted = "maximize" if scores.rises(score) else "minimize"
    if direction != wanted:
        yield "direction", f"{score} is to {wanted}, got direction: {direction}"


def _dead_settings(settings: Mapping[str, Any], space: Space) -> Problems:
    read = frozenset().union(*(gates.reads(values) for values, _ in _combinations(settings, space)))
    for name in settings:
        if name not in read:
            yield f"settings.{name}", gates.dead(name, settings) + "; remove it"


def _dead_parameters(settings: Mapping[str, Any], space: Space) -> Problems:
    unread: dict[str, list[Mapping[str, Any]]] = {}
    for values, active in _combinations(settings, space):
        for name in active - gates.reads(values):
            unread.setdefault(name, []).append(values)
    for name, where in sorted(unread.items()):
        yield f"space.{name}", _advice(name, where, settings, space)


def _advice(
    name: str, where: list[Mapping[str, Any]], settings: Mapping[str, Any], space: Space
) -> str:
    readers = gates.readers(name.partition(".")[0])
    gate = next((gate for gate in readers if gate in space), next(iter(readers)))
    lacking = [values for values in where if named.is_named(values.get(gate))]
    if name.startswith(named.PREFIX) and lacking:
        return gates.dead(name, lacking[0])
    culprits = list(dict.fromkeys(values.get(gate, DEFAULTS[gate]) for values in where))
    message = f"{gate} {', '.join(map(str, culprits))} does not read it"
    reached = _reachable(gate, settings, space)
    good = [choice for choice in reached if name in gates.GATES[gate](choice)]
    if gate in space and good:
        return f"{message}; add when: {{{gate}: [{', '.join(map(str, good))}]}}"
    return f"{message}, only {', '.join(map(str, readers[gate]))} would; remove it"


def combinations(
    settings: Mapping[str, Any], space: Space, names: Iterable[str]
) -> Iterator[Mapping[str, Any]]:
    """Each reachable combination of these knobs' values, a range's by its low end."""
    return (values for values, _ in _combinations(settings, space, names))


def _combinations(
    settings: Mapping[str, Any], space: Space, among: Iterable[str] = tuple(gates.GATES)
) -> Iterator[tuple[Mapping[str, Any], frozenset[str]]]:
    """Each reachable combination of the gates' values, and the parameters then active."""
    among = [name for name in among if name in space]
    conditions = {other for name in space for other in space[name].get("when", {})}
    names = [*among, *(name for name in conditions if name in space and name not in among)]
    choices = [
        ends(space[name]) if "choice" in space[name] else ends(space[name])[:1] for name in names
    ]
    for count, chosen in enumerate(product(*choices)):
        if count == MOST_COMBINATIONS:
            return
        values = {**settings, **dict(zip(names, chosen, strict=True))}
        active = frozenset(name for name in space if _active(name, values, space))
        yield (
            {name: value for name, value in values.items() if name in settings or name in active},
            active,
        )


def _active(name: str, values: Mapping[str, Any], space: Space) -> bool:
    when = space[name].get("when", {})
    return all(
        values.get(other) in allowed and (other not in space or _active(other, values, space))
        for other, allowed in when.items()
    )


def _reachable(name: str, settings: Mapping[str, Any], space: Space) -> list[Any]:
    if name in space:
        return ends(space[name])
    return [settings.get(name, DEFAULTS[name])]


def _zeros(settings: Mapping[str, Any], space: Space) -> Problems:
    found: dict[str, str] = {}
    for values, active in _combinations(settings, space, ["optimizer"]):
        lowest = {name: min(ends(space[name])) for name in active if name in knobs.NEVER_ZERO}
        found |= knobs.wrong_zeros({**values, **lowest})
    for name, message in found.items():
        yield f"{'space' if name in space else 'settings'}.{name}", message


def _lengths(settings: Mapping[str, Any], space: Space) -> Problems:
    names = ("schedule", "epochs", "warmup_epochs", "step_size", "step_size_up", "t_0")
    found: dict[str, str] = {}
    for chosen in product(*(_reachable(name, settings, space) for name in names)):
        values = {**settings, **dict(zip(names, chosen, strict=True))}
        if wrong := knobs.wrong_length(values):
            found.setdefault(*wrong)
    if (
        "phases" in _reachable("schedule", settings, space)
        and not _reachable("phases", settings, space)[0]
    ):
        found["phases"] = "is missing; schedule phases needs its learning rates"
    for name, message in found.items():
        yield f"{'space' if name in space else 'settings'}.{name}", message
