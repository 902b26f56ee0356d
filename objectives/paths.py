"""Paths as people write them, and where data goes where nobody wrote one."""

import os
from pathlib import Path


def expanded(path: str | Path, place: str, remedy: str = "write the whole path") -> Path:
    """The path with its `~` or `~name` made a home folder.

    place: what the path was given as, for the message. Raises ValueError where nobody of that name
    is known here, or nobody is at home: in a container a user may have neither HOME nor a name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{place} {path}: there is no such home folder; {remedy}") from error


def default_folder() -> Path:
    """The cache folder: $OPTSEARCH_DATA, else ~/.cache/optsearch. Raises ValueError."""
    given = os.environ.get("OPTSEARCH_DATA", "").strip()
    remedy = "set OPTSEARCH_DATA or settings.data_dir to the whole path of a folder"
    place = "OPTSEARCH_DATA" if given else "data folder"
    return expanded(given or "~/.cache/optsearch", place, remedy).absolute()


def write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises OSError."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_bytes(content)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
