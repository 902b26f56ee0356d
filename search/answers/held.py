"""A model's folder, looked at before it is used: whoever has a model in the hand needs nothing of
the search that found it."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from search.errors import UsageError

MANIFEST = "manifest.json"
SEEDS = "seeds"  # within it, the models of the other seeds; what `load` of an objective looks for
FORMAT = "optsearch-folder-1"  # raise the number when a file changes its meaning
OURS = "objectives.cnn:objective"  # the objective that comes with optsearch


class Held(NamedTuple):
    """Whose `load` reads a model: an objective, and the folder that its file is found in."""

    objective: str
    folder: str


def check(folder: Path, *, ensemble: bool = False) -> Held:
    """Look at a folder of `run`, or of `train`, before its model is used.

    Args:
        ensemble: whether the models of all seeds are used, and not only the best one's.

    Raises:
        UsageError: it holds no model; or a file of it is missing, or was altered; or it holds one
            model where several are wanted.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name one that a run, or `train`, has written")
    about = manifest(folder)
    if ensemble and "ensemble" not in (about or {}):
        raise UsageError(
            f"{folder}: holds no models of several seeds; a run that confirms with two seeds or "
            "more leaves them, and repeated, one of an earlier version, too"
        )
    if about is None:
        if not (folder / "model.safetensors").is_file():
            raise UsageError(
                f"{folder}: holds no model (neither {MANIFEST} nor model.safetensors); "
                "name a folder that a run, or `train`, has written"
            )
        return Held(OURS, ".")  # of `train`: the weights have a digest of their own
    for name, known in about["files"].items():
        if name.startswith(f"{SEEDS}/") and not ensemble:
            continue
        if not (folder / name).is_file():
            raise UsageError(f"{folder / name}: is missing; take another copy of the folder")
        if digest(folder / name) != known:
            raise UsageError(
                f"{folder / name}: was altered since the model was written (its sha256 differs "
                f"from {MANIFEST}); take another copy of the folder"
            )
    return Held(about["objective"], about["folder"] or ".")


def manifest(folder: Path) -> dict[str, Any] | None:
    """What is known of a folder of ours; None where it is none."""
    try:
        about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) and about.get("format") == FORMAT else None


def digest(file: Path) -> str:
    """sha256 of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
