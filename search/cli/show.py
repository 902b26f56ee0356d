"""`optsearch show`: a study's answer so far, as a table, JSON or CSV."""

import json
from typing import Annotated

import typer

from search.cli.options import Storage, StoredStudy


def show(
    study: StoredStudy,
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="A row per epoch instead of a row per trial.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Rows as CSV.")] = False,
) -> None:
    """Show a study: the best trials, how the others ended, published beside measured."""
    from search import results
    from search import storage as storages
    from search import study as studies
    from search.cli import summary

    loaded = studies.load_study(study, storages.resolve_url(storage))
    spec = studies.stored_spec(loaded)
    rows = results.epoch_rows(loaded) if history else results.rows(loaded)
    if as_csv:
        typer.echo(results.as_csv(rows), nl=False)
    elif as_json:
        whole = results.summary(loaded, spec.trials if spec else None)
        text = json.dumps(whole | ({"history": rows} if history else {"rows": rows}))
        # JSON knows neither NaN nor infinity: they become null
        strict = json.loads(text, parse_constant=lambda _: None)
        typer.echo(json.dumps(strict, indent=2, allow_nan=False))
    elif history:
        summary.print_epochs(rows)
    else:
        summary.print_answer(loaded, spec)
