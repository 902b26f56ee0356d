"""`optsearch copy`: a study from one database to another."""

from typing import Annotated

import typer

from search.cli import completion


def copy(
    study: Annotated[
        str,
        typer.Option(
            "--study",
            metavar="NAME",
            help="A study in --from.",
            autocompletion=completion.stored,
        ),
    ],
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="Database that the study is in.")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="URL", help="Another database; made where it is missing.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NEW_NAME", help="The name of the copy. Default: the study's own."),
    ] = None,
) -> None:
    """Copy a study, from SQLite to a PostgreSQL server or back, with all that is known of it.

    A copy that was interrupted leaves nothing; the same command starts over.
    """
    from search.database.storage import redacted
    from search.record import copying
    from search.studyfile import commands

    trials = copying.copy_study(study, source, target, name or study)
    where = redacted(target) + (f" as '{name}'" if name else "")
    typer.echo(
        f"copied '{study}' with {trials} trials from {redacted(source)} to {where}; "
        "both find the same checkpoints and models in --workdir: go on with one of them only"
    )
    show = commands.line("show", study=name or study, storage=redacted(target))
    gone = {"study": study, "storage": redacted(source)}
    typer.echo(f"next:  {show}")
    typer.echo(f"       {commands.line('delete', '--keep-files', **gone)}")
