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
    from search.record import floors, next_step
    from search.service import prepare
    from search.studyfile import commands
    from search.workers import process

    file = prepare.read(study, overrides or ())
    process.warm_up(file.spec.objective)
    with process.Process() as asked:
        file.refuse(asked.ask("check", study=file.spec))
    run = commands.join(["run", *next_step.asked(study, None, overrides or ())])
    typer.echo(f"{file.source}: valid; {run}")
    beyond = floors.beyond(file.spec)
    for line in (*file.notes(), *([f"{file.source}: {beyond}"] if beyond else ())):
        typer.echo(line)
