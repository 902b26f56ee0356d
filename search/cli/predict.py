"""`optsearch predict`: what a saved model says of pictures, a line each."""

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli.options import Device

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A folder that `run` or `train` has written.")
]
Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH...", help="Pictures, folders, a CSV of files; - reads a list."),
]
Top = Annotated[int, typer.Option(min=1, help="How many of the likeliest classes are told.")]
Truth = Annotated[
    str | None,
    typer.Option(
        metavar="CSV|folders",
        help="Score it: by a CSV of files and classes, or by the folders that the files lie in.",
        show_default=False,
    ),
]
Ensemble = Annotated[
    bool,
    typer.Option(
        "--ensemble", help="The mean of the models of all confirmed seeds, and what it gains."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="An object a line, in place of CSV.")]


def predict(
    model: Model,
    paths: Paths,
    top: Top = 1,
    truth: Truth = None,
    as_json: AsJson = False,
    ensemble: Ensemble = False,
    device: Device = "auto",
) -> None:
    """Class and probability of pictures, a line each; with --truth, how many are right.

    A picture that cannot be read is a line with its error; the exit code is then 1.
    """
    from search.answers import held, kept
    from search.service import predict as service
    from search.workers import process

    whose = held.check(model, ensemble=ensemble)
    process.warm_up(whose.objective, whose.folder)
    files = list(service.named(paths, sys.stdin))
    true = None if truth is None else service.truth(truth, files)
    tally = service.Tally()
    write = _as_json if as_json else _as_csv(top, true is not None)
    with process.Process() as asked:
        how: dict[str, Any] = {"top": top, "device": device, "ensemble": ensemble}
        for row in service.predict(asked, model, whose, files, tally, true=true, **how):
            write(row)
    for line in [*(kept.gained(model) if ensemble else []), *tally.lines()]:
        typer.echo(line, err=True)
    if tally.errors:
        raise typer.Exit(1)


def _as_json(row: Mapping[str, Any]) -> None:
    typer.echo(json.dumps({key: value for key, value in row.items() if key != "foreign"}))


def _as_csv(top: int, with_truth: bool) -> Callable[[Mapping[str, Any]], None]:
    """What writes a row; the head comes with the first, so that an error stands alone."""
    ranks = ["", *(f"_{rank}" for rank in range(2, top + 1))]
    heads = [f"{name}{rank}" for rank in ranks for name in ("class", "probability")]
    table = csv.writer(sys.stdout, lineterminator="\n")
    head = iter([["file", *heads, *(["truth"] if with_truth else []), "error"]])

    def write(row: Mapping[str, Any]) -> None:
        ranked = [(one["class"], f"{one['probability']:.6f}") for one in row.get("top", ())]
        cells = [cell for one in ranked for cell in one]
        cells += [""] * (len(heads) - len(cells))
        true = [row.get("truth", "")] if with_truth else []
        table.writerows(head)
        table.writerow([row["file"], *cells, *true, row.get("error", "")])

    return write
