"""`optsearch init`: a study file that fits some data, or an objective of one's own."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Columns, Device, named

LEAST_HOURS = 0.01


def init(
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|NAME",
            help="A folder of images, another file of them, or a name such as mnist.",
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Your own code instead, ./mine.py:objective; written where it is not there.",
        ),
    ] = None,
    columns: Columns = None,
    hours: Annotated[
        float, typer.Option(min=LEAST_HOURS, help="How long the search may take on this machine.")
    ] = 1.0,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(help="The study file. Default: as the data is called.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
) -> None:
    """Write a study file that runs, with the reasons for what stands in it."""
    from search.errors import UsageError
    from search.service import draft
    from search.studyfile import commands, starter

    if data is None and objective is None:
        if not sys.stdin.isatty():
            raise UsageError("init: names no data; give --data PATH, or --objective ./mine.py:f")
        data, objective, hours = _asked(hours)
    if data is not None and objective is not None:
        raise UsageError("--data and --objective: are two questions; give one of them")
    if columns and data is None:
        raise UsageError("--columns: are of a table of images; give it with --data")
    if data is not None:
        file = out or Path(f"{starter.name_of(data)}.yaml")
        made = draft.from_data(data, file, device, hours, named(columns), force=force)
    else:
        assert objective is not None
        file = out or Path(f"{Path(objective.rpartition(':')[0]).stem or 'mine'}.yaml")
        made = draft.from_objective(objective, file, force=force)
    for line in made.told:
        typer.echo(line)
    path = str(made.file) if "/" in str(made.file) else f"./{made.file}"
    typer.echo(f"next: {commands.line('run', study=path)}")


def _asked(hours: float) -> tuple[str | None, str | None, float]:
    """What a person answers at a terminal: data, or code of their own, and the hours for data."""
    images = "Images: a folder, a file, or a name such as mnist; nothing for code of your own"
    if data := typer.prompt(images, default="", show_default=False).strip():
        asked = "Hours that the search may take"
        return data, None, typer.prompt(asked, hours, value_proc=_hours)
    code = typer.prompt("Your code, which is written where it is not there", "./mine.py:objective")
    return None, code.strip(), hours


def _hours(answer: str) -> float:
    """Of an answer; asked again for what is none."""
    with contextlib.suppress(ValueError):
        if (hours := float(answer)) >= LEAST_HOURS:
            return hours
    raise typer.BadParameter(f"a number >= {LEAST_HOURS:g} must be given, got {answer}")
