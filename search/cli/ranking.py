"""A comparison as tables: the values of a parameter in order, and whose scores these are."""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.table import Table

from search.answers import columns
from search.answers.columns import cells
from search.record.progress import params_words

if TYPE_CHECKING:
    from search.answers.compare import Comparison

LONG = 16  # characters of a column's name, beyond which its words stand below each other


def table(found: "Comparison", without: Collection[str] = ()) -> Table:
    """A row a value, best first.

    Args:
        without: columns that are left out.
    """
    rows = cells(found, without)
    if is_long := len(found.metric) > LONG and found.metric.startswith("val_"):
        short = {found.metric: "val", columns.test(found): "test"}
        rows = [{short.get(name, name): cell for name, cell in row.items()} for row in rows]
    is_wide = is_long or any(len(name) > LONG for row in rows for name in row)
    drawn = Table(box=None, header_style="dim", pad_edge=False, collapse_padding=is_wide)
    for name in rows[0] if rows else ():
        left = name in (found.by, "study", "data", "verdict")
        # where it is narrow, a score's interval goes to a second line and the verdict stays whole
        header = name.replace("_", "_\n") if len(name) > LONG else name
        drawn.add_column(
            header,
            min_width=max(map(len, re.split(r"\s", header))),
            justify="left" if left else "right",
            no_wrap=name == "verdict",
            overflow="fold",
        )
    styles = {"best": "bold green", "tied": "green"}
    for row, named in zip(found.rows, rows, strict=True):
        drawn.add_row(*named.values(), style=styles.get(row.verdict, ""))
    if is_long:
        drawn.caption = f"val and test: {found.metric.removeprefix('val_')}"
        drawn.caption_justify, drawn.caption_style = "left", "dim"
    return drawn


def configurations(found: "Comparison") -> Table:
    """Of each value its best configuration."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    for name in (found.by, "trial", "its best configuration"):
        drawn.add_column(name, justify="right" if name == "trial" else "left")
    for row in found.rows:
        if row.number is not None:
            drawn.add_row(row.name, str(row.number), params_words(dict(row.params)))
    return drawn
