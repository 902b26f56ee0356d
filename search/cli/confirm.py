"""`optsearch confirm`: train the best few again on fresh seeds, and read the test set once."""

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    import optuna

    from search.cli.watch import Hands
    from search.studyfile.spec import Confirm, StudySpec

JOIN_S = 30.0  # how long a worker waits for the run that ended the search to begin confirming


def confirm(
    study: StoredStudy,
    top: Annotated[
        int | None, typer.Option(min=1, help="How many of the best. Default: the file's, else 5.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Fresh seeds for each. Default: the file's, else 5.")
    ] = None,
    storage: Storage = None,
    device: Device = "auto",
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Where the best configuration goes.")] = Path(
        "best.yaml"
    ),
    workdir: Workdir = Path("runs/work"),
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="End after this time: 45s, 30m, 2h.")
    ] = None,
    workers: Workers = "auto",
    workers_per_gpu: WorkersPerGpu = "auto",
    log: Log = None,
) -> None:
    """Train the best configurations again on fresh seeds, name the winner, then test it once.

    `run` does this at its end. The same command again goes on where it stopped; more seeds or a
    larger top repeat no run.
    """
    from search.answers import export
    from search.cli import answer, watch
    from search.cli import log as logs
    from search.database import storage as storages
    from search.errors import RunFailedError
    from search.record import halt, results
    from search.record import study as studies
    from search.studyfile import durations
    from search.studyfile.spec import Confirm
    from search.workers import join as joining
    from search.workers import process, seats

    log = log or logs.usual()
    started = time.monotonic()
    seconds = None if timeout is None else durations.parse_duration(timeout)
    wanted = seats.Wish.parse(device, workers, workers_per_gpu)
    url = storages.resolve_url(storage)
    opened = studies.load_study(study, url)
    studies.refuse_confirming(opened)
    if not results.ranking(opened):
        raise RunFailedError(f"study '{study}' has no complete trial yet; run it further first")
    asked_to_stop = halt.Halt(opened)
    spec = joining.question(opened, overrides or [], None)
    asked_for = Confirm(
        top=top or spec.confirmation.top, seeds=seeds or spec.confirmation.seeds or 5
    )
    process.warm_up(spec.objective)
    export.check_writable(out)
    export.check_writable(workdir / "probe", "--workdir")
    deadline = None if seconds is None else started + seconds
    with process.Process() as asked:
        answer.require_seed(asked, spec)
        prepared = asked.ask("prepare", study=spec, device=device)
        joining.check_data(opened, prepared)
        dealt = wanted.seats(prepared)
    hands = watch.Hands(wanted, url, workdir, dealt, deadline, log, asked_to_stop)
    code = stage(hands, opened, spec, asked_for)
    answer.give(opened, spec, workdir, device, out, log, interrupted=code != 0)
    if code:
        raise typer.Exit(code)


def stage(
    hands: "Hands",
    study: "optuna.Study",
    spec: "StudySpec",
    confirm: "Confirm",
    *,
    grow: bool = False,
) -> int:
    """Run what the race wants until it is over; the exit code, as `watch` returns it.

    Args:
        grow: keep the larger `top` and `seeds` of an earlier command.
    """
    from search.answers import confirm as confirming
    from search.answers import evidence

    runs = confirming.begin(study, spec, confirm, grow=grow)
    if runs is None:
        return 0
    plan = evidence.require_plan(runs)
    if not evidence.standing(runs, plan).over:
        number = len(plan.candidates)
        words = f"confirming the best {number} on {plan.seeds} fresh seeds"
        hands.log.say(study.study_name, words)
    code = _work(hands, study, spec, runs)
    if not code:
        confirming.choose(runs)
    return code


def join(hands: "Hands", study: "optuna.Study", spec: "StudySpec") -> int:
    """Help a run on another machine to confirm, where it is going to; the exit code."""
    from search.answers import confirm as confirming
    from search.answers import evidence

    until = time.monotonic() + JOIN_S
    while study.user_attrs.get(confirming.WILL) and time.monotonic() < until:
        runs = evidence.sibling(study)
        if runs is not None and evidence.plan_of(runs) and not runs.user_attrs.get(evidence.CHOICE):
            return _work(hands, study, spec, runs)
        time.sleep(1)
    return 0


def _work(hands: "Hands", study: "optuna.Study", spec: "StudySpec", runs: "optuna.Study") -> int:
    """Train what the race wants, as long as it wants something."""
    from search.answers import confirm as confirming
    from search.answers import evidence
    from search.record import budget

    advance = functools.partial(confirming.advance, runs, study, hands.number)
    if not advance():
        return 0
    plan = evidence.require_plan(runs)
    limits = budget.Limits(len(plan.candidates) * plan.seeds, queued_only=True)
    asked = confirming.spec_of_runs(spec)
    return hands.work(runs, asked, limits, advance=advance, modest=True)
