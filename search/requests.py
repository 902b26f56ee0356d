"""What a worker process can be asked: the objective's companions, a rehearsal, and the work."""

import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401
import optuna
import sqlalchemy.dialects.sqlite
import sqlalchemy.orm

from search import objective, outcomes, samplers, space, worker
from search.errors import ObjectiveError
from search.spec import StudySpec

# With alembic: what a worker's first look at a database would import and set up, most of a second.
# The fork server imports this module, and pays it once.
sqlalchemy.orm.configure_mappers()

_DEVICE = {"device": "auto"}
STARTUP_S = 10  # an epoch this short is measured anew, without what only the first one pays


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
    offered = {"settings": study.settings, "space": space.as_plain(known), "device": device}
    return dict(_call(function, "prepare", **offered) or {})


def resolve(study: StudySpec, params: dict[str, Any], configuration: str | None) -> dict[str, Any]:
    """A configuration with every default filled in; {} where the objective cannot tell."""
    function = objective.load(study.objective, study.folder)
    settings = study.settings_for(configuration)
    return dict(_call(function, "resolve", settings=settings, params=params) or {})


def evaluate(study: StudySpec, workdir: str, device: str) -> dict[str, Any] | None:
    """The test score of the model kept in a trial's folder; None where there is none."""
    function = objective.load(study.objective, study.folder)
    if not Path(workdir).is_dir():
        return None
    return _call(function, "evaluate", workdir=Path(workdir), split="test", device=device)  # type: ignore[no-any-return]


def takes(study: StudySpec, argument: str) -> bool:
    """Whether the objective declares an argument, such as `seed`."""
    function = objective.load(study.objective, study.folder)
    return bool(objective.accepted(function, {argument: None}))


def work(**arguments: Any) -> None:
    """Run trials until the budget is used up (search/worker.py)."""
    worker.work(**arguments)


def rehearse(study: StudySpec, device: str, threads: int) -> dict[str, Any]:
    """Train one epoch of one configuration outside any database.

    Returns:
        `params`, `seconds` up to the first report (of the whole trial, where it reports nothing),
        `epoch_seconds` (None where it keeps no history), `memory_bytes` (peak of this process),
        `device`.
    """
    function = objective.load(study.objective, study.folder)
    trial = _sample(study)
    machine = {"device": device, "threads": threads}
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.suppress(outcomes.Preempted, optuna.TrialPruned),
    ):
        worker.train(function, study, trial, folder=Path(folder), machine=machine)
    history = trial.user_attrs.get("history")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "params": trial.params,
        "seconds": time.perf_counter() - started,
        "epoch_seconds": history["seconds"][-1] if history else None,
        "memory_bytes": peak * (1 if sys.platform == "darwin" else 1024),
        "device": trial.user_attrs.get("device"),
    }


class _OneEpoch(optuna.Trial):
    """A trial that ends at its first report; at its second where the first came so soon that
    starting up, not training, took the time."""

    def __init__(self, study: optuna.Study, trial_id: int) -> None:
        super().__init__(study, trial_id)
        self._started = time.perf_counter()

    def report(self, value: float, step: int) -> None:
        super().report(value, step)
        if step > 0 or time.perf_counter() - self._started > STARTUP_S:
            raise outcomes.Preempted


def _sample(study: StudySpec) -> _OneEpoch:
    """The first baseline or configuration, else a sample."""
    scratch = optuna.create_study(sampler=samplers.build("random", {}, study.seed))
    first = [*study.baselines, *study.configurations][:1]
    for item in first:
        params = {k: v for k, v in item.params.items() if not isinstance(v, list)}
        scratch.enqueue_trial(params, user_attrs={"configuration": item.name})
    trial = _OneEpoch(scratch, scratch.ask()._trial_id)
    worker.begin(trial, study)
    return trial


def _call(function: Callable[..., Any], name: str, **offered: Any) -> Any:
    """Call a companion; ValueError and OSError are the user's to mend, told in one line."""
    companion = objective.companion(function, name)
    if companion is None:
        return None
    try:
        return companion(**objective.accepted(companion, offered))
    except (ValueError, OSError) as error:
        raise ObjectiveError(str(error)) from error
