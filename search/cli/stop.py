"""`optsearch stop`: end a study's commands, on whichever hosts they run."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Storage, StoredStudy

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

POLL_S = 0.5
MOST = 5  # trials that a line names
LOOK_S = 5.0  # between two looks for trials whose workers are gone


def stop(
    study: StoredStudy,
    storage: Storage = None,
    wait: Annotated[
        str,
        typer.Option(metavar="DURATION", help="Wait at most so long for the epochs; 0 only asks."),
    ] = "10m",
) -> None:
    """Ask every run and worker of a study to finish the running epochs, keep everything, and end.

    A later run or worker goes on where they stopped. Ctrl-C ends the waiting, not the request.
    """
    from search.database import storage as storages
    from search.errors import RunFailedError
    from search.record import halt, next_step
    from search.record import study as studies
    from search.studyfile import durations

    seconds = 0.0 if wait == "0" else durations.option(wait, "--wait") or 0.0
    opened = studies.load_study(study, storages.resolve_url(storage))
    studies.require_spec(opened)
    halt.ask(opened)
    if not seconds:
        typer.echo(f"study '{study}': asked to stop; its epochs running now are the last")
        return
    until = time.monotonic() + seconds
    left = [t for one in (opened, *studies.siblings(opened)) for t in _wait(one, until)]
    if left:
        raise RunFailedError(
            f"study '{study}': {_words(left)}, after {wait}; they end after their epoch, so wait "
            "on with the same command, or press Ctrl-C twice where they run"
        )
    typer.echo(
        f"study '{study}': no trial is running now; `{next_step.run_on(opened)}` goes on with what "
        "is left"
    )


def _wait(study: "optuna.Study", until: float) -> list["FrozenTrial"]:
    """The trials that still run at `until` (monotonic); [] as soon as none does.

    A command between two trials is given the time to hear of it.
    """
    from optuna.trial import TrialState
    from rich.console import Console

    from search.record import chains, halt
    from search.record import study as studies
    from search.workers import leases

    console = Console(highlight=False, markup=False, stderr=True)
    spec = studies.stored_spec(study)
    retries = spec.budget.retries if spec else 0
    heard = time.monotonic() + 2 * halt.LOOK_S
    watch, looked, told = leases.Watch(study), time.monotonic(), ""
    while True:
        now = time.monotonic()
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if (not running and now > heard) or now > until:
            return running
        if running and (words := _words(running)) != told:
            told = words
            console.print(words, soft_wrap=True)
        if now - looked > LOOK_S:  # nobody may be left who would put right what a death left
            looked = now
            chains.mend(study, retries, watch.lost())
        time.sleep(POLL_S)


def _words(running: "list[FrozenTrial]") -> str:
    """`still running: trial 3 on host-a, trial 4 on host-b`."""
    from search.record import chains

    hosts = [t.user_attrs.get(chains.LEASE, {}).get("host", "?") for t in running]
    listed = [f"trial {t.number} on {host}" for t, host in zip(running, hosts, strict=True)]
    more = f" and {len(listed) - MOST} more" if len(listed) > MOST else ""
    return f"still running: {', '.join(listed[:MOST])}{more}"
