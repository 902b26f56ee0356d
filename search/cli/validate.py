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
    from search.record import next_step
    from search.service import prepare
    from search.studyfile import commands

    told = prepare.validate(study, overrides or ())
    for line in told.notes:
        typer.echo(line)
    run = commands.join(["run", *next_step.asked(study, None, overrides or ())])
    typer.echo(f"{told.source}: valid; {run}")
