"""Where workers sit: which GPU, how many CPU threads, and how many fit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from search.errors import UsageError
from search.workers import threads
from search.workers.cores import cores

MASK = "CUDA_VISIBLE_DEVICES"
MOST = 1024  # processes on one machine
SHARE = 2  # workers on one GPU by `auto`: a second fills the gaps of the first, more take turns


class Seat(NamedTuple):
    """What one worker gets: `environment` is set before it touches a device; `shares`: others on
    its GPU may use it at the same moment, by CUDA MPS."""

    device: str
    threads: int
    environment: Mapping[str, str] = {}
    shares: bool = False


class Wish(NamedTuple):
    """What the command line asks for; None is `auto`, and of `cluster` this machine."""

    device: str
    workers: int | None
    per_gpu: int | None
    cluster: str | None = None
    modest: bool = False  # take fewer where fewer are left, as after a node was lost

    @classmethod
    def parse(cls, device: str, workers: str, per_gpu: str, cluster: str | None = None) -> "Wish":
        """Raises UsageError."""
        numbers = count("--workers", workers), count("--workers-per-gpu", per_gpu)
        return cls(device, *numbers, cluster)

    def seats(self, prepared: Mapping[str, Any]) -> list[Seat]:
        """A seat for each worker on this machine. Raises UsageError."""
        return deal(self.device, prepared.get("device", {}), self.workers, self.per_gpu)


def count(option: str, text: str) -> int | None:
    """The number of `--workers N|auto`; None for auto. Raises UsageError."""
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise UsageError(f"{option} {text}: must be auto or a number from 1 to {MOST}")
    return int(text)


def deal(
    device: str, found: Mapping[str, Any], workers: int | None, per_gpu: int | None
) -> list[Seat]:
    """The seats of a run.

    Args:
        device: of `--device`.
        found: what the objective's `prepare` tells of the device: `type`, and of GPUs `visible`
            (their names in the mask), `mask` (the variable that rules, where it
            is not CUDA_VISIBLE_DEVICES), `memory_bytes` (free on the smallest) and `worker_bytes`
            (what one worker takes).
        workers: in all; None for as many as suit.
        per_gpu: at most, on one GPU; None for what suits.

    Raises:
        UsageError: more workers than the GPUs' memory holds, with the arithmetic.
    """
    gpus: Sequence[str] = found.get("visible", ())
    if not gpus:
        if per_gpu is not None:
            raise UsageError(
                f"--workers-per-gpu {per_gpu}: no CUDA GPU is used here; use --workers {per_gpu}"
            )
        number = workers or (cores() if found.get("type", "cpu") == "cpu" else 1)
        return [Seat(device, threads.share(cores(), number))] * number
    share = _share(found, len(gpus), workers, per_gpu)
    number = workers or len(gpus) * share
    _check_memory(found, -(-number // len(gpus)))
    each = threads.share(cores(), number)
    # one GPU each is all that a worker sees, so that any objective's plain "cuda" is the right one
    mask = found.get("mask", MASK)
    shares = number > 1 and is_whole(found)
    return [Seat("cuda", each, {mask: gpus[i % len(gpus)]}, shares) for i in range(number)]


def is_whole(found: Mapping[str, Any]) -> bool:
    """Whether there is one GPU and all of it, which CUDA MPS could divide.

    Instances of MIG would need a daemon each, and several GPUs are dealt out one by one.
    """
    is_nvidia = found.get("mask", MASK) == MASK  # the other mask is that of ROCm
    visible, name = found.get("visible", ()), f"{found.get('name', '')} "
    return len(visible) == 1 and is_nvidia and " MIG " not in name and "MIG-" not in visible[0]


def fits(found: Mapping[str, Any], gpus: int = 1) -> int:
    """Workers on one GPU that its memory holds and the cores feed; one at least."""
    return max(1, min(_fits(found), cores() // gpus))


def _share(found: Mapping[str, Any], gpus: int, workers: int | None, per_gpu: int | None) -> int:
    """Workers on one GPU."""
    if per_gpu is not None:
        if workers is not None and workers > per_gpu * gpus:
            raise UsageError(
                f"--workers {workers}: {gpus} GPUs x {per_gpu} workers each are {gpus * per_gpu}; "
                "raise --workers-per-gpu, or lower --workers"
            )
        return per_gpu
    return min(SHARE, fits(found, gpus))


def _fits(found: Mapping[str, Any]) -> int:
    """As many as memory holds; of an objective that does not tell what it takes, SHARE."""
    needed = found.get("worker_bytes", 0)
    return int(found["memory_bytes"] // needed) if needed and "memory_bytes" in found else SHARE


def _check_memory(found: Mapping[str, Any], share: int) -> None:
    needed, free = found.get("worker_bytes", 0), found.get("memory_bytes")
    if free is not None and share * needed > free:
        raise UsageError(
            f"{share} workers on one GPU x {needed / 2**30:.1f} GiB = "
            f"{share * needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free; "
            f"use --workers-per-gpu {max(1, _fits(found))}"
        )
