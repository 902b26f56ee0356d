"""Which device trains, in which precision, on how many threads, within how much memory."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from objectives import cgroups

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
# /proc/cpuinfo flags of CPUs that multiply bfloat16 in hardware (x86 twice, then Arm).
NATIVE_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
GPU_MASK = "CUDA_VISIBLE_DEVICES"  # names of the GPUs that this process may see
ROCM_MASK = "HIP_VISIBLE_DEVICES"  # where it is set, ROCm does not read the other one
DRIVER = Path("/proc/driver/nvidia/version")  # there where NVIDIA's kernel module is loaded
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's numbers for mallopt
# What allocators say that do not raise torch.OutOfMemoryError, in lower case.
OUT_OF_MEMORY = (
    "out of memory",
    "defaultcpuallocator: can't allocate",
    "defaultcpuallocator: not enough memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cudnn_status_internal_error_host_allocation_failed",
)


def pick(device: str = "auto") -> torch.device:
    """Turn auto | cpu | cuda[:i] | mps into a device that is there; auto prefers cuda, then mps.

    Raises ValueError for an unknown or absent device.
    """
    if device == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _count(kind)))
    kind, _, index = device.partition(":")
    known = kind in ("cpu", "cuda", "mps") and (not index or (kind == "cuda" and index.isdecimal()))
    if not known:
        raise ValueError(f"unknown device {device!r}; one of: auto, cpu, cuda, cuda:0, mps")
    count = _count(kind)
    if not count:
        title = {"cuda": "CUDA", "mps": "Apple MPS"}[kind]
        raise ValueError(
            f"device {device}: no {title} device is visible (torch {torch.__version__}); "
            "use cpu, or see `optsearch doctor`"
        )
    if index and int(index) >= count:
        raise ValueError(
            f"device {device}: there are {count} CUDA devices, cuda:0 to cuda:{count - 1}"
        )
    return torch.device(device)


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(kind == "cpu" or torch.backends.mps.is_available())


def precision(setting: str, device: torch.device) -> str:
    """Resolve auto | float32 | bfloat16 | float16: auto is bfloat16 where the hardware multiplies
    it, float16 on the older CUDA GPUs that multiply that one (V100, T4).

    Raises ValueError for another word, and for float16 where no GPU is.
    """
    if setting not in PRECISIONS:
        raise ValueError(f"unknown precision {setting!r}; one of: {', '.join(PRECISIONS)}")
    if setting == "float16" and device.type != "cuda":
        raise ValueError(f"precision float16 is for CUDA GPUs, not {device.type}; use bfloat16")
    if setting != "auto":
        return setting
    if _native_bfloat16(device):
        return "bfloat16"
    has_tensor_cores = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)
    return "float16" if has_tensor_cores else "float32"


def elsewhere(precision: str, device: torch.device) -> str:
    """In what a model of a precision is evaluated on this device, which need not have trained it:
    float16 on CUDA GPUs alone."""
    return "float32" if precision == "float16" and device.type != "cuda" else precision


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Within it a network computes in this precision; in float32 it is nothing."""
    halved = dtype != torch.float32
    return torch.autocast(device.type, dtype if halved else torch.bfloat16, enabled=halved)


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and not NATIVE_BFLOAT16.isdisjoint(_cpu_flags())


@cache
def _cpu_flags() -> frozenset[str]:
    """The CPU's feature flags; empty off Linux, where torch has no fast bfloat16 convolution."""
    for line in _lines(Path("/proc/cpuinfo")):
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(flags.split())
    return frozenset()


