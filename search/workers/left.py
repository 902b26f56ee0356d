"""What a training has left in its folder, as the companions of its objective tell of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search import objective
from search.errors import ObjectiveError, OutputError
from search.studyfile.spec import StudySpec


def evaluate(study: StudySpec, workdir: str, device: str) -> dict[str, float] | None:
    """The test score of the model kept in a trial's folder; None where there is none."""
    function = objective.load(study.objective, study.folder)
    if not Path(workdir).is_dir():
        return None
    found = objective.ask(function, "evaluate", workdir=Path(workdir), split="test", device=device)
    return None if found is None else objective.measures(found)


def measure(
    study: StudySpec, workdir: str, out: str, device: str, splits: list[str]
) -> dict[str, Any]:
    """What a trained model is worth and where it lies, as far as the objective has companions.

    Returns:
        `files` that were saved into `out`; for each split its scores by name; `confusion` of the
        last split. What has no companion is None.
    """
    function = objective.load(study.objective, study.folder)
    folder = Path(workdir)
    kept = {"workdir": folder, "device": device}
    found: dict[str, Any] = dict.fromkeys(["files", "confusion", *splits])
    if not folder.is_dir():
        return found
    try:
        found["files"] = _saved(function, folder, Path(out))
    except OSError as error:
        raise OutputError(
            f"--out {out}: the model cannot be written ({error.strerror or error}); "
            "make room or name another one, and repeat the command"
        ) from error
    for split in splits:
        scored = objective.ask(function, "evaluate", **kept, split=split)
        found[split] = None if scored is None else objective.measures(scored)
    last = splits[-1:]  # none where a model is scored on no images at all
    return found | {"confusion": _confusion(function, **kept, split=last[0]) if last else None}


def confusion(study: StudySpec, workdir: str, device: str) -> list[list[int]] | None:
    """Test images of each class by what the model kept in a trial's folder takes them for; None
    where the objective has no such companion."""
    function = objective.load(study.objective, study.folder)
    return _confusion(function, workdir=Path(workdir), device=device, split="test")


def _confusion(function: Callable[..., float], **kept: Any) -> list[list[int]] | None:
    found = {"matrix": objective.ask(function, "confusion", **kept)}
    matrix: list[list[int]] | None = objective.plain("confusion", found)["matrix"]
    return matrix


def gain(study: StudySpec, workdirs: list[str], device: str) -> list[dict[str, float]] | None:
    """The validation scores of the models kept in these folders, and last those of their mean; None
    where the objective has no such companion."""
    function = objective.load(study.objective, study.folder)
    about = {"workdirs": [Path(one) for one in workdirs], "device": device}
    found = objective.ask(function, "gain", **about)
    return None if found is None else [objective.measures(one) for one in found]


def save(study: StudySpec, workdir: str, out: str) -> list[str] | None:
    """The files that the objective's `save` has written into `out`, of the model kept in workdir;
    None where it has no such companion."""
    function = objective.load(study.objective, study.folder)
    try:
        return _saved(function, Path(workdir), Path(out))
    except ValueError as error:
        raise ObjectiveError(str(error)) from error


def _saved(function: Callable[..., float], workdir: Path, out: Path) -> list[str] | None:
    save = objective.companion(function, "save")
    return _names(save(workdir, out)) if save else None


def _names(saved: Any) -> list[str]:
    """Of the files that `save` has written: one, several, or it does not say."""
    several = [saved] if isinstance(saved, str | os.PathLike) else saved or ()
    return [os.fspath(name) for name in several]
