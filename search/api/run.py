"""`run_study`, for scripts and notebooks. Imports are inside: the fork server must start first."""

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search import objective as objectives
from search.api import words
from search.errors import ObjectiveError

if TYPE_CHECKING:
    from search.api.places import Places
    from search.api.question import Asked
    from search.record.listener import Listener
    from search.service.prepare import Order


@dataclass(frozen=True)
class Answer:
    """What a search has found so far; in a notebook it shows itself as a card.

    `best` is the search's best trial: `number`, `value`, `params` and more, None where none has
    completed; `confirmed` is the answer on fresh seeds as best.yaml has it, None without one;
    `is_interrupted` tells that the stop button (or Ctrl-C) ended the search early; `storage` is the
    URL of the database, to be given to the next call. After a dry run `rehearsal` holds what it
    found (`seconds`, `memory_bytes`, ...), and nothing else is known.
    """

    study: str
    best: dict[str, Any] | None
    confirmed: dict[str, Any] | None
    is_interrupted: bool
    storage: str | None = field(default=None, repr=False)  # it may hold a password
    rehearsal: dict[str, Any] | None = None

    def _repr_html_(self) -> str:
        from search.api import shown

        return shown.of_answer(self)


@words.spoken()
def run_study(
    study: "Asked",
    *,
    space: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    direction: str | None = None,
    trials: int | None = None,
    timeout: str | float | None = None,
    workers: int | str = "auto",
    workers_per_gpu: int | str = "auto",
    device: str = "auto",
    storage: str | None = None,
    workdir: str | Path | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    confirm: bool = True,
    progress: bool | str = "auto",
    dashboard: bool = False,
    cluster: str | None = None,
    dry_run: bool = False,
) -> Answer:
    """Search, and confirm the best on fresh seeds. With a `storage` the same call again resumes.

    Args:
        study: an objective; or the keys of a study file as a dict, whose `objective` may be a
            function; or a study file's path, or the name of a study that comes with optsearch.
        space, settings, direction: these keys of the study.
        trials: in all, those of earlier runs counted in; timeout: `2h`, or seconds.
        storage: URL of a database; else OPTSEARCH_STORAGE, else one in a temporary folder.
        workdir: of checkpoints and models, by default beside the database.
        out: a file for the answer, such as best.yaml; by default none is written.
        overrides: values of the study by their path, as in `{"settings.epochs": 5}`.
        progress: whether to show how it goes; else nothing is printed. "auto": in a notebook only.
        dashboard: whether to serve the study's live page meanwhile; its address is a warning.
        dry_run: train one epoch only; what it took is the answer's `rehearsal`.

    Raises:
        OptsearchError: what is wrong, in one line.
    """
    _refuse_in_workers()
    keys = {"space": space, "settings": settings, "direction": direction}
    changes = {key: value for key, value in keys.items() if value is not None}, overrides or {}
    limits = {"trials": trials, "timeout": timeout, "name": name, "confirm": confirm}
    limits["dashboard"] = dashboard
    wish = device, str(workers), str(workers_per_gpu), cluster
    return _run(study, changes, limits, wish, (storage, workdir, out), progress, dry_run)


def _refuse_in_workers() -> None:
    """Raise ObjectiveError where a worker imports the file of an objective, and runs into this."""
    if file := objectives.importing():
        raise ObjectiveError(
            f"{file}: calls run_study whenever it is imported, and every worker process imports "
            'it; put the call beneath `if __name__ == "__main__":`'
        )


def _slow() -> list[str]:
    """What the session has imported of the packages that take seconds: a function of its will want
    them in each worker, and a fork has them at once."""
    from search.imports import SLOW

    parts = [name for name in tuple(sys.modules) if name.count(".") < 2 and "._" not in name]
    return [name for name in parts if name.partition(".")[0] in SLOW]


def _imported(study: "Asked") -> tuple[str, str | None]:
    """The objective that the fork server is to be ready for, and its folder."""
    from search.studyfile import catalog

    if isinstance(study, str | Path):
        return catalog.objective_of(str(study)), catalog.folder_of(str(study))
    named = study.get("objective") if isinstance(study, Mapping) else None
    return (named if isinstance(named, str) else ""), None


def _run(
    study: "Asked",
    changes: tuple[Mapping[str, Any], Mapping[str, Any]],
    limits: Mapping[str, Any],
    wish: tuple[str, str, str, str | None],
    named: tuple[str | None, str | Path | None, str | Path | None],
    progress: bool | str,
    dry_run: bool,
) -> Answer:
    """Any of the two kinds of a run, with what was named for it."""
    from search.workers import process

    process.warm_up(*_imported(study), also=_slow())  # imports torch while we import the rest

    from search.api import listening, places

    listener = listening.of(progress)
    with places.of(*named, keep=not dry_run) as where:
        order = _order(study, *changes, where, wish, limits)
        if dry_run:
            return _rehearsed(order, listener, named[0])
        if named[0] is None:
            listener.say("", f"results are kept in {where.told}")
        return _answered(order, listener)


def _order(
    study: "Asked",
    keys: Mapping[str, Any],
    overrides: Mapping[str, Any],
    where: "Places",
    wish: tuple[str, str, str, str | None],
    limits: Mapping[str, Any],
) -> "Order":
    """What the command would make of its options."""
    from search.api import question
    from search.service import prepare
    from search.studyfile import durations
    from search.workers import seats

    asked = question.given(study, keys, where.workdir)
    changed = {**keys, **overrides} if isinstance(asked, str) else overrides
    lines = [f"{k}={json.dumps(v)}" for k, v in question.plain(changed, "overrides").items()]
    timeout = limits["timeout"]
    return prepare.Order(
        asked,
        seats.Wish.parse(*wish),
        where.storage,
        limits["trials"],
        durations.option(None if timeout is None else str(timeout)),
        lines,
        limits["name"],
        where.out,
        where.workdir,
        limits["confirm"],
        limits["dashboard"],
    )


def _rehearsed(order: "Order", listener: "Listener", storage: str | None) -> Answer:
    from search.service import prepare

    found = prepare.rehearse(order, listener)
    measured = found.measured | {"workers": found.workers, "confirm_runs": found.confirm_runs}
    return Answer(found.question.name, None, None, False, storage, measured)


def _answered(order: "Order", listener: "Listener") -> Answer:
    from search.record import results
    from search.service import run as service

    done = service.run(order, listener)
    if isinstance(done.trouble, Exception):
        raise done.trouble
    if done.stopped in (signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(done.stopped)  # it was meant for the whole program
    interrupted = bool(done.stopped or done.trouble)
    told = results.summary(done.study, None)
    return Answer(done.spec.name, told["best"], told["confirmed"], interrupted, order.storage)
