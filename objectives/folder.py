"""A user's own images as a data set: PATH/train/CLASS/* and PATH/test/CLASS/*."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from objectives.store import Arrays, check_fits

if TYPE_CHECKING:
    from PIL.Image import Image

GRAY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "F"})
LITTER = frozenset({"thumbs.db", "desktop.ini"})  # left by file managers, like every .hidden file
THUMBNAIL_BYTES = 8192
CHUNK = 32  # files a thread decodes between two looks at the queue


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted by class and name."""

    root: Path
    classes: tuple[str, ...]
    train: list[tuple[str, int]]  # file, class
    test: list[tuple[str, int]]
    key: str  # changes with any file's name, size or time


class _ColourError(Exception):
    """A colour image among gray ones."""


def listing(path: str) -> Listing:
    """List a data set's files and check that training and test set have the same classes.

    Raises ValueError for a missing folder, fewer than two classes, an empty class, unequal classes.
    """
    root = Path(path).expanduser().resolve()
    digest = hashlib.sha256()
    found = {part: _part(root, part, digest.update) for part in ("train", "test")}
    train, test = found["train"], found["test"]
    if train.keys() != test.keys():
        odd = sorted(train.keys() ^ test.keys())[0]
        here, there = ("train", "test") if odd in train else ("test", "train")
        raise ValueError(
            f"folder:{root}: class {odd!r} is in {here}/ but not in {there}/; "
            "both must have the same class folders"
        )
    files = {
        part: [(file, i) for i, name in enumerate(found[part]) for file in found[part][name]]
        for part in found
    }
    return Listing(root, tuple(train), files["train"], files["test"], digest.hexdigest()[:16])


def _part(root: Path, part: str, note: Callable[[bytes], None]) -> dict[str, list[str]]:
    """Map each class of train/ or test/ to its files, noting names, sizes and times on the way."""
    if not (root / part).is_dir():
        raise ValueError(
            f"folder:{root}: there is no folder {part}/ in it; "
            "images belong in train/CLASS/ and test/CLASS/"
        )
    classes: dict[str, list[str]] = {}
    for entry in _sorted(root / part):
        if not entry.is_dir():
            continue
        classes[entry.name] = files = []
        for file in _sorted(entry.path):
            if file.is_file() and file.name.lower() not in LITTER:
                stat = file.stat()
                note(
                    f"{part}/{entry.name}/{file.name} {stat.st_size} {stat.st_mtime_ns}\n".encode()
                )
                files.append(file.path)
        if not files:
            raise ValueError(
                f"folder:{root}: class folder {part}/{entry.name} is empty; "
                "put images in it or remove it from train/ and test/"
            )
    if len(classes) < 2:
        raise ValueError(
            f"folder:{root}: {part}/ holds {len(classes)} class folder(s), at least two are "
            f"needed: {part}/CLASS/*.jpg"
        )
    return classes


def _sorted(path: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return sorted((e for e in entries if e.name[0] != "."), key=lambda entry: entry.name)


def decode(files: Listing, image_size: int | None) -> Arrays:
    """Decode every image: RGB, or one channel where all are gray.

    image_size: side of a square; the image is scaled to cover it and its centre kept.
    Raises ValueError for an unreadable image, sizes that differ, images that do not fit in memory.
    """
    everything = files.train + files.test
    with _opened(everything[0][0]) as first:
        gray = first.mode in GRAY_MODES
        size = (image_size, image_size) if image_size else (first.height, first.width)
    try:
        images = _decode(files.root, everything, 1 if gray else 3, size, bool(image_size))
    except _ColourError:
        images = _decode(files.root, everything, 3, size, bool(image_size))
    labels = np.array([label for _, label in everything], dtype=np.int64)
    cut = len(files.train)
    return Arrays(images[:cut], labels[:cut], images[cut:], labels[cut:], files.classes)


def _decode(
    root: Path, files: list[tuple[str, int]], channels: int, size: tuple[int, int], resize: bool
) -> np.ndarray:
    check_fits(f"folder:{root}", len(files), (channels, *size))
    images = np.empty((len(files), *size, channels), dtype=np.uint8)

    def work(start: int) -> None:
        for i in range(start, min(start + CHUNK, len(files))):
            pixels = _pixels(files[i][0], channels, size, resize)
            if pixels.shape[:2] != size:
                raise ValueError(_sizes_differ(root, files[0][0], size, files[i][0], pixels.shape))
            images[i] = pixels.reshape(*size, channels)

    # Decoding runs without the interpreter's lock: worth threads for photos. Of thumbnails they
    # only fight for it (60,000 of 32x32: 15 s with two, 11 s with one). The first error ends all.
    small = Path(files[0][0]).stat().st_size < THUMBNAIL_BYTES
    pool = ThreadPoolExecutor(1 if small else os.cpu_count())
    try:
        for _ in pool.map(work, range(0, len(files), CHUNK)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return images.transpose(0, 3, 1, 2)


def _pixels(file: str, channels: int, size: tuple[int, int], resize: bool) -> np.ndarray:
    """Decode one file to uint8 [H, W] or [H, W, 3]."""
    from PIL import Image, ImageOps

    with _opened(file) as image:
        gray = image.mode in GRAY_MODES
        if channels == 1 and not gray:
            raise _ColourError
        try:
            if resize:
                image.draft(None, (size[1], size[0]))  # a large JPEG is shrunk while it is decoded
            pixels = _eight_bits(image).convert("L" if channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(_unreadable(file, error)) from error
        if resize:
            pixels = ImageOps.fit(pixels, (size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(pixels)


def _eight_bits(image: Image) -> Image:
    """The upper byte of 16-bit gray, which PIL would clip. Raises ValueError for 32-bit pixels."""
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no known range; save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def _opened(file: str) -> Image:
    from PIL import Image

    try:
        # Read whole: PIL's many small reads and seeks cost more than decoding a small image.
        with open(file, "rb", buffering=0) as whole:  # noqa: PTH123 - a Path costs a fifth more
            return Image.open(io.BytesIO(whole.read()))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(_unreadable(file, error)) from error


def _unreadable(file: str, error: Exception) -> str:
    return f"unreadable image {file}: {str(error).splitlines()[0]}; replace or remove it"


def _sizes_differ(
    root: Path, first: str, size: tuple[int, int], other: str, shape: tuple[int, ...]
) -> str:
    one, two = (Path(file).relative_to(root) for file in (first, other))
    return (
        f"folder:{root}: images differ in size ({one} is {size[1]}x{size[0]}, "
        f"{two} is {shape[1]}x{shape[0]}); set settings.image_size to bring all to one size"
    )
