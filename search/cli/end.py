"""`optsearch end`: prune one trial now, by hand."""

from typing import Annotated

import typer

from search.cli.options import Storage, StoredStudy


def end(
    study: StoredStudy,
    trial: Annotated[int, typer.Option("--trial", min=0, help="Its number, as tables have it.")],
    storage: Storage = None,
) -> None:
    """End one trial that runs or is paused, wherever it is trained, as pruned with its last report.

    Its worker goes on with another one at the next report. `stop` ends all of a study's runs.
    """
    from search.database import storage as storages
    from search.record import by_hand
    from search.record import study as studies

    opened = studies.load_study(study, storages.resolve_url(storage))
    studies.require_spec(opened)
    was_running = by_hand.end(opened, trial)
    then = "; its worker lets go of it at its next report" if was_running else ""
    typer.echo(f"study '{study}': trial {trial} is ended (pruned, reason {by_hand.REASON}){then}")
