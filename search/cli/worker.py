"""`optsearch worker`: join a study that was started elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import (
    Device,
    Log,
    Overrides,
    Storage,
    StoredStudy,
    Timeout,
    Workdir,
    Workers,
    WorkersPerGpu,
)

Script = Annotated[
    str | None,
    typer.Option(
        "--print",
        metavar="KIND",
        help="Print the file by which slurm or kubernetes runs workers, and train nothing.",
        show_default=False,
    ),
]


def worker(
    study: StoredStudy,
    storage: Storage = None,
    device: Device = "auto",
    overrides: Overrides = None,
    code: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the objective's file, where it differs from the study's own.",
            show_default=False,
        ),
    ] = None,
    workdir: Workdir = Path("runs/work"),
    timeout: Timeout = None,
    workers: Workers = "auto",
    workers_per_gpu: WorkersPerGpu = "auto",
    log: Log = None,
    script: Script = None,
) -> None:
    """Train trials of a study in the storage, beside any number of others, until it is done.

    The study's own file is not needed: it lives in the database. --set takes what belongs to the
    machine, as in settings.data_dir=/data.
    """
    if script is not None:
        typer.echo(_script(script, study, workdir, workers, device), nl=False)
        return
    from search.cli import answer
    from search.record import results
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
        workdir=workdir,
    )
    joined, spec, stopped = service.join(order, code, log)
    if isinstance(log, logs.Json):  # people read the answer where the study was started
        log.answer(study, lambda: None, lambda: results.summary(joined, spec.trials))
    answer.leave(stopped)


JOBS = 16  # workers that are asked for, unless the command says how many


def _script(kind: str, study: str, workdir: Path, workers: str, device: str) -> str:
    """The file of a scheduler. Raises typer.BadParameter, UsageError."""
    from search.studyfile import jobs
    from search.workers import seats

    if kind not in jobs.KINDS:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(jobs.KINDS)}")
    count = seats.count("--workers", workers) or JOBS
    return jobs.KINDS[kind](study, workdir, count, device)
