"""Decoded data sets on disk: .npy arrays that every worker maps, written once, whole or never."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from objectives import paths
from objectives.device import host_bytes

LAYOUT = "decoded-2"  # raise the number when the arrays or the meta data change their meaning
AT_ONCE = 64  # images copied into another order at once


@dataclass(frozen=True)
class Arrays:
    """A whole decoded data set. images: uint8 [N, C, H, W], however they lie in memory; labels:
    int64 [N]. Validation images that are given stand at the end of the training images."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what is to be told of it, a line each
    n_skipped: int = 0  # broken files that were left out
    n_validation: int = 0  # validation images that are given
    groups: np.ndarray | None = None  # int64, of the training images: what may not be parted
    bits: int = 0  # in use of 16-bit pictures, the same for all; 0: there are none


@dataclass(frozen=True)
class Meta:
    """What is known of a decoded data set without opening its arrays."""

    classes: list[str]
    shape: list[int]  # channels, height, width
    n_train: int
    n_test: int
    fingerprint: str
    notes: Sequence[str] = ()
    n_skipped: int = 0
    n_validation: int = 0  # of the n_train: those given, at their end
    is_grouped: bool = False
    bits: int = 0


@dataclass(frozen=True)
class Stored:
    """A decoded data set in its folder."""

    folder: Path
    meta: Meta

    def images(self, part: str) -> np.ndarray:
        """Map the images of train or test, read-only: uint8 [N, C, H, W], on disk [N, H, W, C]."""
        images: np.ndarray = np.load(self.folder / f"{part}_images.npy", mmap_mode="r")
        return images.transpose(0, 3, 1, 2)

    def labels(self, part: str) -> np.ndarray:
        """Read the labels of train or test: int64 [N]."""
        labels: np.ndarray = np.load(self.folder / f"{part}_labels.npy")
        return labels

    @property
    def groups(self) -> np.ndarray | None:
        """Which training images belong together: int64 [N]; None where each stands for itself."""
        return np.load(self.folder / "groups.npy") if self.meta.is_grouped else None


def folders(data_dir: str | Path | None) -> list[Path]:
    """Where data is looked for, in order: the folder given, then the cache folder."""
    if not data_dir:
        return [paths.default_folder()]
    found = [paths.expanded(data_dir, "settings.data_dir").absolute()]
    with suppress(ValueError):  # who has no home needs none where a folder is given
        found.append(paths.default_folder())
    return list(dict.fromkeys(found))


def writable(data_dir: str | Path | None) -> Path:
    """The first of `folders` that takes a new file, made where missing. Raises OSError."""
    places = folders(data_dir)
    for folder in places:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            # Root may write anywhere, but a folder without a write bit is meant to stay as it is.
            if folder.stat().st_mode & 0o222 and os.access(folder, os.W_OK):
                return folder
    raise OSError(
        f"cannot write decoded data to {' or '.join(map(str, places))}; "
        "set OPTSEARCH_DATA or settings.data_dir to a folder that can be written"
    )


def stored(
    key: str, data_dir: str | None, decode: Callable[[], Arrays], *, replaces: str | None = None
) -> Stored:
    """Open the data set stored under a key, decoding it first where nobody has.

    Of several workers that start at once one decodes and the rest wait for it.
    replaces: a glob of keys that a new copy makes useless.
    """
    for folder in folders(data_dir):
        if found := _open(folder / LAYOUT / key):
            return found
    home = writable(data_dir) / LAYOUT
    with locked(home / f"{key}.lock"):
        found = _open(home / key) or _write(home / key, decode())
        for old in home.glob(replaces) if replaces else ():
            if old.is_dir() and old.name != key:
                shutil.rmtree(old, ignore_errors=True)
    return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: one process of this machine at a time."""
    from filelock import FileLock  # its import costs more than opening a decoded data set

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def _open(folder: Path) -> Stored | None:
    try:
        meta = json.loads((folder / "meta.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stored(folder, Meta(**meta))


def _write(folder: Path, arrays: Arrays) -> Stored:
    """Write beside the final place, then rename: a crash leaves no half data set under the key."""
    meta = Meta(
        classes=list(arrays.classes),
        shape=list(arrays.train_images.shape[1:]),
        n_train=len(arrays.train_labels),
        n_test=len(arrays.test_labels),
        fingerprint=fingerprint(arrays),
        notes=arrays.notes,
        n_skipped=arrays.n_skipped,
        n_validation=arrays.n_validation,
        is_grouped=arrays.groups is not None,
        bits=arrays.bits,
    )
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        for part in ("train", "test"):
            images = getattr(arrays, f"{part}_images").transpose(0, 2, 3, 1)
            np.save(beside / f"{part}_images.npy", np.ascontiguousarray(images))
            np.save(beside / f"{part}_labels.npy", getattr(arrays, f"{part}_labels"))
        if arrays.groups is not None:
            np.save(beside / "groups.npy", arrays.groups)
        (beside / "meta.json").write_text(json.dumps(_told(meta)))
        beside.chmod(0o755)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return Stored(folder, meta)


def _told(meta: Meta) -> dict[str, Any]:
    """What there is to say: an earlier version reads it, too, where there is nothing new in it."""
    later = ("notes", "n_skipped", "n_validation", "is_grouped", "bits")
    return {name: value for name, value in asdict(meta).items() if value or name not in later}


def fingerprint(arrays: Arrays) -> str:
    """sha256 over shapes, pixels and labels of the training and test images, in stored order."""
    digest = hashlib.sha256()
    parts = (arrays.train_images, arrays.train_labels, arrays.test_images, arrays.test_labels)
    for array in parts:
        digest.update(repr(array.shape).encode())
        for start in range(0, len(array), AT_ONCE):
            digest.update(np.ascontiguousarray(array[start : start + AT_ONCE]).data)
    if arrays.n_validation:  # which of the training images they are
        digest.update(f"validation {arrays.n_validation}".encode())
    if arrays.groups is not None:
        digest.update(np.ascontiguousarray(arrays.groups).data)
    return f"sha256:{digest.hexdigest()[:16]}"


def blank(what: str, count: int, shape: tuple[int, ...], data_dir: str | None) -> np.ndarray:
    """An array for decoded images, uint8 [count, *shape]: in memory, or where they would take more
    than half of what is free, in a nameless file where decoded data is kept.

    Raises OSError where that disk has no room, with the arithmetic.
    """
    needed, free = count * int(np.prod(shape)), host_bytes()
    if needed <= free // 2:
        return np.empty((count, *shape), np.uint8)
    folder = writable(data_dir)
    on_disk = shutil.disk_usage(folder).free
    if 2 * needed > on_disk:  # as they are decoded, and as they are kept
        arithmetic = " x ".join(f"{n:,}" for n in (2, count, *shape))
        raise OSError(
            f"{what}: {arithmetic} bytes = {2 * needed / 1e9:.1f} GB of disk are needed to decode "
            f"them, {on_disk / 1e9:.1f} GB are free in {folder}; set a smaller "
            "settings.image_size, or OPTSEARCH_DATA to a folder of a larger disk"
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(needed)
        if hasattr(os, "posix_fallocate"):  # a full disk ends a process that writes into a map
            os.posix_fallocate(file.fileno(), 0, max(needed, 1))
        return np.memmap(file, np.uint8, "r+", shape=(count, *shape))
