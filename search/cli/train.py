"""`optsearch train`: an exported configuration, trained once more."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Device
from search.cli.watch_replay import watch_replay

if TYPE_CHECKING:
    from search.process import Process
    from search.replay import Best
    from search.spec import StudySpec


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
        typer.Option(min=1, help="CPU threads. Default: the recorded number.", show_default=False),
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
    from search import process, replay

    best = replay.load(file)
    process.warm_up(best.objective)  # imports torch while we import the rest

    from search import agreement, trained

    wanted = replay.change(best, overrides or [])
    seed = replay.seed_of(best, seed)
    question = replay.study(wanted, file, seed)
    out = out or Path("runs/train") / f"{replay.file_name(best.study)}-{seed}"
    threads = threads or best.threads or 1
    with process.Process() as asked:
        ready = asked.ask("ready", study=question, device=device, resumes=resume is not None)
        about = _question(wanted, ready, seed, resume)
        trained.check_folder(out, about)
        other_data = agreement.changed_data(best, ready.get("data", {}), allow_different_data)
        for line in (other_data, agreement.changed_code(best, question.folder)):
            if line:
                typer.echo(line, err=True)
        given: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
        given |= {"workdir": out / trained.WORK} | ({"initial_weights": resume} if resume else {})
        typer.echo(f"trains {best.study} with seed {seed} into {out}")
        asked_again = ready.get("epochs"), ready.get("metric", best.metric)
        done, code = watch_replay(asked, question, given, *asked_again)
        if done["reason"] == "preempted":
            _tell_stop(done, ready.get("epochs"))
            raise typer.Exit(code)
        found = _measured(asked, question, done, out, device, test=test)
    machine = agreement.here(done["attrs"].get("device"), threads, question)
    comparable = not (other_data or resume) and wanted == best
    lines = agreement.of_run(best, done, found, seed, machine) if comparable else [NOT_COMPARED]
    metrics = {"question": about, "study": best.study, "trial": best.trial, "agreement": lines}
    metrics |= trained.metrics(done, found, ready.get("metric", best.metric), machine)
    title = f"{best.study}, seed {seed}: {trained.words(metrics)}"
    written = trained.write(out, title, metrics, done, found)
    shutil.rmtree(out / trained.WORK, ignore_errors=True)
    _tell_end(
        question, done, found, lines, [out / name for name in found.get("files") or ()] + written
    )


NOT_COMPARED = (
    "not compared with the record: the configuration, the data or the beginning is another one"
)


def _question(
    wanted: "Best", ready: dict[str, Any], seed: int, resume: Path | None
) -> dict[str, Any]:
    """All that makes the result what it is."""
    return {
        "objective": wanted.objective,
        "params": wanted.params,
        "config": ready["config"] or wanted.fixed,
        "seed": seed,
        "resume": None if resume is None else str(resume),
        "data": ready.get("data", {}).get("fingerprint"),
    }


def _measured(
    asked: "Process",
    question: "StudySpec",
    done: dict[str, Any],
    out: Path,
    device: str,
    *,
    test: bool,
) -> dict[str, Any]:
    """What the trained model is worth; {} where the training broke off."""
    from search import trained
    from search.errors import OutputError

    if done["value"] is None:
        return {}
    if told := done["attrs"].get("not_saved"):
        raise OutputError(told)
    splits = ["validation", *(["test"] if test else [])]
    found: dict[str, Any] = asked.ask(
        "measure",
        study=question,
        workdir=str(out / trained.WORK),
        out=str(out),
        device=device,
        splits=splits,
    )
    return found | {
        "split": splits[-1],
        "classes": trained.class_names(out, found["files"], found["confusion"] or []),
    }


def _tell_stop(done: dict[str, Any], epochs: int | None) -> None:
    run = len(done["reports"])
    kept = done["attrs"].get("checkpointed")
    goes_on = f"goes on after epoch {kept}" if kept else "begins anew (there is no checkpoint)"
    typer.echo(
        f"stopped after epoch {run}{f' of {epochs}' if epochs else ''}; the same command {goes_on}"
    )


def _tell_end(
    question: "StudySpec",
    done: dict[str, Any],
    found: dict[str, Any],
    lines: list[str],
    written: list[Path],
) -> None:
    """The files, and last what the record says of the result."""
    from search.errors import RunFailedError

    for path in written:
        typer.echo(path)
    if done["value"] is None:
        where = done["attrs"].get("diverged_at")
        raise RunFailedError(
            f"the training broke off: {done['reason']}{f' in {where}' if where else ''}; "
            "what was reported until then is in the files above"
        )
    missing = [name for name, key in COMPANIONS.items() if found.get(key) is None]
    if missing:
        typer.echo(f"{question.objective} offers no {', no '.join(missing)}: nothing of it written")
    for line in lines:
        typer.echo(line)


COMPANIONS = {"`save`": "files", "`evaluate`": "validation", "`confusion`": "confusion"}
