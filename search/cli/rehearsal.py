"""What `run --dry-run` has found: time per trial, hours in all, memory, and what it cannot know."""

from typing import TYPE_CHECKING

from rich.table import Table

from search.cli.summary import console
from search.record.progress import duration, params_words

if TYPE_CHECKING:
    from search.service.prepare import Rehearsal

NO_EPOCHS = "not known: nobody tells how many epochs it has; add settings.epochs, or tell `epochs`"
NO_REPORT = "it reports no epochs, so none can be pruned or stopped early"


def show(found: "Rehearsal") -> None:
    """A row for each thing that a person plans with."""
    spec, workers, trials = found.question, found.workers, found.trials
    table = Table.grid(padding=(0, 2))
    table.add_row("configuration", params_words(found.measured["params"]) or "drawn by itself")
    if found.measured.get("device"):
        table.add_row("device", str(found.measured["device"]))
    if found.epoch_seconds is not None:
        table.add_row("one epoch", duration(found.epoch_seconds))
    elif not found.measured["reports"]:
        table.add_row("one epoch", f"not known: {NO_REPORT}")
    each = found.trial_seconds
    how = "about" if found.measured["is_whole"] else "at most"
    table.add_row("one trial", NO_EPOCHS if each is None else f"{how} {duration(each)}")
    if trials is not None and each is not None:
        whole = each * trials / min(workers, trials)
        words = f"{how} {duration(whole)} with {workers} workers, before pruning saves any"
        table.add_row(f"{trials} trials", words)
    table.add_row("confirming", _confirming(found))
    table.add_row("memory", f"{found.measured['memory_bytes'] / 2**30:.1f} GiB a worker")
    console.print(table)
    if spec.space and not spec.baselines:
        console.print("Measured of one configuration; others may take another time and memory.")


def _confirming(found: "Rehearsal") -> str:
    if found.unconfirmed or not found.confirm_runs:
        return found.unconfirmed or "none is asked for"
    runs = f"at most {found.confirm_runs} runs"
    if found.trial_seconds is None:
        return runs
    took = found.trial_seconds * found.confirm_runs / min(found.workers, found.confirm_runs)
    return f"{runs} on fresh seeds, {duration(took)} with {found.workers} workers"
