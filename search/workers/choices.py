"""Choices that an objective offers. Lists, tuples and mappings come back as they were offered."""

import json
from collections.abc import Sequence
from typing import Any

import optuna

from search import objective

RULE = (
    "a choice is a text, a number, true, false, none, or a list, tuple or mapping of these, got "
    "{choice!r}; offer a name for it, and look it up in the objective"
)


class AnyChoice(optuna.trial.BaseTrial):
    """A trial whose `suggest_categorical` takes whatever the database can hold.

    It holds JSON, in which a tuple is a list: two workers that compared what they offer with what
    they read would find another space in it. So what is compared is what JSON makes of a choice.
    """

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As Optuna's. Raises ValueError for a choice that no database can hold."""
        offered = list(choices)
        kept = [_kept(name, choice) for choice in offered]
        drawn = super().suggest_categorical(name, kept)  # type: ignore[safe-super]  # a mixin
        return offered[kept.index(drawn)]


def _kept(name: str, choice: Any) -> Any:
    if choice is None or isinstance(choice, bool | int | float | str):
        return choice
    try:
        return json.loads(json.dumps(choice, default=objective.listed))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"suggest_categorical '{name}': {RULE.format(choice=choice)}") from error
