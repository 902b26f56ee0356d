"""A line of what `optsearch doctor` tells."""

from typing import Literal, NamedTuple

State = Literal["fine", "warning", "error"]


class Finding(NamedTuple):
    """What was found of a subject; `next` is what to do about it, "" where nothing."""

    subject: str
    state: State
    found: str
    next: str = ""


def size(n_bytes: float) -> str:
    """A size as people read it, rounded down: nobody plans with what is not there."""
    for unit, bytes_of in (("TiB", 2**40), ("GiB", 2**30)):
        if n_bytes >= 10 * bytes_of:
            return f"{int(n_bytes // bytes_of)} {unit}"
        if n_bytes >= bytes_of:
            return f"{int(10 * n_bytes // bytes_of) / 10} {unit}"
    return f"{int(n_bytes // 2**20)} MiB"
