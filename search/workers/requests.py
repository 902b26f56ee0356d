"""What a worker process can be asked: the objective's companions, a rehearsal, and the work."""

import contextlib
import dataclasses
import functools
import itertools
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401
import optuna
import sqlalchemy.dialects.sqlite
import sqlalchemy.orm

import search.strategy.freeze_thaw  # noqa: F401
from search import objective
from search.errors import ObjectiveError
from search.record import outcomes, results
from search.studyfile import space
from search.studyfile.spec import StudySpec
from search.workers import alone, portfolio, threads, worker
from search.workers.left import confusion, evaluate, gain, measure, save  # noqa: F401 - requests, too
from search.workers.models import classes, convert, predict  # noqa: F401
from search.workers.stop import Stop

# With alembic and the strategy: what a worker's first look at a database and its first decision
# would import and set up, a second and more. The fork server imports this module, and pays it once.
sqlalchemy.orm.configure_mappers()

_DEVICE = {"device": "auto"}


def check(study: StudySpec) -> list[space.Problem]:
    """What the objective itself finds wrong with a study, before any data is touched."""
    function = objective.load(study.objective, study.folder)
    found: list[space.Problem] = [
        (("settings",), message) for message in objective.check_arguments(function, study.settings)
    ]
    companion = objective.companion(function, "check")
    if companion is None or found:
        return found
    for path, plain, settings in _spaces(study):
        offered = objective.accepted(companion, {"direction": study.direction})
        for where, message in companion(settings, plain, **offered):
            found.append(((*_path(path, where),), message))
    return list(dict.fromkeys(found))


def _spaces(study: StudySpec) -> list[tuple[tuple[str | int, ...], dict[str, Any], dict[str, Any]]]:
    """(place, space, settings) for the study's space, or for each of its configurations."""
    if not study.configurations:
        return [((), space.as_plain(study.space), study.settings)]
    return [
        (
            ("configurations", i, "params"),
            space.as_plain(space.of_configurations([item.params])),
            study.settings_for(item.name),
        )
        for i, item in enumerate(study.configurations)
    ]


def _path(prefix: tuple[str | int, ...], where: str) -> tuple[str | int, ...]:
    """A companion's `space.lr` or `settings.network` as a path into the study file."""
    room, *rest = where.split(".")
    if prefix and room == "space":
        return (*prefix, *rest[:1])
    return (room, *rest)


def remarks(study: StudySpec) -> list[str]:
    """What is to be known of the objective's modules, a line each."""
    objective.load(study.objective, study.folder)
    return objective.remarks(study.objective, study.folder)


def describe(reference: str, folder: str) -> Any:
    """What an objective says of its knobs (search/studyfile/described.py); None if nothing."""
    return objective.ask(objective.load(reference, folder), "describe")


def propose(reference: str, **about: Any) -> Any:
    """A study that fits some data, and why (objectives/proposal.py)."""
    return objective.ask(objective.load(reference, str(Path.cwd())), "propose", **about)


def inspect(reference: str, **about: Any) -> Any:
    """What is found in some data (objectives/sheet.py)."""
    return objective.ask(objective.load(reference, str(Path.cwd())), "inspect", **about)


def prepare(study: StudySpec, device: str) -> dict[str, Any]:
    """Find the data and the device; `settings` with every `auto` pinned, and `data` facts."""
    function = objective.load(study.objective, study.folder)
    askable = [function, objective.companion(function, "prepare") or function]
    if device not in ("auto", "cpu") and not any(objective.accepted(f, _DEVICE) for f in askable):
        raise ObjectiveError(
            f"--device {device}: {study.objective} takes no device; leave the option out, "
            "or declare a parameter `device`"
        )
    known = study.space or space.of_configurations([item.params for item in study.configurations])
    offered: dict[str, Any] = {"settings": study.settings, "device": device}
    offered["space"] = space.as_plain(known)
    offered["configurations"] = [item.params for item in study.configurations]
    offered["splits"] = study.confirmation.splits
    found = objective.plain("prepare", objective.ask(function, "prepare", **offered) or {})
    entries = portfolio.entries(function, study)
    return found | ({"portfolio": entries} if entries else {})


def resolve(study: StudySpec, params: dict[str, Any], configuration: str | None) -> dict[str, Any]:
    """A configuration with every default filled in; {} where the objective cannot tell."""
    function = objective.load(study.objective, study.folder)
    settings = study.settings_for(configuration)
    found = objective.ask(function, "resolve", settings=settings, params=params) or {}
    return objective.plain("resolve", found)


def takes(study: StudySpec, argument: str) -> bool:
    """Whether the objective declares an argument, such as `seed`."""
    function = objective.load(study.objective, study.folder)
    return bool(objective.accepted(function, {argument: None}))


def offers(study: StudySpec, companion: str) -> bool:
    """Whether the objective's module has a companion, such as `save`."""
    return objective.companion(objective.load(study.objective, study.folder), companion) is not None


