"""Images in an npz file, in the layout of MedMNIST: train_images, train_labels and so on."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from objectives import oddities, paths
from objectives.notes import shown
from objectives.store import Arrays, blank

PARTS = ("train", "val", "test")
AT_ONCE = 256  # images read from the file at once


def file_of(path: str) -> Path:
    """The file. Raises ValueError where there is none."""
    file = paths.expanded(path, "npz:").resolve()
    if not file.is_file():
        raise ValueError(f"npz:{shown(path)}: there is no such file; give the path of an .npz")
    return file


def key(path: str) -> str:
    """Changes with the file's size or time."""
    stat = file_of(path).stat()
    text = f"npz-2 {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def brings_validation(path: str) -> bool:
    """Whether it holds val_images."""
    file = Path(path).expanduser()
    return zipfile.is_zipfile(file) and "val_images.npy" in zipfile.ZipFile(file).namelist()


def arrays(path: str, data_dir: str | None = None) -> Arrays:
    """Read it: images uint8 [N, H, W], or [N, H, W, C] of 1 or 3 channels; labels [N] or [N, 1].

    data_dir: where room is looked for if memory has none. Raises ValueError, in one line, for
    arrays that are missing or of another kind.
    """
    place, file = f"npz:{shown(path)}", file_of(path)
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(place, archive, data_dir)
    except (EOFError, OSError, zipfile.BadZipFile, zlib.error, _FormatError) as error:
        raise ValueError(f"{place}: cannot be read as npz ({error}); write it anew") from error


class _FormatError(Exception):
    """An array that numpy does not read."""


def _read(place: str, archive: zipfile.ZipFile, data_dir: str | None) -> Arrays:
    held = [name.removesuffix(".npy") for name in archive.namelist()]
    for part in ("train", "test", *(["val"] if "val_images" in held else [])):
        for kind in ("images", "labels"):
            if f"{part}_{kind}" not in held:
                raise ValueError(
                    f"{place}: there is no array {part}_{kind}; it has "
                    f"{', '.join(map(shown, held))}: the layout is that "
                    "of MedMNIST, with train_ and test_ (and val_) images and labels"
                )
    parts = [part for part in PARTS if f"{part}_images" in held]
    shapes = {part: _shape(place, archive, part) for part in parts}
    labels = {part: _labels(place, archive, part) for part in parts}
    for part in parts:
        if len(labels[part]) != shapes[part][0] or shapes[part][1:] != shapes["train"][1:]:
            raise ValueError(
                f"{place}: {shapes[part][0]:,} {part}_images of {shapes[part][1:]} and "
                f"{len(labels[part]):,} labels do not fit each other or train_images; write "
                "as many, of one shape"
            )
    classes = int(labels["train"].max()) + 1
    if unlearned := sorted({*np.concatenate([*labels.values()])} - {*labels["train"]}):
        raise ValueError(f"{place}: label {unlearned[0]} is in no training image; add some of it")
    counts = [len(labels[part]) for part in parts]
    whole = blank(place, sum(counts), shapes["train"][1:], data_dir)
    for part, rows in zip(parts, np.split(whole, np.cumsum(counts)[:-1]), strict=True):
        _read_into(rows, archive, f"{part}_images")
    images = whole.transpose(0, 3, 1, 2)
    cut, given = len(whole) - len(labels["test"]), len(labels.get("val", ()))
    every = np.concatenate([labels[part] for part in parts])
    names = tuple(map(str, range(classes)))
    told = oddities.of_arrays(names, every, images, (cut - given, given, len(whole) - cut))
    return Arrays(
        train_images=images[:cut],
        train_labels=every[:cut],
        test_images=images[cut:],
        test_labels=labels["test"],
        classes=names,
        notes=tuple(told),
        n_validation=given,
    )


Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, column by column, kind of value


def _header(stream: IO[bytes]) -> Header:
    """What an array is, read from the beginning of its file; its values come next."""
    try:
        if np.lib.format.read_magic(stream) == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        return np.lib.format.read_array_header_2_0(stream)
    except ValueError as error:
        raise _FormatError(error) from error


def _shape(place: str, archive: zipfile.ZipFile, part: str) -> tuple[int, ...]:
    """[N, H, W, C] of its images. Raises ValueError where they are none."""
    with archive.open(f"{part}_images.npy") as stream:
        shape, _, dtype = _header(stream)
    whole = (*shape, 1) if len(shape) == 3 else shape
    if dtype != np.uint8 or len(whole) != 4 or whole[3] not in (1, 3):
        raise ValueError(
            f"{place}: {part}_images must be uint8 [N, H, W] or [N, H, W, 3], got {dtype} "
            f"{list(shape)}; pictures of two dimensions are read here"
        )
    return whole


def _read_into(out: np.ndarray, archive: zipfile.ZipFile, name: str) -> None:
    """Fill uint8 [N, H, W, C] from an array of the file, a few images at a time."""
    with archive.open(f"{name}.npy") as stream:
        shape, by_column, _ = _header(stream)
        if by_column:
            with archive.open(f"{name}.npy") as again:
                out[:] = np.lib.format.read_array(again).reshape(out.shape)
            return
        for start in range(0, len(out), AT_ONCE):
            chunk = out[start : start + AT_ONCE]
            content = stream.read(chunk.nbytes)
            if len(content) < chunk.nbytes:
                raise EOFError(f"{name} ends after {start:,} of {shape[0]:,} images")
            chunk[:] = np.frombuffer(content, np.uint8).reshape(chunk.shape)


def _labels(place: str, archive: zipfile.ZipFile, part: str) -> np.ndarray:
    """int64 [N]."""
    with archive.open(f"{part}_labels.npy") as stream:
        try:
            array = np.lib.format.read_array(stream, allow_pickle=False)
        except ValueError as error:  # objects, which could run any code
            raise _FormatError(error) from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iu" or (len(array) and array.min() < 0):
        raise ValueError(
            f"{place}: {part}_labels must be whole numbers from 0 on, [N] or [N, 1], got "
            f"{array.dtype} {list(array.shape)}; an image has one label here"
        )
    return array.astype(np.int64)
