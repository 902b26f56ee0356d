"""What an error leaves of a GPU: whether it still answers, and whether it has room another time."""

from __future__ import annotations

import gc
import time

import torch

from objectives import device as devices
from objectives.memory import CUDA_CONTEXT

WAIT_S = 60.0  # for others to release memory
LOOK_S = 0.5
FEW = 0.05  # of a GPU's memory: whoever else is there with less is not in the way
ROOM = 1.5  # times what was free: so much makes another try worth its time before WAIT_S is over


def ask(place: torch.device, error: BaseException) -> None:
    """Raise where the GPU does not answer this process any more, whatever `error` said.

    A fault stays with the process: each later call fails, and after a capture that failed (torch up
    to 2.12) each random number. Who starts the process tells it by the words `CUDA error`.
    """
    if place.type != "cuda":
        return
    try:
        torch.rand(1, device=place).add_(1).item()
    except RuntimeError as fault:
        if devices.is_out_of_memory(fault):
            return
        why = str(fault).splitlines()[0]
        raise RuntimeError(f"CUDA error: {place} does not answer any more ({why})") from error


def room(place: torch.device, wait_s: float = WAIT_S) -> str:
    """Why a run that found no memory on a GPU may find it now, in words; "" on anything else.

    Waits for other processes to release theirs, where some hold much: until there is half as much
    again, or they are gone, or for wait_s.
    """
    if place.type != "cuda":
        return ""
    started = time.monotonic()
    before, first = _others(place), torch.cuda.mem_get_info(place)[0]
    while time.monotonic() - started < wait_s:
        free, total = torch.cuda.mem_get_info(place)
        if _others(place) < FEW * total or free > ROOM * first:
            break
        time.sleep(LOOK_S)
    free, total = torch.cuda.mem_get_info(place)
    gib = [f"{size / 2**30:.1f}" for size in (before, total, free)]
    waited = time.monotonic() - started
    return (
        f"memory ran out while others held {gib[0]} of {gib[1]} GiB; trained once more step by "
        f"step, {gib[2]} GiB free after {waited:.0f} s"
    )


def _others(place: torch.device) -> int:
    """Bytes on a GPU that are not this process' own."""
    free, total = torch.cuda.mem_get_info(place)
    return max(0, total - free - torch.cuda.memory_reserved(place) - CUDA_CONTEXT)


def give_memory_back() -> None:
    """What no tensor holds any more, to whoever else is on the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
