"""Paths as people write them."""

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
