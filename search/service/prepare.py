"""Before anything is trained: read the question, look at data and device, deal out the seats."""

import contextlib
import dataclasses
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from search.answers import export, measures
from search.database import storage as storages
from search.errors import ObjectiveError, OptsearchError, UsageError
from search.news import trackers
from search.record import chains, floors, next_step
from search.record.listener import Listener
from search.strategy import check
from search.studyfile import catalog, parts, reading
from search.studyfile.reading import Given, StudyFile
from search.studyfile.space import Problem
from search.studyfile.spec import StudySpec
from search.workers import process
from search.workers.process import Process
from search.workers.seats import Seat, Wish


@dataclass(frozen=True)
class Order:
    """What a run was asked for, by the options of a command or from Python.

    `study` is a name, the path of a file or a question from Python, `storage` a URL (None: the
    default one), `seconds` what the whole run may take; `trials` and `seconds` stand in for the
    file's budget; `out` is the file of the answer (None: there is none); with `dashboard` the live
    page is served meanwhile.
    """

    study: str | Given
    wish: Wish
    storage: str | None = None
    trials: int | None = None
    seconds: float | None = None
    overrides: Sequence[str] = ()
    name: str | None = None
    out: Path | None = Path("best.yaml")
    workdir: Path = Path("runs/work")
    confirm: bool = True
    dashboard: bool = False
    began: float = field(default_factory=time.monotonic)

    def knowing(self, study: str | None, storage: str | None) -> "Order":
        """The same, with the trials of another study known from the start.

        Raises:
            UsageError: a storage is named without a study.
        """
        if study is None:
            if storage is not None:
                raise UsageError(f"--from-storage {storages.redacted(storage)}: needs --from STUDY")
            return self
        source = json.dumps({"study": study, "storage": storage})
        return dataclasses.replace(self, overrides=[*self.overrides, f"from={source}"])

    @property
    def asked(self) -> list[str]:
        """The words by which `run` asks the same question, from any folder; none of Python's."""
        if isinstance(self.study, Given):
            return []
        is_path = "/" in self.study or self.study.endswith((".yaml", ".yml"))
        study = str(Path(self.study).absolute()) if is_path else self.study
        # what has been taken over stays; a storage may hold a password, and so may a URL
        changes = [one for one in self.overrides if not re.match(r"(from|notify|track)[.=]", one)]
        return next_step.asked(study, self.name, changes)


class Ready(NamedTuple):
    """What is known before the study is opened: `prepared` is the objective's answer, or {}."""

    question: StudySpec
    prepared: dict[str, Any]
    seats: list[Seat]
    takes_seed: bool  # whether another seed makes another run


class Rehearsal(NamedTuple):
    """What one epoch of one configuration has shown (`requests.rehearse`)."""

    question: StudySpec
    measured: dict[str, Any]
    workers: int
    epochs: int | None  # of a trial at most, where anybody tells
    confirm_runs: int  # at most
    unconfirmed: str  # why there are none, though they were asked for

    @property
    def trials(self) -> int | None:
        """As many as the budget has, or fewer where the space has fewer points."""
        return floors.trials(self.question)

    @property
    def epoch_seconds(self) -> float | None:
        """Of one epoch; None where the objective reports none."""
        reports = self.measured["reports"]
        whole: float | None = self.measured["seconds"] / reports if reports else None
        steady: float | None = self.measured["epoch_seconds"]
        return whole if steady is None else steady

    @property
    def trial_seconds(self) -> float | None:
        """Of one trial at most: as measured where it came to its end, else by its epochs; None
        where nobody tells how many they are."""
        if self.measured["is_whole"]:
            return float(self.measured["seconds"])
        if self.epochs is None or self.epoch_seconds is None:
            return None
        return self.epoch_seconds * self.epochs


def read(
    study: str | Given,
    overrides: Sequence[str] = (),
    name: str | None = None,
    also: Sequence[reading.Check] = (),
) -> StudyFile:
    """A question, checked as far as can be without its objective; `also` by whom it is told with
    the rest. Raises SpecError and others."""
    return reading.load(study, overrides, name, checks=(check.problems, *also))


class Valid(NamedTuple):
    """A study file that nothing is wrong with: where it is, and what is to be known of its runs."""

    source: str
    notes: list[str]


def validate(study: str, overrides: Sequence[str] = ()) -> Valid:
    """Look for all that is wrong with a study file, in its form and by its objective, at once.

    Raises:
        SpecError: a line for each problem.
        ObjectiveError: nothing else is wrong, but the objective cannot be asked.
    """
    process.warm_up(catalog.objective_of(study), catalog.folder_of(study))
    with Process() as asked:

        def by_objective(spec: StudySpec) -> list[Problem]:
            with contextlib.suppress(OptsearchError):  # told below, if it is all that is wrong
                return list(asked.ask("check", study=spec))
            return []

        file = read(study, overrides, also=(by_objective,))
        file.refuse(asked.ask("check", study=file.spec))
        if not (why := unconfirmed(asked, file.spec)):
            check_splits(asked, file.spec)
        told = asked.ask("remarks", study=file.spec)
    beyond = floors.beyond(file.spec)
    notes = [*file.notes(), *told, f"{file.source}: {beyond}" if beyond else "", why]
    return Valid(file.source, [line for line in notes if line])


