"""`optsearch train`: an exported configuration, trained once more."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Device
from search.cli.watch_replay import watch_replay

if TYPE_CHECKING:
    from search.answers.replay import Best
    from search.studyfile.spec import StudySpec
    from search.workers.process import Process


def train(
    file: Annotated[
        Path, typer.Argument(metavar="best.yaml", help="What `optsearch run` or `export` wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of model, metrics, pictures. Default: runs/train/STUDY-SEED.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Default: the recorded one, to repeat its score bitwise."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Change a knob, as in epochs=50 or data_dir=/data; NAME= takes it away. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Go on from a model.safetensors, with a fresh optimizer and fresh patience.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads. Default: as recorded, else 1.", show_default=False),
    ] = None,
    allow_different_data: Annotated[
        bool, typer.Option("--allow-different-data", help="Train though the data has changed.")
    ] = False,
    test: Annotated[
        bool,
        typer.Option("--test", help="Read the test set: for the last look, not for choosing."),
    ] = False,
) -> None:
    """Train the best configuration once more, keep its model, and compare it with the record.

    Ctrl-C once finishes the running epoch; the same command then goes on from there.
    """
    from search.answers import replay
    from search.workers import process

    best = replay.load(file)
    process.warm_up(best.objective)  # imports torch while we import the rest

    from search.answers import agreement, export, trained

    wanted = replay.change(best, overrides or [])
    seed = replay.seed_of(best, seed)
    question = replay.study(wanted, file, seed)
    out = out or Path("runs/train") / f"{replay.file_name(best.study)}-{seed}"
    export.check_writable(out / trained.METRICS)
    machine = {"device": device, "threads": threads or best.threads or 1}
    with process.Process() as asked:
        ready = asked.ask("ready", study=question, device=device, resumes=resume is not None)
        about = _about(wanted, ready, seed, resume)
        trained.check_folder(out, about)
        other_data = agreement.changed_data(best, ready.get("data", {}), allow_different_data)
        for line in (other_data, agreement.changed_code(best, question.folder)):
            if line:
                typer.echo(line, err=True)
        order = Order(best, question, about, ready, out, machine, resume)
        typer.echo(f"trains {best.study} with seed {seed} into {out}")
        done = _trained(asked, order)
        found = _measured(asked, order, done, test=test)
    comparable = not (other_data or resume) and wanted == best
    written, lines = _written(order, done, found, comparable=comparable)
    _tell_end(order, done, found, written)
    for line in lines:
        typer.echo(line)


@dataclass(frozen=True)
class Order:
    """One training that was asked for."""

    best: "Best"
    question: "StudySpec"
    about: dict[str, Any]  # all that makes the result what it is
    ready: dict[str, Any]  # what `requests.ready` answered
    out: Path
    machine: dict[str, Any]  # `device`, `threads`
    resume: Path | None

    @property
    def metric(self) -> str:
        """What the score is called."""
        return str(self.ready.get("metric", self.best.metric))


def _about(wanted: "Best", ready: dict[str, Any], seed: int, resume: Path | None) -> dict[str, Any]:
    return {
        "objective": wanted.objective,
        "params": wanted.params,
        "config": ready["config"] or wanted.fixed,
        "seed": seed,
        "initial_weights": None if resume is None else str(resume.absolute()),
        "data": ready.get("data", {}).get("fingerprint"),
    }


def _trained(asked: "Process", order: Order) -> dict[str, Any]:
    """What `requests.replay` answered; exits where it was interrupted."""
    from search.answers import trained

    epochs, given = order.ready.get("epochs"), dict(order.machine)
    given |= {"seed": order.about["seed"], "workdir": trained.workdir(order.out, order.about)}
    if order.resume is not None:
        given["initial_weights"] = order.resume
    done, code = watch_replay(asked, order.question, given, epochs, order.metric)
    if done["reason"] != "preempted":
        return done
    kept = done["attrs"].get("checkpointed") or done["attrs"].get("resumed_from")
    goes_on = f"goes on after epoch {kept}" if kept else "begins anew (there is no checkpoint)"
    of = f" of {epochs}" if epochs else ""
    typer.echo(f"stopped after epoch {len(done['reports'])}{of}; the same command {goes_on}")
    raise typer.Exit(code)


def _measured(
    asked: "Process", order: Order, done: dict[str, Any], *, test: bool
) -> dict[str, Any]:
    """What the trained model is worth; {} where the training broke off."""
    from search.answers import trained
    from search.errors import OutputError

    if done["value"] is None:
        return {}
    if told := done["attrs"].get("not_saved"):
        raise OutputError(told)
    found: dict[str, Any] = asked.ask(
        "measure",
        study=order.question,
        workdir=str(trained.workdir(order.out, order.about)),
        out=str(order.out),
        device=order.machine["device"],
        splits=["validation", *(["test"] if test else [])],
    )
    names = trained.class_names(order.out, found["files"], found["confusion"] or [])
    return found | {"split": "test" if test else "validation", "classes": names}


def _written(
    order: Order, done: dict[str, Any], found: dict[str, Any], *, comparable: bool
) -> tuple[list[Path], list[str]]:
    """The files of the folder, and what the record says of the result."""
    from search.answers import agreement, trained

    best, seed = order.best, order.about["seed"]
    device, threads = done["attrs"].get("device"), order.machine["threads"]
    machine = agreement.here(device, threads, order.question)
    lines = [NOT_COMPARED]
    if comparable:
        lines = agreement.of_run(best, order.metric, done, found, seed, machine)
    metrics = {"question": order.about, "study": best.study, "trial": best.trial}
    metrics |= trained.metrics(done, found, order.metric, machine) | {"agreement": lines}
    title = f"{best.study}, seed {seed}\n{trained.words(metrics)}"
    written = trained.write(order.out, title, metrics, done, found)
    shutil.rmtree(order.out / trained.WORK, ignore_errors=True)
    return [order.out / name for name in found.get("files") or ()] + written, lines


NOT_COMPARED = "not compared with the record: configuration, data or beginning differ from it"
# What can be had of a trained model: the companion, and its place in `requests.measure`'s answer
COMPANIONS = {"save": "files", "evaluate": "validation", "confusion": "confusion"}


def _tell_end(
    order: Order, done: dict[str, Any], found: dict[str, Any], written: list[Path]
) -> None:
    """The files and the scores. Raises RunFailedError where the training broke off."""
    from search.errors import RunFailedError

    for path in written:
        typer.echo(path)
    if done["value"] is None:
        where = done["attrs"].get("diverged_at")
        raise RunFailedError(
            f"the training broke off: {done['reason']}{f' in {where}' if where else ''}; "
            "what was reported until then is in the files above"
        )
    if missing := [f"`{name}`" for name, key in COMPANIONS.items() if found.get(key) is None]:
        companions = ", ".join(missing)
        typer.echo(f"{order.best.objective} offers no {companions}: nothing more is written")
    typer.echo(f"{order.metric} {done['value']:.6g}")
    if tested := found.get("test"):
        typer.echo(f"test_accuracy {tested['accuracy']:.6g} on {tested['n']} images")
