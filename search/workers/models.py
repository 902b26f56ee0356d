"""A saved model, read back by the objective that saved it."""

import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search import objective
from search.errors import ObjectiveError, UsageError


def load(folder: Path, reference: str, where: str, device: str, ensemble: bool = False) -> Any:
    """What the objective's `load` makes of a model's folder.

    Args:
        where: the folder that the objective's file is found in.
        ensemble: whether the models of all its seeds are wanted, as one.

    Raises:
        ObjectiveError: it has no `load`, or cannot read it.
    """
    function = objective.load(reference, where)
    companion = objective.companion(function, "load")
    if companion is None:
        raise ObjectiveError(f"{reference} offers no `load`, which reads {folder}; add one")
    wanted = {"ensemble": True} if ensemble else {}
    if ensemble and not objective.accepted(companion, wanted):
        raise ObjectiveError(
            f"the `load` of {reference} takes no `ensemble`, and reads the model of one seed; "
            "declare that parameter, or ask for one model"
        )
    model = objective.ask(function, "load", folder=folder, device=device, **wanted)
    if model is None:
        raise ObjectiveError(f"the `load` of {reference} returns nothing for {folder}; mend it")
    return model


loaded = functools.cache(load)  # a process that is asked again has it at hand


def predict(
    model: str,
    reference: str,
    where: str,
    *,
    files: Sequence[str],
    top: int,
    device: str,
    ensemble: bool = False,
) -> list[dict[str, Any]]:
    """The rows of these picture files, one each."""
    rows = loaded(Path(model), reference, where, device, ensemble).predict(files, top=top)
    return [dict(row) for row in rows]


def classes(
    model: str, reference: str, where: str, *, device: str, ensemble: bool = False
) -> list[str] | None:
    """The names of a model's classes; None where it does not tell."""
    return getattr(loaded(Path(model), reference, where, device, ensemble), "classes", None)


def convert(
    model: str, reference: str, where: str, *, to: str, out: Path | None, files: Sequence[str]
) -> dict[str, Any]:
    """What the objective's `convert` has written: `file`, and `told`, lines about it.

    Raises:
        ObjectiveError: it has no `convert`, or nothing was written.
        UsageError: it tells its `formats`, and `to` is none of them.
    """
    function = objective.load(reference, where)
    known = objective.ask(function, "formats")
    if known is not None and to not in known:
        near = difflib.get_close_matches(to, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"--to {to}: one of: {', '.join(known)}{hint}")
    offered = {"folder": Path(model), "to": to, "out": out, "files": files}
    found = objective.ask(function, "convert", **offered)
    if found is None:
        raise ObjectiveError(f"{reference} offers no `convert`, which writes {model} anew; add one")
    return dict(found)
