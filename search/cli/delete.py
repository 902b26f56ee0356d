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
    keep_files: Annotated[
        bool,
        typer.Option("--keep-files", help="Leave checkpoints and models to a copy of the study."),
    ] = False,
) -> None:
    """Delete a study: its trials, and their files in --workdir. Asks for the study's name."""
    from search.database import storage as storages
    from search.errors import UsageError
    from search.record import study as studies

    url = storages.resolve_url(storage)
    loaded = studies.load_study(study, url)
    studies.refuse_confirming(loaded)  # that the test set was read must not be forgotten
    trials = len(loaded.get_trials(deepcopy=False))
    folder = studies.folder(loaded, workdir) if "uid" in loaded.user_attrs else None
    files = f" and files in {folder}" if folder and folder.is_dir() and not keep_files else ""
    if not yes:
        hint = "; --keep-files leaves those to a copy" if files else ""
        place = storages.redacted(url)
        typer.echo(f"Study '{study}' in {place} has {trials} trials{files}{hint}.", err=True)
        if typer.prompt("Type its name to delete it", err=True, prompt_suffix=": ") != study:
            raise UsageError("that is not its name; nothing was deleted")
    studies.delete_study(loaded, workdir, keep_files=keep_files)
    typer.echo(f"deleted '{study}' with {trials} trials{files}")