def unconfirmed(asked: Process, spec: StudySpec) -> str:
    """Why the best will not be confirmed, though the study file does not decline it; ""."""
    if not spec.confirmation.seeds or takes(asked, spec):
        return ""
    return f"not confirmed: {spec.objective} declares no parameter `seed`"


def check_splits(asked: Process, spec: StudySpec) -> None:
    """Raise ObjectiveError where each seed is to have a split of its own, and the objective is not
    told of any."""
    if spec.confirmation.is_split and not asked.ask("takes", study=spec, argument=chains.SPLIT):
        raise ObjectiveError(
            f"confirm.splits: {spec.objective} declares no parameter `{chains.SPLIT}`, by which it "
            "would draw its validation images; declare one, or leave splits out"
        )


def prepare(order: Order, listener: Listener) -> Ready:
    """Check the question, the places that will be written to, data and device.

    Raises:
        OptsearchError: whatever would stop the run, before it begins.
    """
    file, question = _asked(order)
    # a database that cannot be reached is told before any work
    storages.open_storage(storages.resolve_url(order.storage))
    with _prepared(order, file, question, listener) as (asked, prepared):
        takes_seed = takes(asked, question)
        if takes_seed and order.confirm:
            check_splits(asked, question)
    return Ready(question, prepared, order.wish.seats(prepared), takes_seed)


def rehearse(order: Order, listener: Listener) -> Rehearsal:
    """Train one epoch of the first configuration, outside of any database."""
    file, question = _asked(order)
    with _prepared(order, file, question, listener) as (asked, prepared):
        seats = order.wish.seats(prepared)
        pinned = question.with_settings(prepared.get("settings", {}))
        machine = {"device": seats[0].device, "threads": seats[0].threads}
        measured = asked.ask("rehearse", study=pinned, **machine)
        why = unconfirmed(asked, pinned) if order.confirm else ""
    epochs = prepared.get("epochs") or pinned.settings.get("epochs")
    runs = 0 if why or not order.confirm else _confirm_runs(pinned)
    return Rehearsal(pinned, measured, len(seats), epochs, runs, why)


def _confirm_runs(spec: StudySpec) -> int:
    """At most: the best few, or of each value that is asked about, and the baselines; no more than
    there are trials."""
    about = spec.confirmation
    found = max(about.top, spec.arms if spec.arms_of else 0) + len(spec.baselines)
    found = min(found, floors.trials(spec) or found)
    return about.seeds * (len(spec.configurations) or found)


def takes(asked: Process, spec: StudySpec) -> bool:
    """Whether another seed makes another run of this objective."""
    return bool(asked.ask("takes", study=spec, argument="seed"))


def _asked(order: Order) -> tuple[StudyFile, StudySpec]:
    """The study file, and its question with the order's limits."""
    file = read(order.study, order.overrides, order.name)
    process.warm_up(file.spec.objective, file.spec.folder)
    question = file.spec.with_budget(order.trials, order.seconds)
    file.refuse(
        [*parts.unreachable(question.notify, os.environ), *trackers.missing(question.track)]
    )
    if order.out is not None:
        export.check_writable(order.out)
    export.check_writable(order.workdir / "probe", "--workdir")
    return file, question


@contextlib.contextmanager
def _prepared(
    order: Order, file: StudyFile, question: StudySpec, listener: Listener
) -> Iterator[tuple[Process, dict[str, Any]]]:
    """A process that knows the objective, and what it says of data and device."""
    with Process() as asked:
        file.refuse(asked.ask("check", study=question))
        told = asked.ask("remarks", study=question)
        prepared = asked.ask("prepare", study=question, device=order.wish.device)
        _check_until(question, prepared.get("metric"))
        for note in (*file.notes(), *told, *notes(prepared)):
            listener.warn(question.name, note)
        yield asked, prepared


def notes(prepared: Mapping[str, Any]) -> list[str]:
    """What the objective has noticed about the data, a line each."""
    return [
        f"{what}: {note}"
        for what in ("device", "data")
        for note in prepared.get(what, {}).get("notes", ())
    ]


def _check_until(spec: StudySpec, metric: str | None) -> None:
    """Refuse to wait for what cannot come: shares are written as such. Raises UsageError."""
    until = spec.budget.until
    if until and metric and measures.is_bounded(metric) and not 0 <= until.score <= 1:
        hint = f"; did you mean {until.score / 100:g}?" if 1 < until.score <= 100 else ""
        raise UsageError(
            f"budget.until.score {until.score:g}: {metric} lies from 0 to 1, so that no trial "
            f"ever ends the search{hint}"
        )
