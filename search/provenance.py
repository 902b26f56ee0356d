"""Where a result comes from: versions, hardware, and a fingerprint of the objective's code."""

import contextlib
import functools
import hashlib
import importlib.util
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from search.errors import ObjectiveError

_PACKAGES = ("optsearch", "optuna", "torch", "torchvision", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on; nothing is imported."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def of_trial(objective: str, folder: str) -> dict[str, str]:
    """What every trial keeps: the host, versions, and the code's fingerprint."""
    code = code_fingerprint(objective, folder)
    return {**versions(), "code": code, "host": platform.node()}


def process(pid: int | None = None) -> dict[str, str | int]:
    """This process, or another of this host, so that it can be told whether it still lives."""
    pid = pid or os.getpid()
    return {"host": platform.node(), "room": _room(), "pid": pid, "since": _since(pid)}


def is_gone(noted: Mapping[str, Any]) -> bool:
    """Whether what `process` noted is a process of this host that does not exist any more.

    False where that cannot be known: on another host, or in a container with pids of its own.
    """
    if noted.get("host") != platform.node() or noted.get("room") != _room():
        return False
    pid = int(noted["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(_since(pid) != noted["since"])  # the number was given to another process


@functools.cache
def _room() -> str:
    """What a pid is a name in: a boot of the host and a namespace (containers have their own)."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return ""


def _since(pid: int) -> int:
    """When a process began, in clock ticks since the boot; -1 of one that is dead but not yet
    reaped, 0 where that cannot be known."""
    with contextlib.suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if state in "ZX" else int(fields[18])
    return 0


def code_fingerprint(objective: str, folder: str) -> str:
    """`sha256:...` over the source of the objective: its file, or all of its package.

    Args:
        objective: a reference, `./mine.py:objective` or `package.module:function`.
        folder: what `./` is relative to.

    Raises:
        ObjectiveError: there is no such module.
    """
    digest = hashlib.sha256()
    files = _sources(objective, folder)
    if files[0].suffix == ".pickle":  # from Python, by value: its bytes differ each time
        with files[0].open("rb") as kept:
            return kept.readline().decode().strip()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"


def _sources(objective: str, folder: str) -> list[Path]:
    module = objective.rpartition(":")[0]
    if module.endswith((".py", ".pickle")):
        files = [Path(folder, module)]
    else:
        beside = Path(folder, *module.split(".")).with_suffix(".py")
        origin = beside if beside.is_file() else _installed(module) or beside
        files = sorted(origin.parent.glob("*.py")) if "." in module else [origin]
    if not files or not all(file.is_file() for file in files):
        raise ObjectiveError(
            f"objective: '{objective}': there is no module '{module}'; "
            "write ./FILE.py:FUNCTION (relative to the study file) or PACKAGE.MODULE:FUNCTION"
        )
    return files


def _installed(module: str) -> Path | None:
    """The file of a module that is importable from anywhere; None of others."""
    with contextlib.suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec(module)
        return Path(spec.origin) if spec and spec.origin else None
    return None
