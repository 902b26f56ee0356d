"""A saved model, read back by the objective that saved it."""

import functools
from pathlib import Path
from typing import Any

from search import objective
from search.errors import ObjectiveError


def load(folder: Path, reference: str, where: str, device: str) -> Any:
    """What the objective's `load` makes of a model's folder.

    Args:
        where: the folder that the objective's file is found in.

    Raises:
        ObjectiveError: it has no `load`, or cannot read it.
    """
    function = objective.load(reference, where)
    model = objective.ask(function, "load", folder=folder, device=device)
    if model is None:
        raise ObjectiveError(f"{reference} offers no `load`, which reads {folder}; add one")
    return model


loaded = functools.cache(load)  # a process that is asked again has it at hand
