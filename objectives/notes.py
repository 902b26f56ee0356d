"""What is to be told of a user's images: a line for each oddity, with counts and an example."""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from objectives.pictures import BACKGROUND

SHOWN = 20  # broken files that are named
PASTED = 4000  # characters of a command that a terminal takes as one line
LOST = 0.25  # share of a picture's area whose loss is told

KINDS = {
    "turned": "are turned upright, as their EXIF orientation says",
    "transparent": f"are transparent in places, and drawn on {BACKGROUND}",
    "paged": "are animated or have several pages, of which the first is read",
    "print": "are in print colours (CMYK), and turned into RGB without their colour profile",
    "cut": "have colours of 16 bits, of which the upper 8 are read; save them with 8 if they "
    "look dark",
}
# What becomes of pictures that are far from square, by the way in which they are brought to one.
SQUARED = {
    "crop": "lose more than a quarter of their area, because image_size {side} keeps the middle "
    "square, {such} loses {lost:.0%}); resize: pad or squash would keep all",
    "pad": "leave more than a quarter of their square black, {such} leaves {lost:.0%})",
    "squash": "are squashed, {such} by {times:.1f})",
}


@dataclass
class Findings:
    """What came to light while a folder was read, by the number of the file in its listing."""

    broken: dict[int, str] = field(default_factory=dict)  # and why
    foreign: dict[int, str] = field(default_factory=dict)  # no picture, and not called one
    kinds: dict[int, tuple[str, ...]] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)  # of what is far from square
    every_size: dict[int, tuple[int, int]] = field(default_factory=dict)
    largest: dict[int, int] = field(default_factory=dict)  # values of 16-bit pictures

    @property
    def bits(self) -> int:
        """How many bits the 16-bit pictures use, all together."""
        return max(self.largest.values(), default=0).bit_length()


def shown(text: object) -> str:
    """A path in letters that can be printed, whatever bytes it is made of."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def quoted(path: object) -> str:
    """A path as one word of a shell."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return f"$'{plain}'"


def count(number: int, singular: str) -> str:
    """1 file, 2 files."""
    return f"{number:,} {singular}{'' if number == 1 else 's'}"


def named(names: Sequence[str]) -> str:
    """` (a, b, c and 4 more)`."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f" ({', '.join(map(shown, names[:5]))}{more})" if names else ""


def lines(
    names: Sequence[str], found: Findings, image_size: int | None, resize: str = "crop"
) -> list[str]:
    """What is told of how the pictures were read. names: relative to the folder."""
    told = []
    for kind, words in KINDS.items():
        if rows := [row for row, kinds in sorted(found.kinds.items()) if kind in kinds]:
            told.append(f"{_share(rows, names)} {words}, such as {shown(names[rows[0]])}")
    if found.largest:
        rows, top = sorted(found.largest), max(found.largest, key=lambda row: found.largest[row])
        told.append(
            f"{_share(rows, names)} hold 16 bits a value; the largest is {found.largest[top]} (in "
            f"{shown(names[top])}): all are read as {max(found.bits, 8)} bits, on one scale"
        )
    if found.sizes:
        rows = sorted(found.sizes)
        width, height = found.sizes[rows[0]]
        words = SQUARED[resize].format(
            side=image_size,
            such=f"such as {shown(names[rows[0]])} ({width}x{height}",
            lost=1 - min(width, height) / max(width, height),
            times=max(width, height) / min(width, height),
        )
        told.append(f"{_share(rows, names)} {words}")
    for what, words in ((found.foreign, "are no pictures"), (found.broken, "are broken")):
        if rows := sorted(what):
            share = _share(rows, names, "file")
            told.append(f"{share} {words} and left out, such as {shown(names[rows[0]])}")
    return told


def _share(rows: Sequence[int], names: Sequence[str], what: str = "image") -> str:
    return f"{len(rows):,} of {count(len(names), what)}"


def loses_much(width: int, height: int) -> bool:
    """Whether the middle square leaves out more than is passed over in silence."""
    return 1 - min(width, height) / max(width, height) > LOST


def duplicates(
    images: np.ndarray, labels: np.ndarray, cuts: tuple[int, int], names: Sequence[str]
) -> list[str]:
    """Tell of equal pictures. images: uint8 [N, ...]; cuts: where the validation images that are
    given begin, and where the test images do."""
    first: dict[bytes, int] = {}
    copies, given, leaks, torn = [], [], [], []
    for row, image in enumerate(images):
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        if (other := first.setdefault(digest, row)) == row:
            continue
        if labels[row] != labels[other]:
            torn.append((row, other))
        elif row < cuts[0]:
            copies.append((row, other))
        if other < cuts[0] <= row < cuts[1]:
            given.append((row, other))
        if other < cuts[1] <= row:
            leaks.append((row, other))
    told = (
        (copies, cuts[0], "training", "are identical to other training images", "the validation "
         "score flatters where a copy of what was trained on is validated"),
        (given, cuts[1] - cuts[0], "validation", "are identical to training images", "the "
         "validation score flatters"),
        (leaks, len(images) - cuts[1], "test", "are identical to training images", "the test "
         "score flatters"),
        (torn, len(images), "", "are identical to an image of another class", "one of the labels "
         "must be wrong"),
    )  # fmt: skip
    return [
        f"{len(pairs):,} of {of:,} {part}{' ' * bool(part)}images {words}, such as "
        f"{shown(names[pairs[0][0]])} and {shown(names[pairs[0][1]])}: {why}"
        for pairs, of, part, words, why in told
        if pairs
    ]


def refusal(place: str, root: Path | None, names: Sequence[str], broken: Mapping[int, str]) -> str:
    """All that is broken, the first of it by name, and what to do.

    root: the folder, from which a file may be moved away; None where a table names the files.
    """
    rows = sorted(broken)
    listed = [f"  {shown(names[row])}: {broken[row]}" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        listed.append(f"  ... and {len(rows) - SHOWN:,} more")
    listed.insert(0, f"{place}: {len(rows):,} of {count(len(names), 'file')} cannot be read:")
    if root is None:
        return "\n".join([*listed, "repair them, or set settings.skip_broken: true"])
    return "\n".join(
        [
            *listed,
            f"repair them, set settings.skip_broken: true, or move them to {shown(_aside(root))}:",
            _pasted(moving(root, [names[row] for row in rows])),
        ]
    )


def moving(root: Path, names: Iterable[str]) -> str:
    """A command that moves files out of the folder, each into a folder like its own."""
    folders: dict[Path, list[str]] = {}
    for name in names:
        folders.setdefault(Path(name).parent, []).append(name)
    commands = []
    for folder, files in folders.items():
        there = quoted(_aside(root) / folder)
        moved = " ".join(quoted(root / name) for name in files)
        commands.append(f"mkdir -p -- {there} && mv -n -- {moved} {there}")
    return " && ".join(commands)


def _aside(root: Path) -> Path:
    return root.parent / f"{root.name}-broken"


def _pasted(command: str) -> str:
    """The command, or one that runs it from a file where it is too long for a terminal."""
    if len(command) <= PASTED:
        return command
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="move-broken-", suffix=".sh", delete=False, encoding="utf-8"
        ) as script:
            script.write(command.replace(" && mkdir", "\nmkdir") + "\n")
    except OSError:
        return command
    return f"bash {quoted(script.name)}"
