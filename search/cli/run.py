"""`optsearch run`: from a study file to an answer."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train one epoch and tell how long it would take.")
    ] = False,
) -> None:
    """Search: train a network per trial, end hopeless ones early, write the best to YAML.

    The same command again resumes; Ctrl-C once finishes the running epoch and keeps everything.
    """
    from search import budget, export, pool, spec
    from search import storage as storages
    from search import study as studies
    from search.cli import summary

    file = spec.load(study, overrides or [], name)
    question = file.spec.with_budget(trials, budget.parse_duration(timeout) if timeout else None)
    started = time.monotonic()
    pool.warm_up(question.objective)  # imports torch while we go on
    export.check_writable(out)
    export.check_writable(workdir / "probe")
    url = storages.resolve_url(storage)
    if not dry_run:
        storages.open_storage(url)  # a database that cannot be reached is told before any work
    with pool.Process() as process:
        file.refuse(process.ask("check", study=question))
        prepared = process.ask("prepare", study=question, device=device)
        if dry_run:
            pinned = question.with_settings(prepared.get("settings", {}))
            summary.print_rehearsal(pinned, process.ask("rehearse", study=pinned, device=device))
            return
        opened, pinned = studies.open_study(question, url, prepared)
        process.send("work", spec=pinned, url=url, device=device, workdir=str(workdir))
        interrupted = _watch(process, opened, pinned, started)
        _answer(process, opened, pinned, out, study)
    if interrupted:
        raise typer.Exit(130)


def _watch(process: "Process", study: "optuna.Study", spec: "StudySpec", started: float) -> bool:
    """Show the run until its worker is done; True where a person interrupted it."""
    from rich.console import Console

    from search.progress import Progress

    hours = spec.budget.hours
    deadline = None if hours is None else started + hours * 3600
    interrupts = 0
    with Progress(study, spec.trials, deadline, Console(highlight=False)) as progress:
        while True:
            try:
                if process.answered(POLL_S):
                    process.answer()
                    return interrupts > 0
                progress.update()
                if deadline is not None and time.monotonic() > deadline:
                    progress.say("the time is used up: finishing the running epoch")
                    process.finish_epoch()
                    deadline = None
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts == 1:
                    progress.say("finishing the running epoch; Ctrl-C again stops at once")
                    process.finish_epoch()
                else:
                    process.stop_at_once()


def _answer(
    process: "Process", study: "optuna.Study", spec: "StudySpec", out: Path, argument: str
) -> None:
    """Print the table of the best, and write the first of them.

    Raises:
        RunFailedError: no trial has completed, so that there is no answer.
    """
    from search import budget, export, results
    from search.cli import summary
    from search.errors import RunFailedError

    trials = study.get_trials(deepcopy=False)
    if failed := budget.first_failures(trials):
        raise RunFailedError(
            f"stopped: each of the first {len(trials)} trials raised an exception; the first:\n"
            f"{failed.user_attrs['error'].rstrip()}"
        )
    ranked = results.ranking(study)
    if ranked:
        resolved = process.ask("resolve", study=spec, params=ranked[0].params)
        export.write(out, export.document(study, spec, ranked[0], resolved))
    summary.print_answer(study, spec, out if ranked else None, argument)
