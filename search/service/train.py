"""An exported configuration, trained once more: made ready, trained, measured, written."""

import multiprocessing
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

from search.answers import agreement, all_data, classes, export, replay, trained
from search.answers.replay import Best
from search.errors import OutputError
from search.service.prepare import notes
from search.service.watch import Interrupts, terminable
from search.studyfile.spec import StudySpec
from search.workers.process import Process

Show = Callable[[Mapping[str, Any]], None]  # is given each report: `step`, `value`, `resumed_from`
NOT_COMPARED = "not compared with the record: configuration, data or beginning differ from it"


@dataclass(frozen=True)
class Order:
    """One training that was asked for."""

    file: Path
    best: Best  # what the file says
    wanted: Best  # the same, with what was asked to change
    seed: int
    out: Path
    device: str
    threads: int
    resume: Path | None
    together: all_data.Epochs | None = None

    @classmethod
    def of(
        cls,
        file: Path,
        best: Best,
        *,
        seed: int | None,
        overrides: Sequence[str],
        out: Path | None,
        device: str,
        threads: int | None,
        resume: Path | None,
        on_all: bool = False,
    ) -> "Order":
        """None stands for what the file recorded. Raises UsageError where that is not enough.

        on_all: train on the validation images, too, for the epochs that the best seed took.
        """
        seed = replay.seed_of(best, seed)
        best = best.at(seed)
        wanted = replay.change(best, overrides)
        name = f"{replay.file_name(best.study)}-{seed}{'-all' * on_all}"
        epochs = all_data.epochs(best, str(file)) if on_all else None
        threads = threads or best.threads or 1
        out = out or Path("runs/train") / name
        return cls(file, best, wanted, seed, out, device, threads, resume, epochs)

    @property
    def number(self) -> int | None:
        """Of the recorded trial, where this is its training once more: an objective may go by its
        number. None for another training."""
        again = self.wanted == self.best and self.seed == self.best.seed
        return self.best.trial if again and not (self.resume or self.together) else None

    @property
    def question(self) -> StudySpec:
        """A study of this one configuration."""
        return replay.study(self.wanted, self.file, self.seed)


class Ready(NamedTuple):
    """What is known before the training: `facts` is what `requests.ready` answered."""

    order: Order
    question: StudySpec
    about: dict[str, Any]  # all that makes the result what it is
    facts: dict[str, Any]
    warnings: list[str]  # how data and code differ from the record

    @property
    def metric(self) -> str:
        """What the score is called."""
        if self.order.together:
            return all_data.METRIC
        return str(self.facts.get("metric", self.order.best.metric))

    @property
    def epochs(self) -> int | None:
        """The most that there can be, where that is known."""
        if self.order.together:
            return self.order.together.count
        return self.facts.get("epochs")

    @property
    def workdir(self) -> Path:
        """Of the training: no other one finds its checkpoints."""
        return trained.workdir(self.order.out, self.about)


class Trained(NamedTuple):
    """What came out: `done` and `found` are the answers of `requests.replay` and `measure`."""

    done: dict[str, Any]
    found: dict[str, Any]
    files: list[Path]
    agreement: list[str]  # what the record says of the result


def prepare(asked: Process, order: Order, *, allow_different_data: bool) -> Ready:
    """Look at data, code and the folder that is written to.

    Raises:
        OptsearchError: whatever would stop the training, before it begins.
    """
    question = order.question
    export.check_writable(order.out / trained.METRICS)
    declared = {"initial_weights": order.resume, "all_data": order.together}
    wanted = [name for name, value in declared.items() if value is not None]
    facts = asked.ask("ready", study=question, device=order.device, wanted=wanted)
    about = _about(order, facts)
    trained.check_folder(order.out, about)
    data = agreement.changed_data(order.best, facts.get("data", {}), allow_different_data)
    code = agreement.changed_code(order.best, question.folder)
    warnings = [line for line in (data, code) if line]
    told = asked.ask("remarks", study=question)
    return Ready(order, question, about, facts, [*warnings, *told, *notes(facts)])


