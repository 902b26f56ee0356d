"""`optsearch compare`: which optimizer, schedule or network is best, and how sure that is."""

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Storage

if TYPE_CHECKING:
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
    from search.cli import ranking
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
    for table in (ranking.table(found), ranking.configurations(found)):
        console.print(table)
        console.print()
    console.print(f"target: {found.metric} {found.target:.4f}")
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow", soft_wrap=True)
    for line in (*found.sentences, *found.audits):
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
