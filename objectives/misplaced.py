"""What is in a folder of images that has no train/ or no test/, and what is to be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from objectives.layout import listed
from objectives.notes import count, named, quoted, shown

RULE = "images belong in train/CLASS/ and test/CLASS/"
SPELLINGS = {
    "train": ("train", "training", "trainset", "train_set", "training_set"),
    "test": ("test", "testing", "tests", "testset", "test_set", "testing_set"),
}
VALIDATION = ("val", "valid", "validation", "dev")


def check(root: Path) -> None:
    """Raise ValueError where train/ or test/ is missing, naming what is there and what to do."""
    missing = [part for part in ("train", "test") if not (root / part).is_dir()]
    if missing:
        there = " and ".join(f"{part}/" for part in missing)
        raise ValueError(
            f"folder:{shown(root)}: there is no folder {there} in it{_instead(root, missing)}"
        )


def _instead(root: Path, missing: Sequence[str]) -> str:
    if not root.is_dir():
        what = "it is a file" if root.exists() else "there is no such folder"
        return f" ({what}); {RULE}"
    found = listed(root, root)
    folders = [entry.name for kind, entry in found if kind == "folder"]
    guesses = (_linked, _spelled, _validation, _deeper, _above, _only_classes)
    told = next((words for guess in guesses if (words := guess(root, folders, missing))), None)
    if told:
        return f"; {told}"
    files = sum(kind == "file" for kind, _ in found)
    holds = f"folders{named(folders)}" if folders else "no folders"
    return f"; it holds {holds} and {count(files, 'file')}; {RULE}"


def _linked(root: Path, folders: Sequence[str], missing: Sequence[str]) -> str:
    for part in missing:
        if (root / part).is_symlink():
            there = shown((root / part).readlink())
            return f"{part} is a link to {there}, which is no folder; mend it"
    return ""


def _spelled(root: Path, folders: Sequence[str], missing: Sequence[str]) -> str:
    renamed = [
        (name, part)
        for part in missing
        for name in [one for one in folders if one.casefold() in SPELLINGS[part]][:1]
    ]
    left = [part for part in missing if part not in [part for _, part in renamed]]
    others = [name for name in folders if name.casefold() in VALIDATION][:1] if left else []
    if not renamed:
        return ""
    also = f" and {shown(others[0])}/" if others else ""
    names = " and ".join(f"{shown(name)}/" for name, _ in renamed)
    renamed += zip(others, left, strict=False)
    return f"there is {names}{also}; rename: {_rename(root, renamed)}"


def _validation(root: Path, folders: Sequence[str], missing: Sequence[str]) -> str:
    name = next((name for name in folders if name.casefold() in VALIDATION), None)
    if name is None or list(missing) != ["test"]:
        return ""
    return (
        f"there is {name}/: validation images are drawn from train/, so it can be the test set: "
        f"{_rename(root, [(name, 'test')])}"
    )


def _rename(root: Path, pairs: Sequence[tuple[str, str]]) -> str:
    return " && ".join(f"mv -- {quoted(root / old)} {quoted(root / new)}" for old, new in pairs)


def _deeper(root: Path, folders: Sequence[str], missing: Sequence[str]) -> str:
    for path in _below(root, folders):
        for kind, entry in listed(root, path):
            if kind == "folder" and entry.name.casefold() in SPELLINGS["train"]:
                use = shown(f"folder:{path}")
                return f"{shown(entry.name)}/ lies in {shown(path)}; use dataset: {use}"
    return ""


def _below(root: Path, folders: Sequence[str]) -> Iterator[Path]:
    """Sub-folders, then theirs."""
    yield from (root / name for name in folders)
    for name in folders:
        for kind, entry in listed(root, root / name):
            if kind == "folder":
                yield Path(entry.path)


def _above(root: Path, folders: Sequence[str], missing: Sequence[str]) -> str:
    if folders and root.name in ("train", "test") and (root.parent / "train").is_dir():
        above = root.parent
        return f"it is {root.name}/ itself; use dataset: {shown(f'folder:{above}')}"
    return ""


def _only_classes(root: Path, folders: Sequence[str], missing: Sequence[str]) -> str:
    full = [name for name in folders if any(k == "file" for k, _ in listed(root, root / name))]
    if not full or len(missing) < 2:
        return ""
    return (
        f"it holds class folders only{named(full)}: move them into train/, and some of the images "
        "of each into test/CLASS/"
    )
