"""A split that stays on the host, in its memory map: read one batch ahead of the device."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from objectives.feed import Images

SHARE = 0.6  # of a device's free memory; a data set that takes more of it is streamed


class Streamed:
    """One split, to the network what `feed.Images` is: the same images in the same order.

    images: the split on the host. Only labels lie on the device, and one batch of pixels.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.images, self.device = images, device
        self.pixels = images.pixels  # uint8 [M, H, W, C], on the host
        self.labels = images.labels.to(device)
        self._trained: _Lane | None = None

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """As `Images.take`, read now, while the caller waits."""
        pixels, labels = self.images.take(index.cpu())
        return pixels.to(self.device), labels.to(self.device)

    def plan(self, batches: Sequence[Tensor]) -> None:
        """The batches of an epoch, int64 [B] each, which `advance` brings one by one."""
        longest = max(map(len, batches))
        if self._trained is None or self._trained.most < longest:
            self._trained = _Lane(self.images, self.device, longest)
        order = torch.cat([*batches]).cpu()  # the one wait for the device
        self._trained.start(torch.split(order, [len(batch) for batch in batches]))

    def advance(self) -> None:
        """Bring the next batch of the plan to where `planned` finds it."""
        assert self._trained is not None
        self._trained.advance()

    def planned(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The batch that `advance` brought, as `take(index)` would give it.

        Reads the same memory at every step, so that a CUDA graph may hold it.
        """
        assert self._trained is not None
        pixels = self._trained.brought[: len(index)].permute(0, 3, 1, 2)
        return pixels, self.labels.index_select(0, index)

    def slices(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Images.slices`."""
        plan = torch.split(torch.arange(len(self.labels)), size)
        lane = _Lane(self.images, self.device, len(plan[0]))
        lane.start(plan)
        for index in plan:
            lane.advance()
            yield (
                lane.brought[: len(index)].permute(0, 3, 1, 2),
                self.labels[index[0] : index[-1] + 1],
            )


class _Lane:
    """Batches on their way to the device: while one is used, a thread reads the next.

    Two buffers on the host (pinned for CUDA, whose copies then do not hold up the host) take turns.
    A CPU uses them as they are; another device has one of its own, `brought`, of `most` images.
    """

    def __init__(self, images: Images, device: torch.device, most: int) -> None:
        self.most, on_cuda = most, device.type == "cuda"
        shape = (most, *images.pixels.shape[1:])
        self._map = images.pixels.numpy()
        self._rows = None if images.rows is None else images.rows.numpy()
        self._buffers = [
            torch.empty(shape, dtype=torch.uint8, pin_memory=on_cuda) for _ in range(2)
        ]
        self._copied = [_event() if on_cuda else None for _ in range(2)]
        self._on_host = device.type == "cpu"
        self.brought = (
            self._buffers[0] if self._on_host else torch.empty_like(self._buffers[0], device=device)
        )
        self._reader = ThreadPoolExecutor(1, "reader")
        self._plan: list[np.ndarray] = []
        self._at = 0
        self._coming: Future[int] | None = None

    def start(self, plan: Sequence[Tensor]) -> None:
        """Begin a plan, whatever became of the one before."""
        if self._coming is not None:
            self._coming.exception()  # an epoch that was given up left it; its buffer is free then
        rows = (index.numpy() for index in plan)
        self._plan = [index if self._rows is None else self._rows[index] for index in rows]
        self._at = 0
        self._read()

    def advance(self) -> None:
        """Wait for the batch that is due, hand it over, and have the next one read."""
        assert self._coming is not None
        count, which = self._coming.result(), self._at % 2
        if self._on_host:
            self.brought = self._buffers[which]
        else:
            self.brought[:count].copy_(self._buffers[which][:count], non_blocking=True)
            if (event := self._copied[which]) is not None:
                event.record()
        self._at += 1
        self._read()

    def _read(self) -> None:
        more = self._at < len(self._plan)
        self._coming = self._reader.submit(self._gather, self._at) if more else None

    def _gather(self, at: int) -> int:
        """Read one batch of the plan; the number of its images. Holds no lock of the interpreter
        while it reads."""
        rows, which = self._plan[at], at % 2
        if (event := self._copied[which]) is not None:
            event.synchronize()  # the device may still be taking the batch before last
        target = self._buffers[which][: len(rows)].numpy()
        announce(self._map, rows)
        np.take(self._map, rows, axis=0, out=target, mode="clip")  # raise would copy once more
        return len(rows)


def announce(images: np.ndarray, rows: np.ndarray) -> None:
    """Ask the system to read these rows of a mapped array, uint8 [N, ...], and no more.

    Else each row that is not in memory costs what it reads ahead at a fault: megabytes on many
    disks, of which the images of a shuffled batch use one part in twenty.
    """
    will_need = getattr(mmap, "MADV_WILLNEED", None)  # not on Windows
    if will_need is None or not images.flags.c_contiguous:
        return
    size, first = images[:1].nbytes, images.ctypes.data
    for row in rows.tolist():
        begins = first + row * size
        page = begins - begins % mmap.PAGESIZE
        # Advice only: what it answers changes nothing of what is read after it.
        _C.madvise(ctypes.c_void_p(page), ctypes.c_size_t(begins + size - page), will_need)


_C = ctypes.CDLL(None)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event()  # type: ignore[no-untyped-call]
