"""Save and restore a run, whole or not at all, in files that hold tensors and plain values only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

CHECKPOINT = "checkpoint.pt"  # a run under way
MODEL = "model.pt"  # the weights that were scored


def save(path: Path, state: dict[str, Any]) -> None:
    """Write the state so that a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: Path, identity: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Read a state onto the CPU; None where there is none, or it is broken, or of another run.

    identity: what must equal the state's own "identity". Nothing is ever unpickled into objects.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a broken file raises anything at all, from IndexError to RuntimeError
        return None
    return state if identity is None or state.get("identity") == identity else None
