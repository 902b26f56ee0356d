"""cores.py: a quota is as good as fewer cores."""

import os
from pathlib import Path

import pytest

from objectives import cgroups
from search.workers import cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


GROUP = "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "number"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/", f"{GROUP}/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": "0::/", f"{GROUP}/cpu.max": "max 100000"}, 8),
        ({"proc/self/cgroup": "0::/", f"{GROUP}/cpu.max": "50000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", f"{GROUP}/cpu.max": "1600000 100000"}, 8),
        (
            {
                "proc/self/cgroup": "0::/pod/box",
                f"{GROUP}/pod/cpu.max": "300000 100000",
                f"{GROUP}/pod/box/cpu.max": "600000 100000",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "7:cpu,cpuacct:/docker/5f0a",
                f"{GROUP}/cpu,cpuacct/cpu.cfs_quota_us": "400000",
                f"{GROUP}/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "7:cpu:/",
                f"{GROUP}/cpu/cpu.cfs_quota_us": "-1",
                f"{GROUP}/cpu/cpu.cfs_period_us": "100000",
            },
            8,
        ),
    ],
)
def test_the_tightest_quota_of_all_levels_counts(
    tmp_path: Path, files: dict[str, str], number: int
) -> None:
    """Of both versions of control groups, with a namespace of their own or without; for workers,
    and for the threads that decode photos."""
    write(tmp_path, files)
    assert cores.cores(tmp_path) == number == cgroups.cores(tmp_path)
