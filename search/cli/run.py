"""`optsearch run`: from a study file to an answer."""

import functools
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import (
    Device,
    Log,
    Overrides,
    Storage,
    StudyFile,
    Workdir,
    Workers,
    WorkersPerGpu,
)

if TYPE_CHECKING:
    import optuna

    from search.cli.log import Silent
    from search.spec import StudySpec


def run(
    study: StudyFile,
    storage: Storage = None,
    trials: Annotated[
        int | None, typer.Option(help="Trials in all, those of earlier runs counted in.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="End after this time: 45s, 30m, 2h.")
    ] = None,
    device: Device = "auto",
    overrides: Overrides = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name in the storage. Default: the file's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the best configuration goes.")] = Path(
        "best.yaml"
    ),
    workdir: Workdir = Path("runs/work"),
    workers: Workers = "auto",
    workers_per_gpu: WorkersPerGpu = "auto",
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run the workers on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train one epoch and tell how long it would take.")
    ] = False,
    log: Log = None,
) -> None:
    """Search: train a network per trial, end hopeless ones early, write the best to YAML.

    The same command again resumes; Ctrl-C once finishes the running epoch and keeps everything.
    """
    from search import catalog, process

    process.warm_up(catalog.objective_of(study))  # imports torch while we import the rest

    from search import budget, crew, export, halt, seats, spec
    from search import storage as storages
    from search import study as studies
    from search.cli import log as logs
    from search.cli import summary, watch

    log = log or logs.usual()
    wanted = seats.Wish.parse(device, workers, workers_per_gpu, cluster)
    file = spec.load(study, overrides or [], name)
    question = file.spec.with_budget(
        trials, None if timeout is None else budget.parse_duration(timeout)
    )
    started = time.monotonic()
    export.check_writable(out)
    export.check_writable(workdir / "probe", "--workdir")
    url = storages.resolve_url(storage)
    if not dry_run:
        storages.open_storage(url)  # a database that cannot be reached is told before any work
    with process.Process() as asked:
        file.refuse(asked.ask("check", study=question))
        prepared = asked.ask("prepare", study=question, device=device)
        dealt = wanted.seats(prepared)
        if dry_run:
            pinned = question.with_settings(prepared.get("settings", {}))
            first = {"device": dealt[0].device, "threads": dealt[0].threads}
            rehearsal = asked.ask("rehearse", study=pinned, **first)
            log.answer(
                pinned.name,
                lambda: summary.print_rehearsal(pinned, rehearsal, len(dealt)),
                lambda: rehearsal | {"workers": len(dealt)},
            )
            return
    opened, pinned = studies.open_study(question, url, prepared)
    asked_to_stop = halt.Halt(opened)
    limits = studies.limits(opened, pinned)
    for line in (studies.changed_code(opened, pinned), budget.used_up(opened, limits)):
        if line:
            typer.echo(line, err=True)
    hours = pinned.budget.hours
    deadline = None if hours is None else started + hours * 3600
    with crew.crew(wanted, opened, pinned, url, workdir, dealt) as at_work:
        code = watch.watch(at_work, opened, pinned, deadline, log, asked_to_stop)
    _answer(opened, pinned, workdir, device, out, log, interrupted=code != 0)
    if code:
        raise typer.Exit(code)


def from_python(study: str, **options: Any) -> int:
    """The same, called by a program (search/api.py); returns the exit code."""
    try:
        run(study, **options)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def _answer(
    study: "optuna.Study",
    spec: "StudySpec",
    workdir: Path,
    device: str,
    out: Path,
    log: "Silent",
    *,
    interrupted: bool,
) -> None:
    """Read the test set where nothing is chosen, print the best, and write the first of them.

    Raises:
        RunFailedError: no trial has completed, so that there is no answer.
    """
    from search import budget, export, process, results, testset
    from search.cli import summary
    from search.errors import RunFailedError

    trials = study.get_trials(deepcopy=False)
    if failed := budget.first_failures(trials):
        told = failed.user_attrs.get("error", "its process died (no traceback can tell why)")
        raise RunFailedError(
            f"stopped: each of the first trials failed; the first:\n{told.rstrip()}"
        )
    ranked = results.ranking(study)
    with process.Process() as asked:
        if ranked and not interrupted:
            ask = functools.partial(asked.ask, "evaluate", study=spec, device=device)
            testset.read_once(study, spec, workdir, lambda folder: ask(workdir=folder))
        if ranked:
            if (other := export.study_in(out)) not in (None, study.study_name):
                typer.echo(f"{out}: replaces the answer of study '{other}'", err=True)
            resolved = asked.ask("resolve", study=spec, **export.identity(ranked[0]))
            export.write(out, export.document(study, spec, ranked[0], resolved))
    again = _again(study, spec, interrupted)
    file = out if ranked else None
    log.answer(
        study.study_name,
        lambda: summary.print_answer(study, spec, file, again),
        lambda: results.summary(study, spec.trials) | {"file": file and str(file)},
    )
    if trials and not ranked and all(t.state.is_finished() for t in trials):
        raise RunFailedError(
            "no trial has completed, so there is no best configuration; "
            "the lines above tell how the trials ended"
        )


def _again(study: "optuna.Study", spec: "StudySpec", interrupted: bool) -> str:
    """The command of this run as it was typed, with twice the trials once its own are used up."""
    from search import chains, storage

    words = ["optsearch", *sys.argv[1:]]
    for i, word in enumerate(words):
        if words[i - 1] == "--storage" or word.startswith("--storage="):
            words[i] = word.replace(url := word.removeprefix("--storage="), storage.redacted(url))
    used = chains.started(study.get_trials(deepcopy=False))
    if interrupted or spec.trials is None or used < spec.trials:
        return shlex.join(words)
    if spec.configurations:
        return ""
    for i, word in reversed(list(enumerate(words))):
        if word == "--trials" or word.startswith("--trials="):
            del words[i : i + (2 if word == "--trials" else 1)]
    return shlex.join([*words, "--trials", str(2 * used)])
