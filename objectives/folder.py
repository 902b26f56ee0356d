"""A user's own images as a data set: a folder with train/ (val/, test/) or a folder a class."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from objectives import layout, misplaced, notes, parting, shape
from objectives.decoding import VERSION
from objectives.parting import Listing


def listing(path: str) -> Listing:
    """List a data set's files and check that all its parts have the same classes.

    Raises ValueError for a missing folder, fewer than two classes, an empty class, unequal classes.
    """
    root, unread, digest = _root(path), layout.Unread(), hashlib.sha256(VERSION)
    misplaced.check(root)
    folders = shape.of(root)
    found = layout.parts(root, folders, unread)
    names = tuple(found["train"])
    files: dict[str, list[tuple[str, int]]] = {part: [] for part in shape.PARTS}
    below: list[str] = []  # those of sub-folders
    for part in sorted(found, key=("train", "test", "validation").index):
        for label, name in enumerate(names):
            for file in found[part][name]:
                digest.update(os.fsencode(f"{folders[part] or part}/{name}/{file.name} "))
                digest.update(f"{file.stat.st_size} {file.stat.st_mtime_ns}\n".encode())
                files[part].append((file.path, label))
                if "/" in file.name:
                    below.append(os.path.relpath(file.path, root))
    key = digest.hexdigest()[:16]
    classes = tuple(map(notes.shown, names))  # of any bytes: figures and tables print them
    place = f"folder:{notes.shown(root)}"
    told = (*_taken(folders, names), *_nested(below), *unread.lines())
    parts = (files["train"], files["validation"], files["test"])
    whole = Listing(place, root, classes, *parts, key=key, notes=told)
    return whole if whole.test else parting.with_test(whole)


def brings_validation(path: str) -> bool:
    """Whether there is a folder of validation images."""
    root = _root(path)
    return root.is_dir() and "validation" in shape.of(root)


def _root(path: str) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError as error:  # no such user, or a link that leads to itself
        raise ValueError(f"folder:{path}: {error}; write the path of a folder") from error


def _nested(below: list[str]) -> list[str]:
    if not below:
        return []
    what = "file of a sub-folder" if len(below) == 1 else "files of sub-folders"
    return [f"{len(below):,} {what} of a class read, such as {notes.shown(below[0])}"]


def _taken(folders: dict[str, str], classes: tuple[str, ...]) -> list[str]:
    """What was taken for what, unless it is called as it always was."""
    if folders == {"train": "train", "test": "test"}:
        return []
    if folders["train"] == "":
        return [f"a folder a class{notes.named(list(classes))}, all of them training images"]
    told = [f"{notes.shown(name)}/ holds the {_called(part)}" for part, name in folders.items()]
    return [", ".join(told)]


def _called(part: str) -> str:
    return {"train": "training images"}.get(part, f"{part} set")
