"""Images in an npz file, in the layout of MedMNIST: train_images, train_labels and so on."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from objectives import paths
from objectives.notes import shown
from objectives.store import Arrays

PARTS = ("train", "val", "test")


def file_of(path: str) -> Path:
    """The file. Raises ValueError where there is none."""
    file = paths.expanded(path, "npz:").resolve()
    if not file.is_file():
        raise ValueError(f"npz:{shown(path)}: there is no such file; give the path of an .npz")
    return file


def key(path: str) -> str:
    """Changes with the file's size or time."""
    stat = file_of(path).stat()
    text = f"npz-1 {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def brings_validation(path: str) -> bool:
    """Whether it holds val_images."""
    file = Path(path).expanduser()
    return zipfile.is_zipfile(file) and "val_images.npy" in zipfile.ZipFile(file).namelist()


def arrays(path: str) -> Arrays:
    """Read it: images uint8 [N, H, W], or [N, H, W, C] of 1 or 3 channels; labels [N] or [N, 1].

    Raises ValueError, in one line, for arrays that are missing or of another kind.
    """
    place, file = f"npz:{shown(path)}", file_of(path)
    try:
        with np.load(file, allow_pickle=False) as held:
            found = {name: held[name] for name in held.files if name.split("_")[0] in PARTS}
            names = ", ".join(map(shown, held.files))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{place}: cannot be read as npz ({error}); write it anew") from error
    for part in ("train", "test", *(["val"] if "val_images" in found else [])):
        for kind in ("images", "labels"):
            if f"{part}_{kind}" not in found:
                raise ValueError(
                    f"{place}: there is no array {part}_{kind}; it has {names}: the layout is that "
                    "of MedMNIST, with train_ and test_ (and val_) images and labels"
                )
    parts = [part for part in PARTS if f"{part}_images" in found]
    images = {part: _images(place, part, found[f"{part}_images"]) for part in parts}
    labels = {part: _labels(place, part, found[f"{part}_labels"]) for part in parts}
    for part in parts:
        if (
            len(images[part]) != len(labels[part])
            or images[part].shape[1:] != images["train"].shape[1:]
        ):
            raise ValueError(
                f"{place}: {len(images[part]):,} {part}_images of {images[part].shape[1:]} and "
                f"{len(labels[part]):,} labels do not fit each other or train_images; write "
                "as many, of one shape"
            )
    classes = int(labels["train"].max()) + 1
    if unlearned := sorted({*np.concatenate([*labels.values()])} - {*labels["train"]}):
        raise ValueError(f"{place}: label {unlearned[0]} is in no training image; add some of it")
    given = len(labels.get("val", ()))
    train = [part for part in ("train", "val") if part in parts]
    return Arrays(
        train_images=np.concatenate([images[part] for part in train]),
        train_labels=np.concatenate([labels[part] for part in train]),
        test_images=images["test"],
        test_labels=labels["test"],
        classes=tuple(map(str, range(classes))),
        n_validation=given,
    )


def _images(place: str, part: str, array: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W]."""
    if array.ndim == 3:
        array = array[..., None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3):
        raise ValueError(
            f"{place}: {part}_images must be uint8 [N, H, W] or [N, H, W, 3], got {array.dtype} "
            f"{list(array.shape)}; pictures of two dimensions are read here"
        )
    return array.transpose(0, 3, 1, 2)


def _labels(place: str, part: str, array: np.ndarray[Any, Any]) -> np.ndarray:
    """int64 [N]."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iu" or (len(array) and array.min() < 0):
        raise ValueError(
            f"{place}: {part}_labels must be whole numbers from 0 on, [N] or [N, 1], got "
            f"{array.dtype} {list(array.shape)}; an image has one label here"
        )
    return array.astype(np.int64)
