"""What another command has changed about a study since it was last run, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

import optuna

from search.database import storage
from search.record import chains

MAY = ("budget", "confirm", "audit", "strategy", "sampler", "pruner", "portfolio", "by")


def spec_of(name: str, url: str) -> Mapping[str, Any] | None:
    """What the study of that name was last run with; None where there is none of ours."""
    try:
        found = optuna.load_study(study_name=name, storage=storage.open_storage(url))
    except KeyError:
        return None
    spec = found.user_attrs.get("spec")
    return spec if isinstance(spec, dict) else None


def words(before: Mapping[str, Any] | None, study: optuna.Study) -> str:
    """`changed since: budget.trials was 40, is 80`; "" where nothing that may change has."""
    after = study.user_attrs["spec"]
    found = [] if before is None else list(_leaves(before, after))
    if not found:
        return ""
    running = any(not t.state.is_finished() and chains.LEASE in t.user_attrs
                  for t in study.get_trials(deepcopy=False))  # fmt: skip
    more = "; commands that are at work keep what they began with" if running else ""
    return f"changed since the last run: {', '.join(found)}{more}"


def _leaves(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in MAY:
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            for name in dict.fromkeys((*old, *new)):
                if old.get(name) != new.get(name):
                    yield f"{key}.{name} was {_told(old.get(name))}, is {_told(new.get(name))}"
        elif old != new:
            yield f"{key} was {_told(old)}, is {_told(new)}"


def _told(value: Any) -> str:
    return "nothing" if value is None else str(value)
