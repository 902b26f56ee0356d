"""`optsearch compare`: which optimizer, schedule or network is best, and how sure that is."""

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Storage

if TYPE_CHECKING:
    from rich.table import Table

    from search.answers.compare import Comparison


Several = Annotated[
    list[str],
    typer.Option(
        "--study", metavar="NAME", help="A study in the storage; repeat it to compare several."
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        metavar="PARAMETER",
        help="optimizer, schedule or any other parameter; configuration; study.",
        show_default="the first choice, or configuration",
    ),
]
Target = Annotated[
    float | None,
    typer.Option(
        help="Score that epochs and seconds are counted to.", show_default="95 % of the best"
    ),
]


def compare(
    study: Several,
    storage: Storage = None,
    by: By = None,
    target: Target = None,
    allow_different_data: Annotated[
        bool,
        typer.Option(
            "--allow-different-data", help="Also where data, splits or epochs are not the same."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare optimizers, schedules or networks, each by its best configuration, with intervals."""
    from search.answers import compare as compares
    from search.cli.summary import console
    from search.database import storage as storages
    from search.record import study as studies

    url = storages.resolve_url(storage)
    loaded = [studies.load_study(name, url) for name in dict.fromkeys(study)]
    for one in loaded:
        studies.refuse_confirming(one)
    found = compares.compare(loaded, by, target=target, allow_different_data=allow_different_data)
    if as_json:
        typer.echo(json.dumps(as_dict(found), indent=2, allow_nan=False))
        return
    for table in (_table(found), _configurations(found)):
        console.print(table)
        console.print()
    console.print(f"target: {found.metric} {found.target:.4f}")
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow", soft_wrap=True)
    for line in (*found.conclusions, *found.audits):
        console.print(line, soft_wrap=True)


def as_dict(found: "Comparison") -> dict[str, Any]:
    """For `--json`; what never happened is "never", what is not known null."""
    rows = []
    for row in found.rows:
        told = dataclasses.asdict(row) | {
            "score": row.score.as_dict() if row.score else None,
            "test": row.test.as_dict() if row.test else None,
            "scores": {str(seed): score for seed, score in row.scores.items()},
            "params": dict(row.params),
        }
        rows.append({k: "never" if v == math.inf else v for k, v in told.items()})
    return dataclasses.asdict(found) | {"rows": rows}


def _table(found: "Comparison") -> "Table":
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    from search.answers.columns import cells

    rows = cells(found)
    for name in rows[0] if rows else ():
        left = name in (found.by, "study", "data", "verdict")
        table.add_column(name, justify="left" if left else "right")
    for row, named in zip(found.rows, rows, strict=True):
        table.add_row(*named.values(), style="bold green" if row.verdict == "best" else "")
    return table


def _configurations(found: "Comparison") -> "Table":
    """Whose scores these are."""
    from rich.table import Table

    from search.record.progress import params_words

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in (found.by, "trial", "its best configuration"):
        table.add_column(name, justify="right" if name == "trial" else "left")
    for row in found.rows:
        if row.number is not None:
            table.add_row(row.name, str(row.number), params_words(dict(row.params)))
    return table
