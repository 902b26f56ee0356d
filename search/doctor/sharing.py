"""NVIDIA's Multi-Process Service: whether the workers of a GPU would use it at the same moment."""

from collections.abc import Mapping

from search.doctor.finding import Finding
from search.workers import mps


def check(environment: Mapping[str, str]) -> Finding:
    """Whether it runs, or would be started by a run."""
    folder = environment.get(mps.PIPES) or str(mps.USUAL)
    if mps.runs():
        return Finding("MPS", "fine", f"runs, with its pipes in {folder}: workers share a GPU")
    if mps.is_there():
        told = "is installed: a run whose workers sit on one GPU starts it, and ends it"
        return Finding("MPS", "fine", told)
    return Finding(
        "MPS", "fine", f"{mps.PROGRAM} is not installed: several workers on a GPU take turns"
    )
