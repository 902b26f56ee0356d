"""What the name of a score says of its values, whoever measures it."""

from collections.abc import Mapping
from typing import Any

from search.record import results


def is_bounded(metric: str) -> bool:
    """Whether its values lie from 0 to 1."""
    return metric.endswith(("accuracy", "f1_macro", "auroc"))


def of_majority(metric: str, data: Mapping[str, Any]) -> float | None:
    """What always giving the class of most validation images scores; None where that is not known.

    Args:
        data: the facts of a study's data, as its objective told them.
    """
    most, classes = data.get("majority"), data.get("classes")
    if not most:
        return None
    share = float(most["share"])
    if metric.endswith("auroc"):
        return 0.5
    if metric.endswith("balanced_accuracy"):
        return 1 / classes if classes else None
    if metric.endswith("f1_macro"):  # precision is the share, recall 1; the other classes have 0
        return 2 * share / (1 + share) / classes if classes else None
    return share if results.is_share(metric) and not metric.endswith("top5_accuracy") else None
