"""All commands, and the one place that turns errors into lines and exit codes."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from search.cli import naming
from search.cli.compare import compare
from search.cli.confirm import confirm
from search.cli.convert import convert
from search.cli.copy import copy
from search.cli.dashboard import dashboard
from search.cli.data import data
from search.cli.delete import delete
from search.cli.doctor import doctor
from search.cli.end import end
from search.cli.enqueue import enqueue
from search.cli.export import export
from search.cli.init import init
from search.cli.knobs import knobs
from search.cli.list_studies import list_studies
from search.cli.note import note
from search.cli.predict import predict
from search.cli.report import report
from search.cli.retry import retry
from search.cli.run import run
from search.cli.schema import schema
from search.cli.show import show
from search.cli.stop import stop
from search.cli.train import train
from search.cli.validate import validate
from search.cli.worker import worker
from search.cli.workers import workers
from search.errors import OptsearchError, met_in_mid_run
from search.terminal import log

app = typer.Typer(
    name="optsearch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start here: optsearch run --study digits",
)

# name: (function, two examples that its help ends with)
COMMANDS: dict[str, tuple[Callable[..., None], tuple[str, str]]] = {
    "run": (run, ("run --study digits", "run --data photos/ --timeout 2h")),
    "init": (init, ("init --data photos/", "init --objective ./mine.py:objective")),
    "data": (data, ("data photos/", "data skin.csv --out skin.png")),
    "worker": (
        worker,
        (
            "worker --study cifar --storage postgresql://me@db/optsearch",
            "worker --study cifar --set settings.data_dir=/data --workers-per-gpu 2",
        ),
    ),
    "workers": (workers, ("workers --study cifar", "workers --study cifar --json")),
    "confirm": (
        confirm,
        ("confirm --study cifar", "confirm --study cifar --top 10 --seeds 10 --timeout 4h"),
    ),
    "show": (
        show,
        ("show --study digits --watch", "show --study digits --history --csv > curves.csv"),
    ),
    "stop": (stop, ("stop --study cifar", "stop --study cifar --wait 0")),
    "end": (end, ("end --study digits --trial 12", "end cifar --trial 3")),
    "note": (
        note,
        (
            'note --study digits --trial 12 "its loss has a spike in epoch 3"',
            "note --study digits --trial 12",
        ),
    ),
    "enqueue": (
        enqueue,
        (
            "enqueue --study digits --params optimizer=adam,lr=0.1,schedule=constant,batch_size=64",
            "enqueue --study mine --name my-guess --params optimizer=adam --params lr=1e-3",
        ),
    ),
    "list": (list_studies, ("list", "list --storage postgresql://me@db/optsearch")),
    "dashboard": (dashboard, ("dashboard", "dashboard --port 9000 --allow-edit --open")),
    "compare": (
        compare,
        ("compare --study digits", "compare --study schedules --by schedule --target 0.9"),
    ),
    "report": (
        report,
        ("report --study digits", "report --study digits --format svg --out pictures"),
    ),
    "export": (export, ("export --study digits", "export --study digits --out top.yaml --top 3")),
    "train": (train, ("train best.yaml", "train best.yaml --seed 1 --test --out final")),
    "predict": (
        predict,
        ("predict best a.jpg --top 3", "predict best photos/test --truth folders > rows.csv"),
    ),
    "convert": (convert, ("convert best", "convert best --to torch_export --images photos/test")),
    "validate": (validate, ("validate ./mine.yaml", "validate cifar --set settings.epochs=5")),
    "knobs": (knobs, ("knobs optimizer", "knobs adam")),
    "schema": (
        schema,
        ("schema > schema.json", "schema --objective ./mine.py:objective > schema.json"),
    ),
    "retry": (retry, ("retry --study digits", "retry --study digits --reason crashed")),
    "copy": (
        copy,
        (
            "copy --study digits --from sqlite:///a.db --to postgresql://me@db/all",
            "copy --study digits --from postgresql://me@db/all --to sqlite:///b.db",
        ),
    ),
    "doctor": (doctor, ("doctor", "doctor --storage postgresql://me@db/optsearch --json")),
    "delete": (delete, ("delete --study digits", "delete --study old --storage sqlite:///old.db")),
}
NEVER_GUESSED = ("copy", "delete")  # whose study is to be named
OWN_WORDS = ("note",)  # whose words are no study's name
for name, (function, examples) in COMMANDS.items():
    lines = "\n\n".join(f"$ optsearch {example}" for example in examples)
    how = {"is_guessed": name not in NEVER_GUESSED, "is_word": name not in OWN_WORDS}
    app.command(name, epilog=f"Examples:\n\n{lines}")(naming.named(function, **how))


def _print_version(asked: bool) -> None:
    """`optsearch X (optuna Y, torch Z, python W)`, from metadata: nothing slow is imported."""
    if asked:
        from search import provenance

        known = provenance.versions()
        beside = [f"{name} {known.get(name, 'missing')}" for name in ("optuna", "torch", "python")]
        typer.echo(f"optsearch {known.get('optsearch', 'not installed')} ({', '.join(beside)})")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version, also of Optuna, torch and Python.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="On an error, show the whole traceback.")
    ] = False,
) -> None:
    """Which optimizer, learning rate, schedule and batch size should this CNN be trained with?"""


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def run_app() -> None:
    """Run a command; a known error becomes its lines on stderr and its own exit code."""
    if os.getpid() == 1:  # of a container, where a signal that nobody handles is ignored
        signal.signal(signal.SIGTERM, _terminated)
    try:
        app(prog_name="optsearch", standalone_mode=True)
    except OptsearchError as error:
        if "--traceback" in sys.argv:
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `optsearch show | head`
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        if "--traceback" in sys.argv or (known := met_in_mid_run(error)) is None:
            raise
        print(known, file=sys.stderr)
        sys.exit(known.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        log.release()