def _about(order: Order, facts: Mapping[str, Any]) -> dict[str, Any]:
    about = {
        "objective": order.wanted.objective,
        "params": order.wanted.params,
        "config": facts["config"] or order.wanted.fixed,
        "seed": order.seed,
        "initial_weights": None if order.resume is None else str(order.resume.absolute()),
        "data": facts.get("data", {}).get("fingerprint"),
    }
    return about | ({"all_data": order.together.count} if order.together else {})


def train(
    asked: Process, ready: Ready, show: Show, finishing: Callable[[], None]
) -> tuple[dict[str, Any], Signals | None]:
    """The answer of `requests.replay`, and the signal that broke it off, if one did.

    Args:
        show: is given each epoch's report.
        finishing: is called when the running epoch has become the last one.
    """
    order = ready.order
    given = {"device": order.device, "threads": order.threads, "seed": order.seed}
    further: dict[str, Any] = {} if order.resume is None else {"initial_weights": order.resume}
    if order.together:
        further["all_data"] = order.together.count
    heard, tell = multiprocessing.Pipe(duplex=False)
    interrupts = Interrupts()
    with terminable():
        about = {"study": ready.question, "number": order.number, "tell": tell}
        asked.send("replay", **about, workdir=ready.workdir, **given, **further)
        while True:
            try:
                answered = connection.wait([*asked.handles, heard]) != [heard]
                while heard.poll():
                    show(heard.recv())
                if answered:
                    return asked.answer(), interrupts.signal
            except KeyboardInterrupt as stop:
                interrupts.heard(stop)
                if interrupts.count > 3:
                    raise
                if interrupts.count == 1:
                    finishing()
                    asked.finish_epoch()
                else:
                    asked.stop_at_once()


def conclude(asked: Process, ready: Ready, done: dict[str, Any], *, test: bool) -> Trained:
    """Measure the model, hold it against the record, and write the folder.

    Args:
        done: what `train` returned, of a training that was not broken off by a person.
        test: whether the test set is read.

    Raises:
        OutputError: the model could not be kept.
    """
    order = ready.order
    found = _measured(asked, ready, done, test=test)
    device, threads = done["attrs"].get("device"), order.threads
    kind = ready.facts.get("device", {}).get("type", "cpu")
    machine = agreement.here(device, threads, ready.question, kind)
    lines = [all_data.NOT_COMPARED if order.together else NOT_COMPARED]
    if _is_comparable(ready):
        lines = agreement.of_run(order.best, ready.metric, done, found, order.seed, machine)
    metrics = {"question": ready.about, "study": order.best.study, "trial": order.best.trial}
    metrics |= trained.metrics(done, found, ready.metric, machine) | {"agreement": lines}
    majority = ready.facts.get("data", {}).get("majority")
    if majority and not order.together:
        metrics["majority"] = majority  # what always giving this class scores on validation
    title = f"{order.best.study}, seed {order.seed}\n{trained.words(metrics)}"
    written = trained.write(order.out, title, metrics, done, found)
    shutil.rmtree(order.out / trained.WORK, ignore_errors=True)
    files = [order.out / name for name in found.get("files") or ()] + written
    return Trained(done, found, files, lines)


def _is_comparable(ready: Ready) -> bool:
    """Whether it is the recorded training that was done again: equal data, no change, no model."""
    order = ready.order
    other_data = agreement.changed_data(order.best, ready.facts.get("data", {}), True)
    is_other = other_data or order.resume or order.together
    return not is_other and order.wanted == order.best


def _measured(asked: Process, ready: Ready, done: dict[str, Any], *, test: bool) -> dict[str, Any]:
    """What the trained model is worth; {} where the training broke off."""
    if done["value"] is None:
        return {}
    if told := done["attrs"].get("not_saved"):
        raise OutputError(told)
    order = ready.order
    found: dict[str, Any] = asked.ask(
        "measure",
        study=ready.question,
        workdir=str(ready.workdir),
        out=str(order.out),
        device=order.device,
        splits=_splits(order, test),
    )
    names = classes.names(order.out, found["files"], found["confusion"] or [])
    scored = _splits(order, test)
    return found | {"split": scored[-1] if scored else None, "classes": names}


def _splits(order: Order, test: bool) -> list[str]:
    """What the model is scored on; the validation images only where it was not trained on them."""
    return [*([] if order.together else ["validation"]), *(["test"] if test else [])]
