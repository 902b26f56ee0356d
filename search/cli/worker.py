"""`optsearch worker`: join a study that was started elsewhere."""

import time
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import (
    Device,
    Log,
    Overrides,
    Storage,
    StoredStudy,
    Workdir,
    Workers,
    WorkersPerGpu,
)


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
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="End after this time: 45s, 30m, 2h.")
    ] = None,
    workers: Workers = "auto",
    workers_per_gpu: WorkersPerGpu = "auto",
    log: Log = None,
) -> None:
    """Train trials of a study in the storage, beside any number of others, until it is done.

    The study's own file is not needed: it lives in the database. --set takes what belongs to the
    machine, as in settings.data_dir=/data.
    """
    from search.answers import export
    from search.cli import confirm, watch
    from search.cli import log as logs
    from search.database import storage as storages
    from search.record import budget, halt, results
    from search.record import study as studies
    from search.studyfile import durations
    from search.workers import join, process, seats

    log = log or logs.usual()
    started = time.monotonic()
    seconds = None if timeout is None else durations.parse_duration(timeout)
    wanted = seats.Wish.parse(device, workers, workers_per_gpu)
    url = storages.resolve_url(storage)
    opened = studies.load_study(study, url)
    asked_to_stop = halt.Halt(opened)
    question = join.question(opened, overrides or [], code)
    process.warm_up(question.objective)
    export.check_writable(workdir / "probe", "--workdir")
    with process.Process() as asked:
        prepared = asked.ask("prepare", study=question, device=device)
    join.check_data(opened, prepared)
    limits = studies.limits(opened, question)
    if line := budget.used_up(opened, limits):
        typer.echo(line, err=True)
    dealt = wanted.seats(prepared)
    if seconds is None and question.budget.hours is not None:
        seconds = question.budget.hours * 3600
    deadline = None if seconds is None else started + seconds
    hands = watch.Hands(wanted, url, workdir, dealt, deadline, log, asked_to_stop)
    exit_code = hands.work(opened, question, limits)
    if not exit_code and not asked_to_stop.asked():
        exit_code = confirm.join(hands, opened, question)
    if isinstance(log, logs.Json):  # people read the answer where the study was started
        log.answer(study, lambda: None, lambda: results.summary(opened, question.trials))
    if exit_code:
        raise typer.Exit(exit_code)
