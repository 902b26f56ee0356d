"""`optsearch note`: what a person has to say about a trial."""

from typing import Annotated

import typer

from search.cli.options import Storage, StoredStudy

Text = Annotated[
    str | None,
    typer.Argument(
        metavar="TEXT", help="In Markdown. Without it the note is printed.", show_default=False
    ),
]


def note(
    study: StoredStudy,
    trial: Annotated[int, typer.Option("--trial", min=0, help="Its number, as tables have it.")],
    text: Text = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of what was written before.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Write a note on a trial, which optuna-dashboard shows, below what was written before.

    It stands there in the place of what optsearch tells of the trial; --replace with an empty text
    brings that back.
    """
    from search.dashboard import noted
    from search.database import storage as storages
    from search.record import study as studies

    opened = studies.load_study(study, storages.resolve_url(storage))
    if text is None:
        typer.echo(noted.read(opened, trial) or f"trial {trial} has no note")
        return
    whole = noted.add(opened, trial, text, replace=replace)
    told = "its note is gone" if not whole else f"noted, {len(whole)} characters in all"
    typer.echo(f"study '{study}': trial {trial}: {told}")
