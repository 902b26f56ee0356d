"""What an objective knows to be good, asked of its companion `portfolio`."""

from collections.abc import Callable
from typing import Any

from search import objective
from search.errors import ObjectiveError
from search.studyfile import space
from search.studyfile.spec import StudySpec


def entries(function: Callable[..., float], study: StudySpec) -> list[dict[str, Any]]:
    """Configurations that fit the study, each with `name`, `params` and `source`; none where the
    study wants none, or the objective knows none.

    Raises:
        ObjectiveError: an entry is no point of the space, or bears no name of its own.
    """
    if not study.takes_portfolio or not study.space:
        return []
    plain = space.as_plain(study.space)
    found = list(objective.ask(function, "portfolio", settings=study.settings, space=plain) or ())
    names = [entry.get("name") for entry in found]
    for entry, name in zip(found, names, strict=True):
        if not name or names.count(name) > 1:
            raise ObjectiveError(f"portfolio: every entry needs a name of its own, got {name!r}")
        for _, message in space.params_problems(study.space, entry.get("params", {})):
            raise ObjectiveError(f"portfolio: {name}: {message}")
    return found
