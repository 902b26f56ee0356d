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

    from search.studyfile.spec import StudySpec


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
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm/--no-confirm",
            help="At the end, train the best again on fresh seeds and test them once.",
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train one epoch and tell how long it would take.")
    ] = False,
    log: Log = None,
) -> None:
    """Search: train a network per trial, end hopeless ones early, write the best to YAML.

    The same command again resumes; Ctrl-C once finishes the running epoch and keeps everything.
    """
    from search.studyfile import catalog
    from search.workers import process

    process.warm_up(catalog.objective_of(study))  # imports torch while we import the rest

    from search.answers import confirm as confirming
    from search.answers import export
    from search.cli import answer, summary, watch
    from search.cli import confirm as stages
    from search.cli import log as logs
    from search.database import storage as storages
    from search.record import budget, halt
    from search.record import study as studies
    from search.studyfile import durations, reading
    from search.studyfile.spec import Confirm
    from search.workers import seats

    log = log or logs.usual()
    wanted = seats.Wish.parse(device, workers, workers_per_gpu, cluster)
    file = reading.load(study, overrides or [], name)
    question = file.spec.with_budget(
        trials, None if timeout is None else durations.parse_duration(timeout)
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
        for line in prepared.get("data", {}).get("notes", ()):
            typer.echo(f"data: {line}", err=True)
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
        takes_seed = answer.takes_seed(asked, question)
    opened, pinned = studies.open_study(question, url, prepared)
    asked_to_stop = halt.Halt(opened)
    limits = studies.limits(opened, pinned)
    for line in (studies.changed_code(opened, pinned), budget.used_up(opened, limits)):
        if line:
            typer.echo(line, err=True)
    hours = pinned.budget.hours
    deadline = None if hours is None else started + hours * 3600
    wants = pinned.confirmation if confirm else Confirm(seeds=0)
    plan = wants if takes_seed else Confirm(seeds=0)
    opened.set_user_attr(confirming.WILL, plan.seeds)  # workers elsewhere stay to help
    hands = watch.Hands(wanted, url, workdir, dealt, deadline, log, asked_to_stop)
    reserve = functools.partial(confirming.seconds_needed, opened, plan, hands.number)
    code = hands.work(opened, pinned, limits, reserve=reserve)
    if wants.seeds and not takes_seed:
        log.say(pinned.name, f"not confirmed: {pinned.objective} declares no parameter `seed`")
    if plan.seeds and not code and not asked_to_stop.asked():
        code = stages.stage(hands, opened, pinned, plan, grow=True)
    interrupted = code != 0
    again = _again(opened, pinned, interrupted or not answer.is_confirmed(opened, plan))
    answer.give(opened, pinned, workdir, device, out, log, interrupted=interrupted, again=again)
    if code:
        raise typer.Exit(code)


def from_python(study: str, **options: Any) -> int:
    """The same, called by a program (search/api.py); returns the exit code."""
    try:
        run(study, **options)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def _again(study: "optuna.Study", spec: "StudySpec", interrupted: bool) -> str:
    """The command of this run as it was typed, with twice the trials once its own are used up."""
    from search.database import storage
    from search.record import chains

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
