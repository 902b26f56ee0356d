"""Memory and cores of a container, by its control groups: version 1 and 2, each nested level.

Inside a container the path in /proc/self/cgroup may be the host's, and what is mounted the
container's own group: so each level is looked for, and one that is not there is passed over.
`search/workers/cores.py` walks them for cores, too: the two worlds share no code.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def memory_bytes(root: Path = ROOT) -> int | None:
    """Bytes that may still be taken, file cache being free; None without a limit."""
    files = (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    left = [
        limit - used + _cache(level / "memory.stat", cache)
        for controller, most, now, cache in files
        for level in _levels(root, controller)
        if (limit := _number(level / most)) is not None
        and (used := _number(level / now)) is not None
    ]
    return max(0, min(left)) if left else None


def cores(root: Path = ROOT) -> int:
    """CPU cores that this process may keep busy: those it may run on, and as the quota has it."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([mine, *(int(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores' worth of time by each level that has a limit."""
    for level in _levels(root, ""):
        most, period = [*_words(level / "cpu.max"), "", ""][:2]
        if most.isdecimal() and period.isdecimal():
            yield int(most) / int(period)
    for level in _levels(root, "cpu"):
        most_us = _number(level / "cpu.cfs_quota_us")
        period_us = _number(level / "cpu.cfs_period_us")
        if most_us is not None and most_us > 0 and period_us:
            yield most_us / period_us


def _levels(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process' group and of those that it lies in, for one controller of version
    1, or ("") for version 2."""
    mounted = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller not in names.split(","):
            continue
        place = mounted / names if names else mounted
        if names and not place.is_dir():
            place = mounted / controller
        inner = PurePosixPath(path.lstrip("/"))
        for level in (inner, *inner.parents):
            if (place / level).is_dir():
                yield place / level


def _cache(stat: Path, name: str) -> int:
    return next((int(n) for key, n in map(str.split, _lines(stat)) if key == name), 0)


def _number(file: Path) -> int | None:
    """What stands in a file; None without it, and for `max`."""
    word = [*_words(file), ""][0]
    return int(word) if word.lstrip("-").isdecimal() else None


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
