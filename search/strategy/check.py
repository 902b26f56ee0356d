"""The sampler and the pruner that a study file names: what is wrong with them, what may stand."""

from collections.abc import Iterator
from typing import Any

from search.strategy import pruners, samplers, tables
from search.studyfile.space import Problem
from search.studyfile.spec import StudySpec


def problems(spec: StudySpec) -> Iterator[Problem]:
    """Unknown names and options, each with what there is (a check of `reading.load`)."""
    for message in samplers.problems(spec.sampler.name, spec.sampler.options):
        yield ("sampler",), message
    for message in pruners.problems(spec.pruner.name, spec.pruner.options):
        yield ("pruner",), message


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas of what a study file may name as its sampler and its pruner."""
    return {
        "sampler": tables.schema({name: row[1] for name, row in samplers.SAMPLERS.items()}),
        "pruner": tables.schema(pruners.PRUNERS),
    }
