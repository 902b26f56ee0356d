"""The strategy, sampler and pruner that a study file names: what is wrong, what may stand."""

from collections.abc import Iterator
from typing import Any

from search.strategy import pruners, samplers, strategies, tables
from search.studyfile.space import Problem
from search.studyfile.spec import StudySpec


def problems(spec: StudySpec) -> Iterator[Problem]:
    """Unknown names and options, each with what there is (a check of `reading.load`)."""
    for message in strategies.problems(spec.strategy.name, spec.strategy.options):
        yield ("strategy",), message
    for message in samplers.problems(spec.sampler.name, spec.sampler.options):
        yield ("sampler",), message
    for message in pruners.problems(spec.pruner.name, spec.pruner.options):
        yield ("pruner",), message
    if spec.is_stepwise:
        yield from _beside(spec)


def _beside(spec: StudySpec) -> Iterator[Problem]:
    """What a strategy that grants epochs step by step leaves no room for."""
    name = spec.strategy.name
    for other in ("sampler", "pruner"):
        if other in spec.model_fields_set:
            message = f"`{other}` and `strategy: {name}`, which does its work, exclude each other; "
            yield (other,), message + "drop one of them"
    if spec.configurations:
        message = f"`configurations` and `strategy: {name}` exclude each other; drop one of them"
        yield ("strategy",), message
    elif not spec.space:
        yield ("strategy",), f"'{name}' needs a `space` to draw from; add one, or drop it"
    elif spec.trials is not None and spec.trials < spec.arms:
        message = f"by {spec.by} each of {spec.arms} values needs at least one trial, got "
        yield ("budget", "trials"), message + f"{spec.trials}; raise it, or use `by: none`"


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas of what a study file may name as its strategy, sampler and pruner."""
    return {
        "sampler": tables.schema({name: row[1] for name, row in samplers.SAMPLERS.items()}),
        "pruner": tables.schema(pruners.PRUNERS),
        "strategy": tables.schema(strategies.STRATEGIES),
    }
