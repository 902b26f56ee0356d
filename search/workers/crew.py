"""Who does the work: local processes (`pool`) or those of a Ray cluster (`cluster`).

Both are used alike: a context manager with `poll`, `done`, `waits`, `finish_epoch`, `stop_at_once`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import optuna

from search.studyfile.spec import StudySpec
from search.workers.pool import Pool
from search.workers.seats import Seat, Wish


class Crew(Protocol):
    """Workers that are kept at their number until the study has nothing left for them."""

    def __enter__(self) -> "Crew": ...
    def __exit__(self, *error: object) -> None: ...
    @property
    def done(self) -> bool: ...
    @property
    def waits(self) -> int: ...
    def poll(self, timeout_s: float) -> Iterator[str]: ...
    def finish_epoch(self) -> None: ...
    def stop_at_once(self) -> None: ...


def crew(
    wish: Wish,
    study: optuna.Study,
    spec: StudySpec,
    url: str,
    workdir: Path,
    dealt: Sequence[Seat],
    *,
    modest: bool = False,
) -> Crew:
    """The workers that were asked for, not yet started.

    Args:
        dealt: a seat for each worker on this machine; a cluster deals out its own.
        modest: take fewer where a cluster has lost nodes since.
    """
    if wish.cluster is None:
        return Pool(study, spec, url, workdir, dealt)
    from search.workers.cluster import Cluster  # needs Ray, which few have

    return Cluster(wish._replace(modest=modest), study, spec, url, workdir)
