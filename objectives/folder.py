"""A user's own images as a data set: PATH/train/CLASS/* and PATH/test/CLASS/*."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from objectives import cgroups, layout, misplaced, notes, pictures
from objectives.notes import Findings
from objectives.store import Arrays, check_fits

VERSION = b"pictures-2\n"  # raise the number when files are decoded otherwise
THUMBNAIL_BYTES = 8192
CHUNK = 32  # files a thread decodes between two looks at the queue


@dataclass(frozen=True)
class Listing:
    """The files of a folder, sorted by class and name."""

    root: Path
    classes: tuple[str, ...]
    train: list[tuple[str, int]]  # file, class
    test: list[tuple[str, int]]
    key: str  # changes with any file's name, size or time, and with how files are decoded
    notes: tuple[str, ...] = ()  # of what is not read


def listing(path: str) -> Listing:
    """List a data set's files and check that training and test set have the same classes.

    Raises ValueError for a missing folder, fewer than two classes, an empty class, unequal classes.
    """
    root, unread, digest = _root(path), layout.Unread(), hashlib.sha256(VERSION)
    misplaced.check(root)
    found = layout.parts(root, unread)
    names = tuple(found["train"])
    files: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for part, rows in files.items():
        for label, name in enumerate(names):
            for entry in found[part][name]:
                stat = entry.stat()
                digest.update(os.fsencode(f"{part}/{name}/{entry.name} "))
                digest.update(f"{stat.st_size} {stat.st_mtime_ns}\n".encode())
                rows.append((entry.path, label))
    key = digest.hexdigest()[:16]
    classes = tuple(map(notes.shown, names))  # of any bytes: figures and tables print them
    return Listing(root, classes, files["train"], files["test"], key, tuple(unread.lines()))


def _root(path: str) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError as error:  # no such user, or a link that leads to itself
        raise ValueError(f"folder:{path}: {error}; write the path of a folder") from error


def decode(files: Listing, image_size: int | None, *, skip_broken: bool = False) -> Arrays:
    """Decode every picture: RGB, or one channel where all are gray.

    image_size: side of a square; the image is scaled to cover it and its centre kept. What is no
    picture is left out, and so, where asked, is what is broken; `notes` of the result tell of it.
    Raises ValueError for broken files, sizes that differ, images that do not fit in memory.
    """
    everything = files.train + files.test
    names = [file.removeprefix(f"{files.root}/") for file, _ in everything]
    with warnings.catch_warnings():  # of PIL, about pictures that it reads all the same
        warnings.simplefilter("ignore")
        images, found = _decoded(files.root, [file for file, _ in everything], image_size)
    if found.broken and not (skip_broken and len(images)):
        raise ValueError(notes.refusal(files.root, names, found.broken))
    kept = [row for row in range(len(names)) if row not in found.broken | found.foreign]
    labels = np.array([everything[row][1] for row in kept], dtype=np.int64)
    cut = sum(row < len(files.train) for row in kept)
    _check_classes(files, labels, cut)
    told = notes.lines(names, found, image_size)
    told += notes.duplicates(images, labels, cut, [names[row] for row in kept])
    return Arrays(
        *(images[:cut], labels[:cut], images[cut:], labels[cut:]),
        classes=files.classes,
        notes=tuple(told),
        n_skipped=len(found.broken),
    )


def _check_classes(files: Listing, labels: np.ndarray, cut: int) -> None:
    """Raise ValueError for a class of which nothing could be read."""
    for part, some in (("train", labels[:cut]), ("test", labels[cut:])):
        counts = np.bincount(some, minlength=len(files.classes))
        if empty := [name for name, n in zip(files.classes, counts, strict=True) if n == 0]:
            raise ValueError(
                f"folder:{notes.shown(files.root)}: none of the files in class folder "
                f"{part}/{notes.shown(empty[0])} can be read as a picture; put images in it or "
                "remove it from train/ and test/"
            )


def _decoded(root: Path, files: Sequence[str], side: int | None) -> tuple[np.ndarray, Findings]:
    """The pictures among the files, uint8 [N, C, H, W], and what came to light."""
    first, found = _first(files, side)
    if first is None:
        return np.empty((0, 1, 1, 1), np.uint8), found
    size = (side, side) if side else (first[1].size[1], first[1].size[0])
    try:
        images, found = _Decoding(root, files, size, side, first[0], first[1].gray).run()
    except pictures.ColourError:
        images, found = _Decoding(root, files, size, side, first[0], False).run()
    kept = [row for row in range(len(files)) if row not in found.broken | found.foreign]
    if len(kept) < len(files):
        for place, row in enumerate(kept):  # in place: there may be no room for a copy
            images[place] = images[row]
    return images[: len(kept)].transpose(0, 3, 1, 2), found


def _first(
    files: Sequence[str], side: int | None
) -> tuple[tuple[int, pictures.Picture] | None, Findings]:
    """The first file that can be read, with its number; without one, why none can."""
    found = Findings()
    for row, file in enumerate(files):
        try:
            return (row, pictures.read(file, 3, side)), found
        except pictures.UnreadableError as error:
            (found.foreign if error.foreign else found.broken)[row] = str(error)
    return None, found


class _Decoding:
    """One pass over all files, and a second one over those whose scale only the first can tell."""

    def __init__(
        self,
        root: Path,
        files: Sequence[str],
        size: tuple[int, int],  # height, width
        side: int | None,
        first: int,
        gray: bool,
    ) -> None:
        self.root, self.files, self.size, self.side, self.first = root, files, size, side, first
        self.channels = 1 if gray else 3
        self.found = Findings()
        check_fits(f"folder:{root}", len(files), (self.channels, *size))
        self.images = np.empty((len(files), *size, self.channels), dtype=np.uint8)

    def run(self) -> tuple[np.ndarray, Findings]:
        """uint8 [N, H, W, C], those rows empty that could not be read. Raises ColourError."""
        self._pass(range(len(self.files)), None)
        if self.found.largest:
            self._pass(sorted(self.found.largest), self.found.bits)
        return self.images, self.found

    def _pass(self, rows: Sequence[int], bits: int | None) -> None:
        """Decoding runs without the interpreter's lock: worth threads for photos. Of thumbnails
        they only fight for it (60,000 of 32x32: 15 s with two, 11 s with one). The first error that
        is not the file's own ends all."""

        def work(start: int) -> None:
            for row in rows[start : start + CHUNK]:
                self._one(row, bits)

        small = Path(self.files[self.first]).stat().st_size < THUMBNAIL_BYTES
        pool = ThreadPoolExecutor(1 if small else cgroups.cores())
        try:
            for _ in pool.map(work, range(0, len(rows), CHUNK)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)

    def _one(self, row: int, bits: int | None) -> None:
        found = self.found
        try:
            picture = pictures.read(self.files[row], self.channels, self.side, bits)
        except pictures.UnreadableError as error:
            (found.foreign if error.foreign else found.broken)[row] = str(error)
            return
        if not self.side and picture.size[::-1] != self.size:
            raise ValueError(self._sizes_differ(row, picture.size))
        if picture.kinds:
            found.kinds[row] = picture.kinds
        if picture.largest or picture.pixels is None:
            found.largest[row] = picture.largest
        if self.side and notes.loses_much(*picture.size):
            found.sizes[row] = picture.size
        if picture.pixels is not None:
            self.images[row] = picture.pixels.reshape(*self.size, self.channels)

    def _sizes_differ(self, row: int, other: tuple[int, int]) -> str:
        names = [notes.shown(Path(self.files[i]).relative_to(self.root)) for i in (self.first, row)]
        return (
            f"folder:{notes.shown(self.root)}: images differ in size ({names[0]} is "
            f"{self.size[1]}x{self.size[0]}, {names[1]} is {other[0]}x{other[1]}); "
            "set settings.image_size to bring all to one size"
        )
