"""Save and restore a run, whole or not at all, in files that hold tensors and plain values only.

A file is what torch.save writes, followed by its sha256: `torch.load` reads it as it is, and a torn
or rotten one is known. The file before the newest is kept beside it.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

CHECKPOINT = "checkpoint.pt"  # a run under way
MODEL = "model.pt"  # the weights that were scored
DIGEST = hashlib.sha256().digest_size


def save(path: Path, state: dict[str, Any]) -> None:
    """Write the state so that a crash at any moment leaves a whole file. Raises OSError.

    Where it raises, the files of before stay as they were.
    """
    content = io.BytesIO()  # torch's own writer hides a full disk in a RuntimeError
    torch.save(state, content)
    content.write(hashlib.sha256(content.getbuffer()).digest())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")  # one name: what a kill leaves is overwritten
    try:
        with part.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        if _content(path) is not None:  # a torn one must not push out the whole one before it
            path.replace(previous(path))
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def load(path: Path, identity: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Read the newest whole state onto the CPU; None where there is none, or only of another run.

    identity: what must equal the state's own "identity". Nothing is ever unpickled into objects.
    """
    for file in (path, previous(path)):
        state = _state(file)
        if state is not None and (identity is None or state.get("identity") == identity):
            return state
    return None


def previous(path: Path) -> Path:
    """Where the file before the newest is kept: checkpoint.old.pt beside checkpoint.pt."""
    return path.with_name(f"{path.stem}.old{path.suffix}")


def _state(path: Path) -> dict[str, Any] | None:
    content = _content(path)
    if content is None:
        return None
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # a foreign file raises anything at all, from IndexError to RuntimeError
        return None
    return state if isinstance(state, dict) else None


def _content(path: Path) -> bytes | None:
    """What was saved under the path, if each byte of it is still there."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body = memoryview(content)[:-DIGEST]
    return content if hashlib.sha256(body).digest() == content[-DIGEST:] else None


def _sync_folder(folder: Path) -> None:
    """Make the renames last through a power cut, on file systems that know how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
