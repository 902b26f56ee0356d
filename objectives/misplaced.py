"""What is in a folder of images that cannot be read as one, and what is to be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from objectives import shape
from objectives.layout import listed
from objectives.notes import count, named, shown

RULE = "images belong in train/CLASS/ and test/CLASS/, or in a folder a class"


def check(root: Path) -> None:
    """Raise ValueError for what is no folder, or has no training images that can be told apart,
    naming what is there and what to do."""
    if not root.is_dir():
        what = "it is a file" if root.exists() else "there is no such folder"
        raise ValueError(f"folder:{shown(root)}: {what}; {RULE}")
    found = listed(root, root)
    folders = [entry.name for kind, entry in found if kind == "folder"]
    told = _linked(root, [entry.name for kind, entry in found if kind == "nowhere"])
    if not told and "train" not in shape.named(folders):
        guesses = (_without_training, _deeper, _above)
        told = next((words for guess in guesses if (words := guess(root, folders))), "")
        if not told and len(folders) < 2:
            files = [entry.name for kind, entry in found if kind == "file"]
            holds = f"folders{named(folders)}" if folders else "no folders"
            told = f"it holds {holds} and {count(len(files), 'file')}; {RULE}{_table(root, files)}"
    if told:
        raise ValueError(f"folder:{shown(root)}: {told}")


def _table(root: Path, files: Sequence[str]) -> str:
    """How a table is read that lies there, and may tell the classes of the images."""
    table = next((name for name in files if name.lower().endswith(".csv")), None)
    return "" if table is None else f", or a table names them: csv:{shown(root / table)}"


def _linked(root: Path, nowhere: Sequence[str]) -> str:
    for name in nowhere:
        if shape.part_of(name) and (root / name).is_symlink():
            there = shown((root / name).readlink())
            return f"{shown(name)} is a link to {there}, which is no folder; mend or remove it"
    return ""


def _without_training(root: Path, folders: Sequence[str]) -> str:
    parts = shape.named(folders)
    if not parts:
        return ""
    other = next(iter(parts.values()))
    return (
        f"there is {shape.words(parts)}, but no train/ in it{named(folders)}; call the folder of "
        f"the training images train, or rename {shown(other)}/ if it is a class"
    )


def _deeper(root: Path, folders: Sequence[str]) -> str:
    for path in _below(root, folders):
        for kind, entry in listed(root, path):
            if kind == "folder" and shape.part_of(entry.name) == "train":
                use = shown(f"folder:{path}")
                return f"{shown(entry.name)}/ lies in {shown(path)}; name that one: {use}"
    return ""


def _below(root: Path, folders: Sequence[str]) -> Iterator[Path]:
    """Sub-folders, then theirs."""
    yield from (root / name for name in folders)
    for name in folders:
        for kind, entry in listed(root, root / name):
            if kind == "folder":
                yield Path(entry.path)


def _above(root: Path, folders: Sequence[str]) -> str:
    if shape.part_of(root.name) and shape.of(root.parent).get("train"):
        above = root.parent
        return f"it is {root.name}/ itself; use dataset: {shown(f'folder:{above}')}"
    return ""
