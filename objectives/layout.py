"""How a folder of images is laid out: its classes, what is not read, and what is there instead."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from objectives.notes import named, shown
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

    loose: list[str] = field(default_factory=list)  # files beside class folders
    nowhere: list[str] = field(default_factory=list)  # links to nothing, pipes and the like
    rubbish: list[str] = field(default_factory=list)  # folders of other programs, hidden ones
    hidden: list[str] = field(default_factory=list)  # pictures whose name begins with a dot
    beside: list[str] = field(default_factory=list)  # folders beside train/ and test/
    linked: list[str] = field(default_factory=list)  # links to folders, which may lead in circles

    def lines(self) -> list[str]:
        """A line for each kind, with its number and an example."""
        told = []
        kinds = (
            (self.loose, "file beside the class folders", "files beside the class folders"),
            (self.nowhere, "dangling link or other thing", "dangling links or other things"),
            (self.rubbish, "hidden or foreign folder", "hidden or foreign folders"),
            (self.hidden, "hidden picture", "hidden pictures"),
            (self.beside, "folder beside train/ and test/", "folders beside train/ and test/"),
            (self.linked, "link to a folder within a class", "links to folders within a class"),
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


@dataclass(frozen=True)
class File:
    """A file of a class: its path, its name below the class folder, and how large and old it is."""

    path: str
    name: str
    stat: os.stat_result


def parts(root: Path, shape: Mapping[str, str], unread: Unread) -> dict[str, dict[str, list[File]]]:
    """The files of each part by class, those of sub-folders of a class included.

    shape: the folder of each part, of `shape.of`. Raises ValueError where they cannot be told.
    """
    for kind, entry in listed(root, root):
        if kind == "folder" and "" not in shape.values() and entry.name not in shape.values():
            unread.beside.append(f"{entry.name}/")
        elif kind == "file" and is_picture(entry.name) and "" not in shape.values():
            unread.loose.append(entry.name)
    found = {part: _classes(root, place, unread) for part, place in shape.items()}
    for part in found:
        if part != "train":
            _check_same(root, {shape[one]: tuple(found[one]) for one in ("train", part)})
    return found


def _classes(root: Path, place: str, unread: Unread) -> dict[str, list[File]]:
    """Map each class of a part, the folder `place`, to its files. Raises ValueError."""
    found: dict[str, list[File]] = {}
    for kind, entry in listed(root, root / place):
        name = _joined(place, entry.name)
        if kind == "folder":
            found[entry.name] = _files(root, Path(entry.path), name, "", unread)
            if not found[entry.name]:
                raise ValueError(
                    f"folder:{shown(root)}: class folder {shown(name)} is empty; put images in it "
                    f"or remove it{' from train/ and test/' * bool(place)}"
                )
        elif place or kind != "file" or is_picture(entry.name):
            _passed_over(unread, kind).append(name)
    if len(found) < 2:
        raise ValueError(
            f"folder:{shown(root)}: {place}/ holds {len(found)} class folder(s)"
            f"{named(list(found))}, at least two are needed: {place}/CLASS/*.jpg"
        )
    return found


def _files(root: Path, folder: Path, place: str, below: str, unread: Unread) -> list[File]:
    """The files of a class and, after them, those of its sub-folders.

    place: the folder's name below the root. below: its name below the class folder.
    """
    files, folders = [], []
    for kind, entry in listed(root, folder):
        name = f"{place}/{entry.name}"
        if kind == "file":
            files.append(File(entry.path, f"{below}{entry.name}", entry.stat()))
        elif kind == "folder" and entry.is_symlink():
            unread.linked.append(f"{name}/")
        elif kind == "folder":
            folders.append(entry)
        else:
            _passed_over(unread, kind).append(name)
    for entry in folders:
        inside = (Path(entry.path), f"{place}/{entry.name}", f"{below}{entry.name}/")
        files += _files(root, *inside, unread)
    return files


def _joined(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


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


def _check_same(root: Path, parts: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError, naming every class that only one of two parts has."""
    one, two = parts
    told = [_only_in(*pair, parts) for pair in ((one, two), (two, one))]
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
