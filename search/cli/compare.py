"""`optsearch compare`: which optimizer, schedule or network is best, and how sure that is."""

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Storage

if TYPE_CHECKING:
    from rich.table import Table

    from search.compare import Comparison
    from search.statistics import Interval
    from search.verdicts import Row


def compare(
    study: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="A study in the storage; repeat it to compare several."),
    ],
    storage: Storage = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="PARAMETER",
            help="optimizer, schedule or any other parameter; configuration; study.",
            show_default="the first choice, or configuration",
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="Score that epochs and seconds are counted to.",
            show_default="95 % of the best",
        ),
    ] = None,
    allow_different_data: Annotated[
        bool,
        typer.Option(
            "--allow-different-data", help="Also where data, splits or epochs are not the same."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare optimizers, schedules or networks, each by its best configuration, with intervals."""
    from search import compare as compares
    from search import storage as storages
    from search import study as studies
    from search.cli.summary import console

    url = storages.resolve_url(storage)
    loaded = [studies.load_study(name, url) for name in dict.fromkeys(study)]
    found = compares.compare(loaded, by, target=target, allow_different_data=allow_different_data)
    if as_json:
        typer.echo(json.dumps(as_dict(found), indent=2, allow_nan=False))
        return
    console.print(_table(found))
    console.print(f"target: {found.metric} {found.target:.4f}")
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow", soft_wrap=True)
    for line in found.conclusions:
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

    from search.progress import params_words

    table = Table(box=None, header_style="dim", pad_edge=False)
    columns = cells(found)
    for name in columns[0] if columns else ():
        left = name in (found.by, "study", "data", "verdict")
        table.add_column(name, justify="left" if left else "right", no_wrap=name == found.by)
    table.add_column("best configuration")
    for row, named in zip(found.rows, columns, strict=True):
        style = "bold green" if row.verdict == "best" else ""
        table.add_row(*named.values(), params_words(dict(row.params)), style=style)
    return table


def cells(found: "Comparison") -> list[dict[str, str]]:
    """What a table shows of each row, by column; columns that nobody fills are left out."""
    rows = [_cells(found, row) for row in found.rows]
    empty = {k for k in rows[0] if all(r[k] in ("", "-") for r in rows)} if rows else set()
    return [{k: v for k, v in row.items() if k not in empty} for row in rows]


def _cells(found: "Comparison", row: "Row") -> dict[str, str]:
    test = "test_" + found.metric.removeprefix("val_")
    return {
        found.by: row.value,
        "study": row.study,
        "data": row.data,
        "trials": str(row.trials),
        found.metric: _interval(row.score),
        "seeds": str(row.seeds) if row.seeds else "-",
        test: _interval(row.test),
        "epochs to target": _count(row.epochs, "{:.0f}"),
        "seconds": _count(row.seconds, "{:.1f}"),
        "P(best)": "-" if row.p_best is None else f"{row.p_best:.0%}",
        "verdict": row.verdict,
    }


def _interval(found: "Interval | None") -> str:
    return "-" if found is None else found.short


def _count(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    return "never" if value == math.inf else form.format(value)
