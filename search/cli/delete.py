"""`optsearch delete`: remove a study and all of its trials, after its name was typed."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Storage, StoredStudy, Workdir


def delete(
    study: StoredStudy,
    storage: Storage = None,
    workdir: Workdir = Path("runs/work"),
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for the name (for scripts).")
    ] = False,
) -> None:
    """Delete a study and its trials from the storage. Asks for the study's name."""
    from search import storage as storages
    from search import study as studies
    from search.errors import UsageError

    url = storages.resolve_url(storage)
    loaded = studies.load_study(study, url)
    trials = len(loaded.get_trials(deepcopy=False))
    if not yes:
        typer.echo(f"Study '{study}' in {storages.redacted(url)} has {trials} trials.", err=True)
        if typer.prompt("Type its name to delete it", err=True, prompt_suffix=": ") != study:
            raise UsageError("that is not its name; nothing was deleted")
    studies.delete_study(loaded, workdir)
    typer.echo(f"deleted '{study}' with {trials} trials")
