"""What `optsearch doctor` cannot know without PyTorch: each asked in a process of its own.

A torch that ends its process (a CPU that lacks an instruction) or hangs in a driver takes nobody
along; so `host`, which needs no torch, is asked apart.
"""

from __future__ import annotations

import warnings
from typing import Any

from objectives import cgroups, paths


def host() -> dict[str, Any]:
    """`memory_bytes`, what the container's limit leaves (None without one), and `data_folder`, or
    `data_error`, why there is none."""
    found: dict[str, Any] = {"memory_bytes": cgroups.memory_bytes()}
    try:
        return {**found, "data_folder": str(paths.default_folder())}
    except ValueError as error:
        return {**found, "data_error": str(error)}


def framework() -> dict[str, Any]:
    """torch's `version`, what it is built for (`cuda`, `hip`, `architectures`), the devices that it
    sees, `said`, its warnings while it looked, and what is wrong with `torchvision`, or None.

    Raises whatever torch raises at its import.
    """
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sees = torch.cuda.is_available()
    said = [str(one.message).splitlines()[0] for one in told]
    found = {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "architectures": torch.cuda.get_arch_list() if sees else [],
        "mps": torch.backends.mps.is_available(),
        "devices": [_device(i) for i in range(torch.cuda.device_count())] if sees else [],
        "said": said,
    }
    return {**found, "torchvision": _fault_of_torchvision()}


def _device(index: int) -> dict[str, Any]:
    import torch

    about = torch.cuda.get_device_properties(index)
    found = {"name": about.name, "capability": [about.major, about.minor]}
    try:
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:  # busy, or in a mode that lets nobody else in
        return {**found, "fault": str(error).splitlines()[0]}
    return {**found, "free_bytes": free, "total_bytes": total}


def _fault_of_torchvision() -> str | None:
    """One built for another torch raises what its loader or its operators raise."""
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None