def configure(
    device: torch.device, threads: int | None = None, *, deterministic: bool = True
) -> None:
    """Settle the process: threads, kernels, memory.

    threads: None keeps torch's own number, which obeys OMP_NUM_THREADS.
    deterministic: on a GPU, whether kernels must repeat. torch's CPU kernels that train a CNN
    repeat bitwise at one thread number as they are.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    on_cpu = device.type == "cpu"
    if device.index is not None:  # of cuda:1: a graph is captured on the current device
        torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = not deterministic  # chosen by timing, kernels differ
    torch.backends.cudnn.deterministic = deterministic
    if device.type == "cuda":
        _demand_repetition(deterministic)
        _keep_float32()
    torch.set_flush_denormal(True)  # denormal weights of a decayed network cost 100 times as much
    if on_cpu:
        _keep_memory()


def _demand_repetition(deterministic: bool) -> None:
    """Of all other kernels of a GPU: those that repeat, where torch has such; or the fastest.

    By the one call of torch's that does not import its compiler, for seconds. What has no kernel
    that repeats runs all the same; torch warns of it.
    """
    if deterministic:  # read when cuBLAS begins: with its two default buffers it need not repeat
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    # Else every new tensor is filled, as a check for code that reads what it never wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _keep_float32() -> None:
    """Let float32 be float32: else cuDNN rounds what a convolution multiplies to TF32's ten bits,
    and a model scores otherwise than on a CPU. Who wants speed has bfloat16."""
    if hasattr(torch.backends.cudnn, "conv"):  # from torch 2.9 on
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        torch.backends.cuda.matmul.fp32_precision = "ieee"
    else:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


@cache
def _keep_memory() -> None:
    """Let glibc keep what tensors free; pages handed back and forth take a tenth of a CPU step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        # Older ones refuse more than 32 MB.
        mallopt(MMAP_THRESHOLD, 2**30) or mallopt(MMAP_THRESHOLD, 2**25)
        mallopt(TRIM_THRESHOLD, 2**30)


def describe(device: torch.device) -> dict[str, str | int]:
    """Say in JSON-able words what trains: kind, name, torch version, threads."""
    return {
        "type": device.type,
        "name": _name(device),
        "torch": str(torch.__version__),  # a TorchVersion would bring torch to whoever reads it
        "threads": torch.get_num_threads(),
    }


def gpus(place: torch.device) -> dict[str, Any]:
    """The CUDA devices that a run may deal out: {} on any other device, else `visible`, their names
    in the variable `mask`, and `memory_bytes`, what is free on the smallest.

    place: `cuda` is all that are visible, `cuda:1` that one alone.
    """
    if place.type != "cuda":
        return {}
    indices = range(torch.cuda.device_count()) if place.index is None else [place.index]
    mask = ROCM_MASK if torch.version.hip is not None and ROCM_MASK in os.environ else GPU_MASK
    names = [name.strip() for name in os.environ.get(mask, "").split(",") if name.strip()]
    return {
        "mask": mask,
        "visible": [names[i] if i < len(names) else str(i) for i in indices],
        "memory_bytes": min(torch.cuda.mem_get_info(i)[0] for i in indices),
    }


def unused(asked: str, place: torch.device, driver: Path = DRIVER) -> str:
    """That `auto` became the CPU beside an NVIDIA driver, which torch cannot use; "" elsewhere, and
    where somebody hides the GPUs."""
    lines = _lines(driver) if asked == "auto" and place.type == "cpu" else []
    if not lines or os.environ.get(GPU_MASK, "0").strip() in ("", "-1"):
        return ""
    version = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", lines[0])
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return (
        f"there is an NVIDIA driver{f' {version[0]}' if version else ''}, but torch "
        f"{torch.__version__}, built for {built}, sees no GPU: the CPU trains; "
        "`optsearch doctor` says why"
    )


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    models = (line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name"))
    return next(models, f": {platform.processor() or platform.machine()}").partition(":")[2].strip()


def available_bytes(device: torch.device) -> int:
    """How many bytes a training run may still take on the device."""
    return MEMORY[device.type](device)


def _cuda_bytes(device: torch.device) -> int:
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + cached


def _mps_bytes(device: torch.device) -> int:
    return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()


def host_bytes(device: torch.device | None = None) -> int:
    """Free host memory: what Linux calls available, within the container's limit; else all."""
    free = [cgroups.memory_bytes()]
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    known = [size for size in free if size is not None]
    return min(known) if known else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


MEMORY: dict[str, Callable[[torch.device], int]] = {
    "cpu": host_bytes,
    "cuda": _cuda_bytes,
    "mps": _mps_bytes,
}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def is_out_of_memory(error: BaseException) -> bool:
    """Tell a device or host that ran out of memory from any other failure."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        phrase in str(error).lower() for phrase in OUT_OF_MEMORY
    )
