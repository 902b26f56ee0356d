"""`optsearch confirm`: train the best few again on fresh seeds, and read the test set once."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import (
    Device,
    Log,
    Out,
    Overrides,
    Storage,
    StoredStudy,
    Timeout,
    Workdir,
    Workers,
    WorkersPerGpu,
)


def confirm(
    study: StoredStudy,
    top: Annotated[
        int | None, typer.Option(min=1, help="How many of the best. Default: the file's, else 5.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Fresh seeds for each. Default: the file's, else 5.")
    ] = None,
    splits: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="As many as seeds: each trains on another split of the training images. Default: "
            "the file's, else 1.",
        ),
    ] = None,
    storage: Storage = None,
    device: Device = "auto",
    overrides: Overrides = None,
    out: Out = Path("best.yaml"),
    workdir: Workdir = Path("runs/work"),
    timeout: Timeout = None,
    workers: Workers = "auto",
    workers_per_gpu: WorkersPerGpu = "auto",
    log: Log = None,
) -> None:
    """Train the best configurations again on fresh seeds, name the winner, then test it once.

    `run` does this at its end. The same command again goes on where it stopped; more seeds or a
    larger top repeat no run.
    """
    from search.cli import answer
    from search.service import prepare
    from search.service import run as service
    from search.studyfile import durations
    from search.terminal import log as logs
    from search.workers import seats

    log = log or logs.usual()
    order = prepare.Order(
        study,
        seats.Wish.parse(device, workers, workers_per_gpu),
        storage,
        seconds=durations.option(timeout),
        overrides=overrides or (),
        out=out,
        workdir=workdir,
    )
    answer.tell(service.confirm(order, top, seeds, log, splits=splits), log)
