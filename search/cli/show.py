"""`optsearch show`: a study's answer so far, as a table, JSON or CSV."""

from typing import Annotated

import typer

from search.cli.options import Log, Storage, StoredStudy


def show(
    study: StoredStudy,
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="A row per epoch instead of a row per trial.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Rows as CSV.")] = False,
    live: Annotated[
        bool, typer.Option("--watch", help="Look on while others run it, here or elsewhere.")
    ] = False,
    log: Log = None,
) -> None:
    """Show a study: the best trials, how the others ended, published beside measured.

    --watch shows it live until its budget is used up and nothing runs, or until Ctrl-C.
    """
    from search.cli import summary
    from search.database import storage as storages
    from search.errors import UsageError
    from search.record import results
    from search.record import study as studies
    from search.service.look_on import look_on
    from search.terminal import log as logs

    if live and (as_json or as_csv or history):
        raise UsageError("--watch goes without --json, --csv and --history; use --log json")
    if log and not live:
        raise UsageError("--log is for --watch; without it there are --json and --csv")
    loaded = studies.load_study(study, storages.resolve_url(storage))
    spec = studies.stored_spec(loaded)
    if live:
        log = log or logs.usual()
        look_on(loaded, log)
        log.answer(
            study,
            lambda: summary.print_answer(loaded, spec),
            lambda: results.summary(loaded, spec.trials if spec else None),
        )
        return
    rows = results.epoch_rows(loaded) if history else results.rows(loaded)
    if as_csv:
        typer.echo(results.as_csv(rows), nl=False)
    elif as_json:
        whole = results.summary(loaded, spec.trials if spec else None)
        typer.echo(logs.strict(whole | ({"history": rows} if history else {"rows": rows}), 2))
    elif history:
        summary.print_epochs(rows)
    else:
        summary.print_answer(loaded, spec)
