"""`optsearch retry`: give failed trials another chance."""

from typing import Annotated, Literal

import typer

from search.cli.options import Storage, StoredStudy


def retry(
    study: StoredStudy,
    storage: Storage = None,
    reason: Annotated[
        Literal["exception", "crashed"] | None,
        typer.Option(help="Only trials that failed so. Default: both.", show_default=False),
    ] = None,
) -> None:
    """Queue trials that failed for good once more; the next run or worker trains them.

    They keep their slot of the budget, their parameters and their seed.
    """
    from search.database import storage as storages
    from search.record import chains, next_step
    from search.record import study as studies

    opened = studies.load_study(study, storages.resolve_url(storage))
    reopened = chains.reopen(opened, (reason,) if reason else ())
    if not reopened:
        wanted = reason or "exception or crashed"
        typer.echo(f"study '{study}': no trial has failed for good ({wanted}); nothing to retry")
        return
    numbers = ", ".join(str(trial.number) for trial in reopened)
    typer.echo(
        f"study '{study}': {len(reopened)} failed trials wait for another run ({numbers}); "
        f"`{next_step.run_on(opened)}` goes on with them"
    )
