"""`optsearch confirm`: train the best few again on fresh seeds, and read the test set once."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import (
    Device,
    Overrides,
    Storage,
    StoredStudy,
    Workdir,
    Workers,
    WorkersPerGpu,
)

if TYPE_CHECKING:
    import optuna

    from search.seats import Seat, Wish
    from search.spec import Confirm, StudySpec


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
) -> None:
    """Train the best configurations again on fresh seeds, name the winner, then test it once.

    `run` does this at its end. The same command again goes on where it stopped; more seeds or a
    larger top repeat no run.
    """
    from search import budget, export, join, process, seats
    from search import storage as storages
    from search import study as studies
    from search.cli import answer
    from search.spec import Confirm

    started = time.monotonic()
    seconds = None if timeout is None else budget.parse_duration(timeout)
    wanted = seats.Wish.parse(device, workers, workers_per_gpu)
    url = storages.resolve_url(storage)
    opened = studies.load_study(study, url)
    studies.refuse_confirming(opened)
    spec = join.question(opened, overrides or [], None)
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
        join.check_data(opened, prepared)
        dealt = wanted.seats(prepared)
    code = stage(opened, spec, asked_for, url, wanted, dealt, workdir, deadline)
    answer.give(opened, spec, workdir, device, out, interrupted=code != 0)
    if code:
        raise typer.Exit(code)


def stage(
    study: "optuna.Study",
    spec: "StudySpec",
    confirm: "Confirm",
    url: str,
    wish: "Wish",
    dealt: "Sequence[Seat]",
    workdir: Path,
    deadline: float | None,
) -> int:
    """Run what the race wants until it is over; the exit code, as `watch` returns it.

    Args:
        deadline: a `time.monotonic()` moment at which the running epochs are the last.
    """
    from search import confirm as confirming
    from search import crew, evidence
    from search.cli import watch

    runs = confirming.begin(study, spec, confirm)
    if runs is None:
        return 0
    asked = confirming.spec_of_runs(spec)
    places = wish.workers or len(dealt)
    advance = functools.partial(confirming.advance, runs, study, places)
    if not advance():
        confirming.choose(runs)
        return 0
    plan = evidence.require_plan(runs)
    number, total = len(plan.candidates), len(plan.candidates) * plan.seeds
    typer.echo(f"confirming the best {number} on {plan.seeds} fresh seeds", err=True)
    with crew.crew(wish, runs, asked, url, workdir, dealt) as at_work:
        code = watch.watch(at_work, runs, total, deadline, advance=advance)
    if not code:
        confirming.choose(runs)
    return code
