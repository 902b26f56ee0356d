"""How a folder of images is laid out: its classes, what is not read, and what is there instead."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from objectives.notes import count, named, shown
from objectives.pictures import is_picture

LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})  # left by file managers
RUBBISH = frozenset(
    {
        *("__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "@tmp", "#snapshot"),
        *("system volume information", "lost+found", "__pycache__"),
    }
)  # folders that archives, disks and other programs leave


@dataclass
class Unread:
    """What lies in the folder and is not read; paths relative to it."""

    nested: dict[str, int] = field(default_factory=dict)  # sub-folders of classes: files in them
    loose: list[str] = field(default_factory=list)  # files beside class folders
    nowhere: list[str] = field(default_factory=list)  # links to nothing, pipes and the like
    rubbish: list[str] = field(default_factory=list)  # folders of other programs, hidden ones
    hidden: list[str] = field(default_factory=list)  # pictures whose name begins with a dot
    beside: list[str] = field(default_factory=list)  # folders beside train/ and test/

    def lines(self) -> list[str]:
        """A line for each kind, with its number and an example."""
        told = []
        if self.nested:
            files, name = sum(self.nested.values()), next(iter(self.nested))
            told.append(
                f"{count(files, 'file')} in {count(len(self.nested), 'sub-folder')} of classes "
                f"not read, such as {shown(name)}/: move the images up into the class folder"
            )
        kinds = (
            (self.loose, "file beside the class folders", "files beside the class folders"),
            (self.nowhere, "dangling link or other thing", "dangling links or other things"),
            (self.rubbish, "hidden or foreign folder", "hidden or foreign folders"),
            (self.hidden, "hidden picture", "hidden pictures"),
            (self.beside, "folder beside train/ and test/", "folders beside train/ and test/"),
        )
        for paths, one, many in kinds:
            if paths:
                number = f"{len(paths):,} {one if len(paths) == 1 else many}"
                told.append(f"{number} not read, such as {shown(paths[0])}")
        return told


Entry = os.DirEntry[str]


def entries(path: str | Path) -> list[tuple[str, Entry]]:
    """(kind, entry) by name: folder, file, rubbish, hidden, nowhere; litter is passed over."""
    with os.scandir(path) as found:
        listed = sorted(found, key=lambda entry: entry.name)
    kinds = ((_kind(entry), entry) for entry in listed)
    return [(kind, entry) for kind, entry in kinds if kind != "litter"]


def _kind(entry: Entry) -> str:
    name = entry.name.lower()
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError:  # a link that leads to itself
        return "nowhere"
    if is_folder:
        return "rubbish" if name[0] == "." or name in RUBBISH else "folder"
    if name[0] == "." or name in LITTER:
        return "hidden" if is_picture(name) and not name.startswith("._") else "litter"
    return "file" if is_file else "nowhere"


def parts(root: Path, unread: Unread) -> dict[str, dict[str, list[Entry]]]:
    """The files of train/ and test/ by class. Raises ValueError where they cannot be told."""
    for kind, entry in listed(root, root):
        if kind == "folder" and entry.name not in ("train", "test"):
            unread.beside.append(f"{entry.name}/")
        elif kind == "file" and is_picture(entry.name):
            unread.loose.append(entry.name)
    found = {part: _classes(root, part, unread) for part in ("train", "test")}
    _check_same(root, tuple(found["train"]), tuple(found["test"]))
    return found


def _classes(root: Path, part: str, unread: Unread) -> dict[str, list[Entry]]:
    """Map each class of train/ or test/ to its files. Raises ValueError for a bad part."""
    found: dict[str, list[Entry]] = {}
    nested: dict[str, dict[str, int]] = {}  # of each class
    for kind, entry in listed(root, root / part):
        if kind == "folder":
            found[entry.name], nested[entry.name] = _files(root, part, entry, unread)
        else:
            _passed_over(unread, kind).append(f"{part}/{entry.name}")
    for name, files in found.items():
        if not files:
            raise ValueError(f"folder:{shown(root)}: {_empty(f'{part}/{name}', nested[name])}")
        unread.nested |= nested[name]
    if len(found) < 2:
        raise ValueError(
            f"folder:{shown(root)}: {part}/ holds {len(found)} class folder(s)"
            f"{named(list(found))}, at least two are needed: {part}/CLASS/*.jpg"
        )
    return found


def _files(
    root: Path, part: str, folder: Entry, unread: Unread
) -> tuple[list[Entry], dict[str, int]]:
    """The files of a class, and its sub-folders with the number of files in each."""
    files, nested = [], {}
    for kind, entry in listed(root, Path(folder.path)):
        name = f"{part}/{folder.name}/{entry.name}"
        if kind == "file":
            files.append(entry)
        elif kind == "folder":
            nested[name] = 0 if entry.is_symlink() else _files_below(entry.path)
        else:
            _passed_over(unread, kind).append(name)
    return files, nested


def _passed_over(unread: Unread, kind: str) -> list[str]:
    places = {"file": unread.loose, "nowhere": unread.nowhere, "rubbish": unread.rubbish}
    return places.get(kind, unread.hidden)


def listed(root: Path, folder: Path) -> list[tuple[str, Entry]]:
    try:
        return entries(folder)
    except OSError as error:
        raise ValueError(
            f"folder:{shown(root)}: {shown(folder.relative_to(root))}/ cannot be read "
            f"({error.strerror}); see to its permissions"
        ) from error


def _files_below(folder: str) -> int:
    return sum(
        sum(name[0] != "." and name.lower() not in LITTER for name in files)
        for _, _, files in os.walk(folder)
    )


def _empty(name: str, nested: dict[str, int]) -> str:
    if not nested:
        return (
            f"class folder {shown(name)} is empty; put images in it or remove it from train/ and "
            "test/"
        )
    return (
        f"class folder {shown(name)} holds no images of its own, but {sum(nested.values())} files "
        f"in sub-folders{named([path.rpartition('/')[2] for path in nested])}, which are not "
        f"read; move them up into {shown(name)}/"
    )


def _check_same(root: Path, train: Sequence[str], test: Sequence[str]) -> None:
    """Raise ValueError, naming every class that only one part has."""
    parts = {"train": train, "test": test}
    told = [_only_in(*pair, parts) for pair in (("train", "test"), ("test", "train"))]
    if any(told):
        raise ValueError(
            f"folder:{shown(root)}: {'; '.join(filter(None, told))}; both must have the same "
            "class folders"
        )


def _only_in(here: str, there: str, parts: Mapping[str, Sequence[str]]) -> str:
    odd = [name for name in parts[here] if name not in parts[there]]
    if not odd:
        return ""
    like = [one for one in parts[there] if _folded(one) in map(_folded, odd)]
    alike = f" (which has {shown(like[0])!r} instead)" if like else ""
    words = "class {} is" if len(odd) == 1 else "classes {} are"
    more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
    listed = ", ".join(repr(shown(name)) for name in odd[:5])
    return f"{words.format(listed + more)} in {here}/ but not in {there}/{alike}"


def _folded(name: str) -> str:
    """Names that look the same: another case, accents that another system writes otherwise."""
    return unicodedata.normalize("NFC", name).casefold().strip()
