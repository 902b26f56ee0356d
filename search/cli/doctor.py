"""`optsearch doctor`: what this machine lacks for a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Storage, Workdir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from search.doctor import Finding

STYLES = {"fine": "green", "warning": "yellow", "error": "bold red"}


def doctor(
    storage: Storage = None,
    workdir: Workdir = Path("runs/work"),
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """What this machine lacks for a run: torch and driver, GPUs, limits, folders, storage."""
    import json

    from search.cli.summary import console
    from search.database import storage as storages
    from search.doctor import examine
    from search.errors import UnfitError

    found = examine(storages.resolve_url(storage), workdir)
    if as_json:
        listed = [one._asdict() for one in found]
        typer.echo(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        console.print(table(found))
    wrong = [one.subject for one in found if one.state == "error"]
    if wrong:
        raise UnfitError(f"doctor: {', '.join(wrong)}: see the next step of each; then once more")


def table(found: "Sequence[Finding]") -> "Table":
    """A line each, and its next step on the line below."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for one in found:
        shown.add_row(one.subject, Text(one.state, STYLES[one.state]), one.found)
        if one.next:
            shown.add_row("", "", Text(f"-> {one.next}", "bold"))
    return shown
