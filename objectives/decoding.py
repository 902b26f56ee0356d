"""The files of a data set, decoded: one array of all pictures, and what came to light."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from objectives import cgroups, notes, oddities, pictures
from objectives.notes import Findings
from objectives.parting import Listing
from objectives.store import Arrays, blank

VERSION = b"pictures-4\n"  # raise it when files are decoded otherwise, or more is kept of them
THUMBNAIL_BYTES = 8192
CHUNK = 32  # files a thread decodes between two looks at the queue


def decode(
    files: Listing,
    image_size: int | None,
    resize: str = "crop",
    *,
    skip_broken: bool = False,
    data_dir: str | None = None,
) -> Arrays:
    """Decode every picture: RGB, or one channel where all are gray.

    image_size: side of a square, to which a picture is brought as `resize` says. data_dir: where
    room is looked for if memory has none. What is no picture is left out, and so, where asked, is
    what is broken; `notes` of the result tell of it.
    Raises ValueError for broken files and sizes that differ, OSError where the disk is too small.
    """
    everything = files.everything
    names = [file.removeprefix(f"{files.root}/") for file, _ in everything]
    with warnings.catch_warnings():  # of PIL, about pictures that it reads all the same
        warnings.simplefilter("ignore")
        images, found = read_all(files, image_size, resize, data_dir)
    if found.broken and not (skip_broken and len(images)):
        root = None if files.is_listed else files.root
        raise ValueError(notes.refusal(files.place, root, names, found.broken))
    kept = [row for row in range(len(names)) if row not in found.broken | found.foreign]
    labels = np.array([everything[row][1] for row in kept], dtype=np.int64)
    ends = (len(files.train), len(files.train) + len(files.validation))
    given, cut = (sum(row < end for row in kept) for end in ends)
    _check_classes(files, labels, given, cut)
    told = notes.lines(names, found, image_size, resize)
    seen, sizes = [names[row] for row in kept], [found.every_size[row] for row in kept]
    told += notes.duplicates(images, labels, (given, cut), seen)
    told += oddities.of(files.classes, labels, images, seen, np.array(sizes, np.int64))
    groups = None
    if files.groups is not None and not files.validation:
        groups = np.asarray(files.groups, np.int64)[kept[:given]]
    return Arrays(
        *(images[:cut], labels[:cut], images[cut:], labels[cut:]),
        classes=files.classes,
        notes=tuple(told),
        n_skipped=len(found.broken),
        n_validation=cut - given,
        groups=groups,
        bits=found.bits,
    )


def _check_classes(files: Listing, labels: np.ndarray, given: int, cut: int) -> None:
    """Raise ValueError for a class of which nothing could be read."""
    parts = {"train": labels[:given], "validation": labels[given:cut], "test": labels[cut:]}
    asked = {"train": files.train, "validation": files.validation, "test": files.test}
    for part, some in parts.items():
        wanted = {label for _, label in asked[part]}
        if empty := sorted(wanted - set(some.tolist())):
            file = next(file for file, label in asked[part] if label == empty[0])
            raise ValueError(
                f"{files.place}: none of the {part} files of class "
                f"{notes.shown(files.classes[empty[0]])} can be read as a picture, such as "
                f"{notes.shown(file.removeprefix(f'{files.root}/'))}; put images there, or leave "
                "the class out of all parts"
            )


def read_all(
    listing: Listing, side: int | None, resize: str = "crop", data_dir: str | None = None
) -> tuple[np.ndarray, Findings]:
    """The pictures among the files, uint8 [N, C, H, W], and what came to light."""
    files = [file for file, _ in listing.everything]
    first, found = _first(listing, files, side)
    if first is None:
        return np.empty((0, 1, 1, 1), np.uint8), found
    size = (side, side) if side else (first[1].size[1], first[1].size[0])

    def attempt(gray: bool) -> tuple[np.ndarray, Findings]:
        shape = (*size, 1 if gray else 3)
        images = blank(listing.place, len(files), shape, data_dir)
        return _Decoding(listing, files, images, side, resize, first[0]).run()

    try:
        images, found = attempt(first[1].gray)
    except pictures.ColourError:
        images, found = attempt(False)
    kept = [row for row in range(len(files)) if row not in found.broken | found.foreign]
    if len(kept) < len(files):
        for place, row in enumerate(kept):  # in place: there may be no room for a copy
            images[place] = images[row]
    return images[: len(kept)].transpose(0, 3, 1, 2), found


def _first(
    listing: Listing, files: Sequence[str], side: int | None
) -> tuple[tuple[int, pictures.Picture] | None, Findings]:
    """The first file that can be read, with its number; without one, why none can."""
    found = Findings()
    for row, file in enumerate(files):
        try:
            return (row, pictures.read(file, 3, side, contents=listing.contents)), found
        except pictures.UnreadableError as error:
            (found.foreign if error.foreign else found.broken)[row] = str(error)
    return None, found


class _Decoding:
    """One pass over all files, and a second one over those whose scale only the first can tell."""

    def __init__(
        self,
        listing: Listing,
        files: Sequence[str],
        images: np.ndarray,  # uint8 [N, H, W, C], to be filled
        side: int | None,
        resize: str,
        first: int,
    ) -> None:
        self.listing, self.files, self.first = listing, files, first
        self.resize = resize
        self.images, self.side = images, side
        self.size, self.channels = images.shape[1:3], images.shape[3]
        self.found = Findings()

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

        small = self._bytes_of_first() < THUMBNAIL_BYTES
        pool = ThreadPoolExecutor(1 if small else cgroups.cores())
        try:
            for _ in pool.map(work, range(0, len(rows), CHUNK)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)

    def _bytes_of_first(self) -> int:
        file, contents = self.files[self.first], self.listing.contents
        return len(contents(file)) if contents else Path(file).stat().st_size

    def _one(self, row: int, bits: int | None) -> None:
        found = self.found
        try:
            picture = pictures.read(
                *(self.files[row], self.channels, self.side, bits),
                resize=self.resize,
                contents=self.listing.contents,
            )
        except pictures.UnreadableError as error:
            (found.foreign if error.foreign else found.broken)[row] = str(error)
            return
        if not self.side and picture.size[::-1] != self.size:
            raise ValueError(self._sizes_differ(row, picture.size))
        if picture.kinds:
            found.kinds[row] = picture.kinds
        if picture.largest or picture.pixels is None:
            found.largest[row] = picture.largest
        found.every_size[row] = picture.size
        if self.side and notes.loses_much(*picture.size):
            found.sizes[row] = picture.size
        if picture.pixels is not None:
            self.images[row] = picture.pixels.reshape(*self.size, self.channels)

    def _sizes_differ(self, row: int, other: tuple[int, int]) -> str:
        below = f"{self.listing.root}/"
        names = [notes.shown(self.files[i].removeprefix(below)) for i in (self.first, row)]
        return (
            f"{self.listing.place}: images differ in size ({names[0]} is "
            f"{self.size[1]}x{self.size[0]}, {names[1]} is {other[0]}x{other[1]}); "
            "set settings.image_size to bring all to one size"
        )