def work(**arguments: Any) -> None:
    """Run trials until the budget is used up (search/workers/worker.py)."""
    threads.take(arguments["threads"])
    worker.work(**arguments)


def rehearse(study: StudySpec, **machine: Any) -> dict[str, Any]:
    """Train one epoch of one configuration outside any database.

    Args:
        machine: `device`, and `threads` to train on.

    Returns:
        `params`, `seconds` up to its last report (`reports` in number; of the whole trial, where
        it came to its end: `is_whole`), `epoch_seconds` (None where it keeps no history),
        `memory_bytes` (peak of this process), `device`.
    """
    threads.take(machine["threads"])
    function = objective.load(study.objective, study.folder)
    trial = alone.sample(study, machine["threads"], alone.OneEpoch)
    started, is_whole = time.perf_counter(), False
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.suppress(outcomes.Preempted, optuna.TrialPruned),
    ):
        worker.train(function, study, trial, folder=Path(folder), machine=machine)
        is_whole = True
    seconds = results.seconds_of_epochs(trial.user_attrs.get("history"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "params": trial.params,
        "seconds": time.perf_counter() - started,
        "reports": len(trial._get_latest_trial().intermediate_values),
        "is_whole": is_whole,
        "epoch_seconds": seconds[-1] if seconds else None,
        "memory_bytes": peak * (1 if sys.platform == "darwin" else 1024),
        "device": trial.user_attrs.get("device"),
    }


def pace(study: StudySpec, folder: Path, tell: Connection, **machine: Any) -> None:
    """Train one configuration again and again, until this process is ended.

    Args:
        folder: what it writes goes there.
        tell: gets the `time.monotonic()` of each report.
        machine: `device`, and `threads` to train on.
    """
    threads.take(machine["threads"])
    function = objective.load(study.objective, study.folder)
    for count in itertools.count():
        trial = alone.sample(study, machine["threads"], alone.Paced)
        trial.tell = tell
        with contextlib.suppress(optuna.TrialPruned):
            worker.train(function, study, trial, folder=folder / str(count), machine=machine)
        shutil.rmtree(folder / str(count), ignore_errors=True)


# What only an objective that declares it can do, as an option of `train` asks for it.
_ASKED = {
    "initial_weights": ("--resume", "takes no saved model"),
    "all_data": ("--all-data", "knows of no validation images to train on"),
}


def ready(study: StudySpec, device: str, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """What is to be known before one configuration is trained: `prepare`'s answer, and `config`.

    Args:
        wanted: parameters that the objective must declare, of `_ASKED`.
    """
    function = objective.load(study.objective, study.folder)
    if wrong := objective.check_arguments(function, study.settings):
        raise ObjectiveError("; ".join(wrong))
    for name in wanted:
        if not objective.accepted(function, {name: None}):
            option, lack = _ASKED[name]
            raise ObjectiveError(
                f"{option}: {study.objective} {lack}; leave the option out, "
                f"or declare a parameter `{name}`"
            )
    only = study.configurations[0]
    config = resolve(study, only.params, only.name)
    return {**prepare(study, device), "config": config}


def replay(
    study: StudySpec, number: int | None, tell: Connection, **offered: Any
) -> dict[str, Any]:
    """Train the one configuration of a study outside any database.

    Args:
        number: of the trial that is trained again; None for a training that is no trial's.
        tell: gets `step`, `value`, and `resumed_from` where there was a checkpoint, of each report.
        offered: `seed`, `device`, `threads`, `workdir`, `initial_weights`, `all_data`, as they are
            declared.

    Returns:
        `value` (None where it did not come to its end), `reason`, `reports` by step, `attrs` that
        the objective wrote. Raises ObjectiveError where it raised.
    """
    threads.take(offered["threads"])
    function = objective.load(study.objective, study.folder)
    settings = study.settings  # without lists of the parameters: an objective may suggest them
    given = objective.accepted(function, offered)
    if "workdir" in given:
        Path(given["workdir"]).mkdir(parents=True, exist_ok=True)
    stop = Stop()
    stop.install()
    trial = alone.Replayed(study, number, offered, stop, tell)
    refused: list[str] = []

    def call(trial: optuna.trial.BaseTrial) -> float:
        try:
            return function(trial, **settings, **given)
        except ValueError as error:
            refused.append(str(error))
            raise

    outcome = stop.run(functools.partial(outcomes.attempt, call, trial))  # type: ignore[arg-type]
    if outcome.error:
        ours = objective.companion(function, "resolve")  # such a one words its errors for the user
        raise ObjectiveError(refused[-1] if refused and ours else outcome.error.rstrip())
    attrs = json.loads(json.dumps(trial.user_attrs))  # as a database gives them back
    if outcome.reason != "preempted":
        outcome = dataclasses.replace(outcome, reason=attrs.get("reason", outcome.reason))
    about = {"reports": trial.reports, "attrs": attrs}
    return {"value": outcome.value, "reason": outcome.reason, **about}
