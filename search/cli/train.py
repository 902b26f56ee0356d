"""`optsearch train`: an exported configuration, trained once more."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Device

if TYPE_CHECKING:
    from search.service.train import Order, Ready, Trained

# What can be had of a trained model: the companion, and its place in `requests.measure`'s answer;
# what `evaluate` says goes by the name of the split.
COMPANIONS = {"save": "files", "evaluate": "validation", "confusion": "confusion"}


File = Annotated[Path, typer.Argument(metavar="best.yaml", help="What `run` or `export` wrote.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of model, metrics, pictures. Default: runs/train/STUDY-SEED.",
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Default: the recorded one, to repeat its score bitwise."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a knob, as in epochs=50 or data_dir=/data; NAME= takes it away. Repeatable.",
        show_default=False,
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Go on from a model.safetensors, with a fresh optimizer and fresh patience.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads. Default: as recorded, else 1.", show_default=False),
]
OtherData = Annotated[
    bool, typer.Option("--allow-different-data", help="Train though the data has changed.")
]
Test = Annotated[
    bool,
    typer.Option("--test", help="Read the test set: for the last look, not for choosing."),
]
AllData = Annotated[
    bool,
    typer.Option(
        "--all-data",
        help="Train on the validation images, too, for the epochs that the best seed took.",
    ),
]


def train(
    file: File,
    out: Folder = None,
    seed: Seed = None,
    overrides: Changes = None,
    resume: Resume = None,
    device: Device = "auto",
    threads: Threads = None,
    allow_different_data: OtherData = False,
    all_data: AllData = False,
    test: Test = False,
) -> None:
    """Train the best configuration once more, keep its model, and compare it with the record.

    Ctrl-C once finishes the running epoch; the same command then goes on from there.
    """
    from search.answers import replay
    from search.workers import process

    best = replay.load(file)
    # imports torch while we import the rest
    process.warm_up(best.objective, replay.folder_of(best, file))

    from search.cli.answer import leave
    from search.service import train as service
    from search.terminal import epochs

    machine: dict[str, Any] = {"device": device, "threads": threads}
    asked_for: dict[str, Any] = {"seed": seed, "overrides": overrides or (), "resume": resume}
    order = service.Order.of(file, best, out=out, on_all=all_data, **asked_for, **machine)
    with process.Process() as asked:
        ready = service.prepare(asked, order, allow_different_data=allow_different_data)
        for line in ready.warnings:
            typer.echo(line, err=True)
        _tell_begin(order)
        with epochs.shown(ready.epochs, ready.metric) as show:
            done, stopped = service.train(asked, ready, show, epochs.finishing)
        if done["reason"] == "preempted":
            _tell_stopped(done, ready.epochs)
            leave(stopped)
        found = service.conclude(asked, ready, done, test=test)
    _tell_end(ready, found)
    for line in found.agreement:
        typer.echo(line)


def _tell_begin(order: "Order") -> None:
    split = order.best.splits.get(str(order.seed))
    on = "" if split is None else f" on split {split}, as it was confirmed,"
    typer.echo(f"trains {order.best.study} with seed {order.seed}{on} into {order.out}")
    if order.together is not None:
        typer.echo(order.together.told)
    if order.resume is not None:
        fresh = "optimizer, schedule and patience begin afresh"
        typer.echo(f"goes on from the weights of {order.resume}; {fresh}")


def _tell_stopped(done: dict[str, Any], epochs: int | None) -> None:
    kept = done["attrs"].get("checkpointed") or done["attrs"].get("resumed_from")
    goes_on = f"goes on after epoch {kept}" if kept else "begins anew (there is no checkpoint)"
    of = f" of {epochs}" if epochs else ""
    typer.echo(f"stopped after epoch {len(done['reports'])}{of}; the same command {goes_on}")


def _missing(found: dict[str, Any]) -> list[str]:
    """The companions that had nothing to say of what they were asked."""
    split = found["split"]  # None: it was trained on all that it could be scored on
    places = COMPANIONS | {"evaluate": split or ""}
    asked = places if split else ["save"]
    return [f"`{name}`" for name in asked if found.get(places[name]) is None]


def _tell_end(ready: "Ready", trained: "Trained") -> None:
    """The files and the scores. Raises RunFailedError where the training broke off."""
    from search.answers import classes, words
    from search.answers import trained as trained_files
    from search.errors import RunFailedError

    done, found = trained.done, trained.found
    for path in trained.files:
        typer.echo(path)
    if done["value"] is None:
        where = done["attrs"].get("diverged_at")
        raise RunFailedError(
            f"the training broke off: {done['reason']}{f' in {where}' if where else ''}; "
            "what was reported until then is in the files above"
        )
    if missing := _missing(found):
        companions, objective = ", ".join(missing), ready.order.best.objective
        typer.echo(f"{objective} offers no {companions}: nothing more is written")
    on_all = ready.order.together is not None
    typer.echo(f"{ready.metric} {done['value']:.6g}{' in training' * on_all}")
    told = words.of_majority(ready.metric, ready.facts.get("data", {}))
    if told and not on_all:
        typer.echo(told)
    if told := classes.weakest(trained_files.by_class(found)):
        typer.echo(f"{told} of {found['split']}")
    tested = dict(found.get("test") or {})
    number = tested.pop("n", None)
    own = [ready.order.best.metric.removeprefix("val_"), "accuracy"]
    for name in [name for name in dict.fromkeys(own) if name in tested] or tested:
        of = "" if number is None else f" on {number:g} images"
        typer.echo(f"test_{name} {tested[name]:.6g}{of}")
