"""`optsearch data`: what is in a data set, and what is odd about it, before anything is trained."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Columns, named

if TYPE_CHECKING:
    from rich.table import Table

MOST = 40  # classes that are all shown; of more the largest and the smallest
SHOWN = 10  # broken files that are named
Data = Annotated[
    str,
    typer.Argument(
        metavar="PATH|NAME",
        help="A folder of images, another file of them, or a name such as mnist.",
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(help="The contact sheet, a PNG. Default: NAME-sheet.png.", show_default=False),
]

Resize = Annotated[
    str | None,
    typer.Option(
        metavar="crop|pad|squash",
        help="How pictures become square on the sheet, as settings.resize does in training.",
        show_default=False,
    ),
]


def data(
    path: Data,
    out: Sheet = None,
    resize: Resize = None,
    columns: Columns = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at a data set without training: its classes, what is odd, and a contact sheet.

    The sheet is a picture with a row of images for each class.
    """
    from search.answers import export
    from search.service.draft import OURS, about_data
    from search.studyfile import starter
    from search.workers import process

    sheet = out or Path(f"{starter.name_of(path)}-sheet.png")
    export.check_writable(sheet)
    how = {"resize": resize, "columns": named(columns)}
    process.warm_up(OURS)
    with process.Process() as asked:
        found = about_data(asked, "inspect", data=path, sheet=sheet, **how)
    if as_json:
        typer.echo(json.dumps({**found, "sheet": str(sheet)}, indent=2, ensure_ascii=False))
        return
    _show(found)
    typer.echo(f"{sheet}: a row of images for each class")


def _show(found: dict[str, Any]) -> None:
    from search.cli.summary import console

    classes = found["classes"]
    number = sum(sum(row.values()) for row in classes.values())
    typer.echo(f"{found['dataset']}: {number:,} images of {len(classes)} classes, {found['size']}")
    console.print(_table(found))
    for line in found["told"]:
        typer.echo(line)
    for name, why in list(found["broken"].items())[:SHOWN]:
        typer.echo(f"broken: {name}: {why}")
    if (more := len(found["broken"]) - SHOWN) > 0:
        typer.echo(f"broken: and {more:,} more files")


def _table(found: dict[str, Any]) -> "Table":
    """A row a class; of very many the largest and the smallest, with how many are between."""
    from rich.table import Table
    from rich.text import Text

    parts = found["parts"]
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("class", overflow="fold")
    for part in [*parts, "all"]:
        table.add_column(part, justify="right", no_wrap=True)
    rows = list(found["classes"].items())
    if len(rows) > MOST:
        rows.sort(key=lambda row: -sum(row[1].values()))
        between = f"... {len(rows) - MOST:,} between ..."
        rows = [*rows[: MOST // 2], (between, {}), *rows[-MOST // 2 :]]
    for name, counts in rows:
        told = [f"{counts[part]:,}" for part in parts] if counts else []
        table.add_row(Text(name), *told, f"{sum(counts.values()):,}" if counts else "")
    return table
