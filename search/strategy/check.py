"""What is wrong with the sampler and the pruner that a study file names."""

from collections.abc import Iterator

from search.strategy import pruners, samplers
from search.studyfile.space import Problem
from search.studyfile.spec import StudySpec


def problems(spec: StudySpec) -> Iterator[Problem]:
    """Unknown names and options, each with what there is (a check of `reading.load`)."""
    for message in samplers.problems(spec.sampler.name, spec.sampler.options):
        yield ("sampler",), message
    for message in pruners.problems(spec.pruner.name, spec.pruner.options):
        yield ("pruner",), message
