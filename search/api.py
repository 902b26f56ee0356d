"""optsearch for scripts and notebooks. Imports are inside: the fork server must start first."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

from search.record.listener import Listener

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    from search.service.prepare import Order

NUMBERS = ("number", "value", "best_epoch", "stop_epoch", "epochs", "seconds", "seed")


@dataclass(frozen=True)
class Answer:
    """What a search has found so far.

    `best` is the search's best trial: `number`, `value`, `params` and more, None where none has
    completed; `confirmed` is the answer on fresh seeds as best.yaml has it, None without one;
    `is_interrupted` tells that the stop button (or Ctrl-C) ended the search early. After a dry run
    `rehearsal` holds what it found (`seconds`, `memory_bytes`, ...), and nothing else is known.
    """

    study: str
    best: dict[str, Any] | None
    confirmed: dict[str, Any] | None
    is_interrupted: bool
    storage: str | None = field(default=None, repr=False)  # it may hold a password
    rehearsal: dict[str, Any] | None = None


def run_study(
    study: str | Path,
    *,
    storage: str | None = None,
    trials: int | None = None,
    timeout: str | float | None = None,
    workers: int | str = "auto",
    workers_per_gpu: int | str = "auto",
    device: str = "auto",
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    workdir: str | Path = "runs/work",
    out: str | Path = "best.yaml",
    confirm: bool = True,
    progress: bool = True,
    cluster: str | None = None,
    dry_run: bool = False,
) -> Answer:
    """What `optsearch run` does. The same call again resumes. A KeyboardInterrupt (the notebook's
    stop button) finishes the running epochs and returns; a second one stops at once.

    Args:
        study: a name that comes with optsearch, or a study file's path; timeout: `2h`, or seconds.
        overrides: values of the study file by their path, as in `{"settings.epochs": 5}`;
            `{"from": "digits"}` lets a new study know the trials of another one.
        confirm: whether the best are trained again on fresh seeds at the end.
        progress: whether to show how it goes.
        dry_run: train one epoch only; what it took is the answer's `rehearsal`.

    Raises:
        OptsearchError: what the command would tell in one line.
    """
    from search.studyfile import catalog
    from search.workers import process

    process.warm_up(catalog.objective_of(str(study)))  # imports torch while we import the rest

    from search.service import prepare
    from search.studyfile import durations
    from search.workers import seats

    wish = seats.Wish.parse(device, str(workers), str(workers_per_gpu), cluster)
    seconds = durations.option(None if timeout is None else str(timeout))
    changes = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
    places = Path(out), Path(workdir)
    order = prepare.Order(
        str(study), wish, storage, trials, seconds, changes, name, *places, confirm
    )
    return _rehearsed(order, progress) if dry_run else _answered(order, progress)


def _rehearsed(order: "Order", progress: bool) -> Answer:
    from search.service import prepare
    from search.terminal import log as logs

    found = prepare.rehearse(order, logs.usual() if progress else Listener())
    measured = found.measured | {"workers": found.workers, "confirm_runs": found.confirm_runs}
    return Answer(found.question.name, None, None, False, order.storage, measured)


def _answered(order: "Order", progress: bool) -> Answer:
    from search.record import results
    from search.service import run as service
    from search.terminal import log as logs

    done = service.run(order, logs.usual() if progress else Listener())
    if isinstance(done.trouble, Exception):
        raise done.trouble
    if done.stopped in (Signals.SIGTERM, Signals.SIGHUP):  # is for the whole program
        raise SystemExit(128 + done.stopped)
    interrupted = bool(done.stopped or done.trouble)
    told = results.summary(done.study, None)
    return Answer(done.spec.name, told["best"], told["confirmed"], interrupted, order.storage)


def load_results(
    study: str, storage: str | None = None, *, history: bool = False
) -> "pandas.DataFrame":
    """A study as a table: a row per trial, its parameters as columns `params.NAME`.

    Numbers are numbers; what is missing is NaN. The columns are those of `optsearch show --csv`.

    Args:
        history: a row per epoch instead, with `number` (of the trial) and `epoch` (from 0).
    """
    import pandas as pd

    from search.record import results

    loaded = _load(study, storage)
    if history:
        rows = results.epoch_rows(loaded)
        return pd.DataFrame(rows, columns=None if rows else ["number", "epoch"])
    rows = [results.flat(row) for row in results.rows(loaded)]
    columns = dict.fromkeys([*results.TRIAL_COLUMNS, *(key for row in rows for key in row)])
    table = pd.DataFrame(rows, columns=list(columns))
    for column in NUMBERS:
        table[column] = pd.to_numeric(table[column])
    return table


def best_config(study: str, storage: str | None = None) -> dict[str, Any]:
    """The configuration of the best trial, every default filled in, as `export` writes it.

    An objective that cannot tell its defaults gives its settings and parameters.

    Raises:
        RunFailedError: no trial has completed yet.
    """
    from search.answers import confirm, export
    from search.errors import RunFailedError
    from search.record import study as studies
    from search.workers import process

    loaded = _load(study, storage)
    spec = studies.require_spec(loaded)
    best = confirm.answer(loaded)
    if best is None:
        raise RunFailedError(f"study '{study}' has no complete trial yet; run it further first")
    process.warm_up(spec.objective)
    with process.Process() as asked:
        resolved = asked.ask("resolve", study=spec, **export.identity(best))
    return dict(resolved or {**spec.settings, **best.params})


def figures(study: str, storage: str | None = None) -> "dict[str, go.Figure]":
    """The report's figures by name, as plotly objects: a notebook shows them as they are."""
    from search import plots

    drawn = plots.drawn(_load(study, storage))
    for line in plots.left_out(drawn):
        warnings.warn(line, stacklevel=2)
    return {name: one.figure for name, one in drawn.items() if one.figure is not None}


def _load(name: str, storage: str | None) -> Any:
    from search.database import storage as storages
    from search.record import study as studies

    return studies.load_study(name, storages.resolve_url(storage), create=False)
