"""Which parts a folder of images has, told by the names of its sub-folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from objectives.layout import listed

PARTS = ("train", "validation", "test")
# What people call the parts, in any case; of two the first is taken.
SPELLINGS = {
    "train": ("train", "training", "trainset", "train_set", "training_set"),
    "validation": (
        *("val", "valid", "validation", "dev", "valset", "val_set"),
        *("validation_set", "valid_set"),
    ),
    "test": ("test", "testing", "tests", "testset", "test_set", "testing_set"),
}


def of(root: Path) -> dict[str, str]:
    """Map train, validation and test to the folders that hold them, those that are there.

    `{"train": ""}` where the folder holds nothing but classes; {} where it holds neither.
    """
    names = [entry.name for kind, entry in listed(root, root) if kind == "folder"]
    if found := named(names):
        return found
    return {"train": ""} if len(names) >= 2 else {}


def named(names: Sequence[str]) -> dict[str, str]:
    """The parts among the names of folders."""
    found: dict[str, str] = {}
    for part, spellings in SPELLINGS.items():
        ranked = sorted((_rank(name, spellings), name) for name in names)
        known = [name for rank, name in ranked if rank < 2 * len(spellings)]
        found |= {part: known[0]} if known else {}
    return found


def part_of(name: str) -> str | None:
    """The part that a name stands for; None for no part."""
    folded = name.casefold()
    return next((part for part, known in SPELLINGS.items() if folded in known), None)


def _rank(name: str, spellings: Sequence[str]) -> int:
    """A name written as it stands here comes before the same in another case."""
    if name in spellings:
        return 2 * spellings.index(name)
    folded = name.casefold()
    return 2 * spellings.index(folded) + 1 if folded in spellings else 2 * len(spellings)


def words(shape: Mapping[str, str]) -> str:
    """`train/, val/ and test/`."""
    names = [f"{name}/" for name in shape.values()]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
