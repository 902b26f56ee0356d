"""Who does the work: local processes (`pool`) or those of a Ray cluster (`cluster`).

Both are used alike: a context manager with `poll`, `done`, `waits`, `finish_epoch`, `stop_at_once`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import optuna

from search import seats
from search.seats import Seat
from search.spec import StudySpec


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


class Wish(NamedTuple):
    """What the command line asks for; None is `auto`."""

    device: str
    workers: int | None
    per_gpu: int | None
    cluster: str | None

    @classmethod
    def parse(cls, device: str, workers: str, per_gpu: str, cluster: str | None = None) -> "Wish":
        """Raises UsageError."""
        return cls(
            device,
            seats.count("--workers", workers),
            seats.count("--workers-per-gpu", per_gpu),
            cluster,
        )

    def seats(self, prepared: Mapping[str, Any]) -> list[Seat]:
        """A seat for each worker on this machine. Raises UsageError."""
        return seats.deal(self.device, prepared.get("device", {}), self.workers, self.per_gpu)

    def crew(
        self,
        study: optuna.Study,
        spec: StudySpec,
        url: str,
        workdir: Path,
        dealt: Sequence[Seat],
    ) -> Crew:
        """The workers, not yet started."""
        if self.cluster is None:
            from search.pool import Pool

            return Pool(study, spec, url, workdir, dealt)
        from search.cluster import Cluster

        return Cluster(self.cluster, study, spec, url, workdir, self)
