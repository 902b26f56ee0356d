"""`optsearch report`: a study as one file that can be sent to a colleague."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Storage, StoredStudy

if TYPE_CHECKING:
    import optuna


class Format(StrEnum):
    """What is written."""

    HTML = "html"
    PNG = "png"
    SVG = "svg"


def report(
    study: StoredStudy,
    storage: Storage = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file; of pictures the folder.",
            show_default="report.html, or report for pictures",
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="html: one file; png, svg: a picture per figure.")
    ] = Format.HTML,
) -> None:
    """Write a report: the answer with its interval, figures, advice, and how to replay it."""
    from search import plots
    from search.answers import export as exports
    from search.answers import report as reports
    from search.database import storage as storages
    from search.errors import UsageError
    from search.record import snapshot
    from search.record import study as studies

    out = out or Path("report.html" if form is Format.HTML else "report")
    exports.check_writable(out if form is Format.HTML else out / f".{form.value}")
    loaded = studies.load_study(study, storages.resolve_url(storage))
    if len(loaded.directions) > 1:
        raise UsageError(f"--study {study}: has several objectives; a report tells of one")
    loaded = snapshot.of(loaded)  # its figures and words agree
    drawn = plots.drawn(loaded)
    for line in plots.left_out(drawn):
        typer.echo(line, err=True)
    if form is Format.HTML:
        exports.write(out, reports.html(loaded, drawn))
        typer.echo(out)
    else:
        for picture in plots.write(drawn, out, form.value):
            typer.echo(picture)
    if "spec" in loaded.user_attrs:
        _store(loaded)


def _store(study: "optuna.Study") -> None:
    """Its dashboard shows the same figures; a database that may only be read is no obstacle."""
    from search import plots
    from search.errors import StorageError

    try:
        plots.store(study)
    except StorageError as error:
        typer.echo(f"the dashboard's figures were not stored: {error}", err=True)
