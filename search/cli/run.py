"""`optsearch run`: from a study file to an answer."""

import json
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import (
    Columns,
    Device,
    Log,
    Out,
    Overrides,
    Storage,
    StudyFile,
    Timeout,
    Workdir,
    Workers,
    WorkersPerGpu,
    named,
)

Trials = Annotated[
    int | None, typer.Option(help="Trials in all, those of earlier runs counted in.")
]
Name = Annotated[
    str | None, typer.Option(help="The study's name in the storage. Default: the file's.")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Run the workers on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT.",
    ),
]
Confirm = Annotated[
    bool,
    typer.Option(
        "--confirm/--no-confirm",
        help="At the end, train the best again on fresh seeds and test them once.",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STUDY",
        help="Know the trials of another study from the start, outside the budget.",
    ),
]
FromStorage = Annotated[
    str | None,
    typer.Option(
        "--from-storage",
        metavar="URL",
        help="Database of that study, of any Optuna from 3 on; it is only read.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|NAME",
        help="In place of a study: images, of which a study file is made (as by `init`).",
    ),
]
Dashboard = Annotated[
    bool,
    typer.Option("--dashboard", help="Serve the study's live page while it runs."),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="tensorboard|mlflow|wandb",
        help="Give that tool a run a trial. Repeatable.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Train one epoch and tell how long it would take.")
]


def run(
    study: StudyFile,
    data: Data = None,
    columns: Columns = None,
    storage: Storage = None,
    trials: Trials = None,
    timeout: Timeout = None,
    device: Device = "auto",
    overrides: Overrides = None,
    name: Name = None,
    out: Out = Path("best.yaml"),
    workdir: Workdir = Path("runs/work"),
    workers: Workers = "auto",
    workers_per_gpu: WorkersPerGpu = "auto",
    cluster: Cluster = None,
    start: From = None,
    start_storage: FromStorage = None,
    confirm: Confirm = True,
    dashboard: Dashboard = False,
    track: Track = None,
    dry_run: DryRun = False,
    log: Log = None,
) -> None:
    """Search: train a network per trial, end hopeless ones early, write the best to YAML.

    The same command again resumes; Ctrl-C once finishes the running epoch and keeps everything.
    """
    if data is not None or columns:
        study = _drafted(data, study, name, out, device, timeout, named(columns))
    _warm_up(study)

    from search.cli import again, answer
    from search.service import prepare
    from search.service import run as service
    from search.studyfile import durations
    from search.terminal.log import usual
    from search.workers import seats

    log = log or usual()
    wish = seats.Wish.parse(device, workers, workers_per_gpu, cluster)
    changes = [*(overrides or ()), *([f"track={json.dumps(track)}"] if track else ())]
    limits = storage, trials, durations.option(timeout), changes
    order = prepare.Order(study, wish, *limits, name, out, workdir, confirm, dashboard)
    order = order.knowing(start, start_storage)
    if dry_run:
        answer.tell_rehearsal(prepare.rehearse(order, log), log)
        return
    done = service.run(order, log)
    answer.tell(done, log, again=again.command(done))


def _warm_up(study: str) -> None:
    """Have torch imported in a process of its own while this one imports the rest."""
    from search.studyfile import catalog
    from search.workers import process

    process.warm_up(catalog.objective_of(study), catalog.folder_of(study))


def _drafted(
    data: str | None,
    study: str | None,
    name: str | None,
    out: Path,
    device: str,
    timeout: str | None,
    columns: dict[str, str],
) -> str:
    """The path of the study file that is made of some data, or was by an earlier run."""
    from search.errors import UsageError
    from search.service import draft
    from search.studyfile import durations

    if data is None:
        raise UsageError("--columns: are of a table of --data; a study file has settings.columns")
    if study is not None:
        raise UsageError(f"--data {data} and study {study}: are two questions; give one of them")
    seconds = durations.option(timeout)
    hours = draft.HOURS if seconds is None else seconds / 3600
    made = draft.for_run(data, name, out, device, hours, columns)
    for line in made.told:
        typer.echo(line, err=True)
    return str(made.file) if "/" in str(made.file) else f"./{made.file}"
