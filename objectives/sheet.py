"""A contact sheet: a few images of each class, a row a class, as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from objectives import datasets, knobs, paths
from objectives.look import PARTS, Look, dataset_of, look, size_words

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

SIDE, GAP, MARGIN = 64, 4, 28  # pixels: of a thumbnail, between two, around all
COLUMNS, ROWS = 12, 100  # images of a class, and classes, at most
NAMES = 190  # pixels beside the images for the name of a class
HEAD, LINE = 66, 18  # pixels above the first row, and of a line of text
INK, SOFT, FAINT, GROUND = "#1b1f24", "#656d76", "#d8dee4", "#ffffff"


def inspect(
    data: str,
    sheet: Path,
    resize: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Look at a data set and write its contact sheet: the companion of `optsearch data`.

    data: a folder, a file, `folder:PATH` and the like, or a name. resize: how pictures become
    square on the sheet, as the setting of that name. columns: of a table, what some of image,
    label, split and group are called. Returns `dataset`, `size` (in words), `parts`, `classes` (a
    mapping of each to its images by part), `broken` (files that cannot be read, and why) and `told`
    (lines about what is odd). Raises ValueError or OSError.
    """
    if resize is not None and (wrong := knobs.wrong_value("resize", resize)):
        raise ValueError(wrong)
    seen = look(dataset_of(data), resize=resize, columns=columns)
    paths.write(sheet, drawn(seen))
    given = [part for part, number in zip(PARTS, seen.counts.sum(0), strict=True) if number]
    counts = [dict(zip(PARTS, row, strict=True)) for row in seen.counts.tolist()]
    classes = [{part: row[part] for part in given} for row in counts]
    return {
        "dataset": seen.dataset,
        "size": size_words(seen.sizes),
        "parts": given,
        "classes": dict(zip(seen.classes, classes, strict=True)),
        "broken": seen.broken,
        "told": seen.notes,
    }


def drawn(seen: Look) -> bytes:
    """The sheet as a PNG: each class by its name and counts, with images from first to last."""
    from PIL import Image, ImageDraw

    shown = min(len(seen.classes), ROWS)
    left_out = len(seen.classes) - shown
    width = 2 * MARGIN + NAMES + COLUMNS * (SIDE + GAP) - GAP
    notes = [line for note in seen.notes for line in _wrapped(f"· {note}", width - 2 * MARGIN)]
    notes = [f"and {left_out:,} more classes", *notes] if left_out else notes
    top = MARGIN + HEAD
    foot = top + shown * (SIDE + 3 * GAP) + GAP
    height = foot + len(notes) * LINE + MARGIN - 2 * GAP
    sheet = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(sheet)
    _heading(draw, seen, width)
    for row in range(shown):
        _row(sheet, draw, seen, row, top + row * (SIDE + 3 * GAP))
    for number, line in enumerate(notes):
        draw.text((MARGIN, foot + number * LINE), line, SOFT, _font(12))
    content = BytesIO()
    sheet.save(content, "PNG", optimize=True)
    return content.getvalue()


def _heading(draw: ImageDraw, seen: Look, width: int) -> None:
    number = f"{len(seen.labels):,} images of {len(seen.classes)} classes"
    title = _cut(seen.dataset, width - 2 * MARGIN, _font(20, bold=True))
    draw.text((MARGIN, MARGIN - 6), title, INK, _font(20, bold=True))
    about = f"{number}, {size_words(seen.sizes)}"
    draw.text((MARGIN, MARGIN + 24), about, SOFT, _font(13))


def _row(sheet: Image, draw: ImageDraw, seen: Look, label: int, top: int) -> None:
    draw.line((MARGIN, top - GAP, sheet.width - MARGIN, top - GAP), FAINT)
    name = _cut(seen.classes[label], NAMES - 2 * GAP, _font(14, bold=True))
    draw.text((MARGIN, top + 12), name, INK, _font(14, bold=True))
    counts = zip(seen.counts[label], PARTS, strict=True)
    told = ", ".join(f"{number:,} {part}" for number, part in counts if number)
    draw.text((MARGIN, top + 34), _cut(told, NAMES - 2 * GAP, _font(11)), SOFT, _font(11))
    rows = np.flatnonzero(seen.labels == label)
    some = np.linspace(0, len(rows) - 1, min(len(rows), COLUMNS)).astype(int)
    for place, row in enumerate(rows[some]):
        thumb = _thumbnail(seen, int(row))
        x = MARGIN + NAMES + place * (SIDE + GAP) + (SIDE - thumb.width) // 2
        sheet.paste(thumb, (x, top + (SIDE - thumb.height) // 2 + GAP // 2))


def _thumbnail(seen: Look, row: int) -> Image:
    """One image, as large as fits; small ones by whole pixels, so that each can be seen."""
    from PIL import Image

    levels = datasets.scale(seen.dataset)  # of digits, whose white is 16
    pixels = (seen.images[row].astype(np.float32) * (255 / levels)).astype(np.uint8)
    flat = pixels[0] if len(pixels) == 1 else pixels[:3].transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(flat)).convert("RGB")
    factor = SIDE / max(image.size)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    how = Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.BILINEAR
    return image.resize(size, how)


@cache
def _font(size: int, *, bold: bool = False) -> FreeTypeFont:
    """DejaVu Sans of matplotlib, which has most alphabets."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _cut(text: str, width: int, font: FreeTypeFont) -> str:
    """The text, or as much of its beginning as the width holds."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words that the width holds."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font(12).getlength(longer) > width:
            lines.append("")
            longer = f"  {word}"
        lines[-1] = longer
    return lines
