"""Which studies may stand side by side: scores of other data or splits are not alike."""

from collections.abc import Sequence
from typing import Any

import optuna

from search.errors import UsageError
from search.record import results

SPLIT = ("dataset", "validation", "split_seed", "epochs")  # settings that scores depend on


def differences(studies: Sequence[optuna.Study]) -> list[str]:
    """What differs in data, split and epochs, each with its values."""
    told = [_data(study) for study in studies]
    names = [study.study_name for study in studies]
    return [
        f"{key}: " + ", ".join(f"{n} {t[key]}" for n, t in zip(names, told, strict=True))
        for key in told[0]
        if len({str(t[key]) for t in told}) > 1
    ]


def _data(study: optuna.Study) -> dict[str, Any]:
    attrs = study.user_attrs
    settings = attrs.get("settings", {})
    found = {key: settings.get(key, "default") for key in SPLIT}
    return found | {"data fingerprint": attrs.get("data", {}).get("fingerprint", "unknown")}


def data_words(name: str, studies: Sequence[optuna.Study]) -> str:
    """What one study's data and training are, in so far as they differ from the others'."""
    told = {s.study_name: _data(s) for s in studies}
    differing = [k for k in told[name] if len({str(t[k]) for t in told.values()}) > 1]
    return ", ".join(f"{k} {str(told[name][k])[:18]}" for k in differing)


def require_one_metric(studies: Sequence[optuna.Study]) -> None:
    """Raise UsageError where scores do not measure the same."""
    measured = {(results.metric(s), s.direction.name.lower()) for s in studies}
    if len(measured) > 1:
        told = ", ".join(f"{metric} ({way})" for metric, way in sorted(measured))
        raise UsageError(f"--study: the studies must share one score, got {told}; compare others")


def untold(studies: Sequence[optuna.Study]) -> list[str]:
    """A warning where nobody knows whether the data was the same."""
    if len(studies) < 2 or all(_data(s)["data fingerprint"] != "unknown" for s in studies):
        return []
    return ["that the studies had the same data is taken on trust: not all keep its fingerprint"]
