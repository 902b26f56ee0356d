"""`optsearch run`: from a study file to an answer."""

import contextlib
import functools
import math
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Overrides, Storage, StudyFile, Workdir

if TYPE_CHECKING:
    import optuna

    from search.pool import Process
    from search.spec import StudySpec

POLL_S = 0.25


def run(
    study: StudyFile,
    storage: Storage = None,
    trials: Annotated[
        int | None, typer.Option(help="Trials in all, those of earlier runs counted in.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="End after this time: 45s, 30m, 2h.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    overrides: Overrides = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name in the storage. Default: the file's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the best configuration goes.")] = Path(
        "best.yaml"
    ),
    workdir: Workdir = Path("runs/work"),
    workers: Annotated[
        str, typer.Option(metavar="N|auto", help="Processes; auto: one a core, one on a GPU.")
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train one epoch and tell how long it would take.")
    ] = False,
) -> None:
    """Search: train a network per trial, end hopeless ones early, write the best to YAML.

    The same command again resumes; Ctrl-C once finishes the running epoch and keeps everything.
    """
    from search import catalog, pool

    pool.warm_up(catalog.objective_of(study))  # imports torch while we import the rest

    from search import budget, export, spec
    from search import storage as storages
    from search import study as studies
    from search.cli import summary

    wanted = _worker_count(workers)
    file = spec.load(study, overrides or [], name)
    question = file.spec.with_budget(trials, budget.parse_duration(timeout) if timeout else None)
    started = time.monotonic()
    export.check_writable(out)
    export.check_writable(workdir / "probe", "--workdir")
    url = storages.resolve_url(storage)
    if not dry_run:
        storages.open_storage(url)  # a database that cannot be reached is told before any work
    with pool.Process() as process:
        file.refuse(process.ask("check", study=question))
        prepared = process.ask("prepare", study=question, device=device)
        number = wanted or _suitable(prepared)
        machine = {"device": device, "threads": max(1, pool.cores() // number)}
        if dry_run:
            pinned = question.with_settings(prepared.get("settings", {}))
            rehearsal = process.ask("rehearse", study=pinned, **machine)
            summary.print_rehearsal(pinned, rehearsal, number)
            return
    opened, pinned = studies.open_study(question, url, prepared)
    for line in (studies.changed_code(opened, pinned), budget.used_up(opened, pinned.trials)):
        if line:
            typer.echo(line, err=True)
    job = {"spec": pinned, "url": url, "workdir": str(workdir), **machine}
    interrupted = _train(opened, job, number, started)
    _answer(opened, job, out, interrupted)
    if interrupted:
        raise typer.Exit(130)


def _train(study: "optuna.Study", job: dict[str, Any], number: int, started: float) -> bool:
    """Run the workers to their end; True where a person interrupted them."""
    from search import budget, pool

    try:
        with contextlib.ExitStack() as stack:
            workers = [stack.enter_context(pool.Process()) for _ in range(number)]
            for index, worker in enumerate(workers):
                worker.send("work", **job, index=index)
            return _watch(workers, study, job["spec"], started)
    finally:
        with contextlib.suppress(KeyError):  # the study was deleted
            budget.reconcile(study)  # trials of workers that died or had to be killed


def _watch(
    workers: "list[Process]", study: "optuna.Study", spec: "StudySpec", started: float
) -> bool:
    """Show the run until its workers are done; True where a person interrupted it."""
    from rich.console import Console

    from search import pool
    from search.errors import StudyNotFoundError
    from search.progress import Progress

    hours = spec.budget.hours
    deadline = None if hours is None else started + hours * 3600
    running, interrupts, kill_at = set(workers), 0, math.inf
    with Progress(study, spec.trials, deadline, Console(highlight=False, markup=False)) as progress:
        while running and time.monotonic() < kill_at:
            try:
                for worker in pool.wait(running, POLL_S):
                    running.remove(worker)
                    worker.answer()
                progress.update()
                if deadline is not None and time.monotonic() > deadline:
                    progress.say("the time is used up: finishing the running epochs")
                    deadline = None
                    for worker in running:
                        worker.finish_epoch()
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts == 1:
                    progress.say("finishing the running epochs; Ctrl-C again stops at once")
                else:  # leaving ends those that do not obey
                    kill_at = time.monotonic() + (interrupts == 2) * pool.STOP_PATIENCE_S
                for worker in running:
                    worker.finish_epoch() if interrupts == 1 else worker.stop_at_once()
            except KeyError:
                raise StudyNotFoundError(f"study '{spec.name}' was deleted meanwhile") from None
    return interrupts > 0


def _answer(study: "optuna.Study", job: dict[str, Any], out: Path, interrupted: bool) -> None:
    """Read the test set where nothing is chosen, print the best, and write the first of them.

    Raises:
        RunFailedError: no trial has completed, so that there is no answer.
    """
    from search import budget, export, pool, results, testset
    from search.cli import summary
    from search.errors import RunFailedError

    spec, trials = job["spec"], study.get_trials(deepcopy=False)
    if failed := budget.first_failures(trials):
        raise RunFailedError(
            "stopped: each of the first trials raised an exception; the first:\n"
            f"{failed.user_attrs['error'].rstrip()}"
        )
    ranked = results.ranking(study)
    with pool.Process() as process:
        if ranked and not interrupted:
            ask = functools.partial(process.ask, "evaluate", study=spec, device=job["device"])
            testset.read_once(study, spec, job["workdir"], lambda folder: ask(workdir=folder))
        if ranked:
            if (other := export.study_in(out)) not in (None, study.study_name):
                typer.echo(f"{out}: replaces the answer of study '{other}'", err=True)
            resolved = process.ask("resolve", study=spec, **export.identity(ranked[0]))
            export.write(out, export.document(study, spec, ranked[0], resolved))
    again = _again(study, spec, interrupted)
    summary.print_answer(study, spec, out if ranked else None, again)
    if trials and not ranked and all(t.state.is_finished() for t in trials):
        raise RunFailedError(
            "no trial has completed, so there is no best configuration; "
            "the lines above tell how the trials ended"
        )


def _again(study: "optuna.Study", spec: "StudySpec", interrupted: bool) -> str:
    """The command of this run as it was typed, with twice the trials once its own are used up."""
    from search import budget, storage

    words = ["optsearch", *sys.argv[1:]]
    for i, word in enumerate(words):
        if words[i - 1] == "--storage" or word.startswith("--storage="):
            words[i] = word.replace(url := word.removeprefix("--storage="), storage.redacted(url))
    used = budget.started(study.get_trials(deepcopy=False))
    if interrupted or spec.trials is None or used < spec.trials:
        return shlex.join(words)
    if spec.configurations:
        return ""
    for i, word in reversed(list(enumerate(words))):
        if word == "--trials" or word.startswith("--trials="):
            del words[i : i + (2 if word == "--trials" else 1)]
    return shlex.join([*words, "--trials", str(2 * used)])


def _worker_count(workers: str) -> int | None:
    """The number of `--workers`; None for auto."""
    from search.errors import UsageError

    if workers == "auto":
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise UsageError(f"--workers {workers}: must be auto or a number of at least 1")
    return int(workers)


def _suitable(prepared: dict[str, Any]) -> int:
    """How many workers suit the device: one a core on the CPU, each with one thread, trains most
    images per second; a GPU has one."""
    from search import pool

    on_cpu = prepared.get("device", {}).get("type", "cpu") == "cpu"
    return pool.cores() if on_cpu else 1
