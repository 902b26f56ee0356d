"""`optsearch workers`: who works for a study, and how fast."""

from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Storage, StoredStudy

if TYPE_CHECKING:
    from search.workers.seen import Working


def workers(
    study: StoredStudy,
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """List who trains a trial of a study now, on whichever machine.

    A worker whose last sign of life is older than 40 s is taken for dead, and its trial goes on
    elsewhere.
    """
    from search.database import storage as storages
    from search.record import next_step
    from search.record import study as studies
    from search.terminal.log import strict
    from search.workers import seen

    opened = studies.load_study(study, storages.resolve_url(storage))
    rows = seen.working(opened)
    if as_json:
        typer.echo(strict([row._asdict() for row in rows]))
    elif rows:
        _print(study, rows)
    else:
        typer.echo(
            f"study '{study}': nobody works for it now; `{next_step.run_on(opened)}` goes on with "
            "what is left"
        )


def _print(study: str, rows: "list[Working]") -> None:
    from rich.table import Table

    from search.cli.summary import console
    from search.record.progress import duration

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("host", overflow="fold")
    table.add_column("process", justify="right", no_wrap=True)
    has_device = any(row.device for row in rows)  # an objective need not tell
    if has_device:
        table.add_column("device", overflow="fold")
    for column in ("trial", "epochs", "epochs/s", "last sign"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        of = " (confirming)" if row.study != study else ""
        table.add_row(
            row.host,
            "-" if row.process is None else str(row.process),
            *([row.device] if has_device else []),
            f"{row.trial}{of}",
            str(row.epochs),
            "-" if row.epochs_per_s is None else f"{row.epochs_per_s:.3g}",
            "-" if row.silent_s is None else f"{duration(row.silent_s)} ago",
        )
    console.print(table)
