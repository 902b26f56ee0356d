"""objectives/cgroups.py: memory under nested limits, of both versions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from objectives import cgroups

GIB = 2**30
Group = Callable[..., None]


@pytest.fixture
def group(tmp_path: Path) -> Group:
    """Write files below a root: `cgroup` is what /proc/self/cgroup says."""

    def write(cgroup: str, **folders: dict[str, object]) -> None:
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
        for folder, files in folders.items():
            place = tmp_path / "sys/fs/cgroup" / folder.replace("__", "/").strip("/")
            place.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (place / name.replace("__", ".")).write_text(f"{text}\n")

    return write


def two(most: object, used: int, cache: int = 0) -> dict[str, object]:
    stat = f"anon 1\ninactive_file {cache}"
    return {"memory__max": most, "memory__current": used, "memory__stat": stat}


def one(most: int, used: int, cache: int = 0) -> dict[str, object]:
    stat = f"cache 1\ntotal_inactive_file {cache}"
    return {
        "memory__limit_in_bytes": most,
        "memory__usage_in_bytes": used,
        "memory__stat": stat,
    }


def test_of_nested_groups_the_tightest_counts(group: Group, tmp_path: Path) -> None:
    """The limit of a pod, above the one of its container; file cache is free."""
    group(
        "0::/pod/box\n",
        pod=two(8 * GIB, 7 * GIB),
        pod__box=two(6 * GIB, 2 * GIB, GIB),
    )
    assert cgroups.memory_bytes(tmp_path) == GIB
    group("0::/pod/box\n", pod=two("max", 7 * GIB))
    assert cgroups.memory_bytes(tmp_path) == 5 * GIB


def test_a_container_sees_its_own_group_as_the_root(group: Group, tmp_path: Path) -> None:
    """With a namespace of its own, and, where it has none, under the host's path."""
    for path in ("/", "/docker/5f0a"):
        group(f"0::{path}\n", __=two(3 * GIB, GIB))
        assert cgroups.memory_bytes(tmp_path) == 2 * GIB


def test_version_one_has_a_folder_a_controller(group: Group, tmp_path: Path) -> None:
    """Its highest number stands for no limit, and is more than any machine has."""
    lines = "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n"
    group(lines, memory=one(2**63 - 4096, 9 * GIB), memory__a__b=one(4 * GIB, 3 * GIB, GIB))
    assert cgroups.memory_bytes(tmp_path) == 2 * GIB


def test_no_groups_and_no_limit_are_none(group: Group, tmp_path: Path) -> None:
    """As on macOS, or on a machine of one's own."""
    assert cgroups.memory_bytes(tmp_path) is None
    group("0::/\n", __=two("max", 5))
    assert cgroups.memory_bytes(tmp_path) is None
