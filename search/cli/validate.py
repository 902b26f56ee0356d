"""`optsearch validate`: everything that is wrong with a study file, before any training."""

from typing import Annotated

import typer

from search.cli import completion
from search.cli.options import Overrides


def validate(
    study: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="A study file.", autocompletion=completion.files),
    ],
    overrides: Overrides = None,
) -> None:
    """Check a study file; every problem at once, each with its line."""
    from search.service import prepare

    told = prepare.validate(study, overrides or ())
    for line in told.notes:
        typer.echo(line)
    typer.echo(f"{told.source}: valid; optsearch run --study {study}")
