"""What a machine lacks for a run: every check of `optsearch doctor`. Nothing is left written."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search.doctor import gpus, host, places
from search.doctor.finding import Finding, State, size

__all__ = ["Finding", "State", "examine", "size"]


def examine(storage: str, workdir: Path) -> list[Finding]:
    """Every finding, in the order of a run: what trains, on what, and where it all goes.

    The checks wait for processes and servers, so they wait together.

    Args:
        storage: URL of the database.
    """
    checks: tuple[Callable[[], list[Finding]], ...] = (
        host.python,
        gpus.check,
        host.cores,
        host.check_memory_and_data,
        lambda: [places.storage(storage)],
        lambda: [places.workdir(workdir)],
        lambda: [places.port()],
        lambda: [places.browser()],
    )
    with ThreadPoolExecutor(len(checks)) as pool:
        return [finding for found in pool.map(lambda check: check(), checks) for finding in found]
