"""Where a result comes from: versions, hardware, and a fingerprint of the objective's code."""

import functools
import hashlib
import importlib.util
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

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
    """What every trial keeps: versions, the code's fingerprint, and the process that runs it."""
    code = code_fingerprint(objective, folder)
    return {**versions(), "code": code, "host": platform.node(), "pid": str(os.getpid())}


def is_gone(made_by: Mapping[str, str]) -> bool:
    """Whether what `of_trial` noted names a process of this host that does not exist any more."""
    if made_by.get("host") != platform.node() or "pid" not in made_by:
        return False
    try:
        os.kill(int(made_by["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def code_fingerprint(objective: str, folder: str) -> str:
    """`sha256:...` over the source of the objective: its file, or all of its package.

    Args:
        objective: a reference, `./mine.py:objective` or `package.module:function`.
        folder: what `./` is relative to.

    Raises:
        ObjectiveError: there is no such module.
    """
    digest = hashlib.sha256()
    for file in _sources(objective, folder):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"


def _sources(objective: str, folder: str) -> list[Path]:
    module = objective.rpartition(":")[0]
    if module.endswith(".py"):
        files = [Path(folder, module)]
    else:
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            spec = None
        beside = Path(folder, *module.split(".")).with_suffix(".py")
        origin = Path(spec.origin) if spec and spec.origin else beside
        files = sorted(origin.parent.glob("*.py")) if "." in module else [origin]
    if not files or not all(file.is_file() for file in files):
        raise ObjectiveError(
            f"objective: '{objective}': there is no module '{module}'; "
            "write ./FILE.py:FUNCTION (relative to the study file) or PACKAGE.MODULE:FUNCTION"
        )
    return files
